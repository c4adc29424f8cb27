//! How does `dfm migrate` change what was written for `nv-dfm-core`, so that it is dfm's?
//!
//! It shows what it would change and, with `--write`, changes it and keeps what was there; what it leaves to people, it
//! says with the place.

use std::io;
use std::path::{Path, PathBuf};

use dfm_config::write_file;
use dfm_diag::{Diagnostic, Report, Sources, Span};
use serde_json::json;
use similar::TextDiff;

mod module;
mod requirement;
mod rewrite;

use self::rewrite::Rewritten;
use crate::args::Migrate;
use crate::context::{Context, Failure};
use crate::output::{counted, problems};

/// The end of the names of what is kept.
const KEPT: &str = ".before-dfm";
/// Bigger files are no sources.
const BIGGEST: u64 = 4 << 20;
/// Folders that hold what others wrote.
const FOREIGN: &[&str] = &["__pycache__", "node_modules", "site-packages"];

/// What is found below a path.
#[derive(Default)]
struct Found {
    /// Files that change: path, text, what it becomes.
    changes: Vec<(PathBuf, String, String)>,
    /// Folders of code that another tool generated.
    generated: Vec<PathBuf>,
    /// What is left to people.
    left: Vec<Diagnostic>,
    sources: Sources,
    /// Federations' configurations, and their texts.
    configurations: Vec<(PathBuf, String)>,
    /// Whether Python code imports the models that federations of `nv-dfm-core` share.
    shares: bool,
}

/// Shows the changes, or makes them.
///
/// # Errors
/// A path that is not there, or what the file system refuses.
pub fn run(context: &Context, args: &Migrate) -> Result<(), Failure> {
    let root = context.here.join(&args.path);
    let mut found = Found::default();
    look(context, &root, &mut found).map_err(|error| refused(context, &root, &error))?;
    for (path, text) in std::mem::take(&mut found.configurations) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let after = rewrite::configuration(&name, &text, found.shares);
        take(context, &mut found, path, text, after);
    }
    let mut kept = Vec::new();
    for (path, before, after) in &found.changes {
        let name = context.shown(path).display().to_string();
        if !context.output.json {
            let diff = TextDiff::from_lines(before.as_str(), after.as_str());
            let diff = diff.unified_diff().context_radius(1).header(&name, &name).to_string();
            context.output.result(diff.trim_end());
        }
        if args.write {
            let copy = unused(path);
            let done = std::fs::copy(path, &copy).and_then(|_| write_file(path, after));
            done.map_err(|error| refused(context, path, &error))?;
            kept.push(copy);
        }
    }
    for folder in &found.generated {
        let copy = unused(folder);
        let (name, to) = (context.shown(folder), context.shown(&copy));
        if !context.output.json {
            context.output.result(&format!("{} -> {}", name.display(), to.display()));
        }
        if args.write {
            std::fs::rename(folder, &copy).map_err(|error| refused(context, folder, &error))?;
            kept.push(copy);
        }
    }
    let Found { changes, generated, left, sources, .. } = found;
    let report = Report { diagnostics: left, sources };
    if context.output.json {
        let changed: Vec<&PathBuf> = changes.iter().map(|(path, ..)| path).collect();
        context.output.document(&json!({"changed": changed, "generated": generated, "kept": kept,
            "left": problems(&report), "written": args.write}));
        return Ok(());
    }
    context.output.problems(&report);
    let what = format!("{}, {}", counted(changes.len(), "file"), counted(generated.len(), "generated folder"));
    let rest = match (changes.is_empty() && generated.is_empty(), args.write) {
        (true, _) if !report.diagnostics.is_empty() => format!(
            "nothing of `nv-dfm-core` is there to change but what is left to you, as above: {}",
            counted(report.diagnostics.len(), "place")
        ),
        (true, _) => "nothing of `nv-dfm-core` is there to change".to_owned(),
        (_, true) => format!("changed {what}; what they were is beside them, as `*{KEPT}`"),
        (_, false) => format!("{what} would change; `--write` changes them, and keeps what they are"),
    };
    context.output.status(&rest);
    if !generated.is_empty() {
        context.output.status("then `dfm fed gen code NAME` generates the code anew");
    }
    Ok(())
}

fn look(context: &Context, path: &Path, found: &mut Found) -> io::Result<()> {
    let kind = path.symlink_metadata()?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if kind.is_dir() {
        if name == "fed" && is_generated(path) {
            found.generated.push(path.to_owned());
            return Ok(());
        }
        let mut inside: Vec<PathBuf> = std::fs::read_dir(path)?.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let foreign = name.starts_with('.') || FOREIGN.contains(&name.as_str()) || name.contains(KEPT);
            if !foreign && !path.join("pyvenv.cfg").exists() {
                look(context, &path, found)?;
            }
        }
        return Ok(());
    }
    if !kind.is_file() || kind.len() > BIGGEST || !rewrite::is_known(&name) {
        return Ok(());
    }
    let Ok(text) = String::from_utf8(std::fs::read(path)?) else { return Ok(()) };
    if name.ends_with(".dfm.yaml") {
        found.configurations.push((path.to_owned(), text));
        return Ok(());
    }
    found.shares |= rewrite::imports_shared(&name, &text);
    let after = rewrite::rewrite(&name, &text);
    take(context, found, path.to_owned(), text, after);
    Ok(())
}

/// Takes what becomes of a file among what is found.
fn take(context: &Context, found: &mut Found, path: PathBuf, text: String, after: Rewritten) {
    if !after.left.is_empty() {
        let file = found.sources.add(context.shown(&path).display().to_string(), text.clone());
        found.left.extend(after.left.into_iter().map(|one| {
            let span = Span { file, start: one.start, end: one.end };
            Diagnostic::warning(one.code, one.message).at(span, one.label).help(one.help)
        }));
    }
    if after.text != text {
        found.changes.push((path, text, after.text));
    }
}

/// Whether a folder holds code that another tool of this format generated: what dfm generates is not, nor what people
/// wrote.
fn is_generated(folder: &Path) -> bool {
    let parts = ["runtime", "api", "site"].iter().any(|part| folder.join(part).is_dir());
    parts && !folder.join("fed_info.json").exists() && files(folder).iter().any(|path| mentions(path))
}

fn mentions(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(module::PACKAGE))
}

/// The Python files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() && entry.path().extension().is_some_and(|end| end == "py") => {
                vec![entry.path()]
            }
            _ => Vec::new(),
        })
        .collect()
}

/// The name that what is at a path is kept under: none that there is.
pub(super) fn unused(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named = |number: u32| path.with_file_name(format!("{name}{KEPT}{}", counter(number)));
    (1..).map(named).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| named(1))
}

fn counter(number: u32) -> String {
    if number == 1 { String::new() } else { format!("-{number}") }
}

fn refused(context: &Context, path: &Path, error: &io::Error) -> Failure {
    let message = format!("`{}`: {error}", context.shown(path).display());
    Failure::failed(
        Diagnostic::error("migrate-files", message).help("name a file or a folder that may be read and changed"),
    )
}
