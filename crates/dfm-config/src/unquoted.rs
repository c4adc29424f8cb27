//! Which references to operations does a text have that YAML takes for comments?
//!
//! One with its binding in lines below leaves those lines behind, which are told where they stand. One whose binding is in
//! the same line would be gone without a trace.

use dfm_diag::{Diagnostic, Span};

const BEGIN: &str = "#/operations/";

/// The references that begin a line and have something behind them.
pub fn find(text: &str, file: u32) -> Vec<Span> {
    let begins_line = |at: usize| {
        let before = text[..at].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    };
    let found = text.match_indices(BEGIN).filter(|(at, _)| begins_line(*at)).filter_map(|(at, _)| {
        let line = text[at..].lines().next().unwrap_or_default();
        let (reference, bound) = line.split_once(':')?;
        let bound = bound.split(" #").next().unwrap_or_default().trim();
        let is_one = !reference.contains(char::is_whitespace) && bound.starts_with(['{', '&', '*']);
        is_one.then(|| Span { file, start: at, end: at + reference.len() })
    });
    found.collect()
}

/// That nothing of it is there.
pub fn fault(span: Span, text: &str) -> Diagnostic {
    let reference = text.get(span.start..span.end).unwrap_or_default();
    Diagnostic::error("config-unquoted-reference", format!("`{reference}` and what is bound to it is a comment"))
        .at(span, "YAML begins a comment here, and reads nothing of this line")
        .help(format!("write the reference in quotes: \"{reference}\"; a comment that is meant begins with `# `"))
}
