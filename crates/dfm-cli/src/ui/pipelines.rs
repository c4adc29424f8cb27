//! Which saved pipelines can be submitted from the page, and with which parameters?
//!
//! Saved ones alone: they are data, so that the page can have no code run which is not the federation's own.

use std::fs;
use std::path::{Path, PathBuf};

use dfm_config::registry::Registry;
use dfm_config::{Federation, Type};
use dfm_plan::Pipeline;
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::http::Answer;
use crate::chosen::load;
use crate::context::Context;

/// The most bytes of a file that may be one, how deep below a folder it is looked for, and in how many files.
const MOST_BYTES: u64 = 4 << 20;
const MOST_DEPTH: usize = 4;
const MOST_FILES: usize = 2000;

/// A saved pipeline.
pub struct Saved {
    /// Where it is.
    pub file: PathBuf,
    /// For people.
    pub name: Option<String>,
    /// Each parameter, with its JSON Schema and what it is for, where one operation's parameter takes it as it is.
    pub params: IndexMap<String, Value>,
}

/// Those of all federations, for the page.
pub fn all(context: &Context) -> Answer {
    let (mut pipelines, mut schemas) = (vec![], serde_json::Map::new());
    for federation in Registry::read(&context.registry).iter().flat_map(|registry| registry.records.keys()) {
        let (all, named) = of(context, federation);
        schemas.insert(federation.clone(), json!(named));
        for Saved { file, name, params } in all {
            let shown = context.shown(&file);
            let about = json!({"federation": federation, "shown": shown, "file": file, "name": name, "params": params});
            pipelines.push(about);
        }
    }
    Answer::json(&json!({"pipelines": pipelines, "schemas": schemas}))
}

/// Those of a federation, in its folder and in the one where `dfm ui` was started; and the schemas that those of their
/// parameters may refer to, by name.
pub fn of(context: &Context, federation: &str) -> (Vec<Saved>, IndexMap<String, Value>) {
    let paths = Registry::read(&context.registry).ok().and_then(|registry| registry.paths(federation));
    let Some((paths, loaded)) = paths.and_then(|paths| load(context, federation, &paths).ok().map(|is| (paths, is)))
    else {
        return Default::default();
    };
    let mut files = vec![];
    let mut left = MOST_FILES;
    for folder in [&paths.dir, &context.here] {
        find(folder, MOST_DEPTH, &mut left, &mut files);
    }
    files.sort();
    files.dedup();
    let saved = files.into_iter().filter_map(|file| read(file, &loaded.federation)).collect();
    (saved, loaded.federation.schemas)
}

fn find(folder: &Path, depth: usize, left: &mut usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if *left == 0 || entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        *left -= 1;
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 1 => find(&path, depth - 1, left, files),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|what| what == "json") => files.push(path),
            // What a link leads to is elsewhere.
            _ => {}
        }
    }
}

/// A file that holds a pipeline for this federation.
fn read(file: PathBuf, federation: &Federation) -> Option<Saved> {
    if file.metadata().ok()?.len() > MOST_BYTES {
        return None;
    }
    let text = fs::read_to_string(&file).ok()?;
    let Pipeline { package, mode, name, .. } = Pipeline::from_json(&text).ok()?;
    if package.is_some_and(|package| package != federation.info.code_package) || mode != "execute" {
        return None;
    }
    let mut params = IndexMap::new();
    for statement in serde_json::from_str::<Value>(&text).ok()?["statements"].as_array()? {
        let operation = statement["operation"].as_str().and_then(|operation| federation.operations.get(operation));
        for (argument, value) in statement["arguments"].as_object().into_iter().flatten() {
            let of = operation.and_then(|operation| operation.parameters.get(argument));
            if let (Some(param), Some(of)) = (value["param"].as_str(), of) {
                let schema = match &of.of {
                    Type::Schema(schema) => schema.clone(),
                    Type::Class(_) => Value::Null,
                };
                let about = json!({"schema": schema, "description": of.description, "default": of.default});
                params.insert(param.to_owned(), about);
            }
        }
        named(statement, &mut params);
    }
    Some(Saved { file, name, params })
}

/// Adds the parameters that are anywhere in a statement, but not those that look so within plain data.
fn named(value: &Value, params: &mut IndexMap<String, Value>) {
    match value {
        Value::Object(parts) => {
            if let Some(param) = parts.get("param").and_then(Value::as_str) {
                params.entry(param.to_owned()).or_insert(json!({"schema": null, "description": "", "default": null}));
            }
            parts.iter().filter(|(key, _)| *key != "literal").for_each(|(_, part)| named(part, params));
        }
        Value::Array(parts) => parts.iter().for_each(|part| named(part, params)),
        _ => {}
    }
}
