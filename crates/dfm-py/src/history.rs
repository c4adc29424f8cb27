//! How does a job's record come to be?

use std::mem::take;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use dfm_events::{Entry, Folder, Header, VERSION, Writer};
use dfm_net::Noted;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::events::Failure;
use crate::plan::Plan;

/// How long the end of a session waits for its records to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a site has noted of a job.
#[pyclass(frozen, module = "dfm._native")]
pub struct Notes {
    /// The site.
    pub site: String,
    /// Taken by whom it is first given to.
    pub noted: Mutex<Vec<Noted>>,
    /// How much more it has only counted.
    pub left_out: u64,
}

/// The records of a session's jobs.
#[pyclass(frozen, module = "dfm._native")]
pub struct History {
    package: String,
    writer: Arc<Writer>,
}

#[pymethods]
impl History {
    /// In that folder; without one in the user's, and `None` if no records are to be kept there.
    #[staticmethod]
    #[pyo3(signature = (package, folder=None))]
    fn of(package: &str, folder: Option<PathBuf>) -> PyResult<Option<Self>> {
        let Some(folder) = folder.map(Folder::at).or_else(|| Folder::of(package)) else { return Ok(None) };
        let writer = Writer::new(folder).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Some(Self { package: package.to_owned(), writer: Arc::new(writer) }))
    }

    /// Begins a job's record.
    fn begin(
        &self,
        job: &str,
        pipeline: &str,
        target: &str,
        homesite: &str,
        params: Vec<String>,
        plan: &Plan,
    ) -> JobRecord {
        self.writer.begin(Header {
            dfm_events: VERSION,
            job: job.to_owned(),
            federation: self.package.clone(),
            pipeline: pipeline.to_owned(),
            target: target.to_owned(),
            homesite: homesite.to_owned(),
            at: now(),
            params,
            nodes: plan.recorded(),
        });
        JobRecord::new(&self.writer, job)
    }

    /// Goes on with the record of a job that was left.
    fn resume(&self, job: &str) -> JobRecord {
        self.writer.resume(job, now());
        JobRecord::new(&self.writer, job)
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
    dropped: Arc<AtomicU64>,
}

impl JobRecord {
    fn new(writer: &Arc<Writer>, job: &str) -> Self {
        Self { writer: Arc::clone(writer), job: job.to_owned(), dropped: Arc::default() }
    }
}

#[pymethods]
impl JobRecord {
    /// Adds what a site has noted.
    fn add(&self, notes: &Notes) {
        let noted = take(&mut *notes.noted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut entries: Vec<Entry> = noted.into_iter().map(|noted| Entry::noted(&notes.site, noted)).collect();
        if notes.left_out > 0 {
            entries.push(Entry::LeftOut { site: Some(notes.site.clone()), count: notes.left_out });
        }
        self.writer.add(&self.job, entries, &self.dropped);
    }

    /// Adds an error that the application is told.
    fn failed(&self, py: Python<'_>, failure: &Failure) -> PyResult<()> {
        self.writer.add(&self.job, vec![Entry::error(failure.told(py)?, now())], &self.dropped);
        Ok(())
    }

    /// Ends it.
    fn end(&self, status: String, frames: u64, tokens: u64, errors: u64) {
        let ended = Entry::Ended { at: now(), status, frames, tokens, errors };
        self.writer.end(&self.job, ended, &self.dropped);
    }
}

fn now() -> f64 {
    UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
