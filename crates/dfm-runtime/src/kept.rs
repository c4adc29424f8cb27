//! What does a packet that is kept of a job say, beside its values?

use bytes::Bytes;
use dfm_net::{Frame, Net, NodeId, PlaceId, TransitionId};
use dfm_wire::{Buffer, Encoded, Ending, Message, Payload};

/// What one says.
pub struct KeptPacket {
    /// What it is: `value`, `item`, `done`, …
    pub kind: &'static str,
    /// Home's node that it is for, or whose call came to that.
    pub node: Option<NodeId>,
    /// The frame.
    pub frame: Option<Frame>,
    /// The bytes of the values in it, if there are any.
    pub value: Option<Vec<Bytes>>,
}

/// What a packet says, as [`crate::Event::Kept`] has it; `net` is home's. `None` for what is none.
pub fn kept_packet(net: Option<&Net>, packet: &[u8]) -> Option<KeptPacket> {
    let message = Message::from_bytes(packet).ok()?;
    let (kind, transition, frame) = described(net, &message)?;
    let node = transition.and_then(|at| Some(net?.transitions.get(at as usize)?.step.node().clone()));
    Some(KeptPacket { kind, node, frame: frame.cloned(), value: value(&message) })
}

fn described<'m>(
    net: Option<&Net>,
    message: &'m Message,
) -> Option<(&'static str, Option<TransitionId>, Option<&'m Frame>)> {
    let at = |place: &PlaceId| Some(net?.places.get(*place as usize)?.transition);
    Some(match message {
        Message::Token(_, place, frame, payload) => {
            let kind = match payload {
                Payload::Signal => "signal",
                Payload::Value(_) => "value",
                Payload::Errors(_) => "errors",
                Payload::End => "end",
                Payload::Count(_) => "count",
                Payload::Missing(_) => "missing",
                Payload::Next(_) => "next",
            };
            (kind, at(place), Some(frame))
        }
        Message::Item(_, place, frame, _) => ("item", at(place), Some(frame)),
        Message::Made(_, transition, frame, _) => ("made", Some(*transition), Some(frame)),
        Message::Ended(_, transition, frame, ending) => {
            let kind = if matches!(ending, Ending::Failed(_)) { "failed" } else { "result" };
            (kind, Some(*transition), Some(frame))
        }
        Message::Plan(..) => ("plan", None, None),
        Message::Input(..) => ("parameters", None, None),
        Message::Stop(..) => ("stop", None, None),
        Message::Done(_) => ("done", None, None),
        Message::Report(..) => ("report", None, None),
        Message::Refused(..) => ("refused", None, None),
        _ => return None,
    })
}

fn value(message: &Message) -> Option<Vec<Bytes>> {
    let encoded: Vec<&Encoded> = match message {
        Message::Token(_, _, _, Payload::Value(value))
        | Message::Item(_, _, _, value)
        | Message::Made(_, _, _, value)
        | Message::Ended(_, _, _, Ending::Value(value) | Ending::Found(value) | Ending::Streamed(Some(value))) => {
            vec![value]
        }
        Message::Input(_, params) => params.iter().map(|(_, value)| value).collect(),
        _ => return None,
    };
    let parts = encoded.into_iter().flat_map(|value| {
        let buffers = value.buffers.iter().filter_map(|buffer| match buffer {
            Buffer::Inline(bytes) => Some(bytes.clone()),
            Buffer::Segment { .. } => None,
        });
        std::iter::once(value.head.clone()).chain(buffers)
    });
    Some(parts.collect())
}
