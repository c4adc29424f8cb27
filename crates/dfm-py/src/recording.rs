//! How is a job kept in a file, and read from one?

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use dfm_events::{Beginning, Entry, Fault, Header, Packet, RECORDING_VERSION, Recorded, VERSION, Values};
use dfm_net::{Net, Outcome};
use dfm_runtime::{Came, KeptPacket, kept_packet};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use serde_json::json;

use crate::classes::classes;
use crate::events::{Failure, failure, levels};
use crate::history::{Happened, Notes, now};
use crate::host::digest;
use crate::object::Object;
use crate::plan::Plan;

classes! {
    /// What has come of a call at home.
    CameTo {
        /// The number of what has fired.
        transition: u32,
        /// The frame's numbers.
        frame: Py<PyTuple>,
        /// `item`, `value`, `streamed`, `failed`, `found` or `not-found`.
        kind: String,
        /// The value, a generator's items where they are needed as a list, or a cache's key.
        value: Option<Py<PyAny>>,
        /// The error.
        failure: Option<Py<Failure>>,
    }
}

/// As Python has it.
pub fn came_to(py: Python<'_>, of: dfm_runtime::CameTo<Object>) -> PyResult<CameTo> {
    let (kind, value, failed) = match of.came {
        Came::Item(value) => ("item", Some(value.0), None),
        Came::End(Outcome::Value(value)) => ("value", Some(value.0), None),
        Came::End(Outcome::Streamed(items)) => ("streamed", items.map(|items| items.0), None),
        Came::End(Outcome::Failed(failed)) => ("failed", None, Some(failure(py, &failed)?)),
        Came::End(Outcome::Found(value)) => ("found", Some(value.0), None),
        Came::End(Outcome::NotFound(key)) => ("not-found", Some(key.0), None),
    };
    Ok(CameTo {
        transition: of.transition,
        frame: levels(py, &of.frame)?,
        kind: kind.to_owned(),
        value,
        failure: failed,
    })
}

/// Writes what happens in a job to a file.
#[pyclass(frozen, module = "dfm._native")]
pub struct Recorder {
    /// `None` once it is at its end.
    recorder: Mutex<Option<dfm_events::Recorder>>,
    values: Values,
    /// Of home.
    net: Option<Net>,
}

#[pymethods]
impl Recorder {
    /// Begins it, beside the file that is wanted.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the recording's first line")]
    fn new(
        path: PathBuf,
        values: &str,
        api_version: &str,
        package: &str,
        job: &str,
        pipeline: &str,
        target: &str,
        homesite: &str,
        params: Vec<String>,
        plan: &Plan,
    ) -> PyResult<Self> {
        let values: Values =
            serde_json::from_value(json!(values)).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let (nodes, outline) = plan.recorded();
        let beginning = Beginning {
            dfm_recording: RECORDING_VERSION,
            values,
            api_version: api_version.to_owned(),
            header: Header {
                dfm_events: VERSION,
                job: job.to_owned(),
                federation: package.to_owned(),
                pipeline: pipeline.to_owned(),
                target: target.to_owned(),
                homesite: homesite.to_owned(),
                at: now(),
                params,
                reached: None,
                nodes,
                plan: outline,
            },
        };
        let recorder = dfm_events::Recorder::new(&path, &beginning)?;
        let net = plan.nets().iter().find(|net| net.site == homesite).cloned();
        Ok(Self { recorder: Mutex::new(Some(recorder)), values, net })
    }

    /// Adds a packet that a site has said.
    fn packet(&self, py: Python<'_>, site: &str, packet: &[u8]) -> PyResult<()> {
        let Some(KeptPacket { kind, node, frame, value }) = kept_packet(self.net.as_ref(), packet) else {
            return Ok(());
        };
        let parts = || value.iter().flatten().map(|part| &part[..]);
        let is_value = value.is_some();
        let mut line = Packet::new(site, now(), kind);
        (line.node, line.frame) = (node, frame);
        line.bytes = is_value.then(|| parts().map(|part| part.len() as u64).sum());
        line.sha256 = (is_value && self.values == Values::Hash).then(|| digest(py, parts()));
        line.data = (self.values == Values::Full).then(|| packet.to_vec());
        py.detach(|| self.add([Recorded::Packet(line)]));
        Ok(())
    }

    /// Adds what a site has noted.
    fn add_noted(&self, notes: &Notes, happened: &Happened) {
        self.add(happened.0.iter().map(|noted| Recorded::Event(Entry::noted(&notes.site, noted.clone()))));
    }

    /// Adds an error that the application is told, and the line of the user's code that made its node.
    fn failed(&self, py: Python<'_>, failure: &Failure, line: Option<String>) -> PyResult<()> {
        self.add([Recorded::Event(Entry::error(failure.told(py)?, line, true, now()))]);
        Ok(())
    }

    /// Ends it; the file is there then.
    fn end(&self, status: String, frames: u64, tokens: u64, errors: u64) -> PyResult<()> {
        let ended = Entry::Ended { at: now(), status, frames, tokens, errors };
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(recorder.map_or(Ok(()), |recorder| recorder.finish(ended))?)
    }
}

impl Recorder {
    fn add(&self, lines: impl IntoIterator<Item = Recorded>) {
        if let Some(recorder) = self.recorder.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            lines.into_iter().for_each(|line| recorder.add(line));
        }
    }
}

/// A recording that somebody has made.
#[pyclass(frozen, module = "dfm._native")]
pub struct Recording(dfm_events::Recording);

#[pymethods]
impl Recording {
    /// Reads it.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| dfm_events::read_recording(&path)).map(Self).map_err(|fault| match fault {
            Fault::Io(error) => PyOSError::new_err(error.to_string()),
            fault => PyValueError::new_err(fault.to_string()),
        })
    }

    /// Its first line, as JSON.
    #[getter]
    fn beginning(&self) -> String {
        json!(self.0.beginning).to_string()
    }

    /// Why it cannot be run but only told.
    #[getter]
    fn only_told(&self) -> Option<&'static str> {
        self.0.only_told()
    }

    /// How the job ended.
    #[getter]
    fn status(&self) -> Option<&str> {
        self.0.status.as_deref()
    }

    /// Its other lines, as JSON; those of packets without what was sent, which is beside them.
    fn lines(&self, py: Python<'_>) -> Vec<(String, Option<Py<PyBytes>>)> {
        let line = |line: &Recorded| match line {
            Recorded::Packet(packet) => {
                let data = packet.data.as_ref().map(|data| PyBytes::new(py, data).unbind());
                (json!(packet.without_data()).to_string(), data)
            }
            Recorded::Event(entry) => (json!(entry).to_string(), None),
        };
        self.0.lines.iter().map(line).collect()
    }
}
