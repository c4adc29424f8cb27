//! How does `dfm jobs` find jobs again, those of a running federation and those that are over?

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfm_diag::{Diagnostic, one_line};
use dfm_events::{Summary, shown_seconds};
use serde_json::{Value, json};

use super::{history, supervise};
use crate::args::{InFederation, Jobs, OneJob, Verify};
use crate::chosen::{Chosen, federation};
use crate::context::{Context, Failure};
use crate::output::counted;
use crate::{application, child, flare};

/// Does what a command says.
///
/// # Errors
/// A federation that is not there or does not run, a job that it does not know, or what NVFlare says went wrong.
pub fn run(context: &Context, command: Jobs) -> Result<(), Failure> {
    match command {
        Jobs::List(of) => list(context, &of),
        Jobs::Show(job) => show(context, &job),
        Jobs::Compare { name, a, b } => history::compare(context, &federation(context, &name)?, [&a, &b]),
        Jobs::Trace { name, job, svg, chrome } => {
            let chosen = federation(context, &name)?;
            history::trace(context, &chosen, &job, svg.as_deref(), chrome.as_deref())
        }
        Jobs::Logs { job, site, follow } => logs(context, &job, site.as_deref(), follow),
        Jobs::Cancel(job) => cancel(context, &job),
        Jobs::Verify(of) => verify(context, &of),
        Jobs::Results { job, output, timeout } => results(context, &job, output.as_deref(), timeout),
    }
}

fn list(context: &Context, of: &InFederation) -> Result<(), Failure> {
    let chosen = federation(context, &of.name)?;
    let kept = history::all(context, &chosen);
    // Whoever uses the local target alone has no server to ask.
    let enough = !kept.is_empty() || (!of.poc && !application::has_kits(context, &chosen.name)?);
    let answer = asked_too(context, of, &chosen, json!({"what": "list"}), enough)?;
    let live: Vec<&Value> = answer["jobs"].as_array().into_iter().flatten().collect();
    let same = |job: &Value, id: &str| job["id"] == id;
    let mut jobs: Vec<Value> = kept
        .iter()
        .map(|kept| history::together(Some(kept), live.iter().find(|job| same(job, &kept.id)).copied()))
        .chain(live.iter().filter(|job| !kept.iter().any(|kept| same(job, &kept.id))).map(|job| (*job).clone()))
        .collect();
    jobs.sort_by(|one, other| {
        let since = |job: &Value| job["since"].as_f64().unwrap_or(f64::MAX);
        since(one).total_cmp(&since(other))
    });
    if context.output.json {
        context.output.document(&json!({"jobs": jobs}));
        return Ok(());
    }
    for job in &jobs {
        context.output.result(&one_line(&line(job)));
    }
    if jobs.is_empty() {
        context.output.status("there are no jobs yet");
    }
    Ok(())
}

/// What a federation answers that may have no server which runs; where records are `enough`, that is only told.
fn asked_too(
    context: &Context,
    of: &InFederation,
    chosen: &Chosen,
    request: Value,
    enough: bool,
) -> Result<Value, Failure> {
    ask_of(context, of, chosen, request).or_else(|failure| {
        let Some(why) = failure.report.diagnostics.first().filter(|_| enough) else { return Err(failure) };
        context.output.detail(&format!("only records are shown: {}", why.message));
        Ok(Value::Null)
    })
}

fn line(job: &Value) -> String {
    let text = |key: &str| job[key].as_str().unwrap_or_default();
    format!("{:<12} {:<9} {:<20} {}", text("id"), text("status").to_lowercase(), text("name"), progress(job))
}

/// How far a job is, and since when.
fn progress(job: &Value) -> String {
    let count = |key: &str, word: &str| counted(job[key].as_u64().unwrap_or(0) as usize, word);
    let mut parts = vec![count("frames", "frame"), count("tokens", "token"), count("errors", "error")];
    if let Some(waits) = waits_for(job) {
        parts.push(format!("waits for {waits}"));
    }
    parts.push(match (job["since"].as_f64(), job["ended"].as_f64()) {
        (Some(since), Some(ended)) => format!("{} long, ended {} ago", shown_seconds(ended - since), ago(ended)),
        (Some(since), None) => format!("began {} ago", ago(since)),
        _ => String::new(),
    });
    parts.join(", ")
}

/// What a job that runs waits for.
fn waits_for(job: &Value) -> Option<String> {
    if job["status"] != "RUNNING" {
        return None;
    }
    let mut sites: Vec<&str> = job["waiting"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if job["input_open"] == true {
        sites.push("more input");
    }
    (!sites.is_empty()).then(|| sites.join(", "))
}

fn ago(moment: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    duration(now - moment)
}

fn duration(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn show(context: &Context, job: &OneJob) -> Result<(), Failure> {
    let chosen = federation(context, &job.of.name)?;
    let kept = history::one(&chosen, &job.job).map(|record| Summary::new(&record));
    let request = json!({"what": "show", "job": job.job});
    let live = asked_too(context, &job.of, &chosen, request, kept.is_ok());
    let (kept, live) = match (kept, live) {
        (Err(no_record), Err(failure)) => return Err(nowhere(no_record, failure)),
        (kept, live) => (kept.ok(), live.ok().filter(|live| !live.is_null())),
    };
    let answer = history::together(kept.as_ref(), live.as_ref());
    if context.output.json {
        context.output.document(&answer);
        return Ok(());
    }
    if live.is_some() {
        tell_live(context, &answer);
    } else {
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        for (what, value) in [
            ("job", text("id")),
            ("pipeline", text("name")),
            ("status", text("status").to_lowercase()),
            ("progress", progress(&answer)),
            ("target", text("target")),
            ("homesite", text("homesite")),
        ] {
            context.output.result(&one_line(&format!("{what:<14} {value}")));
        }
    }
    if let Some(kept) = &kept {
        history::tell(context, kept);
    }
    Ok(())
}

/// That a job has no record here, and then why no server can be asked for it.
fn nowhere(no_record: Failure, unasked: Failure) -> Failure {
    let Failure { exit, mut report } = no_record;
    report.diagnostics.extend(unasked.report.diagnostics);
    Failure { exit, report }
}

fn tell_live(context: &Context, answer: &Value) {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let application = match (&answer["application"], &answer["followed"]) {
        (Value::Bool(true), Value::Bool(true)) => "there".to_owned(),
        (Value::Bool(true), _) => "has left this job".to_owned(),
        _ => format!("gone for {}", duration(answer["silent"].as_f64().unwrap_or(0.0))),
    };
    let pipeline = answer["name"].as_str().unwrap_or("(only its own user can read that)").to_owned();
    let kept = match &answer["kept"] {
        Value::Bool(true) => "what the application has not had",
        _ => "nothing, the application has had all",
    };
    for (what, value) in [
        ("job", text("id")),
        ("pipeline", pipeline),
        ("status", text("status").to_lowercase()),
        ("progress", progress(answer)),
        ("user", text("user")),
        ("homesite", text("homesite")),
        ("application", application),
        ("kept", kept.to_owned()),
        ("NVFlare's job", text("nvflare")),
    ] {
        context.output.result(&one_line(&format!("{what:<14} {value}")));
    }
    for wait in answer["waits"].as_array().into_iter().flatten() {
        context.output.result(&one_line(&format!("{:<14} {}", "waiting", wait["text"].as_str().unwrap_or_default())));
    }
}

fn logs(context: &Context, job: &OneJob, site: Option<&str>, follow: bool) -> Result<(), Failure> {
    let chosen = federation(context, &job.of.name)?;
    if history::said(context, &chosen, &job.job, site, follow) && !context.output.is_verbose() {
        return Ok(());
    }
    let answer = ask_for(context, job, &chosen, json!({"what": "logs", "job": job.job, "site": site}))?;
    if context.output.json {
        context.output.document(&answer);
        return Ok(());
    }
    for (site, log) in answer["logs"].as_object().into_iter().flatten() {
        for line in log.as_str().unwrap_or_default().lines() {
            context.output.result(&one_line(&format!("{site}: {line}")));
        }
    }
    Ok(())
}

fn cancel(context: &Context, job: &OneJob) -> Result<(), Failure> {
    let chosen = federation(context, &job.of.name)?;
    // One that its application has left may go on.
    if let Some(over) = history::one(&chosen, &job.job).ok().map(|record| Summary::new(&record))
        && let Some(ended) = over.ended.filter(|_| over.status != "UNKNOWN")
    {
        let (status, since) = (over.status.to_lowercase(), ago(ended));
        let message = format!("`{}` is over, so that there is nothing to cancel: {status} {since} ago", job.job);
        return Err(Failure::failed(Diagnostic::error("jobs-over", message)));
    }
    let answer = ask_for(context, job, &chosen, json!({"what": "cancel", "job": job.job}))?;
    if context.output.json {
        context.output.document(&answer);
    } else {
        context.output.status(&match answer["by"].as_str() {
            Some("application") => format!("the application of `{}` was told to cancel it", job.job),
            Some("server") => format!("`{}` is cancelled", job.job),
            _ => format!("the session of `{}` did not answer, so NVFlare ends it with all its jobs", job.job),
        });
    }
    Ok(())
}

/// Has Python, which has what checks signatures, read a receipt.
fn verify(context: &Context, of: &Verify) -> Result<(), Failure> {
    let trusted = match (&of.root, &of.federation) {
        (None, Some(name)) => {
            application::startup_kits(context, &federation(context, name)?.name, of.poc, "give `--root CERT`")?
        }
        (root, _) => root.clone().unwrap_or_default(),
    };
    let format = if context.output.json { "json" } else { "text" };
    let mut command = application::interpreter(context, "dfm._command.receipts")?;
    command.arg(&of.file).arg(trusted).args([&of.server, format]);
    let ended = command.status().map_err(|error| Failure::failed(child::not_started("jobs-not-started", &error)))?;
    match ended.code() {
        Some(0) => Ok(()),
        code => {
            Err(Failure { exit: code.and_then(|code| code.try_into().ok()).unwrap_or(1), report: Default::default() })
        }
    }
}

fn results(context: &Context, job: &OneJob, output: Option<&Path>, timeout: f64) -> Result<(), Failure> {
    if Duration::try_from_secs_f64(timeout).is_err() {
        let message = format!("--timeout takes a number of seconds from 0 on, not {timeout}");
        return Err(Failure::wrong(Diagnostic::error("jobs-timeout", message)));
    }
    let chosen = federation(context, &job.of.name)?;
    let about = ask_for(context, job, &chosen, json!({"what": "show", "job": job.job}))?;
    if about["application"] == true && about["followed"] == true {
        let message = format!("the application of `{}` is there, and gets the tokens", job.job);
        return Err(Failure::failed(Diagnostic::error("jobs-not-left", message)));
    }
    let mut command = application::interpreter(context, "dfm._command.jobs")?;
    command.args([&job.job, context.output.format()]).arg(output.unwrap_or(Path::new("")));
    application::set_environment(&mut command, &chosen, about["homesite"].as_str().unwrap_or_default())?;
    application::set_flare(&mut command, context, &application::startup_kits(context, &chosen.name, job.of.poc, "")?);
    let code = child::run(&mut supervise::command(context, &command, timeout))
        .map_err(|error| Failure::failed(child::not_started("jobs-not-started", &error)))?;
    if code == 0 { Ok(()) } else { Err(Failure { exit: code, report: Default::default() }) }
}

/// What the federation's server answers about one job; where it cannot be asked, first that there is no such job here.
fn ask_for(context: &Context, job: &OneJob, chosen: &Chosen, request: Value) -> Result<Value, Failure> {
    ask_of(context, &job.of, chosen, request).map_err(|unasked| match history::one(chosen, &job.job) {
        Ok(_) => unasked,
        Err(no_record) => nowhere(no_record, unasked),
    })
}

fn ask_of(context: &Context, of: &InFederation, chosen: &Chosen, mut request: Value) -> Result<Value, Failure> {
    request["workspace"] = json!(application::startup_kits(context, &chosen.name, of.poc, "")?);
    let _working = context.output.working(&format!("asking the server of `{}`", chosen.name));
    flare::ask(context, "dfm.flare._jobs", &request)
}
