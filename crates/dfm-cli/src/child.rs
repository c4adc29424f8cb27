//! How does a command run another program, end it in time, and leave nothing of it behind?
//!
//! A second `dfm`, the supervisor, stands between the command and the program. It ends the program's processes when the
//! time is up, when a signal says so, and when the command itself was killed; should the supervisor be killed, the
//! command ends what it left.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use dfm_diag::Diagnostic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgid, getpgrp, getpid, getppid, kill_process, kill_process_group, pidfd_open,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::pipe;

use crate::{processes, program};

/// Between the request to end and the end by force.
const GRACE: Duration = Duration::from_secs(5);

/// How a program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or by a signal: with this exit code, which is 128 + n after signal n.
    Code(u8),
    /// Its time was up.
    TimeIsUp,
}

/// What to do where the system starts no process or thread.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    (error.kind() == io::ErrorKind::WouldBlock).then_some(
        "the system, or its container, allows no more processes and threads; raise `ulimit -u`, or the number of \
         processes that the container may have (pids)",
    )
}

/// That dfm cannot start a process, told with the `code`.
pub fn not_started(code: &'static str, error: &io::Error) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, format!("dfm cannot start a process: {error}"));
    match remedy(error) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// Runs `supervisor`, a command line of this `dfm` that calls `supervise`, to its end; returns its exit code.
///
/// # Errors
/// The system's, when it cannot be started.
pub fn run(supervisor: &mut Command) -> io::Result<u8> {
    adopt_orphans()?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let shared = terminal_is_ours();
    if !shared {
        supervisor.process_group(0);
    }
    let mut child = supervisor.spawn()?;
    if let Some(supervisor) = pid(&child) {
        let passing_on = thread::Builder::new().spawn(move || {
            // A terminal sends its Ctrl-C to the supervisor too.
            for signal in signals.forever().filter(|signal| !(shared && *signal == SIGINT)) {
                let _ = kill_process(supervisor, named(signal));
            }
        });
        if let Err(error) = passing_on {
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
    }
    let status = child.wait()?;
    processes::end(GRACE, processes::descendants);
    Ok(exit_code(status))
}

/// Runs a program to its end, and whatever it started. An interrupt is passed on, a second one ends everything at once.
/// It ends too when `caller`, the process that started this one, does.
///
/// # Errors
/// The system's, when the program cannot be started.
pub fn supervise(program: &[OsString], limit: Duration, caller: i32) -> io::Result<End> {
    let [program, arguments @ ..] = program else { return Err(io::ErrorKind::InvalidInput.into()) };
    adopt_orphans()?;
    let signals = [told_of(SIGINT)?, told_of(SIGTERM)?, told_of(SIGHUP)?];
    let caller = match getppid() {
        Some(parent) if parent.as_raw_nonzero().get() == caller => pidfd_open(parent, PidfdFlags::empty())?,
        _ => return Ok(End::Code(1)),
    };
    let mut command = program::any(program);
    command.args(arguments);
    let shared = terminal_is_ours();
    if !shared {
        command.process_group(0);
    }
    let mut child = command.spawn()?;
    let end = wait(&mut child, shared, &signals, &caller, limit);
    processes::end(GRACE, processes::descendants);
    end
}

/// Waits for the program, and does what time, signals and the caller's end ask for.
fn wait(
    child: &mut Child,
    shared: bool,
    [interrupt, terminate, hang_up]: &[UnixStream; 3],
    caller: &OwnedFd,
    limit: Duration,
) -> io::Result<End> {
    let program = pid(child).ok_or_else(|| io::Error::other("the program has no process"))?;
    let ended = pidfd_open(program, PidfdFlags::empty())?;
    let mut deadline = Instant::now().checked_add(limit);
    let mut end = None;
    let mut interrupted = false;
    loop {
        let mut watched = vec![
            PollFd::new(&ended, PollFlags::IN),
            PollFd::new(interrupt, PollFlags::IN),
            PollFd::new(terminate, PollFlags::IN),
            PollFd::new(hang_up, PollFlags::IN),
            PollFd::new(caller, PollFlags::IN),
        ];
        if end.is_some() {
            // Asked once is enough: only the program's end, an interrupt and the time count from now on.
            watched.truncate(2);
        }
        wait_for(&mut watched, deadline)?;
        let happened: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
        let is = |index: usize| happened.get(index).copied().unwrap_or(false);
        let interrupts = if is(1) { read_all(interrupt)? } else { 0 };
        if is(0) {
            break;
        } else if interrupts > 1 || (interrupts == 1 && interrupted) {
            end.get_or_insert(End::Code(128 + SIGINT as u8));
            pass_on(Signal::KILL, program, shared);
            break;
        } else if interrupts == 1 {
            interrupted = true;
            if !shared {
                pass_on(Signal::INT, program, shared);
            }
        } else if let Some(asked) = [(2, SIGTERM), (3, SIGHUP), (4, SIGTERM)].iter().find(|(index, _)| is(*index)) {
            end = Some(End::Code(128 + asked.1 as u8));
            deadline = Some(Instant::now() + GRACE);
            pass_on(Signal::TERM, program, shared);
        } else if end.is_none() {
            end = Some(End::TimeIsUp);
            deadline = Some(Instant::now() + GRACE);
            pass_on(Signal::TERM, program, shared);
        } else {
            pass_on(Signal::KILL, program, shared);
            break;
        }
    }
    let status = child.wait()?;
    let by_itself = if interrupted { 128 + SIGINT as u8 } else { exit_code(status) };
    Ok(end.unwrap_or(End::Code(by_itself)))
}

/// Whatever loses its parent becomes this process's child, so that it can be found and ended.
fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(getpid()))?)
}

/// Whether a Ctrl-C or Ctrl-Z in the terminal is for this process and those of its group. Then the program stays in
/// the group, where it can read from the terminal and be stopped with the command.
fn terminal_is_ours() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

/// Something that can be read from once for each time that a signal came.
fn told_of(signal: i32) -> io::Result<UnixStream> {
    let (here, there) = UnixStream::pair()?;
    here.set_nonblocking(true)?;
    pipe::register(signal, there)?;
    Ok(here)
}

/// How many times the signal came.
fn read_all(mut signals: &UnixStream) -> io::Result<usize> {
    match io::Read::read(&mut signals, &mut [0; 64]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        read => read,
    }
}

/// Tells the program's processes; those that have a group of their own have it in order not to be told.
fn pass_on(signal: Signal, program: Pid, shared: bool) {
    if shared {
        for one in
            processes::descendants().into_iter().filter(|one| getpgid(Some(*one)).is_ok_and(|group| group == getpgrp()))
        {
            let _ = kill_process(one, signal);
        }
    } else {
        let _ = kill_process_group(program, signal);
    }
}

/// Waits until one of them has something to say, or until the deadline.
fn wait_for(watched: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(watched, timeout.as_ref()) {
            Ok(_) => return Ok(()),
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

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}
