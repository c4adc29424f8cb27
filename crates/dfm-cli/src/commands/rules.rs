//! How are a policy's rules told?

use dfm_config::{Constraint, Decision, Rule, SitePolicy};
use serde_json::Value;

/// What the rules that may decide of a call say of it, in their order, and what holds where none does.
pub fn deciding(policy: &SitePolicy, rules: &[&Rule]) -> Vec<String> {
    let line = |rule: &&Rule| {
        let verb = match rule.decision {
            Decision::Allow => "allows",
            Decision::Deny => "refuses",
            Decision::Ask => "has a person asked to approve",
        };
        let wants = if rule.is_final() { String::new() } else { format!(" if {}", wanted(rule)) };
        format!("rule `{}` {verb} it{wants}", rule.name)
    };
    let verb = if policy.allow { "allows" } else { "refuses" };
    let decides_all = rules.last().is_some_and(|rule| rule.is_final());
    let default = (!decides_all).then(|| format!("`default` {verb} all others"));
    rules.iter().map(line).chain(default).collect()
}

/// A policy's `default`.
pub fn decision(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

/// All that a rule says.
pub fn whole(rule: &Rule) -> String {
    let patterns = [
        ("users", &rule.users),
        ("organisations", &rule.organisations),
        ("roles", &rule.roles),
        ("operations", &rule.operations),
    ];
    let mut parts: Vec<String> = patterns
        .iter()
        .filter(|(_, patterns)| !patterns.is_empty())
        .map(|(what, patterns)| format!("{what} {}", patterns.join(", ")))
        .collect();
    if !rule.is_final() {
        parts.push(format!("if {}", wanted(rule)));
    }
    let of = if parts.is_empty() { "all".to_owned() } else { parts.join("; ") };
    let decided = match rule.decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Ask => "ask for",
    };
    format!("{decided} {of}")
}

fn wanted(rule: &Rule) -> String {
    let parameters = rule.parameters.iter().map(|(name, constraint)| one(name, constraint));
    let time = rule.when.iter().map(|when| format!("it is {}", when.told()));
    parameters.chain(time).collect::<Vec<_>>().join(" and ")
}

fn one(name: &str, constraint: &Constraint) -> String {
    let mut parts = vec![];
    if let Some(values) = &constraint.one_of {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        parts.push(format!("is one of {}", values.join(", ")));
    }
    if let Some(least) = constraint.minimum {
        parts.push(format!("is at least {least}"));
    }
    if let Some(most) = constraint.maximum {
        parts.push(format!("is at most {most}"));
    }
    if let Some(patterns) = &constraint.like {
        parts.push(format!("is like {}", patterns.join(" or ")));
    }
    format!("`{name}` {}", parts.join(" and "))
}
