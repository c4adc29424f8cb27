//! What is probably wrong with a text that is not YAML?

use dfm_diag::{Diagnostic, Span, nearest};

use crate::tree::too_deep;

/// What the reader says is wrong at a byte of a text, with what the user probably did.
pub fn not_yaml(says: &str, text: &str, file: u32, at: usize) -> Diagnostic {
    let fault = Diagnostic::error("config-not-yaml", format!("this is not YAML: {says}"));
    let here = Place { text, file, at };
    let speaks = |words: &[&str]| words.iter().any(|word| says.contains(word));
    let known =
        if speaks(&["recursion limit"]) {
            Some(too_deep(here.character(), "far more than that by here"))
        } else if speaks(&["printable"]) {
            let help = "a configuration is text in UTF-8; is this another kind of file?";
            Some(fault.clone().at(here.character(), "").help(help))
        } else if speaks(&["tabs", "a tab"]) || here.before().ends_with('\t') || here.rest().starts_with('\t') {
            Some(tab(&fault, &here))
        } else if speaks(&["unknown anchor"]) {
            Some(alias(&fault, &here))
        } else if speaks(&["mapping values are not allowed"]) {
            colon(&fault, &here)
        } else if speaks(&["hexadecimal", "escape character", "escape code"]) {
            escape(&fault, &here)
        } else if speaks(&["trailing content after"]) {
            let fault = fault.clone().at(here.character(), "the text in quotes ended before this");
            Some(fault.help(
                "put all of the text in one pair of quotes; within '…' write ' twice, within \"…\" write \" as \\\"",
            ))
        } else if speaks(&["quoted scalar"]) {
            quote(&fault, &here)
        } else if speaks(&["unexpected character"]) {
            let help = "put the text in quotes: YAML keeps this character for itself where a value begins";
            Some(fault.clone().at(here.character(), "").help(help))
        } else {
            None
        };
    let in_brackets = || if speaks(&["tag", "TAG", "anchor", "directive"]) { None } else { bracket(&fault, &here) };
    known.or_else(in_brackets).or_else(|| indentation(&fault, &here)).unwrap_or_else(|| {
        fault
            .at(here.character(), "")
            .help("look for a missing colon, quote or bracket here or in the line above, and at the indentation")
    })
}

/// Where the reader stopped.
struct Place<'t> {
    text: &'t str,
    file: u32,
    at: usize,
}

impl<'t> Place<'t> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start, end }
    }

    fn character(&self) -> Span {
        self.span(self.at, self.at + self.rest().chars().next().map_or(0, char::len_utf8))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn line_start(&self) -> usize {
        self.text[..self.at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The whole line.
    fn line(&self) -> &'t str {
        self.text[self.line_start()..].lines().next().unwrap_or_default()
    }

    /// The line up to here.
    fn before(&self) -> &'t str {
        &self.text[self.line_start()..self.at]
    }

    /// The nearest line above that says something, and its first byte.
    fn above(&self) -> Option<(usize, &'t str)> {
        let mut end = self.line_start();
        while end > 0 {
            let start = self.text[..end - 1].rfind('\n').map_or(0, |newline| newline + 1);
            let line = self.text[start..end].trim_end();
            if !line.trim_start().is_empty() && !line.trim_start().starts_with('#') {
                return Some((start, line));
            }
            end = start;
        }
        None
    }
}

fn tab(fault: &Diagnostic, here: &Place<'_>) -> Diagnostic {
    let before = here.before().rfind('\t').map(|tab| here.line_start() + tab);
    // The reader stops before blanks, and a line may end with them.
    let after = here.rest().find('\t').map(|tab| here.at + tab);
    let tab = before.or(after).unwrap_or(here.at);
    fault.clone().at(here.span(tab, tab + 1), "a tab").help("indent with spaces: YAML allows no tabs there")
}

/// `*name` without `&name` above it.
fn alias(fault: &Diagnostic, here: &Place<'_>) -> Diagnostic {
    let ends = |c: char| c.is_whitespace() || ",[]{}".contains(c);
    let name = here.rest().trim_start_matches('*').split(ends).next().unwrap_or_default();
    let anchors = here.text[..here.at].split(ends).filter_map(|word| word.strip_prefix('&'));
    let fault = fault
        .clone()
        .at(here.span(here.at, here.at + 1 + name.len()), format!("no `&{name}` stands above it"))
        .help("put `&name` before the value that `*name` repeats, or write a text that begins with `*` in quotes");
    match nearest(name, anchors) {
        Some(near) => fault.help(format!("did you mean `*{near}`?")),
        None => fault,
    }
}

/// A colon where none can be: in a text, or after a line whose own colon is missing.
fn colon(fault: &Diagnostic, here: &Place<'_>) -> Option<Diagnostic> {
    if let Some((key, _)) = here.before().split_once(": ") {
        let help = format!("put all that follows `{}:` in quotes", key.trim_start().trim_start_matches("- "));
        return Some(fault.clone().at(here.character(), "a second colon").help(help));
    }
    let (start, above) = here.above()?;
    let said = above.trim_start();
    if said.contains(": ") || said.ends_with(':') {
        return None;
    }
    let (label, help) = match (said.split_once(':'), said.split_once(' ')) {
        (Some((key, value)), _) => ("no space follows the colon", format!("write `{key}: {value}`")),
        (None, Some((key, value))) => ("this has no colon", format!("write `{key}: {value}`")),
        (None, None) => ("this has no colon", format!("write `{said}:`")),
    };
    let fault = fault.clone().at(here.span(start + above.len() - said.len(), start + above.len()), label);
    Some(fault.related(here.character(), "so this colon is one too many").help(help))
}

fn quote(fault: &Diagnostic, here: &Place<'_>) -> Option<Diagnostic> {
    let mark = here.rest().chars().next().filter(|c| "'\"".contains(*c))?;
    let fault = fault.clone().at(here.character(), "this quote does not end");
    Some(fault.help(format!(
        "close it with {mark}; within the text, write it {}",
        if mark == '"' { "as \\\"" } else { "twice" }
    )))
}

/// A backslash within "…" with what no escape begins with; the reader stops at the quote.
fn escape(fault: &Diagnostic, here: &Place<'_>) -> Option<Diagnostic> {
    let mut rest = here.rest().char_indices().skip(1);
    while let Some((at, c)) = rest.next() {
        let Some((_, kind)) = (c == '\\').then(|| rest.next()).flatten() else { continue };
        let after = &here.rest()[at + 1 + kind.len_utf8()..];
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0' | 'a' | 'b' | 't' | '\t' | 'n' | 'v' | 'f' | 'r' | 'e' | ' ' | '"' | '/' | '\\' | 'N' | '_' | 'L'
            | 'P' | '\n' | '\r' => continue,
            _ => 0,
        };
        let given = after.bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
        let number = (digits > 0 && given == digits).then(|| u32::from_str_radix(&after[..digits], 16).ok()).flatten();
        if number.and_then(char::from_u32).is_some() {
            continue;
        }
        let label = match (digits, number) {
            (0, _) => format!("YAML has no `\\{kind}`"),
            (_, None) => format!("`\\{kind}` takes {digits} hexadecimal digits"),
            (_, Some(_)) => "there is no such character".to_owned(),
        };
        let start = here.at + at;
        let fault = fault.clone().at(here.span(start, start + 1 + kind.len_utf8() + given), label);
        return Some(fault.help("write a backslash twice, or the text in '…', where a backslash is one"));
    }
    None
}

/// A list or dictionary in brackets that is still open.
fn bracket(fault: &Diagnostic, here: &Place<'_>) -> Option<Diagnostic> {
    let mut closed = 0;
    for (at, c) in here.text[..here.at].char_indices().rev() {
        match c {
            ']' | '}' => closed += 1,
            '[' | '{' if closed > 0 => closed -= 1,
            '[' | '{' => {
                let other = if c == '[' { ']' } else { '}' };
                let fault = fault.clone().at(here.character(), format!("`{other}` or a comma was expected by here"));
                return Some(
                    fault.related(here.span(at, at + 1), "opened here").help(format!("close it with `{other}`")),
                );
            }
            _ => {}
        }
    }
    None
}

/// A line that begins in another column than its neighbour.
fn indentation(fault: &Diagnostic, here: &Place<'_>) -> Option<Diagnostic> {
    let (_, above) = here.above()?;
    let spaces = |line: &str| line.len() - line.trim_start().len();
    let (own, other) = (spaces(here.line()), spaces(above));
    if own == other || !here.before().trim().is_empty() {
        return None;
    }
    let label = format!("begins after {own} spaces, the line above after {other}");
    Some(fault.clone().at(here.character(), label).help("let all keys of a dictionary begin in the same column"))
}
