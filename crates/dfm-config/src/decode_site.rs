//! What sites does a configuration describe?

use dfm_diag::{Diagnostic, Span};
use indexmap::{IndexMap, IndexSet};
use serde_json::Map;

use crate::decode_binding::{Scope, interface};
use crate::decode_cache::cache;
use crate::decode_schema::Schemas;
use crate::decode_schema::class_path;
use crate::deploy_names::check_sites;
use crate::fields::{Faults, Fields, listed, meant, text, wrong_type};
use crate::format::{ADAPTER, IMPLEMENTATION, PROVIDER, SEND_COST, SITE, VAULT};
use crate::names::{invalid_name, is_name};
use crate::tree::{Data, Entry, Node};
use crate::{Class, Operation, Provider, SendCost, Site, Vault};

/// The adapter of operations that an OpenAPI description describes.
const HTTP: &str = "dfm.http.Call";

/// Decodes `sites`; `deployed` says whether Kubernetes is to run them.
pub fn sites(
    fields: &Fields<'_>,
    operations: &IndexMap<String, Option<Operation>>,
    schemas: &Schemas,
    deployed: bool,
    faults: &mut Faults,
) -> IndexMap<String, Site> {
    let named: Vec<_> = fields.named("sites", faults).collect();
    let names: IndexSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    if deployed {
        check_sites(named.iter().map(|(name, entry)| (name.as_str(), entry.key)), faults);
    }
    let mut sites = IndexMap::new();
    for (name, entry) in &named {
        if !is_name(name) {
            faults.push(invalid_name(name, "a site", entry.key, "it becomes a Python module"));
        }
        if let Some(site) = site(entry, name, &names, operations, schemas, faults) {
            sites.insert((*name).clone(), site);
        }
    }
    sites
}

fn site(
    entry: &Entry,
    name: &str,
    names: &IndexSet<&str>,
    operations: &IndexMap<String, Option<Operation>>,
    schemas: &Schemas,
    faults: &mut Faults,
) -> Option<Site> {
    let fields = Fields::of(&SITE, &entry.value, entry.key, faults)?;
    let provided: Vec<_> = fields.named("providers", faults).collect();
    let has_class =
        |node: &Node| node.map().and_then(|entries| entries.get("impl")).is_some_and(|entry| !entry.value.is_null());
    let providers = provided.iter().map(|(name, entry)| (name.as_str(), has_class(&entry.value))).collect();
    let scope = Scope { operations, own_class: has_class(&entry.value), providers: &providers, schemas };
    Some(Site {
        span: entry.key,
        info: fields.free("info", faults),
        implementation: fields.get("impl").and_then(|entry| class(entry, "impl", faults)),
        cache: cache(&fields, faults),
        vault: vault(&fields, faults),
        interface: interface(&fields, &scope, faults),
        providers: provided
            .iter()
            .filter_map(|(name, entry)| Some(((*name).clone(), provider(name, entry, &scope, faults)?)))
            .collect(),
        send_cost: send_costs(&fields, name, names, faults),
        pickle_from: pickle_from(&fields, name, names, faults),
        python: fields.text("python", faults),
    })
}

fn provider(name: &str, entry: &Entry, scope: &Scope<'_>, faults: &mut Faults) -> Option<Provider> {
    if name.is_empty() || name.contains('.') {
        faults.push(
            Diagnostic::error("config-invalid-name", format!("`{name}` cannot be the name of a provider"))
                .at(entry.key, "a dot separates it from its properties")
                .help("leave the dot out"),
        );
    }
    let fields = Fields::of(&PROVIDER, &entry.value, entry.key, faults)?;
    let provider = Provider {
        info: fields.free("info", faults),
        implementation: fields.get("impl").and_then(|entry| class(entry, "impl", faults)),
        interface: interface(&fields, scope, faults),
    };
    if provider.interface.values().any(|binding| binding.adapter.path.value == HTTP) {
        let info = fields.get("info");
        let address = info.and_then(|entry| entry.value.map()?.get("address"));
        check_address(name, address, info.map_or(entry.key, |info| info.key), faults);
    }
    Some(provider)
}

/// Complains about a provider of HTTP operations that does not say where these are.
fn check_address(name: &str, address: Option<&Entry>, owner: Span, faults: &mut Faults) {
    let text = address.and_then(|entry| entry.value.text()).unwrap_or_default();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if !host.is_empty() && !host.contains('@') && !rest.contains(|c: char| c.is_whitespace() || "?#".contains(c)) {
        return;
    }
    let message = format!("the provider `{name}` does not say where the interface of its HTTP operations is");
    faults.push(
        Diagnostic::error("config-no-address", message)
            .at(address.map_or(owner, |entry| entry.value.span), "expected `http://…` or `https://…`")
            .help("write `address: \"https://host.example/v1\"` in its `info`: where the description's paths begin"),
    );
}

/// A dotted path of a class, or `{path, args}`.
pub fn class(entry: &Entry, key: &'static str, faults: &mut Faults) -> Option<Class> {
    let (path, args) = match &entry.value.data {
        Data::Text(_) => (&entry.value, Map::new()),
        Data::Map(_) => {
            let shape = if key == "adapter" { &ADAPTER } else { &IMPLEMENTATION };
            let fields = Fields::of(shape, &entry.value, entry.key, faults)?;
            (&fields.need("path", faults)?.value, fields.free("args", faults))
        }
        _ => {
            faults.push(wrong_type(&entry.value, &format!("`{key}`"), "the dotted path of a class, or `{path, args}`"));
            return None;
        }
    };
    let dotted = text(path, "path", faults)?;
    class_path(dotted, key, path.span, faults);
    Some(Class { path: dfm_diag::Spanned { value: dotted.to_owned(), span: path.span }, args })
}

fn vault(fields: &Fields<'_>, faults: &mut Faults) -> Vault {
    let fields = fields.get("secrets_vault").and_then(|entry| Fields::of(&VAULT, &entry.value, entry.key, faults));
    let Some(fields) = fields else { return Vault { path: None, args: Map::new() } };
    if let Some(path) = fields.get("path")
        && let Some(dotted) = path.value.text()
    {
        class_path(dotted, "path", path.value.span, faults);
    }
    Vault { path: fields.text("path", faults), args: fields.free("args", faults) }
}

/// A site's `send_cost`.
pub fn send_costs(
    fields: &Fields<'_>,
    own: &str,
    names: &IndexSet<&str>,
    faults: &mut Faults,
) -> IndexMap<String, SendCost> {
    let mut costs = IndexMap::new();
    let named: Vec<_> = fields.named("send_cost", faults).collect();
    for (name, entry) in named {
        check_other(name, own, names, entry.key, "sending within a site costs nothing", faults);
        costs.extend(send_cost(entry, faults).map(|cost| (name.clone(), cost)));
    }
    costs
}

/// The users and sites whose pickles a site opens. Users' names have an `@`, which no site's has.
fn pickle_from(fields: &Fields<'_>, own: &str, names: &IndexSet<&str>, faults: &mut Faults) -> Vec<String> {
    let Some(entry) = fields.get("pickle_from") else { return vec![] };
    let Data::List(items) = &entry.value.data else {
        faults.push(wrong_type(&entry.value, "`pickle_from`", "a list of users' and sites' names"));
        return vec![];
    };
    let mut from = vec![];
    for node in items {
        let Some(name) = node.text() else {
            faults.push(wrong_type(node, "a user or site of `pickle_from`", "a text"));
            continue;
        };
        if !name.contains('@') {
            check_other(name, own, names, node.span, "what stays at a site is not pickled", faults);
        }
        from.push(name.to_owned());
    }
    from
}

/// Complains where a name is none of another site.
fn check_other(name: &str, own: &str, names: &IndexSet<&str>, at: Span, idle: &str, faults: &mut Faults) {
    if name == own {
        faults.push(Diagnostic::warning("config-unused-key", idle).at(at, "this has no effect"));
    } else if !names.contains(name) {
        let fault = Diagnostic::error("config-unknown-site", format!("there is no site `{name}`"))
            .at(at, "expected the name of another site");
        let others = names.iter().copied().filter(|other| *other != own);
        faults.push(match meant(name, others.clone(), faults) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None if others.clone().next().is_none() => fault.help("this is the only site"),
            None => fault.help(format!("the other sites: {}", listed(others))),
        });
    }
}

/// One cost of sending.
pub fn send_cost(entry: &Entry, faults: &mut Faults) -> Option<SendCost> {
    let fields = Fields::of(&SEND_COST, &entry.value, entry.key, faults)?;
    let fixed_time = fields.amount("fixed_time", faults).unwrap_or_default();
    Some(SendCost { fixed_time, bandwidth: fields.amount("bandwidth", faults) })
}
