//! Which memory is used again for packets that carry large values where there is no shared memory?
//!
//! Fresh pages cost more than the copy into them (about 60 ms against 10 ms for 100 MB), so what a packet or a received
//! value leaves is kept for the next packet.

use crate::sync::Mutex;

/// Smaller packets are no trouble to the allocator.
const FROM: usize = 1 << 20;

/// Keeps it. Any thread takes and gives.
pub struct MemoryPool {
    /// The most bytes that are kept in all.
    most: usize,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl MemoryPool {
    /// None is kept yet.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::new(vec![]) }
    }

    /// An empty vector with room for so many bytes.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let fits = |memory: &Vec<u8>| (len..=len.saturating_mul(2)).contains(&memory.capacity());
        let mut kept = self.kept.lock().expect("no holder panics");
        match kept.iter().position(fits).filter(|_| len >= FROM) {
            Some(at) => kept.swap_remove(at),
            None => Vec::with_capacity(len),
        }
    }

    /// Takes over memory that nobody looks at any more.
    pub fn give(&self, mut memory: Vec<u8>) {
        if memory.capacity() < FROM {
            return;
        }
        memory.clear();
        let mut kept = self.kept.lock().expect("no holder panics");
        if kept.iter().map(Vec::capacity).sum::<usize>() + memory.capacity() <= self.most {
            kept.push(memory);
        }
    }
}
