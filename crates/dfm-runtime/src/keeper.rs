//! What of a session's jobs is kept for an application that may end and come back?
//!
//! The keeper sees what home records and all that other sites send it, and of each packet no more than its outline. It
//! keeps what a new home needs to stand where the old one stood, and lets go of values as soon as the application has
//! had them; that something was there stays, so that nothing of what a site has sent can be missing unnoticed.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use dfm_net::{Frame, PlaceId, TransitionId};
use dfm_wire::{ASKED, JobId, Message, Outline, Series};

/// The most bytes of errors that a site tells of a job and that are kept.
const MOST_REPORTED: usize = 64 << 20;

/// About how many bytes a packet, or a series of which the application has had tokens, takes beside what it contains.
const BESIDE: usize = 128;

/// What is kept of a session's jobs.
pub struct Keeper {
    jobs: BTreeMap<JobId, Job>,
    /// About how many bytes all of it takes.
    bytes: usize,
    /// How many it may.
    most: usize,
}

/// What is kept of one job.
struct Job {
    home: String,
    /// About how many bytes all that is kept of it takes.
    bytes: usize,
    history: Vec<Packet>,
    waiting: BTreeSet<String>,
    /// Site → how many bytes of errors it has told.
    reported: HashMap<String, usize>,
    frames: u32,
    stopped: bool,
    tokens: u64,
    errors: u64,
    calls_at_home: bool,
    /// Home's places → their `Yield`, where each of their tokens is one for the application.
    yields: Vec<Option<TransitionId>>,
    /// What the application was or will be given through each `Yield` in each frame.
    streams: HashMap<Series, Stream>,
    /// What sites have answered since they were asked last.
    told: BTreeMap<String, Packet>,
}

/// A packet as it is kept: with its outline stands all that goes with it.
pub struct Packet {
    /// The site that sent it.
    pub from: String,
    /// Its outline, as its sender has sealed it.
    pub head: Vec<u8>,
    /// The rest; `None` once its value was had.
    pub body: Option<Bytes>,
}

impl Packet {
    fn size(&self) -> usize {
        BESIDE + self.from.len() + self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

#[derive(Default)]
struct Stream {
    /// How many tokens the application has had.
    had: u64,
    /// How many of these have lost their value.
    dropped: u64,
    /// Where in the history the others are, and whether each is a value.
    kept: VecDeque<(usize, bool)>,
}

/// How far a job is, as its keeper sees it.
#[derive(Debug, PartialEq)]
pub struct Progress {
    /// How many frames were begun.
    pub frames: u32,
    /// Whether there will be no more.
    pub stopped: bool,
    /// How many tokens other sites sent for the application.
    pub tokens: u64,
    /// How many errors were reported.
    pub errors: u64,
    /// The sites that have not done all that there is to do; home among them only where it has operations to run.
    pub waiting: Vec<String>,
}

impl Keeper {
    /// One that keeps about so many bytes of all jobs at most, see [`Keeper::let_go`].
    pub fn new(most: usize) -> Self {
        Self { jobs: BTreeMap::new(), bytes: 0, most }
    }

    /// Where more is kept than may be, lets go of the job of which most is: its number. It is asked after whatever is
    /// taken, as sites and users of their own session say how much that is.
    pub fn let_go(&mut self) -> Option<JobId> {
        if self.bytes <= self.most {
            return None;
        }
        let (&largest, _) = self.jobs.iter().max_by_key(|(_, job)| job.bytes)?;
        self.forget(largest);
        Some(largest)
    }

    /// Takes a packet of home's record.
    pub fn record(&mut self, outline: &[u8], packet: Packet) {
        let Some(outline) = Outline::from_bytes(outline) else { return };
        let job = match &outline {
            Outline::Plan(job, sites, calls, yields) => {
                let new = || Job::new(&packet.from, sites.iter().cloned().collect(), *calls, yields.clone());
                self.jobs.entry(*job).or_insert_with(new)
            }
            Outline::Input(job) | Outline::Stop(job) | Outline::Ran(job) | Outline::Failed(job) => {
                let Some(job) = self.jobs.get_mut(job) else { return };
                job
            }
            _ => return,
        };
        match outline {
            Outline::Input(_) => job.frames += 1,
            Outline::Stop(_) => job.stopped = true,
            Outline::Failed(_) => job.errors += 1,
            _ => {}
        }
        self.bytes += job.keep(packet);
    }

    /// Keeps a packet for home, if it is of a job that is kept: the job's number.
    pub fn take(&mut self, outline: &[u8], packet: Packet) -> Option<JobId> {
        let outline = Outline::from_bytes(outline)?;
        if let Outline::Unfinished(job) = outline {
            let job = self.jobs.get_mut(&job)?;
            let size = packet.size();
            let before = job.told.insert(packet.from.clone(), packet).map_or(0, |before| before.size());
            job.bytes = job.bytes + size - before;
            self.bytes = self.bytes + size - before;
            return None;
        }
        let number = outline.kept()?;
        // Nothing follows from a site that is done.
        let job = self.jobs.get_mut(&number).filter(|job| job.waiting.contains(&packet.from))?;
        match outline {
            Outline::Token(_, place, frame, is_value) => {
                if let Some(is_value) = is_value {
                    job.expect(place, frame, is_value);
                }
            }
            Outline::Item(_, place, frame) => job.expect(place, frame, true),
            Outline::Done(_) => {
                job.waiting.remove(&packet.from);
            }
            Outline::Refused(_) => {
                job.waiting.remove(&packet.from);
                job.errors += 1;
            }
            Outline::Report(_) => {
                job.errors += 1;
                let reported = job.reported.entry(packet.from.clone()).or_default();
                *reported += packet.head.len() + packet.body.as_ref().map_or(0, Bytes::len);
                if *reported > MOST_REPORTED {
                    return None;
                }
            }
            // Only home says so of itself.
            _ => return None,
        }
        self.bytes += job.keep(packet);
        Some(number)
    }

    /// The application has had so many tokens in all through this `Yield` in this frame.
    pub fn acknowledge(&mut self, job: JobId, transition: TransitionId, frame: &Frame, had: u64) {
        let Some(job) = self.jobs.get_mut(&job) else { return };
        let before = job.bytes;
        let stream = match job.streams.entry((transition, frame.clone())) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                job.bytes += BESIDE;
                entry.insert(Stream::default())
            }
        };
        stream.had = stream.had.max(had);
        while stream.dropped < stream.had {
            let Some((at, true)) = stream.kept.front().copied() else { break };
            stream.kept.pop_front();
            stream.dropped += 1;
            job.bytes -= job.history[at].body.take().map_or(0, |body| body.len());
        }
        self.bytes = self.bytes + job.bytes - before;
    }

    /// Sites are asked what a job has not done there: what they answered before is of an earlier moment.
    pub fn ask(&mut self, job: JobId) {
        if let Some(job) = self.jobs.get_mut(&job) {
            let told = std::mem::take(&mut job.told).values().map(Packet::size).sum::<usize>();
            job.bytes -= told;
            self.bytes -= told;
        }
    }

    /// The packet that asks a site, in home's name, what a job has not done there; [`Keeper::told`] has the answers.
    pub fn question(job: JobId) -> Vec<u8> {
        Message::Ask(ASKED, job).to_bytes()
    }

    /// What the sites have answered.
    pub fn told(&self, job: JobId) -> impl Iterator<Item = &Packet> {
        self.jobs.get(&job).into_iter().flat_map(|job| job.told.values())
    }

    /// The packet with which home has a site forget a job.
    pub fn cancellation(job: JobId) -> Vec<u8> {
        Message::Cancel(job).to_bytes()
    }

    /// Lets go of a job.
    pub fn forget(&mut self, job: JobId) {
        self.bytes -= self.jobs.remove(&job).map_or(0, |job| job.bytes);
    }

    /// The jobs that are kept.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.keys().copied()
    }

    /// How far a job is.
    pub fn progress(&self, job: JobId) -> Option<Progress> {
        let job = self.jobs.get(&job)?;
        let waits = |site: &&String| **site != job.home || job.calls_at_home;
        Some(Progress {
            frames: job.frames,
            stopped: job.stopped,
            tokens: job.tokens,
            errors: job.errors,
            waiting: job.waiting.iter().filter(waits).cloned().collect(),
        })
    }

    /// All that was kept of a job, in the order in which it came: first its plan.
    pub fn history(&self, job: JobId) -> impl Iterator<Item = &Packet> {
        self.jobs.get(&job).into_iter().flat_map(|job| &job.history)
    }

    /// How many tokens of each series the application has had.
    pub fn had(&self, job: JobId) -> Vec<(Series, u64)> {
        let streams = self.jobs.get(&job).into_iter().flat_map(|job| &job.streams);
        streams.map(|(series, stream)| (series.clone(), stream.had)).filter(|(_, had)| *had > 0).collect()
    }
}

impl Job {
    fn new(home: &str, waiting: BTreeSet<String>, calls_at_home: bool, yields: Vec<Option<TransitionId>>) -> Self {
        Self {
            home: home.to_owned(),
            bytes: 0,
            history: vec![],
            waiting,
            reported: HashMap::new(),
            frames: 0,
            stopped: false,
            tokens: 0,
            errors: 0,
            calls_at_home,
            yields,
            streams: HashMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Keeps a packet: about how many bytes that takes.
    fn keep(&mut self, packet: Packet) -> usize {
        let size = packet.size();
        self.bytes += size;
        self.history.push(packet);
        size
    }

    /// Notes that the packet which is kept next is a token for the application.
    fn expect(&mut self, place: PlaceId, frame: Frame, is_value: bool) {
        self.tokens += 1;
        if let Some(&Some(transition)) = self.yields.get(place as usize) {
            let at = self.history.len();
            self.streams.entry((transition, frame)).or_default().kept.push_back((at, is_value));
        }
    }
}
