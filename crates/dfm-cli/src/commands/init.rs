//! How does `dfm fed init` write a federation that runs at once?

use std::io;
use std::path::{Path, PathBuf};

use dfm_config::registry::{Registry, check_name};
use dfm_diag::Diagnostic;
use serde_json::json;

use super::{config, gen_code};
use crate::args::{Config, GenCode, Init, Set, Template};
use crate::context::{Context, Failure};
use crate::python;

macro_rules! file {
    ($path:literal, $of:literal) => {
        ($path, include_str!(concat!("../../templates/init/", $of)))
    };
}

/// The files of every federation. In paths and texts, `@name@` is the federation, `@package@` its Python package.
const EVERY: &[(&str, &str)] = &[
    file!("README.md", "every/README.md.in"),
    file!("pyproject.toml", "every/pyproject.toml.in"),
    file!("tests/conftest.py", "every/conftest.py.in"),
    ("@package@/__init__.py", ""),
    ("@package@/apps/__init__.py", ""),
    ("@package@/lib/__init__.py", ""),
];

const MINIMAL: &[(&str, &str)] = &[
    file!("@package@/configs/federation.dfm.yaml", "minimal/federation.dfm.yaml.in"),
    file!("@package@/lib/adapters.py", "minimal/adapters.py.in"),
    file!("@package@/apps/pipeline.py", "minimal/pipeline.py.in"),
    file!("tests/test_adapters.py", "minimal/test_adapters.py.in"),
];

const ARRAYS: &[(&str, &str)] = &[
    file!("@package@/configs/federation.dfm.yaml", "arrays/federation.dfm.yaml.in"),
    file!("@package@/lib/adapters.py", "arrays/adapters.py.in"),
    file!("@package@/apps/pipeline.py", "arrays/pipeline.py.in"),
    file!("tests/test_adapters.py", "arrays/test_adapters.py.in"),
];

const TABLES: &[(&str, &str)] = &[
    file!("@package@/configs/federation.dfm.yaml", "tables/federation.dfm.yaml.in"),
    file!("@package@/lib/adapters.py", "tables/adapters.py.in"),
    file!("@package@/apps/pipeline.py", "tables/pipeline.py.in"),
    file!("@package@/data/north.csv", "tables/north.csv"),
    file!("@package@/data/south.csv", "tables/south.csv"),
    file!("tests/test_adapters.py", "tables/test_adapters.py.in"),
];

/// Writes the federation into a new folder, has the registry know it, and generates its code.
///
/// # Errors
/// A name that is taken or cannot be a Python package's, a folder that is there, or what the file system refuses; the
/// folder is then not there.
pub fn run(context: &Context, args: &Init) -> Result<(), Failure> {
    let name = &args.name;
    let package = name.replace(['-', '.'], "_");
    let folder = context.here.join(name);
    check(context, name, &package, &folder)?;
    write(&folder, args.template, name, &package).map_err(|error| {
        let message = format!("cannot write `{}`: {error}", context.shown(&folder).display());
        Failure::failed(Diagnostic::error("init-files", message).help(dfm_config::file_remedy(&error)))
    })?;
    let quietly = Context { output: context.output.muted(), ..context.clone() };
    let federation_dir = folder.join(&package);
    let record = Set {
        name: name.clone(),
        federation_dir: Some(federation_dir.clone()),
        config_path: Some(PathBuf::from("configs/federation.dfm.yaml")),
        project_path: None,
    };
    config::run(&quietly, Config::Set(record))?;
    gen_code::run(&quietly, &GenCode::all_of(name))?;
    told(context, name, &folder, &federation_dir);
    Ok(())
}

fn check(context: &Context, name: &str, package: &str, folder: &Path) -> Result<(), Failure> {
    check_name(name).map_err(Failure::wrong)?;
    if !dfm_config::is_name(package) || dfm_config::is_taken(package) {
        let message = format!("`{name}` cannot be a new federation: its Python package would be `{package}`");
        let help = if dfm_config::is_taken(package) {
            format!("Python or dfm has a module `{package}` of its own; choose another name")
        } else {
            "choose a name that begins with a letter and is no word of Python's own".to_owned()
        };
        return Err(Failure::wrong(Diagnostic::error("init-invalid-name", message).help(help)));
    }
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    if registry.records.contains_key(name) {
        let message = format!("`{}` has a federation `{name}` already", context.shown(&registry.path).display());
        let help = format!("choose another name, or forget that one: `dfm fed config delete {name}`");
        return Err(Failure::wrong(Diagnostic::error("init-known-federation", message).help(help)));
    }
    if folder.exists() {
        let message = format!("`{}` exists already and was left as it is", context.shown(folder).display());
        let help = "choose another name, or run this in another folder; for a configuration that is there, use \
            `dfm fed config set`";
        return Err(Failure::wrong(Diagnostic::error("init-exists", message).help(help)));
    }
    if let Some(python) = python::that_has(package) {
        let message =
            format!("`{name}` cannot be a new federation: its package would hide the `{package}` of Python's");
        let help = format!("{} has that installed; choose another name", python.display());
        return Err(Failure::wrong(Diagnostic::error("init-invalid-name", message).help(help)));
    }
    Ok(())
}

/// Writes all files beside their place first, so that a folder that is there is whole.
fn write(folder: &Path, template: Template, name: &str, package: &str) -> io::Result<()> {
    let (own, requirements) = match template {
        Template::Minimal => (MINIMAL, r#""data-federation-mesh""#),
        Template::Arrays => (ARRAYS, r#""data-federation-mesh", "numpy""#),
        Template::Tables => (TABLES, r#""data-federation-mesh", "pyarrow""#),
    };
    let filled =
        |text: &str| text.replace("@name@", name).replace("@package@", package).replace("@requirements@", requirements);
    let draft = folder.with_file_name(format!(".{name}.new-{}", std::process::id()));
    let written = EVERY
        .iter()
        .chain(own)
        .try_for_each(|(path, text)| dfm_config::write_file(&draft.join(filled(path)), &filled(text)))
        .and_then(|()| {
            let schema = format!("{:#}\n", dfm_config::json_schema());
            dfm_config::write_file(&draft.join(package).join("configs/dfm.schema.json"), &schema)
        })
        .and_then(|()| std::fs::rename(&draft, folder));
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&draft);
    }
    written
}

/// What there is now, and what to do next.
fn told(context: &Context, name: &str, folder: &Path, federation_dir: &Path) {
    let pipeline = context.shown(&federation_dir.join("apps/pipeline.py"));
    let next = [
        format!("dfm fed submit {name} --target local pipeline {}", pipeline.display()),
        format!("python -m pytest {}", context.shown(folder).display()),
        format!("dfm fed check {name}"),
    ];
    if context.output.json {
        context.output.document(&json!({"federation": name, "folder": folder, "next": next}));
        return;
    }
    let what = [
        ("pipeline", pipeline),
        ("configuration", context.shown(&federation_dir.join("configs/federation.dfm.yaml"))),
        ("adapters", context.shown(&federation_dir.join("lib/adapters.py"))),
    ];
    let shown = context.shown(folder);
    context.output.status(&format!(
        "wrote `{}`, known in `{}`:",
        shown.display(),
        context.shown(&context.registry).display()
    ));
    for (word, path) in what {
        context.output.status(&format!("  {word:<15}{}", path.display()));
    }
    context.output.status("\nRun it, test it, and check it after each change:");
    for command in next {
        context.output.result(&format!("  {command}"));
    }
}
