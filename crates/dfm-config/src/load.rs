//! How does the path of a `.dfm.yaml` become a valid federation, or everything that is wrong with it?

use std::path::{Path, PathBuf};

use dfm_diag::{Diagnostic, Report, Sources};

use crate::Federation;

/// What a load may do besides reading the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file whose `provision` is merged into the configuration's.
    pub patch: Option<PathBuf>,
}

/// A valid federation, and what deserves a look all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The federation; its spans point into the report's sources.
    pub federation: Federation,
    /// Warnings only.
    pub report: Report,
}

/// Loads and validates a federation.
///
/// # Errors
/// Everything that is wrong with it, warnings included, in the order of the files.
pub fn load(path: &Path, _options: &Options) -> Result<Loaded, Report> {
    let mut sources = Sources::default();
    let file = crate::files::read(path, "the configuration", &mut sources)?;
    match crate::tree::parse(sources.text(file), file) {
        Ok(_) => Err(Diagnostic::error("config-not-decoded", "decoding is being built").into()),
        Err(diagnostics) => Err(Report { diagnostics, sources }),
    }
}
