//! Whom a pipeline in discovery mode asks, and where it may not be used.

use dfm_net::{Argument, Step};
use dfm_plan::{FedInfo, Pipeline, Plan, Problem, discover, explain_discovery, plan};
use serde_json::{Value, json};

fn federation() -> FedInfo {
    let offer = |provider: Value| json!({"operation": "a.Find", "provider": provider, "parameters": ["city", "month"], "required": ["city"]});
    let info = json!({
        "format": 1, "code_package": "atlas", "api_version": "0.0.1",
        "operations": {"a.Find": {"parameters": {"city": {"required": true}, "month": {"required": false}}}},
        "sites": {"home": {}, "east": {"offers": [offer(json!(null)), offer(json!("archive"))]},
            "west": {"offers": [offer(json!(null))]}},
    });
    FedInfo::from_json(&info.to_string()).expect("it is written here")
}

fn pipeline(mode: &str, statements: Value) -> Pipeline {
    let document = json!({"dfm_pipeline": 1, "mode": mode, "package": "atlas", "api_version": "0.0.1",
        "statements": statements});
    Pipeline::from_json(&document.to_string()).expect("it is written here")
}

fn find(node: u32, site: Value, city: Value, month: Value) -> Value {
    json!({"kind": "operation", "node": node, "operation": "a.Find", "site": site,
        "arguments": {"city": city, "month": month}})
}

fn discovered(statements: Value) -> Result<Plan, Vec<Problem>> {
    discover(&federation(), &pipeline("discovery", statements), "home", None)
}

#[test]
fn every_site_and_provider_is_asked_that_the_pipeline_allows() {
    let advise = || json!({"advise": true});
    let mut inside = find(3, json!({"best_of": ["east"]}), json!({"node": 2}), advise());
    inside["block"] = json!(2);
    let made = discovered(json!([
        find(0, advise(), advise(), json!({"literal": "May"})),
        find(1, json!("west"), json!({"node": 0}), json!({"param": "when"})),
        {"kind": "for_each", "node": 2, "sequence": {"node": 0}},
        inside,
        {"kind": "yield", "node": 4, "place": "found", "value": {"node": 1}},
    ]))
    .expect("it is valid");
    insta::assert_snapshot!(explain_discovery(&made));
    assert_eq!(dfm_net::check_whole(&made.nets), Ok(()));
    assert_eq!(made.yields, ["_dfm_discovery_"]);
    let west = made.nets.iter().find(|net| net.site == "west").expect("it is asked");
    let asked = west.transitions.iter().map(|transition| match &transition.step {
        Step::Call { operation, arguments, .. } if operation == "_dfm_discovery_" => {
            let literal = |(name, argument): &(String, Argument)| match argument {
                Argument::Literal(value) => (name.clone(), value.clone()),
                _ => panic!("it depends on nothing"),
            };
            arguments.iter().map(literal).collect::<serde_json::Map<_, _>>()
        }
        other => panic!("{other:?}"),
    });
    let expected = [
        json!({"operation": "a.Find", "provider": null, "given": {"month": "May"}, "asked": ["city"], "unknown": [],
            "seconds": null}),
        json!({"operation": "a.Find", "provider": null, "given": {}, "asked": [], "unknown": ["city", "month"],
            "seconds": null}),
    ];
    assert_eq!(asked.map(Value::Object).collect::<Vec<_>>(), expected);
}

#[test]
fn advise_belongs_to_an_operation_in_discovery_mode() {
    let told = |problems: Vec<Problem>| -> Vec<String> {
        problems.iter().map(|one| format!("{}: {} ({:?})", one.code, one.message, one.help)).collect()
    };
    let (advise, oslo) = (json!({"advise": true}), json!({"literal": "Oslo"}));
    let statements = json!([
        find(0, json!("west"), oslo.clone(), advise.clone()),
        find(1, advise.clone(), oslo.clone(), oslo),
        {"kind": "for_each", "node": 2, "sequence": advise},
    ]);
    let executed = plan(&federation(), &pipeline("execute", statements.clone()), "home", None);
    let executed = executed.expect_err("it asks");
    assert_eq!(executed.iter().filter(|one| one.code == "plan-advise").count(), 3);
    insta::assert_snapshot!(told(discovered(statements).expect_err("its loop asks")).join("\n"));
    let placed = plan(&federation(), &pipeline("discovery", json!([])), "home", None).expect_err("nothing is placed");
    insta::assert_snapshot!(told(placed).join("\n"));
}
