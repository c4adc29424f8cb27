//! Is a value one that a JSON Schema allows?

use dfm_diag::nearest;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::decode_schema::has_type;
use crate::fields::listed;

/// References among schemas are followed so far; beyond, anything is allowed.
const DEPTH: usize = 32;

/// Why a value is not one that the schema allows, in words that begin with what was expected; `None` when it is.
/// `schemas` are the federation's own. Keywords that dfm does not know allow everything.
pub fn misfit(schema: &Value, value: &Value, schemas: &IndexMap<String, Value>) -> Option<String> {
    check(schema, value, schemas, 0)
}

fn check(schema: &Value, value: &Value, schemas: &IndexMap<String, Value>, depth: usize) -> Option<String> {
    let Value::Object(rules) = schema else {
        return (*schema == Value::Bool(false)).then(|| "expected nothing at all".to_owned());
    };
    if depth > DEPTH {
        return None;
    }
    let within = |schema: &Value, value: &Value| check(schema, value, schemas, depth + 1);
    let named = rules.get("$ref").and_then(Value::as_str).and_then(|pointer| pointer.strip_prefix("#/schemas/"));
    let named = named.and_then(|name| schemas.get(&name.replace("~1", "/").replace("~0", "~")));
    named
        .and_then(|schema| within(schema, value))
        .or_else(|| of_type(rules, value))
        .or_else(|| of_format(rules, value))
        .or_else(|| among(rules, value))
        .or_else(|| in_range(rules, value))
        .or_else(|| match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| Some(format!("at [{index}]: {}", within(rules.get("items")?, item)?))),
            Value::Object(entries) => members(rules, entries, &within),
            _ => None,
        })
        .or_else(|| combined(rules, value, &within))
}

fn of_type(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let names: Vec<&str> = match rules.get("type")? {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let good = names.iter().any(|name| has_type(name, value));
    (!good).then(|| format!("expected a value of type {}", json!(names.join(" or "))))
}

/// Whether a text that becomes a date, or a time, begins with a day.
fn of_format(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let format = rules.get("format")?.as_str().filter(|format| ["date", "date-time"].contains(format))?;
    let text = value.as_str()?;
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let dashes = [4, 7].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
    let is_day = number(0, 4).zip(number(5, 7)).zip(number(8, 10)).is_some_and(|((year, month), day)| {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        year > 0 && (1..=days).contains(&day)
    });
    let example = if format == "date" { "2024-05-01" } else { "2024-05-01T12:00:00Z" };
    (!(dashes && is_day)).then(|| format!("expected a {format} such as {example}"))
}

fn among(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    if let Some(only) = rules.get("const").filter(|only| *only != value) {
        return Some(format!("expected {only}"));
    }
    let choices = rules.get("enum")?.as_array().filter(|choices| !choices.contains(value))?;
    let texts = choices.iter().filter_map(Value::as_str);
    let near = value.as_str().and_then(|text| nearest(text, texts)).map(|near| format!("; did you mean `{near}`?"));
    Some(format!("expected one of {}{}", json!(choices), near.unwrap_or_default()))
}

fn in_range(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let limit = |key: &str| rules.get(key).and_then(Value::as_f64);
    let outside = |number: f64, least: &str, most: &str, what: &str| {
        let too_small = limit(least).filter(|limit| number < *limit);
        let too_large = limit(most).filter(|limit| number > *limit);
        let words = too_small.map(|limit| format!("at least {limit}"));
        words.or_else(|| Some(format!("at most {}", too_large?))).map(|words| format!("expected {words}{what}"))
    };
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            let above = limit("exclusiveMinimum").filter(|limit| number <= *limit);
            let below = limit("exclusiveMaximum").filter(|limit| number >= *limit);
            outside(number, "minimum", "maximum", "")
                .or_else(|| Some(format!("expected a number above {}", above?)))
                .or_else(|| Some(format!("expected a number below {}", below?)))
        }
        Value::String(text) => outside(text.chars().count() as f64, "minLength", "maxLength", " characters"),
        Value::Array(items) => outside(items.len() as f64, "minItems", "maxItems", " items"),
        _ => None,
    }
}

fn members(
    rules: &Map<String, Value>,
    entries: &Map<String, Value>,
    within: &dyn Fn(&Value, &Value) -> Option<String>,
) -> Option<String> {
    let none = Map::new();
    let properties = rules.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let needed = rules.get("required").and_then(Value::as_array);
    if let Some(missing) =
        needed.into_iter().flatten().filter_map(Value::as_str).find(|name| !entries.contains_key(*name))
    {
        return Some(format!("expected the key `{missing}` in it"));
    }
    for (key, value) in entries {
        let schema = properties.get(key).or_else(|| rules.get("additionalProperties"));
        if let Some(words) = schema.and_then(|schema| within(schema, value)) {
            let unknown = !properties.contains_key(key) && schema == Some(&Value::Bool(false));
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            return Some(match unknown {
                true => format!("expected only the keys {}, not `{key}`", listed(known.iter().copied())),
                false => format!("at `{key}`: {words}"),
            });
        }
    }
    None
}

fn combined(
    rules: &Map<String, Value>,
    value: &Value,
    within: &dyn Fn(&Value, &Value) -> Option<String>,
) -> Option<String> {
    let parts = |key: &str| rules.get(key).and_then(Value::as_array);
    if let Some(words) = parts("allOf").into_iter().flatten().find_map(|schema| within(schema, value)) {
        return Some(words);
    }
    for key in ["anyOf", "oneOf"] {
        let Some(schemas) = parts(key).filter(|schemas| !schemas.is_empty()) else { continue };
        let mut first = None;
        if schemas.iter().all(|schema| {
            let words = within(schema, value);
            let wrong = words.is_some();
            first = first.take().or(words);
            wrong
        }) {
            return first;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_held_against_their_schema() {
        let schemas = IndexMap::from([(
            "Point".to_owned(),
            json!({"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"],
                "additionalProperties": false}),
        )]);
        let why = |schema: Value, value: Value| misfit(&schema, &value, &schemas).unwrap_or_default();
        for (format, good, bad) in [
            ("date", vec!["2024-02-29", "2000-12-31"], vec!["2023-02-29", "2024-13-01", "01.05.2024", "then", ""]),
            ("date-time", vec!["2024-05-01T12:00:00Z", "2024-05-01 12:00"], vec!["12:00:00", "1900-02-29T00:00:00Z"]),
        ] {
            let schema = || json!({"type": ["string", "null"], "format": format});
            assert!(good.into_iter().all(|text| why(schema(), json!(text)).is_empty()));
            assert!(bad.into_iter().all(|text| why(schema(), json!(text)).contains(&format!("a {format} such as"))));
            assert_eq!(why(schema(), json!(null)), "");
        }
        assert_eq!(why(json!({"type": "integer", "minimum": 1}), json!(1)), "");
        assert_eq!(why(json!({"type": "integer"}), json!("1")), "expected a value of type \"integer\"");
        assert_eq!(why(json!({"type": ["string", "null"]}), json!(1)), "expected a value of type \"string or null\"");
        assert_eq!(why(json!({"minimum": 1}), json!(0)), "expected at least 1");
        assert_eq!(why(json!({"exclusiveMaximum": 1}), json!(1)), "expected a number below 1");
        assert_eq!(why(json!({"maxLength": 1}), json!("éé")), "expected at most 1 characters");
        assert_eq!(
            why(json!({"enum": ["celsius"]}), json!("celcius")),
            "expected one of [\"celsius\"]; did you mean `celsius`?"
        );
        assert_eq!(
            why(json!({"items": {"type": "string"}}), json!(["a", 1])),
            "at [1]: expected a value of type \"string\""
        );
        assert_eq!(
            why(json!({"$ref": "#/schemas/Point"}), json!({"x": "a"})),
            "at `x`: expected a value of type \"number\""
        );
        assert_eq!(why(json!({"$ref": "#/schemas/Point"}), json!({})), "expected the key `x` in it");
        assert_eq!(
            why(json!({"$ref": "#/schemas/Point"}), json!({"x": 1, "y": 2})),
            "expected only the keys `x`, not `y`"
        );
        assert_eq!(
            why(json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(1)),
            "expected a value of type \"string\""
        );
        assert_eq!(why(json!({"type": "object"}), json!(1)), "", "`object` is any Python object");
    }
}
