//! Is a large value that goes to several sites written once?

mod bytes;

use std::collections::HashMap;

use bytes::{Bytes, Plain};
use dfm_net::{Argument, Block, Net, NodeId, Place, Source, Step, Transition};
use dfm_runtime::{Carried, Hole, Host, Incoming, Leaving, Link, Outgoing, Site, TransferError};

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

/// What shows a parameter at the site, named so.
fn net(site: &str, source: Source) -> Net {
    Net {
        site: site.into(),
        blocks: vec![Block::body()],
        places: vec![Place { transition: 0, slot: 0, block: 0, source }],
        transitions: vec![Transition {
            step: Step::Yield { node: NodeId::Name("out".into()), place: "answer".into(), value: Argument::Slot(0) },
            block: 0,
            outputs: vec![],
        }],
    }
}

/// How many segments a parameter for two sites takes, and how many the next one does when both have let go of it.
fn taken(lasting: bool) -> (usize, usize) {
    let mut site = Site::new("home".into(), None, Single { large: vec![7; LARGE].into(), lasting });
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

/// Home with pipes to three sites, that are sent one parameter, and what it is to each of them.
fn piped(shares: bool, lost: Option<&str>) -> Vec<Carried> {
    let mut home = Site::new("home".into(), None, Single { large: vec![7; LARGE].into(), lasting: true });
    if shares {
        home.share_parts();
    }
    let names = ["a", "b", "c"];
    names.iter().for_each(|name| home.add_pipe(name));
    let nets = names.iter().map(|name| net(name, Source::Param("x".into()))).collect();
    home.open(1, "job", nets, &HashMap::new());
    let params = HashMap::from([("x".to_owned(), Bytes(vec![]))]);
    for _ in 0..2 {
        home.start(1, &params);
    }
    lost.into_iter().for_each(|site| home.close_link(site));
    let packets = home.take_packets();
    assert!(home.take_packets().is_empty());
    packets
}

/// What each site gets once its packets' holes are filled.
fn filled(packets: &[Carried]) -> Vec<(String, Vec<u8>)> {
    let fill = |Carried { to, bytes, holes }: &Carried| {
        let (mut whole, mut from) = (vec![], 0);
        for &Hole { at, packet, begin, len } in holes {
            whole.extend_from_slice(&bytes[from..at]);
            whole.extend_from_slice(&packets[packet].bytes[begin..begin + len]);
            from = at;
        }
        whole.extend_from_slice(&bytes[from..]);
        (to.clone(), whole)
    };
    packets.iter().filter(|packet| !packet.to.is_empty()).map(fill).collect()
}

#[test]
fn what_goes_to_several_by_pipes_is_in_one_packet_and_holes_are_filled_from_there() {
    let (apart, shared) = (piped(false, None), piped(true, None));
    assert!(apart.iter().all(|packet| packet.holes.is_empty()));
    assert_eq!(filled(&shared), filled(&apart));
    let large = |packets: &[Carried]| packets.iter().filter(|packet| packet.bytes.len() >= LARGE).count();
    // Between two sets, whoever made the value may have changed it.
    assert_eq!((large(&apart), large(&shared)), (6, 2));
}

#[test]
fn a_site_that_is_lost_takes_nothing_from_the_others_packets() {
    for lost in ["a", "b", "c"] {
        let others: Vec<_> = filled(&piped(false, None)).into_iter().filter(|(to, _)| to != lost).collect();
        let told: Vec<_> =
            filled(&piped(true, Some(lost))).into_iter().filter(|(_, bytes)| bytes.len() >= LARGE).collect();
        assert_eq!(told, others.into_iter().filter(|(_, bytes)| bytes.len() >= LARGE).collect::<Vec<_>>());
    }
}
