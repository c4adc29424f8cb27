//! The extension module `dfm._native`: conversions and calls, no logic of its own.

mod buffers;
mod calls;
mod carried;
mod classes;
mod direct;
mod events;
mod history;
mod host;
mod keeper;
mod ledger;
mod measurement;
mod object;
mod plan;
mod policy;
mod recording;
mod rules;
mod site;
mod sums;
mod values;
mod watch;
mod weight;

use dfm_runtime::{Incoming, Part};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

#[pymodule]
mod _native {
    /// What this module was declared to offer when it was built.
    #[pymodule_export]
    const DECLARED: &str = include_str!("../../../python/dfm/_native.pyi");
    /// dfm's version, three numbers.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use super::{dumps, loads};
    #[pymodule_export]
    use crate::buffers::Memory;
    #[pymodule_export]
    use crate::calls::{Call, Found, NotFound, Tries};
    #[pymodule_export]
    use crate::carried::{Carried, Hole};
    #[pymodule_export]
    use crate::direct::{Direct, Refusal};
    #[pymodule_export]
    use crate::events::{
        Abandoned, Answered, Asks, Bye, Cancelled, Check, Checked, Closed, Ended, Failed, Failure, GoOn, Items, Kept,
        Measured, Needs, NodeAt, Noted, Opened, Over, Receipt, Reported, Runs, Series, Setup, StreamEnded, Trace,
        Traced, Unfinished, Warned, Yielded,
    };
    #[pymodule_export]
    use crate::history::{Happened, History, JobRecord, Notes};
    #[pymodule_export]
    use crate::keeper::{Keeper, Order, Progress, order, outline, read_answer, unfold};
    #[pymodule_export]
    use crate::ledger::{Audit, Counting};
    #[pymodule_export]
    use crate::measurement::Measurement;
    #[pymodule_export]
    use crate::plan::{Plan, plan};
    #[pymodule_export]
    use crate::policy::{deciding_rules, is_like, read_policy};
    #[pymodule_export]
    use crate::recording::{CameTo, Recorder, Recording};
    #[pymodule_export]
    use crate::rules::{PlaceUse, out_of_block, place_conflict, same_api};
    #[pymodule_export]
    use crate::site::Site;
    #[pymodule_export]
    use crate::sums::{SumParty, SumTerms, add_masked, unmasked};
    #[pymodule_export]
    use crate::watch::end_with_parent;

    use pyo3::panic::PanicException;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("Panic", py.get_type::<PanicException>())?;
        module.add("CacheStep", crate::calls::CACHE_STEP.class(py)?)?;
        module.add("Room", crate::calls::ROOM.class(py)?)?;
        module.add("OrderKind", crate::keeper::ORDER_KIND.class(py)?)?;
        for (name, choice) in crate::events::choices(py)? {
            module.add(name, choice)?;
        }
        Ok(())
    }
}

/// The object as one piece of bytes: each part after its length, the structure first.
#[pyfunction]
fn dumps<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let outgoing = values::to_bytes(object)?;
    let mut bytes = vec![];
    for part in std::iter::once(outgoing.head.as_slice()).chain(outgoing.buffers.iter().map(AsRef::as_ref)) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    Ok(PyBytes::new(object.py(), &bytes))
}

/// The object that `dumps` turned into bytes.
#[pyfunction]
fn loads<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut parts = vec![];
    let mut rest = bytes;
    while !rest.is_empty() {
        let cut = || PyValueError::new_err("these bytes are not an encoded value: cut short");
        let (len, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut())?;
        let (part, after) = after.split_at_checked(len).ok_or_else(cut)?;
        parts.push(part.to_vec());
        rest = after;
    }
    let mut parts = parts.into_iter();
    let head = parts.next().unwrap_or_default();
    values::from_bytes(py, Incoming { head, buffers: parts.map(Part::Inline).collect() })
}
