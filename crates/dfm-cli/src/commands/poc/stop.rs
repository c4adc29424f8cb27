//! How does a federation on this machine end, with nothing left of it?

use std::fs;
use std::io;

use serde_json::json;

use super::{Place, refused};
use crate::commands::poc::kits::{Kind, Kit};
use crate::commands::poc::{kits, records, supervisor};
use crate::context::{Context, Failure};
use crate::output::counted;
use crate::{flare, processes};

/// Seconds that jobs have to end before their processes are ended.
const JOBS: f64 = 8.0;

/// Ends the jobs, then all processes, by force where asking does not help.
///
/// # Errors
/// What the file system refuses.
pub fn run(context: &Context, place: &Place) -> Result<(), Failure> {
    let _lock = if place.folder.is_dir() { Some(place.lock()?) } else { None };
    let found = place.processes();
    let working = context.output.working(&format!("stopping `{}`", place.name));
    if found.iter().any(|process| is_job(*process)) {
        abort_jobs(context, place);
    }
    processes::end(supervisor::GRACE, || place.processes());
    for kit in place.kits() {
        match fs::remove_file(records::path(&place.folder, &kit.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused("forget a process", &error)),
            _ => {}
        }
    }
    drop(working);
    if context.output.json {
        context.output.document(&json!({"federation": place.name, "ended": found.len()}));
    } else if found.is_empty() {
        context.output.status(&format!("nothing of `{}` is running", place.name));
    } else {
        context.output.status(&format!("stopped `{}`, {} in all", place.name, counted(found.len(), "process")));
    }
    Ok(())
}

fn is_job(process: rustix::process::Pid) -> bool {
    let command = fs::read(format!("/proc/{}/cmdline", process.as_raw_nonzero())).unwrap_or_default();
    let command = String::from_utf8_lossy(&command);
    ["runner_process", "worker_process"].iter().any(|module| command.contains(module))
}

/// So that NVFlare knows their end, and does not find them running at the next start.
fn abort_jobs(context: &Context, place: &Place) {
    let all = place.kits();
    let runs = |kit: &Kit| records::read(&place.folder, &kit.name).is_some_and(|record| record.alive().is_some());
    let Some(admin) = kits::operator(&all) else { return };
    if !all.iter().any(|kit| kit.kind == Kind::Server && runs(kit)) {
        return;
    }
    let request = json!({"kit": admin.folder, "sites": [], "timeout": JOBS});
    // Where the server does not answer any more, its processes are ended without it.
    if let Ok(child) = flare::start(context, "dfm.flare._poc", &["abort"], &request) {
        let _ = child.wait_with_output();
    }
}

/// Removes the kits, the root of trust and the logs.
///
/// # Errors
/// What the file system refuses.
pub fn clean(context: &Context, place: &Place) -> Result<(), Failure> {
    match fs::remove_dir_all(&place.folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused("remove its folder", &error)),
        _ => {
            context.output.status(&format!("removed {}", context.shown(&place.folder).display()));
            Ok(())
        }
    }
}
