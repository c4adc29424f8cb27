//! Three sites in one process, over real sockets: what a job's tokens, losses and streams come to.

mod bytes;

use std::collections::HashMap;

use bytes::{Bytes, Plain};
use dfm_net::{
    Arc, Argument, Block, Carry, Counted, Counts, Failure, Frame, Limits, Line, Measured, Net, NodeId, Noted, Outcome,
    Place, Source, Step, Token, Trace, Transition, WaitingFiring,
};
use dfm_runtime::{Call, CallId, Carried, Event, Link, NodeAt, Room, STREAM_WINDOW, Site, Wait, Why};
use dfm_wire::{Buffer, Encoded, Message, Payload, Running, Unfinished};

type TestSite = Site<Plain>;

/// Home and sites `a` and `b`, each linked to the others.
struct Session {
    sites: HashMap<&'static str, TestSite>,
    seen: Vec<Event<Bytes>>,
    calls: Vec<(&'static str, Call<Bytes>)>,
}

const NAMES: [&str; 3] = ["home", "a", "b"];

impl Session {
    fn new() -> Self {
        let mut sites: HashMap<_, _> = NAMES
            .map(|name| {
                let home = (name != "home").then(|| "home".to_owned());
                (name, Site::new(name.to_owned(), home, Plain))
            })
            .into();
        for (one, other) in [("home", "a"), ("home", "b"), ("a", "b")] {
            let (here, there) = Link::pair().unwrap();
            sites.get_mut(one).unwrap().add_link(other, here).unwrap();
            sites.get_mut(other).unwrap().add_link(one, there).unwrap();
        }
        Self { sites, seen: vec![], calls: vec![] }
    }

    /// The same, with packets that the test carries.
    fn piped() -> Self {
        let mut session = Self::new();
        for (one, other) in NAMES.into_iter().flat_map(|one| NAMES.map(|other| (one, other))) {
            if one != other {
                session.site(one).add_pipe(other);
                session.site(one).take_events();
            }
        }
        session
    }

    fn site(&mut self, name: &str) -> &mut TestSite {
        self.sites.get_mut(name).unwrap()
    }

    /// Lets messages flow until nothing moves: the longest silent way is there and back. Due calls wait in `calls`.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 2 * NAMES.len() {
            quiet += 1;
            for name in NAMES {
                let Some(site) = self.sites.get_mut(name) else { continue };
                while site.flush().is_none() {}
                for Carried { to, bytes, .. } in site.take_packets() {
                    self.sites.get_mut(to.as_str()).unwrap().receive_packet(name, &bytes);
                }
                let Some(site) = self.sites.get_mut(name) else { continue };
                for peer in NAMES {
                    site.readable(peer);
                }
                while let Some(call) = site.next_call() {
                    quiet = 0;
                    self.calls.push((name, call));
                }
                for event in site.take_events() {
                    quiet = 0;
                    if let (Event::Closed(lost), "home") = (&event, name) {
                        site.lose(lost, "it was killed");
                    }
                    self.seen.push(event);
                }
            }
        }
    }

    /// Runs every due call with `body` until the job rests.
    fn run(&mut self, body: impl Fn(&str, &Call<Bytes>) -> Outcome<Bytes>) {
        self.settle();
        while let Some((name, call)) = self.calls.pop() {
            let outcome = body(name, &call);
            if let Some(site) = self.sites.get_mut(name) {
                site.complete(call.id, outcome);
            }
            self.settle();
        }
    }

    fn yields(&self) -> Vec<(String, Vec<u32>, Token<Bytes>)> {
        let told = self.seen.iter().filter_map(|event| match event {
            Event::Yielded(from, token) => Some((from.site.clone(), from.frame.levels().to_vec(), token.clone())),
            _ => None,
        });
        told.collect()
    }

    fn reports(&self) -> Vec<Failure> {
        let told = self.seen.iter().filter_map(|event| match event {
            Event::Reported(_, failure) => Some(failure.clone()),
            _ => None,
        });
        told.collect()
    }

    fn ended(&self) -> usize {
        self.seen.iter().filter(|event| matches!(event, Event::Ended(_))).count()
    }
}

fn call(node: u64, outputs: Vec<Arc>) -> Transition {
    let step = Step::Call {
        node: NodeId::Number(node),
        operation: "test.Op".into(),
        provider: None,
        arguments: vec![],
        limits: Limits::default(),
    };
    Transition { step, block: 0, outputs }
}

fn to(site: &str, carry: Carry) -> Vec<Arc> {
    vec![Arc { site: Some(site.into()), place: 0, carry, inward: false }]
}

fn net(site: &str, source: Source, transition: Transition) -> Net {
    Net {
        site: site.into(),
        blocks: vec![Block::body()],
        places: vec![Place { transition: 0, slot: 0, block: 0, source }],
        transitions: vec![transition],
    }
}

/// The parameter `x` goes to `a`, its result to `b`, its result to the application.
fn chain(carry: Carry) -> Vec<Net> {
    let step = Step::Yield { node: NodeId::Name("out".into()), place: "answer".into(), value: Argument::Slot(0) };
    vec![
        net("home", Source::Site("b".into()), Transition { step, block: 0, outputs: vec![] }),
        net("a", Source::Param("x".into()), call(0, to("b", Carry::Value(vec![])))),
        net("b", Source::Site("a".into()), call(1, to("home", carry))),
    ]
}

fn param(bytes: &[u8]) -> HashMap<String, Bytes> {
    HashMap::from([("x".to_owned(), Bytes(bytes.to_vec()))])
}

/// Each site appends its first letter.
fn append(site: &str, call: &Call<Bytes>) -> Outcome<Bytes> {
    let mut bytes = call.inputs[0].clone().unwrap().0;
    bytes.push(site.as_bytes()[0]);
    Outcome::Value(Bytes(bytes))
}

/// Nothing else may come to the site that could have it write what is left.
#[test]
fn a_loss_that_a_site_notices_as_it_writes_is_told_on_at_once() {
    let mut session = Session::new();
    session.site("home").open(1, "waits for a", chain(Carry::Value(vec![])), &HashMap::new());
    let mut sends = chain(Carry::Value(vec![]));
    (sends[1].site, sends[2].site) = ("b".into(), "a".into());
    sends[0].places[0].source = Source::Site("a".into());
    sends[1].transitions[0].outputs = to("a", Carry::Value(vec![]));
    sends[2].places[0].source = Source::Site("b".into());
    session.site("home").open(2, "sends to a", sends, &HashMap::new());
    for job in [1, 2] {
        session.site("home").start(job, &param(b"1"));
        session.site("home").stop(job);
    }
    session.settle();
    session.sites.remove("a");
    let sends = session.calls.iter().position(|(name, _)| *name == "b").expect("it has what it needs");
    let (_, call) = session.calls.remove(sends);
    let b = session.site("b");
    b.complete(call.id, append("b", &call));
    while b.flush().is_none() {}
    session.site("home").readable("b");
    let events = session.site("home").take_events();
    let told = |event: &Event<Bytes>| matches!(event, Event::Yielded(from, Token::Error(_)) if from.job == 1);
    assert!(events.iter().any(told));
}

#[test]
fn a_measured_job_tells_its_calls_before_its_end() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").measure(1);
    for bytes in [&b"1"[..], &[1; 3000], &[255]] {
        session.site("home").start(1, &param(bytes));
    }
    session.site("home").stop(1);
    session.run(append);
    let at = |seen: &[Event<Bytes>], is: &dyn Fn(&Event<Bytes>) -> bool| seen.iter().position(is);
    let measured = at(&session.seen, &|event| matches!(event, Event::Measured(..))).expect("it was measured");
    assert!(measured < at(&session.seen, &|event| matches!(event, Event::Ended(1))).expect("it has ended"));
    let Event::Measured(1, calls, begun) = &session.seen[measured] else { panic!("it is of this job") };
    assert_eq!(begun, &[1e9; 3]);
    let mut bytes: Vec<(NodeId, u32, Option<u64>)> =
        calls.iter().map(|call| (call.node.clone(), call.frame.levels()[0], call.bytes)).collect();
    bytes.sort_by_key(|(node, frame, _)| (*frame, format!("{node:?}")));
    let out = NodeId::Name("out".into());
    let [a, b] = [NodeId::Number(0), NodeId::Number(1)];
    let expected = [
        (out.clone(), 0, None),
        (a.clone(), 0, Some(2)),
        (b.clone(), 0, Some(3)),
        (out.clone(), 1, None),
        (a, 1, Some(3001)),
        (b, 1, Some(3002)),
        (out, 2, None),
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn a_site_is_heard_once_about_what_it_measured() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").measure(1);
    session.site("home").start(1, &param(b"1"));
    session.site("home").stop(1);
    let call =
        |begin| Measured { node: NodeId::Number(1), frame: Frame::of_param_set(0), begin, seconds: 1.0, bytes: None };
    let told = Message::Measured(1, vec![call(f64::NAN), call(5.0), call(f64::INFINITY)]).to_bytes();
    for _ in 0..3 {
        session.site("home").receive_packet("b", &told);
    }
    session.run(append);
    let calls = session.seen.iter().find_map(|event| match event {
        Event::Measured(1, calls, _) => Some(calls),
        _ => None,
    });
    let of_b: Vec<f64> =
        calls.unwrap().iter().filter(|one| one.node == NodeId::Number(1)).map(|one| one.begin).collect();
    assert_eq!(of_b, [5.0], "and what it tells later, at its end, is too late");
}

#[test]
fn a_site_gives_one_part_of_a_receipt_and_only_where_it_is_wanted() {
    let parts = |session: &Session| -> Vec<(u64, String, String)> {
        let told = session.seen.iter().filter_map(|event| match event {
            Event::Receipt(job, site, text) => Some((*job, site.clone(), text.clone())),
            _ => None,
        });
        told.collect()
    };
    for wanted in [true, false] {
        let mut session = Session::piped();
        if wanted {
            session.site("home").want_receipt(1);
        }
        session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(1, &param(b"1"));
        session.site("home").stop(1);
        for (job, text) in
            [(1, "x".repeat((4 << 20) + 1)), (1, "forged".into()), (1, "again".into()), (2, "other".into())]
        {
            session.site("home").receive_packet("b", &Message::Receipt(job, text).to_bytes());
        }
        session.site("a").receive_packet("b", &Message::Receipt(1, "to a".into()).to_bytes());
        session.run(append);
        let told = parts(&session);
        assert_eq!(told.is_empty(), !wanted);
        let of =
            |site: &str| told.iter().filter(|(_, from, _)| from == site).map(|one| one.2.as_str()).collect::<Vec<_>>();
        if wanted {
            assert_eq!(of("b"), ["forged"], "what it says first is its own word, for whoever verifies it");
            assert_eq!(of("a"), ["1 calls, 1 came, 1 left"]);
            assert_eq!(of("home"), ["0 calls, 1 came, 0 left"]);
        }
    }
}

#[test]
fn a_site_is_heard_of_its_own_calls_that_wait_for_a_person_and_not_without_end() {
    let asked = |session: &Session| -> Vec<(String, String)> {
        let told = session.seen.iter().filter_map(|event| match event {
            Event::Asks(1, node, _, request) => Some((node.site.clone(), request.clone())),
            _ => None,
        });
        told.collect()
    };
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    let asks = |job, transition, request: &str| {
        Message::Asks(job, transition, Frame::of_param_set(0), request.into()).to_bytes()
    };
    for forged in [asks(2, 0, "0f"), asks(1, 99, "0f"), asks(1, 0, "\u{1b}[2J"), asks(1, 0, &"f".repeat(65))] {
        session.site("home").receive_packet("b", &forged);
    }
    session.site("a").receive_packet("b", &asks(1, 0, "0f"));
    session.settle();
    assert_eq!(asked(&session), []);
    for _ in 0..20_000 {
        session.site("home").receive_packet("b", &asks(1, 0, "0f"));
    }
    session.settle();
    let heard = asked(&session);
    assert!(heard.len() < 20_000 && heard.iter().all(|(site, request)| site == "b" && request == "0f"));

    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.settle();
    let (site, call) = session.calls.first().map(|(site, call)| (*site, call.id)).unwrap();
    assert_eq!(session.site(site).job_name(1), Some("job"));
    for request in ["0f", ""] {
        session.site(site).asks(call, request.into());
    }
    session.settle();
    assert_eq!(asked(&session), [(site.to_owned(), "0f".to_owned()), (site.to_owned(), String::new())]);
}

#[test]
fn a_site_is_heard_of_its_own_errors_alone_and_not_without_end() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    let told = |node: u64, text: usize| {
        let (operation, message) = (Some("work.Other".into()), "x".repeat(text));
        let forged = Failure { node: Some(NodeId::Number(node)), operation, message, ..failure("a") };
        Message::Report(1, forged).to_bytes()
    };
    session.site("home").receive_packet("b", &told(0, 0));
    session.site("home").receive_packet("b", &told(1, 0));
    session.site("home").receive_packet("c", &told(1, 0));
    session.settle();
    let of_b = NodeId::Number(1);
    let heard: Vec<_> = session.reports().iter().map(|one| (one.site.clone(), one.node.clone())).collect();
    assert_eq!(heard, [("b".into(), None), ("b".into(), Some(of_b))], "node 0 is of 'a', and nobody knows 'c'");
    assert!(session.reports().iter().all(|one| one.operation.as_deref() != Some("work.Other")));
    for _ in 0..100 {
        session.site("home").receive_packet("b", &told(1, 1 << 20));
    }
    session.site("home").receive_packet("a", &told(0, 0));
    session.settle();
    let reports = session.reports();
    assert_eq!(reports.len(), 2 + 64 + 1, "so many fit, the last of which says that there are more");
    assert_eq!((reports[65].kind.as_str(), reports[66].site.as_str()), ("LimitError", "a"), "others are heard");
}

/// What was noted, in words: the site, what it was, of which node.
fn noted(session: &Session) -> Vec<String> {
    let told = session.seen.iter().filter_map(|event| match event {
        Event::Noted(1, site, noted, counts) => Some((site, noted, counts)),
        _ => None,
    });
    let mut words = vec![];
    for (site, noted, _) in told {
        for one in noted {
            words.push(match one {
                Noted::Started { frame, .. } => format!("{site}: {:?} began", frame.levels()),
                Noted::Fired { node, frame, failed, .. } => {
                    format!("{site}: {node:?} fired in {:?}, failed: {failed}", frame.levels())
                }
                Noted::Sent { node, to, bytes, .. } => format!("{site}: {node:?} sent {bytes} bytes to {to}"),
                Noted::Said { node, line, .. } => format!("{site}: {node:?} said {}", line.text),
                Noted::Came { node, .. } => format!("{site}: {node:?} came"),
                Noted::More { of, count, bytes } => format!("more at {site}: {of:?} {count} times, {bytes} bytes"),
            });
        }
    }
    words.sort();
    words
}

/// How far a site was when that was told the last time.
fn counts(session: &Session, of: &str) -> Counts {
    let told = session.seen.iter().rev().find_map(|event| match event {
        Event::Noted(1, site, _, counts) if site == of => Some(*counts),
        _ => None,
    });
    told.unwrap_or_default()
}

fn run_noted(session: &mut Session, frames: usize) {
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").note(1, None);
    for _ in 0..frames {
        session.site("home").start(1, &param(b"1"));
    }
    session.site("home").stop(1);
    session.run(append);
}

#[test]
fn home_hears_before_a_jobs_end_what_happened_in_it() {
    let mut session = Session::piped();
    run_noted(&mut session, 1);
    let expected = [
        "a: Number(0) fired in [0], failed: false",
        "a: Number(0) sent 2 bytes to b",
        "b: Number(1) fired in [0], failed: false",
        "b: Number(1) sent 3 bytes to home",
        "home: Name(\"out\") came",
        "home: [0] began",
    ];
    assert_eq!(noted(&session), expected);
    let at = |sent| Counts { known: 1, done: 1, sent, ..Counts::default() };
    assert_eq!(["a", "b"].map(|site| counts(&session, site)), [at(2), at(3)]);
    assert_eq!(counts(&session, "home"), Counts::default());
    assert!(matches!(session.seen.last(), Some(Event::Ended(1))));
}

#[test]
fn nothing_is_noted_of_a_job_of_which_home_does_not_want_to_hear() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.site("home").stop(1);
    session.run(append);
    assert_eq!((noted(&session), session.ended()), (vec![], 1));
}

#[test]
fn what_a_site_notes_of_a_job_is_bounded_and_the_rest_counted() {
    let mut session = Session::piped();
    run_noted(&mut session, 5000);
    let noted = noted(&session);
    for site in ["a", "b", "home"] {
        let of_site = noted.iter().filter(|word| word.starts_with(&format!("{site}: "))).count();
        assert_eq!((site, of_site), (site, 4096));
        // A firing and a sending of each frame, or its beginning and what came of it.
        assert_eq!(counts(&session, site).left_out, 10_000 - 4096);
    }
    let Counts { known, done, failed, sent, .. } = counts(&session, "b");
    assert_eq!((known, done, failed, sent), (5000, 5000, 0, 15_000));
    // What is not noted one by one is counted by its kind and node.
    for kind in ["fired", "sent"] {
        let of_kind = noted.iter().filter(|word| word.starts_with("b: ") && word.contains(kind)).count();
        let more = most(&noted, "more at b: ", if kind == "fired" { "Done" } else { "Sent" });
        assert_eq!(of_kind + more, 5000);
    }
    let began = noted.iter().filter(|word| word.starts_with("home: ") && word.contains("began")).count();
    assert_eq!(began + most(&noted, "more at home: ", "Started"), 5000);
}

/// The largest count of a kind that was told.
fn most(noted: &[String], site: &str, kind: &str) -> usize {
    let of_kind = noted.iter().filter_map(|word| word.strip_prefix(site)).filter(|word| word.starts_with(kind));
    let count = |word: &str| word.split(" times").next()?.rsplit(' ').next()?.parse().ok();
    of_kind.filter_map(count).max().unwrap_or(0)
}

#[test]
fn a_site_counts_its_own_only_and_is_heard_no_more_often_than_it_tells() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").note(1, None);
    session.site("home").start(1, &param(b"1"));
    let node = NodeId::Number;
    for count in (0..1000).rev() {
        let forged = vec![
            Noted::More { of: Counted::Done(node(0)), count: 7, bytes: 0 },
            Noted::More { of: Counted::Done(NodeId::Name(count.to_string())), count: 7, bytes: 0 },
            Noted::More { of: Counted::Sent(node(1), "nowhere".into()), count: 7, bytes: u64::MAX },
            Noted::More { of: Counted::Started, count: 7, bytes: 0 },
            Noted::More { of: Counted::Came(node(1)), count: 7, bytes: 0 },
            Noted::More { of: Counted::Done(node(1)), count, bytes: 0 },
        ];
        session.site("home").receive_packet("b", &Message::Noted(1, forged, Counts::default()).to_bytes());
    }
    session.settle();
    let expected = ["more at b: Done(Number(1)) 999 times, 0 bytes"];
    assert!(noted(&session).iter().all(|word| word == expected[0]), "{:?}", noted(&session));
    session.site("home").stop(1);
    session.run(append);
    let more: Vec<String> = noted(&session).into_iter().filter(|word| word.starts_with("more")).collect();
    assert_eq!(more, expected);
}

#[test]
fn a_site_is_heard_about_its_own_calls_only_and_no_more_than_it_can_have_noted() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").note(1, None);
    session.site("home").start(1, &param(b"1"));
    let frame = || Frame::of_param_set(0);
    let fired =
        |node, begin, seconds| Noted::Fired { node, frame: frame(), waited: 0.0, begin, seconds, failed: false };
    let sent =
        |to: &str| Noted::Sent { node: NodeId::Number(1), frame: frame(), to: to.into(), at: 1.0, bytes: u64::MAX };
    let forged = vec![
        fired(NodeId::Number(0), 5.0, 1.0),
        fired(NodeId::Name("x".repeat(1000)), 5.0, 1.0),
        fired(NodeId::Number(1), f64::NAN, 1.0),
        fired(NodeId::Number(1), 1e300, 1.0),
        fired(NodeId::Number(1), 5.0, -1.0),
        sent("nowhere"),
        Noted::Started { frame: frame(), at: 1.0 },
        Noted::Came { node: NodeId::Name("out".into()), frame: frame(), at: 1.0 },
        fired(NodeId::Number(1), 5.0, 1.0),
    ];
    let told = Message::Noted(1, forged, Counts { done: 7, ..Counts::default() }).to_bytes();
    session.site("home").receive_packet("b", &told);
    session.settle();
    assert_eq!(noted(&session), ["b: Number(1) fired in [0], failed: false"]);

    // A job that is none, and one that only says again and again how far it is, with numbers that become smaller too.
    let other = Message::Noted(2, vec![fired(NodeId::Number(1), 5.0, 1.0)], Counts::default()).to_bytes();
    session.site("home").receive_packet("b", &other);
    let heard = |session: &Session| session.seen.iter().filter(|event| matches!(event, Event::Noted(..))).count();
    let before = heard(&session);
    for done in (0..10_000).rev() {
        let counts = Counts { done, ..Counts::default() };
        session.site("home").receive_packet("b", &Message::Noted(1, vec![], counts).to_bytes());
    }
    session.settle();
    assert_eq!((heard(&session), counts(&session, "b").done), (before, 7));
    session.site("home").stop(1);
    session.run(append);
    assert_eq!(counts(&session, "b").done, 9_999, "the last that was said is heard at the end");
}

#[test]
fn what_a_site_says_for_its_calls_is_cut_and_bounded_whatever_it_sends() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").note(1, None);
    session.site("home").start(1, &param(b"1"));
    let said = |node, length: usize, at| Noted::Said {
        node: NodeId::Number(node),
        frame: Frame::of_param_set(0),
        line: Line { at, level: "L".repeat(99), logger: "l".repeat(999), text: "é".repeat(length) },
    };
    let forged =
        vec![said(0, 1, 1.0), said(1, 1, f64::NAN), said(1, 3000, 1.0), said(1, 200_000, 1.0), said(1, 1, 2.0)];
    session.site("home").receive_packet("b", &Message::Noted(1, forged, Counts::default()).to_bytes());
    for _ in 0..10 {
        let many = vec![said(1, 1, 1.0); 1000];
        session.site("home").receive_packet("b", &Message::Noted(1, many, Counts::default()).to_bytes());
    }
    session.settle();
    let heard: Vec<&Line> = session
        .seen
        .iter()
        .filter_map(|event| if let Event::Noted(1, _, noted, _) = event { Some(noted) } else { None })
        .flatten()
        .filter_map(|one| if let Noted::Said { line, .. } = one { Some(line) } else { None })
        .collect();
    assert!(heard.iter().all(|line| line.text.chars().count() <= 2001 && line.logger.len() < 210), "cut");
    assert_eq!(heard.len(), 1, "who says more than may be said is not heard any more");
}

/// How often it was heard what `a` has said of its call while that ran: by home, and by its own host.
fn heard_of_what_was_said(notes_all: bool, wanted: bool, for_home: bool) -> usize {
    let mut session = Session::piped();
    if notes_all {
        session.site("a").note_all();
    }
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    if wanted {
        session.site("home").note(1, None);
    }
    session.site("home").start(1, &param(b"1"));
    session.site("home").stop(1);
    session.settle();
    let call = session.calls.iter().find(|(site, _)| *site == "a").map(|(_, call)| call.id).unwrap();
    let line = Line { at: 1.0, level: "INFO".into(), logger: "l".into(), text: "ripe".into() };
    assert_eq!(session.site("a").origin(call), Some((1, &NodeId::Number(0), &Frame::of_param_set(0))));
    session.site("a").said(call, line, for_home);
    session.run(append);
    let heard = session.seen.iter().filter(|event| match event {
        Event::Noted(1, site, noted, _) if site == "a" => noted.iter().any(|noted| matches!(noted, Noted::Said { .. })),
        _ => false,
    });
    heard.count()
}

#[test]
fn what_a_site_notes_for_itself_is_not_for_home() {
    for (notes_all, wanted, for_home, heard) in [
        (false, false, true, 0),
        (false, true, true, 1),
        (false, true, false, 0),
        (true, false, true, 1),
        (true, true, true, 2),
        (true, true, false, 1),
    ] {
        assert_eq!(heard_of_what_was_said(notes_all, wanted, for_home), heard, "{notes_all} {wanted} {for_home}");
    }
}

#[test]
fn a_site_takes_no_trace_that_there_cannot_be_and_none_from_others_than_home() {
    let trace = |id, span| Trace { id, span, sampled: true };
    let traced = |session: &Session| session.seen.iter().filter(|event| matches!(event, Event::Traced(..))).count();
    for (notes_all, from, of, told) in [
        (true, "home", trace((1, 2), 3), 1),
        (false, "home", trace((1, 2), 3), 0),
        (true, "home", trace((0, 0), 3), 0),
        (true, "home", trace((1, 2), 0), 0),
        (true, "b", trace((1, 2), 3), 0),
    ] {
        let mut session = Session::piped();
        if notes_all {
            session.site("a").note_all();
        }
        session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.settle();
        session.site("a").receive_packet(from, &Message::Note(1, Some(of)).to_bytes());
        session.settle();
        assert_eq!(traced(&session), told, "{notes_all} {from} {of:?}");
    }
}

#[test]
fn tokens_pass_from_site_to_site_in_every_frame_of_every_job() {
    for session in [Session::new(), Session::piped()] {
        tokens_pass(session);
    }
}

fn tokens_pass(mut session: Session) {
    let large = vec![1; 300_000];
    for job in [1, 2] {
        session.site("home").open(job, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(job, &param(b"1"));
        session.site("home").start(job, &param(&large));
        session.site("home").stop(job);
    }
    session.run(append);
    let mut yields = session.yields();
    yields.sort_by_key(|(_, frame, _)| frame.clone());
    let large = [large.as_slice(), b"ab"].concat();
    let expected = [(0, b"1ab".to_vec()), (0, b"1ab".to_vec()), (1, large.clone()), (1, large)];
    for ((site, frame, token), (index, bytes)) in yields.into_iter().zip(expected) {
        assert_eq!((site.as_str(), frame, token), ("b", vec![index], Token::Value(Bytes(bytes))));
    }
    assert_eq!(session.ended(), 2);
    assert!(session.reports().is_empty());
}

#[test]
fn a_site_that_dies_is_an_error_in_every_frame_that_needs_it() {
    let mut session = Session::new();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.settle();
    session.sites.remove("a");
    session.run(append);
    session.site("home").start(1, &param(b"2"));
    session.site("home").stop(1);
    session.run(append);
    for (_, _, token) in session.yields() {
        assert!(matches!(&token, Token::Error(errors) if errors[0].site == "a"), "{token:?}");
    }
    assert_eq!(session.yields().len(), 2);
    let reports = session.reports();
    assert_eq!(reports.len(), 1, "the loss is told once");
    assert_eq!((reports[0].site.as_str(), reports[0].message.as_str()), ("a", "it was killed"));
    assert_eq!(session.ended(), 1);

    let (here, there) = Link::pair().unwrap();
    let (left, right) = Link::pair().unwrap();
    let mut fresh = Site::new("a".into(), Some("home".into()), Plain);
    fresh.add_link("home", there).unwrap();
    fresh.add_link("b", left).unwrap();
    session.site("home").add_link("a", here).unwrap();
    session.site("home").introduce("b", "a", right);
    session.sites.insert("a", fresh);
    session.site("home").open(2, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(2, &param(b"3"));
    session.site("home").stop(2);
    session.run(append);
    assert_eq!(session.yields().pop().unwrap().2, Token::Value(Bytes(b"3ab".to_vec())), "a fresh process serves");
    assert_eq!(session.ended(), 2);
}

#[test]
fn what_cannot_be_sent_or_read_is_an_error_of_its_node() {
    for (byte, kind, site) in [(255, "EncodingError", "a"), (254, "DecodingError", "b")] {
        let mut session = Session::new();
        session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(1, &param(b"1"));
        session.site("home").stop(1);
        session.run(|_, _| Outcome::Value(Bytes(vec![byte])));
        let reports = session.reports();
        assert_eq!(reports.len(), 1, "{kind}");
        assert_eq!((reports[0].kind.as_str(), reports[0].site.as_str()), (kind, site));
        assert!(matches!(session.yields()[0].2, Token::Error(_)));
        assert_eq!(session.ended(), 1);
    }
}

#[test]
fn a_cancelled_job_is_forgotten_everywhere_and_others_go_on() {
    let mut session = Session::new();
    for job in [1, 2] {
        session.site("home").open(job, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(job, &param(b"1"));
        session.site("home").stop(job);
    }
    session.settle();
    let mut sites = session.site("home").cancel(1);
    sites.sort();
    assert_eq!(sites, ["a", "b"]);
    session.run(append);
    let abandoned: Vec<CallId> = session
        .seen
        .iter()
        .filter_map(|event| if let Event::Abandoned(calls) = event { Some(calls[0]) } else { None })
        .collect();
    assert_eq!(abandoned.len(), 1, "job 1 had a call under way at a");
    assert_eq!(session.seen.iter().filter(|event| matches!(event, Event::Cancelled(_, 1))).count(), 2);
    assert_eq!(session.yields().len(), 1);
    assert_eq!(session.ended(), 1);
}

#[test]
fn a_stream_runs_ahead_only_as_far_as_its_window() {
    let mut session = Session::new();
    session.site("home").open(1, "job", chain(Carry::Stream(Some("answer".into()))), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.site("home").stop(1);
    session.settle();
    let (name, first) = session.calls.pop().unwrap();
    session.site(name).complete(first.id, Outcome::Value(Bytes(vec![])));
    session.settle();
    let (name, stream) = session.calls.pop().unwrap();
    assert_eq!(name, "b");
    assert!(!session.site(name).gathers(stream.id));
    let mut sent = 0;
    while session.site(name).item(stream.id, &Bytes(vec![])) == Room::More {
        sent += 1;
    }
    assert_eq!(sent + 1, STREAM_WINDOW);
    session.settle();
    assert!(!session.seen.iter().any(|event| matches!(event, Event::Room(_))));
    let items = session.seen.iter().filter(|event| matches!(event, Event::Item(..))).count() as u64;
    assert_eq!(items, STREAM_WINDOW);
    session.site("home").consumed(1, 0, &Frame::of_param_set(0), items);
    session.settle();
    assert!(session.seen.iter().any(|event| matches!(event, Event::Room(call) if *call == stream.id)));
    session.site(name).complete(stream.id, Outcome::Streamed(None));
    session.settle();
    assert_eq!(session.yields().pop().unwrap().2, Token::End);
    assert_eq!(session.ended(), 1);
    assert_eq!(session.site(name).item(stream.id, &Bytes(vec![])), Room::Gone);
}

fn node_at(site: &str, node: impl Into<Option<u64>>, label: &str) -> NodeAt {
    let node = node.into().map_or(NodeId::Name("out".into()), NodeId::Number);
    NodeAt { site: site.into(), node, label: label.into() }
}

/// What a job waits for, as home learns it of itself and then of the others.
fn waits(session: &mut Session) -> Vec<Wait> {
    let (mut waits, _, asked) = session.site("home").ask(7, 1);
    session.settle();
    let mut answered = vec![];
    for event in session.seen.drain(..) {
        if let Event::Unfinished(site, 7, more, 0) = event {
            answered.push(site);
            waits.extend(more);
        }
    }
    let sorted = |mut sites: Vec<String>| {
        sites.sort();
        sites
    };
    assert_eq!(sorted(answered), sorted(asked));
    waits.sort_by_key(|wait| wait.node.site.clone());
    waits
}

#[test]
fn a_job_that_waits_says_which_node_waits_for_which() {
    for mut session in [Session::new(), Session::piped()] {
        session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(1, &param(b"1"));
        session.site("home").stop(1);
        session.settle();
        let frame = Frame::of_param_set(0);
        let (a, b) = (node_at("a", 0, "test.Op"), node_at("b", 1, "test.Op"));
        let out = node_at("home", None, "yield answer");
        let runs = Why::Runs { seconds: 0.0, rests: false };
        let needs = |node: &NodeAt| Why::Needs { nodes: vec![node.clone()], more: 0 };
        let wait = |node: &NodeAt, why| Wait { node: node.clone(), frame: frame.clone(), why };
        assert_eq!(waits(&mut session), [wait(&a, runs.clone()), wait(&b, needs(&a)), wait(&out, needs(&b))]);
        let (name, call) = session.calls.pop().unwrap();
        session.site(name).complete(call.id, Outcome::Value(Bytes(vec![])));
        session.settle();
        assert_eq!(waits(&mut session), [wait(&b, runs), wait(&out, needs(&b))]);
        session.run(|_, _| Outcome::Value(Bytes(vec![])));
        assert_eq!(waits(&mut session), []);
    }
}

#[test]
fn a_generator_that_is_ahead_rests() {
    let mut session = Session::new();
    session.site("home").open(1, "job", chain(Carry::Stream(Some("answer".into()))), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.settle();
    let (name, first) = session.calls.pop().unwrap();
    session.site(name).complete(first.id, Outcome::Value(Bytes(vec![])));
    session.settle();
    let (name, stream) = session.calls.pop().unwrap();
    while session.site(name).item(stream.id, &Bytes(vec![])) == Room::More {}
    let waits = waits(&mut session);
    assert_eq!(waits[0].why, Why::Runs { seconds: 0.0, rests: true });
    assert_eq!(waits[1].why, Why::Needs { nodes: vec![node_at("b", 1, "test.Op")], more: 0 });
}

#[test]
fn what_a_site_says_of_nodes_that_it_has_not_is_left_out() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    let frame = Frame::of_param_set(0);
    let running = Running { transition: 9, frame: frame.clone(), seconds: 1.0, rests: false };
    let waiting = |transition, empty| WaitingFiring { transition, frame: frame.clone(), empty, more: 0 };
    let told = Unfinished { running: vec![running], waiting: vec![waiting(9, vec![0]), waiting(0, vec![9])], more: 3 };
    session.site("home").take_events();
    session.site("home").receive_packet("b", &Message::Unfinished(5, 1, told).to_bytes());
    let known = Wait { node: node_at("b", 1, "test.Op"), frame, why: Why::Needs { nodes: vec![], more: 0 } };
    let events = session.site("home").take_events();
    assert!(
        matches!(&events[..], [Event::Unfinished(site, 5, waits, 3)] if site == "b" && waits[..] == [known.clone()])
    );
}

#[test]
fn a_site_heeds_only_whom_a_message_may_come_from() {
    let mut session = Session::piped();
    let net_of_a = chain(Carry::Value(vec![])).swap_remove(1);
    let frame = Frame::of_param_set(0);
    let value = Payload::Value(Encoded { head: vec![].into(), buffers: vec![Buffer::Inline(vec![1].into())] });
    session.site("a").receive_packet("b", &Message::Open(1, "job".into(), net_of_a.into()).to_bytes());
    session.site("a").receive_packet("b", &Message::Bye.to_bytes());
    session.site("a").receive_packet("b", &Message::Ask(1, 1).to_bytes());
    session.site("a").receive_packet("home", &Message::Unfinished(1, 1, Unfinished::default()).to_bytes());
    session.site("a").receive_packet("home", &Message::Report(1, failure("b")).to_bytes());
    session.site("a").receive_packet("stranger", &Message::Bye.to_bytes());
    assert!(session.site("a").take_events().is_empty());

    session.site("home").open(2, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(2, &param(b"1"));
    session.settle();
    session.site("b").receive_packet("home", &Message::Token(2, 0, frame.clone(), value.clone()).to_bytes());
    session.site("a").receive_packet("b", &Message::Token(2, 0, frame, value).to_bytes());
    session.settle();
    let due: Vec<&str> = session.calls.iter().map(|(site, _)| *site).collect();
    assert_eq!(due, ["a"], "neither forged token has made a call due");
}

#[test]
fn a_home_that_says_it_began_less_than_it_did_leaves_no_call_without_its_job() {
    let mut session = Session::piped();
    let net_of_a = chain(Carry::Value(vec![])).swap_remove(1);
    let site = session.site("a");
    site.receive_packet("home", &Message::Open(1, "job".into(), net_of_a.into()).to_bytes());
    for index in [0, 1] {
        let value = Encoded { head: vec![].into(), buffers: vec![Buffer::Inline(vec![1].into())] };
        let start = Message::Start(1, Frame::of_param_set(index), vec![("x".into(), value)], vec![]);
        site.receive_packet("home", &start.to_bytes());
    }
    let begun = site.next_call().expect("both are due").id;
    site.receive_packet("home", &Message::Stop(1, 0).to_bytes());
    assert!(site.next_call().is_none());
    let events = site.take_events();
    assert!(events.iter().any(|event| matches!(event, Event::Abandoned(calls) if calls.contains(&begun))));
}

#[test]
fn a_net_that_does_not_fit_is_refused_with_an_error() {
    let mut session = Session::piped();
    let mut nets = chain(Carry::Value(vec![]));
    nets[1].places[0].transition = 9;
    session.site("home").open(1, "job", nets, &HashMap::new());
    session.settle();
    let reports = session.reports();
    assert_eq!((reports[0].site.as_str(), reports[0].kind.as_str()), ("a", "PlanRefusedError"));
}

fn failure(site: &str) -> Failure {
    Failure {
        site: site.into(),
        node: None,
        operation: None,
        frame: None,
        kind: "ValueError".into(),
        message: String::new(),
        stack_trace: String::new(),
    }
}

fn limited(limits: dfm_runtime::Limits) -> Session {
    let mut session = Session::new();
    session.site("a").limit(limits, []);
    session
}

#[test]
fn a_job_with_more_frames_than_a_site_takes_is_refused_there_and_ends_and_others_go_on() {
    let mut session = limited(dfm_runtime::Limits { frames_per_job: 1, ..Default::default() });
    for job in [1, 2] {
        session.site("home").open(job, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(job, &param(b"1"));
    }
    session.site("home").start(1, &param(b"2"));
    session.site("home").stop(1);
    session.site("home").stop(2);
    session.run(append);
    let reports = session.reports();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].site.as_str(), reports[0].kind.as_str()), ("a", "LimitError"));
    for word in ["site 'a'", "no more than 1 sets", "`frames-per-job`", "local/policy.yaml"] {
        assert!(reports[0].message.contains(word), "{}", reports[0].message);
    }
    assert_eq!(session.ended(), 2, "nobody waits for the site that refuses");
    let values = session.yields().iter().filter(|(_, _, token)| matches!(token, Token::Value(_))).count();
    assert_eq!((session.yields().len(), values), (3, 1), "the other job has its value");
}

#[test]
fn tokens_of_parameter_sets_that_never_begin_are_kept_up_to_a_limit() {
    let signal = |set| Message::Token(1, 0, Frame::of_param_set(set), Payload::Signal).to_bytes();
    let told = |text: usize| {
        let long = Failure { message: "x".repeat(text), ..failure("a") };
        move |set| Message::Token(1, 0, Frame::of_param_set(set), Payload::Errors(vec![long.clone()])).to_bytes()
    };
    let most = dfm_runtime::Limits { frames_per_job: 100, buffered_bytes: 50_000, ..Default::default() };
    type Token = Box<dyn Fn(u32) -> Vec<u8>>;
    let floods: [(Token, u32, usize); 3] =
        [(Box::new(signal), 0, 48), (Box::new(told(20_000)), 0, 2), (Box::new(signal), 90, 10)];
    for (token, first, kept) in floods {
        let mut session = Session::piped();
        session.site("b").limit(most.clone(), []);
        let mut net_of_b = chain(Carry::Value(vec![])).swap_remove(2);
        net_of_b.places.push(Place { transition: 0, slot: 1, block: 0, source: Source::Site("home".into()) });
        session.site("b").receive_packet("home", &Message::Open(1, "job".into(), net_of_b.into()).to_bytes());
        let refused = |site: &mut TestSite| {
            let told = site.take_packets().into_iter().filter_map(|packet| Message::from_bytes(&packet.bytes).ok());
            told.filter(|told| matches!(told, Message::Report(1, failure) if failure.kind == "LimitError")).count()
        };
        let mut taken = 0;
        for set in first..=100 {
            session.site("b").receive_packet("a", &token(set));
            if refused(session.site("b")) > 0 {
                break;
            }
            taken += 1;
        }
        assert_eq!(taken, kept, "then its sender is taken for lost");
    }
}

#[test]
fn a_token_of_a_parameter_set_that_home_has_not_begun_costs_its_sender() {
    let mut session = Session::piped();
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    let token = Message::Token(1, 0, Frame::of_param_set(1), Payload::Signal);
    session.site("home").receive_packet("b", &token.to_bytes());
    let events = session.site("home").take_events();
    let beyond = |event: &Event<Bytes>| matches!(event, Event::Reported(1, failure) if failure.site == "b" && failure.message.contains("set 1"));
    assert!(events.iter().any(beyond));
}

#[test]
fn a_job_beyond_those_that_a_site_takes_at_the_same_time_is_refused() {
    let mut session = limited(dfm_runtime::Limits { jobs: 1, ..Default::default() });
    for job in [1, 2] {
        session.site("home").open(job, "job", chain(Carry::Value(vec![])), &HashMap::new());
        session.site("home").start(job, &param(b"1"));
        session.site("home").stop(job);
    }
    session.run(append);
    assert!(session.reports()[0].message.contains("no more than 1 jobs"));
    assert_eq!((session.reports().len(), session.ended()), (1, 2));
    session.site("home").open(3, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(3, &param(b"3"));
    session.site("home").stop(3);
    session.run(append);
    assert_eq!(session.yields().pop().unwrap().2, Token::Value(Bytes(b"3ab".to_vec())), "there is room again");
}

#[test]
fn calls_of_a_job_are_counted_and_each_new_try_is_one() {
    let mut session = limited(dfm_runtime::Limits { calls_per_job: 3, ..Default::default() });
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.settle();
    let (_, call) = session.calls.pop().unwrap();
    assert!(session.site("a").again(call.id) && session.site("a").again(call.id));
    assert!(!session.site("a").again(call.id), "that would be a fourth one");
    assert!(!session.site("a").again(call.id));
    session.site("home").stop(1);
    session.run(append);
    assert!(session.reports()[0].message.contains("`calls-per-job`"));
    assert_eq!((session.reports().len(), session.ended()), (1, 1));
}

#[test]
fn a_generator_without_an_end_is_ended() {
    let mut session = Session::new();
    session.site("b").limit(dfm_runtime::Limits { items_per_call: 10, ..Default::default() }, []);
    session.site("home").open(1, "job", chain(Carry::Stream(Some("answer".into()))), &HashMap::new());
    session.site("home").start(1, &param(b"1"));
    session.site("home").stop(1);
    session.settle();
    let (_, first) = session.calls.pop().unwrap();
    session.site("a").complete(first.id, Outcome::Value(Bytes(vec![])));
    session.settle();
    let (_, stream) = session.calls.pop().unwrap();
    let more = (0..20).filter(|_| session.site("b").item(stream.id, &Bytes(vec![])) == Room::More).count();
    assert_eq!(more, 10);
    session.settle();
    assert!(session.reports()[0].message.contains("no more than 10 items"));
    assert_eq!((session.reports().len(), session.ended()), (1, 1));
}

#[test]
fn no_more_calls_begin_than_may_run_at_the_same_time() {
    let mut session = limited(dfm_runtime::Limits { calls_at_once: 2, ..Default::default() });
    session.site("home").open(1, "job", chain(Carry::Value(vec![])), &HashMap::new());
    for _ in 0..5 {
        session.site("home").start(1, &param(b"1"));
    }
    session.site("home").stop(1);
    session.settle();
    assert_eq!(session.calls.len(), 2);
    session.run(append);
    assert_eq!((session.yields().len(), session.ended()), (5, 1), "all had their turn");
}
