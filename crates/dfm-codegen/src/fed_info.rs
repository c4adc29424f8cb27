//! What may everybody know about a federation, the planner included?

use std::collections::HashMap;

use dfm_config::{Binding, Federation, Operation, Site, Type};
use serde_json::{Map, Value, json};

use crate::operations::{bindings, taken_by};
use crate::schemas::{has_value, is_model, referred};

/// The content of `fed_info.json`.
pub fn fed_info(federation: &Federation) -> Value {
    let mut bound: HashMap<&str, Vec<&Binding>> = HashMap::new();
    for (_, operation, binding) in federation.sites.values().flat_map(bindings) {
        bound.entry(operation).or_default().push(binding);
    }
    let bound = |name: &str| bound.get(name).map_or(&[][..], Vec::as_slice);
    let operations: Map<String, Value> =
        federation.operations.iter().map(|(name, of)| (name.clone(), operation(of, bound(name)))).collect();
    let sites: Map<String, Value> =
        federation.sites.iter().map(|(name, of)| (name.clone(), site(federation, of))).collect();
    let mut content = json!({
        "format": 1,
        "code_package": federation.info.code_package,
        "api_version": federation.info.api_version,
        "description": federation.info.description,
    });
    // `json!` would copy what is made already, which is most of it.
    for (key, made) in [("operations", operations), ("schemas", schemas(federation)), ("sites", sites)] {
        content[key] = Value::Object(made);
    }
    content
}

/// A type in one word: a JSON Schema's type, a schema of the federation, or a class's dotted path.
pub fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Class(path) => Some(path.clone()),
        Type::Schema(schema) => referred(schema).or_else(|| schema["type"].as_str()).map(str::to_owned),
    }
}

/// `bindings`: what the sites have for it. A type is said where all of them have the same.
fn operation(of: &Operation, bindings: &[&Binding]) -> Value {
    let parameters: Map<String, Value> = of
        .parameters
        .iter()
        .map(|(name, parameter)| {
            let mut facts = json!({ "required": parameter.required });
            let mut taken =
                bindings.iter().flat_map(|binding| taken_by(of, binding)).filter(|(other, _)| other == name);
            if let Some(kind) = type_name(&parameter.of)
                && taken.all(|(_, there)| type_name(&there.of).as_deref() == Some(&*kind))
            {
                facts["type"] = kind.into();
            }
            (name.clone(), facts)
        })
        .collect();
    let returns = of.returns.as_ref().and_then(type_name);
    let mut others = bindings.iter().filter_map(|binding| binding.returns.as_ref());
    let agreed = others.all(|other| type_name(other) == returns);
    let mut facts = json!({
        "description": of.description,
        "returns": returns.filter(|_| agreed),
        "parameters": parameters,
    });
    if let Some(reduce) = of.reduce {
        facts["reduce"] = json!(reduce);
    }
    facts
}

/// Schema that becomes a model → its fields that always have a value, with their types' names.
fn schemas(federation: &Federation) -> Map<String, Value> {
    let models = federation.schemas.iter().filter(|(_, schema)| is_model(schema));
    let fields = |schema: &Value| {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let kept = properties.filter(|(name, _)| has_value(schema, name));
        kept.filter_map(|(name, of)| Some((name.clone(), type_name(&Type::Schema(of.clone()))?.into()))).collect()
    };
    models.map(|(name, schema)| (name.clone(), Value::Object(fields(schema)))).collect()
}

fn site(federation: &Federation, of: &Site) -> Value {
    let offers: Vec<Value> = bindings(of)
        .map(|(provider, operation, binding)| {
            let declared = federation.operations.get(operation);
            let taken: Vec<_> = declared.into_iter().flat_map(|declared| taken_by(declared, binding)).collect();
            let parameters: Vec<&str> = taken.iter().map(|(name, _)| *name).collect();
            let required: Vec<&str> = taken.iter().filter(|(_, of)| of.required).map(|(name, _)| *name).collect();
            json!({
                "operation": operation,
                "provider": provider,
                "parameters": parameters,
                "required": required,
                "compute_cost": binding.compute_cost,
            })
        })
        .collect();
    let mut content = json!({ "description": of.info.get("description").and_then(Value::as_str).unwrap_or_default() });
    content["offers"] = Value::Array(offers);
    content["send_cost"] = json!(of.send_cost);
    content
}
