//! What can be seen of a message without reading the values that it carries?

use dfm_net::{Frame, PlaceId, TransitionId};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::JobId;
use crate::shape::misshapen;

/// A message of a job, as far as one has to see it who keeps it.
#[derive(Debug, Deserialize)]
pub enum Seen {
    /// As [`crate::Message::Unfinished`].
    Unfinished(u64, JobId, IgnoredAny),
    /// As [`crate::Message::Open`].
    Open(JobId, IgnoredAny, IgnoredAny),
    /// As [`crate::Message::Stop`].
    Stop(JobId, IgnoredAny),
    /// As [`crate::Message::Done`].
    Done(JobId),
    /// As [`crate::Message::Report`].
    Report(JobId, IgnoredAny),
    /// As [`crate::Message::Refused`].
    Refused(JobId, IgnoredAny),
    /// As [`crate::Message::Token`].
    Token(JobId, PlaceId, Frame, SeenPayload),
    /// As [`crate::Message::Item`].
    Item(JobId, PlaceId, Frame, IgnoredAny),
    /// As [`crate::Message::Plan`].
    Plan(JobId, IgnoredAny, IgnoredAny),
    /// As [`crate::Message::Input`].
    Input(JobId, IgnoredAny),
    /// As [`crate::Message::Made`].
    Made(JobId, TransitionId, Frame, IgnoredAny),
    /// As [`crate::Message::Ended`].
    Ended(JobId, TransitionId, Frame, SeenEnding),
}

/// The kind of a token.
#[derive(Debug, Deserialize)]
pub enum SeenPayload {
    /// As [`crate::Payload::Signal`].
    Signal,
    /// As [`crate::Payload::Value`].
    Value(IgnoredAny),
    /// As [`crate::Payload::Errors`].
    Errors(IgnoredAny),
    /// As [`crate::Payload::End`].
    End,
    /// As [`crate::Payload::Count`].
    Count(IgnoredAny),
    /// As [`crate::Payload::Next`].
    Next(IgnoredAny),
    /// As [`crate::Payload::Missing`].
    Missing(IgnoredAny),
}

/// How a call ended.
#[derive(Debug, Deserialize)]
pub enum SeenEnding {
    /// As [`crate::Ending::Value`].
    Value(IgnoredAny),
    /// As [`crate::Ending::Streamed`].
    Streamed(IgnoredAny),
    /// As [`crate::Ending::Failed`].
    Failed(IgnoredAny),
    /// As [`crate::Ending::Found`].
    Found(IgnoredAny),
    /// As [`crate::Ending::NotFound`].
    NotFound(IgnoredAny),
}

impl SeenPayload {
    /// Whether it is a value, if a `Yield` hands it to the application at all.
    pub fn for_the_application(&self) -> Option<bool> {
        match self {
            Self::Value(_) => Some(true),
            Self::Errors(_) | Self::Missing(_) => Some(false),
            Self::Signal | Self::End | Self::Count(_) | Self::Next(_) => None,
        }
    }
}

/// Looks at a packet; `None` if it is no message, or one that nobody keeps.
pub fn seen(packet: &[u8]) -> Option<Seen> {
    misshapen(packet).is_none().then(|| rmp_serde::from_slice(packet).ok())?
}
