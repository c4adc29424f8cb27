//! How are deployment files to be made?

use dfm_diag::{Diagnostic, Spanned};
use serde_json::{Map, Value};

use crate::Provision;
use crate::decode_direct::direct;
use crate::fields::{Faults, Fields, text};
use crate::format::{BUILD, DOCKER, DOCKERFILE, HELM, PROVISION, PUSH, REGISTRY, SAVE, Shape};
use crate::tree::{Data, Entry};

/// Decodes `provision`, for the sites of these names.
pub fn provision(entry: &Entry, sites: &[&str], faults: &mut Faults) -> Provision {
    let fields = Fields::of(&PROVISION, &entry.value, entry.key, faults);
    let Some(fields) = fields else { return Provision::default() };
    Provision {
        span: Some(entry.key),
        docker: fields.get("docker").map(|entry| Spanned { value: docker(entry, faults), span: entry.key }),
        helm: fields.get("helm").map(|entry| Spanned { value: helm(entry, faults), span: entry.key }),
        direct: fields.get("direct").map(|entry| direct(entry, sites, faults)).unwrap_or_default(),
    }
}

/// A dictionary with its keys spelled in one way, and those without a value left out.
fn normal(entry: &Entry, shape: &Shape) -> Map<String, Value> {
    let mut result = Map::new();
    for (key, entry) in entry.value.map().into_iter().flatten().filter(|(_, entry)| !entry.value.is_null()) {
        let known = shape.key(key).map(|known| known.name);
        result.insert(known.unwrap_or(key).to_owned(), entry.value.to_json());
    }
    result
}

fn docker(entry: &Entry, faults: &mut Faults) -> Map<String, Value> {
    let mut result = normal(entry, &DOCKER);
    let fields = Fields::of(&DOCKER, &entry.value, entry.key, faults);
    let Some(fields) = fields else { return result };
    need_word(&fields, "image", "my-federation", IMAGE, faults);
    need_word(&fields, "tag", "0.0.1", TAG, faults);
    if let Some(entry) = fields.get("dockerfile")
        && !matches!(entry.value.data, Data::Text(_))
        && let Some(fields) = Fields::of(&DOCKERFILE, &entry.value, entry.key, faults)
    {
        fields.text("dir", faults);
        fields.text("file", faults);
    }
    if let Some(entry) = fields.get("build") {
        result.insert("build".to_owned(), Value::Object(build(entry, faults)));
    }
    result
}

fn build(entry: &Entry, faults: &mut Faults) -> Map<String, Value> {
    let result = normal(entry, &BUILD);
    let fields = Fields::of(&BUILD, &entry.value, entry.key, faults);
    let Some(fields) = fields else { return result };
    if let Some(context) = need(&fields, "context", "..", faults) {
        text(&context.value, "context", faults);
    }
    if let Some(engine) = need(&fields, "engine", "docker", faults) {
        fields.choice("engine", engine, faults);
    }
    if let Some(arch) = need(&fields, "arch", "amd64", faults) {
        fields.choice("arch", arch, faults);
    }
    if let Some(base) = fields.get("base") {
        word(base, "base", BASE, faults);
    }
    if let Some(save) = fields.get("save")
        && let Some(save) = Fields::of(&SAVE, &save.value, save.key, faults)
    {
        save.flag("enabled", faults);
        save.text("file", faults);
    }
    if let Some(push) = fields.get("push")
        && let Some(push) = Fields::of(&PUSH, &push.value, push.key, faults)
    {
        push.flag("enabled", faults);
        if let Some(entry) = push.get("registry") {
            registry(entry, faults);
        }
    }
    result
}

fn registry(entry: &Entry, faults: &mut Faults) {
    let fields = Fields::of(&REGISTRY, &entry.value, entry.key, faults);
    let Some(fields) = fields else { return };
    for key in REGISTRY.names() {
        fields.text(key, faults);
    }
}

fn helm(entry: &Entry, faults: &mut Faults) -> Map<String, Value> {
    let fields = Fields::of(&HELM, &entry.value, entry.key, faults);
    if let Some(fields) = fields {
        if let Some(path) = need(&fields, "path", "deploy/helm", faults) {
            text(&path.value, "path", faults);
        }
        need_word(&fields, "name", "my-federation", CHART, faults);
        if let Some(version) = fields.get("chartVersion") {
            word(version, "chartVersion", VERSION, faults);
        }
        fields.text("appVersion", faults);
        if let Some(source) = need(&fields, "startup_package_source", "env", faults) {
            fields.choice("startup_package_source", source, faults);
        }
    }
    normal(entry, &HELM)
}

/// A form that a text must have, for tools that read it: what it is, and whether a text has it.
type Form = (&'static str, fn(&str) -> bool);

const IMAGE: Form =
    ("lower-case words with `.`, `_`, `-` and `/` between them, as in `registry.example/fed`", is_image);
const BASE: Form =
    ("an image with its tag or its digest, as in `registry.example/python@sha256:` and 64 digits", is_base);
const TAG: Form = ("at most 128 letters, digits, `.`, `_` and `-`, beginning with a letter, a digit or `_`", is_tag);
const CHART: Form = ("at most 30 lower-case letters, digits and `-`, beginning with a letter", is_chart);
const VERSION: Form =
    ("three numbers, as in `1.2.3`, and maybe `-` and words for what is not yet released", is_version);

fn is_image(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || ".-_:".contains(c))
    };
    let (host, name) = text.split_once('/').unwrap_or(("", text));
    text.split('/').all(part) && !name.contains(':') && host.matches(':').count() < 2
}

fn is_base(text: &str) -> bool {
    let (named, digest) = text.split_once('@').unwrap_or((text, ""));
    let (image, tag) = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((named, "latest"));
    let is_digest = |digits: &str| digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_image(image)
        && is_tag(tag)
        && (digest.is_empty() != text.contains('@'))
        && (digest.is_empty() || digest.strip_prefix("sha256:").is_some_and(is_digest))
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || ".-".contains(c))
}

fn is_chart(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 30
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || c == '-')
}

fn is_version(text: &str) -> bool {
    let (release, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()) && (part.len() == 1 || !part.starts_with('0'))
    };
    release.split('.').count() == 3
        && release.split('.').all(number)
        && rest.chars().skip(1).all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
        && rest.len() != 1
}

/// The entry of a key that must be there; otherwise the fault has the line to add.
fn need<'n>(fields: &Fields<'n>, key: &'static str, example: &str, faults: &mut Faults) -> Option<&'n Entry> {
    let before = faults.len();
    let found = fields.need(key, faults);
    if let Some(fault) = faults.get_mut(before) {
        fault.help = Some(format!("add a line as `{key}: {example}`"));
    }
    found
}

fn need_word(fields: &Fields<'_>, key: &'static str, example: &str, form: Form, faults: &mut Faults) {
    if let Some(entry) = need(fields, key, example, faults) {
        word(entry, key, form, faults);
    }
}

/// A text that other tools only take in one form.
fn word(entry: &Entry, key: &'static str, (wanted, good): Form, faults: &mut Faults) {
    if let Some(text) = text(&entry.value, key, faults)
        && !good(text)
    {
        faults.push(
            Diagnostic::error("config-wrong-value", format!("`{key}` cannot be `{text}`"))
                .at(entry.value.span, format!("expected {wanted}")),
        );
    }
}
