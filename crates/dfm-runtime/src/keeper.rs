//! What of a session's jobs is kept for an application that may end and come back?
//!
//! The keeper sees what home records and all that goes between home and the other sites. It keeps what a new home needs
//! to stand where the old one stood, and lets go of values as soon as the application has had them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use dfm_net::{Argument, Frame, Net, PlaceId, Step, TransitionId};
use dfm_wire::{JobId, Message, Payload, Seen, SeenEnding, Unfinished};

use crate::host::Wait;
use crate::site::unfinished::waits;

/// What is kept of a session's jobs.
#[derive(Default)]
pub struct Keeper {
    jobs: BTreeMap<JobId, Kept>,
}

/// What is kept of one job.
struct Kept {
    name: String,
    home: String,
    history: BTreeMap<u64, (String, Vec<u8>)>,
    made: u64,
    /// The sites that were told to begin.
    opened: BTreeSet<String>,
    waiting: BTreeSet<String>,
    frames: u32,
    stopped: bool,
    tokens: u64,
    errors: u64,
    calls_at_home: bool,
    /// Home's places → their `Yield`, where each of their tokens is one for the application.
    yields: Vec<Option<TransitionId>>,
    /// What the application was or will be given through each `Yield` in each frame.
    streams: HashMap<(TransitionId, Frame), Stream>,
    /// What sites have answered since they were asked last.
    told: BTreeMap<String, Unfinished>,
}

#[derive(Default)]
struct Stream {
    /// How many tokens the application has had.
    had: u64,
    /// How many of these are not in the history any more.
    dropped: u64,
    /// Those in the history, and whether each is a value.
    kept: VecDeque<(u64, bool)>,
}

/// The number of all that a keeper asks; home counts from 1.
const ASKED: u64 = u64::MAX;

/// How far a job is, as its keeper sees it.
#[derive(Debug, PartialEq)]
pub struct Progress {
    /// The pipeline's name.
    pub name: String,
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

/// A `Yield` in one frame: its transition, the frame, how many tokens the application had of it, and how many of these
/// are not kept any more.
pub type Position = (TransitionId, Frame, u64, u64);

impl Keeper {
    /// Takes a packet of home's record.
    pub fn record(&mut self, home: &str, packet: &[u8]) {
        let message = match dfm_wire::seen(packet) {
            Some(Seen::Plan(..)) => match Message::from_bytes(packet) {
                Ok(Message::Plan(job, name, nets)) => {
                    self.jobs.entry(job).or_insert_with(|| Kept::new(home, name, &nets)).keep(home, packet);
                    return;
                }
                _ => return,
            },
            Some(message) => message,
            None => return,
        };
        let (Seen::Input(job, ..) | Seen::Stop(job, ..) | Seen::Made(job, ..) | Seen::Ended(job, ..)) = message else {
            return;
        };
        if let Some(kept) = self.jobs.get_mut(&job) {
            match message {
                Seen::Input(..) => kept.frames += 1,
                Seen::Stop(..) => kept.stopped = true,
                Seen::Ended(.., SeenEnding::Failed(_)) => kept.errors += 1,
                _ => {}
            }
            kept.keep(home, packet);
        }
    }

    /// Whether a packet from home may go on to a site: a job must not begin there twice.
    pub fn may_go(&mut self, site: &str, packet: &[u8]) -> bool {
        match dfm_wire::seen(packet) {
            Some(Seen::Open(job, ..)) => self.jobs.get_mut(&job).is_none_or(|kept| kept.opened.insert(site.to_owned())),
            _ => true,
        }
    }

    /// Keeps a packet for home, if it is of a job that is kept: the job's number.
    pub fn take(&mut self, from: &str, packet: &[u8]) -> Option<JobId> {
        let seen = dfm_wire::seen(packet)?;
        if let Seen::Unfinished(ASKED, ..) = seen
            && let Ok(Message::Unfinished(_, job, told)) = Message::from_bytes(packet)
        {
            self.jobs.get_mut(&job)?.told.insert(from.to_owned(), told);
        }
        let (Seen::Token(job, ..)
        | Seen::Item(job, ..)
        | Seen::Done(job)
        | Seen::Report(job, ..)
        | Seen::Refused(job, ..)) = seen
        else {
            return None;
        };
        let kept = self.jobs.get_mut(&job)?;
        match seen {
            Seen::Token(_, place, frame, payload) => {
                if let Some(is_value) = payload.for_the_application() {
                    kept.expect(place, frame, is_value);
                }
            }
            Seen::Item(_, place, frame, _) => kept.expect(place, frame, true),
            Seen::Done(_) => {
                kept.waiting.remove(from);
            }
            Seen::Refused(..) => {
                kept.waiting.remove(from);
                kept.errors += 1;
            }
            _ => kept.errors += 1,
        }
        kept.keep(from, packet);
        Some(job)
    }

    /// The application has had so many tokens in all through this `Yield` in this frame.
    pub fn acknowledge(&mut self, job: JobId, transition: TransitionId, frame: &Frame, had: u64) {
        let Some(kept) = self.jobs.get_mut(&job) else { return };
        let stream = kept.streams.entry((transition, frame.clone())).or_default();
        stream.had = stream.had.max(had);
        while stream.dropped < stream.had {
            let Some((at, true)) = stream.kept.front().copied() else { break };
            stream.kept.pop_front();
            stream.dropped += 1;
            let Some((_, packet)) = kept.history.get_mut(&at) else { continue };
            match dfm_wire::seen(packet) {
                // The net has to move on as if the value were there; nobody looks at it again.
                Some(Seen::Token(job, place, frame, _)) => {
                    *packet = Message::Token(job, place, frame, Payload::End).to_bytes();
                }
                _ => {
                    kept.history.remove(&at);
                }
            }
        }
    }

    /// The packet that asks a site, in home's name, what a job has not done there; [`Keeper::told`] has the answers.
    pub fn question(&mut self, job: JobId) -> Vec<u8> {
        if let Some(kept) = self.jobs.get_mut(&job) {
            kept.told.clear();
        }
        Message::Ask(ASKED, job).to_bytes()
    }

    /// The sites that have answered, what they have not done, and how much more that is.
    pub fn told(&self, job: JobId) -> Vec<(String, Vec<Wait>, u64)> {
        let Some(kept) = self.jobs.get(&job) else { return vec![] };
        // A job's history begins with its plan.
        let plan = kept.history.values().next().map(|(_, packet)| Message::from_bytes(packet));
        let Some(Ok(Message::Plan(_, _, nets))) = plan else { return vec![] };
        let nets = nets.into_iter().map(|net| (net.site.clone(), Arc::new(net))).collect();
        kept.told.iter().map(|(site, told)| (site.clone(), waits(&nets, site, told), told.more)).collect()
    }

    /// The packet with which home has a site forget a job.
    pub fn cancellation(job: JobId) -> Vec<u8> {
        Message::Cancel(job).to_bytes()
    }

    /// Lets go of a job.
    pub fn forget(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// The jobs that are kept.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.keys().copied()
    }

    /// How far a job is.
    pub fn progress(&self, job: JobId) -> Option<Progress> {
        let kept = self.jobs.get(&job)?;
        let waits = |site: &&String| **site != kept.home || kept.calls_at_home;
        Some(Progress {
            name: kept.name.clone(),
            frames: kept.frames,
            stopped: kept.stopped,
            tokens: kept.tokens,
            errors: kept.errors,
            waiting: kept.waiting.iter().filter(waits).cloned().collect(),
        })
    }

    /// What [`crate::Site::replay`] needs: packets, each with the site that sent it.
    pub fn history(&self, job: JobId) -> impl Iterator<Item = (&str, &[u8])> {
        let history = self.jobs.get(&job).into_iter().flat_map(|kept| kept.history.values());
        history.map(|(from, packet)| (from.as_str(), packet.as_slice()))
    }

    /// What the application has had of a job.
    pub fn positions(&self, job: JobId) -> Vec<Position> {
        let streams = self.jobs.get(&job).into_iter().flat_map(|kept| &kept.streams);
        let position =
            |(key, stream): (&(TransitionId, Frame), &Stream)| (key.0, key.1.clone(), stream.had, stream.dropped);
        streams.filter(|(_, stream)| stream.had > 0).map(position).collect()
    }
}

impl Kept {
    fn new(home: &str, name: String, nets: &[Net]) -> Self {
        let own = nets.iter().find(|net| net.site == home);
        Self {
            name,
            home: home.to_owned(),
            history: BTreeMap::new(),
            made: 0,
            opened: BTreeSet::new(),
            waiting: nets.iter().map(|net| net.site.clone()).collect(),
            frames: 0,
            stopped: false,
            tokens: 0,
            errors: 0,
            calls_at_home: own
                .is_some_and(|net| net.transitions.iter().any(|one| matches!(one.step, Step::Call { .. }))),
            yields: own.map(yields).unwrap_or_default(),
            streams: HashMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn keep(&mut self, from: &str, packet: &[u8]) {
        self.history.insert(self.made, (from.to_owned(), packet.to_vec()));
        self.made += 1;
    }

    /// Notes that the packet which is kept next is a token for the application.
    fn expect(&mut self, place: PlaceId, frame: Frame, is_value: bool) {
        self.tokens += 1;
        if let Some(&Some(transition)) = self.yields.get(place as usize) {
            self.streams.entry((transition, frame)).or_default().kept.push_back((self.made, is_value));
        }
    }
}

/// Place → the `Yield` that hands each token of it to the application, in the token's own frame and as it is.
fn yields(net: &Net) -> Vec<Option<TransitionId>> {
    let inputs = |of: TransitionId| net.places.iter().filter(|place| place.transition == of).count();
    let direct = |of: TransitionId, block| {
        let transition = &net.transitions[of as usize];
        matches!(transition.step, Step::Yield { value: Argument::Slot(_), .. })
            && transition.block == block
            && inputs(of) == 1
    };
    net.places
        .iter()
        .map(|place| {
            let known = (place.transition as usize) < net.transitions.len();
            (known && direct(place.transition, place.block)).then_some(place.transition)
        })
        .collect()
}
