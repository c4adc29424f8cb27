//! How long does it take to run a node here and to send its result there?
//!
//! All times are seconds, all sizes bytes. A frame starts at time 0; a site works on any number of nodes at once.
//!
//! A node in a loop's body fires once for each element; its times and sizes are those of all its firings in one frame.
//! Their fixed times overlap, but for those of rounds, and they share what has a rate: the throughput of their operation and the bandwidth of a
//! link. What stands in a branch counts as if the branch were taken.

use crate::graph::{Candidate, Graph, Known};
use crate::{Argument, ComputeCost, FedInfo, ForEachStatement, SendCost};

/// What sending costs where the federation does not say it: so much that it is chosen only where nothing else serves.
pub(crate) const UNKNOWN: f64 = 1e6;

/// What a graph's nodes cost, whatever their sites.
pub(crate) struct Costs {
    /// From site → to site → cost, sorted.
    send: Vec<Vec<(usize, SendCost)>>,
    other_send_cost: Option<SendCost>,
    home: usize,
    own: Vec<Own>,
}

/// What is known of a node before it has a site.
#[derive(Clone, Copy)]
struct Own {
    /// What one firing is given besides other nodes' results.
    literal_bytes: f64,
    params: bool,
    /// How often it fires in a frame.
    firings: f64,
    /// How many of these come one after the other.
    rounds: f64,
    /// How many tokens its result is then.
    tokens: f64,
}

/// How a node runs at one of its candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Run {
    /// When its result is there.
    pub finish: f64,
    /// How long it computes.
    pub compute: f64,
    /// How big its result is.
    pub size: f64,
    /// How long sending its inputs takes in all.
    pub sending: f64,
}

impl Costs {
    /// `elements` is how many a sequence has that is not known before the run.
    pub fn new(fed: &FedInfo, graph: &Graph<'_>, home: usize, elements: f64) -> Self {
        let send = fed.sites.values().map(|site| {
            let known = site.send_cost.iter();
            let mut row: Vec<(usize, SendCost)> =
                known.filter_map(|(to, cost)| Some((fed.sites.get_index_of(to)?, cost.clone()))).collect();
            row.sort_by_key(|(to, _)| *to);
            row
        });
        let (mut entered, mut rounds): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
        for block in &graph.blocks {
            let around = entered.get(block.parent).copied().unwrap_or(1.0);
            let node = block.node.filter(|_| block.each).map(|node| graph.nodes[node].statement);
            entered.push(around * node.map_or(1.0, |node| elements_of(node, elements)));
            let before = rounds.get(block.parent).copied().unwrap_or(1.0);
            let own = node.filter(|node| matches!(node, Known::Repeat(_)));
            rounds.push(before * own.map_or(1.0, |node| elements_of(node, elements)));
        }
        let own = graph.nodes.iter().map(|node| {
            let params = node.statement.arguments().any(|argument| matches!(argument, Argument::Param { .. }));
            let literal_bytes = match node.statement {
                Known::Operation(_) | Known::ForEach(_) => node.statement.arguments().map(literal_bytes).sum(),
                _ => 0.0,
            };
            Own {
                literal_bytes,
                params: params && !matches!(node.statement, Known::Yield(_)),
                firings: entered[node.block],
                rounds: rounds[node.block],
                tokens: entered[node.result],
            }
        });
        let other_send_cost = fed.other_send_cost.clone();
        Self { send: send.collect(), other_send_cost, home, own: own.collect() }
    }

    /// How often a node fires in a frame.
    pub fn firings(&self, node: usize) -> f64 {
        self.own[node].firings
    }

    /// How many of these do not overlap.
    pub fn rounds(&self, node: usize) -> f64 {
        self.own[node].rounds
    }

    /// What the pipeline itself gives to each firing of a node.
    pub fn literal_bytes(&self, node: usize) -> f64 {
        self.own[node].literal_bytes
    }

    /// Whether the federation says what sending from one site to another costs.
    pub fn is_known(&self, from: usize, to: usize) -> bool {
        from == to || self.send_cost(from, to).is_some()
    }

    /// The time to send so much.
    pub fn send(&self, from: usize, to: usize, bytes: f64) -> f64 {
        if from == to {
            return 0.0;
        }
        match self.send_cost(from, to) {
            Some(cost) => cost.fixed_time + time_at(cost.bandwidth, bytes),
            None => UNKNOWN,
        }
    }

    /// How long a node computes with so much in all its firings, and how big its result is.
    pub fn computing(&self, node: usize, cost: &ComputeCost, bytes: f64) -> (f64, f64) {
        let own = self.own[node];
        let seconds = cost.fixed_time * own.rounds + time_at(cost.compute_throughput, bytes);
        (seconds, cost.fixed_size * own.firings + cost.output_factor * bytes)
    }

    fn send_cost(&self, from: usize, to: usize) -> Option<&SendCost> {
        let row = &self.send[from];
        let own = row.binary_search_by_key(&to, |(site, _)| *site).ok().map(|at| &row[at].1);
        own.or(self.other_send_cost.as_ref())
    }

    /// Runs a node at a candidate. `input` tells how the n-th of its inputs runs, and at which site.
    pub fn run(
        &self,
        graph: &Graph<'_>,
        node: usize,
        candidate: &Candidate<'_>,
        mut input: impl FnMut(usize) -> (usize, Run),
    ) -> Run {
        let own = self.own[node];
        let mut run = Run::default();
        let mut bytes = own.literal_bytes * own.firings;
        if own.params {
            run.sending = self.send(self.home, candidate.site, 0.0);
            run.finish = run.sending;
        }
        for (at, from) in graph.nodes[node].inputs.iter().enumerate() {
            let (site, made) = input(at);
            let size = if from.signal { 0.0 } else { made.size };
            let sending = self.send(site, candidate.site, size);
            run.sending += sending;
            run.finish = run.finish.max(made.finish + sending);
            // A value from around a loop goes into each of its elements' firings.
            let tokens = self.own[from.node].tokens;
            bytes += if own.firings > tokens && tokens > 0.0 { size * own.firings / tokens } else { size };
        }
        if let Some(offer) = candidate.offer {
            (run.compute, run.size) = self.computing(node, &offer.compute_cost, bytes);
            run.finish += run.compute;
        } else {
            run.size = bytes;
        }
        run
    }
}

/// How many elements a loop has, or how many rounds; `assumed`, where only the run tells.
pub(crate) fn elements_of(node: Known<'_>, assumed: f64) -> f64 {
    match node {
        Known::Repeat(repeat) => assumed.clamp(1.0, f64::from(repeat.at_most.max(1))),
        _ => known_elements(node).unwrap_or(assumed),
    }
}

/// How many elements a loop's sequence has, where the pipeline says it.
pub(crate) fn known_elements(node: Known<'_>) -> Option<f64> {
    match node {
        Known::ForEach(ForEachStatement { sequence: Argument::List { list: parts }, .. })
        | Known::ForEach(ForEachStatement { sequence: Argument::Tuple { tuple: parts }, .. }) => {
            Some(parts.len() as f64)
        }
        Known::ForEach(ForEachStatement { sequence: Argument::Dict { dict }, .. }) => Some(dict.len() as f64),
        Known::ForEach(ForEachStatement { sequence: Argument::Literal { literal }, .. }) => match literal {
            serde_json::Value::Array(items) => Some(items.len() as f64),
            serde_json::Value::Object(entries) => Some(entries.len() as f64),
            _ => None,
        },
        _ => None,
    }
}

/// The time that so many bytes take, at so many a second; `None` is unlimited.
fn time_at(rate: Option<f64>, bytes: f64) -> f64 {
    match rate {
        Some(rate) if bytes > 0.0 => bytes / rate.max(f64::MIN_POSITIVE),
        _ => 0.0,
    }
}

fn literal_bytes(argument: &Argument) -> f64 {
    match argument {
        Argument::Literal { literal } => json_length(literal) as f64,
        Argument::Encoded { encoded } => (encoded.len() / 4 * 3) as f64,
        _ => 0.0,
    }
}

/// The length of a value's JSON, for big ones estimated by their parts, without writing it.
fn json_length(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number.to_string().len(),
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_length(item) + 1).sum::<usize>(),
        Value::Object(entries) => {
            2 + entries.iter().map(|(key, item)| key.len() + 4 + json_length(item)).sum::<usize>()
        }
    }
}
