//! How does a job's record come to be?

use std::collections::BTreeMap;
use std::mem::take;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use dfm_events::{Entry, Folder, Header, LeftOut, MOST_FAILURES, VERSION, Writer};
use dfm_net::{Counts, Frame, Line, NodeId, Noted};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::events::{Failure, levels, named};
use crate::plan::Plan;

/// How long the end of a session waits for its records to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far a site is with a job.
#[pyclass(frozen, module = "dfm._native")]
pub struct Notes {
    /// The site.
    #[pyo3(get)]
    pub site: String,
    /// Its numbers.
    pub counts: Counts,
}

/// What has happened in a job at a site.
#[pyclass(frozen, module = "dfm._native")]
pub struct Happened(pub Arc<Vec<Noted>>);

#[pymethods]
impl Happened {
    /// How much it is.
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Its calls, each with its node, its frame, when it began, its seconds and those for which it waited before, and
    /// whether it failed.
    fn fired(&self, py: Python<'_>) -> PyResult<Vec<Fired>> {
        let fired = self.0.iter().filter_map(|noted| match noted {
            Noted::Fired { node, frame, waited, begin, seconds, failed } => {
                Some(placed(py, node, frame).map(|(node, frame)| (node, frame, *begin, *seconds, *waited, *failed)))
            }
            _ => None,
        });
        fired.collect()
    }

    /// What was sent, each with its node, its frame, where to, when, and its bytes.
    fn sent(&self, py: Python<'_>) -> PyResult<Vec<Sent>> {
        let sent = self.0.iter().filter_map(|noted| match noted {
            Noted::Sent { node, frame, to, at, bytes } => {
                Some(placed(py, node, frame).map(|(node, frame)| (node, frame, to.clone(), *at, *bytes)))
            }
            _ => None,
        });
        sent.collect()
    }

    /// What was logged, each with its node, its frame, when, its level, its logger and its text.
    fn said(&self, py: Python<'_>) -> PyResult<Vec<Said>> {
        let said = self.0.iter().filter_map(|noted| match noted {
            Noted::Said { node, frame, line } => {
                let Line { at, level, logger, text } = line.clone();
                Some(placed(py, node, frame).map(|(node, frame)| (node, frame, at, level, logger, text)))
            }
            _ => None,
        });
        said.collect()
    }
}

type Fired = (Py<PyAny>, Py<PyTuple>, f64, f64, f64, bool);
type Sent = (Py<PyAny>, Py<PyTuple>, String, f64, u64);
type Said = (Py<PyAny>, Py<PyTuple>, f64, String, String, String);

fn placed(py: Python<'_>, node: &NodeId, frame: &Frame) -> PyResult<(Py<PyAny>, Py<PyTuple>)> {
    Ok((named(py, node.clone())?, levels(py, frame)?))
}

#[pymethods]
impl Notes {
    /// Calls that are known to be needed, those of them that are over, and those that ended with an error.
    #[getter]
    fn calls(&self) -> (u64, u64, u64) {
        (self.counts.known, self.counts.done, self.counts.failed)
    }

    /// Elements and rounds of loops that have begun.
    #[getter]
    fn elements(&self) -> u64 {
        self.counts.elements
    }

    /// Bytes of values that the site has sent to others.
    #[getter]
    fn sent(&self) -> u64 {
        self.counts.sent
    }

    /// How much has happened that was not noted.
    #[getter]
    fn left_out(&self) -> u64 {
        self.counts.left_out
    }
}

/// The records of a session's jobs.
#[pyclass(frozen, module = "dfm._native")]
pub struct History {
    package: String,
    folder: Folder,
    writer: Arc<Writer>,
}

#[pymethods]
impl History {
    /// In that folder; without one in the user's, and `None` if no records are to be kept there.
    #[staticmethod]
    #[pyo3(signature = (package, folder=None))]
    fn of(package: &str, folder: Option<PathBuf>) -> PyResult<Option<Self>> {
        let Some(folder) = folder.map(Folder::at).or_else(|| Folder::of(package)) else { return Ok(None) };
        let writer = Writer::new(folder.clone()).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Some(Self { package: package.to_owned(), folder, writer: Arc::new(writer) }))
    }

    /// How many seconds it usually takes until the sites of a session of this target can be reached.
    fn usual_reach(&self, py: Python<'_>, target: &str) -> Option<f64> {
        py.detach(|| dfm_events::usual_reach(&self.folder, target))
    }

    /// Begins a job's record; the first of a session says how long it took until its sites could be reached.
    #[pyo3(signature = (job, pipeline, target, homesite, params, plan, reached))]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the record's first line")]
    fn begin(
        &self,
        job: &str,
        pipeline: &str,
        target: &str,
        homesite: &str,
        params: Vec<String>,
        plan: &Plan,
        reached: Option<f64>,
    ) -> JobRecord {
        let (nodes, plan) = plan.recorded();
        let header = Header {
            dfm_events: VERSION,
            job: job.to_owned(),
            federation: self.package.clone(),
            pipeline: pipeline.to_owned(),
            target: target.to_owned(),
            homesite: homesite.to_owned(),
            at: now(),
            params,
            reached,
            nodes,
            plan,
        };
        let record = JobRecord::new(&self.writer, job);
        self.writer.begin(header, &record.left_out);
        record
    }

    /// Goes on with the record of a job that was left.
    fn resume(&self, job: &str) -> JobRecord {
        let record = JobRecord::new(&self.writer, job);
        self.writer.resume(job, now(), &record.left_out);
        record
    }

    /// Waits until all is written, if that is soon; why something could not be, the first time that it is asked.
    fn flush(&self, py: Python<'_>) -> Option<String> {
        py.detach(|| self.writer.flush(PATIENCE));
        self.writer.problem()
    }
}

/// The record of one job.
#[pyclass(frozen, module = "dfm._native")]
pub struct JobRecord {
    writer: Arc<Writer>,
    job: String,
    left_out: Arc<LeftOut>,
    /// How many errors were told.
    errors: AtomicUsize,
    /// Site → how much it has only counted.
    counted: Mutex<BTreeMap<String, u64>>,
}

impl JobRecord {
    fn new(writer: &Arc<Writer>, job: &str) -> Self {
        let (left_out, errors, counted) = Default::default();
        Self { writer: Arc::clone(writer), job: job.to_owned(), left_out, errors, counted }
    }
}

#[pymethods]
impl JobRecord {
    /// Adds what a site has noted.
    fn add(&self, notes: &Notes, happened: &Happened) {
        self.writer.add_noted(&self.job, &notes.site, Arc::clone(&happened.0), &self.left_out);
        if notes.counts.left_out > 0 {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.insert(notes.site.clone(), notes.counts.left_out);
        }
    }

    /// Adds an error that the application is told, and the line of the user's code that made its node.
    fn failed(&self, py: Python<'_>, failure: &Failure, line: Option<String>) -> PyResult<()> {
        let traced = self.errors.fetch_add(1, Ordering::Relaxed) < MOST_FAILURES;
        self.writer.add(&self.job, vec![Entry::error(failure.told(py)?, line, traced, now())], &self.left_out);
        Ok(())
    }

    /// Ends it.
    fn end(&self, status: String, frames: u64, tokens: u64, errors: u64) {
        let counted = take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        let left_out = counted.into_iter().map(|(site, count)| Entry::LeftOut { site: Some(site), count });
        let ended = Entry::Ended { at: now(), status, frames, tokens, errors };
        self.writer.end(&self.job, left_out.chain([ended]).collect());
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
