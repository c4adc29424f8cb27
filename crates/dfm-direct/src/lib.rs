//! How does one participant's process of a session speak straight to another's?
//!
//! [`Direct`] is a process's end of all its direct connections: it lets in, connects, and sends. A connection carries
//! messages and their answers, in frames; what they mean, whether they arrive once and in order, and how they go where
//! there is no connection is for the lanes above.

mod connection;
mod direct;
mod frame;
mod identity;

pub use connection::{Fault, Receive};
pub use direct::Direct;
pub use frame::{Frame, Kind, MOST, PART, Reader, What, further};
