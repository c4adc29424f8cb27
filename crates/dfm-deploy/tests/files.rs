//! Are the generated files as they have been reviewed, and are wrong settings explained?

use std::path::{Path, PathBuf};

use dfm_config::{Federation, Options, load};
use dfm_deploy::{Docker, File, Helm, Scene, docker, helm, members};
use dfm_diag::{Report, Sources, render};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A federation without an NVFlare project and with three clients, with everything that can be said about its image and chart.
const ORCHARD: &str = r#"
dfm: 1.0.0
info: {api-version: 2.1.0, code-package: orchard, description: "Costs $5 \"each\""}
provision:
  docker:
    image: teams/orchard
    tag: nightly
    dockerfile: {dir: images, file: Containerfile}
    build:
      context: .
      engine: podman
      arch: arm64
      base: images.example/python@sha256:5f2b6739d332c32bfe82176e7b23757fff718e4b83563f829ee42c761bb15c2d
      save: {enabled: true, file: images/orchard.tar}
      push: {enabled: yes, registry: {url: "https://registry.example:5000/", username: $REGISTRY_USER, password: $REGISTRY_PASSWORD}}
  helm: {path: chart, name: orchard, chartVersion: 0.3.0, startup_package_source: workspace}
operations: {fruit.Count: {}}
sites: {house: {}, server: {}, north_field: {}, south_field: {}, cellar: {}}
"#;

fn loaded(text: &str) -> Result<(Federation, Report), Report> {
    let folder =
        std::env::temp_dir().join(format!("dfm-deploy-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("f.dfm.yaml");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path, &Options::default());
    std::fs::remove_dir_all(&folder).unwrap();
    loaded.map(|loaded| (loaded.federation, loaded.report))
}

fn scene(name: &str, packaged: bool) -> Scene {
    let (folder, workspace) = (PathBuf::from("/home/u/project").join(name), PathBuf::from("/home/u/workspace"));
    Scene { name: name.to_owned(), folder, workspace, packaged }
}

fn snapshots(prefix: &str, files: Vec<File>) {
    for file in files {
        let mode = if file.executable { "executable" } else { "plain" };
        let name = file.path.display().to_string().replace("..", "up").replace('/', "__");
        let text = file.text.replace(concat!("==", env!("CARGO_PKG_VERSION")), "==VERSION");
        let text = text.replace(concat!("dfm ", env!("CARGO_PKG_VERSION")), "dfm VERSION");
        insta::assert_snapshot!(format!("{prefix}__{name}"), format!("{} ({mode})\n{text}", file.path.display()));
    }
}

#[test]
fn the_greeting_federations_files() {
    let folder = repository("examples/examplefed/examplefed/configs");
    let federation = load(&folder.join("federation.dfm.yaml"), &Options::default()).unwrap().federation;
    let project = dfm_config::project(&folder.join("project.yaml"), &mut Sources::default()).unwrap();
    let members = members(&federation, "examplefed", Some(&project)).unwrap();
    let scene = scene("examplefed", true);
    let (image, scripts) = docker(&federation, &Docker::of(&federation).unwrap(), &members, &scene).unwrap();
    snapshots("examplefed", image);
    snapshots("examplefed", scripts);
    snapshots("examplefed", helm(&federation, &Helm::of(&federation).unwrap(), &members, &scene));
}

#[test]
fn the_files_of_a_federation_with_three_clients() {
    let (federation, _) = loaded(ORCHARD).unwrap_or_else(|report| panic!("{}", text(&report)));
    let members = members(&federation, "orchard", None).unwrap();
    let scene = scene("orchard", false);
    let (image, scripts) = docker(&federation, &Docker::of(&federation).unwrap(), &members, &scene).unwrap();
    snapshots("orchard", image);
    snapshots("orchard", scripts);
    // The templates that nothing of this federation is in are the same for all.
    let files = helm(&federation, &Helm::of(&federation).unwrap(), &members, &scene);
    snapshots("orchard", files.into_iter().filter(|file| !file.path.starts_with("chart/templates")).collect());
}

#[test]
fn no_port_is_opened_that_is_not_declared() {
    let direct = "provision:\n  direct:\n    server: {host: orchard-server, ports: 9100-9102}\n    north-field: {host: north.example.org, ports: 9200}\n    house: {host: app.example.org, ports: 9300}";
    let (federation, _) =
        loaded(&ORCHARD.replace("provision:", direct)).unwrap_or_else(|report| panic!("{}", text(&report)));
    let with = members(&federation, "orchard", None).unwrap();
    let (plain, _) = loaded(ORCHARD).unwrap_or_else(|report| panic!("{}", text(&report)));
    let without = members(&plain, "orchard", None).unwrap();
    let scene = scene("orchard", false);
    let all = |federation: &Federation, members: &dfm_deploy::Members| {
        let (image, scripts) = docker(federation, &Docker::of(federation).unwrap(), members, &scene).unwrap();
        [image, scripts, helm(federation, &Helm::of(federation).unwrap(), members, &scene)].concat()
    };
    // A server that is named for its host is the same one.
    let project = dfm_config::Project { servers: vec!["orchard.example".to_owned()], ..Default::default() };
    let named = members(&federation, "orchard", Some(&project)).unwrap().server;
    assert_eq!((named.name.as_str(), &named.direct), ("orchard.example", &with.server.direct));
    let plain = all(&plain, &without);
    snapshots("direct", all(&federation, &with).into_iter().filter(|file| !plain.contains(file)).collect());
}

#[test]
fn no_image_is_built_with_the_key_that_makes_kits() {
    let (federation, _) = loaded(ORCHARD).unwrap_or_else(|report| panic!("{}", text(&report)));
    let members = members(&federation, "orchard", None).unwrap();
    let mut settings = Docker::of(&federation).unwrap();
    settings.build.context = PathBuf::from("..");
    for (workspace, ignored) in [
        ("/home/u/project/orchard/workspace", Some("orchard/workspace")),
        ("/home/u/project/made by hand", Some("made by hand")),
        ("/home/u/workspace", None),
    ] {
        let scene = Scene { workspace: PathBuf::from(workspace), ..scene("orchard", false) };
        let (image, _) = docker(&federation, &settings, &members, &scene).unwrap();
        let file = image.iter().find(|file| file.path.ends_with(".dockerignore")).unwrap();
        let lines: Vec<&str> = file.text.lines().collect();
        assert!(lines.contains(&"**/state/cert.json"), "{}", file.text);
        assert!(ignored.is_none_or(|line| lines.contains(&line)), "{}", file.text);
    }
}

#[test]
fn missing_settings_come_with_the_lines_to_add() {
    let head = "dfm: 1.0.0\ninfo: {api-version: 2.1.0, code-package: Fruit, description: x}\n";
    let mut explained = String::new();
    for provision in [
        "",
        "provision: {}\n",
        "provision:\n  docker: {image: fruit, tag: x}\n",
        "provision:\n  docker: {image: fruit, tag: x, dockerfile: a}\n  helm: {}\n",
        "provision:\n  docker: {image: Fruit, tag: \"a b\"}\n  helm: {path: x, name: Fruit_1, chartVersion: \"1\", startup_package_source: env}\n",
    ] {
        let report = match loaded(&format!("{head}{provision}")) {
            Err(report) => report,
            Ok((federation, report)) => {
                let faults = [Docker::of(&federation).err(), Helm::of(&federation).err()];
                Report { diagnostics: faults.into_iter().flatten().collect(), sources: report.sources }
            }
        };
        explained.push_str(&format!("=== {provision}\n{}", text(&report)));
    }
    insta::assert_snapshot!(explained);
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let (mut federation, _) = loaded(ORCHARD).unwrap_or_else(|report| panic!("{}", text(&report)));
    let project = |servers: &[&str], clients: &[&str]| dfm_config::Project {
        servers: servers.iter().map(|name| (*name).to_owned()).collect(),
        clients: clients.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let code = |project| members(&federation, "examplefed", Some(&project)).map(|_| ()).map_err(|fault| fault.code);
    assert_eq!(code(project(&[], &["a"])), Err("deploy-servers"));
    assert_eq!(code(project(&["server"], &["a_b", "a-b"])), Err("deploy-same-name"));
    assert_eq!(code(project(&["server"], &["a", "b"])), Ok(()));
    let direct = "provision:\n  direct: {server: {host: fed.example.org, ports: 8000-8010}}";
    let (taken, report) = loaded(&ORCHARD.replace("provision:", direct)).unwrap();
    let fault = members(&taken, "examplefed", Some(&project(&["server"], &["a"]))).unwrap_err();
    insta::assert_snapshot!(text(&Report { diagnostics: vec![fault], sources: report.sources }));
    assert!(members(&taken, "orchard", None).is_ok());
    let members = members(&federation, "orchard", None).unwrap();
    let scene = Scene { folder: PathBuf::from("/home/u/elsewhere"), ..scene("orchard", false) };
    let settings = Docker::of(&federation).unwrap();
    let fault = docker(&federation, &settings, &members, &scene).unwrap_err();
    assert_eq!(fault.code, "deploy-outside-context");
    federation.info.code_package = "elsewhere".to_owned();
    assert!(docker(&federation, &settings, &members, &scene).is_ok());
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        text.push_str(&render(diagnostic, &report.sources, false));
        text.push_str("\n\n");
    }
    let folder = std::env::temp_dir().display().to_string();
    let lines = text.lines().map(|line| match line.find(&folder) {
        Some(start) => format!("{}[FOLDER]{}", &line[..start], &line[line.find("/f.dfm.yaml").unwrap_or(start)..]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
