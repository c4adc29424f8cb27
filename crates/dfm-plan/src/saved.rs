//! How is a plan saved?
//!
//! As the pipeline that it was made from, with nothing left to choose: each operation names its site and provider. So
//! whoever reads pipelines reads plans, nothing in the file is trusted that is not checked, and a federation that has
//! changed since says what no longer fits.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::Plan;

/// The pipeline's JSON, `pipeline` being what `plan` was made from, with each operation at the site of the plan.
///
/// # Panics
/// Another pipeline is given.
pub fn saved(plan: &Plan, pipeline: &str) -> String {
    let mut document: Value = serde_json::from_str(pipeline).expect("it was planned");
    let placements = plan.placements.iter().map(|placement| (json!(placement.node).to_string(), placement));
    let placements: HashMap<_, _> = placements.collect();
    for statement in document["statements"].as_array_mut().into_iter().flatten() {
        if statement["kind"] == "each_site" {
            let chosen = plan.each_sites.iter().find(|(node, _)| json!(node) == statement["node"]);
            statement["sites"] = json!(chosen.map(|(_, sites)| sites));
        }
        // What stands in the body of an `EachSite` has no choice left with its sites.
        let is_operation = statement["kind"] == "operation";
        if let Some(placement) = placements.get(&statement["node"].to_string()).filter(|_| is_operation) {
            statement["site"] = json!(placement.site);
            statement["provider"] = json!(placement.provider);
        }
        if let Some((_, meets)) = plan.meets.iter().find(|(node, _)| json!(node) == statement["node"]) {
            statement["meets"] = json!(meets);
        }
    }
    format!("{document:#}\n")
}
