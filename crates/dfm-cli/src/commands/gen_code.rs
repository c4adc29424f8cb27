//! How does `dfm fed gen code` write a federation's Python package?

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use dfm_codegen::{File, Options, generate};
use dfm_config::{Bounds, Federation, lock, repository, write_alone};
use dfm_diag::{Diagnostic, Report, nearest};
use serde_json::json;

use crate::args::GenCode;
use crate::chosen::federation;
use crate::context::{Context, Failure};
use crate::package::{Changes, compare, left_over, remove};

/// Generates the code, or with `--check` says what is stale.
///
/// # Errors
/// A federation that cannot be loaded, an unknown site, a file that the user wrote where one is to be generated, what
/// the file system refuses, and with `--check` anything stale.
pub fn run(context: &Context, args: &GenCode) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    let options = Options { api: !args.no_api, runtime_sites: runtime_sites(&chosen.federation, args)? };
    let folder = match &args.output_dir {
        Some(folder) => context.here.join(folder),
        None => chosen.paths.dir.parent().unwrap_or(&chosen.paths.dir).to_owned(),
    };
    let package = Path::new(&chosen.federation.info.code_package);
    let mut files = generate(&chosen.federation, &options);
    let unreadable = |fault| refused(context, "read", fault);
    // With --cleanup, what is not asked for goes; otherwise what no run would generate any more is only mentioned.
    let everything = Options { api: true, runtime_sites: None };
    let more = (!args.cleanup && options != everything).then(|| generate(&chosen.federation, &everything));
    let old = left_over(&folder, &package.join("fed"), more.as_ref().unwrap_or(&files)).map_err(unreadable)?;
    let outer = package.join("__init__.py");
    if !folder.join(&outer).exists() {
        files.push(File { path: outer.clone(), text: String::new() });
    }
    stays_inside(context, &folder, files.iter().map(|file| &file.path).chain(&old))?;
    let alone = (!args.check).then(|| lock(&folder.join(&outer)));
    let changes = compare(&folder, &files).map_err(unreadable)?;
    if args.check {
        return check(context, args, &folder, &changes, &old);
    }
    if !changes.foreign.is_empty() {
        return Err(Failure::failed(foreign(context, &folder, &changes.foreign)));
    }
    let stale: HashSet<&PathBuf> = changes.missing.iter().chain(&changes.changed).collect();
    for file in files.iter().filter(|file| stale.contains(&file.path)) {
        let path = folder.join(&file.path);
        write_alone(&path, &file.text).map_err(|error| refused(context, "write", (path.clone(), error)))?;
        context.output.detail(&format!("wrote {}", context.shown(&path).display()));
    }
    if args.cleanup {
        remove(&folder, &package.join("fed"), &old).map_err(|fault| refused(context, "remove", fault))?;
        for path in &old {
            context.output.detail(&format!("removed {}", context.shown(&folder.join(path)).display()));
        }
    }
    drop(alone);
    told(context, args, &folder.join(package).join("fed"), &changes, &old);
    Ok(())
}

/// Refuses to write or remove anything where a symbolic link leads out of the folder and of the repository around it:
/// whoever wrote the configuration may have put it there.
fn stays_inside<'p>(
    context: &Context,
    folder: &Path,
    mut paths: impl Iterator<Item = &'p PathBuf>,
) -> Result<(), Failure> {
    let repository = repository(folder);
    let own = Bounds::of(std::iter::once(folder).chain(repository.as_deref()));
    let Some(out) = paths.find(|path| folder.exists() && own.within(&folder.join(path)).is_none()) else {
        return Ok(());
    };
    let shown = context.shown(&folder.join(out));
    let message = format!("a symbolic link leads `{}` out of the folder that code is generated in", shown.display());
    let help = "remove the link; or say with `--output-dir` where the package is";
    Err(Failure::wrong(Diagnostic::error("gen-code-outside", message).help(help)))
}

/// The sites that `--runtime-site` names; `None` for all.
fn runtime_sites(federation: &Federation, args: &GenCode) -> Result<Option<Vec<String>>, Failure> {
    let known: Vec<&str> = federation.sites.keys().map(String::as_str).collect();
    let none = args.runtime_sites.iter().any(|site| site == "none" && !known.contains(&"none"));
    if none && args.runtime_sites.len() > 1 {
        let message = "--runtime-site is `none` and a site at the same time";
        let help = "give `--runtime-site none` alone, or only sites";
        return Err(Failure::wrong(Diagnostic::error("gen-code-none-and-site", message).help(help)));
    }
    for site in args.runtime_sites.iter().filter(|_| !none) {
        if !known.contains(&site.as_str()) {
            let meant = nearest(site, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}it has: {}; or `none` for no runtime", meant.unwrap_or_default(), known.join(", "));
            let message = format!("`{}` has no site `{site}`", args.name);
            return Err(Failure::wrong(Diagnostic::error("gen-code-unknown-site", message).help(help)));
        }
    }
    Ok(match &args.runtime_sites[..] {
        [] => None,
        _ if none => Some(Vec::new()),
        sites => Some(sites.to_vec()),
    })
}

fn check(context: &Context, args: &GenCode, folder: &Path, changes: &Changes, old: &[PathBuf]) -> Result<(), Failure> {
    let lists =
        [("missing", &changes.missing[..]), ("changed", &changes.changed), ("foreign", &changes.foreign), ("old", old)];
    let stale: Vec<(&str, PathBuf)> = lists
        .iter()
        .flat_map(|(why, paths)| paths.iter().map(|path| (*why, context.shown(&folder.join(path)))))
        .collect();
    if context.output.json {
        let stale: Vec<_> = stale.iter().map(|(why, path)| json!({"path": path, "why": why})).collect();
        context.output.document(&json!({"folder": folder, "stale": stale}));
        return if stale.is_empty() { Ok(()) } else { Err(Failure::failed(Report::default())) };
    }
    for (why, path) in &stale {
        context.output.result(&format!("{why:<8} {}", path.display()));
    }
    if stale.is_empty() {
        context.output.status(&format!("the code of `{}` is up to date", args.name));
        return Ok(());
    }
    let cleanup = if old.is_empty() { "" } else { " --cleanup" };
    let message = format!("the code of `{}` is stale: {}", args.name, files(stale.len()));
    let help = format!("run `dfm fed gen code {}{cleanup}` with the options given here", args.name);
    Err(Failure::failed(Diagnostic::error("gen-code-stale", message).help(help)))
}

fn told(context: &Context, args: &GenCode, folder: &Path, changes: &Changes, old: &[PathBuf]) {
    let written = changes.missing.len() + changes.changed.len();
    let removed = if args.cleanup { old.len() } else { 0 };
    if context.output.json {
        let left_over = if args.cleanup { &[] } else { old };
        let counts = json!({"folder": folder, "written": written, "unchanged": changes.same, "removed": removed,
            "left_over": left_over});
        context.output.document(&counts);
        return;
    }
    let removed = if removed > 0 { format!(", removed {removed}") } else { String::new() };
    let place = context.shown(folder);
    context.output.status(&format!(
        "wrote {} to {}, {} unchanged{removed}",
        files(written),
        place.display(),
        changes.same
    ));
    if !args.cleanup && !old.is_empty() {
        let what = files(old.len());
        context.output.status(&format!("{what} of an earlier run belong to nothing any more; --cleanup removes them"));
    }
}

fn foreign(context: &Context, folder: &Path, paths: &[PathBuf]) -> Diagnostic {
    let shown: Vec<String> = paths.iter().map(|path| context.shown(&folder.join(path)).display().to_string()).collect();
    let message = format!("dfm did not write `{}`, so it does not replace it", shown.join("`, `"));
    Diagnostic::error("gen-code-foreign-file", message)
        .help("nothing has been written; move the file, delete it if another tool generated it, or use --output-dir")
}

fn refused(context: &Context, what: &str, (path, error): (PathBuf, io::Error)) -> Failure {
    let message = format!("cannot {what} `{}`: {error}", context.shown(&path).display());
    let help = format!("{}; --output-dir names one", dfm_config::file_remedy(&error));
    Failure::failed(Diagnostic::error("gen-code-files", message).help(help))
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
