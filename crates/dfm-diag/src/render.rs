//! How does a diagnostic look to a person, and to a program?

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::shown::{one_line, shown};
use crate::{Diagnostic, Severity, Sources, Span};

/// Places that are further apart, in bytes, are drawn apart, and a line that is longer is not drawn: drawing takes as
/// long as the text that is given for it.
const DRAWN: usize = 10_000;

/// The text of one diagnostic, with its lines of source, without a final newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(shown(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for (file, places) in groups(diagnostic, sources) {
        let (first, start, text) = drawn(sources, file, places.iter().map(|(range, ..)| range));
        if text.len() > 2 * DRAWN {
            let position = sources.position(Span { file, start: places[0].0.start, end: places[0].0.end });
            group = group
                .element(Origin::path(one_line(sources.name(file))).line(position.line).char_column(position.column));
            continue;
        }
        let mut snippet = Snippet::source(text).path(one_line(sources.name(file))).line_start(first).fold(true);
        for (range, kind, words) in places {
            let range = range.start - start..range.end - start;
            snippet = snippet.annotation(kind.span(range).label(Some(shown(words)).filter(|words| !words.is_empty())));
        }
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(shown(help)));
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

/// The places a diagnostic speaks of with their words, its own first.
fn places(diagnostic: &Diagnostic) -> impl Iterator<Item = (Span, AnnotationKind, &str)> {
    let own = diagnostic.span.map(|span| (span, AnnotationKind::Primary, diagnostic.label.as_str()));
    let related = diagnostic.related.iter();
    own.into_iter().chain(related.map(|(span, words)| (*span, AnnotationKind::Context, words.as_str())))
}

/// A place in a file's text, how it is drawn, and its words.
type Place<'d> = (Range<usize>, AnnotationKind, &'d str);

/// The places a diagnostic speaks of, those together that are near each other in one file, its own first.
fn groups<'d>(diagnostic: &'d Diagnostic, sources: &Sources) -> Vec<(u32, Vec<Place<'d>>)> {
    let mut groups: Vec<(u32, Vec<Place<'_>>)> = Vec::new();
    for (span, kind, words) in places(diagnostic) {
        let place = (within(span, sources.text(span.file)), kind, words);
        let near = |other: &Place<'_>| other.0.start.abs_diff(place.0.start) <= DRAWN;
        match groups.iter_mut().find(|(file, others)| *file == span.file && others.first().is_some_and(near)) {
            Some((_, others)) => others.push(place),
            None => groups.push((span.file, vec![place])),
        }
    }
    groups
}

/// The lines of a file from the first of these places to the last, with the first one's number and byte.
fn drawn<'s, 'r>(
    sources: &'s Sources,
    file: u32,
    places: impl Iterator<Item = &'r Range<usize>> + Clone,
) -> (usize, usize, &'s str) {
    let text = sources.text(file);
    let first = places.clone().map(|range| range.start).min().unwrap_or(0);
    let last = places.map(|range| range.end).max().unwrap_or(0);
    // What is missing at the end of a text is shown in its last line.
    let (number, start) = sources.line(file, first.min(text.len().saturating_sub(1)));
    let end = text[last..].find('\n').map_or(text.len(), |newline| last + newline + 1);
    (number, start, &text[start..end])
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
    fn places_far_apart_are_drawn_apart_and_endless_lines_are_not_drawn() {
        let mut sources = Sources::default();
        let far = format!("sites: {{}}\n{}sites: {{}}\n", "# words\n".repeat(5000));
        let file = sources.add("far.yaml", far.as_str());
        let again = Span { file, start: far.len() - 10, end: far.len() - 5 };
        let first = Span { file, start: 0, end: 5 };
        let diagnostic = Diagnostic::error("config-duplicate-key", "the key `sites` is there twice");
        let diagnostic = diagnostic.at(again, "again here").related(first, "first here");
        insta::assert_snapshot!("far", render(&diagnostic, &sources, false));

        let file = sources.add("long.yaml", format!("{{{}: 1}}", "k".repeat(100_000)));
        let diagnostic =
            Diagnostic::error("x-y", "this is wrong").at(Span { file, start: 3, end: 5 }, "here").help("no");
        insta::assert_snapshot!("endless_line", render(&diagnostic, &sources, false));
    }

    #[test]
    fn nothing_is_needed_but_a_message() {
        let bare = Diagnostic::warning("x-y", "all is well");
        assert_eq!(render(&bare, &Sources::default(), false), "warning[x-y]: all is well");
    }
}
