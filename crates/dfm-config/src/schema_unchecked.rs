//! What does a schema ask of values that generated code does not check?
//!
//! Each such keyword is a warning at its place, with what to do about it. `dfm-codegen` keeps all others: the test that
//! holds generated models against schemas of all kinds keeps the two in step.

use std::rc::Rc;

use dfm_diag::{Diagnostic, Span, nearest};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::decode_schema::TYPES;
use crate::fields::Faults;
use crate::schema_form::{required, type_names};
use crate::schema_keywords::{Applies, KEYWORDS, applies, is_annotation};
use crate::tree::{Data, Entries, Entry, Node, to_json_map};

/// Formats that have a type in Python.
const FORMATS: &[&str] = &["date", "date-time"];

/// Formats that only say what a type or a program's own number says.
const SILENT_FORMATS: &[&str] = &["float", "double", "password"];

/// What to say about a schema.
pub struct Unchecked<'f> {
    /// The federation's schemas, in form.
    pub formed: &'f IndexMap<String, Rc<Node>>,
    /// The configuration's own file.
    pub own_file: u32,
    /// Whether the schema is a parameter's: what it describes inside has no class, so only `schemas` can check it.
    pub in_parameter: bool,
    /// Where warnings go.
    pub faults: &'f mut Faults,
}

impl Unchecked<'_> {
    /// Warns of what is not checked in a schema that [`crate::schema_form`] has brought into form.
    pub fn tell(&mut self, node: &Node) {
        match &node.data {
            Data::Bool(false) => self.warn(
                "`false`",
                node.span,
                "write `additionalProperties: false` where keys are to be refused, or leave this out",
            ),
            Data::Map(entries) => self.entries(entries),
            _ => {}
        }
    }

    fn entries(&mut self, entries: &Entries) {
        for (key, entry) in entries {
            if applies(key).is_none()
                && !key.starts_with("x-")
                && let Some(near) = nearest(key, KEYWORDS.iter().map(|(name, _)| *name))
                && !self.in_parameter
            {
                self.faults.push(
                    Diagnostic::warning("config-unused-key", format!("a schema has no keyword `{key}`"))
                        .at(entry.key, "this has no effect")
                        .help(format!("did you mean `{near}`?")),
                );
            }
        }
        for key in ["$ref", "const", "enum", "anyOf", "oneOf"] {
            if entries.contains_key("properties") {
                break;
            }
            if let Some(entry) = entries.get(key) {
                for (other, entry) in entries {
                    let with_type = other == "type" && matches!(key, "const" | "enum");
                    if other != key && !is_annotation(other) && !with_type {
                        let help = if key == "anyOf" || key == "oneOf" {
                            match other.as_str() {
                                "discriminator" if self.has_tags(entries) => continue,
                                "discriminator" => "write `const` for its property in each choice".to_owned(),
                                _ => format!("say it in each choice of the `{key}` instead"),
                            }
                        } else {
                            format!(
                                "beside `{key}` only descriptions are read; leave it out, or check it in the adapter"
                            )
                        };
                        self.warn(&format!("`{other}` beside `{key}`"), entry.key, &help);
                    }
                }
                match (key, &entry.value.data) {
                    ("anyOf" | "oneOf", Data::List(parts)) => self.choices(key, entry.key, parts),
                    ("const", _) => self.literal("const", &entry.value),
                    ("enum", Data::List(values)) => values.iter().for_each(|value| self.literal("enum", value)),
                    _ => {}
                }
                return;
            }
        }
        self.typed(entries);
    }

    fn choices(&mut self, key: &str, span: Span, parts: &[Rc<Node>]) {
        if key == "oneOf" && !self.tells_apart(parts) {
            self.warn(
                "that only one of `oneOf` fits",
                span,
                "write `anyOf` if more may, or give each a property with a `const` of its own that is required",
            );
        }
        parts.iter().for_each(|part| self.tell(part));
    }

    fn tells_apart(&self, parts: &[Rc<Node>]) -> bool {
        let parts: Vec<&Node> = parts.iter().map(|part| self.resolved(part)).collect();
        parts.iter().enumerate().all(|(place, one)| parts[..place].iter().all(|other| disjoint(one, other)))
    }

    /// Whether each choice says by a constant of the discriminator's property which it is, so that nothing more need tell.
    fn has_tags(&self, entries: &Entries) -> bool {
        let name = entries.get("discriminator").and_then(|entry| entry.value.map()?.get("propertyName")?.value.text());
        let parts = ["anyOf", "oneOf"].iter().find_map(|key| match &entries.get(*key)?.value.data {
            Data::List(parts) => Some(parts),
            _ => None,
        });
        let tagged = |part: &Rc<Node>, name: &str| {
            let part = self.resolved(part).map();
            let property = part.and_then(|part| part.get("properties")?.value.map()?.get(name)?.value.map());
            property.is_some_and(|property| only(property).is_some())
        };
        name.zip(parts).is_some_and(|(name, parts)| parts.iter().all(|part| tagged(part, name)))
    }

    fn resolved<'n>(&'n self, node: &'n Node) -> &'n Node {
        let pointer = node.map().and_then(|entries| entries.get("$ref")?.value.text()?.strip_prefix("#/schemas/"));
        pointer.and_then(|name| self.formed.get(&name.replace("~1", "/").replace("~0", "~"))).map_or(node, |node| node)
    }

    /// A value that has to be met exactly, which generated code can say of texts, whole numbers, true, false and null.
    fn literal(&mut self, key: &str, value: &Node) {
        let exact = match &value.data {
            Data::Number(number) => number.is_i64() || number.is_u64(),
            Data::List(_) | Data::Map(_) => false,
            _ => true,
        };
        if !exact {
            self.warn(
                &format!("the value of {} in `{key}`", value.kind()),
                value.span,
                "generated code takes any value of its type, and each site refuses what is not listed",
            );
        }
    }

    fn typed(&mut self, entries: &Entries) {
        let told = entries.get("type");
        let kinds: Vec<&str> = match told {
            Some(entry) => type_names(&entry.value),
            None if entries.contains_key("properties") => vec!["object"],
            None if entries.contains_key("items") => vec!["array"],
            None => Vec::new(),
        };
        let string_format = entries.get("format").and_then(|entry| entry.value.text());
        let is_date = string_format.is_some_and(|format| FORMATS.contains(&format));
        let is_model = entries.contains_key("properties");
        for (key, entry) in entries {
            let to = match applies(key) {
                Some(Applies::To(to)) => to,
                Some(Applies::Always) if key != "type" => {
                    self.always(key, entry);
                    continue;
                }
                _ => continue,
            };
            let concerned = |kind: &&&str| **kind == to || (to == "number" && **kind == "integer");
            if kinds.iter().filter(concerned).count() == 0 {
                // A class of Python's, or any value: only a type says what the keyword is about.
                if kinds.is_empty() {
                    self.warn(
                        &format!("`{key}` without a `type`"),
                        entry.key,
                        &format!("write `type: {to}` beside it"),
                    );
                }
                continue;
            }
            self.keyword(key, entry, entries, is_date, is_model);
        }
        for (key, data) in entries.iter().map(|(key, entry)| (key, &entry.value)) {
            match (key.as_str(), &data.data) {
                ("properties", Data::Map(properties)) if !self.in_parameter => {
                    properties.values().for_each(|entry| self.tell(&entry.value));
                }
                ("items" | "additionalProperties", Data::Map(_)) => self.tell(data),
                ("prefixItems" | "items", Data::List(parts)) => parts.iter().for_each(|part| self.tell(part)),
                _ => {}
            }
        }
    }

    fn always(&mut self, key: &str, entry: &Entry) {
        let help = match key {
            "allOf" => "its parts cannot be brought into one schema; write what they say together as one",
            "anyOf" | "oneOf" => "describe each choice as an object of its own, or check it in the adapter",
            "if" | "then" | "else" => "write the cases as an `anyOf`, or check it in the adapter",
            "$dynamicRef" | "$recursiveRef" => "write a `$ref`",
            "discriminator" => "write a `oneOf` beside it, with a `const` for its property in each choice",
            _ => "check it in the adapter",
        };
        self.warn(&format!("`{key}`"), entry.key, help);
    }

    fn keyword(&mut self, key: &str, entry: &Entry, entries: &Entries, is_date: bool, is_model: bool) {
        let value = &entry.value;
        let is = |wanted: &Value| value.to_json() == *wanted;
        let help = match key {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => return,
            "minLength" | "maxLength" | "pattern" if is_date => "a date is read as such; check it in the adapter",
            "minLength" | "maxLength" => return,
            "pattern" if value.text().is_none_or(is_portable) => return,
            "pattern" => {
                "generated code knows neither look-around nor back references; write it without, or check it \
                          in the adapter"
            }
            "format"
                if value.text().is_none_or(|format| FORMATS.contains(&format) || SILENT_FORMATS.contains(&format)) =>
            {
                return;
            }
            "format" => "write a `pattern` as well, or check it in the adapter",
            "items" | "minItems" | "maxItems" | "additionalItems" | "prefixItems" | "unevaluatedItems" => {
                match tuple_length(&to_json_map(entries)) {
                    None if matches!(key, "minItems" | "maxItems") => return,
                    None if key == "items" && value.map().is_some() => return,
                    None if key == "items" && is(&Value::Bool(true)) => return,
                    Some(Some(_)) => return,
                    _ if matches!(key, "minItems" | "maxItems") => return,
                    Some(None) => {
                        "only lists of one length can have a type for each item: write `items: false` and \
                                   `minItems`"
                    }
                    None => "check it in the adapter",
                }
            }
            "uniqueItems" if is(&Value::Bool(false)) => return,
            // Told by its `properties`.
            "additionalProperties" if self.in_parameter && is_model && value.map().is_none() => return,
            "properties" | "required" | "additionalProperties" if self.in_parameter && is_model => {
                "a parameter's own object is a plain dictionary; give its schema a name under `schemas`, and refer to it"
            }
            "properties" | "additionalProperties" => return,
            "required" => return self.requires(entry, entries),
            "minProperties" | "maxProperties" if !is_model => return,
            "patternProperties" | "propertyNames" => {
                "write `additionalProperties` with the schema of the values, or check it in the adapter"
            }
            "unevaluatedProperties" if is(&Value::Bool(true)) => return,
            "unevaluatedProperties" => "write `additionalProperties` instead",
            "contentEncoding" | "contentMediaType" | "contentSchema" => {
                "the text arrives as it is; decode it in the adapter"
            }
            _ => "check it in the adapter",
        };
        let what = match value.text() {
            Some(text) if key == "format" => format!("`format: {text}`"),
            _ => format!("`{key}`"),
        };
        self.warn(&what, entry.key, help);
    }

    /// A required name that the schema does not describe: in the configuration itself that is mostly a slip.
    fn requires(&mut self, entry: &Entry, entries: &Entries) {
        let Some(properties) = entries.get("properties").and_then(|entry| entry.value.map()) else { return };
        for (name, span) in required(entries) {
            let written = properties.get(&name).is_some_and(|property| property.key != span);
            if written || entry.key.file != self.own_file {
                continue;
            }
            let names = properties.iter().filter(|(_, known)| known.key != span).map(|(name, _)| name.as_str());
            let fault = Diagnostic::warning(
                "config-unknown-property",
                format!("`required` names `{name}`, which is no property"),
            )
            .at(span, "anything is taken for it");
            self.faults.push(match nearest(&name, names) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help("describe it under `properties`, or leave it out"),
            });
        }
    }

    fn warn(&mut self, what: &str, span: Span, help: &str) {
        self.faults.push(
            Diagnostic::warning("config-not-checked", format!("{what} is not checked"))
                .at(span, "values that break it are taken")
                .help(help),
        );
    }
}

/// How many items the lists have that have a schema for each: `None` where all items have the same, `Some(None)` where
/// the schema leaves it open.
pub fn tuple_length(schema: &Map<String, Value>) -> Option<Option<usize>> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).map(Vec::len);
    let (length, others) = match list("prefixItems") {
        Some(length) => (length, "items"),
        None => (list("items")?, "additionalItems"),
    };
    let counts = |key: &str| schema.get(key).and_then(Value::as_f64) == Some(length as f64);
    let ends = schema.get(others) == Some(&Value::Bool(false)) || counts("maxItems");
    Some((ends && counts("minItems")).then_some(length))
}

/// Whether no value fits both, as far as that shows: by their types, or by a property that tells them apart.
fn disjoint(one: &Node, other: &Node) -> bool {
    let (Some(one), Some(other)) = (one.map(), other.map()) else { return false };
    if let (Some(a), Some(b)) = (kinds(one), kinds(other))
        && a.iter().all(|kind| !b.contains(kind))
    {
        return true;
    }
    if let (Some(a), Some(b)) = (only(one), only(other)) {
        return a.iter().all(|value| !b.contains(value));
    }
    let property = |entries: &Entries, name: &str| -> Option<Vec<Value>> {
        only(entries.get("properties")?.value.map()?.get(name)?.value.map()?)
    };
    let (first, second) = (required(one), required(other));
    first.iter().filter(|(name, _)| second.iter().any(|(other, _)| other == name)).any(|(name, _)| {
        matches!((property(one, name), property(other, name)),
            (Some(a), Some(b)) if a.iter().all(|value| !b.contains(value)))
    })
}

fn only(entries: &Entries) -> Option<Vec<Value>> {
    if let Some(entry) = entries.get("const") {
        return Some(vec![entry.value.to_json()]);
    }
    match &entries.get("enum")?.value.data {
        Data::List(values) => Some(values.iter().map(|value| value.to_json()).collect()),
        _ => None,
    }
}

/// The types that a schema's values may have; `None` where that does not show.
fn kinds(entries: &Entries) -> Option<Vec<&str>> {
    let mut kinds = type_names(&entries.get("type")?.value);
    if kinds.contains(&"number") {
        kinds.push("integer");
    }
    // `object` without keys is any Python object.
    let bare = kinds.contains(&"object") && !entries.contains_key("properties");
    (!bare && kinds.iter().all(|kind| TYPES.contains(kind))).then_some(kinds)
}

/// Whether the regular expressions of generated code can say it, which have neither look-around nor back references.
pub fn is_portable(pattern: &str) -> bool {
    regex_syntax::Parser::new().parse(pattern).is_ok()
}
