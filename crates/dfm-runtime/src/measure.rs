//! What does a site note of a job whose user wants it measured?

use std::collections::{HashMap, HashSet};

use dfm_net::{Frame, Measured, NodeId};

use crate::host::CallId;

/// The calls of one job at one site.
#[derive(Default)]
pub(crate) struct Measuring {
    running: HashMap<CallId, Running>,
    /// Those that have ended, and what came to the application.
    done: Vec<Measured>,
    /// The other sites that have told what they noted.
    told: HashSet<String>,
}

#[derive(Default)]
struct Running {
    begin: f64,
    /// Of a stream's items, as far as they were told.
    items: Option<u64>,
}

impl Measuring {
    /// A call begins.
    pub fn begin(&mut self, call: CallId, now: f64) {
        self.running.insert(call, Running { begin: now, items: None });
    }

    /// An item of a call's stream has so many bytes.
    pub fn item(&mut self, call: CallId, bytes: Option<u64>) {
        if let Some(running) = self.running.get_mut(&call) {
            running.items = Some(running.items.unwrap_or_default() + bytes.unwrap_or_default());
        }
    }

    /// A call has ended; `bytes` are those of a result that is no stream.
    pub fn end(&mut self, call: CallId, node: NodeId, frame: Frame, now: f64, bytes: Option<u64>) {
        if let Some(Running { begin, items }) = self.running.remove(&call) {
            self.done.push(Measured { node, frame, begin, seconds: now - begin, bytes: bytes.or(items) });
        }
    }

    /// A token has come to the application.
    pub fn yielded(&mut self, node: NodeId, frame: Frame, now: f64) {
        self.done.push(Measured { node, frame, begin: now, seconds: 0.0, bytes: None });
    }

    /// What another site has noted, which it tells once, at its end: more would be kept without a limit.
    pub fn add(&mut self, site: String, more: Vec<Measured>) {
        if self.told.insert(site) {
            let sound = |one: &Measured| one.begin.is_finite() && one.seconds.is_finite();
            self.done.extend(more.into_iter().filter(sound));
        }
    }

    /// All that was noted.
    pub fn into_done(self) -> Vec<Measured> {
        self.done
    }
}
