//! What does who keeps a session's packets have to know of each, though it may not read them?
//!
//! What an application and a site say to each other is sealed, but for an outline that its sender makes.

use std::collections::BTreeMap;

use dfm_net::{Argument, Frame, Net, PlaceId, Step, TransitionId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::shape::misshapen;
use crate::{JobId, Message, Payload};

/// What may be seen of a packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outline {
    /// As [`Message::Plan`]: the job's sites, whether home has operations to run, and home's places, each with the
    /// `Yield` that hands each of its tokens to the application.
    Plan(JobId, Vec<String>, bool, Vec<Option<TransitionId>>),
    /// As [`Message::Input`].
    Input(JobId),
    /// As [`Message::Stop`].
    Stop(JobId),
    /// As [`Message::Made`], or [`Message::Ended`] but with an error.
    Ran(JobId),
    /// As [`Message::Ended`], with an error.
    Failed(JobId),
    /// As [`Message::Token`], and whether it is a value; `None` for what is nothing to the application.
    Token(JobId, PlaceId, Frame, Option<bool>),
    /// As [`Message::Item`].
    Item(JobId, PlaceId, Frame),
    /// As [`Message::Done`].
    Done(JobId),
    /// As [`Message::Report`].
    Report(JobId),
    /// As [`Message::Refused`].
    Refused(JobId),
    /// As [`Message::Unfinished`], to who is not home.
    Unfinished(JobId),
    /// All else, of which nothing is kept.
    Other,
}

/// A [`Message`] without its values, as far as it has an outline.
#[derive(Deserialize)]
enum BareMessage {
    Unfinished(u64, JobId, IgnoredAny),
    Stop(JobId, IgnoredAny),
    Done(JobId),
    Report(JobId, IgnoredAny),
    Refused(JobId, IgnoredAny),
    Token(JobId, PlaceId, Frame, BarePayload),
    Item(JobId, PlaceId, Frame, IgnoredAny),
    Plan(IgnoredAny, IgnoredAny, IgnoredAny),
    Input(JobId, IgnoredAny),
    Made(JobId, IgnoredAny, IgnoredAny, IgnoredAny),
    Ended(JobId, IgnoredAny, IgnoredAny, BareEnding),
}

/// A [`Payload`] without its values.
#[derive(Deserialize)]
enum BarePayload {
    Signal,
    Value(IgnoredAny),
    Errors(IgnoredAny),
    End,
    Count(IgnoredAny),
    Next(IgnoredAny),
    Missing(IgnoredAny),
}

/// A [`crate::Ending`] without its values.
#[derive(Deserialize)]
enum BareEnding {
    Value(IgnoredAny),
    Streamed(IgnoredAny),
    Failed(IgnoredAny),
    Found(IgnoredAny),
    NotFound(IgnoredAny),
}

/// The number of all that others than home ask in its name; home counts from 1.
pub const ASKED: u64 = u64::MAX;

impl Outline {
    /// That of a packet that home sends or gets.
    pub fn of(home: &str, packet: &[u8]) -> Self {
        if misshapen(packet).is_some() {
            return Self::Other;
        }
        let Ok(message) = rmp_serde::from_slice(packet) else { return Self::Other };
        match message {
            BareMessage::Plan(..) => match Message::from_bytes(packet) {
                Ok(Message::Plan(job, _, nets)) => Self::of_plan(job, home, &nets),
                _ => Self::Other,
            },
            BareMessage::Input(job, _) => Self::Input(job),
            BareMessage::Stop(job, _) => Self::Stop(job),
            BareMessage::Made(job, ..) => Self::Ran(job),
            BareMessage::Ended(job, _, _, ending) => match ending {
                BareEnding::Failed(_) => Self::Failed(job),
                BareEnding::Value(_) | BareEnding::Streamed(_) | BareEnding::Found(_) | BareEnding::NotFound(_) => {
                    Self::Ran(job)
                }
            },
            BareMessage::Token(job, place, frame, payload) => Self::Token(job, place, frame, is_value(&payload)),
            BareMessage::Item(job, place, frame, _) => Self::Item(job, place, frame),
            BareMessage::Done(job) => Self::Done(job),
            BareMessage::Report(job, _) => Self::Report(job),
            BareMessage::Refused(job, _) => Self::Refused(job),
            BareMessage::Unfinished(ASKED, job, _) => Self::Unfinished(job),
            BareMessage::Unfinished(..) => Self::Other,
        }
    }

    fn of_plan(job: JobId, home: &str, nets: &[Net]) -> Self {
        let own = nets.iter().find(|net| net.site == home);
        let calls = own.is_some_and(|net| net.transitions.iter().any(|one| matches!(one.step, Step::Call { .. })));
        let sites = nets.iter().map(|net| net.site.clone()).collect();
        Self::Plan(job, sites, calls, own.map(yields).unwrap_or_default())
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("an outline holds nothing that MessagePack cannot")
    }

    /// From bytes; `None` if they are no outline.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        misshapen(bytes).is_none().then(|| rmp_serde::from_slice(bytes).ok())?
    }

    /// The job of which the packet has to be kept for an application that comes back.
    pub fn kept(&self) -> Option<JobId> {
        match self {
            Self::Plan(job, ..)
            | Self::Input(job)
            | Self::Stop(job)
            | Self::Ran(job)
            | Self::Failed(job)
            | Self::Token(job, ..)
            | Self::Item(job, ..)
            | Self::Done(job)
            | Self::Report(job)
            | Self::Refused(job) => Some(*job),
            Self::Unfinished(_) | Self::Other => None,
        }
    }

    /// Whether nothing more of its job follows from the site that sent it.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Refused(_))
    }

    /// What home is to handle instead of a packet of which its application has had the value: its net has to move on as
    /// if that were there, and nobody looks at it again. `None` for an item, which nothing waits for.
    fn without_value(self) -> Option<Vec<u8>> {
        match self {
            Self::Token(job, place, frame, _) => Some(Message::Token(job, place, frame, Payload::End).to_bytes()),
            _ => None,
        }
    }
}

/// What was kept of a packet: who sent it, its outline, and itself, unless its value was had.
pub type KeptPacket = (String, Vec<u8>, Option<Vec<u8>>);

/// A `Yield` in one frame: its transition and the frame.
pub type Series = (TransitionId, Frame);

/// What a new home needs to stand where the old one stood: packets, each with the site that sent it; and how many values
/// of each series are not there any more.
pub type Unfolded = (Vec<(String, Vec<u8>)>, BTreeMap<Series, u64>);

/// Makes that of all that was kept of a job, in the order in which it came. `None` if it lacks more than values that an
/// application may have had.
pub fn unfold(home: &str, history: Vec<KeptPacket>) -> Option<Unfolded> {
    let (mut packets, mut dropped, mut yields) = (vec![], BTreeMap::new(), vec![]);
    for (from, outline, packet) in history {
        if let Some(packet) = packet {
            if let (Outline::Plan(.., found), true) = (Outline::of(home, &packet), from == home) {
                yields = found;
            }
            packets.push((from, packet));
            continue;
        }
        let outline = Outline::from_bytes(&outline)?;
        let (Outline::Token(_, place, frame, Some(true)) | Outline::Item(_, place, frame)) = &outline else {
            return None;
        };
        let transition = *yields.get(*place as usize)?;
        *dropped.entry((transition?, frame.clone())).or_default() += 1;
        packets.extend(outline.without_value().map(|packet| (from, packet)));
    }
    Some((packets, dropped))
}

/// Whether a token is a value, if a `Yield` hands it to the application at all.
fn is_value(payload: &BarePayload) -> Option<bool> {
    match payload {
        BarePayload::Value(_) => Some(true),
        BarePayload::Errors(_) | BarePayload::Missing(_) => Some(false),
        BarePayload::Signal | BarePayload::End | BarePayload::Count(_) | BarePayload::Next(_) => None,
    }
}

/// Place → the `Yield` that hands each token of it to the application, in the token's own frame and as it is.
fn yields(net: &Net) -> Vec<Option<TransitionId>> {
    let inputs = |of: TransitionId| net.places.iter().filter(|place| place.transition == of).count();
    let direct = |of: TransitionId, block| {
        let transition = &net.transitions[of as usize];
        matches!(transition.step, Step::Yield { value: Argument::Slot(_), .. })
            && transition.block == block
            && inputs(of) == 1
    };
    net.places
        .iter()
        .map(|place| {
            let known = (place.transition as usize) < net.transitions.len();
            (known && direct(place.transition, place.block)).then_some(place.transition)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dfm_net::{Failure, NodeId};
    use proptest::prelude::*;

    use super::*;
    use crate::{Encoded, Ending};

    fn value() -> Encoded {
        Encoded { head: Bytes::from_static(b"secret"), buffers: vec![] }
    }

    fn failure() -> Failure {
        Failure {
            site: "a".into(),
            node: Some(NodeId::Name("secret".into())),
            operation: None,
            frame: None,
            kind: "ValueError".into(),
            message: "secret".into(),
            stack_trace: String::new(),
        }
    }

    #[test]
    fn an_outline_says_what_has_to_be_known_and_nothing_of_the_values() {
        let frame = Frame::of_param_set(3);
        let token = |payload| Message::Token(7, 2, frame.clone(), payload);
        let input = vec![("secret".to_owned(), value())];
        for (message, outline) in [
            (token(Payload::Value(value())), Outline::Token(7, 2, frame.clone(), Some(true))),
            (token(Payload::Errors(vec![failure()])), Outline::Token(7, 2, frame.clone(), Some(false))),
            (token(Payload::Missing(failure())), Outline::Token(7, 2, frame.clone(), Some(false))),
            (token(Payload::Count(3)), Outline::Token(7, 2, frame.clone(), None)),
            (Message::Item(7, 2, frame.clone(), value()), Outline::Item(7, 2, frame.clone())),
            (Message::Report(7, failure()), Outline::Report(7)),
            (Message::Refused(7, failure()), Outline::Refused(7)),
            (Message::Done(7), Outline::Done(7)),
            (Message::Plan(7, "secret".into(), vec![]), Outline::Plan(7, vec![], false, vec![])),
            (Message::Input(7, input.clone()), Outline::Input(7)),
            (Message::Start(7, frame.clone(), input, vec![("secret".into(), failure())]), Outline::Other),
            (Message::Stop(7, 2), Outline::Stop(7)),
            (Message::Made(7, 1, frame.clone(), value()), Outline::Ran(7)),
            (Message::Ended(7, 1, frame.clone(), Ending::Found(value())), Outline::Ran(7)),
            (Message::Ended(7, 1, frame.clone(), Ending::Failed(failure())), Outline::Failed(7)),
            (Message::Unfinished(ASKED, 7, crate::Unfinished::default()), Outline::Unfinished(7)),
            (Message::Unfinished(1, 7, crate::Unfinished::default()), Outline::Other),
            (Message::Cancelled(7), Outline::Other),
        ] {
            let found = Outline::of("home", &message.to_bytes());
            assert_eq!(found, outline, "{message:?}");
            let bytes = found.to_bytes();
            assert!(!bytes.windows(6).any(|part| part == b"secret"));
            assert_eq!(Outline::from_bytes(&bytes), Some(outline));
        }
    }

    #[test]
    fn values_that_were_had_are_counted_and_what_waits_for_them_goes_on() {
        let frame = Frame::of_param_set(0);
        let net = Net {
            site: "home".into(),
            blocks: vec![dfm_net::Block::body()],
            places: vec![dfm_net::Place {
                transition: 0,
                slot: 0,
                block: 0,
                source: dfm_net::Source::Site("a".into()),
            }],
            transitions: vec![dfm_net::Transition {
                step: Step::Yield { node: NodeId::Number(0), place: "p".into(), value: dfm_net::Argument::Slot(0) },
                block: 0,
                outputs: vec![],
            }],
        };
        let plan = Message::Plan(1, "job".into(), vec![net]).to_bytes();
        let token = Message::Token(1, 0, frame.clone(), Payload::Value(value())).to_bytes();
        let item = Message::Item(1, 0, frame.clone(), value()).to_bytes();
        let outline = |packet: &[u8]| Outline::of("home", packet).to_bytes();
        let history = vec![
            ("home".into(), outline(&plan), Some(plan.clone())),
            ("a".into(), outline(&item), None),
            ("a".into(), outline(&token), None),
            ("a".into(), outline(&item), Some(item.clone())),
        ];
        let end = Message::Token(1, 0, frame.clone(), Payload::End).to_bytes();
        let error = Message::Token(1, 0, frame.clone(), Payload::Errors(vec![failure()])).to_bytes();
        let other = Message::Token(1, 1, frame.clone(), Payload::Value(value())).to_bytes();
        for missing in [outline(&Message::Done(1).to_bytes()), outline(&error), outline(&other), vec![0xc1]] {
            let history = [&history[..], &[("a".into(), missing, None)]].concat();
            assert_eq!(unfold("home", history), None, "this cannot have been had");
        }
        let (packets, dropped) = unfold("home", history).unwrap();
        assert_eq!(packets, [("home".to_owned(), plan), ("a".to_owned(), end), ("a".to_owned(), item)]);
        assert_eq!(dropped, BTreeMap::from([((0, frame), 2)]));
    }

    proptest! {
        #[test]
        fn anything_has_an_outline(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let outline = Outline::of("home", &packet);
            prop_assert_eq!(Outline::from_bytes(&outline.to_bytes()), Some(outline));
            let _ = Outline::from_bytes(&packet);
        }
    }
}
