//! Which files make the image of a federation's sites, and run it?

use std::path::{Path, PathBuf};

use dfm_config::{Direct, Federation};
use dfm_diag::Diagnostic;
use serde_json::json;

use crate::names::{container_name, variable};
use crate::render::{render, shell};
use crate::settings::Docker;
use crate::texts::{self, is_path, variable_of};
use crate::{File, Member, Members, relative};

/// What the files need to know of the folders around them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The federation's name in the registry.
    pub name: String,
    /// The federation's folder, absolute.
    pub folder: PathBuf,
    /// Where provisioned kits are, absolute.
    pub workspace: PathBuf,
    /// Whether Python can install what is in the build context.
    pub packaged: bool,
}

/// The Dockerfile with its ignore file, then the scripts and the compose file.
///
/// # Errors
/// A build context that lacks the federation's package or the Dockerfile's folder, or has them where no file may say.
pub fn docker(
    federation: &Federation,
    settings: &Docker,
    members: &Members,
    scene: &Scene,
) -> Result<(Vec<File>, Vec<File>), Diagnostic> {
    let info = &federation.info;
    let dir = settings.dockerfile.parent().unwrap_or(Path::new("")).to_owned();
    let absolute = |path: &Path| scene.folder.join(path);
    let context_folder = absolute(&settings.build.context);
    let package = scene.folder.parent().unwrap_or(&scene.folder).join(&info.code_package);
    let inside = |what: &str, path: &Path| {
        let way = relative(&context_folder, path);
        if way.starts_with("..") {
            let message = format!("`build.context` does not hold {what}");
            let help = format!("let `context` be a folder that `{}` is in", path.display());
            let fault = Diagnostic::error("deploy-outside-context", message).help(help);
            return Err(match &federation.provision.docker {
                Some(section) => {
                    fault.at(section.span, format!("its `context` is `{}`", text(&settings.build.context)))
                }
                None => fault,
            });
        }
        let way = text(&way);
        if is_path(&way) {
            Ok(way)
        } else {
            Err(texts::odd(&format!("the way from `build.context` to {what}"), &way, texts::PATH))
        }
    };
    let package_in_context = inside("the federation's package", &package)?;
    let run_in_context = inside("the folder of the Dockerfile", &absolute(&dir.join("run.sh")))?;
    let kits = relative(&absolute(&dir), &scene.workspace.join(&scene.name).join(&members.project).join("prod_00"));
    let kits = text(&kits).replace('$', "$$");
    let all: Vec<_> = std::iter::once(&members.server)
        .chain(&members.clients)
        .map(|site| json!({ "name": site.name, "slug": site.slug(), "variable": variable(&site.name), "kit": kit(site, members, &kits) }))
        .collect();
    let names: Vec<&str> =
        std::iter::once(&members.server).chain(&members.clients).map(|site| site.name.as_str()).collect();
    let example = members.clients.first().unwrap_or(&members.server);
    let login = settings.build.push.login.as_ref();
    let context = json!({
        "name": scene.name,
        "project": container_name(&scene.name),
        "prefix": variable(&scene.name),
        "package": info.code_package,
        "version": info.api_version,
        "description": one_line(&info.description),
        "dfm_version": env!("CARGO_PKG_VERSION"),
        "packaged": scene.packaged,
        "image": settings.reference(),
        "tag": settings.tag,
        "engine": settings.build.engine,
        "platform": format!("linux/{}", settings.build.arch),
        "save": settings.build.save.as_ref().map(|file| text(&relative(&absolute(&dir), &absolute(file)))),
        "push": settings.build.push.enabled,
        "registry": settings.build.push.registry,
        "username": credential(login.map(|login| login.username.as_str())),
        "password": credential(login.map(|login| login.password.as_str())),
        "package_in_context": package_in_context,
        "run_in_context": run_in_context,
        "folder_in_context": run_in_context.strip_suffix("run.sh"),
        "workspace": inside("the workspace", &scene.workspace).ok(),
        "base": settings.build.base,
        "pinned": settings.build.base.contains('@'),
        "context_from_dir": text(&relative(&absolute(&dir), &context_folder)),
        "dockerfile_name": settings.dockerfile.file_name().map(|name| name.to_string_lossy()),
        "dockerfile_in_context": text(&relative(&context_folder, &absolute(&settings.dockerfile))),
        "server": json!({ "name": members.server.name, "slug": members.server.slug() }),
        "example": json!({ "variable": variable(&example.name) }),
        "port": members.ports[0],
        "ports": members.ports,
        "direct_server": members.server.direct.as_ref().map(range),
        "sites": all,
        "site_names": names.join(", "),
    });
    let file = |path: PathBuf, template: &str| File {
        path,
        text: render(template, &context),
        executable: template.ends_with(".sh"),
    };
    let image = vec![
        file(settings.dockerfile.clone(), "docker/Dockerfile"),
        file(settings.build.context.join(".dockerignore"), "docker/dockerignore"),
    ];
    let scripts = vec![
        file(dir.join("build_image.sh"), "docker/build_image.sh"),
        file(dir.join("lock.py"), "docker/lock.py"),
        file(dir.join("run.sh"), "docker/run.sh"),
        file(dir.join("compose.yaml"), "docker/compose.yaml"),
    ];
    Ok((image, scripts))
}

/// Ports as compose takes them.
fn range(direct: &Direct) -> String {
    let Direct { first, last, .. } = direct;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Where compose finds a site's kit.
fn kit(site: &Member, members: &Members, kits: &str) -> String {
    let default = format!("{kits}/{}", site.name);
    if site == &members.server {
        return format!("${{DFM_WORKSPACE_SERVER_INIT_PATH:-{default}}}");
    }
    let only = members.clients.len() == 1;
    let default = if only { format!("${{DFM_WORKSPACE_CLIENT_INIT_PATH:-{default}}}") } else { default };
    format!("${{DFM_WORKSPACE_{}_INIT_PATH:-{default}}}", variable(&site.name))
}

/// A literal as the shell takes it, or an environment variable's value.
fn credential(given: Option<&str>) -> String {
    let Some(given) = given else { return "''".to_owned() };
    variable_of(given).map_or_else(|| shell(given), |name| format!("${{{name}:-}}"))
}

/// A description without line breaks.
pub fn one_line(description: &str) -> String {
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path as generated files have it.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
