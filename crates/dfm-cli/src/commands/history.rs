//! What do jobs' own records say, with no federation running?

use std::path::Path;
use std::thread;
use std::time::Duration;

use dfm_diag::{Diagnostic, nearest, one_line};
use dfm_events::{Entry, Folder, Frame, Line, NodeId, NodeSummary, Record, Summary, Told, Unreadable, shown_seconds};
use dfm_plan::shown_bytes;
use serde_json::{Value, json};

use crate::chosen::Chosen;
use crate::context::{Context, Failure};
use crate::output::counted;

/// Between two looks at a record that may have grown.
const PAUSE: Duration = Duration::from_millis(200);
/// So many jobs are named where one is not there.
const FEW: usize = 5;

/// The jobs of a federation of which this user has records, those that began first to the front. What cannot be read is
/// told.
pub fn all(context: &Context, chosen: &Chosen) -> Vec<Summary> {
    let Some(folder) = folder(chosen) else { return vec![] };
    let mut jobs = vec![];
    for job in folder.jobs() {
        match folder.record(&job).map(|path| dfm_events::read(&path)) {
            Some(Ok(record)) => jobs.push(Summary::new(&record)),
            Some(Err(why)) => context.output.status(&format!("job `{job}` is left out: {why}")),
            None => {}
        }
    }
    jobs.sort_by(|one, other| one.since.total_cmp(&other.since));
    jobs
}

/// The record of one job.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn one(chosen: &Chosen, job: &str) -> Result<Record, Failure> {
    let path = folder(chosen).and_then(|folder| folder.record(job));
    path.map_or(Err(Unreadable::Missing), |path| dfm_events::read(&path)).map_err(|why| {
        let (message, help) = match why {
            Unreadable::Missing => (format!("there is no job `{job}` here"), there_are(chosen, job)),
            why => (
                format!("job `{job}` cannot be shown: {why}"),
                format!("`dfm jobs list {}` has those that can", chosen.name),
            ),
        };
        Failure::failed(Diagnostic::error("jobs-no-record", message).help(help))
    })
}

/// Which jobs there are instead of one, those that were written last.
fn there_are(chosen: &Chosen, job: &str) -> String {
    let jobs = folder(chosen).map_or_else(Vec::new, |folder| folder.jobs());
    let last = jobs[jobs.len().saturating_sub(FEW)..].join(", ");
    let (few, name) = (jobs.len() <= FEW, &chosen.name);
    match nearest(job, jobs.iter().map(String::as_str)) {
        _ if jobs.is_empty() => "there are no jobs yet".to_owned(),
        Some(near) if few => format!("did you mean `{near}`? There are: {last}"),
        Some(near) => format!("did you mean `{near}`? `dfm jobs list {name}` has all; the last are: {last}"),
        None if few => format!("there are: {last}"),
        None => format!("`dfm jobs list {name}` has all; the last are: {last}"),
    }
}

fn folder(chosen: &Chosen) -> Option<Folder> {
    Folder::of(&chosen.federation.info.code_package)
}

/// What a record has more to say of a job than a server, for people.
pub fn tell(context: &Context, job: &Summary) {
    let say = |what: &str, value: &str| context.output.result(&one_line(&format!("{what:<14} {value}")));
    let listed = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    say("parameters", &listed(job.params.iter().map(String::as_str).collect()));
    say("sites", &listed(job.sites.iter().map(String::as_str).collect()));
    for failure in &job.failures {
        say("error", &told(failure));
    }
    for node in &job.nodes {
        say("operation", &format!("{} {}", called(&node.operation), took(node)));
    }
    if job.left_out > 0 {
        say("left out", &format!("{} more than a record holds", counted(job.left_out as usize, "event")));
    }
    if !job.whole {
        say("record", "not whole: it is still written, was cut short, or has lines that this dfm does not know");
    }
}

fn told(failure: &Told) -> String {
    let mut place = format!("site {}", failure.site);
    if let Some(operation) = &failure.operation {
        place.push_str(&format!(", {operation}"));
    }
    if let Some(frame) = &failure.frame {
        place.push_str(&format!(", frame {frame}"));
    }
    if let Some(line) = &failure.line {
        place.push_str(&format!(", from {line}"));
    }
    format!("{place}: {}: {}", failure.kind, failure.message)
}

/// Where a node ran, and what that took.
fn took(node: &NodeSummary) -> String {
    let at = node.provider.as_ref().map_or_else(|| node.site.clone(), |provider| format!("{}/{provider}", node.site));
    let mut parts = vec![];
    if node.calls > 0 || node.sent == 0 {
        parts.push(counted(node.calls as usize, "call"));
    }
    if node.failed > 0 {
        parts.push(format!("{} failed", node.failed));
    }
    if node.timed > 0 {
        parts.push(format!("{} each", shown_seconds(node.seconds / node.timed as f64)));
        parts.push(format!("longest {}", shown_seconds(node.longest)));
        parts.push(format!("waited {} each", shown_seconds(node.waited / node.timed as f64)));
    }
    if node.sent > 0 {
        parts.push(format!("sent {}", shown_bytes(node.sent as f64)));
    }
    format!("at {at}: {}", parts.join(", "))
}

/// A node as a summary calls it; a plan that is too large to be in the record has no name for what is no operation.
fn called(operation: &str) -> &str {
    if operation.is_empty() { "what parts or puts together" } else { operation }
}

/// What a server says of a job with what its record adds; either can be missing.
pub fn together(kept: Option<&Summary>, live: Option<&Value>) -> Value {
    let mut job = kept.map_or_else(|| json!({}), |kept| json!(kept));
    for (key, value) in live.and_then(Value::as_object).into_iter().flatten() {
        // The record knows the name of a pipeline that the server may not read.
        if !value.is_null() {
            job[key] = value.clone();
        }
    }
    job
}

/// Shows what the adapters have logged and printed in a job, and with `follow` what comes until it is over. Whether that
/// is all that there can be: a server may know more of a job whose sites have handed out nothing, or that has no record.
pub fn said(context: &Context, chosen: &Chosen, job: &str, site: Option<&str>, follow: bool) -> bool {
    let mut shown = 0;
    loop {
        let Ok(record) = one(chosen, job) else { return false };
        let lines = Said::of(&record, site);
        let fresh = lines.get(shown..).unwrap_or_default();
        if follow {
            fresh.iter().for_each(|line| line.show(context));
        } else if !lines.is_empty() || record.header.target == "local" {
            let mut lines = lines;
            lines.sort_by(|one, other| one.line.at.total_cmp(&other.line.at));
            if context.output.json {
                let lines: Vec<Value> = lines.iter().map(Said::document).collect();
                context.output.document(&json!({"id": job, "lines": lines}));
            } else if lines.is_empty() {
                context.output.status("no adapter has logged or printed anything, or no site hands it out");
            } else {
                lines.iter().for_each(|line| line.show(context));
            }
            return true;
        } else {
            return false;
        }
        shown += fresh.len();
        if !record.running {
            return shown > 0 || record.header.target == "local";
        }
        thread::sleep(PAUSE);
    }
}

/// What was said for a call.
struct Said<'r> {
    site: &'r str,
    operation: &'r str,
    node: &'r NodeId,
    frame: &'r Frame,
    line: &'r Line,
}

impl<'r> Said<'r> {
    fn of(record: &'r Record, wanted: Option<&str>) -> Vec<Self> {
        let said = record.entries.iter().filter_map(|entry| match entry {
            Entry::Said { site, node, frame, line } if wanted.is_none_or(|wanted| wanted == site) => {
                let of = record.header.nodes.iter().find(|one| one.node == *node && one.site == *site);
                let operation = of.map_or("", |of| &of.operation);
                Some(Self { site, operation, node, frame, line })
            }
            _ => None,
        });
        said.collect()
    }

    fn show(&self, context: &Context) {
        if context.output.json {
            context.output.document(&self.document());
            return;
        }
        let Self { site, operation, frame, line, .. } = self;
        let (first, rest) = line.text.split_once('\n').unwrap_or((&line.text, ""));
        let (time, level, logger) = (time_of_day(line.at), &line.level, &line.logger);
        let head = format!("{time} {site} {operation} [{frame}] {level} {logger}: {first}");
        context.output.result(&one_line(&head));
        rest.lines().for_each(|line| {
            context.output.result(&one_line(&format!("    {}", line.strip_prefix("    ").unwrap_or(line))))
        });
    }

    fn document(&self) -> Value {
        let Self { site, operation, node, frame, line } = self;
        json!({"at": line.at, "site": site, "operation": operation, "node": node, "frame": frame,
            "level": line.level, "logger": line.logger, "text": line.text})
    }
}

/// In UTC.
fn time_of_day(seconds: f64) -> String {
    let millis = (seconds * 1e3) as u64 % 86_400_000;
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}Z", millis / 1000 % 60, millis % 1000)
}

/// Sets two jobs beside each other.
///
/// # Errors
/// One has no record that can be read.
pub fn compare(context: &Context, chosen: &Chosen, jobs: [&str; 2]) -> Result<(), Failure> {
    let [a, b] = jobs.map(|job| one(chosen, job).map(|record| Summary::new(&record)));
    let both = dfm_events::compare(a?, b?);
    if context.output.json {
        context.output.document(&json!(both));
        return Ok(());
    }
    let of = |job: &Summary| {
        let lasted = job.ended.map_or_else(|| "?".to_owned(), |ended| shown_seconds((ended - job.since).max(0.0)));
        let (status, name) = (job.status.to_lowercase(), job.name.clone());
        let counts = [(job.frames, "frame"), (job.tokens, "token"), (job.errors, "error")];
        let counts = counts.map(|(count, what)| counted(count as usize, what)).join(", ");
        [("job", job.id.clone()), ("pipeline", name), ("status", status), ("duration", lasted), ("came", counts)]
    };
    let said = of(&both.a).into_iter().zip(of(&both.b));
    let mut lines: Vec<[String; 3]> = said.map(|((what, a), (_, b))| [what.to_owned(), a, b]).collect();
    for pair in &both.nodes {
        let took = |node: &Option<NodeSummary>| node.as_ref().map_or_else(|| "none".to_owned(), took);
        lines.push([called(&pair.operation).to_owned(), took(&pair.a), took(&pair.b)]);
    }
    for [what, a, b] in lines {
        context.output.result(&one_line(&what));
        context.output.result(&one_line(&format!("  a  {a}")));
        context.output.result(&one_line(&format!("  b  {b}")));
    }
    Ok(())
}

/// Shows when what was done in a job, draws it, or writes it for a viewer.
///
/// # Errors
/// There is no record that can be read, or a file cannot be written.
pub fn trace(
    context: &Context,
    chosen: &Chosen,
    job: &str,
    svg: Option<&Path>,
    chrome: Option<&Path>,
) -> Result<(), Failure> {
    let record = one(chosen, job)?;
    if let Some(file) = svg {
        write(context, file, &dfm_events::timeline_svg(&record), "drawn")?;
    }
    if let Some(file) = chrome {
        write(context, file, &dfm_events::timeline_chrome(&record).to_string(), "written")?;
    }
    if context.output.json {
        context.output.document(&json!({"job": record.header, "entries": record.entries}));
    } else if svg.is_none() && chrome.is_none() {
        dfm_events::timeline_text(&record).iter().for_each(|line| context.output.result(&one_line(line)));
    }
    Ok(())
}

fn write(context: &Context, file: &Path, text: &str, done: &str) -> Result<(), Failure> {
    dfm_config::write_file(file, text).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", file.display());
        Failure::failed(Diagnostic::error("jobs-not-written", message))
    })?;
    context.output.status(&format!("{done}: {}", context.shown(file).display()));
    Ok(())
}
