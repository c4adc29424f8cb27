//! How does a file become text?

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dfm_diag::{Diagnostic, Sources, Span};

/// No file that a hand or a program wrote for us is larger, in bytes.
const LARGEST: u64 = 16 << 20;

/// Reads a file that the user names, and adds its text to the sources under its path; `wanted` says what it should be, for
/// the message.
///
/// # Errors
/// A file that is missing, unreadable, too large or not UTF-8.
pub fn read(path: &Path, wanted: &str, sources: &mut Sources) -> Result<u32, Diagnostic> {
    let name = path.display().to_string();
    let bytes = bytes(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let what = if missing { "there is no such file".to_owned() } else { error.to_string() };
        let code = if missing { "config-missing-file" } else { "config-unreadable-file" };
        Diagnostic::error(code, format!("cannot read {wanted} `{name}`: {what}"))
    })?;
    add(&name, bytes, sources)
}

/// The same for a file that a configuration names: what is no regular file may never end.
///
/// # Errors
/// A file that is missing, unreadable, too large, not UTF-8 or none.
pub fn read_regular(path: &Path, wanted: &str, sources: &mut Sources) -> Result<u32, Diagnostic> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let message = format!("cannot read {wanted} `{}`: it is no regular file", path.display());
        return Err(Diagnostic::error("config-unreadable-file", message));
    }
    read(path, wanted, sources)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MB", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// Adds what was read under a name to the sources.
///
/// # Errors
/// Bytes that are not UTF-8.
pub fn add(name: &str, bytes: Vec<u8>, sources: &mut Sources) -> Result<u32, Diagnostic> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let file = sources.add(name, String::from_utf8_lossy(error.as_bytes()));
        let span = Span { file, start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
        Diagnostic::error("config-not-utf8", format!("`{name}` is not UTF-8"))
            .at(span, "no character is written like this")
            .help("save the file as UTF-8")
    })?;
    Ok(sources.add(name, text.strip_prefix('\u{feff}').unwrap_or(&text)))
}
