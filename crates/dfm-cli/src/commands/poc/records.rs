//! What is known of the processes of a federation on this machine?

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dfm_config::write_own;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::kits::Kit;
use crate::processes;

/// So long a supervisor has to write down how a process ended; one that was killed never does.
const WRITING: Duration = Duration::from_secs(1);

/// The process of a site, as its supervisor writes it down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub process: i32,
    /// When it began, in the system's ticks.
    pub began: u64,
    /// The kit that it runs from.
    pub kit: PathBuf,
    /// How it ended, once it has.
    pub ended: Option<End>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Where a site's record is, below the folder of the federation's POC.
pub fn path(poc: &Path, site: &str) -> PathBuf {
    poc.join("run").join(format!("{site}.json"))
}

/// The record of a site that has been started.
pub fn read(poc: &Path, site: &str) -> Option<Record> {
    serde_json::from_slice(&fs::read(path(poc, site)).ok()?).ok()
}

/// The record of a site whose process has ended; waits a little for its supervisor to write down how.
pub fn of_ended(poc: &Path, site: &str) -> Option<Record> {
    let begin = Instant::now();
    loop {
        let record = read(poc, site)?;
        if record.ended.is_some() || begin.elapsed() > WRITING {
            return Some(record);
        }
        thread::sleep(WRITING / 50);
    }
}

impl Record {
    /// Keeps it.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, poc: &Path, site: &str) -> io::Result<()> {
        write_own(&path(poc, site), &serde_json::to_string(self)?)
    }

    /// The process, if it has not ended; to wait for.
    pub fn alive(&self) -> Option<OwnedFd> {
        let process = Pid::from_raw(self.process)?;
        let held = pidfd_open(process, PidfdFlags::empty()).ok()?;
        // The number may be another process's by now.
        (processes::began(process) == Some(self.began)).then_some(held)
    }
}

/// Where a kit's process writes what it says.
pub fn log(kit: &Path) -> PathBuf {
    kit.join("poc.log")
}

/// Why a site does not run, as its end and its log tell.
pub fn reason(record: &Record) -> String {
    match record.ended {
        Some(End::Code(code)) => match last_problem(&record.kit) {
            Some(problem) => format!("it ended with exit code {code}; its log says: {problem}"),
            None => format!("it ended with exit code {code}"),
        },
        // Whatever its log says last, that was not why.
        Some(End::Signal(signal)) => format!("it was ended by signal {signal}"),
        None => "it is gone, and so is what watched it".to_owned(),
    }
}

/// The last problem that a kit's log tells.
pub fn last_problem(kit: &Path) -> Option<String> {
    problem(&String::from_utf8_lossy(&fs::read(log(kit)).ok()?))
}

fn problem(log: &str) -> Option<String> {
    // NVFlare logs the sentence first, then where in its code that was.
    let told = |line: &str| {
        let mark = [" - ERROR - ", " - CRITICAL - "].into_iter().find(|mark| line.contains(mark))?;
        line.split_once(mark).map(|(_, text)| text.trim().to_owned()).filter(|text| !text.starts_with("Traceback"))
    };
    // A process that cannot even begin says why in Python's words.
    let raised = |line: &&str| line.split(' ').next().is_some_and(|word| word.ends_with("Error:"));
    log.lines().rev().find_map(told).or_else(|| log.lines().rfind(raised).map(str::to_owned))
}

/// The kits that were started last.
pub fn current(poc: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(poc.join("run/kits")).ok()?;
    Some(PathBuf::from(text.trim_end())).filter(|folder| folder.is_dir())
}

/// Keeps which kits these are.
///
/// # Errors
/// The file system's.
pub fn set_current(poc: &Path, kits: &Path) -> io::Result<()> {
    write_own(&poc.join("run/kits"), &format!("{}\n", kits.display()))
}

/// The record of each kit, in their order.
pub fn of<'a>(poc: &Path, kits: impl IntoIterator<Item = &'a Kit>) -> Vec<(&'a Kit, Option<Record>)> {
    kits.into_iter().map(|kit| (kit, read(poc, &kit.name))).collect()
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn a_problem_is_the_sentence_that_says_it() {
        let log = "2026-01-01 - MPM - ERROR - Execute exception: FileNotFoundError: no such file: server.key\n\
                   2026-01-01 - MPM - ERROR - Traceback (most recent call last):\n  File \"mpm.py\", line 1\n";
        assert_eq!(problem(log).as_deref(), Some("Execute exception: FileNotFoundError: no such file: server.key"));
        let log = "Traceback (most recent call last):\n  File \"a.py\"\nModuleNotFoundError: No module named 'x'\n";
        assert_eq!(problem(log).as_deref(), Some("ModuleNotFoundError: No module named 'x'"));
        assert_eq!(problem("2026-01-01 - MPM - INFO - Good Bye!\n"), None);
    }
}
