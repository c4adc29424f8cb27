//! When is a federation on this machine ready?

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use dfm_diag::Diagnostic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use serde_json::{Value, json};

use super::Place;
use super::kits::{self, Kind, Kit};
use super::records::{self, Record};
use crate::context::{Context, Failure};
use crate::{flare, processes};

/// Seconds for a look at a server that listens, which on a busy machine needs some to answer.
const LOOK: f64 = 20.0;

/// How far a site is.
enum State {
    /// Nobody started it.
    Stopped,
    /// Its process runs, but NVFlare's server gets no answer from it yet; the last problem that its log tells.
    Starting(Option<String>),
    /// It answered NVFlare's server.
    Connected,
    /// Its process has ended; why.
    Failed(String),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting(_) => "starting",
            Self::Connected => "connected",
            Self::Failed(_) => "failed",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting(reason) => reason.as_deref(),
            Self::Failed(reason) => Some(reason),
            Self::Stopped | Self::Connected => None,
        }
    }
}

/// Waits until every site answers NVFlare's server.
///
/// # Errors
/// A site that does not run, or that ends meanwhile; or that the time is up.
pub fn run(context: &Context, place: &Place, limit: f64) -> Result<(), Failure> {
    if Duration::try_from_secs_f64(limit).is_err() {
        let message = format!("--timeout takes a number of seconds from 0 on, not {limit}");
        return Err(Failure::wrong(Diagnostic::error("poc-timeout", message)));
    }
    let begin = Instant::now();
    let kits = place.kits();
    let sites: Vec<&Kit> = kits.iter().filter(|kit| kit.kind != Kind::Admin).collect();
    let alive: Vec<Option<OwnedFd>> = records::of(&place.folder, sites.iter().copied())
        .into_iter()
        .map(|(_, record)| record.and_then(|record| record.alive()))
        .collect();
    let mut connected = BTreeSet::new();
    let ready = if sites.is_empty() || alive.iter().any(Option::is_none) {
        false
    } else {
        let _working = context.output.working(&format!("waiting for the sites of `{}`", place.name));
        let mut child = ask(context, &kits, "wait", limit)?;
        let ready = until_ready(context, &mut child, (&sites[0].name, &alive), &mut connected, limit);
        let _ = child.kill();
        let _ = child.wait();
        ready?
    };
    let states = states(place, &sites, &connected);
    if context.output.json {
        context.output.document(&document(place, &states, ready));
    }
    if ready {
        context.output.status(&format!("`{}` is ready after {:.1} s", place.name, begin.elapsed().as_secs_f64()));
        return Ok(());
    }
    Err(not_ready(context, place, &states, limit))
}

fn not_ready(context: &Context, place: &Place, states: &[(&Kit, State)], limit: f64) -> Failure {
    if context.output.json {
        return Failure { exit: 1, report: Default::default() };
    }
    if states.iter().all(|(_, state)| matches!(state, State::Stopped)) {
        let help = format!("run `dfm poc start -f {}`", place.name);
        return Failure::failed(
            Diagnostic::error("poc-not-running", format!("`{}` is not running", place.name)).help(help),
        );
    }
    let ended = states.iter().find(|(_, state)| matches!(state, State::Failed(_) | State::Stopped));
    let late = states.iter().find(|(_, state)| matches!(state, State::Starting(_)));
    let Some((kit, state)) = ended.or(late) else { return flare::broken("") };
    let why = state.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let what = match state {
        State::Starting(_) => format!("`{}` is not connected after {limit} s{why}", kit.name),
        _ => format!("`{}` {}{why}", kit.name, if why.is_empty() { "is not running" } else { "failed" }),
    };
    let help = format!("`dfm poc logs {} --federation {}` shows all it said", kit.name, place.name);
    Failure::failed(Diagnostic::error("poc-not-ready", what).help(help))
}

/// Tells how far each site is.
///
/// # Errors
/// There is no Python.
pub fn status(context: &Context, place: &Place) -> Result<(), Failure> {
    let kits = place.kits();
    let sites: Vec<&Kit> = kits.iter().filter(|kit| kit.kind != Kind::Admin).collect();
    let mut connected = BTreeSet::new();
    let runs = |kit: &Kit| records::read(&place.folder, &kit.name).is_some_and(|record| record.alive().is_some());
    if sites.first().is_some_and(|server| runs(server)) {
        let child = ask(context, &kits, "once", LOOK)?;
        let output = child.wait_with_output().map_err(|error| flare::broken(&error.to_string()))?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        connected.extend(heard(&answer, &sites[0].name));
    }
    let states = states(place, &sites, &connected);
    let ready = !states.is_empty() && states.iter().all(|(_, state)| matches!(state, State::Connected));
    if context.output.json {
        context.output.document(&document(place, &states, ready));
        return Ok(());
    }
    if states.is_empty() {
        context.output.status(&format!("`{0}` has no kits yet; `dfm poc start -f {0}` makes them", place.name));
    }
    for (kit, state) in &states {
        let memory = process(place, kit).and_then(processes::memory);
        let memory = memory.map(|bytes| format!("{} MB", bytes / 1_000_000)).unwrap_or_default();
        let reason = state.reason().unwrap_or_default();
        context.output.result(format!("{:<20} {:<10} {memory:>7} {reason}", kit.name, state.word()).trim_end());
    }
    Ok(())
}

/// Each site and what this machine knows of it: whether its process runs, and why it does not.
pub fn health(place: &Place) -> Vec<(String, String)> {
    let kits = place.kits();
    let sites: Vec<&Kit> = kits.iter().filter(|kit| kit.kind != Kind::Admin).collect();
    let word = |state: &State| match state {
        State::Starting(None) => "runs".to_owned(),
        State::Starting(Some(problem)) => format!("runs: {problem}"),
        state => [state.word(), state.reason().unwrap_or_default()].join(" ").trim_end().to_owned(),
    };
    states(place, &sites, &BTreeSet::new()).iter().map(|(kit, state)| (kit.name.clone(), word(state))).collect()
}

fn states<'a>(place: &Place, sites: &[&'a Kit], connected: &BTreeSet<String>) -> Vec<(&'a Kit, State)> {
    let state = |kit: &Kit, record: Option<Record>| match record {
        None => State::Stopped,
        Some(record) if record.alive().is_none() => {
            State::Failed(records::reason(&records::of_ended(&place.folder, &kit.name).unwrap_or(record)))
        }
        Some(_) if connected.contains(&kit.name) => State::Connected,
        Some(record) => State::Starting(records::last_problem(&record.kit)),
    };
    let records = records::of(&place.folder, sites.iter().copied());
    records.into_iter().map(|(kit, record)| (kit, state(kit, record))).collect()
}

/// The process of a site, while it runs.
fn process(place: &Place, kit: &Kit) -> Option<Pid> {
    let record = records::read(&place.folder, &kit.name)?;
    record.alive().and_then(|_| Pid::from_raw(record.process))
}

fn document(place: &Place, states: &[(&Kit, State)], ready: bool) -> Value {
    let sites: serde_json::Map<String, Value> = states
        .iter()
        .map(|(kit, state)| {
            let process = process(place, kit);
            let memory = process.and_then(processes::memory);
            let process = process.map(|process| process.as_raw_nonzero());
            let facts = json!({"state": state.word(), "reason": state.reason(), "process": process, "memory": memory});
            (kit.name.clone(), facts)
        })
        .collect();
    json!({"federation": place.name, "ready": ready, "sites": sites})
}

fn ask(context: &Context, kits: &[Kit], what: &str, limit: f64) -> Result<Child, Failure> {
    let clients: Vec<&str> = kits.iter().filter(|kit| kit.kind == Kind::Client).map(|kit| kit.name.as_str()).collect();
    let admin = kits::operator(kits);
    let request = json!({"kit": admin.map(|kit| &kit.folder), "sites": clients, "timeout": limit});
    flare::start(context, "dfm.flare._poc", &[what], &request)
}

/// Reads what the server says until all are connected, or a process ends, or the time is up.
fn until_ready(
    context: &Context,
    child: &mut Child,
    (server, alive): (&str, &[Option<OwnedFd>]),
    connected: &mut BTreeSet<String>,
    limit: f64,
) -> Result<bool, Failure> {
    let Some(stdout) = child.stdout.take() else { return Ok(false) };
    let mut lines = BufReader::new(stdout);
    let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
    let deadline = Instant::now().checked_add(limit);
    while answers(&lines, alive, deadline) {
        let mut line = String::new();
        if lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let answer: Value = serde_json::from_str(&line).unwrap_or_default();
            for name in heard(&answer, server).filter(|name| !connected.contains(name)).collect::<Vec<_>>() {
                context.output.status(&format!("{name} is connected"));
                connected.insert(name);
            }
            continue;
        }
        let ended = child.wait().map_err(|error| flare::broken(&error.to_string()))?;
        if ended.success() {
            return Ok(true);
        }
        let mut said = String::new();
        let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        return if ended.code() == Some(1) && !said.contains("Traceback") {
            Ok(false)
        } else {
            Err(flare::broken(&said))
        };
    }
    Ok(false)
}

/// Whether the server has said something, before any process ended and before the time is up.
fn answers(lines: &BufReader<ChildStdout>, alive: &[Option<OwnedFd>], deadline: Option<Instant>) -> bool {
    if !lines.buffer().is_empty() {
        return true;
    }
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let mut watched: Vec<PollFd> = alive.iter().flatten().map(|process| PollFd::new(process, PollFlags::IN)).collect();
    watched.push(PollFd::from_borrowed_fd(lines.get_ref().as_fd(), PollFlags::IN));
    loop {
        match poll(&mut watched, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(count) if count > 0 => break,
            _ => return false,
        }
    }
    let (server, processes) = watched.split_last().expect("the server's is among them");
    processes.iter().all(|process| process.revents().is_empty()) && !server.revents().is_empty()
}

/// Who answered: the server itself, and the clients that it names.
fn heard(answer: &Value, server: &str) -> impl Iterator<Item = String> {
    let clients = answer["connected"].as_array();
    let server = clients.map(|_| server.to_owned());
    server.into_iter().chain(clients.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)))
}
