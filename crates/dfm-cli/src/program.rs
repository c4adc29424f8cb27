//! How is another program begun, so that the current folder, which may be a stranger's, has no say in it?
//!
//! Clippy refuses `Command::new` everywhere else.
#![expect(clippy::disallowed_methods, reason = "all others call these functions")]

use std::ffi::OsStr;
use std::process::Command;

/// A Python that imports nothing of the current folder: without `-P`, `-m` and `-c` have it look there first.
pub fn python(interpreter: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(interpreter);
    command.arg("-P");
    command
}

/// This very program, even where its file was replaced meanwhile.
pub fn itself() -> Command {
    Command::new("/proc/self/exe")
}

/// A program that is no Python of dfm's own; a script of the user's finds what is beside it.
pub fn any(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}
