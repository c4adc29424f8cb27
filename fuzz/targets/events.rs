//! Does any file in the place of a job's record make what reads it panic?

#![no_main]

use dfm_events::{Flow, Kind, Step, Summary, compare, parse, timeline_chrome, timeline_svg, timeline_text};
use dfm_fuzz::write_seeds;
use dfm_plan::{Followed, followed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds("events", [SEED.as_bytes().to_vec()]), |text: &[u8]| {
    let Ok(record) = parse(text) else { return };
    let summary = Summary::new(&record);
    timeline_text(&record);
    timeline_chrome(&record);
    let svg = timeline_svg(&record);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "each place is a number");
    assert!(summary.nodes.iter().all(|node| node.seconds >= 0.0 && node.longest <= node.seconds));
    compare(summary.clone(), summary);
    let Some(plan) = &record.header.plan else { return };
    let flow = Flow::new(&record).expect("it has a plan");
    assert_eq!((flow.steps.len(), flow.edges.len()), (plan.steps.len(), plan.edges.len()));
    let steps: Vec<Followed<'_>> = plan.steps.iter().map(step).collect();
    let edges: Vec<(usize, usize, bool)> = plan.edges.iter().map(|edge| (edge.from, edge.to, edge.signal)).collect();
    followed(&steps, &edges);
});

fn step(step: &Step) -> Followed<'_> {
    Followed { node: &step.node, label: &step.label, site: &step.site, operation: step.kind == Kind::Call }
}

const SEED: &str = r#"{"dfm_events":1,"job":"a-1","federation":"small","pipeline":"greet","target":"local","homesite":"home","at":1000.0,"params":["name"],"nodes":[{"node":0,"operation":"work.Greet","site":"east","provider":null}],"plan":{"steps":[{"node":0,"label":"work.Greet","site":"east","kind":"call","levels":1},{"node":"out","label":"yield out","site":"home","kind":"yield","levels":1}],"edges":[{"from":0,"to":1}]}}
{"what":"started","frame":[0],"at":1000.5}
{"what":"fired","site":"east","node":0,"frame":[0],"at":1001.0,"seconds":0.25,"waited":0.5,"failed":true}
{"what":"sent","site":"east","node":0,"frame":[0],"to":"west","at":1001.25,"bytes":17}
{"what":"error","site":"east","node":0,"operation":"work.Greet","frame":[0],"kind":"ValueError","message":"no name","at":1001.5}
{"what":"left-out","site":"west","count":3}
{"what":"came","node":"out","frame":[0],"at":1001.75}
{"what":"more","site":"east","of":"sent","node":0,"to":"west","bytes":9,"count":18446744073709551615}
{"what":"resumed","at":1001.75}
{"what":"ended","at":1002.0,"status":"FAILED","frames":1,"tokens":1,"errors":0}
"#;
