//! What types does the configuration name, and are they types at all?

use std::rc::Rc;

use dfm_diag::{Diagnostic, Span, nearest};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::Type;
use crate::fields::{Faults, Fields, listed, wrong_type};
use crate::format::Form;
use crate::names::{invalid_name, is_class_path};
use crate::schema_form::Forms;
use crate::schema_unchecked::Unchecked;
use crate::tree::{Data, Entries, Entry, Node};

/// The types of JSON Schema.
pub const TYPES: &[&str] = &["string", "integer", "number", "boolean", "object", "array", "null"];

/// What people write for them in Python.
const PYTHON_TYPES: &[(&str, &str)] = &[
    ("str", "string"),
    ("int", "integer"),
    ("float", "number"),
    ("bool", "boolean"),
    ("dict", "object"),
    ("any", "object"),
    ("list", "array"),
    ("tuple", "array"),
    ("none", "null"),
];

/// The federation's schemas.
#[derive(Default)]
pub struct Schemas {
    /// As they are used: in one form, without places.
    pub values: IndexMap<String, Value>,
    written: Entries,
    formed: IndexMap<String, Rc<Node>>,
    own_file: u32,
}

impl Schemas {
    fn forms(&self) -> Forms<'_> {
        Forms { schemas: &self.written, own_file: self.own_file }
    }

    /// A parameter's own schema in that form; what it leaves unchecked is told.
    pub fn in_parameter(&self, entries: Entries, span: Span, faults: &mut Faults) -> Value {
        let node = self.forms().of(&Rc::new(Node::new(span, Data::Map(entries))));
        Unchecked { formed: &self.formed, own_file: self.own_file, in_parameter: true, faults }.tell(&node);
        node.to_json()
    }
}

/// Decodes `schemas`, of a configuration whose own file has this number.
pub fn schemas(fields: &Fields<'_>, own_file: u32, faults: &mut Faults) -> Schemas {
    let mut schemas = Schemas { own_file, ..Schemas::default() };
    let named: Vec<_> = fields.named("schemas", faults).collect();
    for (name, entry) in named {
        if !Form::DottedName.fits(name) {
            faults.push(invalid_name(name, "a schema", entry.key, "it becomes a Python class"));
        }
        check(&entry.value, "a schema", faults);
        schemas.written.insert(name.clone(), entry.clone());
    }
    let forms = schemas.forms();
    let formed = schemas.written.iter().map(|(name, entry)| (name.clone(), forms.of(&entry.value))).collect();
    schemas.formed = formed;
    for (name, node) in &schemas.formed {
        Unchecked { formed: &schemas.formed, own_file, in_parameter: false, faults }.tell(node);
        schemas.values.insert(name.clone(), node.to_json());
    }
    schemas
}

/// A type written as a single name, or as a schema.
pub fn named_type(node: &Node, key: &str, faults: &mut Faults) -> Option<Type> {
    match &node.data {
        Data::Text(name) if name.contains('.') => {
            class_path(name, key, node.span, faults);
            Some(Type::Class(name.clone()))
        }
        Data::Text(name) => {
            check_name(name, key, node.span, faults);
            Some(Type::Schema(json!({"type": name})))
        }
        Data::Map(_) => {
            check(node, key, faults);
            Some(Type::Schema(node.to_json()))
        }
        _ => {
            faults.push(wrong_type(node, &format!("`{key}`"), "the name of a type"));
            None
        }
    }
}

/// Complains about what is not a dotted path of a class.
pub fn class_path(path: &str, key: &str, span: Span, faults: &mut Faults) {
    if !is_class_path(path) {
        faults.push(
            Diagnostic::error("config-wrong-value", format!("`{key}` cannot be `{path}`"))
                .at(span, "expected the dotted path of a Python class")
                .help("write its module and its name, as in `package.module.Class`"),
        );
    }
}

/// Complains about what is no schema, as far as its form shows.
pub fn check(node: &Node, what: &str, faults: &mut Faults) {
    match &node.data {
        Data::Map(entries) => check_entries(entries, faults),
        Data::Bool(_) | Data::Unknown => {}
        _ => faults.push(wrong_type(node, what, "a JSON Schema, which is a dictionary")),
    }
}

/// The same for the entries of a schema.
pub fn check_entries(entries: &Entries, faults: &mut Faults) {
    for (key, entry) in entries {
        let node = &entry.value;
        check_keyword(key, entry, faults);
        match (key.as_str(), &node.data) {
            ("type", Data::Text(name)) if !name.contains('.') => check_name(name, key, node.span, faults),
            ("type", Data::Text(path)) => class_path(path, key, node.span, faults),
            ("type", Data::List(names)) => {
                for name in names {
                    match name.text() {
                        Some(path) if path.contains('.') => class_path(path, key, name.span, faults),
                        Some(text) => check_name(text, key, name.span, faults),
                        None => faults.push(wrong_type(name, "`type`", "the name of a type")),
                    }
                }
            }
            ("type", _) => faults.push(wrong_type(node, "`type`", "the name of a type")),
            ("enum", data) if !matches!(data, Data::List(_)) => {
                faults.push(wrong_type(node, "`enum`", "a list of values"));
            }
            ("properties", Data::Map(properties)) => {
                properties.values().for_each(|entry| check(&entry.value, "a property", faults));
            }
            ("properties", data) if !matches!(data, Data::Null) => {
                faults.push(wrong_type(node, "`properties`", "a dictionary"));
            }
            ("items" | "additionalProperties", Data::Map(_)) => check(node, &format!("`{key}`"), faults),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Data::List(schemas)) => {
                schemas.iter().for_each(|schema| check(schema, "a schema", faults));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", data) if !matches!(data, Data::Unknown) => {
                faults.push(wrong_type(node, &format!("`{key}`"), "a list of schemas"));
            }
            _ => {}
        }
    }
}

/// The same for what a keyword says by itself.
fn check_keyword(key: &str, entry: &Entry, faults: &mut Faults) {
    let node = &entry.value;
    let number = match &node.data {
        Data::Number(number) => number.as_f64(),
        _ => None,
    };
    let wrong = |wanted: &str| wrong_type(node, &format!("`{key}`"), wanted);
    match (key, &node.data) {
        (_, Data::Unknown) => {}
        ("exclusiveMinimum" | "exclusiveMaximum", Data::Bool(_)) => {}
        ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf", _) if number.is_none() => {
            faults.push(wrong("a number"));
        }
        ("multipleOf", _) if number.is_some_and(|number| number <= 0.0) => faults.push(
            Diagnostic::error("config-wrong-value", "`multipleOf` must be above 0")
                .at(node.span, "nothing is a multiple of it"),
        ),
        ("minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties", _) => match number {
            None => faults.push(wrong("a number")),
            Some(number) if number < 0.0 || number.fract() != 0.0 || number >= COUNTED => faults.push(
                Diagnostic::error("config-wrong-value", format!("`{key}` counts, so it must be a whole number"))
                    .at(node.span, "expected a whole number of at least 0"),
            ),
            Some(_) => {}
        },
        ("pattern" | "format", _) if node.text().is_none() => faults.push(wrong("a text")),
        ("type" | "enum" | "anyOf" | "oneOf" | "allOf", Data::List(parts)) if parts.is_empty() => faults.push(
            Diagnostic::error("config-wrong-value", format!("`{key}` must list something"))
                .at(node.span, "with none of these no value fits"),
        ),
        ("required", Data::List(names)) => {
            names.iter().filter(|name| name.text().is_none()).for_each(|name| {
                faults.push(wrong_type(name, "what `required` lists", "the name of a property"));
            });
        }
        _ => {}
    }
}

/// More than anybody counts to, and than all of Python's numbers of that kind hold.
const COUNTED: f64 = 4_294_967_296.0;

fn check_name(name: &str, key: &str, span: Span, faults: &mut Faults) {
    if TYPES.contains(&name) {
        return;
    }
    let folded = name.to_ascii_lowercase();
    let python = PYTHON_TYPES.iter().find(|(word, _)| *word == folded).map(|(_, json)| *json);
    let fault = Diagnostic::error("config-unknown-type", format!("`{key}` names no type: `{name}`"))
        .at(span, "expected a type of JSON Schema, or the dotted path of a class");
    if name.contains("#/") {
        faults.push(fault.help(format!("what is elsewhere is referred to: `{key}: {{$ref: \"{name}\"}}`")));
        return;
    }
    faults.push(match python.or_else(|| nearest(name, TYPES.iter().copied())) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("the types of JSON Schema: {}", listed(TYPES.iter().copied()))),
    });
}

/// Whether a value may be of the type of this name.
pub fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        // `object` is any Python object.
        _ => true,
    }
}
