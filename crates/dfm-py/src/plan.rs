//! How does Python have a pipeline planned?

use dfm_net::Net;
use dfm_plan::{FedInfo, Pipeline};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;

/// A pipeline as one net per site.
#[pyclass(frozen, module = "dfm._native")]
pub struct Plan {
    plan: dfm_plan::Plan,
    estimate: dfm_plan::Estimate,
}

impl Plan {
    /// The nets, one for each site.
    pub fn nets(&self) -> &[Net] {
        &self.plan.nets
    }
}

#[pymethods]
impl Plan {
    /// All but the nets, as JSON.
    fn report(&self) -> PyResult<String> {
        let dfm_plan::Plan { placements, params, yields, warnings, .. } = &self.plan;
        to_json(&json!({"placements": placements, "params": params, "yields": yields, "warnings": warnings,
            "estimate": self.estimate}))
    }

    /// For people: where each node runs, why, and what else it could cost.
    fn explain(&self) -> String {
        dfm_plan::explain(&self.plan, &self.estimate)
    }

    /// The JSON of `pipeline`, which this was planned from, with each operation at its chosen site.
    fn saved(&self, pipeline: &str) -> String {
        dfm_plan::saved(&self.plan, pipeline)
    }

    /// An SVG with the sites as lanes.
    fn picture(&self) -> String {
        dfm_plan::picture(&self.estimate)
    }
}

/// Plans a pipeline for an application at `homesite`. A `ValueError` has the problems as JSON.
#[pyfunction]
#[pyo3(signature = (fed_info, pipeline, homesite, restrict_to_sites))]
pub fn plan(
    py: Python<'_>,
    fed_info: &str,
    pipeline: &str,
    homesite: &str,
    restrict_to_sites: Option<Vec<String>>,
) -> PyResult<Plan> {
    let made = py.detach(|| {
        let fed_info = FedInfo::from_json(fed_info).map_err(|problem| vec![problem])?;
        let pipeline = Pipeline::from_json(pipeline).map_err(|problem| vec![problem])?;
        let options = dfm_plan::Options { allowed: restrict_to_sites.as_deref(), ..Default::default() };
        dfm_plan::plan_and_estimate(&fed_info, &pipeline, homesite, &options)
    });
    match made {
        Ok((plan, estimate)) => Ok(Plan { plan, estimate }),
        Err(problems) => Err(PyValueError::new_err(to_json(&json!({"problems": problems}))?)),
    }
}

fn to_json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
