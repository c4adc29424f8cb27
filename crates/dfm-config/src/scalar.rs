//! What does one word of YAML mean?

use dfm_diag::{Diagnostic, Span};
use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Number;

use crate::tree::Data;

const CORE: &str = "tag:yaml.org,2002:";

/// Refuses a list's or dictionary's tag, unless it says nothing new.
///
/// # Errors
/// Any tag but YAML's own `allowed`.
pub fn refuse_tag(tag: Option<&Tag>, allowed: &str, span: Span) -> Result<(), Diagnostic> {
    match tag {
        Some(tag) if !(tag.handle == CORE && tag.suffix == allowed) => Err(unknown_tag(tag, span)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, span: Span) -> Diagnostic {
    let handle = if tag.handle == CORE { "!!" } else { &tag.handle };
    Diagnostic::error("config-unknown-tag", format!("the tag `{handle}{}` means nothing here", tag.suffix))
        .at(span, "")
        .help(match tag.suffix.as_str() {
            "include" => "to take in another file, write `{$ref: \"FILE\"}`",
            _ => "remove the tag",
        })
}

/// What a scalar means in YAML 1.2's core schema.
///
/// # Errors
/// Tags that say something else, and numbers that JSON does not have.
pub fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Data, Diagnostic> {
    if let Some(tag) = tag {
        if tag.handle != CORE {
            return Err(unknown_tag(tag, span));
        }
        let data = plain(text);
        return match (tag.suffix.as_str(), &data) {
            ("str", _) => Ok(Data::Text(text.to_owned())),
            ("null", Data::Null) | ("bool", Data::Bool(_)) | ("int" | "float", Data::Number(_)) => Ok(data),
            _ => Err(unknown_tag(tag, span)),
        };
    }
    if style != ScalarStyle::Plain {
        return Ok(Data::Text(text.to_owned()));
    }
    if matches!(text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return Err(Diagnostic::error("config-wrong-type", format!("`{text}` is not a number that can be used here"))
            .at(span, "not finite")
            .help("leave the key out for \"no limit\", or write a text in quotes"));
    }
    Ok(plain(text))
}

fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Data::Number(number),
        None => Data::Text(text.to_owned()),
    }
}

fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let unsigned = digits.starts_with(|c: char| c.is_ascii_hexdigit());
            return u64::from_str_radix(digits, radix).ok().filter(|_| unsigned).map(Number::from);
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.contains(|c: char| c.is_ascii_digit())
        || !digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
    {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let integer = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    integer.ok().or_else(|| text.parse().ok().and_then(Number::from_f64))
}

/// Whether a text can be written without quotes and still be read as that text.
pub fn is_plain_text(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || "/._".contains(c))
        && text.chars().all(|c| c.is_alphanumeric() || "/._-+@~".contains(c))
        && matches!(plain(text), Data::Text(_))
        && !matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_change_its_meaning_needs_quotes() {
        assert!(is_plain_text("/path/to/fed-1.dfm.yaml"));
        for text in ["", "1.0", "true", "no", "a: b", "#x", "~", "a b", "[x"] {
            assert!(!is_plain_text(text), "{text}");
        }
    }
}
