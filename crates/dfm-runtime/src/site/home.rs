//! What does the homesite do for its application, that no other site does?

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dfm_net::{Asked, Counted, Counts, Failure, Frame, Net, NodeId, Noted, Source, Step, Trace, TransitionId};
use dfm_wire::{Encoded, JobId, Message};

use super::unfinished::{Nets, node_at};
use super::values::{Packed, in_packet};
use super::{Job, Site};
use crate::host::{Event, Host};
use crate::limits::BEYOND;
use crate::measure::Measuring;
use crate::noting::{MOST_LINES, MOST_NOTED, MOST_SAID, Number, TELL};
use crate::receipt::{Contribution, MOST_TEXT};
use crate::record::encoded_params;

/// The most bytes of errors that a site is heard with of a job.
const MOST_REPORTED: usize = 64 << 20;
/// About what an error takes beside its texts, in bytes.
const AN_ERROR: usize = 1024;
/// A site is heard so often about calls of a job that wait for a person.
const MOST_ASKED: u32 = 10_000;
/// Characters of a request's name.
const MOST_NAME: usize = 64;

/// What only home knows of a job.
pub(super) struct HomeSide {
    frames: u32,
    /// What each other site has told of what it noted.
    told: HashMap<String, Told>,
    /// When each frame began, if the job is measured.
    begun: Vec<f64>,
    /// Of all its sites.
    nets: Nets,
    /// Site → how many bytes of errors it has told.
    reported: HashMap<String, usize>,
    /// Site → how often it has said that a call waits for a person, or does no more.
    asked: HashMap<String, u32>,
    /// The sites that have given their part of its receipt.
    vouched: HashSet<String>,
    /// The parameters that each site needs.
    params: HashMap<String, HashSet<String>>,
    /// The sites that have not finished.
    waiting: HashSet<String>,
}

/// What a site has told of a job.
#[derive(Default)]
struct Told {
    noted: usize,
    /// Bytes of what bodies have said there.
    said: usize,
    counts: Counts,
    /// What was only counted there.
    more: HashMap<Counted, Number>,
    /// When an event last had these; earlier ones are not told of again.
    at: f64,
    /// Whether none has had the latest.
    due: bool,
}

impl Told {
    /// Takes what was counted out of what was noted: numbers only grow, and there are no more than `most` of them.
    fn take_more(&mut self, noted: &mut Vec<Noted>, most: usize, is_own: impl Fn(&Counted) -> bool) {
        noted.retain(|one| {
            let Noted::More { of, count, bytes } = one else { return true };
            if is_own(of) && (self.more.len() < most || self.more.contains_key(of)) {
                let known = self.more.entry(of.clone()).or_default();
                if *count > known.count || *bytes > known.bytes {
                    let (count, bytes) = (known.count.max(*count), known.bytes.max(*bytes));
                    *known = Number { count, bytes, is_told: false };
                }
            }
            false
        });
    }

    /// What was counted and no event has had.
    fn take_untold(&mut self) -> Vec<Noted> {
        self.more.iter_mut().filter_map(|(of, number)| number.tell(of)).collect()
    }
}

/// What a frame of a job begins with at another site.
struct Start {
    site: String,
    needs: HashSet<String>,
    encoded: Vec<(String, Encoded)>,
    lost: Vec<(String, Failure)>,
    files: Vec<Arc<OwnedFd>>,
    /// How many bytes of its packet the parameters take.
    taken: usize,
}

impl Start {
    fn new(site: &str, needs: &HashSet<String>) -> Self {
        let (site, needs) = (site.to_owned(), needs.clone());
        Self { site, needs, encoded: vec![], lost: vec![], files: vec![], taken: 0 }
    }
}

impl HomeSide {
    /// How many frames were begun.
    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    pub(super) fn nets(&self) -> &Nets {
        &self.nets
    }

    /// The sites but `own` that have not finished.
    pub(super) fn others(&self, own: &str) -> Vec<String> {
        self.waiting.iter().filter(|site| *site != own).cloned().collect()
    }

    /// Waits for a site no more; whether it had.
    pub(super) fn leave_out(&mut self, site: &str) -> bool {
        self.waiting.remove(site)
    }
}

impl<H: Host> Site<H> {
    /// At home: begins a job with the nets of all its sites. Sites without a link count as lost, and so do those in
    /// `absent`, which has reasons.
    pub fn open(&mut self, id: JobId, name: &str, nets: Vec<Net>, absent: &HashMap<String, String>) {
        self.keep(id, |_| Some(Message::Plan(id, name.to_owned(), nets.clone())));
        for site in self.open_at_all(id, name, nets, absent) {
            let otherwise = format!("the process of site '{site}' is not running");
            self.lose(&site, absent.get(&site).unwrap_or(&otherwise));
        }
    }

    /// Begins a job; the sites that it needs and that are absent or have no link.
    pub(crate) fn open_at_all(
        &mut self,
        id: JobId,
        name: &str,
        nets: Vec<Net>,
        absent: &HashMap<String, String>,
    ) -> Vec<String> {
        let mut params: HashMap<String, HashSet<String>> = HashMap::new();
        let mut all = Nets::new();
        let receipt = self.receipted.remove(&id);
        let mut waiting = HashSet::from([self.name.clone()]);
        for net in nets {
            let needs = net.places.iter().filter_map(|place| match &place.source {
                Source::Param(name) => Some(name.clone()),
                _ => None,
            });
            params.insert(net.site.clone(), needs.collect());
            waiting.insert(net.site.clone());
            let net = Arc::new(net);
            if net.site != self.name {
                if receipt {
                    self.push(&net.site, &Message::WantReceipt(id), vec![]);
                }
                self.push(&net.site, &Message::Open(id, name.to_owned(), Arc::clone(&net)), vec![]);
            }
            all.insert(net.site.clone(), net);
        }
        let is_gone = |site: &String| absent.contains_key(site) || !self.links.contains_key(site);
        let gone: Vec<String> = waiting.iter().filter(|site| **site != self.name && is_gone(site)).cloned().collect();
        let nothing = || Net {
            site: self.name.clone(),
            blocks: vec![dfm_net::Block::body()],
            places: vec![],
            transitions: vec![],
        };
        let own = all.get(&self.name).cloned().unwrap_or_else(|| Arc::new(nothing()));
        let (told, reported, asked, vouched, begun) = Default::default();
        let home = HomeSide { frames: 0, told, reported, asked, vouched, begun, nets: all, params, waiting };
        self.insert_job(id, name.to_owned(), own, Some(home));
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| receipt) {
            job.contribution = Some(Contribution::default());
        }
        gone
    }

    /// At home: has all sites measure a job's calls; [`Event::Measured`] comes before its end. Said before it starts.
    pub fn measure(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.measuring = Some(Measuring::default());
        let sites = job.home.as_ref().map_or_else(Vec::new, |home| home.others(&self.name));
        for site in sites {
            self.push(&site, &Message::Measure(id), vec![]);
        }
    }

    /// At home: has all sites keep account of what they contribute to a job; [`Event::Receipt`] of each comes before its
    /// end. Said before it is opened, so that nothing comes before the sites know.
    pub fn want_receipt(&mut self, id: JobId) {
        self.receipted.insert(id);
    }

    /// Takes another site's part of a receipt: one of each that takes part, if anybody wants it.
    pub(super) fn take_receipt(&mut self, id: JobId, from: String, text: String) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.contribution.is_some()) else { return };
        let Some(home) = &mut job.home else { return };
        if text.len() <= MOST_TEXT && home.nets.contains_key(&from) && home.vouched.insert(from.clone()) {
            self.events.push(Event::Receipt(id, from, text));
        }
    }

    /// Takes an error that another site tells: of itself and of its own nodes, and no more than so much.
    pub(super) fn take_report(&mut self, id: JobId, from: &str, told: Failure) {
        let Some(home) = self.jobs.get_mut(&id).and_then(|job| job.home.as_mut()) else { return };
        let Some(net) = home.nets.get(from) else { return };
        let step = |node: &NodeId| net.transitions.iter().map(|one| &one.step).find(|step| step.node() == node);
        let step = told.node.as_ref().and_then(step);
        let mut failure = Failure {
            site: from.to_owned(),
            node: step.map(|step| step.node().clone()),
            operation: step.and_then(Step::operation).map(str::to_owned),
            ..told
        };
        let reported = home.reported.entry(from.to_owned()).or_default();
        if *reported > MOST_REPORTED {
            return;
        }
        *reported += AN_ERROR + failure.kind.len() + failure.message.len() + failure.stack_trace.len();
        if *reported > MOST_REPORTED {
            BEYOND.clone_into(&mut failure.kind);
            failure.message = format!("it tells more errors of a job than are taken, {MOST_REPORTED} bytes of them");
            failure.stack_trace.clear();
        }
        self.events.push(Event::Reported(id, failure));
    }

    /// Takes that a call of another site waits for a person, as far as it can be so.
    pub(super) fn take_asks(&mut self, id: JobId, from: &str, transition: TransitionId, frame: Frame, request: String) {
        let Some(home) = self.jobs.get_mut(&id).and_then(|job| job.home.as_mut()) else { return };
        let Some(node) = node_at(&home.nets, from, transition) else { return };
        let asked = home.asked.entry(from.to_owned()).or_default();
        *asked += 1;
        let is_name = request.len() <= MOST_NAME && request.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_name && *asked <= MOST_ASKED {
            self.events.push(Event::Asks(id, node, frame, request));
        }
    }

    /// At home: has all sites note what happens in a job; [`Event::Noted`] comes again and again while it runs, and
    /// before its end. `trace` is what the job is in for them.
    pub fn note(&mut self, id: JobId, trace: Option<Trace>) {
        self.begin_noting(id, trace);
        let Some(job) = self.jobs.get(&id) else { return };
        let sites = job.home.as_ref().map_or_else(Vec::new, |home| home.others(&self.name));
        for site in sites {
            self.push(&site, &Message::Note(id, trace), vec![]);
        }
    }

    /// Takes what another site has noted, as far as it can be so: of its own nodes, no more than a site notes, and numbers
    /// alone no more often than a site tells them. The last ones are heard in any case.
    pub(super) fn told(&mut self, id: JobId, from: &str, mut noted: Vec<Noted>, counts: Counts) {
        let now = self.host.now();
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.noting.is_some()) else { return };
        let Some(home) = &mut job.home else { return };
        let Some(net) = home.nets.get(from) else { return };
        let told = home.told.entry(from.to_owned()).or_default();
        let own: HashSet<&NodeId> = net.transitions.iter().map(|transition| transition.step.node()).collect();
        let nets = &home.nets;
        // It cannot have more to count than each node's calls, good and failed, and each way to another site.
        let ways = net.transitions.iter().flat_map(|transition| &transition.outputs).filter(|arc| arc.site.is_some());
        told.take_more(&mut noted, 2 * own.len() + ways.count(), |of| match of {
            Counted::Done(node) | Counted::Failed(node) => own.contains(node),
            Counted::Sent(node, to) => own.contains(node) && nets.contains_key(to),
            Counted::Started | Counted::Came(_) => false,
        });
        noted.truncate(MOST_NOTED + MOST_LINES - told.noted);
        told.noted += noted.len();
        noted.retain_mut(|one| {
            let is_own = one.node().is_some_and(|node| own.contains(node));
            let sound = match one {
                Noted::Fired { .. } => true,
                Noted::Said { line, .. } => {
                    told.said = told.said.saturating_add(line.bytes());
                    *line = line.clone().cut();
                    told.said <= MOST_SAID
                }
                Noted::Sent { to, .. } => nets.contains_key(to),
                Noted::Started { .. } | Noted::Came { .. } | Noted::More { .. } => false,
            };
            is_own && sound && one.has_times()
        });
        told.counts = told.counts.later(counts);
        told.due = noted.is_empty() && now - told.at < TELL;
        if !told.due {
            told.at = now;
            noted.extend(told.take_untold());
            self.events.push(Event::Noted(id, from.to_owned(), noted, told.counts));
        }
    }

    /// At home: begins the next frame of a job.
    pub fn start(&mut self, id: JobId, params: &HashMap<String, H::Value>) {
        let Some(home) = self.jobs.get(&id).and_then(|job| job.home.as_ref()) else { return };
        let own = home.params.get(&self.name).cloned().unwrap_or_default();
        self.keep(id, |host| Some(Message::Input(id, encoded_params(host, params, &own))));
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(home) = job.home.as_mut() else { return };
        let frame = Frame::of_param_set(home.frames);
        home.frames += 1;
        if job.measuring.is_some() {
            home.begun.push(self.host.now());
        }
        if let Some(noting) = &mut job.noting {
            let at = self.host.now();
            noting.note(|| Noted::Started { frame: frame.clone(), at });
        }
        let others = home.params.iter().filter(|(site, _)| **site != self.name);
        let mut starts: Vec<Start> = others.map(|(site, needs)| Start::new(site, needs)).collect();
        let names: BTreeSet<String> = starts.iter().flat_map(|start| start.needs.iter().cloned()).collect();
        // One value to all its sites after another, so that it is written once.
        for name in names {
            let Some(value) = params.get(&name) else { continue };
            for start in starts.iter_mut().filter(|start| start.needs.contains(&name)) {
                let site = &start.site;
                match self.encode(site, value, &mut start.files, start.taken, None) {
                    Ok(Packed { value, warning, .. }) => {
                        start.taken += in_packet(&value);
                        start.encoded.push((name.clone(), value));
                        self.warn(&format!("the parameter place '{name}'"), site, warning);
                    }
                    Err(why) => {
                        let to = format!("the value for the parameter place '{name}' cannot be sent to site '{site}'");
                        let failure = self.failure(Some(&frame), None, why.kind(), format!("{to}: {why}"));
                        self.report(id, failure.clone());
                        start.lost.push((name.clone(), failure));
                    }
                }
            }
        }
        self.written = None;
        self.begin_sharing();
        for Start { site, files, encoded, lost, .. } in starts {
            self.push(&site, &Message::Start(id, frame.clone(), encoded, lost), files);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.engine.start(&frame, params);
        }
        self.act(id);
    }

    /// At home: ends a job's input.
    pub fn stop(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(home) = &job.home else { return };
        let frames = u64::from(home.frames);
        let sites = home.others(&self.name);
        job.engine.stop(frames);
        self.keep(id, |_| Some(Message::Stop(id, frames)));
        for site in sites {
            self.push(&site, &Message::Stop(id, frames), vec![]);
        }
        self.act(id);
    }

    /// At home: forgets a job, here and everywhere. Returns the sites that will answer with [`Event::Cancelled`].
    pub fn cancel(&mut self, id: JobId) -> Vec<String> {
        let Some(home) = self.jobs.get(&id).and_then(|job| job.home.as_ref()) else { return vec![] };
        let mut sites = home.others(&self.name);
        sites.retain(|site| self.links.contains_key(site));
        for site in &sites {
            self.push(site, &Message::Cancel(id), vec![]);
        }
        self.abandon(id);
        sites
    }

    /// At home: says hello to a site that was just started.
    pub fn set_up(&mut self, site: &str, text: &str) {
        self.push(site, &Message::Setup(text.to_owned()), vec![]);
    }

    /// At home: gives a site the descriptor of its link to another.
    pub fn introduce(&mut self, site: &str, other: &str, socket: OwnedFd) {
        self.push(site, &Message::Link(other.to_owned()), vec![Arc::new(socket)]);
    }

    /// At home: asks a site whether these calls can be made, and whether values may leave it in which there may be
    /// something of the results of these operations; [`Event::Checked`] has the answer.
    pub fn check(&mut self, site: &str, request: u64, calls: Vec<Asked>, leaving: Vec<Vec<String>>) {
        self.push(site, &Message::Check(request, calls, leaving), vec![]);
    }

    /// At home: ends the session at a site.
    pub fn say_bye(&mut self, site: &str) {
        self.push(site, &Message::Bye, vec![]);
    }

    /// Ends a job that waits for no site any more.
    pub(super) fn end_if_done(&mut self, id: JobId) {
        let done = |job: &Job<H::Value>| job.home.as_ref().is_some_and(|home| home.waiting.is_empty());
        if self.jobs.get(&id).is_some_and(done) {
            if let Some(home) = self.jobs.get_mut(&id).and_then(|job| job.home.as_mut()) {
                let due = home.told.drain().filter(|(_, told)| told.due);
                self.events.extend(due.map(|(site, mut told)| Event::Noted(id, site, told.take_untold(), told.counts)));
            }
            self.tell_rest(id);
            let mut job = self.remove_job(id);
            let given = job.as_mut().and_then(|job| job.contribution.take());
            if let Some(text) = given.and_then(|given| self.host.receipt(id, &given)) {
                self.events.push(Event::Receipt(id, self.name.clone(), text));
            }
            if let Some(Job { measuring: Some(measuring), home: Some(home), .. }) = job {
                self.events.push(Event::Measured(id, measuring.into_done(), home.begun));
            }
            self.events.push(Event::Ended(id));
        }
    }
}
