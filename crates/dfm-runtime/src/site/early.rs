//! What is kept of what comes for jobs that home has not opened here yet?
//!
//! Other sites may be told of a job sooner than this one, so what they send of it is kept until home opens it here. They
//! may also mean harm: each has room for so much, and what goes beyond it is gone. That they sent more is remembered, so
//! that the job, if it is ever opened, ends with an error instead of waiting for what was dropped.

use std::collections::{BTreeMap, BTreeSet};

use dfm_wire::{Buffer, JobId, Message, Payload};

use super::Arrived;
use super::values::values;

/// A site's messages for jobs to come are kept up to so many: a message that says little costs about a kilobyte here.
pub(super) const MOST_EARLY_MESSAGES: u64 = 1 << 16;
/// They are kept up to so many bytes in all.
pub(super) const MOST_EARLY_BYTES: u64 = 256 << 20;

/// What came too early, by the job it is for.
#[derive(Default)]
pub(super) struct Early {
    jobs: BTreeMap<JobId, OfJob>,
    /// Site → how many messages of it are kept, and their bytes.
    room: BTreeMap<String, (u64, u64)>,
}

/// What came of one job.
#[derive(Default)]
pub(super) struct OfJob {
    /// In the order it came in.
    pub(super) arrived: Vec<Arrived>,
    /// The sites some of whose messages were dropped.
    pub(super) dropped: BTreeSet<String>,
}

impl Early {
    /// Keeps a message, unless its sender has no room left.
    pub(super) fn keep(&mut self, job: JobId, arrived: Arrived) {
        let (messages, bytes) = self.room.entry(arrived.from.clone()).or_default();
        let of_job = self.jobs.entry(job).or_default();
        let size = size(&arrived.message);
        // What follows a gap is of no use.
        if *messages >= MOST_EARLY_MESSAGES
            || bytes.saturating_add(size) > MOST_EARLY_BYTES
            || of_job.dropped.contains(&arrived.from)
        {
            of_job.dropped.insert(arrived.from);
            return;
        }
        *messages += 1;
        *bytes += size;
        of_job.arrived.push(arrived);
    }

    /// What came of a job, which is kept no longer.
    pub(super) fn take(&mut self, job: JobId) -> OfJob {
        let of_job = self.jobs.remove(&job).unwrap_or_default();
        for arrived in &of_job.arrived {
            if let Some((messages, bytes)) = self.room.get_mut(&arrived.from) {
                *messages -= 1;
                *bytes -= size(&arrived.message);
            }
        }
        of_job
    }

    /// Forgets what came of jobs before this one: home opens them in their order.
    pub(super) fn forget_before(&mut self, job: JobId) {
        let gone: Vec<JobId> = self.jobs.range(..job).map(|(gone, _)| *gone).collect();
        for gone in gone {
            self.take(gone);
        }
    }
}

/// About how many bytes a message takes here, its values left out, while it waits for what it belongs to: one that says
/// little, a kilobyte.
pub(super) fn room_of(message: &Message) -> u64 {
    texts(message).saturating_add(1024)
}

/// How many bytes others decide on in a message that comes early.
fn size(message: &Message) -> u64 {
    let values = values(message).map(|value| {
        let buffers = value.buffers.iter().map(|buffer| {
            let held = match buffer {
                Buffer::Inline(bytes) => bytes.len() as u64,
                Buffer::Segment { len, .. } => *len,
            };
            held.saturating_add(size_of_val(buffer) as u64)
        });
        buffers.fold(value.head.len() as u64, u64::saturating_add)
    });
    values.fold(texts(message), u64::saturating_add)
}

/// How many bytes the errors of a message have.
fn texts(message: &Message) -> u64 {
    let failures = match message {
        Message::Token(_, _, _, Payload::Errors(failures)) => &failures[..],
        Message::Token(_, _, _, Payload::Missing(failure)) => std::slice::from_ref(failure),
        _ => &[],
    };
    let texts = failures.iter().map(|failure| {
        let named = failure.site.len() + failure.kind.len() + failure.operation.as_ref().map_or(0, String::len);
        (size_of_val(failure) + named + failure.message.len() + failure.stack_trace.len()) as u64
    });
    texts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dfm_net::Frame;
    use dfm_wire::Encoded;

    use super::*;

    fn token(from: &str, job: JobId, bytes: usize) -> Arrived {
        let value = Encoded { head: Bytes::from(vec![0; bytes]), buffers: vec![] };
        let message = Message::Token(job, 0, Frame::of_param_set(0), Payload::Value(value));
        Arrived { from: from.into(), message, buffers: vec![] }
    }

    #[test]
    fn a_site_that_sends_too_much_loses_its_own_and_nobody_elses() {
        let mut early = Early::default();
        let large = MOST_EARLY_BYTES as usize / 2;
        for (from, job, bytes) in [("a", 2, large), ("a", 3, large), ("a", 3, 1), ("a", 3, 0), ("b", 3, 1)] {
            early.keep(job, token(from, job, bytes));
        }
        let third = early.take(3);
        let from: Vec<&str> = third.arrived.iter().map(|arrived| arrived.from.as_str()).collect();
        assert_eq!(from, ["a", "b"]);
        assert_eq!(third.dropped.iter().collect::<Vec<_>>(), ["a"]);
        // There is room again for as much as was taken.
        early.keep(4, token("a", 4, large));
        assert!(early.take(4).dropped.is_empty());
    }

    #[test]
    fn messages_that_say_nothing_are_counted() {
        let mut early = Early::default();
        for _ in 0..=MOST_EARLY_MESSAGES {
            early.keep(1, token("a", 1, 0));
        }
        early.forget_before(1);
        let first = early.take(1);
        assert_eq!(first.arrived.len() as u64, MOST_EARLY_MESSAGES);
        assert!(first.dropped.contains("a"));
        early.keep(2, token("a", 2, 0));
        early.forget_before(3);
        assert!(early.take(2).arrived.is_empty());
        assert_eq!(early.room["a"], (0, 0));
    }

    #[test]
    fn what_a_message_claims_of_its_segments_cannot_wrap() {
        let segment = || Buffer::Segment { id: 1, len: u64::MAX };
        let value = Encoded { head: Bytes::new(), buffers: vec![segment(), segment()] };
        let message = Message::Item(1, 0, Frame::of_param_set(0), value);
        let mut early = Early::default();
        early.keep(1, Arrived { from: "a".into(), message, buffers: vec![] });
        assert!(early.take(1).arrived.is_empty());
    }
}
