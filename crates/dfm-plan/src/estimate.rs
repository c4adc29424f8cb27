//! What does the planner expect of a run: when is each node done, and what goes between the nodes?

use std::collections::BTreeSet;
use std::fmt::Write;

use dfm_net::NodeId;
use serde::Serialize;

use crate::Plan;
use crate::check::shown as shown_node;
use crate::cost::{Costs, UNKNOWN, elements_of, known_elements};
use crate::graph::{Graph, Known, Node};
use crate::meet::told;
use crate::place::Placed;

/// One frame of a plan, as its federation's costs let it be expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// How many elements each sequence counts with whose length is not known before the run; `None` if there is none.
    pub assumed_elements: Option<f64>,
    /// In the order of the statements.
    pub nodes: Vec<EstimatedNode>,
    /// In the order of the nodes that receive.
    pub edges: Vec<EstimatedEdge>,
}

/// One statement of the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EstimatedNode {
    /// The pipeline's node.
    pub node: NodeId,
    /// The operation's name; else what kind of statement it is.
    pub label: String,
    /// Whether it is an operation.
    pub operation: bool,
    /// Where it runs.
    pub site: String,
    /// How often it fires: in a loop's body once for each element.
    pub firings: f64,
    /// How many elements a loop has, each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<f64>,
    /// Seconds from the start of the frame until its last result is there.
    pub finish: f64,
    /// Seconds that it computes, its firings overlapping.
    pub compute: f64,
    /// Of each firing's seconds the part that does not depend on the size of what is computed.
    pub fixed: f64,
    /// How many of its firings do not overlap, as they are in rounds.
    pub rounds: f64,
    /// Bytes of its results.
    pub bytes: f64,
    /// Bytes that the pipeline itself gives to each firing.
    pub given: f64,
    /// How many numbers its frames have.
    pub levels: usize,
}

/// What one node has from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EstimatedEdge {
    /// The index of the node that sends.
    pub from: usize,
    /// The index of the node that receives.
    pub to: usize,
    /// Order without data.
    pub signal: bool,
    /// Bytes of the value that goes, if it goes whole.
    pub bytes: f64,
    /// Seconds that sending takes; `None` where the federation does not say.
    pub seconds: Option<f64>,
}

pub(crate) fn estimate(
    fed: &crate::FedInfo,
    graph: &Graph<'_>,
    costs: &Costs,
    placed: &Placed,
    elements: f64,
) -> Estimate {
    let loops = |statement: Known<'_>| matches!(statement, Known::ForEach(_) | Known::Repeat(_));
    let unknown = |node: &Node<'_>| loops(node.statement) && known_elements(node.statement).is_none();
    let assumed_elements = graph.nodes.iter().any(unknown).then_some(elements);
    let mut made = Estimate { assumed_elements, nodes: vec![], edges: vec![] };
    let mut levels: Vec<usize> = vec![];
    for block in &graph.blocks {
        levels.push(levels.get(block.parent).map_or(1, |around| around + usize::from(block.each)));
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let (label, operation) = match node.statement {
            Known::Operation(statement) => (statement.operation.clone(), true),
            Known::Yield(statement) => (format!("yield {}", statement.place), false),
            Known::ForEach(_) => ("for each".to_owned(), false),
            Known::Collect(_) | Known::Gather(_) => ("collect".to_owned(), false),
            Known::Repeat(_) => ("repeat".to_owned(), false),
            Known::Again(_) => ("next round".to_owned(), false),
            Known::Outcome(_) => ("last round".to_owned(), false),
            Known::If(_) => ("if".to_owned(), false),
            Known::LookUp(_) => ("try from cache".to_owned(), false),
            Known::Store(_) => ("write to cache".to_owned(), false),
            Known::Join(_) => ("cached or made".to_owned(), false),
        };
        let to = placed.site(graph, index);
        let run = placed.runs[index];
        made.nodes.push(EstimatedNode {
            node: node.statement.node().clone(),
            label,
            operation,
            site: fed.sites.get_index(to).expect("it is a site of the federation").0.clone(),
            firings: costs.firings(index),
            elements: loops(node.statement).then(|| elements_of(node.statement, elements)),
            finish: run.finish,
            compute: run.compute,
            fixed: node.candidates[placed.choice[index]].offer.map_or(0.0, |offer| offer.compute_cost.fixed_time),
            rounds: costs.rounds(index),
            bytes: run.size,
            given: costs.literal_bytes(index),
            levels: levels[node.block],
        });
        for input in &node.inputs {
            let bytes = if input.signal { 0.0 } else { placed.runs[input.node].size };
            let from = placed.site(graph, input.node);
            let seconds = costs.is_known(from, to).then(|| costs.send(from, to, bytes));
            made.edges.push(EstimatedEdge { from: input.node, to: index, signal: input.signal, bytes, seconds });
        }
    }
    made
}

/// For people: where each operation runs and why, what comes of it, and what each other site would have cost.
pub fn explain(plan: &Plan, estimate: &Estimate) -> String {
    let at = |site: &str, provider: &Option<String>| match provider {
        Some(provider) => format!("{site} by {provider}"),
        None => site.to_owned(),
    };
    let mut lines = vec![];
    let operations = estimate.nodes.iter().filter(|node| node.operation);
    for (node, sites) in &plan.each_sites {
        let count = if sites.len() == 1 { "1 site".to_owned() } else { format!("{} sites", sites.len()) };
        lines.push(format!("{:>4}  the body of this EachSite runs at {count}: {}", shown_node(node), sites.join(", ")));
    }
    lines.extend(told(plan));
    for (placement, node) in plan.placements.iter().zip(operations) {
        let place = at(&placement.site, &placement.provider);
        let id = shown_node(&placement.node);
        lines.push(format!("{id:>4}  {} at {place}: {}", placement.operation, placement.why));
        let times = if node.firings == 1.0 { String::new() } else { format!("{} times, ", three_digits(node.firings)) };
        let bytes = shown_bytes(node.bytes);
        match node.finish < UNKNOWN {
            true => lines.push(format!("        {times}done after {}, result {bytes}", shown_seconds(node.finish))),
            false => lines.push(format!("        {times}result {bytes}")),
        }
        let (known, unknown): (Vec<_>, Vec<_>) = placement.alternatives.iter().partition(|one| one.seconds < UNKNOWN);
        for other in known {
            let place = at(&other.site, &other.provider);
            lines.push(format!("        at {place}: in use after {}", shown_seconds(other.seconds)));
        }
        if !unknown.is_empty() {
            let places: Vec<String> = unknown.iter().map(|other| at(&other.site, &other.provider)).collect();
            lines.push(format!("        at {}: offered as well", places.join(", ")));
        }
    }
    let end = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
    let undeclared = undeclared(estimate);
    lines.push(match end < UNKNOWN || undeclared.is_empty() {
        true => format!("the last node is done after {}", shown_seconds(end)),
        false => format!(
            "no time is told after a send whose cost nobody has declared: {undeclared}; declare `send_cost` at the site \
             that sends, or measure it: `dfm fed submit … --measure --save-costs FILE`"
        ),
    });
    let mut text = lines.join("\n");
    if let Some(elements) = estimate.assumed_elements {
        let elements = three_digits(elements);
        let _ = write!(text, "\na loop whose length only the run tells counts with {elements} elements or rounds");
    }
    for warning in plan.warnings.iter().chain(&plan.sums) {
        let _ = write!(text, "\nwarning: {warning}");
    }
    text
}

/// The pairs of sites between which something is sent at a cost that nobody has declared, the first of them; an empty
/// text where there are none.
fn undeclared(estimate: &Estimate) -> String {
    const TOLD: usize = 3;
    let site = |node: usize| estimate.nodes[node].site.as_str();
    let sends = estimate.edges.iter().filter(|edge| edge.seconds.is_none());
    let pairs: BTreeSet<(&str, &str)> = sends.map(|edge| (site(edge.from), site(edge.to))).collect();
    let told: Vec<String> = pairs.iter().take(TOLD).map(|(from, to)| format!("{from} to {to}")).collect();
    let more = if pairs.len() > TOLD { format!(", and {} more", pairs.len() - TOLD) } else { String::new() };
    format!("{}{more}", told.join(", "))
}

/// A time with the unit that suits it.
pub fn shown_seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 1.0 || seconds == 0.0 => format!("{} s", three_digits(seconds)),
        _ if seconds >= 1e-3 => format!("{} ms", three_digits(seconds * 1e3)),
        _ => format!("{} µs", three_digits(seconds * 1e6)),
    }
}

/// A size with the unit that suits it.
pub fn shown_bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return format!("{} {unit}", three_digits(value));
        }
        value /= 1000.0;
    }
    format!("{} TB", three_digits(value))
}

fn three_digits(value: f64) -> String {
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let mut text = format!("{value:.digits$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_suits_them() {
        assert_eq!([0.0, 0.25, 2.0, 123.4].map(shown_seconds), ["0 s", "250 ms", "2 s", "123 s"]);
        assert_eq!([0.0, 999.0, 1e3, 8.4e7, 2e15].map(shown_bytes), ["0 B", "999 B", "1 kB", "84 MB", "2000 TB"]);
    }
}
