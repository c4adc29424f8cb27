//! Which federation has the user named, and what does its configuration say?

use std::path::Path;

use dfm_config::registry::{Paths, Registry};
use dfm_config::{Federation, Loaded, Options};
use dfm_diag::{Diagnostic, Report, Sources, nearest};

use crate::context::{Context, Failure};
use crate::fetch;

/// A federation that the user named.
pub struct Chosen {
    /// Its name in the registry.
    pub name: String,
    /// Where its files are.
    pub paths: Paths,
    /// What its configuration says.
    pub federation: Federation,
    /// The texts that it was read from.
    pub sources: Sources,
}

/// Loads the federation of this name, and tells its warnings.
///
/// # Errors
/// An unknown name, or whatever is wrong with its configuration.
pub fn federation(context: &Context, name: &str) -> Result<Chosen, Failure> {
    federation_patched(context, name, None)
}

/// The same, with the `provision` of a patch merged into it.
///
/// # Errors
/// An unknown name, or whatever is wrong with its configuration or with the patch.
pub fn federation_patched(context: &Context, name: &str, patch: Option<&Path>) -> Result<Chosen, Failure> {
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    let paths = registry.paths(name).ok_or_else(|| Failure::wrong(unknown(context, &registry, name)))?;
    let loaded = load_with_project(context, name, &paths, patch).map_err(Failure::wrong)?;
    context.output.problems(&loaded.report);
    Ok(Chosen { name: name.to_owned(), paths, federation: loaded.federation, sources: loaded.report.sources })
}

/// Loads a federation's configuration, and checks its project.
///
/// # Errors
/// Whatever is wrong with them, or with the patch.
pub fn load_with_project(context: &Context, name: &str, paths: &Paths, patch: Option<&Path>) -> Result<Loaded, Report> {
    let mut loaded = load_with(context, name, paths, patch)?;
    // A project that is missing is told by those who need it.
    if let Some(project) = paths.project.as_ref().filter(|project| project.exists()) {
        dfm_config::check_project(&mut loaded, &context.shown(project));
        if loaded.report.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(loaded.report);
        }
    }
    Ok(loaded)
}

/// Loads a federation's configuration.
///
/// # Errors
/// Whatever is wrong with it.
pub fn load(context: &Context, name: &str, paths: &Paths) -> Result<Loaded, Report> {
    load_with(context, name, paths, None)
}

fn load_with(context: &Context, name: &str, paths: &Paths, patch: Option<&Path>) -> Result<Loaded, Report> {
    let Some(config) = &paths.config else {
        return Err(Diagnostic::error("registry-no-config", format!("the registry has no config_path for `{name}`"))
            .help(format!("run `dfm fed config set {name} --config-path FILE`"))
            .into());
    };
    // A program may read the result in another folder.
    let shown = if context.output.json { config.clone() } else { context.shown(config) };
    let fetch = context.allow_url_refs.then_some(fetch::fetch as dfm_config::Fetch);
    let options = Options {
        patch: patch.map(Path::to_owned),
        fetch,
        folder: Some(paths.dir.clone()),
        allowed: context.allow_refs.clone(),
        registry: context.registry.parent().map(Path::to_owned),
    };
    dfm_config::load(&shown, &options).map_err(|mut report| {
        if !config.exists() {
            let option = if paths.dir.is_dir() { "--config-path FILE" } else { "--federation-dir DIR" };
            let help = format!("the registry names it; mend that with `dfm fed config set {name} {option}`");
            report.diagnostics = report.diagnostics.into_iter().map(|fault| fault.help(&help)).collect();
        }
        report
    })
}

/// That there is no federation of this name.
pub fn unknown(context: &Context, registry: &Registry, name: &str) -> Diagnostic {
    if !registry.path.exists() {
        return no_registry(context);
    }
    let place = context.shown(&registry.path);
    let diagnostic =
        Diagnostic::error("registry-unknown-federation", format!("`{}` has no federation `{name}`", place.display()));
    let names: Vec<&str> = registry.records.keys().map(String::as_str).collect();
    diagnostic.help(match meant(registry, name) {
        Some(help) => help,
        None if names.is_empty() => {
            format!("it has none yet; run `dfm fed config set {name} --federation-dir DIR --config-path FILE`")
        }
        None => format!("it has: {}", names.join(", ")),
    })
}

/// That no federation is known here, as there is no registry.
pub fn no_registry(context: &Context) -> Diagnostic {
    const CODE: &str = "registry-missing";
    let unasked = |name: &str| std::env::var_os(name).filter(|_| name != "DFM_CONFIG");
    let own = dfm_config::find_registry(None, &context.here, unasked);
    let shown = context.shown(&context.registry);
    if own != context.registry {
        return Diagnostic::error(CODE, format!("there is no file `{}`", shown.display()))
            .help("name a `federations.yaml` that is there with `--config` or `DFM_CONFIG`, or leave both out");
    }
    let (name, here) = (dfm_config::FILE_NAME, context.here.display());
    let message =
        format!("no `{name}` was found in `{here}` or a folder above it, and there is no `{}`", shown.display());
    Diagnostic::error(CODE, message).help(format!(
        "run this in the folder of your `{name}` or below it, or name the file with `--config FILE`; \
         `dfm fed init NAME` begins a federation"
    ))
}

/// Which federation was probably meant, and all that there are.
pub fn meant(registry: &Registry, name: &str) -> Option<String> {
    let names: Vec<&str> = registry.records.keys().map(String::as_str).collect();
    let near = nearest(name, names.iter().copied())?;
    Some(format!("did you mean `{near}`? It has: {}", names.join(", ")))
}
