//! Whose calls of which operations does a site's policy allow?
//!
//! The rules that are about a caller and an operation are found here; whether a call's parameters are what one of them
//! wants is for the site to see, which has them.

use dfm_diag::Diagnostic;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{Faults, Fields, text, wrong_type};
use crate::format::{Form, Kind, Others, Shape, key, needed};
use crate::policy_when::{WHEN, When, when};
use crate::tree::{Data, Entry};

/// What `default` may say.
pub const DEFAULTS: &[&str] = &["allow", "deny"];
/// What a rule may say.
const DECISIONS: &[&str] = &["allow", "deny", "ask"];

/// One rule of a policy.
pub static RULE: Shape = Shape {
    what: "a rule",
    others: Others::Refused,
    keys: &[
        needed(
            "decision",
            Kind::Choice(DECISIONS),
            "Whether the calls that it is about are allowed: `allow`, `deny`, or `ask` for a person to approve them.",
        ),
        key("users", Kind::Texts, "Patterns of users' names, as their certificates have them; all users if not given."),
        key("organisations", Kind::Texts, "Patterns of the users' organisations; all if not given."),
        key("roles", Kind::Texts, "Patterns of the users' roles, such as `lead`; all if not given."),
        key("operations", Kind::Texts, "Patterns of operations, such as `stats.*`; all if not given."),
        key(
            "parameters",
            Kind::Named(Form::Any, &Kind::Shape(&CONSTRAINT)),
            "What the operation's parameters have to be, by their names, for the rule to be about a call.",
        ),
        key("when", Kind::Shape(&WHEN), "At which times the rule is about a call; always if not given."),
    ],
};

/// What a rule wants of a parameter.
static CONSTRAINT: Shape = Shape {
    what: "a parameter of a rule",
    others: Others::Refused,
    keys: &[
        key("one-of", Kind::Anything, "A list of the values that it may be."),
        key("minimum", Kind::Anything, "The least number that it may be."),
        key("maximum", Kind::Anything, "The largest number that it may be."),
        key("like", Kind::Texts, "Patterns, one of which its text has to fit."),
    ],
};

/// Which calls are allowed, or refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, which who is refused is told.
    pub name: String,
    /// What becomes of what it is about.
    pub decision: Decision,
    /// Patterns; all users if there are none. So with the next three.
    pub users: Vec<String>,
    /// Of the users' organisations.
    pub organisations: Vec<String>,
    /// Of the users' roles.
    pub roles: Vec<String>,
    /// Of operations.
    pub operations: Vec<String>,
    /// What parameters have to be.
    pub parameters: IndexMap<String, Constraint>,
    /// At which times it holds; always if `None`.
    pub when: Option<When>,
}

/// What a rule says of the calls that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// They are made.
    Allow,
    /// They are refused.
    Deny,
    /// They wait until a person has approved them.
    Ask,
}

/// What a parameter has to be: all that is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// One of these values.
    pub one_of: Option<Vec<Value>>,
    /// A number of at least so much.
    pub minimum: Option<f64>,
    /// A number of at most so much.
    pub maximum: Option<f64>,
    /// A text that fits one of these patterns.
    pub like: Option<Vec<String>>,
}

/// Who asks, as a certificate of the federation says it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The user's organisation.
    pub organisation: &'a str,
    /// The user's role.
    pub role: &'a str,
}

impl Rule {
    /// Whether it decides of each call that it is about, whatever the call's parameters are and whenever it comes.
    pub fn is_final(&self) -> bool {
        self.parameters.is_empty() && self.when.is_none()
    }

    /// Whether it is about such a call, as far as that does not depend on its parameters.
    pub fn is_about(&self, caller: Caller<'_>, operation: &str) -> bool {
        let fits = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| is_like(text, pattern))
        };
        fits(&self.users, caller.user)
            && fits(&self.organisations, caller.organisation)
            && fits(&self.roles, caller.role)
            && fits(&self.operations, operation)
    }
}

/// Whether a text fits a pattern, in which `*` stands for any characters, and `?` for one. Takes no longer than the
/// product of their lengths, whatever they are.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut with) = (0, 0);
    // Where the last `*` stands, and where what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(with) {
            Some('*') => {
                star = Some((with, at));
                with += 1;
            }
            Some(one) if *one == '?' || *one == text[at] => {
                at += 1;
                with += 1;
            }
            _ => {
                let Some((place, end)) = star else { return false };
                star = Some((place, end + 1));
                at = end + 1;
                with = place + 1;
            }
        }
    }
    pattern[with..].iter().all(|one| *one == '*')
}

/// The rules of a policy, in their order, which decides.
pub fn rules(fields: &Fields, faults: &mut Faults) -> Vec<Rule> {
    fields
        .named("rules", faults)
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|(name, of)| rule(name, of, faults))
        .collect()
}

fn rule(name: &str, entry: &Entry, faults: &mut Faults) -> Option<Rule> {
    let fields = Fields::of(&RULE, &entry.value, entry.key, faults)?;
    let decision = fields.need("decision", faults)?;
    fields.choice("decision", decision, faults);
    let parameters = fields.named("parameters", faults).collect::<Vec<_>>().into_iter();
    Some(Rule {
        name: name.to_owned(),
        decision: match decision.value.text() {
            Some("allow") => Decision::Allow,
            Some("ask") => Decision::Ask,
            _ => Decision::Deny,
        },
        users: texts(&fields, "users", faults).unwrap_or_default(),
        organisations: texts(&fields, "organisations", faults).unwrap_or_default(),
        roles: texts(&fields, "roles", faults).unwrap_or_default(),
        operations: texts(&fields, "operations", faults).unwrap_or_default(),
        parameters: parameters.filter_map(|(name, of)| Some((name.clone(), constraint(name, of, faults)?))).collect(),
        when: fields.get("when").and_then(|entry| when(entry, faults)),
    })
}

fn constraint(name: &str, entry: &Entry, faults: &mut Faults) -> Option<Constraint> {
    let fields = Fields::of(&CONSTRAINT, &entry.value, entry.key, faults)?;
    let made = Constraint {
        one_of: fields.get("one-of").and_then(|entry| match &entry.value.data {
            Data::List(items) => Some(items.iter().map(|item| item.to_json()).collect()),
            _ => {
                faults.push(wrong_type(&entry.value, "`one-of`", "a list of values"));
                None
            }
        }),
        minimum: number(&fields, "minimum", faults),
        maximum: number(&fields, "maximum", faults),
        like: texts(&fields, "like", faults),
    };
    if made == Constraint::default() {
        faults.push(
            Diagnostic::error("config-missing-key", format!("nothing is said of the parameter `{name}`"))
                .at(entry.key, "says nothing")
                .help("say `one-of`, `minimum`, `maximum` or `like`, or leave it out"),
        );
    }
    Some(made)
}

fn number(fields: &Fields, key: &'static str, faults: &mut Faults) -> Option<f64> {
    let entry = fields.get(key)?;
    let number = match &entry.value.data {
        Data::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        _ => None,
    };
    if number.is_none() {
        faults.push(wrong_type(&entry.value, &format!("`{key}`"), "a number"));
    }
    number
}

/// A list of patterns, when the key is there; an empty one would be about nothing, and is a fault.
pub fn texts(fields: &Fields, key: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
    let entry = fields.get(key)?;
    let Data::List(items) = &entry.value.data else {
        faults.push(wrong_type(&entry.value, &format!("`{key}`"), "a list of patterns"));
        return None;
    };
    if items.is_empty() {
        faults.push(
            Diagnostic::error("config-missing-key", format!("`{key}` has no pattern"))
                .at(entry.value.span, "this is empty")
                .help("leave the key out for all, or write `[\"*\"]`"),
        );
    }
    Some(items.iter().filter_map(|item| text(item, key, faults)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_texts_and_take_no_time() {
        for (text, pattern, fits) in [
            ("stats.Mean", "stats.*", true),
            ("stats.Mean", "*.Mean", true),
            ("stats.Mean", "stats", false),
            ("stats.Mean", "tats.*", false),
            ("stats.Mean", "*a*M*n", true),
            ("a", "?", true),
            ("", "?", false),
            ("", "*", true),
            ("", "", true),
            ("a\nb", "a*b", true),
            ("stats.[x]", "stats.[x]", true),
            ("statsx", "stats.", false),
            ("ö", "?", true),
        ] {
            assert_eq!(is_like(text, pattern), fits, "{text:?} {pattern:?}");
        }
        assert!(!is_like(&"a".repeat(2000), &"*a".repeat(50).replace("a*", "a*b")));
    }
}
