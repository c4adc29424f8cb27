//! What does one process of a site write down of what happens to the site's data?
//!
//! Records wait until something is about to leave, or the site rests, and are then written at once. Each process has a
//! key to sign with, and signs the chain as far as it goes: with each value that leaves, at every 256th record of its own,
//! at the end of a job, and at its own end.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::chain::{Chain, Lines, Record, digest_of};
use crate::text::{Members, number_or_null, quoted, quoted_or_null};

/// Characters of parameters that are kept as they are; of longer ones, the digest is.
const LONGEST: usize = 16_384;
/// Records that are kept while nothing can be written; of more, their number is.
const MOST_WAITING: usize = 10_000;
/// Records of a process, of which each last one is signed.
const A_SIGNATURE: u32 = 256;

/// The key that a process signs with.
pub trait Key: Send + Sync {
    /// The word of the site's kit for it.
    ///
    /// # Errors
    /// There is none.
    fn statement(&self) -> io::Result<String>;

    /// Signs that the chain goes so far, in base 64.
    ///
    /// # Errors
    /// It cannot be signed.
    fn sign(&self, number: u64, digest: &str) -> io::Result<String>;
}

/// For whom a site works in a session.
pub struct Whose {
    /// The site.
    pub site: String,
    /// The session.
    pub session: String,
    /// Its user.
    pub user: String,
    /// The user's organisation.
    pub organisation: String,
    /// The user's role.
    pub role: String,
}

/// What became of what was to be written.
#[derive(Debug)]
pub enum Outcome {
    /// It is, or there is time for that.
    Fine,
    /// It is, but the record of this number, which this process wrote last, is no more in the log.
    Missing(u64),
    /// It cannot be, and nothing more must happen before it is.
    Refuses(io::Error),
    /// It cannot be, and is counted: the site's policy has the work go on. Said the first time.
    Loses(io::Error),
}

/// A call whose end is not known.
struct Running {
    begun: Instant,
    /// Where among the records that waited then its own is.
    place: usize,
    /// How often had been written then.
    writes: u64,
    job: Option<u64>,
    operation: String,
}

/// A site's log, for what happens in one process.
pub struct Audit {
    chain: Chain,
    whose: Whose,
    /// Whether it was written for whom the site works.
    begun: bool,
    full: bool,
    goes_on: bool,
    key: Option<Box<dyn Key>>,
    unsigned: u32,
    /// How many records were lost.
    lost: u64,
    broken: bool,
    later: Vec<Record>,
    writes: u64,
    /// The call that was told last, as it runs from when that is said.
    last: Option<Running>,
    running: HashMap<u64, Running>,
}

impl Audit {
    /// In a folder that is made when it is needed, in which another log is begun when one has so many bytes. `full` keeps
    /// parameters as they are; `goes_on` has the site work while nothing can be written. Without a key, nothing is signed.
    pub fn new(
        folder: PathBuf,
        largest: u64,
        whose: Whose,
        full: bool,
        goes_on: bool,
        key: Option<Box<dyn Key>>,
    ) -> Self {
        let about = Members::default().and("session", quoted(&whose.session)).and("user", quoted(&whose.user));
        Self {
            chain: Chain::new(folder, about, largest),
            whose,
            begun: false,
            full,
            goes_on,
            key,
            unsigned: 0,
            lost: 0,
            broken: false,
            later: vec![],
            writes: 0,
            last: None,
            running: HashMap::new(),
        }
    }

    /// A job of this application begins, whose net at this site has this digest, which its user has signed.
    pub fn job(&mut self, job: u64, pipeline: &str, application: &str) {
        let about = Members::what("job").and("job", job).and("pipeline", quoted(pipeline));
        self.note(about.and("application", quoted(application)));
    }

    /// A call begins, with parameters that are JSON. It is written before anything leaves, and when the site rests.
    /// Refused where what came before it cannot be written down.
    pub fn call(&mut self, job: Option<u64>, operation: &str, provider: Option<&str>, given: &str) -> Outcome {
        if self.broken
            && let refused @ Outcome::Refuses(_) = self.write(None, false)
        {
            return refused;
        }
        let mut said = of_job("call", job, Some(operation));
        if let Some(provider) = provider {
            said.add("provider", quoted(provider));
        }
        if self.full && given.len() <= LONGEST {
            said.add("parameters", given);
        } else {
            said.add("parameters-digest", quoted(&digest_of(given)));
        }
        self.last = Some(Running {
            begun: Instant::now(),
            place: self.later.len(),
            writes: self.writes,
            job,
            operation: operation.to_owned(),
        });
        self.note(said);
        Outcome::Fine
    }

    /// The call that was told last has this number while it runs.
    pub fn runs(&mut self, call: u64) {
        if let Some(last) = self.last.take() {
            self.running.insert(call, Running { begun: Instant::now(), ..last });
        }
    }

    /// A call has: `done`, `given up`, or with the class of an error. Written with what follows.
    pub fn ended(&mut self, call: u64, how: &str) {
        let Some(running) = self.running.remove(&call) else { return };
        let seconds = format!("{:.6}", running.begun.elapsed().as_secs_f64());
        let end = |members: &mut Members| {
            members.add("how", quoted(how));
            members.add("seconds", seconds);
        };
        match self.later.get_mut(running.place).filter(|_| running.writes == self.writes) {
            Some(record) => end(&mut record.members),
            None => {
                // Its own record has been written.
                let mut said = of_job("ended", running.job, Some(&running.operation));
                end(&mut said);
                self.note(said);
            }
        }
    }

    /// A value is about to leave. Refused where this, or what came before it, cannot be written down.
    pub fn left(
        &mut self,
        job: u64,
        to: &str,
        operation: Option<&str>,
        kind: &str,
        bytes: u64,
        digest: Option<&str>,
    ) -> Outcome {
        let about = Members::what("left").and("job", job).and("to", quoted(to));
        let about = about.and("operation", quoted_or_null(operation)).and("kind", quoted(kind));
        let left = Record::now(about.and("bytes", bytes).and("digest", quoted_or_null(digest)));
        self.write(Some(left), false)
    }

    /// Something was refused.
    pub fn refused(&mut self, job: Option<u64>, operation: Option<&str>, why: &str) {
        self.note(of_job("refused", job, operation).and("why", quoted(why)));
    }

    /// A call waits for a person to decide of this request.
    pub fn asked(&mut self, job: Option<u64>, operation: &str, request: &str) {
        self.note(of_job("asked", job, Some(operation)).and("request", quoted(request)));
    }

    /// The call that follows was approved, with this request.
    pub fn decided(&mut self, job: Option<u64>, operation: &str, request: &str, until: &str) {
        let about = of_job("approved", job, Some(operation));
        self.note(about.and("request", quoted(request)).and("until", quoted(until)));
    }

    /// Writes what waits.
    pub fn settle(&mut self) -> Outcome {
        if self.later.is_empty() { Outcome::Fine } else { self.write(None, false) }
    }

    /// Writes what waits, and signs all that is there.
    pub fn sign(&mut self) -> Outcome {
        let is_signed = self.key.is_none() || self.unsigned == 0;
        if self.later.is_empty() && is_signed { Outcome::Fine } else { self.write(None, true) }
    }

    /// The same, and closes the files.
    pub fn close(&mut self) -> Outcome {
        let signed = self.sign();
        self.chain.close();
        signed
    }

    fn note(&mut self, members: Members) {
        self.later.push(Record::now(members));
    }

    /// Writes what waits, and what is about to leave, which does not wait.
    fn write(&mut self, left: Option<Record>, signed: bool) -> Outcome {
        self.writes += 1;
        match self.append(left.as_ref(), signed) {
            Ok(missing) => {
                (self.lost, self.broken) = (0, false);
                self.later.clear();
                missing.map_or(Outcome::Fine, Outcome::Missing)
            }
            Err(error) if self.goes_on => {
                let is_first = self.lost == 0;
                self.lost += self.later.drain(..).chain(left).count() as u64;
                if is_first { Outcome::Loses(error) } else { Outcome::Fine }
            }
            Err(error) => {
                self.broken = true;
                self.lost += self.later.len().saturating_sub(MOST_WAITING) as u64;
                self.later.truncate(MOST_WAITING);
                Outcome::Refuses(error)
            }
        }
    }

    fn append(&mut self, left: Option<&Record>, signed: bool) -> io::Result<Option<u64>> {
        let key = self.key.as_deref();
        let beginning = (!self.begun).then(|| beginning(&self.whose, key)).transpose()?;
        let lost = (self.lost > 0).then(|| Record::now(Members::what("lost").and("records", self.lost)));
        let records = beginning.iter().chain(&lost).chain(&self.later).chain(left);
        let mut unsigned = self.unsigned;
        let missing = self.chain.append(|lines| {
            for record in records {
                lines.add(record);
                unsigned += 1;
                if unsigned >= A_SIGNATURE {
                    unsigned = 0;
                    add_signature(lines, key)?;
                }
            }
            if (signed || left.is_some()) && unsigned > 0 {
                unsigned = 0;
                add_signature(lines, key)?;
            }
            Ok(())
        })?;
        (self.unsigned, self.begun) = (unsigned, true);
        Ok(missing)
    }
}

/// What a process says first: whom it works for, and which key it signs with.
fn beginning(whose: &Whose, key: Option<&dyn Key>) -> io::Result<Record> {
    let mut said = Members::what("session")
        .and("site", quoted(&whose.site))
        .and("organisation", quoted(&whose.organisation))
        .and("role", quoted(&whose.role));
    if let Some(key) = key {
        said.add("key", quoted(&key.statement()?));
    }
    Ok(Record::now(said))
}

/// Signs what stands before it.
fn add_signature(lines: &mut Lines<'_>, key: Option<&dyn Key>) -> io::Result<()> {
    if let Some(key) = key {
        let signature = quoted(&key.sign(lines.number, &lines.digest)?);
        lines.add(&Record::now(Members::what("signed").and("signature", signature)));
    }
    Ok(())
}

/// What is said of something in a job, about an operation.
fn of_job(what: &str, job: Option<u64>, operation: Option<&str>) -> Members {
    Members::what(what).and("job", number_or_null(job)).and("operation", quoted_or_null(operation))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    struct Signs;

    impl Key for Signs {
        fn statement(&self) -> io::Result<String> {
            Ok("its kit's word".to_owned())
        }

        fn sign(&self, number: u64, _: &str) -> io::Result<String> {
            Ok(format!("signed {number}"))
        }
    }

    fn audit(folder: &Path, full: bool, goes_on: bool) -> Audit {
        let text = str::to_owned;
        let whose = Whose {
            site: text("east"),
            session: text("s"),
            user: text("ada"),
            organisation: text("x"),
            role: text("lead"),
        };
        Audit::new(folder.to_owned(), 1 << 20, whose, full, goes_on, Some(Box::new(Signs)))
    }

    fn call(audit: &mut Audit) -> Outcome {
        audit.call(Some(1), "work.Add", None, r#"{"a":1}"#)
    }

    fn records(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn whats(folder: &Path) -> Vec<String> {
        records(folder).iter().map(|record| record["what"].as_str().unwrap().to_owned()).collect()
    }

    /// A folder that cannot be made, as a file has its name, until that is removed.
    fn blocked(scratch: &Path) -> PathBuf {
        let folder = scratch.join("audit");
        fs::write(&folder, "").unwrap();
        folder
    }

    #[test]
    fn nothing_is_allowed_that_cannot_be_written_down_and_what_was_told_is_written_once_it_can() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = blocked(scratch.path());
        let mut audit = audit(&folder, true, false);
        assert!(matches!(call(&mut audit), Outcome::Fine), "it is written before anything leaves");
        assert!(matches!(audit.left(1, "home", None, "number", 9, None), Outcome::Refuses(_)));
        assert!(matches!(call(&mut audit), Outcome::Refuses(_)));
        fs::remove_file(&folder).unwrap();
        assert!(matches!(call(&mut audit), Outcome::Fine));
        assert!(matches!(audit.close(), Outcome::Fine));
        assert_eq!(whats(&folder), ["session", "call", "call", "signed"]);
    }

    #[test]
    fn what_is_lost_is_counted_where_work_goes_on() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = blocked(scratch.path());
        let mut audit = audit(&folder, true, true);
        call(&mut audit);
        assert!(matches!(audit.left(1, "home", None, "number", 9, None), Outcome::Loses(_)));
        call(&mut audit);
        assert!(matches!(audit.settle(), Outcome::Fine), "it is said once");
        fs::remove_file(&folder).unwrap();
        audit.refused(None, Some("work.Add"), "no");
        audit.close();
        assert_eq!(whats(&folder), ["session", "lost", "refused", "signed"]);
        assert_eq!(records(&folder)[1]["records"], 3);
    }

    #[test]
    fn what_leaves_is_signed_with_it() {
        let scratch = tempfile::tempdir().unwrap();
        let mut audit = audit(scratch.path(), false, false);
        for _ in 0..2 {
            call(&mut audit);
            assert!(matches!(audit.left(1, "home", None, "number", 9, None), Outcome::Fine));
        }
        audit.close();
        assert_eq!(whats(scratch.path()), ["session", "call", "left", "signed", "call", "left", "signed"]);
    }

    #[test]
    fn records_that_are_no_more_are_told() {
        let scratch = tempfile::tempdir().unwrap();
        let mut audit = audit(scratch.path(), false, false);
        call(&mut audit);
        audit.settle();
        fs::remove_file(scratch.path().join("log.jsonl")).unwrap();
        call(&mut audit);
        assert!(matches!(audit.settle(), Outcome::Missing(2)));
        assert!(matches!(audit.close(), Outcome::Fine));
        assert_eq!(whats(scratch.path()), ["missing", "call", "signed"]);
    }

    #[test]
    fn each_256th_record_of_a_process_is_signed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut audit = audit(scratch.path(), false, false);
        for _ in 0..600 {
            audit.refused(None, None, "no");
            audit.settle();
        }
        audit.sign();
        audit.sign();
        let told = records(scratch.path());
        let signed = told.iter().enumerate().filter(|(_, record)| record["what"] == "signed");
        let signed: Vec<(usize, String)> = signed.map(|(at, one)| (at, one["signature"].to_string())).collect();
        let expected = [256, 513, 603].map(|at| (at, format!("\"signed {at}\"")));
        assert_eq!(signed, expected);
        assert_eq!(told.len(), 604);
    }

    #[test]
    fn how_a_call_ended_is_with_it_or_after_it() {
        let scratch = tempfile::tempdir().unwrap();
        let mut audit = audit(scratch.path(), false, false);
        call(&mut audit);
        audit.runs(7);
        audit.ended(7, "done");
        call(&mut audit);
        audit.runs(8);
        audit.settle();
        audit.ended(8, "ValueError");
        audit.ended(8, "given up");
        audit.settle();
        let told = records(scratch.path());
        let how = |at: usize| (told[at]["what"].as_str().unwrap(), told[at]["how"].as_str());
        assert_eq!([1, 2, 3].map(how), [("call", Some("done")), ("call", None), ("ended", Some("ValueError"))]);
        assert_eq!(told.len(), 4);
        assert_eq!(told[1]["parameters-digest"].as_str().unwrap().len(), 64);
    }
}
