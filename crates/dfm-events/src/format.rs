//! What stands in a job's record?

use std::sync::Arc;

use dfm_net::{Failure, Frame, Line, NodeId, Noted, is_time};
use serde::{Deserialize, Serialize};

/// The version of the format: a reader takes what has its own and no other.
pub const VERSION: u32 = 1;

/// The most characters of a text in an entry; the rest is cut.
const MOST_TEXT: usize = 1000;

/// The first line of a record: what was planned. Moments are, here and below, seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format's version.
    pub dfm_events: u32,
    /// The job's id.
    pub job: String,
    /// The federation's package.
    pub federation: String,
    /// The pipeline's name; the job's id where it has none.
    pub pipeline: String,
    /// `local` or `flare`.
    pub target: String,
    /// The application's site.
    pub homesite: String,
    /// When it began.
    pub at: f64,
    /// The names of its parameters, without what they were.
    pub params: Vec<String>,
    /// Seconds until the session's sites could be reached, where it was the session's first job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<f64>,
    /// Its operations.
    pub nodes: Arc<[Node]>,
}

/// An operation of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The pipeline's node.
    pub node: NodeId,
    /// `namespace.Name`.
    pub operation: String,
    /// Where it runs.
    pub site: String,
    /// Its provider there; `None` for the site itself.
    pub provider: Option<String>,
}

/// An error that the application was told, without the adapter's traceback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Where it arose, or the site that was lost.
    pub site: String,
    /// The node that failed; `None` where a whole site did.
    pub node: Option<NodeId>,
    /// Its operation, if it is one.
    pub operation: Option<String>,
    /// Its frame; `None` where it concerns all of them.
    pub frame: Option<Frame>,
    /// The kind of error, such as the exception's class.
    pub kind: String,
    /// What happened, as the application was told.
    pub message: String,
}

/// Any other line: something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Entry {
    /// A frame began, at the homesite.
    Started {
        /// The frame.
        frame: Frame,
        /// When.
        at: f64,
    },
    /// A call has ended.
    Fired {
        /// Where it was; the times are by the clock there.
        site: String,
        /// The node.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// When it began.
        at: f64,
        /// Seconds until its end, all tries included.
        seconds: f64,
        /// Seconds for which all that it needed had been there when it began.
        waited: f64,
        /// Whether it ended with an error.
        failed: bool,
    },
    /// A value was handed to the link to another site.
    Sent {
        /// Where it was; the time is by the clock there.
        site: String,
        /// The node whose result it is.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// The other site.
        to: String,
        /// When.
        at: f64,
        /// Bytes of the value, encoded.
        bytes: u64,
    },
    /// What runs for a call has logged or printed something.
    Said {
        /// Where it was; the time is by the clock there.
        site: String,
        /// The node.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// What.
        #[serde(flatten)]
        line: Line,
    },
    /// A token came to the application.
    Came {
        /// The `Yield`.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// When.
        at: f64,
    },
    /// The application was told an error.
    Error {
        /// What it was.
        #[serde(flatten)]
        error: Told,
        /// When it was told.
        at: f64,
    },
    /// There was more than is told of one job.
    LeftOut {
        /// The site that has only counted it; `None` where the record had no room for it.
        site: Option<String>,
        /// How much.
        count: u64,
    },
    /// Another application goes on with the job.
    Resumed {
        /// When.
        at: f64,
    },
    /// The job's end for its application.
    Ended {
        /// When.
        at: f64,
        /// `FINISHED`, `FAILED`, `ABORTED`, or `UNKNOWN` where the application has left it.
        status: String,
        /// How many frames there were.
        frames: u64,
        /// How many tokens have come.
        tokens: u64,
        /// How many errors were told.
        errors: u64,
    },
}

impl Entry {
    /// What a site has noted.
    pub fn noted(site: &str, noted: Noted) -> Self {
        let site = site.to_owned();
        match noted {
            Noted::Started { frame, at } => Self::Started { frame, at },
            Noted::Fired { node, frame, waited, begin, seconds, failed } => {
                Self::Fired { site, node, frame, at: begin, seconds, waited, failed }
            }
            Noted::Sent { node, frame, to, at, bytes } => Self::Sent { site, node, frame, to, at, bytes },
            Noted::Said { node, frame, line } => Self::Said { site, node, frame, line },
            Noted::Came { node, frame, at } => Self::Came { node, frame, at },
        }
    }

    /// Whether its times are such as a clock gives.
    pub fn has_times(&self) -> bool {
        match self {
            Self::Fired { at, seconds, waited, .. } => is_time(*at) && is_time(*seconds) && is_time(*waited),
            Self::Started { at, .. }
            | Self::Sent { at, .. }
            | Self::Came { at, .. }
            | Self::Error { at, .. }
            | Self::Resumed { at }
            | Self::Ended { at, .. } => is_time(*at),
            Self::Said { line, .. } => is_time(line.at),
            Self::LeftOut { .. } => true,
        }
    }

    /// An error that was told.
    pub fn error(failure: Failure, at: f64) -> Self {
        let Failure { site, node, operation, frame, kind, message, .. } = failure;
        Self::Error { error: Told { site, node, operation, frame, kind: cut(kind), message: cut(message) }, at }
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
