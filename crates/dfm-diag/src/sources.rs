//! Which texts do spans point into?

use crate::Span;

/// The texts that have been loaded, in the order of loading; a [`Span`]'s `file` is the index.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<(String, String)>,
}

/// A place as people count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Sources {
    /// Keeps a text under the name that diagnostics show for it, and returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> u32 {
        self.files.push((name.into(), text.into()));
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The name of a file, empty for one that was never added.
    pub fn name(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |(name, _)| name)
    }

    /// The text of a file, empty for one that was never added.
    pub fn text(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |(_, text)| text)
    }

    /// Makes a piece of a text unreadable; nothing moves.
    pub fn mask(&mut self, span: Span) {
        let Some((_, text)) = self.files.get_mut(span.file as usize) else { return };
        let (start, end) = (up_to(text, span.start).len(), up_to(text, span.end).len());
        let hidden: String = text[start..end.max(start)]
            .chars()
            .flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8()))
            .collect();
        text.replace_range(start..end.max(start), &hidden);
    }

    /// Where a span starts.
    pub fn position(&self, span: Span) -> Position {
        let before = up_to(self.text(span.file), span.start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// The text before a byte, cut at the nearest earlier border of a character.
fn up_to(text: &str, byte: usize) -> &str {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "ä: 1\nöö: 2\n");
        let at = |start| sources.position(Span { file, start, end: start });
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(2), Position { line: 1, column: 2 });
        assert_eq!(at("ä: 1\nöö".len()), Position { line: 2, column: 3 });
        assert_eq!(at(1000), Position { line: 3, column: 1 });
    }
}
