//! What does Python see of a plan?

use dfm_net::Net;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A pipeline as one net per site.
#[pyclass(frozen, module = "dfm._native")]
pub struct Plan {
    nets: Vec<Net>,
}

impl Plan {
    /// The nets, one for each site.
    pub fn nets(&self) -> &[Net] {
        &self.nets
    }
}

#[pymethods]
impl Plan {
    /// Reads nets from JSON.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        let nets = serde_json::from_str(text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { nets })
    }
}
