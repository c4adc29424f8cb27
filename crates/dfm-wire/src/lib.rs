//! What do processes of a session send each other, as bytes? Bytes in, bytes out; no I/O.

mod message;
mod seen;
mod shape;

pub use message::{Buffer, Encoded, Ending, JobId, Message, Payload, Running, Unfinished};
pub use seen::{Seen, SeenEnding, SeenPayload, seen};
