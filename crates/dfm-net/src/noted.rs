//! What does a site tell home of a job while it runs?

use serde::{Deserialize, Serialize};

use crate::{Frame, NodeId};

/// Something that happened at a site, with its times and sizes and none of its values. Moments are seconds since 1970 by
/// the clock of the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Noted {
    /// At home: a frame began.
    Started {
        /// The frame.
        frame: Frame,
        /// When.
        at: f64,
    },
    /// A call has ended.
    Fired {
        /// The pipeline's node.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// Seconds from when all that it needed was there until it began.
        waited: f64,
        /// When it began.
        begin: f64,
        /// Seconds until its end, all tries included.
        seconds: f64,
        /// Whether it ended with an error.
        failed: bool,
    },
    /// A value was handed to the link that leads to another site.
    Sent {
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
        /// The pipeline's node.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// What.
        line: Line,
    },
    /// At home: a token came to the application.
    Came {
        /// The `Yield`.
        node: NodeId,
        /// Its frame.
        frame: Frame,
        /// When.
        at: f64,
    },
    /// There was more than is noted one by one: so often in all has this happened beyond that, with so many bytes.
    More {
        /// What.
        of: Counted,
        /// How often.
        count: u64,
        /// Bytes of all that was sent.
        bytes: u64,
    },
}

/// What is counted where there is more of it than is noted one by one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Counted {
    /// Frames that began.
    Started,
    /// Calls of this node that have ended well.
    Done(NodeId),
    /// Calls of this node that have ended with an error.
    Failed(NodeId),
    /// Results of this node that were sent to that site.
    Sent(NodeId, String),
    /// Tokens of this `Yield` that came.
    Came(NodeId),
}

impl Counted {
    /// What is counted instead of this, and its bytes; `None` of what a body says.
    pub fn instead_of(noted: Noted) -> Option<(Self, u64)> {
        match noted {
            Noted::Started { .. } => Some((Self::Started, 0)),
            Noted::Fired { node, failed, .. } => Some((if failed { Self::Failed(node) } else { Self::Done(node) }, 0)),
            Noted::Sent { node, to, bytes, .. } => Some((Self::Sent(node, to), bytes)),
            Noted::Came { node, .. } => Some((Self::Came(node), 0)),
            Noted::Said { .. } | Noted::More { .. } => None,
        }
    }
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, by the clock of the site.
    pub at: f64,
    /// Such as `INFO`.
    pub level: String,
    /// The logger's whole name, or `stdout`.
    pub logger: String,
    /// What it says; it may have several lines.
    pub text: String,
}

impl Line {
    /// The same, no longer than a line may be.
    #[must_use]
    pub fn cut(mut self) -> Self {
        for (text, most) in [(&mut self.level, 20), (&mut self.logger, 200), (&mut self.text, 2000)] {
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
                text.push('…');
            }
        }
        self
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.level.len() + self.logger.len() + self.text.len()
    }
}

impl Noted {
    /// The node that it is of, if it is of one.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Started { .. } | Self::More { of: Counted::Started, .. } => None,
            Self::Fired { node, .. } | Self::Sent { node, .. } | Self::Said { node, .. } | Self::Came { node, .. } => {
                Some(node)
            }
            Self::More { of: Counted::Done(node) | Counted::Failed(node), .. }
            | Self::More { of: Counted::Sent(node, _) | Counted::Came(node), .. } => Some(node),
        }
    }

    /// Whether its times are such as a clock gives.
    pub fn has_times(&self) -> bool {
        match self {
            Self::Started { at, .. } | Self::Sent { at, .. } | Self::Came { at, .. } => is_time(*at),
            Self::Said { line, .. } => is_time(line.at),
            Self::Fired { waited, begin, seconds, .. } => is_time(*begin) && is_time(*seconds) && is_time(*waited),
            Self::More { .. } => true,
        }
    }
}

/// To which trace a job belongs, in the terms of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The trace's id, its first half first.
    pub id: (u64, u64),
    /// The id of the span that the application has for the job.
    pub span: u64,
    /// Whether it is recorded there.
    pub sampled: bool,
}

impl Trace {
    /// Whether its ids are such as there can be: zeros stand for none.
    pub fn is_valid(&self) -> bool {
        self.id != (0, 0) && self.span != 0
    }
}

/// How far a site is with a job, noted or not. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that are known to be needed.
    pub known: u64,
    /// Those of them that are over.
    pub done: u64,
    /// Those that ended with an error.
    pub failed: u64,
    /// Elements and rounds of loops that have begun.
    pub elements: u64,
    /// Bytes of values that were sent to other sites.
    pub sent: u64,
    /// How much has happened that was not noted.
    pub left_out: u64,
}

impl Counts {
    /// What is told later, where a number that has become smaller is none.
    pub fn later(self, told: Self) -> Self {
        Self {
            known: self.known.max(told.known),
            done: self.done.max(told.done),
            failed: self.failed.max(told.failed),
            elements: self.elements.max(told.elements),
            sent: self.sent.max(told.sent),
            left_out: self.left_out.max(told.left_out),
        }
    }
}

/// Whether that many seconds can be a moment or a time.
pub fn is_time(seconds: f64) -> bool {
    (0.0..1e12).contains(&seconds)
}
