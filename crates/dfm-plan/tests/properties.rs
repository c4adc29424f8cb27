//! Over random federations and pipelines: are plans whole, and do their nets run to the end?

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use dfm_net::{
    Action, Comparison, Engine, Failure, Form, Frame, Net, NodeId, Outcome, Selector, Source, Step, Token, Value, Wrong,
};
use dfm_plan::{Pipeline, Plan, plan, saved};
use proptest::prelude::*;
use proptest::sample::Index;

mod shape;

use shape::{Shape, shapes};

/// Site 0 is home.
const SITES: usize = 3;

fn any_shape(most: usize) -> impl Strategy<Value = Shape> {
    let named = prop::collection::vec(prop::option::weighted(0.2, any::<Index>()), most);
    (shapes(1..most, SITES..SITES + 1), named).prop_map(|(mut shape, named)| {
        for (op, named) in shape.ops.iter_mut().zip(named) {
            op.named = named.map(|named| *named.get(&op.sites()));
        }
        shape
    })
}

fn site_number(name: &str) -> usize {
    name.strip_prefix("site").and_then(|number| number.parse().ok()).expect("a site of the test")
}

fn number(node: &NodeId) -> usize {
    match node {
        NodeId::Number(number) => *number as usize,
        NodeId::Name(name) => name[1..].parse().expect("a yield of the test"),
    }
}

/// The nodes that went into a value.
#[derive(Clone, Debug, PartialEq)]
struct Trace(BTreeSet<usize>);

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

/// Runs a plan for one frame: node → what it yielded, and how often each was called.
fn run(plan: &Plan) -> (HashMap<usize, Trace>, HashMap<usize, u32>) {
    let at: HashMap<&str, usize> = plan.nets.iter().enumerate().map(|(at, net)| (net.site.as_str(), at)).collect();
    let mut engines: Vec<Engine<Trace>> = plan.nets.iter().map(|net| Engine::new(Arc::new(net.clone()))).collect();
    let (mut yielded, mut called) = (HashMap::new(), HashMap::new());
    let frame = Frame::of_param_set(0);
    let params: HashMap<String, Trace> =
        plan.params.iter().map(|name| (name.clone(), Trace(BTreeSet::new()))).collect();
    for engine in &mut engines {
        engine.start(&frame, &params);
        engine.stop(1);
    }
    let mut done = vec![false; engines.len()];
    let mut turns: VecDeque<usize> = (0..engines.len()).collect();
    while let Some(net) = turns.pop_front() {
        while let Some(action) = engines[net].next_action() {
            match action {
                Action::Call { transition, frame, inputs } => {
                    let Step::Call { node, .. } = &plan.nets[net].transitions[transition as usize].step else {
                        panic!("only calls are called")
                    };
                    let mut nodes = BTreeSet::from([number(node)]);
                    nodes.extend(inputs.into_iter().flatten().flat_map(|input| input.0));
                    *called.entry(number(node)).or_default() += 1;
                    assert!(engines[net].complete(transition, &frame, Outcome::Value(Trace(nodes))));
                }
                Action::Yield { transition, token, .. } => {
                    let Step::Yield { node, .. } = &plan.nets[net].transitions[transition as usize].step else {
                        panic!("only yields yield")
                    };
                    let Token::Value(value) = token else { panic!("nothing fails") };
                    assert!(yielded.insert(number(node), value).is_none());
                }
                Action::Send { site, place, frame, token } => {
                    assert!(engines[at[site.as_str()]].deposit(place, &frame, token));
                    turns.push_back(at[site.as_str()]);
                }
                Action::Done => done[net] = true,
                other => panic!("nothing streams or fails: {other:?}"),
            }
        }
    }
    assert!(done.iter().all(|done| *done), "every net ends");
    (yielded, called)
}

/// Every arc leads to a place that says it comes from there, and every place has its arc.
fn check_arcs(nets: &[Net]) {
    let mut led_to: Vec<Vec<u32>> = nets.iter().map(|net| vec![0; net.places.len()]).collect();
    for (from, net) in nets.iter().enumerate() {
        for arc in net.transitions.iter().flat_map(|transition| &transition.outputs) {
            let to = match &arc.site {
                Some(site) => nets.iter().position(|net| net.site == *site).expect("the arc's site has a net"),
                None => from,
            };
            let place = &nets[to].places[arc.place as usize];
            let source = if to == from { Source::Here } else { Source::Site(net.site.clone()) };
            assert!(arc.site.is_none() == (to == from) && place.source == source);
            let is_yield = matches!(nets[to].transitions[place.transition as usize].step, Step::Yield { .. });
            assert!(is_yield || !arc.streams());
            led_to[to][arc.place as usize] += 1;
        }
    }
    for (net, led_to) in nets.iter().zip(led_to) {
        for (place, arcs) in net.places.iter().zip(led_to) {
            assert_eq!(arcs, u32::from(matches!(place.source, Source::Here | Source::Site(_))));
        }
    }
}

proptest! {
    #[test]
    fn a_plan_is_whole_and_runs_to_its_end(shape in any_shape(14)) {
        let made = plan(&shape.federation(), &shape.pipeline(), "site0", None).expect("it is valid");
        check_arcs(&made.nets);
        prop_assert!(made.nets[0].site == "site0");
        prop_assert!(made.nets[1..].iter().all(|net| !net.transitions.is_empty()));
        prop_assert_eq!(made.placements.len(), shape.ops.len());
        for placement in &made.placements {
            prop_assert!(shape.ops[number(&placement.node)].sites().contains(&site_number(&placement.site)));
        }
        let (yielded, called) = run(&made);
        let mut before: Vec<BTreeSet<usize>> = vec![];
        for (node, op) in shape.ops.iter().enumerate() {
            let mut nodes = BTreeSet::from([node]);
            for (from, signal) in &op.reads {
                if !signal {
                    nodes.extend(&before[*from]);
                }
            }
            prop_assert_eq!(called.get(&node), Some(&1));
            prop_assert_eq!(yielded.get(&node).cloned(), op.yields.then(|| Trace(nodes.clone())));
            before.push(nodes);
        }
        let again: Plan = serde_json::from_str(&serde_json::to_string(&made).expect("it is data")).expect("it is data");
        prop_assert_eq!(again, made);
    }

    #[test]
    fn a_saved_plan_is_placed_so_again_whatever_has_become_of_the_costs(shape in any_shape(8), later in any_shape(8)) {
        let made = plan(&shape.federation(), &shape.pipeline(), "site0", None).expect("it is valid");
        let saved = Pipeline::from_json(&saved(&made, &shape.document())).expect("it is a pipeline");
        let mut shape = shape;
        shape.send = later.send;
        let again = plan(&shape.federation(), &saved, "site0", None).expect("it is valid");
        prop_assert_eq!(again.nets, made.nets);
    }
}
