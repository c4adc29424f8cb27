//! Does `dfm fed config` keep the registry as documented, from any folder?

mod common;

use common::{World, repository};

const SMALL: &str = "dfm: 1.0.0\ninfo: {api-version: 0.0.1, code-package: small}\nsites: {home: {}}\n";

/// A world with a registry beside two federations, one of them broken.
fn two_federations() -> World {
    let world = World::new();
    world.write("federations.yaml", "# ours\nfederations:\n  good: # the good one\n    federation_dir: good\n");
    world.write("good/configs/f.dfm.yaml", &repository("examples/examplefed/examplefed/configs/federation.dfm.yaml"));
    world.write("bad/f.dfm.yaml", "dfm: 1.0.0\ninfo: {api-version: 0.0.1}\nsites: {home: {interfaces: {}}}\n");
    assert_eq!(world.dfm(".", "fed config set good --config-path configs/f.dfm.yaml").exit, 0);
    world.write(
        "federations.yaml",
        &(world.read("federations.yaml") + "  bad: {federation_dir: bad, config_path: f.dfm.yaml}\n"),
    );
    world
}

#[test]
fn list_all_shows_every_federation_from_any_folder() {
    let world = two_federations();
    insta::assert_snapshot!("list_all", world.dfm(".", "fed config list-all").all());
    let inside = world.dfm("good/configs", "fed config list-all");
    assert!(inside.stdout.contains("[ROOT]/good ") && inside.stdout.contains("2 errors"), "{}", inside.stdout);
    insta::assert_snapshot!("list_all_json", world.dfm("elsewhere", "fed config list-all --json").all());
}

#[test]
fn show_tells_the_record_the_paths_and_who_offers_what() {
    let world = two_federations();
    insta::assert_snapshot!("show", world.dfm("good", "fed config show good").all());
    insta::assert_snapshot!("show_json", world.dfm(".", "fed --json config show good").all());
    insta::assert_snapshot!("show_broken", world.dfm(".", "fed config show bad").all());
    insta::assert_snapshot!("show_broken_json", world.dfm(".", "fed config show bad --json").all());
    insta::assert_snapshot!("show_unknown", world.dfm(".", "fed config show goof").all());
}

#[test]
fn set_keeps_what_is_not_given_and_what_the_user_wrote() {
    let world = two_federations();
    let ran = world.dfm(".", "fed config set --project-path project.yaml good");
    insta::assert_snapshot!("set_with_a_missing_file", ran.all());
    insta::assert_snapshot!("set_registry", world.read("federations.yaml"));
}

#[test]
fn set_saves_what_has_faults_and_says_them() {
    let world = two_federations();
    let ran = world.dfm(".", "fed config set worse --federation-dir bad --config-path f.dfm.yaml");
    insta::assert_snapshot!("set_with_faults", ran.all());
    assert!(world.read("federations.yaml").contains("worse:"), "{}", world.read("federations.yaml"));
}

#[test]
fn no_project_is_written_as_other_tools_write_it() {
    let world = two_federations();
    world.write("x/f.dfm.yaml", SMALL);
    let ran = world.dfm(".", "fed config set x --federation-dir x --config-path f.dfm.yaml --project-path None");
    assert!(ran.exit == 0 && !ran.stderr.contains("does not exist"), "{}", ran.all());
    assert!(!world.read("federations.yaml").contains("project_path"), "{}", world.read("federations.yaml"));
    assert_eq!(world.dfm(".", "fed config set x --project-path project.yaml").exit, 0);
    assert_eq!(world.dfm(".", "fed config set x --project-path None").exit, 0);
    assert!(world.dfm(".", "fed config show x").stdout.contains("project_path:   none"));
    world.write(
        "federations.yaml",
        "federations:\n  y: {federation_dir: x, config_path: f.dfm.yaml, project_path: None}\n",
    );
    assert!(world.dfm(".", "fed config show y").stdout.contains("project_path:   none"));
}

#[test]
fn create_default_says_where_it_writes_and_why() {
    let world = World::new();
    let ran = world.dfm("project", "fed config create-default");
    insta::assert_snapshot!("create_default", ran.all());
    assert!(world.read("project/federations.yaml").starts_with('#'));
    // What is set from now on, is set there, and not in the user's own.
    let set = world.dfm("project", "fed config set x --federation-dir x --config-path f.dfm.yaml");
    assert!(set.stderr.contains("saved `x` in `federations.yaml`"), "{}", set.all());
    let ran = world.dfm("other", "fed config create-default --path .");
    assert!(ran.exit == 0 && ran.stderr.trim() == "created `federations.yaml`", "{}", ran.all());
    let ran = world.dfm("project/x", "fed config create-default");
    assert!(ran.exit == 1 && ran.stderr.contains("/project/federations.yaml` exists already"), "{}", ran.all());
}

#[test]
fn set_makes_the_users_own_registry_when_there_is_none() {
    let world = World::new();
    world.write("fed/x.dfm.yaml", SMALL);
    let incomplete = world.dfm("fed", "fed config set small --federation-dir ..");
    assert_eq!((incomplete.exit, incomplete.stdout.as_str()), (2, ""));
    // A path that the federation's folder does not have is one from the current folder.
    let ran = world.dfm(".", "fed config set small --federation-dir fed --config-path fed/x.dfm.yaml");
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    let text = world.read("home/.config/dfm/federations.yaml");
    let expected = format!(
        "federations:\n  small:\n    federation_dir: {}\n    config_path: x.dfm.yaml\n",
        world.root().join("fed").display()
    );
    assert_eq!(text, expected);
    assert!(world.dfm("else/where", "fed config list-all").stdout.contains("small"));
}

#[test]
fn the_registry_is_the_one_asked_for_then_the_environments_then_the_nearest() {
    let world = World::new();
    for (path, name) in [("a.yaml", "asked"), ("e.yaml", "environment"), ("in/federations.yaml", "nearest")] {
        world.write(path, &format!("federations: {{{name}: {{}}}}"));
    }
    let environment = world.root().join("e.yaml");
    let environment = [("DFM_CONFIG", environment.to_str().unwrap())];
    let named = |words: &str, environment: &[(&str, &str)]| world.dfm_with("in/side", words, environment).stdout;
    assert!(named("--config ../../a.yaml fed config list-all", &environment).contains("asked"));
    assert!(named("fed config list-all --config ../../a.yaml", &environment).contains("asked"));
    assert!(named("fed config list-all", &environment).contains("environment"));
    assert!(named("fed config list-all", &[]).contains("nearest"));
}

#[test]
fn delete_forgets_and_deletes_no_file() {
    let world = two_federations();
    let ran = world.dfm("bad", "fed config delete good");
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    assert_eq!(
        world.read("federations.yaml"),
        "# ours\nfederations:\n  bad: {federation_dir: bad, config_path: f.dfm.yaml}\n"
    );
    assert!(world.root().join("good/configs/f.dfm.yaml").exists());
    let again = world.dfm(".", "fed config delete good");
    insta::assert_snapshot!("delete_unknown", again.all());
}

#[test]
fn create_default_never_overwrites() {
    let world = World::new();
    let made = world.dfm("here", "fed config create-default --path .");
    assert_eq!(made.exit, 0, "{}", made.stderr);
    let text = world.read("here/federations.yaml");
    assert!(text.starts_with('#'));
    let again = world.dfm("here", "fed config create-default");
    assert_eq!(again.exit, 1);
    assert_eq!(world.read("here/federations.yaml"), text);
    // What it wrote can be filled, and keeps its comments.
    assert_eq!(world.dfm("here", "fed config set x --federation-dir . --config-path x.dfm.yaml").exit, 0);
    let filled = world.read("here/federations.yaml");
    assert!(text.lines().all(|line| filled.contains(line)), "{filled}");
}

#[test]
fn a_registry_that_cannot_be_read_is_explained_and_left_alone() {
    let world = World::new();
    world.write("federations.yaml", "federations:\n  a: [1]\n  b: {federation_dir: 3}\n");
    insta::assert_snapshot!("broken_registry", world.dfm(".", "fed config list-all").all());
    let ran = world.dfm(".", "fed config set c --federation-dir c --config-path c");
    assert_eq!(ran.exit, 2);
    assert_eq!(world.read("federations.yaml"), "federations:\n  a: [1]\n  b: {federation_dir: 3}\n");
    world.write("federations.yaml", "federation: {}\nfederations:\n  a: {federation_dri: a, note: mine}\n");
    insta::assert_snapshot!("misspelt_registry", world.dfm(".", "fed config list-all").all());
}

#[test]
fn results_are_on_stdout_and_only_there() {
    let world = two_federations();
    let quiet = world.dfm(".", "-q fed config set good --project-path p.yaml");
    assert_eq!((quiet.exit, quiet.stdout.as_str()), (0, ""));
    let coloured = world.dfm(".", "fed config show bad --color always");
    assert!(coloured.stderr.contains("\u{1b}[") && !coloured.stdout.contains("\u{1b}["));
    assert!(!world.dfm(".", "fed config show bad").stderr.contains("\u{1b}["));
    let unknown = world.dfm(".", "fed config show goof --json");
    assert_eq!((unknown.exit, unknown.stderr.as_str()), (2, ""));
    assert!(unknown.stdout.starts_with("{\"problems\":[{\"code\":\"registry-unknown-federation\""));
    assert_eq!(world.dfm(".", "fed config shwo good").exit, 2);
}

#[test]
fn set_finds_the_only_configuration_of_the_folder() {
    let world = World::new();
    world.write("federations.yaml", "federations:\n");
    world.write("one/configs/f.dfm.yaml", SMALL);
    world.write("two/a.dfm.yaml", SMALL);
    world.write("two/b.dfm.yaml", SMALL);
    let ran = world.dfm(".", "fed config set one --federation-dir one");
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    assert!(world.read("federations.yaml").contains("config_path: configs/f.dfm.yaml"));
    let ran = world.dfm(".", "fed config set two --federation-dir two");
    assert!(ran.exit == 2 && ran.stderr.contains("`a.dfm.yaml`, `b.dfm.yaml`"), "{}", ran.all());
}

#[test]
fn processes_that_set_at_the_same_time_lose_nothing() {
    let world = World::new();
    world.write("federations.yaml", "# ours\nfederations:\n");
    world.write("fed/f.dfm.yaml", SMALL);
    std::thread::scope(|scope| {
        for index in 0..12 {
            let world = &world;
            scope.spawn(move || {
                let words = format!("fed config set f{index} --federation-dir fed --config-path f.dfm.yaml");
                assert_eq!(world.dfm(".", &words).exit, 0);
            });
        }
    });
    let text = world.read("federations.yaml");
    assert!(text.starts_with("# ours\n") && (0..12).all(|index| text.contains(&format!("  f{index}:"))), "{text}");
}
