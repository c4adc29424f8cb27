//! What do threads share here by? `tests/threads` puts `loom`'s in its place, and tries every order.

pub use std::sync::atomic::{AtomicU64, Ordering};
pub use std::sync::{Arc, Mutex};
