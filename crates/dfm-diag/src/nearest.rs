//! Which of the valid names did the user probably mean?

/// The candidate closest to `name`, if one is close enough to be a likely slip: a letter or two, case, or `-` for `_`.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = folded(name).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other: Vec<char> = folded(candidate).collect();
        let allowed = name.len().max(other.len()).div_ceil(3);
        let distance = edits(&name, &other);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == '_' { '-' } else { c })
}

/// Insertions, deletions, substitutions, and swaps of neighbours that lead from one to the other.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut least = (above[j] + usize::from(a[i] != b[j])).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = ["interface", "info", "impl", "send_cost"];
        assert_eq!(nearest("interfaces", keys), Some("interface"));
        assert_eq!(nearest("ipml", keys), Some("impl"));
        assert_eq!(nearest("Send-Cost", keys), Some("send_cost"));
        assert_eq!(nearest("adapter", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
