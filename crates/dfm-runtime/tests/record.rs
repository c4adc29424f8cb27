//! A home that is killed at any time, any number of times: does its application get what it would have got anyway?

mod bytes;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::{Bytes, Plain};
use dfm_net::{
    Arc, Argument, Block, Carry, Failure, Frame, Limits, Net, NodeId, Outcome, Place, Source, Step, Token, Transition,
    TransitionId,
};
use dfm_runtime::{Call, CallId, Carried, Event, Keeper, Packet, Room, Site, Wait, Why, read_answer};
use dfm_wire::{Message, Outline, Payload, Series, Unfolded, unfold};
use proptest::prelude::*;

const JOB: u64 = 1;
const FRAMES: u8 = 3;
const ITEMS: u8 = 4;
const OTHERS: [&str; 2] = ["a", "b"];

/// A `Yield` in one frame.
type Key = (TransitionId, Vec<u32>);

/// Home, the sites `a` and `b`, the keeper between them, and all that is on its way.
struct World {
    home: Site<Plain>,
    others: HashMap<&'static str, Site<Plain>>,
    keeper: Keeper,
    /// Lost with home: what it has sent and the keeper has not got, the other way round, and what it has to do.
    from_home: VecDeque<(String, Vec<u8>)>,
    to_home: VecDeque<(String, Vec<u8>)>,
    given: VecDeque<(Key, Vec<u8>)>,
    home_calls: VecDeque<Call<Bytes>>,
    seen: HashMap<Key, u64>,
    skips: HashMap<Key, u64>,
    ended: bool,
    wires: BTreeMap<(String, String), VecDeque<Vec<u8>>>,
    calls: VecDeque<(&'static str, Call<Bytes>)>,
    made: HashSet<(&'static str, TransitionId, Frame)>,
    items: HashMap<(&'static str, CallId), u8>,
    /// What the application remembers.
    had: BTreeMap<Key, Vec<Vec<u8>>>,
}

fn new_home() -> Site<Plain> {
    let mut home = Site::new("home".into(), None, Plain);
    OTHERS.iter().for_each(|site| home.add_pipe(site));
    home.keep_record();
    home
}

/// Packets that share nothing: the site that each is for, and its bytes.
fn whole(packets: Vec<Carried>) -> Vec<(String, Vec<u8>)> {
    packets.into_iter().map(|Carried { to, bytes, .. }| (to, bytes)).collect()
}

fn outline(packet: &[u8]) -> Vec<u8> {
    Outline::of("home", packet).to_bytes()
}

/// A packet as it is kept; here nobody seals it.
fn kept(from: &str, packet: Vec<u8>) -> Packet {
    Packet { from: from.to_owned(), head: outline(&packet), body: Some(packet.into()) }
}

impl World {
    fn new() -> Self {
        let other = |name: &'static str| {
            let mut site = Site::new(name.into(), Some("home".into()), Plain);
            ["home", "a", "b"].iter().filter(|peer| **peer != name).for_each(|peer| site.add_pipe(peer));
            (name, site)
        };
        let mut world = Self {
            home: new_home(),
            others: OTHERS.map(other).into(),
            keeper: Keeper::new(usize::MAX),
            from_home: VecDeque::new(),
            to_home: VecDeque::new(),
            given: VecDeque::new(),
            home_calls: VecDeque::new(),
            seen: HashMap::new(),
            skips: HashMap::new(),
            ended: false,
            wires: BTreeMap::new(),
            calls: VecDeque::new(),
            made: HashSet::new(),
            items: HashMap::new(),
            had: BTreeMap::new(),
        };
        world.home.open(JOB, "job", nets(), &HashMap::new());
        for frame in 0..FRAMES {
            world.home.start(JOB, &HashMap::from([("x".to_owned(), Bytes(vec![frame]))]));
        }
        world.home.stop(JOB);
        // An application knows its job's number only when the keeper knows the job.
        world.collect();
        while let Some((to, packet)) = world.from_home.pop_front() {
            world.pass_on(to, packet);
        }
        world
    }

    /// Lets one thing happen; which one, `choice` says. Whether anything did.
    fn step(&mut self, choice: u8) -> bool {
        self.collect();
        match choice % 7 {
            0 => self.from_home.pop_front().map(|(to, packet)| self.pass_on(to, packet)).is_some(),
            1 => {
                let next = self.to_home.pop_front();
                next.map(|(from, packet)| self.home.receive_packet(&from, &packet)).is_some()
            }
            2 => self.give(),
            3 => {
                let next = self.home_calls.pop_front();
                next.map(|call| self.run("home", call)).is_some()
            }
            4 => {
                let next = self.calls.pop_front();
                next.map(|(site, call)| self.run(site, call)).is_some()
            }
            _ => self.carry(usize::from(choice / 7)),
        }
    }

    /// Takes what the sites want to be sent, called or told.
    fn collect(&mut self) {
        for (&name, site) in &mut self.others {
            for (to, packet) in whole(site.take_packets()) {
                self.wires.entry((name.to_owned(), to)).or_default().push_back(packet);
            }
            for call in std::iter::from_fn(|| site.next_call()) {
                assert!(self.made.insert((name, call.transition, call.frame.clone())), "only home runs anything again");
                self.calls.push_back((name, call));
            }
            site.take_events();
        }
        self.from_home.extend(whole(self.home.take_packets()));
        self.home_calls.extend(std::iter::from_fn(|| self.home.next_call()));
        for event in self.home.take_events() {
            let (of, value) = match event {
                Event::Item(of, value) | Event::Yielded(of, Token::Value(value)) => (of, value.0),
                Event::Ended(_) => {
                    self.ended = true;
                    continue;
                }
                Event::Opened(..) | Event::Yielded(_, Token::End) => continue,
                Event::Over(_) | Event::Room(_) | Event::Abandoned(_) | Event::Unfinished(..) => continue,
                _ => panic!("nothing fails here"),
            };
            let key = (of.transition, of.frame.levels().to_vec());
            let at = self.seen.entry(key.clone()).or_default();
            *at += 1;
            if *at > self.skips.get(&key).copied().unwrap_or(0) {
                self.given.push_back((key, value));
            }
        }
    }

    fn pass_on(&mut self, to: String, packet: Vec<u8>) {
        if to == "home" {
            self.keeper.record(&outline(&packet), kept("home", packet));
        } else {
            self.wires.entry(("home".into(), to)).or_default().push_back(packet);
        }
    }

    /// The application gets a token and acknowledges it.
    fn give(&mut self) -> bool {
        let Some((key, value)) = self.given.pop_front() else { return false };
        let had = self.had.entry(key.clone()).or_default();
        had.push(value);
        let count = had.len() as u64;
        // Every other acknowledgement gets as far as the keeper.
        if count.is_multiple_of(2) {
            self.keeper.acknowledge(JOB, key.0, &Frame::of_param_set(key.1[0]), count);
        }
        true
    }

    /// Lets one packet arrive.
    fn carry(&mut self, choice: usize) -> bool {
        let full: Vec<_> = self.wires.iter().filter(|(_, wire)| !wire.is_empty()).map(|(way, _)| way.clone()).collect();
        let Some((from, to)) = full.get(choice % full.len().max(1)) else { return false };
        let packet = self.wires.get_mut(&(from.clone(), to.clone())).unwrap().pop_front().unwrap();
        if to == "home" {
            let answers = matches!(Message::from_bytes(&packet), Ok(Message::Unfinished(..)));
            let of = self.keeper.take(&outline(&packet), kept(from, packet.clone()));
            assert_eq!(of, (!answers).then_some(JOB), "what is asked is no history");
            self.to_home.push_back((from.clone(), packet));
        } else {
            self.others.get_mut(to.as_str()).unwrap().receive_packet(from, &packet);
        }
        true
    }

    /// Operations append their site's letter; those of number 9 are generators.
    fn run(&mut self, name: &'static str, call: Call<Bytes>) {
        let bytes = call.inputs[0].clone().unwrap().0;
        let site = if name == "home" { &mut self.home } else { self.others.get_mut(name).unwrap() };
        let step = &site.net(JOB).unwrap().transitions[call.transition as usize].step;
        if step.node() != &NodeId::Number(9) {
            site.complete(call.id, Outcome::Value(Bytes([&bytes[..], name.as_bytes()].concat())));
            return;
        }
        let made = self.items.entry((name, call.id)).or_default();
        if *made == ITEMS {
            site.complete(call.id, Outcome::Streamed(None));
            return;
        }
        assert_eq!(site.item(call.id, &Bytes([&bytes[..], &[*made]].concat())), Room::More);
        *made += 1;
        if name == "home" { self.home_calls.push_back(call) } else { self.calls.push_back((name, call)) }
    }

    /// Ends home with all that it holds, and starts another one.
    fn kill(&mut self) {
        self.home = new_home();
        self.from_home.clear();
        self.to_home.clear();
        self.given.clear();
        self.home_calls.clear();
        self.items.retain(|(site, _), _| *site != "home");
        self.ended = false;
        self.seen = HashMap::new();
        let (packets, dropped) = self.recalled();
        for ((transition, frame), dropped) in dropped {
            self.seen.insert((transition, frame.levels().to_vec()), dropped);
        }
        self.skips = self.had.iter().map(|(key, had)| (key.clone(), had.len() as u64)).collect();
        let packets = packets.iter().map(|(from, packet)| (from.as_str(), packet.as_slice()));
        assert!(self.home.replay(packets).is_empty());
    }

    fn recalled(&self) -> Unfolded {
        let history = self
            .keeper
            .history(JOB)
            .map(|one| (one.from.clone(), one.head.clone(), one.body.as_ref().map(|body| body.to_vec())));
        unfold("home", history.collect()).unwrap()
    }

    fn finish(&mut self) {
        let mut quiet = 0;
        while quiet < 7 {
            let moved = (0..7).any(|choice| self.step(choice));
            quiet = if moved { 0 } else { quiet + 1 };
        }
        assert!(self.ended, "the job ends");
    }
}

/// `a` serves a stream of `b`, which goes to the application, and an operation at home, whose result goes to the
/// application and, through `b`, once more. A generator at home streams as well.
fn nets() -> Vec<Net> {
    let call = |node, outputs| {
        let (operation, limits) = ("test.Op".into(), Limits::default());
        let step = Step::Call { node: NodeId::Number(node), operation, provider: None, arguments: vec![], limits };
        Transition { step, block: 0, outputs }
    };
    let to = |site: Option<&str>, place, carry| Arc { site: site.map(str::to_owned), place, carry, inward: false };
    let value = || Carry::Value(vec![]);
    let out = |name: &str| Transition {
        step: Step::Yield { node: NodeId::Name(name.into()), place: name.into(), value: Argument::Slot(0) },
        block: 0,
        outputs: vec![],
    };
    let net = |site: &str, sources: Vec<Source>, transitions| Net {
        site: site.into(),
        blocks: vec![Block::body()],
        places: (0..)
            .zip(sources)
            .map(|(transition, source)| Place { transition, slot: 0, block: 0, source })
            .collect(),
        transitions,
    };
    let from = |site: &str| Source::Site(site.into());
    let param = || Source::Param("x".into());
    let at_home = call(1, vec![to(None, 2, value()), to(Some("b"), 1, value())]);
    vec![
        net(
            "home",
            vec![from("b"), from("a"), Source::Here, from("b"), param(), Source::Here],
            vec![
                out("s"),
                at_home,
                out("h"),
                out("b"),
                call(9, vec![to(None, 5, Carry::Stream(Some("g".into())))]),
                out("g"),
            ],
        ),
        net("a", vec![param()], vec![call(1, vec![to(Some("b"), 0, value()), to(Some("home"), 1, value())])]),
        net(
            "b",
            vec![from("a"), from("home")],
            vec![
                call(9, vec![to(Some("home"), 0, Carry::Stream(Some("s".into())))]),
                call(1, vec![to(Some("home"), 3, value())]),
            ],
        ),
    ]
}

#[test]
fn a_record_whose_plan_nobody_has_made_is_refused_and_its_job_ends() {
    let world = World::new();
    let history = world.recalled().0;
    let damages: [fn(&mut Vec<Net>); 3] = [
        |nets| nets[0].places[1].slot = 50,
        |nets| nets[0].transitions[1].outputs[0].place = 99,
        |nets| nets.push(nets[0].clone()),
    ];
    for damage in damages {
        let kept = history.iter().map(|(from, packet)| match Message::from_bytes(packet) {
            Ok(Message::Plan(job, name, mut nets)) => {
                damage(&mut nets);
                (from.as_str(), Message::Plan(job, name, nets).to_bytes())
            }
            _ => (from.as_str(), packet.clone()),
        });
        let kept: Vec<_> = kept.collect();
        // Whatever else the keeper may say goes on from there.
        let token = Message::Token(JOB, 1, Frame::of_param_set(0), Payload::Signal).to_bytes();
        let mut home = new_home();
        home.replay(kept.iter().map(|(from, packet)| (*from, packet.as_slice())).chain([("a", token.as_slice())]));
        let events = home.take_events();
        assert!(matches!(
            &events[..],
            [Event::Reported(JOB, failure), Event::Ended(JOB)] if failure.kind == "PlanRefusedError"
        ));
    }
}

#[test]
fn a_large_parameter_goes_to_the_keeper_only_on_its_way_to_its_site() {
    let mut nets = nets();
    nets.truncate(2);
    // What `a` makes of its parameter is all that there is to yield.
    nets[0].places = vec![Place { transition: 0, slot: 0, block: 0, source: Source::Site("a".into()) }];
    nets[0].transitions.truncate(1);
    nets[1].transitions[0].outputs =
        vec![Arc { site: Some("home".into()), place: 0, carry: Carry::Value(vec![]), inward: false }];
    let large = Bytes(vec![7; 100_000]);
    let mut home = new_home();
    home.open(JOB, "job", nets, &HashMap::new());
    home.start(JOB, &HashMap::from([("x".to_owned(), large.clone())]));
    home.stop(JOB);
    let (kept, sent): (Vec<_>, Vec<_>) = whole(home.take_packets()).into_iter().partition(|(to, _)| to == "home");
    assert!(kept.iter().all(|(_, packet)| packet.len() < 10_000));
    let history: Vec<_> = kept.iter().map(|(of, packet)| (of.as_str(), packet.as_slice())).collect();
    for got_there in [true, false] {
        let mut site = Site::new("a".into(), Some("home".into()), Plain);
        site.add_pipe("home");
        let start = |packet: &[u8]| matches!(Message::from_bytes(packet), Ok(Message::Start(..)));
        for (_, packet) in sent.iter().filter(|(_, packet)| got_there || !start(packet)) {
            site.receive_packet("home", packet);
        }
        let mut again = new_home();
        again.replay(history.clone());
        whole(again.take_packets())
            .iter()
            .filter(|(to, _)| to == "a")
            .for_each(|(_, said)| site.receive_packet("home", said));
        if got_there {
            let call = site.next_call().unwrap();
            assert_eq!(call.inputs[0], Some(large.clone()));
            site.complete(call.id, Outcome::Value(Bytes(vec![1])));
        }
        assert!(site.next_call().is_none());
        whole(site.take_packets()).iter().for_each(|(_, packet)| again.receive_packet("a", packet));
        let events = again.take_events();
        let missing = |event: &Event<Bytes>| matches!(event, Event::Reported(_, why) if why.kind == "MissingParameter");
        assert_eq!(events.iter().any(missing), !got_there);
        assert!(matches!(events.last(), Some(Event::Ended(JOB))));
    }
}

#[test]
fn a_site_that_is_done_or_tells_more_errors_than_are_kept_is_kept_no_more_of() {
    let mut keeper = Keeper::new(usize::MAX);
    let mut home = new_home();
    home.open(JOB, "job", nets(), &HashMap::new());
    for (to, packet) in whole(home.take_packets()) {
        if to == "home" {
            keeper.record(&outline(&packet), kept("home", packet));
        }
    }
    let report = |text: usize| {
        let message = "x".repeat(text);
        let (site, kind, stack_trace) = ("a".to_owned(), "ValueError".to_owned(), String::new());
        let failure = Failure { site, node: None, operation: None, frame: None, kind, message, stack_trace };
        Message::Report(JOB, failure).to_bytes()
    };
    let mut take = |from: &str, packet: Vec<u8>| keeper.take(&outline(&packet), kept(from, packet));
    let taken = (0..100).filter(|_| take("a", report(1 << 20)).is_some()).count();
    assert_eq!(taken, 63, "64 MiB of them, with what each is beside its text");
    assert_eq!(take("b", report(0)), Some(JOB));
    assert_eq!(take("b", Message::Done(JOB).to_bytes()), Some(JOB));
    assert_eq!(take("b", report(0)), None, "nothing follows from a site that is done");
}

#[test]
fn where_more_is_kept_than_may_be_the_largest_job_is_let_go_of() {
    let mut keeper = Keeper::new(100_000);
    for job in [1, 2] {
        let mut home = new_home();
        home.open(job, "job", nets(), &HashMap::new());
        for (_, packet) in whole(home.take_packets()).into_iter().filter(|(to, _)| to == "home") {
            keeper.record(&outline(&packet), kept("home", packet));
        }
    }
    let head = Outline::Token(1, 0, Frame::of_param_set(0), None).to_bytes();
    let token = |size| Packet { from: "a".to_owned(), head: head.clone(), body: Some(vec![0; size].into()) };
    assert_eq!(keeper.take(&head, token(50_000)), Some(1));
    assert_eq!(keeper.let_go(), None);
    // What the application has had takes no room, and nor does an answer that another has replaced.
    for _ in 0..10 {
        let told = Outline::Unfinished(2).to_bytes();
        keeper.take(&told, Packet { from: "a".to_owned(), head: told.clone(), body: Some(vec![0; 20_000].into()) });
    }
    assert_eq!(keeper.let_go(), None);
    assert_eq!(keeper.take(&head, token(50_000)), Some(1));
    assert_eq!(keeper.let_go(), Some(1), "of which most is kept");
    assert_eq!(keeper.jobs().collect::<Vec<_>>(), [2]);
    assert_eq!(keeper.let_go(), None);
    // Heads and series without values take room too.
    let had = (0..).take_while(|set| {
        keeper.acknowledge(2, 0, &Frame::of_param_set(*set), 1);
        keeper.let_go().is_none()
    });
    assert!(had.count() < 1000);
    assert_eq!(keeper.jobs().count(), 0);
}

#[test]
fn the_keeper_learns_what_a_job_waits_for_whether_home_is_there_or_not() {
    let mut world = World::new();
    while world.step(0) || world.step(5) {}
    for home_is_killed in [false, true] {
        if home_is_killed {
            world.kill();
        }
        let question = Keeper::question(JOB);
        world.keeper.ask(JOB);
        assert_eq!(world.keeper.told(JOB).count(), 0, "earlier answers are of an earlier moment");
        world.others.values_mut().for_each(|site| site.receive_packet("home", &question));
        while world.step(5) {}
        let plan = world.keeper.history(JOB).next().unwrap().body.clone().unwrap().to_vec();
        let read = |site: &str, body: &[u8]| read_answer(&plan, site, body).unwrap();
        let told: BTreeMap<String, (Vec<Wait>, u64)> = world
            .keeper
            .told(JOB)
            .map(|told| (told.from.clone(), read(&told.from, told.body.as_ref().unwrap())))
            .collect();
        assert!(read_answer(&question, "a", &plan).is_none() && read_answer(&plan, "a", &question).is_none());
        let frames = usize::from(FRAMES);
        let (at_a, at_b) = (&told["a"], &told["b"]);
        assert!(at_a.1 == 0 && at_a.0.len() == frames);
        assert!(at_a.0.iter().all(|wait| wait.node.site == "a" && matches!(wait.why, Why::Runs { .. })));
        let needs = |site: &str| {
            let from = |wait: &&Wait| matches!(&wait.why, Why::Needs { nodes, .. } if nodes[0].site == site);
            at_b.0.iter().filter(from).count()
        };
        assert_eq!((needs("a"), needs("home"), at_b.0.len()), (frames, frames, 2 * frames));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn an_application_that_is_killed_anywhere_gets_every_token_once_and_in_order(
        steps in prop::collection::vec((any::<u8>(), 0u8..20), 0..250)
    ) {
        let mut undisturbed = World::new();
        undisturbed.finish();
        prop_assert_eq!(undisturbed.had.len(), 4 * usize::from(FRAMES));
        prop_assert!(undisturbed.had.values().all(|tokens| [1, usize::from(ITEMS)].contains(&tokens.len())));

        let mut world = World::new();
        for (choice, fate) in steps {
            world.step(choice);
            match fate {
                0 => world.kill(),
                1 => drop(world.home.ask(0, JOB)),
                _ => {}
            }
        }
        world.finish();
        prop_assert_eq!(&world.had, &undisturbed.had);

        // What it has had is not kept, and it may ask once more.
        for (key, had) in world.had.clone() {
            world.keeper.acknowledge(JOB, key.0, &Frame::of_param_set(key.1[0]), had.len() as u64);
        }
        let dropped = world.recalled().1;
        let is_dropped = |series: &Series, had| [2, 5].contains(&series.0) || dropped.get(series) == Some(&had);
        prop_assert!(world.keeper.had(JOB).into_iter().all(|(series, had)| is_dropped(&series, had)));
        world.kill();
        world.finish();
        prop_assert_eq!(&world.had, &undisturbed.had);
    }
}
