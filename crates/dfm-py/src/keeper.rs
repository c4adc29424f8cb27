//! What does Python see of what is kept for an application that may come back?

use std::collections::HashMap;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::buffers::Held;
use crate::site::{frame_of, unfinished};

/// What is kept of a session's jobs. It does not lock: its owner calls it from one thread at a time.
#[pyclass(module = "dfm._native")]
#[derive(Default)]
pub struct Keeper {
    keeper: dfm_runtime::Keeper,
}

#[pymethods]
impl Keeper {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Takes a packet of home's record.
    fn record(&mut self, home: &str, packet: &Bound<'_, PyAny>) -> PyResult<()> {
        self.keeper.record(home, Held::new(packet)?.as_ref());
        Ok(())
    }

    /// Whether a packet from home may go on to a site.
    fn may_go(&mut self, site: &str, packet: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.keeper.may_go(site, Held::new(packet)?.as_ref()))
    }

    /// Keeps a packet for home: the number of its job, if that is kept.
    fn take(&mut self, site: &str, packet: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        Ok(self.keeper.take(site, Held::new(packet)?.as_ref()))
    }

    /// The application has had so many tokens in all through a `Yield` in a frame.
    fn acknowledge(&mut self, job: u64, transition: u32, frame: Vec<u32>, had: u64) {
        if let Some(frame) = frame_of(&frame) {
            self.keeper.acknowledge(job, transition, &frame, had);
        }
    }

    /// Lets go of a job.
    fn forget(&mut self, job: u64) {
        self.keeper.forget(job);
    }

    /// The numbers of the jobs that are kept.
    fn jobs(&self) -> Vec<u64> {
        self.keeper.jobs().collect()
    }

    /// How far a job is: (name, frames, whether that is all, tokens from other sites, errors, who is waited for).
    fn progress<'py>(&self, py: Python<'py>, job: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let progress = self.keeper.progress(job);
        let seen = progress.map(|one| (one.name, one.frames, one.stopped, one.tokens, one.errors, one.waiting));
        seen.map(|seen| seen.into_bound_py_any(py)).transpose()
    }

    /// What `Site.replay` needs: packets, each after the site that sent it.
    fn history<'py>(&self, py: Python<'py>, job: u64) -> Vec<(String, Bound<'py, PyBytes>)> {
        self.keeper.history(job).map(|(from, packet)| (from.to_owned(), PyBytes::new(py, packet))).collect()
    }

    /// What the application has had: (transition, frame, how many tokens, how many of them are not kept any more).
    fn positions<'py>(&self, py: Python<'py>, job: u64) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (transition, frame, had, dropped) in self.keeper.positions(job) {
            list.append((transition, PyTuple::new(py, frame.levels())?, had, dropped))?;
        }
        Ok(list)
    }

    /// The packet that asks a site what a job has not done there; `told` has the answers.
    fn question<'py>(&mut self, py: Python<'py>, job: u64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.keeper.question(job))
    }

    /// What sites have answered, as an `unfinished` event has it.
    fn told<'py>(&self, py: Python<'py>, job: u64) -> PyResult<HashMap<String, Bound<'py, PyTuple>>> {
        let told = self.keeper.told(job).into_iter();
        told.map(|(site, waits, more)| Ok((site, unfinished(py, &waits, more)?))).collect()
    }

    /// The packet with which home has a site forget a job.
    #[staticmethod]
    fn cancellation(py: Python<'_>, job: u64) -> Bound<'_, PyBytes> {
        PyBytes::new(py, &dfm_runtime::Keeper::cancellation(job))
    }
}
