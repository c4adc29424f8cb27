//! Does a value that could not be sent leave behind what was laid out for it?

mod bytes;

use std::collections::HashMap;

use bytes::{Bytes, Plain};
use dfm_net::{Argument, Block, Net, NodeId, Place, Source, Step, Transition};
use dfm_runtime::{Event, Host, Incoming, Leaving, Link, Outgoing, Site, TransferError};

const SHARED: usize = 128;
const SEGMENT: usize = 64 << 10;
/// Zeros that nobody looks at take no memory.
const TOO_LARGE: usize = 0xFF00_0001;

/// Its values have as many shared parts as a packet takes, and one more that is larger than any packet.
struct Wide;

impl Host for Wide {
    type Value = Bytes;

    fn encode(&mut self, _: &Bytes, _: Option<&Leaving>) -> Result<Outgoing, TransferError> {
        let mut buffers: Vec<_> = (0..SHARED).map(|_| vec![1; SEGMENT].into()).collect();
        buffers.push(vec![0; TOO_LARGE].into());
        Ok(Outgoing { head: vec![], buffers, warning: None, digest: None })
    }

    fn now(&self) -> f64 {
        Plain.now()
    }

    fn decode(&mut self, value: Incoming, from: &str) -> Result<Bytes, TransferError> {
        Plain.decode(value, from)
    }
}

fn segments() -> usize {
    let open =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    open.filter(|target| target.to_string_lossy().starts_with("/memfd:dfm")).count()
}

#[test]
fn what_was_lent_for_a_value_that_cannot_be_sent_is_used_again() {
    let mut site = Site::new("home".into(), None, Wide);
    let (here, _there) = Link::pair().unwrap();
    site.add_link("a", here).unwrap();
    let step = Step::Yield { node: NodeId::Name("out".into()), place: "answer".into(), value: Argument::Slot(0) };
    let net = |site: &str, source| Net {
        site: site.into(),
        blocks: vec![Block::body()],
        places: vec![Place { transition: 0, slot: 0, block: 0, source }],
        transitions: vec![Transition { step: step.clone(), block: 0, outputs: vec![] }],
    };
    let nets = vec![net("home", Source::Site("a".into())), net("a", Source::Param("x".into()))];
    site.open(1, "job", nets, &HashMap::new());
    let params = HashMap::from([("x".to_owned(), Bytes(vec![]))]);
    site.start(1, &params);
    let once = segments();
    assert!((1..=SHARED).contains(&once), "parts of it were shared: {once}");
    for _ in 0..3 {
        site.start(1, &params);
    }
    assert_eq!(segments(), once);
    let refused = site.take_events().into_iter().filter(|event| matches!(event, Event::Reported(1, _))).count();
    assert_eq!(refused, 4);
}
