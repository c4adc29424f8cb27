//! What may leave a site, and how much of anything, after its own policy?

use dfm_diag::{Diagnostic, nearest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fields::{Faults, Fields, listed};
use crate::format::{DISCLOSURES, Form, Kind, Others, Shape, key, needed};
use crate::policy_noise::{NOISE, Noise, noise};
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
        key(
            "disclosures",
            Kind::Texts,
            "What the operations whose results it holds may be declared to tell: `records`, `aggregate`, `model`, \
             `public`, which always may; anything if not given. What is declared to tell nothing counts as `records`.",
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
        key("suppress", Kind::Shape(&SUPPRESS), "Small counts, which are left out of what leaves."),
        key(
            "rounding",
            Kind::Rate,
            "Numbers leave as the nearest multiple of this one, such as 5, or 0.01; times are none.",
        ),
        key(
            "sums",
            Kind::Shape(&SUMS),
            "Numbers leave masked, for sums of which nobody sees a part, whatever `kinds` and `disclosures` say; not if \
             not given.",
        ),
        key(
            "noise",
            Kind::Shape(&NOISE),
            "Numbers leave with noise, such that what one user gets tells of one record no more than a budget allows; \
             nothing else leaves then.",
        ),
        key("release", Kind::Shape(&RELEASE), "A class of the site's own that has the last word on each value."),
    ],
};

/// `leaves.suppress`.
static SUPPRESS: Shape = Shape {
    what: "`suppress`",
    others: Others::Refused,
    keys: &[
        needed("below", Kind::Whole, "Counts below this one are small."),
        key(
            "counts",
            Kind::Texts,
            "Patterns of columns of tables and keys of dictionaries with counts: what a small one counts is left out, \
             the table's row, the items at its place in the dictionary's lists, or all that the dictionary says. If not \
             given, each whole number is a count, and leaves as 0 if it is small.",
        ),
    ],
};

/// `leaves.release`.
static RELEASE: Shape = Shape {
    what: "`release`",
    others: Others::Refused,
    keys: &[
        needed("class", Kind::Formed(Form::ClassPath), "Its dotted path; it is made from `dfm.exec.Release`."),
        key("args", Kind::Free, "What it is constructed with."),
    ],
};

/// `leaves.sums`.
static SUMS: Shape = Shape {
    what: "`sums`",
    others: Others::Refused,
    keys: &[
        needed("at-least", Kind::Whole, "The least number of sites that each sum has to be over."),
        key(
            "dishonest",
            Kind::Count,
            "How many of a sum's sites may deceive, together with the application, and learn nothing of what this one adds; \
             default 1. With 0, all of them are trusted.",
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
        key(
            "questions",
            Kind::Whole,
            "Different questions that one user asks in a day: calls that differ in operation, provider or parameters, and \
             sums that differ in numbers or terms.",
        ),
        key("values", Kind::Whole, "Values that leave the site for one user's jobs in a day."),
        key("bytes", Kind::Whole, "Bytes of those values, encoded."),
    ],
};

/// What a value may be that leaves; `None` for what is not bounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaves {
    /// Its kinds.
    pub kinds: Option<Vec<String>>,
    /// What the operations tell that it comes from.
    pub disclosures: Option<Vec<String>>,
    /// Its bytes.
    pub bytes: Option<u64>,
    /// Its rows.
    pub rows: Option<u64>,
    /// Patterns of columns that it has not.
    pub never_columns: Option<Vec<String>>,
    /// The column with the counts, and the least of them.
    pub smallest_group: Option<(String, u64)>,
    /// What is left out.
    pub suppress: Option<Suppress>,
    /// What numbers are multiples of.
    pub rounding: Option<f64>,
    /// The sums that numbers leave for, masked.
    pub sums: Option<Sums>,
    /// What numbers get.
    pub noise: Option<Noise>,
    /// Who has the last word.
    pub release: Option<Release>,
}

/// Which counts are small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppress {
    /// Those below this one.
    pub below: u64,
    /// Patterns of what is a count; all whole numbers if `None`.
    pub counts: Option<Vec<String>>,
}

/// Which sums numbers leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// The least number of sites.
    pub at_least: u64,
    /// How many of the sites may deceive.
    pub dishonest: u64,
}

/// A class of the site's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its dotted path.
    pub path: String,
    /// What it is constructed with.
    pub args: Map<String, Value>,
}

/// How much one user may ask for in a day; `None` for what is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerDay {
    /// Calls.
    pub calls: Option<u64>,
    /// Calls that differ.
    pub questions: Option<u64>,
    /// Values that leave.
    pub values: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

/// What `leaves` says.
pub fn leaves(entry: &Entry, faults: &mut Faults) -> Option<Leaves> {
    let fields = Fields::of(&LEAVES, &entry.value, entry.key, faults)?;
    let kinds = among(&fields, "kinds", KINDS, "kind of value", faults);
    let disclosures = among(&fields, "disclosures", DISCLOSURES, "disclosure", faults);
    Some(Leaves {
        kinds,
        disclosures,
        bytes: fields.whole("bytes", 1, faults),
        rows: fields.whole("rows", 1, faults),
        never_columns: texts(&fields, "never-columns", faults),
        smallest_group: fields.get("smallest-group").and_then(|entry| group(entry, faults)),
        suppress: fields.get("suppress").and_then(|entry| suppress(entry, faults)),
        rounding: fields.amount("rounding", faults),
        sums: fields.get("sums").and_then(|entry| sums(entry, faults)),
        noise: fields.get("noise").and_then(|entry| noise(entry, faults)),
        release: fields.get("release").and_then(|entry| release(entry, faults)),
    })
}

/// A list of some of these words.
pub fn among(
    fields: &Fields,
    key: &'static str,
    words: &[&str],
    what: &str,
    faults: &mut Faults,
) -> Option<Vec<String>> {
    let found = texts(fields, key, faults);
    for word in found.iter().flatten().filter(|word| !words.contains(&word.as_str())) {
        let span = fields.get(key).map_or(fields.owner, |entry| entry.value.span);
        let fault = Diagnostic::error("config-wrong-value", format!("no {what} is called `{word}`"))
            .at(span, format!("expected of {}", listed(words.iter().copied())));
        faults.push(match nearest(word, words.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }
    found
}

fn group(entry: &Entry, faults: &mut Faults) -> Option<(String, u64)> {
    let fields = Fields::of(&GROUP, &entry.value, entry.key, faults)?;
    let (column, least) = (fields.need("column", faults), fields.need("at-least", faults));
    column.zip(least)?;
    fields.text("column", faults).zip(fields.whole("at-least", 1, faults))
}

fn suppress(entry: &Entry, faults: &mut Faults) -> Option<Suppress> {
    let fields = Fields::of(&SUPPRESS, &entry.value, entry.key, faults)?;
    fields.need("below", faults)?;
    Some(Suppress { below: fields.whole("below", 1, faults)?, counts: texts(&fields, "counts", faults) })
}

fn sums(entry: &Entry, faults: &mut Faults) -> Option<Sums> {
    let fields = Fields::of(&SUMS, &entry.value, entry.key, faults)?;
    fields.need("at-least", faults)?;
    let dishonest = fields.get("dishonest").map_or(Some(1), |_| fields.whole("dishonest", 0, faults));
    Some(Sums { at_least: fields.whole("at-least", 2, faults)?, dishonest: dishonest? })
}

fn release(entry: &Entry, faults: &mut Faults) -> Option<Release> {
    let fields = Fields::of(&RELEASE, &entry.value, entry.key, faults)?;
    let class = fields.need("class", faults)?;
    let path = fields.text("class", faults)?;
    if !Form::ClassPath.fits(&path) {
        faults.push(
            Diagnostic::error("config-wrong-value", format!("`{path}` is no dotted path of a class"))
                .at(class.value.span, "expected one such as `clinic.release.Checked`"),
        );
    }
    Some(Release { path, args: fields.free("args", faults) })
}

/// What `per-day` says.
pub fn per_day(entry: &Entry, faults: &mut Faults) -> PerDay {
    let Some(fields) = Fields::of(&PER_DAY, &entry.value, entry.key, faults) else { return PerDay::default() };
    PerDay {
        calls: fields.whole("calls", 1, faults),
        questions: fields.whole("questions", 1, faults),
        values: fields.whole("values", 1, faults),
        bytes: fields.whole("bytes", 1, faults),
    }
}
