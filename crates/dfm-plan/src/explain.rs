//! Why is each node where it is?

use std::collections::BTreeSet;

use crate::cost::{Costs, UNKNOWN};
use crate::estimate::shown_seconds;
use crate::graph::{Graph, Known, Limits};
use crate::place::Placed;
use crate::{Alternative, FedInfo, Placement};

/// Where each operation runs and why, in the order of the statements.
pub(crate) fn placements(fed: &FedInfo, graph: &Graph<'_>, costs: &Costs, placed: &Placed) -> Vec<Placement> {
    let mut placements = vec![];
    for (index, node) in graph.nodes.iter().enumerate() {
        let Known::Operation(statement) = node.statement else { continue };
        let mut options: Vec<Alternative> = (0..node.candidates.len())
            .map(|candidate| Alternative {
                site: site_name(fed, node.candidates[candidate].site),
                provider: node.candidates[candidate].offer.and_then(|offer| offer.provider.clone()),
                seconds: seconds_until_used(graph, costs, placed, index, candidate),
            })
            .collect();
        let chosen = options.remove(placed.choice[index]);
        options.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        placements.push(Placement {
            node: statement.node.clone(),
            operation: statement.operation.clone(),
            why: why(node.limits, &chosen, &options),
            site: chosen.site,
            provider: chosen.provider,
            alternatives: options,
        });
    }
    placements
}

/// The time until a node's result is where it is needed, if it ran at this candidate and nothing else changed.
fn seconds_until_used(graph: &Graph<'_>, costs: &Costs, placed: &Placed, node: usize, candidate: usize) -> f64 {
    let run = placed.run(graph, costs, node, candidate);
    let site = graph.nodes[node].candidates[candidate].site;
    let sending = graph.nodes[node].outputs.iter().map(|output| {
        let size = if output.signal { 0.0 } else { run.size };
        costs.send(site, placed.site(graph, output.node), size)
    });
    run.finish + sending.fold(0.0, f64::max)
}

fn why(limits: Limits, chosen: &Alternative, others: &[Alternative]) -> String {
    let Some(next) = others.first() else {
        if limits.meeting {
            return "parts of an aggregation meet here on their way".to_owned();
        }
        if limits.copied {
            return "an EachSite runs it at each of its sites".to_owned();
        }
        if limits.named {
            return "the pipeline names this site".to_owned();
        }
        let mut why = "the only site that offers it".to_owned();
        if limits.parameters {
            why += " with these parameters";
        }
        if limits.listed {
            why += " of those that the pipeline lists";
        }
        if limits.restricted {
            why += " of those that the session is restricted to";
        }
        return why;
    };
    let other = match &next.provider {
        Some(provider) => &format!("{} ({provider})", next.site),
        None => &next.site,
    };
    let is_known = |one: &Alternative| one.seconds < UNKNOWN;
    if !is_known(chosen) {
        // Nobody has declared what sending costs, so that it is left out of what is compared.
        return match next.seconds < chosen.seconds {
            true => "the best for the pipeline as a whole".to_owned(),
            false => format!("the best by the costs that are declared; the next best is {other}"),
        };
    }
    if !is_known(next) {
        let needed = shown_seconds(chosen.seconds);
        return format!(
            "its result is where it is needed after {needed}; the next best is {other}, at no declared cost"
        );
    }
    let after = shown_seconds(next.seconds);
    if next.seconds < chosen.seconds {
        format!("the best for the pipeline as a whole; alone it would be sooner at {other}, after {after}")
    } else {
        let needed = shown_seconds(chosen.seconds);
        format!("its result is where it is needed after {needed}; the next best is {other}, after {after}")
    }
}

/// Which sends that the planner chose have no known cost.
pub(crate) fn warnings(fed: &FedInfo, graph: &Graph<'_>, costs: &Costs, placed: &Placed) -> Vec<String> {
    let mut pairs = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            let (from, to) = (placed.site(graph, input.node), placed.site(graph, index));
            let is_named = |mut node: usize| {
                while let Some(leader) = graph.nodes[node].follows {
                    node = leader;
                }
                graph.nodes[node].limits.named || graph.nodes[node].candidates[0].offer.is_none()
            };
            let is_asked_for = is_named(input.node) && is_named(index);
            if !is_asked_for && !costs.is_known(from, to) {
                pairs.insert((from, to));
            }
        }
    }
    let told: Vec<String> = pairs
        .into_iter()
        .map(|(from, to)| format!("from {} to {}", site_name(fed, from), site_name(fed, to)))
        .collect();
    let warning = |told: String| {
        format!("nothing else serves than to send {told}, and the federation gives no send_cost for that")
    };
    (!told.is_empty()).then(|| warning(told.join(", "))).into_iter().collect()
}

fn site_name(fed: &FedInfo, site: usize) -> String {
    fed.sites.get_index(site).expect("it is a site of the federation").0.clone()
}
