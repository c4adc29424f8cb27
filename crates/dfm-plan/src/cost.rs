//! How long does it take to run a node here and to send its result there?
//!
//! All times are seconds, all sizes bytes. A frame starts at time 0; a site works on any number of nodes at once.

use crate::graph::{Candidate, Graph, Known};
use crate::{Argument, FedInfo, SendCost};

/// What sending costs where the federation does not say it: so much that it is chosen only where nothing else serves.
pub(crate) const UNKNOWN: f64 = 1e6;

/// What a graph's nodes cost, whatever their sites.
pub(crate) struct Costs {
    /// From site → to site → cost, sorted.
    send: Vec<Vec<(usize, SendCost)>>,
    home: usize,
    given: Vec<Given>,
}

/// What a node gets besides other nodes' results.
#[derive(Clone, Copy)]
struct Given {
    literal_bytes: f64,
    params: bool,
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
    pub fn new(fed: &FedInfo, graph: &Graph<'_>, home: usize) -> Self {
        let send = fed.sites.values().map(|site| {
            let known = site.send_cost.iter();
            let mut row: Vec<(usize, SendCost)> =
                known.filter_map(|(to, cost)| Some((fed.sites.get_index_of(to)?, cost.clone()))).collect();
            row.sort_by_key(|(to, _)| *to);
            row
        });
        let given = graph.nodes.iter().map(|node| match node.statement {
            Known::Operation(statement) => Given {
                literal_bytes: statement.arguments.values().map(literal_bytes).sum(),
                params: statement.arguments.values().any(|argument| matches!(argument, Argument::Param { .. })),
            },
            _ => Given {
                literal_bytes: 0.0,
                params: node.statement.arguments().any(|argument| matches!(argument, Argument::Param { .. }))
                    && !matches!(node.statement, Known::Yield(_)),
            },
        });
        Self { send: send.collect(), home, given: given.collect() }
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

    fn send_cost(&self, from: usize, to: usize) -> Option<&SendCost> {
        let row = &self.send[from];
        row.binary_search_by_key(&to, |(site, _)| *site).ok().map(|at| &row[at].1)
    }

    /// Runs a node at a candidate. `input` tells how the n-th of its inputs runs, and at which site.
    pub fn run(
        &self,
        graph: &Graph<'_>,
        node: usize,
        candidate: &Candidate<'_>,
        mut input: impl FnMut(usize) -> (usize, Run),
    ) -> Run {
        let given = self.given[node];
        let mut run = Run::default();
        let mut bytes = given.literal_bytes;
        if given.params {
            run.sending = self.send(self.home, candidate.site, 0.0);
            run.finish = run.sending;
        }
        for (at, from) in graph.nodes[node].inputs.iter().enumerate() {
            let (site, made) = input(at);
            let size = if from.signal { 0.0 } else { made.size };
            let sending = self.send(site, candidate.site, size);
            run.sending += sending;
            run.finish = run.finish.max(made.finish + sending);
            bytes += size;
        }
        if let Some(offer) = candidate.offer {
            let cost = &offer.compute_cost;
            run.compute = cost.fixed_time + time_at(cost.compute_throughput, bytes);
            run.finish += run.compute;
            run.size = cost.fixed_size + cost.output_factor * bytes;
        } else {
            run.size = bytes;
        }
        run
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
        Argument::Param { .. } | Argument::Node { .. } => 0.0,
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
