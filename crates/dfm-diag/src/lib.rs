//! Diagnostics are values: a stable code, a place in a text, what was expected, and what to do.

mod codes;
mod diagnostic;
mod nearest;
mod render;
mod report;
mod shown;
mod sources;
mod xml;

pub use codes::{CODES, Code};
pub use diagnostic::{Diagnostic, Severity};
pub use nearest::nearest;
pub use render::{render, to_json};
pub use report::Report;
pub use shown::{one_line, shown, shown_json};
pub use sources::{Position, Sources};
pub use xml::{fitted, text_width, xml};

/// A piece of a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which of the loaded files, by the order of loading.
    pub file: u32,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}
