//! Which classes do the federation's schemas become?

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::layout::{Expr, assignment, class_header, docstring, field};
use crate::literals::string;
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
            ("anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(choices)) => {
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
    names::classes(schemas.keys().map(String::as_str), all_fields(schemas))
}

/// The module of the flattened `schemas`, without its head: what it imports, and its text.
///
/// A type that is made of itself is told from a class by `TypeAliasType`, which knows its own name.
pub fn module(package: &str, schemas: &IndexMap<String, Value>, classes: &HashMap<&str, String>) -> (Imports, String) {
    let (models, mut aliases): (Vec<_>, Vec<_>) = schemas.iter().partition(|(_, schema)| is_model(schema));
    let imports = Imports::new(package, classes.values().cloned().chain(all_fields(schemas)));
    let mut types = Types::new(imports, classes, None);
    let classes_inside = schemas.values().any(names_classes);
    let mut out = String::new();
    for (name, schema) in models {
        out += &format!("\n\n{}", model(&classes[name.as_str()], schema, classes_inside, &mut types));
    }
    // A name of a type is looked up at once, so those that it is made of come first.
    out += if aliases.is_empty() { "" } else { "\n" };
    while !aliases.is_empty() {
        let waits = |(_, schema): &(&String, &Value)| aliases.iter().any(|(other, _)| refers_to(schema, other));
        let next = aliases.iter().position(|alias| !waits(alias));
        let (name, schema) = aliases.remove(next.unwrap_or_default());
        let class = &classes[name.as_str()];
        let of = types.schema(schema);
        let value = match next {
            Some(_) => of,
            None => {
                let text = [class.clone(), of.to_string()].map(|text| Expr::Atom(string(&text)));
                Expr::Call(types.imports.name("typing_extensions", "TypeAliasType"), text.to_vec())
            }
        };
        out += &format!("\n{}", assignment(class, &value));
        if let Some(description) = schema["description"].as_str() {
            out += &docstring(0, description);
        }
    }
    (types.imports, out)
}

fn all_fields(schemas: &IndexMap<String, Value>) -> impl Iterator<Item = String> {
    schemas.values().flat_map(|schema| model_fields(schema).into_values())
}

/// Whether a model's field is never `None` for that it was not given.
pub fn has_value(model: &Value, property: &str) -> bool {
    let required = || model["required"].as_array().into_iter().flatten();
    model["properties"][property].get("default").is_some() || required().any(|name| name == property)
}

/// A model's properties → its fields.
pub fn model_fields(schema: &Value) -> HashMap<&str, String> {
    names::fields(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()), false)
}

fn model(class: &str, schema: &Value, classes_inside: bool, types: &mut Types<'_>) -> String {
    let names = model_fields(schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let others = schema.get("additionalProperties").unwrap_or(&Value::Bool(false));
    let open = *others != Value::Bool(false);
    let mut arguments = vec![
        types.symbol("pydantic", "BaseModel"),
        Expr::atom("frozen=True"),
        Expr::atom(if open { r#"extra="allow""# } else { r#"extra="forbid""# }),
    ];
    if classes_inside {
        arguments.push(Expr::atom("arbitrary_types_allowed=True"));
    }
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
        let mut default = default.filter(|_| !required.contains(&name.as_str())).map(Expr::Atom);
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
    if others.as_object().is_some_and(|keys| !keys.is_empty()) {
        let value = types.schema(others);
        let key = types.symbol("builtins", "str");
        let extra = Expr::Subscript(types.imports.name("builtins", "dict"), vec![key, value]);
        let unset = Expr::Call(types.imports.name("pydantic", "Field"), vec![Expr::atom("init=False")]);
        body += &field(4, "__pydantic_extra__", &extra, Some(&unset));
    }
    if body.is_empty() {
        body = "    pass\n".to_owned();
    }
    format!("{}{body}", class_header(class, arguments))
}

/// Whether anything in a schema is of a class of Python's, which pydantic takes only when it is told to.
fn names_classes(schema: &Value) -> bool {
    match schema {
        Value::Object(keys) => {
            let of = keys.get("type");
            let names = of.and_then(Value::as_array).map_or(of.map(std::slice::from_ref), |names| Some(names));
            names.into_iter().flatten().any(|name| name.as_str().is_some_and(|name| name.contains('.')))
                || keys.values().any(names_classes)
        }
        Value::Array(values) => values.iter().any(names_classes),
        _ => false,
    }
}

fn refers_to(schema: &Value, name: &str) -> bool {
    referred(schema) == Some(name)
        || match schema {
            Value::Object(keys) => keys.values().any(|value| refers_to(value, name)),
            Value::Array(values) => values.iter().any(|value| refers_to(value, name)),
            _ => false,
        }
}
