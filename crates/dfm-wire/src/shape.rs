//! May these bytes be decoded at all?
//!
//! Before anything is made of a packet, one pass over it sees how deep it is nested and that no part claims to be longer
//! than the packet is. What is named in it is named by a text: a kind's number is another one for who only looks at a
//! message than for who acts on it. The pass needs a little memory for each level and no stack, whatever the packet says, so what decodes
//! it afterwards can neither be sent too deep nor be made to reserve more than a packet's own size suggests.

use std::fmt;

use rmp::Marker;

/// A packet is nested at most so deep: a net's literals and conditions take most of it.
const MOST_LEVELS: usize = 256;

/// Why bytes have not the shape of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misshapen {
    /// They end before it does.
    Short,
    /// Something is named by what is no text.
    Name,
    /// It claims more parts than there are bytes.
    Parts,
    /// It is nested too deeply.
    Deep,
    /// More follows it.
    More,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it is cut short",
            Self::Name => "it names something by what is no text",
            Self::Parts => "it claims more parts than it has bytes",
            Self::Deep => "it is nested too deeply",
            Self::More => "more follows it",
        })
    }
}

/// Why bytes from another process are not even MessagePack of a packet's shape; `None` if they are.
pub fn misshapen(bytes: &[u8]) -> Option<Misshapen> {
    let mut rest = bytes;
    // How many parts are still to come, by level, and whether they are names and what has them, by turns.
    let mut open: Vec<(u64, bool)> = vec![(1, false)];
    while let Some((left, named)) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        let is_name = *named && left.is_multiple_of(2);
        *left -= 1;
        let Some((marker, behind)) = rest.split_first() else { return Some(Misshapen::Short) };
        rest = behind;
        let marker = Marker::from_u8(*marker);
        if is_name && !matches!(marker, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) {
            return Some(Misshapen::Name);
        }
        let (skip, parts) = match sizes(marker, &mut rest) {
            Some(sizes) => sizes,
            None => return Some(Misshapen::Short),
        };
        let Some(behind) = usize::try_from(skip).ok().and_then(|skip| rest.get(skip..)) else {
            return Some(Misshapen::Short);
        };
        rest = behind;
        if parts > rest.len() as u64 {
            return Some(Misshapen::Parts);
        }
        if parts > 0 {
            if open.len() == MOST_LEVELS {
                return Some(Misshapen::Deep);
            }
            open.push((parts, matches!(marker, Marker::FixMap(_) | Marker::Map16 | Marker::Map32)));
        }
    }
    (!rest.is_empty()).then_some(Misshapen::More)
}

/// How many bytes belong to a marker, and how many parts follow it. Takes its length from the rest.
fn sizes(marker: Marker, rest: &mut &[u8]) -> Option<(u64, u64)> {
    Some(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
        Marker::Reserved => return None,
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(length) => (length.into(), 0),
        Marker::Str8 | Marker::Bin8 => (number(rest, 1)?, 0),
        Marker::Str16 | Marker::Bin16 => (number(rest, 2)?, 0),
        Marker::Str32 | Marker::Bin32 => (number(rest, 4)?, 0),
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (number(rest, 1)? + 1, 0),
        Marker::Ext16 => (number(rest, 2)? + 1, 0),
        Marker::Ext32 => (number(rest, 4)? + 1, 0),
        Marker::FixArray(parts) => (0, parts.into()),
        Marker::Array16 => (0, number(rest, 2)?),
        Marker::Array32 => (0, number(rest, 4)?),
        Marker::FixMap(pairs) => (0, 2 * u64::from(pairs)),
        Marker::Map16 => (0, 2 * number(rest, 2)?),
        Marker::Map32 => (0, 2 * number(rest, 4)?),
    })
}

/// A number of so many bytes, the highest first.
fn number(rest: &mut &[u8], length: usize) -> Option<u64> {
    let (digits, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_nested_without_end_needs_no_stack() {
        for nested in [&b"\x81\xa3not"[..], b"\x91", b"\xdc\x00\x01"] {
            let mut packet = nested.repeat(1_000_000);
            packet.push(0xc0);
            assert_eq!(misshapen(&packet), Some(Misshapen::Deep));
        }
    }

    #[test]
    fn a_part_that_claims_more_than_there_is_is_refused() {
        assert_eq!(misshapen(b"\xdd\xff\xff\xff\xff\xc0"), Some(Misshapen::Parts));
        assert_eq!(misshapen(b"\xdf\xff\xff\xff\xff\xc0"), Some(Misshapen::Parts));
        assert_eq!(misshapen(b"\xc6\xff\xff\xff\xff\xc0"), Some(Misshapen::Short));
        assert_eq!(misshapen(b"\xc0\xc0"), Some(Misshapen::More));
        assert_eq!(misshapen(b""), Some(Misshapen::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_shape_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = misshapen(&bytes);
        }
    }
}
