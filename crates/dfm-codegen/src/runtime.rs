//! What does a site know of itself, and how does an application at it open a session?

use std::collections::BTreeSet;

use dfm_config::{Argument, ArgumentSource, Binding, Class, Federation, Parameter, Site, Type};
use serde_json::{Map, Value, json};

use crate::HEAD;
use crate::layout::docstring;
use crate::literals::string;
use crate::operations::{bindings, taken_by};
use crate::schemas::{is_model, referred};

/// The module `fed/runtime/<site>/__init__.py`.
pub fn module(federation: &Federation, site: &str) -> String {
    let (version, package, site_name) =
        (string(&federation.info.api_version), string(&format!("{}.fed", federation.info.code_package)), string(site));
    let title = docstring(0, &format!("Sessions of applications that run at the site `{site}`."));
    let summary = docstring(4, &format!("A session, not connected yet, of an application at the site `{site}`."));
    format!(
        r#"{HEAD}{title}
import logging
from typing import Literal, Unpack

from dfm.session import Session, SessionOptions, open_session

API_VERSION = {version}


def get_session(
    target: Literal["flare", "local"] = "flare",
    logger: logging.Logger | None = None,
    **kwargs: Unpack[SessionOptions],
) -> Session:
{summary}    return open_session(
        fed_package={package},
        homesite={site_name},
        target=target,
        logger=logger,
        api_version=API_VERSION,
        options=kwargs,
    )
"#
    )
}

/// The content of `fed/runtime/<site>/site.json`. `classes`: schema → the dotted path of its model.
pub fn site_json(federation: &Federation, name: &str, site: &Site, classes: impl Fn(&str) -> Option<String>) -> Value {
    let providers: Map<String, Value> = site
        .providers
        .iter()
        .map(|(name, of)| (name.clone(), json!({ "info": of.info, "impl": of.implementation.as_ref().map(class) })))
        .collect();
    let bindings: Vec<Value> = bindings(site)
        .map(|(provider, operation, of)| binding(federation, provider, operation, of, &classes))
        .collect();
    let mut content = json!({
        "format": 1,
        "federation": federation.info.code_package,
        "api_version": federation.info.api_version,
        "packages": federation.value_packages,
        "site": name,
        "info": site.info,
        "impl": site.implementation.as_ref().map(class),
        "cache": site.cache,
        "vault": site.vault,
    });
    // `json!` would copy what is made already, which is most of it.
    content["providers"] = Value::Object(providers);
    content["bindings"] = Value::Array(bindings);
    if !site.pickle_from.is_empty() {
        content["pickle_from"] = json!(site.pickle_from);
    }
    if let Some(python) = &site.python {
        content["python"] = json!(python);
    }
    content
}

fn binding(
    federation: &Federation,
    provider: Option<&str>,
    operation: &str,
    of: &Binding,
    classes: &impl Fn(&str) -> Option<String>,
) -> Value {
    let declared = federation.operations.get(operation);
    let taken: Vec<_> = declared.into_iter().flat_map(|declared| taken_by(declared, of)).collect();
    let taken = || taken.iter().copied();
    let defaults: Map<String, Value> = declared
        .into_iter()
        .flat_map(|declared| &declared.parameters)
        .filter_map(|(name, of)| Some((name.clone(), of.default.clone()?)))
        .collect();
    let parameters: BTreeSet<&str> = taken().map(|(name, _)| name).collect();
    let required: BTreeSet<&str> = taken().filter(|(_, of)| of.required).map(|(name, _)| name).collect();
    let discoverable: BTreeSet<&str> = taken().filter(|(_, of)| of.accepts.advise).map(|(name, _)| name).collect();
    let models: Map<String, Value> = taken()
        .filter_map(|(name, parameter)| {
            let path = match &parameter.of {
                Type::Class(path) => path.clone(),
                Type::Schema(schema) => {
                    let name = referred(schema)?;
                    federation.schemas.get(name).filter(|schema| is_model(schema))?;
                    classes(name)?
                }
            };
            Some((name.to_owned(), Value::String(path)))
        })
        .collect();
    let arguments: Map<String, Value> = of.arguments.iter().map(|(name, of)| (name.clone(), argument(of))).collect();
    let types: Map<String, Value> = taken()
        .map(|(name, parameter)| (name.to_owned(), checked_parameter(federation, parameter, &classes)))
        .collect();
    let returns = declared.and_then(|operation| operation.returns.as_ref());
    let mut content = json!({
        "operation": operation,
        "provider": provider,
        "adapter": class(&of.adapter),
        "is_async": of.is_async,
        "max_concurrent": of.max_concurrent,
        "scope": of.lifetime,
        "state": of.state,
        "parameters": parameters,
        "required": required,
        "discoverable": discoverable,
    });
    for (key, made) in [("arguments", arguments), ("defaults", defaults), ("models", models), ("types", types)] {
        content[key] = Value::Object(made);
    }
    content["returns"] = returns.map_or(Value::Null, |of| checked(federation, of, &classes));
    if let Some(disclosure) = declared.and_then(|operation| operation.disclosure.as_ref()) {
        content["disclosure"] = json!(disclosure);
    }
    content
}

/// A parameter that has not to be given may be `None`, as in its generated class.
fn checked_parameter(
    federation: &Federation,
    parameter: &Parameter,
    classes: &impl Fn(&str) -> Option<String>,
) -> Value {
    let of = checked(federation, &parameter.of, classes);
    if parameter.required { of } else { json!({ "anyOf": [of, { "type": "null" }] }) }
}

/// A type as its site checks it: a JSON Schema in which `{"class": path}` stands for a Python class.
fn checked(federation: &Federation, of: &Type, classes: &impl Fn(&str) -> Option<String>) -> Value {
    match of {
        Type::Class(path) => json!({ "class": path }),
        Type::Schema(schema) => checked_schema(federation, schema, classes, 0),
    }
}

/// Schemas that are no models are written out, as deep as nobody writes them who does not mean them to contain
/// themselves; further inside, anything goes.
fn checked_schema(
    federation: &Federation,
    schema: &Value,
    classes: &impl Fn(&str) -> Option<String>,
    depth: usize,
) -> Value {
    const DEEPEST: usize = 8;
    let inner = |schema: &Value| checked_schema(federation, schema, classes, depth + 1);
    if depth > DEEPEST {
        return json!({});
    }
    if let Some(name) = referred(schema) {
        return match federation.schemas.get(name) {
            Some(schema) if is_model(schema) => classes(name).map_or(json!({}), |path| json!({ "class": path })),
            Some(schema) => inner(schema),
            None => json!({}),
        };
    }
    let Value::Object(keys) = schema else { return json!({}) };
    let keys = keys.iter().filter_map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(of)) => {
                Value::Array(of.iter().map(inner).collect())
            }
            ("items" | "additionalProperties", Value::Object(_)) => inner(value),
            ("properties", _) => json!({}),
            ("description" | "title" | "examples" | "default", _) => return None,
            _ => value.clone(),
        };
        Some((key.clone(), value))
    });
    Value::Object(keys.collect())
}

fn argument(of: &Argument) -> Value {
    let mut source = match &of.source {
        ArgumentSource::Param(name) => json!({ "param": name }),
        ArgumentSource::Secret(key) => json!({ "secret": key }),
        ArgumentSource::Const(value) => json!({ "const": value }),
        ArgumentSource::Provider(provider, property) => json!({ "provider": [provider, property] }),
        ArgumentSource::Site(property) => json!({ "site": property }),
    };
    if let Some((name, _)) = &of.exposed {
        source["exposed"] = json!(name);
    }
    source
}

fn class(of: &Class) -> Value {
    json!({ "path": of.path.value, "args": of.args })
}
