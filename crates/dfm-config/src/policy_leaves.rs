//! What may leave a site, and how much of anything, after its own policy?

use dfm_diag::{Diagnostic, nearest};
use serde::{Deserialize, Serialize};

use crate::fields::{Faults, Fields, listed};
use crate::format::{Kind, Others, Shape, key, needed};
use crate::policy_rules::texts;
use crate::tree::Entry;

/// What a value may be.
const KINDS: &[&str] =
    &["nothing", "boolean", "number", "text", "bytes", "list", "dictionary", "array", "table", "image", "object"];

/// `leaves` of a policy.
pub static LEAVES: Shape = Shape {
    what: "`leaves`",
    others: Others::Refused,
    keys: &[
        key(
            "kinds",
            Kind::Texts,
            "What a value, and each of its parts, may be: `nothing`, `boolean`, `number`, `text`, `bytes`, `list`, \
             `dictionary`, `array`, `table`, `image`, `object`; anything if not given.",
        ),
        key("bytes", Kind::Whole, "Bytes that a value may have, encoded."),
        key("rows", Kind::Whole, "Rows of a table or an array, items of a list, entries of a dictionary."),
        key(
            "never-columns",
            Kind::Texts,
            "Patterns of names that no column of a table, key of a dictionary or field of an object may have.",
        ),
        key(
            "smallest-group",
            Kind::Shape(&GROUP),
            "A table leaves only if it counts in a column how many each of its rows is made of, and none of too few.",
        ),
    ],
};

static GROUP: Shape = Shape {
    what: "`smallest-group`",
    others: Others::Refused,
    keys: &[
        needed("column", Kind::Text, "The column, or the key of a dictionary, with the counts."),
        needed("at-least", Kind::Whole, "The least that each count may be."),
    ],
};

/// `per-day` of a policy.
pub static PER_DAY: Shape = Shape {
    what: "`per-day`",
    others: Others::Refused,
    keys: &[
        key("calls", Kind::Whole, "Calls that one user makes in a day (UTC), over all sessions; each try is one."),
        key("values", Kind::Whole, "Values that leave the site for one user's jobs in a day."),
        key("bytes", Kind::Whole, "Bytes of those values, encoded."),
    ],
};

/// What a value may be that leaves; `None` for what is not bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaves {
    /// Its kinds.
    pub kinds: Option<Vec<String>>,
    /// Its bytes.
    pub bytes: Option<u64>,
    /// Its rows.
    pub rows: Option<u64>,
    /// Patterns of columns that it has not.
    pub never_columns: Option<Vec<String>>,
    /// The column with the counts, and the least of them.
    pub smallest_group: Option<(String, u64)>,
}

/// How much one user may ask for in a day; `None` for what is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerDay {
    /// Calls.
    pub calls: Option<u64>,
    /// Values that leave.
    pub values: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

/// What `leaves` says.
pub fn leaves(entry: &Entry, faults: &mut Faults) -> Option<Leaves> {
    let fields = Fields::of(&LEAVES, &entry.value, entry.key, faults)?;
    let kinds = texts(&fields, "kinds", faults);
    for kind in kinds.iter().flatten().filter(|kind| !KINDS.contains(&kind.as_str())) {
        let span = fields.get("kinds").map_or(entry.key, |entry| entry.value.span);
        let fault = Diagnostic::error("config-wrong-value", format!("no kind of value is called `{kind}`"))
            .at(span, format!("expected of {}", listed(KINDS.iter().copied())));
        faults.push(match nearest(kind, KINDS.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }
    Some(Leaves {
        kinds,
        bytes: fields.whole("bytes", 1, faults),
        rows: fields.whole("rows", 1, faults),
        never_columns: texts(&fields, "never-columns", faults),
        smallest_group: fields.get("smallest-group").and_then(|entry| group(entry, faults)),
    })
}

fn group(entry: &Entry, faults: &mut Faults) -> Option<(String, u64)> {
    let fields = Fields::of(&GROUP, &entry.value, entry.key, faults)?;
    let (column, least) = (fields.need("column", faults), fields.need("at-least", faults));
    column.zip(least)?;
    fields.text("column", faults).zip(fields.whole("at-least", 1, faults))
}

/// What `per-day` says.
pub fn per_day(entry: &Entry, faults: &mut Faults) -> PerDay {
    let Some(fields) = Fields::of(&PER_DAY, &entry.value, entry.key, faults) else { return PerDay::default() };
    PerDay {
        calls: fields.whole("calls", 1, faults),
        values: fields.whole("values", 1, faults),
        bytes: fields.whole("bytes", 1, faults),
    }
}
