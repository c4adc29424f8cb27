//! Drives nets across processes: links, shared memory, jobs.

use std::sync::LazyLock;

mod due;
mod held;
mod host;
mod keeper;
mod limits;
mod link;
mod measure;
mod noting;
mod numbers;
mod receipt;
mod record;
mod released;
mod segment;
mod site;
mod spare;
mod sync;

pub use dfm_wire::{Order, Outline, unfold};
pub use held::{Held, Holder};
pub use host::{
    Call, CallId, Event, Host, Incoming, Leaving, NodeAt, Outgoing, Part, Room, TransferError, Wait, Why, Yielded,
};
pub use keeper::{Keeper, Packet, Progress};
pub use limits::Limits;
pub use link::Link;
pub use receipt::{Contribution, Goal, Passed};
pub use segment::{Received, raise_descriptors};
pub use site::{STREAM_WINDOW, Site, read_answer};
pub use spare::Spare;

/// What all sites of this process use again, up to 256 MiB.
pub static SPARE: LazyLock<Spare> = LazyLock::new(|| Spare::new(256 << 20));
