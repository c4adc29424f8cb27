//! How does memory for much that comes cost little?
//!
//! Fresh pages of 4 KiB cost more than the copy into them (about 70 ms against 15 ms for 100 MB), those of 2 MiB hardly
//! anything (25 ms with the copy). Where the system gives them only to who asks, as most do, this asks.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::Bytes;
use rustix::mm::{Advice, madvise};
use serde::de::{Deserializer, Error, Visitor};

/// Smaller memory is no trouble.
const FROM: usize = 4 << 20;
/// The largest pages that any system here has beside its huge ones.
const PAGE: usize = 1 << 16;

/// Asks for huge pages for memory that will be written to.
pub fn ask_for_huge_pages(memory: &mut [MaybeUninit<u8>]) {
    if memory.len() < FROM {
        return;
    }
    let skipped = memory.as_ptr().align_offset(PAGE);
    let whole = &mut memory[skipped..];
    let len = whole.len() / PAGE * PAGE;
    // SAFETY: the range is part of what is borrowed, and the advice changes the size of its pages and nothing of what is
    // in them.
    #[allow(unsafe_code)]
    let asked = unsafe { madvise(whole.as_mut_ptr().cast(), len, Advice::LinuxHugepage) };
    // A system that has none gives others.
    let _ = asked;
}

/// Reads bytes that may be many.
pub fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    struct Read;

    impl Visitor<'_> for Read {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            let mut memory = Vec::with_capacity(bytes.len());
            ask_for_huge_pages(memory.spare_capacity_mut());
            memory.extend_from_slice(bytes);
            Ok(memory.into())
        }
    }

    from.deserialize_bytes(Read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_its_size_memory_is_what_it_was() {
        for len in [0, 1, FROM - 1, FROM, FROM + 1, 3 * FROM + 12_345] {
            let mut memory = Vec::with_capacity(len);
            ask_for_huge_pages(memory.spare_capacity_mut());
            assert!(memory.is_empty() && memory.capacity() >= len);
            memory.resize(len, 7);
            assert!(memory.iter().all(|byte| *byte == 7));
        }
    }
}
