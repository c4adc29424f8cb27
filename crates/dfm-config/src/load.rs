//! How does the path of a `.dfm.yaml` become a valid federation, or everything that is wrong with it?

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use dfm_diag::{Diagnostic, Report};

use crate::Federation;
use crate::bounds::{Bounds, repository};
use crate::documents::Documents;
use crate::{decode, patch, refs, secrets};

/// What a load may do besides reading the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file whose `provision` is merged into the configuration's.
    pub patch: Option<PathBuf>,
    /// Reads what a URL leads to, or says why not; `None` where references to URLs are refused.
    pub fetch: Option<Fetch>,
    /// The federation's folder; `None` for that of its configuration.
    pub folder: Option<PathBuf>,
    /// More folders that references may lead to.
    pub allowed: Vec<PathBuf>,
    /// The registry's folder, from which paths are tried that lead nowhere from their file's.
    pub registry: Option<PathBuf>,
}

/// The bytes behind a URL, or why there are none.
pub type Fetch = fn(&str) -> Result<Vec<u8>, FetchError>;

/// Why nothing is to be had from a URL.
#[derive(Debug)]
pub enum FetchError {
    /// There is no Python here that could ask; why not.
    NoPython(String),
    /// The one that is here cannot be started.
    Start(std::io::Error),
    /// What Python said when it asked.
    Answer(String),
    /// More than so many bytes came.
    TooLarge(usize),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPython(why) | Self::Answer(why) => f.write_str(why),
            Self::Start(why) => write!(f, "{why}"),
            Self::TooLarge(most) => write!(f, "it is larger than {} MB", most >> 20),
        }
    }
}

impl std::error::Error for FetchError {}

/// A valid federation, and what deserves a look all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The federation; its spans point into the report's sources.
    pub federation: Federation,
    /// Warnings only.
    pub report: Report,
}

/// More faults than this in one file are not the work of a hand, and nobody reads them.
const MOST_FAULTS: usize = 1_000;

/// Loads and validates a federation.
///
/// # Errors
/// Everything that is wrong with it, warnings included, in the order of the files; of very many faults the first ones.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Report> {
    let (bounds, around) = bounds(path, options);
    let bases = options.registry.iter().cloned().chain(around).collect();
    let mut documents = Documents::new(options.fetch, bounds, bases);
    let root = documents.open(path, "the configuration", None).map(|file| {
        let root = refs::expand_root(&mut documents, file);
        match options.patch.as_ref().and_then(|path| documents.open(path, "the patch", None)) {
            Some(patch) => {
                let patch = refs::expand_root(&mut documents, patch);
                patch::apply(root, &patch, &mut documents)
            }
            None => root,
        }
    });
    let mut decoded = Vec::new();
    if let Some(root) = &root {
        secrets::find(root, &mut documents.sources, &mut decoded);
    }
    let federation = root.and_then(|root| decode::federation(&root, &mut decoded));
    let mut faults = std::mem::take(&mut documents.faults);
    if faults.iter().any(Diagnostic::is_error) {
        decoded.retain(is_certain);
    }
    faults.extend(decoded);
    faults.sort_by_key(|fault| fault.span.map(|span| (span.file, span.start)));
    let mut told = HashSet::new();
    faults.retain(|fault| told.insert((fault.span, fault.code, fault.message.clone())));
    leave_out(&mut faults);
    let faults = faults.into_iter().map(|fault| documents.with_chain(fault)).collect();
    let report = Report { diagnostics: faults, sources: documents.sources };
    match federation {
        Some(federation) if !report.diagnostics.iter().any(Diagnostic::is_error) => Ok(Loaded { federation, report }),
        _ => Err(report),
    }
}

/// Where references may lead: the folders of the federation and of the files that the user names, the repository around
/// the federation, and what is allowed besides; with that repository.
fn bounds(path: &Path, options: &Options) -> (Bounds, Option<PathBuf>) {
    let of_file = |path: &Path| std::path::absolute(path).ok()?.parent().map(Path::to_owned);
    let named = of_file(path).into_iter().chain(options.patch.as_deref().and_then(of_file));
    let folder = options.folder.clone().or_else(|| of_file(path));
    let around = folder.as_deref().and_then(repository);
    let all: Vec<_> = named.chain(folder).chain(around.clone()).chain(options.allowed.iter().cloned()).collect();
    (Bounds::of(all.iter().map(PathBuf::as_path)), around)
}

/// Keeps as many faults as anybody reads, and says how many more there are.
fn leave_out(faults: &mut Vec<Diagnostic>) {
    let rest = faults.split_off(faults.len().min(MOST_FAULTS));
    if rest.is_empty() {
        return;
    }
    let words = format!("there are {} more faults", rest.len());
    let more = if rest.iter().any(Diagnostic::is_error) { Diagnostic::error } else { Diagnostic::warning };
    faults.push(more("config-many-faults", words).help("mend the first ones, and check again"));
}

/// Whether a fault is one even where a broken reference or a duplicate key hides some of the configuration.
fn is_certain(fault: &Diagnostic) -> bool {
    !matches!(fault.code, "config-missing-key" | "config-argument-source" | "config-unused-parameter")
        && !fault.code.starts_with("config-unknown-")
        || fault.code == "config-unknown-key"
}
