//! What is an operation's class, in general and as one site offers it?

use std::collections::{BTreeMap, HashMap};

use dfm_config::{Binding, Federation, Operation, Parameter, Site};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::fed_info::type_name;
use crate::layout::{Expr, class_header, docstring, field, pad};
use crate::literals::string;
use crate::names::{self, Imports};
use crate::schemas::{has_value, is_model, model_fields, referred};
use crate::types::{Types, default_literal};

/// What a class is generated from.
#[derive(Clone)]
pub struct Source<'a> {
    /// `namespace.Name`.
    pub name: &'a str,
    description: &'a str,
    returns: Option<&'a dfm_config::Type>,
    /// Name → the parameter; several where the site's providers expose different ones of the same name.
    parameters: IndexMap<&'a str, Vec<&'a Parameter>>,
    /// Only in a site's version.
    site: Option<&'a str>,
    /// Which providers offer it there; `None` for the site itself.
    providers: Vec<Option<&'a str>>,
}

/// All operations, wherever they run.
pub fn in_general(federation: &Federation) -> Vec<Source<'_>> {
    federation.operations.iter().map(|(name, operation)| Source::new(name, operation)).collect()
}

/// The operations that a site offers, each with the parameters that the site exposes.
pub fn at_site<'a>(federation: &'a Federation, name: &'a str, site: &'a Site) -> Vec<Source<'a>> {
    // By the place of the operation among all of them: most sites offer few.
    let mut offered: BTreeMap<usize, Vec<(Option<&str>, &Binding)>> = BTreeMap::new();
    for (provider, operation, binding) in bindings(site) {
        if let Some(place) = federation.operations.get_index_of(operation) {
            offered.entry(place).or_default().push((provider, binding));
        }
    }
    let source = |(place, bindings): (usize, Vec<(Option<&'a str>, &'a Binding)>)| {
        let (operation, declared) = federation.operations.get_index(place)?;
        let (_, first) = bindings.first()?;
        let mut source = Source::new(operation, declared);
        source.site = Some(name);
        source.description = first.description.as_deref().unwrap_or(source.description);
        source.returns = first.returns.as_ref().or(source.returns);
        source.parameters.values_mut().for_each(Vec::clear);
        for (provider, binding) in bindings {
            source.providers.push(provider);
            for (name, parameter) in taken_by(declared, binding) {
                source.parameters.entry(name).or_default().push(parameter);
            }
        }
        Some(source)
    };
    offered.into_iter().filter_map(source).collect()
}

/// What a site offers: provider (`None` for the site itself), operation, binding.
pub fn bindings(site: &Site) -> impl Iterator<Item = (Option<&str>, &str, &Binding)> {
    let own = site.interface.iter().map(|(operation, binding)| (None, operation.as_str(), binding));
    own.chain(site.providers.iter().flat_map(|(provider, of)| {
        of.interface.iter().map(move |(operation, binding)| (Some(provider.as_str()), operation.as_str(), binding))
    }))
}

/// The parameters that a binding's operation has there: those that are declared, but for those that an exposed one takes
/// the place of, and the exposed ones.
pub fn taken_by<'a>(
    declared: &'a Operation,
    binding: &'a Binding,
) -> impl Iterator<Item = (&'a str, &'a Parameter)> + Clone {
    let exposed = || binding.arguments.values().filter_map(|argument| argument.exposed.as_ref());
    let replaced = move |name: &str| exposed().any(|(other, _)| other == name);
    let kept = declared.parameters.iter().map(|(name, of)| (name.as_str(), of));
    let kept = kept.filter(move |(name, _)| !replaced(name));
    kept.chain(exposed().map(|(name, of)| (name.as_str(), of)))
}

impl<'a> Source<'a> {
    fn new(name: &'a str, operation: &'a Operation) -> Self {
        let parameters = operation.parameters.iter().map(|(name, parameter)| (name.as_str(), vec![parameter]));
        Source {
            name,
            description: &operation.description,
            returns: operation.returns.as_ref(),
            parameters: parameters.collect(),
            site: None,
            providers: Vec::new(),
        }
    }

    /// `users` of `users.GreetMe`.
    pub fn namespace(&self) -> &'a str {
        self.name.rsplit_once('.').map_or("", |(namespace, _)| namespace)
    }

    fn own_name(&self) -> &'a str {
        self.name.rsplit_once('.').map_or(self.name, |(_, name)| name)
    }

    fn fields(&self) -> HashMap<&'a str, String> {
        names::fields(self.parameters.keys().copied(), true)
    }
}

/// A module with the classes of `sources`, without its head: what it imports, and its text. Those of sites' own versions
/// derive from those in `general`, where they can.
pub fn module(
    federation: &Federation,
    sources: &[Source<'_>],
    general: &HashMap<&str, General<'_>>,
    schemas: &HashMap<&str, String>,
) -> (Imports, String) {
    let classes = names::identifiers(sources.iter().map(Source::own_name), []);
    let parts = |source| returned_model(federation, source).into_iter().flat_map(|(_, model)| model_fields(model));
    let fields = sources.iter().flat_map(|source| source.fields().into_iter().chain(parts(source)));
    let taken = classes.values().cloned().chain(fields.map(|(_, name)| name));
    let package = &federation.info.code_package;
    let mut types = Types::new(Imports::new(package, taken), schemas, Some(format!("{package}.fed.schema")));
    let text = sources
        .iter()
        .map(|source| {
            let base = source.site.and_then(|_| general.get(source.name));
            let base = base.filter(|base| refines(federation, source, &base.source));
            let base = base.map(|base| (&base.source, types.imports.name(&base.module, &base.class)));
            format!("\n\n{}", class(federation, source, base, &classes[source.own_name()], &mut types))
        })
        .collect();
    (types.imports, text)
}

/// An operation as it is in general, and where its class is, from which every site's own may derive.
pub struct General<'a> {
    source: Source<'a>,
    module: String,
    class: String,
}

/// All operations in general by their names; `sources` are those of [`in_general`].
pub fn general<'a>(federation: &Federation, sources: &[Source<'a>]) -> HashMap<&'a str, General<'a>> {
    let mut namespaces: HashMap<&str, Vec<&Source<'a>>> = HashMap::new();
    for source in sources {
        namespaces.entry(source.namespace()).or_default().push(source);
    }
    let mut general = HashMap::new();
    for (namespace, sources) in namespaces {
        let classes = names::identifiers(sources.iter().map(|source| source.own_name()), []);
        let package = format!("{}.fed.api", federation.info.code_package);
        let parts = namespace.split('.').filter(|part| !part.is_empty()).map(names::identifier);
        let module = std::iter::once(package).chain(parts).collect::<Vec<_>>().join(".");
        general.extend(sources.into_iter().map(|source| {
            let class = classes[source.own_name()].clone();
            (source.name, General { source: source.clone(), module: module.clone(), class })
        }));
    }
    general
}

/// Whether a site's version has all that the operation has, as that has it, so that its class can be a subclass.
fn refines(federation: &Federation, source: &Source<'_>, base: &Source<'_>) -> bool {
    let (own, general) = (source.fields(), base.fields());
    let kept = base.parameters.iter().all(|(name, declared)| {
        let same = |version: &&Parameter| std::ptr::eq(*version, declared[0]);
        own.get(name) == general.get(name) && source.parameters.get(name).is_some_and(|of| of.iter().all(same))
    });
    let mut parts = returned_model(federation, base).into_iter().flat_map(|(_, model)| model_fields(model));
    let added = source.parameters.keys().filter(|name| !base.parameters.contains_key(*name));
    let added: Vec<&String> = added.map(|name| &own[name]).collect();
    kept && source.returns == base.returns && !parts.any(|(_, part)| added.contains(&&part))
}

/// `base`: what the class is a subclass of, and its name here.
fn class(
    federation: &Federation,
    source: &Source<'_>,
    base: Option<(&Source<'_>, String)>,
    name: &str,
    types: &mut Types<'_>,
) -> String {
    let Some((base, of)) = base else { return whole_class(federation, source, name, types) };
    let mut out = class_header(name, vec![Expr::Atom(of), Expr::atom("frozen=True")]);
    out += &docstring(4, &documentation(source));
    out.push('\n');
    placement(&mut out, source.site.unwrap_or_default(), &source.providers, types);
    let names = source.fields();
    for (parameter, versions) in source.parameters.iter().filter(|(name, _)| !base.parameters.contains_key(*name)) {
        let Some(annotation) = accepted(federation, versions, types) else { continue };
        parameter_field(&mut out, parameter, &names[parameter], versions, annotation, types);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn whole_class(federation: &Federation, source: &Source<'_>, name: &str, types: &mut Types<'_>) -> String {
    let operation = types.imports.name("dfm.api", "Operation");
    let operation = match source.returns.and_then(|of| of_node(federation, of, types)) {
        Some(of) => Expr::Subscript(operation, vec![of]),
        None => Expr::Atom(operation),
    };
    let mut out = class_header(name, vec![operation, Expr::atom("frozen=True")]);
    out += &docstring(4, &documentation(source));
    out.push('\n');
    let string_type = types.symbol("builtins", "str");
    let class_variable =
        |of: Expr, types: &mut Types<'_>| Expr::Subscript(types.imports.name("typing", "ClassVar"), vec![of]);
    let text = class_variable(string_type, types);
    let info = &federation.info;
    let facts = [("operation", source.name), ("package", &info.code_package), ("api_version", &info.api_version)];
    for (fact, value) in facts {
        let value = Expr::Atom(string(value));
        out += &field(4, &format!("dfm_{fact}"), &text, Some(&value));
    }
    if let Some(class) = source.returns.and_then(|of| returned_class(federation, of, types)) {
        let of = Expr::Subscript(types.imports.name("builtins", "type"), vec![class.clone()]);
        out += &field(4, "dfm_returns", &class_variable(of, types), Some(&class));
    }
    out.push('\n');
    if let Some(site) = source.site {
        placement(&mut out, site, &source.providers, types);
    }
    let names = source.fields();
    for (parameter, versions) in &source.parameters {
        let Some(annotation) = accepted(federation, versions, types) else { continue };
        parameter_field(&mut out, parameter, &names[parameter], versions, annotation, types);
    }
    if let Some((_, model)) = returned_model(federation, source) {
        parts(&mut out, federation, model, &names, types);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The class that all values are of that a type has, if it says what parts they can have.
fn returned_class(federation: &Federation, of: &dfm_config::Type, types: &mut Types<'_>) -> Option<Expr> {
    let dfm_config::Type::Schema(schema) = of else { return None };
    let (mut schema, mut seen) = (schema, vec![]);
    while let Some(name) = referred(schema) {
        let named = federation.schemas.get(name)?;
        if is_model(named) {
            return Some(types.schema(schema));
        }
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        schema = named;
    }
    let has = |keys: &[&str]| keys.iter().any(|key| schema.get(*key).is_some());
    // A text of some format, or one value of several, may be of another class.
    if has(&["class", "const", "enum", "anyOf", "oneOf", "allOf", "format"]) {
        return None;
    }
    let class = match schema.get("type")?.as_str()? {
        "integer" => "int",
        "number" => "float",
        "boolean" => "bool",
        "string" => "str",
        "object" if has(&["properties", "additionalProperties", "minProperties", "maxProperties"]) => "dict",
        _ => return None,
    };
    Some(types.symbol("builtins", class))
}

/// The schema's reference that an operation returns and the schema itself, if its values are models.
fn returned_model<'a>(federation: &'a Federation, source: &Source<'a>) -> Option<(&'a Value, &'a Value)> {
    let dfm_config::Type::Schema(reference) = source.returns? else { return None };
    let model = federation.schemas.get(referred(reference)?)?;
    is_model(model).then_some((reference, model))
}

/// The fields of the result as the node's own attributes, but those whose names its parameters have.
fn parts(
    out: &mut String,
    federation: &Federation,
    model: &Value,
    parameters: &HashMap<&str, String>,
    types: &mut Types<'_>,
) {
    let named = model_fields(model);
    let taken = |name: &String| names::is_of_operation(name) || parameters.values().any(|other| other == name);
    for (place, (property, of)) in model["properties"].as_object().into_iter().flatten().enumerate() {
        let name = &named[property.as_str()];
        if place == 0 && !parameters.is_empty() {
            out.push('\n');
        }
        if taken(name) {
            continue;
        }
        let part = types.imports.name("dfm.api", "Part");
        let part = match of_node(federation, &dfm_config::Type::Schema(of.clone()), types) {
            Some(kind) if has_value(model, property) => Expr::Subscript(part, vec![kind]).to_string(),
            _ => part,
        };
        *out += &format!("{}{name} = {part}()\n", pad(4));
        *out += &docstring(4, of["description"].as_str().unwrap_or_default());
    }
}

fn documentation(source: &Source<'_>) -> String {
    let mut text = source.description.trim().to_owned();
    if text.is_empty() {
        text = match source.site {
            Some(site) => format!("`{}` at the site `{site}`.", source.name),
            None => format!("`{}`.", source.name),
        };
    }
    match source.returns.and_then(type_name) {
        Some(returned) => format!("{text}\n\nReturns: {returned}"),
        None => text,
    }
}

/// The fields `site` and `provider` of a site's version.
fn placement(out: &mut String, site: &str, providers: &[Option<&str>], types: &mut Types<'_>) {
    let literal = types.imports.name("typing", "Literal");
    let value = Expr::Atom(string(site));
    *out += &field(4, "site", &Expr::Subscript(literal.clone(), vec![value.clone()]), Some(&value));
    let named: Vec<Expr> = providers.iter().flatten().map(|provider| Expr::Atom(string(provider))).collect();
    let none = Expr::atom("None");
    if named.is_empty() {
        *out += &field(4, "provider", &none, Some(&none));
        return;
    }
    let itself = providers.contains(&None);
    let default = match &named[..] {
        _ if itself => none.clone(),
        [only] => only.clone(),
        // Has to be given; without `Field`, type checkers miss the default that `Operation` has.
        _ => Expr::Call(types.imports.name("pydantic", "Field"), Vec::new()),
    };
    let of = Expr::Subscript(literal, named);
    let annotation = if itself { Expr::union([of, none]) } else { of };
    *out += &field(4, "provider", &annotation, Some(&default));
}

/// The type of what a pipeline may give; `None` for nothing.
fn accepted(federation: &Federation, versions: &[&Parameter], types: &mut Types<'_>) -> Option<Expr> {
    let literals = versions.iter().filter(|parameter| parameter.accepts.literal);
    let mut members: Vec<Expr> = literals.map(|parameter| types.of(&parameter.of)).collect();
    let any = |accepts: fn(&dfm_config::Accepts) -> bool| versions.iter().any(|version| accepts(&version.accepts));
    let nodes: Vec<&Parameter> = versions.iter().copied().filter(|version| version.accepts.node).collect();
    if !nodes.is_empty() {
        let node = types.imports.name("dfm.api", "Node");
        let of: Option<Vec<Expr>> = nodes.iter().map(|version| of_node(federation, &version.of, types)).collect();
        members.push(match of {
            Some(of) => Expr::Subscript(node, vec![Expr::union(of)]),
            None => Expr::Atom(node),
        });
    }
    for (accepted, class) in [(any(|accepts| accepts.place), "PlaceParam"), (any(|accepts| accepts.advise), "Advise")] {
        if accepted {
            members.push(types.symbol("dfm.api", class));
        }
    }
    (!members.is_empty()).then(|| Expr::union(members))
}

/// What a node may become that is used there, as far as type checkers can be told without importing what only sites
/// need: text, numbers and the schemas' models. What may be taken for another type, such as a list, is left open.
fn of_node(federation: &Federation, of: &dfm_config::Type, types: &mut Types<'_>) -> Option<Expr> {
    let dfm_config::Type::Schema(schema) = of else { return None };
    if let Some(name) = referred(schema) {
        return federation.schemas.get(name).filter(|schema| is_model(schema)).map(|_| types.schema(schema));
    }
    let name = schema.get("type")?.as_str()?;
    let format = schema.get("format").cloned();
    matches!(name, "string" | "integer" | "number" | "boolean")
        .then(|| types.schema(&json!({ "type": name, "format": format })))
}

fn parameter_field(
    out: &mut String,
    parameter: &str,
    name: &str,
    versions: &[&Parameter],
    mut annotation: Expr,
    types: &mut Types<'_>,
) {
    let declared = versions.iter().find(|version| !version.required).unwrap_or(&versions[0]);
    let mut documentation = declared.description.trim().to_owned();
    let mut value = None;
    if !declared.required {
        let literal = declared.default.as_ref().filter(|_| declared.accepts.literal);
        value = literal.and_then(|default| default_literal(&declared.of, default));
        if value.is_none() {
            annotation = Expr::union([annotation, Expr::atom("None")]);
            if let Some(default) = &declared.default {
                documentation = format!("{documentation}\n\nDefault: {default}");
            }
        }
        value = value.or_else(|| Some("None".to_owned()));
    }
    let mut value = value.map(Expr::Atom);
    if name != parameter {
        value = Some(types.renamed(parameter, &["serialization_alias"], value));
    }
    *out += &field(4, name, &annotation, value.as_ref());
    *out += &docstring(4, &documentation);
}
