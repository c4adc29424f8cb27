//! How does `dfm site` show what a site's policy decides, what is wrong with it, and what the site has written down?

use std::path::{Path, PathBuf};
use std::process::Command;

use dfm_config::{Caller, SitePolicy};
use dfm_diag::{Diagnostic, Report, one_line};
use serde_json::{Value, json};

use super::rules;
use crate::args::{Audit, Policy, Requests, Site};
use crate::context::{Context, Failure};
use crate::{child, program, python};

/// Does what a command says.
///
/// # Errors
/// Everything that is wrong with a policy or a log, or no such kit.
pub fn run(context: &Context, command: &Site) -> Result<(), Failure> {
    match command {
        Site::Policy(command) => policy(context, command),
        Site::Audit(Audit::Verify { kit, head }) => audit(context, "verify", kit, head),
        Site::Audit(Audit::Show { kit }) => audit(context, "show", kit, ""),
        Site::Audit(Audit::Export { kit }) => audit(context, "export", kit, ""),
        Site::Requests(command) => requests(context, command),
    }
}

/// Has Python, which has what checks signatures, read a site's log.
fn audit(context: &Context, what: &str, kit: &Path, head: &str) -> Result<(), Failure> {
    let format = if context.output.json { "json" } else { "text" };
    let mut command = asked("dfm._command.audit", what)?;
    command.arg(kit).args([format, head]);
    ran(command)
}

/// Has Python, whose sites keep them, read and decide requests.
fn requests(context: &Context, command: &Requests) -> Result<(), Failure> {
    let (what, kit, request, decided) = match command {
        Requests::List { kit } => ("list", kit, "", None),
        Requests::Show(one) => ("show", &one.kit, one.request.as_str(), None),
        Requests::Approve(decided) => ("approve", &decided.one.kit, decided.one.request.as_str(), Some(decided)),
        Requests::Deny(decided) => ("deny", &decided.one.kit, decided.one.request.as_str(), Some(decided)),
    };
    let (until, why) = decided.map_or(("", ""), |decided| (&decided.until, &decided.why));
    let like = if decided.is_some_and(|decided| decided.like_this) { "like" } else { "" };
    let format = if context.output.json { "json" } else { "text" };
    let mut command = asked("dfm._command.requests", what)?;
    command.arg(kit).args([request, until, like, why, format]);
    ran(command)
}

fn asked(module: &str, what: &str) -> Result<Command, Failure> {
    let mut command = program::module(python::find().map_err(Failure::failed)?, module);
    command.arg(what);
    Ok(command)
}

fn ran(mut command: Command) -> Result<(), Failure> {
    let ended = command.status().map_err(|error| Failure::failed(child::not_started("site-not-started", &error)))?;
    match ended.code() {
        Some(0) => Ok(()),
        code => {
            Err(Failure { exit: code.and_then(|code| code.try_into().ok()).unwrap_or(1), report: Report::default() })
        }
    }
}

fn policy(context: &Context, command: &Policy) -> Result<(), Failure> {
    match command {
        Policy::Check { file } => decided(context, file, &dfm_config::policy(file).map_err(Failure::wrong)?),
        Policy::Show { kit } => {
            let (file, policy) = in_force(kit)?;
            if !context.output.json && !file.exists() {
                context.output.status("the kit has no local/policy.yaml, so these defaults hold");
            }
            decided(context, &file, &policy)
        }
        Policy::Schema => {
            context.output.result(&format!("{:#}", dfm_config::policy_schema()));
            Ok(())
        }
        Policy::Explain { kit, operation, user, organisation, role } => {
            let (file, policy) = if kit.is_file() {
                (kit.clone(), dfm_config::policy(kit).map_err(Failure::wrong)?)
            } else {
                in_force(kit)?
            };
            explain(context, &file, &policy, Caller { user, organisation, role }, operation);
            Ok(())
        }
    }
}

/// A kit's policy file, which need not be there, and what holds.
fn in_force(kit: &Path) -> Result<(PathBuf, SitePolicy), Failure> {
    if !kit.join("local").is_dir() {
        let message = format!("`{}` is no startup kit: it has no folder `local`", kit.display());
        return Err(Failure::wrong(Diagnostic::error("policy-no-kit", message)));
    }
    let file = kit.join("local").join("policy.yaml");
    // A link that leads nowhere is broken, and no policy that is not there.
    if file.exists() || file.is_symlink() {
        let policy = dfm_config::policy(&file).map_err(Failure::wrong)?;
        return Ok((file, policy));
    }
    Ok((file, SitePolicy::default()))
}

fn decided(context: &Context, file: &Path, policy: &SitePolicy) -> Result<(), Failure> {
    let decided = serde_json::to_value(policy)
        .map_err(|error| Failure::failed(Report::from(Diagnostic::error("policy-unwritable", error.to_string()))))?;
    if context.output.json {
        context.output.document(&json!({"file": file, "policy": decided}));
        return Ok(());
    }
    let say = |text: String| context.output.result(&one_line(&text));
    say(format!("default: {}", rules::decision(policy.allow)));
    for rule in &policy.rules {
        say(format!("rule {}: {}", rule.name, rules::whole(rule)));
    }
    for (key, said) in [("errors", &policy.errors), ("logs", &policy.logs), ("traces", &policy.traces)] {
        say(format!("{key}: {said}"));
    }
    if !policy.publish.is_empty() {
        say(format!("publish: {}", policy.publish.join(", ")));
    }
    if let Some(audit) = &policy.audit {
        say(format!("audit parameters: {}", if audit.full { "full" } else { "digest" }));
        say(format!("audit when-full: {}", if audit.goes_on { "continue" } else { "stop" }));
        audit.folder.iter().for_each(|folder| say(format!("audit folder: {folder}")));
    }
    for of in ["leaves", "per_day", "limits"] {
        for (key, value) in decided[of].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let of = if of == "limits" { String::new() } else { format!("{of} ") };
            say(format!("{of}{key}: {value}").replace('_', "-"));
        }
    }
    Ok(())
}

fn explain(context: &Context, file: &Path, policy: &SitePolicy, caller: Caller<'_>, operation: &str) {
    let rules = policy.deciding_rules(caller, operation);
    if context.output.json {
        let rules: Vec<Value> = rules.iter().map(|rule| json!(rule)).collect();
        context.output.document(&json!({"file": file, "operation": operation, "rules": rules,
            "default": rules::decision(policy.allow)}));
        return;
    }
    for line in rules::deciding(policy, &rules) {
        context.output.result(&one_line(&line));
    }
}
