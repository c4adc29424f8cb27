//! Which files does a configuration consist of, and what does each say?

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dfm_diag::{Diagnostic, Sources, Span};

use crate::tree::{self, Node};

/// The files that have been opened, each read once.
#[derive(Default)]
pub struct Documents {
    /// Their texts.
    pub sources: Sources,
    /// What is wrong with them.
    pub faults: Vec<Diagnostic>,
    trees: HashMap<u32, (Rc<Node>, PathBuf)>,
    opened: HashMap<PathBuf, Option<u32>>,
}

impl Documents {
    /// Opens a file, unless it is open; `wanted` says what it should be and `from` where it is referred to. `None` for a
    /// file that cannot be used, which is reported once.
    pub fn open(&mut self, path: &Path, wanted: &str, from: Option<Span>) -> Option<u32> {
        let same = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(known) = self.opened.get(&same) {
            return *known;
        }
        let file = match crate::files::read(path, wanted, &mut self.sources) {
            Ok(file) => Some(file),
            Err(fault) => {
                self.faults.push(match from {
                    Some(span) => fault.at(span, "referred to here"),
                    None => fault,
                });
                None
            }
        };
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

    /// What an opened file says.
    pub fn tree(&self, file: u32) -> Rc<Node> {
        Rc::clone(&self.trees[&file].0)
    }

    /// The folder of an opened file.
    pub fn folder(&self, file: u32) -> &Path {
        self.trees[&file].1.parent().unwrap_or(Path::new(""))
    }
}
