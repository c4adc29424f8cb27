//! Which values go from one site to another, and of whose results is there something in them?

use std::collections::{BTreeSet, HashMap};

use dfm_net::{Carry, Makers, Net, NodeId};
use serde::Serialize;

use crate::Plan;

/// A value that goes from one site to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crossing {
    /// The site that it leaves.
    pub from: String,
    /// The site that gets it, and sees it.
    pub to: String,
    /// The node that it comes from.
    pub node: NodeId,
    /// What that node is: its operation, or what it does of the pipeline.
    pub what: String,
    /// The node that gets it.
    pub used_by: NodeId,
    /// The operations at the site that it leaves of whose results there may be something in it.
    pub operations: Vec<String>,
}

/// Each value that leaves a site, in the order of the nets. Parameters are the application's own, and order without a
/// value is none; that a condition's outcome tells something of a value is not said here.
pub fn crossings(plan: &Plan) -> Vec<Crossing> {
    let (mut found, mut seen) = (vec![], BTreeSet::new());
    let nets: HashMap<&str, &Net> = plan.nets.iter().map(|net| (net.site.as_str(), net)).collect();
    for net in &plan.nets {
        let makers = Makers::new(net);
        for transition in &net.transitions {
            for arc in transition.outputs.iter().filter(|arc| !matches!(arc.carry, Carry::Signal | Carry::Count(_))) {
                let Some(to) = &arc.site else { continue };
                let Some(there) = nets.get(to.as_str()) else { continue };
                let used_by = there.transitions[there.places[arc.place as usize].transition as usize].step.node();
                let crossing = Crossing {
                    from: net.site.clone(),
                    to: to.clone(),
                    node: transition.step.node().clone(),
                    what: transition.step.label(),
                    used_by: used_by.clone(),
                    operations: makers.operations(net, arc.place, to),
                };
                if seen.insert(format!("{}\n{to}\n{:?}\n{used_by:?}", net.site, crossing.node)) {
                    found.push(crossing);
                }
            }
        }
    }
    found
}
