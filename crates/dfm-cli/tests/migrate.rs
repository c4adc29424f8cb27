//! Does `dfm migrate` show what it changes, change nothing unasked, and keep what was there?

mod common;

use common::{World, repository};

/// A world with a folder that was written for another tool.
fn written_elsewhere() -> World {
    let world = World::new();
    let files = [
        ("app/main.py", "from nv_dfm_core.session._session import Session\nassert status == JobStatus.FINISHED\n"),
        ("app/own.py", "from dfm.api import Pipeline\n"),
        ("app/fed/runtime/home.py", "from nv_dfm_core.exec import Net\n"),
        ("app/fed/__init__.py", ""),
        (
            "app/configs/project.yaml",
            "participants:\n- name: \"app@my_fed.com\" # it\nbuilders:\n- path: a.B\n- path: nv_dfm_core.x.WorkspaceArchiveBuilder\n\
             - path: c.D\n",
        ),
        ("app/requirements.txt", "nv-dfm-core==3.1.31\n"),
        ("app/.venv/lib/x.py", "import nv_dfm_core\n"),
        ("app/data.json", "nv_dfm_core"),
    ];
    files.iter().for_each(|(path, text)| world.write(path, text));
    world
}

#[test]
fn unasked_it_only_shows() {
    let world = written_elsewhere();
    insta::assert_snapshot!("migrate", world.dfm(".", "migrate app").all());
    assert!(world.read("app/main.py").contains("nv_dfm_core"));
    assert!(world.root().join("app/fed").is_dir());
}

#[test]
fn asked_it_changes_and_keeps_what_was_there() {
    let world = written_elsewhere();
    world.write("app/main.py.before-dfm", "an older one");
    let ran = world.dfm("app", "migrate . --write --json");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit, document["kept"].as_array().unwrap().len()), (0, 4), "{}", ran.all());
    assert_eq!(document["left"].as_array().unwrap().len(), 1);
    assert_eq!(world.read("app/main.py").lines().next(), Some("from dfm.session import Session"));
    assert!(world.read("app/main.py.before-dfm-2").contains("nv_dfm_core"));
    assert_eq!(world.read("app/main.py.before-dfm"), "an older one");
    let project = "participants:\n- name: \"app@my-fed.com\" # it\nbuilders:\n- path: a.B\n- path: c.D\n";
    assert_eq!(world.read("app/configs/project.yaml"), project);
    assert!(!world.root().join("app/fed").exists());
    assert!(world.read("app/fed.before-dfm/runtime/home.py").contains("Net"));
    assert_eq!(world.read("app/data.json") + &world.read("app/.venv/lib/x.py"), "nv_dfm_coreimport nv_dfm_core\n");
    let again = world.dfm("app", "migrate . --write");
    assert!(again.stderr.contains("nothing of `nv-dfm-core`") && again.stdout.is_empty(), "{}", again.all());
    assert_eq!(world.dfm(".", "migrate nowhere").exit, 1);
}

#[test]
fn a_configuration_names_the_models_that_the_code_beside_it_shares() {
    let world = World::new();
    let old = "dfm: 1.0.0\nsites:\n  a: {impl: nv_dfm_core.exec.Site}";
    world.write("app/a.dfm.yaml", old);
    world.write("app/b.dfm.yaml", "values:\n  packages: [shapes]\n");
    world.write("app/main.py", "# import nv_dfm_lib_common\n");
    world.dfm(".", "migrate app --write");
    let changed = old.replace("nv_dfm_core", "dfm");
    assert_eq!(world.read("app/a.dfm.yaml"), changed);
    world.write("app/lib/x.py", "def f():\n    from nv_dfm_lib_common.schemas import TextureFile\n");
    world.dfm(".", "migrate app --write");
    assert_eq!(world.read("app/a.dfm.yaml"), format!("{changed}\nvalues:\n  packages: [nv_dfm_lib_common]\n"));
    assert_eq!(world.read("app/b.dfm.yaml"), "values:\n  packages: [shapes]\n");
    assert!(world.dfm(".", "migrate app --write").stderr.contains("nothing of `nv-dfm-core`"));
}

#[test]
fn what_is_left_is_told_again_and_what_is_required_can_be_installed() {
    let world = World::new();
    let left = "from nv_dfm_core.targets.flare import Job\nimport nv_dfm_core.session._session as x\n";
    world.write("app/main.py", &format!("{left}from nv_dfm_core.exec import (\n    Frame,\n    TokenPackage,\n)\n"));
    world.write("app/requirements.txt", "nv_dfm_core[flare,test]>=3.1,<4\n");
    insta::assert_snapshot!("migrate_left", world.dfm(".", "migrate app --write").all());
    assert!(world.read("app/main.py").starts_with(left));
    assert_eq!(world.read("app/requirements.txt"), "data-federation-mesh[flare]\n");
    let again = world.dfm(".", "migrate app");
    assert!(again.stdout.is_empty(), "{}", again.all());
    assert!(again.stderr.contains("to change but what is left to you, as above: 3 places"), "{}", again.all());
}

#[test]
fn the_extras_that_are_kept_are_those_that_there_are() {
    let project = repository("pyproject.toml");
    let extras = project.split("[project.optional-dependencies]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut names: Vec<&str> = extras.lines().map(|line| line.split(" =").next().unwrap()).collect();
    names.sort_unstable();
    let world = World::new();
    world.write("a.txt", &format!("nv-dfm-core[{}]\n", names.join(",")));
    let ran = world.dfm(".", "migrate a.txt --write --json");
    assert_eq!(world.read("a.txt"), format!("data-federation-mesh[{}]\n", names.join(",")));
    assert!(ran.stdout.contains("\"left\":[]"), "{}", ran.all());
    world.write("b.txt", "nv-dfm-core[none]\n");
    assert!(world.dfm(".", "migrate b.txt").stderr.contains(&format!("it has {};", names.join(", "))));
}
