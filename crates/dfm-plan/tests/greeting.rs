//! The greeting federation's plans, and what is said of pipelines that it cannot run.

use dfm_plan::{FedInfo, Pipeline, Plan, Problem, plan};
use serde_json::{Value, json};

fn federation() -> FedInfo {
    let offer = |provider: Value, parameters: Value, fixed_time: f64| {
        json!({"operation": "users.GreetMe", "provider": provider, "parameters": parameters, "required": ["name"],
            "compute_cost": {"fixed_time": fixed_time}})
    };
    let info = json!({
        "format": 1, "code_package": "examplefed", "api_version": "0.0.1",
        "operations": {
            "users.GreetMe": {"description": "", "returns": "string", "parameters": {"name": {"required": true}}},
            "users.Forget": {"description": "", "returns": null, "parameters": {}},
            "users.Meet": {"description": "", "returns": "Guest", "parameters": {
                "name": {"required": true, "type": "string"}, "age": {"required": false, "type": "number"},
                "guest": {"required": false, "type": "Guest"}, "more": {"required": false, "type": "object"}}},
        },
        "schemas": {"Guest": {"name": "string", "age": "integer"}, "Host": {}},
        "sites": {
            "server": {"offers": [offer(json!(null), json!(["name"]), 0.5), {"operation": "users.Meet", "provider": null,
                    "parameters": ["name", "age", "guest", "more"], "required": ["name"]}],
                "send_cost": {"concierge": {"fixed_time": 0.25, "bandwidth": 1e6}}},
            "concierge": {"offers": [offer(json!(null), json!(["name", "greeting"]), 2.0)],
                "send_cost": {"server": {"fixed_time": 0.25}}},
            "reception": {"offers": [
                offer(json!("day"), json!(["name"]), 0.1), offer(json!("night"), json!(["name"]), 0.2)]},
        },
    });
    FedInfo::from_json(&info.to_string()).expect("it is written here")
}

fn planned_for(statements: Value, allowed: Option<&[&str]>) -> Result<Plan, Vec<Problem>> {
    let document = json!({"dfm_pipeline": 1, "name": "greet", "mode": "execute", "package": "examplefed",
        "api_version": "0.0.1", "statements": statements});
    let pipeline = Pipeline::from_json(&document.to_string()).map_err(|problem| vec![problem])?;
    let allowed: Option<Vec<String>> = allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    plan(&federation(), &pipeline, "concierge", allowed.as_deref())
}

fn planned(statements: Value) -> Result<Plan, Vec<Problem>> {
    planned_for(statements, None)
}

fn greet(node: u32, site: Value, arguments: Value) -> Value {
    json!({"kind": "operation", "node": node, "operation": "users.GreetMe", "class": "examplefed.fed.api.users.GreetMe",
        "site": site, "provider": null, "after": [], "arguments": arguments})
}

fn yields(node: u32, place: &str, value: Value) -> Value {
    json!({"kind": "yield", "node": node, "place": place, "multiuse": false, "after": [], "value": value})
}

fn anywhere() -> Value {
    json!({"best_of": null})
}

#[test]
fn a_chain_over_two_sites_is_cut_at_their_border() {
    let mut last = yields(2, "greetings", json!({"node": 1, "path": []}));
    last["after"] = json!([0]);
    let statements = json!([
        greet(0, json!("server"), json!({"name": {"param": "who", "multiuse": false}})),
        greet(
            1,
            anywhere(),
            json!({"name": {"node": 0, "path": [{"attribute": "x"}]}, "greeting": {"encoded": "AAAA"}})
        ),
        last,
    ]);
    insta::assert_json_snapshot!(planned(statements).expect("it is valid"));
}

#[test]
fn the_best_site_is_chosen_and_said_why() {
    let literal = || json!({"name": {"literal": "World"}});
    let statements = json!([
        greet(0, anywhere(), literal()),
        yields(1, "a", json!({"node": 0})),
        greet(2, json!("reception"), literal()),
        greet(3, json!({"best_of": ["server"]}), literal()),
        greet(4, anywhere(), json!({"name": {"node": 2}})),
        yields(5, "echo", json!({"param": "said"})),
        greet(6, json!({"best_of": ["reception"]}), literal()),
        yields(7, "far", json!({"node": 6})),
    ]);
    let plan = planned_for(statements, Some(&["server", "reception", "concierge"])).expect("it is valid");
    let said: Vec<String> = plan
        .placements
        .iter()
        .map(|at| format!("{:?}: {} {:?}: {}", at.node, at.site, at.provider, at.why))
        .chain(plan.warnings.iter().map(|warning| format!("warning: {warning}")))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

fn meet(node: u32, arguments: Value) -> Value {
    let mut meet = greet(node, json!("server"), arguments);
    meet["operation"] = json!("users.Meet");
    meet
}

#[test]
fn a_result_goes_only_to_parameters_that_it_may_be_for() {
    let part = |of: u32, name: &str| json!({"node": of, "path": [{"attribute": name}]});
    let name = || json!({"literal": "x"});
    let fits = json!([
        greet(0, json!("server"), json!({"name": name()})),
        meet(1, json!({"name": {"node": 0}})),
        meet(2, json!({"name": part(1, "name"), "age": part(1, "age"), "guest": {"node": 1}, "more": {"node": 1}})),
        meet(3, json!({"name": part(1, "unknown"), "age": {"list": [{"node": 0}]}, "guest": {"param": "guest"}})),
        meet(4, json!({"name": {"node": 2, "path": [{"attribute": "name"}, {"index": 0}]}})),
    ]);
    assert_eq!(planned(fits).err(), None);
    let wrong = json!([
        greet(0, json!("server"), json!({"name": name()})),
        meet(1, json!({"name": {"node": 0}, "age": {"node": 0}, "guest": {"node": 0}})),
        meet(2, json!({"name": {"node": 1}, "age": part(1, "name")})),
        meet(3, json!({"name": part(1, "age")})),
    ]);
    let told = planned(wrong).expect_err("it is wrong");
    let told: Vec<String> = told.iter().map(|one| format!("{:?}: {}", one.node, one.message)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn every_problem_is_told() {
    let mut unknown = greet(3, anywhere(), json!({}));
    unknown["operation"] = json!("users.GretMe");
    let mut forget = greet(4, anywhere(), json!({}));
    forget["operation"] = json!("users.Forget");
    let mut other = greet(5, anywhere(), json!({"name": {"literal": "x"}}));
    other["provider"] = json!("dai");
    let mut late = greet(17, anywhere(), json!({"name": {"literal": "x"}}));
    late["after"] = json!([1]);
    let statements = json!([
        greet(0, json!("recepton"), json!({"name": {"literal": "x"}})),
        yields(1, "yield", json!({"node": 0})),
        yields(1, "yield", json!({"node": 0})),
        unknown,
        forget,
        other,
        greet(6, json!("server"), json!({"name": {"literal": "x"}, "greeting": {"literal": "y"}})),
        greet(7, anywhere(), json!({"nme": {"literal": "x"}})),
        greet(8, anywhere(), json!({})),
        greet(9, anywhere(), json!({"name": {"param": "p"}})),
        greet(10, anywhere(), json!({"name": {"param": "p", "multiuse": true}})),
        yields(11, "p", json!({"node": 9})),
        greet(13, anywhere(), json!({"name": {"node": 99}})),
        greet(14, anywhere(), json!({"name": {"node": 16}})),
        greet(15, anywhere(), json!({"name": {"node": 14}})),
        greet(16, anywhere(), json!({"name": {"node": 15}})),
        late,
        {"kind": "while", "node": 18},
    ]);
    let problems = planned(statements).expect_err("it is full of mistakes");
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            let help = problem.help.as_ref().map(|help| format!("\n    {help}")).unwrap_or_default();
            format!("{} {:?}: {}{help}", problem.code, problem.node, problem.message)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

fn told(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(|problem| format!("{}: {} ({:?})", problem.code, problem.message, problem.help)).collect()
}

#[test]
fn a_restriction_that_leaves_no_site_is_told_with_those_that_are_near() {
    let restricted = |site: Value, allowed: &[&str]| {
        let statements = json!([greet(0, site, json!({"name": {"literal": "x"}}))]);
        told(planned_for(statements, Some(allowed)).expect_err("no site is left")).join("\n")
    };
    let all = [
        restricted(json!("server"), &["concierge", "reception"]),
        restricted(json!({"best_of": ["server", "concierge"]}), &["reception"]),
        restricted(anywhere(), &[]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn sites_that_are_not_there_or_not_allowed_are_told() {
    let statements = || {
        json!([
            greet(0, json!("server"), json!({"name": {"literal": "x"}})),
            greet(1, json!({"best_of": ["server", "reception"]}), json!({"name": {"literal": "x"}})),
        ])
    };
    let restricted = told(planned_for(statements(), Some(&["concierge", "receptin"])).expect_err("it is restricted"));
    insta::assert_snapshot!(restricted.join("\n"));
    let empty = Pipeline::from_json(r#"{"dfm_pipeline": 1, "mode": "later", "package": "other", "statements": []}"#);
    let problems = plan(&federation(), &empty.expect("it is valid"), "lobby", None).expect_err("nothing is right");
    insta::assert_snapshot!(told(problems).join("\n"));
}

#[test]
fn literals_keep_their_last_digit() {
    let numbers = json!([5.551115123125783e-17, 1.7976931348623157e308, 0.1 + 0.2, u64::MAX]);
    let plan = planned(json!([greet(0, anywhere(), json!({"name": {"literal": numbers}}))])).expect("it is valid");
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).expect("it is data")).expect("it is data");
    assert_eq!(again, plan);
    assert!(format!("{plan:?}").contains("0.30000000000000004"));
}

#[test]
fn what_is_no_pipeline_is_told() {
    let told = |text: &str| {
        let problem = Pipeline::from_json(text).expect_err("it is no pipeline");
        format!("{:?} {}", problem.at, problem.message)
    };
    let statement = |statement: &str| format!(r#"{{"dfm_pipeline":1,"mode":"execute","statements":[{statement}]}}"#);
    let all = [
        told("{"),
        told("[]"),
        told("{}"),
        told(r#"{"dfm_pipeline": 2, "mode": "execute", "statements": []}"#),
        told(&statement(r#"{"kind": "operation", "node": 0}"#)),
        told(&statement(r#"{"node": 0}"#)),
        told(&statement(r#"{"kind": "yield", "node": 0, "place": "p", "value": {}}"#)),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn an_empty_pipeline_has_an_empty_net_at_home() {
    let plan = planned(json!([])).expect("it is valid");
    assert_eq!(plan.nets.len(), 1);
    assert!(plan.nets[0].site == "concierge" && plan.nets[0].transitions.is_empty());
}

#[test]
fn what_no_site_or_too_few_offer_is_told_with_what_asks_for_it() {
    let each = |at_least: Value, sites: Value| {
        json!({"kind": "each_site", "node": 0, "offers": ["users.GreetMe"], "sites": sites, "at_least": at_least,
            "errors": "fail"})
    };
    let body = |operation: &str, arguments: Value| {
        json!({"kind": "operation", "node": 1, "block": 0, "operation": operation, "site": {"each_site": 0},
            "provider": null, "after": [], "arguments": arguments})
    };
    let meet = || body("users.Meet", json!({"name": {"literal": "World"}}));
    let refused = |each, body| planned(json!([each, body])).expect_err("it cannot be planned");
    insta::assert_json_snapshot!([
        refused(each(json!(null), json!(null)), body("users.Forget", json!({}))),
        refused(each(json!(2), json!(null)), meet()),
        refused(each(json!(null), json!(["reception", "server"])), meet()),
        refused(each(json!(null), json!(null)), body("users.GreetMe", json!({"greeting": {"literal": "Hi"}}))),
    ]);
}
