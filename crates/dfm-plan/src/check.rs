//! Does a pipeline hold together, and can this federation run it?
//!
//! Everything is checked and every problem reported, not only the first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use dfm_net::NodeId;

use crate::blocks::Blocks;
use crate::connections::check_connections;
use crate::cut::limits_of;
use crate::graph::{Candidate, Graph, Input, Known, Limits, Node};
use crate::lead::{gather_where_used, lead};
use crate::offers::{Offers, site_index};
use crate::{
    Argument, DISCOVERY_MODE, FedInfo, OperationStatement, Pipeline, PlaceUse, Problem, SiteChoice, Statement,
    place_conflict, same_api,
};

/// The most inputs that one node can have.
const MAX_INPUTS: usize = u16::MAX as usize;

/// Checks `pipeline`, whose yields go to the site `home`. Operations may run at the `allowed` sites; `None` for all.
pub(crate) fn check<'a>(
    fed: &'a FedInfo,
    pipeline: &'a Pipeline,
    home: &str,
    allowed: Option<&[String]>,
) -> Result<Graph<'a>, Vec<Problem>> {
    let mut problems = check_header(fed, pipeline);
    let home = site_index(fed, home, "the homesite", None, &mut problems);
    let allowed: Option<HashSet<usize>> = allowed.map(|names| {
        let of = "a site that the session is restricted to";
        names.iter().filter_map(|name| site_index(fed, name, of, None, &mut problems)).collect()
    });
    let blocks = Blocks::new(pipeline, &mut problems);
    let known: Vec<Known<'a>> = blocks.known.iter().map(|(known, _)| *known).collect();
    let ids = check_ids(&known, &mut problems);
    check_places(&known, &mut problems);

    let discovers = pipeline.mode == DISCOVERY_MODE;
    let offers = Offers::new(fed, allowed, discovers);
    let mut nodes: Vec<Node<'a>> = Vec::with_capacity(known.len());
    for (index, &(statement, block)) in blocks.known.iter().enumerate() {
        let mut inputs = check_references(index, &blocks, &ids, &mut problems);
        let first = inputs.iter().find(|input| !input.signal).map(|input| input.node);
        let mut follows = None;
        check_advise(statement, discovers, &mut problems);
        statement.given().for_each(|given| check_keys(statement.node(), given, &mut problems));
        let home = home.map(|site| Candidate { site, offer: None });
        let (candidates, limits) = match statement {
            Known::Operation(operation) => {
                check_limits(operation, &mut problems);
                let made_by = |node: &NodeId| ids.get(node).map(|at| known[*at]);
                check_connections(fed, operation, made_by, &mut problems);
                offers.candidates(operation, &mut problems)
            }
            Known::LookUp(cache) => {
                let named = cache.site.as_ref().and_then(|name| offers.site(name, &cache.node, &mut problems));
                (named.into_iter().collect(), Limits::default())
            }
            Known::Repeat(_) => (vec![], Limits::default()),
            Known::Outcome(_) => {
                let rounds = blocks.rounds(index, &mut problems);
                let first = |at| Input { node: rounds[at], signal: at > 0 };
                inputs.splice(0..0, (0..rounds.len()).map(first));
                follows = rounds.last().copied();
                (vec![], Limits::default())
            }
            Known::Store(_) | Known::Again(_) => {
                follows = blocks.blocks[block].node;
                (vec![], Limits::default())
            }
            Known::Join(_) => {
                let [look_up, store] = blocks.joined(index).unwrap_or_default();
                inputs.extend([Input { node: look_up, signal: true }, Input { node: store, signal: false }]);
                follows = Some(look_up);
                (vec![], Limits::default())
            }
            Known::Yield(_) => (home.into_iter().collect(), Limits::default()),
            Known::Gather(_) => (vec![], Limits::default()),
            Known::ForEach(_) | Known::Collect(_) | Known::If(_) => {
                follows = first;
                (home.into_iter().collect(), Limits::default())
            }
        };
        let enters = if let Known::Collect(_) = statement {
            blocks.collection(index, first, &mut problems)
        } else {
            blocks.blocks[block].node
        };
        inputs.extend(
            enters.into_iter().chain(blocks.ends_collected(statement)).map(|node| Input { node, signal: true }),
        );
        let result = blocks.result_of(index);
        nodes.push(Node { statement, block, result, follows, inputs, outputs: vec![], candidates, limits });
    }
    for node in 0..nodes.len() {
        for at in 0..nodes[node].inputs.len() {
            let Input { node: from, signal } = nodes[node].inputs[at];
            nodes[from].outputs.push(Input { node, signal });
        }
    }
    let order = check_order(&nodes, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let home = Candidate { site: home.expect("a site that is none is a problem"), offer: None };
    gather_where_used(&mut nodes, &order, home);
    lead(&mut nodes, &order, home);
    Ok(Graph { nodes, order, blocks: blocks.blocks })
}

/// Refuses dictionaries whose keys the run has to tell.
fn check_keys(node: &NodeId, argument: &Argument, problems: &mut Vec<Problem>) {
    match argument {
        Argument::List { list: parts } | Argument::Tuple { tuple: parts } => {
            parts.iter().for_each(|part| check_keys(node, part, problems));
        }
        Argument::Model { fields, .. } => fields.iter().for_each(|(_, part)| check_keys(node, part, problems)),
        Argument::Dict { dict } => {
            for (key, value) in dict {
                if !matches!(key, Argument::Literal { .. } | Argument::Encoded { .. }) {
                    let message = "a dictionary's key is a literal, not what the run makes".to_owned();
                    problems.push(Problem::new("plan-key", Some(node), message, None));
                }
                check_keys(node, value, problems);
            }
        }
        _ => {}
    }
}

fn check_limits(operation: &OperationStatement, problems: &mut Vec<Problem>) {
    if let Some(wrong) = limits_of(operation).problem() {
        problems.push(Problem::new("plan-limits", Some(&operation.node), format!("it has {wrong}"), None));
    }
}

/// Refuses `Advise()` where nobody can be asked.
fn check_advise(statement: Known<'_>, discovers: bool, problems: &mut Vec<Problem>) {
    let (operation, site) = match statement {
        Known::Operation(operation) => (true, matches!(operation.site, SiteChoice::Advise { .. })),
        _ => (false, false),
    };
    let asks = site || statement.arguments().any(|argument| matches!(argument, Argument::Advise { .. }));
    let asks_for_part = statement.given().filter(|given| given.is_made()).flat_map(Argument::parts);
    let asks_for_part = asks_for_part.into_iter().any(|part| matches!(part, Argument::Advise { .. }));
    if asks_for_part {
        let message = "Advise() stands inside a value, and only whole parameters can be asked for".to_owned();
        problems.push(Problem::new("plan-advise", Some(statement.node()), message, None));
    } else if asks && !(operation && discovers) {
        let message =
            "Advise() asks which values are possible, which only an operation in discovery mode does".to_owned();
        let help = format!("give it a value, or write the pipeline with mode='{DISCOVERY_MODE}'");
        problems.push(Problem::new("plan-advise", Some(statement.node()), message, Some(help)));
    }
}

fn check_header(fed: &FedInfo, pipeline: &Pipeline) -> Vec<Problem> {
    let mut problems = vec![];
    let mut add = |code, message, help| problems.push(Problem::new(code, None, message, help));
    if pipeline.mode != "execute" && pipeline.mode != DISCOVERY_MODE {
        add("plan-mode", format!("the mode is execute or {DISCOVERY_MODE}, not '{}'", pipeline.mode), None);
    }
    if let Some(package) = pipeline.package.as_ref().filter(|package| **package != fed.code_package) {
        let message = format!("the pipeline is for the federation {package}, but this one is {}", fed.code_package);
        add("plan-other-federation", message, None);
    } else if let Some(version) = &pipeline.api_version
        && !same_api(version, &fed.api_version)
    {
        let message = format!("the pipeline speaks API version {version}, but the federation {}", fed.api_version);
        let help = "build the pipeline with code generated from the same federation: dfm fed gen code".to_owned();
        add("plan-api-version", message, Some(help));
    }
    problems
}

/// What the copies of an `EachSite`'s body would hide: names that are used twice, as the pipeline was written.
pub(crate) fn check_written(pipeline: &Pipeline) -> Vec<Problem> {
    let mut problems = vec![];
    let known: Vec<Known<'_>> = pipeline.statements.iter().filter_map(Known::giving).collect();
    check_places(&known, &mut problems);
    let mut ids = HashSet::new();
    for node in pipeline.statements.iter().filter_map(Statement::node) {
        if !ids.insert(node) {
            problems.push(twice(node));
        }
    }
    problems
}

fn twice(node: &NodeId) -> Problem {
    let message = format!("two statements have the node id {}", shown(node));
    Problem::new("plan-duplicate-node", Some(node), message, None)
}

fn check_ids<'a>(known: &[Known<'a>], problems: &mut Vec<Problem>) -> HashMap<&'a NodeId, usize> {
    let mut ids = HashMap::with_capacity(known.len());
    for (index, statement) in known.iter().enumerate() {
        let node = statement.node();
        if ids.insert(node, index).is_some() && !matches!(statement, Known::Join(_)) {
            problems.push(twice(node));
        }
    }
    ids
}

fn check_places(known: &[Known<'_>], problems: &mut Vec<Problem>) {
    let mut first: HashMap<&str, PlaceUse> = HashMap::new();
    for statement in known {
        let node = statement.node();
        let given = statement.arguments().filter_map(|argument| match argument {
            Argument::Param { param, multiuse } => Some((param, false, *multiuse)),
            _ => None,
        });
        let yielded = match statement {
            Known::Yield(statement) => Some((&statement.place, true, statement.multiuse)),
            _ => None,
        };
        for (place, yields, multiuse) in given.chain(yielded) {
            let next = PlaceUse { yields, multiuse, at: format!("by node {}", shown(node)) };
            match first.entry(place) {
                Entry::Vacant(entry) => {
                    entry.insert(next);
                }
                Entry::Occupied(first) => {
                    problems.extend(place_conflict(place, first.get(), &next).map(|broken| Problem::of(node, broken)));
                }
            }
        }
    }
}

fn check_references(
    from: usize,
    blocks: &Blocks<'_>,
    ids: &HashMap<&NodeId, usize>,
    problems: &mut Vec<Problem>,
) -> Vec<Input> {
    let (statement, _) = blocks.known[from];
    let node = statement.node();
    let mut inputs = vec![];
    let mut slots = 0;
    let mut refer = |to: &NodeId, signal: bool| match ids.get(to) {
        None => {
            let message = format!("it refers to the node {}, which the pipeline does not have", shown(to));
            problems.push(Problem::new("plan-unknown-node", Some(node), message, None));
        }
        Some(index) if matches!(blocks.known[*index].0, Known::Store(_)) => {
            let message = format!("it depends on the node {}, which writes to a cache and has no result", shown(to));
            let help = Some("depend on the TryFromCache, outside of its body".to_owned());
            problems.push(Problem::new("plan-store-as-input", Some(node), message, help));
        }
        Some(index) if matches!(blocks.known[*index].0, Known::Again(_)) => {
            let message = format!("it depends on the node {}, which ends a round and has no result", shown(to));
            problems.push(Problem::new("plan-repeat", Some(node), message, None));
        }
        Some(index) if matches!(blocks.known[*index].0, Known::Yield(_)) => {
            let message = format!("it depends on the node {}, which is a Yield and has no result", shown(to));
            let help = Some("depend on the node whose value is yielded".to_owned());
            problems.push(Problem::new("plan-yield-as-input", Some(node), message, help));
        }
        Some(index) => {
            let collects = !signal && matches!(statement, Known::Collect(_));
            problems.extend(blocks.refusal(from, *index, collects));
            inputs.push(Input { node: *index, signal });
        }
    };
    for argument in statement.arguments() {
        slots += 1;
        if let Argument::Node { node, .. } = argument {
            refer(node, false);
        }
    }
    for to in statement.after() {
        slots += 1;
        refer(to, true);
    }
    let mut add = |code, message, help: &str| {
        problems.push(Problem::new(code, Some(node), message, Some(help.to_owned())));
    };
    if slots > MAX_INPUTS {
        let message = format!("it has {slots} inputs; a node can have at most {MAX_INPUTS}");
        add("plan-too-many-inputs", message, "gather them through operations in between");
    }
    if let Known::Store(statement) = statement
        && !matches!(statement.value, Argument::Node { .. })
    {
        add("plan-cache", "it writes something else than a node to a cache".to_owned(), "write a node's result");
    }
    inputs
}

/// Sorts the nodes so that each comes after those it depends on, in the order of the statements where that is free.
fn check_order(nodes: &[Node<'_>], problems: &mut Vec<Problem>) -> Vec<usize> {
    let mut missing: Vec<usize> = nodes.iter().map(|node| node.inputs.len()).collect();
    let mut order: Vec<usize> = (0..nodes.len()).filter(|node| missing[*node] == 0).collect();
    let mut at = 0;
    while let Some(&node) = order.get(at) {
        at += 1;
        for output in &nodes[node].outputs {
            missing[output.node] -= 1;
            if missing[output.node] == 0 {
                order.push(output.node);
            }
        }
    }
    if order.len() < nodes.len() {
        let cycle = find_cycle(nodes, &missing);
        let names: Vec<String> = cycle.iter().map(|node| shown(nodes[*node].statement.node())).collect();
        let message = format!("these nodes wait for each other: {} → {}", names.join(" → "), names[0]);
        let help = Some("remove one of these dependencies".to_owned());
        problems.push(Problem::new("plan-cycle", Some(nodes[cycle[0]].statement.node()), message, help));
    }
    order
}

/// One cycle among the nodes that still miss an input, in the order of the data.
fn find_cycle(nodes: &[Node<'_>], missing: &[usize]) -> Vec<usize> {
    let mut path: Vec<usize> = vec![];
    let mut seen: HashMap<usize, usize> = HashMap::new();
    let mut node = missing.iter().position(|missing| *missing > 0).expect("some node was left over");
    loop {
        if let Some(start) = seen.insert(node, path.len()) {
            let mut cycle = path.split_off(start);
            cycle.reverse();
            return cycle;
        }
        path.push(node);
        let inputs = &nodes[node].inputs;
        node = inputs.iter().find(|input| missing[input.node] > 0).expect("it waits for one that was left over").node;
    }
}

/// A node id, for a message.
pub(crate) fn shown(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => number.to_string(),
        NodeId::Name(name) => format!("'{name}'"),
    }
}
