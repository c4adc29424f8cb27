//! Do parts of an aggregation over sites meet on their way where that is sooner, and only where it changes nothing?

use dfm_plan::{
    FedInfo, Options, Pipeline, Plan, Problem, crossings, explain, leaving, plan, plan_and_estimate, saved,
};
use serde_json::{Map, Value, json};

/// Two regions of three sites each, with a fast link inside, whose first site alone has a fast link home. All offer the
/// operations; `order` says whether the order of what is put together counts.
fn federation(order: bool) -> FedInfo {
    let offer = |operation: &str, parameters: Value, size: f64| {
        json!({"operation": operation, "provider": null, "parameters": parameters, "required": parameters,
            "compute_cost": {"fixed_time": 0.001, "fixed_size": size}})
    };
    let offers = json!([offer("t.Fit", json!([]), 1e6), offer("t.Sum", json!(["parts"]), 1e6)]);
    let (near, far) = (json!({"fixed_time": 0.001, "bandwidth": 1e9}), json!({"fixed_time": 0.1, "bandwidth": 1e5}));
    let mut sites = Map::from_iter([("home".to_owned(), json!({"offers": [offers[1]], "send_cost": {}}))]);
    for region in ["a", "b"] {
        for number in 1..4 {
            let mut ways: Map<String, Value> = (1..4)
                .filter(|other| *other != number)
                .map(|other| (format!("{region}{other}"), near.clone()))
                .collect();
            ways.insert("home".to_owned(), if number == 1 { near.clone() } else { far.clone() });
            sites.insert(format!("{region}{number}"), json!({"offers": offers, "send_cost": ways}));
        }
    }
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0", "sites": sites, "operations": {
        "t.Fit": {"parameters": {}},
        "t.Sum": {"parameters": {"parts": {"required": true}}, "reduce": {"commutative": !order}}}});
    FedInfo::from_json(&info.to_string()).expect("it is written here")
}

/// Each site fits, and what they make is put together at home.
fn statements() -> Value {
    json!([
        {"kind": "each_site", "node": 0, "offers": ["t.Fit"], "sites": null, "at_least": null, "errors": "fail"},
        {"kind": "operation", "node": 1, "block": 0, "operation": "t.Fit", "site": {"each_site": 0}, "arguments": {}},
        {"kind": "gather", "node": 2, "each_site": 0, "value": {"node": 1}, "missing": false},
        {"kind": "operation", "node": 3, "operation": "t.Sum", "site": "home", "arguments": {"parts": {"node": 2}}},
        {"kind": "yield", "node": 4, "place": "sum", "value": {"node": 3}},
    ])
}

fn document(statements: &Value) -> String {
    json!({"dfm_pipeline": 1, "mode": "execute", "statements": statements}).to_string()
}

fn planned(fed: &FedInfo, statements: &Value) -> Result<Plan, Vec<Problem>> {
    plan(fed, &Pipeline::from_json(&document(statements)).expect("it is written here"), "home", None)
}

/// Where parts of node 3 meet.
fn meets(fed: &FedInfo, statements: &Value) -> Vec<String> {
    let plan = planned(fed, statements).expect("it can be planned");
    let meets = plan.meets.iter().flat_map(|(_, meets)| meets);
    meets.map(|meeting| format!("{} at {}", meeting.of.join(" "), meeting.site)).collect()
}

#[test]
fn parts_meet_where_the_way_home_is_short() {
    let pipeline = Pipeline::from_json(&document(&statements())).expect("it is written here");
    let (plan, estimate) =
        plan_and_estimate(&federation(false), &pipeline, "home", &Options::default()).expect("it can be planned");
    insta::assert_snapshot!(explain(&plan, &estimate));
    assert_eq!(meets(&federation(false), &statements()), ["a1 a2 a3 at a1", "b1 b2 b3 at b1"]);
}

#[test]
fn what_lies_between_others_does_not_meet_them_where_the_order_counts() {
    let mut fed = federation(true);
    assert_eq!(meets(&fed, &statements()), ["a1 a2 a3 at a1", "b1 b2 b3 at b1"]);
    let (from, to) = (fed.sites.get_index_of("b1").unwrap(), fed.sites.get_index_of("a2").unwrap());
    fed.sites.swap_indices(from, to); // a1 b1 a3 a2 b2 b3
    assert_eq!(meets(&fed, &statements()), ["b2 b3 at b1"; 0]);
}

#[test]
fn a_saved_plan_leaves_nothing_open() {
    let fed = federation(false);
    let first = planned(&fed, &statements()).expect("it can be planned");
    let text = saved(&first, &document(&statements()));
    let again =
        plan(&fed, &Pipeline::from_json(&text).expect("it was saved"), "home", None).expect("it can be planned");
    assert_eq!((&again.nets, &again.meets), (&first.nets, &first.meets));

    let mut near = fed.clone();
    for site in near.sites.values_mut() {
        site.send_cost.values_mut().for_each(|cost| (cost.fixed_time, cost.bandwidth) = (0.001, Some(1e9)));
    }
    assert_eq!(meets(&near, &statements()), [""; 0]);
    let kept =
        plan(&near, &Pipeline::from_json(&text).expect("it was saved"), "home", None).expect("it can be planned");
    assert_eq!(kept.meets, first.meets);
    let straight = saved(&planned(&near, &statements()).expect("it can be planned"), &document(&statements()));
    let kept = plan(&fed, &Pipeline::from_json(&straight).expect("it was saved"), "home", None);
    assert_eq!(kept.expect("it can be planned").meets[0].1, []);
}

#[test]
fn nothing_meets_where_a_result_could_change() {
    let fed = federation(false);
    let with = |why: &str, change: &dyn Fn(&mut Vec<Value>)| {
        let mut statements = statements().as_array().expect("it is a list").clone();
        change(&mut statements);
        let pipeline = Pipeline::from_json(&document(&json!(statements))).expect("it is written here");
        let (plan, estimate) = plan_and_estimate(&fed, &pipeline, "home", &Options::default())
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(plan.meets, [], "{statements:?}");
        let told = explain(&plan, &estimate);
        let told: Vec<&str> =
            told.lines().filter_map(|line| line.split("its parts go straight to it: ").nth(1)).collect();
        assert_eq!(told.join("; "), why, "{statements:?}");
    };
    with("`at_least` may leave some out", &|statements| statements[0]["at_least"] = json!(3));
    with("`errors=\"skip\"` may leave some out", &|statements| statements[0]["errors"] = json!("skip"));
    with("`errors=\"keep\"` puts errors into their collection", &|statements| statements[0]["errors"] = json!("keep"));
    with("", &|statements| statements[2]["missing"] = json!(true));
    with("", &|statements| statements[3]["arguments"]["parts"]["path"] = json!([{"key": "a1"}]));
    with("something else uses their collection too", &|statements| {
        statements[4]["value"] = json!({"list": [{"node": 3}, {"node": 2}]});
    });
    with("it is in another block than their collection", &|statements| {
        statements[3]["block"] = json!(9);
        statements.insert(3, json!({"kind": "if", "node": 9, "condition": {"truth": {"literal": 1}}}));
        statements[5]["block"] = json!(9);
    });
    with("a condition may leave one out at a site", &|statements| {
        statements[1]["block"] = json!(9);
        statements.insert(1, json!({"kind": "if", "node": 9, "block": 0, "condition": {"truth": {"literal": 1}}}));
    });
    let mut undeclared = fed.clone();
    undeclared.operations["t.Sum"].reduce = None;
    assert_eq!(meets(&undeclared, &statements()), [""; 0]);
}

/// What a site says in a secure sum goes home, whatever is sooner; the values that go to an aggregation may meet beside that.
#[test]
fn nothing_of_a_secure_sum_meets_on_its_way() {
    let mut written = statements();
    let secure = json!({"kind": "secure_sum", "node": 5, "each_site": 0, "value": {"node": 1}, "bound": 1e6,
        "precision": 1e-6, "mean": false});
    let given = json!({"kind": "yield", "node": 6, "place": "secure", "value": {"node": 5}});
    written.as_array_mut().expect("it is a list").extend([secure, given]);
    let mut fed = federation(false);
    // Nor where somebody has written that a step of it may be.
    let step = json!({"parameters": {"masked": {"required": true}}, "reduce": {"commutative": true}});
    fed.operations.insert("secure-sum.added".to_owned(), serde_json::from_value(step).expect("it is an operation"));
    let plan = planned(&fed, &written).unwrap_or_else(|problems| panic!("{problems:?}"));
    let meets: Vec<String> = plan.meets.iter().map(|(node, meets)| format!("{node:?} {}", meets.len())).collect();
    assert_eq!(meets, ["Number(3) 2"]);
    let added = plan.placements.iter().filter(|one| one.operation == "secure-sum.added");
    assert_eq!(added.map(|one| one.site.as_str()).collect::<Vec<_>>(), ["home"]);
    let masked = crossings(&plan).into_iter().filter(|one| one.what == "secure-sum.masked");
    assert!(
        masked.clone().count() == 6 && masked.clone().all(|one| one.to == "home"),
        "{:?}",
        masked.collect::<Vec<_>>()
    );
}

#[test]
fn a_value_that_meets_others_is_said_to_leave_its_site_for_them() {
    let plan = planned(&federation(false), &statements()).expect("it can be planned");
    let found =
        crossings(&plan).into_iter().map(|one| format!("{} > {}: {}", one.from, one.to, one.operations.join(" ")));
    insta::assert_json_snapshot!(found.collect::<Vec<_>>());
}

#[test]
fn what_leaves_a_site_is_told_once_for_the_operations_that_it_is_of() {
    let mut written = statements();
    let again = json!({"kind": "gather", "node": 5, "each_site": 0, "value": {"node": 1}});
    let given = json!({"kind": "yield", "node": 6, "place": "again", "value": {"node": 5}});
    written.as_array_mut().expect("it is a list").extend([again, given]);
    let plan = planned(&federation(false), &written).expect("it can be planned");
    let mut groups: Vec<(String, Vec<String>)> =
        crossings(&plan).into_iter().map(|one| (one.from, one.operations)).collect();
    let all = groups.len();
    groups.sort();
    groups.dedup();
    assert!(groups.len() < all, "some leave twice: {groups:?}");
    let told = leaving(&plan).into_iter();
    let told = told.flat_map(|(site, groups)| groups.into_iter().map(move |group| (site.to_owned(), group)));
    let mut told: Vec<_> = told.collect();
    told.sort();
    assert_eq!(told, groups);
}

#[test]
fn parts_that_cannot_meet_there_are_refused() {
    let refused = |fed: &FedInfo, meets: Value| {
        let mut statements = statements();
        statements[3]["meets"] = meets;
        let problems = planned(fed, &statements).expect_err("it cannot be");
        problems.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect::<Vec<_>>()
    };
    let meeting = |site: &str, of: &[&str]| json!([{"site": site, "of": of}]);
    let (free, ordered) = (federation(false), federation(true));
    let mut undeclared = free.clone();
    undeclared.operations["t.Sum"].reduce = None;
    insta::assert_json_snapshot!([
        refused(&free, meeting("nowhere", &["a1", "a2"])),
        refused(&free, meeting("a1", &["a1"])),
        refused(&free, meeting("a1", &["a1", "a1"])),
        refused(&free, meeting("a1", &["a1", "c1"])),
        refused(&free, meeting("a1", &["a2", "a3"])),
        refused(&ordered, meeting("home", &["a1", "a3"])),
        refused(&undeclared, meeting("a1", &["a1", "a2"])),
    ]);
}

/// A tree has as many levels as end sooner.
#[test]
fn what_was_put_together_meets_again() {
    let count = 64;
    let offer = |operation: &str, parameters: Value, cost: Value| {
        json!({"operation": operation, "provider": null, "parameters": parameters, "required": parameters,
            "compute_cost": cost})
    };
    let offers = json!([
        offer("t.Fit", json!([]), json!({"fixed_size": 1e6})),
        offer("t.Sum", json!(["parts"]), json!({"compute_throughput": 1e6, "fixed_size": 1e6}))
    ]);
    let mut sites: Map<String, Value> = (0..count).map(|at| (format!("s{at}"), json!({"offers": offers}))).collect();
    sites.insert("home".to_owned(), json!({"offers": [offers[1]]}));
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0", "sites": sites, "operations": {
        "t.Fit": {"parameters": {}},
        "t.Sum": {"parameters": {"parts": {"required": true}}, "reduce": {"commutative": true}}}});
    let mut fed = FedInfo::from_json(&info.to_string()).expect("it is written here");
    fed.other_send_cost = Some(dfm_plan::SendCost { fixed_time: 0.01, bandwidth: None });
    let pipeline = Pipeline::from_json(&document(&statements())).expect("it is written here");
    let (plan, estimate) = plan_and_estimate(&fed, &pipeline, "home", &Options::default()).expect("it can be planned");
    let end = estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max);
    // Straight, 64 s; with eight hubs, 8 s and 8 s; with more levels less, which a last one is no longer.
    assert!(end < 17.0, "{end}");
    assert!(plan.meets[0].1.len() >= 8);
}
