//! What stands in a job's record?

use std::sync::Arc;

use dfm_net::{Counted, Failure, Frame, Line, NodeId, Noted, is_time};
use serde::{Deserialize, Serialize};

/// The version of the format: a reader takes what has its own and no other.
pub const VERSION: u32 = 1;

/// The most characters of a text in an entry; the rest is cut.
const MOST_TEXT: usize = 1000;

/// The most characters of a traceback, the last ones, where the error itself is.
const MOST_TRACE: usize = 4000;

/// The largest plan that a record has: its steps, what goes between them, and the bytes of all names in it.
const MOST_STEPS: usize = 1000;
const MOST_EDGES: usize = 5000;
const MOST_NAMES: usize = 128 << 10;

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
    /// All that it has to do, as it can be drawn; `None` where that is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Arc<Outline>>,
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

/// What there is to do in a plan, where, and what goes between. It has no values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// Everything that is done, operations among it.
    pub steps: Vec<Step>,
    /// What one step has from another.
    pub edges: Vec<Edge>,
}

/// Something to do in a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The pipeline's node. The steps of a cache have one together.
    pub node: NodeId,
    /// `namespace.Name` of an operation; else what is done.
    pub label: String,
    /// Where.
    pub site: String,
    /// What is told of it while the job runs.
    pub kind: Kind,
    /// How many numbers its frames have: one more for each loop around it.
    pub levels: usize,
}

/// What is told of a step while a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An operation: each call, and each result that is sent.
    Call,
    /// Something for the application: each value that comes.
    Yield,
    /// What parts and puts together: nothing.
    Other,
}

/// What one step has from another, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// What sends.
    pub from: usize,
    /// What receives.
    pub to: usize,
    /// Whether it is order without a value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signal: bool,
}

impl Outline {
    /// Whether it is no larger than a record may have it, and can be followed from its beginning to its end.
    pub fn is_sound(&self) -> bool {
        let name = |step: &Step| {
            let node = if let NodeId::Name(name) = &step.node { name.len() } else { 0 };
            step.label.len() + step.site.len() + node
        };
        let is_edge = |edge: &Edge| edge.from < self.steps.len() && edge.to < self.steps.len();
        self.steps.len() <= MOST_STEPS
            && self.edges.len() <= MOST_EDGES
            && self.steps.iter().map(name).sum::<usize>() <= MOST_NAMES
            && self.edges.iter().all(is_edge)
            && self.order().len() == self.steps.len()
    }

    /// The steps' indices, each after those that it has something from; without those that stand in a circle.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut missing = vec![0; self.steps.len()];
        let mut outputs = vec![vec![]; self.steps.len()];
        for edge in &self.edges {
            missing[edge.to] += 1;
            outputs[edge.from].push(edge.to);
        }
        let mut order: Vec<usize> = (0..missing.len()).filter(|step| missing[*step] == 0).collect();
        let mut at = 0;
        while let Some(step) = order.get(at).copied() {
            at += 1;
            for &to in &outputs[step] {
                missing[to] -= 1;
                if missing[to] == 0 {
                    order.push(to);
                }
            }
        }
        order
    }
}

/// An error that the application was told.
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
    /// The line of the user's own code that made the node, as `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The adapter's traceback, where its site has told it and it is among the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
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
    /// So often in all has something happened that is not told one by one, as there was so much of it.
    More {
        /// Where it was.
        site: String,
        /// What.
        #[serde(flatten)]
        of: More,
        /// How often.
        count: u64,
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

/// What is told by its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum More {
    /// Frames that began.
    Started,
    /// Calls that have ended well.
    Done {
        /// The node.
        node: NodeId,
    },
    /// Calls that have ended with an error.
    Failed {
        /// The node.
        node: NodeId,
    },
    /// Values that were handed to the link to another site.
    Sent {
        /// The node whose results they are.
        node: NodeId,
        /// The other site.
        to: String,
        /// Bytes of all of them, encoded.
        bytes: u64,
    },
    /// Tokens that came to the application.
    Came {
        /// The `Yield`.
        node: NodeId,
    },
}

impl More {
    /// What a site has counted.
    pub(crate) fn new(of: Counted, bytes: u64) -> Self {
        match of {
            Counted::Started => Self::Started,
            Counted::Done(node) => Self::Done { node },
            Counted::Failed(node) => Self::Failed { node },
            Counted::Sent(node, to) => Self::Sent { node, to, bytes },
            Counted::Came(node) => Self::Came { node },
        }
    }
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
            Noted::More { of, count, bytes } => Self::More { site, of: More::new(of, bytes), count },
        }
    }

    /// When it happened; 0 for what has no time.
    pub fn at(&self) -> f64 {
        match self {
            Self::Started { at, .. }
            | Self::Fired { at, .. }
            | Self::Sent { at, .. }
            | Self::Came { at, .. }
            | Self::Error { at, .. }
            | Self::Resumed { at }
            | Self::Ended { at, .. } => *at,
            Self::Said { line, .. } => line.at,
            Self::More { .. } | Self::LeftOut { .. } => 0.0,
        }
    }

    /// Whether its times are such as a clock gives.
    pub fn has_times(&self) -> bool {
        match self {
            Self::Fired { seconds, waited, .. } => is_time(self.at()) && is_time(*seconds) && is_time(*waited),
            _ => is_time(self.at()),
        }
    }

    /// An error that was told, of a node that a line of the user's code has made; with its traceback if it is `traced`.
    pub fn error(failure: Failure, line: Option<String>, traced: bool, at: f64) -> Self {
        let Failure { site, node, operation, frame, kind, message, stack_trace } = failure;
        let trace = (traced && !stack_trace.is_empty()).then(|| end_of(stack_trace));
        let (kind, message, line) = (cut(kind), cut(message), line.map(cut));
        Self::Error { error: Told { site, node, operation, frame, kind, message, line, trace }, at }
    }
}

/// The end of a text that is too long.
fn end_of(text: String) -> String {
    let more = text.chars().count().saturating_sub(MOST_TRACE);
    if more == 0 { text } else { format!("…{}", text.chars().skip(more).collect::<String>()) }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
