//! What does a site take of what others send, and what does it do with that?
//!
//! Whatever a message says is checked here, before anything is done: who says it, whether its job's net takes it, and
//! whether there is room for it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dfm_net::{Failure, Frame, Kind, Net, PlaceId, Token, Unsound, check_alone};
use dfm_wire::{Encoded, JobId, Message, Payload};

use super::early::{MOST_EARLY_BYTES, MOST_EARLY_MESSAGES, room_of};
use super::{Arrived, Site, described, lost, unfinished};
use crate::host::{Event, Host};
use crate::limits::{BEYOND, beyond};
use crate::measure::Measuring;
use crate::segment::Received;

/// What comes for a job that home has not opened here yet is kept if so many jobs at most begin before it.
const JOBS_AHEAD: u64 = 4096;

impl<H: Host> Site<H> {
    pub(super) fn receive(&mut self, from: &str, number: u64, message: Message, mut files: Vec<OwnedFd>) {
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
            | Message::WantReceipt(_)
            | Message::Note(..)
            | Message::Start(..)
            | Message::Stop(..)
            | Message::Cancel(_)
            | Message::Bye => self.home.as_deref() == Some(from),
            Message::Checked(..)
            | Message::Unfinished(..)
            | Message::Cancelled(_)
            | Message::Done(_)
            | Message::Measured(..)
            | Message::Receipt(..)
            | Message::Asks(..)
            | Message::Noted(..)
            | Message::Report(..) => self.home.is_none(),
            Message::Token(..)
            | Message::Item(..)
            | Message::Credit(..)
            | Message::Release(_)
            | Message::Refused(..) => true,
            Message::Plan(..) | Message::Input(..) | Message::Made(..) | Message::Ended(..) => false,
        }
    }

    /// Whether a job's net takes what another site has sent for one of its places. Of what the planner's nets never
    /// send, the place gets an error instead, if it takes anything from there in that frame, so that its job ends.
    fn takes(&mut self, id: JobId, from: &str, place: PlaceId, frame: &Frame, kind: Kind) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let Some(why) = job.engine.net().refuses(place, from, frame, kind) else { return true };
        let at = job.engine.net().places.get(place as usize).map(|kept| described(job.engine.net(), kept.transition));
        if job.engine.net().refuses(place, from, frame, Kind::Errors).is_none() {
            let message = format!("site '{from}' sent what this site does not take: {why}");
            let failure = self.failure(Some(frame), at, "RefusedError", message);
            self.report(id, failure.clone());
            if let Some(job) = self.jobs.get_mut(&id) {
                job.engine.deposit(place, frame, Some(Token::Error(vec![Arc::new(failure)])));
            }
            self.act(id);
        }
        false
    }

    /// Whether a token may wait here for its parameter set, if home has not begun that: there may never be one.
    fn has_room_ahead(&mut self, id: JobId, from: &str, frame: &Frame, message: &Message) -> bool {
        let set = frame.levels()[0];
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        if let Some(home) = &job.home {
            let begun = set < home.frames();
            if !begun {
                self.cast_off(
                    from,
                    id,
                    format!("site '{from}' sent a token of parameter set {set}, which was not begun"),
                );
            }
            return begun;
        }
        if job.engine.has_started(frame) {
            return true;
        }
        let (most, frames) = (self.limits.buffered_bytes, self.limits.frames_per_job);
        let room = room_of(message);
        if u64::from(set) < frames {
            if self.ahead.saturating_add(room) > most {
                self.forget_what_waits_no_more();
            }
            if let Some(job) = self.jobs.get_mut(&id).filter(|_| self.ahead.saturating_add(room) <= most) {
                *job.ahead.entry(set).or_default() += room;
                self.ahead += room;
                return true;
            }
        }
        let message = format!(
            "site '{from}' sent more for parameter sets that have not begun than site '{}' keeps, {most} bytes for \
             {frames} sets: `buffered-bytes` and `frames-per-job` of its policy (local/policy.yaml in its kit) say so",
            self.name
        );
        self.cast_off(from, id, message);
        false
    }

    /// Parameter sets that need nothing but tokens may end before home has told that they begin.
    fn forget_what_waits_no_more(&mut self) {
        self.ahead = 0;
        for job in self.jobs.values_mut() {
            job.ahead.retain(|set, _| !job.engine.has_started(&Frame::of_param_set(*set)));
            self.ahead += job.ahead.values().sum::<u64>();
        }
    }

    /// Takes nothing of a job from a site any more that has sent too much for it.
    fn cast_off(&mut self, site: &str, id: JobId, message: String) {
        let failure = Failure { kind: BEYOND.to_owned(), ..lost(site, &message) };
        self.report(id, failure.clone());
        if let Some(job) = self.jobs.get_mut(&id) {
            job.engine.lose(site, failure);
        }
        self.act(id);
    }

    pub(crate) fn handle(&mut self, arrived: Arrived) {
        let job = match &arrived.message {
            Message::Measure(job)
            | Message::WantReceipt(job)
            | Message::Note(job, _)
            | Message::Start(job, ..)
            | Message::Stop(job, _)
            | Message::Token(job, ..)
            | Message::Item(job, ..)
            | Message::Credit(job, ..)
            | Message::Refused(job, _) => Some(*job),
            _ => None,
        };
        if let Some(job) = job.filter(|job| !self.jobs.contains_key(job)) {
            if job > self.newest && job - self.newest <= JOBS_AHEAD {
                self.early.keep(job, arrived);
            }
            return;
        }
        let Arrived { from, message, buffers } = arrived;
        self.keep_arrived(&from, &message, &buffers);
        let sent = match &message {
            Message::Token(job, place, frame, payload) => Some((*job, *place, frame, kind_of(payload))),
            Message::Item(job, place, frame, _) => Some((*job, *place, frame, Kind::Item)),
            _ => None,
        };
        if let Some((job, place, frame, kind)) = sent
            && (!self.takes(job, &from, place, frame, kind) || !self.has_room_ahead(job, &from, frame, &message))
        {
            return;
        }
        let mut buffers = buffers.into_iter();
        match message {
            Message::Setup(text) => self.events.push(Event::Setup(text)),
            Message::Check(request, calls, leaving) => {
                self.events.push(Event::Check(request, calls, leaving));
            }
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
            Message::WantReceipt(job) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.contribution.get_or_insert_default();
                }
            }
            Message::Receipt(job, text) => self.take_receipt(job, from, text),
            Message::Asks(job, transition, frame, request) => self.take_asks(job, &from, transition, frame, request),
            Message::Note(job, trace) => self.begin_noting(job, trace),
            Message::Noted(job, noted, counts) => self.told(job, &from, noted, counts),
            Message::Measured(job, calls) => {
                if let Some(measuring) = self.jobs.get_mut(&job).and_then(|job| job.measuring.as_mut()) {
                    measuring.add(from, calls);
                }
            }
            Message::Start(job, frame, params, lost) => {
                self.start_set(job, &frame, params, lost, (&from, &mut buffers))
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
            Message::Report(job, failure) => self.take_report(job, &from, failure),
            Message::Refused(job, failure) => self.refused(&from, job, failure),
            Message::Token(job, place, frame, payload) => {
                let token = self.token(job, place, &frame, payload, (&from, &mut buffers));
                self.deposit(job, place, &frame, token);
            }
            Message::Item(job, place, frame, value) => {
                match self.decode_token(job, place, &frame, value, (&from, &mut buffers)) {
                    Token::Value(value) => self.deposit_item(job, place, &frame, value),
                    token => self.deposit(job, place, &frame, Some(token)),
                }
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

    /// Begins a set of parameters, whose frame has one number; what is nested in it begins by itself.
    fn start_set(
        &mut self,
        id: JobId,
        frame: &Frame,
        params: Vec<(String, Encoded)>,
        lost: Vec<(String, Failure)>,
        (from, buffers): (&str, &mut impl Iterator<Item = Received>),
    ) {
        let most = self.limits.frames_per_job;
        let &[set] = frame.levels() else { return };
        if u64::from(set) >= most {
            self.refuse(id, BEYOND, beyond(&self.name, "sets of parameters of a job", most, "frames-per-job"));
            return;
        }
        let mut values = HashMap::new();
        let mut lost: HashMap<_, _> = lost.into_iter().map(|(name, failure)| (name, Arc::new(failure))).collect();
        for (name, value) in params {
            match self.decode_param(id, &name, frame, value, (from, buffers)) {
                Ok(value) => {
                    values.insert(name, value);
                }
                Err(why) => {
                    let failure = self.failure(Some(frame), None, "DecodingError", why.to_string());
                    self.report(id, failure.clone());
                    lost.insert(name, Arc::new(failure));
                }
            }
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            self.ahead -= job.ahead.remove(&set).unwrap_or_default();
            job.engine.start_without(frame, &values, &lost);
        }
        self.act(id);
    }

    /// What a place gets of what was sent for it; `None` is order without data.
    fn token(
        &mut self,
        id: JobId,
        place: PlaceId,
        frame: &Frame,
        payload: Payload,
        came: (&str, &mut impl Iterator<Item = Received>),
    ) -> Option<Token<H::Value>> {
        Some(match payload {
            Payload::Signal => return None,
            Payload::End => Token::End,
            Payload::Count(count) => Token::Count(count),
            Payload::Next(index) => Token::Next(index),
            Payload::Missing(failure) => Token::Missing(Arc::new(failure)),
            Payload::Errors(failures) => Token::Error(failures.into_iter().map(Arc::new).collect()),
            Payload::Value(value) => self.decode_token(id, place, frame, value, came),
        })
    }

    fn deposit(&mut self, id: JobId, place: PlaceId, frame: &Frame, token: Option<Token<H::Value>>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.engine.deposit(place, frame, token);
        }
        self.act(id);
    }

    fn deposit_item(&mut self, id: JobId, place: PlaceId, frame: &Frame, value: H::Value) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.engine.deposit_item(place, frame, value);
        }
        self.act(id);
    }

    fn opened(&mut self, id: JobId, name: String, net: Arc<Net>) {
        // An application that has come back says again what the one before it had said.
        if !self.begun.add(id) {
            return;
        }
        let wrong = match net.site == self.name {
            true => check_alone(&net, false).err(),
            false => Some(Unsound::OtherSite(net.site.clone())),
        };
        if let Some(wrong) = wrong {
            let message = format!("site '{}' refuses its part of the plan: {wrong}", self.name);
            self.refuse(id, "PlanRefusedError", message);
            return;
        }
        if self.jobs.len() as u64 >= self.limits.jobs {
            let most = self.limits.jobs;
            let message = beyond(&self.name, "jobs of a session at the same time", most, "jobs-per-session");
            self.refuse(id, BEYOND, message);
            return;
        }
        self.insert_job(id, name, net, None);
        self.early.forget_before(id);
        let early = self.early.take(id);
        // What others sent before home's word came is accounted for too.
        let (first, rest): (Vec<_>, Vec<_>) =
            early.arrived.into_iter().partition(|arrived| matches!(arrived.message, Message::WantReceipt(_)));
        for arrived in first.into_iter().chain(rest) {
            self.handle(arrived);
        }
        for site in early.dropped {
            let message = format!(
                "site '{site}' sent more than {MOST_EARLY_MESSAGES} messages or {MOST_EARLY_BYTES} bytes to site '{}' for \
                 jobs that have not begun there",
                self.name
            );
            self.cast_off(&site, id, message);
        }
    }
}

fn kind_of(payload: &Payload) -> Kind {
    match payload {
        Payload::Signal => Kind::Signal,
        Payload::Value(_) => Kind::Value,
        Payload::Errors(failures) if failures.is_empty() => Kind::NoErrors,
        Payload::Errors(_) => Kind::Errors,
        Payload::End => Kind::End,
        Payload::Count(count) => Kind::Count(*count),
        Payload::Missing(_) => Kind::Missing,
        Payload::Next(_) => Kind::Next,
    }
}
