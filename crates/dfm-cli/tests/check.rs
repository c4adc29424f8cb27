//! Does `dfm fed check` show all that is wrong with a federation, for people and for programs?

mod common;

use common::{World, repository};

const PROJECT: &str = "examples/examplefed/examplefed/configs/project.yaml";
const CONFIG: &str = "examples/examplefed/examplefed/configs/federation.dfm.yaml";

/// A world with the greeting federation, some text of its configuration and project replaced.
fn greeting(config: (&str, &str), project: (&str, &str)) -> World {
    let world = World::new();
    let replaced = |path: &str, (old, new): (&str, &str)| {
        let text = repository(path);
        assert!(text.contains(old), "{text}");
        text.replacen(old, new, 1)
    };
    let record = "federations:\n  fed: {federation_dir: fed, config_path: f.dfm.yaml, project_path: project.yaml}\n";
    world.write("federations.yaml", record);
    world.write("fed/f.dfm.yaml", &replaced(CONFIG, config));
    world.write("fed/project.yaml", &replaced(PROJECT, project));
    world
}

#[test]
fn nothing_is_wrong_with_the_examples() {
    let world = greeting(("", ""), ("", ""));
    let ran = world.dfm("elsewhere", "--config ../federations.yaml fed check fed");
    assert_eq!(ran.all(), "exit: 0\n----- stdout\n----- stderr\n`fed`: nothing is wrong\n");
    assert_eq!(world.dfm("fed", "fed check f.dfm.yaml").exit, 0);
}

#[test]
fn a_project_and_its_federation_must_fit() {
    let world = greeting(("  reception:", "  annex:"), ("type: server", "type: client"));
    insta::assert_snapshot!(world.dfm(".", "fed check fed").all());
    let json = world.dfm(".", "fed check fed --json");
    assert!(json.stdout.contains("\"errors\":2") && json.stderr.is_empty(), "{}", json.all());
    // What generates and what runs looks at the same first.
    assert_eq!(world.dfm(".", "fed gen code fed").exit, 2);
    let ran = world.dfm(".", "fed submit fed script x --target local");
    assert!(ran.exit == 2 && ran.stderr.contains("project-no-server"), "{}", ran.all());
}

#[test]
fn names_that_nvflare_refuses_and_participants_without_names_are_shown() {
    let world = greeting(
        ("", ""),
        (
            "- name: reception\n    type: client",
            "- name: recep tion\n    type: client\n  - {type: client}\n  - name: server\n    type: client",
        ),
    );
    insta::assert_snapshot!(world.dfm(".", "fed check fed").all());
    let long = format!("- name: {}\n    type: client", "r".repeat(65));
    let world = greeting(("", ""), ("- name: reception\n    type: client", &long));
    let told = world.dfm(".", "fed check fed").all();
    assert!(told.contains("NVFlare takes no client named") && told.contains("at most 64 of them"), "{told}");
    let admins = "- {name: \"app@my_fed.com\", type: admin, org: my-org, role: \"the lead\"}\n  - {name: me, type: admin, org: o}";
    let world = greeting(("", ""), ("  - name: server", &format!("  {admins}\n  - name: my_server")));
    insta::assert_snapshot!("names_of_users", world.dfm(".", "fed check fed").all());
    let world = greeting(("", ""), ("participants:", "people:"));
    insta::assert_snapshot!("no_participants", world.dfm(".", "fed check fed").all());
}

#[test]
fn a_server_that_is_called_as_another_site_is_told_with_both_places() {
    let world = greeting(("", ""), ("name: server", "name: concierge"));
    let told = world.dfm(".", "fed check fed");
    assert_eq!(told.exit, 2);
    insta::assert_snapshot!(told.all());
}

#[test]
fn names_of_sites_that_nvflare_refuses_are_told_without_a_project_too() {
    let world = greeting(("  reception:", "  rezeption_für_gäste:"), ("", ""));
    world.write("federations.yaml", "federations:\n  fed: {federation_dir: fed, config_path: f.dfm.yaml}\n");
    let told = world.dfm(".", "fed check fed");
    assert_eq!(told.exit, 0);
    insta::assert_snapshot!(told.all());
    let told = world.dfm(".", "fed gen provision fed");
    assert!(told.exit == 2 && told.stderr.starts_with("error[project-invalid-name]"), "{}", told.all());
}

#[test]
fn what_nvflare_wants_of_a_project_is_shown_at_once() {
    let world = greeting(("", ""), ("api_version: 3\nname: examplefed", "api_version: 2"));
    world.write(
        "fed/project.yaml",
        &world.read("fed/project.yaml").replace("client\n", "cleint\n").replace("admin\n", "server\n"),
    );
    insta::assert_snapshot!(world.dfm(".", "fed check fed").all());
}

#[test]
fn faults_of_a_configuration_hide_none_of_its_project() {
    let world = greeting(("from-param: name", "from-parm: name"), ("type: client", "type: cleint"));
    let ran = world.dfm(".", "fed check fed");
    assert!(ran.exit == 2 && ran.stderr.contains("`from-param`?") && ran.stderr.contains("`client`?"), "{}", ran.all());
    assert!(!ran.stderr.contains("project-missing-client"), "{}", ran.all());
}

#[test]
fn a_configuration_that_is_not_there_is_looked_for_in_the_registry() {
    let world = greeting(("", ""), ("", ""));
    let record = world.read("federations.yaml");
    world.write("federations.yaml", &record.replace("f.dfm.yaml", "g.dfm.yaml"));
    insta::assert_snapshot!("no_configuration", world.dfm(".", "fed check fed").all());
    world.write("federations.yaml", &record.replace("federation_dir: fed", "federation_dir: feds"));
    assert!(world.dfm(".", "fed check fed").stderr.contains("dfm fed config set fed --federation-dir DIR"));
    // A path is not taken for a name.
    for path in ["fed/g.dfm.yaml", "fed/project.yaml", "fed"] {
        let ran = world.dfm("fed", &format!("fed check ../{path}"));
        assert!(ran.exit == 2 && ran.stderr.contains("check-no-configuration"), "{}", ran.all());
    }
}

#[test]
fn programs_get_sarif() {
    let world = greeting(("from-param: name", "from-parm: name"), ("", ""));
    let ran = world.dfm(".", "fed check fed --format sarif");
    assert_eq!((ran.exit, ran.stderr.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stdout.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "const: \"Hello from the local app, {name}! How are you?\"";
    let world = greeting((secret, "const: AKIAABCDEFGHIJKLMNOP"), ("", ""));
    assert!(world.read("fed/f.dfm.yaml").contains("AKIA"));
    let ran = world.dfm(".", "fed check fed");
    assert!(ran.exit == 0 && ran.stderr.contains("config-literal-secret"), "{}", ran.all());
    assert!(!ran.stderr.contains("AKIA"), "{}", ran.all());
}

#[test]
fn what_would_let_code_travel_is_warned_about() {
    let world = greeting(("", ""), ("", ""));
    let project = repository(PROJECT).replacen("role: lead", "role: project_admin", 1);
    world.write("fed/project.yaml", &format!("{project}  - path: ours.policy.Lax\n"));
    let ran = world.dfm(".", "fed check fed");
    assert_eq!(ran.exit, 0, "{}", ran.all());
    for told in [
        "warning[project-application-admin]: the application `concierge@examplefed.com` is an admin",
        "write `role: lead` for it",
        "warning[project-own-builder]: the builder `ours.policy.Lax` is none of NVFlare's",
        "`--allow-builder ours.policy.Lax`",
    ] {
        assert!(ran.stderr.contains(told), "{}", ran.all());
    }
    assert!(!ran.stderr.contains("application `admin@examplefed.com`"), "{}", ran.all());
}

#[test]
fn an_operation_that_no_site_offers_is_warned_about() {
    let operation = "operations:\n  users.Count: {returns: integer}\n  users.List: {}";
    let world = greeting(("operations:", operation), ("", ""));
    let text = world.read("fed/f.dfm.yaml");
    let bound = "    interface:\n      \"#/operations/users.List\": {adapter: examplefed.lib.List}\n";
    world.write("fed/f.dfm.yaml", &text.replacen("    interface:\n", bound, 1));
    insta::assert_snapshot!("not_offered", world.dfm(".", "fed check fed").all());
    // Whoever runs or generates something is not told each time, nor who has not come to the sites yet.
    let ran = world.dfm(".", "fed gen code fed");
    assert!(ran.exit == 0 && !ran.stderr.contains("not-offered"), "{}", ran.all());
    world.write(
        "new.dfm.yaml",
        "dfm: 1.0.0\ninfo: {api-version: 1.0.0, code-package: new}\noperations: {a.B: {}}\nsites: {s: {}}\n",
    );
    assert!(world.dfm(".", "fed check new.dfm.yaml").stderr.contains("nothing is wrong"));
}

#[test]
fn a_folder_that_belongs_to_no_federation_is_told_so() {
    let world = World::new();
    insta::assert_snapshot!("no_registry", world.dfm("elsewhere", "fed check sales").all());
    let asked = world.dfm(".", "--config mine.yaml fed check sales");
    assert!(asked.exit == 2 && asked.stderr.contains("there is no file `mine.yaml`"), "{}", asked.all());
    world.write("federations.yaml", "");
    let empty = world.dfm("elsewhere", "fed check sales");
    assert!(empty.stderr.contains("`[ROOT]/federations.yaml` has no federation `sales`"), "{}", empty.all());
}

#[test]
fn a_time_limit_below_zero_is_refused_in_words_of_its_own() {
    let world = greeting(("", ""), ("", ""));
    for (words, told) in [
        ("fed check fed --adapters --import-timeout -1", "--import-timeout takes a number of seconds above 0, not -1"),
        ("fed submit fed --timeout -1 script x", "--timeout takes a number of seconds from 0 on, not -1"),
        ("jobs results fed x --timeout -0.5", "--timeout takes a number of seconds from 0 on, not -0.5"),
        ("poc wait -f fed --timeout -1", "--timeout takes a number of seconds from 0 on, not -1"),
    ] {
        let ran = world.dfm(".", words);
        assert!(ran.exit == 2 && ran.stderr.contains(told), "{}", ran.all());
    }
}
