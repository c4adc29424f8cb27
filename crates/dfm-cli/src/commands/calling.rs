//! How does `dfm fed plan` say which calls the policies of sites allow to a user?

use dfm_config::Caller;
use dfm_diag::one_line;
use dfm_plan::{Placement, Problem};
use serde_json::{Value, json};

use super::crossing::PolicyOf;
use super::rules;

/// A call at a site whose policy is known.
pub struct Judged<'a> {
    call: &'a Placement,
    of: &'a PolicyOf,
    /// What the rules say that may decide of it, and what holds where none does.
    rules: Vec<String>,
    /// Whether it is allowed with some parameters, at some time.
    allowed: bool,
}

/// What policies say of a user's calls.
pub fn judged<'a>(calls: &'a [Placement], policies: &'a [PolicyOf], caller: Caller<'_>) -> Vec<Judged<'a>> {
    let one = |call: &'a Placement| {
        let of = policies.iter().find(|of| of.site == call.site)?;
        let rules = rules::deciding(&of.policy, &of.policy.deciding_rules(caller, &call.operation));
        let allowed = of.policy.allows_any(caller, &call.operation);
        Some(Judged { call, of, rules, allowed })
    };
    calls.iter().filter_map(one).collect()
}

/// Those that are never allowed, each with its node.
pub fn refused(judged: &[Judged<'_>], user: &str) -> Vec<Problem> {
    let problem = |one: &Judged<'_>| {
        let Placement { node, site, operation, .. } = one.call;
        let (file, rules) = (&one.of.file, one.rules.join("; "));
        let message = format!("site '{site}' would refuse '{operation}' to user '{user}', by {file}: {rules}");
        let help = "call what its rules allow, or ask who answers for its data".to_owned();
        Problem::new("plan-policy", Some(node), one_line(&message).into_owned(), Some(help))
    };
    judged.iter().filter(|one| !one.allowed).map(problem).collect()
}

/// A line for each.
pub fn lines(judged: &[Judged<'_>]) -> Vec<String> {
    let line = |one: &Judged<'_>| {
        let Placement { site, operation, .. } = one.call;
        one_line(&format!("{operation} at {site}: {}", one.rules.join("; "))).into_owned()
    };
    judged.iter().map(line).collect()
}

/// The same, for machines.
pub fn documents(judged: &[Judged<'_>]) -> Vec<Value> {
    let document = |one: &Judged<'_>| {
        let Placement { node, site, operation, .. } = one.call;
        json!({"node": node, "site": site, "operation": operation, "rules": one.rules})
    };
    judged.iter().map(document).collect()
}
