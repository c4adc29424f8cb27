//! How does Python learn what a measured job took?

use dfm_net::Measured;
use dfm_plan::{Estimate, MeasuredRun};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::json;

use crate::plan::{Plan, to_json};

/// What was measured of a job.
#[pyclass(frozen, module = "dfm._native")]
pub struct Measurement {
    /// The calls of all sites.
    pub calls: Vec<Measured>,
    /// When each frame began.
    pub begun: Vec<f64>,
}

impl Measurement {
    fn beside<'a>(&self, plan: &'a Plan) -> PyResult<(&'a Estimate, MeasuredRun)> {
        let Some(estimate) = &plan.estimate else {
            return Err(PyValueError::new_err("a plan that only asks for values expects no times"));
        };
        Ok((estimate, dfm_plan::compare(estimate, &self.calls, &self.begun)))
    }
}

#[pymethods]
impl Measurement {
    /// What the plan's operations took, as JSON, with what was expected.
    fn nodes(&self, plan: &Plan) -> PyResult<String> {
        let (estimate, run) = self.beside(plan)?;
        let nodes = estimate.nodes.iter().zip(&run.nodes).filter(|(node, _)| node.operation);
        let nodes = nodes.filter_map(|(node, measured)| {
            let measured = measured.as_ref()?;
            Some(json!({"node": node.node, "operation": node.label, "site": node.site, "calls": measured.calls,
                "compute": measured.compute, "finish": measured.finish, "bytes": measured.bytes,
                "expected_compute": node.compute, "expected_finish": node.finish, "expected_bytes": node.bytes}))
        });
        to_json(&nodes.collect::<Vec<_>>())
    }

    /// For people: what the run took, beside what was expected.
    fn explain(&self, plan: &Plan) -> PyResult<String> {
        let (estimate, run) = self.beside(plan)?;
        Ok(dfm_plan::explain_run(estimate, &run))
    }

    /// An SVG with what the run took.
    fn picture(&self, plan: &Plan) -> PyResult<String> {
        let (estimate, run) = self.beside(plan)?;
        Ok(dfm_plan::picture(estimate, Some(&run)))
    }

    /// A network file with the costs that the run had.
    fn costs(&self, plan: &Plan) -> PyResult<String> {
        let (estimate, _) = self.beside(plan)?;
        Ok(dfm_plan::suggested_costs(&plan.plan, estimate, &self.calls))
    }
}
