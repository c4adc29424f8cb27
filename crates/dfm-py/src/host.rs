//! How does a site judge, encode and open the values that leave it and come to it?

use std::collections::HashSet;
use std::sync::Arc;

use dfm_runtime::{Contribution, Goal, Holder, Host, Incoming, Leaving, Outgoing, Part, Passed, TransferError};
use pyo3::intern;
use pyo3::prelude::*;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::object::{Object, wrong};
use crate::values;
use crate::weight::{Into, weigh};

/// Of so many bytes and more, a digest is made while others run.
const LONG: usize = 64 << 10;

/// Why a value cannot be encoded or decoded here, as far as the site of this thread tells it.
fn uncarried(py: Python<'_>, error: &PyErr) -> TransferError {
    TransferError::Value(wrong(py, error).message)
}

/// The SHA-256 of a value's bytes, in hexadecimal digits.
pub fn digest<'a>(py: Python<'_>, parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new();
    for piece in parts.flat_map(|part| part.chunks(1 << 20)) {
        if piece.len() < LONG {
            sum.update(piece);
        } else {
            // Its user may change what it lies in while others run. A copy of a piece at a time takes little memory.
            let copy = piece.to_vec();
            py.detach(|| sum.update(&copy));
        }
    }
    dfm_ledger::hex(sum.finalize())
}

fn parts_of(outgoing: &Outgoing) -> impl Iterator<Item = &[u8]> {
    std::iter::once(&outgoing.head[..]).chain(outgoing.buffers.iter().map(|part| &part[..]))
}

/// What a site has contributed, as its receipt says it.
fn told(contribution: &Contribution) -> Json {
    let calls = contribution.calls.iter().map(|((operation, provider), count)| match provider {
        Some(provider) => json!({"operation": operation, "provider": provider, "calls": count}),
        None => json!({"operation": operation, "calls": count}),
    });
    json!({
        "calls": calls.collect::<Vec<_>>(),
        "came": contribution.came.iter().map(|value| passed("from", value)).collect::<Vec<_>>(),
        "left": contribution.left.iter().map(|value| passed("to", value)).collect::<Vec<_>>(),
        "unlisted": contribution.unlisted,
    })
}

fn passed(way: &str, value: &Passed) -> Json {
    let place = match &value.goal {
        Goal::Place(place) => json!(place),
        Goal::Param(name) => json!(name),
    };
    let mut told = json!({way: value.site, "place": place, "frame": value.frame.to_string(), "node": value.node});
    if let Some(operation) = &value.operation {
        told["operation"] = json!(operation);
    }
    if let Some((digest, bytes)) = &value.seen {
        told["sha256"] = json!(digest);
        told["bytes"] = json!(bytes);
    }
    told
}

/// What the engine of a site in this process has Python do.
pub struct PythonHost {
    /// Counts the room that values take here.
    pub holder: Holder,
    /// Judges each value that is sent: before it is encoded, and when it is, with where it goes.
    pub judge: Option<Py<PyAny>>,
    /// Whether that wants a digest of each.
    pub digests: bool,
    /// Makes this site's part of a job's receipt.
    pub receipt: Option<Py<PyAny>>,
    /// The sites whose pickles are opened.
    pub opens: HashSet<String>,
}

impl Host for PythonHost {
    type Value = Object;

    fn is_same(&self, one: &Object, other: &Object) -> bool {
        one.0.is(&other.0)
    }

    fn encode(&mut self, value: &Object, leaving: Option<&Leaving>) -> Result<Outgoing, TransferError> {
        Python::attach(|py| {
            let value = value.0.bind(py);
            let encoded = || -> PyResult<Outgoing> {
                let Some(leaving) = leaving else { return values::to_bytes(value) };
                let Some(judge) = &self.judge else {
                    let mut outgoing = values::to_bytes(value)?;
                    outgoing.digest = leaving.digest.then(|| digest(py, parts_of(&outgoing)));
                    return Ok(outgoing);
                };
                let Leaving { job, to, operation, makers, parts, digest: wanted } = leaving;
                weigh(value, Into::Models)?;
                let (size, digested) = (py.None(), py.None());
                let leaves = judge.bind(py).call1((value, job, to, operation, makers, size, digested, parts))?;
                let mut outgoing = values::to_bytes(&leaves)?;
                outgoing.digest = (self.digests || *wanted).then(|| digest(py, parts_of(&outgoing)));
                judge.call1(py, (leaves, job, to, operation, makers, outgoing.size(), outgoing.digest.as_deref()))?;
                Ok(outgoing)
            };
            encoded().map_err(|error| {
                let refused = py
                    .import(intern!(py, "dfm.errors"))
                    .and_then(|errors| errors.getattr(intern!(py, "RefusedError")))
                    .is_ok_and(|kind| error.is_instance(py, &kind));
                let sentence = wrong(py, &error).message;
                if refused { TransferError::Refused(sentence) } else { TransferError::Value(sentence) }
            })
        })
    }

    fn is_guarded(&self) -> bool {
        self.judge.is_some()
    }

    fn digest(&mut self, value: &Incoming) -> Option<String> {
        let parts = std::iter::once(&value.head[..]).chain(value.buffers.iter().map(Part::bytes));
        Some(Python::attach(|py| digest(py, parts)))
    }

    fn receipt(&mut self, job: u64, contribution: &Contribution) -> Option<String> {
        let receipt = self.receipt.as_ref()?;
        Python::attach(|py| receipt.call1(py, (job, told(contribution).to_string())).and_then(|text| text.extract(py)))
            .ok()
    }

    fn now(&self) -> f64 {
        std::time::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
    }

    fn decode(&mut self, value: Incoming, from: &str) -> Result<Object, TransferError> {
        let (bytes, most) = (value.size() as u64, self.holder.most);
        let held = Arc::new(self.holder.hold(bytes).ok_or(TransferError::Room { bytes, most })?);
        let opens = self.opens.contains(from);
        Python::attach(|py| {
            let decoded =
                if opens { opening(py, || values::from_bytes(py, value)) } else { values::from_bytes(py, value) };
            match decoded {
                Ok(object) => Ok(Object(object.unbind(), Some(held))),
                Err(error) => Err(uncarried(py, &error)),
            }
        })
    }
}

/// Lets this thread open pickles meanwhile.
fn opening<T>(py: Python<'_>, decode: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let policy = py.import(intern!(py, "dfm._values"))?.getattr(intern!(py, "policy"))?;
    policy.setattr(intern!(py, "opens_pickles"), true)?;
    let decoded = decode();
    policy.setattr(intern!(py, "opens_pickles"), false)?;
    decoded
}
