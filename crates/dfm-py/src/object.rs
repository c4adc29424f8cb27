//! How are Python's objects the values of tokens?

use std::sync::Arc;

use dfm_net::{Argument, Comparison, Failure, Form, Selector, Value, Wrong};
use dfm_runtime::Held;
use pyo3::basic::CompareOp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use serde_json::Value as Json;

use crate::events;
use crate::weight::{Into, weigh};

/// What tokens carry: the Python object itself, and of one that came from another site the room that it takes here.
#[derive(Clone)]
pub struct Object(pub Py<PyAny>, pub Option<Arc<Held>>);

impl Value for Object {
    fn select(&self, path: &[Selector]) -> Result<Self, Wrong> {
        Python::attach(|py| {
            let mut at = self.0.bind(py).clone();
            for selector in path {
                at = found_at(&at, selector).map_err(|error| not_found(&at, selector, &error))?;
            }
            Ok(Self(at.unbind(), self.1.clone()))
        })
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        Python::attach(|py| {
            let value = self.0.bind(py);
            let items = if value.is_exact_instance_of::<PyList>() || value.is_exact_instance_of::<PyTuple>() {
                value.clone()
            } else {
                let elements = py.import(intern!(py, "dfm._values")).and_then(|values| values.getattr("elements"));
                elements.and_then(|elements| elements.call1((value,))).map_err(|error| wrong(py, &error))?
            };
            let items = items.try_iter().map_err(|error| wrong(py, &error))?;
            let item = |item: Bound<'_, PyAny>| Self(item.unbind(), self.1.clone());
            items.map(|one| one.map(item).map_err(|error| wrong(py, &error))).collect()
        })
    }

    fn failed(errors: &[Arc<Failure>]) -> Result<Self, Wrong> {
        Python::attach(|py| {
            let errors = errors.iter().map(|one| events::failure(py, one)).collect::<PyResult<Vec<_>>>();
            let token = errors.and_then(|errors| {
                py.import(intern!(py, "dfm._values"))?.call_method1(intern!(py, "error_token"), (errors,))
            });
            token.map(|token| Self(token.unbind(), None)).map_err(|error| wrong(py, &error))
        })
    }

    fn build(form: &Form, parts: Vec<Self>) -> Result<Self, Wrong> {
        Python::attach(|py| {
            built(py, form, parts.iter().map(|part| part.0.bind(py).clone()))
                .map(|value| Self(value.unbind(), None))
                .map_err(|error| wrong(py, &error))
        })
    }

    fn literal(json: &Json) -> Result<Self, Wrong> {
        Python::attach(|py| {
            literal(py, json).map(|value| Self(value.unbind(), None)).map_err(|error| wrong(py, &error))
        })
    }

    fn compare(&self, comparison: Comparison, other: &Self) -> Result<bool, Wrong> {
        let how = match comparison {
            Comparison::Equal => CompareOp::Eq,
            Comparison::NotEqual => CompareOp::Ne,
            Comparison::Greater => CompareOp::Gt,
            Comparison::GreaterOrEqual => CompareOp::Ge,
            Comparison::Less => CompareOp::Lt,
            Comparison::LessOrEqual => CompareOp::Le,
        };
        Python::attach(|py| {
            let (one, other) = (self.0.bind(py), other.0.bind(py));
            let outcome = [one, other]
                .iter()
                .try_for_each(|value| weigh(value, Into::Models))
                .and_then(|()| one.rich_compare(other, how));
            outcome.and_then(|outcome| outcome.is_truthy()).map_err(|error| wrong(py, &error))
        })
    }

    fn truth(&self) -> Result<bool, Wrong> {
        Python::attach(|py| self.0.bind(py).is_truthy().map_err(|error| wrong(py, &error)))
    }
}

/// An exception's class and sentence, as far as the site of this thread tells them.
pub fn wrong(py: Python<'_>, error: &PyErr) -> Wrong {
    let telling = py.import(intern!(py, "dfm.exec._telling"));
    let told = telling.and_then(|telling| telling.call_method1(intern!(py, "told_here"), (error.value(py),)));
    match told.and_then(|told| told.extract()) {
        Ok((kind, message)) => Wrong { kind, message },
        Err(_) => Wrong::new("Exception", "this site cannot say what was wrong"),
    }
}

/// What a value holds there. It never is what `getattr` finds, which leads from any value to all of the process.
fn found_at<'py>(at: &Bound<'py, PyAny>, selector: &Selector) -> PyResult<Bound<'py, PyAny>> {
    let py = at.py();
    let found = || py.import(intern!(py, "dfm._path"));
    match selector {
        Selector::Attribute(name) => found()?.call_method1(intern!(py, "attribute"), (at, name)),
        Selector::Index(index) => found()?.call_method1(intern!(py, "entry"), (at, index)),
        Selector::Key(key) => found()?.call_method1(intern!(py, "entry"), (at, key)),
    }
}

fn not_found(at: &Bound<'_, PyAny>, selector: &Selector, error: &PyErr) -> Wrong {
    let of = at.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let what = match selector {
        Selector::Attribute(name) => format!("attribute '{name}'"),
        Selector::Index(index) => format!("element [{index}]"),
        Selector::Key(key) => format!("element [{key:?}]"),
    };
    let message = format!("the result, of type {of}, has no {what}: {}", wrong(at.py(), error).message);
    Wrong::new("SelectError", message)
}

/// What a step is given that is made of literals and inputs.
pub fn argument_of<'py>(
    py: Python<'py>,
    form: &Form,
    parts: &[Argument],
    inputs: &[Option<Object>],
) -> PyResult<Bound<'py, PyAny>> {
    let part = |part: &Argument| match part {
        Argument::Literal(json) => literal(py, json),
        Argument::Slot(slot) => {
            let value = inputs.get(usize::from(*slot)).and_then(Option::as_ref);
            Ok(value.map_or_else(|| py.None().into_bound(py), |value| value.0.bind(py).clone()))
        }
        Argument::Built(form, parts) => argument_of(py, form, parts, inputs),
    };
    let parts = parts.iter().map(part).collect::<PyResult<Vec<_>>>()?;
    built(py, form, parts.into_iter())
}

/// What Python objects become together.
fn built<'py>(
    py: Python<'py>,
    form: &Form,
    mut parts: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    match form {
        Form::List => Ok(PyList::new(py, parts)?.into_any()),
        Form::Tuple => Ok(PyTuple::new(py, parts)?.into_any()),
        Form::Dict | Form::Model(_) => {
            let made = PyDict::new(py);
            while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                made.set_item(key, value)?;
            }
            match form {
                Form::Model(path) => {
                    let values = py.import(intern!(py, "dfm._values"))?;
                    values.call_method1(intern!(py, "model_of"), (path, made))
                }
                _ => Ok(made.into_any()),
            }
        }
    }
}

/// A literal of the pipeline as a fresh object, so that an adapter that changes it changes only its own.
pub fn literal<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Ok(match json {
        Json::Null => py.None().into_bound(py),
        Json::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => number.as_f64().unwrap_or(f64::NAN).into_pyobject(py)?.into_any(),
        },
        Json::String(text) => PyString::new(py, text).into_any(),
        Json::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(literal(py, item)?)?;
            }
            list.into_any()
        }
        Json::Object(entries) => match (entries.get("$dfm"), entries.get("data")) {
            (Some(Json::String(kind)), Some(Json::String(data))) if kind == "encoded" => {
                py.import(intern!(py, "dfm._values"))?.call_method1(intern!(py, "from_text"), (data,))?
            }
            _ => {
                let dict = PyDict::new(py);
                for (key, value) in entries {
                    dict.set_item(key, literal(py, value)?)?;
                }
                dict.into_any()
            }
        },
    })
}
