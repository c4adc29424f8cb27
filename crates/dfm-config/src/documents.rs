//! Which files does a configuration consist of, and what does each say?

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dfm_diag::{Diagnostic, Sources, Span, nearest};

use crate::bounds::Bounds;
use crate::load::Fetch;
use crate::tree::{self, Node};
use crate::way::relative;

/// More files than this come only from a server that has an answer to everything.
const MOST_FILES: usize = 1_000;

/// The files that have been opened, each read once.
pub struct Documents {
    /// Their texts.
    pub sources: Sources,
    /// What is wrong with them.
    pub faults: Vec<Diagnostic>,
    trees: HashMap<u32, (Rc<Node>, PathBuf)>,
    opened: HashMap<PathBuf, Option<u32>>,
    /// The reference that led to a file first.
    origins: HashMap<u32, Span>,
    fetch: Option<Fetch>,
    /// Where the files are that references may lead to.
    bounds: Bounds,
    /// The folders from which paths are tried that lead nowhere from their file's.
    bases: Vec<PathBuf>,
    /// The paths of which that has been told.
    rebased: HashSet<String>,
}

impl Documents {
    /// None yet; URLs are read by `fetch`, if there is one, and other files that are referred to within the bounds.
    pub fn new(fetch: Option<Fetch>, bounds: Bounds, bases: Vec<PathBuf>) -> Self {
        Self {
            sources: Sources::default(),
            faults: Vec::new(),
            trees: HashMap::new(),
            opened: HashMap::new(),
            origins: HashMap::new(),
            fetch,
            bounds,
            bases,
            rebased: HashSet::new(),
        }
    }

    /// Where a reference's path leads: from the folder of its file or, where nothing is there, from one of the bases where
    /// something is, which is told once.
    pub fn led_to(&mut self, path: &str, from: Span) -> PathBuf {
        let folder = self.folder(from.file);
        let beside = folder.join(path);
        let inside = |place: &Path| self.bounds.within(place).is_some();
        if !inside(&beside) || beside.exists() {
            return beside;
        }
        let led = |base: &PathBuf| Some(base.join(path)).filter(|place| inside(place) && place.is_file());
        let Some((base, found)) = self.bases.iter().find_map(|base| Some((base, led(base)?))) else { return beside };
        let way = std::path::absolute(folder).map(|folder| relative(&folder, &found)).unwrap_or(found.clone());
        let message =
            format!("`{path}` is not in the folder of the file that refers to it, but in `{}`", base.display());
        if self.rebased.insert(path.to_owned()) {
            self.faults.push(
                Diagnostic::warning("config-ref-base", message)
                    .at(from, "this file's folder is where its paths begin")
                    .help(format!("write `{}`", way.display())),
            );
        }
        found
    }

    /// Whether references may lead to URLs.
    pub fn takes_urls(&self) -> bool {
        self.fetch.is_some()
    }

    /// Opens a file, unless it is open; `wanted` says what it should be and `from` where it is referred to. `None` for a
    /// file that cannot be used, which is reported once.
    pub fn open(&mut self, path: &Path, wanted: &str, from: Option<Span>) -> Option<u32> {
        let same = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(known) = self.opened.get(&same) {
            return *known;
        }
        if self.opened.len() >= MOST_FILES {
            let fault = Diagnostic::error("config-too-large", format!("more than {MOST_FILES} files"))
                .help("references lead to ever more of them");
            if !self.faults.iter().any(|other| other.message == fault.message) {
                self.faults.push(from.map_or(fault.clone(), |span| fault.at(span, "this would be one too many")));
            }
            return None;
        }
        let file = match self.read(path, wanted, from.is_some()) {
            Ok(file) => Some(file),
            Err(mut fault) => {
                if fault.code == "config-missing-file"
                    && let Some(near) = neighbour(path)
                {
                    fault = fault.help(format!("did you mean `{near}`?"));
                }
                self.faults.push(match from {
                    Some(span) if fault.span.is_none() => fault.at(span, "referred to here"),
                    _ => fault,
                });
                None
            }
        };
        self.origins.extend(file.zip(from));
        let tree = file.and_then(|file| {
            let (tree, faults) = tree::parse(self.sources.text(file), file);
            if tree.is_none() && faults.is_empty() {
                let span = Span { file, start: 0, end: 0 };
                self.faults.push(
                    Diagnostic::error("config-empty-file", format!("{wanted} is empty"))
                        .at(span, "nothing but comments or blanks"),
                );
            }
            self.faults.extend(faults);
            tree
        });
        let usable = file.zip(tree).map(|(file, tree)| {
            self.trees.insert(file, (Rc::new(tree), path.to_owned()));
            file
        });
        self.opened.insert(same, usable);
        usable
    }

    /// A fault with the references that led to the file it is in.
    pub fn with_chain(&self, mut fault: Diagnostic) -> Diagnostic {
        let mut file = fault.span.map(|span| span.file);
        while let Some(reference) = file.and_then(|file| self.origins.get(&file)) {
            if fault.related.iter().all(|(span, _)| span != reference) {
                fault = fault.related(*reference, "referred to here");
            }
            file = Some(reference.file);
        }
        fault
    }

    fn read(&mut self, path: &Path, wanted: &str, referred: bool) -> Result<u32, Diagnostic> {
        let Some((url, fetch)) = path.to_str().filter(|path| is_url(path)).zip(self.fetch) else {
            if !referred {
                return crate::files::read(path, wanted, &mut self.sources);
            }
            // Nothing of what is elsewhere is told, not even whether it is there.
            if self.bounds.within(path).is_none() {
                let message = format!("{wanted} `{}` is outside of the federation's folder", path.display());
                return Err(Diagnostic::error("config-outside-file", message).help(
                    "move it there or into the repository around it, or allow its folder with `--allow-refs DIR`",
                ));
            }
            return crate::files::read_regular(path, wanted, &mut self.sources);
        };
        let bytes = fetch(url).map_err(|why| {
            Diagnostic::error("config-unreachable-url", format!("cannot read {wanted} `{url}`: {why}"))
        })?;
        crate::files::add(url, bytes, &mut self.sources)
    }

    /// What an opened file says.
    pub fn tree(&self, file: u32) -> Rc<Node> {
        Rc::clone(&self.trees[&file].0)
    }

    /// The folder of an opened file.
    pub fn folder(&self, file: u32) -> &Path {
        self.trees[&file].1.parent().unwrap_or(Path::new(""))
    }
}

/// The file beside it that a path probably means.
fn neighbour(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = std::fs::read_dir(folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = files.collect();
    names.sort();
    nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Whether a reference leads to the network.
pub fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}
