//! How does `dfm fed simulate` say what a run would be like?

use dfm_config::Network;
use dfm_diag::Diagnostic;
use dfm_plan::Options;
use dfm_sim::{Failing, Scenario};
use serde_json::json;

use super::network::{self, copies};
use super::planned::{Planned, Source, fed_info, planned};
use crate::application::homesite;
use crate::args::Simulate;
use crate::chosen::federation;
use crate::context::{Context, Failure};

/// Plans with what the configuration and the network file say, and runs that in virtual time.
///
/// # Errors
/// Wrong usage, a wrong network file, or a pipeline that the federation cannot run.
pub fn run(context: &Context, args: &Simulate) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    let home = homesite(&chosen, args.homesite.as_deref())?;
    let network = network::read(context, &chosen, args.network.as_deref())?;
    if network.sites.get(&home).is_some_and(|site| site.lost_at.is_some()) {
        let message = format!("`lost_at` cannot be said of the homesite, `{home}`: its loss is the application's end");
        return Err(Failure::wrong(Diagnostic::error("simulate-lost-home", message)));
    }
    let mut fed = fed_info(&chosen)?;
    network::change(&mut fed, &network);
    let source = Source { path: &args.path, args: &args.args, home: &home };
    let options = Options { elements: f64::from(args.elements), ..Options::default() };
    let Planned { plan, estimate, .. } = planned(context, &chosen, &source, &fed, &options)?;
    let simulated = dfm_sim::simulate(&fed, &plan, &estimate, &scenario(&network, args.frames));
    if context.output.json {
        let expected = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
        context.output.document(&json!({"homesite": home, "estimated_seconds": expected, "simulated": simulated}));
    } else {
        context.output.result(&dfm_sim::explain(&simulated));
    }
    Ok(())
}

/// What happens besides what the plan says. A copy has its site's limits and failing calls, but is not lost with it.
fn scenario(network: &Network, frames: u32) -> Scenario {
    let mut scenario = Scenario { frames, seed: network.seed, ..Scenario::default() };
    for (name, site) in &network.sites {
        scenario.lost.extend(site.lost_at.map(|time| (name.clone(), time)));
        for one in std::iter::once(name.clone()).chain(copies(name, site)) {
            let failing = site.bindings.iter().filter(|binding| binding.failing > 0.0);
            scenario.failing.extend(failing.map(|binding| Failing {
                site: one.clone(),
                operation: binding.operation.clone(),
                provider: binding.provider.clone(),
                share: binding.failing,
            }));
            scenario.at_once.extend(site.at_once.map(|calls| (one, calls)));
        }
    }
    scenario
}
