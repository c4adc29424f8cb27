//! What do the processes of a session say to each other?
//!
//! Each message is one packet of MessagePack. A large buffer does not travel in the packet but as a shared segment,
//! whose descriptor goes beside it.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dfm_net::{Asked, Counts, Failure, Frame, Measured, Net, Noted, PlaceId, Trace, TransitionId, WaitingFiring};
use serde::{Deserialize, Serialize};

use crate::shape::{Misshapen, misshapen};

/// A job's number within its session; later jobs have higher ones.
pub type JobId = u64;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Home to a site, first: what the site is and where its code is, for the host to read.
    Setup(String),
    /// Home to a site: the descriptor beside this packet leads to that other site.
    Link(String),
    /// Home to a site: can these calls be made, as far as that can be told, and may values leave in which there may be
    /// something of the results of these operations?
    Check(u64, Vec<Asked>, Vec<Vec<String>>),
    /// A site to home: what is wrong with the calls of that check, and then with the values, in its order; empty texts
    /// for those in order.
    Checked(u64, Vec<String>),
    /// Home to a site: what is it that this job has not done there?
    Ask(u64, JobId),
    /// A site to home: the answer.
    Unfinished(u64, JobId, Unfinished),
    /// Home to a site: a job begins, with this name and this net.
    Open(JobId, String, Arc<Net>),
    /// Home to a site: measure this job's calls.
    Measure(JobId),
    /// A site to home, before it is done: the job's calls, as measured here.
    Measured(JobId, Vec<Measured>),
    /// Home to a site: keep account of what it contributes to this job, which will begin.
    WantReceipt(JobId),
    /// A site to home, before it is done: what it has contributed to the job, in its host's words.
    Receipt(JobId, String),
    /// A site to home: this call waits there for a person to decide of a request with this name; an empty one when it
    /// waits no more.
    Asks(JobId, TransitionId, Frame, String),
    /// Home to a site: note what happens in this job, and tell it; and to which trace it belongs, if it is in one.
    Note(JobId, Option<Trace>),
    /// A site to home: what it has noted since it told the last time, and how far it is.
    Noted(JobId, Vec<Noted>, Counts),
    /// Home to a site: a frame begins, with the parameters the site needs, and why some of them could not be sent.
    Start(JobId, Frame, Vec<(String, Encoded)>, Vec<(String, Failure)>),
    /// Home to a site: there were this many frames.
    Stop(JobId, u64),
    /// Home to a site: forget the job.
    Cancel(JobId),
    /// A site to home: the job was forgotten, and the site is free for others.
    Cancelled(JobId),
    /// A site to home: it has fired all there was to fire.
    Done(JobId),
    /// A site to home: an error arose here.
    Report(JobId, Failure),
    /// A site to all others: it takes no part in this job any more, and why.
    Refused(JobId, Failure),
    /// Site to site: a token for a place.
    Token(JobId, PlaceId, Frame, Payload),
    /// Site to site: an item for a place.
    Item(JobId, PlaceId, Frame, Encoded),
    /// Back to the sender of items or elements: this many were consumed so far.
    Credit(JobId, PlaceId, Frame, u64),
    /// Back to the owner of a segment: it is not read any more.
    Release(u64),
    /// Home to a site: the session ends.
    Bye,
    /// Home to the keeper of its record: a job begins, with this name and the nets of all its sites.
    Plan(JobId, String, Vec<Net>),
    /// Home to the keeper of its record: the next frame begins, with these parameters.
    Input(JobId, Vec<(String, Encoded)>),
    /// Home to the keeper of its record: a generator at home made this item.
    Made(JobId, TransitionId, Frame, Encoded),
    /// Home to the keeper of its record: a call at home ended so.
    Ended(JobId, TransitionId, Frame, Ending),
}

/// What of a job is not done at a site, in the terms of its net there: the first of each kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Calls, the oldest first.
    pub running: Vec<Running>,
    /// Firings that have not all of their inputs.
    pub waiting: Vec<WaitingFiring>,
    /// How many more there are of both.
    pub more: u64,
}

/// A call that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// What has fired.
    pub transition: TransitionId,
    /// Its frame.
    pub frame: Frame,
    /// For how many seconds it has been running, all tries included.
    pub seconds: f64,
    /// Whether it is a generator that rests until its consumers have caught up.
    pub rests: bool,
}

/// How a call ended, as [`dfm_net::Outcome`] has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// With a result.
    Value(Encoded),
    /// A generator; the list of its items, if that is needed.
    Streamed(Option<Encoded>),
    /// With an error.
    Failed(Failure),
    /// The cache has this value.
    Found(Encoded),
    /// The cache has none under this key.
    NotFound(Encoded),
}

/// A token on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Payload {
    /// Order without data.
    Signal,
    /// A result.
    Value(Encoded),
    /// Why there is none.
    Errors(Vec<Failure>),
    /// The end of a stream.
    End,
    /// How often a block is entered.
    Count(u32),
    /// Why there is no result, if anything needs it.
    Missing(Failure),
    /// The index of one more element of a sequence that goes on.
    Next(u32),
}

/// A value as bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    /// Its structure, with references to the buffers.
    pub head: Bytes,
    /// Its large parts.
    pub buffers: Vec<Buffer>,
}

/// One large part of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Buffer {
    /// In the packet.
    Inline(#[serde(deserialize_with = "crate::large::read")] Bytes),
    /// In the segment with this number; the next descriptor beside the packet opens it.
    Segment {
        /// The sender's number for it, to be released.
        id: u64,
        /// Its used length in bytes.
        len: u64,
    },
}

/// Why bytes are no message.
#[derive(Debug)]
pub enum NotAMessage {
    /// They have not a packet's shape.
    Shape(Misshapen),
    /// They have, and are no message's parts.
    Content(rmp_serde::decode::Error),
}

impl fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(why) => write!(f, "{why}"),
            Self::Content(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for NotAMessage {}

impl Message {
    /// The message as a packet's payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packet = vec![];
        self.write(&mut packet);
        packet
    }

    /// Writes the message as a packet's payload.
    pub fn write(&self, packet: &mut impl io::Write) {
        rmp_serde::encode::write(packet, self).expect("messages hold nothing that MessagePack cannot");
    }

    /// Reads a packet's payload.
    ///
    /// # Errors
    /// What does not fit, when the bytes are not a message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAMessage> {
        if let Some(why) = misshapen(bytes) {
            return Err(NotAMessage::Shape(why));
        }
        rmp_serde::from_slice(bytes).map_err(NotAMessage::Content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_survives_the_way() {
        let failure = Failure {
            site: "a".into(),
            node: Some(dfm_net::NodeId::Name("n".into())),
            operation: Some("x.Y".into()),
            frame: Some(Frame::of_param_set(3).child(1)),
            kind: "ValueError".into(),
            message: "no".into(),
            stack_trace: String::new(),
        };
        let value = Encoded {
            head: Bytes::from(vec![1, 2]),
            buffers: vec![Buffer::Inline(Bytes::from(vec![3])), Buffer::Segment { id: 7, len: 1 << 40 }],
        };
        let asked = Asked { operation: "a.B".into(), provider: None, given: Some("{}".into()), open: vec!["c".into()] };
        let frame = Frame::of_param_set(1);
        let unfinished = Unfinished {
            running: vec![Running { transition: 1, frame: frame.clone(), seconds: 0.5, rests: true }],
            waiting: vec![WaitingFiring { transition: 2, frame, empty: vec![3], more: 4 }],
            more: 1 << 40,
        };
        for message in [
            Message::Bye,
            Message::Token(1, 2, Frame::of_param_set(0), Payload::Value(value)),
            Message::Token(1, 2, Frame::of_param_set(0), Payload::Errors(vec![failure.clone()])),
            Message::Report(4, failure),
            Message::Check(1, vec![asked], vec![vec!["a.B".into()]]),
            Message::Unfinished(1, 2, unfinished),
        ] {
            assert_eq!(Message::from_bytes(&message.to_bytes()).unwrap(), message);
        }
    }

    #[test]
    fn a_kind_that_is_said_by_its_number_is_no_message() {
        // Who acts on a message and who only looks at it would count differently.
        for packet in [&b"\x81\x0d\x00"[..], b"\x81\xa5Token\x94\x01\x02\x91\x00\x81\x05\x03"] {
            assert!(Message::from_bytes(packet).is_err());
            assert_eq!(crate::Outline::of("home", packet), crate::Outline::Other);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::from_bytes(&bytes);
        }
    }
}
