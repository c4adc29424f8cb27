//! What does a network file change of a federation?

use std::path::Path;

use dfm_config::{Network, NetworkSite};
use dfm_plan::{ComputeCost, FedInfo, SendCost};

use crate::chosen::Chosen;
use crate::context::{Context, Failure};

/// Reads a network file; one that changes nothing, if there is none.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(context: &Context, chosen: &Chosen, file: Option<&Path>) -> Result<Network, Failure> {
    let Some(file) = file else { return Ok(Network::default()) };
    dfm_config::network(&context.shown(file), &chosen.federation).map_err(Failure::wrong)
}

/// Gives a federation the costs of a network file, and the copies of sites.
pub fn change(fed: &mut FedInfo, network: &Network) {
    let cost = |cost: &dfm_config::SendCost| SendCost { fixed_time: cost.fixed_time, bandwidth: cost.bandwidth };
    fed.other_send_cost = network.send_cost.as_ref().map(cost);
    for (name, site) in &network.sites {
        let Some(kept) = fed.sites.get_mut(name) else { continue };
        kept.send_cost.extend(site.send_cost.iter().map(|(to, known)| (to.clone(), cost(known))));
        for binding in &site.bindings {
            let Some(cost) = &binding.compute_cost else { continue };
            let meant = kept
                .offers
                .iter_mut()
                .filter(|offer| offer.operation == binding.operation && offer.provider == binding.provider);
            for offer in meant {
                offer.compute_cost = ComputeCost {
                    fixed_time: cost.fixed_time,
                    compute_throughput: cost.compute_throughput,
                    fixed_size: cost.fixed_size,
                    output_factor: cost.output_factor,
                };
            }
        }
    }
    for (name, site) in &network.sites {
        let same = fed.sites[name].clone();
        let others: Vec<String> = fed.sites.keys().filter(|other| *other != name).cloned().collect();
        for copy in copies(name, site) {
            for other in &others {
                let sender = &mut fed.sites[other];
                if let Some(cost) = sender.send_cost.get(name).cloned() {
                    sender.send_cost.insert(copy.clone(), cost);
                }
            }
            fed.sites.insert(copy, same.clone());
        }
    }
}

/// The names of a site's copies.
pub fn copies<'a>(name: &'a str, site: &NetworkSite) -> impl Iterator<Item = String> + use<'a> {
    (1..=site.copies).map(move |number| format!("{name}-{number}"))
}
