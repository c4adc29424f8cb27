//! How does a command come to the plan of a user's pipeline?

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use dfm_diag::{Diagnostic, Report, Span};
use dfm_plan::{Estimate, FedInfo, Options, Pipeline, Plan, Problem};
use serde::Serialize;
use serde_json::Value;

use crate::application::{interpreter, set_environment};
use crate::chosen::Chosen;
use crate::context::{Context, Failure};

/// Where a pipeline comes from.
pub struct Source<'a> {
    /// A Python file, or a saved pipeline.
    pub path: &'a Path,
    /// What a Python file is given.
    pub args: &'a [OsString],
    /// The site that the application belongs to.
    pub home: &'a str,
}

/// A pipeline and its plan.
pub struct Planned {
    /// The pipeline's JSON.
    pub pipeline: String,
    /// Its plan.
    pub plan: Plan,
    /// What to expect of a run.
    pub estimate: Estimate,
    /// Where its nodes were written.
    pub lines: Lines,
}

/// What the planner knows of a federation, from what its configuration says now.
///
/// # Errors
/// Never for a configuration that was loaded.
pub fn fed_info(chosen: &Chosen) -> Result<FedInfo, Failure> {
    FedInfo::from_json(&dfm_codegen::fed_info(&chosen.federation).to_string())
        .map_err(|problem| Failure::failed(report(vec![problem], &Lines::new())))
}

/// Plans a pipeline, whether the federation's code was generated or not.
///
/// # Errors
/// A file that holds no pipeline, or a pipeline that the federation cannot run.
pub fn planned(
    context: &Context,
    chosen: &Chosen,
    source: &Source<'_>,
    fed: &FedInfo,
    options: &Options<'_>,
) -> Result<Planned, Failure> {
    let (text, lines) = read(context, chosen, source)?;
    let problems = |problems: Vec<Problem>| Failure::failed(report(problems, &lines));
    let pipeline = Pipeline::from_json(&text).map_err(|problem| {
        let at = problem.at;
        Failure::failed(in_file(report(vec![problem], &lines), source, &text, at))
    })?;
    let (plan, estimate) = dfm_plan::plan_and_estimate(fed, &pipeline, source.home, options).map_err(problems)?;
    Ok(Planned { pipeline: text, plan, estimate, lines })
}

/// Node → the user's line.
pub type Lines = HashMap<String, String>;

/// The pipeline as JSON. Only a Python file, and what another program has saved, needs Python.
fn read(context: &Context, chosen: &Chosen, source: &Source<'_>) -> Result<(String, Lines), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let message = format!("`{}` cannot be read: {error}", source.path.display());
        Failure::wrong(Diagnostic::error("plan-no-file", message))
    };
    if source.path.extension().is_some_and(|extension| extension == "json") {
        let text = fs::read_to_string(source.path).map_err(|error| unreadable(&error))?;
        if !is_elsewhere(&text) {
            return Ok((text, Lines::new()));
        }
    }
    fs::metadata(source.path).map_err(|error| unreadable(&error))?;
    let mut command = interpreter(context, "dfm._command.plan")?;
    command.arg(source.path).args(source.args).stderr(Stdio::inherit());
    set_environment(&mut command, chosen, source.home)?;
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

/// Whether it is a pipeline as `nv-dfm-core` saves it, which only `dfm.api` reads.
fn is_elsewhere(text: &str) -> bool {
    serde_json::from_str::<Value>(text)
        .is_ok_and(|document| document.get("dfm_body").is_some() && document.get("dfm_pipeline").is_none())
}

/// The user's line of a node.
fn place(node: &impl Serialize, lines: &Lines) -> String {
    let node = serde_json::to_string(node).unwrap_or_default();
    lines.get(&node).cloned().unwrap_or_else(|| format!("node {node}"))
}

/// What is wrong with a saved pipeline, with its file and the place there.
fn in_file(mut report: Report, source: &Source<'_>, text: &str, at: Option<(usize, usize)>) -> Report {
    let name = source.path.display().to_string();
    let file = report.sources.add(&name, text);
    for diagnostic in &mut report.diagnostics {
        diagnostic.message = format!("`{name}`: {}", diagnostic.message);
        diagnostic.span = at.map(|(line, column)| {
            let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
            let start = before + column.saturating_sub(1);
            Span { file, start, end: start + 1 }
        });
    }
    report
}

/// Problems with the user's lines.
pub fn report(problems: Vec<Problem>, lines: &Lines) -> Report {
    let mut report = Report::default();
    for problem in problems {
        let at = problem.node.map(|node| format!("{}: ", place(&node, lines)));
        let mut message = at.unwrap_or_default() + &problem.message;
        for also in problem.also {
            message += &format!("\n  {}: {}", place(&also.node, lines), also.message);
        }
        // A diagnostic's code is static, the command's end is near, and problems are few.
        let diagnostic = Diagnostic::error(problem.code.leak(), message);
        report.diagnostics.push(match problem.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
    report
}
