//! How much noise do numbers get that leave a site, and how much may one user learn in all, after its own policy?

use dfm_diag::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::fields::{Faults, Fields, amount, wrong_type};
use crate::format::{Form, Kind, Others, Shape, key, needed};
use crate::tree::Entry;

/// `leaves.noise`.
pub static NOISE: Shape = Shape {
    what: "`noise`",
    others: Others::Refused,
    keys: &[
        needed("epsilon", Kind::Rate, "What each value that leaves costs of the budget: the smaller, the more noise."),
        key(
            "delta",
            Kind::Rate,
            "What it costs of the budget's `delta`, below 1: then the noise is Gaussian, and Laplace's without.",
        ),
        needed(
            "sensitivities",
            Kind::Named(Form::Any, &Kind::Amount),
            "Pattern of operations → by how much, at most, all numbers of a result differ together if one record of the \
             data is another one. The first that fits holds. Results of 0 leave as they are, those of no pattern not at all.",
        ),
        needed("budget", Kind::Shape(&BUDGET), "How much all values together may cost that leave for one user, ever."),
    ],
};

/// `leaves.noise.budget`.
static BUDGET: Shape = Shape {
    what: "`budget`",
    others: Others::Refused,
    keys: &[
        needed("epsilon", Kind::Rate, "The sum of what they cost."),
        key("delta", Kind::Rate, "The same, needed with `delta`."),
    ],
};

/// What numbers get that leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// What each value costs.
    pub epsilon: f64,
    /// The same, if the noise is Gaussian.
    pub delta: Option<f64>,
    /// Patterns of operations, the first of which that fits holds, and how far one record moves their results.
    pub sensitivities: Vec<(String, f64)>,
    /// What all values for one user may cost.
    pub budget: Budget,
}

/// What a user may learn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The sum of what values cost.
    pub epsilon: f64,
    /// The same; 0 if nothing costs any.
    pub delta: f64,
}

/// What `noise` says.
pub fn noise(entry: &Entry, faults: &mut Faults) -> Option<Noise> {
    let fields = Fields::of(&NOISE, &entry.value, entry.key, faults)?;
    for name in ["epsilon", "sensitivities", "budget"] {
        fields.need(name, faults);
    }
    let (epsilon, delta) = (fields.amount("epsilon", faults), probability(&fields, faults));
    let mut sensitivities = vec![];
    let named: Vec<_> = fields.named("sensitivities", faults).collect();
    for (pattern, entry) in named {
        sensitivities.extend(amount(&entry.value, pattern, false, faults).map(|by| (pattern.clone(), by)));
    }
    let of = fields.get("budget")?;
    let budget = Fields::of(&BUDGET, &of.value, of.key, faults)?;
    budget.need("epsilon", faults);
    let most =
        Budget { epsilon: budget.amount("epsilon", faults)?, delta: probability(&budget, faults).unwrap_or_default() };
    if delta.is_some() && budget.get("delta").is_none() {
        faults.push(
            Diagnostic::error("config-missing-key", "`budget` needs `delta`, as `noise` says it")
                .at(of.key, "says nothing of it"),
        );
        return None;
    }
    let epsilon = epsilon?;
    if epsilon > most.epsilon || delta.is_some_and(|delta| delta > most.delta) {
        faults.push(
            Diagnostic::error("config-wrong-value", "`budget` is less than one value costs, so none could ever leave")
                .at(of.key, "expected at least `epsilon` and `delta` of `noise`"),
        );
    }
    Some(Noise { epsilon, delta, sensitivities, budget: most })
}

/// `delta`, which is a probability.
fn probability(fields: &Fields, faults: &mut Faults) -> Option<f64> {
    let delta = fields.amount("delta", faults)?;
    if delta >= 1.0
        && let Some(entry) = fields.get("delta")
    {
        faults.push(wrong_type(&entry.value, "`delta`", "a number between 0 and 1"));
    }
    Some(delta)
}
