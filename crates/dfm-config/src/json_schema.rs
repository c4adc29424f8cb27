//! What does an editor have to know of a format? The table of the format, as a JSON Schema.

use serde_json::{Map, Value, json};

use crate::decode_schema::TYPES;
use crate::format::{CONFIGURATION, Form, Key, Kind, Others, SOURCES, Shape};
use crate::names::KEYWORDS;
use crate::policy::POLICY;

/// The JSON Schema (draft 2020-12) of a `.dfm.yaml`, as far as JSON Schema can say what the format is.
pub fn json_schema() -> Value {
    let mut made = Made { definitions: Map::new(), refs: true };
    let root = shape(&CONFIGURATION, &mut made);
    made.definitions.insert("reference".to_owned(), reference());
    made.definitions.insert("schema".to_owned(), user_schema());
    made.definitions.insert("type".to_owned(), named_type());
    document("A federation of dfm", root, made)
}

/// The JSON Schema of a site's `policy.yaml`, likewise.
pub fn policy_schema() -> Value {
    let mut made = Made { definitions: Map::new(), refs: false };
    let root = shape(&POLICY, &mut made);
    document("The policy of a site of dfm", root, made)
}

/// What a schema is made of.
struct Made {
    definitions: Map<String, Value>,
    /// Whether a dictionary may say `$ref`.
    refs: bool,
}

fn document(title: &str, mut root: Value, made: Made) -> Value {
    let facts = root.as_object_mut().map(std::mem::take).unwrap_or_default();
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(title));
    schema.extend(facts);
    schema.insert("$defs".to_owned(), Value::Object(made.definitions));
    Value::Object(schema)
}

/// `$ref`: a place, or a list of places whose entries are taken in.
fn reference() -> Value {
    let place = json!({"type": "string", "not": {"pattern": "^https?://"}});
    json!({"description": "`file#/json/pointer`: what stands there, or with a list, the entries of all of them.",
        "anyOf": [place, {"type": "array", "items": place}]})
}

/// The schema of a dictionary. One that says `$ref` may have its needed keys from there.
fn shape(shape: &'static Shape, made: &mut Made) -> Value {
    let mut properties = Map::new();
    let mut others = Map::new();
    for key in shape.keys {
        let mut value = optional(key, made);
        value["description"] = json!(key.doc);
        if key.name.contains(['-', '_']) {
            // The other spelling is understood, but not proposed.
            let other = if key.name.contains('-') { key.name.replace('-', "_") } else { key.name.replace('_', "-") };
            others.insert(format!("^{other}$"), value.clone());
        }
        properties.insert(key.name.to_owned(), value);
    }
    if made.refs {
        properties.insert("$ref".to_owned(), json!({"$ref": "#/$defs/reference"}));
    }
    let mut needed: Vec<Value> = shape.keys.iter().filter(|key| key.needed).map(|key| has(key.name)).collect();
    if std::ptr::eq(shape, &crate::format::ARGUMENT) {
        needed.push(json!({"oneOf": SOURCES.iter().map(|source| has(source)).collect::<Vec<_>>()}));
    }
    let mut result = json!({"type": if needed.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": properties});
    if !others.is_empty() {
        result["patternProperties"] = Value::Object(others);
    }
    if shape.others == Others::Refused {
        result["additionalProperties"] = json!(false);
    } else if std::ptr::eq(shape, &crate::format::PARAMETER) {
        result["$ref"] = json!("#/$defs/schema");
    }
    if !needed.is_empty() && !made.refs {
        result["allOf"] = json!(needed);
    } else if !needed.is_empty() {
        result["if"] = json!({"not": {"required": ["$ref"]}});
        result["then"] = json!({"allOf": needed});
    }
    result
}

/// That a key is there, in one of its spellings.
fn has(key: &str) -> Value {
    let mut spellings = vec![key.to_owned()];
    if key.contains('-') {
        spellings.push(key.replace('-', "_"));
    } else if key.contains('_') {
        spellings.push(key.replace('_', "-"));
    }
    match &spellings[..] {
        [one] => json!({"required": [one]}),
        many => json!({"anyOf": many.iter().map(|one| json!({"required": [one]})).collect::<Vec<_>>()}),
    }
}

/// A key's value; `null` is as good as leaving an optional key out.
fn optional(key: &'static Key, made: &mut Made) -> Value {
    let value = kind(&key.kind, made);
    let nullable = match &key.kind {
        Kind::Anything => true,
        Kind::Shape(shape) => shape.keys.iter().all(|key| !key.needed),
        _ => false,
    };
    if key.needed || nullable { value } else { json!({"anyOf": [value, {"type": "null"}]}) }
}

fn kind(kind: &'static Kind, made: &mut Made) -> Value {
    match kind {
        Kind::Anything => json!({}),
        Kind::Text => json!({"type": "string"}),
        Kind::Flag => {
            json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^([Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)$"}]})
        }
        Kind::Amount => json!({"type": "number", "minimum": 0}),
        Kind::Count => json!({"type": "integer", "minimum": 0}),
        Kind::Whole => json!({"type": "integer", "minimum": 1}),
        Kind::Rate => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Port => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Free => json!({"type": "object"}),
        Kind::Choice(choices) => json!({"enum": choices}),
        Kind::Formed(form) => {
            let mut text = text(*form);
            text["type"] = json!("string");
            text
        }
        Kind::Schema => a_schema(),
        Kind::TypeName => type_name(),
        Kind::Type => json!({"$ref": "#/$defs/type"}),
        Kind::Shape(inner) => {
            let name = inner.what.trim_start_matches("an ").trim_start_matches("a ").replace('`', "");
            let name = name.replace([' ', '.'], "_");
            if !made.definitions.contains_key(&name) {
                made.definitions.insert(name.clone(), Value::Null);
                let schema = shape(inner, made);
                made.definitions.insert(name.clone(), schema);
            }
            json!({"$ref": format!("#/$defs/{name}")})
        }
        Kind::Named(form, values) => {
            let value = self::kind(values, made);
            if made.refs {
                json!({"type": "object", "properties": {"$ref": {"$ref": "#/$defs/reference"}},
                    "propertyNames": {"anyOf": [{"const": "$ref"}, text(*form)]}, "additionalProperties": value})
            } else {
                json!({"type": "object", "propertyNames": text(*form), "additionalProperties": value})
            }
        }
        Kind::Either(one, other) => json!({"anyOf": [self::kind(one, made), self::kind(other, made)]}),
    }
}

/// The letters and digits of Python names, as far as JSON Schema's patterns can say it everywhere, and how many there can be.
const WORD: &str = r"[^\W\d]\w{0,99}";

fn text(form: Form) -> Value {
    let pattern = |pattern: String| json!({"pattern": format!("^{pattern}$")});
    let keyword = format!("(?:{})", KEYWORDS.join("|"));
    match form {
        Form::Any => json!({}),
        Form::Version => pattern(r"[0-9]+\.[0-9]+\.[0-9]+".to_owned()),
        Form::Identifier => pattern(WORD.to_owned()),
        Form::Name => pattern(format!("(?!{keyword}$){WORD}")),
        Form::DottedName => pattern(format!(r"(?!(?:.*\.)?{keyword}(?:\.|$)){WORD}(?:\.{WORD})*")),
        Form::Operation => pattern(format!(r"(?!{keyword}\.){WORD}\.(?!{keyword}$){WORD}")),
        Form::Pointer => json!({"pattern": "^#/operations/"}),
        Form::ClassPath => pattern(format!(r"(?!(?:.*\.)?{keyword}(?:\.|$)){WORD}(?:\.{WORD})+")),
        Form::Property => pattern(format!(r"[^.]*\.{WORD}")),
        Form::Provider => pattern(r"[^.]+".to_owned()),
        Form::Host => pattern(r"[A-Za-z0-9.:-]+".to_owned()),
        Form::Address => pattern(r"[A-Fa-f0-9.:]+".to_owned()),
        Form::Ports => pattern(r"[0-9]{1,5}(-[0-9]{1,5})?".to_owned()),
    }
}

/// A JSON Schema of the user's, in which a type may also be the dotted path of a class.
fn user_schema() -> Value {
    let this = a_schema();
    let number = json!({"type": "number"});
    let list = json!({"type": "array", "items": this});
    json!({
        "properties": {
            "type": type_name(),
            "enum": {"type": "array"},
            "minimum": number, "maximum": number, "minLength": number, "maxLength": number,
            "minItems": number, "maxItems": number,
            "properties": {"type": ["object", "null"], "additionalProperties": this},
            "items": {"if": {"type": "object"}, "then": this},
            "anyOf": {"if": {"type": "array"}, "then": list},
            "oneOf": {"if": {"type": "array"}, "then": list},
            "allOf": {"if": {"type": "array"}, "then": list},
            "$ref": {"$ref": "#/$defs/reference"},
        },
    })
}

fn a_schema() -> Value {
    json!({"type": ["object", "boolean"], "$ref": "#/$defs/schema"})
}

/// The name of a type, or a list of names.
fn type_name() -> Value {
    let name = json!({"anyOf": [{"enum": TYPES}, class_path()]});
    json!({"anyOf": [name, {"type": "array", "items": name}]})
}

fn class_path() -> Value {
    let mut path = text(Form::ClassPath);
    path["type"] = json!("string");
    path
}

fn named_type() -> Value {
    json!({"anyOf": [{"enum": TYPES}, class_path(), {"type": "object", "$ref": "#/$defs/schema"}]})
}
