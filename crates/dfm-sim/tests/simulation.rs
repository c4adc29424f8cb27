//! Does virtual time pass as the costs say, and does every failure end where it should?

use dfm_plan::{Estimate, FedInfo, Options, Pipeline, Plan, plan_and_estimate};
use dfm_sim::{Failing, Scenario, Simulated, explain, simulate};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A federation whose sites all offer `t.Op`, each at a cost of its own; sending costs the same everywhere.
fn federation(costs: &[Value], send: &Value) -> FedInfo {
    let parameters = ["a", "b", "l", "p"];
    let site = |(at, cost): (usize, &Value)| {
        let offer = json!({"operation": "t.Op", "provider": null, "parameters": parameters, "required": [],
            "compute_cost": cost});
        (format!("s{at}"), json!({"offers": [offer]}))
    };
    let sites: serde_json::Map<String, Value> = costs.iter().enumerate().map(site).collect();
    let known: serde_json::Map<String, Value> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({"required": false}))).collect();
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0",
        "operations": {"t.Op": {"parameters": known}}, "sites": sites});
    let mut fed = FedInfo::from_json(&info.to_string()).expect("it is written here");
    fed.other_send_cost = serde_json::from_value(send.clone()).expect("it is written here");
    fed
}

fn operation(node: usize, site: usize, arguments: &Value) -> Value {
    json!({"kind": "operation", "node": node, "operation": "t.Op", "site": format!("s{site}"), "arguments": arguments})
}

fn placed(fed: &FedInfo, statements: &[Value]) -> (Plan, Estimate) {
    let document = json!({"dfm_pipeline": 1, "mode": "execute", "statements": statements});
    let pipeline = Pipeline::from_json(&document.to_string()).expect("it is written here");
    plan_and_estimate(fed, &pipeline, "s0", &Options::default()).expect("it is valid")
}

fn run(fed: &FedInfo, statements: &[Value], scenario: &Scenario) -> (Estimate, Simulated) {
    let (plan, estimate) = placed(fed, statements);
    let simulated = simulate(fed, &plan, &estimate, scenario);
    (estimate, simulated)
}

fn cost() -> impl Strategy<Value = Value> {
    (0..9u8, prop::option::of(1..9u8), 0..9u8, 0..3u8).prop_map(|(fixed, throughput, size, factor)| {
        json!({"fixed_time": fixed, "compute_throughput": throughput, "fixed_size": size, "output_factor": factor})
    })
}

fn send() -> impl Strategy<Value = Value> {
    (0..9u8, prop::option::of(1..9u8)).prop_map(|(fixed, rate)| json!({"fixed_time": fixed, "bandwidth": rate}))
}

/// Pairs, loops, collections and caches in a row, over three sites; each unit yields its result.
fn mixed(units: &[(u8, usize, usize)]) -> Vec<Value> {
    let mut statements = vec![];
    let mut before = json!({"param": "p", "multiuse": true});
    for (at, &(kind, site, other)) in units.iter().enumerate() {
        let node = at * 10;
        statements.push(operation(node, site, &json!({"a": before})));
        let mut value = json!({"node": node});
        if kind == 1 {
            statements.push(operation(node + 1, other, &json!({"a": value, "b": before})));
            value = json!({"node": node + 1});
        } else if kind == 2 {
            statements.push(json!({"kind": "for_each", "node": node + 1, "sequence": value}));
            let mut body = operation(node + 2, other, &json!({"a": {"node": node + 1}, "b": before}));
            body["block"] = json!(node + 1);
            statements.push(body);
            statements.push(json!({"kind": "collect", "node": node + 3, "for_each": node + 1,
                "value": {"node": node + 2}, "errors": "fail"}));
            value = json!({"node": node + 3});
        } else if kind == 3 {
            statements.push(json!({"kind": "try_from_cache", "node": node + 1, "key": [value]}));
            let mut body = operation(node + 2, other, &json!({"a": value, "b": before}));
            body["block"] = json!(node + 1);
            statements.push(body);
            statements.push(json!({"kind": "write_to_cache", "node": node + 3, "block": node + 1, "cache": node + 1,
                "value": {"node": node + 2}}));
            value = json!({"node": node + 1});
        }
        statements.push(json!({"kind": "yield", "node": format!("y{at}"), "place": format!("y{at}"), "value": value}));
        before = value;
    }
    statements
}

fn units() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0..4u8, 0..3usize, 0..3usize), 1..6)
}

proptest! {
    #[test]
    fn a_chain_takes_as_long_as_its_estimate(
        costs in prop::collection::vec(cost(), 3), send in send(), sites in prop::collection::vec(0..3usize, 1..8)
    ) {
        let mut statements: Vec<Value> = sites.iter().enumerate().map(|(at, site)| {
            let before = if at == 0 { json!({"param": "p"}) } else { json!({"node": at - 1}) };
            operation(at, *site, &json!({"a": before, "l": {"literal": "words"}}))
        }).collect();
        statements.push(json!({"kind": "yield", "node": "y", "place": "y", "value": {"node": sites.len() - 1}}));
        let (estimate, simulated) =
            run(&federation(&costs, &send), &statements, &Scenario { frames: 1, ..Scenario::default() });
        let expected = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
        prop_assert!((simulated.seconds - expected).abs() <= 1e-9 * expected, "{} {expected}", simulated.seconds);
        prop_assert_eq!(simulated.chain.len(), sites.len());
        let parts: f64 = simulated.chain.iter().map(|step| step.sending + step.waiting + step.computing).sum();
        prop_assert!(parts <= expected * (1.0 + 1e-9));
    }

    #[test]
    fn elements_and_branches_never_take_longer_than_the_estimate(
        costs in prop::collection::vec(cost(), 3), send in send(), sites in prop::collection::vec(0..3usize, 3)
    ) {
        // One firing has the link and the operation for itself, but for those of its own loop.
        let mut body = operation(2, sites[1], &json!({"a": {"node": 1}}));
        body["block"] = json!(1);
        let statements = [
            operation(0, sites[0], &json!({"l": {"literal": "a few words"}})),
            json!({"kind": "for_each", "node": 1, "sequence": {"node": 0}}),
            body,
            json!({"kind": "collect", "node": 3, "for_each": 1, "value": {"node": 2}, "errors": "fail"}),
            json!({"kind": "yield", "node": "y", "place": "y", "value": {"node": 3}}),
        ];
        let (estimate, simulated) =
            run(&federation(&costs, &send), &statements, &Scenario { frames: 1, ..Scenario::default() });
        let expected = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
        prop_assert!(simulated.seconds <= expected * (1.0 + 1e-9), "{} {expected}", simulated.seconds);
        prop_assert_eq!(simulated.sites.iter().map(|site| site.firings).sum::<u64>(), 11);
        let sent = |nodes: &dyn Fn(&dfm_plan::EstimatedEdge) -> bool| -> f64 {
            estimate.edges.iter().filter(|edge| nodes(edge)).map(|edge| edge.bytes).sum()
        };
        let crossing = sent(&|edge| estimate.nodes[edge.from].site != estimate.nodes[edge.to].site);
        let carried: f64 = simulated.links.iter().map(|link| link.bytes).sum();
        prop_assert!((carried - crossing).abs() <= 1e-6 * crossing.max(1.0), "{carried} {crossing}");
    }

    #[test]
    fn every_failure_ends_in_error_tokens_and_the_same_input_in_the_same_run(
        costs in prop::collection::vec(cost(), 3),
        send in send(),
        units in units(),
        frames in 1..6u32,
        share in 0..=4u8,
        lost in prop::option::of((1..3usize, 0..60u8)),
        seed in any::<u64>(),
    ) {
        let (fed, statements) = (federation(&costs, &send), mixed(&units));
        let failing = |site: usize| Failing {
            site: format!("s{site}"), operation: "t.Op".into(), provider: None, share: f64::from(share) / 4.0,
        };
        let scenario = Scenario {
            frames,
            at_once: [("s1".to_owned(), 2)].into(),
            lost: lost.iter().map(|(site, time)| (format!("s{site}"), f64::from(*time))).collect(),
            failing: vec![failing(0), failing(2)],
            seed,
        };
        let (_, simulated) = run(&fed, &statements, &scenario);
        prop_assert_eq!(simulated.values + simulated.lost_values, u64::from(frames) * units.len() as u64);
        prop_assert_eq!(simulated.lost_values > 0, simulated.failed_frames > 0);
        prop_assert!(simulated.lost_values == 0 || !simulated.errors.is_empty());
        prop_assert!(simulated.sites.iter().all(|site| site.site != "s1" || site.most_at_once <= 2));
        prop_assert!(simulated.sites.iter().all(|site| site.busy <= simulated.seconds + 1e-9 || lost.is_some()));
        let (_, again) = run(&fed, &statements, &scenario);
        prop_assert_eq!(again, simulated);
    }
}

#[test]
fn what_came_of_it_can_be_read() {
    let costs = vec![
        json!({"fixed_time": 0.5, "fixed_size": 1e6}),
        json!({"fixed_time": 0.1, "compute_throughput": 1e6, "fixed_size": 2e5}),
        json!({"fixed_time": 2.0, "output_factor": 1}),
    ];
    let fed = federation(&costs, &json!({"fixed_time": 0.05, "bandwidth": 1e6}));
    let scenario = Scenario {
        frames: 20,
        at_once: [("s0".to_owned(), 4)].into(),
        lost: vec![("s2".to_owned(), 9.0)],
        failing: vec![Failing { site: "s1".into(), operation: "t.Op".into(), provider: None, share: 0.02 }],
        seed: 7,
    };
    let (_, simulated) = run(&fed, &mixed(&[(0, 0, 0), (2, 0, 1), (1, 1, 2)]), &scenario);
    insta::assert_snapshot!(explain(&simulated));
}

#[test]
fn a_thousand_sites_and_a_hundred_thousand_firings_are_simulated() {
    const SITES: usize = 1000;
    let costs: Vec<Value> = (0..SITES)
        .map(|site| json!({"fixed_time": 1.0 + (site % 7) as f64, "compute_throughput": 1e6, "fixed_size": 1e4}))
        .collect();
    let fed = federation(&costs, &json!({"fixed_time": 0.05, "bandwidth": 1e7}));
    let mut statements: Vec<Value> = (0..SITES)
        .flat_map(|site| {
            let first = operation(2 * site, site, &json!({"a": {"param": "p", "multiuse": true}}));
            let neighbour = (site + 1) % SITES;
            [first, operation(2 * site + 1, neighbour, &json!({"a": {"node": 2 * site}}))]
        })
        .collect();
    statements.push(json!({"kind": "yield", "node": "y", "place": "y", "value": {"node": 1}}));
    let (plan, estimate) = placed(&fed, &statements);
    let scenario = Scenario { frames: 50, lost: vec![("s700".to_owned(), 5.0)], ..Scenario::default() };
    let begun = std::time::Instant::now();
    let simulated = simulate(&fed, &plan, &estimate, &scenario);
    println!("{:?}", begun.elapsed());
    let firings: u64 = simulated.sites.iter().map(|site| site.firings).sum();
    assert!(firings > 99_800 && simulated.sites.len() == SITES, "{firings}");
    assert_eq!((simulated.values, simulated.errors.len()), (50, 1));
}

/// What three sites make meets at the one that has a fast way home; where it is said to fail, the whole of it is lost.
#[test]
fn parts_that_meet_on_their_way_take_what_the_tree_says() {
    let offer = |operation: &str, parameters: Value| {
        json!({"operation": operation, "provider": null, "parameters": parameters, "required": parameters,
            "compute_cost": {"fixed_time": 1, "fixed_size": 1000}})
    };
    let offers = json!([offer("t.Fit", json!([])), offer("t.Sum", json!(["parts"]))]);
    let (near, far) = (json!({"fixed_time": 0.5, "bandwidth": 1000}), json!({"fixed_time": 0.5, "bandwidth": 1}));
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0",
        "operations": {"t.Fit": {"parameters": {}},
            "t.Sum": {"parameters": {"parts": {"required": true}}, "reduce": {"commutative": true}}},
        "sites": {
            "s0": {"offers": [offers[1]]},
            "s1": {"offers": offers, "send_cost": {"s0": near}},
            "s2": {"offers": offers, "send_cost": {"s0": far, "s1": near}},
            "s3": {"offers": offers, "send_cost": {"s0": far, "s1": near}}}});
    let fed = FedInfo::from_json(&info.to_string()).expect("it is written here");
    let statements = [
        json!({"kind": "each_site", "node": 0, "offers": ["t.Fit"], "sites": null, "at_least": null, "errors": "fail"}),
        json!({"kind": "operation", "node": 1, "block": 0, "operation": "t.Fit", "site": {"each_site": 0}, "arguments": {}}),
        json!({"kind": "gather", "node": 2, "each_site": 0, "value": {"node": 1}, "missing": false}),
        json!({"kind": "operation", "node": 3, "operation": "t.Sum", "site": "s0", "arguments": {"parts": {"node": 2}}}),
        json!({"kind": "yield", "node": 4, "place": "sum", "value": {"node": 3}}),
    ];
    let scenario = Scenario { frames: 1, ..Scenario::default() };
    let (estimate, simulated) = run(&fed, &statements, &scenario);
    let expected = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
    assert_eq!((simulated.seconds, simulated.values), (expected, 1), "three calls and two ways of 1.5 s each");
    assert_eq!(expected, 6.0);
    let links: Vec<(&str, &str)> = simulated.links.iter().map(|link| (link.from.as_str(), link.to.as_str())).collect();
    assert_eq!(links, [("s1", "s0"), ("s2", "s1"), ("s3", "s1")]);
    let at = Failing { site: "s1".into(), operation: "t.Sum".into(), provider: None, share: 1.0 };
    let (_, simulated) = run(&fed, &statements, &Scenario { failing: vec![at], ..scenario });
    assert_eq!((simulated.values, simulated.lost_values, simulated.errors[0].site.as_str()), (0, 1, "s1"));
}
