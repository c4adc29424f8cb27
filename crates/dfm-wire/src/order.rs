//! Which of home's orders for a job is a packet?
//!
//! An application signs for some of them, and who checks that reads no more of a packet than it has to.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::JobId;
use crate::shape::misshapen;

/// What a site is to do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As [`crate::Message::Open`].
    Net(JobId),
    /// As [`crate::Message::Start`].
    Params(JobId),
    /// As [`crate::Message::Cancel`].
    Cancel(JobId),
}

/// A [`crate::Message`] without what it carries, as far as it is an order.
#[derive(Deserialize)]
enum BareMessage {
    Open(JobId, IgnoredAny, IgnoredAny),
    Start(JobId, IgnoredAny, IgnoredAny, IgnoredAny),
    Cancel(JobId),
}

impl Order {
    /// That of a packet; `None` if it is none of these.
    pub fn of(packet: &[u8]) -> Option<Self> {
        if misshapen(packet).is_some() {
            return None;
        }
        Some(match rmp_serde::from_slice(packet).ok()? {
            BareMessage::Open(job, ..) => Self::Net(job),
            BareMessage::Start(job, ..) => Self::Params(job),
            BareMessage::Cancel(job) => Self::Cancel(job),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dfm_net::{Block, Frame, Net};

    use super::*;
    use crate::Message;

    #[test]
    fn orders_for_a_job_are_seen_and_nothing_else_is() {
        let net = Net { site: "a".into(), blocks: vec![Block::body()], places: vec![], transitions: vec![] };
        for (message, order) in [
            (Message::Open(7, "job".into(), Arc::new(net)), Some(Order::Net(7))),
            (Message::Start(8, Frame::of_param_set(3), vec![], vec![]), Some(Order::Params(8))),
            (Message::Cancel(9), Some(Order::Cancel(9))),
            (Message::Stop(7, 2), None),
            (Message::Measure(7), None),
            (Message::Note(7, None), None),
            (Message::Cancelled(7), None),
            (Message::Bye, None),
        ] {
            assert_eq!(Order::of(&message.to_bytes()), order, "{message:?}");
        }
        assert_eq!(Order::of(b"\x81\x06\x93\x07\xa0\xc0"), None, "a kind that is said by its number");
    }
}
