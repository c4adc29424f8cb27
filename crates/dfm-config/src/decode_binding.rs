//! How does a site, or one of its providers, implement operations?

use std::collections::{HashMap, HashSet};

use dfm_diag::{Diagnostic, Span, nearest};
use indexmap::IndexMap;

use crate::decode_operation::{no_parameter, typed_parameter};
use crate::decode_schema::{Schemas, named_type};
use crate::decode_site::class;
use crate::fields::{Faults, Fields, listed, meant, text, wrong_type};
use crate::format::{ARGUMENT, BINDING, COMPUTE_COST, EXPOSED, SOURCES, STATE};
use crate::names::{invalid_name, is_identifier};
use crate::tree::{Data, Entries, Entry, Node};
use crate::value::misfit;
use crate::{Accepts, Argument, ArgumentSource, Binding, ComputeCost, Lifetime, Operation, Parameter, State, Type};

/// What objects of `dfm.exec.Site` have for adapters, and those of `dfm.exec.Provider` too.
const PROPERTIES: &[&str] = &[
    "api_version",
    "cache_storage",
    "dfm_context",
    "federation_name",
    "info",
    "name",
    "secret_for_key",
    "site",
    "telemetry_span",
];

/// What a binding may speak of.
pub struct Scope<'a> {
    /// All declared operations; `None` for one that has faults of its own.
    pub operations: &'a IndexMap<String, Option<Operation>>,
    /// Whether the site's object is of a class of its own, whose properties nobody here knows.
    pub own_class: bool,
    /// The site's providers, and whether each is of a class of its own.
    pub providers: &'a IndexMap<&'a str, bool>,
    /// The federation's schemas.
    pub schemas: &'a Schemas,
}

/// Decodes an `interface`.
pub fn interface(fields: &Fields<'_>, scope: &Scope<'_>, faults: &mut Faults) -> IndexMap<String, Binding> {
    let mut bindings = IndexMap::new();
    let named: Vec<_> = fields.named("interface", faults).collect();
    for (key, entry) in named {
        let Some(name) = operation_name(key, entry.key, scope, faults) else { continue };
        if let Some(binding) = binding(&name, entry, scope, faults) {
            bindings.insert(name, binding);
        }
    }
    bindings
}

fn operation_name(key: &str, span: Span, scope: &Scope<'_>, faults: &mut Faults) -> Option<String> {
    let Some(pointer) = key.strip_prefix("#/operations/") else {
        let fault = Diagnostic::error("config-unknown-operation", format!("`{key}` does not refer to an operation"))
            .at(span, "expected \"#/operations/<name>\"");
        faults.push(match scope.operations.contains_key(key) {
            true => fault.help(format!("write \"#/operations/{key}\", in quotes")),
            false => fault.help("write the reference in quotes: what begins with a bare `#` is a comment"),
        });
        return None;
    };
    let name = pointer.replace("~1", "/").replace("~0", "~");
    if !scope.operations.contains_key(&name) {
        let fault = Diagnostic::error("config-unknown-operation", format!("there is no operation `{name}`"))
            .at(span, "expected an operation declared under `operations`");
        let names = scope.operations.keys().map(String::as_str);
        faults.push(match meant(&name, names.clone(), faults) {
            Some(near) => fault.help(format!("did you mean \"#/operations/{near}\"?")),
            None if scope.operations.is_empty() => fault.help("the configuration declares no operations"),
            None => fault.help(format!("the operations: {}", listed(names))),
        });
    }
    Some(name)
}

fn binding(name: &str, entry: &Entry, scope: &Scope<'_>, faults: &mut Faults) -> Option<Binding> {
    let fields = Fields::of(&BINDING, &entry.value, entry.key, faults)?;
    let operation = scope.operations.get(name).and_then(Option::as_ref);
    let adapter = fields.need("adapter", faults).and_then(|entry| class(entry, "adapter", faults));
    let given = fields.get("args");
    let before = faults.len();
    let arguments = given.map_or_else(|| Some(IndexMap::new()), |entry| arguments(entry, operation, scope, faults));
    let sound = faults.len() == before;
    if let Some(arguments) = &arguments {
        check_exposed(arguments, faults);
    }
    if let (Some(operation), Some(arguments)) = (operation, &arguments) {
        // A faulty argument may be the one that takes the parameter.
        if sound {
            check_used(name, arguments, operation, given.map_or(entry.key, |entry| entry.key), faults);
        }
    }
    Some(Binding {
        span: entry.key,
        description: fields.text("description", faults),
        returns: fields.get("returns").and_then(|entry| named_type(&entry.value, "returns", faults)),
        is_async: fields.flag("is-async", faults).unwrap_or(true),
        compute_cost: compute_cost(&fields, faults),
        max_concurrent: fields.whole("max-concurrent", 1, faults),
        lifetime: lifetime(&fields, faults),
        state: state(&fields, faults),
        adapter: adapter?,
        arguments: arguments?,
    })
}

fn lifetime(fields: &Fields<'_>, faults: &mut Faults) -> Lifetime {
    let Some(entry) = fields.get("scope") else { return Lifetime::default() };
    fields.choice("scope", entry, faults);
    match entry.value.text() {
        Some("job") => Lifetime::Job,
        Some("site") => Lifetime::Site,
        _ => Lifetime::Session,
    }
}

fn state(fields: &Fields<'_>, faults: &mut Faults) -> State {
    let fields = fields.get("state").and_then(|entry| Fields::of(&STATE, &entry.value, entry.key, faults));
    let Some(fields) = fields else { return State::default() };
    let on_disk = fields.flag("on-disk", faults).unwrap_or_default();
    if let Some(entry) = fields.get("base_path").filter(|_| !on_disk) {
        faults.push(
            Diagnostic::warning("config-unused-key", "a state that is not on disk needs no folder")
                .at(entry.key, "this has no effect")
                .help("write `on-disk: true` beside it"),
        );
    }
    State {
        on_disk,
        base_path: fields.text("base_path", faults),
        per_user: fields.flag("per-user", faults).unwrap_or_default(),
        name: fields.text("name", faults),
        limit: fields.whole("limit", 1, faults),
    }
}

/// The `compute_cost` of a binding.
pub fn compute_cost(fields: &Fields<'_>, faults: &mut Faults) -> ComputeCost {
    let fields =
        fields.get("compute_cost").and_then(|entry| Fields::of(&COMPUTE_COST, &entry.value, entry.key, faults));
    let Some(fields) = fields else { return ComputeCost::default() };
    ComputeCost {
        fixed_time: fields.amount("fixed_time", faults).unwrap_or_default(),
        compute_throughput: fields.amount("compute_throughput", faults),
        fixed_size: fields.amount("fixed_size", faults).unwrap_or_default(),
        output_factor: fields.amount("output_factor", faults).unwrap_or_default(),
    }
}

/// What the adapter is called with. An operation with faults of its own is not asked which parameters it has.
fn arguments(
    entry: &Entry,
    operation: Option<&Operation>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<IndexMap<String, Argument>> {
    let node = &entry.value;
    if node.text().is_some_and(|text| text.replace('_', "-") == "from-operation") {
        let parameters = operation.into_iter().flat_map(|operation| operation.parameters.keys());
        let argument = |name: &String| plain_argument(node.span, ArgumentSource::Param(name.clone()));
        return Some(parameters.map(|name| (name.clone(), argument(name))).collect());
    }
    let Some(entries) = node.map() else {
        let fault = wrong_type(node, "`args`", "`from-operation`, or a dictionary of arguments and their sources");
        faults.push(match node.text().and_then(|text| nearest(text, ["from-operation"])) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
        return None;
    };
    let mut arguments = IndexMap::new();
    for (name, entry) in entries {
        if !is_identifier(name) {
            faults.push(invalid_name(name, "an argument", entry.key, "the adapter is called with it"));
        }
        if let Some(argument) = argument(entry, operation, scope, faults) {
            arguments.insert(name.clone(), argument);
        }
    }
    Some(arguments)
}

fn plain_argument(span: Span, source: ArgumentSource) -> Argument {
    Argument { span, source, doc: None, exposed: None }
}

fn argument(entry: &Entry, operation: Option<&Operation>, scope: &Scope<'_>, faults: &mut Faults) -> Option<Argument> {
    if let Some(name) = entry.value.text() {
        check_parameter(name, entry.value.span, operation, faults);
        return Some(plain_argument(entry.key, ArgumentSource::Param(name.to_owned())));
    }
    if entry.value.map().is_none() && !entry.value.is_null() {
        faults.push(wrong_type(&entry.value, "an argument's source", "a dictionary, or the name of a parameter"));
        return None;
    }
    let before = faults.len();
    let fields = Fields::of(&ARGUMENT, &entry.value, entry.key, faults)?;
    let mut given: Vec<(&str, &Entry)> =
        SOURCES.iter().filter_map(|source| fields.raw(source).map(|entry| (*source, entry))).collect();
    given.sort_by_key(|(_, entry)| entry.key.start);
    let [(key, written)] = given[..] else {
        if given.is_empty() && faults.len() > before {
            // The source is probably among the unknown keys.
            return None;
        }
        let fault = Diagnostic::error("config-argument-source", "an argument has exactly one source");
        faults.push(match given[..] {
            [(first, _), (second, entry), ..] => fault
                .at(entry.key, format!("`{second}` comes on top of `{first}`"))
                .related(given[0].1.key, "first here"),
            _ => fault.at(entry.key, "has none").help(format!("write one of {}", listed(SOURCES.iter().copied()))),
        });
        return None;
    };
    let source = source(key, &written.value, operation, scope, faults)?;
    let exposed = fields.get("expose-as").and_then(|entry| {
        if key == "from-param" {
            faults.push(
                Diagnostic::error("config-argument-source", "what comes from a parameter cannot be exposed again")
                    .at(entry.key, "not together with `from-param`")
                    .help("users give the parameter itself; leave `expose-as` out"),
            );
        }
        exposed(entry, operation, scope, faults)
    });
    if let (ArgumentSource::Const(value), Some((name, Parameter { of: Type::Schema(schema), .. }))) =
        (&source, &exposed)
        && !value.is_null()
        && let Some(expected) = misfit(schema, value, &scope.schemas.values)
    {
        let message = format!("the constant is not a value that `{name}` may have");
        let fault = Diagnostic::error("config-wrong-constant", message).at(written.value.span, expected);
        faults.push(match fields.get("expose-as") {
            Some(entry) => fault.related(entry.value.span, "users may give this instead"),
            None => fault,
        });
    }
    Some(Argument { span: entry.key, source, doc: fields.text("doc", faults), exposed })
}

fn source(
    key: &str,
    node: &Node,
    operation: Option<&Operation>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<ArgumentSource> {
    if key == "const" {
        warn_of_variables(node, faults);
        return Some(ArgumentSource::Const(node.to_json()));
    }
    let name = text(node, key, faults)?;
    match key {
        "from-param" => {
            check_parameter(name, node.span, operation, faults);
            Some(ArgumentSource::Param(name.to_owned()))
        }
        "from-secrets" => Some(ArgumentSource::Secret(name.to_owned())),
        "from-site" => {
            check_property("the site", name, scope.own_class, node.span, faults);
            Some(ArgumentSource::Site(name.to_owned()))
        }
        _ => {
            let Some((provider, property)) = name.split_once('.') else {
                faults.push(
                    Diagnostic::error("config-wrong-value", "`from-provider` names a provider and its property")
                        .at(node.span, "expected `provider.property`"),
                );
                return None;
            };
            let known = scope.providers.get(provider);
            if known.is_none() {
                let fault =
                    Diagnostic::error("config-unknown-provider", format!("the site has no provider `{provider}`"))
                        .at(node.span, "expected `provider.property`");
                faults.push(match meant(provider, scope.providers.keys().copied(), faults) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None if scope.providers.is_empty() => {
                        fault.help("the site has none; declare it under the site's `providers`")
                    }
                    None => fault.help(format!("its providers: {}", listed(scope.providers.keys().copied()))),
                });
            }
            let own_class = known.is_none_or(|own_class| *own_class);
            let what = format!("the provider `{provider}`");
            check_property(&what, property, own_class, node.span, faults);
            Some(ArgumentSource::Provider(provider.to_owned(), property.to_owned()))
        }
    }
}

/// Warns of what looks like a variable of the environment, which nobody replaces.
fn warn_of_variables(node: &Node, faults: &mut Faults) {
    match &node.data {
        Data::Text(text) => {
            let variable = text.split("${").skip(1).find_map(|rest| rest.split_once('}')).map(|(name, _)| name);
            if let Some(name) = variable.filter(|name| is_identifier(name)) {
                faults.push(
                    Diagnostic::warning(
                        "config-variable",
                        format!("`${{{name}}}` stands as it is: dfm replaces no variables"),
                    )
                    .at(node.span, "the adapter gets this text")
                    .help(format!(
                        "read the environment in the adapter, or take it from the site's vault: `from-secrets: {name}`"
                    )),
                );
            }
        }
        Data::List(items) => items.iter().for_each(|item| warn_of_variables(item, faults)),
        Data::Map(entries) => entries.values().for_each(|entry| warn_of_variables(&entry.value, faults)),
        _ => {}
    }
}

/// Whether an object can have a property: one without a class of its own has those of dfm's.
fn check_property(what: &str, name: &str, own_class: bool, span: Span, faults: &mut Faults) {
    if !is_identifier(name) {
        faults.push(invalid_name(name, "a property", span, "expected a Python identifier"));
    } else if !own_class && !PROPERTIES.contains(&name) {
        let known = PROPERTIES.iter().copied();
        let fault = Diagnostic::error("config-unknown-property", format!("{what} has no property `{name}`"))
            .at(span, "without an `impl` it is an object of dfm's own class");
        faults.push(fault.help(match nearest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}; a class that has more can be named by `impl`", listed(known)),
        }));
    }
}

fn check_parameter(name: &str, span: Span, operation: Option<&Operation>, faults: &mut Faults) {
    if let Some(operation) = operation.filter(|operation| !operation.parameters.contains_key(name)) {
        let fault = no_parameter(name, span, operation.parameters.keys().map(String::as_str), faults);
        faults.push(fault.related(operation.span, "the operation"));
    }
}

/// The parameter that `expose-as` adds; under the name of one of the operation's it takes its place, and what users do
/// not give comes from the argument's source.
fn exposed(
    entry: &Entry,
    operation: Option<&Operation>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<(String, Parameter)> {
    let declared = |name: &Node| {
        let declared = operation?.parameters.get(name.text()?)?;
        Some(Parameter { span: name.span, required: false, default: None, ..declared.clone() })
    };
    let (name, parameter) = match &entry.value.data {
        Data::Text(_) => (&entry.value, declared(&entry.value).unwrap_or_else(|| anything(entry.value.span))),
        Data::Map(entries) => {
            let fields = Fields::of(&EXPOSED, &entry.value, entry.key, faults)?;
            let name = &fields.need("param", faults)?.value;
            let schema: Entries = entries
                .iter()
                .filter(|(key, _)| *key != "param")
                .map(|(key, entry)| (key.clone(), entry.clone()))
                .collect();
            let mut parameter = typed_parameter(&fields, &schema, name.span, scope.schemas, faults);
            if fields.get("type").is_none() {
                parameter.of = declared(name).unwrap_or_else(|| anything(name.span)).of;
            }
            (name, parameter)
        }
        _ => {
            faults.push(wrong_type(&entry.value, "`expose-as`", "a name, or a dictionary with `param`"));
            return None;
        }
    };
    let text = text(name, "param", faults)?;
    if !is_identifier(text) {
        faults.push(invalid_name(text, "a parameter", name.span, "it becomes a Python argument"));
    }
    Some((text.to_owned(), parameter))
}

/// An optional parameter that may be any object.
fn anything(span: Span) -> Parameter {
    Parameter {
        span,
        description: String::new(),
        of: Type::Schema(serde_json::json!({"type": "object"})),
        required: false,
        default: None,
        accepts: Accepts { literal: true, node: true, place: true, advise: true },
    }
}

/// Exposed parameters must not clash with each other.
fn check_exposed(arguments: &IndexMap<String, Argument>, faults: &mut Faults) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for (name, parameter) in arguments.values().filter_map(|argument| argument.exposed.as_ref()) {
        if let Some(first) = seen.get(name.as_str()) {
            faults.push(
                Diagnostic::error("config-name-clash", format!("there is a parameter `{name}` already"))
                    .at(parameter.span, "expected another name")
                    .related(*first, "the first one"),
            );
        }
        seen.entry(name).or_insert(parameter.span);
    }
}

/// What users must give should reach the adapter.
fn check_used<'a>(
    name: &str,
    arguments: &'a IndexMap<String, Argument>,
    operation: &Operation,
    span: Span,
    faults: &mut Faults,
) {
    let source = |argument: &'a Argument| match (&argument.source, &argument.exposed) {
        (ArgumentSource::Param(name), _) | (_, Some((name, _))) => Some(name.as_str()),
        _ => None,
    };
    let used: HashSet<&str> = arguments.values().filter_map(source).collect();
    for (parameter, _) in operation.parameters.iter().filter(|(_, parameter)| parameter.required) {
        if used.contains(parameter.as_str()) {
            continue;
        }
        faults.push(
            Diagnostic::warning(
                "config-unused-parameter",
                format!("`{name}` requires `{parameter}`, but this adapter never gets it"),
            )
            .at(span, format!("no argument is from `{parameter}`"))
            .help(format!("add the argument that takes it, as in `{parameter}: {{from-param: {parameter}}}`")),
        );
    }
}
