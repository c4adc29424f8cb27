//! How are files opened that are this account's alone?

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

/// Makes a folder, and those around it that are missing, for its owner alone; one that is there stays as it is.
pub(crate) fn own_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file to read and write, made where there is none. No link is followed.
///
/// # Errors
/// The system's, or that it is not a file that only this account may read and write.
pub(crate) fn own_file(path: &Path, appends: bool) -> io::Result<File> {
    let how = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let how = if appends { how | OFlags::APPEND } else { how };
    let file = File::from(openat(CWD, path, how, Mode::RUSR | Mode::WUSR)?);
    let facts = file.metadata()?;
    let is_own = facts.uid() == rustix::process::geteuid().as_raw() && facts.mode() & 0o077 == 0;
    if !(facts.is_file() && is_own) {
        let why = format!("{} is not a file that only this account may read and write", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(file)
}

/// What no other process does as long as this is there.
pub(crate) struct Locked<'a>(&'a File);

impl<'a> Locked<'a> {
    /// Waits until no other process has it.
    pub(crate) fn new(file: &'a File) -> io::Result<Self> {
        flock(file, FlockOperation::LockExclusive)?;
        Ok(Self(file))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // What cannot be unlocked is when the file is closed.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// The file's facts, if it is there: of a link, its own.
pub(crate) fn facts(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
