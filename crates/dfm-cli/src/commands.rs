//! Which command does the work, and what do all commands share?

mod calling;
mod check;
pub mod completion;
mod config;
mod crossing;
mod doctor;
mod explain;
mod gen_code;
mod gen_docker;
mod gen_helm;
mod gen_provision;
mod history;
mod import;
mod init;
mod jobs;
mod migrate;
mod network;
mod plan;
mod planned;
pub mod poc;
mod replay;
mod rules;
mod simulate;
mod site;
mod submit;
pub mod supervise;
mod ui;

use std::path::{Path, PathBuf};

use dfm_config::registry::{Paths, Registry};
use dfm_config::{Federation, Loaded, Options};
use dfm_diag::{Diagnostic, Report, Sources, nearest};

use crate::args::{Command, Fed, Gen, Global, Import};
use crate::fetch;
use crate::output::Output;

/// What a command needs besides its own arguments.
#[derive(Clone)]
pub struct Context {
    /// How to speak.
    pub output: Output,
    /// The current folder.
    pub here: PathBuf,
    /// The path of the registry of federations, which need not exist.
    pub registry: PathBuf,
    /// Where provisioned kits are, which need not exist.
    pub workspace: PathBuf,
    /// Whether the user has named that place; else it came with the registry.
    pub workspace_named: bool,
    /// Whether configurations may refer to URLs.
    pub allow_url_refs: bool,
    /// Folders that configurations may refer to files in, besides their own.
    pub allow_refs: Vec<PathBuf>,
}

/// Why a command did not do its work.
pub struct Failure {
    /// The exit code: 1 when the work failed, 2 when usage or configuration is wrong.
    pub exit: u8,
    /// What to tell; nothing when it has been told.
    pub report: Report,
}

impl Failure {
    /// Usage or configuration is wrong.
    pub fn wrong(report: impl Into<Report>) -> Self {
        Self { exit: 2, report: report.into() }
    }

    /// The work failed.
    pub fn failed(report: impl Into<Report>) -> Self {
        Self { exit: 1, report: report.into() }
    }
}

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

impl Context {
    /// From the options, the environment and the current folder.
    pub fn new(global: &Global) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let registry = dfm_config::find_registry(global.config.as_deref(), &here, |name| std::env::var_os(name));
        Self::with(global, here, registry)
    }

    /// The same for a command that begins a federation.
    pub fn for_new(global: &Global) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let asked = global.config.as_deref();
        let registry = dfm_config::find_registry_for_new(asked, &here, |name| std::env::var_os(name));
        Self::with(global, here, registry)
    }

    fn with(global: &Global, here: PathBuf, registry: PathBuf) -> Self {
        let workspace = global.workspace.clone();
        let workspace = workspace.or_else(|| std::env::var_os("DFM_WORKSPACE").map(PathBuf::from));
        let workspace_named = workspace.is_some();
        let workspace = match workspace {
            Some(folder) => here.join(folder),
            None => registry.parent().unwrap_or(&here).join("workspace"),
        };
        let allowed = std::env::var_os("DFM_ALLOW_URL_REFS").is_some_and(|value| value == "1");
        let allow_url_refs = global.allow_url_refs || allowed;
        let allow_refs = global.allow_refs.iter().map(|folder| here.join(folder)).collect();
        Self { output: Output::new(global), here, registry, workspace, workspace_named, allow_url_refs, allow_refs }
    }

    /// The folder of this name in the workspace, whose kits may be used or made.
    ///
    /// # Errors
    /// The workspace is a link that somebody else's repository may have brought, to kits of other federations.
    pub fn folder_of_kits(&self, name: &str) -> Result<PathBuf, Failure> {
        if self.workspace_named || !self.workspace.is_symlink() {
            return Ok(self.workspace.join(name));
        }
        let link = self.shown(&self.workspace);
        let message = format!("`{}` is a link, which may lead to the kits of another federation", link.display());
        let help = "remove it; or name where it leads, if you have made it, with `--workspace DIR` or DFM_WORKSPACE";
        Err(Failure::wrong(Diagnostic::error("workspace-link", message).help(help)))
    }

    /// A path as the user would write it here.
    pub fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.here) {
            Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
            Ok(inside) => inside.to_owned(),
            Err(_) => path.to_owned(),
        }
    }
}

/// Does what a command says.
///
/// # Errors
/// Whatever kept it from its work.
pub fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Fed(Fed::Init(args)) => init::run(context, &args),
        Command::Fed(Fed::Config(config)) => config::run(context, config),
        Command::Fed(Fed::Gen(Gen::Code(args))) => gen_code::run(context, &args),
        Command::Fed(Fed::Gen(Gen::Provision(args))) => gen_provision::run(context, &args),
        Command::Poc(command) => poc::run(context, command),
        Command::Fed(Fed::Gen(Gen::Docker(args))) => gen_docker::run(context, &args),
        Command::Fed(Fed::Gen(Gen::Helm(args))) => gen_helm::run(context, &args),
        Command::Fed(Fed::Check(args)) => check::run(context, &args),
        Command::Fed(Fed::Schema) => {
            context.output.result(&format!("{:#}", dfm_config::json_schema()));
            Ok(())
        }
        Command::Fed(Fed::Import(Import::Openapi(args))) => import::run(context, &args),
        Command::Fed(Fed::Plan(args)) => plan::run(context, &args),
        Command::Fed(Fed::Simulate(args)) => simulate::run(context, &args),
        Command::Fed(Fed::Submit(args)) => submit::run(context, &args),
        Command::Fed(Fed::Replay(args)) => replay::run(context, &args),
        Command::Site(command) => site::run(context, &command),
        Command::Jobs(command) => jobs::run(context, command),
        Command::Ui(args) => ui::run(context, &args),
        Command::Completion(command) => completion::run(context, command),
        Command::Explain { code } => explain::run(context, &code),
        Command::Doctor => doctor::run(context),
        Command::Migrate(args) => migrate::run(context, &args),
        Command::Supervise(args) => supervise::run(context, &args),
    }
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
fn load_with_project(context: &Context, name: &str, paths: &Paths, patch: Option<&Path>) -> Result<Loaded, Report> {
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
