//! How does text that somebody else may have written look on a terminal, so that it does not act on it?
//!
//! `python/dfm/_shown.py` has the same rules, and a test holds both against each other.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with what a terminal acts on as `\x1b` is written in Python; line ends and tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// The same, line ends and tabs written out as well.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |character| acts(character) || matches!(character, '\n' | '\t'))
}

/// A JSON document with the same characters written as JSON escapes, so that it means what it meant.
pub fn shown_json(document: &str) -> Cow<'_, str> {
    if !document.contains(acts) {
        return Cow::Borrowed(document);
    }
    let mut clean = String::with_capacity(document.len() + 16);
    for character in document.chars() {
        if !acts(character) {
            clean.push(character);
            continue;
        }
        for half in character.encode_utf16(&mut [0; 2]) {
            // A text takes all that is written to it.
            let _ = write!(clean, "\\u{half:04x}");
        }
    }
    Cow::Owned(clean)
}

/// What a terminal acts on, what turns the direction of other text, what ends a line elsewhere, and what is not seen.
fn acts(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &str, which: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        let code = u32::from(character);
        // A text takes all that is written to it.
        let _ = match character {
            '\n' if which(character) => clean.write_str("\\n"),
            '\t' if which(character) => clean.write_str("\\t"),
            '\r' => clean.write_str("\\r"),
            _ if !which(character) => clean.write_char(character),
            _ if code < 0x100 => write!(clean, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(clean, "\\u{code:04x}"),
            _ => write!(clean, "\\U{code:08x}"),
        };
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_means_the_same_and_nothing_in_it_acts_on_a_terminal() {
        let value = serde_json::json!({"k": "a\u{1b}[31m\u{9b}2J\u{202e}\u{7f}\u{e0041}ö\"\\\n"});
        let clean = shown_json(&value.to_string()).into_owned();
        assert!(!clean.contains(acts), "{clean}");
        assert!(clean.contains("\\u009b2J\\u202e\\u007f\\udb40\\udc41ö"), "{clean}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), value);
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left_and_the_rest_stays() {
        assert_eq!(shown("a\x1b[31mb\r\u{9b}2J\u{202e}\n\tö"), "a\\x1b[31mb\\r\\x9b2J\\u202e\n\tö");
        assert_eq!(one_line("a\n\tb\u{e0041}"), "a\\n\\tb\\U000e0041");
        for character in ('\0'..=char::MAX).filter(|one| one.is_control()) {
            let text = character.to_string();
            let clean = one_line(&text);
            assert!(!clean.contains(char::is_control), "{character:?}");
            assert_eq!(one_line(&clean), clean);
        }
    }
}
