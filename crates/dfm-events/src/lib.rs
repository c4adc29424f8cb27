//! What happened in a job, as it is written while it runs and read when it is over: see `docs/events.md`.

mod compare;
mod flow;
mod folder;
mod format;
mod left_out;
mod read;
mod recording;
mod summary;
mod timeline;
mod write;

pub use compare::{Comparison, Pair, compare};
pub use dfm_net::{Frame, Line, NodeId};
pub use flow::{EdgeFlow, Flow, StepFlow, made_fail};
pub use folder::{Folder, MOST_BYTES, MOST_RECORDS, is_written};
pub use format::{Edge, Entry, Header, Kind, More, Node, Outline, Step, Told, VERSION};
pub use left_out::LeftOut;
pub use read::{Cut, Record, Unreadable, parse, read, usual_reach};
pub use recording::{
    Beginning, Fault, Packet, RECORDING_VERSION, Recorded, Recorder, Recording, Values, parse_recording, read_recording,
};
pub use summary::{MOST_FAILURES, NodeSummary, Summary};
pub use timeline::{shown_seconds, timeline_chrome, timeline_svg, timeline_text};
pub use write::{MOST_ENTRIES, Writer};
