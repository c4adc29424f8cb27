//! How do values travel between sites, and what becomes of one that cannot?

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use dfm_net::{Failure, Frame, Makers, Net, NodeId, PlaceId, Token};
use dfm_wire::{Buffer, Encoded, JobId, Message, Payload};

use super::links::Carrier;
use super::shared::is_same;
use super::{Job, Site, described};
use crate::host::{Event, Host, Incoming, Leaving, Part, TransferError};
use crate::link::{MAX_FILES, MAX_PACKET};
use crate::receipt::{Goal, Passed};
use crate::segment::{Pool, Received, SEGMENT_FROM};

/// A value of which segments hold the large parts, for the next receiver of the same one.
pub(super) struct Written<V> {
    value: V,
    /// The parts as they were encoded, which are held so that no others come to be where they are, each with the number
    /// of its segment.
    parts: Vec<(Bytes, u64)>,
}

/// A value as it travels.
pub(super) struct Packed {
    /// Its bytes.
    pub value: Encoded,
    /// What its user should hear of it.
    pub warning: Option<String>,
    /// The digest of its bytes, where that is wanted.
    pub digest: Option<String>,
}

impl<H: Host> Site<H> {
    /// Sends an item of a stream; where it cannot travel, the error in its place ends the stream.
    pub(super) fn send_item(&mut self, id: JobId, site: &str, place: PlaceId, frame: Frame, value: &H::Value) {
        let mut files = vec![];
        match self.encode_of(id, place, site, value, &mut files) {
            Ok(packed) => {
                let value = self.packed(id, place, site, &frame, packed);
                self.push(site, &Message::Item(id, place, frame, value), files);
            }
            Err(why) => {
                let failure = self.unsendable(id, place, site, &frame, &why);
                let errors = Payload::Errors(vec![failure]);
                self.push(site, &Message::Token(id, place, frame.clone(), errors), vec![]);
                self.credit(id, site, place, &frame, u64::MAX);
            }
        }
    }

    /// Sends a token; where its value cannot travel, the error in its place.
    pub(super) fn send_token(
        &mut self,
        id: JobId,
        site: &str,
        place: PlaceId,
        frame: Frame,
        token: Option<Token<H::Value>>,
    ) {
        let mut files = vec![];
        let payload = match token {
            None => Payload::Signal,
            Some(Token::End) => Payload::End,
            Some(Token::Count(count)) => Payload::Count(count),
            Some(Token::Next(index)) => Payload::Next(index),
            Some(Token::Missing(failure)) => Payload::Missing((*failure).clone()),
            Some(Token::Error(failures)) => Payload::Errors(failures.iter().map(|one| (**one).clone()).collect()),
            Some(Token::Value(value)) => match self.encode_of(id, place, site, &value, &mut files) {
                Ok(packed) => Payload::Value(self.packed(id, place, site, &frame, packed)),
                Err(why) => Payload::Errors(vec![self.unsendable(id, place, site, &frame, &why)]),
            },
        };
        self.push(site, &Message::Token(id, place, frame, payload), files);
    }

    /// A result that is about to go to another site: what has to be told and noted of it is.
    fn packed(&mut self, id: JobId, place: PlaceId, site: &str, frame: &Frame, packed: Packed) -> Encoded {
        let Packed { value, warning, digest } = packed;
        self.warn_of_result(id, place, site, warning);
        self.note_sent(id, place, site, frame, &value);
        if self.is_receipted(id) {
            let (node, operation) = self.maker(id, place, site).unzip();
            let seen = digest.map(|digest| (digest, in_all(&value)));
            let (site, goal, frame, operation) =
                (site.to_owned(), Goal::Place(place), frame.clone(), operation.flatten());
            if let Some(contribution) = self.jobs.get_mut(&id).and_then(|job| job.contribution.as_mut()) {
                contribution.left(Passed { site, goal, frame, node, operation, seen });
            }
        }
        value
    }

    /// A value that has come from another site is noted, where somebody wants a receipt.
    fn note_came(&mut self, id: JobId, goal: Goal, frame: &Frame, from: &str, value: &Incoming) {
        let is_seen = self.is_seen(from);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(contribution) = &mut job.contribution else { return };
        let net = job.engine.net();
        let node = match &goal {
            Goal::Place(place) => net.places.get(*place as usize).map(|place| described(net, place.transition).0),
            Goal::Param(_) => None,
        };
        let digest = if is_seen { self.host.digest(value) } else { None };
        contribution.came(Passed {
            site: from.to_owned(),
            goal,
            frame: frame.clone(),
            node,
            operation: None,
            seen: digest.map(|digest| (digest, value.size() as u64)),
        });
    }

    fn is_receipted(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.contribution.is_some())
    }

    /// Whether the application sees what passes between this site and another one.
    fn is_seen(&self, other: &str) -> bool {
        self.home.as_deref().is_none_or(|home| home == other)
    }

    fn note_sent(&mut self, id: JobId, place: PlaceId, site: &str, frame: &Frame, value: &Encoded) {
        let Some(Job { engine, noting: Some(noting), makers, .. }) = self.jobs.get_mut(&id) else { return };
        let (net, now) = (engine.net(), self.host.now());
        let node = || {
            let leading = makers.get_or_insert_with(|| Makers::new(net)).leading(place, site);
            leading.last().map(|at| net.transitions[*at as usize].step.node().clone())
        };
        noting.sent(node, site, frame, now, in_all(value));
        self.tell(id, now);
    }

    /// Reports, for the node whose arc leads there, that its result cannot be sent.
    fn unsendable(&mut self, id: JobId, place: PlaceId, site: &str, frame: &Frame, why: &TransferError) -> Failure {
        let from = self.maker(id, place, site);
        let known = from.as_ref().map(|(node, _)| (node.clone(), frame.clone()));
        let told = known.zip(self.jobs.get_mut(&id)).is_some_and(|(one, job)| !job.unsendable.insert(one));
        let message = format!("the result cannot be sent to site '{site}': {why}");
        let failure = self.failure(Some(frame), from, why.kind(), message);
        if !told {
            self.report(id, failure.clone());
        }
        failure
    }

    /// The value as bytes, for a place of another site.
    fn encode_of(
        &mut self,
        id: JobId,
        place: PlaceId,
        site: &str,
        value: &H::Value,
        files: &mut Vec<Arc<OwnedFd>>,
    ) -> Result<Packed, TransferError> {
        let digest = self.is_receipted(id) && self.is_seen(site);
        let leaving = (digest || self.host.is_guarded()).then(|| Leaving {
            job: id,
            to: site.to_owned(),
            operation: self.maker(id, place, site).and_then(|(_, operation)| operation),
            makers: self.makers(id).map_or(vec![], |(net, makers)| makers.operations(net, place, site)),
            parts: self.makers(id).map_or(vec![], |(net, makers)| makers.parts(net, place, site)),
            digest,
        });
        self.encode(site, value, files, 0, leaving.as_ref())
    }

    /// The node, and its operation, whose arc leads to a place of another site.
    fn maker(&mut self, id: JobId, place: PlaceId, site: &str) -> Option<(NodeId, Option<String>)> {
        let (net, makers) = self.makers(id)?;
        Some(described(net, *makers.leading(place, site).first()?))
    }

    /// The operations of this site whose results decide what a job does here.
    pub fn deciding(&mut self, id: JobId) -> Vec<String> {
        self.makers(id).map_or(vec![], |(net, makers)| makers.deciding(net))
    }

    /// A job's net, and what leads where in it.
    fn makers(&mut self, id: JobId) -> Option<(&Net, &Makers)> {
        let job = self.jobs.get_mut(&id)?;
        let net = job.engine.net();
        Some((net, job.makers.get_or_insert_with(|| Makers::new(net))))
    }

    fn warn_of_result(&mut self, id: JobId, place: PlaceId, site: &str, warning: Option<String>) {
        if warning.is_some() {
            let operation = self.maker(id, place, site).and_then(|(_, operation)| operation);
            let what =
                operation.map_or_else(|| "a value".to_owned(), |operation| format!("the result of '{operation}'"));
            self.warn(&what, site, warning);
        }
    }

    /// Has the user hear of a value that has been sent.
    pub(super) fn warn(&mut self, what: &str, to: &str, warning: Option<String>) {
        if let Some(warning) = warning {
            let text = format!("{what}, sent from site '{}' to '{to}': {warning}", self.name);
            self.events.push(Event::Warned(text));
        }
    }

    /// Maps a message's segments in their order. One that cannot be mapped is missing when the value is decoded.
    pub(super) fn map_segments(&self, message: &Message, number: u64, files: Vec<OwnedFd>) -> Vec<Received> {
        let lengths = values(message).flat_map(|value| &value.buffers).filter_map(|buffer| match buffer {
            Buffer::Segment { id, len } => Some((*id, *len as usize)),
            Buffer::Inline(_) => None,
        });
        lengths
            .zip(files)
            .map_while(|((id, len), file)| Received::open(file, len, (number, id), self.released.clone()).ok())
            .collect()
    }

    /// A value that came for a place, or the error in its place.
    pub(super) fn decode_token(
        &mut self,
        id: JobId,
        place: PlaceId,
        frame: &Frame,
        value: Encoded,
        (from, buffers): (&str, &mut impl Iterator<Item = Received>),
    ) -> Token<H::Value> {
        let received = received(value, buffers).and_then(|value| {
            self.note_came(id, Goal::Place(place), frame, from, &value);
            self.host.decode(value, from)
        });
        match received {
            Ok(value) => Token::Value(value),
            Err(why) => {
                let at = self.jobs.get(&id).and_then(|job| {
                    let net = job.engine.net();
                    Some(described(net, net.places.get(place as usize)?.transition))
                });
                let failure = self.failure(Some(frame), at, "DecodingError", why.to_string());
                self.report(id, failure.clone());
                Token::Error(vec![Arc::new(failure)])
            }
        }
    }

    /// The value as bytes, and what its user should hear of it. Its packet has these files already, and so many bytes.
    pub(super) fn encode(
        &mut self,
        site: &str,
        value: &H::Value,
        files: &mut Vec<Arc<OwnedFd>>,
        taken: usize,
        leaving: Option<&Leaving>,
    ) -> Result<Packed, TransferError> {
        if !self.written.as_ref().is_some_and(|written| self.host.is_same(&written.value, value)) {
            self.written = Some(Written { value: value.clone(), parts: vec![] });
        }
        let outgoing = self.host.encode(value, leaving)?;
        let (before, mut lent) = (files.len(), vec![]);
        match self.lay_out(site, outgoing.buffers, files, &mut lent, outgoing.head.len() + taken) {
            Ok(buffers) => {
                let value = Encoded { head: outgoing.head.into(), buffers };
                Ok(Packed { value, warning: outgoing.warning, digest: outgoing.digest })
            }
            Err(why) => {
                // Nobody will get what was laid out for it, so nobody would release it.
                files.truncate(before);
                for id in lent {
                    if let Some(peer) = self.links.get_mut(site) {
                        peer.lent.remove(&id);
                    }
                    self.pool.release(id);
                }
                Err(why)
            }
        }
    }

    /// A value's large parts where the receiver will find them: beside the packet, which `inline` bytes are already in,
    /// in segments that are noted in `lent`, or in it.
    fn lay_out(
        &mut self,
        site: &str,
        parts: Vec<Bytes>,
        files: &mut Vec<Arc<OwnedFd>>,
        lent: &mut Vec<u64>,
        mut inline: usize,
    ) -> Result<Vec<Buffer>, TransferError> {
        let mut buffers = vec![];
        for bytes in parts {
            let peer = self.links.get_mut(site).filter(|peer| {
                matches!(peer.carrier, Carrier::Socket(_)) && bytes.len() >= SEGMENT_FROM && files.len() < MAX_FILES
            });
            let segment = peer.and_then(|peer| {
                let parts = self.written.as_mut().map(|written| &mut written.parts);
                let (id, file) = write(&mut self.pool, &bytes, parts)?;
                peer.lent.insert(id);
                lent.push(id);
                files.push(file);
                Some(Buffer::Segment { id, len: bytes.len() as u64 })
            });
            buffers.push(segment.unwrap_or_else(|| {
                inline += bytes.len();
                Buffer::Inline(bytes)
            }));
        }
        fits(inline)?;
        Ok(buffers)
    }

    /// The value of a parameter that came.
    pub(super) fn decode_param(
        &mut self,
        id: JobId,
        name: &str,
        frame: &Frame,
        value: Encoded,
        (from, buffers): (&str, &mut impl Iterator<Item = Received>),
    ) -> Result<H::Value, TransferError> {
        let value = received(value, buffers)?;
        self.note_came(id, Goal::Param(name.to_owned()), frame, from, &value);
        self.host.decode(value, from)
    }
}

/// A value with the shared segments that came beside its packet.
pub(crate) fn received(value: Encoded, shared: &mut impl Iterator<Item = Received>) -> Result<Incoming, TransferError> {
    let part = |buffer| match buffer {
        Buffer::Inline(bytes) => Ok(Part::Inline(bytes.into())),
        Buffer::Segment { .. } => shared.next().map(Part::Shared).ok_or(TransferError::Unmapped),
    };
    let buffers = value.buffers.into_iter().map(part).collect::<Result<_, _>>()?;
    Ok(Incoming { head: value.head.into(), buffers })
}

/// A segment with these bytes, which may be in one that was `written`.
fn write(pool: &mut Pool, bytes: &Bytes, written: Option<&mut Vec<(Bytes, u64)>>) -> Option<(u64, Arc<OwnedFd>)> {
    let Some(written) = written else { return pool.send(bytes) };
    let at = written.iter().position(|(one, _)| is_same(one, bytes));
    let again = at.and_then(|at| pool.send_again(written.swap_remove(at).1));
    let sent = again.or_else(|| pool.send(bytes))?;
    written.push((bytes.clone(), sent.0));
    Some(sent)
}

/// Whether so many bytes of values can go in one packet.
fn fits(bytes: usize) -> Result<(), TransferError> {
    match bytes {
        ..=MAX_PACKET => Ok(()),
        _ => Err(TransferError::Packet(bytes)),
    }
}

/// How many bytes a value takes of its packet.
pub(crate) fn in_packet(value: &Encoded) -> usize {
    let inline = value.buffers.iter().map(|buffer| match buffer {
        Buffer::Inline(bytes) => bytes.len(),
        Buffer::Segment { .. } => 0,
    });
    inline.fold(value.head.len(), usize::saturating_add)
}

/// How many bytes a value has in all.
fn in_all(value: &Encoded) -> u64 {
    let shared = value.buffers.iter().map(|buffer| match buffer {
        Buffer::Segment { len, .. } => *len,
        Buffer::Inline(_) => 0,
    });
    shared.fold(in_packet(value) as u64, u64::saturating_add)
}

/// The values that a message carries, in order.
pub(super) fn values(message: &Message) -> impl Iterator<Item = &Encoded> {
    let (one, many): (Option<&Encoded>, &[(String, Encoded)]) = match message {
        Message::Token(_, _, _, Payload::Value(value)) | Message::Item(_, _, _, value) => (Some(value), &[]),
        Message::Start(_, _, params, _) => (None, params),
        _ => (None, &[]),
    };
    one.into_iter().chain(many.iter().map(|(_, value)| value))
}

/// How many bytes a value would travel as. Where somebody guards what leaves this site, that tells of a value what is
/// nobody's business: how many digits a number has, or whether a list has an item.
pub(super) fn measured<H: Host>(host: &mut H, value: &H::Value) -> Option<u64> {
    if host.is_guarded() {
        return None;
    }
    host.encode(value, None).ok().map(|outgoing| outgoing.size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_too_many_for_one_packet_are_refused() {
        // Zeros that nobody looks at take no memory.
        let large =
            Encoded { head: vec![0; MAX_PACKET / 2].into(), buffers: vec![Buffer::Segment { id: 1, len: 1 << 40 }] };
        let small = Encoded { head: vec![0; 2].into(), buffers: vec![Buffer::Inline(vec![0; 3].into())] };
        assert_eq!(in_packet(&small), 5);
        assert!(fits(2 * in_packet(&large)).is_ok());
        let refused = fits(2 * in_packet(&large) + in_packet(&small)).unwrap_err();
        assert_eq!(refused, TransferError::Packet(4_278_190_085));
    }
}
