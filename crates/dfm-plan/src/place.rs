//! At which of its candidates does each node run, so that the pipeline ends soonest?
//!
//! A first placement comes from a pass forward and one backward over the graph (exact for trees whose sizes do not
//! depend on the sites). Passes that change one node after the other improve it, then a search looks for the optimum.
//! Work is bounded, linear in the graph beyond a fixed number of steps, and its outcome depends on nothing but the input.

use crate::cost::{Costs, Run};
use crate::graph::{Graph, Input};
use crate::search::Search;

/// The most passes that change one node after the other.
const SWEEPS: usize = 4;
/// How many ways between candidates the searches of a pipeline may look at.
const SEARCHED: usize = 3_000_000;
/// How many candidates may be run to save work that does not make the end sooner.
const SAVED: usize = 50_000;

/// Which candidate each node has, and what that means.
pub(crate) struct Placed {
    /// Node → its candidate's index.
    pub choice: Vec<usize>,
    /// Node → how it runs there.
    pub runs: Vec<Run>,
}

/// How good a placement is: first its end counts, then the work in all.
#[derive(Clone, Copy, Default)]
pub(crate) struct Score {
    pub end: f64,
    pub work: f64,
}

impl Score {
    /// The score with one more node.
    pub fn with(self, run: &Run) -> Self {
        Self { end: self.end.max(run.finish), work: self.work + run.compute + run.sending }
    }

    /// Whether it is better by more than rounding.
    pub fn beats(self, other: Self) -> bool {
        other.ends_after(self.end) || (!self.ends_after(other.end) && is_less(self.work, other.work))
    }

    /// Whether it ends later by more than rounding.
    pub fn ends_after(self, end: f64) -> bool {
        is_less(end, self.end)
    }
}

fn is_less(a: f64, b: f64) -> bool {
    a < b - 1e-9 * b.abs()
}

impl Placed {
    /// The site where a node runs.
    pub fn site(&self, graph: &Graph<'_>, node: usize) -> usize {
        graph.nodes[node].candidates[self.choice[node]].site
    }

    /// Runs a node at a candidate, with its inputs as they are placed.
    pub fn run(&self, graph: &Graph<'_>, costs: &Costs, node: usize, candidate: usize) -> Run {
        let declared = &graph.nodes[node];
        costs.run(graph, node, &declared.candidates[candidate], |input| {
            let from = declared.inputs[input].node;
            (self.site(graph, from), self.runs[from])
        })
    }

    /// Runs a node at a candidate, and leaves it there.
    pub fn choose(&mut self, graph: &Graph<'_>, costs: &Costs, node: usize, candidate: usize) {
        self.runs[node] = self.run(graph, costs, node, candidate);
        self.choice[node] = candidate;
    }

    /// Lets each node that follows another have that one's candidate.
    pub fn follow(&mut self, graph: &Graph<'_>, nodes: &[usize]) {
        for &node in nodes {
            if let Some(leader) = graph.nodes[node].follows {
                self.choice[node] = self.choice[leader];
            }
        }
    }

    /// Runs these nodes, in order, each at its choice.
    pub fn run_all(&mut self, graph: &Graph<'_>, costs: &Costs, nodes: &[usize]) -> Score {
        let mut score = Score::default();
        for &node in nodes {
            self.choose(graph, costs, node, self.choice[node]);
            score = score.with(&self.runs[node]);
        }
        score
    }

    /// The nodes that the end waits for, the last one first.
    pub fn longest_way(&self, graph: &Graph<'_>, costs: &Costs, nodes: &[usize]) -> Vec<usize> {
        let last = nodes.iter().copied().max_by(|a, b| self.runs[*a].finish.total_cmp(&self.runs[*b].finish));
        let before = |node: &usize| {
            let to = self.site(graph, *node);
            let arrival = |input: &Input| {
                let size = if input.signal { 0.0 } else { self.runs[input.node].size };
                self.runs[input.node].finish + costs.send(self.site(graph, input.node), to, size)
            };
            let inputs = graph.nodes[*node].inputs.iter();
            inputs.max_by(|a, b| arrival(a).total_cmp(&arrival(b))).map(|input| input.node)
        };
        std::iter::successors(last, before).collect()
    }

    /// Runs these nodes, in order, at these candidates.
    pub fn restore(&mut self, graph: &Graph<'_>, costs: &Costs, nodes: &[usize], choice: &[usize]) {
        for (&node, &candidate) in nodes.iter().zip(choice) {
            self.choose(graph, costs, node, candidate);
        }
    }
}

/// Places every node.
pub(crate) fn place_nodes(graph: &Graph<'_>, costs: &Costs) -> Placed {
    let mut placed = Placed { choice: first_choice(graph, costs), runs: vec![Run::default(); graph.nodes.len()] };
    placed.follow(graph, &graph.order);
    placed.run_all(graph, costs, &graph.order);
    let mut search = Search::new(graph, costs, SEARCHED);
    let mut rest = vec![0.0; graph.nodes.len()];
    let mut budget = SAVED;
    for nodes in components(graph) {
        if nodes.iter().any(|node| is_free(graph, *node)) {
            improve(graph, costs, &nodes, &mut placed, &mut rest);
            search.place(&mut placed, &nodes);
            save_work(graph, costs, &nodes, &mut placed, &mut budget);
        }
    }
    placed
}

/// Whether a node has a choice of its own.
fn is_free(graph: &Graph<'_>, node: usize) -> bool {
    graph.nodes[node].candidates.len() > 1 && graph.nodes[node].follows.is_none()
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
        let declared = &graph.nodes[node];
        let runs = declared.candidates.iter().map(|candidate| {
            costs.run(graph, node, candidate, |input| {
                let input = declared.inputs[input];
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
        let declared = &graph.nodes[node];
        let score = |candidate: usize| {
            let (run, site) = (&soonest[node][candidate], declared.candidates[candidate].site);
            declared.outputs.iter().fold(Score::default().with(run), |score, output| {
                let to = graph.nodes[output.node].candidates[choice[output.node]].site;
                let sending = costs.send(site, to, if output.signal { 0.0 } else { run.size });
                Score { end: score.end.max(run.finish + sending), work: score.work + sending }
            })
        };
        choice[node] = best_of(declared.candidates.len(), score);
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
            let size = placed.runs[node].size;
            let after = time_after(graph, costs, placed, rest, node, placed.choice[node], size);
            rest[node] = placed.runs[node].compute + after.end;
        }
        for &node in nodes {
            let score = |candidate: usize| {
                let run = placed.run(graph, costs, node, candidate);
                let after = time_after(graph, costs, placed, rest, node, candidate, run.size);
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

/// The time from a node's end, at a candidate and with a result so big, to the end of all that follows, where `rest` has
/// the time from the start of each node that follows; and the time for sending alone.
fn time_after(
    graph: &Graph<'_>,
    costs: &Costs,
    placed: &Placed,
    rest: &[f64],
    node: usize,
    candidate: usize,
    size: f64,
) -> Score {
    let site = graph.nodes[node].candidates[candidate].site;
    graph.nodes[node].outputs.iter().fold(Score::default(), |score, output| {
        let sending = costs.send(site, placed.site(graph, output.node), if output.signal { 0.0 } else { size });
        Score { end: score.end.max(sending + rest[output.node]), work: score.work + sending }
    })
}

/// Changes one node after another, the last ones first, to where the whole is better, until no change is or the budget
/// is used up.
fn save_work(graph: &Graph<'_>, costs: &Costs, nodes: &[usize], placed: &mut Placed, budget: &mut usize) {
    let mut best = placed.run_all(graph, costs, nodes);
    let mut saved = true;
    while std::mem::take(&mut saved) {
        for &node in nodes.iter().rev().filter(|node| is_free(graph, **node)) {
            for candidate in 0..graph.nodes[node].candidates.len() {
                if *budget < nodes.len() {
                    return;
                }
                *budget -= nodes.len();
                let before: Vec<usize> = nodes.iter().map(|node| placed.choice[*node]).collect();
                placed.choice[node] = candidate;
                placed.follow(graph, nodes);
                let score = placed.run_all(graph, costs, nodes);
                if score.beats(best) {
                    (best, saved) = (score, true);
                } else {
                    placed.restore(graph, costs, nodes, &before);
                }
            }
        }
    }
}
