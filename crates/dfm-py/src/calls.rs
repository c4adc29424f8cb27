//! What does Python see of the calls that are due, and what does it answer?

use dfm_net::{Argument, Limits, Outcome, Step};
use dfm_runtime::Room;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::classes::{Members, classes};
use crate::object::{Object, argument_of, literal};
use crate::weight::{Into, weigh};

classes! {
    /// A call that is due.
    Call {
        /// Its number.
        id: u64,
        /// The number of its job.
        job: u64,
        /// The operation, or what it asks of the cache: a `CacheStep`.
        operation: Py<PyAny>,
        /// The provider that is meant, if any.
        provider: Option<String>,
        /// The parameters by their names; a `LOOK_UP` has the `parts` of a key, a `STORE` a `key` and a `value`.
        parameters: Py<PyDict>,
        /// How often and how long it is tried; None for a single try of any length.
        tries: Option<Py<Tries>>,
    }

    /// How often and how long a call is tried.
    Tries {
        /// How many tries may follow the first.
        retries: u32,
        /// Seconds before the second, and twice as many before each that follows.
        backoff: f64,
        /// Seconds that each may take; None for any number.
        timeout: Option<f64>,
    }

    /// Answers a `LOOK_UP`: the cache has a value.
    Found {
        /// The key under which a value of these parts would be kept here.
        key: Py<PyAny>,
        /// The value.
        value: Py<PyAny>,
    }

    /// Answers a `LOOK_UP`: the cache has no value.
    NotFound {
        /// The key under which to `STORE` one.
        key: Py<PyAny>,
    }
}

/// What is asked of the cache.
pub static CACHE_STEP: Members<2> = Members::new("CacheStep", ["LOOK_UP", "STORE"]);
/// Whether a generator may go on.
pub static ROOM: Members<3> = Members::new("Room", ["MORE", "WAIT", "GONE"]);

/// As Python has it.
pub fn room(py: Python<'_>, room: Room) -> PyResult<Py<PyAny>> {
    ROOM.member(
        py,
        match room {
            Room::More => 0,
            Room::Wait => 1,
            Room::Gone => 2,
        },
    )
}

/// What a step asks of the host.
pub fn asked(
    py: Python<'_>,
    call: dfm_runtime::CallId,
    job: u64,
    step: &Step,
    inputs: &[Option<Object>],
) -> PyResult<Call> {
    let input = |input: Option<&Option<Object>>| input?.as_ref().map(|object| object.0.bind(py).clone());
    let value = |argument: &Argument| match argument {
        Argument::Literal(json) => literal(py, json).map(Some),
        Argument::Slot(slot) => Ok(input(inputs.get(usize::from(*slot)))),
        Argument::Built(form, parts) => argument_of(py, form, parts, inputs).map(Some),
    };
    let given = PyDict::new(py);
    let (operation, provider, tries) = match step {
        Step::Call { operation, provider, arguments, limits, .. } => {
            for (name, argument) in arguments {
                if let Some(value) = value(argument)? {
                    given.set_item(name, value)?;
                }
            }
            let Limits { retries, backoff, timeout } = *limits;
            let limited = *limits != Limits::default();
            let tries = limited.then(|| Py::new(py, Tries { retries, backoff, timeout })).transpose()?;
            (PyString::new(py, operation).into_any().unbind(), provider.clone(), tries)
        }
        Step::LookUp { key, .. } => {
            let parts = key.iter().filter_map(|part| value(part).transpose()).collect::<PyResult<Vec<_>>>()?;
            given.set_item("parts", PyTuple::new(py, parts)?)?;
            (CACHE_STEP.member(py, 0)?, None, None)
        }
        Step::Store { .. } => {
            given.set_item("value", input(inputs.first()))?;
            given.set_item("key", input(inputs.last()))?;
            (CACHE_STEP.member(py, 1)?, None, None)
        }
        _ => return Err(PyRuntimeError::new_err("a call of what is none")),
    };
    let into = if matches!(step, Step::LookUp { .. }) { Into::Models } else { Into::Containers };
    weigh(&given, into)?;
    Ok(Call { id: call, job, operation, provider, parameters: given.unbind(), tries })
}

/// What a call has come to that has returned this.
pub fn outcome(py: Python<'_>, step: Option<&Step>, value: Py<PyAny>) -> PyResult<Outcome<Object>> {
    if !matches!(step, Some(Step::LookUp { .. })) {
        return Ok(Outcome::Value(Object(value, None)));
    }
    let answer = value.bind(py);
    if let Ok(found) = answer.cast::<Found>() {
        Ok(Outcome::Found(Object(found.get().value.clone_ref(py), None)))
    } else if let Ok(missing) = answer.cast::<NotFound>() {
        Ok(Outcome::NotFound(Object(missing.get().key.clone_ref(py), None)))
    } else {
        Err(PyTypeError::new_err("a look-up is answered by a Found or a NotFound"))
    }
}
