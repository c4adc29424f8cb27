//! Of whose results may there be something in what leaves a site?

use std::collections::{HashMap, HashSet};

use crate::{Net, PlaceId, TransitionId};

/// Which transitions of a site's net lead to other sites, and which to each other; made once for a net, as looking for
/// them would take as long as the net is large.
#[derive(Debug, Default)]
pub struct Makers {
    /// Another site → its place → the transitions whose arcs lead there, in their order.
    leaving: HashMap<String, HashMap<PlaceId, Vec<TransitionId>>>,
    /// For each transition those of this site whose arcs lead to one of its places.
    before: Vec<Vec<TransitionId>>,
}

impl Makers {
    /// Those of a whole net.
    pub fn new(net: &Net) -> Self {
        let mut makers = Self { leaving: HashMap::new(), before: vec![vec![]; net.transitions.len()] };
        for (at, transition) in net.transitions.iter().enumerate() {
            for arc in &transition.outputs {
                let led = match &arc.site {
                    Some(site) => makers.leaving.entry(site.clone()).or_default().entry(arc.place).or_default(),
                    None => {
                        let to = net.places.get(arc.place as usize).map(|to| to.transition as usize);
                        let Some(before) = to.and_then(|to| makers.before.get_mut(to)) else { continue };
                        before
                    }
                };
                if led.last() != Some(&(at as TransitionId)) {
                    led.push(at as TransitionId);
                }
            }
        }
        makers
    }

    /// The transitions whose arcs lead to a place of another site.
    pub fn leading(&self, place: PlaceId, site: &str) -> &[TransitionId] {
        self.leaving.get(site).and_then(|places| places.get(&place)).map_or(&[], Vec::as_slice)
    }

    /// The operations of whose results there may be something in what goes to a place of another site: that whose arc
    /// leads there or, where that is no operation's, all from which something comes to it. `net` is the one that these
    /// were made of.
    pub fn operations(&self, net: &Net, place: PlaceId, site: &str) -> Vec<String> {
        let mut next = self.leading(place, site).to_vec();
        let mut seen: HashSet<TransitionId> = next.iter().copied().collect();
        let mut found = vec![];
        while let Some(at) = next.pop() {
            match net.transitions[at as usize].step.operation() {
                Some(operation) => found.push(operation.to_owned()),
                None => next.extend(self.before[at as usize].iter().filter(|before| seen.insert(**before))),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
