//! Which parts of an aggregation over sites meet on their way, and are put together there before the others come?
//!
//! An operation that is declared to `reduce` may be applied to some of its parts: what it makes of them takes their
//! place. That is done where it ends sooner and can change no result: to collections that leave no site out, of what
//! each site makes whatever a condition says, and that nothing else uses. What sites say in a secure sum is only ever put
//! together as `secure_sum.rs` has written it.

use std::collections::{HashMap, HashSet};

use dfm_net::NodeId;
use indexmap::IndexMap;

use crate::check::shown;
use crate::cost::Costs;
use crate::each_site::{Expanded, shown_name};
use crate::graph::{Graph, Known};
use crate::offers::misfit;
use crate::place::{Placed, Score};
use crate::{
    Argument, ComputeCost, FedInfo, GatheredStatement, Meeting, Offer, OperationStatement, Plan, Problem, Reduce,
    SiteChoice, Statement,
};

/// How many trees a pipeline is planned with, to see whether it ends sooner.
const TRIES: usize = 8;

/// Puts parts together where the pipeline says so, and notes which aggregations there are.
///
/// # Errors
/// It says so of what cannot be done.
pub(crate) fn settle(fed: &FedInfo, expanded: &mut Expanded<'_>) -> Result<(), Vec<Problem>> {
    let mut found = IndexMap::new();
    for (operation, may) in aggregations(fed, expanded) {
        match may {
            Ok(reduce) => {
                expanded.meets.insert(operation.clone(), vec![]);
                found.insert(operation, reduce);
            }
            Err(why) => expanded.straight.push((operation, why.to_owned())),
        }
    }
    let mut problems = vec![];
    let said = expanded.pipeline.statements.iter().filter_map(|statement| match statement {
        Statement::Operation(one) => Some((one.node.clone(), one.meets.clone().filter(|meets| !meets.is_empty())?)),
        _ => None,
    });
    for (operation, meets) in said.collect::<Vec<_>>() {
        for meeting in meets {
            let refused = match found.get(&operation) {
                None => {
                    Some(format!("some of its parts meet at {}, and it is no aggregation over sites", meeting.site))
                }
                Some(reduce) => refusal(fed, expanded, &operation, &meeting, reduce.commutative),
            };
            match refused {
                None => put_together(expanded, &operation, &meeting),
                Some(message) => {
                    let help = Some("plan the pipeline that this was saved from again".to_owned());
                    problems.push(Problem::new("plan-meets", Some(&operation), message, help));
                    break;
                }
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Puts parts together on their way where the pipeline leaves that open and `judge` finds it better. That says how good
/// a plan is, and what else could be tried with it.
pub(crate) fn where_sooner<'p>(
    mut expanded: Expanded<'p>,
    judge: impl Fn(&Expanded<'p>) -> Result<(Score, Vec<(NodeId, Meeting)>), Vec<Problem>>,
) -> Result<Expanded<'p>, Vec<Problem>> {
    if expanded.meets.is_empty() {
        return Ok(expanded);
    }
    let (mut best, mut offered) = judge(&expanded)?;
    let mut refused: HashSet<NodeId> = HashSet::new();
    for _ in 0..TRIES {
        offered.retain(|(operation, _)| !refused.contains(operation));
        let Some(operation) = offered.first().map(|(operation, _)| operation.clone()) else { break };
        let mut next = expanded.clone();
        for (_, meeting) in offered.iter().filter(|(of, _)| *of == operation) {
            put_together(&mut next, &operation, meeting);
        }
        let (score, more) = judge(&next)?;
        if score.beats(best) {
            (expanded, best, offered) = (next, score, more);
        } else {
            refused.insert(operation);
        }
    }
    Ok(expanded)
}

/// For each aggregation that is left open, which parts to put together where, if it alone would end sooner by that.
pub(crate) fn worth_trying(
    fed: &FedInfo,
    expanded: &Expanded<'_>,
    graph: &Graph<'_>,
    costs: &Costs,
    placed: &Placed,
    allowed: Option<&[String]>,
) -> Vec<(NodeId, Meeting)> {
    let mut found = vec![];
    for (at, node) in graph.nodes.iter().enumerate() {
        let Known::Operation(operation) = node.statement else { continue };
        if operation.meets.is_some() || !expanded.meets.contains_key(&operation.node) {
            continue;
        }
        let gather = &graph.nodes[node.inputs[0].node];
        let Known::Gather(gathered) = gather.statement else { continue };
        let parts = gathered.parts.iter().zip(&gather.inputs).map(|((name, _), input)| {
            let run = placed.runs[input.node];
            Part { name, site: placed.site(graph, input.node), finish: run.finish, size: run.size }
        });
        let to = &node.candidates[placed.choice[at]];
        let hubs = fed.sites.iter().enumerate().filter_map(|(site, (name, info))| {
            let is_allowed = allowed.is_none_or(|allowed| allowed.contains(name));
            let fits = |offer: &&Offer| {
                offer.operation == operation.operation
                    && offer.provider == operation.provider
                    && misfit(operation, offer).is_none()
            };
            let offer = info.offers.iter().find(fits).filter(|_| is_allowed && site != to.site)?;
            Some(Hub { name, site, cost: &offer.compute_cost })
        });
        let tree = Tree {
            costs,
            node: at,
            to: to.site,
            cost: to.offer.map_or_else(ComputeCost::default, |offer| offer.compute_cost.clone()),
            parts: parts.collect(),
            hubs: hubs.collect(),
            commutative: fed.operations[&operation.operation].reduce.is_some_and(|reduce| reduce.commutative),
        };
        found.extend(tree.best().into_iter().map(|meeting| (operation.node.clone(), meeting)));
    }
    found
}

/// The operations that put together what sites made and are declared to do so on the way: what is declared of them, or
/// why nothing may be put together there.
fn aggregations<'f>(fed: &'f FedInfo, expanded: &Expanded<'_>) -> Vec<(NodeId, Result<&'f Reduce, &'static str>)> {
    let statements = &expanded.pipeline.statements;
    let gathered = statements.iter().filter_map(|statement| match statement {
        Statement::Gathered(one) => Some((&one.node, one)),
        _ => None,
    });
    let gathered: HashMap<&NodeId, &GatheredStatement> = gathered.collect();
    if gathered.is_empty() {
        return vec![];
    }
    let mut blocks: HashMap<&NodeId, Option<&NodeId>> = HashMap::new();
    let mut uses: HashMap<&NodeId, usize> = HashMap::new();
    for statement in statements {
        blocks.extend(statement.node().map(|node| (node, statement.block())));
        let (values, after): (Vec<&Argument>, &[NodeId]) = match statement {
            Statement::Collect(one) => (one.value.parts().collect(), &[]),
            Statement::Gathered(one) => (one.parts.iter().flat_map(|(_, part)| part.parts()).collect(), &[]),
            _ => Known::giving(statement).map_or((vec![], &[]), |known| (known.arguments().collect(), known.after())),
        };
        let nodes = values.into_iter().filter_map(|value| match value {
            Argument::Node { node, .. } => Some(node),
            _ => None,
        });
        nodes.chain(after).for_each(|node| *uses.entry(node).or_default() += 1);
    }
    let reduces = |one: &OperationStatement| {
        let reduce = fed.operations.get(&one.operation)?.reduce.as_ref()?;
        let Some(Argument::Node { node, path }) = one.arguments.values().next() else { return None };
        let is_whole = one.arguments.len() == 1 && path.is_empty();
        let gather = gathered.get(node).filter(|gather| is_whole && !gather.at_home && !gather.missing)?;
        let always = |(_, part): &(String, Argument)| match part {
            Argument::Node { node, .. } => blocks.get(node) == Some(&gather.block.as_ref()),
            _ => false,
        };
        let may = if gather.keep {
            Err("`errors=\"keep\"` puts errors into their collection")
        } else if gather.at_least == 0 {
            Err("`errors=\"skip\"` may leave some out")
        } else if (gather.at_least as usize) < gather.parts.len() {
            Err("`at_least` may leave some out")
        } else if !gather.parts.iter().all(always) {
            Err("a condition may leave one out at a site")
        } else if uses[node] > 1 {
            Err("something else uses their collection too")
        } else if gather.block != one.block {
            Err("it is in another block than their collection")
        } else {
            Ok(reduce)
        };
        Some((one.node.clone(), may))
    };
    let operations = statements.iter().filter_map(|statement| match statement {
        Statement::Operation(one) => Some(one),
        _ => None,
    });
    operations.filter_map(reduces).collect()
}

/// The statement of an aggregation, and of what it puts together.
fn statements_of(expanded: &Expanded<'_>, operation: &NodeId) -> (usize, usize) {
    let at = |node: &NodeId| {
        let found = expanded.pipeline.statements.iter().position(|statement| statement.node() == Some(node));
        found.expect("an aggregation is in its pipeline")
    };
    let own = at(operation);
    let Statement::Operation(one) = &expanded.pipeline.statements[own] else { unreachable!("it is an operation") };
    let Some(Argument::Node { node, .. }) = one.arguments.values().next() else { unreachable!("it has an argument") };
    (own, at(node))
}

/// Why these parts cannot meet there.
fn refusal(
    fed: &FedInfo,
    expanded: &Expanded<'_>,
    operation: &NodeId,
    meeting: &Meeting,
    commutative: bool,
) -> Option<String> {
    let (own, gather) = statements_of(expanded, operation);
    let (Statement::Operation(own), Statement::Gathered(gather)) =
        (&expanded.pipeline.statements[own], &expanded.pipeline.statements[gather])
    else {
        unreachable!("an aggregation puts together what is gathered")
    };
    let site = &meeting.site;
    let offers = fed.sites.get(site).map(|info| &info.offers[..]).unwrap_or_default();
    let of: HashSet<&String> = meeting.of.iter().collect();
    let at: Vec<usize> = (0..gather.parts.len()).filter(|at| of.contains(&gather.parts[*at].0)).collect();
    if !offers.iter().any(|offer| offer.operation == own.operation) {
        return Some(format!("some of its parts meet at {site}, which does not offer '{}'", own.operation));
    }
    if at.len() < meeting.of.len() || at.len() < 2 {
        let of = meeting.of.join(", ");
        return Some(format!("the parts of {of} meet at {site}, and these are not two or more that it has"));
    }
    if gather.parts.iter().any(|(name, _)| name == site) && !of.contains(site) {
        return Some(format!("some of its parts meet at {site}, and that of {site} is not among them"));
    }
    if !commutative && at[at.len() - 1] - at[0] + 1 > at.len() {
        let of = meeting.of.join(", ");
        return Some(format!("the parts of {of} meet at {site}, others lie between them, and their order counts"));
    }
    None
}

/// Has some parts of an aggregation put together at a site.
fn put_together(expanded: &mut Expanded<'_>, operation: &NodeId, meeting: &Meeting) {
    let (own, gather) = statements_of(expanded, operation);
    let statements = &mut expanded.pipeline.to_mut().statements;
    let Statement::Operation(mut inner) = statements[own].clone() else { unreachable!("it is an operation") };
    let name = |node: &NodeId| {
        let name = format!("{}@{}", shown_name(node), meeting.site);
        let names = std::iter::once(name.clone()).chain((2..).map(|level| format!("{name}.{level}")));
        names.into_iter().find(|name| !expanded.copies.contains_key(name)).expect("there is always one more")
    };
    let gathered_node = statements[gather].node().expect("a collection has a node").clone();
    let (own_name, gathered_name) = (name(operation), name(&gathered_node));
    let Statement::Gathered(outer) = &mut statements[gather] else {
        unreachable!("an aggregation puts together what is gathered")
    };
    let first = outer.parts.iter().position(|(name, _)| meeting.of.contains(name)).expect("they are its parts");
    let (parts, mut rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut outer.parts).into_iter().partition(|(name, _)| meeting.of.contains(name));
    let made = Argument::Node { node: NodeId::Name(own_name.clone()), path: vec![] };
    rest.insert(first, (meeting.site.clone(), made));
    outer.at_least = rest.len() as u32;
    outer.parts = rest;
    let mut gathered = outer.clone();
    (gathered.node, gathered.at_least) = (NodeId::Name(gathered_name.clone()), parts.len() as u32);
    gathered.parts = parts;
    inner.node = NodeId::Name(own_name.clone());
    inner.site = SiteChoice::Name(meeting.site.clone());
    inner.meets = None;
    for argument in inner.arguments.values_mut() {
        *argument = Argument::Node { node: gathered.node.clone(), path: vec![] };
    }
    let made = [Statement::Gathered(gathered), Statement::Operation(inner)];
    statements.splice(gather..gather, made);
    expanded.copies.insert(own_name, operation.clone());
    expanded.copies.insert(gathered_name, gathered_node);
    expanded.meets.entry(operation.clone()).or_default().push(meeting.clone());
}

/// For people: where an aggregation's parts meet, or why they do not.
pub(crate) fn told(plan: &Plan) -> impl Iterator<Item = String> {
    let straight = |id: &NodeId, why: &str| format!("{:>4}  its parts go straight to it: {why}", shown(id));
    let open = plan.meets.iter().map(move |(operation, meets)| {
        let of: Vec<String> =
            meets.iter().map(|meeting| format!("{} at {}", meeting.of.join(", "), meeting.site)).collect();
        match &of[..] {
            [] => straight(operation, "no tree that may be ends sooner"),
            of => format!("{:>4}  its parts are put together on their way: {}", shown(operation), of.join("; ")),
        }
    });
    open.chain(plan.straight.iter().map(move |(operation, why)| straight(operation, why)))
}

/// What one site gives to an aggregation.
struct Part<'a> {
    name: &'a str,
    /// Where it is made.
    site: usize,
    /// When it is there.
    finish: f64,
    size: f64,
}

/// A site that could put parts together.
#[derive(Clone, Copy)]
struct Hub<'a> {
    name: &'a str,
    site: usize,
    cost: &'a ComputeCost,
}

/// An aggregation as it is placed, and what could be done on the way to it.
struct Tree<'a> {
    costs: &'a Costs,
    /// Its node.
    node: usize,
    /// Where it is.
    to: usize,
    cost: ComputeCost,
    parts: Vec<Part<'a>>,
    hubs: Vec<Hub<'a>>,
    commutative: bool,
}

/// What has come to a site.
#[derive(Clone, Copy, Default)]
struct Load {
    ready: f64,
    bytes: f64,
}

impl Tree<'_> {
    /// The best of the trees that are looked at; nothing if it ends no sooner by them. Each hub is
    /// tried alone, and those that are near to many together: two, four, up to the root of how many parts there are.
    fn best(&self) -> Vec<Meeting> {
        let mut near = vec![0; self.hubs.len()];
        for part in &self.parts {
            let others = (0..self.hubs.len()).filter(|hub| self.hubs[*hub].name != part.name);
            let way = |hub: &usize| {
                let site = self.hubs[*hub].site;
                self.costs.send(part.site, site, part.size) + self.costs.send(site, self.to, part.size)
            };
            if let Some(hub) = others.min_by(|a, b| way(a).total_cmp(&way(b))) {
                near[hub] += 1;
            }
        }
        let mut order: Vec<usize> = (0..self.hubs.len()).collect();
        order.sort_by_key(|hub| std::cmp::Reverse(near[*hub]));
        let most = (self.parts.len() as f64).sqrt().ceil() as usize;
        let counts = (1..).map(|power| 1 << power).take_while(|count| *count <= most.min(order.len()));
        let several = counts.map(|count| &order[..count]);
        let mut best = (self.score(&vec![None; self.parts.len()]), vec![]);
        for hubs in order.chunks(1).chain(several) {
            for shorter in [false, true] {
                let to = self.assigned(hubs, shorter);
                let score = self.score(&to);
                if score.beats(best.0) {
                    best = (score, to);
                }
            }
        }
        let (_, to) = best;
        let meeting = |hub: usize| {
            let of = (0..to.len()).filter(|part| to[*part] == Some(hub)).map(|part| self.parts[part].name.to_owned());
            Meeting { site: self.hubs[hub].name.to_owned(), of: of.collect() }
        };
        let used = (0..self.hubs.len()).filter(|hub| to.contains(&Some(*hub)));
        used.map(meeting).collect()
    }

    /// Part → the hub where it is put together with others: each where it is done soonest after those before it. What
    /// is at the end of the way stays there, and where `shorter`, all that would not come there sooner through a hub.
    fn assigned(&self, hubs: &[usize], shorter: bool) -> Vec<Option<usize>> {
        let mut loads = vec![Load::default(); self.hubs.len()];
        let mut to = vec![None; self.parts.len()];
        for (part, to) in self.parts.iter().zip(&mut to).filter(|(part, _)| part.site != self.to) {
            let own = hubs.iter().find(|hub| self.hubs[**hub].name == part.name).copied();
            let straight = self.costs.send(part.site, self.to, part.size);
            let through = hubs.iter().copied().filter(|hub| own.is_none_or(|own| own == *hub)).filter_map(|hub| {
                let Hub { site, cost, .. } = self.hubs[hub];
                let sending = self.costs.send(part.site, site, part.size);
                let load =
                    Load { ready: loads[hub].ready.max(part.finish + sending), bytes: loads[hub].bytes + part.size };
                let (compute, size) = self.costs.computing(self.node, cost, load.bytes);
                let last = self.costs.send(site, self.to, size);
                let is_shorter = own.is_some() || sending + last < straight;
                (!shorter || is_shorter).then_some((hub, load, load.ready + compute + last))
            });
            if let Some((hub, load, _)) = through.min_by(|a, b| a.2.total_cmp(&b.2)) {
                (loads[hub], *to) = (load, Some(hub));
            }
        }
        for &hub in hubs {
            self.keep_what_can_meet(&mut to, hub);
        }
        to
    }

    /// Sends straight what is alone at a hub, and, where order counts, what does not lie beside the others.
    fn keep_what_can_meet(&self, to: &mut [Option<usize>], hub: usize) {
        let mut runs: Vec<Vec<usize>> = vec![];
        for part in (0..to.len()).filter(|part| to[*part] == Some(hub)) {
            match runs.last_mut().filter(|run| self.commutative || run.last() == Some(&(part - 1))) {
                Some(run) => run.push(part),
                None => runs.push(vec![part]),
            }
        }
        let own = |run: &&Vec<usize>| run.iter().any(|part| self.parts[*part].name == self.hubs[hub].name);
        let has_own = self.parts.iter().any(|part| part.name == self.hubs[hub].name);
        let kept = if has_own { runs.iter().find(own) } else { runs.iter().max_by_key(|run| run.len()) };
        let kept = kept.filter(|run| run.len() > 1).cloned().unwrap_or_default();
        for (part, at) in to.iter_mut().enumerate() {
            if *at == Some(hub) && !kept.contains(&part) {
                *at = None;
            }
        }
    }

    /// When the aggregation ends, with each part at its hub.
    fn score(&self, to: &[Option<usize>]) -> Score {
        let mut loads = vec![Load::default(); self.hubs.len()];
        let mut last = Load::default();
        let mut work = 0.0;
        for (part, hub) in self.parts.iter().zip(to) {
            let site = hub.map_or(self.to, |hub| self.hubs[hub].site);
            let sending = self.costs.send(part.site, site, part.size);
            let load = hub.map_or(&mut last, |hub| &mut loads[hub]);
            (load.ready, load.bytes) = (load.ready.max(part.finish + sending), load.bytes + part.size);
            work += sending;
        }
        for (hub, load) in self.hubs.iter().zip(&loads).filter(|(_, load)| load.ready > 0.0 || load.bytes > 0.0) {
            let (compute, size) = self.costs.computing(self.node, hub.cost, load.bytes);
            let sending = self.costs.send(hub.site, self.to, size);
            (last.ready, last.bytes) = (last.ready.max(load.ready + compute + sending), last.bytes + size);
            work += compute + sending;
        }
        let (compute, _) = self.costs.computing(self.node, &self.cost, last.bytes);
        Score { end: last.ready + compute, work: work + compute }
    }
}
