//! Which texts do spans point into?

use crate::Span;

/// The texts that have been loaded, in the order of loading; a [`Span`]'s `file` is the index.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    text: String,
    /// The first byte of each line.
    lines: Vec<usize>,
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
        let (name, text) = (name.into(), text.into());
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        self.files.push(File { name, text, lines });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The name of a file, empty for one that was never added.
    pub fn name(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |file| &file.name)
    }

    /// The text of a file, empty for one that was never added.
    pub fn text(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |file| &file.text)
    }

    /// Makes a piece of a text unreadable; nothing moves.
    pub fn mask(&mut self, span: Span) {
        let Some(File { text, .. }) = self.files.get_mut(span.file as usize) else { return };
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
        let (line, start) = self.line(span.file, before.len());
        Position { line, column: before[start..].chars().count() + 1 }
    }

    /// The number of the line that a byte is in, from 1, and the first byte of that line.
    pub(crate) fn line(&self, file: u32, byte: usize) -> (usize, usize) {
        let Some(File { lines, .. }) = self.files.get(file as usize) else { return (1, 0) };
        let line = lines.partition_point(|start| *start <= byte);
        (line, lines[line - 1])
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
