//! Which files install a federation's sites on Kubernetes?

use dfm_config::Federation;
use serde_json::json;

use crate::docker::{one_line, text};
use crate::names::{container_name, slug, variable};
use crate::render::render;
use crate::settings::{Helm, KitSource};
use crate::{Docker, File, Member, Members, Scene, relative};

/// The chart's files by their templates, and where they go in the chart's folder.
const FILES: [(&str, &str); 14] = [
    ("helm/Chart.yaml", "Chart.yaml"),
    ("helm/helmignore", ".helmignore"),
    ("helm/values.yaml", "values.yaml"),
    ("helm/values.schema.json", "values.schema.json"),
    ("helm/templates/_helpers.tpl", "templates/_helpers.tpl"),
    ("helm/templates/serviceaccount.yaml", "templates/serviceaccount.yaml"),
    ("helm/templates/services.yaml", "templates/services.yaml"),
    ("helm/templates/ingress.yaml", "templates/ingress.yaml"),
    ("helm/templates/statefulsets.yaml", "templates/statefulsets.yaml"),
    ("helm/templates/networkpolicies.yaml", "templates/networkpolicies.yaml"),
    ("helm/templates/extra.yaml", "templates/extra.yaml"),
    ("helm/templates/tests/server.yaml", "templates/tests/server.yaml"),
    ("helm/templates/NOTES.txt", "templates/NOTES.txt"),
    ("helm/deploy.sh", "deploy.sh"),
];

/// That of direct connections, where some participant takes them.
const DIRECT: (&str, &str) = ("helm/templates/direct.yaml", "templates/direct.yaml");

/// The chart and its `deploy.sh`. The image is that of `provision.docker`, where there is one.
pub fn helm(federation: &Federation, settings: &Helm, members: &Members, scene: &Scene) -> Vec<File> {
    let info = &federation.info;
    let docker = Docker::of(federation).ok();
    let image = docker.as_ref().map_or_else(|| info.code_package.to_lowercase(), Docker::reference);
    let site = |site: &Member, key: String, kind: String| {
        json!({
            "name": site.name,
            "slug": site.slug(),
            "values_key": key,
            "variable_name": format!("DFM_WORKSPACE_{kind}_INIT_PATH"),
        })
    };
    let server = site(&members.server, "server".to_owned(), "SERVER".to_owned());
    let clients: Vec<_> = members
        .clients
        .iter()
        .map(|client| site(client, format!("clients.{}", client.name.replace('.', "\\.")), variable(&client.name)))
        .collect();
    let sites: Vec<_> = std::iter::once(&server).chain(&clients).cloned().collect();
    let takes_direct = |(name, member): (&str, &Member)| {
        member.direct.as_ref().map(|direct| json!({"name": name, "first": direct.first, "last": direct.last}))
    };
    let own = members.clients.iter().map(|client| (client.name.as_str(), client));
    let direct: Vec<_> = std::iter::once(("server", &members.server)).chain(own).filter_map(takes_direct).collect();
    let description = match one_line(&info.description) {
        description if description.is_empty() => format!("The federation {}", slug(&scene.name)),
        description => description,
    };
    let context = json!({
        "name": scene.name,
        "chart": settings.name,
        "release": container_name(&scene.name),
        "chart_version": settings.chart_version,
        "app_version": settings.app_version,
        "description": description,
        "image": image,
        "tag": docker.map(|docker| docker.tag).filter(|tag| *tag != settings.app_version).unwrap_or_default(),
        "project": members.project,
        "ports": members.ports,
        "env": settings.kits == KitSource::Env,
        "workspace_from_chart": text(&relative(&scene.folder.join(&settings.path), &scene.workspace)),
        "server": server,
        "clients": clients,
        "sites": sites,
        "direct": direct,
    });
    let file = |(template, path): (&str, &str)| File {
        path: settings.path.join(path),
        text: render(template, &context),
        executable: template.ends_with(".sh"),
    };
    FILES.into_iter().chain((!direct.is_empty()).then_some(DIRECT)).map(file).collect()
}
