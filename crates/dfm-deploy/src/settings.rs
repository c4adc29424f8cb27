//! What do `provision.docker` and `provision.helm` say, once nothing is missing?

use std::path::{Path, PathBuf};

use dfm_config::Federation;
use dfm_diag::{Diagnostic, Span, Spanned};
use serde_json::{Map, Value};

use crate::texts::{self, is_path, is_registry, variable_of};

type Section = Map<String, Value>;

const PYTHON: &str = "docker.io/library/python:3.13-slim-bookworm";

/// What `provision.docker` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Docker {
    /// The image's name, without a registry.
    pub image: String,
    /// Its tag.
    pub tag: String,
    /// Where the Dockerfile goes, relative to the federation's folder.
    pub dockerfile: PathBuf,
    /// How the image is built.
    pub build: Build,
}

/// What `provision.docker.build` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// What the engine sees, relative to the federation's folder.
    pub context: PathBuf,
    /// `docker` or `podman`.
    pub engine: String,
    /// `amd64` or `arm64`.
    pub arch: String,
    /// The image that it is built on, with Python in it; by its digest, if the configuration gives one.
    pub base: String,
    /// The file that the image is saved to, relative to the federation's folder; `None` for not at all.
    pub save: Option<PathBuf>,
    /// Where the image is pushed to.
    pub push: Push,
}

/// What `provision.docker.build.push` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Push {
    /// Whether the image is pushed unless the command says otherwise.
    pub enabled: bool,
    /// The registry, without a scheme; empty for Docker's own.
    pub registry: String,
    /// Who pushes; `None` for whoever is logged in.
    pub login: Option<Login>,
}

/// Credentials, each a literal or `$NAME` for an environment variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// What `provision.helm` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Helm {
    /// The chart's folder, relative to the federation's.
    pub path: PathBuf,
    /// The chart's name.
    pub name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Where startup kits come from.
    pub kits: KitSource,
}

/// Where startup kits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KitSource {
    /// Environment variables name their folders.
    Env,
    /// The federation's workspace holds them.
    Workspace,
}

impl Docker {
    /// From a valid federation.
    ///
    /// # Errors
    /// A missing section, or missing keys, with the lines to add; texts that no file may have in it.
    pub fn of(federation: &Federation) -> Result<Self, Diagnostic> {
        let provision = &federation.provision;
        let package = &federation.info.code_package;
        let lines = |indent: usize, keys: &[&str]| {
            let all = [
                ("image", format!("image: {}", package.to_lowercase())),
                ("tag", format!("tag: {}", federation.info.api_version)),
                ("dockerfile", "dockerfile: deploy/docker/Dockerfile".to_owned()),
                ("build", "build:\n  context: ..\n  engine: docker\n  arch: amd64".to_owned()),
            ];
            add(indent, all.iter().filter(|(key, _)| keys.contains(key)).map(|(_, line)| line.as_str()))
        };
        let Some(section) = &provision.docker else {
            return Err(no_section("docker", provision.span, &lines(4, &["image", "tag", "dockerfile", "build"])));
        };
        let missing: Vec<&str> =
            ["dockerfile", "build"].into_iter().filter(|key| !section.value.contains_key(*key)).collect();
        if !missing.is_empty() {
            return Err(missing_keys("docker", section, &missing, &lines(4, &missing)));
        }
        let build = object(&section.value, "build");
        let push = object(build, "push");
        let registry = object(push, "registry");
        let login = |username: String, password: String| Login { username, password };
        let settings = Self {
            image: word(&section.value, "image"),
            tag: word(&section.value, "tag"),
            dockerfile: dockerfile(&section.value),
            build: Build {
                context: PathBuf::from(word(build, "context")),
                engine: word(build, "engine"),
                arch: word(build, "arch"),
                base: Some(word(build, "base")).filter(|base| !base.is_empty()).unwrap_or_else(|| PYTHON.to_owned()),
                save: flag(object(build, "save"), "enabled").then(|| match word(object(build, "save"), "file") {
                    file if file.is_empty() => {
                        PathBuf::from(format!("{}.tar", word(&section.value, "image").replace('/', "-")))
                    }
                    file => PathBuf::from(file),
                }),
                push: Push {
                    enabled: flag(push, "enabled"),
                    registry: bare(&word(registry, "url")),
                    login: (registry.contains_key("username") && registry.contains_key("password"))
                        .then(|| login(word(registry, "username"), word(registry, "password"))),
                },
            },
        };
        settings.written(section.span)?;
        Ok(settings)
    }

    /// Whether all that it says may stand in files.
    fn written(&self, span: Span) -> Result<(), Diagnostic> {
        let at = |key: &str, fault: Diagnostic| fault.at(span, format!("its `{key}`"));
        let build = &self.build;
        let paths =
            [("dockerfile", Some(&self.dockerfile)), ("context", Some(&build.context)), ("file", build.save.as_ref())];
        for (key, path) in paths.into_iter().filter_map(|(key, path)| Some((key, path?.to_string_lossy()))) {
            if !is_path(&path) {
                return Err(at(key, texts::odd(&format!("`{key}`"), &path, texts::PATH)));
            }
        }
        let registry = &build.push.registry;
        if !registry.is_empty() && !is_registry(registry) {
            return Err(at("url", texts::odd("`url`", registry, texts::REGISTRY)));
        }
        let Some(Login { username, password }) = &build.push.login else { return Ok(()) };
        for (key, given) in [("username", username), ("password", password)] {
            if given.starts_with('$') && variable_of(given).is_none() {
                // Of a password nothing is shown.
                return Err(at(key, no_variable(key)));
            }
        }
        Ok(())
    }

    /// The image's name with its registry, if it is pushed to one.
    pub fn reference(&self) -> String {
        let registry = &self.build.push.registry;
        if self.build.push.enabled && !registry.is_empty() {
            format!("{registry}/{}", self.image)
        } else {
            self.image.clone()
        }
    }
}

impl Helm {
    /// From a valid federation.
    ///
    /// # Errors
    /// A missing section, with the lines to add; a path that no file may have in it.
    pub fn of(federation: &Federation) -> Result<Self, Diagnostic> {
        let version = &federation.info.api_version;
        let Some(section) = &federation.provision.helm else {
            let name = crate::names::slug(&federation.info.code_package);
            let lines =
                add(4, ["path: deploy/helm", &format!("name: {name}"), "startup_package_source: env"].into_iter());
            return Err(no_section("helm", federation.provision.span, &lines));
        };
        let path = word(&section.value, "path");
        if !is_path(&path) {
            return Err(texts::odd("`path`", &path, texts::PATH).at(section.span, "its `path`"));
        }
        let or_version = |key: &str| {
            Some(word(&section.value, key)).filter(|word| !word.is_empty()).unwrap_or_else(|| version.clone())
        };
        Ok(Self {
            path: PathBuf::from(path),
            name: word(&section.value, "name"),
            chart_version: or_version("chartVersion"),
            app_version: or_version("appVersion"),
            kits: if word(&section.value, "startup_package_source") == "env" {
                KitSource::Env
            } else {
                KitSource::Workspace
            },
        })
    }
}

fn no_section(name: &str, provision: Option<Span>, lines: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        "deploy-no-section",
        format!("the configuration has no `provision.{name}`, which says what to generate"),
    );
    match provision {
        Some(span) => diagnostic.at(span, format!("has no `{name}`")).help(format!(
            "add these lines to it, or put them into a file for --patch under `provision:`\n  {name}:\n{lines}"
        )),
        None => diagnostic
            .help(format!("add these lines, or put them into a file for --patch\nprovision:\n  {name}:\n{lines}")),
    }
}

fn missing_keys(name: &str, section: &Spanned<Section>, missing: &[&str], lines: &str) -> Diagnostic {
    let keys = missing.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
    Diagnostic::error("deploy-missing-keys", format!("`provision.{name}` needs {keys} to generate files"))
        .at(section.span, format!("has no {keys}"))
        .help(format!("add these lines to it\n{lines}"))
}

fn no_variable(key: &str) -> Diagnostic {
    let message = format!("`{key}` begins with `$` and is no environment variable's name");
    Diagnostic::error("deploy-odd-text", message).help(
        "write `$NAME` or `${NAME}`, with letters, digits and `_` in NAME, and have it set where the image is built",
    )
}

fn add<'a>(indent: usize, blocks: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = blocks.flat_map(str::lines).map(|line| format!("{:indent$}{line}", "")).collect();
    lines.join("\n")
}

/// A path, or a folder and a file in it.
fn dockerfile(section: &Section) -> PathBuf {
    let given = object(section, "dockerfile");
    let file = match word(given, "file") {
        file if file.is_empty() => "Dockerfile".to_owned(),
        file => file,
    };
    match section.get("dockerfile") {
        Some(Value::String(path)) => PathBuf::from(path),
        _ => Path::new(&word(given, "dir")).join(file),
    }
}

/// A registry as an image's name begins with it.
fn bare(url: &str) -> String {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    url.trim_end_matches('/').to_owned()
}

fn word(section: &Section, key: &str) -> String {
    section.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn object<'s>(section: &'s Section, key: &str) -> &'s Section {
    static NONE: std::sync::LazyLock<Section> = std::sync::LazyLock::new(Map::new);
    section.get(key).and_then(Value::as_object).unwrap_or(&NONE)
}

/// True, or one of the words that earlier versions of YAML had for it.
fn flag(section: &Section, key: &str) -> bool {
    match section.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(word)) => matches!(word.to_ascii_lowercase().as_str(), "yes" | "on"),
        _ => false,
    }
}
