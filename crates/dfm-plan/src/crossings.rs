//! Which values go from one site to another, and of whose results is there something in them?

use std::collections::{HashMap, HashSet};

use dfm_net::{Arc, Carry, Makers, Net, NodeId, Transition};
use indexmap::IndexSet;
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
    let (mut found, mut seen) = (vec![], HashSet::new());
    let nets: HashMap<&str, &Net> = plan.nets.iter().map(|net| (net.site.as_str(), net)).collect();
    for net in &plan.nets {
        let makers = Makers::new(net);
        for (at, transition) in (0..).zip(&net.transitions) {
            for (arc, to) in leaving_by(transition) {
                let Some(there) = nets.get(to.as_str()) else { continue };
                let used_by = there.transitions[there.places[arc.place as usize].transition as usize].step.node();
                let node = transition.step.node();
                if seen.insert((&net.site, to, node, used_by)) {
                    found.push(Crossing {
                        from: net.site.clone(),
                        to: to.clone(),
                        node: node.clone(),
                        what: transition.step.label(),
                        used_by: used_by.clone(),
                        operations: makers.operations_in(net, at),
                    });
                }
            }
        }
    }
    found
}

/// Each site that values leave, and for each of these the operations there of whose results there may be something in it,
/// each such group once.
pub fn leaving(plan: &Plan) -> Vec<(&str, IndexSet<Vec<String>>)> {
    let of_net = |net| {
        let makers = Makers::new(net);
        let leaves = |(_, transition): &(_, &Transition)| leaving_by(transition).next().is_some();
        let leaving = (0..).zip(&net.transitions).filter(leaves);
        (net.site.as_str(), leaving.map(|(at, _)| makers.operations_in(net, at)).collect())
    };
    plan.nets.iter().map(of_net).filter(|(_, leaving): &(_, IndexSet<_>)| !leaving.is_empty()).collect()
}

/// What takes values of a transition to other sites, each with its site.
fn leaving_by(transition: &Transition) -> impl Iterator<Item = (&Arc, &String)> {
    let arcs = transition.outputs.iter().filter(|arc| !matches!(arc.carry, Carry::Signal | Carry::Count(_)));
    arcs.filter_map(|arc| Some((arc, arc.site.as_ref()?)))
}
