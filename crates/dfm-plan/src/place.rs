//! At which of its candidates does each node run, so that the pipeline ends soonest?
//!
//! A first placement comes from a pass forward and one backward over the graph (exact for trees whose sizes do not
//! depend on the sites). Local changes improve it. Where few nodes are free, a search then tries everything that could
//! be better, so that small graphs get the optimum. Work is bounded, linear in the graph, and its outcome depends on
//! nothing but the input.

use crate::cost::{Costs, Run};
use crate::graph::{Graph, Node};

/// The most free nodes, of those that depend on each other, for a search.
const SEARCHED: usize = 16;
/// The most nodes that all searches of a pipeline may run.
const SEARCH_BUDGET: usize = 1_000_000;
/// The most passes of local changes.
const SWEEPS: usize = 4;

/// Which candidate each node has, and what that means.
pub(crate) struct Placed {
    /// Node → its candidate's index.
    pub choice: Vec<usize>,
    /// Node → how it runs there.
    pub runs: Vec<Run>,
}

/// How good a placement is: first its end counts, then the work in all.
#[derive(Clone, Copy, Default)]
struct Score {
    end: f64,
    work: f64,
}

impl Score {
    fn with(self, run: &Run) -> Self {
        Self { end: self.end.max(run.finish), work: self.work + run.compute + run.sending }
    }

    /// Whether it is better by more than rounding.
    fn beats(self, other: Self) -> bool {
        let less = |a: f64, b: f64| a < b - 1e-9 * b.abs();
        less(self.end, other.end) || (!less(other.end, self.end) && less(self.work, other.work))
    }
}

impl Placed {
    /// The site where a node runs.
    pub fn site(&self, graph: &Graph<'_>, node: usize) -> usize {
        graph.nodes[node].candidates[self.choice[node]].site
    }

    /// Runs a node at a candidate, with its inputs as they are placed.
    pub fn run(&self, graph: &Graph<'_>, costs: &Costs, node: usize, candidate: usize) -> Run {
        let kept = &graph.nodes[node];
        costs.run(graph, node, &kept.candidates[candidate], |input| {
            let from = kept.inputs[input].node;
            (self.site(graph, from), self.runs[from])
        })
    }

    fn choose(&mut self, graph: &Graph<'_>, costs: &Costs, node: usize, candidate: usize) {
        self.runs[node] = self.run(graph, costs, node, candidate);
        self.choice[node] = candidate;
    }

    /// Runs these nodes, in order, each at its choice.
    fn run_all(&mut self, graph: &Graph<'_>, costs: &Costs, nodes: &[usize]) -> Score {
        let mut score = Score::default();
        for &node in nodes {
            self.choose(graph, costs, node, self.choice[node]);
            score = score.with(&self.runs[node]);
        }
        score
    }

    fn restore(&mut self, graph: &Graph<'_>, costs: &Costs, nodes: &[usize], choice: &[usize]) {
        for (&node, &candidate) in nodes.iter().zip(choice) {
            self.choose(graph, costs, node, candidate);
        }
    }
}

/// Places every node.
pub(crate) fn place_nodes(graph: &Graph<'_>, costs: &Costs) -> Placed {
    let mut placed = Placed { choice: first_choice(graph, costs), runs: vec![Run::default(); graph.nodes.len()] };
    follow(graph, &graph.order, &mut placed);
    placed.run_all(graph, costs, &graph.order);
    let mut budget = SEARCH_BUDGET;
    let mut rest = vec![0.0; graph.nodes.len()];
    for nodes in components(graph) {
        let is_free = |node: &Node<'_>| node.candidates.len() > 1 && node.follows.is_none();
        let free = nodes.iter().filter(|node| is_free(&graph.nodes[**node])).count();
        if free > 0 {
            improve(graph, costs, &nodes, &mut placed, &mut rest);
        }
        if free > 0 && free <= SEARCHED {
            search(graph, costs, &nodes, &mut placed, &mut rest, &mut budget);
        }
    }
    placed
}

/// Lets each node that follows another have that one's candidate.
fn follow(graph: &Graph<'_>, nodes: &[usize], placed: &mut Placed) {
    for &node in nodes {
        if let Some(leader) = graph.nodes[node].follows {
            placed.choice[node] = placed.choice[leader];
        }
    }
}

/// The groups of nodes that depend on each other, each in the graph's order.
fn components(graph: &Graph<'_>) -> Vec<Vec<usize>> {
    let mut group = vec![usize::MAX; graph.nodes.len()];
    let mut groups: Vec<Vec<usize>> = vec![];
    for start in 0..graph.nodes.len() {
        if group[start] != usize::MAX {
            continue;
        }
        let mut open = vec![start];
        group[start] = groups.len();
        while let Some(node) = open.pop() {
            for near in graph.nodes[node].inputs.iter().chain(&graph.nodes[node].outputs) {
                if group[near.node] == usize::MAX {
                    group[near.node] = groups.len();
                    open.push(near.node);
                }
            }
        }
        groups.push(vec![]);
    }
    for &node in &graph.order {
        groups[group[node]].push(node);
    }
    groups
}

/// Forward: how soon each candidate could end, each input having its own best. Backward: each node takes the candidate
/// that serves those after it soonest.
fn first_choice(graph: &Graph<'_>, costs: &Costs) -> Vec<usize> {
    let mut soonest: Vec<Vec<Run>> = vec![vec![]; graph.nodes.len()];
    for &node in &graph.order {
        let kept = &graph.nodes[node];
        let runs = kept.candidates.iter().map(|candidate| {
            costs.run(graph, node, candidate, |input| {
                let input = kept.inputs[input];
                let runs = soonest[input.node].iter().zip(&graph.nodes[input.node].candidates);
                let arrival = |site: usize, run: &Run| {
                    run.finish + costs.send(site, candidate.site, if input.signal { 0.0 } else { run.size })
                };
                let best = runs.min_by(|(a, at), (b, bt)| arrival(at.site, a).total_cmp(&arrival(bt.site, b)));
                best.map(|(run, at)| (at.site, *run)).expect("a checked node has a candidate")
            })
        });
        soonest[node] = runs.collect();
    }
    let mut choice = vec![0; graph.nodes.len()];
    for &node in graph.order.iter().rev() {
        let kept = &graph.nodes[node];
        let score = |candidate: usize| {
            let (run, site) = (&soonest[node][candidate], kept.candidates[candidate].site);
            kept.outputs.iter().fold(Score::default().with(run), |score, output| {
                let to = graph.nodes[output.node].candidates[choice[output.node]].site;
                let sending = costs.send(site, to, if output.signal { 0.0 } else { run.size });
                Score { end: score.end.max(run.finish + sending), work: score.work + sending }
            })
        };
        choice[node] = best_of(kept.candidates.len(), score);
    }
    choice
}

/// The index of the best score; the first of equal ones.
fn best_of(count: usize, score: impl Fn(usize) -> Score) -> usize {
    let mut best = (0, score(0));
    for index in 1..count {
        let other = score(index);
        if other.beats(best.1) {
            best = (index, other);
        }
    }
    best.0
}

/// Changes one node after another to where the longest way through it is shortest, while that makes the whole better.
/// `rest` is room for a number for each node.
fn improve(graph: &Graph<'_>, costs: &Costs, nodes: &[usize], placed: &mut Placed, rest: &mut [f64]) {
    let mut best = placed.run_all(graph, costs, nodes);
    for _ in 0..SWEEPS {
        let before: Vec<usize> = nodes.iter().map(|node| placed.choice[*node]).collect();
        for &node in nodes.iter().rev() {
            let after = time_after(graph, costs, placed, rest, node, placed.choice[node]);
            rest[node] = placed.runs[node].compute + after.end;
        }
        for &node in nodes {
            let score = |candidate: usize| {
                let run = placed.run(graph, costs, node, candidate);
                let after = time_after(graph, costs, placed, rest, node, candidate);
                Score { end: run.finish + after.end, work: run.compute + run.sending + after.work }
            };
            let candidate = match graph.nodes[node].follows {
                Some(leader) => placed.choice[leader],
                None => best_of(graph.nodes[node].candidates.len(), score),
            };
            placed.choose(graph, costs, node, candidate);
        }
        let score = placed.run_all(graph, costs, nodes);
        if !score.beats(best) {
            placed.restore(graph, costs, nodes, &before);
            return;
        }
        best = score;
    }
}

/// The time from a node's end, at a candidate, to the end of all that follows, where `rest` has the time from the start
/// of each node that follows; and the time for sending alone.
fn time_after(graph: &Graph<'_>, costs: &Costs, placed: &Placed, rest: &[f64], node: usize, candidate: usize) -> Score {
    let site = graph.nodes[node].candidates[candidate].site;
    let size = placed.runs[node].size;
    graph.nodes[node].outputs.iter().fold(Score::default(), |score, output| {
        let sending = costs.send(site, placed.site(graph, output.node), if output.signal { 0.0 } else { size });
        Score { end: score.end.max(sending + rest[output.node]), work: score.work + sending }
    })
}

/// Tries every placement that could still be better, until the budget is used up. `rest` is room for a number for each
/// node.
fn search(
    graph: &Graph<'_>,
    costs: &Costs,
    nodes: &[usize],
    placed: &mut Placed,
    rest: &mut [f64],
    budget: &mut usize,
) {
    for &node in nodes.iter().rev() {
        let least_time = |node: usize| {
            let offers = graph.nodes[node].candidates.iter().filter_map(|candidate| candidate.offer);
            offers.map(|offer| offer.compute_cost.fixed_time).reduce(f64::min).unwrap_or(0.0)
        };
        let outputs = graph.nodes[node].outputs.iter();
        rest[node] = outputs.map(|output| least_time(output.node) + rest[output.node]).fold(0.0, f64::max);
    }
    let best = placed.run_all(graph, costs, nodes);
    let found: Vec<usize> = nodes.iter().map(|node| placed.choice[*node]).collect();
    let mut search = Search { graph, costs, nodes, least_rest: rest, placed, budget, best, found };
    search.from(0, Score::default());
    let found = search.found;
    placed.restore(graph, costs, nodes, &found);
}

struct Search<'s, 'g> {
    graph: &'s Graph<'g>,
    costs: &'s Costs,
    nodes: &'s [usize],
    /// Node → the least time from its end to the end of all that follows.
    least_rest: &'s [f64],
    placed: &'s mut Placed,
    budget: &'s mut usize,
    best: Score,
    found: Vec<usize>,
}

impl Search<'_, '_> {
    /// Places the nodes from a position on, the ones before having this score.
    fn from(&mut self, mut at: usize, mut score: Score) {
        while let Some(&node) = self.nodes.get(at) {
            at += 1;
            let kept = &self.graph.nodes[node];
            let count = kept.candidates.len();
            let leader = kept.follows.map(|leader| self.placed.choice[leader]);
            if let Some(only) = leader.or((count == 1).then_some(0)) {
                match self.with(node, only, score) {
                    Some(next) => score = next,
                    None => return,
                }
                continue;
            }
            for candidate in 0..count {
                if let Some(next) = self.with(node, candidate, score) {
                    self.from(at, next);
                }
            }
            return;
        }
        self.best = score;
        self.found = self.nodes.iter().map(|node| self.placed.choice[*node]).collect();
    }

    /// The score with one more node; `None` if that cannot lead to anything better.
    fn with(&mut self, node: usize, candidate: usize, score: Score) -> Option<Score> {
        *self.budget = self.budget.checked_sub(1)?;
        self.placed.choose(self.graph, self.costs, node, candidate);
        let run = self.placed.runs[node];
        let next = score.with(&run);
        let least = Score { end: next.end.max(run.finish + self.least_rest[node]), work: next.work };
        least.beats(self.best).then_some(next)
    }
}
