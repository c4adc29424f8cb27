//! How does `dfm fed submit` run a pipeline or a script?

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dfm_diag::{Diagnostic, nearest};
use serde_json::{Map, Value, json};

use super::supervise;
use crate::application::{
    found_python, homesite, interpreter, project, set_environment, set_flare, stale, startup_kits,
};
use crate::args::{Kind, Submit, Target};
use crate::chosen::{Chosen, federation};
use crate::context::{Context, Failure};
use crate::{child, program};

/// Where a process finds a pipeline's parameters as one JSON object. Whatever a program is started with, all users of the
/// machine can see.
pub const PARAMS: &str = "DFM_PARAMS";

/// Runs it to its end; a failure's exit code is that of the pipeline or script.
///
/// # Errors
/// Wrong usage; a file or federation that is not there; or that the pipeline or script failed, which has been told.
pub fn run(context: &Context, args: &Submit) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    if Duration::try_from_secs_f64(args.timeout).is_err() {
        let message = format!("--timeout takes a number of seconds from 0 on, not {}", args.timeout);
        return Err(Failure::wrong(Diagnostic::error("submit-timeout", message)));
    }
    if args.poc && args.target == Target::Local {
        let message = "`--poc` chooses among Flare's federations, and `--target local` uses none";
        return Err(Failure::wrong(Diagnostic::error("submit-poc-local", message).help("leave one of them out")));
    }
    if measures(args) && args.kind == Kind::Script {
        let message = "only a pipeline can be measured: a script runs what it likes";
        let help = "leave `--measure`, `--svg` and `--save-costs` out, and use execute(…, measure=True) in the script";
        return Err(Failure::wrong(Diagnostic::error("submit-measure-script", message).help(help)));
    }
    if args.receipt.is_some() && args.kind == Kind::Script {
        let message = "only a pipeline has a receipt: a script runs what it likes";
        let help = "leave `--receipt` out, and use execute(…, receipt=True) in the script";
        return Err(Failure::wrong(Diagnostic::error("submit-receipt-script", message).help(help)));
    }
    if args.record.is_some() && args.kind == Kind::Script {
        let message = "only a pipeline can be recorded: a script runs what it likes";
        let help = "leave `--record` out, and use execute(…, record=FILE) in the script";
        return Err(Failure::wrong(Diagnostic::error("submit-record-script", message).help(help)));
    }
    if !args.params.is_empty() && args.kind == Kind::Script {
        let message = "a script has no parameters that dfm knows of";
        let help = "give a script its arguments after `--`";
        return Err(Failure::wrong(Diagnostic::error("submit-param-script", message).help(help)));
    }
    if !args.path.is_file() {
        let what = if args.path.exists() { "is not a file" } else { "does not exist" };
        let message = format!("`{}` {what}", args.path.display());
        return Err(Failure::wrong(Diagnostic::error("submit-no-file", message)));
    }
    let homesite = homesite(&chosen, args.homesite.as_deref())?;
    check_policies(&chosen, args, &homesite)?;
    if let Some(stale) = stale(context, &chosen) {
        context.output.problems(&stale.into());
    }
    let mut command = match args.kind {
        Kind::Pipeline => pipeline(context, args)?,
        Kind::Script => script(context, &args.path)?,
    };
    command.args(&args.args);
    set_environment(&mut command, &chosen, &homesite)?;
    set_target(&mut command, context, &chosen, args)?;
    context.output.detail(&format!("homesite: {homesite}"));
    let code = child::run(&mut supervise::command(context, &command, args.timeout))
        .map_err(|error| Failure::failed(child::not_started("submit-not-started", &error)))?;
    if code == 0 { Ok(()) } else { Err(Failure { exit: code, report: Default::default() }) }
}

/// Policies are tried at sites of this federation that are processes of their own; a broken one is told at once.
fn check_policies(chosen: &Chosen, args: &Submit, homesite: &str) -> Result<(), Failure> {
    let wrong =
        |message: String, help: String| Err(Failure::wrong(Diagnostic::error("submit-policy", message).help(help)));
    if args.target != Target::Local && !args.policy_of.is_empty() {
        let message = "`--policy-of` is for `--target local`: on Flare each site has its own policy".to_owned();
        return wrong(message, "write it into local/policy.yaml of the site's kit".to_owned());
    }
    for (site, file) in &args.policy_of {
        if site == homesite {
            let message = format!("`{site}` is the application's own site here, and the application may do anything");
            return wrong(message, "run the application at another site, with `--homesite`".to_owned());
        }
        if !chosen.federation.sites.contains_key(site) {
            let sites: Vec<&str> = chosen.federation.sites.keys().map(String::as_str).collect();
            let near = nearest(site, sites.iter().copied());
            let help = near
                .map_or_else(|| format!("its sites: {}", sites.join(", ")), |near| format!("did you mean `{near}`?"));
            return wrong(format!("the federation has no site `{site}`"), help);
        }
        dfm_config::policy(file).map_err(Failure::wrong)?;
    }
    Ok(())
}

fn measures(args: &Submit) -> bool {
    args.measure || args.svg.is_some() || args.save_costs.is_some()
}

fn pipeline(context: &Context, args: &Submit) -> Result<Command, Failure> {
    let mut command = interpreter(context, "dfm._command.submit")?;
    let output = args.output.as_ref().map(|folder| folder.clone().into_os_string()).unwrap_or_default();
    let measure = measures(args).then(|| json!({"svg": args.svg, "costs": args.save_costs}).to_string());
    command.arg(&args.path).arg(context.output.format()).arg(output).arg(measure.unwrap_or_default());
    let record = args.record.as_ref().map(|file| json!({"file": file, "values": args.record_values}).to_string());
    command.arg(args.receipt.as_deref().unwrap_or(Path::new(""))).arg(record.unwrap_or_default());
    command.env(PARAMS, params(&args.params)?);
    Ok(command)
}

/// The parameters of the command line, or what the page was given, as one JSON object.
///
/// # Errors
/// Two have one name.
fn params(given: &[(String, Value)]) -> Result<String, Failure> {
    let given_beside = env::var(PARAMS).ok().and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
    let mut params = given_beside.unwrap_or_default();
    for (name, value) in given {
        if params.insert(name.clone(), value.clone()).is_some() {
            let message = format!("`--param {name}=` is given twice");
            let help = "for several parameter sets, return a list of them from get_pipeline_parameters";
            return Err(Failure::wrong(Diagnostic::error("submit-param-twice", message).help(help)));
        }
    }
    Ok(Value::Object(params).to_string())
}

fn script(context: &Context, path: &Path) -> Result<Command, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("py") => {
            let mut command = program::any(found_python(context)?);
            command.arg(path);
            Ok(command)
        }
        Some("sh") => {
            let mut command = program::any("bash");
            command.arg(path);
            Ok(command)
        }
        _ => {
            let mode = path.metadata().map(|facts| facts.permissions().mode()).unwrap_or_default();
            if mode & 0o111 == 0 {
                let message = format!("`{}` is neither executable nor a .py or .sh file", path.display());
                let help = format!("make it executable: `chmod +x {}`", path.display());
                return Err(Failure::wrong(Diagnostic::error("submit-not-executable", message).help(help)));
            }
            // Without a slash, the system would look for it on the PATH.
            Ok(program::any(context.here.join(path)))
        }
    }
}

fn set_target(command: &mut Command, context: &Context, chosen: &Chosen, args: &Submit) -> Result<(), Failure> {
    if args.target == Target::Local {
        let folder = context.folder_of_kits(&chosen.name)?;
        command.env("DFM_TARGET", "local").env("DFM_FEDERATION_WORKSPACE_PATH", folder);
        if args.strict {
            command.env("DFM_STRICT", "1");
        }
        if !args.policy_of.is_empty() {
            let files = args.policy_of.iter().map(|(site, file)| (site.clone(), json!(context.here.join(file))));
            command.env("DFM_POLICIES", serde_json::Value::Object(files.collect()).to_string());
        }
        if let Some(project) = project(chosen)? {
            let server = project.servers.first().map(|_| "server");
            let sites: Vec<&str> = server.into_iter().chain(project.clients.iter().map(String::as_str)).collect();
            command.env("DFM_FLARE_SITES", sites.join(" "));
        }
        return Ok(());
    }
    let project = startup_kits(context, &chosen.name, args.poc, "`--target local`")?;
    set_flare(command, context, &project);
    // The next command may find its session's job started; only a POC has it so.
    command.env("DFM_FLARE_STANDBY", "1");
    Ok(())
}
