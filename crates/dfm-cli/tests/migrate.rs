//! Does `dfm migrate` show what it changes, change nothing unasked, and keep what was there?

mod common;

use common::World;

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
