//! Does `dfm fed gen code` write, check and clean a federation's package as documented?

mod common;

use std::path::Path;
use std::time::SystemTime;

use common::{World, repository};

/// A world with the greeting federation in `work/examplefed`.
fn greeting() -> World {
    let world = World::new();
    world
        .write("federations.yaml", "federations:\n  fed: {federation_dir: work/examplefed, config_path: f.dfm.yaml}\n");
    world
        .write("work/examplefed/f.dfm.yaml", &repository("examples/examplefed/examplefed/configs/federation.dfm.yaml"));
    world
}

/// Replaces a part of the configuration.
fn configure(world: &World, old: &str, new: &str) {
    let text = world.read("work/examplefed/f.dfm.yaml");
    assert!(text.contains(old), "{text}");
    world.write("work/examplefed/f.dfm.yaml", &text.replace(old, new));
}

/// All files below a folder of the world, relative to it.
fn files(world: &World, folder: &str) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else {
                out.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let root = world.root().join(folder);
    let mut out = Vec::new();
    walk(&root, &root, &mut out);
    out.sort();
    out
}

fn written_at(world: &World, path: &str) -> SystemTime {
    std::fs::metadata(world.root().join(path)).unwrap().modified().unwrap()
}

#[test]
fn the_package_goes_beside_the_federations_folder_from_anywhere() {
    let world = greeting();
    let ran = world.dfm("work/examplefed", "fed gen code fed");
    insta::assert_snapshot!(ran.all());
    insta::assert_snapshot!("files", files(&world, "work").join("\n"));
    assert_eq!(world.dfm("elsewhere", "--config ../federations.yaml fed gen code --check fed").exit, 0);
    let ran = world.dfm("elsewhere", "fed gen code fed --output-dir out");
    assert_eq!((ran.exit, files(&world, "elsewhere/out").len()), (0, 19));
}

#[test]
fn unchanged_files_keep_their_time() {
    let world = greeting();
    world.dfm(".", "fed gen code fed");
    let (kept, replaced) = ("work/examplefed/fed/runtime/server/site.json", "work/examplefed/fed/api/users.py");
    let old = SystemTime::UNIX_EPOCH;
    for path in [kept, replaced] {
        std::fs::File::options().write(true).open(world.root().join(path)).unwrap().set_modified(old).unwrap();
    }
    configure(&world, "Who is greeted", "Whoever is greeted");
    let ran = world.dfm(".", "fed gen code fed -v");
    insta::assert_snapshot!(ran.all());
    assert_eq!(written_at(&world, kept), old);
    assert_ne!(written_at(&world, replaced), old);
}

#[test]
fn check_writes_nothing_and_lists_what_is_stale() {
    let world = greeting();
    assert_eq!(world.dfm(".", "fed gen code fed --check").exit, 1);
    assert_eq!(files(&world, "work"), ["examplefed/f.dfm.yaml"]);
    world.dfm(".", "fed gen code fed");
    configure(&world, "  server:\n", "  annex:\n");
    std::fs::remove_file(world.root().join("work/examplefed/fed/site/__init__.py")).unwrap();
    let before = files(&world, "work");
    insta::assert_snapshot!(world.dfm(".", "fed gen code fed --check").all());
    insta::assert_snapshot!("check_json", world.dfm(".", "fed gen code fed --check --json").all());
    assert_eq!(files(&world, "work"), before);
}

#[test]
fn cleanup_removes_what_is_not_generated_any_more_and_nothing_else() {
    let world = greeting();
    world.dfm(".", "fed gen code fed");
    configure(&world, "  server:\n", "  annex:\n");
    world.write("work/examplefed/fed/runtime/server/notes.py", "x = 1\n");
    let left = world.dfm(".", "fed gen code fed");
    assert!(left.stderr.contains("--cleanup removes them"), "{}", left.stderr);
    insta::assert_snapshot!(world.dfm(".", "fed gen code fed --cleanup").all());
    let at_server: Vec<String> =
        files(&world, "work/examplefed/fed").into_iter().filter(|path| path.contains("server")).collect();
    assert_eq!(at_server, ["runtime/server/notes.py"]);
    assert!(!world.root().join("work/examplefed/fed/site/server").exists());
    assert_eq!(world.dfm(".", "fed gen code fed --cleanup --no-api --runtime-site none").exit, 0);
    assert_eq!(files(&world, "work/examplefed/fed"), ["__init__.py", "fed_info.json", "runtime/server/notes.py"]);
}

#[test]
fn only_what_is_asked_for_is_generated() {
    let world = greeting();
    assert_eq!(world.dfm(".", "fed gen code fed --no-api --runtime-site server --runtime-site reception").exit, 0);
    insta::assert_snapshot!(files(&world, "work/examplefed/fed").join("\n"));
    insta::assert_snapshot!("unknown_site", world.dfm(".", "fed gen code fed --runtime-site recption").all());
    assert_eq!(world.dfm(".", "fed gen code fed --runtime-site none --runtime-site server").exit, 2);
}

#[test]
fn the_users_files_are_never_replaced() {
    let world = greeting();
    world.write("work/examplefed/__init__.py", "mine = True\n");
    world.write("work/examplefed/fed/api/users.py", "mine = True\n");
    let before = files(&world, "work");
    insta::assert_snapshot!(world.dfm(".", "fed gen code fed").all());
    assert_eq!(files(&world, "work"), before);
    std::fs::remove_file(world.root().join("work/examplefed/fed/api/users.py")).unwrap();
    assert_eq!(world.dfm(".", "fed gen code fed --json").exit, 0);
    assert_eq!(world.read("work/examplefed/__init__.py"), "mine = True\n");
}
