//! Does a secret stand in the configuration itself?

use dfm_diag::{Diagnostic, Sources, Span};

use crate::fields::Faults;
use crate::tree::{Data, Node};

/// What a key ends in whose value is a secret.
const KEYS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "secretkey"];

/// What secrets of well-known makers begin with.
const BEGINNINGS: &[&str] =
    &["-----BEGIN ", "AKIA", "ghp_", "gho_", "github_pat_", "glpat-", "sk-", "xoxb-", "xoxp-", "hf_", "nvapi-"];

/// Warns of literal secrets, and makes their text unreadable, so that no diagnostic shows one.
pub fn find(root: &Node, sources: &mut Sources, faults: &mut Faults) {
    let mut found = Vec::new();
    walk(root, None, &mut found);
    for (key, value) in found {
        sources.mask(value);
        faults.push(
            Diagnostic::warning("config-literal-secret", "a secret stands in the configuration")
                .at(key.unwrap_or(value), "everybody who reads this file knows it")
                .help(
                    "take it from the site's vault with `from-secrets`, or write `$NAME` where the environment is read",
                ),
        );
    }
}

/// `name` is the key that the node belongs to, where one says what it is.
fn walk(node: &Node, name: Option<(&str, Span)>, found: &mut Vec<(Option<Span>, Span)>) {
    match &node.data {
        Data::Text(text) => {
            let named = name.is_some_and(|(name, _)| is_secret(name)) && !text.is_empty() && !text.starts_with('$');
            if named || BEGINNINGS.iter().any(|beginning| is_made(text, beginning)) {
                found.push((name.map(|(_, span)| span), node.span));
            }
        }
        Data::List(items) => items.iter().for_each(|item| walk(item, None, found)),
        Data::Map(entries) => {
            for (key, entry) in entries {
                match (key.as_str(), &entry.value.data) {
                    // The value of an argument, or of a parameter, is named by that.
                    ("const" | "default", _) => walk(&entry.value, name, found),
                    // Words about things are no things; and the bare text of an argument is a parameter's name.
                    ("description" | "doc" | "from-param" | "from_param" | "from-secrets" | "from_secrets", _) => {}
                    ("args", Data::Map(arguments)) if entries.contains_key("adapter") => {
                        let given = arguments.iter().filter(|(_, entry)| entry.value.map().is_some());
                        given.for_each(|(key, entry)| walk(&entry.value, Some((key, entry.key)), found));
                    }
                    _ => walk(&entry.value, Some((key, entry.key)), found),
                }
            }
        }
        _ => {}
    }
}

fn is_secret(key: &str) -> bool {
    let key: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    // A misspelt `from-secrets` names a secret, and is none.
    !key.starts_with("from") && KEYS.iter().any(|end| key.ends_with(end))
}

fn is_made(text: &str, beginning: &str) -> bool {
    text.strip_prefix(beginning).is_some_and(|rest| {
        rest.len() >= 16
            && (beginning.starts_with('-')
                || rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
    })
}
