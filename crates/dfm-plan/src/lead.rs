//! Which nodes are at one site together, and which of them decides on it?
//!
//! A node goes with the one that it [follows](Node::follows), which comes before it in the order of the graph. What a cache
//! keeps, and what decides on rounds, says where these are, and comes after what begins them.

use crate::graph::{Candidate, Input, Known, Node};

/// Has what sites made put together where it is used: at the site of the first operation that does, else at home.
pub(crate) fn gather_where_used(nodes: &mut [Node<'_>], order: &[usize], home: Candidate<'_>) {
    let mut at = vec![0; nodes.len()];
    for (index, &node) in order.iter().enumerate() {
        at[node] = index;
    }
    for &node in order.iter().filter(|node| matches!(nodes[**node].statement, Known::Gather(_))).collect::<Vec<_>>() {
        let at_home = matches!(nodes[node].statement, Known::Gather(gather) if gather.at_home);
        let is_operation = |to: &&Input| !to.signal && matches!(nodes[to.node].statement, Known::Operation(_));
        let user = nodes[node].outputs.iter().find(is_operation).map(|output| output.node).filter(|_| !at_home);
        match user.map(|user| (user, nodes[user].follows)) {
            Some((_, Some(leader))) if at[leader] < at[node] => nodes[node].follows = Some(leader),
            Some((user, None)) => {
                nodes[user].follows = Some(node);
                nodes[node].candidates = stripped(&nodes[user].candidates);
            }
            _ => nodes[node].candidates = vec![Candidate { site: home.site, offer: None }],
        }
    }
}

/// Gives each node that follows another the candidates of that one, and each that uses a cache or begins rounds those of
/// what decides on it.
pub(crate) fn lead<'a>(nodes: &mut [Node<'a>], order: &[usize], home: Candidate<'a>) {
    let mut at = vec![0; nodes.len()];
    for (index, &node) in order.iter().enumerate() {
        at[node] = index;
    }
    // A cache is at the site that makes its value, and rounds are where what decides on them is.
    let mut decides: Vec<Option<usize>> = vec![None; nodes.len()];
    for node in nodes.iter().filter(|node| matches!(node.statement, Known::Store(_) | Known::Again(_))) {
        let Some(begins) = node.follows.filter(|begins| nodes[*begins].candidates.is_empty()) else { continue };
        let input = node.inputs.iter().find(|input| !input.signal && input.node != begins);
        decides[begins] = input.map(|input| input.node);
    }
    let ends = ends(nodes.len(), |node| nodes[node].follows.or(decides[node]));
    // End → the first node in the order whose way comes to it.
    let mut first: Vec<Option<usize>> = vec![None; nodes.len()];
    for &node in order {
        let end = ends[node];
        let leader = *first[end].get_or_insert(node);
        if let Some(decides) = decides[node] {
            if at[decides] < at[node] {
                nodes[node].follows = Some(decides);
            } else if leader != node {
                nodes[node].follows = Some(leader);
            } else {
                nodes[node].candidates = stripped(&nodes[end].candidates);
                if end != node {
                    nodes[end].follows.get_or_insert(node);
                }
            }
        }
        if nodes[node].candidates.is_empty() && nodes[node].follows.is_none() {
            nodes[node].candidates = vec![Candidate { site: home.site, offer: None }];
        }
        if let Some(leader) = nodes[node].follows.filter(|_| !matches!(nodes[node].statement, Known::Operation(_))) {
            nodes[node].candidates = stripped(&nodes[leader].candidates);
        }
    }
}

/// Where the way from each node ends, step by step to the next; of a circle, at one of its nodes. Each node's next one
/// is asked for once, so a stranger's pipeline is done in as many steps as it has nodes.
fn ends(nodes: usize, mut next: impl FnMut(usize) -> Option<usize>) -> Vec<usize> {
    let mut ends: Vec<Option<usize>> = vec![None; nodes];
    let mut on_way = vec![false; nodes];
    for start in 0..nodes {
        let (mut way, mut node) = (vec![], start);
        let end = loop {
            if let Some(end) = ends[node] {
                break end;
            }
            if std::mem::replace(&mut on_way[node], true) {
                break node;
            }
            way.push(node);
            let Some(after) = next(node) else { break node };
            node = after;
        };
        way.into_iter().for_each(|node| ends[node] = Some(end));
    }
    ends.into_iter().map(|end| end.expect("each way was gone")).collect()
}

/// The same sites, for what is no operation.
fn stripped<'a>(candidates: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    candidates.iter().map(|candidate| Candidate { site: candidate.site, offer: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::ends;

    /// How often the next node was asked for, and where each way ends.
    fn counted(next: &[Option<usize>]) -> (usize, Vec<usize>) {
        let mut asked = 0;
        let ends = ends(next.len(), |node| {
            asked += 1;
            next[node]
        });
        (asked, ends)
    }

    #[test]
    fn a_long_way_is_gone_once_from_whichever_of_its_nodes() {
        let far: Vec<Option<usize>> = (1..10_000).map(Some).chain([None]).collect();
        assert_eq!(counted(&far), (10_000, vec![9_999; 10_000]));
        let back: Vec<Option<usize>> = [None].into_iter().chain((0..9_999).map(Some)).collect();
        assert_eq!(counted(&back), (10_000, vec![0; 10_000]));
    }

    #[test]
    fn a_circle_ends_where_it_is_closed() {
        assert_eq!(counted(&[Some(1), Some(2), Some(3), Some(1), Some(0)]), (5, vec![1; 5]));
        assert_eq!(counted(&[Some(0)]), (1, vec![0]));
    }
}
