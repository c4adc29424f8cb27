//! What does one site's process do with what its links bring and its host tells?
//!
//! Nothing here waits or knows the time: the host calls when a socket is readable or a call has ended, and then does
//! what [`Site::next_call`] and [`Site::take_events`] say. Several jobs run side by side, each with an engine of its own.

mod arrivals;
mod early;
mod home;
mod links;
pub(crate) mod shared;
mod streams;
pub(crate) mod unfinished;
mod values;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use dfm_net::{
    Action, Carry, Engine, Failure, Frame, Line, Makers, Net, NodeId, Noted, Outcome, PlaceId, Source, Step, Trace,
    TransitionId,
};
use dfm_wire::{JobId, Message};

use crate::due::{Due, Operation};
use crate::host::{Call, CallId, Event, Host, Yielded};
use crate::limits::{BEYOND, Limits, beyond};
use crate::measure::Measuring;
use crate::noting::{Noting, Told};
use crate::numbers::Numbers;
use crate::receipt::Contribution;
use crate::record::ended;
use crate::released::Released;
use crate::segment::{Pool, Received};
use early::Early;
use home::HomeSide;
use links::Peer;
use shared::{Piped, Sharing};
pub use streams::STREAM_WINDOW;
pub use unfinished::read_answer;
use values::{Written, measured};
pub(crate) use values::{in_packet, received};

/// One site of a session, in one process.
pub struct Site<H: Host> {
    name: String,
    pub(crate) host: H,
    /// `None` at home.
    home: Option<String>,
    links: BTreeMap<String, Peer>,
    links_made: u64,
    jobs: BTreeMap<JobId, Job<H::Value>>,
    newest: JobId,
    /// The jobs that were opened here, those that are over too.
    begun: Numbers,
    /// What came for jobs that home has not opened here yet.
    early: Early,
    /// About how many bytes of tokens wait for parameter sets that home has not begun here.
    ahead: u64,
    pub(crate) running: HashMap<CallId, Running>,
    calls_made: CallId,
    /// At home: the jobs of which a receipt is wanted, until they are opened.
    receipted: HashSet<JobId>,
    pub(crate) due: Due<H::Value>,
    limits: Limits,
    /// Whether every job is noted, for this site itself.
    notes_all: bool,
    pub(crate) events: Vec<Event<H::Value>>,
    pool: Pool,
    /// What was written last, until whoever made it can have changed it.
    written: Option<Written<H::Value>>,
    /// Whether what goes to several sites by pipes is in one packet alone.
    shares: bool,
    /// What packets have, until whoever made it can have changed it.
    sharing: Option<Sharing>,
    /// How many packets were given to pipes.
    piped: usize,
    /// Those for sites whose pipes are gone, until the others that may have parts in them are taken.
    stranded: Vec<Piped>,
    released: Released,
    /// What is to be kept of this home's doings, where a keeper is there for it.
    pub(crate) record: Option<Vec<Vec<u8>>>,
    /// At home: the jobs of which [`Event::Kept`] tells, until they are over.
    pub(crate) kept: HashSet<JobId>,
    /// Whether it repeats what was kept, so that no other site takes what it sends.
    pub(crate) repeats: bool,
}

struct Job<V> {
    name: String,
    engine: Engine<V>,
    /// How many calls it has made, tries included.
    calls: u64,
    streams: HashMap<(String, PlaceId, Frame), CallId>,
    /// Parameter set that home has not begun here → about how many bytes of tokens wait for it.
    ahead: HashMap<u32, u64>,
    /// Whose results could not be sent in which frame, which has been told: once, however many wait for them.
    unsendable: HashSet<(NodeId, Frame)>,
    /// Once somebody asked who has made something that left.
    makers: Option<Makers>,
    /// Only of a job whose application wants a receipt.
    contribution: Option<Contribution>,
    /// Only of a job that is measured.
    measuring: Option<Measuring>,
    /// Only of a job that home wants to hear of, or where every job is noted.
    noting: Option<Noting>,
    /// Only at home.
    home: Option<HomeSide>,
}

pub(crate) struct Running {
    pub(crate) job: JobId,
    pub(crate) transition: TransitionId,
    pub(crate) frame: Frame,
    /// When it had all that it needs, by the host's clock; only of a job of which is noted what happens.
    due: f64,
    /// When it was given to the host, by whose clock.
    begun: Option<f64>,
    pub(crate) sent: u64,
    /// How many items of a generator that runs again were recorded when it ran first.
    pub(crate) repeats: u64,
    /// Whether all it has made so far is recorded.
    pub(crate) recorded: bool,
    /// How many items each consumer has had.
    consumed: HashMap<(String, PlaceId), u64>,
    waits: bool,
}

pub(crate) struct Arrived {
    pub(crate) from: String,
    pub(crate) message: Message,
    pub(crate) buffers: Vec<Received>,
}

impl<H: Host> Site<H> {
    /// A site without links; `home` is the session's homesite, `None` where this is it.
    pub fn new(name: String, home: Option<String>, host: H) -> Self {
        Self {
            name,
            host,
            home,
            links: BTreeMap::new(),
            links_made: 0,
            jobs: BTreeMap::new(),
            newest: 0,
            begun: Numbers::default(),
            early: Early::default(),
            ahead: 0,
            running: HashMap::new(),
            calls_made: 0,
            receipted: HashSet::new(),
            due: Due::default(),
            limits: Limits::default(),
            notes_all: false,
            events: Vec::new(),
            pool: Pool::default(),
            written: None,
            shares: false,
            sharing: None,
            piped: 0,
            stranded: vec![],
            released: Released::new(),
            record: None,
            kept: HashSet::new(),
            repeats: false,
        }
    }

    /// The site's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whoever holds the values.
    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// Says how much the session may ask for, and how many calls of some operations may run at the same time. Before
    /// the first job.
    pub fn limit(&mut self, limits: Limits, operations: impl IntoIterator<Item = (Operation, usize)>) {
        let at_once = usize::try_from(limits.calls_at_once).unwrap_or(usize::MAX);
        self.due.bound(at_once, operations);
        self.limits = limits;
    }

    /// Has every job noted from now on, whether home wants to hear of it or not: [`Event::Noted`] has this site's own part.
    pub fn note_all(&mut self) {
        self.notes_all = true;
    }

    /// The calls that have been running for more than so many seconds.
    pub fn overdue(&self, seconds: f64) -> Vec<CallId> {
        let before = self.host.now() - seconds;
        let late = self.running.iter().filter(|(_, running)| running.begun.is_some_and(|begun| begun < before));
        late.map(|(call, _)| *call).collect()
    }

    /// Counts one more try of a call. A job that has had too many is refused, and `false` is returned.
    pub fn again(&mut self, call: CallId) -> bool {
        self.running.get(&call).map(|running| running.job).is_some_and(|job| self.count_call(job))
    }

    /// The next call that is due, if there is room for one.
    pub fn next_call(&mut self) -> Option<Call<H::Value>> {
        let call = self.due.pop()?;
        let now = self.host.now();
        if let Some(running) = self.running.get_mut(&call.id) {
            running.begun = Some(now);
        }
        if let Some(measuring) = self.jobs.get_mut(&call.job).and_then(|job| job.measuring.as_mut()) {
            measuring.begin(call.id, now);
        }
        Some(call)
    }

    /// How many calls run, and whether more wait for their turn.
    pub fn calls(&self) -> (usize, bool) {
        (self.due.running(), self.due.is_waiting())
    }

    /// How many calls wait for their turn.
    pub fn waiting(&self) -> usize {
        self.due.waiting().count()
    }

    /// What a job's step is.
    pub fn net(&self, job: JobId) -> Option<&Arc<Net>> {
        self.jobs.get(&job).map(|job| job.engine.net())
    }

    /// The name that its application has given a job.
    pub fn job_name(&self, job: JobId) -> Option<&str> {
        self.jobs.get(&job).map(|job| job.name.as_str())
    }

    /// Tells home that a call waits for a person to decide of a request with this name or, with an empty one, that it
    /// waits no more: its time begins then.
    pub fn asks(&mut self, call: CallId, request: String) {
        let now = self.host.now();
        let Some(running) = self.running.get_mut(&call) else { return };
        if request.is_empty() {
            running.begun = Some(now);
        }
        let (job, transition, frame) = (running.job, running.transition, running.frame.clone());
        self.send_home(&Message::Asks(job, transition, frame, request));
    }

    /// What happened since the last time.
    pub fn take_events(&mut self) -> Vec<Event<H::Value>> {
        mem::take(&mut self.events)
    }

    /// Gives up on what a site still owes to any job. At home this is also that error's report.
    pub fn lose(&mut self, site: &str, message: &str) {
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in jobs {
            let failure = lost(site, message);
            self.keep_arrived(site, &Message::Refused(id, failure.clone()), &[]);
            self.refused(site, id, failure);
        }
    }

    fn insert_job(&mut self, id: JobId, name: String, net: Arc<Net>, home: Option<HomeSide>) {
        let senders: HashSet<String> = net
            .places
            .iter()
            .filter_map(|place| match &place.source {
                Source::Site(site) if !self.links.contains_key(site) => Some(site.clone()),
                _ => None,
            })
            .collect();
        let mut engine = Engine::new(net);
        if self.home.is_some() {
            for site in senders {
                engine.lose(&site, lost(&site, &format!("the process of site '{site}' ended")));
            }
        }
        self.newest = self.newest.max(id);
        let noting = self.notes_all.then(|| Noting::new(self.host.now()));
        let (streams, ahead, unsendable, makers) = Default::default();
        self.jobs.insert(
            id,
            Job {
                name: name.clone(),
                engine,
                calls: 0,
                streams,
                ahead,
                unsendable,
                makers,
                contribution: None,
                measuring: None,
                noting,
                home,
            },
        );
        self.events.push(Event::Opened(id, name));
    }

    /// Forgets a job and its calls.
    pub(crate) fn abandon(&mut self, id: JobId) {
        self.newest = self.newest.max(id);
        self.early.take(id);
        self.remove_job(id);
    }

    /// Takes a job away, and every call with it that is not over: one that ends before they do was stopped by a home
    /// that had begun more of its frames than it said.
    fn remove_job(&mut self, id: JobId) -> Option<Job<H::Value>> {
        if self.notes_all {
            self.tell_rest(id);
        }
        let job = self.jobs.remove(&id)?;
        self.kept.remove(&id);
        if self.jobs.is_empty() {
            self.pool.rest();
        }
        self.events.push(Event::Over(id));
        self.ahead -= job.ahead.values().sum::<u64>();
        self.due.forget(id);
        if job.engine.live() == 0 {
            return Some(job);
        }
        let calls: Vec<CallId> =
            self.running.iter().filter(|(_, running)| running.job == id).map(|(call, _)| *call).collect();
        for call in &calls {
            self.due.end(*call);
            self.running.remove(call);
        }
        if !calls.is_empty() {
            self.events.push(Event::Abandoned(calls));
        }
        Some(job)
    }

    /// The answer to [`Event::Check`]: what is wrong with each operation and each value, empty for nothing.
    pub fn checked(&mut self, request: u64, problems: Vec<String>) {
        self.send_home(&Message::Checked(request, problems));
    }

    /// Takes a call's result. Late ones, of jobs that are gone, are dropped.
    pub fn complete(&mut self, call: CallId, outcome: Outcome<H::Value>) {
        let Some(running) = self.running.remove(&call) else { return };
        self.due.end(call);
        if running.recorded {
            self.keep(running.job, |host| ended(host, &running, &outcome));
        }
        let Some(job) = self.jobs.get_mut(&running.job) else { return };
        job.streams.retain(|_, stream| *stream != call);
        if let (Some(contribution), false) = (&mut job.contribution, matches!(outcome, Outcome::Failed(_)))
            && let Step::Call { operation, provider, .. } =
                &job.engine.net().transitions[running.transition as usize].step
        {
            contribution.called(operation, provider.as_deref());
        }
        if let Some(measuring) = &mut job.measuring {
            let (node, _) = described(job.engine.net(), running.transition);
            let now = self.host.now();
            let bytes = match &outcome {
                Outcome::Value(value) => measured(&mut self.host, value),
                Outcome::Streamed(_) | Outcome::Failed(_) | Outcome::Found(_) | Outcome::NotFound(_) => None,
            };
            measuring.end(call, node, running.frame.clone(), now, bytes);
        }
        let mut noted = None;
        if let Some(noting) = &mut job.noting {
            let now = *noted.insert(self.host.now());
            let begin = running.begun.unwrap_or(now);
            let failed = matches!(outcome, Outcome::Failed(_));
            if failed {
                noting.failed();
            }
            noting.note(|| Noted::Fired {
                node: job.engine.net().transitions[running.transition as usize].step.node().clone(),
                frame: running.frame.clone(),
                waited: (begin - running.due).max(0.0),
                begin,
                seconds: (now - begin).max(0.0),
                failed,
            });
        }
        job.engine.complete(running.transition, &running.frame, outcome);
        if let Some(now) = noted {
            self.tell(running.job, now);
        }
        self.act(running.job);
    }

    /// Takes a result that is an error, of which only the host's part is known.
    pub fn fail_call(&mut self, call: CallId, kind: String, message: String, stack_trace: String) {
        let Some(running) = self.running.get(&call) else { return };
        let Some(job) = self.jobs.get(&running.job) else { return };
        let (node, operation) = described(job.engine.net(), running.transition);
        let frame = Some(running.frame.clone());
        let failure =
            Failure { site: self.name.clone(), node: Some(node), operation, frame, kind, message, stack_trace };
        self.complete(call, Outcome::Failed(failure));
    }

    /// Takes what runs for a call has logged or printed, which home may hear or not.
    pub fn said(&mut self, call: CallId, line: Line, for_home: bool) {
        let Some(running) = self.running.get(&call) else { return };
        let (id, frame) = (running.job, running.frame.clone());
        let Some(Job { engine, noting: Some(noting), .. }) = self.jobs.get_mut(&id) else { return };
        let node = engine.net().transitions[running.transition as usize].step.node().clone();
        noting.said(node, frame, line, for_home);
        self.tell(id, self.host.now());
    }

    /// Tells home what was noted and not told, where nothing happens at which that would be told.
    pub fn tell_noted(&mut self) {
        let noted: Vec<JobId> = self.jobs.iter().filter(|(_, job)| job.noting.is_some()).map(|(id, _)| *id).collect();
        let now = self.host.now();
        noted.into_iter().for_each(|id| self.tell(id, now));
    }

    /// Whose running call this is: its job, its node and its frame.
    pub fn origin(&self, call: CallId) -> Option<(JobId, &NodeId, &Frame)> {
        let running = self.running.get(&call)?;
        Some((running.job, self.step(call)?.node(), &running.frame))
    }

    /// What a running call is for.
    pub fn step(&self, call: CallId) -> Option<&Step> {
        let running = self.running.get(&call)?;
        let net = self.jobs.get(&running.job)?.engine.net();
        Some(&net.transitions[running.transition as usize].step)
    }

    /// Whose running call this is: its node, its frame, and where its result goes as it comes, with the place of a
    /// `Yield` and without one for a loop.
    pub fn streams_to(&self, call: CallId) -> Option<(&NodeId, &Frame, Vec<Option<&str>>)> {
        let running = self.running.get(&call)?;
        let transition = &self.jobs.get(&running.job)?.engine.net().transitions[running.transition as usize];
        let places = transition.outputs.iter().filter_map(|arc| match &arc.carry {
            Carry::Stream(place) => Some(place.as_deref()),
            _ => None,
        });
        Some((transition.step.node(), &running.frame, places.collect()))
    }

    /// Whether a call's items are also needed as a list.
    pub fn gathers(&self, call: CallId) -> bool {
        self.running
            .get(&call)
            .and_then(|running| Some(self.jobs.get(&running.job)?.engine.gathers(running.transition)))
            .unwrap_or(false)
    }

    /// Does what a job's engine asks for.
    fn act(&mut self, id: JobId) {
        self.begin_sharing();
        self.act_on(id);
        (self.written, self.sharing) = (None, None);
    }

    fn act_on(&mut self, id: JobId) {
        while let Some(action) = self.jobs.get_mut(&id).and_then(|job| job.engine.next_action()) {
            match action {
                Action::Call { .. } if !self.count_call(id) => {}
                Action::Call { transition, frame, inputs } => {
                    let call = self.calls_made;
                    self.calls_made += 1;
                    let noted = self.jobs.get(&id).is_some_and(|job| job.noting.is_some());
                    let running = Running {
                        job: id,
                        transition,
                        frame: frame.clone(),
                        due: if noted { self.host.now() } else { 0.0 },
                        begun: None,
                        sent: 0,
                        repeats: 0,
                        recorded: true,
                        consumed: HashMap::new(),
                        waits: false,
                    };
                    self.running.insert(call, running);
                    let job = self.jobs.get(&id);
                    let operation = job.and_then(|job| match &job.engine.net().transitions[transition as usize].step {
                        Step::Call { operation, provider, .. } => Some((operation.as_str(), provider.as_deref())),
                        _ => None,
                    });
                    self.due.push(Call { id: call, job: id, frame, transition, inputs }, operation);
                }
                Action::Yield { transition, frame, token } => {
                    if let Some(yielded) = self.yielded(id, transition, frame) {
                        if let Some(measuring) = self.jobs.get_mut(&id).and_then(|job| job.measuring.as_mut()) {
                            measuring.yielded(yielded.node.clone(), yielded.frame.clone(), self.host.now());
                        }
                        if let Some(noting) = self.jobs.get_mut(&id).and_then(|job| job.noting.as_mut()) {
                            let at = self.host.now();
                            let (node, frame) = (&yielded.node, &yielded.frame);
                            noting.note(|| Noted::Came { node: node.clone(), frame: frame.clone(), at });
                            self.tell(id, at);
                        }
                        self.events.push(Event::Yielded(yielded, token));
                    }
                }
                Action::Item { transition, frame, value } => {
                    if let Some(yielded) = self.yielded(id, transition, frame) {
                        self.events.push(Event::Item(yielded, value));
                    }
                }
                Action::Send { site, place, frame, token } => self.send_token(id, &site, place, frame, token),
                Action::SendItem { site, place, frame, value } => self.send_item(id, &site, place, frame, &value),
                Action::Consumed { place, frame, count } => self.give_credit(id, place, &frame, count),
                Action::Report(failure) => self.report(id, (*failure).clone()),
                Action::Done => match &self.home {
                    Some(_) => {
                        self.tell_rest(id);
                        if let Some(job) = self.remove_job(id) {
                            if let Some(measuring) = job.measuring {
                                self.send_home(&Message::Measured(id, measuring.into_done()));
                            }
                            let text = job.contribution.and_then(|given| self.host.receipt(id, &given));
                            if let Some(text) = text {
                                self.send_home(&Message::Receipt(id, text));
                            }
                        }
                        self.send_home(&Message::Done(id));
                    }
                    None => {
                        let name = self.name.clone();
                        if let Some(home) = self.jobs.get_mut(&id).and_then(|job| job.home.as_mut()) {
                            home.leave_out(&name);
                        }
                        self.end_if_done(id);
                    }
                },
            }
        }
    }

    /// Tells home what was noted of a job, if it is time for that.
    fn tell(&mut self, id: JobId, now: f64) {
        let Some(Job { engine, noting: Some(noting), .. }) = self.jobs.get_mut(&id) else { return };
        if let Some(told) = noting.tell(engine.steps(), now) {
            self.hand_on(id, told);
        }
    }

    /// Tells the rest of what was noted of a job.
    fn tell_rest(&mut self, id: JobId) {
        let Some(Job { engine, noting: Some(noting), .. }) = self.jobs.get_mut(&id) else { return };
        if let Some(told) = noting.rest(engine.steps()) {
            self.hand_on(id, told);
        }
    }

    fn hand_on(&mut self, id: JobId, told: Told) {
        let Told { wanted, noted, own, counts } = told;
        let message = Message::Noted(id, noted, counts);
        if wanted && self.home.is_some() {
            self.send_home(&message);
        }
        if let Message::Noted(_, mut noted, _) = message
            && (self.notes_all || self.home.is_none())
        {
            noted.extend(own);
            self.events.push(Event::Noted(id, self.name.clone(), noted, counts));
        }
    }

    /// Notes what happens in a job, for home to hear.
    fn begin_noting(&mut self, id: JobId, trace: Option<Trace>) {
        let now = self.host.now();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.noting.get_or_insert_with(|| Noting::new(now)).wanted = true;
        if let Some(trace) = trace.filter(|trace| self.notes_all && trace.is_valid()) {
            self.events.push(Event::Traced(id, trace));
        }
    }

    /// Counts one more call of a job, or refuses the job.
    fn count_call(&mut self, id: JobId) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        job.calls += 1;
        let most = self.limits.calls_per_job;
        if job.calls > most {
            let what = "calls of a job, elements of loops and retries included";
            self.refuse(id, BEYOND, beyond(&self.name, what, most, "calls-per-job"));
            return false;
        }
        true
    }

    /// Ends this site's part in a job, and tells so to every site that may wait for it.
    fn refuse(&mut self, id: JobId, kind: &str, message: String) {
        let failure = self.failure(None, None, kind, message);
        self.abandon(id);
        let others: Vec<String> = self.links.keys().cloned().collect();
        for site in others {
            self.push(&site, &Message::Refused(id, failure.clone()), vec![]);
        }
    }

    /// A site takes no part in a job any more: what it owes is an error, at home also that error's report.
    fn refused(&mut self, site: &str, id: JobId, mut failure: Failure) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        site.clone_into(&mut failure.site);
        if let Some(home) = &mut job.home {
            if !home.leave_out(site) {
                return;
            }
            self.events.push(Event::Reported(id, failure.clone()));
        }
        job.engine.lose(site, failure);
        self.wait_no_more_for(site, id);
        self.act(id);
        self.end_if_done(id);
    }

    fn yielded(&self, id: JobId, transition: TransitionId, frame: Frame) -> Option<Yielded> {
        let net = self.jobs.get(&id)?.engine.net();
        let Step::Yield { node, place, .. } = &net.transitions[transition as usize].step else { return None };
        let site = match &net.places.iter().find(|place| place.transition == transition)?.source {
            Source::Site(site) => site.clone(),
            _ => self.name.clone(),
        };
        Some(Yielded { job: id, site, node: node.clone(), place: place.clone(), frame, transition })
    }

    pub(crate) fn fail(
        &mut self,
        id: JobId,
        frame: Option<&Frame>,
        at: Option<(NodeId, Option<String>)>,
        kind: &str,
        message: String,
    ) {
        let failure = self.failure(frame, at, kind, message);
        self.report(id, failure);
    }

    fn failure(
        &self,
        frame: Option<&Frame>,
        at: Option<(NodeId, Option<String>)>,
        kind: &str,
        message: String,
    ) -> Failure {
        let (node, operation) = at.map_or((None, None), |(node, operation)| (Some(node), operation));
        Failure {
            site: self.name.clone(),
            node,
            operation,
            frame: frame.cloned(),
            kind: kind.to_owned(),
            message,
            stack_trace: String::new(),
        }
    }

    fn report(&mut self, id: JobId, failure: Failure) {
        match self.home {
            Some(_) => self.send_home(&Message::Report(id, failure)),
            None => self.events.push(Event::Reported(id, failure)),
        }
    }
}

fn described(net: &Net, transition: TransitionId) -> (NodeId, Option<String>) {
    let step = &net.transitions[transition as usize].step;
    (step.node().clone(), step.operation().map(str::to_owned))
}

fn lost(site: &str, message: &str) -> Failure {
    Failure {
        site: site.to_owned(),
        node: None,
        operation: None,
        frame: None,
        kind: "SiteLostError".to_owned(),
        message: message.to_owned(),
        stack_trace: String::new(),
    }
}
