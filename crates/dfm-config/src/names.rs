//! Which names can become Python names?

/// Words that Python keeps for itself.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Whether a text has the form of a Python name, which a keyword has too.
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a text can name a Python module or class.
pub fn is_name(text: &str) -> bool {
    is_identifier(text) && !KEYWORDS.contains(&text)
}

/// Whether a text is a dotted path of a Python class: a module and a name in it.
pub fn is_class_path(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_name)
}

/// Why a text cannot name a Python module or class, and what could instead.
pub fn advice(text: &str) -> String {
    if KEYWORDS.contains(&text) {
        return format!("`{text}` is a word of Python's own; `{text}_` is not");
    }
    let mut good: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if good.starts_with(|c: char| c.is_numeric()) || good.is_empty() {
        good.insert(0, '_');
    }
    format!("use letters, digits and `_`, as in `{good}`")
}
