//! Which operations does an OpenAPI description describe, and how is each called?
//!
//! What is made of it refers to the description for every schema, so that nothing of one is copied, changed or lost.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use dfm_diag::{Diagnostic, Report, Sources, Span, nearest};
use indexmap::IndexSet;

use crate::decode_schema;
use crate::fields::{Faults, listed};
use crate::names::{self, is_identifier, is_name};
use crate::tree::{self, Data, Node};

/// What is said of the description and of what to take from it.
pub struct Request<'a> {
    /// The name of the operations' namespace, and of the provider.
    pub namespace: &'a str,
    /// The `operationId`s to take; all if empty.
    pub only: &'a [String],
    /// Where it was read from, where a relative address begins.
    pub url: Option<&'a str>,
}

/// What a description says, as far as it can be called.
#[derive(Debug, Default)]
pub struct Described {
    /// What the interface is called.
    pub title: String,
    /// Where its paths begin, if it says so.
    pub address: Option<String>,
    /// What its requests have to show.
    pub secrets: Vec<Secret>,
    /// Its operations.
    pub operations: Vec<Call>,
    /// The schemas that they speak of: the name of each here, and the JSON pointer of each in the description.
    pub schemas: Vec<(String, String)>,
}

/// A secret that goes with each request.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    /// `header` or `query`.
    pub place: &'static str,
    /// The header's or the parameter's name.
    pub name: String,
    /// What is written before the secret.
    pub before: String,
}

/// One operation.
#[derive(Debug)]
pub struct Call {
    /// `namespace.Name`.
    pub name: String,
    /// What it does, in one line.
    pub description: String,
    /// Such as `GET`.
    pub method: String,
    /// Its path, with names in braces.
    pub path: String,
    /// What it takes.
    pub parameters: Vec<Taken>,
    /// The JSON pointer of its answers' schema in the description, where they have one that can be said of a result.
    pub returns: Option<String>,
    /// Whether an answer's `Link` header leads to the next page.
    pub pages: bool,
}

/// One parameter of an operation.
#[derive(Debug)]
pub struct Taken {
    /// Its name in Python.
    pub name: String,
    /// `path`, `query`, `header` or `body`.
    pub place: &'static str,
    /// Its name in a request; a body's media type.
    pub sent_as: String,
    /// `deep` or `commas`: how a query's list or dictionary is written, where it is not one entry an item.
    pub style: Option<&'static str>,
    /// The JSON pointer of its schema in the description; `None` for bytes, of which JSON Schema has none.
    pub schema: Option<String>,
    /// What it means, in one line.
    pub description: String,
    /// Whether it has to be given.
    pub required: bool,
}

const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
/// The kinds of bodies that can be sent, by preference; whatever ends in `+json` is JSON too.
const BODIES: &[&str] = &["application/json", "application/x-www-form-urlencoded", "text/plain", PARTS, BYTES];
const BYTES: &str = "application/octet-stream";
const PARTS: &str = "multipart/form-data";
/// More steps than this from one reference to the next lead in a circle.
const MOST_STEPS: usize = 16;
/// No request shows more secrets.
const MOST_SECRETS: usize = 16;
/// No operation takes more.
const MOST_PARAMETERS: usize = 200;
/// What a description and each text of it may be long at most where it is shown, in characters.
const LONGEST: usize = 200;

/// The longest name that is made of a description's, which leaves room for a number.
const LONGEST_NAME: usize = names::LONGEST - 10;

/// Reads a description, whose text is among the sources, and says what of it is left out and why.
///
/// # Errors
/// Everything that is wrong with a description of which nothing can be taken.
pub fn openapi(file: u32, sources: Sources, request: &Request<'_>) -> Result<(Described, Report), Report> {
    let (root, mut faults) = tree::parse(sources.text(file), file);
    let described = match &root {
        Some(root) if faults.is_empty() => {
            Reader { root, request, faults: &mut faults, names: Names::default() }.read()
        }
        None if faults.is_empty() => {
            let start = Span { file, start: 0, end: 0 };
            faults.push(Diagnostic::error("openapi-empty", "the description is empty").at(start, "nothing is here"));
            None
        }
        _ => None,
    };
    faults.sort_by_key(|fault| fault.span.map(|span| span.start));
    let broken = faults.iter().any(Diagnostic::is_error);
    let report = Report { diagnostics: faults, sources };
    match described {
        Some(described) if !broken => Ok((described, report)),
        _ => Err(report),
    }
}

/// Reads the file that has a description.
///
/// # Errors
/// A file that is missing, unreadable, too large or not UTF-8.
pub fn openapi_file(path: &Path, sources: &mut Sources) -> Result<u32, Diagnostic> {
    crate::files::read(path, "the description", sources)
}

/// Adds the bytes of a description that came from elsewhere.
///
/// # Errors
/// Bytes that are not UTF-8.
pub fn openapi_bytes(name: &str, bytes: Vec<u8>, sources: &mut Sources) -> Result<u32, Diagnostic> {
    crate::files::add(name, bytes, sources)
}

/// A value of the description, and the way to it.
#[derive(Clone)]
struct Place<'n> {
    node: &'n Node,
    way: String,
    key: Span,
}

impl<'n> Place<'n> {
    fn get(&self, key: &str) -> Option<Self> {
        let entry = self.node.map()?.get(key)?;
        Some(Self { node: &entry.value, way: format!("{}/{}", self.way, escaped(key)), key: entry.key })
    }

    fn text(&self, key: &str) -> Option<&'n str> {
        self.node.map()?.get(key)?.value.text()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.node.map()?.get(key)?.value.data {
            Data::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    fn items(&self) -> Vec<Self> {
        let Data::List(items) = &self.node.data else { return Vec::new() };
        let place = |(index, node): (usize, &'n std::rc::Rc<Node>)| Self {
            node,
            way: format!("{}/{index}", self.way),
            key: node.span,
        };
        items.iter().enumerate().map(place).collect()
    }

    fn entries(&self) -> Vec<(&'n str, Self)> {
        let keys = self.node.map().into_iter().flat_map(|entries| entries.keys());
        keys.filter_map(|key| Some((key.as_str(), self.get(key)?))).collect()
    }
}

/// Why something cannot be taken, and where that stands.
struct Unfit {
    span: Span,
    label: String,
}

struct Reader<'n, 'a> {
    root: &'n Node,
    request: &'a Request<'a>,
    faults: &'a mut Faults,
    /// The names of the operations.
    names: Names,
}

impl<'n> Reader<'n, '_> {
    fn read(mut self) -> Option<Described> {
        let root = Place { node: self.root, way: String::new(), key: self.root.span };
        if !root.text("openapi").is_some_and(|version| version.starts_with("3.")) {
            let (span, what) = match root.get("swagger").or_else(|| root.get("openapi")) {
                Some(version) => (version.node.span, "another version"),
                None => (Span { end: root.node.span.start, ..root.node.span }, "has no `openapi: 3…`"),
            };
            self.faults.push(
                Diagnostic::error("openapi-wrong-version", "dfm reads descriptions of OpenAPI 3")
                    .at(span, what)
                    .help("have its tools convert it, as `swagger2openapi` does"),
            );
            return None;
        }
        let mut described =
            Described { title: one_line(root.get("info").and_then(|info| info.text("title"))), ..Default::default() };
        described.address = self.address(&root);
        if described.address.is_none() {
            let span = root.get("servers").map_or(Span { end: root.node.span.start, ..root.node.span }, |all| all.key);
            self.faults.push(
                Diagnostic::warning("openapi-no-address", "the description does not say where the interface is")
                    .at(span, "expected `servers: [{url: https://…}]`")
                    .help("what is written there is empty: write it at the provider, as `address` of its `info`"),
            );
        }
        let (mut all, mut schemes) = (Vec::new(), IndexSet::new());
        for (path, item) in root.get("paths").map(|paths| paths.entries()).unwrap_or_default() {
            let Ok(item) = self.resolved(item) else { continue };
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let id = operation.text("operationId").map_or_else(|| format!("{method} {path}"), str::to_owned);
                all.push(id.clone());
                if !self.request.only.is_empty() && !self.request.only.contains(&id) {
                    continue;
                }
                match self.call(method, path, &id, &item, &operation) {
                    Ok(call) => {
                        self.needs(&root, &operation, &mut schemes);
                        described.operations.push(call);
                    }
                    Err(unfit) => self.left_out(&format!("the operation `{id}`"), unfit),
                }
            }
        }
        for wanted in self.request.only.iter().filter(|wanted| !all.contains(wanted)) {
            let help = match nearest(wanted, all.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", listed(all.iter().take(20).map(String::as_str))),
            };
            let message = format!("the description has no operation `{wanted}`");
            self.faults.push(Diagnostic::error("openapi-unknown-operation", message).help(help));
        }
        if described.operations.is_empty() && !self.faults.iter().any(Diagnostic::is_error) {
            let span = root.get("paths").map_or(root.node.span, |paths| paths.key);
            self.faults.push(
                Diagnostic::error("openapi-no-operations", "no operation can be taken from the description")
                    .at(Span { end: span.end.min(span.start + 1), ..span }, "nothing here can be called"),
            );
        }
        described.secrets = self.secrets(&root, &schemes);
        described.schemas = self.schemas(&described.operations);
        Some(described)
    }

    /// Where its paths begin: the first server's address, with the defaults of its variables. Without one it is `/`, and
    /// what is relative begins where the description was read.
    fn address(&self, root: &Place<'n>) -> Option<String> {
        let server = root.get("servers").and_then(|servers| servers.items().into_iter().next());
        let mut address = server.as_ref().and_then(|server| server.text("url")).unwrap_or("/").to_owned();
        let variables = server.as_ref().and_then(|server| server.get("variables"));
        for (name, variable) in variables.map(|all| all.entries()).unwrap_or_default() {
            address = address.replace(&format!("{{{name}}}"), variable.text("default").unwrap_or_default());
        }
        let absolute = |address: &str| address.starts_with("http://") || address.starts_with("https://");
        let address = if absolute(&address) { address } else { relative_to(self.request.url?, &address)? };
        let address = address.trim_end_matches('/');
        address.split_once("://").filter(|(_, host)| !host.is_empty()).map(|_| address.to_owned())
    }

    fn call(
        &mut self,
        method: &str,
        path: &str,
        id: &str,
        item: &Place<'n>,
        operation: &Place<'n>,
    ) -> Result<Call, Unfit> {
        if let Some(servers) = operation.get("servers").or_else(|| item.get("servers")) {
            return Err(Unfit { span: servers.key, label: "it has a server of its own".to_owned() });
        }
        let mut given: Vec<Place<'n>> = Vec::new();
        for one in [item, operation].into_iter().filter_map(|owner| owner.get("parameters")).flat_map(|all| all.items())
        {
            let one = self.resolved(one)?;
            // What the operation says goes before what all of the path's say.
            let same = |other: &Place<'n>| ["name", "in"].iter().all(|key| one.text(key) == other.text(key));
            given.retain(|other| !same(other));
            given.push(one);
            if given.len() > MOST_PARAMETERS {
                let label = format!("it has more than {MOST_PARAMETERS} parameters");
                return Err(Unfit { span: operation.key, label });
            }
        }
        let mut parameters: Vec<Taken> = Vec::new();
        for one in &given {
            let name = one.text("name").unwrap_or_default();
            let ignored = ["accept", "content-type", "authorization"].contains(&name.to_lowercase().as_str());
            if one.text("in") == Some("header") && ignored {
                continue;
            }
            match parameter(one) {
                Ok(taken) => parameters.push(taken),
                Err(unfit) if one.flag("required") == Some(true) => return Err(unfit),
                Err(unfit) => self.left_out(&format!("the parameter `{name}` of `{id}`"), unfit),
            }
        }
        if let Some(body) = operation.get("requestBody") {
            let mut body = body_of(&self.resolved(body)?)?;
            // A schema has no word for bytes, which are a text to whoever checks it.
            if body.sent_as == PARTS && self.takes_files(body.schema.as_deref())? {
                body.schema = None;
            }
            parameters.push(body);
        }
        for name in names_in(path) {
            if !parameters.iter().any(|one| one.place == "path" && one.sent_as == name) {
                return Err(Unfit {
                    span: operation.key,
                    label: format!("it describes no parameter for `{{{name}}}`"),
                });
            }
        }
        let mut names = Names::default();
        for one in &mut parameters {
            one.name = names.unused(&python_name(&one.name));
        }
        let text = operation.text("summary").or_else(|| operation.text("description"));
        let name = self.names.unused(&class_name(id));
        let pages = self.pages(operation)?;
        let returns = self.returns(operation);
        let method = method.to_uppercase();
        let name = format!("{}.{name}", self.request.namespace);
        Ok(Call { name, description: one_line(text), method, path: path.to_owned(), parameters, returns, pages })
    }

    /// Whether one of a form's parts is a file.
    fn takes_files(&mut self, schema: Option<&str>) -> Result<bool, Unfit> {
        let Some(form) = schema.and_then(|pointer| self.at(pointer)) else { return Ok(false) };
        let parts = self.resolved(form)?.get("properties").map(|parts| parts.entries()).unwrap_or_default();
        for (_, part) in parts {
            let part = self.resolved(part)?;
            let one = match part.get("items") {
                Some(items) => self.resolved(items)?,
                None => part,
            };
            if one.text("format") == Some("binary") || one.get("contentMediaType").is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a good answer has a `Link` header.
    fn pages(&mut self, operation: &Place<'n>) -> Result<bool, Unfit> {
        let answers = operation.get("responses").map(|all| all.entries()).unwrap_or_default();
        let Some((_, answer)) = answers.into_iter().find(|(status, _)| status.starts_with('2')) else {
            return Ok(false);
        };
        let headers = self.resolved(answer)?.get("headers").map(|headers| headers.entries()).unwrap_or_default();
        Ok(headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("link")))
    }

    /// The schema of its good answers, if all of them are JSON of one schema that can be said of a result.
    fn returns(&mut self, operation: &Place<'n>) -> Option<String> {
        let answers = operation.get("responses")?.entries();
        let mut schemas = Vec::new();
        for (_, answer) in answers.into_iter().filter(|(status, _)| status.starts_with('2')) {
            let kinds = self.resolved(answer).ok()?.get("content")?.entries();
            let json =
                |(kind, _): &(&str, Place<'n>)| bare(kind) == "application/json" || bare(kind).ends_with("+json");
            if !kinds.iter().all(json) {
                return None;
            }
            for (_, kind) in kinds {
                schemas.push(kind.get("schema")?);
            }
        }
        let first = schemas.first()?;
        let same = |other: &Place<'n>| other.node.to_json() == first.node.to_json();
        (schemas.iter().all(same) && self.can_be_said(first)).then(|| first.way.clone())
    }

    /// Whether a schema, with all that it refers to, is one that a configuration may have and that says something.
    fn can_be_said(&self, schema: &Place<'n>) -> bool {
        let (mut waiting, mut seen, mut faults) = (vec![("", schema.node)], HashSet::new(), Vec::new());
        while let Some((pointer, node)) = waiting.pop() {
            let is_named = pointer.starts_with("/components/schemas/");
            decode_schema::check(node, "a schema", &mut faults);
            if node.map().is_none_or(|entries| entries.is_empty()) || faults.iter().any(Diagnostic::is_error) {
                return false;
            }
            let mut inside = vec![node];
            while let Some(node) = inside.pop() {
                match &node.data {
                    Data::List(items) => inside.extend(items.iter().map(|item| &**item)),
                    Data::Map(entries) => {
                        // What several keys say together is brought together in schemas that have a name alone.
                        if !is_named && ["allOf", "nullable"].iter().any(|key| entries.contains_key(*key)) {
                            return false;
                        }
                        inside.extend(entries.values().map(|entry| &*entry.value));
                        let Some(reference) = entries.get("$ref").and_then(|entry| entry.value.text()) else {
                            continue;
                        };
                        let pointer = reference.strip_prefix('#');
                        let Some((pointer, place)) = pointer.and_then(|pointer| Some((pointer, self.at(pointer)?)))
                        else {
                            return false;
                        };
                        waiting.extend(seen.insert(pointer).then_some((pointer, place.node)));
                    }
                    _ => {}
                }
            }
        }
        true
    }

    /// Adds the names of the schemes that an operation asks for.
    fn needs(&self, root: &Place<'n>, operation: &Place<'n>, schemes: &mut IndexSet<String>) {
        let asked = operation.get("security").or_else(|| root.get("security"));
        let ways = asked.map(|asked| asked.items()).unwrap_or_default();
        for (scheme, _) in ways.first().map(|way| way.entries()).unwrap_or_default() {
            schemes.insert(scheme.to_owned());
        }
    }

    fn secrets(&mut self, root: &Place<'n>, schemes: &IndexSet<String>) -> Vec<Secret> {
        let all = root.get("components").and_then(|parts| parts.get("securitySchemes"));
        let mut secrets: Vec<Secret> = Vec::new();
        for name in schemes.iter().take(MOST_SECRETS) {
            let Some(scheme) = all.as_ref().and_then(|all| all.get(name)) else { continue };
            let Ok(scheme) = self.resolved(scheme) else { continue };
            let header =
                |before: &str| Secret { place: "header", name: "Authorization".to_owned(), before: before.to_owned() };
            let key = scheme.text("name").unwrap_or_default().to_owned();
            let secret = match (scheme.text("type"), scheme.text("in"), scheme.text("scheme")) {
                (Some("apiKey"), Some("header"), _) => Secret { place: "header", name: key, before: String::new() },
                (Some("apiKey"), Some("query"), _) => Secret { place: "query", name: key, before: String::new() },
                (Some("apiKey"), ..) => {
                    Secret { place: "header", name: "Cookie".to_owned(), before: format!("{key}=") }
                }
                (Some("http"), _, Some(kind)) if kind.eq_ignore_ascii_case("basic") => header("Basic "),
                (Some("http" | "oauth2" | "openIdConnect"), ..) => header("Bearer "),
                _ => {
                    let label = "requests cannot show this".to_owned();
                    self.left_out(&format!("the security scheme `{name}`"), Unfit { span: scheme.key, label });
                    continue;
                }
            };
            if !secrets.iter().any(|known| known.name == secret.name) {
                secrets.push(secret);
            }
        }
        secrets
    }

    /// The named schemas that parameters and results lead to, each once.
    fn schemas(&mut self, calls: &[Call]) -> Vec<(String, String)> {
        let taken = calls.iter().flat_map(|call| &call.parameters).filter_map(|one| one.schema.as_ref());
        let pointers: HashSet<&String> = taken.chain(calls.iter().filter_map(|call| call.returns.as_ref())).collect();
        let mut waiting: Vec<&'n Node> = pointers.into_iter().filter_map(|one| Some(self.at(one)?.node)).collect();
        let (mut seen, mut names, mut found) = (HashSet::new(), Names::default(), Vec::new());
        while let Some(node) = waiting.pop() {
            match &node.data {
                Data::List(items) => waiting.extend(items.iter().map(|item| &**item)),
                Data::Map(entries) => {
                    let pointer = entries.get("$ref").and_then(|entry| entry.value.text()?.strip_prefix('#'));
                    if let Some(pointer) = pointer.filter(|pointer| seen.insert(*pointer))
                        && let Some(place) = self.at(pointer)
                    {
                        let named = pointer.strip_prefix("/components/schemas/").filter(|name| !name.contains('/'));
                        found.extend(named.map(|name| (names.unused(&class_name(name)), pointer.to_owned())));
                        waiting.push(place.node);
                    }
                    waiting.extend(entries.values().map(|entry| &*entry.value));
                }
                _ => {}
            }
        }
        found.sort();
        found
    }

    /// The value that references lead to at last.
    fn resolved(&mut self, place: Place<'n>) -> Result<Place<'n>, Unfit> {
        let mut now = place.clone();
        for _ in 0..MOST_STEPS {
            let Some(reference) = now.get("$ref") else { return Ok(now) };
            let text = reference.node.text().unwrap_or_default();
            let found = text.strip_prefix('#').and_then(|pointer| self.at(pointer));
            now = found.ok_or_else(|| Unfit {
                span: reference.node.span,
                label: if text.starts_with('#') { "nothing is there" } else { "this is in another file" }.to_owned(),
            })?;
        }
        Err(Unfit { span: place.node.span, label: "references lead in a circle".to_owned() })
    }

    /// What a JSON pointer leads to.
    fn at(&self, pointer: &str) -> Option<Place<'n>> {
        let mut node = self.root;
        let mut key = node.span;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            match &node.data {
                Data::Map(entries) => {
                    let entry = entries.get(&step)?;
                    (node, key) = (&entry.value, entry.key);
                }
                Data::List(items) => {
                    node = items.get(step.parse::<usize>().ok()?)?;
                    key = node.span;
                }
                _ => return None,
            }
        }
        Some(Place { node, way: pointer.to_owned(), key })
    }

    fn left_out(&mut self, what: &str, unfit: Unfit) {
        self.faults
            .push(Diagnostic::warning("openapi-left-out", format!("{what} is left out")).at(unfit.span, unfit.label));
    }
}

/// A parameter that can be sent.
fn parameter(one: &Place<'_>) -> Result<Taken, Unfit> {
    let unfit = |key: &str, label: String| Unfit { span: one.get(key).map_or(one.key, |found| found.node.span), label };
    let name = one.text("name").unwrap_or_default();
    let place = match one.text("in") {
        Some("path") => "path",
        Some("query") => "query",
        Some("header") => "header",
        other => return Err(unfit("in", format!("dfm sends none in `{}`", other.unwrap_or_default()))),
    };
    let usual = if place == "query" { "form" } else { "simple" };
    let style = match (one.text("style").unwrap_or(usual), one.flag("explode")) {
        ("deepObject", _) if place == "query" => Some("deep"),
        ("form", None | Some(true)) | ("simple", _) => None,
        ("form", Some(false)) => Some("commas"),
        (other, _) => return Err(unfit("style", format!("dfm does not write the style `{other}`"))),
    };
    let schema = one.get("schema").ok_or_else(|| unfit("content", "it has no `schema`".to_owned()))?;
    Ok(Taken {
        name: name.to_owned(),
        place,
        sent_as: name.to_owned(),
        style,
        schema: Some(schema.way),
        description: one_line(one.text("description")),
        required: place == "path" || one.flag("required") == Some(true),
    })
}

/// A media type without its parameters.
fn bare(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// What a relative reference of a document that was read from this URL leads to.
fn relative_to(url: &str, reference: &str) -> Option<String> {
    let (scheme, rest) = url.split(['?', '#']).next()?.split_once("://")?;
    if let Some(other) = reference.strip_prefix("//") {
        return Some(format!("{scheme}://{other}"));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let begin = if reference.starts_with('/') { "" } else { folder };
    let mut steps: Vec<&str> = Vec::new();
    for step in begin.split('/').chain(reference.split('/')) {
        match step {
            "" | "." => {}
            ".." => _ = steps.pop(),
            step => steps.push(step),
        }
    }
    Some(format!("{scheme}://{host}/{}", steps.join("/")))
}

/// A request's body, in the kind that can be sent best.
fn body_of(body: &Place<'_>) -> Result<Taken, Unfit> {
    let kinds = body.get("content").map(|kinds| kinds.entries()).unwrap_or_default();
    let rank = |kind: &str| match bare(kind) {
        kind if kind.ends_with("+json") => Some(0),
        kind => BODIES.iter().position(|known| *known == kind),
    };
    let best = kinds.iter().filter_map(|(kind, place)| Some((rank(kind)?, bare(kind), place))).min_by_key(|one| one.0);
    let Some((_, kind, place)) = best else {
        let label = format!("dfm sends bodies of {}", listed(BODIES.iter().copied()));
        return Err(Unfit { span: body.get("content").map_or(body.key, |content| content.key), label });
    };
    let schema =
        place.get("schema").ok_or_else(|| Unfit { span: place.key, label: "it has no `schema`".to_owned() })?;
    Ok(Taken {
        name: "body".to_owned(),
        place: "body",
        schema: (kind != BYTES).then_some(schema.way),
        sent_as: kind,
        style: None,
        description: one_line(body.text("description")),
        required: body.flag("required") == Some(true),
    })
}

/// The names in the braces of a path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The first line of a text, as far as people read.
fn one_line(text: Option<&str>) -> String {
    let line = text.unwrap_or_default().trim().lines().next().unwrap_or_default().trim();
    line.chars().take(LONGEST).collect()
}

/// The words of an identifier as a class has them: `list-pets` and `listPets` are `ListPets`.
fn class_name(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let name: String = name.chars().take(LONGEST_NAME).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && is_name(&name) { name } else { format!("Call{name}") }
}

/// A name that Python takes for an argument.
fn python_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name: String = name.trim_matches('_').chars().take(LONGEST_NAME).collect();
    if is_identifier(&name) { name } else { format!("p_{name}") }
}

/// Names, of which none is given twice.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    /// The name, with a number where it is taken.
    fn unused(&mut self, name: &str) -> String {
        let number = self.numbers.entry(name.to_owned()).or_default();
        loop {
            *number += 1;
            let free = if *number == 1 { name.to_owned() } else { format!("{name}{number}") };
            if self.taken.insert(free.clone()) {
                return free;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::relative_to;

    #[test]
    fn a_server_without_a_host_is_where_its_description_is() {
        for (url, reference, address) in [
            ("http://localhost:8766/openapi.json", "/", "http://localhost:8766/"),
            ("https://pets.example/a/b/openapi.json?raw=1", "v1", "https://pets.example/a/b/v1"),
            ("https://pets.example/a/b/openapi.json", "../v1/", "https://pets.example/a/v1"),
            ("https://pets.example/a/openapi.json", "./", "https://pets.example/a"),
            ("https://pets.example", "/v1", "https://pets.example/v1"),
            ("https://pets.example/x", "//other.example/v1", "https://other.example/v1"),
        ] {
            assert_eq!(relative_to(url, reference).as_deref(), Some(address), "{url} {reference}");
        }
        assert_eq!(relative_to("pets.yaml", "/"), None);
    }
}
