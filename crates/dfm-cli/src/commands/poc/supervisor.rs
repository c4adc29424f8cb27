//! Who watches the processes of a federation on this machine?
//!
//! A process of its own, so that nothing depends on the terminal where `dfm poc start` was called. It is the one that
//! every process below it comes back to when its parent is killed: NVFlare's jobs watch their parent's number, which
//! stays taken until somebody has asked how that parent ended.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, setsid, wait};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::records::{End, Record, log};
use crate::{processes, program};

/// The entry in the environment by which a federation's processes are known, whatever becomes of their parents.
pub const MARK: &str = "DFM_POC";

/// Between the request to end and the end by force.
pub const GRACE: Duration = Duration::from_secs(3);

/// Opens no file where a link leads.
const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// What to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The folder of the federation's POC.
    pub poc: PathBuf,
    /// The sites and how to start them.
    pub sites: Vec<Site>,
    /// Where else their Python finds packages.
    pub python_path: OsString,
}

/// A site to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its kit.
    pub kit: PathBuf,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Starts a supervisor, and returns once it has started all sites.
///
/// # Errors
/// Why it could not.
pub fn launch(request: &Request) -> io::Result<()> {
    let mut command = program::any(std::env::current_exe()?);
    command.args(["poc", "supervise"]).env(MARK, &request.poc).current_dir(&request.poc);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let document = serde_json::to_vec(request)?;
    child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(&document)?;
    let mut answer = String::new();
    io::BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut answer)?;
    match answer.trim() {
        "started" => Ok(()),
        "" => Err(io::Error::other("its supervisor ended")),
        problem => Err(io::Error::other(problem.to_owned())),
    }
}

/// Tells whoever launched this, unless it has been killed meanwhile.
fn answer(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Is the supervisor: reads its request from stdin, and ends when all that it started has ended.
///
/// # Errors
/// The system's.
pub fn run() -> io::Result<()> {
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    let mut document = vec![];
    io::stdin().read_to_end(&mut document)?;
    let request: Request = serde_json::from_slice(&document)?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let mut sites = HashMap::new();
    for site in &request.sites {
        match begin(site, &request) {
            Ok(record) => {
                sites.insert(record.process, (site.name.as_str(), record));
            }
            Err(error) => {
                answer(&format!("`{}` cannot be started: {error}", site.name));
                processes::end(GRACE, processes::descendants);
                return Ok(());
            }
        }
    }
    answer("started");
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            processes::end(GRACE, processes::descendants);
            process::exit(0);
        }
    });
    // Also of whatever lost its parent; until there is nothing left.
    while let Ok(Some((ended, status))) = wait(WaitOptions::empty()) {
        if let Some((name, mut record)) = sites.remove(&ended.as_raw_nonzero().get()) {
            record.ended = match status.exit_status() {
                Some(code) => Some(End::Code(code)),
                None => status.terminating_signal().map(End::Signal),
            };
            // Where the folder is gone, nobody asks any more.
            let _ = record.write(&request.poc, name);
        }
    }
    Ok(())
}

fn begin(site: &Site, request: &Request) -> io::Result<Record> {
    let (program, arguments) = site.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let log = OpenOptions::new().create(true).write(true).truncate(true).custom_flags(NO_LINK).open(log(&site.kit))?;
    let mut command = program::any(program);
    command.args(arguments).current_dir(&site.kit).env("PYTHONPATH", &request.python_path);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let record = started(&command.spawn()?, &site.kit)?;
    record.write(&request.poc, &site.name)?;
    Ok(record)
}

fn started(child: &Child, kit: &Path) -> io::Result<Record> {
    let process = i32::try_from(child.id()).map_err(io::Error::other)?;
    let began = Pid::from_raw(process).and_then(processes::began);
    Ok(Record { process, began: began.unwrap_or_default(), kit: kit.to_owned(), ended: None })
}
