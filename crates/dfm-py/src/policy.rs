//! How does Python read a site's policy?

use std::path::PathBuf;

use dfm_config::SitePolicy;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::plan::to_json;

/// A policy file, or what holds without one, as JSON. A `ValueError` has everything that is wrong with it, for a log.
#[pyfunction]
#[pyo3(signature = (path))]
pub fn read_policy(path: Option<PathBuf>) -> PyResult<String> {
    let policy = match path {
        Some(path) => dfm_config::policy(&path).map_err(|report| {
            let told = |fault| dfm_diag::render(fault, &report.sources, false);
            PyValueError::new_err(report.diagnostics.iter().map(told).collect::<Vec<_>>().join("\n\n"))
        })?,
        None => SitePolicy::default(),
    };
    to_json(&policy)
}
