//! Has each kind of message the bytes that it had? Where not, the version of dfm has to be another one, too: processes of
//! one version understand each other.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dfm_net::{
    Asked, Block, Counted, Counts, Failure, Frame, Line, Measured, Net, NodeId, Noted, Trace, WaitingFiring,
};
use dfm_wire::{Buffer, Encoded, Ending, Message, Payload, Running, Unfinished};

fn messages() -> Vec<Message> {
    let frame = Frame::of_param_set(3).child(1);
    let failure = Failure {
        site: "orchard".into(),
        node: Some(NodeId::Number(2)),
        operation: Some("trees.Age".into()),
        frame: Some(frame.clone()),
        kind: "ValueError".into(),
        message: "no such tree".into(),
        stack_trace: "line 1".into(),
    };
    let value = Encoded {
        head: Bytes::from(vec![1, 2]),
        buffers: vec![Buffer::Inline(Bytes::from(vec![3])), Buffer::Segment { id: 7, len: 1 << 40 }],
    };
    let net = Net { site: "orchard".into(), blocks: vec![Block::body()], places: vec![], transitions: vec![] };
    let running = Running { transition: 1, frame: frame.clone(), seconds: 0.5, rests: true };
    let waiting = WaitingFiring { transition: 2, frame: frame.clone(), empty: vec![3], more: 4 };
    let measured =
        Measured { node: NodeId::Name("n".into()), frame: frame.clone(), begin: 1.5, seconds: 0.25, bytes: Some(9) };
    let (node, at) = (NodeId::Number(2), frame.clone());
    let line = Line { at: 1.5, level: "INFO".into(), logger: "orchard.pears".into(), text: "ripe".into() };
    let noted = vec![
        Noted::Started { frame: at.clone(), at: 1.5 },
        Noted::Fired { node: node.clone(), frame: at.clone(), waited: 0.5, begin: 1.5, seconds: 0.25, failed: true },
        Noted::Sent { node: node.clone(), frame: at.clone(), to: "home".into(), at: 1.5, bytes: 9 },
        Noted::Said { node: node.clone(), frame: at.clone(), line },
        Noted::Came { node, frame: at, at: 1.5 },
    ];
    let counted = [
        Counted::Started,
        Counted::Done(NodeId::Number(2)),
        Counted::Failed(NodeId::Number(2)),
        Counted::Sent(NodeId::Number(2), "home".into()),
        Counted::Came(NodeId::Name("out".into())),
    ];
    let more = counted.map(|of| Noted::More { of, count: 7, bytes: 9 }).into();
    let payloads = [
        Payload::Signal,
        Payload::Value(value.clone()),
        Payload::Errors(vec![failure.clone()]),
        Payload::End,
        Payload::Count(4),
        Payload::Missing(failure.clone()),
        Payload::Next(5),
    ];
    let endings = [
        Ending::Value(value.clone()),
        Ending::Streamed(None),
        Ending::Failed(failure.clone()),
        Ending::Found(value.clone()),
        Ending::NotFound(value.clone()),
    ];
    let asked = Asked {
        operation: "trees.Age".into(),
        provider: Some("gardener".into()),
        given: Some("{\"ring\":1}".into()),
        open: vec!["tree".into()],
    };
    let mut messages = vec![
        Message::Setup("{}".into()),
        Message::Link("store".into()),
        Message::Check(1, vec![asked], vec![vec!["trees.Age".into()]]),
        Message::Checked(1, vec![String::new()]),
        Message::Ask(1, 2),
        Message::Unfinished(1, 2, Unfinished { running: vec![running], waiting: vec![waiting], more: 6 }),
        Message::Open(2, "job".into(), Arc::new(net.clone())),
        Message::Measure(2),
        Message::Measured(2, vec![measured]),
        Message::WantReceipt(2),
        Message::Receipt(2, "{}".into()),
        Message::Asks(2, 1, frame.clone(), "0f".into()),
        Message::Note(2, None),
        Message::Note(2, Some(Trace { id: (7, 8), span: 9, sampled: true })),
        Message::Noted(2, noted, Counts { known: 3, done: 2, failed: 1, elements: 5, sent: 9, left_out: 4 }),
        Message::Noted(2, more, Counts::default()),
        Message::Start(2, frame.clone(), vec![("age".into(), value.clone())], vec![("kind".into(), failure.clone())]),
        Message::Stop(2, 3),
        Message::Cancel(2),
        Message::Cancelled(2),
        Message::Done(2),
        Message::Report(2, failure.clone()),
        Message::Refused(2, failure),
        Message::Item(2, 4, frame.clone(), value.clone()),
        Message::Credit(2, 4, frame.clone(), 8),
        Message::Release(7),
        Message::Bye,
        Message::Plan(2, "job".into(), vec![net]),
        Message::Input(2, vec![("age".into(), value.clone())]),
        Message::Made(2, 1, frame.clone(), value),
    ];
    messages.extend(payloads.map(|payload| Message::Token(2, 4, frame.clone(), payload)));
    messages.extend(endings.map(|ending| Message::Ended(2, 1, frame.clone(), ending)));
    messages
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn each_kind_of_message_has_the_bytes_that_it_had() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/messages.txt");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let mut written = String::new();
    for message in messages() {
        let hex = message.to_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        writeln!(written, "{hex}").unwrap();
    }
    assert!(
        written == golden,
        "with another version of dfm, these are the lines of tests/golden/messages.txt:\n{written}"
    );
    let read: Vec<Message> = golden.lines().map(|line| Message::from_bytes(&bytes(line)).unwrap()).collect();
    assert_eq!(read, messages());
}
