//! How does `dfm fed plan` say which values cross a border between sites, who sees them, and what lets them?

use std::path::PathBuf;

use dfm_config::{Federation, SitePolicy};
use dfm_diag::{Diagnostic, nearest, one_line};
use dfm_plan::{Crossing, Problem};
use serde::Serialize;

use crate::chosen::Chosen;
use crate::context::Failure;

/// What results may tell of the data that they are made of, from the least to the most.
const KINDS: [&str; 4] = ["public", "model", "aggregate", "records"];

/// A value that crosses a border.
#[derive(Serialize)]
pub struct Told {
    #[serde(flatten)]
    crossing: Crossing,
    /// What the operations are declared to tell of whose results there may be something in it: the most of it.
    disclosure: &'static str,
    /// The least group that an aggregate is declared to be made of.
    min_group: Option<u64>,
    /// What lets it leave; `None` where the site's policy is not known.
    lets: Option<String>,
    #[serde(skip)]
    refused: Option<String>,
}

/// The policy of a site.
pub struct PolicyOf {
    pub site: String,
    /// The file that it stands in, as it is told.
    pub file: String,
    pub policy: SitePolicy,
}

/// The policies of some sites.
///
/// # Errors
/// There is no such site, or its policy is broken.
pub fn policies(chosen: &Chosen, given: &[(String, PathBuf)]) -> Result<Vec<PolicyOf>, Failure> {
    let mut found = vec![];
    for (site, file) in given {
        let sites = || chosen.federation.sites.keys().map(String::as_str);
        if !chosen.federation.sites.contains_key(site) {
            let message = format!("the federation has no site `{site}`");
            return Err(Failure::wrong(Diagnostic::error("plan-policy", message).help(match nearest(site, sites()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its sites: {}", sites().collect::<Vec<_>>().join(", ")),
            })));
        }
        let policy = dfm_config::policy(file).map_err(Failure::wrong)?;
        found.push(PolicyOf { site: site.clone(), file: file.display().to_string(), policy });
    }
    Ok(found)
}

/// What each value is declared to tell, and what the policies say of that.
pub fn told(crossings: Vec<Crossing>, federation: &Federation, policies: &[PolicyOf]) -> Vec<Told> {
    let one = |crossing: Crossing| {
        let declared: Vec<(&'static str, Option<u64>)> = crossing
            .operations
            .iter()
            .map(|name| {
                let said = federation.operations.get(name).and_then(|operation| operation.disclosure.as_ref());
                let kind = said.and_then(|said| KINDS.into_iter().find(|kind| *kind == said.kind)).unwrap_or("records");
                (kind, said.and_then(|said| said.min_group))
            })
            .collect();
        let place = |kind: &str| KINDS.iter().position(|one| *one == kind);
        let disclosure = declared.iter().map(|(kind, _)| *kind).max_by_key(|kind| place(kind)).unwrap_or("public");
        let groups: Option<Vec<u64>> =
            declared.iter().filter(|(kind, _)| *kind == "aggregate").map(|(_, least)| *least).collect();
        let min_group = groups.filter(|_| disclosure == "aggregate").and_then(|groups| groups.into_iter().min());
        let policy = policies.iter().find(|of| of.site == crossing.from);
        let allowed = policy.and_then(|of| Some((&of.file, of.policy.leaves.as_ref()?.disclosures.as_ref()?)));
        let refused = allowed.and_then(|(file, allowed)| {
            let (name, (kind, _)) = crossing
                .operations
                .iter()
                .zip(&declared)
                .find(|(_, (kind, _))| *kind != "public" && !allowed.iter().any(|one| one == kind))?;
            Some(format!(
                "site '{}' would send site '{}' a result of '{name}', which tells, as it is declared, `{kind}`; \
                 `leaves.disclosures` of {file} lets {} leave",
                crossing.from,
                crossing.to,
                allowed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "),
            ))
        });
        let lets = match (&policy, &allowed) {
            (None, _) => None,
            (Some(of), None) => Some(format!("{}, which bounds nothing of what results tell", of.file)),
            (Some(_), Some((file, _))) => Some(format!("`leaves.disclosures` of {file}")),
        };
        Told { crossing, disclosure, min_group, lets, refused }
    };
    crossings.into_iter().map(one).collect()
}

/// What a policy lets not leave, each with its node.
pub fn refused(told: &[Told]) -> Vec<Problem> {
    let help = || Some("change what the pipeline has leave that site, or ask who answers for its data".to_owned());
    let problem =
        |one: &Told| Some(Problem::new("plan-policy", Some(&one.crossing.node), one.refused.clone()?, help()));
    told.iter().filter_map(problem).collect()
}

/// A line for each.
pub fn lines(told: &[Told]) -> Vec<String> {
    let line = |one: &Told| {
        let Crossing { from, to, what, .. } = &one.crossing;
        let group = one.min_group.map(|least| format!(" of groups of at least {least}")).unwrap_or_default();
        let lets = one.lets.as_ref().map(|lets| format!("; let by {lets}")).unwrap_or_default();
        one_line(&format!("{from} → {to}: {what}, `{}`{group}{lets}", one.disclosure)).into_owned()
    };
    told.iter().map(line).collect()
}
