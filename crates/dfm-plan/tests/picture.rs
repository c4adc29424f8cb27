//! Can a plan be read, as text and as a picture?

use std::collections::HashSet;

use dfm_diag::text_width;
use dfm_net::{Frame, Measured, NodeId};
use dfm_plan::{
    Estimate, EstimatedEdge, EstimatedNode, FedInfo, Options, Pipeline, Plan, compare, explain, explain_run, mermaid,
    picture, plan_and_estimate, suggested_costs,
};
use proptest::prelude::*;
use proptest::sample::Index;
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
fn a_send_of_undeclared_cost_is_told_once_with_what_to_declare() {
    let offers = json!([{"operation": "work.Step", "provider": null, "parameters": ["a"], "required": [],
        "compute_cost": {"fixed_time": 0.5}}]);
    let info = json!({"format": 1, "code_package": "wide", "api_version": "1.0.0",
        "operations": {"work.Step": {"parameters": {"a": {"required": false}}}},
        "sites": {"home": {"offers": []}, "north": {"offers": offers}, "south": {"offers": offers},
            "west": {"offers": offers}}});
    let step = |node: u32, site: serde_json::Value, arguments: serde_json::Value| {
        let operation = "work.Step";
        json!({"kind": "operation", "node": node, "operation": operation, "site": site, "arguments": arguments})
    };
    let pipeline = json!({"dfm_pipeline": 1, "mode": "execute", "statements": [
        step(0, json!("north"), json!({})), step(1, json!("south"), json!({"a": {"node": 0}})),
        step(2, json!({"best_of": null}), json!({"a": {"node": 1}})),
        {"kind": "yield", "node": 3, "place": "p", "value": {"node": 2}}]});
    let fed = FedInfo::from_json(&info.to_string()).expect("it is written here");
    let pipeline = Pipeline::from_json(&pipeline.to_string()).expect("it is written here");
    let (plan, estimate) = plan_and_estimate(&fed, &pipeline, "home", &Options::default()).expect("it is valid");
    insta::assert_snapshot!(explain(&plan, &estimate));
}

/// What sites would have measured in two frames, if everything took so many times as long as expected.
fn calls(estimate: &Estimate, factor: impl Fn(usize) -> f64) -> Vec<Measured> {
    let nodes = estimate.nodes.iter().enumerate();
    let call = |frame: u32| {
        nodes.clone().map(move |(at, node)| (at, node, Frame::of_param_set(frame), 1000.0 + 50.0 * f64::from(frame)))
    };
    let calls = (0..2).flat_map(call).map(|(at, node, frame, begun)| {
        let seconds = node.compute * factor(at);
        let bytes = node.operation.then_some((node.bytes * factor(at)) as u64);
        let begin = begun + node.finish * factor(at) - seconds;
        Measured { node: node.node.clone(), frame, begin, seconds, bytes }
    });
    calls.collect()
}

#[test]
fn a_run_that_went_as_expected_is_measured_so() {
    let (plan, estimate) = planned(5, |node| (0..node).rev().take(1).collect());
    let calls = calls(&estimate, |_| 1.0);
    let run = compare(&estimate, &calls, &[1000.0, 1050.0]);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1.0);
    for (node, measured) in estimate.nodes.iter().zip(&run.nodes) {
        let measured = measured.as_ref().expect("each was measured");
        assert!(measured.calls == 2 && close(measured.finish, node.finish) && close(measured.compute, node.compute));
        assert!(measured.bytes.is_none_or(|bytes| close(bytes, node.bytes)));
    }
    for (edge, measured) in estimate.edges.iter().zip(&run.edges) {
        // One that ends earlier than another is not waited for.
        assert!(measured.is_none_or(|seconds| edge.seconds.is_some_and(|expected| close(seconds, expected))));
    }
    insta::assert_snapshot!(suggested_costs(&plan, &estimate, &calls));
}

#[test]
fn a_run_is_told_beside_what_was_expected() {
    let (_, estimate) = planned(4, |node| (0..node).rev().take(2).collect());
    let mut calls = calls(&estimate, |node| [1.0, 1.2, 3.0, 0.4, 1.0][node]);
    calls.retain(|call| call.node != estimate.nodes[3].node);
    insta::assert_snapshot!(explain_run(&estimate, &compare(&estimate, &calls, &[1000.0, 1050.0])));
}

#[test]
fn a_small_picture_shows_lanes_nodes_and_sizes() {
    let (_, estimate) = planned(3, |node| (0..node).rev().take(2).collect());
    insta::assert_snapshot!(picture(&estimate, None));
}

#[test]
fn fifty_nodes_stand_apart() {
    let (_, estimate) = planned(50, |node| match node {
        0..=4 => vec![],
        5..=34 => vec![node % 5, (node - 5) / 2],
        _ => vec![node - 30, node - 3, node - 1],
    });
    let calls = calls(&estimate, |node| [1.0, 0.9, 1.3, 2.5][node % 4]);
    let run = compare(&estimate, &calls, &[1000.0, 1050.0]);
    for (name, svg) in [("fifty", picture(&estimate, None)), ("fifty-run", picture(&estimate, Some(&run)))] {
        stand_apart(name, &svg);
    }
}

#[test]
fn text_stays_inside_its_box_whatever_the_names_and_costs() {
    let (_, mut estimate) = planned(6, |node| (0..node).rev().take(2).collect());
    estimate.nodes[0].finish = f64::INFINITY;
    estimate.nodes[1].node = NodeId::Name("a-name-that-somebody-has-given-it".to_owned());
    estimate.nodes[2].node = NodeId::Name("<&><&><&><&>".to_owned());
    estimate.nodes[3].node = NodeId::Number(u64::MAX);
    estimate.nodes[3].firings = 1e18;
    estimate.nodes[4].label = "name_space.AnOperationWhoseNameIsLong".to_owned();
    let mut calls = calls(&estimate, |_| 1.0);
    calls.retain(|call| call.node != estimate.nodes[1].node && call.begin.is_finite());
    let run = compare(&estimate, &calls, &[1000.0, 1050.0]);
    let told = explain_run(&estimate, &run);
    assert!(!told.contains("unknown cost") && told.contains("expected nothing known"), "{told}");
    for svg in [picture(&estimate, None), picture(&estimate, Some(&run))] {
        assert!(!svg.contains("unknown cost") && svg.contains("no cost known"), "{svg}");
        for line in svg.lines().filter(|line| line.starts_with("<g>")) {
            for text in line.split("<text ").skip(1) {
                let (tag, text) = text.split_once('>').expect("a tag ends");
                let text = text.split_once("</text>").expect("a text ends").0;
                let text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
                let size = if tag.contains("font-size=\"10\"") { 10.0 } else { 12.0 };
                assert!(text.chars().count() as f64 * size * 0.56 <= 150.0, "{text}");
            }
        }
    }
}

/// Writes it for whoever wants to look, too.
fn stand_apart(name: &str, svg: &str) {
    std::fs::write(format!("{}/{name}.svg", env!("CARGO_TARGET_TMPDIR")), svg).expect("the folder is there");
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

/// Something that is drawn: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// The texts of a picture, each with what it is in: its box, or its lane.
fn texts(svg: &str) -> Vec<(String, Area, Option<Area>)> {
    let number = |tag: &str, name: &str| {
        let value = tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0;
        value.parse::<f64>().ok()
    };
    let rect = |tag: &str| {
        let (x, y) = (number(tag, "x")?, number(tag, "y").unwrap_or(0.0));
        Some((x, y, x + number(tag, "width")?, y + number(tag, "height")?))
    };
    let lanes: Vec<Area> = svg.lines().filter(|line| line.contains("stroke-width=\"3\"")).filter_map(rect).collect();
    let mut found = vec![];
    for line in svg.lines() {
        let of_box =
            line.starts_with("<g>").then(|| rect(&line[line.find("<rect").expect("each has a box")..])).flatten();
        for text in line.split("<text").skip(1) {
            let (tag, text) = text.split_once('>').expect("a tag ends");
            let text = text.split('<').next().expect("it is a text");
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let (x, y) = (number(tag, "x").expect("a place"), number(tag, "y").expect("a place"));
            let size = number(tag, "font-size").unwrap_or(12.0);
            let bold = if tag.contains("bold") { 1.15 } else { 1.0 };
            let half = text_width(&text, size * bold) / 2.0;
            let area = (x - half, y - 0.8 * size, x + half, y + 0.2 * size);
            let lane = lanes.iter().find(|lane| lane.0 <= area.0 && area.2 <= lane.2).copied();
            found.push((text, area, of_box.or(lane)));
        }
    }
    found
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.]{1,12}", "[A-Zmw@%]{1,60}", "\\PC{0,60}", "[<>&\"'\\x00-\\x1f\u{202e}日本]{1,40}"]
}

prop_compose! {
    fn any_estimate()(
        nodes in prop::collection::vec((any_name(), any_name(), 0..4_usize, any::<bool>(), 0..7_u8, any::<u64>()), 1..30),
        sites in prop::collection::vec(any_name(), 4),
        edges in prop::collection::vec((any::<Index>(), any::<Index>(), any::<bool>(), 0.0..1e15, prop::option::of(0.0..1e9)), 0..60),
    ) -> Estimate {
        let many = nodes.len();
        let nodes = nodes.into_iter().map(|(id, label, site, operation, time, firings)| EstimatedNode {
            node: if id.len() % 2 == 0 { NodeId::Number(firings) } else { NodeId::Name(id) },
            label,
            operation,
            site: format!("{site}{}", sites[site]),
            firings: if time % 2 == 0 { 1.0 } else { firings as f64 },
            elements: None,
            finish: match time { 0 => f64::INFINITY, time => 10_f64.powi(i32::from(time) * 3 - 9) * 1.234_567 },
            compute: 1.0, fixed: 0.0, rounds: 1.0, bytes: 10.0, given: 0.0, levels: 1,
        });
        let edges = edges.into_iter().filter_map(|(from, to, signal, bytes, seconds)| {
            let (one, other) = (from.index(many), to.index(many));
            (one != other).then(|| EstimatedEdge { from: one.min(other), to: one.max(other), signal, bytes, seconds })
        });
        let mut edges: Vec<EstimatedEdge> = edges.collect();
        edges.sort_by_key(|edge| (edge.to, edge.from));
        edges.dedup_by_key(|edge| (edge.to, edge.from));
        Estimate { assumed_elements: None, nodes: nodes.collect(), edges }
    }
}

proptest! {
    #[test]
    fn no_text_stands_over_another_or_leaves_its_box_or_lane(estimate in any_estimate(), runs in any::<bool>()) {
        let run = runs.then(|| compare(&estimate, &[], &[1000.0]));
        let svg = picture(&estimate, run.as_ref());
        let texts = texts(&svg);
        for (at, (text, area, around)) in texts.iter().enumerate() {
            let around = around.ok_or_else(|| TestCaseError::fail(format!("{text:?} leaves its lane")))?;
            let inside = around.0 <= area.0 && around.1 <= area.1 && area.2 <= around.2 && area.3 <= around.3;
            prop_assert!(inside, "{text:?} at {area:?} is not within {around:?}");
            for (other, beside, _) in &texts[..at] {
                let apart = area.2 <= beside.0 || beside.2 <= area.0 || area.3 <= beside.1 || beside.3 <= area.1;
                prop_assert!(apart, "{text:?} at {area:?} stands over {other:?} at {beside:?}");
            }
        }
    }

    #[test]
    fn a_flowchart_has_a_line_for_each_node_and_edge_and_no_name_acts_in_it(estimate in any_estimate()) {
        let text = mermaid(&estimate);
        let sites: HashSet<&str> = estimate.nodes.iter().map(|node| node.site.as_str()).collect();
        prop_assert_eq!(text.lines().count(), 1 + 2 * sites.len() + estimate.nodes.len() + estimate.edges.len());
        for line in text.lines() {
            prop_assert!(line.matches('"').count() % 2 == 0 && !line.contains("<script"), "{}", line);
        }
    }
}
