//! `Direct`: a process's connections straight to the other processes of its session, for Python.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use dfm_direct::{Fault, Kind, Receive};
use dfm_runtime::{MEMORY_POOL, Part};
use pyo3::exceptions::{PyConnectionError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::buffers::{Held, Memory, Pooled};

/// Why a message is not answered.
#[pyclass(frozen, module = "dfm._native", get_all)]
pub struct Refusal {
    /// In words.
    reason: String,
    /// Whether it makes no sense to ask again.
    is_final: bool,
}

#[pymethods]
impl Refusal {
    #[new]
    fn new(reason: String, is_final: bool) -> Self {
        Self { reason, is_final }
    }
}

/// A process's end of its direct connections.
#[pyclass(frozen, module = "dfm._native")]
pub struct Direct(dfm_direct::Direct);

#[pymethods]
impl Direct {
    #[new]
    fn new(certificate: Vec<u8>, key: Vec<u8>, session: &str, receive: Py<PyAny>, changed: Py<PyAny>) -> Self {
        let receive = Box::new(PythonReceive { receive, changed });
        Self(dfm_direct::Direct::new(certificate, key, session, receive, |length| MEMORY_POOL.take(length)))
    }

    #[pyo3(signature = (interface, first, last))]
    fn listen(&self, interface: Option<&str>, first: u16, last: u16) -> PyResult<u16> {
        let interface: Option<IpAddr> = interface.map(str::parse).transpose()?;
        Ok(self.0.listen(interface, first..=last)?)
    }

    fn meet(&self, py: Python<'_>, name: &str, certificate: &[u8]) {
        py.detach(|| self.0.meet(name, certificate));
    }

    fn part(&self, py: Python<'_>, name: &str) {
        py.detach(|| self.0.part(name));
    }

    fn connect(&self, py: Python<'_>, name: &str, host: &str, port: u16) -> PyResult<()> {
        py.detach(|| self.0.connect(name, host, port)).map_err(PyConnectionError::new_err)
    }

    fn is_connected(&self, py: Python<'_>, name: &str) -> bool {
        py.detach(|| self.0.is_connected(name))
    }

    fn takes_at_once(&self, name: &str) -> bool {
        self.0.takes_at_once(name)
    }

    fn wait(&self, py: Python<'_>, name: &str, connected: bool, seconds: f64) -> PyResult<bool> {
        let patience = duration(seconds)?;
        Ok(py.detach(|| self.0.wait(name, connected, patience)))
    }

    fn say(
        &self,
        py: Python<'_>,
        name: &str,
        kind: &str,
        number: u64,
        message: PyBackedBytes,
        seconds: f64,
    ) -> PyResult<()> {
        let (kind, patience) = (kind_of(kind)?, duration(seconds)?);
        py.detach(|| self.0.say(name, kind, number, Bytes::from_owner(message), patience))
            .map_err(|fault| error(&fault))
    }

    fn ask(
        &self,
        py: Python<'_>,
        name: &str,
        kind: &str,
        number: u64,
        parts: Vec<Bound<'_, PyAny>>,
        seconds: f64,
    ) -> PyResult<Py<PyAny>> {
        let (kind, patience) = (kind_of(kind)?, duration(seconds)?);
        let message = together(&parts)?;
        let answer = py.detach(|| self.0.ask(name, kind, number, message, patience));
        match answer {
            Ok(answer) => Ok(pyo3::types::PyBytes::new(py, &answer).into_any().unbind()),
            Err(Fault::Unanswered(reason)) => Ok(Py::new(py, Refusal { reason, is_final: false })?.into_any()),
            Err(Fault::Refused(reason)) => Ok(Py::new(py, Refusal { reason, is_final: true })?.into_any()),
            Err(fault) => Err(error(&fault)),
        }
    }

    fn descriptors(&self) -> Vec<i32> {
        self.0.descriptors()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// A message of parts that follow each other.
fn together(parts: &[Bound<'_, PyAny>]) -> PyResult<Bytes> {
    let parts: Vec<_> = parts.iter().map(Held::new).collect::<PyResult<_>>()?;
    let mut message = MEMORY_POOL.take(parts.iter().map(|part| part.as_ref().len()).sum());
    parts.iter().for_each(|part| message.extend_from_slice(part.as_ref()));
    Ok(Bytes::from_owner(Pooled(message)))
}

/// Calls Python from a connection's own thread.
struct PythonReceive {
    receive: Py<PyAny>,
    changed: Py<PyAny>,
}

impl Receive for PythonReceive {
    fn receive(&self, name: &str, kind: Kind, number: u64, content: Bytes, is_asked: bool) -> Result<Bytes, Fault> {
        let over = || Fault::Refused("this process is done".to_owned());
        Python::try_attach(|py| {
            let content = Memory::new(Part::Inline(content.into()));
            let found = self.receive.call1(py, (name, text(kind), number, content, is_asked)).and_then(|answer| {
                let answer = answer.bind(py);
                Ok(match answer.cast::<Refusal>() {
                    Ok(refusal) => {
                        let Refusal { reason, is_final } = refusal.get();
                        Err(if *is_final { Fault::Refused(reason.clone()) } else { Fault::Unanswered(reason.clone()) })
                    }
                    Err(_) if answer.is_none() => Ok(Bytes::new()),
                    Err(_) => Ok(Bytes::from_owner(answer.extract::<PyBackedBytes>()?)),
                })
            });
            found.unwrap_or_else(|error| {
                error.write_unraisable(py, Some(self.receive.bind(py)));
                Err(Fault::Refused("this process is broken".to_owned()))
            })
        })
        .unwrap_or_else(|| Err(over()))
    }

    fn changed(&self, name: &str, connected: bool) {
        // Nobody is there to be told where the interpreter ends.
        let _ = Python::try_attach(|py| {
            if let Err(error) = self.changed.call1(py, (name, connected)) {
                error.write_unraisable(py, Some(self.changed.bind(py)));
            }
        });
    }
}

fn text(kind: Kind) -> &'static str {
    match kind {
        Kind::Batch => "batch",
        Kind::Beat => "beat",
        Kind::Piece => "piece",
    }
}

fn kind_of(text: &str) -> PyResult<Kind> {
    match text {
        "batch" => Ok(Kind::Batch),
        "beat" => Ok(Kind::Beat),
        "piece" => Ok(Kind::Piece),
        _ => Err(PyValueError::new_err(format!("a lane has no messages of the kind '{text}'"))),
    }
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn error(fault: &Fault) -> PyErr {
    match fault {
        Fault::Late => PyTimeoutError::new_err("there was no answer in time"),
        Fault::Over(why) | Fault::Unanswered(why) | Fault::Refused(why) => PyConnectionError::new_err(why.clone()),
    }
}
