//! What does a site note of a job, for home to hear while it runs?

use std::collections::HashMap;
use std::mem::take;

use dfm_net::{Counted, Counts, Frame, Line, NodeId, Noted, Steps};

/// The most that a site notes of a job; what is more is only counted.
pub const MOST_NOTED: usize = 4096;

/// The most bytes of what its bodies say that a site notes of a job, and the most lines beside what else it notes.
pub const MOST_SAID: usize = 128 << 10;
pub const MOST_LINES: usize = 1024;

/// Seconds after which what was noted is told, at the next thing that happens.
pub(crate) const TELL: f64 = 0.5;

/// What is new of a job at one site.
pub(crate) struct Told {
    /// Whether home wants to hear of it.
    pub wanted: bool,
    /// What was noted.
    pub noted: Vec<Noted>,
    /// What was noted and is not for home.
    pub own: Vec<Noted>,
    /// How far the site is.
    pub counts: Counts,
}

/// How often something has happened that is only counted.
#[derive(Default)]
pub(crate) struct Number {
    pub count: u64,
    pub bytes: u64,
    pub is_told: bool,
}

impl Number {
    /// What is to be told of it, if anything is new.
    pub fn tell(&mut self, of: &Counted) -> Option<Noted> {
        let is_told = std::mem::replace(&mut self.is_told, true);
        (!is_told).then(|| Noted::More { of: of.clone(), count: self.count, bytes: self.bytes })
    }
}

/// What is noted of one job at one site.
pub(crate) struct Noting {
    /// Whether home wants to hear of it.
    pub wanted: bool,
    fresh: Vec<Noted>,
    /// What of it is not for home.
    own: Vec<Noted>,
    left: usize,
    /// What is only counted.
    more: HashMap<Counted, Number>,
    lines: usize,
    said: usize,
    /// But for what the engine counts.
    counts: Counts,
    told: f64,
    /// As they were told last.
    known: Counts,
}

impl Noting {
    /// From now on.
    pub fn new(now: f64) -> Self {
        let (wanted, fresh, own, more, counts, known) = Default::default();
        Self { wanted, fresh, own, left: MOST_NOTED, more, lines: 0, said: 0, counts, told: now, known }
    }

    /// A call has failed.
    pub fn failed(&mut self) {
        self.counts.failed += 1;
    }

    /// A result was sent to another site; `node` says whose.
    pub fn sent(&mut self, node: impl FnOnce() -> Option<NodeId>, to: &str, frame: &Frame, at: f64, bytes: u64) {
        self.counts.sent = self.counts.sent.saturating_add(bytes);
        let Some(node) = node() else { return };
        self.note(|| Noted::Sent { node, frame: frame.clone(), to: to.to_owned(), at, bytes });
    }

    /// What runs for a call has said something, which home may hear or not.
    pub fn said(&mut self, node: NodeId, frame: Frame, line: Line, for_home: bool) {
        let line = line.cut();
        self.lines += 1;
        self.said += line.bytes();
        if self.lines > MOST_LINES || self.said > MOST_SAID {
            self.counts.left_out += 1;
        } else {
            let noted = Noted::Said { node, frame, line };
            if for_home { self.fresh.push(noted) } else { self.own.push(noted) }
        }
    }

    /// Something happened.
    pub fn note(&mut self, noted: impl FnOnce() -> Noted) {
        if self.left > 0 {
            self.left -= 1;
            self.fresh.push(noted());
            return;
        }
        self.counts.left_out += 1;
        if let Some((of, bytes)) = Counted::instead_of(noted()) {
            let number = self.more.entry(of).or_default();
            *number = Number { count: number.count + 1, bytes: number.bytes.saturating_add(bytes), is_told: false };
        }
    }

    /// What is to be told now: all that is new, if it is time for that.
    pub fn tell(&mut self, steps: Steps, now: f64) -> Option<Told> {
        if now - self.told < TELL {
            return None;
        }
        self.told = now;
        self.rest(steps)
    }

    /// All that is new, if there is any.
    pub fn rest(&mut self, steps: Steps) -> Option<Told> {
        let Steps { known, done, elements } = steps;
        let counts = Counts { known, done, elements, ..self.counts };
        let is_new = !self.fresh.is_empty() || !self.own.is_empty() || counts != self.known;
        self.known = counts;
        self.fresh.extend(self.more.iter_mut().filter_map(|(of, number)| number.tell(of)));
        let wanted = self.wanted;
        is_new.then(|| Told { wanted, noted: take(&mut self.fresh), own: take(&mut self.own), counts })
    }
}
