//! What does a record say that anybody may have written?

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use dfm_net::is_time;

use crate::folder::{Folder, is_written, open_to_read};
use crate::format::{Entry, Header, VERSION};

/// The most bytes of a record that are read.
const MOST_BYTES: u64 = 16 << 20;

/// The most bytes of a line that are read as one.
const MOST_LINE: u64 = 1 << 20;

/// The most records that are looked at to say what is usual.
const MOST_ASKED: usize = 50;

/// A job's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What was planned.
    pub header: Header,
    /// What happened, in the order in which the homesite was told.
    pub entries: Vec<Entry>,
    /// Whether an application has the job now.
    pub running: bool,
    /// What is missing in it.
    pub cut: Cut,
}

/// What is missing in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Lines that are nothing that this version knows.
    pub lines: u64,
    /// Whether it ends within a line, or is longer than what is read.
    pub end: bool,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// There is none.
    Missing,
    /// It cannot be opened.
    Io(io::Error),
    /// Its first line is not that of a record.
    NoRecord,
    /// It has another version of the format.
    Version(u64),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no record of it"),
            Self::Io(error) => write!(f, "its record cannot be read: {error}"),
            Self::NoRecord => write!(f, "its record does not begin as one does"),
            Self::Version(version) => {
                write!(f, "its record has version {version} of the format, and this dfm reads version {VERSION}")
            }
        }
    }
}

/// Reads a record, as far as it goes.
///
/// # Errors
/// There is none, or it is none that this version reads.
pub fn read(path: &Path) -> Result<Record, Unreadable> {
    let file = open_to_read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Io(error),
    })?;
    if !file.metadata().map_err(Unreadable::Io)?.is_file() {
        return Err(Unreadable::NoRecord);
    }
    let mut record = parse(BufReader::new(file))?;
    record.running = is_written(path);
    Ok(record)
}

/// Reads a record from what a file holds.
///
/// # Errors
/// It is none that this version reads.
pub fn parse(text: impl BufRead) -> Result<Record, Unreadable> {
    let mut text = text.take(MOST_BYTES);
    let mut line = vec![];
    let mut cut = Cut::default();
    let header = header(&mut text, &mut line, &mut cut)?;
    let mut entries = vec![];
    while next(&mut text, &mut line, &mut cut).map_err(Unreadable::Io)? {
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) if entry.has_times() => entries.push(entry),
            _ => cut.lines += 1,
        }
    }
    cut.end |= text.limit() == 0;
    Ok(Record { header, entries, running: false, cut })
}

/// How many seconds it usually takes until the sites of a session of this target can be reached, by the newest records.
pub fn usual_reach(folder: &Folder, target: &str) -> Option<f64> {
    let reached = |job: &String| {
        let mut text = BufReader::new(File::open(folder.record(job)?).ok()?).take(MOST_LINE);
        let header = header(&mut text, &mut vec![], &mut Cut::default()).ok()?;
        header.reached.filter(|_| header.target == target)
    };
    let mut times: Vec<f64> = folder.jobs().iter().rev().take(MOST_ASKED).filter_map(reached).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Reads the first line.
fn header(text: &mut impl BufRead, line: &mut Vec<u8>, cut: &mut Cut) -> Result<Header, Unreadable> {
    next(text, line, cut).map_err(Unreadable::Io)?;
    let first: serde_json::Value = serde_json::from_slice(line).map_err(|_| Unreadable::NoRecord)?;
    match first["dfm_events"].as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(Unreadable::Version(version)),
        None => return Err(Unreadable::NoRecord),
    }
    let header: Header = serde_json::from_value(first).map_err(|_| Unreadable::NoRecord)?;
    let sound = header.plan.as_ref().is_none_or(|plan| plan.is_sound());
    if !sound || !is_time(header.at) || !header.reached.is_none_or(is_time) {
        return Err(Unreadable::NoRecord);
    }
    Ok(header)
}

/// Reads the next whole line; whether there is one.
fn next(text: &mut impl BufRead, line: &mut Vec<u8>, cut: &mut Cut) -> io::Result<bool> {
    line.clear();
    text.by_ref().take(MOST_LINE).read_until(b'\n', line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(true);
    }
    cut.end |= !line.is_empty();
    Ok(false)
}
