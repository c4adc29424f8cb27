//! What does a network file say of a federation's sites and links, beside what its configuration says?
//!
//! It names sites, bindings and costs as a configuration does, so that measured costs can be moved from one to the other.

use std::path::Path;

use dfm_diag::{Diagnostic, Report, Sources, nearest};
use indexmap::{IndexMap, IndexSet};

use crate::decode_binding::compute_cost;
use crate::decode_site::{send_cost, send_costs};
use crate::fields::{Faults, Fields, listed, wrong_type};
use crate::format::{COMPUTE_COST, Form, Key, Kind, Others, SEND_COST, Shape, key, needed};
use crate::tree::{Data, Entry, Node};
use crate::{Binding, ComputeCost, Federation, SendCost, Site};

/// The version of the format.
const VERSION: u64 = 1;

/// A network file.
pub static NETWORK: Shape = Shape {
    what: "a network file",
    others: Others::Refused,
    keys: &[
        needed("dfm-network", Kind::Anything, "The version of the format, 1."),
        key("send_cost", Kind::Shape(&SEND_COST), "The cost of sending where no site gives one."),
        key("seed", Kind::Amount, "Which calls fail; another number gives others."),
        key("sites", Kind::Named(Form::Any, &Kind::Shape(&SITE)), "Name → what is different there."),
    ],
};

static SITE: Shape = Shape {
    what: "a site of a network file",
    others: Others::Refused,
    keys: &[
        key("copies", Kind::Amount, "How many more sites there are like this one: `name-1`, `name-2`, …"),
        key("at_once", Kind::Amount, "How many calls it runs at the same time."),
        key("lost_at", Kind::Amount, "The second in which it is lost."),
        key("send_cost", Kind::Named(Form::Any, &Kind::Shape(&SEND_COST)), "Other site → the cost of sending there."),
        key("interface", INTERFACE, "Operation → what is different in its binding."),
        key(
            "providers",
            Kind::Named(Form::Provider, &Kind::Shape(&PROVIDER)),
            "Provider → what is different in its bindings.",
        ),
    ],
};

static PROVIDER: Shape = Shape {
    what: "a provider of a network file",
    others: Others::Refused,
    keys: &[key("interface", INTERFACE, "Operation → what is different in its binding.")],
};

const INTERFACE: Kind = Kind::Named(Form::Pointer, &Kind::Shape(&BINDING));

static BINDING: Shape = Shape { what: "a binding of a network file", others: Others::Refused, keys: BINDING_KEYS };

static BINDING_KEYS: &[Key] = &[
    key("compute_cost", Kind::Shape(&COMPUTE_COST), "What it costs."),
    key("failing", Kind::Amount, "The part of its calls that fail, from 0 to 1."),
];

/// What is different from a federation's configuration, and what happens in a simulation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// The cost of sending where no site gives one.
    pub send_cost: Option<SendCost>,
    /// Which calls fail.
    pub seed: u64,
    /// Site → what is different there.
    pub sites: IndexMap<String, NetworkSite>,
}

/// What is different at a site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSite {
    /// How many more sites there are like it.
    pub copies: usize,
    /// How many calls it runs at the same time, if that is limited.
    pub at_once: Option<usize>,
    /// The second in which it is lost, if it is.
    pub lost_at: Option<f64>,
    /// Other site → the cost of sending there.
    pub send_cost: IndexMap<String, SendCost>,
    /// What is different in bindings.
    pub bindings: Vec<NetworkBinding>,
}

/// What is different in a binding.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkBinding {
    /// The provider that it belongs to; `None` for the site itself.
    pub provider: Option<String>,
    /// `namespace.Name`.
    pub operation: String,
    /// What it costs, if that is different.
    pub compute_cost: Option<ComputeCost>,
    /// The part of its calls that fail.
    pub failing: f64,
}

/// Reads a network file for a federation.
///
/// # Errors
/// Everything that is wrong with it.
pub fn network(path: &Path, federation: &Federation) -> Result<Network, Report> {
    let mut sources = Sources::default();
    let file = crate::files::read(path, "the network file", &mut sources)?;
    let (root, mut faults) = crate::tree::parse(sources.text(file), file);
    let network = match &root {
        Some(root) => decode(root, federation, &mut faults),
        None => None,
    };
    faults.sort_by_key(|fault| fault.span.map(|span| span.start));
    match network {
        Some(network) if faults.is_empty() => Ok(network),
        _ if root.is_none() && faults.is_empty() => {
            Err(Diagnostic::error("config-empty-file", format!("the network file `{}` is empty", path.display()))
                .help("it begins with `dfm-network: 1`")
                .into())
        }
        _ => Err(Report { diagnostics: faults, sources }),
    }
}

fn decode(root: &Node, federation: &Federation, faults: &mut Faults) -> Option<Network> {
    let fields = Fields::of(&NETWORK, root, root.span, faults)?;
    if let Some(version) = fields.need("dfm-network", faults)
        && version.value.to_json().as_u64() != Some(VERSION)
    {
        let fault = format!("this dfm reads version {VERSION} of a network file");
        faults.push(Diagnostic::error("config-wrong-version", fault).at(version.value.span, "another version"));
    }
    let names: IndexSet<&str> = federation.sites.keys().map(String::as_str).collect();
    let mut sites = IndexMap::new();
    let named: Vec<_> = fields.named("sites", faults).collect();
    for (name, entry) in named {
        match federation.sites.get(name) {
            Some(known) => {
                sites.extend(site(entry, name, known, &names, faults).map(|site| (name.clone(), site)));
            }
            None => {
                let names: Vec<&str> = names.iter().copied().collect();
                faults.push(unknown("config-unknown-site", "there is no site", name, entry, &names));
            }
        }
    }
    Some(Network {
        send_cost: fields.get("send_cost").and_then(|entry| send_cost(entry, faults)),
        seed: whole(&fields, "seed", 0, faults).unwrap_or_default() as u64,
        sites,
    })
}

fn site(entry: &Entry, name: &str, known: &Site, names: &IndexSet<&str>, faults: &mut Faults) -> Option<NetworkSite> {
    let fields = Fields::of(&SITE, &entry.value, entry.key, faults)?;
    let mut found = bindings(&fields, (name, None), &known.interface, faults);
    let providers: Vec<&str> = known.providers.keys().map(String::as_str).collect();
    let named: Vec<_> = fields.named("providers", faults).collect();
    for (provider, entry) in named {
        match known.providers.get(provider) {
            Some(known) => {
                if let Some(fields) = Fields::of(&PROVIDER, &entry.value, entry.key, faults) {
                    found.extend(bindings(&fields, (name, Some(provider)), &known.interface, faults));
                }
            }
            None => {
                let what = format!("`{name}` has no provider");
                faults.push(unknown("config-unknown-provider", &what, provider, entry, &providers));
            }
        }
    }
    Some(NetworkSite {
        copies: whole(&fields, "copies", 0, faults).unwrap_or_default(),
        at_once: whole(&fields, "at_once", 1, faults),
        lost_at: fields.amount("lost_at", faults),
        send_cost: send_costs(&fields, name, names, faults),
        bindings: found,
    })
}

fn bindings(
    fields: &Fields<'_>,
    (site, provider): (&str, Option<&String>),
    known: &IndexMap<String, Binding>,
    faults: &mut Faults,
) -> Vec<NetworkBinding> {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let mut found = vec![];
    let named: Vec<_> = fields.named("interface", faults).collect();
    for (pointer, entry) in named {
        let operation = pointer.strip_prefix("#/operations/").unwrap_or(pointer);
        if !known.contains_key(operation) {
            let what = match provider {
                Some(provider) => format!("`{provider}` of `{site}` does not offer"),
                None => format!("`{site}` does not offer"),
            };
            faults.push(unknown("config-unknown-operation", &what, operation, entry, &names));
        } else if let Some(fields) = Fields::of(&BINDING, &entry.value, entry.key, faults) {
            let failing = fields.amount("failing", faults).unwrap_or_default();
            if let Some(entry) = fields.get("failing").filter(|_| failing > 1.0) {
                faults.push(wrong_type(&entry.value, "`failing`", "a number from 0 to 1"));
            }
            found.push(NetworkBinding {
                provider: provider.cloned(),
                operation: operation.to_owned(),
                compute_cost: fields.get("compute_cost").map(|_| compute_cost(&fields, faults)),
                failing,
            });
        }
    }
    found
}

/// A whole number of at least `least` and at most a million, when the key is there.
fn whole(fields: &Fields<'_>, key: &'static str, least: u64, faults: &mut Faults) -> Option<usize> {
    let entry = fields.get(key)?;
    let number = match &entry.value.data {
        Data::Number(number) => number.as_u64().filter(|number| (least..=1_000_000).contains(number)),
        _ => None,
    };
    if number.is_none() {
        let wanted = format!("a whole number from {least} to a million");
        faults.push(wrong_type(&entry.value, &format!("`{key}`"), &wanted));
    }
    number.map(|number| number as usize)
}

fn unknown(code: &'static str, what: &str, name: &str, entry: &Entry, names: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(code, format!("{what} `{name}`")).at(entry.key, "unknown");
    fault.help(match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it has none".to_owned(),
        None => format!("there are {}", listed(names.iter().copied())),
    })
}
