//! What does a schema say, once what it says in several places is written in one?
//!
//! `allOf` becomes one schema, `nullable` a type, a reference with more beside it one schema with both; whatever cannot
//! be brought together stays as it was, for [`crate::schema_unchecked`] to tell.

use std::rc::Rc;

use dfm_diag::Span;

use crate::decode_schema::has_type;
use crate::schema_keywords::is_annotation;
use crate::tree::{Data, Entries, Entry, MAX_DEPTH, Node};

/// What schemas are brought together in.
#[derive(Clone, Copy)]
pub struct Forms<'s> {
    /// The federation's schemas as they are written.
    pub schemas: &'s Entries,
    /// The configuration's own file: an object described there is closed unless it says otherwise.
    pub own_file: u32,
}

/// Schemas beyond this many steps of bringing together stay as they are.
const DEEPEST: usize = 24;

impl Forms<'_> {
    /// The whole schema in that form.
    pub fn of(&self, node: &Rc<Node>) -> Rc<Node> {
        self.form(node, 0)
    }

    fn form(&self, node: &Rc<Node>, depth: usize) -> Rc<Node> {
        if node.map().is_none() || depth > MAX_DEPTH {
            return Rc::clone(node);
        }
        let together = self.together(node, 0).unwrap_or_else(|| Rc::clone(node));
        let node = self.shared_out(&with_null(&together));
        let Some(entries) = node.map() else { return node };
        let mut entries = entries.clone();
        for (key, entry) in &mut entries {
            let data = match (key.as_str(), &entry.value.data) {
                ("properties", Data::Map(inner)) => Data::Map(
                    inner
                        .iter()
                        .map(|(name, Entry { key, value })| {
                            (name.clone(), Entry { key: *key, value: self.form(value, depth + 1) })
                        })
                        .collect(),
                ),
                ("anyOf" | "oneOf" | "prefixItems" | "items", Data::List(parts)) => {
                    Data::List(parts.iter().map(|part| self.form(part, depth + 1)).collect())
                }
                ("items" | "additionalProperties", Data::Map(_)) => {
                    entry.value = self.form(&entry.value, depth + 1);
                    continue;
                }
                _ => continue,
            };
            entry.value = Rc::new(Node::new(entry.value.span, data));
        }
        of_its_types(&mut entries);
        self.close(&mut entries, node.span);
        Rc::new(Node::new(node.span, Data::Map(entries)))
    }

    /// Says of an object whether it may have more keys than it names, and gives those that it only requires a name.
    fn close(&self, entries: &mut Entries, span: Span) {
        let described = entries.contains_key("properties");
        if !described && ["$ref", "anyOf", "oneOf", "const", "enum"].iter().any(|key| entries.contains_key(*key)) {
            return;
        }
        let refuses = |entry: &Entry| matches!(entry.value.data, Data::Bool(false));
        let is_object = entries.get("type").is_some_and(|entry| entry.value.text() == Some("object"));
        if entries.get("properties").is_none_or(|entry| entry.value.map().is_none()) {
            let requires = entries.get("required").is_some_and(|entry| matches!(entry.value.data, Data::List(_)));
            if !is_object || !(requires || entries.get("additionalProperties").is_some_and(refuses)) {
                return;
            }
            let (key, value) = (span, Rc::new(Node::new(span, Data::Map(Entries::new()))));
            entries.insert("properties".to_owned(), Entry { key, value });
        }
        let written = entries["properties"].key;
        if entries.contains_key("patternProperties") {
            // Which keys these are is told to be unchecked, so none can be refused.
            entries.shift_remove("additionalProperties");
            let value = Rc::new(Node::new(span, Data::Bool(true)));
            entries.insert("additionalProperties".to_owned(), Entry { key: span, value });
        }
        if !entries.contains_key("additionalProperties") {
            let refused = entries.shift_remove("unevaluatedProperties").filter(refuses).is_some();
            let open = !refused && written.file != self.own_file;
            let value = Rc::new(Node::new(span, Data::Bool(open)));
            entries.insert("additionalProperties".to_owned(), Entry { key: span, value });
        }
        let others = match &entries["additionalProperties"].value {
            schema if schema.map().is_some() => Rc::clone(schema),
            _ => Rc::new(Node::new(span, Data::Map(Entries::new()))),
        };
        let mut properties = entries["properties"].value.map().cloned().unwrap_or_default();
        for (name, span) in required(entries) {
            properties.entry(name).or_insert_with(|| Entry { key: span, value: Rc::clone(&others) });
        }
        entries["properties"].value = Rc::new(Node::new(written, Data::Map(properties)));
    }

    /// A choice with more beside it, as a choice between schemas that each say all of it, where such schemas exist.
    fn shared_out(&self, node: &Rc<Node>) -> Rc<Node> {
        let key =
            ["anyOf", "oneOf"].into_iter().find(|key| node.map().is_some_and(|entries| entries.contains_key(*key)));
        let (Some(key), Some(entries)) = (key, node.map()) else { return Rc::clone(node) };
        let (mut outside, mut rest): (Entries, Entries) =
            entries.clone().into_iter().partition(|(key, _)| is_annotation(key) || key == "discriminator");
        let Some(choice) = rest.shift_remove(key) else { return Rc::clone(node) };
        let Data::List(choices) = &choice.value.data else { return Rc::clone(node) };
        if rest.is_empty() || ["properties", "required", "anyOf", "oneOf"].iter().any(|key| rest.contains_key(*key)) {
            return Rc::clone(node);
        }
        let is_object = |part: &Rc<Node>| {
            self.followed(part, 0).is_some_and(|part| {
                let entries = part.map();
                entries.and_then(|entries| entries.get("type")).is_some_and(|of| of.value.text() == Some("object"))
            })
        };
        let only_object = rest.len() == 1 && rest.get("type").is_some_and(|entry| entry.value.text() == Some("object"));
        let rest = Rc::new(Node::new(node.span, Data::Map(rest)));
        let shared: Option<Vec<_>> = if only_object && choices.iter().all(is_object) {
            Some(choices.clone())
        } else {
            choices.iter().map(|part| self.both(&rest, part, 1)).collect()
        };
        let Some(shared) = shared else { return Rc::clone(node) };
        let value = Rc::new(Node::new(choice.value.span, Data::List(shared)));
        outside.insert(key.to_owned(), Entry { key: choice.key, value });
        Rc::new(Node::new(node.span, Data::Map(outside)))
    }

    /// The schema without `allOf`, and without a reference that has more beside it; `None` where it is that already or
    /// cannot be.
    fn together(&self, node: &Rc<Node>, steps: usize) -> Option<Rc<Node>> {
        let entries = node.map()?;
        let mut own = entries.clone();
        let mut parts: Vec<Rc<Node>> = Vec::new();
        if let Some(Entry { value, .. }) = own.get("allOf")
            && let Data::List(all) = &value.data
        {
            parts.extend(all.iter().cloned());
            own.shift_remove("allOf");
        }
        if let Some(entry) = own.get("$ref")
            && (!parts.is_empty() || own.iter().any(|(key, entry)| key != "$ref" && says(key, entry)))
        {
            let mut alone = Entries::new();
            alone.insert("$ref".to_owned(), entry.clone());
            own.shift_remove("$ref");
            parts.push(Rc::new(Node::new(node.span, Data::Map(alone))));
        }
        if parts.is_empty() || steps > DEEPEST {
            return None;
        }
        if let [only] = &parts[..]
            && !own.iter().any(|(key, entry)| says(key, entry))
        {
            // Only described anew, or called `nullable`.
            let mut entries = only.map()?.clone();
            entries.extend(own);
            let node = Rc::new(Node::new(node.span, Data::Map(entries)));
            return Some(self.together(&node, steps + 1).unwrap_or(node));
        }
        let mut merged = Entries::new();
        for part in &parts {
            let part = self.followed(part, steps + 1)?;
            merged = self.merged(merged, part.map()?, steps + 1)?;
        }
        let (described, own): (Entries, Entries) = own.into_iter().partition(|(key, _)| is_annotation(key));
        let own = Rc::new(Node::new(node.span, Data::Map(own)));
        let mut merged = self.merged(merged, self.followed(&own, steps + 1)?.map()?, steps + 1)?;
        merged.extend(described);
        Some(Rc::new(Node::new(node.span, Data::Map(merged))))
    }

    /// What a part of an `allOf` is, without references or parts of its own.
    fn followed(&self, node: &Rc<Node>, steps: usize) -> Option<Rc<Node>> {
        if steps > DEEPEST {
            return None;
        }
        let whole = self.together(node, steps).unwrap_or_else(|| Rc::clone(node));
        let entries = whole.map()?;
        if entries.contains_key("allOf") {
            return None;
        }
        match entries.get("$ref").and_then(|entry| entry.value.text()) {
            Some(pointer) => {
                let name = pointer.strip_prefix("#/schemas/")?.replace("~1", "/").replace("~0", "~");
                self.followed(&self.schemas.get(&name)?.value, steps + 1)
            }
            None => Some(with_null(&whole)),
        }
    }

    /// Both at once; `None` where one schema cannot say that.
    fn merged(&self, mut one: Entries, other: &Entries, steps: usize) -> Option<Entries> {
        if closes_out(&one, other) || closes_out(other, &one) || steps > DEEPEST {
            return None;
        }
        for (key, theirs) in other {
            let Some(mine) = one.get(key) else {
                one.insert(key.clone(), theirs.clone());
                continue;
            };
            let both = match (key.as_str(), &mine.value.data, &theirs.value.data) {
                _ if is_annotation(key) => theirs.value.data.clone(),
                ("type", ..) => common_types(&mine.value, &theirs.value)?,
                ("properties", Data::Map(first), Data::Map(second)) => {
                    let mut all = first.clone();
                    for (name, entry) in second {
                        let value = match all.get(name) {
                            Some(known) => self.both(&known.value, &entry.value, steps + 1)?,
                            None => Rc::clone(&entry.value),
                        };
                        all.insert(name.clone(), Entry { key: entry.key, value });
                    }
                    Data::Map(all)
                }
                ("required", Data::List(first), Data::List(second)) => {
                    let mut all = first.clone();
                    all.extend(second.iter().filter(|name| !first.iter().any(|known| same(known, name))).cloned());
                    Data::List(all)
                }
                ("enum", Data::List(first), Data::List(second)) => {
                    let common: Vec<_> =
                        first.iter().filter(|value| second.iter().any(|other| same(value, other))).cloned().collect();
                    (!common.is_empty()).then_some(Data::List(common))?
                }
                ("items" | "additionalProperties", Data::Map(_), Data::Map(_)) => {
                    self.both(&mine.value, &theirs.value, steps + 1)?.data.clone()
                }
                ("additionalProperties", Data::Bool(true), data) => data.clone(),
                ("additionalProperties", data, Data::Bool(true)) => data.clone(),
                (least, Data::Number(a), Data::Number(b)) if LEAST.contains(&least) => {
                    Data::Number(if a.as_f64() >= b.as_f64() { a.clone() } else { b.clone() })
                }
                (most, Data::Number(a), Data::Number(b)) if MOST.contains(&most) => {
                    Data::Number(if a.as_f64() <= b.as_f64() { a.clone() } else { b.clone() })
                }
                _ if same(&mine.value, &theirs.value) => continue,
                _ => return None,
            };
            // A property of another file says that the object is open, so its place is kept.
            let at = if mine.key.file == self.own_file { theirs.key } else { mine.key };
            one.insert(key.clone(), Entry { key: at, value: Rc::new(Node::new(theirs.value.span, both)) });
        }
        Some(one)
    }

    fn both(&self, one: &Rc<Node>, other: &Rc<Node>, steps: usize) -> Option<Rc<Node>> {
        if same(one, other) {
            return Some(Rc::clone(other));
        }
        let parts = Rc::new(Node::new(other.span, Data::List(vec![Rc::clone(one), Rc::clone(other)])));
        let mut all = Entries::new();
        all.insert("allOf".to_owned(), Entry { key: other.span, value: parts });
        self.together(&Rc::new(Node::new(other.span, Data::Map(all))), steps)
    }
}

const LEAST: &[&str] = &["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const MOST: &[&str] = &["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/// Whether a keyword says anything beyond what an annotation, or `nullable`, does.
fn says(key: &str, entry: &Entry) -> bool {
    !is_annotation(key) && key != "nullable" && !matches!(entry.value.data, Data::Null)
}

/// Whether a schema refuses keys that another one names.
fn closes_out(one: &Entries, other: &Entries) -> bool {
    let closed = one.get("additionalProperties").is_some_and(|entry| !matches!(entry.value.data, Data::Bool(true)));
    let names = |entries: &Entries| entries.get("properties").and_then(|entry| entry.value.map().cloned());
    let known = names(one).unwrap_or_default();
    closed && names(other).is_some_and(|names| names.keys().any(|name| !known.contains_key(name)))
}

fn same(one: &Node, other: &Node) -> bool {
    one.to_json() == other.to_json()
}

/// The names that `required` lists, and where.
pub fn required(entries: &Entries) -> Vec<(String, Span)> {
    match entries.get("required").map(|entry| &entry.value.data) {
        Some(Data::List(names)) => names.iter().filter_map(|name| Some((name.text()?.to_owned(), name.span))).collect(),
        _ => Vec::new(),
    }
}

/// The names of a `type`, one or several.
pub fn type_names(node: &Node) -> Vec<&str> {
    match &node.data {
        Data::Text(name) => vec![name],
        Data::List(names) => names.iter().filter_map(|name| name.text()).collect(),
        _ => Vec::new(),
    }
}

/// Leaves out of an `enum` what is of none of the types beside it, unless nothing would be left.
fn of_its_types(entries: &mut Entries) {
    let Some(of) = entries.get("type") else { return };
    let kinds: Vec<String> = type_names(&of.value).into_iter().map(str::to_owned).collect();
    if let Some(entry) = entries.get_mut("enum")
        && let Data::List(values) = &entry.value.data
    {
        let fits = |value: &&Rc<Node>| kinds.iter().any(|kind| has_type(kind, &value.to_json()));
        let values: Vec<_> = values.iter().filter(fits).cloned().collect();
        if !values.is_empty() {
            entry.value = Rc::new(Node::new(entry.value.span, Data::List(values)));
        }
    }
}

/// The types that two `type`s have in common; an integer is a number.
fn common_types(one: &Node, other: &Node) -> Option<Data> {
    let (first, second) = (type_names(one), type_names(other));
    let common: Vec<&str> = first
        .iter()
        .filter_map(|name| match *name {
            "number" if !second.contains(&"number") && second.contains(&"integer") => Some("integer"),
            "integer" if second.contains(&"number") || second.contains(&"integer") => Some("integer"),
            name => second.contains(&name).then_some(name),
        })
        .collect();
    match common[..] {
        [] => None,
        [only] => Some(Data::Text(only.to_owned())),
        _ => Some(Data::List(
            common.into_iter().map(|name| Rc::new(Node::new(other.span, Data::Text(name.to_owned())))).collect(),
        )),
    }
}

/// The schema with OpenAPI 3.0's `nullable` and flags `exclusiveMinimum`, `exclusiveMaximum` in JSON Schema's words, and
/// with an object's keys apart from other types that it may be.
fn with_null(node: &Rc<Node>) -> Rc<Node> {
    let Some(entries) = node.map() else { return Rc::clone(node) };
    let mut entries = entries.clone();
    for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(Entry { value, .. }) = entries.get(flag)
            && let Data::Bool(exclusive) = value.data
        {
            entries.shift_remove(flag);
            if exclusive && let Some(entry) = entries.shift_remove(limit) {
                entries.insert(flag.to_owned(), entry);
            }
        }
    }
    let nullable = entries.shift_remove("nullable").is_some_and(|entry| matches!(entry.value.data, Data::Bool(true)));
    let at = node.span;
    let text = |name: &str| Rc::new(Node::new(at, Data::Text(name.to_owned())));
    if nullable
        && let Some(entry) = entries.get_mut("type")
        && !type_names(&entry.value).contains(&"null")
    {
        let names = type_names(&entry.value).into_iter().chain(["null"]).map(text).collect();
        entry.value = Rc::new(Node::new(entry.value.span, Data::List(names)));
    }
    if let Some(entry) = entries.get_mut("enum")
        && nullable
        && let Data::List(values) = &entry.value.data
        && !values.iter().any(|value| matches!(value.data, Data::Null))
    {
        let values = values.iter().cloned().chain([Rc::new(Node::new(at, Data::Null))]).collect();
        entry.value = Rc::new(Node::new(entry.value.span, Data::List(values)));
    }
    let kinds: Vec<String> = entries
        .get("type")
        .map_or(Vec::new(), |entry| type_names(&entry.value).into_iter().map(str::to_owned).collect());
    let mixed = kinds.len() > 1
        && kinds.iter().any(|kind| kind == "object")
        && ["properties", "required", "additionalProperties"].iter().any(|key| entries.contains_key(*key));
    let wraps = nullable && ["$ref", "anyOf", "oneOf", "const"].iter().any(|key| entries.contains_key(*key));
    let implied = nullable && !entries.contains_key("type") && entries.contains_key("properties");
    if !mixed && !wraps && !implied {
        return Rc::new(Node::new(at, Data::Map(entries)));
    }
    let (mut outside, mut rest): (Entries, Entries) = entries.into_iter().partition(|(key, _)| is_annotation(key));
    let mut choices = Vec::new();
    let typed = |name: &str, from: &Entries| {
        let mut entries = from.clone();
        entries.insert("type".to_owned(), Entry { key: at, value: text(name) });
        Rc::new(Node::new(at, Data::Map(entries)))
    };
    let others: Vec<&String> = if mixed { kinds.iter().filter(|kind| *kind != "object").collect() } else { Vec::new() };
    if mixed {
        choices.push(typed("object", &rest));
        for key in ["properties", "required", "additionalProperties", "minProperties", "maxProperties"] {
            rest.shift_remove(key);
        }
        choices.extend(others.iter().filter(|kind| **kind != "null").map(|kind| typed(kind, &rest)));
    } else {
        choices.push(Rc::new(Node::new(at, Data::Map(rest))));
    }
    if nullable || others.iter().any(|kind| *kind == "null") {
        choices.push(typed("null", &Entries::new()));
    }
    outside.insert("anyOf".to_owned(), Entry { key: at, value: Rc::new(Node::new(at, Data::List(choices))) });
    Rc::new(Node::new(at, Data::Map(outside)))
}
