//! How do the operations of an OpenAPI description come into a federation?

use std::path::{Path, PathBuf};

use dfm_config::registry::Registry;
use dfm_config::{
    OpenApi, imported, is_url, openapi, openapi_bytes, openapi_file, relative, with_imported, write_file,
};
use dfm_diag::{Diagnostic, Sources, nearest};
use serde_json::json;
use similar::TextDiff;

use super::migrate::unused;
use crate::args::ImportOpenApi;
use crate::chosen::{load, no_registry, unknown};
use crate::context::{Context, Failure};
use crate::fetch;
use crate::output::{counted, problems};

/// A file that is written.
struct Change {
    path: PathBuf,
    before: String,
    after: String,
    /// Whether people write it, so that what it was is kept.
    kept: bool,
}

/// Shows what it would write, or writes it.
///
/// # Errors
/// A federation or a description that cannot be used, or what the file system refuses.
pub fn run(context: &Context, args: &ImportOpenApi) -> Result<(), Failure> {
    let (name, paths) = chosen(context, args.federation.as_deref())?;
    let config = paths.config.clone().ok_or_else(|| {
        Failure::wrong(Diagnostic::error("registry-no-config", format!("the registry has no config_path for `{name}`")))
    })?;
    if let Ok(loaded) = load(context, &name, &paths)
        && !loaded.federation.sites.contains_key(&args.site)
    {
        let message = format!("the federation `{name}` has no site `{}`", args.site);
        let sites: Vec<&str> = loaded.federation.sites.keys().map(String::as_str).collect();
        let near = nearest(&args.site, sites.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let help = format!("{}it has: {}", near.unwrap_or_default(), sites.join(", "));
        return Err(Failure::wrong(Diagnostic::error("import-unknown-site", message).help(help)));
    }
    let before = std::fs::read_to_string(&config).map_err(|error| refused(context, &config, &error))?;
    let (source, url) = (args.description.as_str(), is_url(&args.description));
    let mut sources = Sources::default();
    let read = match url {
        true => {
            let bytes = fetch::fetch(source).map_err(|why| {
                Diagnostic::error("openapi-not-read", format!("cannot read the description `{source}`: {why}"))
            });
            bytes.and_then(|bytes| openapi_bytes(source, bytes, &mut sources))
        }
        false => openapi_file(Path::new(source), &mut sources),
    };
    let file = read.map_err(Failure::wrong)?;
    let text = sources.text(file).to_owned();
    let namespace = match &args.name {
        Some(name) => name.clone(),
        None => namespace(source, &context.here),
    };
    check_namespace(&namespace)?;
    let request = OpenApi { namespace: &namespace, only: &args.operation, url: url.then_some(source) };
    let (described, report) = openapi(file, sources, &request).map_err(Failure::wrong)?;

    let folder = config.parent().unwrap_or(&context.here);
    let here = context.here.join(source);
    let inside =
        !url && here.canonicalize().is_ok_and(|path| paths.dir.canonicalize().is_ok_and(|dir| path.starts_with(dir)));
    let mut changes = Vec::new();
    let description = if inside {
        relative(folder, &here)
    } else {
        let end = if text.trim_start().starts_with('{') { "json" } else { "yaml" };
        let path = folder.join(format!("{namespace}.openapi.{end}"));
        let was = std::fs::read_to_string(&path).unwrap_or_default();
        changes.push(Change { path: path.clone(), before: was, after: text, kept: false });
        relative(folder, &path)
    };
    let path = folder.join(format!("{namespace}.imported.yaml"));
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    let made = imported(&described, &description.to_string_lossy());
    let file = relative(folder, &path).to_string_lossy().into_owned();
    changes.push(Change { path, before: was, after: made, kept: false });
    let (after, left) = with_imported(&before, &described, &namespace, &args.site, &file);
    changes.push(Change { path: config, before, after, kept: true });
    changes.retain(|change| change.before != change.after);

    let mut kept = Vec::new();
    for Change { path, before, after, kept: keep } in &changes {
        let shown = context.shown(path).display().to_string();
        if !context.output.json {
            let diff = TextDiff::from_lines(before.as_str(), after.as_str());
            // A description is its author's, and long.
            let words = match shown.contains(".openapi.") {
                true => format!("+++ {shown}: the description, {}", counted(after.lines().count(), "line")),
                false => diff.unified_diff().context_radius(1).header(&shown, &shown).to_string(),
            };
            context.output.result(words.trim_end());
        }
        if args.write {
            if *keep {
                let copy = unused(path);
                std::fs::copy(path, &copy).map_err(|error| refused(context, path, &error))?;
                kept.push(copy);
            }
            write_file(path, after).map_err(|error| refused(context, path, &error))?;
        }
    }
    if context.output.json {
        let changed: Vec<&PathBuf> = changes.iter().map(|change| &change.path).collect();
        let operations: Vec<&str> = described.operations.iter().map(|call| call.name.as_str()).collect();
        context.output.document(&json!({"changed": changed, "kept": kept, "operations": operations, "left": left,
            "problems": problems(&report), "written": args.write}));
    } else {
        context.output.problems(&report);
        if !left.is_empty() {
            context.output.status(&format!("write into `{name}`'s configuration yourself:\n{}", left.join("\n")));
        }
        let what = counted(described.operations.len(), "operation");
        context.output.status(&match args.write {
            true => format!("imported {what} as `{namespace}`; `dfm fed gen code {name}` generates them"),
            false => format!("{what} would be imported as `{namespace}`; `--write` writes this"),
        });
    }
    // One without an address is not yet complete, as has been said.
    if args.write && left.is_empty() && described.address.is_some() {
        let loaded = load(context, &name, &paths).map_err(Failure::wrong)?;
        if !context.output.json {
            context.output.problems(&loaded.report);
        }
    }
    Ok(())
}

/// The federation that is named, or the only one.
fn chosen(context: &Context, name: Option<&str>) -> Result<(String, dfm_config::registry::Paths), Failure> {
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    let names: Vec<&str> = registry.records.keys().map(String::as_str).collect();
    let name = match (name, &names[..]) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) if !registry.path.exists() => return Err(Failure::wrong(no_registry(context))),
        (None, _) => {
            let help = format!("add `-f NAME`; there are: {}", names.join(", "));
            return Err(Failure::wrong(
                Diagnostic::error("import-which", "it is not clear which federation is meant").help(help),
            ));
        }
    };
    let paths = registry.paths(name).ok_or_else(|| Failure::wrong(unknown(context, &registry, name)))?;
    Ok((name.to_owned(), paths))
}

/// A name for the operations: that of their description's file or, where it says no more than what such a file is, that of
/// the folder that has it. At a URL, folders that say no more either are passed over too, and the host comes last.
fn namespace(source: &str, here: &Path) -> String {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = match path.split_once("://") {
        Some((_, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.split_once(':').map_or(host, |(host, _)| host);
            (Some(host), path.to_owned())
        }
        None => (None, relative(Path::new("/"), &here.join(source)).to_string_lossy().into_owned()),
    };
    let name = |text: &str| -> String {
        let text = text.split('.').next().unwrap_or_default().to_lowercase();
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    let says_more = |name: &String| {
        let is_version =
            name.strip_prefix('v').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '_'));
        !is_version && !["openapi", "swagger", "api", "www"].contains(&name.as_str())
    };
    let mut parts = path.rsplit('/').map(name);
    let of_file = parts.next().filter(says_more);
    let around: Vec<String> = match host {
        Some(host) => parts.chain(host.split('.').map(name)).filter(says_more).collect(),
        None => parts.collect(),
    };
    of_file.into_iter().chain(around).find(|name| dfm_config::is_name(name)).unwrap_or_else(|| "openapi".to_owned())
}

fn check_namespace(name: &str) -> Result<(), Failure> {
    if dfm_config::is_name(name) {
        return Ok(());
    }
    let message = format!("`{name}` cannot be the name of the operations' namespace");
    let help = "give one with `--name`: it becomes a Python module";
    Err(Failure::wrong(Diagnostic::error("import-invalid-name", message).help(help)))
}

fn refused(context: &Context, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(Diagnostic::error("import-files", format!("`{}`: {error}", context.shown(path).display())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::namespace;

    #[test]
    fn operations_are_named_as_what_has_their_description() {
        for (source, name) in [
            ("pets.yaml", "pets"),
            ("descriptions/my-Pets.v2.yaml", "my_pets"),
            ("https://pets.example/openapi.yaml", "pets"),
            ("https://api.pets.example/v1/openapi.json?raw=1", "pets"),
            ("https://hub.example/pets/v2_1/swagger.json", "pets"),
            ("http://127.0.0.1:8000/openapi.yaml", "openapi"),
            ("https://pets.example/api/openapi.json", "pets"),
            ("https://pets.example/shop/openapi.json", "shop"),
            ("http://localhost:8766/openapi.json", "localhost"),
            ("openapi.yaml", "store"),
            ("./openapi.json", "store"),
            ("../swagger.json", "home"),
            ("../my-api/openapi.json", "my_api"),
            ("/srv/api/openapi.json", "api"),
            ("/srv/3d/openapi.json", "srv"),
            ("/openapi.json", "openapi"),
        ] {
            assert_eq!(namespace(source, Path::new("/home/store")), name, "{source}");
        }
    }
}
