//! What does a site need from whoever runs operations and holds values?

use std::fmt;

use bytes::Bytes;
use dfm_net::{Asked, Counts, Frame, Measured, NodeId, Noted, Token, Trace, Value};
use dfm_wire::JobId;

use crate::link::MAX_PACKET;
use crate::receipt::Contribution;
use crate::segment::Received;

/// Turns values into bytes and back.
pub trait Host {
    /// What tokens carry inside this process.
    type Value: Value;

    /// The value as bytes; where it leaves this site, and somebody guards that, with what is to be known of it.
    ///
    /// # Errors
    /// What cannot travel, and what to do.
    fn encode(&mut self, value: &Self::Value, leaving: Option<&Leaving>) -> Result<Outgoing, TransferError>;

    /// Whether two values are one object, which only its user could change. What is one need not be written anew for
    /// each of its receivers.
    fn is_same(&self, _one: &Self::Value, _other: &Self::Value) -> bool {
        false
    }

    /// Whether it has to know of each value that leaves.
    fn is_guarded(&self) -> bool {
        false
    }

    /// The SHA-256 of the bytes of a value that came, in hexadecimal digits.
    fn digest(&mut self, _value: &Incoming) -> Option<String> {
        None
    }

    /// This site's part of a job's receipt; `None` if it gives none.
    fn receipt(&mut self, _job: JobId, _contribution: &Contribution) -> Option<String> {
        None
    }

    /// Seconds since 1970.
    fn now(&self) -> f64;

    /// The value that another process encoded, as it came from that site; from none (`""`) where it was kept here.
    ///
    /// # Errors
    /// What this site lacks, or does not take from there.
    fn decode(&mut self, value: Incoming, from: &str) -> Result<Self::Value, TransferError>;
}

/// What is to be known of a value that leaves a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its job.
    pub job: JobId,
    /// The site that gets it.
    pub to: String,
    /// The operation that it is a result of.
    pub operation: Option<String>,
    /// The operations at this site of which there may be something in it.
    pub makers: Vec<String>,
    /// The names by which it was taken out of their results.
    pub parts: Vec<String>,
    /// Whether its digest is wanted.
    pub digest: bool,
}

/// Why a value cannot leave a process, or come into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// The host cannot encode or decode it, in its own sentence for the user.
    Value(String),
    /// The site's owner lets it not leave, in the host's own sentence.
    Refused(String),
    /// So many bytes of it would have to go in one packet.
    Packet(usize),
    /// A segment that it came in cannot be mapped.
    Unmapped,
    /// More of what came waits here than the site holds.
    Room {
        /// Its own bytes.
        bytes: u64,
        /// The most that may wait.
        most: u64,
    },
}

impl TransferError {
    /// The class of the error that the user gets.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "RefusedError",
            _ => "EncodingError",
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(sentence) | Self::Refused(sentence) => f.write_str(sentence),
            Self::Packet(bytes) => {
                write!(
                    f,
                    "{bytes} bytes would go in one packet, which takes {MAX_PACKET}: send less at once; between processes of \
                     one machine, more room in /dev/shm does it too"
                )
            }
            Self::Unmapped => write!(
                f,
                "a shared segment could not be mapped: out of memory or of files; raise `ulimit -n` or `ulimit -v`"
            ),
            Self::Room { bytes, most } => write!(
                f,
                "{bytes} bytes more of values that wait here are more than this site holds, {most} in all: \
                 `buffered-bytes` of its policy (local/policy.yaml in its kit) says so"
            ),
        }
    }
}

impl std::error::Error for TransferError {}

/// A value on its way out.
pub struct Outgoing {
    /// Its structure.
    pub head: Vec<u8>,
    /// Its large parts, in the order the structure refers to them. They may look at the value's own memory: they are
    /// copied before the host is called again, since its user may change what it has returned.
    pub buffers: Vec<Bytes>,
    /// What its user should hear of it, though it travels.
    pub warning: Option<String>,
    /// The SHA-256 of its bytes in hexadecimal digits, where that was wanted.
    pub digest: Option<String>,
}

impl Outgoing {
    /// How many bytes travel.
    pub fn size(&self) -> usize {
        self.head.len() + self.buffers.iter().map(Bytes::len).sum::<usize>()
    }
}

/// A value on its way in.
pub struct Incoming {
    /// Its structure.
    pub head: Vec<u8>,
    /// Its large parts.
    pub buffers: Vec<Part>,
}

impl Incoming {
    /// How many bytes have travelled.
    pub fn size(&self) -> usize {
        self.head.len() + self.buffers.iter().map(|part| part.bytes().len()).sum::<usize>()
    }
}

/// One large part of a value that arrived.
pub enum Part {
    /// It came in the packet.
    Inline(Vec<u8>),
    /// It is mapped from a shared segment.
    Shared(Received),
}

impl Part {
    /// What came.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Shared(segment) => segment.bytes(),
        }
    }
}

/// A call's number within its process.
pub type CallId = u64;

/// A call that is due: the host runs it and tells [`crate::Site::complete`].
pub struct Call<V> {
    /// Its number.
    pub id: CallId,
    /// Its job.
    pub job: JobId,
    /// Its frame.
    pub frame: Frame,
    /// The net's transition, whose step says what to run.
    pub transition: u32,
    /// The inputs by slot; `None` for signals.
    pub inputs: Vec<Option<V>>,
}

/// Something the host should know.
pub enum Event<V> {
    /// First of all, at a site that is not home: what it is.
    Setup(String),
    /// Home asks whether these calls can be made, and whether values of the results of these operations may leave; answer
    /// with [`crate::Site::checked`].
    Check(u64, Vec<Asked>, Vec<Vec<String>>),
    /// At home: a site's answer.
    Checked(String, u64, Vec<String>),
    /// At home: a site's answer to [`crate::Site::ask`], and how much more is not done there.
    Unfinished(String, u64, Vec<Wait>, u64),
    /// A job began here, with this name.
    Opened(JobId, String),
    /// At home: a token for the application.
    Yielded(Yielded, Token<V>),
    /// At home: an item for the application; tell [`crate::Site::consumed`] when it has it.
    Item(Yielded, V),
    /// At home: an error arose.
    Reported(JobId, dfm_net::Failure),
    /// The user should hear of a value that was sent from here.
    Warned(String),
    /// At home, before its end: the calls of a job that is measured, those of all sites, and when each of its frames
    /// began.
    Measured(JobId, Vec<Measured>, Vec<f64>),
    /// At home: a call waits at its site for a person to decide of a request with this name; an empty one when it waits
    /// no more.
    Asks(JobId, NodeAt, Frame, String),
    /// At home, before its end: a site's part of a job's receipt.
    Receipt(JobId, String, String),
    /// What a site has noted of a job, and how far it is: at home of all sites, elsewhere what this one has noted, where it
    /// [notes all jobs](crate::Site::note_all).
    Noted(JobId, String, Vec<Noted>, Counts),
    /// At a site that notes all jobs: its application has this job in a trace.
    Traced(JobId, Trace),
    /// At home, of a job that is [kept](crate::Site::keep_job): a packet that began it or that another site has sent, or
    /// what a call here has come to, with the site that said it.
    Kept(JobId, String, Vec<u8>),
    /// At home: every site has done what there was to do.
    Ended(JobId),
    /// Nothing of this job is called here any more.
    Over(JobId),
    /// These calls are not wanted any more.
    Abandoned(Vec<CallId>),
    /// A stream that waited may go on.
    Room(CallId),
    /// A site's process is gone; at home, answer with [`crate::Site::lose`] once the cause is known.
    Closed(String),
    /// At home: a site has forgotten a cancelled job.
    Cancelled(String, JobId),
    /// The session ends.
    Bye,
}

/// Something of a job that is not done, in the words of its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// What is not done.
    pub node: NodeAt,
    /// In which frame.
    pub frame: Frame,
    /// Why not.
    pub why: Why,
}

/// What a site does for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAt {
    /// The site.
    pub site: String,
    /// The pipeline's node.
    pub node: NodeId,
    /// The operation, or what else the node is.
    pub label: String,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Its call is running, for so many seconds; a generator may rest until its consumers have caught up.
    Runs {
        /// Since its first try.
        seconds: f64,
        /// Whether it rests.
        rests: bool,
    },
    /// It needs what these have not put out yet.
    Needs {
        /// The first of them.
        nodes: Vec<NodeAt>,
        /// How many more inputs are missing.
        more: u64,
    },
}

/// Where a token for the application comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Yielded {
    /// Its job.
    pub job: JobId,
    /// The site that made it.
    pub site: String,
    /// The `Yield`'s node.
    pub node: NodeId,
    /// The place that the application knows.
    pub place: String,
    /// Its frame.
    pub frame: Frame,
    /// The `Yield`'s transition.
    pub transition: u32,
}

/// Whether a generator may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At once.
    More,
    /// After [`Event::Room`]: its consumers are behind.
    Wait,
    /// Never: its job is gone.
    Gone,
}
