//! Which placement of nodes that depend on each other ends soonest?
//!
//! A search keeps some nodes where they are and leaves others open. It bounds from below when the last node can end, were
//! each open node at the best site for each of its neighbours; and it finds a placement that keeps near to that bound.
//! Where the two differ, a node on the way that the end waits for is kept at each of its sites in turn. So what is left
//! out is never better, and a search that ends within its budget has found the optimum.

use crate::cost::{Costs, Run};
use crate::graph::{Graph, Input};
use crate::place::{Placed, Score};

/// How many nodes near each other are searched together.
const NEAR: usize = 8;

/// A search in one graph, with room for what it computes.
pub(crate) struct Search<'g> {
    graph: &'g Graph<'g>,
    costs: &'g Costs,
    /// How many more ways between candidates may be looked at.
    budget: usize,
    /// Node → whether it keeps its place.
    kept: Vec<bool>,
    /// Node → the one whose choice it has, itself if it has its own.
    leader: Vec<usize>,
    /// Node → where its candidates begin in the lists below.
    first: Vec<usize>,
    /// Candidate → how long it computes at least.
    compute: Vec<f64>,
    /// Candidate → when it ends at the soonest.
    soonest: Vec<f64>,
    /// Candidate → the least time from its end to the end of all that follows.
    rest: Vec<f64>,
    /// Node → how big its result is at least.
    size: Vec<f64>,
}

/// The best placement of some nodes that is known.
struct Best {
    score: Score,
    choice: Vec<usize>,
}

impl<'g> Search<'g> {
    pub fn new(graph: &'g Graph<'g>, costs: &'g Costs, budget: usize) -> Self {
        let mut candidates = 0;
        let first = graph.nodes.iter().map(|node| {
            candidates += node.candidates.len();
            candidates - node.candidates.len()
        });
        let first = first.collect();
        let mut leader: Vec<usize> = (0..graph.nodes.len()).collect();
        for &node in &graph.order {
            leader[node] = graph.nodes[node].follows.map_or(node, |next| leader[next]);
        }
        let (each, nodes) = (vec![0.0; candidates], graph.nodes.len());
        let (compute, soonest) = (each.clone(), each.clone());
        let (kept, size) = (vec![false; nodes], vec![0.0; nodes]);
        Self { graph, costs, budget, kept, leader, first, compute, soonest, rest: each, size }
    }

    /// The candidates that a node may have.
    fn candidates(&self, placed: &Placed, node: usize) -> std::ops::Range<usize> {
        if self.kept[self.leader[node]] {
            placed.choice[node]..placed.choice[node] + 1
        } else {
            0..self.graph.nodes[node].candidates.len()
        }
    }

    /// Takes so much of the budget.
    fn steps(&mut self, count: usize) {
        self.budget = self.budget.saturating_sub(count);
    }

    /// The soonest end that nodes could have, in the graph's order.
    fn bound(&mut self, placed: &Placed, nodes: &[usize]) -> f64 {
        let (graph, costs) = (self.graph, self.costs);
        for &node in nodes {
            self.size[node] = f64::INFINITY;
            let candidates = self.candidates(placed, node);
            let ways: usize =
                graph.nodes[node].inputs.iter().map(|input| self.candidates(placed, input.node).len()).sum();
            self.steps(2 * candidates.len() * (1 + ways));
            for at in candidates {
                let declared = &graph.nodes[node];
                let candidate = &declared.candidates[at];
                let run = costs.run(graph, node, candidate, |input| {
                    let from = declared.inputs[input];
                    let sent = if from.signal { 0.0 } else { self.size[from.node] };
                    let arrivals = self.candidates(placed, from.node).map(|at| {
                        let site = graph.nodes[from.node].candidates[at].site;
                        self.soonest[self.first[from.node] + at] + costs.send(site, candidate.site, sent)
                    });
                    let finish = arrivals.fold(f64::INFINITY, f64::min);
                    // It has been sent already.
                    (candidate.site, Run { finish, size: self.size[from.node], ..Run::default() })
                });
                self.compute[self.first[node] + at] = run.compute;
                self.soonest[self.first[node] + at] = run.finish;
                self.size[node] = self.size[node].min(run.size);
            }
        }
        let mut end: f64 = 0.0;
        for &node in nodes.iter().rev() {
            let mut soonest = f64::INFINITY;
            for at in self.candidates(placed, node) {
                let outputs = graph.nodes[node].outputs.iter();
                let rest = outputs.map(|output| self.least_after(placed, node, at, *output)).fold(0.0, f64::max);
                let candidate = self.first[node] + at;
                self.rest[candidate] = rest;
                soonest = soonest.min(self.soonest[candidate] + rest);
            }
            end = end.max(soonest);
        }
        end
    }

    /// The least time from a node's end at a candidate to the end of what follows by one of its outputs.
    fn least_after(&self, placed: &Placed, node: usize, at: usize, output: Input) -> f64 {
        let (graph, to) = (self.graph, output.node);
        let site = graph.nodes[node].candidates[at].site;
        let size = if output.signal { 0.0 } else { self.size[node] };
        let after = |next: usize| {
            let candidate = self.first[to] + next;
            let sending = self.costs.send(site, graph.nodes[to].candidates[next].site, size);
            sending + self.compute[candidate] + self.rest[candidate]
        };
        if graph.nodes[to].follows == Some(node) {
            return after(at);
        }
        self.candidates(placed, to).map(after).fold(f64::INFINITY, f64::min)
    }

    /// Places each open node, in order, where the bound of what follows is soonest.
    fn dive(&self, placed: &mut Placed, nodes: &[usize]) -> Score {
        let mut score = Score::default();
        for &node in nodes {
            let candidates = self.candidates(placed, node);
            let leader = self.graph.nodes[node].follows.map(|leader| placed.choice[leader]);
            let only = leader.or((candidates.len() == 1).then_some(candidates.start));
            let end =
                |at: usize| placed.run(self.graph, self.costs, node, at).finish + self.rest[self.first[node] + at];
            let best = only.unwrap_or_else(|| {
                let ends = candidates.map(|at| (at, end(at)));
                ends.min_by(|(_, one), (_, other)| one.total_cmp(other)).expect("a checked node has a candidate").0
            });
            placed.choose(self.graph, self.costs, node, best);
            score = score.with(&placed.runs[node]);
        }
        score
    }

    /// Gives the nodes, in the graph's order, the placement that ends soonest of those found within the budget.
    pub fn place(&mut self, placed: &mut Placed, nodes: &[usize]) {
        let budget = self.budget;
        self.budget = budget / 2;
        self.improve_open(placed, nodes);
        let is_whole = self.budget > 0;
        self.budget += budget - budget / 2;
        if is_whole {
            return;
        }
        for node in nodes {
            self.kept[*node] = true;
        }
        while self.budget > 0 {
            let way = placed.longest_way(self.graph, self.costs, nodes);
            if !way.into_iter().any(|node| self.improve_near(placed, nodes, node)) {
                break;
            }
        }
        for node in nodes {
            self.kept[*node] = false;
        }
    }

    /// Opens some nodes near one, in a placement that keeps all; whether it ends sooner then.
    fn improve_near(&mut self, placed: &mut Placed, nodes: &[usize], node: usize) -> bool {
        let (mut seen, mut at) = (vec![node], 0);
        let mut open = vec![];
        while open.len() < NEAR && at < seen.len() {
            let near = &self.graph.nodes[seen[at]];
            let leader = self.leader[seen[at]];
            if self.graph.nodes[leader].candidates.len() > 1 && !open.contains(&leader) {
                open.push(leader);
            }
            for next in near.inputs.iter().chain(&near.outputs) {
                if seen.len() < 8 * NEAR && !seen.contains(&next.node) {
                    seen.push(next.node);
                }
            }
            at += 1;
        }
        for node in &open {
            self.kept[*node] = false;
        }
        let better = self.improve_open(placed, nodes);
        for node in open {
            self.kept[node] = true;
        }
        better
    }

    /// Places the open nodes so that all end soonest; whether that is sooner than before.
    fn improve_open(&mut self, placed: &mut Placed, nodes: &[usize]) -> bool {
        self.steps(3 * nodes.len());
        let before = placed.run_all(self.graph, self.costs, nodes);
        let choice = nodes.iter().map(|node| placed.choice[*node]).collect();
        let mut best = Best { score: before, choice };
        self.branch(placed, nodes, &mut best);
        placed.restore(self.graph, self.costs, nodes, &best.choice);
        before.ends_after(best.score.end)
    }

    /// Bounds and dives, and then does so for each candidate of a node that decides whether there is anything better.
    fn branch(&mut self, placed: &mut Placed, nodes: &[usize], best: &mut Best) {
        if self.budget == 0 {
            return;
        }
        let bound = self.bound(placed, nodes);
        if !best.score.ends_after(bound) {
            return;
        }
        let score = self.dive(placed, nodes);
        if best.score.ends_after(score.end) {
            *best = Best { score, choice: nodes.iter().map(|node| placed.choice[*node]).collect() };
            if !score.ends_after(bound) {
                return;
            }
        }
        let Some(node) = self.undecided(placed, nodes) else { return };
        let ends = (0..self.graph.nodes[node].candidates.len()).map(|at| {
            let candidate = self.first[node] + at;
            (at, self.soonest[candidate] + self.rest[candidate])
        });
        let mut ends: Vec<(usize, f64)> = ends.collect();
        ends.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        self.kept[node] = true;
        for (at, end) in ends {
            if best.score.ends_after(end) {
                placed.choice[node] = at;
                placed.follow(self.graph, nodes);
                self.branch(placed, nodes, best);
            }
        }
        self.kept[node] = false;
    }

    /// The open node to decide on: one of the way that the end waits for, if there is one.
    fn undecided(&self, placed: &Placed, nodes: &[usize]) -> Option<usize> {
        let is_open = |node: &usize| !self.kept[*node] && self.graph.nodes[*node].candidates.len() > 1;
        let way = placed.longest_way(self.graph, self.costs, nodes);
        let mut way = way.into_iter().map(|node| self.leader[node]);
        way.find(is_open).or_else(|| nodes.iter().map(|node| self.leader[*node]).find(is_open))
    }
}
