//! Which sites does the body of an `EachSite` run at, and what is the pipeline with a body for each of them?
//!
//! The copies stand in the block around the `EachSite`. What comes later sees an ordinary pipeline, whose operations
//! name their sites; only a node's id tells that it is a copy: `3@north`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use dfm_diag::nearest;
use dfm_net::{NodeId, Selector};
use indexmap::{IndexMap, IndexSet};

use crate::check::{check_written, shown};
use crate::offers::misfit;
use crate::secure_sum::{self, Given, with_steps};
use crate::{
    Argument, Condition, EachSiteStatement, FedInfo, GatheredStatement, Meeting, Offer, OperationStatement, Pipeline,
    Problem, SiteChoice, Statement,
};

/// A pipeline without `EachSite`.
#[derive(Clone)]
pub(crate) struct Expanded<'p> {
    /// As it was written, where nothing in it is for some sites.
    pub pipeline: Cow<'p, Pipeline>,
    /// Each copy of a node, and the node.
    pub copies: IndexMap<String, NodeId>,
    /// The copies that a collection may leave out.
    pub optional: Vec<String>,
    /// Each `EachSite`, and the sites that its body runs at.
    pub each: Vec<(NodeId, Vec<String>)>,
    /// Whether there are steps of secure sums in it.
    pub adds: bool,
    /// What the user should know of these.
    pub sums: Vec<String>,
    /// Each aggregation over sites whose parts may meet on their way, and where they do.
    pub meets: IndexMap<NodeId, Vec<Meeting>>,
    /// Each other one that is declared to put parts together, and why they go straight to it.
    pub straight: Vec<(NodeId, String)>,
}

impl Expanded<'_> {
    /// The federation with what its sites offer beside their operations.
    pub fn offered<'f>(&self, fed: &'f FedInfo) -> Cow<'f, FedInfo> {
        if self.adds { Cow::Owned(with_steps(fed)) } else { Cow::Borrowed(fed) }
    }

    /// The node that a node is a copy of; itself, if it is none.
    pub fn origin<'e>(&'e self, node: &'e NodeId) -> &'e NodeId {
        match node {
            NodeId::Name(name) => self.copies.get(name).unwrap_or(node),
            NodeId::Number(_) => node,
        }
    }
}

/// Writes the body of each `EachSite` once for each of its sites.
///
/// # Errors
/// Why there is no site for one, or something in a body that cannot be there.
pub(crate) fn expand<'p>(
    fed: &FedInfo,
    pipeline: &'p Pipeline,
    home: &str,
    allowed: Option<&[String]>,
) -> Result<Expanded<'p>, Vec<Problem>> {
    let bodies = Bodies::new(pipeline);
    let (copies, optional, each, sums, meets, straight) = Default::default();
    let as_written = Cow::Borrowed(pipeline);
    let mut made = Expanded { pipeline: as_written, copies, optional, each, adds: false, sums, meets, straight };
    let mut problems = bodies.misplaced(pipeline);
    if !pipeline.statements.iter().any(is_for_sites) {
        return if problems.is_empty() { Ok(made) } else { Err(problems) };
    }
    if pipeline.statements.iter().any(|statement| matches!(statement, Statement::EachSite(_))) {
        problems.extend(check_written(pipeline));
    }
    let mut sites_of: HashMap<&NodeId, Vec<String>> = HashMap::new();
    let mut statements = vec![];
    for statement in &pipeline.statements {
        match statement {
            Statement::EachSite(each) => {
                let body: Vec<&Statement> = bodies.of(pipeline, &each.node).collect();
                let sites = match choose(fed, each, &body, allowed) {
                    Ok(sites) => sites,
                    Err(found) => {
                        problems.extend(found);
                        vec![]
                    }
                };
                let own: HashSet<&NodeId> = body.iter().filter_map(|statement| statement.node()).collect();
                for site in &sites {
                    let copy = Copy { each, own: &own, site };
                    for statement in &body {
                        if let Some(node) = statement.node() {
                            let name = shown_name(&copy.id(node));
                            if each.at_least.is_some() || each.errors != dfm_net::OnError::Fail {
                                made.optional.push(name.clone());
                            }
                            made.copies.insert(name, node.clone());
                        }
                        statements.push(copy.statement(statement));
                    }
                }
                made.each.push((each.node.clone(), sites.clone()));
                sites_of.insert(&each.node, sites);
            }
            Statement::Gather(gather) => {
                let found = bodies.collected(pipeline, statement, &gather.each_site, &gather.value);
                let (each, node, path) = match found {
                    Ok(found) => found,
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                };
                let sites = sites_of.get(&each.node).cloned().unwrap_or_default();
                let part = |site: String| {
                    let node = copy_id(node, &site);
                    (site, Argument::Node { node, path: path.to_vec() })
                };
                statements.push(Statement::Gathered(GatheredStatement {
                    node: gather.node.clone(),
                    block: gather.block.clone(),
                    after: gather.after.clone(),
                    at_least: each.suffices(sites.len()),
                    parts: sites.into_iter().map(part).collect(),
                    keep: each.errors == dfm_net::OnError::Keep,
                    missing: gather.missing,
                    at_home: false,
                }));
            }
            Statement::SecureSum(sum) => {
                let found = bodies.collected(pipeline, statement, &sum.each_site, &sum.value);
                let expanded = found.and_then(|(each, node, path)| {
                    let body: Vec<&Statement> = bodies.of(pipeline, &each.node).collect();
                    let own: HashSet<&NodeId> = body.iter().filter_map(|statement| statement.node()).collect();
                    let made_by = body.iter().find(|statement| statement.node() == Some(node));
                    let given = sites_of.get(&each.node).into_iter().flatten().map(|site| {
                        let mut block = made_by.and_then(|statement| statement.block()).cloned();
                        Copy { each, own: &own, site }.block(&mut block);
                        let value = Argument::Node { node: copy_id(node, site), path: path.to_vec() };
                        Given { site: site.clone(), block, value }
                    });
                    let given: Vec<Given> = given.collect();
                    // Why an EachSite has no sites has been told.
                    if given.is_empty() { Ok(None) } else { secure_sum::expand(sum, each, given, home).map(Some) }
                });
                match expanded {
                    Ok(Some(expanded)) => {
                        made.adds = true;
                        made.sums.extend(expanded.warning);
                        for node in expanded.at_sites {
                            if expanded.spares {
                                made.optional.push(node.clone());
                            }
                            made.copies.insert(node, sum.node.clone());
                        }
                        statements.extend(expanded.statements);
                    }
                    Ok(None) => {}
                    Err(problem) => problems.push(problem),
                }
            }
            _ if statement.node().is_some_and(|node| bodies.around.contains_key(node)) => {}
            _ => statements.push(statement.clone()),
        }
    }
    made.pipeline = Cow::Owned(pipeline.with(statements));
    if problems.is_empty() { Ok(made) } else { Err(problems) }
}

/// Whether a statement is written otherwise once sites are known.
fn is_for_sites(statement: &Statement) -> bool {
    matches!(statement, Statement::EachSite(_) | Statement::Gather(_) | Statement::SecureSum(_))
}

/// A problem of a copy, as one of what the user wrote.
pub(crate) fn told_once(problems: Vec<Problem>, copies: &IndexMap<String, NodeId>) -> Vec<Problem> {
    let mut told: Vec<Problem> = vec![];
    for mut problem in problems {
        if let Some(NodeId::Name(name)) = &problem.node
            && let Some(node) = copies.get(name)
        {
            problem.node = Some(node.clone());
        }
        if !told.contains(&problem) {
            told.push(problem);
        }
    }
    told
}

/// The id of a node's copy at a site.
fn copy_id(node: &NodeId, site: &str) -> NodeId {
    match node {
        NodeId::Number(number) => NodeId::Name(format!("{number}@{site}")),
        NodeId::Name(name) => NodeId::Name(format!("{name}@{site}")),
    }
}

/// A node id, as part of another one.
pub(crate) fn shown_name(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => number.to_string(),
        NodeId::Name(name) => name.clone(),
    }
}

impl EachSiteStatement {
    /// How many of so many sites have to give a value.
    fn suffices(&self, sites: usize) -> u32 {
        let all = self.errors == dfm_net::OnError::Fail;
        self.at_least.unwrap_or(if all { sites as u32 } else { 0 })
    }
}

/// Which statements stand in the body of an `EachSite`.
struct Bodies<'p> {
    /// Node → the `EachSite` around it, however deep.
    around: HashMap<&'p NodeId, &'p NodeId>,
    /// `EachSite` → its index.
    at: HashMap<&'p NodeId, usize>,
}

impl<'p> Bodies<'p> {
    fn new(pipeline: &'p Pipeline) -> Self {
        let mut bodies = Self { around: HashMap::new(), at: HashMap::new() };
        for (index, statement) in pipeline.statements.iter().enumerate() {
            let Some(node) = statement.node() else { continue };
            if let Some(block) = statement.block() {
                let each = bodies.at.contains_key(block).then_some(block).or(bodies.around.get(block).copied());
                if let Some(each) = each {
                    bodies.around.insert(node, each);
                }
            }
            if let Statement::EachSite(_) = statement {
                bodies.at.insert(node, index);
            }
        }
        bodies
    }

    fn each_of(&self, pipeline: &'p Pipeline, each: &NodeId) -> Option<&'p Statement> {
        self.at.get(each).map(|index| &pipeline.statements[*index])
    }

    /// What `collects` is about, a node of the body of an `EachSite` beside it: that, and the node with the way to its part.
    fn collected<'s>(
        &'s self,
        pipeline: &'p Pipeline,
        collects: &Statement,
        from: &NodeId,
        value: &'s Argument,
    ) -> Result<(&'p EachSiteStatement, &'s NodeId, &'s [Selector]), Problem> {
        let refused = |message: String, help: Option<&str>| {
            Err(Problem::new("plan-each-site", collects.node(), message, help.map(str::to_owned)))
        };
        let Some(Statement::EachSite(each)) = self.each_of(pipeline, from) else {
            return refused(format!("it collects from {}, which is no EachSite before it", shown(from)), None);
        };
        let Argument::Node { node, path } = value else {
            let help = Some("collect a node of the EachSite's body");
            return refused("it collects something else than a node".to_owned(), help);
        };
        if self.around.get(node) != Some(&&each.node) || each.block.as_ref() != collects.block() {
            let message = format!(
                "it collects the node {}, which is none of the body of the EachSite {}, or stands in another block",
                shown(node),
                shown(&each.node)
            );
            return refused(message, None);
        }
        Ok((each, node, path))
    }

    fn of<'s>(&'s self, pipeline: &'p Pipeline, each: &'s NodeId) -> impl Iterator<Item = &'p Statement> + use<'s, 'p> {
        let inside = move |statement: &&Statement| {
            statement.node().and_then(|node| self.around.get(node)).is_some_and(|around| *around == each)
        };
        pipeline.statements.iter().filter(inside)
    }

    /// What is where it cannot be.
    fn misplaced(&self, pipeline: &Pipeline) -> Vec<Problem> {
        let mut problems = vec![];
        for statement in &pipeline.statements {
            let Some(node) = statement.node() else { continue };
            let around = self.around.get(node).copied();
            let (message, help) = match (statement, around) {
                (Statement::EachSite(_) | Statement::Gather(_) | Statement::SecureSum(_), Some(each)) => (
                    format!("it stands in the body of the EachSite {}, which has no room for another one", shown(each)),
                    "collect what the sites make, and go on outside of the body".to_owned(),
                ),
                (Statement::Yield(one), Some(each)) => (
                    format!("the Yield at place '{}' would not say which site it is of", one.place),
                    format!("collect the value of the EachSite {} and yield that, outside of its body", shown(each)),
                ),
                (Statement::Operation(operation), around) => match (&operation.site, around) {
                    (SiteChoice::EachSite { each_site }, around) if around != Some(each_site) => (
                        format!("its site is that of the EachSite {}, whose body it is not in", shown(each_site)),
                        "place it in the body, or name a site".to_owned(),
                    ),
                    (SiteChoice::BestOf { .. }, Some(each)) => (
                        format!("it stands in the body of the EachSite {} and says no site", shown(each)),
                        "place it by the EachSite, or name one site".to_owned(),
                    ),
                    _ => continue,
                },
                _ => continue,
            };
            problems.push(Problem::new("plan-each-site", Some(node), message, Some(help)));
        }
        problems
    }
}

/// The sites that a body runs at, in the order of the configuration.
fn choose(
    fed: &FedInfo,
    each: &EachSiteStatement,
    body: &[&Statement],
    allowed: Option<&[String]>,
) -> Result<Vec<String>, Vec<Problem>> {
    let problem =
        |message: String, help: Option<String>| Problem::new("plan-each-site", Some(&each.node), message, help);
    let placed: Vec<&OperationStatement> = body
        .iter()
        .filter_map(|statement| match statement {
            Statement::Operation(one) if matches!(one.site, SiteChoice::EachSite { .. }) => Some(one),
            _ => None,
        })
        .collect();
    let wanted: IndexSet<&String> = each.offers.iter().chain(placed.iter().map(|one| &one.operation)).collect();
    // Where the body asks for operations, each at its first line.
    let with_lines = |problem: Problem, names: &[&String]| {
        let asking = names.iter().filter(|name| !each.offers.contains(name));
        let asking = asking.filter_map(|name| placed.iter().find(|one| one.operation == ***name));
        vec![asking.fold(problem, |problem, one| problem.also(&one.node, format!("asks for '{}'", one.operation)))]
    };
    if let Some(name) = wanted.iter().find(|name| !fed.operations.contains_key(**name)) {
        let near = nearest(name, fed.operations.keys().map(String::as_str));
        let help = near.map(|near| format!("did you mean '{near}'?"));
        let problem = problem(format!("there is no operation '{name}' in {}", fed.code_package), help);
        return Err(with_lines(problem, &[name]));
    }
    if wanted.is_empty() {
        let help = Some("give it offers=[…], or place operations by it".to_owned());
        return Err(vec![problem("it asks for no operation, so every site would do".to_owned(), help)]);
    }
    for name in each.sites.iter().flatten() {
        if !fed.sites.contains_key(name) {
            let near = nearest(name, fed.sites.keys().map(String::as_str));
            let help = near.map(|near| format!("did you mean '{near}'?"));
            let message = format!("one of its sites, '{name}', is not a site of {}", fed.code_package);
            return Err(vec![problem(message, help)]);
        }
    }
    let lacks = |site: &str| {
        let offers = &fed.sites[site].offers;
        wanted.iter().copied().find(|name| !offers.iter().any(|offer| offer.operation == **name))
    };
    let is_listed = |site: &&String| each.sites.as_ref().is_none_or(|sites| sites.contains(*site));
    let is_allowed = |site: &&String| allowed.is_none_or(|allowed| allowed.contains(*site));
    if let Some((site, name)) = each.sites.iter().flatten().find_map(|site| lacks(site).map(|name| (site, name))) {
        let message = format!("'{site}', one of its sites, does not offer '{name}'");
        let problem = problem(message, Some("leave it out of sites=[…]".to_owned()));
        return Err(with_lines(problem, &[name]));
    }
    let offering: Vec<&String> = fed.sites.keys().filter(is_listed).filter(|site| lacks(site).is_none()).collect();
    let sites: Vec<&String> = offering.iter().copied().filter(is_allowed).collect();
    let least = each.at_least.unwrap_or(1).max(1) as usize;
    if sites.len() < least {
        let names = |sites: &[&String]| sites.iter().map(|site| site.as_str()).collect::<Vec<_>>().join(", ");
        let asked: Vec<String> = wanted.iter().map(|name| format!("'{name}'")).collect();
        let asked = asked.join(", ");
        let message = match sites.len() {
            0 => format!("no site offers all that it asks for: {asked}"),
            count => {
                let (offer, names) = (if count == 1 { "offers" } else { "offer" }, names(&sites));
                format!("only {names} {offer} all that it asks for, and it needs at least {least} sites: {asked}")
            }
        };
        let help = if offering.len() > sites.len() {
            format!("the session's restriction excludes others that do: {}", names(&offering))
        } else {
            let of = |name: &String| {
                let there: Vec<&String> = fed
                    .sites
                    .iter()
                    .filter(|(_, site)| site.offers.iter().any(|one| one.operation == *name))
                    .map(|(site, _)| site)
                    .collect();
                format!("'{name}' is offered by {}", if there.is_empty() { "none".to_owned() } else { names(&there) })
            };
            wanted.iter().map(|name| of(name)).collect::<Vec<_>>().join("; ")
        };
        let all: Vec<&String> = wanted.into_iter().collect();
        return Err(with_lines(problem(message, Some(help)), &all));
    }
    let mut problems = vec![];
    for operation in placed {
        let why = |site: &&&String| {
            let offers = fed.sites[**site].offers.iter();
            let offers: Vec<&Offer> = offers
                .filter(|offer| offer.operation == operation.operation)
                .filter(|offer| operation.provider.is_none() || offer.provider == operation.provider)
                .collect();
            let fits = offers.iter().any(|offer| misfit(operation, offer).is_none());
            let why = offers.first().and_then(|offer| misfit(operation, offer));
            if fits { None } else { why.map(|why| format!("'{site}' {why}")) }
        };
        let wrong: Vec<String> = sites.iter().filter_map(|site| why(&site)).collect();
        if !wrong.is_empty() {
            let message =
                format!("the sites need other parameters for '{}': {}", operation.operation, wrong.join(", "));
            let help = "give what all of them take, or say the sites that do: sites=[…]".to_owned();
            let problem = Problem::new("plan-each-site", Some(&operation.node), message, Some(help));
            problems.push(problem.also(&each.node, "its sites are found here".to_owned()));
        }
    }
    if problems.is_empty() { Ok(sites.into_iter().cloned().collect()) } else { Err(problems) }
}

/// How a body is written for one site.
struct Copy<'c> {
    each: &'c EachSiteStatement,
    /// The body's own nodes.
    own: &'c HashSet<&'c NodeId>,
    site: &'c str,
}

impl Copy<'_> {
    /// A node as this site's statements name it.
    fn id(&self, node: &NodeId) -> NodeId {
        if self.own.contains(node) { copy_id(node, self.site) } else { node.clone() }
    }

    fn block(&self, block: &mut Option<NodeId>) {
        *block = match block {
            Some(block) if *block != self.each.node => Some(self.id(block)),
            _ => self.each.block.clone(),
        };
    }

    fn argument(&self, argument: &mut Argument) {
        match argument {
            Argument::Node { node, .. } => *node = self.id(node),
            Argument::Param { multiuse, .. } => *multiuse = true,
            Argument::List { list: parts } | Argument::Tuple { tuple: parts } => {
                parts.iter_mut().for_each(|part| self.argument(part));
            }
            Argument::Dict { dict } => dict.iter_mut().for_each(|(_, part)| self.argument(part)),
            Argument::Model { fields, .. } => fields.iter_mut().for_each(|(_, part)| self.argument(part)),
            _ => {}
        }
    }

    fn condition(&self, condition: &mut Condition) {
        match condition {
            Condition::And { and: all } | Condition::Or { or: all } => {
                all.iter_mut().for_each(|one| self.condition(one));
            }
            Condition::Not { not } => self.condition(not),
            Condition::Compare { left, right, .. } => [left, right].into_iter().for_each(|one| self.argument(one)),
            Condition::Truth { truth } => self.argument(truth),
        }
    }

    fn statement(&self, statement: &Statement) -> Statement {
        let mut copy = statement.clone();
        match &mut copy {
            Statement::Operation(one) => {
                one.arguments.values_mut().for_each(|argument| self.argument(argument));
                if let SiteChoice::EachSite { .. } = one.site {
                    one.site = SiteChoice::Name(self.site.to_owned());
                }
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Yield(one) => {
                self.argument(&mut one.value);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::ForEach(one) => {
                self.argument(&mut one.sequence);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Collect(one) => {
                self.argument(&mut one.value);
                one.for_each = self.id(&one.for_each);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::If(one) => {
                self.condition(&mut one.condition);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Otherwise(one) => {
                one.of = self.id(&one.of);
                self.common(&mut one.node, &mut one.block, None);
            }
            Statement::TryFromCache(one) => {
                one.key.iter_mut().for_each(|part| self.argument(part));
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::WriteToCache(one) => {
                self.argument(&mut one.value);
                one.cache = self.id(&one.cache);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Repeat(one) => {
                one.start.values_mut().for_each(|argument| self.argument(argument));
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Again(one) => {
                one.next.values_mut().for_each(|argument| self.argument(argument));
                one.until.iter_mut().for_each(|condition| self.condition(condition));
                one.repeat = self.id(&one.repeat);
                self.common(&mut one.node, &mut one.block, Some(&mut one.after));
            }
            Statement::Outcome(one) => {
                one.repeat = self.id(&one.repeat);
                self.common(&mut one.node, &mut one.block, None);
            }
            Statement::EachSite(_)
            | Statement::Gather(_)
            | Statement::Gathered(_)
            | Statement::SecureSum(_)
            | Statement::Other { .. } => {}
        }
        copy
    }

    fn common(&self, node: &mut NodeId, block: &mut Option<NodeId>, after: Option<&mut Vec<NodeId>>) {
        let own_block = block.as_ref() == Some(&self.each.node);
        *node = self.id(node);
        self.block(block);
        if let Some(after) = after {
            after.iter_mut().for_each(|node| *node = self.id(node));
            if own_block {
                after.extend(self.each.after.iter().cloned());
            }
        }
    }
}
