//! How does Python read a site's policy?

use std::path::PathBuf;

use dfm_config::{Caller, SitePolicy};
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

/// Where the rules of a policy, as [`read_policy`] gives it, stand that may decide of a user's call of an operation, and
/// whether there may be parameters and times with which it is allowed.
#[pyfunction]
pub fn deciding_rules(
    policy: &str,
    user: &str,
    organisation: &str,
    role: &str,
    operation: &str,
) -> PyResult<(Vec<usize>, bool)> {
    let policy: SitePolicy = serde_json::from_str(policy).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let caller = Caller { user, organisation, role };
    Ok((policy.deciding(caller, operation), policy.allows_any(caller, operation)))
}

/// Whether a text fits a pattern of a policy's.
#[pyfunction]
pub fn is_like(text: &str, pattern: &str) -> bool {
    dfm_config::is_like(text, pattern)
}
