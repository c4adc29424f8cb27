//! What does a command know besides its own arguments, and how does it say that it has failed?

use std::path::{Path, PathBuf};

use dfm_diag::{Diagnostic, Report};

use crate::args::Global;
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
