//! How is JSON written in ASCII alone, so that no reader and no terminal takes part of it for something else?

use std::fmt::{Display, Write};

use serde_json::ser::Formatter;

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut written = Vec::with_capacity(text.len() + 2);
    let mut serializer = serde_json::Serializer::with_formatter(&mut written, Ascii);
    // A text can always be written to memory.
    let _ = serde::Serialize::serialize(text, &mut serializer);
    String::from_utf8(written).unwrap_or_default()
}

/// A text as JSON, or that there is none.
pub(crate) fn quoted_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

/// A number, or that there is none.
pub(crate) fn number_or_null(number: Option<u64>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

/// Members of an object: after their names, what is JSON already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(String);

impl Members {
    /// Those of a record of this kind.
    pub(crate) fn what(kind: &str) -> Self {
        Self::default().and("what", quoted(kind))
    }

    /// One more.
    pub(crate) fn and(mut self, name: &str, json: impl Display) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\":{json}");
        self
    }

    /// One more, where it is.
    pub(crate) fn add(&mut self, name: &str, json: impl Display) {
        *self = std::mem::take(self).and(name, json);
    }

    /// All of them, without braces.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        let mut units = [0; 2];
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_line_of_ascii_and_the_same_when_read(text in any::<String>()) {
            let written = quoted(&text);
            prop_assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_str::<String>(&written).ok(), Some(text));
        }
    }
}
