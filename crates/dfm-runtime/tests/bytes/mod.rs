//! Which values do the tests' sites exchange?

use std::sync::Arc;

use dfm_net::{Comparison, Failure, Form, Selector, Value, Wrong};
use dfm_runtime::{Contribution, Host, Incoming, Leaving, Outgoing, Part, TransferError};
use dfm_wire::JobId;

/// A value of the test: bytes. A first byte of 255 cannot be sent, one of 254 cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Bytes(pub Vec<u8>);

impl Value for Bytes {
    fn select(&self, _: &[Selector]) -> Result<Self, Wrong> {
        Err(Wrong::new("SelectError", "bytes have no parts"))
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn failed(_: &[Arc<Failure>]) -> Result<Self, Wrong> {
        unreachable!("nothing is kept in the place of a value")
    }

    fn build(_: &Form, _: Vec<Self>) -> Result<Self, Wrong> {
        unreachable!("nothing is made of others")
    }

    fn literal(_: &serde_json::Value) -> Result<Self, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn compare(&self, _: Comparison, _: &Self) -> Result<bool, Wrong> {
        unreachable!("there are no blocks here")
    }

    fn truth(&self) -> Result<bool, Wrong> {
        unreachable!("there are no blocks here")
    }
}

/// Whoever holds them.
pub struct Plain;

impl Host for Plain {
    type Value = Bytes;

    fn encode(&mut self, value: &Bytes, _: Option<&Leaving>) -> Result<Outgoing, TransferError> {
        if value.0.first() == Some(&255) {
            return Err(TransferError::Value("255 does not travel".into()));
        }
        Ok(Outgoing { head: vec![], buffers: vec![value.0.clone().into()], warning: None, digest: None })
    }

    fn receipt(&mut self, _: JobId, given: &Contribution) -> Option<String> {
        let calls: u64 = given.calls.values().sum();
        Some(format!("{calls} calls, {} came, {} left", given.came.len(), given.left.len()))
    }

    fn now(&self) -> f64 {
        1e9
    }

    fn decode(&mut self, mut value: Incoming, _from: &str) -> Result<Bytes, TransferError> {
        let bytes = match value.buffers.pop().expect("a value has one buffer") {
            Part::Inline(bytes) => bytes,
            Part::Shared(segment) => segment.bytes().to_vec(),
        };
        match bytes.first() {
            Some(254) => Err(TransferError::Value("254 is unknown here".into())),
            _ => Ok(Bytes(bytes)),
        }
    }
}
