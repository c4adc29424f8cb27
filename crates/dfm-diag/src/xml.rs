//! How does text that somebody else may have written stand in a drawing?

/// The text for XML, without what that may not hold, and cut if it is longer than so many characters.
pub fn xml(text: &str, most: usize) -> String {
    let clean = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let mut kept: String = text.chars().filter(clean).take(most).collect();
    if text.chars().filter(clean).nth(most).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
