//! Which of the calls that are due is the next one, and how many may run at the same time?
//!
//! Jobs take turns, so that one that asks for very much keeps no other one waiting for more than its turn.

use std::collections::{BTreeMap, HashMap, VecDeque};

use dfm_net::Frame;
use dfm_wire::JobId;

use crate::host::{Call, CallId};

/// An operation and its provider.
pub type Operation = (String, Option<String>);

/// A longer queue's memory is given back.
const KEPT: usize = 1024;

/// The number of an operation whose calls are bounded; `None` for all others.
type Bound = Option<usize>;

/// Calls that wait for their turn, and those that have begun.
pub(crate) struct Due<V> {
    at_once: usize,
    bounds: HashMap<Operation, usize>,
    /// By the number of a bound: how many may run, and how many do.
    room: Vec<(usize, usize)>,
    /// The jobs that have calls waiting, whose turn it is first.
    turns: VecDeque<JobId>,
    waiting: HashMap<JobId, Lanes<V>>,
    /// Empty ones, whose memory serves again: mostly a call waits for nothing but to be asked for.
    emptied: Vec<Lanes<V>>,
    /// What runs, generators that rest left out: who takes their items may need the room.
    begun: HashMap<CallId, Bound>,
    resting: HashMap<CallId, Bound>,
}

/// What waits of a job.
struct Lanes<V> {
    free: VecDeque<Call<V>>,
    /// Of operations that are bounded.
    bound: BTreeMap<usize, VecDeque<Call<V>>>,
}

impl<V> Default for Lanes<V> {
    fn default() -> Self {
        Self { free: VecDeque::new(), bound: BTreeMap::new() }
    }
}

impl<V> Lanes<V> {
    fn of(&mut self, bound: Bound) -> &mut VecDeque<Call<V>> {
        match bound {
            None => &mut self.free,
            Some(bound) => self.bound.entry(bound).or_default(),
        }
    }

    fn all(&self) -> impl Iterator<Item = (Bound, &VecDeque<Call<V>>)> {
        std::iter::once((None, &self.free)).chain(self.bound.iter().map(|(bound, calls)| (Some(*bound), calls)))
    }

    fn is_empty(&self) -> bool {
        self.all().all(|(_, calls)| calls.is_empty())
    }
}

impl<V> Default for Due<V> {
    fn default() -> Self {
        Self {
            at_once: usize::MAX,
            bounds: HashMap::new(),
            room: vec![],
            turns: VecDeque::new(),
            waiting: HashMap::new(),
            emptied: vec![],
            begun: HashMap::new(),
            resting: HashMap::new(),
        }
    }
}

impl<V> Due<V> {
    /// Says how many calls may run at the same time, and how many of some operations. Before the first call.
    pub(crate) fn bound(&mut self, at_once: usize, operations: impl IntoIterator<Item = (Operation, usize)>) {
        self.at_once = at_once;
        for (operation, most) in operations {
            self.bounds.insert(operation, self.room.len());
            self.room.push((most, 0));
        }
    }

    /// Takes a call of this operation, if it is one of an operation.
    pub(crate) fn push(&mut self, call: Call<V>, operation: Option<(&str, Option<&str>)>) {
        let bound = match operation {
            Some((name, provider)) if !self.bounds.is_empty() => {
                self.bounds.get(&(name.to_owned(), provider.map(str::to_owned))).copied()
            }
            _ => None,
        };
        let job = call.job;
        let lanes = self.waiting.entry(job).or_insert_with(|| {
            self.turns.push_back(job);
            self.emptied.pop().unwrap_or_default()
        });
        lanes.of(bound).push_back(call);
    }

    /// The next call that may begin.
    pub(crate) fn pop(&mut self) -> Option<Call<V>> {
        if self.begun.len() >= self.at_once {
            return None;
        }
        for _ in 0..self.turns.len() {
            let job = self.turns.pop_front()?;
            let Some(lanes) = self.waiting.get_mut(&job) else { continue };
            let may = |bound: &Bound| bound.is_none_or(|bound| self.room[bound].1 < self.room[bound].0);
            // Within a job, the oldest first.
            let fronts = lanes.all().filter_map(|(bound, calls)| Some((calls.front()?.id, bound)));
            let first = fronts.filter(|(_, bound)| may(bound)).min();
            let call = first.and_then(|(_, bound)| Some((bound, lanes.of(bound).pop_front()?)));
            if lanes.is_empty() {
                self.emptied.extend(self.waiting.remove(&job).filter(|lanes| lanes.free.capacity() <= KEPT));
            } else {
                self.turns.push_back(job);
            }
            if let Some((bound, call)) = call {
                self.count(bound, true);
                self.begun.insert(call.id, bound);
                return Some(call);
            }
        }
        None
    }

    /// How many calls run, generators that rest left out.
    pub(crate) fn running(&self) -> usize {
        self.begun.len()
    }

    /// Whether any call waits for its turn.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// The call of this job that waits and is for this firing.
    pub(crate) fn find(&self, job: JobId, transition: u32, frame: &Frame) -> Option<CallId> {
        let mut calls = self.waiting.get(&job)?.all().flat_map(|(_, calls)| calls);
        calls.find(|call| call.transition == transition && call.frame == *frame).map(|call| call.id)
    }

    /// The numbers of all calls that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = CallId> {
        self.waiting.values().flat_map(Lanes::all).flat_map(|(_, calls)| calls).map(|call| call.id)
    }

    /// Takes a call out that waits, because it has ended before it began.
    pub(crate) fn remove(&mut self, job: JobId, call: CallId) {
        let Some(lanes) = self.waiting.get_mut(&job) else { return };
        for calls in std::iter::once(&mut lanes.free).chain(lanes.bound.values_mut()) {
            calls.retain(|other| other.id != call);
        }
        if lanes.is_empty() {
            self.forget(job);
        }
    }

    /// A generator rests until its consumers have caught up.
    pub(crate) fn rest(&mut self, call: CallId) {
        if let Some(bound) = self.begun.remove(&call) {
            self.count(bound, false);
            self.resting.insert(call, bound);
        }
    }

    /// A generator goes on, whether there is room or not.
    pub(crate) fn go_on(&mut self, call: CallId) {
        if let Some(bound) = self.resting.remove(&call) {
            self.count(bound, true);
            self.begun.insert(call, bound);
        }
    }

    /// A call has ended, or is not wanted any more.
    pub(crate) fn end(&mut self, call: CallId) {
        if let Some(bound) = self.begun.remove(&call) {
            self.count(bound, false);
        }
        self.resting.remove(&call);
    }

    /// Drops what waits of a job.
    pub(crate) fn forget(&mut self, job: JobId) {
        if self.waiting.remove(&job).is_some() {
            self.turns.retain(|other| *other != job);
        }
    }

    fn count(&mut self, bound: Bound, more: bool) {
        if let Some(bound) = bound {
            let running = &mut self.room[bound].1;
            *running = if more { *running + 1 } else { *running - 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: CallId, job: JobId) -> Call<()> {
        Call { id, job, frame: Frame::of_param_set(0), transition: 0, inputs: vec![] }
    }

    fn popped(due: &mut Due<()>) -> Vec<CallId> {
        std::iter::from_fn(|| due.pop()).map(|call| call.id).collect()
    }

    #[test]
    fn jobs_take_turns() {
        let mut due = Due::default();
        due.bound(2, []);
        for id in 0..100 {
            due.push(call(id, 1), None);
        }
        assert_eq!(popped(&mut due), [0, 1]);
        due.push(call(100, 2), None);
        due.push(call(101, 2), None);
        due.end(0);
        due.end(1);
        assert_eq!(popped(&mut due), [2, 100], "one of each");
        due.end(2);
        due.end(100);
        assert_eq!(popped(&mut due), [3, 101]);
    }

    #[test]
    fn a_bounded_operation_keeps_no_other_one_waiting() {
        let mut due = Due::default();
        due.bound(10, [(("a.Slow".to_owned(), None), 1)]);
        due.push(call(0, 1), Some(("a.Slow", None)));
        due.push(call(1, 1), Some(("a.Slow", None)));
        due.push(call(2, 1), Some(("a.Slow", Some("provider"))));
        due.push(call(3, 1), Some(("a.Fast", None)));
        assert_eq!(popped(&mut due), [0, 2, 3]);
        due.end(3);
        assert!(popped(&mut due).is_empty());
        due.end(0);
        assert_eq!(popped(&mut due), [1]);
    }

    #[test]
    fn a_generator_that_rests_leaves_its_room_to_others() {
        let mut due = Due::default();
        due.bound(1, []);
        due.push(call(0, 1), None);
        due.push(call(1, 1), None);
        due.push(call(2, 1), None);
        assert_eq!(popped(&mut due), [0]);
        due.rest(0);
        assert_eq!(popped(&mut due), [1]);
        due.go_on(0);
        due.end(1);
        assert!(popped(&mut due).is_empty(), "the generator runs");
        due.end(0);
        assert_eq!(popped(&mut due), [2]);
    }

    #[test]
    fn what_is_not_wanted_any_more_takes_no_room() {
        let mut due = Due::default();
        due.bound(1, []);
        due.push(call(0, 1), None);
        due.push(call(1, 1), None);
        due.push(call(2, 2), None);
        assert_eq!(popped(&mut due), [0]);
        due.end(0);
        due.forget(1);
        assert_eq!(popped(&mut due), [2]);
    }
}
