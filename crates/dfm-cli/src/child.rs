//! How does a command run another program, end it in time, and leave nothing of it behind?

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, kill_process_group, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Between the request to end and the end by force.
const GRACE: Duration = Duration::from_secs(5);

/// The exit code of a command whose time was up, as `timeout` has it.
const TIME_IS_UP: u8 = 124;

/// Runs a program to its end, and whatever it started. Returns its exit code: 128 + n after signal n, 124 when the time
/// was up. The first interrupt is passed on, a second one ends everything at once.
///
/// # Errors
/// The system's, when the program cannot be started.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<u8> {
    // Whatever loses its parent becomes this process's child, so that it can be found and ended.
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let mut child = command.process_group(0).spawn()?;
    give_terminal_to(&child);
    let code = wait(&mut child, signals, limit);
    end_descendants();
    code
}

/// Lets the program read from the terminal and get its Ctrl-C.
fn give_terminal_to(child: &Child) {
    let stdin = io::stdin();
    if let (true, Some(group)) = (rustix::termios::isatty(&stdin), pid(child)) {
        // Where dfm itself is in the background, the terminal belongs to somebody else.
        let _ = rustix::termios::tcsetpgrp(&stdin, group);
    }
}

fn wait(child: &mut Child, mut signals: Signals, limit: Duration) -> io::Result<u8> {
    let group = pid(child).ok_or_else(|| io::Error::other("the program has no process"))?;
    let ended = pidfd_open(group, PidfdFlags::empty())?;
    thread::spawn(move || {
        for (earlier, signal) in signals.forever().enumerate() {
            let _ = kill_process_group(group, if earlier == 0 { named(signal) } else { Signal::KILL });
        }
    });
    if wait_for(&ended, limit)? {
        let status = child.wait()?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        return Ok(u8::try_from(code).unwrap_or(1));
    }
    let _ = kill_process_group(group, Signal::TERM);
    if !wait_for(&ended, GRACE)? {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(TIME_IS_UP)
}

/// Whether the process ends within `limit`.
fn wait_for(process: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now().checked_add(limit);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(process, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn named(signal: i32) -> Signal {
    match signal {
        SIGINT => Signal::INT,
        SIGHUP => Signal::HUP,
        _ => Signal::TERM,
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Ends what the program left running, by force where asking does not help.
fn end_descendants() {
    for (signal, grace) in [(Signal::TERM, GRACE), (Signal::KILL, Duration::MAX)] {
        let left: Vec<OwnedFd> = descendants()
            .into_iter()
            .filter_map(|one| {
                let process = pidfd_open(one, PidfdFlags::empty()).ok()?;
                kill_process(one, signal).ok().map(|()| process)
            })
            .collect();
        let begin = Instant::now();
        for process in left {
            let _ = wait_for(&process, grace.saturating_sub(begin.elapsed()));
        }
    }
}

/// All processes that come from this one.
fn descendants() -> Vec<Pid> {
    let mut parents = vec![];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name, in parentheses, may hold anything; the state and the parent's number follow it.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let (Some(state), Some(parent)) = (fields.next(), fields.next().and_then(|id| id.parse::<i32>().ok())) else {
            continue;
        };
        if state != "Z" {
            parents.push((id, parent));
        }
    }
    let mut found = vec![getpid().as_raw_nonzero().get()];
    let mut seen = 0;
    while seen < found.len() {
        let parent = found[seen];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        seen += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}
