//! What operations does a configuration declare?

use std::collections::HashSet;

use dfm_diag::{Diagnostic, Severity, Span, nearest};
use indexmap::IndexMap;
use serde_json::Value;

use crate::decode_disclosure::disclosure;
use crate::decode_schema::{Schemas, check_entries, named_type};
use crate::fields::{Faults, Fields, listed, meant, text, wrong_type};
use crate::format::{OPERATION, PARAMETER, REDUCE};
use crate::names::{advice, invalid_name, is_identifier, is_name};
use crate::tree::{Data, Entries, Entry};
use crate::value::misfit;
use crate::{Accepts, Operation, Parameter, Reduce, Type};

/// What else dfm reads in a parameter, for recognising slips.
const KEYWORDS: &[&str] = &[
    "accepts-literal-input",
    "accepts-node-input",
    "accepts-place-input",
    "discoverable",
    "type",
    "description",
    "default",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "items",
    "prefixItems",
    "properties",
    "required",
    "additionalProperties",
    "format",
    "title",
    "example",
    "examples",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "$ref",
    "nullable",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contains",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "$defs",
    "definitions",
    "$comment",
    "$id",
    "$schema",
];

/// Decodes `operations`: every name that is declared, with the operation where it is free of faults.
pub fn operations(fields: &Fields<'_>, schemas: &Schemas, faults: &mut Faults) -> IndexMap<String, Option<Operation>> {
    let named: Vec<_> = fields.named("operations", faults).collect();
    named.into_iter().map(|(name, entry)| (name.clone(), operation(name, entry, schemas, faults))).collect()
}

fn operation(name: &str, entry: &Entry, schemas: &Schemas, faults: &mut Faults) -> Option<Operation> {
    let before = faults.len();
    check_name(name, entry.key, faults);
    let fields = Fields::of(&OPERATION, &entry.value, entry.key, faults)?;
    for (key, other) in entry.value.map().into_iter().flatten() {
        if OPERATION.key(key).is_some() {
            continue;
        }
        if let Some(near) = nearest(key, OPERATION.names()) {
            faults.push(
                Diagnostic::warning("config-unused-key", format!("an operation has no key `{key}`"))
                    .at(other.key, "this has no effect")
                    .help(format!("did you mean `{near}`?")),
            );
        }
    }
    if let Some(kind) = fields.get("type")
        && kind.value.text() != Some("object")
    {
        faults.push(
            Diagnostic::error("config-wrong-value", "an operation's `type` can only be `object`")
                .at(kind.value.span, "expected `object`")
                .help("leave it out; what the operation gives back is named by `returns`"),
        );
    }
    if let (Some(parameters), Some(properties)) = (fields.get("parameters"), fields.get("properties")) {
        faults.push(
            Diagnostic::error("config-duplicate-key", "`properties` is another word for `parameters`")
                .at(properties.key, "again here")
                .related(parameters.key, "first here")
                .help("write all of them under `parameters`"),
        );
    }
    let key = if fields.get("parameters").is_some() { "parameters" } else { "properties" };
    let declared: Vec<_> = fields.named(key, faults).collect();
    let required = required(&fields, &declared, faults);
    let mut parameters = IndexMap::new();
    for (name, entry) in declared {
        if !is_identifier(name) {
            faults.push(invalid_name(name, "a parameter", entry.key, "it becomes a Python argument"));
        }
        if let Some(mut parameter) = parameter(entry, schemas, faults) {
            parameter.required = required.contains(&name.as_str());
            parameters.insert(name.clone(), parameter);
        }
    }
    let description = fields.text("description", faults).unwrap_or_default();
    let returns = fields.get("returns").and_then(|entry| named_type(&entry.value, "returns", faults));
    let disclosure = fields.get("disclosure").and_then(|entry| disclosure(entry, faults));
    let reduce = fields.get("reduce").and_then(|entry| reduce(entry, parameters.len(), faults));
    let good = !faults[before..].iter().any(Diagnostic::is_error);
    good.then_some(Operation { span: entry.key, description, parameters, returns, disclosure, reduce })
}

/// `reduce` of an operation that has so many parameters.
fn reduce(entry: &Entry, parameters: usize, faults: &mut Faults) -> Option<Reduce> {
    let fields = Fields::of(&REDUCE, &entry.value, entry.key, faults)?;
    let associative = fields.need("associative", faults)?;
    if fields.flag("associative", faults) == Some(false) {
        faults.push(
            Diagnostic::error("config-wrong-value", "`associative` can only be `true`")
                .at(associative.value.span, "nothing could be put together before all of it is there")
                .help("leave `reduce` out"),
        );
    }
    if parameters != 1 {
        faults.push(
            Diagnostic::error(
                "config-wrong-value",
                format!("an operation with `reduce` has one parameter, and this one has {parameters}"),
            )
            .at(entry.key, "expected one parameter, for what it puts together")
            .help("what else it needs can be a constant in its bindings' `args`"),
        );
    }
    Some(Reduce { commutative: fields.flag("commutative", faults).unwrap_or(false) })
}

fn check_name(name: &str, span: Span, faults: &mut Faults) {
    let fault = Diagnostic::error("config-invalid-name", format!("`{name}` cannot be the name of an operation"));
    match name.split_once('.') {
        Some((namespace, own)) if is_name(namespace) && is_name(own) => {}
        Some((namespace, own)) if !own.contains('.') => {
            let bad = if is_name(namespace) { own } else { namespace };
            faults.push(fault.at(span, "both parts become Python names").help(advice(bad)));
        }
        _ => faults.push(
            fault
                .at(span, "expected `namespace.Name`")
                .help("the namespace becomes a Python module, the name a class in it"),
        ),
    }
}

fn required<'n>(fields: &Fields<'n>, declared: &[(&'n String, &'n Entry)], faults: &mut Faults) -> HashSet<&'n str> {
    let Some(entry) = fields.get("required") else { return HashSet::new() };
    let Data::List(items) = &entry.value.data else {
        faults.push(wrong_type(&entry.value, "`required`", "a list of parameters"));
        return HashSet::new();
    };
    let known: HashSet<&str> = declared.iter().map(|(parameter, _)| parameter.as_str()).collect();
    let mut required = HashSet::new();
    for item in items {
        let Some(name) = text(item, "required", faults) else { continue };
        if !known.contains(name) {
            let names = declared.iter().map(|(parameter, _)| parameter.as_str());
            let mut fault = no_parameter(name, item.span, names, faults);
            fault.severity = Severity::Warning;
            faults.push(fault);
        }
        required.insert(name);
    }
    required
}

/// That an operation has no such parameter.
pub fn no_parameter<'n>(
    name: &str,
    span: Span,
    parameters: impl Iterator<Item = &'n str> + Clone,
    faults: &Faults,
) -> Diagnostic {
    let fault = Diagnostic::error("config-unknown-parameter", format!("the operation has no parameter `{name}`"))
        .at(span, "unknown parameter");
    match meant(name, parameters.clone(), faults) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if parameters.clone().next().is_none() => {
            fault.help("it has no parameters; declare them under `parameters`")
        }
        None => fault.help(format!("its parameters: {}", listed(parameters))),
    }
}

fn parameter(entry: &Entry, schemas: &Schemas, faults: &mut Faults) -> Option<Parameter> {
    let fields = Fields::of(&PARAMETER, &entry.value, entry.key, faults)?;
    let empty = Entries::new();
    let entries = entry.value.map().unwrap_or(&empty);
    if let Some(required) = entries.get("required").filter(|required| matches!(required.value.data, Data::Bool(_))) {
        faults.push(
            Diagnostic::error("config-wrong-type", "a parameter cannot say that it is required")
                .at(required.key, "expected in the operation")
                .help("list the parameter's name in the operation's `required: […]`"),
        );
    }
    Some(typed_parameter(&fields, entries, entry.key, schemas, faults))
}

/// Decodes a parameter's schema and flags.
pub fn typed_parameter(
    fields: &Fields<'_>,
    entries: &Entries,
    span: Span,
    schemas: &Schemas,
    faults: &mut Faults,
) -> Parameter {
    for (key, other) in entries {
        let canonical = key.replace('_', "-");
        if KEYWORDS.contains(&key.as_str()) || PARAMETER.names().any(|own| own == canonical) {
            continue;
        }
        if let Some(near) = nearest(key, KEYWORDS.iter().copied()) {
            faults.push(
                Diagnostic::warning("config-unused-key", format!("a parameter has no key `{key}`"))
                    .at(other.key, "this has no effect")
                    .help(format!("did you mean `{near}`?")),
            );
        }
    }
    check_entries(entries, faults);
    let mut flag = |key| fields.flag(key, faults).unwrap_or(true);
    let accepts = Accepts {
        literal: flag("accepts-literal-input"),
        node: flag("accepts-node-input"),
        place: flag("accepts-place-input"),
        advise: flag("discoverable"),
    };
    let own = |key: &str| key == "required" || PARAMETER.names().any(|own| own == key.replace('_', "-"));
    let is_object = entries.get("type").is_some_and(|entry| entry.value.text() == Some("object"));
    let mut schema = entries.clone();
    schema.retain(|key, _| !own(key) || (is_object && key == "required"));
    let of = match schema.get("type").and_then(|entry| entry.value.text()) {
        Some(path) if path.contains('.') => Type::Class(path.to_owned()),
        _ => Type::Schema(schemas.in_parameter(schema, span, faults)),
    };
    let default = entries.get("default").map(|entry| (entry.value.to_json(), entry.value.span));
    if let Some((value, span)) = default.as_ref().filter(|(value, _)| !value.is_null()) {
        check_default(&of, value, *span, schemas, faults);
    }
    Parameter {
        span,
        description: fields.text("description", faults).unwrap_or_default(),
        of,
        required: false,
        default: default.map(|(value, _)| value),
        accepts,
    }
}

fn check_default(of: &Type, value: &Value, span: Span, schemas: &Schemas, faults: &mut Faults) {
    let Type::Schema(schema) = of else { return };
    if let Some(expected) = misfit(schema, value, &schemas.values) {
        faults.push(
            Diagnostic::error("config-wrong-default", "the default is not a value that the parameter may have")
                .at(span, expected),
        );
    }
}
