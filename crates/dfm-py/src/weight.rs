//! How much is a value, if each of its parts counts as often as it is in it?
//!
//! A list that has another one twice, which has a third one twice, is a small object and an endless value: whoever goes
//! through it, to send, judge or compare it, goes through each part as often as it is there. No step of a pipeline needs
//! to be hostile for that but the one that says so.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};

/// So many parts are nothing that anybody has to be asked about.
const FEW: usize = 4096;

/// So many bytes neither.
const SMALL: usize = 1 << 16;

/// How many parts more a value may have, and how many bytes of texts in these.
pub struct Budget {
    parts: usize,
    bytes: usize,
    is_asked: bool,
}

impl Budget {
    /// That of the site of this thread.
    pub fn new() -> Self {
        Self { parts: FEW, bytes: SMALL, is_asked: false }
    }

    /// Counts parts of a value, and bytes of texts.
    ///
    /// # Errors
    /// A `TypeError`: there are more than this site takes.
    pub fn spend(&mut self, value: &Bound<'_, PyAny>, parts: usize, bytes: usize) -> PyResult<()> {
        if let (Some(parts), Some(bytes)) = (self.parts.checked_sub(parts), self.bytes.checked_sub(bytes)) {
            (self.parts, self.bytes) = (parts, bytes);
            return Ok(());
        }
        let values = value.py().import(intern!(value.py(), "dfm._values"))?;
        if self.is_asked {
            return Err(PyErr::from_value(values.call_method1(intern!(value.py(), "too_many_parts"), (value,))?));
        }
        self.is_asked = true;
        let (most_parts, most_bytes): (usize, usize) =
            values.call_method0(intern!(value.py(), "most_parts"))?.extract()?;
        self.parts += most_parts.saturating_sub(FEW);
        self.bytes += most_bytes.saturating_sub(SMALL);
        self.spend(value, parts, bytes)
    }
}

/// What else than Python's own sequences, dictionaries and sets is gone through.
#[derive(Clone, Copy, PartialEq)]
pub enum Into {
    /// Nothing: what an adapter has made of its own may be a circle, of which only its site knows the end.
    Containers,
    /// What dataclasses and pydantic's models hold, too, of which a circle can neither travel nor be compared.
    Models,
}

/// Holds what is to be gone through against what this site takes.
///
/// # Errors
/// A `TypeError`: it has more parts than that.
pub fn weigh(value: &Bound<'_, PyAny>, into: Into) -> PyResult<()> {
    let mut budget = Budget::new();
    let mut rest = vec![value.clone()];
    while let Some(part) = rest.pop() {
        budget.spend(value, 1, 0)?;
        if let Ok(list) = part.cast::<PyList>() {
            budget.spend(value, list.len(), 0)?;
            rest.extend(list.iter().filter(has_parts));
        } else if let Ok(tuple) = part.cast::<PyTuple>() {
            budget.spend(value, tuple.len(), 0)?;
            rest.extend(tuple.iter().filter(has_parts));
        } else if let Ok(dict) = part.cast::<PyDict>() {
            budget.spend(value, 2 * dict.len(), 0)?;
            rest.extend(dict.iter().flat_map(|(key, item)| [key, item]).filter(has_parts));
        } else if let Ok(set) = part.cast::<PySet>() {
            budget.spend(value, set.len(), 0)?;
            rest.extend(set.iter().filter(has_parts));
        } else if let Ok(set) = part.cast::<PyFrozenSet>() {
            budget.spend(value, set.len(), 0)?;
            rest.extend(set.iter().filter(has_parts));
        } else if into == Into::Models && is_model(&part) {
            let held = part.getattr_opt(intern!(part.py(), "__dict__")).ok().flatten();
            rest.extend(held.filter(|held| held.is_instance_of::<PyDict>()));
        }
    }
    Ok(())
}

fn is_model(value: &Bound<'_, PyAny>) -> bool {
    let (py, kind) = (value.py(), value.get_type());
    let has = |name| kind.hasattr(name).unwrap_or(false);
    has(intern!(py, "__dataclass_fields__")) || has(intern!(py, "__pydantic_fields__"))
}

/// Whether it is none of those that have no parts, which most are.
fn has_parts(value: &Bound<'_, PyAny>) -> bool {
    !(value.is_none()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>())
}
