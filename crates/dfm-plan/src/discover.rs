//! Whom does a pipeline in discovery mode ask, and how do the answers get home?
//!
//! Asking is a call like any other, of an operation that every site has: the nets have one for each operation, site and
//! provider, and home hands what it returns to the application.

use std::collections::HashMap;
use std::fmt::Write;

use dfm_net::{Arc, Block, Carry, Limits, Net, NodeId, Place, PlaceId, Source, Step, Transition, TransitionId};
use serde_json::{Value, json};

use crate::check::{check, shown};
use crate::each_site::{expand, told_once};
use crate::graph::Known;
use crate::secure_sum::is_step;
use crate::{Argument, FedInfo, OperationStatement, Pipeline, Placement, Plan, Problem};

/// The `mode` of such a pipeline.
pub const DISCOVERY_MODE: &str = "discovery";
/// The operation that asks a site's adapter, and the place where the application gets the answer.
const DISCOVERY: &str = "_dfm_discovery_";

/// Plans to ask every site and provider that offers one of the pipeline's operations and that the pipeline allows, for
/// an application at the site `home`. Only the `allowed` sites are asked; `None` for all.
///
/// # Errors
/// Every reason why the federation cannot answer.
pub fn discover(
    fed: &FedInfo,
    pipeline: &Pipeline,
    home: &str,
    allowed: Option<&[String]>,
) -> Result<Plan, Vec<Problem>> {
    let expanded = expand(fed, pipeline, home, allowed)?;
    let fed = &expanded.offered(fed);
    let graph =
        check(fed, &expanded.pipeline, home, allowed).map_err(|problems| told_once(problems, &expanded.copies))?;
    let empty =
        |site: &str| Net { site: site.to_owned(), blocks: vec![Block::body()], places: vec![], transitions: vec![] };
    let mut nets = vec![empty(home)];
    let mut placements = vec![];
    for node in &graph.nodes {
        let Known::Operation(statement) = node.statement else { continue };
        if is_step(&statement.operation) {
            continue;
        }
        let id = expanded.origin(&statement.node);
        for candidate in &node.candidates {
            let site = fed.sites.get_index(candidate.site).expect("it is a site of the federation").0;
            let provider = candidate.offer.and_then(|offer| offer.provider.as_deref());
            let at = nets.iter().position(|net| net.site == *site).unwrap_or_else(|| {
                nets.push(empty(site));
                nets.len() - 1
            });
            let step = Step::Yield { node: id.clone(), place: DISCOVERY.to_owned(), value: dfm_net::Argument::Slot(0) };
            let source = if at == 0 { Source::Here } else { Source::Site(site.clone()) };
            let (_, place) = add(&mut nets[0], step, source);
            let (transition, _) = add(&mut nets[at], ask(id, statement, provider), Source::Start);
            let site_of_place = (at > 0).then(|| home.to_owned());
            let arc = Arc { site: site_of_place, place, carry: Carry::Value(vec![]), inward: false };
            nets[at].transitions[transition as usize].outputs.push(arc);
            placements.push(Placement {
                node: id.clone(),
                operation: statement.operation.clone(),
                site: site.clone(),
                provider: provider.map(str::to_owned),
                why: "it offers the operation".to_owned(),
                alternatives: vec![],
            });
        }
    }
    // What an EachSite has written site by site is told operation by operation.
    let at: HashMap<NodeId, usize> =
        placements.iter().enumerate().rev().map(|(at, one)| (one.node.clone(), at)).collect();
    placements.sort_by_key(|one| at[&one.node]);
    Ok(Plan {
        format: 1,
        name: pipeline.name.clone().unwrap_or_else(|| "pipeline".to_owned()),
        home: home.to_owned(),
        nets,
        placements,
        params: vec![],
        yields: vec![DISCOVERY.to_owned()],
        each_sites: vec![],
        copies: vec![],
        optional: vec![],
        meets: vec![],
        straight: vec![],
        warnings: vec![],
        sums: vec![],
    })
}

/// Adds a transition with one input.
fn add(net: &mut Net, step: Step, source: Source) -> (TransitionId, PlaceId) {
    let (transition, place) = (net.transitions.len() as TransitionId, net.places.len() as PlaceId);
    net.transitions.push(Transition { step, block: 0, outputs: vec![] });
    net.places.push(Place { transition, slot: 0, block: 0, source });
    (transition, place)
}

/// The call that asks. What another node or a parameter place gives is not known before the pipeline runs.
fn ask(id: &NodeId, statement: &OperationStatement, provider: Option<&str>) -> Step {
    let mut given = serde_json::Map::new();
    let (mut asked, mut unknown) = (vec![], vec![]);
    for (name, argument) in &statement.arguments {
        match argument {
            Argument::Advise { .. } => asked.push(name.as_str()),
            _ if argument.is_made() => unknown.push(name.as_str()),
            Argument::Node { .. } | Argument::Param { .. } => unknown.push(name.as_str()),
            _ => {
                if let dfm_net::Argument::Literal(value) = crate::cut::argument(argument, &mut 0) {
                    given.insert(name.clone(), value);
                }
            }
        }
    }
    let arguments: [(&str, Value); 6] = [
        ("operation", json!(statement.operation)),
        ("provider", json!(provider)),
        ("given", Value::Object(given)),
        ("asked", json!(asked)),
        ("unknown", json!(unknown)),
        ("seconds", json!(statement.timeout)),
    ];
    Step::Call {
        node: id.clone(),
        operation: DISCOVERY.to_owned(),
        provider: None,
        arguments: arguments.map(|(name, value)| (name.to_owned(), dfm_net::Argument::Literal(value))).into(),
        limits: Limits::default(),
    }
}

/// For people: who is asked for what.
pub fn explain_discovery(plan: &Plan) -> String {
    let mut text = String::new();
    for (index, one) in plan.placements.iter().enumerate() {
        let first = index == 0 || plan.placements[index - 1].node != one.node;
        if first {
            let _ = writeln!(text, "{:>4}  {} is asked for", shown(&one.node), one.operation);
        }
        let by = one.provider.as_ref().map(|provider| format!(" by {provider}")).unwrap_or_default();
        let _ = writeln!(text, "        at {}{by}", one.site);
    }
    text.truncate(text.trim_end().len());
    text
}
