//! Which of the valid names did the user probably mean?

/// The candidate closest to `name`, if one is close enough to be a likely slip: a letter or two, case, or `-` for `_`.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    fold(name, &mut own);
    let name = own;
    let mut rows = Rows::default();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        fold(candidate, &mut other);
        let allowed = name.len().max(other.len()).div_ceil(3);
        let limit = match best {
            None => allowed,
            Some((0, _)) => break,
            Some((least, _)) => allowed.min(least - 1),
        };
        if let Some(distance) = edits(&name, &other, limit, &mut rows) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The letters of a text without the differences that do not count. Nearly all texts are ASCII, where that is quick.
fn fold(text: &str, letters: &mut Vec<char>) {
    let hyphen = |c| if c == '_' { '-' } else { c };
    letters.clear();
    if text.is_ascii() {
        letters.extend(text.bytes().map(|byte| hyphen(char::from(byte.to_ascii_lowercase()))));
    } else {
        letters.extend(text.chars().flat_map(char::to_lowercase).map(hyphen));
    }
}

/// Three rows of the table of distances, kept because there may be thousands of candidates.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    above: Vec<usize>,
    row: Vec<usize>,
}

/// How many insertions, deletions, substitutions, and swaps of neighbours lead from one to the other; `None` for more
/// than `limit`.
fn edits(a: &[char], b: &[char], limit: usize, rows: &mut Rows) -> Option<usize> {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let Rows { before, above, row } = rows;
    above.clear();
    above.extend(0..=b.len());
    let mut least_above = 0;
    for i in 0..a.len() {
        row.clear();
        row.push(i + 1);
        for j in 0..b.len() {
            let mut least = (above[j] + usize::from(a[i] != b[j])).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        // A swap reaches over one row, so two of them say that no way is short enough.
        let least = row.iter().copied().min().unwrap_or(0);
        if least > limit && least_above > limit {
            return None;
        }
        least_above = least;
        std::mem::swap(before, above);
        std::mem::swap(above, row);
    }
    Some(above[b.len()]).filter(|distance| *distance <= limit)
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
        assert_eq!(nearest("ba", ["xab", "ab"]), Some("ab"));
        assert_eq!(nearest("Impl", ["imply", "impl", "simpl"]), Some("impl"));
    }
}
