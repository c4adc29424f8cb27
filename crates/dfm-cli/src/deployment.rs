//! How do generated deployment files get into the federation's folder without replacing what is there?

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dfm_config::{Bounds, write_file};
use dfm_deploy::{File, Members, Scene, relative};
use dfm_diag::{Diagnostic, Report, Sources, Span};
use serde_json::json;
use similar::TextDiff;

use crate::chosen::Chosen;
use crate::context::{Context, Failure};

/// That the configuration lacks something that a command needs.
pub fn wrong(chosen: &Chosen, diagnostic: Diagnostic) -> Failure {
    Failure::wrong(Report { diagnostics: vec![diagnostic], sources: chosen.sources.clone() })
}

/// The sites that are deployed.
///
/// # Errors
/// An NVFlare project that cannot be read, or whose members cannot be deployed.
pub fn members(chosen: &Chosen) -> Result<Members, Failure> {
    let project = chosen.paths.project.as_deref();
    let project = project.map(|path| dfm_config::project(path, &mut Sources::default()));
    let project = project.transpose().map_err(Failure::wrong)?;
    let members = dfm_deploy::members(&chosen.federation, &chosen.name, project.as_ref());
    members.map_err(|diagnostic| wrong(chosen, diagnostic))
}

/// The folders around the files; `build` is the build context, relative to the federation's folder.
pub fn scene(context: &Context, chosen: &Chosen, build: Option<&Path>) -> Scene {
    let folder = context.here.join(&chosen.paths.dir);
    let build = build.map(|build| folder.join(build)).unwrap_or_default();
    Scene {
        name: chosen.name.clone(),
        workspace: context.here.join(&context.workspace),
        packaged: ["pyproject.toml", "setup.py"].iter().any(|file| build.join(file).is_file()),
        folder,
    }
}

/// Where a section's path leads, relative to the federation's folder. One that begins with the end of that folder's own
/// path, and from there leads to no folder that there is, was written from where that end begins, which is told.
pub fn settled(context: &Context, chosen: &Chosen, section: Option<Span>, key: &str, path: &Path) -> PathBuf {
    let folder = context.here.join(&chosen.paths.dir);
    if path.components().next().is_none_or(|first| folder.join(first).exists()) {
        return path.to_owned();
    }
    let around = (1..=path.components().count()).rev().find_map(|length| {
        let begin: PathBuf = path.components().take(length).collect();
        folder.ends_with(&begin).then(|| path.components().skip(length).collect::<PathBuf>())
    });
    let from_registry = || {
        let place = context.registry.parent()?.join(path);
        (place.exists() && folder.starts_with(&place)).then(|| relative(&folder, &place))
    };
    let Some(meant) = around.or_else(from_registry) else { return path.to_owned() };
    let meant = if meant.as_os_str().is_empty() { PathBuf::from(".") } else { meant };
    let message = format!("`{key}` is taken as `{}`: paths begin in the federation's folder", meant.display());
    let warning = Diagnostic::warning("deploy-path-base", message);
    let warning = section.map_or(warning.clone(), |span| {
        warning.at(span, format!("its `{key}` is `{}`, which would repeat the folder's own path", path.display()))
    });
    let warning = warning.help(format!("write `{key}: {}`", meant.display()));
    context.output.problems(&Report { diagnostics: vec![warning], sources: chosen.sources.clone() });
    meant
}

/// Whether a section's paths, and the files that are made of them, stay in the federation's folder once their links are
/// followed. What goes into an image may also be the folder that the federation's is in, where its package is. `named` are
/// the section's keys with the path that each gives, relative to the federation's folder.
///
/// # Errors
/// The first path that leads out.
pub fn stays_inside(
    context: &Context,
    chosen: &Chosen,
    section: Option<Span>,
    named: &[(&str, &Path)],
    files: &[File],
) -> Result<(), Failure> {
    let folder = std::path::absolute(context.here.join(&chosen.paths.dir)).unwrap_or_default();
    let own = Bounds::of([folder.as_path()]);
    let around = folder.canonicalize().ok().and_then(|folder| folder.parent().map(Path::to_owned));
    let is_context = |path: &Path, is_around: &dyn Fn(&Path) -> bool| {
        Bounds::of(around.as_deref()).within(path).is_some_and(|path| is_around(&path))
    };
    let fault = |message: String, label: String| {
        let fault = Diagnostic::error("deploy-outside-folder", message)
            .help("name a place in the federation's folder; or say `--allow-outside`, if you mean it");
        wrong(chosen, section.map_or(fault.clone(), |span| fault.at(span, label)))
    };
    for (key, path) in named {
        let place = folder.join(path);
        let is_around = |path: &Path| Some(path) == around.as_deref();
        if own.within(&place).is_none() && !(*key == "build.context" && is_context(&place, &is_around)) {
            let message = format!("`{key}` leads out of the federation's folder");
            return Err(fault(message, format!("its `{key}` is `{}`", path.display())));
        }
    }
    for file in files {
        let place = folder.join(&file.path);
        let is_ignore = |path: &Path| path.parent() == around.as_deref() && path.ends_with(".dockerignore");
        if own.within(&place).is_none() && !is_context(&place, &is_ignore) {
            let message = format!("a symbolic link leads `{}` out of the federation's folder", file.path.display());
            return Err(fault(message, "this file is made of it".to_owned()));
        }
    }
    Ok(())
}

/// Writes the files; where others are in their place, shows the difference and writes nothing, unless forced.
///
/// # Errors
/// Files that are different, or what the file system refuses.
pub fn write(context: &Context, chosen: &Chosen, files: &[File], force: bool) -> Result<(), Failure> {
    let folder = context.here.join(&chosen.paths.dir);
    let place = |file: &File| Path::new("/").join(relative(Path::new("/"), &folder.join(&file.path)));
    let mut written = Vec::new();
    let mut different = Vec::new();
    for file in files {
        match std::fs::read(place(file)) {
            Ok(old) if old == file.text.as_bytes() => (),
            Ok(old) => different.push((file, old)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => written.push(file),
            Err(error) => return Err(refused(context, "read", &place(file), &error)),
        }
    }
    if !different.is_empty() && !force {
        return Err(kept(context, &different, &place));
    }
    written.extend(different.iter().map(|(file, _)| *file));
    for file in &written {
        let path = place(file);
        let done =
            write_file(&path, &file.text).and_then(|()| if file.executable { run_by_all(&path) } else { Ok(()) });
        done.map_err(|error| refused(context, "write", &path, &error))?;
        context.output.detail(&format!("wrote {}", context.shown(&path).display()));
    }
    if context.output.json {
        let all: Vec<_> = files.iter().map(&place).collect();
        let written: Vec<_> = written.iter().map(|file| place(file)).collect();
        context.output.document(&json!({"files": all, "written": written}));
        return Ok(());
    }
    for file in files {
        context.output.result(&context.shown(&place(file)).display().to_string());
    }
    let unchanged = files.len() - written.len();
    context.output.status(&format!("wrote {} of {} files, {unchanged} unchanged", written.len(), files.len()));
    Ok(())
}

/// Shows what is different, and says that nothing has been written.
fn kept(context: &Context, different: &[(&File, Vec<u8>)], place: &dyn Fn(&File) -> std::path::PathBuf) -> Failure {
    let mut names = Vec::new();
    for (file, old) in different {
        let name = context.shown(&place(file)).display().to_string();
        if !context.output.json {
            let old = String::from_utf8_lossy(old);
            let diff = TextDiff::from_lines(old.as_ref(), file.text.as_str());
            let diff = diff.unified_diff().context_radius(2).header(&name, "as it would be generated").to_string();
            context.output.result(diff.trim_end());
        }
        names.push(name);
    }
    let message = format!("`{}` would change, so nothing has been written", names.join("`, `"));
    let help = "the same command with `--force` replaces what is there";
    Failure::failed(Diagnostic::error("deploy-existing-files", message).help(help))
}

fn run_by_all(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | ((mode & 0o444) >> 2)))
}

fn refused(context: &Context, what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} `{}`: {error}", context.shown(path).display());
    Failure::failed(Diagnostic::error("deploy-files", message).help(dfm_config::file_remedy(error)))
}
