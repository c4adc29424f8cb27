//! Which Python type is a JSON Schema?

use std::collections::HashMap;

use dfm_config::Type;
use serde_json::{Map, Value};

use crate::layout::Expr;
use crate::literals::{literal, string};
use crate::names::Imports;
use crate::schemas::referred;

/// The types of one module.
pub struct Types<'a> {
    /// What the module imports for them.
    pub imports: Imports,
    /// Schema → its class.
    classes: &'a HashMap<&'a str, String>,
    /// The module of the schemas' classes; `None` in that module itself.
    schema_module: Option<String>,
}

impl<'a> Types<'a> {
    /// `classes`: each schema's class, in the module `schema_module` or, without one, in this one.
    pub fn new(imports: Imports, classes: &'a HashMap<&'a str, String>, schema_module: Option<String>) -> Self {
        Types { imports, classes, schema_module }
    }

    /// A symbol of a module.
    pub fn symbol(&mut self, module: &str, symbol: &str) -> Expr {
        Expr::atom(self.imports.name(module, symbol))
    }

    /// What a field is assigned whose Python name differs from the `name` that it has outside, under `aliases`.
    pub fn renamed(&mut self, name: &str, aliases: &[&str], default: Option<Expr>) -> Expr {
        let default = default.map(|default| Expr::Atom(format!("default={default}")));
        let aliases = aliases.iter().map(|alias| Expr::Atom(format!("{alias}={}", string(name))));
        Expr::Call(self.imports.name("pydantic", "Field"), default.into_iter().chain(aliases).collect())
    }

    /// The type that the configuration names.
    pub fn of(&mut self, of: &Type) -> Expr {
        match of {
            Type::Schema(schema) => self.schema(schema),
            Type::Class(path) => match path.rsplit_once('.') {
                Some((module, class)) => self.symbol(module, class),
                None => Expr::atom(path),
            },
        }
    }

    /// A JSON Schema's type. What Python's types cannot say is wider rather than wrong.
    pub fn schema(&mut self, schema: &Value) -> Expr {
        let Value::Object(keys) = schema else { return self.builtin("object") };
        if let Some(name) = referred(schema) {
            return match (self.classes.get(name), &self.schema_module) {
                (Some(class), Some(module)) => {
                    let (class, module) = (class.clone(), module.clone());
                    self.symbol(&module, &class)
                }
                (Some(class), None) => Expr::atom(class),
                (None, _) => self.builtin("object"),
            };
        }
        if let Some(value) = keys.get("const") {
            return self.one_of(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = keys.get("enum") {
            return self.one_of(values);
        }
        if let Some(Value::Array(choices)) = keys.get("anyOf").or_else(|| keys.get("oneOf")) {
            return Expr::union(choices.iter().map(|choice| self.schema(choice)).collect::<Vec<_>>());
        }
        if let Some(Value::Array(all)) = keys.get("allOf")
            && let [only] = &all[..]
        {
            return self.schema(only);
        }
        match keys.get("type") {
            Some(Value::String(name)) => self.named(name, keys),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                Expr::union(names.map(|name| self.named(name, keys)).collect::<Vec<_>>())
            }
            _ if keys.contains_key("properties") => self.named("object", keys),
            _ if keys.contains_key("items") => self.named("array", keys),
            _ => self.builtin("object"),
        }
    }

    fn named(&mut self, name: &str, keys: &Map<String, Value>) -> Expr {
        match name {
            "string" => match keys.get("format").and_then(Value::as_str) {
                Some("date") => self.symbol("datetime", "date"),
                Some("date-time") => self.symbol("datetime", "datetime"),
                _ => self.limited(
                    "str",
                    keys,
                    &[("minLength", "min_length"), ("maxLength", "max_length"), ("pattern", "pattern")],
                ),
            },
            "integer" => self.limited("int", keys, NUMBERS),
            "number" => self.limited("float", keys, NUMBERS),
            "boolean" => self.builtin("bool"),
            "null" => Expr::atom("None"),
            "array" => {
                let items = match keys.get("items") {
                    Some(items @ Value::Object(_)) => self.schema(items),
                    _ => self.symbol("typing", "Any"),
                };
                let list = Expr::Subscript(self.imports.name("builtins", "list"), vec![items]);
                self.with_limits(list, keys, &[("minItems", "min_length"), ("maxItems", "max_length")])
            }
            "object" => {
                let value = match keys.get("additionalProperties") {
                    Some(value @ Value::Object(_)) if !keys.contains_key("properties") => self.schema(value),
                    None if !keys.contains_key("properties") => return self.builtin("object"),
                    _ => self.symbol("typing", "Any"),
                };
                let key = self.builtin("str");
                Expr::Subscript(self.imports.name("builtins", "dict"), vec![key, value])
            }
            path if path.contains('.') => self.of(&Type::Class(path.to_owned())),
            _ => self.builtin("object"),
        }
    }

    /// `Literal[values]`, or the values' types where Python has no literal type of them.
    fn one_of(&mut self, values: &[Value]) -> Expr {
        let mut members = Vec::new();
        let mut others = Vec::new();
        for value in values {
            match value {
                Value::Null => others.push(Expr::atom("None")),
                Value::Number(number) if number.is_f64() => others.push(self.builtin("float")),
                _ => match literal(value) {
                    Some(text) if members.contains(&Expr::Atom(text.clone())) => {}
                    Some(text) => members.push(Expr::Atom(text)),
                    None if value.is_array() => others.push(self.named("array", &Map::new())),
                    None => others.push(self.builtin("object")),
                },
            }
        }
        let literals = (!members.is_empty()).then(|| Expr::Subscript(self.imports.name("typing", "Literal"), members));
        Expr::union(literals.into_iter().chain(others))
    }

    fn limited(&mut self, builtin: &str, keys: &Map<String, Value>, limits: &[(&str, &str)]) -> Expr {
        let of = self.builtin(builtin);
        self.with_limits(of, keys, limits)
    }

    /// `Annotated[of, Field(limits)]`, for the limits that `keys` sets.
    fn with_limits(&mut self, of: Expr, keys: &Map<String, Value>, limits: &[(&str, &str)]) -> Expr {
        let mut arguments = Vec::new();
        for (key, argument) in limits {
            match keys.get(*key) {
                Some(Value::Number(number)) => arguments.push(Expr::atom(format!("{argument}={number}"))),
                Some(Value::String(pattern)) if is_portable(pattern) => {
                    arguments.push(Expr::atom(format!("{argument}={}", string(pattern))));
                }
                _ => {}
            }
        }
        if arguments.is_empty() {
            return of;
        }
        let field = Expr::Call(self.imports.name("pydantic", "Field"), arguments);
        Expr::Subscript(self.imports.name("typing", "Annotated"), vec![of, field])
    }

    fn builtin(&mut self, name: &str) -> Expr {
        self.symbol("builtins", name)
    }
}

const NUMBERS: &[(&str, &str)] = &[
    ("minimum", "ge"),
    ("exclusiveMinimum", "gt"),
    ("maximum", "le"),
    ("exclusiveMaximum", "lt"),
    ("multipleOf", "multiple_of"),
];

/// Whether pydantic's regular expressions, which know neither look-around nor back references, can take it.
fn is_portable(pattern: &str) -> bool {
    let mut escaped = false;
    for c in pattern.chars() {
        if escaped && c.is_ascii_digit() {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !["(?=", "(?!", "(?<"].iter().any(|start| pattern.contains(start))
}

/// The Python literal of a default that is a value of its parameter's Python type as it is; `None` for lists and
/// objects, and for what has to be converted first, such as dates.
pub fn default_literal(of: &Type, value: &Value) -> Option<String> {
    match of {
        Type::Schema(schema) if admits(schema, value) => literal(value),
        _ => None,
    }
}

fn admits(schema: &Value, value: &Value) -> bool {
    if let Some(only) = schema.get("const") {
        return only == value;
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.contains(value);
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
        return choices.iter().any(|choice| admits(choice, value));
    }
    let is = |name: &str| match name {
        "string" => value.is_string() && !matches!(schema["format"].as_str(), Some("date" | "date-time")),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "object" => schema.get("properties").is_none() && schema.get("additionalProperties").is_none(),
        _ => false,
    };
    match schema.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        _ => false,
    }
}
