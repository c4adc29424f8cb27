//! How does `dfm fed plan` say where each node of a pipeline would run?

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use dfm_diag::{Diagnostic, Report};
use dfm_plan::{FedInfo, Pipeline, Problem};
use serde_json::{Value, json};

use super::submit::{homesite, interpreter, set_environment};
use super::{Chosen, Context, Failure, federation};
use crate::args::Plan;

/// Plans with what the configuration says now, whether its code was generated or not.
///
/// # Errors
/// Wrong usage, a file that holds no pipeline, or a pipeline that the federation cannot run.
pub fn run(context: &Context, args: &Plan) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    let home = homesite(&chosen, args.homesite.as_deref())?;
    let (text, lines) = read(context, &chosen, args, &home)?;
    let problems = |problems: Vec<Problem>| Failure::failed(report(problems, &lines));
    let fed = FedInfo::from_json(&dfm_codegen::fed_info(&chosen.federation).to_string());
    let fed = fed.map_err(|problem| problems(vec![problem]))?;
    let pipeline = Pipeline::from_json(&text).map_err(|problem| problems(vec![problem]))?;
    let (plan, estimate) = dfm_plan::plan_and_estimate(&fed, &pipeline, &home, None).map_err(problems)?;
    if let Some(file) = &args.svg {
        write(context, file, &dfm_plan::picture(&estimate), "drawn")?;
    }
    if let Some(file) = &args.save {
        write(context, file, &dfm_plan::saved(&plan, &text), "saved")?;
    }
    if context.output.json {
        context.output.document(&json!({"homesite": home, "placements": plan.placements, "params": plan.params,
            "yields": plan.yields, "warnings": plan.warnings, "estimate": estimate}));
    } else {
        context.output.result(&dfm_plan::explain(&plan, &estimate));
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

/// Node → the user's line.
type Lines = HashMap<String, String>;

/// The pipeline as JSON. Only a Python file needs Python.
fn read(context: &Context, chosen: &Chosen, args: &Plan, home: &str) -> Result<(String, Lines), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let message = format!("`{}` cannot be read: {error}", args.path.display());
        Failure::wrong(Diagnostic::error("plan-no-file", message))
    };
    if args.path.extension().is_some_and(|extension| extension == "json") {
        let text = fs::read_to_string(&args.path).map_err(|error| unreadable(&error))?;
        return Ok((text, Lines::new()));
    }
    fs::metadata(&args.path).map_err(|error| unreadable(&error))?;
    let mut command = interpreter(context)?;
    command.args(["-P", "-m", "dfm._plan"]).arg(&args.path).args(&args.args).stderr(Stdio::inherit());
    set_environment(&mut command, chosen, home)?;
    let output = command.output().map_err(|error| unreadable(&error))?;
    if !output.status.success() {
        // Python has told why.
        return Err(Failure { exit: 2, report: Report::default() });
    }
    let document: Value = serde_json::from_slice(&output.stdout).map_err(|error| unreadable(&error))?;
    let lines = document["lines"].as_array().into_iter().flatten();
    let lines = lines.filter_map(|line| Some((line[0].to_string(), line[1].as_str()?.to_owned()))).collect();
    Ok((document["pipeline"].to_string(), lines))
}

fn report(problems: Vec<Problem>, lines: &Lines) -> Report {
    let mut report = Report::default();
    for problem in problems {
        let node = problem.node.as_ref().and_then(|node| serde_json::to_string(node).ok());
        let place = node.map(|node| lines.get(&node).cloned().unwrap_or(format!("node {node}")));
        let message = place.map(|place| format!("{place}: ")).unwrap_or_default() + &problem.message;
        // A diagnostic's code is static, the command's end is near, and problems are few.
        let diagnostic = Diagnostic::error(problem.code.leak(), message);
        report.diagnostics.push(match problem.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
    report
}
