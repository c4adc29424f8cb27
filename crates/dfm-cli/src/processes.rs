//! Which processes are there, which of them belong together, and how are they ended?

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// Whether the process ends within `limit`.
///
/// # Errors
/// The system's.
pub fn wait_for(process: &OwnedFd, limit: Duration) -> std::io::Result<bool> {
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

/// When a process began, in the system's ticks; `None` when it has ended. With its number it names a process for ever.
pub fn began(process: Pid) -> Option<u64> {
    // The state is the first field here, the begin the twentieth.
    let fields = fields(process)?;
    (fields.first()? != "Z").then(|| fields.get(19)?.parse().ok()).flatten()
}

/// What the system says of a process after its name, which stands in parentheses and may hold anything.
fn fields(process: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

/// All processes, of whomever.
fn all() -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// How many bytes of memory a process uses, as it is counted for it alone and for what it shares.
pub fn memory(process: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// All processes that come from this one and have not ended.
pub fn descendants() -> Vec<Pid> {
    let parents: Vec<(Pid, i32)> = all()
        .into_iter()
        .filter_map(|process| {
            let fields = fields(process)?;
            (fields.first()? != "Z").then(|| Some((process, fields.get(1)?.parse().ok()?))).flatten()
        })
        .collect();
    let mut found = vec![getpid()];
    let mut seen = 0;
    while seen < found.len() {
        let parent = found[seen].as_raw_nonzero().get();
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        seen += 1;
    }
    found.split_off(1)
}

/// All processes that were started with this entry in their environment, and whatever they started, but not this one.
pub fn with_environment(name: &str, value: &Path) -> Vec<Pid> {
    let entry = [name.as_bytes(), b"=", value.as_os_str().as_bytes()].concat();
    let has = |process: &Pid| {
        let environment = fs::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == entry)
    };
    all().into_iter().filter(|process| *process != getpid() && has(process)).collect()
}

/// Ends all processes that `find` finds: asks them, and after `grace` ends by force what is left, until none is.
pub fn end(grace: Duration, find: impl Fn() -> Vec<Pid>) {
    for (signal, grace) in [(Signal::TERM, grace), (Signal::KILL, Duration::MAX)] {
        let begin = Instant::now();
        loop {
            let signalled: Vec<OwnedFd> = find().into_iter().filter_map(|process| send(process, signal)).collect();
            if signalled.is_empty() {
                return;
            }
            let left = || grace.saturating_sub(begin.elapsed());
            if !signalled.iter().all(|process| wait_for(process, left()).unwrap_or(true)) {
                break;
            }
        }
    }
}

fn send(process: Pid, signal: Signal) -> Option<OwnedFd> {
    let held = pidfd_open(process, PidfdFlags::empty()).ok()?;
    pidfd_send_signal(&held, signal).ok().map(|()| held)
}
