//! How is a JSON value written in Python?

use serde_json::Value;

/// The literal; `None` for a list or an object, which must not be a default that calls share.
pub fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(string(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A string literal, in the quotes that need fewer escapes, as Python's formatters choose them.
pub fn string(text: &str) -> String {
    let count = |quote| text.chars().filter(|c| *c == quote).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out += r"\\",
            '\n' => out += r"\n",
            '\r' => out += r"\r",
            '\t' => out += r"\t",
            _ if c == quote => out.extend(['\\', c]),
            _ if c.is_ascii_control() => out += &format!(r"\x{:02x}", c as u32),
            // Invisible or a line's end for some readers: separators, marks of direction, the byte order mark.
            '\u{80}'..='\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}' => {
                out += &format!(r"\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}
