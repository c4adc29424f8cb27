//! What was found wrong in some work, together with the texts that it speaks of?

use crate::{Diagnostic, Sources};

/// Diagnostics and the texts that their spans point into.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order they were found.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts.
    pub sources: Sources,
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic], sources: Sources::default() }
    }
}
