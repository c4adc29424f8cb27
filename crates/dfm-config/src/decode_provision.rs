//! How are deployment files to be made?

use dfm_diag::Diagnostic;
use serde_json::{Map, Value};

use crate::Provision;
use crate::fields::{Faults, Fields, Others, choice, text};
use crate::tree::{Data, Entry};

/// Decodes `provision`.
pub fn provision(entry: &Entry, faults: &mut Faults) -> Provision {
    let fields = Fields::of("`provision`", &entry.value, entry.key, &["docker", "helm"], Others::Refused, faults);
    let Some(fields) = fields else { return Provision::default() };
    Provision {
        docker: fields.get("docker").map(|entry| docker(entry, faults)),
        helm: fields.get("helm").map(|entry| helm(entry, faults)),
    }
}

/// A dictionary with its keys spelled in one way, and those without a value left out.
fn normal(entry: &Entry, known: &[&str]) -> Map<String, Value> {
    let mut result = Map::new();
    for (key, entry) in entry.value.map().into_iter().flatten().filter(|(_, entry)| !entry.value.is_null()) {
        let known = known.iter().find(|known| known.replace('-', "_") == key.replace('-', "_"));
        result.insert(known.map_or_else(|| key.clone(), |known| (*known).to_owned()), entry.value.to_json());
    }
    result
}

fn docker(entry: &Entry, faults: &mut Faults) -> Map<String, Value> {
    let known = ["image", "tag", "dockerfile", "build"];
    let mut result = normal(entry, &known);
    let fields = Fields::of("`provision.docker`", &entry.value, entry.key, &known, Others::Refused, faults);
    let Some(fields) = fields else { return result };
    need_text(&fields, "image", faults);
    need_text(&fields, "tag", faults);
    if let Some(entry) = fields.get("dockerfile")
        && !matches!(entry.value.data, Data::Text(_))
        && let Some(fields) =
            Fields::of("`dockerfile`", &entry.value, entry.key, &["dir", "file"], Others::Refused, faults)
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
    let known = ["context", "engine", "arch", "save", "push"];
    let result = normal(entry, &known);
    let fields = Fields::of("`build`", &entry.value, entry.key, &known, Others::Refused, faults);
    let Some(fields) = fields else { return result };
    need_text(&fields, "context", faults);
    if let Some(engine) = fields.need("engine", faults) {
        choice(&engine.value, "engine", &["docker", "podman"], faults);
    }
    if let Some(arch) = fields.need("arch", faults) {
        choice(&arch.value, "arch", &["amd64", "arm64"], faults);
    }
    if let Some(save) = fields.get("save")
        && let Some(save) = Fields::of("`save`", &save.value, save.key, &["enabled", "file"], Others::Refused, faults)
    {
        save.flag("enabled", faults);
        save.text("file", faults);
    }
    if let Some(push) = fields.get("push")
        && let Some(push) =
            Fields::of("`push`", &push.value, push.key, &["enabled", "registry"], Others::Refused, faults)
    {
        push.flag("enabled", faults);
        if let Some(entry) = push.get("registry") {
            registry(entry, faults);
        }
    }
    result
}

fn registry(entry: &Entry, faults: &mut Faults) {
    let known = ["url", "username", "password"];
    let fields = Fields::of("`registry`", &entry.value, entry.key, &known, Others::Refused, faults);
    let Some(fields) = fields else { return };
    for key in known {
        fields.text(key, faults);
    }
    if let Some(entry) = fields.get("password")
        && entry.value.text().is_some_and(|text| !text.starts_with('$'))
    {
        faults.push(
            Diagnostic::warning("config-literal-password", "a password stands in the configuration")
                .at(entry.key, "everybody who reads this file knows it")
                .help("write the name of an environment variable instead, as in `password: $REGISTRY_PASSWORD`"),
        );
    }
}

fn helm(entry: &Entry, faults: &mut Faults) -> Map<String, Value> {
    let known = ["path", "name", "chartVersion", "appVersion", "startup_package_source"];
    let fields = Fields::of("`provision.helm`", &entry.value, entry.key, &known, Others::Refused, faults);
    if let Some(fields) = fields {
        need_text(&fields, "path", faults);
        need_text(&fields, "name", faults);
        fields.text("chartVersion", faults);
        fields.text("appVersion", faults);
        if let Some(source) = fields.need("startup_package_source", faults) {
            choice(&source.value, "startup_package_source", &["env", "workspace"], faults);
        }
    }
    normal(entry, &known)
}

fn need_text(fields: &Fields<'_>, key: &'static str, faults: &mut Faults) {
    if let Some(entry) = fields.need(key, faults) {
        text(&entry.value, key, faults);
    }
}
