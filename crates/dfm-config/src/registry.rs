//! Which federations does the user have, and where is each?

use std::path::{Path, PathBuf};

use dfm_diag::{Diagnostic, Report, Sources, nearest};
use indexmap::IndexMap;

use crate::names::LONGEST;
use crate::project_names::is_folder;
use crate::registry_edit;
use crate::tree::{self, Entries, Entry, Node};
pub use crate::write::lock;
use crate::write::{file_remedy, write_alone};

/// The file `federations.yaml`, as it was read.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// Its federations, in its order.
    pub records: IndexMap<String, Record>,
    text: String,
}

/// How a registry, or who changes it, writes that there is no such file; other tools do.
pub const NOTHING: &str = "None";

/// What the registry says about one federation, as written there; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its folder; relative to the registry's.
    pub federation_dir: Option<String>,
    /// Its `.dfm.yaml`; relative to its folder.
    pub config_path: Option<String>,
    /// Its NVFlare project; relative to its folder.
    pub project_path: Option<String>,
}

impl Record {
    /// The field of a key that [`Record::fields`] names.
    pub(crate) fn field(&mut self, key: &str) -> &mut Option<String> {
        match key {
            "federation_dir" => &mut self.federation_dir,
            "config_path" => &mut self.config_path,
            _ => &mut self.project_path,
        }
    }

    /// The keys and values that it has.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("federation_dir", &self.federation_dir),
            ("config_path", &self.config_path),
            ("project_path", &self.project_path),
        ];
        fields.into_iter().filter_map(|(key, value)| value.as_deref().map(|value| (key, value)))
    }
}

/// Where a federation's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Its folder.
    pub dir: PathBuf,
    /// Its `.dfm.yaml`.
    pub config: Option<PathBuf>,
    /// Its NVFlare project.
    pub project: Option<PathBuf>,
}

impl Registry {
    /// Reads a registry; one that does not exist is empty.
    ///
    /// # Errors
    /// A file that is unreadable or does not have the registry's form.
    pub fn read(path: &Path) -> Result<Self, Report> {
        if !path.exists() {
            return Ok(Self { path: path.to_owned(), records: IndexMap::new(), text: String::new() });
        }
        let mut sources = Sources::default();
        let file = match crate::files::read(path, "the registry", &mut sources) {
            Ok(file) => file,
            Err(diagnostic) => return Err(Report { diagnostics: vec![diagnostic], sources }),
        };
        let text = sources.text(file).to_owned();
        match records(&text, file) {
            Ok(records) => Ok(Self { path: path.to_owned(), records, text }),
            Err(diagnostics) => Err(Report { diagnostics, sources }),
        }
    }

    /// Where a federation's files are; `None` for an unknown one.
    pub fn paths(&self, name: &str) -> Option<Paths> {
        let record = self.records.get(name)?;
        let home = self.path.parent().unwrap_or(Path::new(""));
        let dir = joined(home, record.federation_dir.as_deref().unwrap_or(""));
        let config = record.config_path.as_ref().map(|path| joined(&dir, path));
        let project = record.project_path.as_ref().map(|path| joined(&dir, path));
        Some(Paths { dir, config, project })
    }

    /// The registry as [`Registry::set`] would make it.
    pub fn with(&self, name: &str, change: &Record) -> Self {
        let mut new = self.clone();
        let record = new.records.entry(name.to_owned()).or_default();
        for (key, value) in change.fields() {
            *record.field(key) = Some(value.to_owned()).filter(|value| value != NOTHING);
        }
        new
    }

    /// Adds a record or changes those of its fields that are given, and writes the file.
    ///
    /// # Errors
    /// A file that cannot be edited or written.
    pub fn set(&mut self, name: &str, change: &Record) -> Result<(), Diagnostic> {
        let records = self.with(name, change).records;
        let text = registry_edit::set(&self.text, &self.tree(), name, change);
        self.replace(text, records)
    }

    /// Forgets a federation and writes the file.
    ///
    /// # Errors
    /// A file that cannot be edited or written.
    pub fn delete(&mut self, name: &str) -> Result<(), Diagnostic> {
        let mut records = self.records.clone();
        records.shift_remove(name);
        let text = registry_edit::delete(&self.text, &self.tree(), name);
        self.replace(text, records)
    }

    fn tree(&self) -> Option<Node> {
        tree::parse(&self.text, 0).0
    }

    /// Writes a new text, if it says what it should: no edit may damage a file that the user wrote in an unusual way.
    fn replace(&mut self, text: String, records: IndexMap<String, Record>) -> Result<(), Diagnostic> {
        if self::records(&text, 0).ok().as_ref() != Some(&records) {
            let name = self.path.display();
            return Err(Diagnostic::error(
                "registry-not-editable",
                format!("`{name}` is written in a way that dfm cannot edit"),
            )
            .help("change it by hand; without anchors, aliases and merged keys dfm can do it"));
        }
        write(&self.path, &text)?;
        self.text = text;
        self.records = records;
        Ok(())
    }
}

/// Writes a registry as a whole or not at all, making its folder where needed. It should be locked.
///
/// # Errors
/// Whatever the file system says.
pub fn write(path: &Path, text: &str) -> Result<(), Diagnostic> {
    write_alone(path, text).map_err(|error| {
        Diagnostic::error("registry-not-written", format!("cannot write `{}`: {error}", path.display()))
            .help(format!("nothing has changed; {}, or name another file with --config", file_remedy(&error)))
    })
}

/// Whether a federation can have this name, of which folders' names are made.
///
/// # Errors
/// It cannot.
pub fn check_name(name: &str) -> Result<(), Diagnostic> {
    if is_folder(name, LONGEST) {
        return Ok(());
    }
    let help = format!("use at most {LONGEST} letters, digits, `_`, `-` and `.`, beginning with a letter or digit");
    Err(Diagnostic::error("registry-invalid-name", format!("`{name}` cannot be the name of a federation")).help(help))
}

/// A path without the steps that say nothing.
fn joined(folder: &Path, path: &str) -> PathBuf {
    folder.join(path).components().collect()
}

fn records(text: &str, file: u32) -> Result<IndexMap<String, Record>, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let (root, found) = tree::parse(text, file);
    faults.extend(found);
    let empty = Entries::new();
    let entries = root.as_ref().and_then(|root| dictionary(root, "the registry", &empty, &mut faults));
    faults.extend(entries.into_iter().flat_map(|entries| slips(entries, &["federations"])));
    let federations = entries.and_then(|entries| entries.get("federations"));
    let federations =
        federations.and_then(|entry| dictionary(&entry.value, "`federations`", &empty, &mut faults)).unwrap_or(&empty);
    let mut records = IndexMap::new();
    for (name, entry) in federations {
        faults.extend(check_name(name).err().map(|fault| fault.at(entry.key, "it becomes the name of folders")));
        let Some(fields) = dictionary(&entry.value, "a federation", &empty, &mut faults) else { continue };
        faults.extend(slips(fields, &["federation_dir", "config_path", "project_path"]));
        let mut field = |key: &str| {
            let (_, entry) = fields.iter().find(|(other, _)| other.replace('-', "_") == key)?;
            if entry.value.is_null() {
                return None;
            }
            if entry.value.text().is_none() {
                faults.push(
                    Diagnostic::error("registry-wrong-type", format!("`{key}` must be a path"))
                        .at(entry.value.span, format!("this is {}", entry.value.kind()))
                        .help("write it in quotes"),
                );
            }
            entry.value.text().filter(|text| *text != NOTHING).map(str::to_owned)
        };
        let record = Record {
            federation_dir: field("federation_dir"),
            config_path: field("config_path"),
            project_path: field("project_path"),
        };
        records.insert(name.clone(), record);
    }
    if faults.is_empty() { Ok(records) } else { Err(faults) }
}

/// The keys that were probably meant to be others. What else there is may be somebody else's, and is left alone.
fn slips(entries: &Entries, known: &[&str]) -> Vec<Diagnostic> {
    let unknown = entries.iter().filter(|(key, _)| !known.contains(&key.replace('-', "_").as_str()));
    let slip = |(key, entry): (&String, &Entry)| {
        let near = nearest(key, known.iter().copied())?;
        let fault = Diagnostic::error("registry-unknown-key", format!("the registry has no key `{key}`"));
        Some(fault.at(entry.key, "unknown key").help(format!("did you mean `{near}`?")))
    };
    unknown.filter_map(slip).collect()
}

fn dictionary<'n>(node: &'n Node, what: &str, empty: &'n Entries, faults: &mut Vec<Diagnostic>) -> Option<&'n Entries> {
    if node.is_null() {
        return Some(empty);
    }
    if node.map().is_none() {
        faults.push(
            Diagnostic::error("registry-wrong-type", format!("{what} must be a dictionary"))
                .at(node.span, format!("this is {}", node.kind()))
                .help("the form is `federations: {NAME: {federation_dir: …, config_path: …, project_path: …}}`"),
        );
    }
    node.map()
}
