//! How does a worker end when the application that started it has gone, whatever the worker is doing?

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, kill_process, pidfd_open};

use crate::site::no_descriptor;

/// Ends this process as soon as the other end of the socket `fd` is closed or its parent process has ended. A thread
/// of its own watches, without Python's lock, so that an adapter which never returns cannot prevent it. Returns the
/// descriptor that it watches, which a forked process must not keep.
#[pyfunction]
pub fn end_with_parent(fd: i32) -> PyResult<i32> {
    if fd < 0 {
        return Err(no_descriptor(fd));
    }
    // SAFETY: it can be a descriptor's number; if it is no open one's, the system says so where it is duplicated.
    #[allow(unsafe_code)]
    let socket = fcntl_dupfd_cloexec(unsafe { BorrowedFd::borrow_raw(fd) }, 3).map_err(io::Error::from)?;
    let watched = socket.as_raw_fd();
    let parent = getppid().and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok());
    thread::Builder::new().name("dfm-watch".to_owned()).spawn(move || watch(socket, parent))?;
    Ok(watched)
}

fn watch(socket: OwnedFd, parent: Option<OwnedFd>) {
    // No events asked for: only the hang-up, which is always told.
    let mut watched = vec![PollFd::new(&socket, PollFlags::empty())];
    watched.extend(parent.as_ref().map(|parent| PollFd::new(parent, PollFlags::IN)));
    while poll(&mut watched, None).is_err() {}
    let this: Pid = getpid();
    let _ = kill_process(this, Signal::KILL);
}
