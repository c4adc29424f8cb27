//! Where are a job's tokens, and what does each step of its plan wait for?
//!
//! Sites tell of calls that have ended and of values that were sent, and nothing of what parts and puts together. So what
//! comes from there is not known, and of what needs it is told only what is missing beside that.

use std::collections::HashMap;

use dfm_net::{Frame, NodeId};
use serde::Serialize;

use crate::format::{Edge, Entry, Kind, More, Outline, Step, Told};
use crate::read::Record;

/// How far a job is in its plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// As many as the plan has, in its order.
    pub steps: Vec<StepFlow>,
    /// As many as the plan has, in its order.
    pub edges: Vec<EdgeFlow>,
}

/// How far a step is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepFlow {
    /// How often it was done: calls that have given a result, or values that came to the application.
    pub done: u64,
    /// How many calls ended with an error.
    pub failed: u64,
    /// How often it cannot be done, as what it needs has failed.
    pub without: u64,
    /// How often it has all that it needs and is not over: it runs, or waits for its turn. `None` where that is not known.
    pub ready: Option<u64>,
    /// The edges on which there is nothing for it, while it has something to do.
    pub waits_for: Vec<usize>,
}

/// What went over an edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EdgeFlow {
    /// How many values have arrived, or are on their way; `None` where that is not known.
    pub moved: Option<u64>,
    /// Their bytes, where they went to another site.
    pub bytes: u64,
    /// How many of them rest, as the step has not used them; `None` where that is not known.
    pub rest: Option<u64>,
}

impl Flow {
    /// Of a job whose record has its plan.
    pub fn new(record: &Record) -> Option<Self> {
        let plan = record.header.plan.as_deref()?;
        let mut flow = Self { steps: vec![StepFlow::default(); plan.steps.len()], edges: vec![] };
        let begun = flow.count(plan, record);
        // What was left out and not even counted is not known to be missing.
        let has = |is: fn(&Entry) -> bool| record.entries.iter().any(is);
        if has(|entry| matches!(entry, Entry::More { .. })) || !has(|entry| matches!(entry, Entry::LeftOut { .. })) {
            flow.wait(plan, begun);
        }
        Some(flow)
    }

    /// Counts what was done and sent; how many frames have begun.
    fn count(&mut self, plan: &Outline, record: &Record) -> u64 {
        let index = |kind| plan.steps.iter().enumerate().filter(move |(_, step)| step.kind == kind);
        let calls: HashMap<(&NodeId, &str), usize> =
            index(Kind::Call).map(|(at, step)| ((&step.node, step.site.as_str()), at)).collect();
        let yields: HashMap<&NodeId, usize> = index(Kind::Yield).map(|(at, step)| (&step.node, at)).collect();
        let mut sent: HashMap<(usize, &str), (u64, u64)> = HashMap::new();
        let mut begun = 0_u64;
        for entry in &record.entries {
            let call = |node, site: &String| calls.get(&(node, site.as_str())).copied();
            match entry {
                Entry::Started { .. } => begun = begun.saturating_add(1),
                Entry::More { of: More::Started, count, .. } => begun = begun.saturating_add(*count),
                Entry::Fired { site, node, failed: false, .. } => add(self.done(call(node, site)), 1),
                Entry::More { site, of: More::Done { node }, count } => add(self.done(call(node, site)), *count),
                Entry::Fired { site, node, .. } => add(self.failed(call(node, site)), 1),
                Entry::More { site, of: More::Failed { node }, count } => add(self.failed(call(node, site)), *count),
                Entry::Came { node, .. } => add(self.done(yields.get(node).copied()), 1),
                Entry::More { of: More::Came { node }, count, .. } => add(self.done(yields.get(node).copied()), *count),
                _ => {}
            }
            let (site, node, to, count, bytes) = match entry {
                Entry::Sent { site, node, to, bytes, .. } => (site, node, to, 1, *bytes),
                Entry::More { site, of: More::Sent { node, to, bytes }, count } => (site, node, to, *count, *bytes),
                _ => continue,
            };
            if let Some(at) = call(node, site) {
                let (times, all) = sent.entry((at, to)).or_default();
                (*times, *all) = (times.saturating_add(count), all.saturating_add(bytes));
            }
        }
        let edge = |edge: &Edge| {
            let (from, to) = (&plan.steps[edge.from], &plan.steps[edge.to]);
            if from.kind != Kind::Call {
                return EdgeFlow::default();
            }
            if edge.signal || from.site == to.site {
                return EdgeFlow { moved: Some(self.steps[edge.from].done), ..EdgeFlow::default() };
            }
            let (moved, bytes) = sent.get(&(edge.from, to.site.as_str())).copied().unwrap_or_default();
            EdgeFlow { moved: Some(moved), bytes, rest: None }
        };
        self.edges = plan.edges.iter().map(edge).collect();
        begun
    }

    fn done(&mut self, step: Option<usize>) -> Option<&mut u64> {
        Some(&mut self.steps.get_mut(step?)?.done)
    }

    fn failed(&mut self, step: Option<usize>) -> Option<&mut u64> {
        Some(&mut self.steps.get_mut(step?)?.failed)
    }

    /// Says what rests where, and what is missing, if so many frames have begun.
    fn wait(&mut self, plan: &Outline, begun: u64) {
        let mut inputs = vec![vec![]; plan.steps.len()];
        for (at, edge) in plan.edges.iter().enumerate() {
            inputs[edge.to].push(at);
        }
        for to in plan.order() {
            let (levels, kind) = (plan.steps[to].levels, plan.steps[to].kind);
            let lost = |edge: usize| {
                let from = &self.steps[plan.edges[edge].from];
                from.failed.saturating_add(from.without)
            };
            let without = inputs[to].iter().map(|edge| lost(*edge)).max().unwrap_or(0);
            let is_beside = |edge: usize| plan.steps[plan.edges[edge].from].levels == levels;
            // How often an input has been settled; what comes from around a loop serves all of its elements.
            let settled = |edge: usize| {
                let moved = self.edges[edge].moved?;
                Some(if is_beside(edge) || moved == 0 { moved.saturating_add(lost(edge)) } else { u64::MAX })
            };
            let beside = inputs[to].iter().filter(|edge| is_beside(**edge)).filter_map(|edge| settled(*edge));
            let expected = if levels == 1 { begun } else { beside.max().unwrap_or(0) };
            let over = self.steps[to].done.saturating_add(self.steps[to].failed).saturating_add(without);
            let (mut waits_for, mut ready, mut rest) = (vec![], Some(expected.saturating_sub(over)), vec![]);
            for &edge in &inputs[to] {
                let settled = settled(edge);
                let left = settled.map(|settled| settled.saturating_sub(over));
                ready = ready.zip(left).map(|(ready, left)| ready.min(left));
                if left == Some(0) && expected > over {
                    waits_for.push(edge);
                }
                if is_beside(edge) && kind != Kind::Other {
                    rest.push((edge, left));
                }
            }
            for (edge, left) in rest {
                self.edges[edge].rest = left;
            }
            let step = &mut self.steps[to];
            step.without = without;
            if kind == Kind::Yield {
                // The errors that stand for values come to the application too.
                step.done = step.done.saturating_sub(without);
            }
            if kind != Kind::Other {
                (step.ready, step.waits_for) = (ready, waits_for);
            }
        }
    }
}

fn add(sum: Option<&mut u64>, more: u64) {
    if let Some(sum) = sum {
        *sum = sum.saturating_add(more);
    }
}

/// Of each of the errors, the indices of the steps that were not done because of it, where the record has its plan. While a
/// job runs, that is only what surely will not be.
pub fn made_fail(record: &Record, errors: &[Told]) -> Vec<Vec<usize>> {
    let Some(plan) = record.header.plan.as_deref() else { return vec![vec![]; errors.len()] };
    let mut outputs = vec![vec![]; plan.steps.len()];
    for edge in &plan.edges {
        outputs[edge.from].push(edge.to);
    }
    // Each node, and the frames in which it was done; none where it was done in others that nobody knows.
    let mut done: HashMap<&NodeId, Option<Vec<&Frame>>> = HashMap::new();
    for entry in &record.entries {
        match entry {
            Entry::Fired { node, frame, failed: false, .. } | Entry::Came { node, frame, .. } => {
                if let Some(frames) = done.entry(node).or_insert_with(|| Some(vec![])) {
                    frames.push(frame);
                }
            }
            Entry::More { of: More::Done { node } | More::Came { node }, .. } => {
                done.insert(node, None);
            }
            _ => {}
        }
    }
    let fails = |error: &Told| {
        let is_it = |step: &Step| error.node.as_ref() == Some(&step.node) && error.site == step.site;
        // Each step, and whether there is something between that can do without what is lost.
        let mut pending: Vec<(usize, bool)> =
            plan.steps.iter().position(is_it).map(|at| (at, false)).into_iter().collect();
        let mut seen = vec![false; plan.steps.len()];
        while let Some((at, spared)) = pending.pop() {
            for &to in &outputs[at] {
                let step = &plan.steps[to];
                let spared = spared || step.kind == Kind::Other;
                let is_one = |frames: &Vec<&Frame>| frames.iter().any(|frame| concern(error, frame));
                let ran = done.get(&step.node).is_some_and(|frames| frames.as_ref().is_none_or(is_one));
                // An error comes to the application as a value does.
                let ran = ran && (spared || step.kind != Kind::Yield);
                if !(ran || seen[to] || record.running && spared) {
                    seen[to] = true;
                    pending.push((to, spared));
                }
            }
        }
        (0..seen.len()).filter(|at| seen[*at] && plan.steps[*at].kind != Kind::Other).collect()
    };
    errors.iter().map(fails).collect()
}

/// Whether one frame is that of the error, or within it, or around it.
fn concern(error: &Told, frame: &Frame) -> bool {
    error.frame.as_ref().is_none_or(|of| of == frame || of.is_ancestor_of(frame) || frame.is_ancestor_of(of))
}
