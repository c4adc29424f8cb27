//! What do processes of a session send each other, as bytes? Bytes in, bytes out; no I/O.

mod large;
mod message;
mod order;
mod outline;
mod shape;

pub use large::ask_for_huge_pages;
pub use message::{Buffer, Encoded, Ending, JobId, Message, NotAMessage, Payload, Running, Unfinished};
pub use order::Order;
pub use outline::{ASKED, KeptPacket, Outline, Series, Unfolded, unfold};
pub use shape::Misshapen;
