//! What may everybody know about a federation, the planner included?

use dfm_config::{Federation, Operation, Site, Type};
use serde_json::{Map, Value, json};

use crate::operations::{bindings, taken_by};
use crate::schemas::referred;

/// The content of `fed_info.json`.
pub fn fed_info(federation: &Federation) -> Value {
    let operations: Map<String, Value> =
        federation.operations.iter().map(|(name, of)| (name.clone(), operation(of))).collect();
    let sites: Map<String, Value> =
        federation.sites.iter().map(|(name, of)| (name.clone(), site(federation, of))).collect();
    json!({
        "format": 1,
        "code_package": federation.info.code_package,
        "api_version": federation.info.api_version,
        "description": federation.info.description,
        "operations": operations,
        "sites": sites,
    })
}

/// A type in one word: a JSON Schema's type, a schema of the federation, or a class's dotted path.
pub fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Class(path) => Some(path.clone()),
        Type::Schema(schema) => referred(schema).or_else(|| schema["type"].as_str()).map(str::to_owned),
    }
}

fn operation(of: &Operation) -> Value {
    let parameters: Map<String, Value> = of
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), json!({ "required": parameter.required })))
        .collect();
    json!({
        "description": of.description,
        "returns": of.returns.as_ref().and_then(type_name),
        "parameters": parameters,
    })
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
    json!({
        "description": of.info.get("description").and_then(Value::as_str).unwrap_or_default(),
        "offers": offers,
        "send_cost": of.send_cost,
    })
}
