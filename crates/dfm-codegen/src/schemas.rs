//! Which classes do the federation's schemas become?

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::layout::{Expr, assignment, class_header, docstring, field};
use crate::names::{self, Imports};
use crate::types::{Types, default_literal};
use dfm_config::Type;

/// The schema that a reference leads to.
pub fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/schemas/")
}

/// Whether a schema becomes a model; the others become names of types.
pub fn is_model(schema: &Value) -> bool {
    schema.get("properties").is_some_and(Value::is_object)
}

/// The schemas, with each object that is described inside another schema under a name of its own, before that schema:
/// the outer one's name and the way in.
pub fn flattened(schemas: &IndexMap<String, Value>) -> IndexMap<String, Value> {
    let mut out = IndexMap::new();
    for (name, schema) in schemas {
        let mut schema = schema.clone();
        for (way, inner) in parts(&mut schema) {
            name_objects(inner, format!("{name}{way}"), schemas, &mut out);
        }
        out.insert(name.clone(), schema);
    }
    out
}

fn name_objects(
    schema: &mut Value,
    mut name: String,
    declared: &IndexMap<String, Value>,
    out: &mut IndexMap<String, Value>,
) {
    for (way, inner) in parts(schema) {
        name_objects(inner, format!("{name}{way}"), declared, out);
    }
    if is_model(schema) {
        while declared.contains_key(&name) || out.contains_key(&name) {
            name.push('_');
        }
        let reference = json!({ "$ref": format!("#/schemas/{name}") });
        out.insert(name, std::mem::replace(schema, reference));
    }
}

/// The schemas directly inside a schema.
fn parts(schema: &mut Value) -> Vec<(String, &mut Value)> {
    let Value::Object(keys) = schema else { return Vec::new() };
    let mut out = Vec::new();
    for (key, value) in keys {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                out.extend(properties.iter_mut().map(|(name, of)| (capitalized(name), of)));
            }
            ("items", items @ Value::Object(_)) => out.push(("Item".to_owned(), items)),
            ("additionalProperties", values @ Value::Object(_)) => out.push(("Value".to_owned(), values)),
            ("anyOf" | "oneOf" | "allOf", Value::Array(choices)) => {
                out.extend(choices.iter_mut().enumerate().map(|(place, of)| (format!("{}", place + 1), of)));
            }
            _ => {}
        }
    }
    out
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Flattened schema → the name of its class, or of its type. A field of that name would hide it.
pub fn classes(schemas: &IndexMap<String, Value>) -> HashMap<&str, String> {
    names::identifiers(schemas.keys().map(String::as_str), all_fields(schemas))
}

/// The module of the flattened `schemas`, without its head: what it imports, and its text.
pub fn module(package: &str, schemas: &IndexMap<String, Value>, classes: &HashMap<&str, String>) -> (Imports, String) {
    let (models, mut aliases): (Vec<_>, Vec<_>) = schemas.iter().partition(|(_, schema)| is_model(schema));
    let imports = Imports::new(package, classes.values().cloned().chain(all_fields(schemas)));
    let mut types = Types::new(imports, classes, None);
    let mut out = String::new();
    for (name, schema) in models {
        out += &format!("\n\n{}", model(&classes[name.as_str()], schema, &mut types));
    }
    // A name of a type is looked up at once, so those that it is made of come first; one that is made of itself takes
    // anything there.
    out += if aliases.is_empty() { "" } else { "\n" };
    while !aliases.is_empty() {
        let waits = |(_, schema): &(&String, &Value)| aliases.iter().any(|(other, _)| refers_to(schema, other));
        let (name, schema) = aliases.remove(aliases.iter().position(|alias| !waits(alias)).unwrap_or_default());
        let mut schema = schema.clone();
        aliases.iter().map(|(other, _)| *other).chain([name]).for_each(|other| forget(&mut schema, other));
        out += &format!("\n{}", assignment(&classes[name.as_str()], &types.schema(&schema)));
        if let Some(description) = schema["description"].as_str() {
            out += &docstring(0, description);
        }
    }
    (types.imports, out)
}

fn all_fields(schemas: &IndexMap<String, Value>) -> impl Iterator<Item = String> {
    schemas.values().flat_map(|schema| model_fields(schema).into_values())
}

fn model_fields(schema: &Value) -> HashMap<&str, String> {
    names::fields(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()), false)
}

fn model(class: &str, schema: &Value, types: &mut Types<'_>) -> String {
    let names = model_fields(schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let open = schema.get("additionalProperties").is_some_and(|extra| *extra != json!(false));
    let mut arguments = vec![
        types.symbol("pydantic", "BaseModel"),
        Expr::atom("frozen=True"),
        Expr::atom(if open { r#"extra="allow""# } else { r#"extra="forbid""# }),
    ];
    if names.iter().any(|(name, python)| name != python) {
        arguments.extend([Expr::atom("validate_by_name=True"), Expr::atom("validate_by_alias=True")]);
    }
    let mut body = docstring(4, schema["description"].as_str().unwrap_or_default());
    for (place, (name, of)) in schema["properties"].as_object().into_iter().flatten().enumerate() {
        if place == 0 && !body.is_empty() {
            body.push('\n');
        }
        let mut annotation = types.schema(of);
        let default = of.get("default").and_then(|default| default_literal(&Type::Schema(of.clone()), default));
        let mut default = default.map(Expr::Atom);
        if default.is_none() && !required.contains(&name.as_str()) {
            annotation = Expr::union([annotation, Expr::atom("None")]);
            default = Some(Expr::atom("None"));
        }
        let python = &names[name.as_str()];
        if name != python {
            default = Some(types.renamed(name, &["validation_alias", "serialization_alias"], default));
        }
        body += &field(4, python, &annotation, default.as_ref());
        body += &docstring(4, of["description"].as_str().unwrap_or_default());
    }
    if body.is_empty() {
        body = "    pass\n".to_owned();
    }
    format!("{}{body}", class_header(class, arguments))
}

fn refers_to(schema: &Value, name: &str) -> bool {
    referred(schema) == Some(name)
        || match schema {
            Value::Object(keys) => keys.values().any(|value| refers_to(value, name)),
            Value::Array(values) => values.iter().any(|value| refers_to(value, name)),
            _ => false,
        }
}

/// Replaces references to `name` by the schema of anything.
fn forget(schema: &mut Value, name: &str) {
    if referred(schema) == Some(name) {
        *schema = json!({});
        return;
    }
    match schema {
        Value::Object(keys) => keys.values_mut().for_each(|value| forget(value, name)),
        Value::Array(values) => values.iter_mut().for_each(|value| forget(value, name)),
        _ => {}
    }
}
