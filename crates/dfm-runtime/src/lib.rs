//! Drives nets across processes: links, shared memory, jobs.

#[cfg(not(target_os = "linux"))]
compile_error!("dfm runs on Linux alone, or in Windows' Linux subsystem: docs/platforms.md says why");

use std::sync::LazyLock;

mod due;
mod held;
mod host;
mod keeper;
mod kept;
mod limits;
mod link;
mod measure;
mod memory_pool;
mod noting;
mod numbers;
mod receipt;
mod record;
mod released;
mod segment;
mod site;
mod sync;

pub use dfm_wire::{Order, Outline, ask_for_huge_pages, unfold};
pub use held::{Held, Holder};
pub use host::{
    Call, CallId, Event, Host, Incoming, Leaving, NodeAt, Outgoing, Part, Room, TransferError, Wait, Why, Yielded,
};
pub use keeper::{Keeper, Packet, Progress};
pub use kept::{KeptPacket, kept_packet};
pub use limits::Limits;
pub use link::Link;
pub use memory_pool::MemoryPool;
pub use receipt::{Contribution, Goal, Passed};
pub use record::{Came, CameTo, Parameters};
pub use segment::{Received, raise_descriptors};
pub use site::shared::{Carried, Hole};
pub use site::{STREAM_WINDOW, Site, read_answer};

/// What all sites of this process use again, up to 256 MiB.
pub static MEMORY_POOL: LazyLock<MemoryPool> = LazyLock::new(|| MemoryPool::new(256 << 20));
