//! Of whose results may there be something in what leaves a site?

use crate::{Arc, Net, PlaceId};

/// The operations of a site's net of whose results there may be something in what goes to a place of another site: that
/// whose arc leads there or, where that is no operation's, all from which something comes to it.
pub fn makers(net: &Net, place: PlaceId, site: &str) -> Vec<String> {
    let leads = |arc: &Arc| arc.place == place && arc.site.as_deref() == Some(site);
    let mut seen: Vec<bool> = net.transitions.iter().map(|one| one.outputs.iter().any(leads)).collect();
    let mut next: Vec<usize> = (0..seen.len()).filter(|at| seen[*at]).collect();
    let mut found = vec![];
    while let Some(at) = next.pop() {
        if let Some(operation) = net.transitions[at].step.operation() {
            found.push(operation.to_owned());
            continue;
        }
        let leads = |arc: &Arc| {
            arc.site.is_none() && net.places.get(arc.place as usize).is_some_and(|to| to.transition as usize == at)
        };
        for (other, transition) in net.transitions.iter().enumerate() {
            if !seen[other] && transition.outputs.iter().any(leads) {
                seen[other] = true;
                next.push(other);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
