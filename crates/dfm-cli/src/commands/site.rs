//! How does `dfm site policy check` show what is wrong with a site's policy?

use dfm_diag::{Diagnostic, Report};
use serde_json::json;

use super::{Context, Failure};
use crate::args::{Policy, Site};

/// Says what a policy decides.
///
/// # Errors
/// Everything that is wrong with it.
pub fn run(context: &Context, command: &Site) -> Result<(), Failure> {
    let Site::Policy(Policy::Check { file }) = command;
    let policy = dfm_config::policy(file).map_err(Failure::wrong)?;
    let decided = serde_json::to_value(&policy)
        .map_err(|error| Failure::failed(Report::from(Diagnostic::error("policy-unwritable", error.to_string()))))?;
    if context.output.json {
        context.output.document(&json!({"file": file, "policy": decided}));
        return Ok(());
    }
    context.output.result(&format!("errors: {}", policy.errors));
    for (limit, value) in decided["limits"].as_object().into_iter().flatten() {
        context.output.result(&format!("{}: {value}", limit.replace('_', "-")));
    }
    Ok(())
}
