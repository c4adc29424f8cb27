//! Do `dfm fed gen docker` and `dfm fed gen helm` write what is asked for, where it belongs, and never over other files?

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{World, repository};

/// A world with the greeting federation in `work/examplefed`.
fn greeting() -> World {
    let world = World::new();
    let record = "{federation_dir: work/examplefed, config_path: f.dfm.yaml, project_path: project.yaml}";
    world.write("federations.yaml", &format!("federations:\n  fed: {record}\n"));
    for (name, from) in [("f.dfm.yaml", "federation.dfm.yaml"), ("project.yaml", "project.yaml")] {
        let text = repository(&format!("examples/examplefed/examplefed/configs/{from}"));
        world.write(&format!("work/examplefed/{name}"), &text);
    }
    world
}

#[test]
fn files_go_into_the_federations_folder_from_anywhere() {
    let world = greeting();
    let ran = world.dfm("elsewhere", "fed gen docker fed");
    assert_eq!(ran.exit, 0, "{}", ran.all());
    insta::assert_snapshot!("docker", ran.all());
    insta::assert_snapshot!("helm", world.dfm("work/examplefed", "fed gen helm fed").all());
    for script in ["docker/run.sh", "docker/build_image.sh", "helm/deploy.sh"] {
        let path = world.root().join("work/examplefed/deploy").join(script);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o111, 0o111, "{script}");
    }
    let again = world.dfm(".", "fed gen docker fed --json");
    assert!(again.exit == 0 && again.stdout.contains("\"written\":[]"), "{}", again.all());
}

#[test]
fn what_is_there_is_shown_and_kept_unless_forced() {
    let world = greeting();
    let (run, compose) = ("work/examplefed/deploy/docker/run.sh", "work/examplefed/deploy/docker/compose.yaml");
    world.dfm(".", "fed gen docker fed");
    let generated = world.read(run);
    world.write(run, &generated.replacen("set -euo pipefail", "set -eu\nulimit -c 0", 1));
    std::fs::remove_file(world.root().join(compose)).unwrap();
    let ran = world.dfm("work/examplefed", "fed gen docker fed");
    insta::assert_snapshot!("kept", ran.all());
    assert!(!world.root().join(compose).exists() && world.read(run) != generated);
    assert_eq!(world.dfm(".", "fed gen docker fed --force").exit, 0);
    assert!(world.root().join(compose).exists() && world.read(run) == generated);
}

#[test]
fn what_is_skipped_is_not_written() {
    let world = greeting();
    assert_eq!(world.dfm(".", "fed gen docker --skip scripts fed").exit, 0);
    let exists = |path: &str| world.root().join("work").join(path).exists();
    assert!(exists("examplefed/deploy/docker/Dockerfile") && exists(".dockerignore"));
    assert!(!exists("examplefed/deploy/docker/run.sh"));
    let world = greeting();
    assert_eq!(world.dfm(".", "fed gen docker fed --skip dockerfile").exit, 0);
    assert!(!world.root().join("work/.dockerignore").exists());
    assert!(world.root().join("work/examplefed/deploy/docker/run.sh").exists());
}

#[test]
fn a_patch_changes_what_is_generated_and_its_faults_are_in_it() {
    let world = greeting();
    world.write("patch.yaml", "provision:\n  docker:\n    tag: nightly\n  helm:\n    path: chart\n");
    let ran = world.dfm(".", "fed gen helm fed --patch patch.yaml");
    assert_eq!(ran.exit, 0, "{}", ran.all());
    assert!(world.read("work/examplefed/chart/values.yaml").contains("tag: \"nightly\""));
    world.write("patch.yaml", "provision:\n  docker:\n    tag: not a tag\n    build: null\n  helm:\n    nam: x\n");
    insta::assert_snapshot!("faulty_patch", world.dfm(".", "fed gen docker fed --patch patch.yaml").all());
    world.write("patch.yaml", "provision:\n  docker:\n    build: null\n");
    insta::assert_snapshot!("lacking_patch", world.dfm(".", "fed gen docker fed --patch patch.yaml").all());
    world.write("patch.yaml", "provision:\n  direct:\n    reception: {host: reception, ports: 9100}\n");
    assert_eq!(world.dfm(".", "fed gen helm fed --patch patch.yaml").exit, 0);
    assert!(world.read("work/examplefed/deploy/helm/values.yaml").contains("first: 9100"));
    world.write("patch.yaml", "provision:\n  direct:\n    server: {host: server, ports: 8000-8002}\n");
    insta::assert_snapshot!("taken_port", world.dfm(".", "fed gen docker fed --patch patch.yaml").all());
    assert_eq!(world.dfm(".", "fed gen helm fed --patch none.yaml").exit, 2);
}

#[test]
fn a_path_that_repeats_the_federations_folder_begins_above_it() {
    let world = greeting();
    world.write(
        "patch.yaml",
        "provision:\n  docker:\n    dockerfile: work/examplefed/deploy/docker/Dockerfile\n    build: {context: work}\n  helm:\n    path: examplefed/deploy/helm\n",
    );
    insta::assert_snapshot!("repeated_docker", world.dfm(".", "fed gen docker fed --patch patch.yaml").all());
    let ran = world.dfm(".", "fed gen helm fed --patch patch.yaml");
    assert!(ran.exit == 0 && ran.stderr.contains("write `path: deploy/helm`"), "{}", ran.all());
    assert!(world.root().join("work/examplefed/deploy/helm/Chart.yaml").exists());
    // Where the federation's folder has one of that name, nothing is guessed.
    world.write("work/examplefed/examplefed/__init__.py", "");
    let ran = world.dfm(".", "fed gen helm fed --patch patch.yaml");
    assert!(ran.exit == 0 && ran.stderr.matches("warning").count() == 0, "{}", ran.all());
    assert!(world.root().join("work/examplefed/examplefed/deploy/helm/Chart.yaml").exists());
}
