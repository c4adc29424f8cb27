//! What does a user need to know about one thing that is wrong?

use crate::Span;

/// One thing that is wrong, or that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable; what tests and searches use.
    pub code: &'static str,
    /// Whether the work can go on.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What stands under the caret, mostly what was expected there; may be empty.
    pub label: String,
    /// Other places that have to do with it, each with its own words.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// Whether the work can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

impl Diagnostic {
    /// Something that has to be mended first.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// Something that deserves a look.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where, and what stands under the caret.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.span = Some(span);
        self.label = label.into();
        self
    }

    /// Adds another place that has to do with it.
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it has to be mended first.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
