//! How does a command run another program, end it in time, and leave nothing of it behind?

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::processes::{self, wait_for};

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
    // What the program left running.
    processes::end(GRACE, processes::descendants);
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
