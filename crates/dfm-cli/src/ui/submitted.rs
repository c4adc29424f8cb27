//! What runs that was submitted from the page, and how does it end?

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http::Answer;
use super::pipelines;
use crate::commands::{poc, submit, supervise};
use crate::context::Context;
use crate::{processes, program};

/// The most that run at the same time, and that are kept.
const MOST_RUNNING: usize = 8;
const MOST_KEPT: usize = 20;
/// The most characters of what each has said that are kept, the last.
const MOST_SAID: usize = 20_000;
/// As long as a submission without `--timeout`.
const SECONDS: f64 = 3600.0;
/// Between the request to end and the end by force.
const GRACE: Duration = Duration::from_secs(10);

/// What the page wants to be run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    federation: String,
    file: String,
    target: Target,
    params: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Local,
    Poc,
    Flare,
}

/// All that were submitted.
#[derive(Default)]
pub struct Submitted(Mutex<Vec<One>>);

struct One {
    about: Value,
    process: OwnedFd,
    /// What it has said, and its exit code once it has ended.
    state: Arc<Mutex<(String, Option<i32>)>>,
}

impl One {
    fn runs(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.is_none()
    }
}

impl Submitted {
    /// Submits a saved pipeline, with the command that a user would write.
    pub fn submit(&self, context: &Context, body: &[u8]) -> Answer {
        let wanted: Wanted = match serde_json::from_slice(body) {
            Ok(wanted) => wanted,
            Err(error) => return Answer::refused(400, &format!("this says not what to submit: {error}")),
        };
        // Only what the page was offered: whatever else there is on this machine is not its matter.
        let (saved, _) = pipelines::of(context, &wanted.federation);
        let Some(saved) = saved.into_iter().find(|saved| saved.file.to_str() == Some(&wanted.file)) else {
            return Answer::refused(404, "there is no such saved pipeline any more");
        };
        if let Some(unknown) = wanted.params.keys().find(|name| !saved.params.contains_key(*name)) {
            return Answer::refused(400, &format!("the pipeline has no parameter `{unknown}`"));
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().filter(|one| one.runs()).count() >= MOST_RUNNING {
            return Answer::refused(
                429,
                &format!("{MOST_RUNNING} submissions run already; wait for one, or cancel it"),
            );
        }
        let about = json!({"id": all.last().map_or(0, |last| last.about["id"].as_u64().unwrap_or(0) + 1), "at": now(),
            "federation": wanted.federation, "name": saved.name, "file": context.shown(&saved.file)});
        match start(context, &wanted, &saved.file, about) {
            Ok(one) => {
                let answer = Answer::json(&one.about);
                all.push(one);
                while all.len() > MOST_KEPT {
                    let Some(oldest) = all.iter().position(|one| !one.runs()) else { break };
                    all.remove(oldest);
                }
                answer
            }
            Err(error) => Answer::refused(500, &format!("it cannot be started: {error}")),
        }
    }

    /// All of them, the newest first.
    pub fn shown(&self) -> Answer {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = all.iter().rev().map(|one| {
            let (said, ended) = &*one.state.lock().unwrap_or_else(PoisonError::into_inner);
            let mut shown = one.about.clone();
            shown["said"] = json!(said);
            shown["ended"] = json!(ended);
            shown
        });
        Answer::json(&json!({"submitted": shown.collect::<Vec<_>>()}))
    }

    /// Asks one to end, which cancels its job.
    pub fn cancel(&self, id: &str) -> Answer {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = id.parse::<u64>().ok();
        let Some(one) = all.iter().find(|one| id.is_some() && one.about["id"].as_u64() == id) else {
            return Answer::refused(404, "there is no such submission");
        };
        let _ = pidfd_send_signal(&one.process, Signal::TERM);
        Answer::json(&one.about)
    }

    /// Ends all of them.
    pub fn end(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in all.iter() {
            let _ = pidfd_send_signal(&one.process, Signal::TERM);
        }
        for one in all.iter() {
            let _ = processes::wait_for(&one.process, GRACE);
        }
        processes::end(GRACE, processes::descendants);
    }
}

fn start(context: &Context, wanted: &Wanted, file: &std::path::Path, about: Value) -> io::Result<One> {
    let mut command = dfm(context);
    command.args(["fed", "submit", &wanted.federation, "pipeline"]).arg(file);
    command.args(["--target", if wanted.target == Target::Local { "local" } else { "flare" }]);
    if wanted.target == Target::Poc {
        command.arg("--poc");
    }
    command.env(submit::PARAMS, json!(wanted.params).to_string());
    let (mut said, end) = io::pipe()?;
    // Which also ends it if this process is killed.
    let quiet = Context { output: context.output.muted(), ..context.clone() };
    let mut command = supervise::command(&quiet, &command, SECONDS);
    let mut child = command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end).spawn()?;
    // Its own ends of the pipe would keep the reading from ending.
    drop(command);
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(number, PidfdFlags::empty())?;
    let state = Arc::new(Mutex::new((String::new(), None)));
    let told = Arc::clone(&state);
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = said.read(&mut part) {
            let mut state = told.lock().unwrap_or_else(PoisonError::into_inner);
            state.0.push_str(&String::from_utf8_lossy(&part[..count]));
            let more = state.0.chars().count().saturating_sub(MOST_SAID);
            if let Some((cut, _)) = state.0.char_indices().nth(more).filter(|_| more > 0) {
                state.0.drain(..cut);
            }
        }
        let code = child.wait().ok().and_then(|status| status.code()).unwrap_or(1);
        told.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(code);
    });
    Ok(One { about, process, state })
}

/// Cancels a job on Flare, as `dfm jobs cancel` does.
pub fn cancel_job(context: &Context, federation: &str, job: &str) -> Answer {
    let mut command = dfm(context);
    command.args(["jobs", "cancel"]).stdin(Stdio::null());
    if poc::running(context, federation) > 0 {
        command.arg("--poc");
    }
    // Whatever a job may be called, it is no option.
    command.args(["--", federation, job]);
    match command.output() {
        Ok(done) if done.status.success() => Answer::json(&json!({"cancelled": job})),
        Ok(done) => Answer::refused(409, String::from_utf8_lossy(&done.stderr).trim()),
        Err(error) => Answer::refused(500, &format!("it cannot be asked: {error}")),
    }
}

/// This command, for the same registry.
fn dfm(context: &Context) -> Command {
    let mut command = program::itself();
    command.args(["--color=never", "--config"]).arg(&context.registry);
    if context.workspace_named {
        command.arg("--workspace").arg(&context.workspace);
    }
    command
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
