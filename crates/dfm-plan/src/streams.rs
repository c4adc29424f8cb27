//! Which loops may take a generator's items as they come?
//!
//! A generator waits for the loops that are behind. So a loop must not wait in turn for what comes only with the end of
//! a generator, its own or another. This holds where all that its body needs from around it comes before the generator
//! in one order of the graph, the same for all loops. Other loops take the items when the generator has ended.

use std::collections::VecDeque;

use crate::Argument;
use crate::graph::{Graph, Known};

/// The loops, by node, that take the items of the operation that makes their sequence one by one.
pub(crate) fn streamed(graph: &Graph<'_>) -> Vec<bool> {
    let mut maker: Vec<Option<usize>> = graph.nodes.iter().enumerate().map(|(node, _)| source(graph, node)).collect();
    if maker.iter().all(Option::is_none) {
        return vec![false; graph.nodes.len()];
    }
    let at = late_order(graph, &maker);
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            let from = graph.nodes[input.node].result;
            let mut block = node.block;
            while block > from {
                let looped = graph.blocks[block].node.filter(|_| graph.blocks[block].each);
                if let Some(looped) = looped.filter(|looped| *looped != input.node && *looped != index)
                    && maker[looped].is_some_and(|maker| at[input.node] >= at[maker])
                {
                    maker[looped] = None;
                }
                block = graph.blocks[block].parent;
            }
        }
    }
    maker.iter().map(Option::is_some).collect()
}

/// The operation whose result is the sequence of a loop beside it.
fn source(graph: &Graph<'_>, node: usize) -> Option<usize> {
    let Known::ForEach(statement) = graph.nodes[node].statement else { return None };
    let Argument::Node { path, .. } = &statement.sequence else { return None };
    let from = graph.nodes[node].inputs.first()?.node;
    let beside = graph.nodes[from].result == graph.nodes[node].block;
    let whole = path.is_empty() && statement.after.is_empty();
    (whole && beside && matches!(graph.nodes[from].statement, Known::Operation(_))).then_some(from)
}

/// Each node's place in an order in which it comes after its inputs, and makers of loops' sequences as late as they can.
fn late_order(graph: &Graph<'_>, maker: &[Option<usize>]) -> Vec<usize> {
    let mut late = vec![false; graph.nodes.len()];
    for maker in maker.iter().flatten() {
        late[*maker] = true;
    }
    let mut missing: Vec<usize> = graph.nodes.iter().map(|node| node.inputs.len()).collect();
    let (mut soon, mut last) = (VecDeque::new(), VecDeque::new());
    for node in (0..graph.nodes.len()).filter(|node| missing[*node] == 0) {
        if late[node] { last.push_back(node) } else { soon.push_back(node) }
    }
    let mut at = vec![0; graph.nodes.len()];
    let mut next = 0;
    while let Some(node) = soon.pop_front().or_else(|| last.pop_front()) {
        at[node] = next;
        next += 1;
        for output in &graph.nodes[node].outputs {
            missing[output.node] -= 1;
            if missing[output.node] == 0 {
                if late[output.node] { last.push_back(output.node) } else { soon.push_back(output.node) }
            }
        }
    }
    at
}
