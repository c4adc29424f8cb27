//! What do processes of a session send each other, as bytes? Bytes in, bytes out; no I/O.

mod message;

pub use message::{Buffer, Encoded, JobId, Message, Payload};
