//! What a site writes down of what happens at it, and what it counts: in files that all its processes share, and that
//! outlast them.

mod audit;
mod chain;
mod day;
mod own_file;
mod text;

pub use audit::{Audit, Key, Outcome, Whose};
pub use chain::hex;
pub use day::{Counting, Over, PerDay};
