//! How is a file written as a whole or not at all?

use std::io::{Result, Write};
use std::path::Path;

/// Writes a file as a whole or not at all, making its folder where needed, and keeps the permissions it had.
///
/// # Errors
/// Whatever the file system says; the file is then as it was.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    // A link is followed, so that it stays one.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".dfm-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = std::fs::metadata(&target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&target)?;
    Ok(())
}
