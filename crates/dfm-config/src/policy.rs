//! What does a site's own `local/policy.yaml` decide?
//!
//! It lies beside the site's data and is nobody else's: no configuration and no provisioning writes it for a site.

use std::path::Path;

use dfm_diag::{Report, Sources};
use serde::Serialize;

use crate::fields::{Faults, Fields};
use crate::format::{Kind, Others, Shape, key};
use crate::tree;

/// A site's policy.
pub static POLICY: Shape = Shape {
    what: "a policy",
    others: Others::Refused,
    keys: &[
        key(
            "errors",
            Kind::Choice(ERRORS),
            "What an application learns of an error: `full`, with the adapter's traceback; `message`, without; `type`, \
             the kind alone, with a number under which the site's log has the rest.",
        ),
        key("limits", Kind::Shape(&LIMITS), "How much one user may ask of the site."),
    ],
};

/// What `errors` may say, from the most that is told to the least.
const ERRORS: &[&str] = &["full", "message", "type"];
/// What a provisioned kit tells that says nothing of it: what is in an exception's text is data, as far as anybody knows.
const ERRORS_DEFAULT: &str = "type";

/// What is bounded, in the order of [`LIMITED`].
static LIMITS: Shape = Shape {
    what: "`limits`",
    others: Others::Refused,
    keys: &[
        key(
            "sessions-per-user",
            Kind::Whole,
            "Sessions that one user has open at this site at the same time; each is a process of its own.",
        ),
        key("jobs-per-session", Kind::Whole, "Jobs of a session that are not done at the same time."),
        key("frames-per-job", Kind::Whole, "Sets of parameters that a job is started with."),
        key(
            "calls-at-once",
            Kind::Whole,
            "Calls that a session runs at the same time; more wait for their turn, those of one job after those of another.",
        ),
        key(
            "calls-per-job",
            Kind::Whole,
            "Calls that a job makes in all: every element of a loop and every retry is one.",
        ),
        key(
            "seconds-per-call",
            Kind::Whole,
            "Seconds from a call's begin to its end, all its tries and, of a generator, its waiting for who takes its items included.",
        ),
        key("items-per-call", Kind::Whole, "Items that one call of a generator makes."),
        key(
            "value-bytes",
            Kind::Whole,
            "Bytes of a value that is sent or taken; where the variable DFM_MAX_VALUE says less, it holds.",
        ),
        key(
            "buffered-bytes",
            Kind::Whole,
            "Bytes of the values that a session has sent to this site and that are not used up.",
        ),
    ],
};

/// The least and the default of each limit, in the order of the table.
const LIMITED: [(u64, u64); 9] = [
    (1, 16),
    (1, 64),
    (1, 100_000),
    (1, 256),
    (1, 1_000_000),
    (1, 3_600),
    (1, 10_000_000),
    (1 << 16, 1 << 30),
    (1 << 16, 4 << 30),
];

/// What a site allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SitePolicy {
    /// `full`, `message` or `type`.
    pub errors: String,
    /// How much one user may ask of the site.
    pub limits: Limits,
}

/// How much one user may ask of a site; the table says what each is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the table has the words, for those who write them too")]
pub struct Limits {
    pub sessions_per_user: u64,
    pub jobs_per_session: u64,
    pub frames_per_job: u64,
    pub calls_at_once: u64,
    pub calls_per_job: u64,
    pub seconds_per_call: u64,
    pub items_per_call: u64,
    pub value_bytes: u64,
    pub buffered_bytes: u64,
}

impl From<[u64; 9]> for Limits {
    fn from(limits: [u64; 9]) -> Self {
        let [
            sessions_per_user,
            jobs_per_session,
            frames_per_job,
            calls_at_once,
            calls_per_job,
            seconds_per_call,
            items_per_call,
            value_bytes,
            buffered_bytes,
        ] = limits;
        Self {
            sessions_per_user,
            jobs_per_session,
            frames_per_job,
            calls_at_once,
            calls_per_job,
            seconds_per_call,
            items_per_call,
            value_bytes,
            buffered_bytes,
        }
    }
}

impl Default for SitePolicy {
    /// That of a site without a file.
    fn default() -> Self {
        Self { errors: ERRORS_DEFAULT.to_owned(), limits: LIMITED.map(|(_, usual)| usual).into() }
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
    if let Some(entry) = fields.get("errors") {
        fields.choice("errors", entry, faults);
        policy.errors = entry.value.text().unwrap_or_default().to_owned();
    }
    if let Some(entry) = fields.get("limits") {
        let fields = Fields::of(&LIMITS, &entry.value, entry.key, faults)?;
        let mut limits = LIMITED.map(|(_, usual)| usual);
        for ((key, (least, _)), limit) in LIMITS.keys.iter().zip(LIMITED).zip(&mut limits) {
            if let Some(number) = fields.whole(key.name, least, faults) {
                *limit = number;
            }
        }
        policy.limits = limits.into();
    }
    Some(policy)
}

/// The table of the keys for the documentation, as Markdown.
pub fn policy_table() -> String {
    let row = |name: &str, usual: &str, doc: &str| format!("| `{name}` | {usual} | {doc} |\n");
    let mut table = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    table += &row("errors", &format!("`{ERRORS_DEFAULT}`"), POLICY.keys[0].doc);
    for (key, (_, usual)) in LIMITS.keys.iter().zip(LIMITED) {
        table += &row(&format!("limits.{}", key.name), &usual.to_string(), key.doc);
    }
    table
}
