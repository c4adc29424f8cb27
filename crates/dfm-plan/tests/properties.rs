//! Over random federations and pipelines: are plans whole, do their nets run to the end, and are small ones optimal?

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use dfm_net::{
    Action, Carry, Comparison, Engine, Failure, Frame, Net, NodeId, Outcome, Selector, Source, Step, Token, Value,
};
use dfm_plan::{FedInfo, Pipeline, Plan, plan, saved};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

/// Site 0 is home.
const SITES: usize = 3;

/// An operation with an offer at some sites, and what the node that runs it reads.
#[derive(Clone, Debug)]
struct Op {
    offers: Vec<Option<Offer>>,
    named: Option<Index>,
    reads: Vec<(Index, bool)>,
    param: bool,
    literal: usize,
    yields: bool,
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    fixed_time: u8,
    throughput: Option<u8>,
    fixed_size: u8,
    output_factor: u8,
}

#[derive(Clone, Debug)]
struct Shape {
    ops: Vec<Op>,
    /// From → to; a cost that is missing is unknown.
    send: Vec<Vec<Option<SendCost>>>,
}

/// Seconds, and bytes a second.
type SendCost = (u8, Option<u8>);

fn offers() -> impl Strategy<Value = Vec<Option<Offer>>> {
    let offer =
        (0..20u8, prop::option::of(1..9u8), 0..9u8, 0..3u8).prop_map(|(fixed_time, throughput, size, factor)| Offer {
            fixed_time,
            throughput,
            fixed_size: size,
            output_factor: factor,
        });
    prop::collection::vec(prop::option::weighted(0.7, offer), SITES)
        .prop_filter("a site offers it", |offers| offers.iter().any(Option::is_some))
}

fn shapes(most: usize) -> impl Strategy<Value = Shape> {
    let reads = prop::collection::vec((any::<Index>(), prop::bool::weighted(0.2)), 0..3);
    let named = prop::option::weighted(0.2, any::<Index>());
    let op = (offers(), named, reads, any::<bool>(), 0..20usize, any::<bool>())
        .prop_map(|(offers, named, reads, param, literal, yields)| Op { offers, named, reads, param, literal, yields });
    let cost = prop::option::weighted(0.8, (0..9u8, prop::option::of(1..9u8)));
    let send = prop::collection::vec(prop::collection::vec(cost, SITES), SITES);
    (prop::collection::vec(op, 1..most), send).prop_map(|(ops, send)| Shape { ops, send })
}

impl Shape {
    /// The node's producers, and whether each is only a signal.
    fn inputs(&self, node: usize) -> Vec<(usize, bool)> {
        let reads = if node == 0 { &[][..] } else { &self.ops[node].reads };
        reads.iter().map(|(from, signal)| (from.index(node), *signal)).collect()
    }

    /// The sites where the node may run.
    fn sites(&self, node: usize) -> Vec<usize> {
        let op = &self.ops[node];
        let sites: Vec<usize> = (0..SITES).filter(|site| op.offers[*site].is_some()).collect();
        op.named.map_or(sites.clone(), |named| vec![sites[named.index(sites.len())]])
    }

    fn federation(&self) -> FedInfo {
        let operations: serde_json::Map<String, serde_json::Value> =
            (0..self.ops.len()).map(|op| (format!("t.Op{op}"), json!({"parameters": {}}))).collect();
        let sites = (0..SITES).map(|site| {
            let offers = self.ops.iter().enumerate().filter_map(|(op, kept)| {
                let offer = kept.offers[site]?;
                Some(json!({"operation": format!("t.Op{op}"), "provider": null, "required": [],
                    "parameters": ["a0", "a1", "p", "l"], "compute_cost": {
                        "fixed_time": offer.fixed_time, "compute_throughput": offer.throughput,
                        "fixed_size": offer.fixed_size, "output_factor": offer.output_factor}}))
            });
            let costs = self.send[site].iter().enumerate().filter_map(|(to, cost)| {
                let (fixed_time, bandwidth) = (*cost)?;
                Some((format!("site{to}"), json!({"fixed_time": fixed_time, "bandwidth": bandwidth})))
            });
            let costs: serde_json::Map<String, serde_json::Value> = costs.collect();
            (format!("site{site}"), json!({"offers": offers.collect::<Vec<_>>(), "send_cost": costs}))
        });
        let sites: serde_json::Map<String, serde_json::Value> = sites.collect();
        let info =
            json!({"format": 1, "code_package": "t", "api_version": "1.0.0", "operations": operations, "sites": sites});
        FedInfo::from_json(&info.to_string()).expect("it is written here")
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::from_json(&self.document()).expect("it is written here")
    }

    fn document(&self) -> String {
        let mut statements = vec![];
        for (node, op) in self.ops.iter().enumerate() {
            let mut arguments = serde_json::Map::new();
            let mut after = vec![];
            for (at, (from, signal)) in self.inputs(node).into_iter().enumerate() {
                if signal {
                    after.push(from);
                } else {
                    arguments.insert(format!("a{at}"), json!({"node": from, "path": []}));
                }
            }
            if op.param {
                arguments.insert("p".into(), json!({"param": "given", "multiuse": true}));
            }
            arguments.insert("l".into(), json!({"literal": "x".repeat(op.literal)}));
            let site = match op.named {
                Some(_) => json!(format!("site{}", self.sites(node)[0])),
                None => json!({"best_of": null}),
            };
            statements.push(json!({"kind": "operation", "node": node, "operation": format!("t.Op{node}"),
                "class": "t.Op", "site": site, "provider": null, "after": after, "arguments": arguments}));
            if op.yields {
                statements.push(json!({"kind": "yield", "node": format!("y{node}"), "place": format!("y{node}"),
                    "value": {"node": node, "path": []}}));
            }
        }
        json!({"dfm_pipeline": 1, "mode": "execute", "statements": statements}).to_string()
    }

    /// When the last node and the last yield of a placement end, by the definition of the costs.
    fn end(&self, sites: &[usize]) -> f64 {
        let send = |from: usize, to: usize, bytes: f64| match self.send[from][to] {
            _ if from == to => 0.0,
            Some((fixed, rate)) => f64::from(fixed) + rate.map_or(0.0, |rate| bytes / f64::from(rate)),
            None => 1e6,
        };
        let (mut ends, mut sizes): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
        let mut last: f64 = 0.0;
        for (node, op) in self.ops.iter().enumerate() {
            let offer = op.offers[sites[node]].expect("it is offered there");
            let mut bytes = (op.literal + 2) as f64;
            let mut ready: f64 = if op.param { send(0, sites[node], 0.0) } else { 0.0 };
            for (from, signal) in self.inputs(node) {
                let size = if signal { 0.0 } else { sizes[from] };
                ready = ready.max(ends[from] + send(sites[from], sites[node], size));
                bytes += size;
            }
            let computing = offer.throughput.map_or(0.0, |rate| bytes / f64::from(rate));
            ends.push(ready + f64::from(offer.fixed_time) + computing);
            sizes.push(f64::from(offer.fixed_size) + f64::from(offer.output_factor) * bytes);
            let home = if op.yields { send(sites[node], 0, sizes[node]) } else { 0.0 };
            last = last.max(ends[node] + home);
        }
        last
    }

    /// The end of the best of all placements.
    fn best_end(&self, sites: &mut Vec<usize>) -> f64 {
        let node = sites.len();
        if node == self.ops.len() {
            return self.end(sites);
        }
        let mut best = f64::INFINITY;
        for site in self.sites(node) {
            sites.push(site);
            best = best.min(self.best_end(sites));
            sites.pop();
        }
        best
    }
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
    fn select(&self, path: &[Selector]) -> Result<Self, String> {
        Err(format!("nothing is at {path:?}"))
    }

    fn elements(&self) -> Result<Vec<Self>, (String, String)> {
        unreachable!("there are no blocks here")
    }

    fn list(_: Vec<Result<Self, Vec<Arc<Failure>>>>) -> Self {
        unreachable!("there are no blocks here")
    }

    fn literal(_: &serde_json::Value) -> Result<Self, (String, String)> {
        unreachable!("there are no blocks here")
    }

    fn compare(&self, _: Comparison, _: &Self) -> Result<bool, (String, String)> {
        unreachable!("there are no blocks here")
    }

    fn truth(&self) -> Result<bool, (String, String)> {
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
            assert!(is_yield || arc.carry != Carry::Stream);
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
    fn a_plan_is_whole_and_runs_to_its_end(shape in shapes(14)) {
        let made = plan(&shape.federation(), &shape.pipeline(), "site0", None).expect("it is valid");
        check_arcs(&made.nets);
        prop_assert!(made.nets[0].site == "site0");
        prop_assert!(made.nets[1..].iter().all(|net| !net.transitions.is_empty()));
        prop_assert_eq!(made.placements.len(), shape.ops.len());
        for placement in &made.placements {
            prop_assert!(shape.sites(number(&placement.node)).contains(&site_number(&placement.site)));
        }
        let (yielded, called) = run(&made);
        let mut before: Vec<BTreeSet<usize>> = vec![];
        for (node, op) in shape.ops.iter().enumerate() {
            let mut nodes = BTreeSet::from([node]);
            for (from, signal) in shape.inputs(node) {
                if !signal {
                    nodes.extend(&before[from]);
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
    fn a_saved_plan_is_placed_so_again_whatever_has_become_of_the_costs(shape in shapes(8), later in shapes(8)) {
        let made = plan(&shape.federation(), &shape.pipeline(), "site0", None).expect("it is valid");
        let saved = Pipeline::from_json(&saved(&made, &shape.document())).expect("it is a pipeline");
        let mut shape = shape;
        shape.send = later.send;
        let again = plan(&shape.federation(), &saved, "site0", None).expect("it is valid");
        prop_assert_eq!(again.nets, made.nets);
    }

    #[test]
    fn a_small_pipeline_ends_as_soon_as_it_can(shape in shapes(8)) {
        let made = plan(&shape.federation(), &shape.pipeline(), "site0", None).expect("it is valid");
        let sites: Vec<usize> = made.placements.iter().map(|placement| site_number(&placement.site)).collect();
        let (found, best) = (shape.end(&sites), shape.best_end(&mut vec![]));
        prop_assert!(found <= best * (1.0 + 1e-8) + 1e-9, "{found} instead of {best} at {sites:?}");
    }
}

/// A chain with branches: each node reads the one before and one further back.
fn long(nodes: usize) -> Shape {
    let offer = |site: usize, node: usize| {
        let fixed_time = ((node * 7 + site * 5) % 11) as u8;
        Some(Offer { fixed_time, throughput: Some(9), fixed_size: 4, output_factor: 0 })
    };
    let ops = (0..nodes).map(|node| Op {
        offers: (0..SITES).map(|site| offer(site, node)).collect(),
        named: None,
        reads: vec![],
        param: node == 0,
        literal: 3,
        yields: node + 1 == nodes,
    });
    let cost = |from: usize, to: usize| Some(((from + 2 * to) as u8, Some(8)));
    Shape { ops: ops.collect(), send: (0..SITES).map(|from| (0..SITES).map(|to| cost(from, to)).collect()).collect() }
}

#[test]
fn ten_thousand_nodes_are_planned_in_no_time() {
    let shape = long(10_000);
    let mut pipeline = shape.pipeline();
    for node in 1..10_000u64 {
        let dfm_plan::Statement::Operation(statement) = &mut pipeline.statements[node as usize] else {
            panic!("the yield is last")
        };
        for (name, from) in [("a0", node - 1), ("a1", node / 2)] {
            let read = dfm_plan::Argument::Node { node: NodeId::Number(from), path: vec![] };
            statement.arguments.insert(name.into(), read);
        }
    }
    let federation = shape.federation();
    let begun = std::time::Instant::now();
    let made = plan(&federation, &pipeline, "site0", None).expect("it is valid");
    let took = begun.elapsed();
    check_arcs(&made.nets);
    // Unoptimized code on a busy machine; optimized code takes a tenth of that.
    assert!(took.as_secs_f64() < 5.0, "{took:?}");
    println!("{took:?}");
}
