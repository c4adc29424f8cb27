//! How does Python have a pipeline planned?

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use dfm_events::{Edge, Kind, Node, Outline};
use dfm_net::{Asked, Net, NodeId, Step};
use dfm_plan::{DISCOVERY_MODE, FedInfo, Pipeline, Problem, Statement};
use indexmap::{IndexMap, IndexSet};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::site::AskedOf;

/// An operation and its provider.
type Operation<'p> = (&'p str, Option<&'p str>);

/// A call as far as its pipeline says it, and the first node that makes it.
type AskedAt = (AskedOf, Py<PyAny>);

/// A value that leaves a site: that site, who gets it, its node, and the operations of whose results there may be
/// something in it.
type Crossing = (String, String, Py<PyAny>, Vec<String>);

/// A plan's operations, and all of it where that is not too large, as records have them.
type Recorded = (Arc<[Node]>, Option<Arc<Outline>>);

/// A pipeline as one net per site.
#[pyclass(frozen, module = "dfm._native")]
pub struct Plan {
    /// Where everything runs.
    pub plan: dfm_plan::Plan,
    /// `None` where the plan is to ask for values.
    pub estimate: Option<dfm_plan::Estimate>,
    /// Whether it has an operation that declares no result.
    acts: bool,
    recorded: OnceLock<Recorded>,
}

impl Plan {
    /// The nets, one for each site.
    pub fn nets(&self) -> &[Net] {
        &self.plan.nets
    }

    /// What records have of it.
    pub fn recorded(&self) -> Recorded {
        let node = |placement: &dfm_plan::Placement| Node {
            node: placement.node.clone(),
            operation: placement.operation.clone(),
            site: placement.site.clone(),
            provider: placement.provider.clone(),
        };
        let made = || (self.plan.placements.iter().map(node).collect(), self.outline().map(Arc::new));
        self.recorded.get_or_init(made).clone()
    }

    fn outline(&self) -> Option<Outline> {
        let estimate = self.estimate.as_ref()?;
        let yielded =
            self.nets().iter().flat_map(|net| &net.transitions).filter_map(|transition| match &transition.step {
                Step::Yield { node, .. } => Some(node),
                _ => None,
            });
        let yielded: HashSet<&NodeId> = yielded.collect();
        let step = |node: &dfm_plan::EstimatedNode| dfm_events::Step {
            node: node.node.clone(),
            label: node.label.clone(),
            site: node.site.clone(),
            kind: match node.operation {
                true => Kind::Call,
                false if yielded.contains(&node.node) => Kind::Yield,
                false => Kind::Other,
            },
            levels: node.levels,
        };
        let edge = |edge: &dfm_plan::EstimatedEdge| Edge { from: edge.from, to: edge.to, signal: edge.signal };
        let steps = estimate.nodes.iter().map(step).collect();
        Some(Outline { steps, edges: estimate.edges.iter().map(edge).collect() }).filter(Outline::is_sound)
    }
}

#[pymethods]
impl Plan {
    /// The names of its places, what an `EachSite` made of which node, what of that it may leave out, and its warnings,
    /// as JSON.
    fn report(&self) -> PyResult<String> {
        let dfm_plan::Plan { params, yields, copies, optional, warnings, sums, .. } = &self.plan;
        to_json(&json!({
            "params": params, "yields": yields, "copies": copies, "optional": optional, "warnings": warnings, "sums": sums,
        }))
    }

    /// Where each node runs, as JSON.
    fn placements(&self) -> PyResult<String> {
        to_json(&self.plan.placements)
    }

    /// Each site and the operations that it runs, each with its provider, once.
    fn operations(&self) -> Vec<(&str, Vec<Operation<'_>>)> {
        let mut sites: IndexMap<&str, IndexSet<Operation<'_>>> = IndexMap::new();
        for placement in &self.plan.placements {
            let wanted = sites.entry(&placement.site).or_default();
            wanted.insert((&placement.operation, placement.provider.as_deref()));
        }
        sites.into_iter().map(|(site, wanted)| (site, wanted.into_iter().collect())).collect()
    }

    /// Each site and the calls that it makes, as far as the pipeline says them, each with its first node.
    fn asked(&self, py: Python<'_>) -> PyResult<Vec<(&str, Vec<AskedAt>)>> {
        let mut sites: IndexMap<&str, Vec<(Asked, NodeId)>> = IndexMap::new();
        let mut called: HashSet<(&str, &str, Option<&str>)> = HashSet::new();
        for net in self.nets() {
            called.extend(net.transitions.iter().filter_map(|transition| match &transition.step {
                Step::Call { operation, provider, .. } => Some((&net.site[..], &operation[..], provider.as_deref())),
                _ => None,
            }));
            sites.insert(&net.site, dfm_net::asked(net));
        }
        // Of what is placed and is no call of a net, as in discovery, only the operation is known.
        for placement in &self.plan.placements {
            let (operation, provider) = (&placement.operation, &placement.provider);
            if called.insert((&placement.site, operation, provider.as_deref())) {
                let (operation, provider) = (operation.clone(), provider.clone());
                let asked = Asked { operation, provider, given: None, open: vec![] };
                sites.entry(&placement.site).or_default().push((asked, placement.node.clone()));
            }
        }
        let told = |(asked, node): (Asked, NodeId)| {
            Ok(((asked.operation, asked.provider, asked.given, asked.open), crate::events::named(py, node)?))
        };
        let calling = sites.into_iter().filter(|(_, calls)| !calls.is_empty());
        calling.map(|(site, calls)| Ok((site, calls.into_iter().map(told).collect::<PyResult<_>>()?))).collect()
    }

    /// Each value that leaves a site: that site, who gets it, its node, and the operations at the site of whose results
    /// there may be something in it.
    fn crossings(&self, py: Python<'_>) -> PyResult<Vec<Crossing>> {
        let found = dfm_plan::crossings(&self.plan).into_iter();
        found.map(|one| Ok((one.from, one.to, crate::events::named(py, one.node)?, one.operations))).collect()
    }

    /// Each site that values leave, and for each of these the operations there of whose results there may be something
    /// in it, each such group once.
    fn leaving(&self) -> Vec<(&str, Vec<Vec<String>>)> {
        let found = dfm_plan::leaving(&self.plan).into_iter();
        found.map(|(site, groups)| (site, groups.into_iter().collect())).collect()
    }

    /// Whether it has an operation that declares no result, and so is called for what it does.
    fn acts(&self) -> bool {
        self.acts
    }

    /// Whether parts of an aggregation meet on their way to it.
    fn has_trees(&self) -> bool {
        self.plan.meets.iter().any(|(_, meets)| !meets.is_empty())
    }

    /// Each site and how many calls it makes for each parameter set, but those in blocks.
    fn calls(&self) -> Vec<(&str, usize)> {
        let in_body = |step: &&dfm_net::Transition| step.block == 0 && step.step.operation().is_some();
        let calls = |net: &Net| net.transitions.iter().filter(in_body).count();
        self.nets().iter().map(|net| (net.site.as_str(), calls(net))).collect()
    }

    /// For people: where each node runs, why, and what else it could cost.
    fn explain(&self) -> String {
        match &self.estimate {
            Some(estimate) => dfm_plan::explain(&self.plan, estimate),
            None => dfm_plan::explain_discovery(&self.plan),
        }
    }

    /// The JSON of `pipeline`, which this was planned from, with each operation at its chosen site; as it is where
    /// nothing is placed.
    fn saved(&self, pipeline: &str) -> String {
        if self.estimate.is_none() {
            return pipeline.to_owned();
        }
        dfm_plan::saved(&self.plan, pipeline)
    }

    /// An SVG with the sites as lanes; `None` where nothing is placed.
    fn picture(&self) -> Option<String> {
        self.estimate.as_ref().map(|estimate| dfm_plan::picture(estimate, None))
    }
}

/// Plans a pipeline for an application at `homesite`. A `ValueError` has the problems as JSON.
#[pyfunction]
#[pyo3(signature = (fed_info, pipeline, homesite, restrict_to_sites, straight = false))]
pub fn plan(
    py: Python<'_>,
    fed_info: &str,
    pipeline: &str,
    homesite: &str,
    restrict_to_sites: Option<Vec<String>>,
    straight: bool,
) -> PyResult<Plan> {
    let made: Result<Plan, Vec<Problem>> = py.detach(|| {
        let fed_info = FedInfo::from_json(fed_info).map_err(|problem| vec![problem])?;
        let pipeline = Pipeline::from_json(pipeline).map_err(|problem| vec![problem])?;
        let options = dfm_plan::Options { allowed: restrict_to_sites.as_deref(), straight, ..Default::default() };
        let (plan, estimate) = if pipeline.mode == DISCOVERY_MODE {
            (dfm_plan::discover(&fed_info, &pipeline, homesite, options.allowed)?, None)
        } else {
            let (plan, estimate) = dfm_plan::plan_and_estimate(&fed_info, &pipeline, homesite, &options)?;
            (plan, Some(estimate))
        };
        let acts = |statement: &Statement| match statement {
            Statement::Operation(one) => fed_info.returns(&one.operation).is_none(),
            _ => false,
        };
        let acts = pipeline.statements.iter().any(acts);
        Ok(Plan { plan, estimate, acts, recorded: OnceLock::new() })
    });
    match made {
        Ok(plan) => Ok(plan),
        Err(problems) => Err(PyValueError::new_err(to_json(&json!({"problems": problems}))?)),
    }
}

/// As JSON.
pub fn to_json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
