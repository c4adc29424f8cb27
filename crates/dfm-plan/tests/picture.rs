//! Can a plan be read, as text and as a picture?

use std::collections::HashSet;

use dfm_plan::{Estimate, FedInfo, Options, Pipeline, Plan, explain, picture, plan_and_estimate};
use serde_json::json;

const SITES: [&str; 4] = ["home", "oslo", "lima", "accra"];

fn planned(nodes: u64, inputs: impl Fn(u64) -> Vec<u64>) -> (Plan, Estimate) {
    let sites: serde_json::Map<_, _> = SITES
        .iter()
        .enumerate()
        .map(|(index, site)| {
            let cost = json!({"fixed_time": 0.1 * (index + 1) as f64, "fixed_size": 2.5e6, "output_factor": 0.5});
            let offer = json!({"operation": "work.Step", "provider": null, "parameters": ["a", "b", "c"],
                "required": [], "compute_cost": cost});
            let others = SITES.iter().filter(|other| *other != site);
            let send: serde_json::Map<_, _> =
                others.map(|other| ((*other).into(), json!({"fixed_time": 0.05, "bandwidth": 1e8}))).collect();
            ((*site).into(), json!({"offers": [offer], "send_cost": send}))
        })
        .collect();
    let parameters = json!({"a": {"required": false}, "b": {"required": false}, "c": {"required": false}});
    let info = json!({"format": 1, "code_package": "wide", "api_version": "1.0.0",
        "operations": {"work.Step": {"parameters": parameters}}, "sites": sites});
    let mut statements: Vec<serde_json::Value> = (0..nodes)
        .map(|node| {
            let from = inputs(node);
            let arguments: serde_json::Map<_, _> =
                from.iter().zip(["a", "b", "c"]).map(|(from, name)| (name.into(), json!({"node": from}))).collect();
            let site = if node % 7 == 3 { json!({"best_of": null}) } else { json!(SITES[(node * 5 / 3 % 4) as usize]) };
            json!({"kind": "operation", "node": node, "operation": "work.Step", "site": site, "arguments": arguments})
        })
        .collect();
    statements.push(json!({"kind": "yield", "node": nodes, "place": "result <1>", "after": [0],
        "value": {"node": nodes - 1}}));
    let pipeline = json!({"dfm_pipeline": 1, "mode": "execute", "statements": statements});
    let fed = FedInfo::from_json(&info.to_string()).expect("it is written here");
    let pipeline = Pipeline::from_json(&pipeline.to_string()).expect("it is written here");
    plan_and_estimate(&fed, &pipeline, "home", &Options::default()).expect("it is valid")
}

#[test]
fn an_explanation_has_times_sizes_and_alternatives() {
    let (plan, estimate) = planned(5, |node| (0..node).rev().take(2).collect());
    insta::assert_snapshot!(explain(&plan, &estimate));
}

#[test]
fn a_small_picture_shows_lanes_nodes_and_sizes() {
    let (_, estimate) = planned(3, |node| (0..node).rev().take(2).collect());
    insta::assert_snapshot!(picture(&estimate));
}

#[test]
fn fifty_nodes_stand_apart() {
    let (_, estimate) = planned(50, |node| match node {
        0..=4 => vec![],
        5..=34 => vec![node % 5, (node - 5) / 2],
        _ => vec![node - 30, node - 3, node - 1],
    });
    let svg = picture(&estimate);
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/fifty.svg"), &svg).expect("the folder is there");
    let boxes: Vec<&str> = svg.lines().filter(|line| line.starts_with("<g>")).collect();
    assert_eq!(boxes.len(), 51);
    let places: HashSet<String> = boxes
        .iter()
        .map(|line| {
            let from = line.find("<rect x=").expect("each has a box");
            line[from..].split(" width").next().expect("it has a place").to_owned()
        })
        .collect();
    assert_eq!(places.len(), 51);
}
