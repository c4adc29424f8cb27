//! How is a file written as a whole or not at all?

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// Writes a file as a whole or not at all, making its folder where needed, and keeps the permissions it had.
///
/// # Errors
/// Whatever the file system says; the file is then as it was.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    write(&followed(path), text, ".dfm-")
}

/// The same for a file that nobody but its owner has put there: a link in its place is replaced, and not followed.
///
/// # Errors
/// Whatever the file system says; the file is then as it was.
pub fn write_own(path: &Path, text: &str) -> Result<()> {
    write(path, text, ".dfm-")
}

/// What to do where the file system does not write, or read, what it is asked for.
pub fn file_remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidFilename => "choose shorter names, or a folder with a shorter path",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, or choose a folder on another disk",
        ErrorKind::ReadOnlyFilesystem => "choose a folder that is not mounted to be read only",
        ErrorKind::PermissionDenied => "mend the folder's permissions, or choose another one",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => "move what stands in the way of it",
        _ => "see whether the folder is there and can be written to",
    }
}

/// Waits until no other process that asks for this edits what is in a file's folder; none will until this is dropped.
/// The folder is locked, for the file itself is replaced. `None` where it cannot be: writing fails there too, and says
/// why.
pub fn lock(path: &Path) -> Option<File> {
    let path = followed(path);
    let folder = path.parent()?;
    std::fs::create_dir_all(folder).ok()?;
    let folder = File::open(folder).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

/// The same for a file in whose folder no other process does this: removes what one that was killed has left there.
///
/// # Errors
/// Whatever the file system says; the file is then as it was.
pub fn write_alone(path: &Path, text: &str) -> Result<()> {
    const DRAFT: &str = ".dfm-draft-";
    let target = followed(path);
    let entries = target.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DRAFT) {
            // One that stays does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    write(&target, text, DRAFT)
}

/// The file that is written: a link stays one.
pub fn followed(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn write(target: &Path, text: &str, draft: &str) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(draft).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = std::fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}
