//! Are pipelines planned whose blocks lie in each other, as deep as they may, and refused beyond that?

use dfm_net::Carry;
use dfm_plan::{FedInfo, Pipeline, Plan, Problem, plan};
use serde_json::{Value, json};

fn planned(statements: &[Value]) -> Result<Plan, Vec<Problem>> {
    let offer = json!({"operation": "t.Op", "provider": null, "parameters": [], "required": []});
    let site = || json!({"offers": [offer]});
    let fed = json!({"format": 1, "code_package": "t", "api_version": "0.0.1", "operations": {"t.Op": {"parameters": {}}},
        "sites": {"home": site(), "other": site()}});
    let pipeline = json!({"dfm_pipeline": 1, "mode": "execute", "package": "t", "api_version": "0.0.1",
        "statements": statements});
    let fed = FedInfo::from_json(&fed.to_string()).expect("it is written here");
    plan(&fed, &Pipeline::from_json(&pipeline.to_string()).expect("it is one"), "home", None)
}

fn of(node: usize) -> Value {
    json!({"node": node, "path": []})
}

fn operation(node: usize, block: Option<usize>, site: Value) -> Value {
    json!({"kind": "operation", "node": node, "block": block, "operation": "t.Op", "class": "t.Op", "site": site,
        "provider": null, "after": [], "arguments": {}})
}

fn rounds(node: usize, block: Option<usize>) -> Value {
    json!({"kind": "repeat", "node": node, "block": block, "after": [], "start": {}, "at_most": 1})
}

fn again(node: usize, rounds: usize, until: usize) -> Value {
    json!({"kind": "again", "node": node, "block": rounds, "after": [], "repeat": rounds, "next": {},
        "until": {"truth": of(until)}})
}

fn outcome(node: usize, block: Option<usize>, rounds: usize) -> Value {
    json!({"kind": "outcome", "node": node, "block": block, "repeat": rounds})
}

fn collected(node: usize, block: Option<usize>, of_each: usize, value: usize) -> Value {
    json!({"kind": "collect", "node": node, "block": block, "after": [], "for_each": of_each, "value": of(value),
        "errors": "fail"})
}

/// So many rounds in each other, each done when the inner one has come to a result, the innermost when an operation at
/// `other` says so.
fn nested(depth: usize) -> Vec<Value> {
    let around = |level: usize| level.checked_sub(1);
    let begins = (0..depth).map(|level| rounds(level, around(level)));
    let innermost = operation(depth, around(depth), json!("other"));
    let ends = (0..depth).rev().flat_map(|level| {
        let (end, done) = (3 * depth - 2 * level, 3 * depth - 2 * level - 1);
        let until = if level + 1 == depth { depth } else { done - 1 };
        [again(done, level, until), outcome(end, around(level), level)]
    });
    begins.chain([innermost]).chain(ends).collect()
}

#[test]
fn rounds_are_where_their_innermost_decision_is() {
    let plan = planned(&nested(99)).expect("it is as deep as is allowed");
    let [home, other] = &plan.nets[..] else { panic!("it has {} nets", plan.nets.len()) };
    assert_eq!((home.transitions.len(), other.transitions.len()), (0, 4 * 99 + 1), "all of it is at one site");
}

#[test]
fn what_lies_deeper_is_refused_once() {
    let problems = planned(&nested(120)).expect_err("no site runs that");
    let told: Vec<(&str, &str)> = problems.iter().map(|one| (one.code.as_str(), one.message.as_str())).collect();
    assert_eq!(told, [("plan-block", "it lies in 99 blocks already, and at most 99 lie in each other")]);
    assert_eq!(problems[0].node, Some(dfm_net::NodeId::Number(99)));
}

#[test]
fn rounds_whose_end_nothing_but_themselves_decides_are_at_home() {
    let plan = planned(&[
        json!({"kind": "try_from_cache", "node": 0, "block": null, "after": [], "key": [{"literal": 1}], "site": null}),
        rounds(1, Some(0)),
        json!({"kind": "for_each", "node": 2, "block": 1, "after": [], "sequence": of(1)}),
        collected(3, Some(1), 2, 2),
        again(4, 1, 3),
        outcome(5, Some(0), 1),
        json!({"kind": "write_to_cache", "node": 6, "block": 0, "after": [], "cache": 0, "value": of(5)}),
    ]);
    assert_eq!(plan.expect("it is valid").nets.len(), 1);
}

/// The loop's body waits for what rounds have made; how many there are is decided after the operation that makes the loop's
/// elements. So it waits for that one's end, and must not take its elements as they come.
#[test]
fn a_loop_that_waits_for_rounds_waits_for_what_decides_on_them() {
    let decides = json!({"kind": "operation", "node": 2, "block": 1, "operation": "t.Op", "class": "t.Op", "site": "home",
        "provider": null, "after": [0], "arguments": {}});
    let plan = planned(&[
        operation(0, None, json!("home")),
        rounds(1, None),
        decides,
        operation(3, Some(1), json!("home")),
        again(4, 1, 2),
        collected(5, None, 1, 3),
        json!({"kind": "for_each", "node": 6, "block": null, "after": [], "sequence": of(0)}),
        json!({"kind": "if", "node": 7, "block": 6, "after": [], "condition": {"truth": of(5)}}),
    ]);
    let plan = plan.unwrap_or_else(|problems| panic!("{problems:?}"));
    let streams = plan.nets[0]
        .transitions
        .iter()
        .flat_map(|one| &one.outputs)
        .filter(|arc| matches!(arc.carry, Carry::Stream(_)));
    assert_eq!(streams.count(), 0);
}
