//! Does a dictionary have the keys it should, and is each value of the right kind?

use dfm_diag::{Diagnostic, Span, nearest};
use serde_json::{Map, Value};

use crate::format::{Kind, Others, Shape};
use crate::tree::{Data, Entries, Entry, Node, to_json_map};

/// What is wrong, in the order of finding it.
pub type Faults = Vec<Diagnostic>;

/// A dictionary whose keys are known.
pub struct Fields<'n> {
    shape: &'static Shape,
    /// Where it is named.
    pub owner: Span,
    entries: Option<&'n Entries>,
    /// Keys that others are probably meant to be, which has been told.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Looks at the keys of what is named at `owner`; nothing at all counts as a dictionary without keys. `None` for
    /// what is not a dictionary.
    pub fn of(shape: &'static Shape, node: &'n Node, owner: Span, faults: &mut Faults) -> Option<Self> {
        if node.is_null() {
            return Some(Self { shape, owner, entries: None, meant: Vec::new() });
        }
        let Some(entries) = node.map() else {
            faults.push(wrong_type(node, shape.what, "a dictionary"));
            return None;
        };
        let mut known: Vec<(&String, &Entry)> = Vec::new();
        let mut meant = Vec::new();
        for (key, entry) in entries {
            if shape.key(key).is_none() {
                if shape.others == Others::Refused {
                    let near = nearest(key, shape.names());
                    meant.extend(near);
                    faults.push(unknown_key(shape, key, near, entry.key));
                }
            } else if let Some((first, other)) = known.iter().find(|(other, _)| same(other, key)) {
                faults.push(
                    Diagnostic::error("config-duplicate-key", format!("`{key}` and `{first}` are the same key"))
                        .at(entry.key, "again here")
                        .related(other.key, "first here")
                        .help("remove one of them"),
                );
            } else {
                known.push((key, entry));
            }
        }
        Some(Self { shape, owner, entries: Some(entries), meant })
    }

    /// The entry of a key, written with hyphens or underscores, even if it says `null`.
    pub fn raw(&self, key: &str) -> Option<&'n Entry> {
        debug_assert!(self.shape.key(key).is_some(), "the table has no `{key}` for {}", self.shape.what);
        let entries = self.entries?;
        entries.get(key).or_else(|| entries.iter().find(|(other, _)| same(other, key)).map(|(_, entry)| entry))
    }

    /// The entry of a key that says something.
    pub fn get(&self, key: &str) -> Option<&'n Entry> {
        self.raw(key).filter(|entry| !entry.value.is_null())
    }

    /// The entry of a key that must be there.
    pub fn need(&self, key: &str, faults: &mut Faults) -> Option<&'n Entry> {
        let known = self.shape.key(key)?;
        debug_assert!(known.needed, "`{key}` is optional in the table");
        let found = self.get(key);
        if found.is_none() && !self.meant.contains(&known.name) {
            let (span, label) = match self.raw(key) {
                Some(entry) => (entry.key, "says nothing".to_owned()),
                None => (self.owner, format!("has no `{key}`")),
            };
            faults.push(
                Diagnostic::error("config-missing-key", format!("{} needs `{key}`", self.shape.what))
                    .at(span, label)
                    .help(format!("`{key}`: {}", known.doc.trim_end_matches('.'))),
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

    /// A number of at least 0, or above it, as the key wants it, when the key is there.
    pub fn amount(&self, key: &'static str, faults: &mut Faults) -> Option<f64> {
        let above_zero = matches!(self.kind(key), Some(Kind::Rate));
        amount(&self.get(key)?.value, key, above_zero, faults)
    }

    /// A whole number of at least `least`, when the key is there.
    pub fn whole(&self, key: &'static str, least: u64, faults: &mut Faults) -> Option<u64> {
        let node = &self.get(key)?.value;
        let number = match &node.data {
            Data::Number(number) => number.as_u64().filter(|number| *number >= least),
            _ => None,
        };
        if number.is_none() {
            let mut fault = wrong_type(node, &format!("`{key}`"), &format!("a whole number of at least {least}"));
            if let Data::Number(number) = &node.data {
                fault.label = format!("this is {number}");
            }
            faults.push(fault);
        }
        number
    }

    /// Complains about a key's text that is none of those that the table lists.
    pub fn choice(&self, key: &'static str, entry: &Entry, faults: &mut Faults) {
        if let Some(Kind::Choice(choices)) = self.kind(key) {
            choice(&entry.value, key, choices, faults);
        }
    }

    fn kind(&self, key: &str) -> Option<&'static Kind> {
        self.shape.key(key).map(|key| &key.kind)
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

/// The number of a node that must be one of at least 0, or above it.
pub fn amount(node: &Node, key: &str, above_zero: bool, faults: &mut Faults) -> Option<f64> {
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

/// The entries of a node that must be a dictionary.
pub fn dictionary<'n>(node: &'n Node, key: &str, faults: &mut Faults) -> Option<&'n Entries> {
    if node.map().is_none() {
        faults.push(wrong_type(node, &format!("`{key}`"), "a dictionary"));
    }
    node.map()
}

/// A text that must be one of a few.
fn choice(node: &Node, key: &str, choices: &[&str], faults: &mut Faults) {
    let Some(text) = text(node, key, faults) else { return };
    if !choices.contains(&text) {
        let mut fault = Diagnostic::error("config-wrong-value", format!("`{key}` cannot be `{text}`"))
            .at(node.span, format!("expected one of {}", listed(choices.iter().copied())));
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
fn unknown_key(shape: &Shape, key: &str, near: Option<&str>, span: Span) -> Diagnostic {
    let what = shape.what;
    let fault = Diagnostic::error("config-unknown-key", format!("{what} has no key `{key}`")).at(span, "unknown key");
    fault.help(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its keys: {}", listed(shape.names())),
    })
}

/// The name among all of a federation's that was probably meant. Where very much is wrong, nobody reads suggestions, and
/// comparing each name with all others would take long.
pub fn meant<'a>(name: &str, all: impl IntoIterator<Item = &'a str>, faults: &Faults) -> Option<&'a str> {
    const MANY: usize = 200;
    if faults.len() < MANY { nearest(name, all) } else { None }
}

/// `a`, `b`, `c`; not more of them than anybody reads.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut words = words.into_iter();
    let shown: Vec<String> = words.by_ref().take(MOST).map(|word| format!("`{word}`")).collect();
    format!("{}{}", shown.join(", "), if words.next().is_some() { ", …" } else { "" })
}

/// Whether two spellings of a key mean the same: a hyphen is as good as an underscore.
pub fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_') || (a == b'_' && b == b'-'))
}
