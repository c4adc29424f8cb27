//! How do bytes stand in a line of text?

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64, as RFC 4648 has it.
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

/// The bytes that `to_text` has made a text of; `None` for any other text.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (at, group) in groups.iter().enumerate() {
        let filled = group.iter().position(|digit| *digit == b'=').unwrap_or(4);
        let is_last = at + 1 == groups.len();
        if filled < 2 || (filled < 4 && !is_last) || group[filled..].iter().any(|digit| *digit != b'=') {
            return None;
        }
        let mut bits = 0;
        for digit in &group[..filled] {
            bits = bits << 6 | value_of(*digit)?;
        }
        bits <<= 6 * (4 - filled);
        let [_, made @ ..] = bits.to_be_bytes();
        // What stands behind the last byte is nothing.
        if made[filled - 1..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&made[..filled - 1]);
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_what_the_standard_has() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(to_text(bytes.as_bytes()), text);
        }
        for wrong in ["Zg", "Zh==", "Z===", "====", "Zg==Zg==", "Zm9=", "Zm8é", "Zm 9"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(from_text(&to_text(&bytes)), Some(bytes));
        }

        #[test]
        fn a_text_is_that_of_its_bytes_or_of_none(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Some(bytes) = from_text(&text) {
                prop_assert_eq!(to_text(&bytes), text);
            }
        }
    }
}
