//! Is a policy read as it is meant, a wrong one refused in words that help, and documented as it is?

use std::path::Path;

use dfm_config::{Caller, SitePolicy, policy, policy_table};
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
fn rules_are_read_in_their_order_and_those_about_a_call_are_found() {
    let policy = read(
        "default: deny\nrules:\n  b: {decision: deny, users: [eve@*], operations: [x.*]}\n  a: {decision: allow, roles: \
         [lead], parameters: {n: {minimum: -1, one-of: [1, x]}}}\n  c: {decision: allow}\n  d: {decision: deny}\n",
    )
    .expect("it is valid");
    let about = |user, role, operation| {
        let places = policy.deciding(Caller { user, organisation: "o", role }, operation);
        places.into_iter().map(|place| policy.rules[place].name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(about("eve@x", "lead", "x.A"), ["b"]);
    assert_eq!(about("eve@x", "lead", "y.A"), ["a", "c"]);
    assert_eq!(about("ada@x", "member", "x.A"), ["c"]);
    assert!(!policy.allow);
    assert_eq!(policy.rules[1].parameters["n"].minimum, Some(-1.0));
    let read = read(
        "default: allow\nleaves: {kinds: [number], smallest-group: {column: n, at-least: 5}}\nper_day: {calls: 3}",
    );
    let policy = read.expect("it is valid");
    assert_eq!(policy.leaves.and_then(|leaves| leaves.smallest_group), Some(("n".to_owned(), 5)));
    assert_eq!(policy.per_day.calls, Some(3));
}

#[test]
fn a_site_trusts_no_single_other_one_of_a_sum_unless_it_says_so() {
    for (said, dishonest) in [("", 1), (", dishonest: 0", 0), (", dishonest: 3", 3)] {
        let policy = read(&format!("leaves: {{sums: {{at-least: 4{said}}}}}")).expect("it is valid");
        let sums = policy.leaves.and_then(|leaves| leaves.sums).expect("it is said");
        assert_eq!((sums.at_least, sums.dishonest), (4, dishonest));
    }
    assert!(told("leaves: {sums: {at-least: 4, dishonest: -1}}").contains("a whole number of at least 0"));
}

#[test]
fn wrong_rules_are_explained() {
    let faults = told(
        "rules:\n  a: {operations: [], parameters: {n: {}, m: {minimum: x}}}\n  b: {decision: permit}\ndefault: deny\n\
         leaves: {kinds: [numbr], smallest-group: {column: n}}\nper-day: {calls: 0}\n",
    );
    for part in [
        "`default` is not the file's first key",
        "a rule needs `decision`",
        "`decision` cannot be `permit`",
        "no kind of value is called `numbr`",
        "did you mean `number`?",
        "`smallest-group` needs `at-least`",
        "`calls` must be a whole number of at least 1",
    ] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
    assert!(told("rules: {a: {decision: allow}}").contains("a policy with `rules` needs `default`"));
    let faults =
        told("default: deny\nrules: {a: {decision: deny, operations: [], parameters: {n: {}, m: {minimum: x}}}}");
    for part in ["`operations` has no pattern", "nothing is said of the parameter `n`", "`minimum` must be a number"] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
}

#[test]
fn times_are_read_and_wrong_ones_explained() {
    let policy = read(
        "default: deny\nrules:\n  a: {decision: allow, when: {days: [monday], from: 08:00, to: '18:00'}}\n  b: \
         {decision: allow, when: {since: 2026-01-01, until: 2026-01-01}}\n  c: {decision: deny}\n",
    )
    .expect("it is valid");
    let when = policy.rules[0].when.as_ref().expect("it has a time");
    assert_eq!(when.told(), "on monday from 08:00 to 18:00 (UTC)");
    let caller = Caller { user: "u", organisation: "o", role: "lead" };
    assert_eq!(policy.deciding(caller, "x.A"), [0, 1, 2], "a rule with a time does not end the search");
    let faults = told(
        "default: deny\nrules:\n  a: {decision: allow, when: {days: [munday], from: 8:00}}\n  b: {decision: allow, when: \
         {since: 2026-02-30}}\n  c: {decision: allow, when: {from: '20:00', to: '06:00'}}\n  d: {decision: allow, when: \
         {}}\n  e: {decision: allow, when: {since: 2027-01-01, until: 2026-01-01}}\n",
    );
    for part in [
        "no day of the week is called `munday`",
        "did you mean `monday`?",
        "`from` cannot be `8:00`",
        "expected a time of a day, as `\"08:00\"`",
        "`since` cannot be `2026-02-30`",
        "`to` is not after `from`",
        "for what goes over midnight, write two rules",
        "`when` says nothing",
        "`until` is not after `since`",
    ] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
}

#[test]
fn noise_is_read_and_what_could_be_none_is_explained() {
    let policy = read(
        "default: allow\nleaves: {noise: {epsilon: 0.5, delta: 1.0e-7, sensitivities: {a.B: 1, 'a.*': 0}, budget: {epsilon: 5, \
         delta: 1.0e-5}}}\n",
    )
    .expect("it is valid");
    let noise = policy.leaves.and_then(|leaves| leaves.noise).expect("it says noise");
    assert_eq!((noise.epsilon, noise.delta), (0.5, Some(1e-7)));
    assert_eq!(noise.sensitivities, [("a.B".to_owned(), 1.0), ("a.*".to_owned(), 0.0)]);
    assert_eq!((noise.budget.epsilon, noise.budget.delta), (5.0, 1e-5));
    let faults = told("leaves: {noise: {epsilon: 0, sensitivities: {a.B: -1, c: x}, budget: {}}}\n")
        + &told("leaves: {noise: {epsilon: 2, sensitivities: {}, budget: {epsilon: 1}}}\n")
        + &told("leaves: {noise: {epsilon: 1, delta: 1, sensitivities: {}, budget: {epsilon: 1}}}\n")
        + &told("leaves: {noise: {}}\n");
    for part in [
        "`epsilon` must be a number above 0",
        "`a.B` must be a number of at least 0",
        "`c` must be a number of at least 0",
        "`budget` needs `epsilon`",
        "`budget` is less than one value costs",
        "`delta` must be a number between 0 and 1",
        "`budget` needs `delta`",
        "`noise` needs `epsilon`",
        "`noise` needs `sensitivities`",
        "`noise` needs `budget`",
    ] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
}

#[test]
fn what_is_done_to_what_leaves_is_read_and_explained() {
    let policy = read(
        "default: allow\nleaves: {rounding: 0.5, suppress: {below: 5, counts: [n]}, release: {class: a.B, args: {x: 1}}}\n\
         per-day: {questions: 9}\n",
    )
    .expect("it is valid");
    let leaves = policy.leaves.expect("it says what leaves");
    assert_eq!((leaves.rounding, leaves.suppress.map(|one| one.below)), (Some(0.5), Some(5)));
    assert_eq!(leaves.release.map(|one| (one.path, one.args["x"].clone())), Some(("a.B".to_owned(), 1.into())));
    assert_eq!(policy.per_day.questions, Some(9));
    let faults = told(
        "leaves: {disclosures: [record], rounding: 0, suppress: {counts: []}, release: {args: {}}}\nper-day: {questions: 0}\n",
    ) + &told("leaves: {release: {class: Checked}, rounding: five, suppress: {below: 0}}\n");
    for part in [
        "`rounding` must be a number above 0",
        "`suppress` needs `below`",
        "`release` needs `class`",
        "no disclosure is called `record`",
        "did you mean `records`?",
        "`questions` must be a whole number of at least 1",
        "`Checked` is no dotted path of a class",
        "expected one such as `clinic.release.Checked`",
        "`below` must be a whole number of at least 1",
    ] {
        assert!(faults.contains(part), "no {part:?} in\n{faults}");
    }
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
