//! Which segments of other processes are not read here any more, whatever thread has dropped the last value of them?

use crate::sync::{Arc, Mutex};

/// (the owner's link, the segment's number) of each.
#[derive(Clone)]
pub struct Released(Arc<Mutex<Vec<(u64, u64)>>>);

impl Released {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(vec![])))
    }

    /// Notes one.
    pub fn note(&self, segment: (u64, u64)) {
        self.0.lock().expect("no holder panics").push(segment);
    }

    /// Those since the last time.
    pub fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.0.lock().expect("no holder panics"))
    }
}
