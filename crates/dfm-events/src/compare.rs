//! How do two jobs differ?

use indexmap::IndexMap;
use serde::Serialize;

use crate::{NodeSummary, Summary};

/// Two jobs beside each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The one.
    pub a: Summary,
    /// The other.
    pub b: Summary,
    /// What each operation took in both, in the order of the first one's plan.
    pub nodes: Vec<Pair>,
}

/// An operation in both jobs; `None` where a job has none such.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Its name.
    pub operation: String,
    /// In the one.
    pub a: Option<NodeSummary>,
    /// In the other.
    pub b: Option<NodeSummary>,
}

/// Sets two jobs beside each other. A node of one is that of the other which has its operation and its id, wherever it runs.
pub fn compare(a: Summary, b: Summary) -> Comparison {
    let mut pairs = IndexMap::new();
    let (of_a, of_b) = (a.nodes.iter().map(|node| (node, true)), b.nodes.iter().map(|node| (node, false)));
    for (node, first) in of_a.chain(of_b) {
        let key = (node.operation.clone(), serde_json::to_string(&node.node).unwrap_or_default());
        let pair = pairs.entry(key).or_insert_with(|| Pair { operation: node.operation.clone(), a: None, b: None });
        let side = if first { &mut pair.a } else { &mut pair.b };
        *side = Some(side.take().map_or_else(|| node.clone(), |before| together(before, node)));
    }
    let nodes = pairs.into_values().collect();
    Comparison { a, b, nodes }
}

/// A node that several sites have told of.
fn together(mut one: NodeSummary, other: &NodeSummary) -> NodeSummary {
    one.calls = one.calls.saturating_add(other.calls);
    one.failed = one.failed.saturating_add(other.failed);
    one.timed += other.timed;
    one.seconds += other.seconds;
    one.longest = one.longest.max(other.longest);
    one.waited += other.waited;
    one.sent = one.sent.saturating_add(other.sent);
    one
}
