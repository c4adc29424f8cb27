//! What did a run take, beside what was expected of it?

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use dfm_net::{Frame, Measured, NodeId};
use serde::Serialize;

use crate::cost::UNKNOWN;
use crate::estimate::{Estimate, EstimatedNode, shown_bytes, shown_seconds};

/// What was measured, beside an estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredRun {
    /// How many frames were executed.
    pub frames: usize,
    /// In the order of the estimate's nodes; `None` for one that no call was measured of.
    pub nodes: Vec<Option<MeasuredNode>>,
    /// In the order of the estimate's edges: the seconds from the sender's end to the receiver's beginning, on average
    /// over the times when the receiver waited for nothing else; `None` within a site, and where there were none.
    pub edges: Vec<Option<f64>>,
}

/// What was measured of a node: averages over the frames in which it ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredNode {
    /// How many calls of it there were, in all frames.
    pub calls: usize,
    /// Seconds from the start of the frame until its last result was there.
    pub finish: f64,
    /// Seconds from the begin of its first call in the frame to the end of the last.
    pub compute: f64,
    /// Bytes of its results; `None` where one failed or has no encoding.
    pub bytes: Option<f64>,
}

/// A run's calls, by the estimate's nodes.
pub(crate) struct Calls<'a> {
    estimate: &'a Estimate,
    /// Node → frame → its call.
    calls: Vec<BTreeMap<&'a Frame, &'a Measured>>,
    /// Node → the edges that lead to it.
    inputs: Vec<Vec<usize>>,
    outputs: Vec<Vec<usize>>,
}

impl<'a> Calls<'a> {
    pub fn new(estimate: &'a Estimate, measured: &'a [Measured]) -> Self {
        let count = estimate.nodes.len();
        let index: HashMap<&NodeId, usize> =
            estimate.nodes.iter().enumerate().map(|(at, node)| (&node.node, at)).collect();
        let mut calls = vec![BTreeMap::new(); count];
        for call in measured {
            if let Some(&node) = index.get(&call.node) {
                calls[node].insert(&call.frame, call);
            }
        }
        let (mut inputs, mut outputs) = (vec![vec![]; count], vec![vec![]; count]);
        for (at, edge) in estimate.edges.iter().enumerate() {
            inputs[edge.to].push(at);
            outputs[edge.from].push(at);
        }
        Self { estimate, calls, inputs, outputs }
    }

    /// All calls of a node.
    pub fn of(&self, node: usize) -> impl Iterator<Item = &'a Measured> + '_ {
        self.calls[node].values().copied()
    }

    /// The calls of a node that a firing in `frame` depends on: in that frame, one around it, or those nested in it.
    fn before(&self, node: usize, frame: &Frame) -> impl Iterator<Item = &'a Measured> + '_ {
        let around = frame.prefix(self.estimate.nodes[node].levels);
        let first = self.calls[node].range(around.clone()..);
        let within = move |(other, _): &(&&Frame, &&Measured)| **other == &around || around.is_ancestor_of(other);
        first.take_while(within).map(|(_, call)| *call)
    }

    /// When the last call had ended that a node's result in a frame comes from.
    fn end(&self, node: usize, frame: &Frame) -> Option<f64> {
        if self.estimate.nodes[node].operation {
            return self.before(node, frame).map(|call| call.begin + call.seconds).reduce(f64::max);
        }
        let inputs = self.inputs[node].iter().map(|edge| self.estimate.edges[*edge].from);
        inputs.filter_map(|from| self.end(from, frame)).reduce(f64::max)
    }

    /// How many bytes a firing in a frame gets from a node.
    fn bytes(&self, node: usize, frame: &Frame) -> Option<f64> {
        let estimated = &self.estimate.nodes[node];
        if estimated.operation {
            let sizes = self.before(node, frame).map(|call| call.bytes.map(|bytes| bytes as f64));
            return sizes.sum();
        }
        let inputs = self.inputs[node].iter().map(|edge| &self.estimate.edges[*edge]).filter(|edge| !edge.signal);
        if estimated.elements.is_none() {
            return inputs.map(|edge| self.bytes(edge.from, frame)).sum();
        }
        let around = frame.prefix(estimated.levels);
        let whole: f64 = inputs.map(|edge| self.bytes(edge.from, &around)).sum::<Option<f64>>()?;
        let body = self.outputs[node].iter().map(|edge| self.estimate.edges[*edge].to);
        let last = body.filter_map(|to| self.before(to, &around).last()?.frame.levels().get(around.levels().len()));
        Some(whole / f64::from(last.max()? + 1))
    }

    /// How many bytes a call had as its input, by the planner's way of counting.
    pub fn input_bytes(&self, node: usize, call: &Measured) -> Option<f64> {
        let edges = self.inputs[node].iter().map(|edge| &self.estimate.edges[*edge]).filter(|edge| !edge.signal);
        let sizes = edges.map(|edge| self.bytes(edge.from, &call.frame));
        Some(self.estimate.nodes[node].given + sizes.sum::<Option<f64>>()?)
    }

    /// Over which edge the last of a call's inputs came from another site, and how long that took.
    fn last_arrival(&self, node: usize, call: &Measured) -> Option<(usize, f64)> {
        let ends = self.inputs[node].iter().map(|edge| (*edge, self.end(self.estimate.edges[*edge].from, &call.frame)));
        let (edge, end) = ends.filter_map(|(edge, end)| Some((edge, end?))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let from = self.estimate.edges[edge].from;
        let leaves = self.estimate.nodes[from].site != self.estimate.nodes[node].site;
        // Two sites' clocks may differ by more than the time between.
        leaves.then(|| (edge, (call.begin - end).max(0.0)))
    }

    /// Each value that came from another site as the last input of a call: its edge, its bytes, its seconds.
    pub fn arrivals(&self) -> Vec<(usize, Option<f64>, f64)> {
        let nodes = 0..self.estimate.nodes.len();
        let calls = nodes.flat_map(|node| self.of(node).map(move |call| (node, call)));
        let arrival = |(node, call): (usize, &Measured)| {
            let (edge, seconds) = self.last_arrival(node, call)?;
            let estimated = &self.estimate.edges[edge];
            let bytes = if estimated.signal { Some(0.0) } else { self.bytes(estimated.from, &call.frame) };
            Some((edge, bytes, seconds))
        };
        calls.filter_map(arrival).collect()
    }
}

/// What a run took. `begun` tells when each of its frames began.
pub fn compare(estimate: &Estimate, measured: &[Measured], begun: &[f64]) -> MeasuredRun {
    let calls = Calls::new(estimate, measured);
    let node = |node: usize| {
        // Frame → begin, end, bytes.
        let mut frames: BTreeMap<u32, (f64, f64, Option<f64>)> = BTreeMap::new();
        for call in calls.of(node) {
            let frame = frames.entry(call.frame.levels()[0]).or_insert((f64::MAX, f64::MIN, Some(0.0)));
            frame.0 = frame.0.min(call.begin);
            frame.1 = frame.1.max(call.begin + call.seconds);
            frame.2 = frame.2.zip(call.bytes).map(|(sum, bytes)| sum + bytes as f64);
        }
        let finishes = frames.iter().filter_map(|(frame, run)| Some(run.1 - begun.get(*frame as usize)?));
        Some(MeasuredNode {
            calls: calls.of(node).count(),
            finish: mean(finishes)?.max(0.0),
            compute: mean(frames.values().map(|run| run.1 - run.0))?,
            bytes: frames.values().map(|run| run.2).collect::<Option<Vec<_>>>().and_then(|all| mean(all.into_iter())),
        })
    };
    let nodes = (0..estimate.nodes.len()).map(node).collect();
    let mut seconds = vec![vec![]; estimate.edges.len()];
    for (edge, _, time) in calls.arrivals() {
        seconds[edge].push(time);
    }
    let edges = seconds.into_iter().map(|all| mean(all.into_iter())).collect();
    MeasuredRun { frames: begun.len(), nodes, edges }
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = numbers.fold((0, 0.0), |(count, sum), number| (count + 1, sum + number));
    (count > 0).then(|| sum / f64::from(count))
}

/// Of what has no cost in the configuration.
const NOTHING_KNOWN: &str = "expected nothing known";

/// For people: what each operation took and how long its values were on their way, beside what was expected.
pub fn explain_run(estimate: &Estimate, run: &MeasuredRun) -> String {
    let mut text = match run.frames {
        1 => "measured in one frame".to_owned(),
        frames => format!("measured in {frames} frames; times and sizes are averages of one"),
    };
    let mut end: f64 = 0.0;
    for (at, (node, measured)) in estimate.nodes.iter().zip(&run.nodes).enumerate() {
        end = measured.as_ref().map_or(end, |measured| end.max(measured.finish));
        if node.operation {
            write_node(&mut text, node, measured.as_ref());
        }
        let sent = estimate.edges.iter().zip(&run.edges).filter(|(edge, _)| edge.to == at);
        for (edge, seconds) in sent {
            let Some(seconds) = seconds else { continue };
            let from = &estimate.nodes[edge.from];
            let expected =
                edge.seconds.map_or(NOTHING_KNOWN.to_owned(), |one| format!("expected {}", shown_seconds(one)));
            let (label, site, to) = (&from.label, &from.site, &node.site);
            let took = shown_seconds(*seconds);
            let _ = write!(text, "\n        {label} from {site} to {to}: on its way for {took}, {expected}");
        }
    }
    let expected = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
    let _ = write!(text, "\nthe last node was done after {}", finish(end, expected));
    text
}

fn write_node(text: &mut String, node: &EstimatedNode, measured: Option<&MeasuredNode>) {
    let id = crate::check::shown(&node.node);
    let _ = write!(text, "\n{id:>4}  {} at {}: ", node.label, node.site);
    let Some(measured) = measured else {
        *text += "did not run";
        return;
    };
    let calls = if measured.calls == 1 { "1 call".to_owned() } else { format!("{} calls", measured.calls) };
    let compute = beside(measured.compute, node.compute, shown_seconds);
    let finish = finish(measured.finish, node.finish);
    let _ = write!(text, "{calls}\n        computed for {compute}\n        done after {finish}");
    match measured.bytes {
        Some(bytes) => {
            let _ = write!(text, "\n        result {}", beside(bytes, node.bytes, shown_bytes));
        }
        None => *text += "\n        result of no known size",
    }
}

/// When something was done, beside when it was expected to be.
fn finish(measured: f64, expected: f64) -> String {
    if expected < UNKNOWN {
        return beside(measured, expected, shown_seconds);
    }
    format!("{}, {NOTHING_KNOWN}", shown_seconds(measured))
}

/// A measured number, what was expected, and by how much the one is more or less.
fn beside(measured: f64, expected: f64, shown: fn(f64) -> String) -> String {
    let difference = match 100.0 * (measured - expected) / expected {
        percent if !percent.is_finite() || percent.abs() < 0.5 => String::new(),
        percent if percent.abs() < 1000.0 => format!(" ({percent:+.0} %)"),
        percent => format!(" ({:.0} times as much)", percent / 100.0 + 1.0),
    };
    format!("{}, expected {}{difference}", shown(measured), shown(expected))
}
