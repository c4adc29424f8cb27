//! How do all processes of a site append to one log, in which each line has the digest of the one before?
//!
//! The log is `log.jsonl` in its folder. One that has become too large is set aside as `log-` and the number of its last
//! record, and the chain goes on in a new one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::own_file::{Locked, facts, own_file, own_folder};
use crate::text::{Members, quoted};

/// The log that is appended to.
const LOG: &str = "log.jsonl";
/// What keeps two processes from appending at once.
const LOCK: &str = ".lock";
/// Bytes from a log's end that have a whole line in them.
const TAIL: u64 = 1 << 20;

/// What a line says, and when that was.
pub(crate) struct Record {
    /// Seconds since 1970.
    at: f64,
    pub members: Members,
}

impl Record {
    /// What has just happened.
    pub fn now(members: Members) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { at: since.as_secs_f64(), members }
    }
}

/// Where a log ends.
struct End {
    number: u64,
    /// Of the last line, in hexadecimal digits.
    digest: String,
    size: u64,
    /// Which file that is, after its number in the file system.
    file: u64,
    /// Whether the last line is one that its process did not finish before it was killed.
    torn: bool,
    /// This process's last record, where it is no more.
    missing: Option<Own>,
}

impl End {
    /// Before the first line.
    fn of_none() -> Self {
        Self { number: 0, digest: digest_of(""), size: 0, file: 0, torn: false, missing: None }
    }
}

/// A record that this process has written.
#[derive(Clone)]
struct Own {
    number: u64,
    /// Of its line, in hexadecimal digits.
    digest: String,
    /// Where the line begins in its log.
    begins: u64,
    /// Bytes of the line.
    size: usize,
}

/// The lines that are about to be appended.
pub(crate) struct Lines<'a> {
    about: &'a Members,
    /// Of the last one.
    pub number: u64,
    /// Of the last one.
    pub digest: String,
    text: Vec<u8>,
    /// Where in the text the last one begins.
    last: usize,
    /// The number of the first record of this process, and how many there are.
    process: Option<(u64, u64)>,
}

impl Lines<'_> {
    /// One more record.
    pub fn add(&mut self, record: &Record) {
        let (first, earlier) = self.process.unwrap_or((self.number + 1, 0));
        self.process = Some((first, earlier + 1));
        self.push(record, &format!("\"process\":{first},\"nth\":{},", earlier + 1));
    }

    fn push(&mut self, record: &Record, whose: &str) {
        self.number += 1;
        let (at, about, said) = (record.at, self.about.text(), record.members.text());
        let before = &self.digest;
        let line = format!("{{\"n\":{},\"before\":\"{before}\",\"at\":{at:.6},{about},{whose}{said}}}", self.number);
        self.digest = hex(Sha256::digest(line.as_bytes()));
        self.last = self.text.len();
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
    }
}

/// A log, for one process.
pub(crate) struct Chain {
    folder: PathBuf,
    path: PathBuf,
    about: Members,
    /// Bytes of a log, from which on another one is begun.
    largest: u64,
    lock: Option<File>,
    file: Option<File>,
    /// Where it was when this process appended last.
    end: Option<End>,
    /// What this process appended last.
    own: Option<Own>,
    /// The number of this process's first record, and how many it has written.
    process: Option<(u64, u64)>,
}

impl Chain {
    /// In a folder that is made when something is appended; `about` is in each line, and of so many bytes no log grows.
    pub fn new(folder: PathBuf, about: Members, largest: u64) -> Self {
        let path = folder.join(LOG);
        Self { folder, path, about, largest, lock: None, file: None, end: None, own: None, process: None }
    }

    /// Appends what `write` adds: all of it or, where that fails, nothing. Where the last record of this process is no
    /// more, one goes before that says so, and its number is returned.
    ///
    /// # Errors
    /// The system's, those of `write`, and that the log ends with what is no record.
    pub fn append(&mut self, write: impl FnOnce(&mut Lines<'_>) -> io::Result<()>) -> io::Result<Option<u64>> {
        let lock = match self.lock.take() {
            Some(lock) => lock,
            None => {
                own_folder(&self.folder)?;
                own_file(&self.folder.join(LOCK), false)?
            }
        };
        let done = Locked::new(&lock).and_then(|_locked| self.append_locked(write));
        self.lock = Some(lock);
        done
    }

    /// Closes the files, which are opened again when something is appended.
    pub fn close(&mut self) {
        (self.lock, self.file, self.end) = (None, None, None);
    }

    fn append_locked(&mut self, write: impl FnOnce(&mut Lines<'_>) -> io::Result<()>) -> io::Result<Option<u64>> {
        let (mut file, end) = self.open()?;
        let mut lines = Lines {
            about: &self.about,
            number: end.number,
            digest: end.digest.clone(),
            text: vec![],
            last: 0,
            process: self.process,
        };
        if end.torn {
            // It may be before the first record of this process, and is none of its own.
            lines.push(&Record::now(Members::what("torn")), "");
        }
        if let Some(own) = &end.missing {
            let said = Members::what("missing").and("record", own.number).and("digest", quoted(&own.digest));
            lines.add(&Record::now(said));
        }
        let done = write(&mut lines).and_then(|()| {
            file.write_all(&lines.text).inspect_err(|_| {
                // Of some lines the first ones are no chain that anybody has signed.
                let _ = file.set_len(end.size);
            })
        });
        let Lines { number, digest, text, last, process, .. } = lines;
        self.file = Some(file);
        if let Err(error) = done {
            self.end = Some(end);
            return Err(error);
        }
        if !text.is_empty() {
            let (begins, size) = (end.size + last as u64, text.len() - last - 1);
            self.own = Some(Own { number, digest: digest.clone(), begins, size });
        }
        self.process = process;
        let size = end.size + text.len() as u64;
        self.end = Some(End { number, digest, size, file: end.file, torn: false, missing: None });
        Ok(end.missing.map(|own| own.number))
    }

    /// The log and its end, which another process may have moved.
    fn open(&mut self) -> io::Result<(File, End)> {
        let found = facts(&self.path)?;
        if let (Some(file), Some(end), Some(found)) = (self.file.take(), self.end.take(), &found)
            && (found.ino(), found.size()) == (end.file, end.size)
            && end.size < self.largest
        {
            return Ok((file, end));
        }
        let missing = match &self.own {
            Some(own) if !self.is_there(own)? => Some(own.clone()),
            _ => None,
        };
        let before = match &found {
            // Of a log that was set aside just before its process was killed, the last one goes on.
            None => set_aside(&self.folder)?.pop().map_or_else(|| Ok(End::of_none()), |older| end_of(&older))?,
            Some(_) => end_of(&self.path)?,
        };
        if found.as_ref().is_some_and(|facts| facts.size() >= self.largest) {
            fs::rename(&self.path, self.folder.join(format!("log-{:012}.jsonl", before.number)))?;
        }
        let file = own_file(&self.path, true)?;
        let facts = file.metadata()?;
        Ok((file, End { size: facts.size(), file: facts.ino(), missing, ..before }))
    }

    /// Whether a record is still where this process wrote it, and what was appended since follows it, up to the log's
    /// end: others may have set that log aside and gone on in another one.
    fn is_there(&self, own: &Own) -> io::Result<bool> {
        let mut logs = vec![];
        for path in set_aside(&self.folder)?.into_iter().chain([self.path.clone()]) {
            if facts(&path)?.is_some_and(|facts| facts.is_file()) {
                logs.push(path);
            }
        }
        for first in 0..logs.len() {
            if is_in(&logs[first], own)? && leads_on(&logs[first..], own)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a log has a record where its process wrote it.
fn is_in(log: &Path, own: &Own) -> io::Result<bool> {
    let mut line = vec![0; own.size];
    match File::open(log)?.read_exact_at(&mut line, own.begins) {
        Ok(()) => Ok(hex(Sha256::digest(&line)) == own.digest),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether each record behind this one, which is in the first of these logs, has the digest of the line before it. Only
/// what was left unfinished, which is no record, has none.
fn leads_on(logs: &[PathBuf], own: &Own) -> io::Result<bool> {
    let mut digest = own.digest.clone();
    let mut line = vec![];
    for (at, log) in logs.iter().enumerate() {
        let mut rest = BufReader::new(File::open(log)?);
        if at == 0 {
            rest.seek(io::SeekFrom::Start(own.begins + own.size as u64 + 1))?;
        }
        let mut is_first = at > 0;
        while rest.read_until(b'\n', &mut line)? > 0 {
            let said = line.strip_suffix(b"\n").unwrap_or(&line);
            if (is_first || number_of(said).is_some()) && before_of(said) != Some(digest.as_bytes()) {
                return Ok(false);
            }
            digest = hex(Sha256::digest(said));
            is_first = false;
            line.clear();
        }
    }
    Ok(true)
}

/// The logs that were set aside, the last one at the end.
fn set_aside(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("log-") && name.ends_with(".jsonl")) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Where a log ends. Of a line that was begun when its process was killed, a line is made.
fn end_of(path: &Path) -> io::Result<End> {
    let file = own_file(path, false)?;
    let facts = file.metadata()?;
    let mut size = facts.size();
    let mut data = vec![0; usize::try_from(size.min(TAIL)).unwrap_or_default()];
    file.read_exact_at(&mut data, size.saturating_sub(TAIL))?;
    if data.is_empty() {
        return Ok(End { file: facts.ino(), ..End::of_none() });
    }
    if !data.ends_with(b"\n") {
        file.write_all_at(b"\n", size)?;
        data.push(b'\n');
        size += 1;
    }
    data.pop();
    let mut lines = data.rsplit(|byte| *byte == b'\n');
    let last = lines.next().unwrap_or_default();
    let (number, torn) = match number_of(last) {
        Some(number) => (Some(number), false),
        None => (lines.next().and_then(number_of).map(|number| number + 1), true),
    };
    let Some(number) = number else {
        let why = format!("{} ends with what is no record; `dfm site audit verify` says where", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    Ok(End { number, digest: hex(Sha256::digest(last)), size, file: facts.ino(), torn, missing: None })
}

/// The digits of a line's number, and what follows them.
fn numbered(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(b"{\"n\":")?.trim_ascii_start();
    Some(rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count()))
}

/// The number of a line that is a whole record.
fn number_of(line: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(numbered(line)?.0).ok()?.parse().ok()?;
    is_whole(line).then_some(number)
}

/// The digest of the line before, as a record says it.
fn before_of(line: &[u8]) -> Option<&[u8]> {
    let rest = numbered(line)?.1.strip_prefix(b",")?.trim_ascii_start().strip_prefix(b"\"before\":")?;
    rest.trim_ascii_start().strip_prefix(b"\"")?.split(|byte| *byte == b'"').next()
}

/// Whether what begins with a brace ends with the one that closes it, and not before. No more is asked of it: parameters
/// may nest deeper than a reader of JSON goes, and Python writes numbers in them that are none there, as `NaN`.
fn is_whole(line: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => {
                if depth <= 1 {
                    return depth == 1 && at + 1 == line.len();
                }
                depth -= 1;
            }
            _ => {}
        }
    }
    false
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in bytes.as_ref() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The SHA-256 of a text, in hexadecimal digits.
pub(crate) fn digest_of(text: &str) -> String {
    hex(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn about() -> Members {
        Members::default().and("session", quoted("s"))
    }

    fn add(chain: &mut Chain, what: &str) -> io::Result<Option<u64>> {
        chain.append(|lines| {
            lines.add(&Record::now(Members::what(what)));
            Ok(())
        })
    }

    /// What each line says, of all logs; each has to follow from the one before.
    fn told(folder: &Path) -> Vec<String> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let mut before = End::of_none().digest;
        let line = |(at, line): (usize, &str)| {
            let digest = std::mem::replace(&mut before, digest_of(line));
            let record: serde_json::Value = serde_json::from_str(line).ok()?;
            assert_eq!((&record["n"], &record["before"]), (&(at + 1).into(), &digest.into()));
            Some(record["what"].as_str()?.to_owned())
        };
        text.lines().enumerate().map(line).map(|what| what.unwrap_or_else(|| "?".to_owned())).collect()
    }

    #[test]
    fn two_processes_append_to_one_chain_over_logs_that_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Chain::new(folder.path().join("audit"), about(), 1000);
        let (mut one, mut other) = (of(), of());
        for _ in 0..20 {
            add(&mut one, "one").unwrap();
            add(&mut other, "other").unwrap();
        }
        assert_eq!(told(&folder.path().join("audit")), ["one", "other"].repeat(20));
        assert!(fs::read_dir(folder.path().join("audit")).unwrap().count() > 5);
        fs::rename(folder.path().join("audit/log.jsonl"), folder.path().join("audit/log-000000000040.jsonl")).unwrap();
        add(&mut of(), "a third").unwrap();
        assert_eq!(told(&folder.path().join("audit")).len(), 41);
    }

    /// Has somebody without a key write something else in the place of the log, from its second line on.
    fn forge(folder: &Path, whats: &[&str]) {
        let path = folder.join(LOG);
        let written = fs::read_to_string(&path).unwrap();
        fs::write(&path, written.lines().next().unwrap().to_owned() + "\n").unwrap();
        for what in whats {
            add(&mut Chain::new(folder.to_owned(), about(), 1 << 20), what).unwrap();
        }
    }

    #[test]
    fn what_lies_beside_a_log_does_not_stand_for_what_is_no_more_in_it() {
        for name in ["log-999999999999.jsonl", "log-000000000000.jsonl"] {
            for keeps_the_file in [true, false] {
                let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                let mut one = Chain::new(folder.path().to_owned(), about(), 1 << 20);
                for what in ["call", "left"] {
                    add(&mut one, what).unwrap();
                }
                for _ in 0..2 {
                    add(&mut Chain::new(elsewhere.path().to_owned(), about(), 1 << 20), "forged").unwrap();
                }
                let (log, beside) = (folder.path().join(LOG), folder.path().join(name));
                if keeps_the_file {
                    fs::rename(&log, &beside).unwrap();
                } else {
                    fs::copy(&log, &beside).unwrap();
                }
                fs::rename(elsewhere.path().join(LOG), &log).unwrap();
                assert_eq!(add(&mut one, "signed").unwrap(), Some(2));
                fs::remove_file(beside).unwrap();
                assert_eq!(told(folder.path()), ["forged", "forged", "missing", "signed"]);
            }
        }
    }

    #[test]
    fn who_finds_its_last_record_no_more_says_so_and_others_of_its_kind_are_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Chain::new(folder.path().to_owned(), about(), 1 << 20);
        let (mut one, mut other) = (of(), of());
        for chain in [&mut other, &mut one] {
            add(chain, "call").unwrap();
        }
        forge(folder.path(), &["forged", "forged"]);
        assert_eq!(add(&mut one, "left").unwrap(), Some(2));
        assert_eq!(add(&mut other, "left").unwrap(), None, "its own is still there");
        assert_eq!(add(&mut one, "signed").unwrap(), None, "it is said once");
        let expected = ["call", "forged", "forged", "missing", "left", "left", "signed"];
        assert_eq!(told(folder.path()), expected);
        one.close();
        fs::remove_file(folder.path().join(LOG)).unwrap();
        assert_eq!(add(&mut one, "left").unwrap(), Some(7));
        assert_eq!(told(folder.path()), ["missing", "left"]);
    }

    #[test]
    fn each_record_says_which_one_of_its_process_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Chain::new(folder.path().to_owned(), about(), 1 << 20);
        let (mut one, mut other) = (of(), of());
        add(&mut one, "a").unwrap();
        add(&mut other, "b").unwrap();
        one.append(|_| Err(io::Error::other("no key"))).unwrap_err();
        add(&mut one, "c").unwrap();
        let text = fs::read_to_string(folder.path().join(LOG)).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_which: Vec<_> = records.map(|one| (one["process"].as_u64(), one["nth"].as_u64())).collect();
        assert_eq!(of_which, [(Some(1), Some(1)), (Some(2), Some(1)), (Some(1), Some(2))]);
    }

    #[test]
    fn what_cannot_be_written_whole_is_not_written_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(folder.path().to_owned(), about(), 1 << 20);
        add(&mut chain, "first").unwrap();
        let failed = chain.append(|lines| {
            lines.add(&Record::now(Members::what("second")));
            Err(io::Error::other("no key"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no key");
        add(&mut chain, "third").unwrap();
        assert_eq!(told(folder.path()), ["first", "third"]);
    }

    proptest! {
        #[test]
        fn a_line_that_was_cut_anywhere_is_said_to_be_torn(text in any::<String>(), cut in any::<prop::sample::Index>()) {
            let folder = tempfile::tempdir().unwrap();
            let nested = format!("{{\"a\":[{},{{}}]}}", quoted(&text));
            let members = Members::what("call").and("parameters", nested);
            let append = |members: &Members| {
                let mut chain = Chain::new(folder.path().to_owned(), about(), 1 << 20);
                chain.append(|lines| {
                    lines.add(&Record::now(members.clone()));
                    Ok(())
                })
            };
            append(&Members::what("first")).unwrap();
            append(&members).unwrap();
            let path = folder.path().join(LOG);
            let written = fs::read(&path).unwrap();
            let second = written.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let end = second + cut.index(written.len() - second);
            File::options().write(true).open(&path).unwrap().set_len(end as u64).unwrap();
            append(&Members::what("third")).unwrap();
            let is_whole = end + 1 == written.len();
            let expected = if end == second {
                vec!["first", "third"]
            } else if is_whole {
                vec!["first", "call", "third"]
            } else {
                vec!["first", "?", "torn", "third"]
            };
            prop_assert_eq!(told(folder.path()), expected);
        }

        #[test]
        fn any_end_of_a_log_is_one_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(LOG);
            own_file(&path, true).unwrap().write_all(&bytes).unwrap();
            let mut chain = Chain::new(folder.path().to_owned(), about(), 1 << 20);
            let is_one = add(&mut chain, "more").is_ok();
            prop_assert_eq!(is_one, end_of(&path).is_ok());
        }
    }
}
