//! How does a process become an application of a federation: by which Python, at which site, with which kits?

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dfm_codegen::{Options, generate};
use dfm_config::Project;
use dfm_diag::{Diagnostic, Sources, nearest};

use crate::chosen::Chosen;
use crate::context::{Context, Failure};
use crate::package::compare;
use crate::{program, python};

/// The Python that runs what dfm itself cannot, with a module of dfm's; it finds nothing in the current folder.
///
/// # Errors
/// There is none.
pub fn interpreter(context: &Context, module: &str) -> Result<Command, Failure> {
    found_python(context).map(|python| program::module(python, module))
}

/// Its path; the user is told where the active environment has another.
///
/// # Errors
/// There is none.
pub fn found_python(context: &Context) -> Result<PathBuf, Failure> {
    let python = python::find().map_err(Failure::failed)?;
    if let Some(warning) = python::unlike_the_active(&python) {
        context.output.problems(&warning.into());
    }
    context.output.detail(&format!("python: {}", python.display()));
    Ok(python)
}

/// Tells a process which federation it is for, and where its code is.
///
/// # Errors
/// The federation's folder has a name that no search path can hold.
pub fn set_environment(command: &mut Command, chosen: &Chosen, home: &str) -> Result<(), Failure> {
    let path = search_path(chosen.paths.dir.parent().unwrap_or(&chosen.paths.dir))?;
    command
        .env("PYTHONPATH", path)
        .env("DFM_FEDERATION", &chosen.name)
        .env("DFM_PACKAGE", &chosen.federation.info.code_package)
        .env("DFM_HOMESITE", home);
    Ok(())
}

/// The search path of a process that finds what is in a folder first.
///
/// # Errors
/// The folder has a name that no search path can hold.
pub fn search_path(around: &Path) -> Result<OsString, Failure> {
    let before = env::var_os("PYTHONPATH").unwrap_or_default();
    let path = std::iter::once(around.to_owned()).chain(env::split_paths(&before));
    env::join_paths(path.filter(|folder| !folder.as_os_str().is_empty())).map_err(|error| {
        Failure::wrong(Diagnostic::error("submit-path", format!("the federation's folder has a bad name: {error}")))
    })
}

/// That the code which will be imported is not what the configuration would give today.
pub fn stale(context: &Context, chosen: &Chosen) -> Option<Diagnostic> {
    let folder = chosen.paths.dir.parent().unwrap_or(&chosen.paths.dir);
    let files = generate(&chosen.federation, &Options { api: true, runtime_sites: None });
    // What is missing may have been left out on purpose, or be elsewhere.
    let changed = compare(folder, &files).ok()?.changed;
    let first = context.shown(&folder.join(changed.first()?));
    let message = format!("the generated code of `{}` is not that of its configuration any more", chosen.name);
    let diagnostic = Diagnostic::warning("submit-stale-code", format!("{message}: {} differs", first.display()));
    Some(diagnostic.help(format!("run `dfm fed gen code {}`", chosen.name)))
}

/// Tells a process where the federation's startup kits are.
pub fn set_flare(command: &mut Command, context: &Context, project: &Path) {
    context.output.detail(&format!("startup kits: {}", project.display()));
    command
        .env("DFM_TARGET", "flare")
        .env("DFM_FEDERATION_WORKSPACE_PATH", project)
        .env("DFM_FLARE_WORKSPACE", project);
}

/// The folder of a federation's provisioned project. `otherwise` is what the user may do who wants none, or nothing.
///
/// # Errors
/// There is none, or it may be another federation's.
pub fn startup_kits(context: &Context, name: &str, poc: bool, otherwise: &str) -> Result<PathBuf, Failure> {
    let folder = folder_of_kits(context, name, poc)?;
    provisioned(&folder).ok_or_else(|| {
        let message = format!("`{name}` has no startup kits in {}", folder.display());
        let or = if otherwise.is_empty() { String::new() } else { format!(" or {otherwise}") };
        Failure::wrong(Diagnostic::error("submit-not-provisioned", message).help(if poc {
            format!("start it: `dfm poc start -f {name}`")
        } else {
            format!("run `dfm fed gen provision {name}` and start its sites, or add `--poc`{or}")
        }))
    })
}

/// Whether a federation has a provisioned project, its own or that of its POC.
///
/// # Errors
/// It may be another federation's.
pub fn has_kits(context: &Context, name: &str) -> Result<bool, Failure> {
    let folders = [folder_of_kits(context, name, false)?, folder_of_kits(context, name, true)?];
    Ok(folders.iter().any(|folder| provisioned(folder).is_some()))
}

fn folder_of_kits(context: &Context, name: &str, poc: bool) -> Result<PathBuf, Failure> {
    context.folder_of_kits(&if poc { format!("{name}_poc") } else { name.to_owned() })
}

/// The folder of the project that was provisioned last.
fn provisioned(folder: &Path) -> Option<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let kits = entries(folder)
        .flat_map(|project| entries(&project.path()).map(|kits| kits.path()).collect::<Vec<_>>())
        .filter(|kits| kits.file_name().is_some_and(|name| name.to_string_lossy().starts_with("prod_")));
    kits.max_by_key(|kits| kits.metadata().and_then(|facts| facts.modified()).ok())?.parent().map(Path::to_owned)
}

/// The site that the application belongs to: the one that the user names, else the only one which is no participant of
/// the NVFlare project and so runs nowhere else, else the first of the configuration.
pub fn homesite(chosen: &Chosen, wanted: Option<&str>) -> Result<String, Failure> {
    let sites: Vec<&str> = chosen.federation.sites.keys().map(String::as_str).collect();
    if let Some(wanted) = wanted {
        if sites.contains(&wanted) {
            return Ok(wanted.to_owned());
        }
        let diagnostic = Diagnostic::error("submit-unknown-site", format!("`{}` has no site `{wanted}`", chosen.name));
        return Err(Failure::wrong(diagnostic.help(match nearest(wanted, sites.iter().copied()) {
            Some(other) => format!("did you mean `{other}`? It has: {}", sites.join(", ")),
            None => format!("it has: {}", sites.join(", ")),
        })));
    }
    if let Some(project) = project(chosen)? {
        let takes_part = |site: &str| project.servers.iter().chain(&project.clients).any(|name| name == site);
        let mut others = sites.iter().filter(|site| !takes_part(site));
        if let (Some(only), None) = (others.next(), others.next()) {
            return Ok((*only).to_owned());
        }
    }
    sites
        .first()
        .map(|site| (*site).to_owned())
        .ok_or_else(|| Failure::wrong(Diagnostic::error("submit-no-sites", format!("`{}` has no sites", chosen.name))))
}

/// The federation's NVFlare project, if it has one.
pub fn project(chosen: &Chosen) -> Result<Option<Project>, Failure> {
    let path = chosen.paths.project.as_ref().filter(|path| path.exists());
    path.map(|path| dfm_config::project(path, &mut Sources::default())).transpose().map_err(Failure::wrong)
}
