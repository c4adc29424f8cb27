//! Does any text make the reader of saved pipelines, or the planner behind it, panic?

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use dfm_config::load;
use dfm_plan::{FedInfo, Options, Pipeline, plan_and_estimate};
use libfuzzer_sys::fuzz_target;

const FEDERATION: &str = include_str!("../../tests/python/small/federation.dfm.yaml");

static FED: LazyLock<FedInfo> = LazyLock::new(|| {
    let options = dfm_config::Options { patch: None, fetch: Some(|_| Ok(FEDERATION.as_bytes().to_vec())) };
    let loaded = load(Path::new("http://f/f.dfm.yaml"), &options).expect("the tests load it too");
    FedInfo::from_json(&dfm_codegen::fed_info(&loaded.federation).to_string()).expect("what dfm writes")
});

fuzz_target!(|text: &str| {
    if let Ok(pipeline) = Pipeline::from_json(text) {
        let _ = plan_and_estimate(&FED, &pipeline, "home", &Options::default());
    }
});
