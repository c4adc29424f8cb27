//! What is the page told of federations and jobs?
//!
//! All of it is read anew when it is asked for: a page that slept, or a record that was replaced, needs nothing more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dfm_config::registry::{Paths, Registry};
use dfm_config::{Binding, Federation};
use dfm_diag::{Report, render};
use dfm_events::{Entry, Flow, Folder, Kind, Outline, Record, Step, Summary};
use dfm_plan::Followed;
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::http::Answer;
use crate::chosen::load;
use crate::commands::poc;
use crate::context::Context;

/// The most lines of adapters that are shown of a job, the newest.
const MOST_LINES: usize = 300;

/// What was seen of records that nobody writes any more: their path, size and time → a summary.
pub type Seen = HashMap<(PathBuf, u64, Option<SystemTime>), Value>;

/// All federations of the registry, each with its sites and what they offer.
pub fn federations(context: &Context) -> Answer {
    match Registry::read(&context.registry) {
        Ok(registry) => {
            let paths = registry.records.keys().filter_map(|name| Some((name, registry.paths(name)?)));
            let all: Vec<Value> = paths.map(|(name, paths)| federation(context, name, &paths)).collect();
            Answer::json(&json!({"registry": context.registry, "federations": all}))
        }
        Err(report) => Answer::refused(500, &text(&report)),
    }
}

fn federation(context: &Context, name: &str, paths: &Paths) -> Value {
    let loaded = match load(context, name, paths) {
        Ok(loaded) => loaded,
        Err(report) => return json!({"name": name, "problem": text(&report), "sites": []}),
    };
    let health = poc::health(context, name);
    let sites = loaded.federation.sites.iter().map(|(site, of)| {
        let own = offers(&loaded.federation, None, &of.interface);
        let by = of.providers.iter().map(|(provider, of)| offers(&loaded.federation, Some(provider), &of.interface));
        let operations: Vec<Value> = own.into_iter().chain(by.flatten()).collect();
        json!({"name": site, "operations": operations, "health": health.iter().find(|(of, _)| of == site).map(|one| &one.1)})
    });
    let info = &loaded.federation.info;
    json!({
        "name": name, "description": info.description, "package": info.code_package,
        "sites": sites.collect::<Vec<_>>(), "poc": !health.is_empty(),
        "problem": (!loaded.report.diagnostics.is_empty()).then(|| text(&loaded.report)),
    })
}

fn offers(of: &Federation, provider: Option<&str>, interface: &IndexMap<String, Binding>) -> Vec<Value> {
    let one = |(name, binding): (&String, &Binding)| {
        let operation = of.operations.get(name);
        let about = binding.description.as_ref().or(operation.map(|operation| &operation.description));
        let parameters: Vec<&String> = operation.map_or_else(Vec::new, |one| one.parameters.keys().collect());
        json!({"name": name, "provider": provider, "description": about, "parameters": parameters})
    };
    interface.iter().map(one).collect()
}

fn text(report: &Report) -> String {
    let lines: Vec<String> =
        report.diagnostics.iter().map(|one| render(one, &report.sources, false).to_string()).collect();
    lines.join("\n")
}

/// The jobs of all federations of which there are records, those that began last to the front.
pub fn jobs(context: &Context, seen: &Mutex<Seen>) -> Answer {
    let mut all = vec![];
    let mut kept = Seen::default();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, folder) in folders(context) {
        for (job, path) in folder.jobs().into_iter().filter_map(|job| folder.record(&job).map(|path| (job, path))) {
            let (size, time) = facts(&path);
            let key = (path, size, time);
            let mut shown = match seen.remove(&key) {
                Some(shown) => shown,
                None => brief(&job, dfm_events::read(&key.0).map(|record| Summary::new(&record))),
            };
            // A registry may call a package by another name now.
            shown["federation"] = json!(name);
            // One that is written now can end without growing, with its application.
            if shown["status"] != "RUNNING" {
                kept.insert(key, shown.clone());
            }
            all.push(shown);
        }
    }
    *seen = kept;
    all.sort_by(|one, other| {
        let since = |job: &Value| job["since"].as_f64().unwrap_or(f64::MAX);
        since(other).total_cmp(&since(one))
    });
    Answer::json(&json!({"jobs": all}))
}

fn brief(job: &str, read: Result<Summary, dfm_events::Unreadable>) -> Value {
    match read {
        Ok(Summary { id, name, target, status, since, ended, sites, frames, tokens, errors, whole, .. }) => json!({
            "id": id, "name": name, "target": target, "status": status, "since": since, "ended": ended,
            "sites": sites, "frames": frames, "tokens": tokens, "errors": errors, "whole": whole,
        }),
        Err(why) => json!({"id": job, "problem": why.to_string()}),
    }
}

/// The federations whose configuration can be read, and where their records are.
fn folders(context: &Context) -> Vec<(String, Folder)> {
    let Ok(registry) = Registry::read(&context.registry) else { return vec![] };
    let folder = |name: &String| {
        let loaded = load(context, name, &registry.paths(name)?).ok()?;
        Some((name.clone(), Folder::of(&loaded.federation.info.code_package)?))
    };
    registry.records.keys().filter_map(folder).collect()
}

/// Size and time of a file; nothing of one that is not there.
fn facts(path: &Path) -> (u64, Option<SystemTime>) {
    path.metadata().map_or((0, None), |facts| (facts.len(), facts.modified().ok()))
}

/// A job as its record has it, or nothing if that is what has been `seen` already.
pub fn job(context: &Context, federation: &str, job: &str, query: &str) -> Answer {
    let path = match record(context, federation, job) {
        Ok(path) => path,
        Err(refused) => return refused,
    };
    let (size, time) = facts(&path);
    let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let seen = format!("{size}-{}-{}", time.as_nanos(), dfm_events::is_written(&path));
    if query.strip_prefix("seen=") == Some(&seen) {
        return Answer { status: 204, kind: "application/json", body: vec![] };
    }
    shown(&path, |record| {
        let summary = Summary::new(record);
        let made_fail = dfm_events::made_fail(record, &summary.failures);
        json!({
            "seen": seen, "summary": summary, "made_fail": made_fail, "version": record.header.dfm_events,
            "lines": lines(record), "flow": Flow::new(record), "plan": record.header.plan,
        })
    })
}

/// The drawings of a job: its plan, if its record has it, and when what was done.
pub fn drawings(context: &Context, federation: &str, job: &str) -> Answer {
    match record(context, federation, job) {
        Ok(path) => shown(&path, |record| {
            let plan = record.header.plan.as_deref().map(drawn);
            json!({"plan": plan, "timeline": dfm_events::timeline_svg(record)})
        }),
        Err(refused) => refused,
    }
}

fn record(context: &Context, federation: &str, job: &str) -> Result<PathBuf, Answer> {
    let folder = folders(context).into_iter().find(|(name, _)| name == federation);
    let path = folder.and_then(|(_, folder)| folder.record(job));
    path.ok_or_else(|| Answer::refused(404, "there is no such federation, or no such job"))
}

fn shown(path: &Path, show: impl FnOnce(&Record) -> Value) -> Answer {
    match dfm_events::read(path) {
        Ok(record) => Answer::json(&show(&record)),
        Err(why) => Answer::refused(404, &format!("the job cannot be shown: {why}")),
    }
}

fn drawn(plan: &Outline) -> String {
    fn followed(step: &Step) -> Followed<'_> {
        let operation = step.kind == Kind::Call;
        Followed { node: &step.node, label: &step.label, site: &step.site, operation }
    }
    let steps: Vec<Followed<'_>> = plan.steps.iter().map(followed).collect();
    let edges: Vec<(usize, usize, bool)> = plan.edges.iter().map(|edge| (edge.from, edge.to, edge.signal)).collect();
    dfm_plan::followed(&steps, &edges)
}

fn lines(record: &Record) -> Vec<Value> {
    let said = record.entries.iter().rev().filter_map(|entry| match entry {
        Entry::Said { site, node, frame, line } => {
            let of = record.header.nodes.iter().find(|one| one.node == *node && one.site == *site);
            Some(json!({"site": site, "operation": of.map(|of| &of.operation), "frame": frame, "at": line.at,
                "level": line.level, "logger": line.logger, "text": line.text}))
        }
        _ => None,
    });
    let mut lines: Vec<Value> = said.take(MOST_LINES).collect();
    lines.reverse();
    lines
}
