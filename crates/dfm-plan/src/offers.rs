//! Which sites can run an operation with these arguments?

use std::collections::{HashMap, HashSet};

use dfm_diag::nearest;
use dfm_net::NodeId;

use crate::graph::{Candidate, Limits};
use crate::secure_sum::is_step;
use crate::{FedInfo, Offer, OperationStatement, Problem, SiteChoice};

/// What the federation offers, by operation.
pub(crate) struct Offers<'a> {
    fed: &'a FedInfo,
    allowed: Option<HashSet<usize>>,
    /// Whether a statement that names no provider means all of them.
    every_provider: bool,
    by_operation: HashMap<&'a str, Vec<(usize, &'a Offer)>>,
}

/// The index of a site; a problem if there is none of that name. `of` says whose name it is.
pub(crate) fn site_index(
    fed: &FedInfo,
    name: &str,
    of: &str,
    node: Option<&NodeId>,
    problems: &mut Vec<Problem>,
) -> Option<usize> {
    let found = fed.sites.get_index_of(name);
    if found.is_none() {
        let message = format!("{of}, '{name}', is not a site of {}", fed.code_package);
        let help = did_you_mean(name, fed.sites.keys(), "its sites are");
        problems.push(Problem::new("plan-unknown-site", node, message, Some(help)));
    }
    found
}

impl<'a> Offers<'a> {
    pub fn new(fed: &'a FedInfo, allowed: Option<HashSet<usize>>, every_provider: bool) -> Self {
        let mut by_operation: HashMap<&str, Vec<(usize, &Offer)>> = HashMap::new();
        for (site, info) in fed.sites.values().enumerate() {
            for offer in &info.offers {
                by_operation.entry(&offer.operation).or_default().push((site, offer));
            }
        }
        Self { fed, allowed, every_provider, by_operation }
    }

    /// A site that a cache names; problems if there is none, or the session is restricted to others.
    pub fn site(&self, name: &str, node: &NodeId, problems: &mut Vec<Problem>) -> Option<Candidate<'a>> {
        let site = site_index(self.fed, name, "the site of its cache", Some(node), problems)?;
        if let Some(allowed) = self.allowed.as_ref().filter(|allowed| !allowed.contains(&site)) {
            let message = format!("its cache is at {name}, which the session's restriction excludes");
            let mut sites: Vec<usize> = allowed.iter().copied().collect();
            sites.sort_unstable();
            let help = format!("restrict_to_sites allows {}", self.names(sites, ", "));
            problems.push(Problem::new("plan-restricted", Some(node), message, Some(help)));
        }
        Some(Candidate { site, offer: None })
    }

    /// Every way to run the statement, in the order of the federation; problems if there is none.
    pub fn candidates(
        &self,
        statement: &OperationStatement,
        problems: &mut Vec<Problem>,
    ) -> (Vec<Candidate<'a>>, Limits) {
        let mut limits = Limits::default();
        match self.find(statement, &mut limits, problems) {
            Ok(found) => {
                let candidate = |(site, offer)| Candidate { site, offer: Some(offer) };
                (found.into_iter().map(candidate).collect(), limits)
            }
            Err(found) => {
                problems.extend(found);
                (vec![], limits)
            }
        }
    }

    fn find(
        &self,
        statement: &OperationStatement,
        limits: &mut Limits,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<(usize, &'a Offer)>, Vec<Problem>> {
        let (fed, node, operation) = (self.fed, Some(&statement.node), &statement.operation);
        let fail = |code, message, help| Err(vec![Problem::new(code, node, message, Some(help))]);

        let wanted = match &statement.site {
            SiteChoice::Name(name) => {
                limits.named = true;
                Some(site_index(fed, name, "its site", node, problems).map(|site| vec![site]))
            }
            SiteChoice::BestOf { best_of: None } | SiteChoice::Advise { .. } | SiteChoice::EachSite { .. } => None,
            SiteChoice::BestOf { best_of: Some(names) } => {
                limits.listed = true;
                let mut index = |name| site_index(fed, name, "a site of its BestOf", node, problems);
                Some(names.iter().map(|name| index(name)).collect())
            }
        };
        if !fed.operations.contains_key(operation) {
            let message = format!("there is no operation '{operation}' in {}", fed.code_package);
            return fail("plan-unknown-operation", message, did_you_mean(operation, fed.operations.keys(), "it has"));
        }
        let wanted = match wanted {
            None => None,
            Some(Some(wanted)) => Some(wanted),
            Some(None) => return Err(vec![]), // told already
        };

        let all = self.by_operation.get(operation.as_str()).map_or(&[][..], Vec::as_slice);
        let mut found = all.to_vec();
        if let Some(wanted) = &wanted {
            found.retain(|(site, _)| wanted.contains(site));
        }
        if found.is_empty() {
            let message = match &wanted {
                None => format!("no site offers '{operation}'"),
                Some(wanted) => format!("{} does not offer '{operation}'", self.names(wanted.iter().copied(), " or ")),
            };
            let help = match all {
                [] => "bind it to an adapter in the interface of a site".to_owned(),
                _ => format!("these sites do: {}", self.names(all.iter().map(|(site, _)| *site), ", ")),
            };
            return fail("plan-not-offered", message, help);
        }

        // A step of a secure sum is at a site that was chosen among the allowed ones, or at the application's own.
        if let Some(allowed) = self.allowed.as_ref().filter(|_| !is_step(operation)) {
            let offering = self.names(found.iter().map(|(site, _)| *site), " or ");
            let before = found.len();
            found.retain(|(site, _)| allowed.contains(site));
            limits.restricted = found.len() < before;
            if found.is_empty() {
                let message = format!("'{operation}' can run at {offering}, which the session's restriction excludes");
                let near: Vec<usize> =
                    all.iter().map(|(site, _)| *site).filter(|site| allowed.contains(site)).collect();
                let help = if near.is_empty() {
                    let mut sites: Vec<usize> = allowed.iter().copied().collect();
                    sites.sort_unstable();
                    let sites = if sites.is_empty() { "none".to_owned() } else { self.names(sites, ", ") };
                    format!("restrict_to_sites allows {sites}; add {offering}")
                } else {
                    format!("of the sites that it allows, these offer it: {}", self.names(near, ", "))
                };
                return fail("plan-restricted", message, help);
            }
        }

        self.keep_provider(statement, &mut found)?;
        self.keep_fitting(statement, &mut found, limits)?;
        Ok(found)
    }

    /// Keeps the offers of the provider that the statement names. Without a name, a site's own offer goes before its
    /// providers', which only stand in where it has none.
    fn keep_provider(
        &self,
        statement: &OperationStatement,
        found: &mut Vec<(usize, &'a Offer)>,
    ) -> Result<(), Vec<Problem>> {
        if self.every_provider && statement.provider.is_none() {
            return Ok(());
        }
        let Some(provider) = &statement.provider else {
            // In the order of the federation, as all offers are.
            let own: Vec<usize> =
                found.iter().filter(|(_, offer)| offer.provider.is_none()).map(|(site, _)| *site).collect();
            found.retain(|(site, offer)| offer.provider.is_none() || own.binary_search(site).is_err());
            return Ok(());
        };
        let there = found.clone();
        found.retain(|(_, offer)| offer.provider.as_ref() == Some(provider));
        if !found.is_empty() {
            return Ok(());
        }
        let sites = self.names(there.iter().map(|(site, _)| *site), ", ");
        let message = format!("'{}' has no provider '{provider}' at {sites}", statement.operation);
        let providers: Vec<&String> = there.iter().filter_map(|(_, offer)| offer.provider.as_ref()).collect();
        let help = if providers.is_empty() {
            "only the site itself offers it; leave the provider out".to_owned()
        } else {
            did_you_mean(provider, providers, "its providers are")
        };
        Err(vec![Problem::new("plan-unknown-provider", Some(&statement.node), message, Some(help))])
    }

    /// Keeps the offers that take all the arguments and need no others.
    fn keep_fitting(
        &self,
        statement: &OperationStatement,
        found: &mut Vec<(usize, &'a Offer)>,
        limits: &mut Limits,
    ) -> Result<(), Vec<Problem>> {
        let there = found.clone();
        found.retain(|(_, offer)| misfit(statement, offer).is_none());
        limits.parameters = found.len() < there.len();
        if !found.is_empty() {
            return Ok(());
        }
        let (node, operation) = (Some(&statement.node), &statement.operation);
        let mut problems = vec![];
        for name in statement.arguments.keys() {
            if there.iter().any(|(_, offer)| offer.parameters.contains(name)) {
                continue;
            }
            let elsewhere = self.by_operation[operation.as_str()].iter();
            let elsewhere: Vec<usize> =
                elsewhere.filter(|(_, offer)| offer.parameters.contains(name)).map(|(site, _)| *site).collect();
            let message = format!("'{operation}' has no parameter '{name}'");
            let (message, help) = if elsewhere.is_empty() {
                (message, did_you_mean(name, there.iter().flat_map(|(_, offer)| &offer.parameters), "it has"))
            } else {
                let here = self.names(there.iter().map(|(site, _)| *site), " or ");
                (format!("{message} at {here}"), format!("these sites add it: {}", self.names(elsewhere, ", ")))
            };
            problems.push(Problem::new("plan-unknown-parameter", node, message, Some(help)));
        }
        for name in &there[0].1.required {
            let missing = |offer: &Offer| offer.required.contains(name) && !statement.arguments.contains_key(name);
            if there.iter().all(|(_, offer)| missing(offer)) {
                let message = format!("'{operation}' needs the parameter '{name}', which is not given");
                problems.push(Problem::new("plan-missing-parameter", node, message, None));
            }
        }
        if problems.is_empty() {
            let why: Vec<String> = there
                .iter()
                .filter_map(|(site, offer)| {
                    misfit(statement, offer).map(|why| format!("{} {why}", self.names([*site], "")))
                })
                .collect();
            let message = format!("no site takes all parameters that are given to '{operation}': {}", why.join("; "));
            problems.push(Problem::new("plan-unknown-parameter", node, message, None));
        }
        Err(problems)
    }

    /// The names of sites, each once.
    fn names(&self, sites: impl IntoIterator<Item = usize>, separator: &str) -> String {
        let mut names: Vec<&str> = vec![];
        for site in sites {
            let name = self.fed.sites.get_index(site).expect("it is a site of the federation").0.as_str();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(separator)
    }
}

/// Why an offer does not fit the statement's arguments.
pub(crate) fn misfit(statement: &OperationStatement, offer: &Offer) -> Option<String> {
    let unknown = statement.arguments.keys().find(|name| !offer.parameters.contains(name));
    let missing = offer.required.iter().find(|name| !statement.arguments.contains_key(*name));
    match (unknown, missing) {
        (Some(name), _) => Some(format!("does not take '{name}'")),
        (None, Some(name)) => Some(format!("needs '{name}' too")),
        (None, None) => None,
    }
}

fn did_you_mean<'n>(name: &str, names: impl IntoIterator<Item = &'n String>, otherwise: &str) -> String {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if let Some(near) = nearest(name, names.iter().copied()) {
        return format!("did you mean '{near}'?");
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { format!("{otherwise}: none") } else { format!("{otherwise}: {}", names.join(", ")) }
}
