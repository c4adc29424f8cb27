//! How far may a generator run ahead of what takes its items?

use dfm_net::{Frame, PlaceId, Source, TransitionId};
use dfm_wire::{JobId, Message};

use super::Site;
use super::values::measured;
use crate::host::{CallId, Event, Host, Room};
use crate::limits::{BEYOND, beyond};
use crate::record::made;

/// A generator may be this many items ahead of its slowest consumer.
pub const STREAM_WINDOW: u64 = 1024;

impl<H: Host> Site<H> {
    /// Takes one item of a call's generator.
    pub fn item(&mut self, call: CallId, value: &H::Value) -> Room {
        let Some(running) = self.running.get_mut(&call) else { return Room::Gone };
        if running.repeats > 0 {
            running.repeats -= 1;
            return Room::More;
        }
        let id = running.job;
        if running.recorded && (self.record.is_some() || self.kept.contains(&id)) {
            let message = made(&mut self.host, running, value);
            running.recorded = message.is_some();
            self.keep(id, |_| message);
        }
        let Some(running) = self.running.get_mut(&call) else { return Room::Gone };
        if running.sent >= self.limits.items_per_call {
            let message = beyond(&self.name, "items of a call", self.limits.items_per_call, "items-per-call");
            self.fail_call(call, BEYOND.to_owned(), message, String::new());
            return Room::Gone;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return Room::Gone };
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
            measuring.item(call, measured(&mut self.host, value));
        }
        running.sent += 1;
        let behind = running.sent.saturating_sub(running.consumed.values().min().copied().unwrap_or(running.sent));
        running.waits = behind >= STREAM_WINDOW && !self.repeats;
        let waits = running.waits;
        if waits {
            self.due.rest(call);
        }
        self.act(id);
        if waits { Room::Wait } else { Room::More }
    }

    /// At home: the application has had `count` items in all that came through a `Yield` in this frame.
    pub fn consumed(&mut self, id: JobId, transition: TransitionId, frame: &Frame, count: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let mut places = job.engine.net().places.iter();
        if let Some(place) = places.position(|place| place.transition == transition) {
            self.give_credit(id, place as PlaceId, frame, count);
        }
    }

    /// Tells the sender of what a place takes that so much was consumed.
    pub(super) fn give_credit(&mut self, id: JobId, place: PlaceId, frame: &Frame, count: u64) {
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

    /// Lets the generators of a job go on that waited for a site which takes no more of their items.
    pub(super) fn wait_no_more_for(&mut self, site: &str, id: JobId) {
        for (call, running) in self.running.iter_mut().filter(|(_, running)| running.job == id) {
            running.consumed.retain(|(consumer, _), _| consumer != site);
            let behind = running.sent.saturating_sub(running.consumed.values().min().copied().unwrap_or(running.sent));
            if running.waits && behind < STREAM_WINDOW / 2 {
                running.waits = false;
                self.due.go_on(*call);
                self.events.push(Event::Room(*call));
            }
        }
    }

    /// Notes how much a consumer has had, all that there will be (`u64::MAX`) once its stream has ended with an item that
    /// could not be sent, and lets a generator go on that waited for that.
    pub(super) fn credit(&mut self, id: JobId, consumer: &str, place: PlaceId, frame: &Frame, count: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(call) = job.streams.get(&(consumer.to_owned(), place, frame.clone())) else { return };
        let Some(running) = self.running.get_mut(call) else { return };
        let consumed = running.consumed.entry((consumer.to_owned(), place)).or_default();
        *consumed = count.max(*consumed);
        let behind = running.sent.saturating_sub(running.consumed.values().min().copied().unwrap_or(0));
        if running.waits && behind < STREAM_WINDOW / 2 {
            running.waits = false;
            self.due.go_on(*call);
            self.events.push(Event::Room(*call));
        }
    }
}
