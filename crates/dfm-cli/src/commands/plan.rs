//! How does `dfm fed plan` say where each node of a pipeline would run?

use std::path::Path;

use dfm_config::Caller;
use dfm_diag::{Diagnostic, one_line};
use dfm_plan::Options;
use serde_json::json;

use super::planned::{Planned, Source, fed_info, planned, report};
use super::{calling, crossing, network};
use crate::application::homesite;
use crate::args::Plan;
use crate::chosen::federation;
use crate::context::{Context, Failure};

/// Plans with what the configuration says now, whether its code was generated or not.
///
/// # Errors
/// Wrong usage, a file that holds no pipeline, or a pipeline that the federation cannot run.
pub fn run(context: &Context, args: &Plan) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    let home = homesite(&chosen, args.homesite.as_deref())?;
    let mut fed = fed_info(&chosen)?;
    network::change(&mut fed, &network::read(context, &chosen, args.network.as_deref())?);
    let source = Source { path: &args.path, args: &args.args, home: &home };
    let options = Options { elements: f64::from(args.elements), ..Options::default() };
    let Planned { pipeline, plan, estimate, lines } = planned(context, &chosen, &source, &fed, &options)?;
    let policies = crossing::policies(&chosen, &args.policy_of)?;
    let leaving = crossing::told(dfm_plan::crossings(&plan), &chosen.federation, &policies);
    let user = args.user.as_deref();
    let caller = user.map(|user| Caller { user, organisation: &args.organisation, role: &args.role });
    let calls = caller.map_or(vec![], |caller| calling::judged(&plan.placements, &policies, caller));
    let mut refused = calling::refused(&calls, user.unwrap_or_default());
    refused.extend(crossing::refused(&leaving));
    if !refused.is_empty() {
        return Err(Failure::failed(report(refused, &lines)));
    }
    if let Some(file) = &args.svg {
        write(context, file, &dfm_plan::picture(&estimate, None), "drawn")?;
    }
    if let Some(file) = &args.mermaid {
        write(context, file, &dfm_plan::mermaid(&estimate), "written")?;
    }
    if let Some(file) = &args.save {
        write(context, file, &dfm_plan::saved(&plan, &pipeline), "saved")?;
    }
    if context.output.json {
        let warnings = [&plan.warnings[..], &plan.sums].concat();
        context.output.document(&json!({"homesite": home, "placements": plan.placements, "params": plan.params,
            "yields": plan.yields, "warnings": warnings, "estimate": estimate, "leaving": leaving, "calls": calling::documents(&calls)}));
    } else {
        context.output.result(&dfm_plan::explain(&plan, &estimate));
        if !leaving.is_empty() {
            context.output.result("what leaves a site, and what it is declared to tell:");
        }
        for line in crossing::lines(&leaving) {
            context.output.result(&format!("  {line}"));
        }
        if let Some(user) = user.filter(|_| !calls.is_empty()) {
            context.output.result(&one_line(&format!("what the policies say of calls by user '{user}':")));
        }
        for line in calling::lines(&calls) {
            context.output.result(&format!("  {line}"));
        }
    }
    Ok(())
}

fn write(context: &Context, file: &Path, text: &str, done: &str) -> Result<(), Failure> {
    dfm_config::write_file(file, text).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", file.display());
        Failure::failed(Diagnostic::error("plan-not-written", message))
    })?;
    context.output.status(&format!("{done}: {}", context.shown(file).display()));
    Ok(())
}
