//! Does a dictionary have the keys it should, and is each value of the right kind?

use dfm_diag::{Diagnostic, Span, nearest};
use serde_json::{Map, Value};

use crate::tree::{Data, Entries, Entry, Node, to_json_map};

/// What is wrong, in the order of finding it.
pub type Faults = Vec<Diagnostic>;

/// A dictionary whose keys are known.
pub struct Fields<'n> {
    /// What it is, for messages: "a site".
    pub what: &'static str,
    /// Where it is named.
    pub owner: Span,
    entries: Option<&'n Entries>,
}

/// What happens to keys that are not known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are errors.
    Refused,
    /// They mean something else, or nothing.
    Allowed,
}

impl<'n> Fields<'n> {
    /// Looks at the keys of what is named at `owner`; nothing at all counts as a dictionary without keys. `None` for
    /// what is not a dictionary.
    pub fn of(
        what: &'static str,
        node: &'n Node,
        owner: Span,
        known: &[&'static str],
        others: Others,
        faults: &mut Faults,
    ) -> Option<Self> {
        if node.is_null() {
            return Some(Self { what, owner, entries: None });
        }
        let Some(entries) = node.map() else {
            faults.push(wrong_type(node, what, "a dictionary"));
            return None;
        };
        for (index, (key, entry)) in entries.iter().enumerate() {
            if let Some((first, other)) = entries.iter().take(index).find(|(other, _)| same(other, key)) {
                if known.iter().any(|known| same(known, key)) {
                    faults.push(
                        Diagnostic::error("config-duplicate-key", format!("`{key}` and `{first}` are the same key"))
                            .at(entry.key, "again here")
                            .related(other.key, "first here")
                            .help("remove one of them"),
                    );
                }
            } else if others == Others::Refused && !known.iter().any(|known| same(known, key)) {
                faults.push(unknown_key(what, key, entry.key, known));
            }
        }
        Some(Self { what, owner, entries: Some(entries) })
    }

    /// The entry of a key, written with hyphens or underscores, even if it says `null`.
    pub fn raw(&self, key: &str) -> Option<&'n Entry> {
        let entries = self.entries?;
        entries.get(key).or_else(|| entries.iter().find(|(other, _)| same(other, key)).map(|(_, entry)| entry))
    }

    /// The entry of a key that says something.
    pub fn get(&self, key: &str) -> Option<&'n Entry> {
        self.raw(key).filter(|entry| !entry.value.is_null())
    }

    /// The entry of a key that must be there.
    pub fn need(&self, key: &str, faults: &mut Faults) -> Option<&'n Entry> {
        let found = self.get(key);
        if found.is_none() {
            let owner = self.raw(key).map_or(self.owner, |entry| entry.key);
            faults.push(
                Diagnostic::error("config-missing-key", format!("{} needs `{key}`", self.what))
                    .at(owner, format!("has no `{key}`")),
            );
        }
        found
    }

    /// A text, when the key is there.
    pub fn text(&self, key: &'static str, faults: &mut Faults) -> Option<String> {
        self.get(key).and_then(|entry| text(&entry.value, key, faults)).map(str::to_owned)
    }

    /// Whether something is so, when the key is there.
    pub fn flag(&self, key: &'static str, faults: &mut Faults) -> Option<bool> {
        let node = &self.get(key)?.value;
        match &node.data {
            Data::Bool(value) => Some(*value),
            // Earlier versions of YAML had more words for it.
            Data::Text(text) if matches!(text.to_ascii_lowercase().as_str(), "yes" | "on") => Some(true),
            Data::Text(text) if matches!(text.to_ascii_lowercase().as_str(), "no" | "off") => Some(false),
            _ => {
                faults.push(wrong_type(node, &format!("`{key}`"), "true or false"));
                None
            }
        }
    }

    /// A number of at least 0, or above it, when the key is there.
    pub fn amount(&self, key: &'static str, above_zero: bool, faults: &mut Faults) -> Option<f64> {
        let node = &self.get(key)?.value;
        let number = match &node.data {
            Data::Number(number) => number.as_f64(),
            _ => None,
        };
        let good = number.filter(|number| if above_zero { *number > 0.0 } else { *number >= 0.0 });
        if good.is_none() {
            let wanted = if above_zero { "a number above 0" } else { "a number of at least 0" };
            let mut fault = wrong_type(node, &format!("`{key}`"), wanted);
            if let Data::Number(number) = &node.data {
                fault.label = format!("this is {number}");
            }
            faults.push(fault);
        }
        good
    }

    /// A dictionary of the user's own, empty when the key is not there.
    pub fn free(&self, key: &'static str, faults: &mut Faults) -> Map<String, Value> {
        self.get(key).and_then(|entry| dictionary(&entry.value, key, faults)).map(to_json_map).unwrap_or_default()
    }

    /// The entries of a dictionary whose keys are names, none when the key is not there.
    pub fn named(&self, key: &'static str, faults: &mut Faults) -> impl Iterator<Item = (&'n String, &'n Entry)> {
        self.get(key).and_then(|entry| dictionary(&entry.value, key, faults)).into_iter().flatten()
    }
}

/// The text of a node that must be one.
pub fn text<'n>(node: &'n Node, key: &str, faults: &mut Faults) -> Option<&'n str> {
    if node.text().is_none() {
        faults.push(wrong_type(node, &format!("`{key}`"), "a text"));
    }
    node.text()
}

/// The entries of a node that must be a dictionary.
pub fn dictionary<'n>(node: &'n Node, key: &str, faults: &mut Faults) -> Option<&'n Entries> {
    if node.map().is_none() {
        faults.push(wrong_type(node, &format!("`{key}`"), "a dictionary"));
    }
    node.map()
}

/// A text that must be one of a few.
pub fn choice(node: &Node, key: &str, choices: &[&str], faults: &mut Faults) {
    let Some(text) = text(node, key, faults) else { return };
    if !choices.contains(&text) {
        let mut fault = Diagnostic::error("config-wrong-value", format!("`{key}` cannot be `{text}`"))
            .at(node.span, format!("expected one of {}", listed(choices)));
        if let Some(near) = nearest(text, choices.iter().copied()) {
            fault = fault.help(format!("did you mean `{near}`?"));
        }
        faults.push(fault);
    }
}

/// That something is not of the kind it should be.
pub fn wrong_type(node: &Node, what: &str, wanted: &str) -> Diagnostic {
    let fault = Diagnostic::error("config-wrong-type", format!("{what} must be {wanted}"))
        .at(node.span, format!("this is {}", node.kind()));
    match node.data {
        Data::Number(_) | Data::Bool(_) if wanted == "a text" => fault.help("write it in quotes"),
        _ => fault,
    }
}

/// That a key is not known.
pub fn unknown_key(what: &str, key: &str, span: Span, known: &[&'static str]) -> Diagnostic {
    let fault = Diagnostic::error("config-unknown-key", format!("{what} has no key `{key}`")).at(span, "unknown key");
    fault.help(match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its keys: {}", listed(known)),
    })
}

/// `a`, `b`, `c`; not more of them than anybody reads.
pub fn listed(words: &[&str]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = words.iter().take(MOST).map(|word| format!("`{word}`")).collect();
    format!("{}{}", shown.join(", "), if words.len() > MOST { ", …" } else { "" })
}

/// Whether two spellings of a key mean the same: a hyphen is as good as an underscore.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_') || (a == b'_' && b == b'-'))
}
