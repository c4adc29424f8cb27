//! How does a file become text?

use std::path::Path;

use dfm_diag::{Diagnostic, Sources, Span};

/// Reads a file and adds its text to the sources under its path; `wanted` says what it should be, for the message.
///
/// # Errors
/// A file that is missing, unreadable or not UTF-8.
pub fn read(path: &Path, wanted: &str, sources: &mut Sources) -> Result<u32, Diagnostic> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let what = if missing { "there is no such file".to_owned() } else { error.to_string() };
        let code = if missing { "config-missing-file" } else { "config-unreadable-file" };
        Diagnostic::error(code, format!("cannot read {wanted} `{name}`: {what}"))
    })?;
    add(&name, bytes, sources)
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
