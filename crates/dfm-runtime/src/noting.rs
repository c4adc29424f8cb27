//! What does a site note of a job, for home to hear while it runs?

use std::collections::HashMap;

use dfm_net::{Frame, Net, NodeId, Noted, PlaceId};

/// The most that a site notes of a job; what is more is only counted.
pub const MOST_NOTED: usize = 4096;

/// Seconds after which what was noted is told, at the next thing that happens.
const TELL: f64 = 0.5;

/// Site → place there → whose result goes there.
type Makers = HashMap<String, HashMap<PlaceId, NodeId>>;

/// What is noted of one job at one site.
pub(crate) struct Noting {
    fresh: Vec<Noted>,
    left: usize,
    left_out: u64,
    told: f64,
    makers: Option<Makers>,
}

impl Noting {
    /// From now on.
    pub fn new(now: f64) -> Self {
        Self { fresh: vec![], left: MOST_NOTED, left_out: 0, told: now, makers: None }
    }

    /// A value was sent to a place of another site.
    pub fn sent(&mut self, net: &Net, (site, place): (&str, PlaceId), frame: &Frame, at: f64, bytes: u64) {
        let makers = self.makers.get_or_insert_with(|| makers(net));
        let Some(node) = makers.get(site).and_then(|places| places.get(&place)).cloned() else { return };
        self.note(|| Noted::Sent { node, frame: frame.clone(), to: site.to_owned(), at, bytes });
    }

    /// Something happened.
    pub fn note(&mut self, noted: impl FnOnce() -> Noted) {
        if self.left == 0 {
            self.left_out += 1;
        } else {
            self.left -= 1;
            self.fresh.push(noted());
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

fn makers(net: &Net) -> Makers {
    let mut makers = Makers::new();
    for transition in &net.transitions {
        for arc in &transition.outputs {
            if let Some(site) = &arc.site {
                makers.entry(site.clone()).or_default().insert(arc.place, transition.step.node().clone());
            }
        }
    }
    makers
}
