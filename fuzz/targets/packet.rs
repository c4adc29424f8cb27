//! Do any bytes make the reader of messages panic, or mean something else once they are written again?

#![no_main]

use dfm_fuzz::{HOME, PLANS, write_seeds};
use dfm_net::{Asked, Counted, Counts, Failure, Frame, Measured, NodeId, Noted, Trace, WaitingFiring};
use dfm_wire::{Buffer, Encoded, Ending, Message, Order, Outline, Payload, Running, Unfinished};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: write_seeds("packet", seeds().iter().map(Message::to_bytes)),
    |packet: &[u8]| {
        let outline = Outline::of(HOME, packet);
        assert_eq!(Outline::from_bytes(&outline.to_bytes()), Some(outline.clone()));
        let _ = Outline::from_bytes(packet);
        let order = Order::of(packet);
        let Ok(message) = Message::from_bytes(packet) else { return };
        let written = message.to_bytes();
        // Not the message itself: a time that is no number is not equal to itself.
        let again = Message::from_bytes(&written).expect("what dfm writes, it reads").to_bytes();
        assert_eq!(again, written);
        assert_eq!(outline.kept().is_some(), is_kept(&message), "who keeps it reads it as who acts on it");
        let ordered = match message {
            Message::Open(job, ..) => Some(Order::Net(job)),
            Message::Start(job, ..) => Some(Order::Params(job)),
            Message::Cancel(job) => Some(Order::Cancel(job)),
            _ => None,
        };
        assert_eq!(order, ordered, "who checks who has signed for it reads it as who acts on it");
    }
);

fn is_kept(message: &Message) -> bool {
    !matches!(
        message,
        Message::Setup(_)
            | Message::Link(_)
            | Message::Check(..)
            | Message::Checked(..)
            | Message::Ask(..)
            | Message::Unfinished(..)
            | Message::Open(..)
            | Message::Measure(_)
            | Message::Measured(..)
            | Message::WantReceipt(_)
            | Message::Receipt(..)
            | Message::Asks(..)
            | Message::Note(..)
            | Message::Noted(..)
            | Message::Start(..)
            | Message::Cancel(_)
            | Message::Cancelled(_)
            | Message::Credit(..)
            | Message::Release(_)
            | Message::Bye
    )
}

fn seeds() -> Vec<Message> {
    let frame = || Frame::of_param_set(1).child(2);
    let failure = || Failure {
        site: "a".into(),
        node: Some(NodeId::Name("n".into())),
        operation: Some("x.Y".into()),
        frame: Some(frame()),
        kind: "ValueError".into(),
        message: "no".into(),
        stack_trace: "here".into(),
    };
    let value = || Encoded {
        head: vec![1, 2].into(),
        buffers: vec![Buffer::Inline(vec![3].into()), Buffer::Segment { id: 7, len: 1 << 40 }],
    };
    let payloads = [
        Payload::Signal,
        Payload::Value(value()),
        Payload::Errors(vec![failure(), failure()]),
        Payload::End,
        Payload::Count(3),
        Payload::Missing(failure()),
        Payload::Next(4),
    ];
    let endings = [
        Ending::Value(value()),
        Ending::Streamed(Some(value())),
        Ending::Failed(failure()),
        Ending::Found(value()),
        Ending::NotFound(value()),
    ];
    let unfinished = Unfinished {
        running: vec![Running { transition: 1, frame: frame(), seconds: 0.5, rests: true }],
        waiting: vec![WaitingFiring { transition: 2, frame: frame(), empty: vec![3], more: 4 }],
        more: 1 << 40,
    };
    let asked = Asked { operation: "a.B".into(), provider: None, given: Some("{}".into()), open: vec!["c".into()] };
    let noted = Noted::Sent { node: NodeId::Number(3), frame: frame(), to: "b".to_owned(), at: 1.0, bytes: 5 };
    let more = Noted::More { of: Counted::Sent(NodeId::Number(3), "b".to_owned()), count: 7, bytes: 5 };
    let measured = Measured { node: NodeId::Number(3), frame: frame(), begin: 1.0, seconds: 2.0, bytes: Some(5) };
    let mut seeds = vec![
        Message::Setup("{}".into()),
        Message::Link("b".into()),
        Message::Check(1, vec![asked], vec![vec!["a.B".into()]]),
        Message::Checked(1, vec!["no".into()]),
        Message::Ask(1, 2),
        Message::Unfinished(1, 2, unfinished),
        Message::Measure(1),
        Message::Measured(1, vec![measured]),
        Message::WantReceipt(1),
        Message::Receipt(1, "{}".into()),
        Message::Asks(1, 2, frame(), "0f".into()),
        Message::Note(1, Some(Trace { id: (7, 8), span: 9, sampled: true })),
        Message::Note(2, None),
        Message::Noted(1, vec![noted, more], Counts { known: 2, left_out: 3, ..Counts::default() }),
        Message::Start(1, Frame::of_param_set(0), vec![("x".into(), value())], vec![]),
        Message::Stop(1, 2),
        Message::Cancel(1),
        Message::Cancelled(1),
        Message::Done(1),
        Message::Report(1, failure()),
        Message::Refused(1, failure()),
        Message::Item(1, 2, frame(), value()),
        Message::Credit(1, 2, frame(), 3),
        Message::Release(1),
        Message::Bye,
        Message::Input(1, vec![("x".into(), value())]),
        Message::Made(1, 2, frame(), value()),
    ];
    seeds.extend(payloads.map(|payload| Message::Token(1, 2, frame(), payload)));
    seeds.extend(endings.map(|ending| Message::Ended(1, 2, frame(), ending)));
    for nets in PLANS.iter() {
        seeds.extend(nets.iter().map(|net| Message::Open(1, "p".into(), net.clone().into())));
        seeds.push(Message::Plan(1, "p".into(), nets.clone()));
    }
    seeds
}
