//! How many bytes of values that came wait here, and may there be more?

use crate::sync::{Arc, AtomicU64, Ordering};

/// Counts them. One thread takes in, any lets go.
pub struct Holder {
    /// The most that may wait.
    pub most: u64,
    held: Arc<AtomicU64>,
}

impl Holder {
    /// Nothing waits yet.
    pub fn new(most: u64) -> Self {
        Self { most, held: Arc::new(AtomicU64::new(0)) }
    }

    /// Takes in so many bytes more; `None` if that would be too many.
    pub fn hold(&self, bytes: u64) -> Option<Held> {
        let held = Held { bytes, of: Arc::clone(&self.held) };
        (self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.most).then_some(held)
    }
}

/// The bytes that a value came as, until nothing of it waits here any more.
pub struct Held {
    bytes: u64,
    of: Arc<AtomicU64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
