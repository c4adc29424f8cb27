//! How does a diagnostic look to a person, and to a program?

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::{Diagnostic, Severity, Sources, Span};

/// The text of one diagnostic, with its lines of source, without a final newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for file in files(diagnostic) {
        let text = sources.text(file);
        let mut snippet = Snippet::source(text).path(sources.name(file)).fold(true);
        if let Some(span) = diagnostic.span.filter(|span| span.file == file) {
            snippet =
                snippet.annotation(AnnotationKind::Primary.span(within(span, text)).label(label(&diagnostic.label)));
        }
        for (span, words) in diagnostic.related.iter().filter(|(span, _)| span.file == file) {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(*span, text)).label(label(words)));
        }
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]).to_string()
}

/// The same for a program: code, severity, message, and each place with file, line and column, both from 1.
pub fn to_json(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let place = |span: Span, label: &str| {
        let position = sources.position(span);
        json!({"file": sources.name(span.file), "line": position.line, "column": position.column, "label": label})
    };
    json!({
        "code": diagnostic.code,
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": diagnostic.message,
        "at": diagnostic.span.map(|span| place(span, &diagnostic.label)),
        "related": diagnostic.related.iter().map(|(span, label)| place(*span, label)).collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
}

/// The files a diagnostic speaks of, that of its own span first.
fn files(diagnostic: &Diagnostic) -> Vec<u32> {
    let mut files: Vec<u32> = Vec::new();
    for span in diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span)) {
        if !files.contains(&span.file) {
            files.push(span.file);
        }
    }
    files
}

fn label(words: &str) -> Option<&str> {
    Some(words).filter(|words| !words.is_empty())
}

/// A caret under forty lines helps nobody: a span over several lines is shown by its first. Characters stay whole.
fn within(span: Span, text: &str) -> Range<usize> {
    let whole = |byte: usize| (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or(0);
    let start = whole(span.start);
    let end = whole(span.end).max(start);
    let line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_each_place_and_the_way_out() {
        let mut sources = Sources::default();
        let file = sources.add("fed.dfm.yaml", "sites:\n  a:\n    ipml: x.Y\n");
        let other = sources.add("other.yaml", "impl: x.Z\n");
        let diagnostic = Diagnostic::error("config-unknown-key", "a site has no key `ipml`")
            .at(Span { file, start: 16, end: 20 }, "unknown key")
            .related(Span { file, start: 9, end: 10 }, "in this site")
            .related(Span { file: other, start: 0, end: 4 }, "as here")
            .help("did you mean `impl`?");
        insta::assert_snapshot!(render(&diagnostic, &sources, false));
        insta::assert_snapshot!("json", serde_json::to_string_pretty(&to_json(&diagnostic, &sources)).unwrap());
        assert!(render(&diagnostic, &sources, true).contains("\u{1b}["));
    }

    #[test]
    fn a_span_that_fits_badly_is_shown_all_the_same() {
        let mut sources = Sources::default();
        let file = sources.add("a", "éé\n");
        for (start, end) in [(1, 3), (3, 1), (0, 1), (5, 9), (9, 99)] {
            render(&Diagnostic::error("x", "y").at(Span { file, start, end }, "z"), &sources, false);
        }
    }

    #[test]
    fn nothing_is_needed_but_a_message() {
        let bare = Diagnostic::warning("x-y", "all is well");
        assert_eq!(render(&bare, &Sources::default(), false), "warning[x-y]: all is well");
    }
}
