//! Is a large value that goes to several sites written once?

mod bytes;

use std::collections::HashMap;

use bytes::{Bytes, Plain};
use dfm_net::{Argument, Block, Net, NodeId, Place, Source, Step, Transition};
use dfm_runtime::{Host, Incoming, Leaving, Link, Outgoing, Site, TransferError};

const LARGE: usize = 1 << 20;

/// Its values are all one object, of which large parts are at one place or, not `lasting`, at another each time.
struct Single {
    large: ::bytes::Bytes,
    lasting: bool,
}

impl Host for Single {
    type Value = Bytes;

    fn encode(&mut self, _: &Bytes, _: Option<&Leaving>) -> Result<Outgoing, TransferError> {
        let part = if self.lasting { self.large.clone() } else { self.large.to_vec().into() };
        Ok(Outgoing { head: vec![], buffers: vec![part], warning: None, digest: None })
    }

    fn is_same(&self, _: &Bytes, _: &Bytes) -> bool {
        true
    }

    fn now(&self) -> f64 {
        Plain.now()
    }

    fn decode(&mut self, value: Incoming, from: &str) -> Result<Bytes, TransferError> {
        Plain.decode(value, from)
    }
}

/// The shared memory that this process has open, each file once.
fn segments() -> usize {
    let mut files: Vec<(u64, u64)> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let target = std::fs::read_link(&path).ok()?;
            let file = std::fs::metadata(&path).ok()?;
            let at = (std::os::unix::fs::MetadataExt::dev(&file), std::os::unix::fs::MetadataExt::ino(&file));
            target.to_string_lossy().starts_with("/memfd:dfm").then_some(at)
        })
        .collect();
    files.sort_unstable();
    files.dedup();
    files.len()
}

/// How many segments a parameter for two sites takes, and how many the next one does when both have let go of it.
fn taken(lasting: bool) -> (usize, usize) {
    let mut site = Site::new("home".into(), None, Single { large: vec![7; LARGE].into(), lasting });
    let net = |site: &str, source| Net {
        site: site.into(),
        blocks: vec![Block::body()],
        places: vec![Place { transition: 0, slot: 0, block: 0, source }],
        transitions: vec![Transition {
            step: Step::Yield { node: NodeId::Name("out".into()), place: "answer".into(), value: Argument::Slot(0) },
            block: 0,
            outputs: vec![],
        }],
    };
    let mut others = HashMap::new();
    for name in ["a", "b"] {
        let (here, there) = Link::pair().unwrap();
        site.add_link(name, here).unwrap();
        let mut other = Site::new(name.into(), Some("home".into()), Plain);
        other.add_link("home", there).unwrap();
        others.insert(name, other);
    }
    let nets = vec![net("a", Source::Param("x".into())), net("b", Source::Param("x".into()))];
    site.open(1, "job", nets, &HashMap::new());
    let params = HashMap::from([("x".to_owned(), Bytes(vec![]))]);
    site.start(1, &params);
    let first = segments();
    while site.flush().is_none() {}
    for other in others.values_mut() {
        other.readable("home");
        other.take_events();
        while other.flush().is_none() {}
    }
    for name in ["a", "b"] {
        site.readable(name);
    }
    site.start(1, &params);
    (first, segments())
}

#[test]
fn one_that_is_where_it_was_is_written_once_and_one_that_is_not_for_each() {
    assert_eq!(taken(true), (1, 1));
    assert_eq!(taken(false), (2, 2));
}
