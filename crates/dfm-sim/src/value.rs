//! What stands for a value in a simulation?

use std::sync::Arc;

use dfm_net::{Comparison, Condition, Failure, Form, Net, NodeId, Selector, Step, Value, Wrong};
use serde_json::{Value as Json, json};

/// A value of which nothing is known but its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub bytes: f64,
    /// How many elements it has as a sequence.
    elements: u32,
}

impl Size {
    pub fn of(bytes: f64) -> Self {
        Self { bytes, elements: 0 }
    }
}

impl Value for Size {
    /// A part counts like the whole, as it does for the planner.
    fn select(&self, _: &[Selector]) -> Result<Self, Wrong> {
        Ok(*self)
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        Ok(vec![Self::of(self.bytes / f64::from(self.elements)); self.elements as usize])
    }

    fn failed(_: &[Arc<Failure>]) -> Result<Self, Wrong> {
        Ok(Self::of(0.0))
    }

    fn build(_: &Form, parts: Vec<Self>) -> Result<Self, Wrong> {
        Ok(Self::of(parts.into_iter().map(|part| part.bytes).sum()))
    }

    /// Only what [`without_values`] writes is ever read.
    fn literal(json: &Json) -> Result<Self, Wrong> {
        let elements = json["elements"].as_u64().and_then(|count| count.try_into().ok());
        Ok(Self { bytes: json["bytes"].as_f64().unwrap_or_default(), elements: elements.unwrap_or_default() })
    }

    fn compare(&self, _: Comparison, _: &Self) -> Result<bool, Wrong> {
        Ok(true)
    }

    fn truth(&self) -> Result<bool, Wrong> {
        Ok(true)
    }
}

/// The net with what depends on values decided: a sequence has the elements and the size that `sequence` tells for its
/// node, rounds are as many, and every other condition holds.
pub(crate) fn without_values(net: &Net, sequence: impl Fn(&NodeId) -> (u32, f64)) -> Net {
    let mut decided = net.clone();
    for transition in &mut decided.transitions {
        match &mut transition.step {
            Step::Split { node, sequence: given } => {
                let (elements, bytes) = sequence(node);
                *given = dfm_net::Argument::Literal(json!({"elements": elements, "bytes": bytes}));
            }
            Step::Again { repeat, until, at_most, .. } => {
                let (rounds, _) = sequence(net.transitions[*repeat as usize].step.node());
                *at_most = rounds.clamp(1, *at_most);
                *until = None;
            }
            Step::Decide { condition, .. } => *condition = Condition::Truth(dfm_net::Argument::Literal(Json::Null)),
            _ => {}
        }
    }
    decided
}
