//! Which names of the user's can stand at a place of the command line that is being completed?
//!
//! Nothing here waits for a server, and nothing that is wrong is told: a shell asks at each press of a key.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap_complete::CompletionCandidate;
use dfm_config::Options;
use dfm_config::registry::Registry;

use crate::args::{Global, When};
use crate::context::Context;

/// The codes of problems.
pub fn codes() -> Vec<CompletionCandidate> {
    dfm_diag::CODES.iter().map(|known| CompletionCandidate::new(known.code).help(Some(known.meaning.into()))).collect()
}

/// The federations of the registry.
pub fn federations() -> Vec<CompletionCandidate> {
    let Some(line) = Line::read() else { return vec![] };
    line.registry.records.keys().map(CompletionCandidate::new).collect()
}

/// The sites of the federations that the line names; of all, if it names none.
pub fn sites() -> Vec<CompletionCandidate> {
    let Some(line) = Line::read() else { return vec![] };
    let mut sites = vec![];
    for name in line.federations() {
        let config = line.registry.paths(name).and_then(|paths| paths.config);
        let loaded = config.and_then(|config| dfm_config::load(&config, &Options::default()).ok());
        sites.extend(loaded.into_iter().flat_map(|loaded| loaded.federation.sites.into_keys()));
    }
    sites.into_iter().map(CompletionCandidate::new).collect()
}

/// The participants that have a process of their own in the POCs of the federations that the line names.
pub fn participants() -> Vec<CompletionCandidate> {
    let Some(line) = Line::read() else { return vec![] };
    let mut names: Vec<_> = line.federations().flat_map(|name| line.kits(&format!("{name}_poc"))).collect();
    names.retain(|kit| kit.join("startup/start.sh").is_file());
    let names = names.into_iter().filter_map(|kit| kit.file_name().map(OsString::from));
    names.map(CompletionCandidate::new).collect()
}

/// The jobs whose results applications of this machine have begun to take, and those of which there are records, of the
/// federations that the line names.
pub fn jobs() -> Vec<CompletionCandidate> {
    let Some(line) = Line::read() else { return vec![] };
    let mut jobs = vec![];
    for name in line.federations() {
        for kits in [name.to_owned(), format!("{name}_poc")].map(|folder| line.kits(&folder)) {
            let had = kits.iter().flat_map(|kit| inside(&kit.join("dfm/had")));
            jobs.extend(had.filter_map(|path| path.file_name().map(OsString::from)));
        }
        let config = line.registry.paths(name).and_then(|paths| paths.config);
        let loaded = config.and_then(|config| dfm_config::load(&config, &Options::default()).ok());
        let records = loaded.and_then(|loaded| dfm_events::Folder::of(&loaded.federation.info.code_package));
        jobs.extend(records.iter().flat_map(dfm_events::Folder::jobs).map(OsString::from));
    }
    jobs.sort();
    jobs.dedup();
    jobs.into_iter().map(CompletionCandidate::new).collect()
}

fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The line as far as it is written, and what it refers to.
struct Line {
    words: Vec<String>,
    context: Context,
    registry: Registry,
}

impl Line {
    /// The shell gives the words after `--`. `None` if the registry cannot be read.
    fn read() -> Option<Self> {
        let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let option = |name: &str| {
            let after = |(at, word): (usize, &String)| match word.strip_prefix(name)? {
                "" => words.get(at + 1).map(PathBuf::from),
                value => value.strip_prefix('=').map(PathBuf::from),
            };
            words.iter().enumerate().find_map(after)
        };
        let context = Context::new(&Global {
            verbose: false,
            quiet: true,
            json: false,
            color: When::Never,
            config: option("--config"),
            workspace: option("--workspace"),
            allow_url_refs: false,
            allow_refs: Vec::new(),
        });
        let registry = Registry::read(&context.registry).ok()?;
        Some(Self { words, context, registry })
    }

    /// The startup kits in a folder of the workspace.
    fn kits(&self, folder: &str) -> Vec<PathBuf> {
        // project / prod_NN / participant
        let mut folders = vec![self.context.workspace.join(folder)];
        for _ in 0..3 {
            folders = folders.iter().flat_map(|folder| inside(folder)).collect();
        }
        folders
    }

    fn federations(&self) -> impl Iterator<Item = &str> {
        let named = |name: &str| self.words.iter().any(|word| word == name);
        let any = self.registry.records.keys().any(|name| named(name));
        self.registry.records.keys().map(String::as_str).filter(move |name| !any || named(name))
    }
}
