//! What does one site's process do with what its links bring and its host tells?
//!
//! Nothing here waits or knows the time: the host calls when a socket is readable or a call has ended, and then does
//! what [`Site::next_call`] and [`Site::take_events`] say. Several jobs run side by side, each with an engine of its own.

mod home;
pub(crate) mod unfinished;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use dfm_net::{Action, Engine, Failure, Frame, Net, NodeId, Outcome, PlaceId, Source, Step, Token, TransitionId};
use dfm_wire::{Buffer, Encoded, JobId, Message, Payload};

use crate::host::{Call, CallId, Event, Host, Incoming, Part, Room, Yielded};
use crate::link::{Link, MAX_FILES, MAX_PACKET};
use crate::measure::Measuring;
use crate::record::{ended, made};
use crate::segment::{Pool, Received, Released, SEGMENT_FROM};
use home::HomeSide;

/// A generator may be this many items ahead of its slowest consumer.
pub const STREAM_WINDOW: u64 = 1024;

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
    /// What came for jobs that home has not opened here yet.
    early: HashMap<JobId, Vec<Arrived>>,
    pub(crate) running: HashMap<CallId, Running>,
    calls_made: CallId,
    pub(crate) calls: std::collections::VecDeque<Call<H::Value>>,
    events: Vec<Event<H::Value>>,
    pool: Pool,
    released: Released,
    /// What is to be kept of this home's doings, where a keeper is there for it.
    pub(crate) record: Option<Vec<Vec<u8>>>,
}

struct Peer {
    way: Way,
    /// Tells this link from an earlier one to the same site.
    number: u64,
    /// Segments lent to this peer.
    lent: HashSet<u64>,
}

/// How packets get to a peer.
enum Way {
    /// Through a socket, with large buffers beside them in shared memory.
    Socket(Link),
    /// Through whatever the host has: it takes them here, in their order, and brings the others.
    Pipe(Vec<Vec<u8>>),
}

impl Way {
    fn push(&mut self, packet: Vec<u8>, files: Vec<Arc<OwnedFd>>) {
        match self {
            Self::Socket(link) => link.push(&packet, files),
            Self::Pipe(packets) => packets.push(packet),
        }
    }
}

struct Job<V> {
    engine: Engine<V>,
    streams: HashMap<(String, PlaceId, Frame), CallId>,
    /// Only of a job that is measured.
    measuring: Option<Measuring>,
    /// Only at home.
    home: Option<HomeSide>,
}

pub(crate) struct Running {
    pub(crate) job: JobId,
    pub(crate) transition: TransitionId,
    pub(crate) frame: Frame,
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
            early: HashMap::new(),
            running: HashMap::new(),
            calls_made: 0,
            calls: std::collections::VecDeque::new(),
            events: Vec::new(),
            pool: Pool::default(),
            released: Released::default(),
            record: None,
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

    /// Takes over a socket to another site. An earlier link to it is read to its end first.
    ///
    /// # Errors
    /// The system's, for an unusable socket.
    pub fn add_link(&mut self, site: &str, socket: OwnedFd) -> io::Result<()> {
        if self.links.contains_key(site) {
            self.readable(site);
            self.close(site);
        }
        self.insert_link(site, Way::Socket(Link::new(socket)?));
        Ok(())
    }

    /// Makes a link to another site whose packets the host carries: it gets them from [`Site::take_packets`] and gives
    /// what came to [`Site::receive_packet`], each in order and once.
    pub fn add_pipe(&mut self, site: &str) {
        self.close(site);
        self.insert_link(site, Way::Pipe(vec![]));
    }

    fn insert_link(&mut self, site: &str, way: Way) {
        self.links_made += 1;
        self.links.insert(site.to_owned(), Peer { way, number: self.links_made, lent: HashSet::new() });
    }

    /// The packets to carry: the site that each is for, and its bytes. Those for the site itself are its record.
    pub fn take_packets(&mut self) -> Vec<(String, Vec<u8>)> {
        // What is kept must not know less than what is sent.
        let mut taken: Vec<(String, Vec<u8>)> = self.take_record().map(|packet| (self.name.clone(), packet)).collect();
        for (site, peer) in &mut self.links {
            if let Way::Pipe(packets) = &mut peer.way {
                taken.extend(mem::take(packets).into_iter().map(|packet| (site.clone(), packet)));
            }
        }
        taken
    }

    /// Acts on a packet that the host carried here from `site`. One from a site without a link is dropped.
    pub fn receive_packet(&mut self, site: &str, packet: &[u8]) {
        let Some(peer) = self.links.get(site) else { return };
        match Message::from_bytes(packet) {
            Ok(message) => self.receive(site, peer.number, message, vec![]),
            Err(_) => self.close(site),
        }
    }

    /// Ends the link to a site that the host cannot reach any more.
    pub fn close_link(&mut self, site: &str) {
        self.close(site);
    }

    /// The sockets to wait on: the site that each leads to, the link's number, the socket. A descriptor's number may
    /// serve again for a later link, a link's never does.
    pub fn sockets(&self) -> impl Iterator<Item = (&str, u64, BorrowedFd<'_>)> {
        self.links.iter().filter_map(|(site, peer)| match &peer.way {
            Way::Socket(link) => Some((site.as_str(), peer.number, link.socket())),
            Way::Pipe(_) => None,
        })
    }

    /// The next call that is due.
    pub fn next_call(&mut self) -> Option<Call<H::Value>> {
        let call = self.calls.pop_front()?;
        let now = self.host.now();
        if let Some(running) = self.running.get_mut(&call.id) {
            running.begun = Some(now);
        }
        if let Some(measuring) = self.jobs.get_mut(&call.job).and_then(|job| job.measuring.as_mut()) {
            measuring.begin(call.id, now);
        }
        Some(call)
    }

    /// What a job's step is.
    pub fn net(&self, job: JobId) -> Option<&Arc<Net>> {
        self.jobs.get(&job).map(|job| job.engine.net())
    }

    /// What happened since the last time.
    pub fn take_events(&mut self) -> Vec<Event<H::Value>> {
        mem::take(&mut self.events)
    }

    /// Writes what the sockets take; the sites whose sockets take no more for now.
    pub fn flush(&mut self) -> Vec<String> {
        let released = mem::take(&mut *self.released.lock().expect("no holder panics"));
        for (number, id) in released {
            if let Some(peer) = self.links.values_mut().find(|peer| peer.number == number) {
                peer.way.push(Message::Release(id).to_bytes(), vec![]);
            }
        }
        // A link that cannot be written to is at its end; reading it tells so, after what it still holds.
        self.links
            .iter_mut()
            .filter_map(|(site, peer)| match &mut peer.way {
                Way::Socket(link) => (!link.flush().unwrap_or(true)).then(|| site.clone()),
                Way::Pipe(_) => None,
            })
            .collect()
    }

    /// Reads what a link holds and acts on it.
    pub fn readable(&mut self, site: &str) {
        let Some(peer) = self.links.get_mut(site) else { return };
        let number = peer.number;
        let Way::Socket(link) = &mut peer.way else { return };
        let open = link.fill().unwrap_or(false);
        while let Some(peer) = self.links.get_mut(site).filter(|peer| peer.number == number) {
            let Way::Socket(link) = &mut peer.way else { break };
            let Some(packet) = link.next_packet() else { break };
            let Ok(message) = Message::from_bytes(&packet.payload) else {
                self.close(site);
                return;
            };
            self.receive(site, number, message, packet.files.into());
        }
        if !open && self.links.get(site).is_some_and(|peer| peer.number == number) {
            self.close(site);
        }
    }

    /// Drops a link whose other end is gone. Home asks its host for the cause before it says what was lost.
    fn close(&mut self, site: &str) {
        let Some(peer) = self.links.remove(site) else { return };
        for id in peer.lent {
            self.pool.release(id);
        }
        self.events.push(Event::Closed(site.to_owned()));
        if self.home.is_some() {
            self.lose(site, &format!("the process of site '{site}' ended"));
        }
    }

    /// Gives up on what a site still owes to any job. At home this is also that error's report.
    pub fn lose(&mut self, site: &str, message: &str) {
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in jobs {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let failure = lost(site, message);
            if let Some(home) = &mut job.home {
                if !home.leave_out(site) {
                    continue;
                }
                self.events.push(Event::Reported(id, failure.clone()));
            }
            job.engine.lose(site, failure);
            self.act(id);
            self.end_if_done(id);
        }
    }

    fn receive(&mut self, from: &str, number: u64, message: Message, mut files: Vec<OwnedFd>) {
        if !self.may_say(from, &message) {
            return;
        }
        if let Message::Link(site) = &message {
            // A link that cannot be made is a lost site, which the jobs that need it will say.
            if let Some(socket) = files.pop() {
                let _ = self.add_link(site, socket);
            }
            return;
        }
        let buffers = self.map_segments(&message, number, files);
        self.handle(Arrived { from: from.to_owned(), message, buffers });
    }

    /// Whether a message comes from a site that has a say in it. What it says of a job is checked where it is acted on.
    pub(crate) fn may_say(&self, from: &str, message: &Message) -> bool {
        match message {
            Message::Setup(_)
            | Message::Link(_)
            | Message::Check(..)
            | Message::Ask(..)
            | Message::Open(..)
            | Message::Measure(_)
            | Message::Start(..)
            | Message::Stop(..)
            | Message::Cancel(_)
            | Message::Bye => self.home.as_deref() == Some(from),
            Message::Checked(..)
            | Message::Unfinished(..)
            | Message::Cancelled(_)
            | Message::Done(_)
            | Message::Measured(..)
            | Message::Report(..) => self.home.is_none(),
            Message::Token(..) | Message::Item(..) | Message::Credit(..) | Message::Release(_) => true,
            Message::Plan(..) | Message::Input(..) | Message::Made(..) | Message::Ended(..) => false,
        }
    }

    /// Whether this place of a job's net takes its tokens from that site.
    fn expects(&self, job: JobId, place: PlaceId, from: &str) -> bool {
        let place = self.jobs.get(&job).and_then(|job| job.engine.net().places.get(place as usize));
        place.is_some_and(|place| matches!(&place.source, Source::Site(site) if site == from))
    }

    /// Maps a message's segments in their order. One that cannot be mapped is missing when the value is decoded.
    fn map_segments(&self, message: &Message, number: u64, files: Vec<OwnedFd>) -> Vec<Received> {
        let lengths = values(message).flat_map(|value| &value.buffers).filter_map(|buffer| match buffer {
            Buffer::Segment { id, len } => Some((*id, *len as usize)),
            Buffer::Inline(_) => None,
        });
        lengths
            .zip(files)
            .map_while(|((id, len), file)| Received::open(file, len, (number, id), self.released.clone()).ok())
            .collect()
    }

    pub(crate) fn handle(&mut self, arrived: Arrived) {
        let job = match &arrived.message {
            Message::Measure(job)
            | Message::Start(job, ..)
            | Message::Stop(job, _)
            | Message::Token(job, ..)
            | Message::Item(job, ..)
            | Message::Credit(job, ..) => Some(*job),
            _ => None,
        };
        if let Some(job) = job.filter(|job| !self.jobs.contains_key(job)) {
            if job > self.newest {
                self.early.entry(job).or_default().push(arrived);
            }
            return;
        }
        let Arrived { from, message, buffers } = arrived;
        if let Message::Token(job, place, ..) | Message::Item(job, place, ..) = &message
            && !self.expects(*job, *place, &from)
        {
            return;
        }
        let mut buffers = buffers.into_iter();
        match message {
            Message::Setup(text) => self.events.push(Event::Setup(text)),
            Message::Check(request, operations) => self.events.push(Event::Check(request, operations)),
            Message::Checked(request, problems) => self.events.push(Event::Checked(from, request, problems)),
            Message::Ask(request, job) => {
                let answer = Message::Unfinished(request, job, self.unfinished(job));
                self.send_home(&answer);
            }
            Message::Unfinished(request, job, told) => {
                let home = self.jobs.get(&job).and_then(|job| job.home.as_ref());
                let waits = home.map_or_else(Vec::new, |home| unfinished::waits(home.nets(), &from, &told));
                self.events.push(Event::Unfinished(from, request, waits, told.more));
            }
            Message::Open(job, name, net) => self.opened(job, name, net),
            Message::Measure(job) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.measuring = Some(Measuring::default());
                }
            }
            Message::Measured(job, calls) => {
                if let Some(measuring) = self.jobs.get_mut(&job).and_then(|job| job.measuring.as_mut()) {
                    measuring.add(calls);
                }
            }
            Message::Start(job, frame, params) => {
                let mut values = HashMap::new();
                for (name, value) in params {
                    match self.decode(value, &mut buffers) {
                        Ok(value) => {
                            values.insert(name, value);
                        }
                        Err(message) => self.fail(job, Some(&frame), None, "DecodingError", message),
                    }
                }
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.engine.start(&frame, &values);
                }
                self.act(job);
            }
            Message::Stop(job, frames) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.engine.stop(frames);
                }
                self.act(job);
            }
            Message::Cancel(job) => {
                self.abandon(job);
                self.send_home(&Message::Cancelled(job));
            }
            Message::Cancelled(job) => self.events.push(Event::Cancelled(from, job)),
            Message::Done(job) => {
                if let Some(home) = self.jobs.get_mut(&job).and_then(|job| job.home.as_mut()) {
                    home.leave_out(&from);
                }
                self.end_if_done(job);
            }
            Message::Report(job, failure) => {
                if self.jobs.contains_key(&job) {
                    self.events.push(Event::Reported(job, failure));
                }
            }
            Message::Token(job, place, frame, payload) => {
                let token = match payload {
                    Payload::Signal => None,
                    Payload::End => Some(Token::End),
                    Payload::Count(count) => Some(Token::Count(count)),
                    Payload::Next(index) => Some(Token::Next(index)),
                    Payload::Missing(failure) => Some(Token::Missing(Arc::new(failure))),
                    Payload::Errors(failures) => Some(Token::Error(failures.into_iter().map(Arc::new).collect())),
                    Payload::Value(value) => Some(self.decode_token(job, place, &frame, value, &mut buffers)),
                };
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.engine.deposit(place, &frame, token);
                }
                self.act(job);
            }
            Message::Item(job, place, frame, value) => {
                match self.decode_token(job, place, &frame, value, &mut buffers) {
                    Token::Value(value) => {
                        if let Some(job) = self.jobs.get_mut(&job) {
                            job.engine.deposit_item(place, &frame, value);
                        }
                    }
                    token => {
                        if let Some(job) = self.jobs.get_mut(&job) {
                            job.engine.deposit(place, &frame, Some(token));
                        }
                    }
                }
                self.act(job);
            }
            Message::Credit(job, place, frame, count) => self.credit(job, &from, place, &frame, count),
            Message::Release(id) => {
                if self.links.get_mut(&from).is_some_and(|peer| peer.lent.remove(&id)) {
                    self.pool.release(id);
                }
            }
            Message::Bye => self.events.push(Event::Bye),
            Message::Link(_) => unreachable!("handled where its descriptor is at hand"),
            Message::Plan(..) | Message::Input(..) | Message::Made(..) | Message::Ended(..) => {
                unreachable!("nobody may say it; `replay` reads it")
            }
        }
    }

    fn opened(&mut self, id: JobId, name: String, net: Net) {
        if self.jobs.contains_key(&id) {
            return;
        }
        let wrong = if net.site == self.name { net.problem() } else { Some(format!("it is for site '{}'", net.site)) };
        if let Some(wrong) = wrong {
            self.newest = self.newest.max(id);
            self.early.remove(&id);
            let message = format!("site '{}' refuses its part of the plan: {wrong}", self.name);
            self.fail(id, None, None, "PlanRefusedError", message);
            self.send_home(&Message::Done(id));
            return;
        }
        self.insert_job(id, name, Arc::new(net), None);
        self.early.retain(|job, _| *job >= id);
        for arrived in self.early.remove(&id).unwrap_or_default() {
            self.handle(arrived);
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
        self.jobs.insert(id, Job { engine, streams: HashMap::new(), measuring: None, home });
        self.events.push(Event::Opened(id, name));
    }

    /// Forgets a job and its calls.
    pub(crate) fn abandon(&mut self, id: JobId) {
        self.newest = self.newest.max(id);
        self.early.remove(&id);
        self.jobs.remove(&id);
        self.calls.retain(|call| call.job != id);
        let calls: Vec<CallId> =
            self.running.iter().filter(|(_, running)| running.job == id).map(|(call, _)| *call).collect();
        for call in &calls {
            self.running.remove(call);
        }
        if !calls.is_empty() {
            self.events.push(Event::Abandoned(calls));
        }
    }

    /// The answer to [`Event::Check`]: what is wrong with each operation, empty for nothing.
    pub fn checked(&mut self, request: u64, problems: Vec<String>) {
        self.send_home(&Message::Checked(request, problems));
    }

    /// Takes a call's result. Late ones, of jobs that are gone, are dropped.
    pub fn complete(&mut self, call: CallId, outcome: Outcome<H::Value>) {
        let Some(running) = self.running.remove(&call) else { return };
        if running.recorded {
            self.keep(|host| ended(host, &running, &outcome));
        }
        let Some(job) = self.jobs.get_mut(&running.job) else { return };
        job.streams.retain(|_, stream| *stream != call);
        if let Some(measuring) = &mut job.measuring {
            let (node, _) = described(job.engine.net(), running.transition);
            let now = self.host.now();
            let bytes = match &outcome {
                Outcome::Value(value) => size(&mut self.host, value),
                Outcome::Streamed(_) | Outcome::Failed(_) | Outcome::Found(_) | Outcome::NotFound(_) => None,
            };
            measuring.end(call, node, running.frame.clone(), now, bytes);
        }
        job.engine.complete(running.transition, &running.frame, outcome);
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

    /// What a running call is for.
    pub fn step(&self, call: CallId) -> Option<&Step> {
        let running = self.running.get(&call)?;
        let net = self.jobs.get(&running.job)?.engine.net();
        Some(&net.transitions[running.transition as usize].step)
    }

    /// Whether a call's items are also needed as a list.
    pub fn gathers(&self, call: CallId) -> bool {
        self.running
            .get(&call)
            .and_then(|running| Some(self.jobs.get(&running.job)?.engine.gathers(running.transition)))
            .unwrap_or(false)
    }

    /// Takes one item of a call's generator.
    pub fn item(&mut self, call: CallId, value: &H::Value) -> Room {
        let Some(running) = self.running.get_mut(&call) else { return Room::Gone };
        if running.repeats > 0 {
            running.repeats -= 1;
            return Room::More;
        }
        if let Some(record) = self.record.as_mut().filter(|_| running.recorded) {
            match made(&mut self.host, running, value) {
                Some(message) => record.push(message.to_bytes()),
                None => running.recorded = false,
            }
        }
        let Some(job) = self.jobs.get_mut(&running.job) else { return Room::Gone };
        if !job.engine.item(running.transition, &running.frame, value) {
            return Room::Gone;
        }
        if running.sent == 0 {
            for (site, place) in job.engine.net().consumers(running.transition) {
                let consumer = (site.unwrap_or(&self.name).to_owned(), place);
                job.streams.insert((consumer.0.clone(), place, running.frame.clone()), call);
                running.consumed.insert(consumer, 0);
            }
        }
        if let Some(measuring) = &mut job.measuring {
            measuring.item(call, size(&mut self.host, value));
        }
        running.sent += 1;
        let behind = running.sent - running.consumed.values().min().copied().unwrap_or(running.sent);
        running.waits = behind >= STREAM_WINDOW;
        let (id, waits) = (running.job, running.waits);
        self.act(id);
        if waits { Room::Wait } else { Room::More }
    }

    /// Tells the sender of what a place takes that so much was consumed.
    fn give_credit(&mut self, id: JobId, place: PlaceId, frame: &Frame, count: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        match &job.engine.net().places[place as usize].source {
            Source::Site(site) => {
                let site = site.clone();
                self.push(&site, &Message::Credit(id, place, frame.clone(), count), vec![]);
            }
            _ => {
                let name = self.name.clone();
                self.credit(id, &name, place, frame, count);
            }
        }
    }

    fn credit(&mut self, id: JobId, consumer: &str, place: PlaceId, frame: &Frame, count: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(call) = job.streams.get(&(consumer.to_owned(), place, frame.clone())) else { return };
        let Some(running) = self.running.get_mut(call) else { return };
        let consumed = running.consumed.entry((consumer.to_owned(), place)).or_default();
        *consumed = count.max(*consumed);
        let behind = running.sent.saturating_sub(running.consumed.values().min().copied().unwrap_or(0));
        if running.waits && behind < STREAM_WINDOW / 2 {
            running.waits = false;
            self.events.push(Event::Room(*call));
        }
    }

    /// Does what a job's engine asks for.
    fn act(&mut self, id: JobId) {
        while let Some(action) = self.jobs.get_mut(&id).and_then(|job| job.engine.next_action()) {
            match action {
                Action::Call { transition, frame, inputs } => {
                    let call = self.calls_made;
                    self.calls_made += 1;
                    let running = Running {
                        job: id,
                        transition,
                        frame: frame.clone(),
                        begun: None,
                        sent: 0,
                        repeats: 0,
                        recorded: true,
                        consumed: HashMap::new(),
                        waits: false,
                    };
                    self.running.insert(call, running);
                    self.calls.push_back(Call { id: call, job: id, frame, transition, inputs });
                }
                Action::Yield { transition, frame, token } => {
                    if let Some(yielded) = self.yielded(id, transition, frame) {
                        if let Some(measuring) = self.jobs.get_mut(&id).and_then(|job| job.measuring.as_mut()) {
                            measuring.yielded(yielded.node.clone(), yielded.frame.clone(), self.host.now());
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
                Action::SendItem { site, place, frame, value } => {
                    let mut files = vec![];
                    match self.encode(&site, &value, &mut files) {
                        Ok((value, warning)) => {
                            self.warn_of_result(id, place, &site, warning);
                            self.push(&site, &Message::Item(id, place, frame, value), files);
                        }
                        Err(message) => {
                            let failure = self.unsendable(id, place, &site, &frame, message);
                            let errors = Payload::Errors(vec![failure]);
                            self.push(&site, &Message::Token(id, place, frame, errors), vec![]);
                        }
                    }
                }
                Action::Consumed { place, frame, count } => self.give_credit(id, place, &frame, count),
                Action::Report(failure) => self.report(id, (*failure).clone()),
                Action::Done => match &self.home {
                    Some(_) => {
                        if let Some(measuring) = self.jobs.remove(&id).and_then(|job| job.measuring) {
                            self.send_home(&Message::Measured(id, measuring.into_done()));
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

    fn yielded(&self, id: JobId, transition: TransitionId, frame: Frame) -> Option<Yielded> {
        let net = self.jobs.get(&id)?.engine.net();
        let Step::Yield { node, place } = &net.transitions[transition as usize].step else { return None };
        let site = match &net.places.iter().find(|place| place.transition == transition)?.source {
            Source::Site(site) => site.clone(),
            _ => self.name.clone(),
        };
        Some(Yielded { job: id, site, node: node.clone(), place: place.clone(), frame, transition })
    }

    fn send_token(&mut self, id: JobId, site: &str, place: PlaceId, frame: Frame, token: Option<Token<H::Value>>) {
        let mut files = vec![];
        let payload = match token {
            None => Payload::Signal,
            Some(Token::End) => Payload::End,
            Some(Token::Count(count)) => Payload::Count(count),
            Some(Token::Next(index)) => Payload::Next(index),
            Some(Token::Missing(failure)) => Payload::Missing((*failure).clone()),
            Some(Token::Error(failures)) => Payload::Errors(failures.iter().map(|one| (**one).clone()).collect()),
            Some(Token::Value(value)) => match self.encode(site, &value, &mut files) {
                Ok((value, warning)) => {
                    self.warn_of_result(id, place, site, warning);
                    Payload::Value(value)
                }
                Err(message) => Payload::Errors(vec![self.unsendable(id, place, site, &frame, message)]),
            },
        };
        self.push(site, &Message::Token(id, place, frame, payload), files);
    }

    /// Reports, for the node whose arc leads there, that its result cannot be sent.
    fn unsendable(&mut self, id: JobId, place: PlaceId, site: &str, frame: &Frame, message: String) -> Failure {
        let from = self.maker(id, place, site);
        let message = format!("the result cannot be sent to site '{site}': {message}");
        let failure = self.failure(Some(frame), from, "EncodingError", message);
        self.report(id, failure.clone());
        failure
    }

    /// The node, and its operation, whose arc leads to a place of another site.
    fn maker(&self, id: JobId, place: PlaceId, site: &str) -> Option<(NodeId, Option<String>)> {
        let net = self.jobs.get(&id)?.engine.net();
        let leads = |arc: &dfm_net::Arc| arc.place == place && arc.site.as_deref() == Some(site);
        let transition = net.transitions.iter().position(|transition| transition.outputs.iter().any(leads))?;
        Some(described(net, transition as TransitionId))
    }

    fn warn_of_result(&mut self, id: JobId, place: PlaceId, site: &str, warning: Option<String>) {
        if warning.is_some() {
            let operation = self.maker(id, place, site).and_then(|(_, operation)| operation);
            let what =
                operation.map_or_else(|| "a value".to_owned(), |operation| format!("the result of '{operation}'"));
            self.warn(&what, site, warning);
        }
    }

    fn warn(&mut self, what: &str, to: &str, warning: Option<String>) {
        if let Some(warning) = warning {
            let text = format!("{what}, sent from site '{}' to '{to}': {warning}", self.name);
            self.events.push(Event::Warned(text));
        }
    }

    fn decode_token(
        &mut self,
        id: JobId,
        place: PlaceId,
        frame: &Frame,
        value: Encoded,
        buffers: &mut impl Iterator<Item = Received>,
    ) -> Token<H::Value> {
        match self.decode(value, buffers) {
            Ok(value) => Token::Value(value),
            Err(message) => {
                let at = self.jobs.get(&id).and_then(|job| {
                    let net = job.engine.net();
                    Some(described(net, net.places.get(place as usize)?.transition))
                });
                let failure = self.failure(Some(frame), at, "DecodingError", message);
                self.report(id, failure.clone());
                Token::Error(vec![Arc::new(failure)])
            }
        }
    }

    fn fail(
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

    fn send_home(&mut self, message: &Message) {
        if let Some(home) = self.home.clone() {
            self.push(&home, message, vec![]);
        }
    }

    /// Queues a message. One to a site that is gone is dropped: whoever waits for it learns of the loss by itself.
    fn push(&mut self, site: &str, message: &Message, files: Vec<Arc<OwnedFd>>) {
        if let Some(peer) = self.links.get_mut(site) {
            peer.way.push(message.to_bytes(), files);
        }
    }

    /// The value as bytes, and what its user should hear of it.
    fn encode(
        &mut self,
        site: &str,
        value: &H::Value,
        files: &mut Vec<Arc<OwnedFd>>,
    ) -> Result<(Encoded, Option<String>), String> {
        let outgoing = self.host.encode(value)?;
        let mut buffers = vec![];
        let mut inline = outgoing.head.len();
        for bytes in outgoing.buffers {
            let peer = self.links.get_mut(site).filter(|peer| {
                matches!(peer.way, Way::Socket(_)) && bytes.len() >= SEGMENT_FROM && files.len() < MAX_FILES
            });
            buffers.push(match peer {
                Some(peer) => {
                    let (id, file) = self
                        .pool
                        .send(&bytes)
                        .map_err(|error| format!("no shared memory for a buffer of {} bytes: {error}", bytes.len()))?;
                    peer.lent.insert(id);
                    files.push(file);
                    Buffer::Segment { id, len: bytes.len() as u64 }
                }
                None => {
                    inline += bytes.len();
                    Buffer::Inline(bytes)
                }
            });
        }
        if inline > MAX_PACKET {
            return Err(format!("{inline} bytes of it fit into no shared memory, and a packet takes {MAX_PACKET}"));
        }
        Ok((Encoded { head: outgoing.head.into(), buffers }, outgoing.warning))
    }

    pub(crate) fn decode(
        &mut self,
        value: Encoded,
        shared: &mut impl Iterator<Item = Received>,
    ) -> Result<H::Value, String> {
        let mut buffers = vec![];
        for buffer in value.buffers {
            buffers.push(match buffer {
                Buffer::Inline(bytes) => Part::Inline(bytes.into()),
                Buffer::Segment { .. } => {
                    Part::Shared(shared.next().ok_or("a shared segment could not be mapped: out of memory or files?")?)
                }
            });
        }
        self.host.decode(Incoming { head: value.head.into(), buffers })
    }
}

/// The values that a message carries, in order.
fn values(message: &Message) -> impl Iterator<Item = &Encoded> {
    let (one, many): (Option<&Encoded>, &[(String, Encoded)]) = match message {
        Message::Token(_, _, _, Payload::Value(value)) | Message::Item(_, _, _, value) => (Some(value), &[]),
        Message::Start(_, _, params) => (None, params),
        _ => (None, &[]),
    };
    one.into_iter().chain(many.iter().map(|(_, value)| value))
}

/// How many bytes a value would travel as.
fn size<H: Host>(host: &mut H, value: &H::Value) -> Option<u64> {
    host.encode(value).ok().map(|outgoing| outgoing.size() as u64)
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
