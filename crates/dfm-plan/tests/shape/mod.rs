//! Which random federations and pipelines are planned, and when would a placement of them end?

use dfm_plan::{FedInfo, Pipeline};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

/// A pipeline whose node `n` runs the operation `t.Op{n}`, and the sites that offer those. Site 0 is home.
#[derive(Clone, Debug)]
pub struct Shape {
    pub ops: Vec<Op>,
    /// From → to; a cost that is missing is unknown.
    pub send: Vec<Vec<Option<SendCost>>>,
}

/// An operation and the node that runs it.
#[derive(Clone, Debug)]
pub struct Op {
    /// Site → what it offers.
    pub offers: Vec<Option<Offer>>,
    pub named: Option<usize>,
    /// Nodes before this one, and whether each is only a signal.
    pub reads: Vec<(usize, bool)>,
    pub param: bool,
    /// The length of a text that it is given.
    pub literal: usize,
    pub yields: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub fixed_time: u8,
    pub throughput: Option<u8>,
    pub fixed_size: u8,
    pub output_factor: u8,
}

/// Seconds, and bytes a second.
pub type SendCost = (u8, Option<u8>);

/// How nodes depend on each other.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Each on any before it.
    Any,
    Chain,
    /// All on the first, and the last on all.
    Fan,
    /// One, two beside each other, one, two beside each other, …
    Diamonds,
    /// So many beside each other, each on any of those before.
    Layers(usize),
}

impl Form {
    fn reads(self, node: usize, count: usize, picks: &[(Index, bool)]) -> Vec<(usize, bool)> {
        let whole = |nodes: Vec<usize>| nodes.into_iter().map(|node| (node, false)).collect();
        match self {
            _ if node == 0 => vec![],
            Self::Any => picks.iter().map(|(from, signal)| (from.index(node), *signal)).collect(),
            Self::Chain => whole(vec![node - 1]),
            Self::Fan if node > 1 && node + 1 == count => whole((1..node).collect()),
            Self::Fan => whole(vec![0]),
            Self::Diamonds if node.is_multiple_of(3) => whole(vec![node - 2, node - 1]),
            Self::Diamonds => whole(vec![node / 3 * 3]),
            Self::Layers(width) => {
                let Some(before) = (node / width).checked_sub(1) else { return vec![] };
                picks.iter().map(|(from, signal)| (before * width + from.index(width), *signal)).collect()
            }
        }
    }
}

fn forms() -> impl Strategy<Value = Form> {
    let layers = (2..5usize).prop_map(Form::Layers);
    prop_oneof![Just(Form::Any), Just(Form::Chain), Just(Form::Fan), Just(Form::Diamonds), layers]
}

fn offers(sites: usize) -> impl Strategy<Value = Vec<Option<Offer>>> {
    let offer =
        (0..20u8, prop::option::of(1..9u8), 0..9u8, 0..3u8).prop_map(|(fixed_time, throughput, size, factor)| Offer {
            fixed_time,
            throughput,
            fixed_size: size,
            output_factor: factor,
        });
    prop::collection::vec(prop::option::weighted(0.7, offer), sites)
        .prop_filter("a site offers it", |offers| offers.iter().any(Option::is_some))
}

/// Pipelines of so many operations over so many sites, which name no site.
pub fn shapes(ops: std::ops::Range<usize>, sites: std::ops::Range<usize>) -> impl Strategy<Value = Shape> {
    let of = move |(form, sites): (Form, usize)| {
        let picks = prop::collection::vec((any::<Index>(), prop::bool::weighted(0.2)), 0..3);
        let op = (offers(sites), picks, any::<bool>(), 0..20usize, any::<bool>());
        let cost = prop::option::weighted(0.9, (0..9u8, prop::option::of(1..9u8)));
        let send = prop::collection::vec(prop::collection::vec(cost, sites), sites);
        (prop::collection::vec(op, ops.clone()), send).prop_map(move |(ops, send)| {
            let count = ops.len();
            let ops = ops.into_iter().enumerate().map(|(node, (offers, picks, param, literal, yields))| {
                let reads = form.reads(node, count, &picks);
                Op { offers, named: None, reads, param, literal, yields }
            });
            Shape { ops: ops.collect(), send }
        })
    };
    (forms(), sites).prop_flat_map(of)
}

impl Op {
    /// The sites where it may run.
    pub fn sites(&self) -> Vec<usize> {
        let offering = (0..self.offers.len()).filter(|site| self.offers[*site].is_some());
        offering.filter(|site| self.named.is_none_or(|named| named == *site)).collect()
    }
}

impl Shape {
    pub fn federation(&self) -> FedInfo {
        let operations: Map<String, Value> =
            (0..self.ops.len()).map(|op| (format!("t.Op{op}"), json!({"parameters": {}}))).collect();
        let sites = (0..self.send.len()).map(|site| {
            let offers = self.ops.iter().enumerate().filter_map(|(op, kept)| {
                let offer = kept.offers[site]?;
                let mut parameters = vec!["p".to_owned(), "l".to_owned()];
                parameters.extend((0..kept.reads.len()).map(|at| format!("a{at}")));
                Some(json!({"operation": format!("t.Op{op}"), "provider": null, "required": [],
                    "parameters": parameters, "compute_cost": {
                        "fixed_time": offer.fixed_time, "compute_throughput": offer.throughput,
                        "fixed_size": offer.fixed_size, "output_factor": offer.output_factor}}))
            });
            let costs = self.send[site].iter().enumerate().filter_map(|(to, cost)| {
                let (fixed_time, bandwidth) = (*cost)?;
                Some((format!("site{to}"), json!({"fixed_time": fixed_time, "bandwidth": bandwidth})))
            });
            let costs: Map<String, Value> = costs.collect();
            (format!("site{site}"), json!({"offers": offers.collect::<Vec<_>>(), "send_cost": costs}))
        });
        let sites: Map<String, Value> = sites.collect();
        let info =
            json!({"format": 1, "code_package": "t", "api_version": "1.0.0", "operations": operations, "sites": sites});
        FedInfo::from_json(&info.to_string()).expect("it is written here")
    }

    pub fn pipeline(&self) -> Pipeline {
        Pipeline::from_json(&self.document()).expect("it is written here")
    }

    pub fn document(&self) -> String {
        let mut statements = vec![];
        for (node, op) in self.ops.iter().enumerate() {
            let mut arguments = Map::new();
            let mut after = vec![];
            for (at, (from, signal)) in op.reads.iter().enumerate() {
                if *signal {
                    after.push(*from);
                } else {
                    arguments.insert(format!("a{at}"), json!({"node": from, "path": []}));
                }
            }
            if op.param {
                arguments.insert("p".into(), json!({"param": "given", "multiuse": true}));
            }
            arguments.insert("l".into(), json!({"literal": "x".repeat(op.literal)}));
            let site = op.named.map_or(json!({"best_of": null}), |site| json!(format!("site{site}")));
            statements.push(json!({"kind": "operation", "node": node, "operation": format!("t.Op{node}"),
                "class": "t.Op", "site": site, "provider": null, "after": after, "arguments": arguments}));
            if op.yields {
                statements.push(json!({"kind": "yield", "node": format!("y{node}"), "place": format!("y{node}"),
                    "value": {"node": node, "path": []}}));
            }
        }
        json!({"dfm_pipeline": 1, "mode": "execute", "statements": statements}).to_string()
    }
}
