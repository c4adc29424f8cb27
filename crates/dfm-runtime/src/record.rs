//! How does another process become the home of a job whose own has ended?
//!
//! A home that is recorded tells its keeper what it begins and what its own calls came to, before anything that follows
//! from it. The engine is deterministic, so a new home that does all that again, and gets what the other sites had
//! sent, stands where the old one stood. What it says to them again, they refuse, as they have had it.

use std::collections::{HashMap, HashSet};
use std::mem;

use bytes::Bytes;
use dfm_net::{Frame, Net, Outcome, TransitionId, Unsound, check_alone, check_whole};
use dfm_wire::{Buffer, Encoded, Ending, JobId, Message, Payload};

use crate::host::{CallId, Event, Host, TransferError};
use crate::segment::Received;
use crate::site::{Arrived, Running, Site, in_packet, received};

/// Parameters of fewer bytes are kept in any case.
const KEPT_BELOW: usize = 64 << 10;

impl<H: Host> Site<H> {
    /// At home: from now on [`Site::take_packets`] also has packets for this site itself, to be kept for [`Site::replay`].
    pub fn keep_record(&mut self) {
        self.record = Some(vec![]);
    }

    /// At home: from now on [`Event::Kept`] has what [`Site::repeat`] needs of a job. Said before it is opened.
    pub fn keep_job(&mut self, id: JobId) {
        self.kept.insert(id);
    }

    /// Whether anybody keeps what happens in a job.
    pub(crate) fn is_kept(&self, id: JobId) -> bool {
        self.record.is_some() || self.kept.contains(&id)
    }

    /// Notes what happens, if anybody keeps it. What cannot be encoded is not noted.
    pub(crate) fn keep(&mut self, id: JobId, what: impl FnOnce(&mut H) -> Option<Message>) {
        if !self.is_kept(id) {
            return;
        }
        let Some(message) = what(&mut self.host) else { return };
        let packet = message.to_bytes();
        if self.kept.contains(&id) {
            self.events.push(Event::Kept(id, self.name().to_owned(), packet.clone()));
        }
        if let Some(record) = &mut self.record {
            record.push(packet);
        }
    }

    /// Notes what another site has said of a job, if that is kept; what came beside its packet is in it then.
    pub(crate) fn keep_arrived(&mut self, from: &str, message: &Message, beside: &[Received]) {
        if self.kept.is_empty() {
            return;
        }
        let id = match message {
            Message::Token(job, ..)
            | Message::Item(job, ..)
            | Message::Done(job)
            | Message::Report(job, _)
            | Message::Refused(job, _) => *job,
            _ => return,
        };
        if self.kept.contains(&id) {
            self.events.push(Event::Kept(id, from.to_owned(), whole(message, beside).to_bytes()));
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
                Message::Made(job, transition, frame, value) => {
                    let call = self.due.find(job, transition, &frame);
                    if let (Some(call), Ok(value)) = (call, self.recorded(value)) {
                        self.item(call, &value);
                    }
                }
                Message::Ended(job, transition, frame, ending) => {
                    if let Some(call) = self.due.find(job, transition, &frame)
                        && let Ok(outcome) = self.recorded_outcome(ending)
                    {
                        self.due.remove(job, call);
                        self.complete(call, outcome);
                    }
                }
                message => gone.extend(self.begin_again(message)),
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

    /// At home: does what a packet says that was kept of a job: begins it, or takes what another site has sent, which
    /// need not be there. Calls of this site are due again, and nothing waits for those that take their results. What they
    /// had come to is not done: [`Site::came_to`] reads it.
    pub fn repeat(&mut self, from: &str, packet: &[u8]) {
        self.repeats = true;
        let Ok(message) = Message::from_bytes(packet) else { return };
        if from != self.name() {
            if self.may_say(from, &message) {
                self.handle(Arrived { from: from.to_owned(), message, buffers: vec![] });
            }
            return;
        }
        if let Message::Plan(job, _, nets) = &message {
            // Calls that run are of the first plan.
            if !self.kept.insert(*job) {
                return;
            }
            for net in nets.iter().filter(|net| net.site != from) {
                self.add_pipe(&net.site);
            }
        }
        self.begin_again(message);
    }

    /// At home: what a call here had come to, if that is what a packet says that was kept.
    ///
    /// # Errors
    /// Why a value in it cannot be had here.
    pub fn came_to(&mut self, packet: &[u8]) -> Result<Option<CameTo<H::Value>>, TransferError> {
        let Ok(message) = Message::from_bytes(packet) else { return Ok(None) };
        let (transition, frame, ending) = match message {
            Message::Made(_, transition, frame, value) => (transition, frame, Err(value)),
            Message::Ended(_, transition, frame, ending) => (transition, frame, Ok(ending)),
            _ => return Ok(None),
        };
        let came = match ending {
            Ok(ending) => Came::End(self.recorded_outcome(ending)?),
            Err(item) => Came::Item(self.recorded(item)?),
        };
        Ok(Some(CameTo { transition, frame, came }))
    }

    /// At home: the parameters of a frame, if that is what a packet says that was kept.
    ///
    /// # Errors
    /// Why one of them cannot be had here.
    pub fn parameters(&mut self, packet: &[u8]) -> Result<Option<Parameters<H::Value>>, TransferError> {
        let Ok(Message::Input(_, params)) = Message::from_bytes(packet) else { return Ok(None) };
        params.into_iter().map(|(name, value)| Ok((name, self.recorded(value)?))).collect::<Result<_, _>>().map(Some)
    }

    /// What a running call is of: a transition, in a frame.
    pub fn firing(&self, call: CallId) -> Option<(TransitionId, &Frame)> {
        self.running.get(&call).map(|running| (running.transition, &running.frame))
    }

    /// Does what home's own record says but for its calls. Returns the sites that have no link.
    fn begin_again(&mut self, message: Message) -> Vec<String> {
        match message {
            Message::Plan(job, name, nets) => match refused(&nets) {
                None => return self.open_at_all(job, &name, nets, &HashMap::new()),
                Some(wrong) => {
                    let message = format!("what was kept of this job is no plan: {wrong}");
                    self.fail(job, None, None, "PlanRefusedError", message);
                    self.events.push(Event::Ended(job));
                }
            },
            Message::Input(job, params) => {
                let params: HashMap<String, H::Value> =
                    params.into_iter().filter_map(|(name, value)| Some((name, self.recorded(value).ok()?))).collect();
                self.start(job, &params);
            }
            Message::Stop(job, _) => self.stop(job),
            _ => {}
        }
        vec![]
    }

    /// At home: forgets a job here, and lets the other sites go on with it.
    pub fn leave(&mut self, id: JobId) {
        self.abandon(id);
    }

    fn recorded(&mut self, value: Encoded) -> Result<H::Value, TransferError> {
        let value = received(value, &mut std::iter::empty())?;
        self.host.decode(value, "")
    }

    fn recorded_outcome(&mut self, ending: Ending) -> Result<Outcome<H::Value>, TransferError> {
        Ok(match ending {
            Ending::Value(value) => Outcome::Value(self.recorded(value)?),
            Ending::Streamed(None) => Outcome::Streamed(None),
            Ending::Streamed(Some(list)) => Outcome::Streamed(Some(self.recorded(list)?)),
            Ending::Failed(failure) => Outcome::Failed(failure),
            Ending::Found(value) => Outcome::Found(self.recorded(value)?),
            Ending::NotFound(key) => Outcome::NotFound(self.recorded(key)?),
        })
    }
}

/// Values by the names of their parameters.
pub type Parameters<V> = Vec<(String, V)>;

/// What a call at home has come to, or an item that it has made.
pub struct CameTo<V> {
    /// What has fired.
    pub transition: TransitionId,
    /// In which frame.
    pub frame: Frame,
    /// What it has come to.
    pub came: Came<V>,
}

/// What has come of a call.
pub enum Came<V> {
    /// One of its items.
    Item(V),
    /// Its end.
    End(Outcome<V>),
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

/// A message with what came beside its packet, as far as that came.
fn whole(message: &Message, beside: &[Received]) -> Message {
    let mut message = message.clone();
    let mut beside = beside.iter();
    if let Message::Token(_, _, _, Payload::Value(value)) | Message::Item(_, _, _, value) = &mut message {
        for buffer in &mut value.buffers {
            if matches!(buffer, Buffer::Segment { .. })
                && let Some(segment) = beside.next()
            {
                *buffer = Buffer::Inline(Bytes::copy_from_slice(segment.bytes()));
            }
        }
    }
    message
}

fn encoded<H: Host>(host: &mut H, value: &H::Value) -> Option<Encoded> {
    let outgoing = host.encode(value, None).ok()?;
    let buffers = outgoing.buffers.into_iter().map(Buffer::Inline).collect();
    Some(Encoded { head: outgoing.head.into(), buffers })
}
