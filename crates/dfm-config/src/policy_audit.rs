//! What does a site write down of what happens to its data, after its own policy?

use serde::{Deserialize, Serialize};

use crate::fields::{Faults, Fields};
use crate::format::{Kind, Others, Shape, key};
use crate::tree::Entry;

const PARAMETERS: &[&str] = &["digest", "full"];
const WHEN_FULL: &[&str] = &["stop", "continue"];

/// `audit` of a policy.
pub static AUDIT: Shape = Shape {
    what: "`audit`",
    others: Others::Refused,
    keys: &[
        key(
            "parameters",
            Kind::Choice(PARAMETERS),
            "What is kept of a call's parameters: `digest` (if not given), or `full`, their text.",
        ),
        key(
            "when-full",
            Kind::Choice(WHEN_FULL),
            "What happens while the log cannot be written, as on a full disk: `stop` (if not given) refuses everything, \
             `continue` works without.",
        ),
        key(
            "folder",
            Kind::Text,
            "Where the log is, beside the policy's file if it is no whole path; `audit` in the kit if not given.",
        ),
    ],
};

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether parameters are kept as they are, and not their digest.
    pub full: bool,
    /// Whether work goes on that cannot be written down.
    pub goes_on: bool,
    /// The log's folder.
    pub folder: Option<String>,
}

/// What `audit` says.
pub fn audit(entry: &Entry, faults: &mut Faults) -> Option<Audit> {
    let fields = Fields::of(&AUDIT, &entry.value, entry.key, faults)?;
    let mut says = |key: &'static str, other: &str| {
        let entry = fields.get(key)?;
        fields.choice(key, entry, faults);
        Some(entry.value.text() == Some(other))
    };
    let (full, goes_on) = (says("parameters", "full").unwrap_or(false), says("when-full", "continue").unwrap_or(false));
    Some(Audit { full, goes_on, folder: fields.text("folder", faults) })
}
