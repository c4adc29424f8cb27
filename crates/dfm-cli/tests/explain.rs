//! Does `dfm explain` say what the code of a problem means, and which codes there are?

mod common;

use common::World;

#[test]
fn the_code_of_a_problem_that_was_shown_is_explained() {
    let world = World::new();
    let shown = world.dfm(".", "fed check nowhere.dfm.yaml --json").stdout;
    let code = shown.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    assert_eq!(code, "check-no-configuration");
    let explained = world.dfm(".", &format!("explain {code}"));
    assert_eq!(explained.exit, 0);
    for part in ["check-no-configuration: ", "\nfor example: ", "\nhelp: Name a file that exists"] {
        assert!(explained.stdout.contains(part), "{}", explained.stdout);
    }
    let document = world.dfm(".", &format!("explain {code} --json")).stdout;
    assert!(document.starts_with("{\"code\":\"check-no-configuration\",\"meaning\":"), "{document}");
}

#[test]
fn of_a_code_that_there_is_not_the_nearest_are_named() {
    let world = World::new();
    for (code, help) in [
        ("config-unknown-kye", "did you mean `config-unknown-key`?"),
        ("flare", "these begin like it: flare-broken, flare-not-installed, flare-project, flare-refused"),
        ("zzz", "it stands in brackets before a problem's text"),
    ] {
        let ran = world.dfm(".", &format!("explain {code}"));
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{code}");
        assert!(ran.stderr.contains(help), "{}", ran.stderr);
    }
}
