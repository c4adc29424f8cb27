//! What does a pipeline become, and how?

use dfm_net::{Net, NodeId, check_whole};
use serde::{Deserialize, Serialize};

use crate::check::check;
use crate::cost::Costs;
use crate::cut::cut_at_borders;
use crate::each_site::{Expanded, expand, told_once};
use crate::estimate::{Estimate, estimate};
use crate::explain::{placements, warnings};
use crate::graph::{Graph, Known};
use crate::meet::{settle, where_sooner, worth_trying};
use crate::place::{Placed, Score, place_nodes};
use crate::secure_sum::check_given;
use crate::{Argument, DISCOVERY_MODE, FedInfo, Meeting, Pipeline, Problem};

/// What every site has to do, and why there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format, 1.
    pub format: u32,
    /// The pipeline's name; `pipeline` if it has none.
    pub name: String,
    /// The application's site.
    pub home: String,
    /// One net for the home, which comes first and may be empty, and for each other site that has something to do.
    pub nets: Vec<Net>,
    /// Where each operation runs, in the order of the statements.
    pub placements: Vec<Placement>,
    /// The parameter places, each once, in the order of their first use.
    pub params: Vec<String>,
    /// The yield places, each once, in the order of their first use.
    pub yields: Vec<String>,
    /// Each `EachSite`, and the sites that its body runs at.
    #[serde(default)]
    pub each_sites: Vec<(NodeId, Vec<String>)>,
    /// Each node that an `EachSite` made of one in its body, and that one.
    #[serde(default)]
    pub copies: Vec<(String, NodeId)>,
    /// Those of them that their `EachSite` may leave out.
    #[serde(default)]
    pub optional: Vec<String>,
    /// Each aggregation over sites whose parts may meet on their way, and where they do.
    #[serde(default)]
    pub meets: Vec<(NodeId, Vec<Meeting>)>,
    /// Each other one that is declared to put parts together, and why they go straight to it.
    #[serde(default)]
    pub straight: Vec<(NodeId, String)>,
    /// Which sends the planner chose without knowing what they cost.
    pub warnings: Vec<String>,
    /// What sites refuse of its secure sums unless their policies allow it.
    #[serde(default)]
    pub sums: Vec<String>,
}

/// Where an operation runs, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// The pipeline's node.
    pub node: NodeId,
    /// `namespace.Name`.
    pub operation: String,
    /// The site.
    pub site: String,
    /// The site's provider; `None` for the site itself.
    pub provider: Option<String>,
    /// The reason, for the user.
    pub why: String,
    /// Where else it could run, the best first.
    pub alternatives: Vec<Alternative>,
}

/// Where an operation could run too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The site.
    pub site: String,
    /// The site's provider; `None` for the site itself.
    pub provider: Option<String>,
    /// The estimated seconds from the start of a run until its result would be where it is needed, with all other
    /// nodes where they are.
    pub seconds: f64,
}

/// What a plan may do, and counts with.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The sites where operations may run; `None` for all.
    pub allowed: Option<&'a [String]>,
    /// How many elements a sequence has whose length only the run tells.
    pub elements: f64,
    /// Whether the parts of each aggregation go straight to it, but for those of a saved plan.
    pub straight: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { allowed: None, elements: 10.0, straight: false }
    }
}

/// Plans a pipeline for an application at the site `home`. Operations may run at the `allowed` sites; `None` for all.
///
/// # Errors
/// Every reason why the federation cannot run it.
pub fn plan(fed: &FedInfo, pipeline: &Pipeline, home: &str, allowed: Option<&[String]>) -> Result<Plan, Vec<Problem>> {
    plan_and_estimate(fed, pipeline, home, &Options { allowed, ..Options::default() }).map(|(plan, _)| plan)
}

/// The same, and what to expect of a run.
///
/// # Errors
/// Every reason why the federation cannot run it.
pub fn plan_and_estimate(
    fed: &FedInfo,
    pipeline: &Pipeline,
    home: &str,
    options: &Options<'_>,
) -> Result<(Plan, Estimate), Vec<Problem>> {
    if pipeline.mode == DISCOVERY_MODE {
        let message =
            format!("the pipeline's mode is {DISCOVERY_MODE}: it asks sites for values, and nothing is placed");
        let help = "run it, which shows what the sites answer; with mode='execute' it can be planned".to_owned();
        return Err(vec![Problem::new("plan-mode", None, message, Some(help))]);
    }
    let mut expanded = expand(fed, pipeline, home, options.allowed)?;
    let fed = &expanded.offered(fed);
    settle(fed, &mut expanded)?;
    if !options.straight {
        expanded = where_sooner(expanded, |expanded| {
            let (graph, costs, placed) = place(fed, expanded, home, options)?;
            let more = worth_trying(fed, expanded, &graph, &costs, &placed, options.allowed);
            Ok((placed.runs.iter().fold(Score::default(), Score::with), more))
        })?;
    }
    let (graph, costs, placed) = place(fed, &expanded, home, options)?;
    let home_index = fed.sites.get_index_of(home).expect("it was checked");
    let nets = cut_at_borders(fed, &graph, &placed, home_index);
    check_whole(&nets).map_err(|why| {
        let help = "please report it with the pipeline; nothing was run".to_owned();
        vec![Problem::new("plan-unsound", None, format!("this plan might not come to its end: {why}"), Some(help))]
    })?;
    if expanded.adds {
        check_given(pipeline, &expanded, &nets).map_err(|problem| vec![problem])?;
    }
    let (params, yields) = place_names(&graph);
    let placements = placements(fed, &graph, &costs, &placed);
    let warnings = warnings(fed, &graph, &costs, &placed);
    let estimate = estimate(fed, &graph, &costs, &placed, options.elements);
    let plan = Plan {
        format: 1,
        name: pipeline.name.clone().unwrap_or_else(|| "pipeline".to_owned()),
        home: home.to_owned(),
        nets,
        placements,
        params,
        yields,
        each_sites: expanded.each,
        copies: expanded.copies.into_iter().collect(),
        optional: expanded.optional,
        meets: expanded.meets.into_iter().collect(),
        straight: expanded.straight,
        warnings,
        sums: expanded.sums,
    };
    Ok((plan, estimate))
}

/// A checked pipeline, with what it costs and where its nodes are.
fn place<'a>(
    fed: &'a FedInfo,
    expanded: &'a Expanded<'_>,
    home: &str,
    options: &Options<'_>,
) -> Result<(Graph<'a>, Costs, Placed), Vec<Problem>> {
    let mut graph = check(fed, &expanded.pipeline, home, options.allowed)
        .map_err(|problems| told_once(problems, &expanded.copies))?;
    for node in &mut graph.nodes {
        let NodeId::Name(name) = node.statement.node() else { continue };
        let site = fed.sites.get_index(node.candidates[0].site).map(|(site, _)| format!("@{site}"));
        let origin = expanded.copies.get(name);
        node.limits.meeting = origin.is_some_and(|origin| expanded.meets.contains_key(origin));
        node.limits.copied = origin.is_some() && site.is_some_and(|site| name.ends_with(&site));
    }
    let home = fed.sites.get_index_of(home).expect("it was checked");
    let costs = Costs::new(fed, &graph, home, options.elements);
    let placed = place_nodes(&graph, &costs);
    Ok((graph, costs, placed))
}

fn place_names(graph: &Graph<'_>) -> (Vec<String>, Vec<String>) {
    let (mut params, mut yields) = (indexmap::IndexSet::new(), indexmap::IndexSet::new());
    for node in &graph.nodes {
        for argument in node.statement.arguments() {
            if let Argument::Param { param, .. } = argument {
                params.insert(param.clone());
            }
        }
        if let Known::Yield(statement) = node.statement {
            yields.insert(statement.place.clone());
        }
    }
    (params.into_iter().collect(), yields.into_iter().collect())
}
