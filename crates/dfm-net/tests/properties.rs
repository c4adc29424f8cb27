//! The engine's invariants, over random nets on several sites and random orders of events.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dfm_net::{
    Action, Arc as NetArc, Argument, Block, Carry, Comparison, Engine, Failure, Form, Frame, Limits, Net, NodeId,
    Outcome, Place, PlaceId, Selector, Source, Step, Token, Transition, TransitionId, Value, Wrong,
};
use proptest::prelude::*;

/// The frame a value was made in, and the nodes that went into it.
#[derive(Clone, Debug, PartialEq)]
struct Trace {
    frame: Frame,
    nodes: HashSet<u64>,
}

impl Value for Trace {
    fn select(&self, path: &[Selector]) -> Result<Self, Wrong> {
        Err(Wrong::new("SelectError", format!("nothing is at {path:?}")))
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn failed(_: &[Arc<Failure>]) -> Result<Self, Wrong> {
        unreachable!("nothing is kept in the place of a value")
    }

    fn build(_: &Form, _: Vec<Self>) -> Result<Self, Wrong> {
        unreachable!("nothing is made of others")
    }

    fn literal(_: &serde_json::Value) -> Result<Self, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn compare(&self, _: Comparison, _: &Self) -> Result<bool, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn truth(&self) -> Result<bool, Wrong> {
        unreachable!("there are no blocks here")
    }
}

/// A pipeline: each node runs at a site and reads earlier nodes; those that nobody reads are yielded at site 0.
#[derive(Clone, Debug)]
struct Shape {
    nodes: Vec<(usize, Vec<(usize, bool)>)>,
    frames: u32,
}

const SITES: usize = 3;

fn shapes() -> impl Strategy<Value = Shape> {
    let node = (0..SITES, prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4));
    (prop::collection::vec(node, 1..12), 0..4u32).prop_map(|(nodes, frames)| Shape {
        nodes: nodes
            .into_iter()
            .enumerate()
            .map(|(at, (site, reads))| {
                let reads = if at == 0 { vec![] } else { reads };
                (site, reads.into_iter().map(|(from, signal)| (from.index(at), signal)).collect())
            })
            .collect(),
        frames,
    })
}

fn site_name(site: usize) -> String {
    format!("site{site}")
}

/// Adds an input to a transition and the arc that leads to it.
fn connect(nets: &mut [Net], from: (usize, TransitionId), to: (usize, TransitionId), slot: u16, carry: Carry) {
    let place = nets[to.0].places.len() as PlaceId;
    let here = from.0 == to.0;
    let source = if here { Source::Here } else { Source::Site(site_name(from.0)) };
    nets[to.0].places.push(Place { transition: to.1, slot, block: 0, source });
    let site = (!here).then(|| site_name(to.0));
    nets[from.0].transitions[from.1 as usize].outputs.push(NetArc { site, place, carry, inward: false });
}

fn compile(shape: &Shape) -> Vec<Net> {
    let mut nets: Vec<Net> = (0..SITES)
        .map(|site| Net { site: site_name(site), blocks: vec![Block::body()], places: vec![], transitions: vec![] })
        .collect();
    let mut made: Vec<(usize, TransitionId)> = vec![];
    let mut read = HashSet::new();
    for (node, (site, reads)) in shape.nodes.iter().enumerate() {
        let transition = nets[*site].transitions.len() as TransitionId;
        let arguments = (0..reads.len()).map(|slot| (format!("a{slot}"), Argument::Slot(slot as u16))).collect();
        let step = Step::Call {
            node: NodeId::Number(node as u64),
            operation: "test.Op".into(),
            provider: None,
            arguments,
            limits: Limits::default(),
        };
        nets[*site].transitions.push(Transition { step, block: 0, outputs: vec![] });
        if reads.is_empty() {
            nets[*site].places.push(Place { transition, slot: 0, block: 0, source: Source::Start });
        }
        for (slot, (from, signal)) in reads.iter().enumerate() {
            let carry = if *signal { Carry::Signal } else { Carry::Value(vec![]) };
            connect(&mut nets, made[*from], (*site, transition), slot as u16, carry);
            read.insert(*from);
        }
        made.push((*site, transition));
    }
    for (node, from) in made.iter().enumerate() {
        if !read.contains(&node) {
            let transition = nets[0].transitions.len() as TransitionId;
            let step = Step::Yield {
                node: NodeId::Number(node as u64),
                place: format!("yield{node}"),
                value: Argument::Slot(0),
            };
            nets[0].transitions.push(Transition { step, block: 0, outputs: vec![] });
            connect(&mut nets, *from, (0, transition), 0, Carry::Value(vec![]));
        }
    }
    nets
}

/// Something that will happen, at a moment the test chooses.
enum Event {
    Start(usize, Frame),
    Stop(usize),
    Complete(usize, TransitionId, Frame, Outcome<Trace>),
    Deposit(usize, PlaceId, Frame, Option<Token<Trace>>),
    Lose(usize, usize),
}

#[derive(Default)]
struct Observed {
    calls: HashMap<(u64, Frame), u32>,
    yields: HashMap<(u64, Frame), Vec<Token<Trace>>>,
    reports: Vec<Arc<Failure>>,
    done: HashSet<usize>,
}

fn failure(site: usize, node: Option<u64>, frame: Option<Frame>) -> Failure {
    let kind = if node.is_some() { "Raised" } else { "SiteLost" };
    Failure {
        site: site_name(site),
        node: node.map(NodeId::Number),
        frame,
        operation: None,
        kind: kind.into(),
        message: "told".into(),
        stack_trace: String::new(),
    }
}

/// Runs a shape in the order that `order` picks. `fails` are nodes whose adapter raises, `dies` is a site that is lost
/// before anything else happens or never.
fn run(shape: &Shape, order: &[prop::sample::Index], fails: &HashSet<u64>, dies: Option<usize>) -> Observed {
    let nets = compile(shape);
    let mut engines: Vec<Engine<Trace>> = nets.iter().map(|net| Engine::new(Arc::new(net.clone()))).collect();
    let mut seen = Observed::default();
    let mut events = vec![];
    for site in (0..SITES).filter(|site| Some(*site) != dies) {
        events.extend((0..shape.frames).map(|index| Event::Start(site, Frame::of_param_set(index))));
        events.push(Event::Stop(site));
        if let Some(dead) = dies {
            events.push(Event::Lose(site, dead));
        }
    }
    let mut turn = 0;
    while !events.is_empty() {
        let event = events.swap_remove(order[turn % order.len()].index(events.len()));
        turn += 1;
        let site = match event {
            Event::Start(site, frame) => {
                engines[site].start(&frame, &HashMap::new());
                site
            }
            Event::Stop(site) => {
                engines[site].stop(u64::from(shape.frames));
                site
            }
            Event::Complete(site, transition, frame, outcome) => {
                assert!(engines[site].complete(transition, &frame, outcome.clone()));
                assert!(!engines[site].complete(transition, &frame, outcome), "a second result is refused");
                site
            }
            Event::Deposit(site, place, frame, token) => {
                assert!(engines[site].deposit(place, &frame, token.clone()));
                assert!(!engines[site].deposit(place, &frame, token), "a second token is refused");
                site
            }
            Event::Lose(site, dead) => {
                engines[site].lose(&site_name(dead), failure(dead, None, None));
                site
            }
        };
        while let Some(action) = engines[site].next_action() {
            match action {
                Action::Call { transition, frame, inputs } => {
                    let Step::Call { node: NodeId::Number(node), .. } =
                        nets[site].transitions[transition as usize].step
                    else {
                        panic!("only calls are called")
                    };
                    *seen.calls.entry((node, frame.clone())).or_default() += 1;
                    let mut nodes = HashSet::from([node]);
                    for input in inputs.into_iter().flatten() {
                        assert_eq!(input.frame, frame, "frames do not mix");
                        nodes.extend(input.nodes);
                    }
                    let outcome = if fails.contains(&node) {
                        Outcome::Failed(failure(site, Some(node), Some(frame.clone())))
                    } else {
                        Outcome::Value(Trace { frame: frame.clone(), nodes })
                    };
                    events.push(Event::Complete(site, transition, frame, outcome));
                }
                Action::Yield { transition, frame, token } => {
                    let Step::Yield { node: NodeId::Number(node), .. } =
                        nets[site].transitions[transition as usize].step
                    else {
                        panic!("only yields yield")
                    };
                    seen.yields.entry((node, frame)).or_default().push(token);
                }
                Action::Send { site: to, place, frame, token } => {
                    let to = (0..SITES).find(|site| site_name(*site) == to).expect("a site of the plan");
                    if Some(to) != dies {
                        events.push(Event::Deposit(to, place, frame, token));
                    }
                }
                Action::Item { .. } | Action::SendItem { .. } | Action::Consumed { .. } => {
                    panic!("nothing streams here")
                }
                Action::Report(failure) => seen.reports.push(failure),
                Action::Done => assert!(seen.done.insert(site), "a site is done once"),
            }
        }
    }
    assert!(engines.iter().all(|engine| engine.live() == 0), "nothing is held of what is over");
    seen
}

/// The nodes that `node` depends on, itself included, and those of them whose value reaches it.
fn ancestors(shape: &Shape, node: usize, values_only: bool) -> HashSet<u64> {
    let mut found = HashSet::from([node as u64]);
    for (from, signal) in &shape.nodes[node].1 {
        if !(values_only && *signal) {
            found.extend(ancestors(shape, *from, values_only));
        }
    }
    found
}

fn orders() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 1..64)
}

proptest! {
    #[test]
    fn every_transition_fires_once_a_frame_and_every_job_ends(shape in shapes(), order in orders()) {
        let seen = run(&shape, &order, &HashSet::new(), None);
        prop_assert_eq!(seen.done.len(), SITES);
        prop_assert_eq!(seen.calls.len(), shape.nodes.len() * shape.frames as usize);
        prop_assert!(seen.calls.values().all(|times| *times == 1));
        prop_assert!(seen.reports.is_empty());
        for ((node, frame), tokens) in &seen.yields {
            let expected = Trace { frame: frame.clone(), nodes: ancestors(&shape, *node as usize, true) };
            prop_assert_eq!(tokens, &vec![Token::Value(expected)]);
        }
        let read: HashSet<usize> = shape.nodes.iter().flat_map(|node| node.1.iter().map(|read| read.0)).collect();
        prop_assert_eq!(seen.yields.len(), (shape.nodes.len() - read.len()) * shape.frames as usize);
    }

    #[test]
    fn an_error_reaches_all_that_depend_on_it_and_nothing_else(
        shape in shapes(), order in orders(), pick in any::<prop::sample::Index>()
    ) {
        let bad = pick.index(shape.nodes.len()) as u64;
        let seen = run(&shape, &order, &HashSet::from([bad]), None);
        prop_assert_eq!(seen.done.len(), SITES);
        prop_assert_eq!(seen.reports.len(), shape.frames as usize);
        for ((node, frame), tokens) in &seen.yields {
            let hit = ancestors(&shape, *node as usize, false).contains(&bad);
            match tokens.as_slice() {
                [Token::Error(errors)] => {
                    prop_assert!(hit);
                    prop_assert_eq!(errors.len(), 1);
                    prop_assert_eq!(errors[0].frame.as_ref(), Some(frame));
                }
                [Token::Value(_)] => prop_assert!(!hit),
                other => prop_assert!(false, "one token was expected, not {other:?}"),
            }
        }
    }

    #[test]
    fn a_lost_site_ends_no_job_in_silence(shape in shapes(), order in orders(), dead in 1..SITES) {
        let seen = run(&shape, &order, &HashSet::new(), Some(dead));
        prop_assert_eq!(seen.done.len(), SITES - 1);
        for ((node, _), tokens) in &seen.yields {
            let hit = ancestors(&shape, *node as usize, false)
                .iter()
                .any(|ancestor| shape.nodes[*ancestor as usize].0 == dead);
            prop_assert_eq!(tokens.len(), 1);
            prop_assert_eq!(matches!(&tokens[0], Token::Error(errors) if errors[0].site == site_name(dead)), hit);
        }
    }
}

#[test]
fn a_missing_parameter_and_a_bad_selector_are_errors_of_their_node() {
    let call = |node, outputs| Transition {
        step: Step::Call {
            node: NodeId::Number(node),
            operation: "test.Op".into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        },
        block: 0,
        outputs,
    };
    let arc =
        NetArc { site: None, place: 1, carry: Carry::Value(vec![Selector::Attribute("x".into())]), inward: false };
    let net = Arc::new(Net {
        site: "home".into(),
        blocks: vec![Block::body()],
        places: vec![
            Place { transition: 0, slot: 0, block: 0, source: Source::Param("who".into()) },
            Place { transition: 1, slot: 0, block: 0, source: Source::Here },
        ],
        transitions: vec![call(0, vec![arc]), call(1, vec![])],
    });
    let frame = Frame::of_param_set(0);
    let reported = |engine: &mut Engine<Trace>| match engine.next_action() {
        Some(Action::Report(failure)) => failure.kind.clone(),
        other => panic!("a report was expected, not {other:?}"),
    };

    let mut engine = Engine::new(net.clone());
    engine.start(&frame, &HashMap::new());
    assert_eq!(reported(&mut engine), "MissingParameter");

    let mut engine = Engine::new(net);
    let who = Trace { frame: frame.clone(), nodes: HashSet::new() };
    engine.start(&frame, &HashMap::from([("who".to_owned(), who.clone())]));
    assert!(matches!(engine.next_action(), Some(Action::Call { transition: 0, .. })));
    assert!(engine.complete(0, &frame, Outcome::Value(who)));
    assert_eq!(reported(&mut engine), "SelectError");
    engine.stop(1);
    assert_eq!(engine.next_action(), Some(Action::Done));
}

#[test]
fn items_go_ahead_of_the_streams_end_and_gather_where_a_list_is_needed() {
    let arc = |site: Option<&str>, place, carry| NetArc { site: site.map(str::to_owned), place, carry, inward: false };
    let call = |node, outputs| Transition {
        step: Step::Call {
            node: NodeId::Number(node),
            operation: "test.Op".into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        },
        block: 0,
        outputs,
    };
    let outputs = vec![
        arc(None, 1, Carry::Stream(None)),
        arc(None, 2, Carry::Value(vec![])),
        arc(Some("away"), 0, Carry::Stream(None)),
    ];
    let net = Arc::new(Net {
        site: "home".into(),
        blocks: vec![Block::body()],
        places: vec![
            Place { transition: 0, slot: 0, block: 0, source: Source::Start },
            Place { transition: 1, slot: 0, block: 0, source: Source::Here },
            Place { transition: 2, slot: 0, block: 0, source: Source::Here },
        ],
        transitions: vec![
            call(0, outputs),
            Transition {
                step: Step::Yield { node: NodeId::Number(1), place: "out".into(), value: Argument::Slot(0) },
                block: 0,
                outputs: vec![],
            },
            call(2, vec![]),
        ],
    });
    let frame = Frame::of_param_set(0);
    let value = |node| Trace { frame: Frame::of_param_set(0), nodes: HashSet::from([node]) };
    let mut engine = Engine::new(net);
    engine.start(&frame, &HashMap::new());
    assert!(matches!(engine.next_action(), Some(Action::Call { transition: 0, .. })));
    assert!(engine.gathers(0));
    assert!(!engine.gathers(2));
    assert!(engine.item(0, &frame, &value(7)));
    assert_eq!(engine.next_action(), Some(Action::Item { transition: 1, frame: frame.clone(), value: value(7) }));
    let sent = Action::SendItem { site: "away".into(), place: 0, frame: frame.clone(), value: value(7) };
    assert_eq!(engine.next_action(), Some(sent));
    assert!(engine.complete(0, &frame, Outcome::Streamed(Some(value(8)))));
    assert!(!engine.item(0, &frame, &value(9)), "nothing follows the end");
    assert_eq!(engine.next_action(), Some(Action::Yield { transition: 1, frame: frame.clone(), token: Token::End }));
    let inputs = vec![Some(value(8))];
    assert_eq!(engine.next_action(), Some(Action::Call { transition: 2, frame: frame.clone(), inputs }));
    assert_eq!(
        engine.next_action(),
        Some(Action::Send { site: "away".into(), place: 0, frame, token: Some(Token::End) })
    );
}

#[test]
fn what_is_held_follows_what_is_live_and_what_comes_late_is_refused() {
    let call = |node, outputs| Transition {
        step: Step::Call {
            node: NodeId::Number(node),
            operation: "test.Op".into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        },
        block: 0,
        outputs,
    };
    let net = Arc::new(Net {
        site: "here".into(),
        blocks: vec![Block::body()],
        places: vec![Place { transition: 0, slot: 0, block: 0, source: Source::Site("there".into()) }],
        transitions: vec![call(0, vec![])],
    });
    let mut engine: Engine<Trace> = Engine::new(net);
    let value = || Some(Token::Value(Trace { frame: Frame::of_param_set(0), nodes: HashSet::new() }));
    let outcome = || Outcome::Value(Trace { frame: Frame::of_param_set(0), nodes: HashSet::new() });
    for index in 0..100_000 {
        let frame = Frame::of_param_set(index);
        engine.start(&frame, &HashMap::new());
        assert!(engine.deposit(0, &frame, value()));
        assert!(engine.next_action().is_some());
        // Every other one ends behind the one that began after it.
        if index % 2 == 1 {
            for index in [index, index - 1] {
                assert!(engine.complete(0, &Frame::of_param_set(index), outcome()));
            }
        }
        assert!(engine.live() <= 2);
    }
    for index in [0, 1, 50_000, 99_999] {
        let frame = Frame::of_param_set(index);
        engine.start(&frame, &HashMap::new());
        assert!(!engine.deposit(0, &frame, value()) && !engine.complete(0, &frame, outcome()));
    }
    assert_eq!((engine.live(), engine.next_action()), (0, None));
    engine.stop(100_000);
    assert_eq!(engine.next_action(), Some(Action::Done));
}
