//! How is a job kept in a file, so that it can be run again from that alone?

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use dfm_net::{Frame, NodeId, is_time};
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use crate::folder::open_to_read;
use crate::format::{Entry, Header, VERSION};

/// The version of the format: a reader takes what has its own and no other.
pub const RECORDING_VERSION: u32 = 1;

/// The most bytes of a packet that are kept; of a larger one it is told that it was there.
pub const MOST_PACKET: usize = 64 << 20;

/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 30;

/// The most bytes of a line: those of the largest packet, and what stands beside it.
const MOST_LINE: u64 = (MOST_PACKET as u64) / 3 * 4 + (1 << 20);

/// What of the values is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Values {
    /// The values.
    Full,
    /// Their digests and sizes.
    Hash,
    /// Nothing but their sizes.
    None,
}

/// The first line: that of a job's record, and what there is beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// The format's version.
    pub dfm_recording: u32,
    /// What of the values is in it.
    pub values: Values,
    /// The version of the federation's interface, `X.Y.Z`.
    pub api_version: String,
    /// As in a job's record.
    #[serde(flatten)]
    pub header: Header,
}

/// Any other line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded {
    /// What a site has said to home, or home to itself.
    Packet(Packet),
    /// As in a job's record.
    Event(Entry),
}

/// What a site has said to home, or home to itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// That it is a packet.
    what: Tag,
    /// Who said it.
    pub from: String,
    /// When home had it.
    pub at: f64,
    /// What it says, such as `value`.
    pub kind: String,
    /// Home's node that it is for, or whose call came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// The bytes of the value in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The SHA-256 of the value in it, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The packet; `None` where no values are kept, or it is too large.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "in_base64")]
    pub data: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tag {
    Packet,
}

impl Packet {
    /// One of which nothing more is known.
    pub fn new(from: &str, at: f64, kind: &str) -> Self {
        let (from, kind) = (from.to_owned(), kind.to_owned());
        Self { what: Tag::Packet, from, at, kind, node: None, frame: None, bytes: None, sha256: None, data: None }
    }

    /// What is told of it.
    pub fn without_data(&self) -> Self {
        let (node, frame, sha256) = (self.node.clone(), self.frame.clone(), self.sha256.clone());
        Self { node, frame, bytes: self.bytes, sha256, ..Self::new(&self.from, self.at, &self.kind) }
    }
}

mod in_base64 {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(|bytes| BASE64_STANDARD.encode(bytes)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        BASE64_STANDARD
            .decode(text)
            .map(Some)
            .map_err(|error| D::Error::custom(format!("`data` is no base64: {error}")))
    }
}

/// A job that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The first line.
    pub beginning: Beginning,
    /// The others: packets in the order in which home had them, and what happened, by the time.
    pub lines: Vec<Recorded>,
    /// How the job ended; `None` where the recording is cut short.
    pub status: Option<String>,
}

impl Recording {
    /// Why it cannot be run but only told; `None` if it can be.
    pub fn only_told(&self) -> Option<&'static str> {
        let lacks = |line: &Recorded| matches!(line, Recorded::Packet(packet) if packet.data.is_none());
        match self.beginning.values {
            Values::Hash => Some("it has digests in place of the values"),
            Values::None => Some("it has no values"),
            Values::Full if self.lines.iter().any(lacks) => {
                Some("a value was too large to be kept, or more came than a recording holds")
            }
            Values::Full => None,
        }
    }
}

/// Why a file is no recording that can be read.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be opened or read.
    Io(io::Error),
    /// It is longer than a recording can be.
    TooLong,
    /// It does not begin as a recording does.
    NoRecording,
    /// It is a job's record, which has no values.
    Record,
    /// It has another version of the format.
    Version(u64),
    /// This line is none of a recording's, and why.
    Line(usize, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::TooLong => write!(f, "it is longer than {MOST_BYTES} bytes, which no recording is"),
            Self::NoRecording => {
                write!(f, "its first line is not that of a recording, which has `dfm_recording` in it")
            }
            Self::Record => write!(f, "it is a job's record, which tells what happened but not what to run again"),
            Self::Version(version) => {
                write!(f, "it has version {version} of the format, and this dfm reads version {RECORDING_VERSION}")
            }
            Self::Line(_, why) => write!(f, "the line is nothing that a recording has: {why}"),
        }
    }
}

/// Reads the recording in a file.
///
/// # Errors
/// It is none, or none that this version reads.
pub fn read_recording(path: &Path) -> Result<Recording, Fault> {
    let file = open_to_read(path).map_err(Fault::Io)?;
    let facts = file.metadata().map_err(Fault::Io)?;
    if !facts.is_file() {
        return Err(Fault::Io(io::Error::other("it is no file")));
    }
    if facts.len() > MOST_BYTES {
        return Err(Fault::TooLong);
    }
    parse_recording(BufReader::new(file))
}

/// Reads a recording from what a file holds.
///
/// # Errors
/// It is none that this version reads.
pub fn parse_recording(text: impl BufRead) -> Result<Recording, Fault> {
    let (mut text, mut line) = (text.take(MOST_BYTES), vec![]);
    next(&mut text, &mut line)?;
    let beginning = beginning(&line)?;
    let (mut lines, mut number) = (vec![], 1);
    let (mut status, mut cut) = (None, false);
    while !cut {
        let ends = next(&mut text, &mut line)?;
        number += 1;
        if line.is_empty() && !ends {
            break;
        }
        match serde_json::from_slice::<Recorded>(&line) {
            Ok(recorded) if has_time(&recorded) => {
                if let Recorded::Event(Entry::Ended { status: ended, .. }) = &recorded {
                    status = Some(ended.clone());
                }
                lines.push(recorded);
            }
            // Whoever wrote it was killed.
            _ if !ends => cut = true,
            Ok(_) => return Err(Fault::Line(number, "its `at` is no time".to_owned())),
            Err(_) => return Err(Fault::Line(number, why(&line))),
        }
    }
    in_order(&mut lines);
    Ok(Recording { beginning, lines, status: status.filter(|_| !cut) })
}

fn beginning(line: &[u8]) -> Result<Beginning, Fault> {
    let first: serde_json::Value = serde_json::from_slice(line).map_err(|_| Fault::NoRecording)?;
    match first["dfm_recording"].as_u64() {
        Some(version) if version == u64::from(RECORDING_VERSION) => {}
        Some(version) => return Err(Fault::Version(version)),
        None if first["dfm_events"].is_u64() => return Err(Fault::Record),
        None => return Err(Fault::NoRecording),
    }
    let beginning: Beginning = serde_json::from_value(first).map_err(|error| Fault::Line(1, error.to_string()))?;
    let header = &beginning.header;
    let sound = header.plan.as_ref().is_none_or(|plan| plan.is_sound());
    if header.dfm_events != VERSION || !sound || !is_time(header.at) {
        return Err(Fault::Line(1, "its plan or its times are none".to_owned()));
    }
    Ok(beginning)
}

/// Why a line is none, in the words of what it is meant to be.
fn why(line: &[u8]) -> String {
    let value: serde_json::Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return format!("it is no JSON from its column {} on", error.column()),
    };
    let error = match value["what"].as_str() {
        Some("packet") => serde_json::from_value::<Packet>(value).err(),
        Some(_) => serde_json::from_value::<Entry>(value).err(),
        None => return "it has no `what`".to_owned(),
    };
    error.map_or_else(String::new, |error| error.to_string())
}

fn has_time(recorded: &Recorded) -> bool {
    match recorded {
        Recorded::Packet(packet) => is_time(packet.at),
        Recorded::Event(entry) => entry.has_times(),
    }
}

/// Sites tell what happened some time later: that goes to where it belongs among the packets, which stay as they are.
fn in_order(lines: &mut Vec<Recorded>) {
    let (packets, mut events): (Vec<_>, Vec<_>) = lines.drain(..).partition(|line| matches!(line, Recorded::Packet(_)));
    let at = |line: &Recorded| match line {
        Recorded::Packet(packet) => packet.at,
        Recorded::Event(entry) => entry.at(),
    };
    events.sort_by(|one, other| at(one).total_cmp(&at(other)));
    let mut events = events.into_iter().peekable();
    for packet in packets {
        while let Some(event) = events.next_if(|event| at(event) <= at(&packet)) {
            lines.push(event);
        }
        lines.push(packet);
    }
    lines.extend(events);
}

/// Reads the next line, without its end; whether it has one.
fn next(text: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Fault> {
    line.clear();
    text.by_ref().take(MOST_LINE).read_until(b'\n', line).map_err(Fault::Io)?;
    Ok(line.pop_if(|last| *last == b'\n').is_some())
}

/// Writes a recording: beside the file that is wanted until it is whole.
pub struct Recorder {
    file: File,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
    left_out: u64,
    problem: Option<io::Error>,
}

impl Recorder {
    /// Begins it. Only the user can read it.
    ///
    /// # Errors
    /// The system's, for a file that cannot be made there.
    pub fn new(path: &Path, beginning: &Beginning) -> io::Result<Self> {
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}.part", beginning.header.job));
        let part = path.with_file_name(name);
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(openat(CWD, &part, how, Mode::from_raw_mode(0o600))?);
        let path = path.to_owned();
        let mut recorder = Self { file, part, path, bytes: 0, left_out: 0, problem: None };
        recorder.write(beginning);
        recorder.problem.take().map_or(Ok(recorder), Err)
    }

    /// Adds a line. What is too large, or more than a recording holds, is only counted.
    pub fn add(&mut self, line: Recorded) {
        let line = match line {
            Recorded::Packet(mut packet) => {
                let size = packet.data.as_ref().map_or(0, Vec::len);
                if size > MOST_PACKET || self.bytes + size as u64 * 2 > MOST_BYTES - (64 << 20) {
                    (packet.data, self.left_out) = (None, self.left_out + 1);
                }
                Recorded::Packet(packet)
            }
            event => event,
        };
        if self.bytes < MOST_BYTES - (32 << 20) {
            self.write(&line);
        } else {
            self.left_out += 1;
        }
    }

    /// Ends it, with this as its end, and gives it its name.
    ///
    /// # Errors
    /// Something could not be written, and the part that could is where it was.
    pub fn finish(mut self, ended: Entry) -> io::Result<()> {
        if self.left_out > 0 {
            self.write(&Entry::LeftOut { site: None, count: self.left_out });
        }
        self.write(&ended);
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        fs::rename(&self.part, &self.path)
    }

    fn write(&mut self, line: &impl Serialize) {
        if self.problem.is_some() {
            return;
        }
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            self.bytes += text.len() as u64;
            self.file.write_all(&text)
        });
        self.problem = written.err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning() -> Beginning {
        let header = Header {
            dfm_events: VERSION,
            job: "a-1".to_owned(),
            federation: "small".to_owned(),
            pipeline: "greet".to_owned(),
            target: "local".to_owned(),
            homesite: "home".to_owned(),
            at: 1.0,
            params: vec![],
            reached: None,
            nodes: [].into(),
            plan: None,
        };
        let api_version = "1.0.0".to_owned();
        Beginning { dfm_recording: RECORDING_VERSION, values: Values::Full, api_version, header }
    }

    fn packet(at: f64) -> Recorded {
        let mut packet = Packet::new("east", at, "value");
        packet.node = Some(NodeId::Name("out".to_owned()));
        packet.frame = Some(Frame::of_param_set(0));
        packet.data = Some(vec![0, 255]);
        Recorded::Packet(packet)
    }

    fn ended(at: f64) -> Entry {
        Entry::Ended { at, status: "FINISHED".to_owned(), frames: 1, tokens: 0, errors: 0 }
    }

    #[test]
    fn what_was_written_is_read_with_what_happened_in_its_place() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("job.jsonl");
        let mut recorder = Recorder::new(&path, &beginning()).expect("it can be written");
        let started = Recorded::Event(Entry::Started { frame: Frame::of_param_set(0), at: 2.5 });
        for line in [packet(2.0), packet(3.0), started.clone()] {
            recorder.add(line);
        }
        let part = read_recording(&folder.path().join("job.jsonl.a-1.part")).expect("it is one as far as it goes");
        assert!(part.status.is_none() && !path.exists());
        recorder.finish(ended(4.0)).expect("it can be written");
        let recording = read_recording(&path).expect("it is one");
        assert_eq!((recording.status.as_deref(), recording.only_told()), (Some("FINISHED"), None));
        assert_eq!(recording.lines, [packet(2.0), started, packet(3.0), Recorded::Event(ended(4.0))]);
        assert_eq!(recording.beginning, beginning());
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_pipe_not_waited_for() {
        let folder = tempfile::tempdir().expect("there is room");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o600)).expect("it can be made");
        for path in [pipe.as_path(), folder.path()] {
            assert!(matches!(read_recording(path), Err(Fault::Io(_))));
            assert!(crate::read(path).is_err());
        }
    }

    #[test]
    fn what_is_too_large_is_told_and_counted() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("job.jsonl");
        let mut recorder = Recorder::new(&path, &beginning()).expect("it can be written");
        let Recorded::Packet(mut large) = packet(2.0) else { unreachable!() };
        large.data = Some(vec![0; MOST_PACKET + 1]);
        recorder.add(Recorded::Packet(large.clone()));
        recorder.finish(ended(3.0)).expect("it can be written");
        let recording = read_recording(&path).expect("it is one");
        assert!(recording.only_told().is_some());
        assert!(recording.lines.contains(&Recorded::Packet(large.without_data())));
        assert!(recording.lines.contains(&Recorded::Event(Entry::LeftOut { site: None, count: 1 })));
    }
}
