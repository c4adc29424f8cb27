//! Does `dfm fed init` write what is needed, and leave alone what is there?

mod common;

use common::World;

#[test]
fn a_new_federation_is_whole_and_known() {
    let world = World::new();
    insta::assert_snapshot!("init", world.dfm("work", "fed init my-shop").all());
    let checked = world.dfm("work/my-shop", "fed check my-shop");
    assert_eq!((checked.exit, checked.stderr.as_str()), (0, "`my-shop`: nothing is wrong\n"));
    assert_eq!(world.dfm("work", "fed gen code my-shop --check").exit, 0);
    let schema = world.dfm(".", "fed schema").stdout;
    assert_eq!(world.read("work/my-shop/my_shop/configs/dfm.schema.json"), schema);
    let entries = std::fs::read_dir(world.root().join("work")).unwrap();
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    assert_eq!(entries, ["federations.yaml", "my-shop"]);
    // Nothing of it is in the user's own registry.
    assert_eq!(world.dfm("elsewhere", "fed check my-shop").exit, 2);
}

#[test]
fn every_template_passes_the_check() {
    for template in ["minimal", "arrays", "tables"] {
        let world = World::new();
        assert_eq!(world.dfm(".", &format!("fed init shop --template {template}")).exit, 0);
        assert_eq!(world.dfm(".", "fed check shop").stderr, "`shop`: nothing is wrong\n");
    }
}

#[test]
fn what_is_there_is_left_alone() {
    let world = World::new();
    world.write("shop/mine.txt", "mine");
    insta::assert_snapshot!("init_existing_folder", world.dfm(".", "fed init shop").all());
    assert!(!world.root().join("home").exists());
    assert_eq!(world.dfm(".", "fed init store").exit, 0);
    world.write("elsewhere/mine.txt", "mine");
    insta::assert_snapshot!("init_known_name", world.dfm("elsewhere", "fed init store").all());
}

#[test]
fn a_name_that_is_no_packages_is_refused() {
    let world = World::new();
    for name in ["json", "class", "9lives", "a/b"] {
        let ran = world.dfm(".", &format!("fed init {name}"));
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{name}");
        insta::assert_snapshot!(format!("init_name_{}", name.replace('/', "_")), ran.all());
    }
}

#[test]
fn a_poc_that_has_no_place_says_where_that_would_be() {
    let world = World::new();
    assert_eq!(world.dfm(".", "fed init shop").exit, 0);
    world.write("file", "in the way");
    let ran = world.dfm(".", "--workspace file/kits poc start -f shop");
    assert_eq!(ran.exit, 1, "{}", ran.all());
    assert!(ran.stderr.contains("cannot make its folder `[ROOT]/file/kits/shop_poc`: "), "{}", ran.all());
    assert!(ran.stderr.contains("`--workspace DIR` or DFM_WORKSPACE names another place"), "{}", ran.all());
}
