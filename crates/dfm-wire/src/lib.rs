//! Encodings of values and messages: bytes in, bytes out

mod message;

pub use message::{Buffer, Encoded, JobId, Message, Payload};
