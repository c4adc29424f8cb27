//! How does `dfm fed gen provision` make the startup kits?

use std::path::{Path, PathBuf};

use dfm_codegen::{Options, generate};
use dfm_config::Direct;
use dfm_diag::{Report, Severity};
use serde_json::{Map, Value, json};

use crate::args::GenProvision;
use crate::chosen::{Chosen, federation};
use crate::context::{Context, Failure};
use crate::{flare, neighbours};

/// So many days before its end, a certificate is warned about.
const SOON: i64 = 30;

/// Provisions the federation, and tells what there is now.
///
/// # Errors
/// A federation or project that cannot be used, or what NVFlare says went wrong.
pub fn run(context: &Context, args: &GenProvision) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    neighbours::tell(context, &chosen)?;
    let into = Into {
        workspace: &context.folder_of_kits(&chosen.name)?,
        clean: args.clean,
        poc: false,
        builders: &args.allow_builder,
        anew: &format!("dfm fed gen provision {} --clean", chosen.name),
    };
    let answer = provision(context, &chosen, &into)?;
    if context.output.json {
        context.output.document(&answer);
        return Ok(());
    }
    tell_notices(context, &answer);
    for one in participants(&answer) {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let role = if text("role").is_empty() { text("type") } else { text("role") };
        let new = if one["new"] == true { ", new" } else { "" };
        let until = one["expires"]["date"].as_str().unwrap_or_default();
        context.output.result(&format!("{:<32} {role:<14} until {until}{new}", text("name")));
    }
    let folder = PathBuf::from(answer["folder"].as_str().unwrap_or_default());
    let what = if answer["unchanged"] == true { "the kits are as they were" } else { "new kits" };
    let until = answer["root_expires"]["date"].as_str().unwrap_or_default();
    context
        .output
        .status(&format!("{what}: {}; the root of trust holds until {until}", context.shown(&folder).display()));
    Ok(())
}

/// Where and how kits are made.
pub struct Into<'a> {
    /// The folder of the federation's kits.
    pub workspace: &'a Path,
    /// Whether those that are there are removed first.
    pub clean: bool,
    /// Whether all participants are on this machine.
    pub poc: bool,
    /// The builders that may run besides NVFlare's own.
    pub builders: &'a [String],
    /// The command that would make all kits anew, for who cannot trust those that are there.
    pub anew: &'a str,
}

/// Provisions into a workspace; the answer is that of `dfm.flare._provision`.
///
/// # Errors
/// What is wrong with the project, or what NVFlare says went wrong.
pub fn provision(context: &Context, chosen: &Chosen, into: &Into<'_>) -> Result<Value, Failure> {
    if chosen.paths.project.is_none() {
        let diagnostics = dfm_config::check_without_project(&chosen.federation, Severity::Error);
        if !diagnostics.is_empty() {
            return Err(Failure::wrong(Report { diagnostics, sources: chosen.sources.clone() }));
        }
    }
    let files = generate(&chosen.federation, &Options { api: false, runtime_sites: None });
    let root = Path::new(&chosen.federation.info.code_package).join("fed");
    let content = |path: PathBuf| -> Value {
        let file = files.iter().find(|file| file.path == path);
        file.and_then(|file| serde_json::from_str(&file.text).ok()).unwrap_or_default()
    };
    let sites: Map<String, Value> = files
        .iter()
        .filter(|file| file.path.ends_with("site.json"))
        .filter_map(|file| serde_json::from_str::<Value>(&file.text).ok())
        .filter_map(|site| Some((site["site"].as_str()?.to_owned(), site)))
        .collect();
    let request = json!({
        "federation": chosen.name,
        "package": chosen.federation.info.code_package,
        "workspace": into.workspace,
        "project": chosen.paths.project,
        "port": dfm_deploy::port(&chosen.name),
        "clean": into.clean,
        "poc": into.poc,
        "builders": into.builders,
        "anew": into.anew,
        "sites": in_order(sites, chosen),
        "fed_info": content(root.join("fed_info.json")),
        "direct": direct(chosen),
    });
    let _working = context.output.working(&format!("making the startup kits of `{}`", chosen.name));
    flare::ask(context, "dfm.flare._provision", &request)
}

/// Who takes direct connections of others, and where.
fn direct(chosen: &Chosen) -> Map<String, Value> {
    let described = |one: &Direct| json!({"host": one.host, "ports": [one.first, one.last], "listen": one.listen});
    chosen.federation.provision.direct.iter().map(|(name, one)| (name.clone(), described(&one.value))).collect()
}

/// The sites in the order of the configuration, of which the first is the application's where nobody says otherwise.
fn in_order(mut sites: Map<String, Value>, chosen: &Chosen) -> Map<String, Value> {
    chosen.federation.sites.keys().filter_map(|name| sites.remove_entry(name)).collect()
}

/// Tells what was understood in another way than it was written, and which certificates end soon.
pub fn tell_notices(context: &Context, answer: &Value) {
    for notice in answer["notices"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.output.status(&format!("note: {notice}"));
    }
    let root = json!({"name": "the root of trust", "expires": answer["root_expires"]});
    for one in participants(answer).chain([&root]) {
        let days = one["expires"]["days"].as_i64().unwrap_or(i64::MAX);
        if days < SOON {
            let name = one["name"].as_str().unwrap_or_default();
            let when = if days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") };
            let help = "`dfm fed gen provision NAME --clean` makes new ones for everybody";
            context.output.status(&format!("warning: the certificate of {name} {when}; {help}"));
        }
    }
}

fn participants(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["participants"].as_array().into_iter().flatten()
}
