//! How is a closed stdout kept apart from one that takes everything?
//!
//! Rust opens `/dev/null` in its place before `main`, where all that is written would count as written; and Python, which
//! `dfm` has do a part of its work, prints nothing without a word. So there comes something before that, for all of them,
//! that nothing can be written to.

use std::mem;
use std::os::fd::AsRawFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio::{dup2_stdout, raw_stdout, stdout};

// The C library calls what it finds here before Rust's own beginning, once, with nothing else running.
#[used]
#[allow(unsafe_code)]
#[unsafe(link_section = ".init_array")]
static BEFORE_RUST_BEGINS: extern "C" fn() = stand_in;

/// Opens what refuses each write. What this starts is to have it too, so it is not closed on the way there.
extern "C" fn stand_in() {
    if fcntl_getfd(stdout()) != Err(Errno::BADF) {
        return;
    }
    let Ok(reads) = open("/dev/null", OFlags::RDONLY, Mode::empty()) else { return };
    if reads.as_raw_fd() == raw_stdout() {
        mem::forget(reads);
    } else {
        let _ = dup2_stdout(reads);
    }
}
