//! How is a placed graph cut into one net for each site?

use std::collections::BTreeSet;

use dfm_net::{Arc, Carry, Net, Place, PlaceId, Source, Step, Transition, TransitionId};
use serde_json::json;

use crate::graph::{Graph, Known};
use crate::place::Placed;
use crate::{Argument, FedInfo};

/// One net for each site that has something to do, and for the home, which comes first.
pub(crate) fn cut_at_borders(fed: &FedInfo, graph: &Graph<'_>, placed: &Placed, home: usize) -> Vec<Net> {
    let sites: Vec<usize> = (0..graph.nodes.len()).map(|node| placed.site(graph, node)).collect();
    let mut order: Vec<usize> = vec![home];
    let mut at: Vec<Option<usize>> = vec![None; fed.sites.len()];
    at[home] = Some(0);
    let used: BTreeSet<usize> = sites.iter().copied().collect();
    for site in used {
        if at[site].is_none() {
            at[site] = Some(order.len());
            order.push(site);
        }
    }
    let name = |site: usize| fed.sites.get_index(site).expect("it is a site of the federation").0.clone();
    let net = |site: &usize| Net { site: name(*site), places: vec![], transitions: vec![] };
    let mut nets: Vec<Net> = order.iter().map(net).collect();

    let mut made: Vec<TransitionId> = Vec::with_capacity(sites.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let net = &mut nets[at[sites[index]].expect("a site with a node has a net")];
        made.push(net.transitions.len() as TransitionId);
        let offer = node.candidates[placed.choice[index]].offer;
        let provider = offer.and_then(|offer| offer.provider.clone());
        net.transitions.push(Transition { step: step(node.statement, provider), outputs: vec![] });
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let here = sites[index];
        let net = at[here].expect("a site with a node has a net");
        let mut slot = 0;
        let mut add = |nets: &mut Vec<Net>, source| {
            nets[net].places.push(Place { transition: made[index], slot, source });
            slot += 1;
            nets[net].places.len() as PlaceId - 1
        };
        let mut inputs = node.inputs.iter();
        let mut connect = |nets: &mut Vec<Net>, carry, add: &mut dyn FnMut(&mut Vec<Net>, Source) -> PlaceId| {
            let from = inputs.next().expect("there is one for each reference").node;
            let near = sites[from] == here;
            let place = add(nets, if near { Source::Here } else { Source::Site(name(sites[from])) });
            let site = (!near).then(|| name(here));
            let from_net = at[sites[from]].expect("a site with a node has a net");
            nets[from_net].transitions[made[from] as usize].outputs.push(Arc { site, place, carry });
        };
        for argument in node.statement.arguments() {
            match argument {
                Argument::Literal { .. } | Argument::Encoded { .. } => {}
                Argument::Param { param, .. } => {
                    add(&mut nets, Source::Param(param.clone()));
                }
                Argument::Node { path, .. } => {
                    let streams = path.is_empty() && matches!(node.statement, Known::Yield(_));
                    connect(&mut nets, if streams { Carry::Stream } else { Carry::Value(path.clone()) }, &mut add);
                }
            }
        }
        for _ in node.statement.after() {
            connect(&mut nets, Carry::Signal, &mut add);
        }
        if slot == 0 {
            nets[net].places.push(Place { transition: made[index], slot, source: Source::Start });
        }
    }
    nets
}

fn step(statement: Known<'_>, provider: Option<String>) -> Step {
    match statement {
        Known::Yield(statement) => Step::Yield { node: statement.node.clone(), place: statement.place.clone() },
        Known::Operation(statement) => {
            let mut slot = 0;
            let arguments = statement.arguments.iter().map(|(name, argument)| {
                let argument = match argument {
                    Argument::Literal { literal } => dfm_net::Argument::Literal(literal.clone()),
                    Argument::Encoded { encoded } => {
                        dfm_net::Argument::Literal(json!({"$dfm": "encoded", "data": encoded}))
                    }
                    Argument::Param { .. } | Argument::Node { .. } => {
                        slot += 1;
                        dfm_net::Argument::Slot(slot - 1)
                    }
                };
                (name.clone(), argument)
            });
            Step::Call {
                node: statement.node.clone(),
                operation: statement.operation.clone(),
                provider,
                arguments: arguments.collect(),
            }
        }
    }
}
