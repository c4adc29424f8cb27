//! Which of the numbers that mostly come in order have come already?

use std::collections::BTreeMap;

/// So many gaps are remembered. Numbers come nearly in order, so what is below older ones does not come any more.
const MOST_RANGES: usize = 4096;

/// A set of numbers that does not grow where they follow each other.
#[derive(Default)]
pub(crate) struct Numbers {
    /// The first of each range → its last; ranges do not touch.
    ranges: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Adds a number; whether it is new.
    pub(crate) fn add(&mut self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let first = match before {
            Some((first, last)) if last.checked_add(1) == Some(number) => first,
            _ => number,
        };
        let next = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(first, next.unwrap_or(number));
        if self.ranges.len() > MOST_RANGES
            && let (Some((_, _)), Some((_, last))) = (self.ranges.pop_first(), self.ranges.pop_first())
        {
            self.ranges.insert(0, last);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_with_gaps_take_no_more_than_a_bounded_room() {
        let mut numbers = Numbers::default();
        for number in 1..20_000 {
            assert!(numbers.add(2 * number));
        }
        assert_eq!(numbers.ranges.len(), MOST_RANGES);
        assert!(!numbers.add(3), "what is older than all gaps counts as had");
        assert!(numbers.add(39_997), "a newer gap is filled");
        assert!(numbers.add(u64::MAX) && !numbers.add(u64::MAX));
    }

    proptest! {
        #[test]
        fn a_number_is_new_once(sent in prop::collection::vec(0u64..60, 0..200)) {
            let (mut numbers, mut had) = (Numbers::default(), HashSet::new());
            for number in sent {
                prop_assert_eq!(numbers.add(number), had.insert(number));
            }
        }
    }
}
