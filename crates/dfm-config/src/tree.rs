//! What does a YAML text say, and where is each piece of it?

use std::collections::HashMap;
use std::rc::Rc;

use dfm_diag::{Diagnostic, Span};
use indexmap::IndexMap;
use indexmap::map::Entry as Slot;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::not_yaml::not_yaml;
use crate::scalar::{refuse_tag, scalar};
use crate::unquoted;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub span: Span,
    /// What.
    pub data: Data,
    /// How many values it is made of, itself included.
    pub size: usize,
    /// How many bytes of text are in it, keys included.
    pub text: usize,
    /// How many levels of lists and dictionaries it has.
    pub depth: usize,
    /// Whether a `$ref` stands anywhere in it.
    pub refers: bool,
}

/// What a text can say.
#[derive(Clone, Debug)]
pub enum Data {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that JSON has too.
    Number(Number),
    /// A text.
    Text(String),
    /// A list. Its items are shared by all that aliases and references made of it.
    List(Vec<Rc<Node>>),
    /// A dictionary.
    Map(Entries),
    /// What a broken reference stands for, which has been complained about.
    Unknown,
}

/// The entries of a dictionary in the order of the file.
pub type Entries = IndexMap<String, Entry>;

/// One entry of a dictionary.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where its key was written.
    pub key: Span,
    /// Its value.
    pub value: Rc<Node>,
}

/// Deeper nesting is not meant for people, and would exhaust the stack of whoever walks the tree.
pub const MAX_DEPTH: usize = 100;

/// More values than this come only from aliases or references that multiply.
pub const MAX_NODES: usize = 1_000_000;

/// More text than this, in bytes, comes only from aliases or references that repeat long ones.
pub const MAX_TEXT: usize = 32 << 20;

impl Node {
    /// A value at a place.
    pub fn new(span: Span, data: Data) -> Self {
        let depth = usize::from(matches!(data, Data::List(_) | Data::Map(_)));
        let mut node = Self { span, data, size: 1, text: 0, depth, refers: false };
        let mut contain = |inner: &Self| {
            node.size += inner.size;
            node.text += inner.text;
            node.depth = node.depth.max(inner.depth + 1);
            node.refers |= inner.refers;
        };
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| contain(item)),
            Data::Map(entries) => {
                entries.values().for_each(|entry| contain(&entry.value));
                node.text += entries.keys().map(String::len).sum::<usize>();
                node.refers |= entries.contains_key("$ref");
            }
            Data::Text(text) => node.text = text.len(),
            _ => {}
        }
        node
    }

    /// Its entries, when it is a dictionary.
    pub fn map(&self) -> Option<&Entries> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Its text, when it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is there, or nothing that is known.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null | Data::Unknown)
    }

    /// The same without places.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null | Data::Unknown => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(|item| item.to_json()).collect()),
            Data::Map(entries) => Value::Object(to_json_map(entries)),
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a dictionary",
            Data::Unknown => "unknown",
        }
    }
}

/// A dictionary without places.
pub fn to_json_map(entries: &Entries) -> Map<String, Value> {
    entries.iter().map(|(key, entry)| (key.clone(), entry.value.to_json())).collect()
}

/// Reads a text that has been given the number `file`: what it says, if it says anything, and what is wrong with it.
pub fn parse(text: &str, file: u32) -> (Option<Node>, Vec<Diagnostic>) {
    let unquoted = unquoted::find(text, file);
    let mut builder = Builder { offsets: Offsets::new(text), file, unquoted, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        let fault = match event {
            Ok((event, span)) => {
                let span = builder.offsets.span(file, span);
                builder.take(event, span).err()
            }
            Err(error) => Some(not_yaml(error.info(), text, file, builder.offsets.byte(error.marker().index()))),
        };
        if let Some(fault) = fault {
            builder.faults.push(fault);
            break;
        }
    }
    builder.faults.extend(builder.unquoted.into_iter().map(|span| unquoted::fault(span, text)));
    (builder.root.map(Rc::unwrap_or_clone), builder.faults)
}

/// That a text nests too deep.
pub fn too_deep(span: Span, label: &str) -> Diagnostic {
    Diagnostic::error("config-too-deep", format!("more than {MAX_DEPTH} levels of nesting")).at(span, label)
}

/// That a text multiplies.
pub fn too_much_text(span: Span, label: &str) -> Diagnostic {
    let message = format!("more than {} MB of text that is repeated", MAX_TEXT >> 20);
    Diagnostic::error("config-too-large", message).at(span, label).help("shorten what it stands for")
}

/// The parser counts characters; spans count bytes.
#[derive(Default)]
struct Offsets<'t> {
    text: &'t str,
    bytes: Option<Vec<usize>>,
}

impl<'t> Offsets<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect()) }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = match &self.bytes {
            Some(bytes) => bytes.get(character).copied(),
            None => Some(character),
        };
        byte.unwrap_or(self.text.len()).min(self.text.len())
    }

    fn span(&self, file: u32, span: saphyr_parser::Span) -> Span {
        Span { file, start: self.byte(span.start.index()), end: self.byte(span.end.index()) }
    }
}

#[derive(Default)]
struct Builder<'t> {
    offsets: Offsets<'t>,
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    /// How many bytes of text aliases have repeated.
    repeated: usize,
    documents: usize,
    root: Option<Rc<Node>>,
    faults: Vec<Diagnostic>,
    /// What looks like a reference that is a comment, unless it turns out to be in a text.
    unquoted: Vec<Span>,
}

/// A list or dictionary whose end has not been seen.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Entries,
        key: Option<(String, Span)>,
        merged: Vec<Rc<Node>>,
    },
    /// A dictionary or list used as a key: already complained about, read to its end.
    Key,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::error("config-not-yaml", "a second document begins here")
                        .at(span, "")
                        .help("a configuration is one document: remove this `---`, or use a file for each"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.unquoted.retain(|one| one.start < span.start || span.end <= one.start);
                if self.awaits_key() {
                    self.remember(anchor, &Rc::new(Node::new(span, Data::Text(text.to_string()))));
                    self.begin_entry(text.into_owned(), span);
                } else {
                    let data = scalar(&text, style, tag.as_deref(), span)?;
                    let left_out = text.is_empty() && style == ScalarStyle::Plain;
                    let span = self.visible(span, left_out);
                    self.finish(Rc::new(Node::new(span, data)), anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Diagnostic::error("config-not-yaml", "an alias stands inside its own anchor")
                        .at(span, "this would never end"));
                };
                self.repeated += node.text;
                if self.repeated > MAX_TEXT {
                    return Err(too_much_text(span, "repeated once more by this alias"));
                }
                if self.awaits_key() {
                    let text = node.text().unwrap_or_default().to_owned();
                    self.begin_entry(text, span);
                } else {
                    if self.open.len() + node.depth > MAX_DEPTH {
                        return Err(too_deep(span, "reached through an alias"));
                    }
                    self.nodes += node.size;
                    let whole = matches!(node.data, Data::Map(_) | Data::List(_));
                    let node = if whole { node } else { Rc::new(Node::new(span, node.data.clone())) };
                    self.finish(node, 0)?;
                }
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", span)?;
                self.begin(Content::List(Vec::new()), anchor, span)?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", span)?;
                let content = Content::Map { entries: Entries::new(), key: None, merged: Vec::new() };
                self.begin(content, anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    /// A value that was left out is shown by its key.
    fn visible(&self, span: Span, empty: bool) -> Span {
        match self.open.last() {
            Some(Open { content: Content::Map { key: Some((_, key)), .. }, .. }) if empty => *key,
            _ => span,
        }
    }

    fn begin_entry(&mut self, text: String, span: Span) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some((text, span));
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(span, "one level too many"));
        }
        let content = if self.awaits_key() {
            self.faults.push(
                Diagnostic::error("config-not-yaml", "a key must be a text").at(span, "this is a list or a dictionary"),
            );
            Content::Key
        } else {
            content
        };
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(Open { mut span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let last = match &content {
            Content::List(items) => items.last().map(|item| item.span),
            Content::Map { entries, .. } => entries.values().map(|entry| entry.value.span).max_by_key(|span| span.end),
            Content::Key => None,
        };
        // Only a bracket is a visible end, and the parser counts the comment after it as part of it.
        let visible = (end.end > end.start).then_some(end.start + 1);
        let last = last.filter(|last| last.file == self.file).map(|last| last.end);
        span.end = visible.or(last).unwrap_or(span.end).max(span.start);
        let data = match content {
            Content::List(items) => Data::List(items),
            Content::Map { entries, merged, .. } => Data::Map(self.merge(entries, &merged)),
            Content::Key => {
                self.begin_entry(String::new(), span);
                return Ok(());
            }
        };
        self.finish(Rc::new(Node::new(span, data)), anchor)
    }

    /// Adds what the key `<<` brought; own keys win, then earlier ones.
    fn merge(&mut self, mut entries: Entries, merged: &[Rc<Node>]) -> Entries {
        for node in merged {
            match &node.data {
                Data::Map(others) => {
                    for (key, entry) in others {
                        entries.entry(key.clone()).or_insert_with(|| entry.clone());
                    }
                }
                Data::List(nodes) => entries = self.merge(entries, nodes),
                _ => self.faults.push(
                    Diagnostic::error("config-not-yaml", "`<<` merges dictionaries")
                        .at(node.span, format!("this is {}", node.kind())),
                ),
            }
        }
        entries
    }

    fn remember(&mut self, anchor: usize, node: &Rc<Node>) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(node));
        }
    }

    fn finish(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error("config-too-large", format!("more than {MAX_NODES} values"))
                .at(node.span, "aliases multiply what they stand for"));
        }
        self.remember(anchor, &node);
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Key) => {}
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merged }) => {
                let Some((name, span)) = key.take() else { return Ok(()) };
                if name == "<<" {
                    merged.push(node);
                    return Ok(());
                }
                match entries.entry(name) {
                    Slot::Vacant(slot) => drop(slot.insert(Entry { key: span, value: node })),
                    Slot::Occupied(slot) => self.faults.push(
                        Diagnostic::error("config-duplicate-key", format!("the key `{}` is there twice", slot.key()))
                            .at(span, "again here")
                            .related(slot.get().key, "first here")
                            .help("remove one of them"),
                    ),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        let (root, faults) = parse(text, 0);
        assert_eq!(faults, []);
        root.unwrap().to_json()
    }

    fn codes(text: &str) -> Vec<(&'static str, usize)> {
        let (_, faults) = parse(text, 0);
        faults.iter().map(|fault| (fault.code, fault.span.unwrap().start)).collect()
    }

    #[test]
    fn values_mean_what_the_core_schema_says() {
        let text =
            "a: 1\nb: [1.5, 1e6, 0x10, -3, 18446744073709551615]\nc: 'no'\nd: yes\ne:\nf: 1.0.0\ng: .5\nh: !!str 1\n";
        assert_eq!(
            json(text),
            serde_json::json!({"a": 1, "b": [1.5, 1e6, 16, -3, 18446744073709551615u64], "c": "no", "d": "yes",
                "e": null, "f": "1.0.0", "g": 0.5, "h": "1"})
        );
        assert!(parse("# only a comment\n", 0).0.is_none());
    }

    #[test]
    fn anchors_and_merges_are_written_out() {
        let text = "base: &b {x: 1, y: 2}\nother: &o {z: 3, x: 9}\nnew:\n  <<: [*b, *o]\n  y: 5\nsame: *b\n";
        let json = json(text);
        assert_eq!(json["new"], serde_json::json!({"y": 5, "x": 1, "z": 3}));
        assert_eq!(json["same"], serde_json::json!({"x": 1, "y": 2}));
    }

    #[test]
    fn spans_are_bytes_and_end_where_the_value_ends() {
        let text = "ä: {x: 1}\nb:\n  c: [1,\n    2]\n\n  # later\nd: 'öl'\ne:\n";
        let root = parse(text, 7).0.unwrap();
        let entries = root.map().unwrap();
        let at = |span: Span| {
            assert_eq!(span.file, 7);
            &text[span.start..span.end]
        };
        assert_eq!(at(entries["ä"].key), "ä");
        assert_eq!(at(entries["ä"].value.span), "{x: 1}");
        assert_eq!(at(entries["b"].value.span), "c: [1,\n    2]");
        assert_eq!(at(entries["d"].value.span), "'öl'");
        assert_eq!(at(entries["e"].value.span), "e");
    }

    #[test]
    fn every_duplicate_is_reported() {
        assert_eq!(codes("a: 1\na: 2\nb: {c: 1, c: 2}\n"), [("config-duplicate-key", 5), ("config-duplicate-key", 20)]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_a_panic() {
        assert_eq!(codes("a:\n\tb: 1\n")[0].0, "config-not-yaml");
        assert_eq!(codes("a: [1\nb: 2\n")[0].0, "config-not-yaml");
        assert_eq!(codes("a: 1\n---\nb: 1\n")[0].0, "config-not-yaml");
        assert_eq!(codes("a: !Foo 1\n")[0].0, "config-unknown-tag");
        assert_eq!(codes("? [1, 2]\n: 3\n")[0].0, "config-not-yaml");
        assert_eq!(codes("a: &x [*x]\n")[0].0, "config-not-yaml");
        assert_eq!(codes(&"[".repeat(200))[0].0, "config-too-deep");
        let half = "[".repeat(60) + "1" + &"]".repeat(60);
        assert_eq!(codes(&format!("a: &a {half}\nb: {}\n", half.replace('1', "*a")))[0].0, "config-too-deep");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert_eq!(codes(&bomb)[0].0, "config-too-large");
    }

    #[test]
    fn aliases_repeat_texts_up_to_a_limit() {
        let long = "x".repeat(MAX_TEXT / 4 - 1);
        let with = |times: usize, alias: &str| {
            let text = format!("a: &a {long}\nb: &b {{? {long}\n: 1}}\nc:\n");
            (text.len(), codes(&(text + &format!("  - {alias}\n").repeat(times))))
        };
        for alias in ["*a", "{*a : 1}", "*b", "{<<: *b, c: 1}", "{<<: [*b], c: 1}"] {
            assert_eq!(with(4, alias).1, [], "{alias}");
            let (before, faults) = with(5, alias);
            assert!(matches!(faults[..], [("config-too-large", start)] if start > before), "{alias}: {faults:?}");
        }
        // What is there once is as long as it likes to be, and short texts come as often.
        assert_eq!(codes(&format!("a: {}\n", long.repeat(5))), []);
        assert_eq!(codes(&format!("a: &a x\nb: [{}]\n", "*a, ".repeat(10_000))), []);
    }
}
