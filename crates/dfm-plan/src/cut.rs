//! How is a placed graph cut into one net for each site?

use std::collections::BTreeSet;

use dfm_net::{
    Arc, Block, BlockId, Carry, Form, Limits, Net, OnError, Place, PlaceId, Selector, Source, Step, Transition,
    TransitionId,
};
use indexmap::IndexMap;
use serde_json::json;

use crate::graph::{Graph, Known};
use crate::place::Placed;
use crate::streams::streamed;
use crate::{Argument, Condition, FedInfo, OperationStatement};

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
    let blocks = graph.blocks.iter().enumerate().map(|(at, block)| {
        let parent = (at > 0).then_some(block.parent as BlockId);
        Block { parent, each: block.each }
    });
    let blocks: Vec<Block> = blocks.collect();
    let net = |site: &usize| Net { site: name(*site), blocks: blocks.clone(), places: vec![], transitions: vec![] };
    let mut nets: Vec<Net> = order.iter().map(net).collect();

    let mut made: Vec<TransitionId> = Vec::with_capacity(sites.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let net = &mut nets[at[sites[index]].expect("a site with a node has a net")];
        made.push(net.transitions.len() as TransitionId);
        let offer = node.candidates[placed.choice[index]].offer;
        let provider = offer.and_then(|offer| offer.provider.clone());
        let block = node.block as BlockId;
        // What begins rounds stands before what ends them, at the same site.
        let ends = graph.blocks[node.block].node.and_then(|begins| match graph.nodes[begins].statement {
            Known::Repeat(repeat) => Some((*made.get(begins)?, repeat.at_most)),
            _ => None,
        });
        net.transitions.push(Transition { step: step(node.statement, provider, ends), block, outputs: vec![] });
    }
    let streamed = streamed(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        let here = sites[index];
        let net = at[here].expect("a site with a node has a net");
        let mut slot = 0;
        let mut add = |nets: &mut Vec<Net>, block: usize, source| {
            nets[net].places.push(Place { transition: made[index], slot, block: block as BlockId, source });
            slot += 1;
            nets[net].places.len() as PlaceId - 1
        };
        let mut inputs = node.inputs.iter();
        let mut connect = |nets: &mut Vec<Net>, carry, add: &mut dyn FnMut(&mut Vec<Net>, usize, Source) -> PlaceId| {
            let from = inputs.next().expect("there is one for each reference").node;
            let near = sites[from] == here;
            let source = if near { Source::Here } else { Source::Site(name(sites[from])) };
            let made_in = &graph.nodes[from];
            // Items of a stream are told in the frame where they are made.
            let carry = match carry {
                Carry::Stream(_)
                    if made_in.result != node.block || !matches!(made_in.statement, Known::Operation(_)) =>
                {
                    Carry::Value(vec![])
                }
                carry => carry,
            };
            let carry = match carry {
                // Of the list of all rounds, which has only the last one.
                Carry::Value(path) if matches!(made_in.statement, Known::Outcome(_)) => {
                    Carry::Value(std::iter::once(Selector::Index(0)).chain(path).collect())
                }
                carry => carry,
            };
            let place = add(nets, made_in.result, source);
            let inward = made_in.result < node.block;
            let site = (!near).then(|| name(here));
            let from_net = at[sites[from]].expect("a site with a node has a net");
            nets[from_net].transitions[made[from] as usize].outputs.push(Arc { site, place, carry, inward });
        };
        for argument in node.statement.arguments() {
            match argument {
                Argument::Param { param, .. } => {
                    add(&mut nets, 0, Source::Param(param.clone()));
                }
                Argument::Node { path, .. } => {
                    let carry = match node.statement {
                        Known::Yield(yielded) if path.is_empty() && !yielded.value.is_made() => {
                            Carry::Stream(Some(yielded.place.clone()))
                        }
                        Known::ForEach(_) if path.is_empty() && streamed[index] => Carry::Stream(None),
                        _ => Carry::Value(path.clone()),
                    };
                    connect(&mut nets, carry, &mut add);
                }
                _ => {}
            }
        }
        for _ in node.statement.after() {
            connect(&mut nets, Carry::Signal, &mut add);
        }
        if slot == 0 && !matches!(node.statement, Known::Join(_) | Known::Outcome(_)) {
            let block = node.block as BlockId;
            nets[net].places.push(Place { transition: made[index], slot, block, source: Source::Start });
        }
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let net = &mut nets[at[sites[index]].expect("a site with a node has a net")];
        let mut connect = |from: usize, slot, block: usize, carry| {
            let place = Place { transition: made[index], slot, block: block as BlockId, source: Source::Here };
            net.places.push(place);
            let arc = Arc { site: None, place: net.places.len() as PlaceId - 1, carry, inward: false };
            net.transitions[made[from] as usize].outputs.push(arc);
        };
        // What uses one cache is all at one site.
        match (node.statement, &node.inputs[..]) {
            (Known::Join(_), [look_up, store, ..]) => {
                connect(look_up.node, 0, node.block, Carry::Value(vec![]));
                connect(store.node, 1, graph.nodes[store.node].block, Carry::Value(vec![]));
            }
            (Known::Outcome(_), [again, ..]) => {
                connect(again.node, 0, graph.nodes[again.node].block, Carry::Value(vec![]));
            }
            (Known::Store(_), [.., look_up]) => {
                let slot = node.statement.after().len() as u16 + 1;
                connect(look_up.node, slot, graph.nodes[look_up.node].block, Carry::Key);
            }
            _ => {}
        }
    }
    for (block, site) in entered(graph, &sites) {
        let declared = &graph.blocks[block];
        let node = declared.node.expect("only the pipeline's own body has none");
        let id = graph.nodes[node].statement.node().clone();
        let (from, near) = (sites[node], sites[node] == site);
        let net = &mut nets[at[site].expect("a site with a node has a net")];
        let step = Step::Enter { node: id, block: block as BlockId };
        let parent = declared.parent as BlockId;
        let source = if near { Source::Here } else { Source::Site(name(from)) };
        let transition = net.transitions.len() as TransitionId;
        net.transitions.push(Transition { step, block: parent, outputs: vec![] });
        net.places.push(Place { transition, slot: 0, block: parent, source });
        let place = net.places.len() as PlaceId - 1;
        let net = at[from].expect("a site with a node has a net");
        let arc = Arc { site: (!near).then(|| name(site)), place, carry: Carry::Count(declared.when), inward: false };
        nets[net].transitions[made[node] as usize].outputs.push(arc);
    }
    nets
}

/// Which blocks are entered at which sites: wherever one of their nodes is, or something is collected from them.
fn entered(graph: &Graph<'_>, sites: &[usize]) -> BTreeSet<(usize, usize)> {
    let mut entered = BTreeSet::new();
    for (node, &site) in graph.nodes.iter().zip(sites) {
        let collected = match node.statement {
            Known::Collect(_) | Known::Outcome(_) => &node.inputs[..1],
            Known::Gather(gather) => &node.inputs[..gather.parts.len()],
            _ => &[],
        };
        let collected = collected.iter().map(|input| graph.nodes[input.node].result);
        for mut block in std::iter::once(node.block).chain(collected) {
            while block > 0 && entered.insert((block, site)) {
                block = graph.blocks[block].parent;
            }
        }
    }
    entered
}

/// How often and how long an operation is tried.
pub(crate) fn limits_of(statement: &OperationStatement) -> Limits {
    Limits {
        retries: statement.retry.map_or(0, |retry| retry.times),
        backoff: statement.retry.map_or(0.0, |retry| retry.backoff),
        timeout: statement.timeout,
    }
}

/// `ends`: what begins the rounds that the statement ends, and how many there may be.
fn step(statement: Known<'_>, provider: Option<String>, ends: Option<(TransitionId, u32)>) -> Step {
    match statement {
        Known::Yield(statement) => Step::Yield {
            node: statement.node.clone(),
            place: statement.place.clone(),
            value: argument(&statement.value, &mut 0),
        },
        Known::Operation(statement) => {
            let mut slot = 0;
            let arguments = statement.arguments.iter();
            let arguments = arguments.map(|(name, given)| (name.clone(), argument(given, &mut slot))).collect();
            Step::Call {
                node: statement.node.clone(),
                operation: statement.operation.clone(),
                provider,
                arguments,
                limits: limits_of(statement),
            }
        }
        Known::ForEach(statement) => {
            Step::Split { node: statement.node.clone(), sequence: argument(&statement.sequence, &mut 0) }
        }
        Known::LookUp(statement) => {
            let mut slot = 0;
            let key = statement.key.iter().map(|part| argument(part, &mut slot)).collect();
            Step::LookUp { node: statement.node.clone(), key }
        }
        Known::Store(statement) => Step::Store { node: statement.node.clone() },
        Known::Join(statement) => Step::Join { node: statement.node.clone() },
        Known::Gather(statement) => Step::Gather {
            node: statement.node.clone(),
            keys: statement.parts.iter().map(|(site, _)| site.clone()).collect(),
            at_least: statement.at_least,
            keep: statement.keep,
            missing: statement.missing,
        },
        Known::Repeat(statement) => {
            Step::Repeat { node: statement.node.clone(), start: named(&statement.start, &mut 0) }
        }
        Known::Again(statement) => {
            let mut slot = 0;
            Step::Again {
                node: statement.node.clone(),
                until: statement.until.as_ref().map(|until| condition(until, &mut slot)),
                next: named(&statement.next, &mut slot),
                repeat: ends.map_or(0, |(repeat, _)| repeat),
                at_most: ends.map_or(1, |(_, at_most)| at_most),
            }
        }
        Known::Outcome(statement) => Step::Collect { node: statement.node.clone(), errors: OnError::Fail },
        Known::Collect(statement) => Step::Collect { node: statement.node.clone(), errors: statement.errors },
        Known::If(statement) => {
            Step::Decide { node: statement.node.clone(), condition: condition(&statement.condition, &mut 0) }
        }
    }
}

/// An argument, which takes the next input for each of its parts that is no literal.
pub(crate) fn argument(given: &Argument, slot: &mut u16) -> dfm_net::Argument {
    use dfm_net::Argument::{Built, Literal, Slot};
    match given {
        Argument::Literal { literal } => Literal(literal.clone()),
        Argument::Encoded { encoded } => Literal(json!({"$dfm": "encoded", "data": encoded})),
        Argument::Param { .. } | Argument::Node { .. } => {
            *slot += 1;
            Slot(*slot - 1)
        }
        Argument::List { list } => Built(Form::List, list.iter().map(|part| argument(part, slot)).collect()),
        Argument::Tuple { tuple } => Built(Form::Tuple, tuple.iter().map(|part| argument(part, slot)).collect()),
        Argument::Dict { dict } => {
            let parts = dict.iter().flat_map(|(key, value)| [key, value]);
            Built(Form::Dict, parts.map(|part| argument(part, slot)).collect())
        }
        Argument::Model { model, fields } => {
            let named = |(name, value): &(String, Argument)| [Literal(json!(name)), argument(value, slot)];
            Built(Form::Model(model.clone()), fields.iter().flat_map(named).collect())
        }
        Argument::Advise { .. } => unreachable!("only discovery has it, which makes nets of its own"),
    }
}

/// A dictionary of arguments by their names.
fn named(given: &IndexMap<String, Argument>, slot: &mut u16) -> dfm_net::Argument {
    let pair = |(name, value): (&String, &Argument)| [dfm_net::Argument::Literal(json!(name)), argument(value, slot)];
    dfm_net::Argument::Built(Form::Dict, given.iter().flat_map(pair).collect())
}

fn condition(given: &Condition, slot: &mut u16) -> dfm_net::Condition {
    use dfm_net::Condition as To;
    match given {
        Condition::And { and } => To::And(and.iter().map(|one| condition(one, slot)).collect()),
        Condition::Or { or } => To::Or(or.iter().map(|one| condition(one, slot)).collect()),
        Condition::Not { not } => To::Not(Box::new(condition(not, slot))),
        Condition::Compare { compare, left, right } => {
            let left = argument(left, slot);
            To::Compare(*compare, left, argument(right, slot))
        }
        Condition::Truth { truth } => To::Truth(argument(truth, slot)),
    }
}
