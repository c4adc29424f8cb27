//! How does another process become the home of a job whose own has ended?
//!
//! A home that is recorded tells its keeper what it begins and what its own calls came to, before anything that follows
//! from it. The engine is deterministic, so a new home that does all that again, and gets what the other sites had
//! sent, stands where the old one stood. What it says to them again, they refuse, as they have had it.

use std::collections::{HashMap, HashSet};
use std::mem;

use dfm_net::{Net, Outcome, Unsound, check_alone, check_whole};
use dfm_wire::{Buffer, Encoded, Ending, JobId, Message};

use crate::host::{Event, Host};
use crate::site::{Arrived, Running, Site, in_packet, received};

/// Parameters of fewer bytes are kept in any case.
const KEPT_BELOW: usize = 64 << 10;

impl<H: Host> Site<H> {
    /// At home: from now on [`Site::take_packets`] also has packets for this site itself, to be kept for [`Site::replay`].
    pub fn keep_record(&mut self) {
        self.record = Some(vec![]);
    }

    /// Notes what happens, if anybody keeps it. What cannot be encoded is not noted.
    pub(crate) fn keep(&mut self, what: impl FnOnce(&mut H) -> Option<Message>) {
        if let Some(record) = &mut self.record
            && let Some(message) = what(&mut self.host)
        {
            record.push(message.to_bytes());
        }
    }

    pub(crate) fn take_record(&mut self) -> impl Iterator<Item = Vec<u8>> + use<H> {
        self.record.as_mut().map(mem::take).unwrap_or_default().into_iter()
    }

    /// At home: takes up a job of which these packets were kept, each with the site that had sent it. Calls of this site
    /// whose end was not kept are due again; a generator's items that were kept are not made twice. Returns the sites
    /// that have no link any more, of which the caller says with [`Site::lose`] why.
    pub fn replay<'a>(&mut self, history: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<String> {
        let record = self.record.take();
        let mut gone = vec![];
        for (from, packet) in history {
            let Ok(message) = Message::from_bytes(packet) else { continue };
            if from != self.name() {
                if self.may_say(from, &message) {
                    self.handle(Arrived { from: from.to_owned(), message, buffers: vec![] });
                }
                continue;
            }
            match message {
                Message::Plan(job, name, nets) => match refused(&nets) {
                    None => gone = self.open_at_all(job, &name, nets, &HashMap::new()),
                    Some(wrong) => {
                        let message = format!("what was kept of this job is no plan: {wrong}");
                        self.fail(job, None, None, "PlanRefusedError", message);
                        self.events.push(Event::Ended(job));
                    }
                },
                Message::Input(job, params) => {
                    let params: HashMap<String, H::Value> =
                        params.into_iter().filter_map(|(name, value)| Some((name, self.recorded(value)?))).collect();
                    self.start(job, &params);
                }
                Message::Stop(job, _) => self.stop(job),
                Message::Made(job, transition, frame, value) => {
                    let call = self.due.find(job, transition, &frame);
                    if let (Some(call), Some(value)) = (call, self.recorded(value)) {
                        self.item(call, &value);
                    }
                }
                Message::Ended(job, transition, frame, ending) => {
                    if let Some(call) = self.due.find(job, transition, &frame)
                        && let Some(outcome) = self.recorded_outcome(ending)
                    {
                        self.due.remove(job, call);
                        self.complete(call, outcome);
                    }
                }
                _ => {}
            }
        }
        for call in self.due.waiting() {
            if let Some(running) = self.running.get_mut(&call) {
                running.repeats = running.sent;
            }
        }
        self.record = record;
        gone
    }

    /// At home: forgets a job here, and lets the other sites go on with it.
    pub fn leave(&mut self, id: JobId) {
        self.abandon(id);
    }

    fn recorded(&mut self, value: Encoded) -> Option<H::Value> {
        let value = received(value, &mut std::iter::empty()).ok()?;
        self.host.decode(value, "").ok()
    }

    fn recorded_outcome(&mut self, ending: Ending) -> Option<Outcome<H::Value>> {
        Some(match ending {
            Ending::Value(value) => Outcome::Value(self.recorded(value)?),
            Ending::Streamed(None) => Outcome::Streamed(None),
            Ending::Streamed(Some(list)) => Outcome::Streamed(Some(self.recorded(list)?)),
            Ending::Failed(failure) => Outcome::Failed(failure),
            Ending::Found(value) => Outcome::Found(self.recorded(value)?),
            Ending::NotFound(key) => Outcome::NotFound(self.recorded(key)?),
        })
    }
}

/// Why nets that somebody else has kept are none that this home can have begun a job with.
fn refused(nets: &[Net]) -> Option<Unsound> {
    let alone = nets.iter().find_map(|net| check_alone(net, true).err());
    alone.or_else(|| check_whole(nets).err())
}

/// The parameters as they are kept: those that home's `own` net needs, and small ones. A large one would go to the keeper
/// twice, here and on its way to its site; where it did not get as far as that, the site tells that it is missing. One
/// that cannot be encoded is missing, as it is at every site that it is sent to.
pub(crate) fn encoded_params<H: Host>(
    host: &mut H,
    params: &HashMap<String, H::Value>,
    own: &HashSet<String>,
) -> Vec<(String, Encoded)> {
    let mut kept = vec![];
    for (name, value) in params {
        if let Some(value) = encoded(host, value)
            && (own.contains(name) || in_packet(&value) < KEPT_BELOW)
        {
            kept.push((name.clone(), value));
        }
    }
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    kept
}

/// An item of a generator, to be kept.
pub(crate) fn made<H: Host>(host: &mut H, of: &Running, value: &H::Value) -> Option<Message> {
    Some(Message::Made(of.job, of.transition, of.frame.clone(), encoded(host, value)?))
}

/// The end of a call, to be kept.
pub(crate) fn ended<H: Host>(host: &mut H, call: &Running, outcome: &Outcome<H::Value>) -> Option<Message> {
    let ending = match outcome {
        Outcome::Value(value) => Ending::Value(encoded(host, value)?),
        Outcome::Streamed(None) => Ending::Streamed(None),
        Outcome::Streamed(Some(list)) => Ending::Streamed(Some(encoded(host, list)?)),
        Outcome::Failed(failure) => Ending::Failed(failure.clone()),
        Outcome::Found(value) => Ending::Found(encoded(host, value)?),
        Outcome::NotFound(key) => Ending::NotFound(encoded(host, key)?),
    };
    Some(Message::Ended(call.job, call.transition, call.frame.clone(), ending))
}

fn encoded<H: Host>(host: &mut H, value: &H::Value) -> Option<Encoded> {
    let outgoing = host.encode(value, None).ok()?;
    let buffers = outgoing.buffers.into_iter().map(Buffer::Inline).collect();
    Some(Encoded { head: outgoing.head.into(), buffers })
}
