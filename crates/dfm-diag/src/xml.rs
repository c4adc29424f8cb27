//! How does text that somebody else may have written stand in a drawing?

/// The text for XML, without what that may not hold, and cut if it is longer than so many characters.
pub fn xml(text: &str, most: usize) -> String {
    escaped(&cut(&clean(text), most))
}

/// The text for XML, cut to the pixels that there are for it in letters of a size.
pub fn fitted(text: &str, size: f64, room: f64) -> String {
    let text = clean(text);
    let mut most = text.chars().count();
    let mut kept = text.clone();
    while most > 0 && text_width(&kept, size) > room {
        most -= 1;
        kept = cut(&text, most);
    }
    escaped(&kept)
}

/// How many pixels a text takes at most, in whatever sans-serif letters a viewer has.
pub fn text_width(text: &str, size: f64) -> f64 {
    // Of the widest such letters that are common.
    let em = |letter: char| match letter {
        'i' | 'j' | 'l' | '\'' | '|' | ' ' | '.' | ',' | ':' | ';' | '·' => 0.36,
        'f' | 't' | 'r' | '!' | '(' | ')' | '[' | ']' | '-' | '/' | '\\' | '"' => 0.46,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | 'µ' => 1.0,
        'A'..='Z' | '<' | '>' | '=' | '+' | '~' | '#' | '^' | '&' => 0.84,
        _ if letter.is_ascii() => 0.66,
        _ => 1.3,
    };
    text.chars().map(em).sum::<f64>() * size
}

fn clean(text: &str) -> String {
    // Nor what turns the direction of other text, or is not seen.
    let acts = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let is_text = |c: &char| !c.is_control() && !acts(*c) && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    text.chars().filter(is_text).collect()
}

fn cut(text: &str, most: usize) -> String {
    let mut kept: String = text.chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
