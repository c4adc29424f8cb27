//! What does a site's own `local/policy.yaml` decide?
//!
//! It lies beside the site's data and is nobody else's: no configuration and no provisioning writes it for a site.

use std::path::Path;

use dfm_diag::{Diagnostic, Report, Sources};
use serde::{Deserialize, Serialize};

use crate::fields::{Faults, Fields};
use crate::format::{Form, Kind, Others, Shape, key};
use crate::policy_audit::{AUDIT, Audit, audit};
use crate::policy_leaves::{LEAVES, Leaves, PER_DAY, PerDay, among, leaves, per_day};
use crate::policy_rules::{Caller, DEFAULTS, Decision, RULE, Rule, rules};
use crate::tree;

/// A site's policy.
pub static POLICY: Shape = Shape {
    what: "a policy",
    others: Others::Refused,
    keys: &[
        key(
            "default",
            Kind::Choice(DEFAULTS),
            "What holds for a call that no rule is about: `allow` or `deny`. The file's first key, and needed with `rules`.",
        ),
        key(
            "rules",
            Kind::Named(Form::Any, &Kind::Shape(&RULE)),
            "Name → rule: who may call what. Of those that are about a call, the first decides.",
        ),
        key(
            "errors",
            Kind::Choice(ERRORS),
            "What an application learns of an error: `full`, with the adapter's traceback; `message`, without; `type`, \
             the kind alone, with a number under which the site's log has the rest.",
        ),
        key(
            "logs",
            Kind::Choice(LOGS),
            "What an application learns of what its calls log and print here: `all` of it, with secrets masked, or `none`.",
        ),
        key(
            "traces",
            Kind::Choice(TRACES),
            "Where what this site exports of a job is found: `joined`, in the application's trace, or `own`, in one that \
             nobody else knows of.",
        ),
        key(
            "publish",
            Kind::Texts,
            "What applications are told before anything runs: `disclosures`, what of operations' results may leave, and \
             `rules`, what is allowed with the parameters that a pipeline says; one that would have other values leave, or \
             makes calls that are never allowed, is refused then. Nothing if not given.",
        ),
        key("leaves", Kind::Shape(&LEAVES), "What a value may be that leaves the site, in whatever direction."),
        key("per-day", Kind::Shape(&PER_DAY), "How much one user may ask for in a day; the site counts over restarts."),
        key("audit", Kind::Shape(&AUDIT), "What the site writes down of all that; nothing if not given."),
        key("limits", Kind::Shape(&LIMITS), "How much one user may ask of the site."),
    ],
};

/// What `publish` may have.
const PUBLISHED: &[&str] = &["disclosures", "rules"];
/// What `errors` may say, from the most that is told to the least.
const ERRORS: &[&str] = &["full", "message", "type"];
/// What a provisioned kit tells that says nothing of it: what is in an exception's text is data, as far as anybody knows.
const ERRORS_DEFAULT: &str = "type";

/// What `logs` may say. A line of a log may have data in it, too.
const LOGS: &[&str] = &["all", LOGS_DEFAULT];
const LOGS_DEFAULT: &str = "none";

/// What `traces` may say. The trace's number is all that comes from the application.
const TRACES: &[&str] = &[TRACES_DEFAULT, "own"];
const TRACES_DEFAULT: &str = "joined";

/// Declares all that is bounded: its field and key, the least that it may be, the default, and what it means.
macro_rules! limits {
    ($($field:ident $key:literal $least:expr, $usual:expr, $doc:literal;)*) => {
        static LIMITS: Shape = Shape {
            what: "`limits`",
            others: Others::Refused,
            keys: &[$(key($key, Kind::Whole, $doc)),*],
        };

        /// How much may be asked of a site.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $(#[doc = $doc] pub $field: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $usual),* }
            }
        }

        impl Limits {
            fn read(fields: &Fields, faults: &mut Faults) -> Self {
                Self { $($field: fields.whole($key, $least, faults).unwrap_or($usual)),* }
            }

            /// Each key with its value.
            fn by_key(&self) -> Vec<(&'static str, u64)> {
                vec![$(($key, self.$field)),*]
            }
        }
    };
}

limits! {
    sessions_per_user "sessions-per-user" 1, 16,
        "Sessions that one user has open at this site at the same time; each is a process of its own.";
    jobs_per_session "jobs-per-session" 1, 64,
        "Jobs of a session that are not done at the same time.";
    frames_per_job "frames-per-job" 1, 100_000,
        "Sets of parameters that a job is started with.";
    calls_at_once "calls-at-once" 1, 256,
        "Calls that a session runs at the same time; more wait for their turn, those of one job after those of another.";
    site_calls_at_once "site-calls-at-once" 1, 1_024,
        "Calls that all sessions of the site run at the same time; more wait, but for one of each session.";
    calls_per_job "calls-per-job" 1, 1_000_000,
        "Calls that a job makes in all: every element of a loop and every retry is one.";
    seconds_per_call "seconds-per-call" 1, 3_600,
        "Seconds from a call's begin to its end, all its tries and, of a generator, its waiting for who takes its items included.";
    items_per_call "items-per-call" 1, 10_000_000,
        "Items that one call of a generator makes.";
    value_bytes "value-bytes" 1 << 16, 1 << 30,
        "Bytes of a value that is sent or taken; where the variable DFM_MAX_VALUE says less, it holds.";
    buffered_bytes "buffered-bytes" 1 << 16, 4 << 30,
        "Bytes of the values that a session has sent to this site and that are not used up.";
}

/// What a site allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SitePolicy {
    /// Whether what no rule is about is allowed.
    pub allow: bool,
    /// Who may call what, the rule first that decides first.
    pub rules: Vec<Rule>,
    /// `full`, `message` or `type`.
    pub errors: String,
    /// `all` or `none`.
    pub logs: String,
    /// `joined` or `own`.
    pub traces: String,
    /// What a value may be that leaves.
    pub leaves: Option<Leaves>,
    /// How much one user may ask for in a day.
    pub per_day: PerDay,
    /// Which parts of it applications are told before anything runs.
    pub publish: Vec<String>,
    /// What is written down of it.
    pub audit: Option<Audit>,
    /// How much one user may ask of the site.
    pub limits: Limits,
}

impl Default for SitePolicy {
    /// That of a site without a file.
    fn default() -> Self {
        Self {
            allow: true,
            rules: vec![],
            errors: ERRORS_DEFAULT.to_owned(),
            logs: LOGS_DEFAULT.to_owned(),
            traces: TRACES_DEFAULT.to_owned(),
            leaves: None,
            per_day: PerDay::default(),
            publish: vec![],
            audit: None,
            limits: Limits::default(),
        }
    }
}

impl SitePolicy {
    /// Where its rules stand that may decide of such a call, in their order: those behind one that asks for no parameters
    /// and no time do not.
    pub fn deciding(&self, caller: Caller<'_>, operation: &str) -> Vec<usize> {
        let mut found = vec![];
        for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.is_about(caller, operation)) {
            found.push(place);
            if rule.is_final() {
                break;
            }
        }
        found
    }

    /// Those rules themselves.
    pub fn deciding_rules(&self, caller: Caller<'_>, operation: &str) -> Vec<&Rule> {
        self.deciding(caller, operation).into_iter().filter_map(|place| self.rules.get(place)).collect()
    }

    /// Whether there may be parameters and times with which such a call is allowed, at once or by a person.
    pub fn allows_any(&self, caller: Caller<'_>, operation: &str) -> bool {
        let deciding = self.deciding_rules(caller, operation);
        let decides_all = deciding.last().is_some_and(|rule| rule.is_final());
        deciding.iter().any(|rule| rule.decision != Decision::Deny) || self.allow && !decides_all
    }
}

/// Reads a policy file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn policy(path: &Path) -> Result<SitePolicy, Report> {
    let mut sources = Sources::default();
    let file = crate::files::read(path, "the policy", &mut sources)?;
    let (root, mut faults) = tree::parse(sources.text(file), file);
    // A file of comments alone says nothing, as one that is not there.
    let policy = match &root {
        Some(root) => decode(root, &mut faults),
        None => Some(SitePolicy::default()),
    };
    faults.sort_by_key(|fault| fault.span.map(|span| span.start));
    match policy {
        Some(policy) if faults.is_empty() => Ok(policy),
        _ => Err(Report { diagnostics: faults, sources }),
    }
}

fn decode(root: &tree::Node, faults: &mut Faults) -> Option<SitePolicy> {
    let mut policy = SitePolicy::default();
    let fields = Fields::of(&POLICY, root, root.span, faults)?;
    policy.rules = rules(&fields, faults);
    match fields.get("default") {
        Some(entry) => {
            fields.choice("default", entry, faults);
            policy.allow = entry.value.text() == Some("allow");
            let first = root.map().and_then(|keys| keys.keys().next());
            if first.is_some_and(|first| first != "default") {
                faults.push(
                    Diagnostic::error("policy-default-first", "`default` is not the file's first key")
                        .at(entry.key, "who reads the file has to see this first")
                        .help("put it above all others"),
                );
            }
        }
        None => {
            if let Some(entry) = fields.get("rules") {
                faults.push(
                    Diagnostic::error("config-missing-key", "a policy with `rules` needs `default`")
                        .at(entry.key, "says nothing of the calls that none of these is about")
                        .help("begin the file with `default: deny`, or with `default: allow`"),
                );
            }
        }
    }
    let choices = [("errors", &mut policy.errors), ("logs", &mut policy.logs), ("traces", &mut policy.traces)];
    for (key, chosen) in choices {
        if let Some(entry) = fields.get(key) {
            fields.choice(key, entry, faults);
            *chosen = entry.value.text().unwrap_or_default().to_owned();
        }
    }
    policy.leaves = fields.get("leaves").and_then(|entry| leaves(entry, faults));
    policy.per_day = fields.get("per-day").map(|entry| per_day(entry, faults)).unwrap_or_default();
    policy.publish = among(&fields, "publish", PUBLISHED, "part of a policy", faults).unwrap_or_default();
    policy.audit = fields.get("audit").and_then(|entry| audit(entry, faults));
    if let Some(entry) = fields.get("limits") {
        let fields = Fields::of(&LIMITS, &entry.value, entry.key, faults)?;
        policy.limits = Limits::read(&fields, faults);
    }
    Some(policy)
}

/// The table of the keys for the documentation, as Markdown.
pub fn policy_table() -> String {
    let row = |name: &str, usual: &str, doc: &str| format!("| `{name}` | {usual} | {doc} |\n");
    let mut table = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    table += &row("default", "`allow`", POLICY.keys[0].doc);
    table += &row("rules", "none", POLICY.keys[1].doc);
    table += &row("errors", &format!("`{ERRORS_DEFAULT}`"), POLICY.keys[2].doc);
    table += &row("logs", &format!("`{LOGS_DEFAULT}`"), POLICY.keys[3].doc);
    table += &row("traces", &format!("`{TRACES_DEFAULT}`"), POLICY.keys[4].doc);
    table += &row("publish", "none", POLICY.keys[5].doc);
    for (of, keys) in [("leaves", LEAVES.keys), ("per-day", PER_DAY.keys), ("audit", AUDIT.keys)] {
        for key in keys {
            table += &row(&format!("{of}.{}", key.name), "none", key.doc);
        }
    }
    for (key, (name, usual)) in LIMITS.keys.iter().zip(Limits::default().by_key()) {
        table += &row(&format!("limits.{name}"), &usual.to_string(), key.doc);
    }
    table
}
