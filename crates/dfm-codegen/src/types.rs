//! Which Python type is a JSON Schema?

use std::collections::HashMap;

use dfm_config::{Type, is_portable, tuple_length};
use serde_json::{Map, Number, Value};

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
            "integer" => self.limited("int", &of_integers(keys), NUMBERS),
            "number" => self.limited("float", keys, NUMBERS),
            "boolean" => self.builtin("bool"),
            "null" => Expr::atom("None"),
            "array" => {
                if let Some(Some(_)) = tuple_length(keys) {
                    let items = keys.get("prefixItems").or_else(|| keys.get("items")).and_then(Value::as_array);
                    let items: Vec<Expr> = items.into_iter().flatten().map(|item| self.schema(item)).collect();
                    return Expr::Subscript(self.imports.name("builtins", "tuple"), items);
                }
                let items = match keys.get("items") {
                    Some(items @ Value::Object(_)) if !keys.contains_key("prefixItems") => self.schema(items),
                    _ => self.symbol("typing", "Any"),
                };
                let list = Expr::Subscript(self.imports.name("builtins", "list"), vec![items]);
                self.with_limits(list, keys, &[("minItems", "min_length"), ("maxItems", "max_length")])
            }
            "object" => {
                let value = match keys.get("additionalProperties") {
                    Some(value @ Value::Object(_)) if !keys.contains_key("properties") => self.schema(value),
                    None if !COUNTS.iter().any(|(key, _)| keys.contains_key(*key))
                        && !keys.contains_key("properties") =>
                    {
                        return self.builtin("object");
                    }
                    _ => self.symbol("typing", "Any"),
                };
                let key = self.builtin("str");
                let of = Expr::Subscript(self.imports.name("builtins", "dict"), vec![key, value]);
                self.with_limits(of, keys, if keys.contains_key("properties") { &[] } else { COUNTS })
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
        let whole = of == Expr::atom(self.imports.name("builtins", "int"));
        let mut arguments = Vec::new();
        for (key, argument) in limits {
            match keys.get(*key) {
                // A count may be written as 2.0, and a bound of integers as 1e3.
                Some(Value::Number(count)) if count.is_f64() && (whole || argument.ends_with("_length")) => {
                    arguments.push(Expr::atom(format!("{argument}={:.0}", count.as_f64().unwrap_or_default())));
                }
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

const COUNTS: &[(&str, &str)] = &[("minProperties", "min_length"), ("maxProperties", "max_length")];

/// The limits of a number as limits of whole numbers, which Python's are checked with: 2.5 is no integer, but up to 2.5
/// is up to 2, and what is a multiple of 1.5 and whole is one of 3.
fn of_integers(keys: &Map<String, Value>) -> Map<String, Value> {
    let mut keys = keys.clone();
    for (key, upwards) in
        [("minimum", true), ("exclusiveMaximum", true), ("maximum", false), ("exclusiveMinimum", false)]
    {
        if let Some(Value::Number(bound)) = keys.get_mut(key)
            && bound.is_f64()
            && let Some(number) = bound.as_f64()
        {
            *bound = Number::from_f64(if upwards { number.ceil() } else { number.floor() }).unwrap_or(bound.clone());
        }
    }
    if let Some(step) = keys.get("multipleOf").filter(|step| step.is_f64()).map(Value::to_string) {
        match numerator(&step) {
            None if keys["multipleOf"].as_f64() >= Some(1.0) => None,
            Some(1) | None => keys.shift_remove("multipleOf"),
            Some(step) => keys.insert("multipleOf".to_owned(), step.into()),
        };
    }
    keys
}

/// The numerator of a decimal number, reduced: a whole number is a multiple of 1.5 if it is one of 3. `None` for numbers
/// that are too small or too large to be meant.
fn numerator(decimal: &str) -> Option<u64> {
    let (digits, exponent) = decimal.split_once('e').unwrap_or((decimal, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = fraction.len() as i32 - exponent.parse::<i32>().ok()?;
    let number: u128 = format!("{whole}{fraction}").parse().ok()?;
    let divide = |number: u128, by: u128| {
        let (mut a, mut b) = (number, by);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        number / a
    };
    let reduced = if places >= 0 {
        divide(number, 10_u128.checked_pow(places as u32)?)
    } else {
        number.checked_mul(10_u128.checked_pow(places.unsigned_abs())?)?
    };
    u64::try_from(reduced).ok()
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
