//! What does a configuration say once every `$ref` is replaced by what it stands for?

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use dfm_diag::{Diagnostic, Span};

use crate::documents::{Documents, is_url};
use crate::fields::meant;
use crate::names::is_name;
use crate::tree::{Data, Entries, Entry, MAX_DEPTH, MAX_NODES, MAX_TEXT, Node, too_deep, too_much_text};

/// A place that a reference can name: a file and a JSON pointer in it.
type Place = (u32, String);

/// The references followed to get somewhere: what each leads to, and where it is written.
type Chain = Vec<Link>;

/// One of them.
struct Link {
    place: Place,
    span: Span,
    /// How many keys deep in what is written out it was met.
    keys: usize,
}

/// Writes out the references of a whole document. A reference to one of the federation's `schemas` stays, in the form
/// `{"$ref": "#/schemas/<name>"}`, so that schemas can speak of each other. Faults go to the documents.
pub fn expand_root(documents: &mut Documents, file: u32) -> Rc<Node> {
    let mut expander = Expander {
        documents,
        schemas: HashMap::new(),
        written_out: HashMap::new(),
        taken_in: HashMap::new(),
        missing: HashSet::new(),
        nodes: 0,
        text: 0,
        too_much: false,
        chain: Chain::new(),
        keys: Vec::new(),
        recursive: Vec::new(),
    };
    let root = expander.documents.tree(file);
    if root.map().is_none() {
        return root;
    }
    let top = expander.shallow(&root, &(file, String::new()));
    let schemas = top.get("schemas").map(|(entry, place)| expander.shallow(&entry.value, place)).unwrap_or_default();
    expander.name_schemas(file, &schemas);
    let mut entries = Entries::new();
    for (key, (Entry { key: span, value }, _)) in top {
        let value = if key == "schemas" && value.map().is_some() {
            let mut definitions = Entries::new();
            for (name, (entry, _)) in &schemas {
                let value = expander.definition(&entry.value, name);
                definitions.insert(name.clone(), Entry { key: entry.key, value });
            }
            Rc::new(Node::new(value.span, Data::Map(definitions)))
        } else {
            expander.expand(&value, 0)
        };
        entries.insert(key, Entry { key: span, value });
    }
    let mut more = Entries::new();
    while more.len() < expander.recursive.len() {
        let (place, name, span) = expander.recursive[more.len()].clone();
        let value = expander.find(&place, span).map_or_else(|| unknown(span), |node| expander.definition(&node, &name));
        more.insert(name, Entry { key: span, value });
    }
    if !more.is_empty() {
        let written = entries.get("schemas");
        let key = written.map_or(root.span, |entry| entry.key);
        let all = written.and_then(|entry| entry.value.map().cloned()).into_iter().flatten().chain(more).collect();
        entries.insert("schemas".to_owned(), Entry { key, value: Rc::new(Node::new(key, Data::Map(all))) });
    }
    Rc::new(Node::new(root.span, Data::Map(entries)))
}

struct Expander<'d> {
    documents: &'d mut Documents,
    /// Where the federation's schemas are defined, with the names they are known by.
    schemas: HashMap<Place, String>,
    /// What each place that was referred to stands for: however many lead there, the work is done once.
    written_out: HashMap<Place, Rc<Node>>,
    /// The same for dictionaries whose values were left as they are.
    taken_in: HashMap<Place, Rc<Shallow>>,
    /// What was looked for in vain, and by which reference, which has been told.
    missing: HashSet<(Place, Span)>,
    /// How many values have been written out, and references followed.
    nodes: usize,
    /// How many bytes of text.
    text: usize,
    /// Whether that there are too many has been told.
    too_much: bool,
    chain: Chain,
    /// The keys on the way to what is being written out.
    keys: Vec<String>,
    /// Schemas that speak of themselves and have no name in the federation's: where each is, the name it gets, and the
    /// reference that showed it.
    recursive: Vec<(Place, String, Span)>,
}

/// Where schemas lie in schemas, so that one may speak of itself there.
const WAYS: &[&str] = &["properties", "items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"];

/// What the key `$ref` of a dictionary says; `None` where there is none, or where it is an ordinary key.
enum Reference<'n> {
    /// The dictionary stands for one object.
    One(&'n str, Span),
    /// The dictionary takes in the entries of others.
    Many(Vec<(&'n str, Span)>),
}

fn reference(entries: &Entries) -> Option<Reference<'_>> {
    let value = &entries.get("$ref")?.value;
    match &value.data {
        Data::Text(text) => Some(Reference::One(text, value.span)),
        Data::List(items) => {
            let targets: Option<Vec<_>> = items.iter().map(|item| Some((item.text()?, item.span))).collect();
            targets.map(Reference::Many)
        }
        _ => None,
    }
}

impl Expander<'_> {
    /// Remembers where the schemas are, so that a reference to one is recognised whichever way it is written.
    fn name_schemas(&mut self, root: u32, schemas: &Shallow) {
        for (name, (_, place)) in schemas {
            self.schemas.insert(place.clone(), name.clone());
            self.schemas.insert((root, format!("/schemas/{}", escaped(name))), name.clone());
        }
        for (name, (entry, _)) in schemas {
            let mut node = Rc::clone(&entry.value);
            for _ in 0..MAX_DEPTH {
                let Some(Reference::One(text, span)) = node.map().and_then(reference) else { break };
                let Some(place) = self.place(text, span) else { break };
                if self.schemas.contains_key(&place) {
                    break;
                }
                let Some(next) = self.find(&place, span) else { break };
                self.schemas.insert(place, name.clone());
                node = next;
            }
        }
    }

    /// A schema under its own name: a reference there is replaced, whatever it leads to.
    fn definition(&mut self, node: &Rc<Node>, known_as: &str) -> Rc<Node> {
        let Some(entries) = node.map() else { return self.expand(node, 0) };
        let Some(Reference::One(text, span)) = reference(entries) else { return self.expand(node, 0) };
        let Some(place) = self.place(text, span) else { return unknown(node.span) };
        if let Some(name) = self.schemas.get(&place).cloned()
            && name != known_as
            && ["properties", "required"].iter().any(|key| entries.contains_key(*key))
            && self
                .find(&place, span)
                .is_some_and(|target| target.map().is_some_and(|target| !target.contains_key("$ref")))
        {
            let own = self.own(entries, 1);
            return self.named(node, entries, own, &name, span);
        }
        let target = self.follow(&place, span, |expander, target| expander.definition(target, known_as));
        target.map_or_else(|| unknown(node.span), |target| joined(node.span, target, self.own(entries, 1)))
    }

    fn expand(&mut self, node: &Rc<Node>, depth: usize) -> Rc<Node> {
        if !node.refers {
            return self.again(node, depth, node.span);
        }
        if !self.within_limits((1, 0), depth, node.span) {
            return unknown(node.span);
        }
        let data = match &node.data {
            Data::List(items) => Data::List(items.iter().map(|item| self.expand(item, depth + 1)).collect()),
            Data::Map(entries) => match reference(entries) {
                None if !self.is_well_formed(entries) => Data::Unknown,
                None => Data::Map(self.entries(entries, depth + 1)),
                Some(Reference::One(text, span)) => return self.one(node, entries, text, span, depth),
                Some(Reference::Many(targets)) => {
                    let mut merged = Entries::new();
                    for (text, span) in targets {
                        for (key, entry) in self.merged(text, span, depth) {
                            merged.insert(key, entry);
                        }
                    }
                    merged.extend(self.own(entries, depth + 1));
                    Data::Map(merged)
                }
            },
            other => other.clone(),
        };
        Rc::new(Node::new(node.span, data))
    }

    /// Something that is already written out, if that much more may be.
    fn again(&mut self, node: &Rc<Node>, depth: usize, span: Span) -> Rc<Node> {
        if self.within_limits((node.size, node.text), depth + node.depth, span) {
            Rc::clone(node)
        } else {
            unknown(span)
        }
    }

    /// Whether so many more values and bytes of text may still be written out, so deep; that they may not is told once.
    fn within_limits(&mut self, (values, text): (usize, usize), depth: usize, span: Span) -> bool {
        self.nodes += values;
        self.text += text;
        if depth <= MAX_DEPTH && self.nodes <= MAX_NODES && self.text <= MAX_TEXT {
            return true;
        }
        if !std::mem::replace(&mut self.too_much, true) {
            self.documents.faults.push(if depth > MAX_DEPTH {
                too_deep(span, "reached through references")
            } else if self.text > MAX_TEXT {
                too_much_text(span, "repeated once more through references")
            } else {
                Diagnostic::error("config-too-large", format!("more than {MAX_NODES} values"))
                    .at(span, "reached through references")
                    .help("references multiply what they stand for, where one leads to several others")
            });
        }
        false
    }

    /// Whether a `$ref` that is no reference is at least the name of something; complains if it is not.
    fn is_well_formed(&mut self, entries: &Entries) -> bool {
        let Some(Entry { value, .. }) = entries.get("$ref") else { return true };
        if reference(entries).is_some() || value.map().is_some() {
            return true;
        }
        let fault = Diagnostic::error("config-bad-ref", "`$ref` must be a text, or a list of texts");
        self.documents.faults.push(
            fault.at(value.span, format!("this is {}", value.kind())).help("write it as in `\"file.yaml#/pointer\"`"),
        );
        false
    }

    fn entries(&mut self, entries: &Entries, depth: usize) -> Entries {
        entries.iter().map(|(key, entry)| (key.clone(), self.entry(key, entry, depth))).collect()
    }

    fn own(&mut self, entries: &Entries, depth: usize) -> Entries {
        own_entries(entries).map(|(key, entry)| (key.clone(), self.entry(key, entry, depth))).collect()
    }

    fn entry(&mut self, key: &str, entry: &Entry, depth: usize) -> Entry {
        self.keys.push(key.to_owned());
        let value = self.expand(&entry.value, depth);
        self.keys.pop();
        Entry { key: entry.key, value }
    }

    /// A reference to one of the federation's schemas, with what is written beside it.
    fn named(&self, node: &Node, entries: &Entries, own: Entries, name: &str, span: Span) -> Rc<Node> {
        let mut kept = own;
        let value = Rc::new(Node::new(span, Data::Text(format!("#/schemas/{}", escaped(name)))));
        kept.insert("$ref".to_owned(), Entry { key: entries["$ref"].key, value });
        Rc::new(Node::new(node.span, Data::Map(kept)))
    }

    /// Gives a schema of another file a name among the federation's, if this reference in it leads back to it.
    fn name_recursive(&mut self, place: &Place, span: Span) {
        if self.schemas.contains_key(place) {
            return;
        }
        let Some(first) = self.chain.iter().find(|link| link.place == *place) else { return };
        if !self.keys[first.keys..].iter().any(|key| WAYS.contains(&key.as_str())) {
            return;
        }
        let last = place.1.rsplit('/').next().unwrap_or_default();
        let mut name = if is_name(last) { last.to_owned() } else { "Recursive".to_owned() };
        while self.schemas.values().any(|other| *other == name) {
            name.push('_');
        }
        self.schemas.insert(place.clone(), name.clone());
        self.recursive.push((place.clone(), name, span));
    }

    /// A dictionary that stands for one object, with the keys of its own that win over the object's.
    fn one(&mut self, node: &Node, entries: &Entries, text: &str, span: Span, depth: usize) -> Rc<Node> {
        let own = self.own(entries, depth + 1);
        let Some(place) = self.place(text, span) else { return unknown(node.span) };
        self.name_recursive(&place, span);
        if let Some(name) = self.schemas.get(&place) {
            return self.named(node, entries, own, name, span);
        }
        let target = self.stands_for(place.clone(), span, depth + 1);
        // What it stands for may have turned out to speak of itself.
        if let Some(name) = self.schemas.get(&place) {
            return self.named(node, entries, own, name, span);
        }
        target.map_or_else(|| unknown(node.span), |target| joined(node.span, target, own))
    }

    /// The entries of a dictionary that is to be taken in.
    fn merged(&mut self, text: &str, span: Span, depth: usize) -> Entries {
        let Some(place) = self.place(text, span) else { return Entries::new() };
        let Some(target) = self.stands_for(place, span, depth + 1) else { return Entries::new() };
        match &target.data {
            Data::Map(entries) => entries.clone(),
            Data::Null | Data::Unknown => Entries::new(),
            _ => {
                self.documents.faults.push(
                    Diagnostic::error("config-bad-ref", "only a dictionary can be merged")
                        .at(span, format!("this leads to {}", target.kind()))
                        .related(target.span, "here"),
                );
                Entries::new()
            }
        }
    }

    /// What is at a place that is referred to, written out.
    fn stands_for(&mut self, place: Place, span: Span, depth: usize) -> Option<Rc<Node>> {
        if let Some(known) = self.written_out.get(&place).cloned() {
            return Some(self.again(&known, depth, span));
        }
        let node = self.follow(&place, span, |expander, target| expander.expand(target, depth))?;
        self.written_out.insert(place, Rc::clone(&node));
        Some(node)
    }

    /// Goes to what a reference leads to and does something there; not twice on one way, for that would never end.
    fn follow<T>(&mut self, place: &Place, span: Span, work: impl FnOnce(&mut Self, &Rc<Node>) -> T) -> Option<T> {
        if !self.enter(place, span) {
            return None;
        }
        let target = self.find(place, span);
        let result = target.map(|target| work(self, &target));
        self.chain.pop();
        result
    }

    /// Adds a step to the chain, unless that closes a circle, which is reported.
    fn enter(&mut self, place: &Place, span: Span) -> bool {
        if !self.within_limits((1, 0), self.chain.len(), span) {
            return false;
        }
        let Some(start) = self.chain.iter().position(|link| link.place == *place) else {
            self.chain.push(Link { place: place.clone(), span, keys: self.keys.len() });
            return true;
        };
        let circle = &self.chain[start..];
        let shown: Vec<String> =
            circle.iter().map(|link| &link.place).chain([place]).map(|place| self.shown(place)).collect();
        let mut fault =
            Diagnostic::error("config-ref-cycle", format!("references go in a circle: {}", shown.join(" -> ")))
                .at(span, "this leads back");
        for link in circle.iter().skip(1) {
            fault = fault.related(link.span, "by way of this");
        }
        self.documents.faults.push(fault.help("replace one of them by what it should stand for"));
        false
    }

    fn shown(&self, (file, pointer): &Place) -> String {
        format!("{}#{pointer}", self.documents.sources.name(*file))
    }

    /// What a reference's text names; `None`, with a report, for one that names nothing.
    fn place(&mut self, text: &str, span: Span) -> Option<Place> {
        if is_url(text) && !self.documents.takes_urls() {
            self.documents.faults.push(
                Diagnostic::error(
                    "config-url-ref",
                    format!("`{text}` is a URL, and dfm reads no configuration from the network unasked"),
                )
                .at(span, "a path was expected")
                .help("save what is there as a file beside this one, or allow it with `--allow-url-refs`"),
            );
            return None;
        }
        let (path, pointer) = text.split_once('#').unwrap_or((text, ""));
        if !pointer.is_empty() && !pointer.starts_with('/') {
            self.documents.faults.push(
                Diagnostic::error("config-bad-ref", format!("`{pointer}` is not a JSON pointer"))
                    .at(span, "a pointer begins with `/`")
                    .help(format!("write `{path}#/{pointer}`")),
            );
            return None;
        }
        let file = if path.is_empty() {
            span.file
        } else {
            let path = if is_url(path) { path.into() } else { self.documents.led_to(path, span) };
            self.documents.open(&path, "the referenced file", Some(span))?
        };
        Some((file, pointer.to_owned()))
    }

    /// What is at a place, references on the way followed, but not one at its end.
    fn find(&mut self, place: &Place, from: Span) -> Option<Rc<Node>> {
        let search = (place.clone(), from);
        if self.missing.contains(&search) {
            return None;
        }
        let found = self.search(place, from);
        if found.is_none() {
            self.missing.insert(search);
        }
        found
    }

    fn search(&mut self, place: &Place, from: Span) -> Option<Rc<Node>> {
        let tree = self.documents.tree(place.0);
        let mut node = &tree;
        let tokens: Vec<&str> = place.1.split('/').skip(1).collect();
        for (index, token) in tokens.iter().enumerate() {
            let name = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Map(entries) => match (entries.get(&name), reference(entries)) {
                    (Some(entry), _) => Some(&entry.value),
                    (None, Some(reference)) => {
                        let rest: String = tokens[index..].iter().map(|token| format!("/{token}")).collect();
                        return self.find_beyond(reference, &rest, from);
                    }
                    (None, None) => None,
                },
                Data::List(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
                _ => None,
            };
            let Some(next) = next else {
                let before: String = tokens[..index].iter().map(|token| format!("/{token}")).collect();
                let inside = self.shown(&(place.0, before));
                let mut fault = Diagnostic::error("config-bad-ref", format!("`{inside}` has no `{name}`"))
                    .at(from, "this leads nowhere");
                let names = node.map().into_iter().flat_map(Entries::keys).map(String::as_str);
                if let Some(near) = meant(&name, names, &self.documents.faults) {
                    fault = fault.help(format!("did you mean `{near}`?"));
                }
                self.documents.faults.push(fault);
                return None;
            };
            node = next;
        }
        Some(Rc::clone(node))
    }

    /// What is under a pointer in that which a reference stands for.
    fn find_beyond(&mut self, reference: Reference<'_>, rest: &str, from: Span) -> Option<Rc<Node>> {
        let targets = match reference {
            Reference::One(text, span) => vec![(text, span)],
            Reference::Many(targets) => targets,
        };
        let before = self.documents.faults.len();
        for (text, span) in targets.iter().rev() {
            let Some((file, pointer)) = self.place(text, *span) else { continue };
            let place = (file, pointer + rest);
            // Such pointers can grow at each step, and all of them can be different.
            if !self.within_limits((place.1.len(), 0), self.chain.len(), *span) || !self.enter(&place, *span) {
                return None;
            }
            let found = self.find(&place, from);
            self.chain.pop();
            if found.is_some() {
                // That the others do not have it is no fault then.
                let told = self.documents.faults.split_off(before);
                self.documents.faults.extend(told.into_iter().filter(|fault| fault.span != Some(from)));
                return found;
            }
        }
        None
    }

    /// What [`Self::shallow`] makes of a place that is referred to.
    fn takes_in(&mut self, place: Place, span: Span) -> Option<Rc<Shallow>> {
        let entries = if let Some(known) = self.taken_in.get(&place) {
            Rc::clone(known)
        } else {
            let entries = Rc::new(self.follow(&place, span, |expander, target| expander.shallow(target, &place))?);
            self.taken_in.insert(place, Rc::clone(&entries));
            entries
        };
        let text = entries.iter().map(|(key, (entry, _))| key.len() + entry.value.text).sum();
        self.within_limits((entries.len(), text), 0, span).then_some(entries)
    }

    /// The entries of a dictionary with those that its references bring, and where each is written; values untouched.
    fn shallow(&mut self, node: &Node, place: &Place) -> Shallow {
        let mut result = Shallow::new();
        let Some(entries) = node.map() else { return result };
        let well_formed = self.is_well_formed(entries);
        let targets = match reference(entries) {
            None => Vec::new(),
            Some(Reference::One(text, span)) => vec![(text, span)],
            Some(Reference::Many(targets)) => targets,
        };
        for (text, span) in &targets {
            let Some(found) = self.place(text, *span).and_then(|place| self.takes_in(place, *span)) else { continue };
            for (key, value) in &*found {
                result.insert(key.clone(), value.clone());
            }
        }
        for (key, entry) in entries.iter().filter(|(key, _)| (targets.is_empty() && well_formed) || *key != "$ref") {
            let place = (place.0, format!("{}/{}", place.1, escaped(key)));
            result.insert(key.clone(), (entry.clone(), place));
        }
        result
    }
}

type Shallow = indexmap::IndexMap<String, (Entry, Place)>;

fn own_entries(entries: &Entries) -> impl Iterator<Item = (&String, &Entry)> {
    entries.iter().filter(|(key, _)| *key != "$ref")
}

fn joined(span: Span, target: Rc<Node>, own: Entries) -> Rc<Node> {
    match &target.data {
        // Schemas of objects say what both say.
        Data::Map(entries)
            if entries.contains_key("properties")
                && ["properties", "required"].iter().any(|key| own.contains_key(*key)) =>
        {
            let parts = Data::List(vec![target, Rc::new(Node::new(span, Data::Map(own)))]);
            let both = Entry { key: span, value: Rc::new(Node::new(span, parts)) };
            Rc::new(Node::new(span, Data::Map(Entries::from_iter([("allOf".to_owned(), both)]))))
        }
        Data::Map(entries) if !own.is_empty() => {
            let entries = entries.clone().into_iter().chain(own).collect();
            Rc::new(Node::new(span, Data::Map(entries)))
        }
        _ => target,
    }
}

fn unknown(span: Span) -> Rc<Node> {
    Rc::new(Node::new(span, Data::Unknown))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
