//! How does `dfm fed config` keep the registry of federations?

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use dfm_config::registry::{self, Paths, Record, Registry};
use dfm_config::{FILE_NAME, Federation};
use dfm_diag::{Diagnostic, Report};
use serde_json::{Value, json};

use crate::args::{Config, Set};
use crate::chosen::{load, meant, unknown};
use crate::context::{Context, Failure};
use crate::output::{counted, problems};

/// Does what a subcommand says.
///
/// # Errors
/// Whatever kept it from its work.
pub fn run(context: &Context, command: Config) -> Result<(), Failure> {
    if let Config::CreateDefault { path } = command {
        return create_default(context, path);
    }
    // Held to the end: what another process does meanwhile is read after it is done, and not overwritten.
    let _lock = matches!(command, Config::Set(_) | Config::Delete { .. }).then(|| registry::lock(&context.registry));
    let mut registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    match command {
        Config::ListAll => {
            list_all(context, &registry);
            Ok(())
        }
        Config::Set(args) => set(context, &mut registry, &args),
        Config::Show { name } => show(context, &registry, &name),
        Config::Delete { name } => delete(context, &mut registry, &name),
        Config::CreateDefault { path } => create_default(context, path),
    }
}

fn list_all(context: &Context, registry: &Registry) {
    let mut documents = Vec::new();
    let mut table = table(["NAME", "FOLDER", "API VERSION", "SITES", "PROBLEMS"]);
    let mut troubled = None;
    for name in registry.records.keys() {
        let Some(paths) = registry.paths(name) else { continue };
        let (federation, report) = match load(context, name, &paths) {
            Ok(loaded) => (Some(loaded.federation), loaded.report),
            Err(report) => (None, report),
        };
        let version = federation.as_ref().map(|federation| federation.info.api_version.clone());
        let sites: Option<Vec<&str>> =
            federation.as_ref().map(|federation| federation.sites.keys().map(String::as_str).collect());
        if context.output.json {
            documents.push(json!({"name": name, "folder": paths.dir, "api_version": version, "sites": sites,
                "problems": problems(&report)}));
            continue;
        }
        if !report.diagnostics.is_empty() {
            troubled = Some(name);
        }
        table.add_row([
            name.clone(),
            context.shown(&paths.dir).display().to_string(),
            version.unwrap_or_else(|| "?".to_owned()),
            sites.map_or_else(|| "?".to_owned(), |sites| sites.join(", ")),
            summary(&report),
        ]);
    }
    if context.output.json {
        context.output.document(&json!({"registry": registry.path, "federations": documents}));
        return;
    }
    let place = context.shown(&registry.path);
    context.output.detail(&format!("registry: {}", place.display()));
    if registry.records.is_empty() {
        context.output.status(&format!(
            "no federations in `{}`; add one with `dfm fed config set NAME --federation-dir DIR --config-path FILE`",
            place.display()
        ));
        return;
    }
    context.output.result(&table.trim_fmt());
    if let Some(name) = troubled {
        context.output.status(&format!("\n`dfm fed config show {name}` shows its problems"));
    }
}

/// How many problems there are of each kind.
fn summary(report: &Report) -> String {
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let parts = [(errors, "error"), (report.diagnostics.len() - errors, "warning")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| counted(count, word)).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn show(context: &Context, registry: &Registry, name: &str) -> Result<(), Failure> {
    let paths = registry.paths(name).ok_or_else(|| Failure::wrong(unknown(context, registry, name)))?;
    let record = &registry.records[name];
    let loaded = load(context, name, &paths);
    let (federation, report) = match &loaded {
        Ok(loaded) => (Some(&loaded.federation), &loaded.report),
        Err(report) => (None, report),
    };
    if context.output.json {
        let mut document = record_document(name, record, &paths);
        document["registry"] = json!(registry.path);
        document["federation"] = federation.map_or(Value::Null, federation_document);
        document["problems"] = json!(problems(report));
        context.output.document(&document);
    } else {
        context.output.result(&described(context, registry, name, &paths));
        if let Some(federation) = federation {
            context.output.result(&format!("\n{}", offers(federation)));
        }
        context.output.problems(report);
    }
    if federation.is_none() { Err(Failure::wrong(Report::default())) } else { Ok(()) }
}

fn described(context: &Context, registry: &Registry, name: &str, paths: &Paths) -> String {
    let mut lines = vec![("federation", name.to_owned())];
    lines.push(("registry", context.shown(&registry.path).display().to_string()));
    lines.push(("federation_dir", existing(context, &paths.dir)));
    let optional =
        |path: &Option<PathBuf>| path.as_ref().map_or_else(|| "none".to_owned(), |path| existing(context, path));
    lines.push(("config_path", optional(&paths.config)));
    lines.push(("project_path", optional(&paths.project)));
    lines.push(("workspace", existing(context, &context.workspace.join(name))));
    let lines: Vec<String> = lines.iter().map(|(key, value)| format!("{:<16}{value}", format!("{key}:"))).collect();
    lines.join("\n")
}

fn existing(context: &Context, path: &Path) -> String {
    let remark = if path.exists() { "" } else { " (does not exist)" };
    format!("{}{remark}", context.shown(path).display())
}

/// Sites × operations, with the API version and description above.
fn offers(federation: &Federation) -> String {
    let info = &federation.info;
    let mut lines =
        format!("{:<16}{}\n{:<16}{}\n", "api-version:", info.api_version, "code-package:", info.code_package);
    if !info.description.is_empty() {
        lines +=
            &format!("{:<16}{}\n", "description:", info.description.trim_end().replace('\n', "\n                "));
    }
    let header = std::iter::once("OPERATION").chain(federation.sites.keys().map(String::as_str));
    let mut table = table(header);
    for name in federation.operations.keys() {
        let mut row = vec![name.clone()];
        for site in federation.sites.values() {
            let own = site.interface.contains_key(name).then_some("yes");
            let provided = site.providers.iter().filter(|(_, provider)| provider.interface.contains_key(name));
            let ways: Vec<&str> = own.into_iter().chain(provided.map(|(provider, _)| provider.as_str())).collect();
            row.push(if ways.is_empty() { "-".to_owned() } else { ways.join(", ") });
        }
        table.add_row(row);
    }
    format!("{lines}\n{}", table.trim_fmt())
}

fn federation_document(federation: &Federation) -> Value {
    let sites = federation.sites.iter().map(|(name, site)| {
        let own = site.interface.keys().map(|operation| json!({"operation": operation, "provider": null}));
        let provided = site.providers.iter().flat_map(|(provider, facts)| {
            facts.interface.keys().map(move |operation| json!({"operation": operation, "provider": provider}))
        });
        (name.clone(), own.chain(provided).collect::<Value>())
    });
    json!({
        "api_version": federation.info.api_version,
        "code_package": federation.info.code_package,
        "description": federation.info.description,
        "operations": federation.operations.keys().collect::<Vec<_>>(),
        "sites": Value::Object(sites.collect()),
    })
}

fn record_document(name: &str, record: &Record, paths: &Paths) -> Value {
    json!({
        "name": name,
        "record": {"federation_dir": record.federation_dir, "config_path": record.config_path,
            "project_path": record.project_path},
        "paths": {"federation_dir": paths.dir, "config_path": paths.config, "project_path": paths.project},
    })
}

fn set(context: &Context, registry: &mut Registry, args: &Set) -> Result<(), Failure> {
    let name = &args.name;
    registry::check_name(name).map_err(Failure::wrong)?;
    let found = match registry.records.contains_key(name) {
        false => with_found_file(context, args).map_err(Failure::wrong)?,
        true => None,
    };
    let args = found.as_ref().unwrap_or(args);
    if !registry.records.contains_key(name) && (args.federation_dir.is_none() || args.config_path.is_none()) {
        let missing = if args.federation_dir.is_none() { "--federation-dir" } else { "--config-path" };
        let mut diagnostic = Diagnostic::error("registry-incomplete", format!("`{name}` is new and needs {missing}"));
        if let Some(help) = meant(registry, name) {
            diagnostic = diagnostic.help(help);
        }
        return Err(Failure::wrong(diagnostic));
    }
    let change = change(context, registry, args).map_err(Failure::wrong)?;
    let changed = registry.with(name, &change);
    let Some(paths) = changed.paths(name) else { return Ok(()) };
    let missing: Vec<&Path> = [Some(&paths.dir), paths.config.as_ref(), paths.project.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .filter(|path| !path.exists())
        .collect();
    registry.set(name, &change).map_err(Failure::failed)?;
    let mut faults = String::new();
    if paths.config.as_ref().is_some_and(|path| path.exists()) {
        let report = load(context, name, &paths).map_or_else(|report| report, |loaded| loaded.report);
        context.output.problems(&report);
        if report.diagnostics.iter().any(Diagnostic::is_error) {
            faults = format!(" with {}; once mended, `dfm fed check {name}` shows what is left", summary(&report));
        }
    }
    for path in missing {
        let warning = Diagnostic::warning(
            "registry-missing-file",
            format!("`{}` does not exist yet", context.shown(path).display()),
        );
        context.output.problems(&warning.into());
    }
    if context.output.json {
        context.output.document(&record_document(name, &registry.records[name], &paths));
    }
    context.output.status(&format!("saved `{name}` in `{}`{faults}", context.shown(&registry.path).display()));
    Ok(())
}

/// The same with the only configuration of the federation's folder, when none is named and there is one.
fn with_found_file(context: &Context, args: &Set) -> Result<Option<Set>, Diagnostic> {
    let (Some(dir), None) = (&args.federation_dir, &args.config_path) else { return Ok(None) };
    let dir = context.here.join(dir);
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_file() && path.to_string_lossy().ends_with(".dfm.yaml")).collect()
    };
    let mut found = files(&dir);
    if found.is_empty() {
        found = files(&dir.join("configs"));
    }
    found.sort();
    let inside: Vec<PathBuf> = found.iter().filter_map(|path| Some(path.strip_prefix(&dir).ok()?.to_owned())).collect();
    match &inside[..] {
        [] => Ok(None),
        [only] => {
            context.output.status(&format!("found `{}`", context.shown(&dir.join(only)).display()));
            Ok(Some(Set { config_path: Some(only.clone()), ..args.clone() }))
        }
        many => {
            let shown: Vec<String> = many.iter().map(|path| format!("`{}`", path.display())).collect();
            let message = format!("`{}` has more than one configuration", context.shown(&dir).display());
            let help = format!("name one with --config-path: {}", shown.join(", "));
            Err(Diagnostic::error("registry-many-configs", message).help(help))
        }
    }
}

/// A name is also a folder's, in the workspace.
///
/// # Errors
/// The record's new values, as they are written into the registry.
fn change(context: &Context, registry: &Registry, args: &Set) -> Result<Record, Diagnostic> {
    let home = registry.path.parent().unwrap_or(&context.here);
    let federation_dir = match &args.federation_dir {
        // A registry that lies above its federations can be moved, or shared, with them.
        Some(dir) => {
            let dir: PathBuf = context.here.join(dir).components().collect();
            let inside = dir.strip_prefix(home).ok().map(Path::to_owned);
            Some(match inside {
                Some(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
                Some(inside) => inside,
                None => dir,
            })
        }
        None => None,
    };
    let stored = registry.records.get(&args.name);
    let has_project = stored.is_some_and(|record| record.project_path.is_some());
    let stored = stored.and_then(|record| record.federation_dir.clone());
    let base = home.join(federation_dir.clone().or(stored.map(PathBuf::from)).unwrap_or_default());
    let inner = |path: &Option<PathBuf>| {
        let path = path.as_ref()?;
        let seen_from_here = context.here.join(path);
        if path.is_absolute() || base.join(path).exists() || !seen_from_here.exists() {
            return Some(path.clone());
        }
        Some(seen_from_here.strip_prefix(&base).map(Path::to_owned).unwrap_or(seen_from_here))
    };
    let text = |path: Option<PathBuf>| {
        path.map(|path| {
            path.into_os_string().into_string().map_err(|path| {
                Diagnostic::error("registry-not-utf8", format!("the path `{}` is not UTF-8", path.display()))
            })
        })
        .transpose()
    };
    Ok(Record {
        federation_dir: text(federation_dir)?,
        config_path: text(inner(&args.config_path))?,
        project_path: match &args.project_path {
            Some(path) if path.as_os_str() == registry::NOTHING => has_project.then(|| registry::NOTHING.to_owned()),
            path => text(inner(path))?,
        },
    })
}

fn delete(context: &Context, registry: &mut Registry, name: &str) -> Result<(), Failure> {
    if !registry.records.contains_key(name) {
        return Err(Failure::wrong(unknown(context, registry, name)));
    }
    registry.delete(name).map_err(Failure::failed)?;
    if context.output.json {
        context.output.document(&json!({"deleted": name, "registry": registry.path}));
    }
    let place = context.shown(&registry.path);
    context.output.status(&format!("`{}` no longer has `{name}`; its files are untouched", place.display()));
    Ok(())
}

const DEFAULT: &str = "\
# The federations that dfm knows. `dfm fed config set`, `show` and `delete` edit this file and keep your comments.
federations:
  # my_federation:
  #   federation_dir: path/to/my_federation       # relative to this file
  #   config_path: configs/federation.dfm.yaml    # relative to federation_dir
  #   project_path: configs/project.yaml          # NVFlare's project, relative to federation_dir
";

fn create_default(context: &Context, path: Option<PathBuf>) -> Result<(), Failure> {
    let users_own = |name: &str| std::env::var_os(name).filter(|_| name != "DFM_CONFIG");
    // Where no folder from here upwards has a registry, the user's own would serve: who asks for one here means this folder.
    let here = path.is_none() && dfm_config::find_registry(None, &context.here, users_own) == context.registry;
    let here = here && !context.registry.parent().is_some_and(|home| context.here.starts_with(home));
    let path = match path {
        Some(path) => context.here.join(path),
        None if here => context.here.join(FILE_NAME),
        None => context.registry.clone(),
    };
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path };
    let place = context.shown(&path);
    let _lock = registry::lock(&path);
    if path.exists() {
        return Err(Failure::failed(
            Diagnostic::error("registry-exists", format!("`{}` exists already and was left as it is", place.display()))
                .help("name another with --path"),
        ));
    }
    registry::write(&path, DEFAULT).map_err(Failure::failed)?;
    if context.output.json {
        context.output.document(&json!({"created": path}));
    }
    let why = if here {
        ", which serves in this folder and all below, as none from here upwards had one; `--path FILE` makes another"
    } else {
        ""
    };
    context.output.status(&format!("created `{}`{why}", place.display()));
    Ok(())
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
}
