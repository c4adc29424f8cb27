//! Does any text make the reader of saved pipelines, or the planner behind it, panic?

#![no_main]

use dfm_fuzz::FED;
use dfm_plan::{Options, Pipeline, plan_and_estimate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(pipeline) = Pipeline::from_json(text) {
        let _ = plan_and_estimate(&FED, &pipeline, "home", &Options::default());
    }
});
