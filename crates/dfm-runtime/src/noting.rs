//! What does a site note of a job, for home to hear while it runs?

use std::collections::HashMap;

use dfm_net::{Frame, Net, NodeId, Noted, PlaceId};

use crate::host::CallId;

/// The most that a site notes of a job; what is more is only counted.
pub const MOST_NOTED: usize = 4096;

/// Seconds after which what was noted is told, at the next thing that happens.
const TELL: f64 = 0.5;

/// What is noted of one job at one site.
pub(crate) struct Noting {
    /// Calls that have all they need → since when.
    due: HashMap<CallId, f64>,
    /// Calls that run → for how long they were due, and since when they run.
    running: HashMap<CallId, (f64, f64)>,
    fresh: Vec<Noted>,
    left: usize,
    left_out: u64,
    told: f64,
    /// Site and place there → whose result goes there.
    makers: Option<HashMap<(String, PlaceId), NodeId>>,
}

impl Noting {
    /// From now on.
    pub fn new(now: f64) -> Self {
        let (due, running) = (HashMap::new(), HashMap::new());
        Self { due, running, fresh: vec![], left: MOST_NOTED, left_out: 0, told: now, makers: None }
    }

    /// A call has all that it needs.
    pub fn due(&mut self, call: CallId, now: f64) {
        if self.left > 0 {
            self.due.insert(call, now);
        }
    }

    /// A call begins.
    pub fn begin(&mut self, call: CallId, now: f64) {
        if let Some(due) = self.due.remove(&call) {
            self.running.insert(call, ((now - due).max(0.0), now));
        }
    }

    /// A call has ended.
    pub fn end(&mut self, call: CallId, node: NodeId, frame: Frame, now: f64, failed: bool) {
        match self.running.remove(&call) {
            Some((waited, begin)) => {
                self.note(Noted::Fired { node, frame, waited, begin, seconds: (now - begin).max(0.0), failed });
            }
            None => self.left_out += 1,
        }
    }

    /// A value was sent to a place of another site.
    pub fn sent(&mut self, net: &Net, to: (&str, PlaceId), frame: &Frame, at: f64, bytes: u64) {
        if self.left == 0 {
            self.left_out += 1;
            return;
        }
        let makers = self.makers.get_or_insert_with(|| makers(net));
        let to = (to.0.to_owned(), to.1);
        if let Some(node) = makers.get(&to).cloned() {
            self.note(Noted::Sent { node, frame: frame.clone(), to: to.0, at, bytes });
        }
    }

    /// Something happened.
    pub fn note(&mut self, noted: Noted) {
        if self.left == 0 {
            self.left_out += 1;
        } else {
            self.left -= 1;
            self.fresh.push(noted);
        }
    }

    /// What is to be told now: all that is new, if it is time for that, and how much more was only counted.
    pub fn tell(&mut self, now: f64) -> Option<(Vec<Noted>, u64)> {
        if now - self.told < TELL || self.fresh.is_empty() {
            return None;
        }
        self.told = now;
        self.rest()
    }

    /// All that is new, if there is any.
    pub fn rest(&mut self) -> Option<(Vec<Noted>, u64)> {
        let rest = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.left_out));
        (!rest.0.is_empty() || rest.1 > 0).then_some(rest)
    }
}

fn makers(net: &Net) -> HashMap<(String, PlaceId), NodeId> {
    let of = |transition: &dfm_net::Transition| {
        let node = transition.step.node().clone();
        let arcs = transition.outputs.iter().filter_map(|arc| Some((arc.site.clone()?, arc.place)));
        arcs.map(|to| (to, node.clone())).collect::<Vec<_>>()
    };
    net.transitions.iter().flat_map(of).collect()
}
