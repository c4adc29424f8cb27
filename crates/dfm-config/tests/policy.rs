//! Is a policy read as it is meant, a wrong one refused in words that help, and documented as it is?

use std::path::Path;

use dfm_config::{SitePolicy, policy, policy_table};
use dfm_diag::{Report, render};

fn read(text: &str) -> Result<SitePolicy, Report> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, text).expect("a temporary file");
    policy(&path)
}

fn told(text: &str) -> String {
    let report = read(text).expect_err("it is wrong");
    let texts: Vec<String> = report.diagnostics.iter().map(|fault| render(fault, &report.sources, false)).collect();
    texts.join("\n\n")
}

#[test]
fn what_a_policy_does_not_say_is_the_default() {
    let usual = SitePolicy::default();
    for nothing in ["", "# nothing\n", "errors:\n", "limits: {}\n"] {
        assert_eq!(read(nothing).expect("it is valid"), usual, "{nothing:?}");
    }
    let policy = read("errors: message\nlimits: {sessions_per_user: 2, calls-at-once: 3}\n").expect("it is valid");
    assert_eq!(policy.errors, "message");
    assert_eq!((policy.limits.sessions_per_user, policy.limits.calls_at_once), (2, 3));
    assert_eq!(policy.limits.seconds_per_call, usual.limits.seconds_per_call);
}

#[test]
fn a_wrong_policy_is_explained() {
    let faults =
        told("errors: ful\nlimit: {}\nlimits:\n  frames-per-job: 0\n  value-bytes: 1000\n  calls-at-once: many\n");
    for part in [
        "`errors` cannot be `ful`",
        "did you mean `full`?",
        "a policy has no key `limit`",
        "did you mean `limits`?",
        "`frames-per-job` must be a whole number of at least 1",
        "`value-bytes` must be a whole number of at least 65536",
        "policy.yaml:6:18",
        "this is a text",
    ] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
    assert!(told("errors: [full]").contains("`errors` must be a text"));
    assert!(told("limits: 3").contains("`limits` must be a dictionary"));
    assert!(told("- errors").contains("a policy must be a dictionary"));
}

#[test]
fn a_policy_that_cannot_be_read_is_refused() {
    let report = policy(Path::new("/nowhere/policy.yaml")).expect_err("there is none");
    assert_eq!(report.diagnostics[0].code, "config-missing-file");
}

#[test]
fn the_documentation_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    assert!(text.contains(&policy_table()), "docs/policy.md should have this table:\n{}", policy_table());
}
