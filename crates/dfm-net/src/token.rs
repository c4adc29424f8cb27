//! What moves through a net?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Comparison, Form, Frame, NodeId, Selector};

/// What an engine's tokens carry. A host decides: a Python object, bytes, or a number in a test.
pub trait Value: Clone {
    /// Walks `path` into the value, as `fieldref` does.
    ///
    /// # Errors
    /// The sentence that tells the user what could not be found, and where it was looked for.
    fn select(&self, path: &[Selector]) -> Result<Self, Wrong>;

    /// The elements of a sequence, in its order.
    ///
    /// # Errors
    /// What tells the user why it has none.
    fn elements(&self) -> Result<Vec<Self>, Wrong>;

    /// What stands in a value for a part that has none.
    ///
    /// # Errors
    /// What tells the user why that cannot be made.
    fn failed(errors: &[Arc<Failure>]) -> Result<Self, Wrong>;

    /// What values become together.
    ///
    /// # Errors
    /// What tells the user why they do not.
    fn build(form: &Form, parts: Vec<Self>) -> Result<Self, Wrong>;

    /// A pipeline's literal.
    ///
    /// # Errors
    /// What tells the user why it cannot be read here.
    fn literal(json: &serde_json::Value) -> Result<Self, Wrong>;

    /// Whether the two compare so.
    ///
    /// # Errors
    /// What tells the user why they cannot be compared.
    fn compare(&self, comparison: Comparison, other: &Self) -> Result<bool, Wrong>;

    /// Whether it counts as true.
    ///
    /// # Errors
    /// What tells the user why that cannot be said.
    fn truth(&self) -> Result<bool, Wrong>;
}

/// Why something could not be done with a value. Where that was makes a [`Failure`] of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The kind of error, such as the exception's class.
    pub kind: String,
    /// What happened, for the user.
    pub message: String,
}

impl Wrong {
    /// An error of this kind.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }
}

/// One original error: an adapter raised, a selector found nothing, or a site was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The site where it happened, or that was lost.
    pub site: String,
    /// The node that failed; `None` where a whole site did.
    pub node: Option<NodeId>,
    /// The operation it was to run, if it was one.
    pub operation: Option<String>,
    /// The frame it belongs to; `None` where it concerns all of them.
    pub frame: Option<Frame>,
    /// The kind of error, such as the exception's class.
    pub kind: String,
    /// What happened, for the user.
    pub message: String,
    /// The adapter's own traceback; empty where no adapter raised.
    pub stack_trace: String,
}

/// A token: a value, or the errors that took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<V> {
    /// A result.
    Value(V),
    /// Why there is no result; never empty.
    Error(Vec<Arc<Failure>>),
    /// Why there is no result, if anything needs it; not reported yet.
    Missing(Arc<Failure>),
    /// The end of a generator's items, which have gone before it.
    End,
    /// How often a block is entered.
    Count(u32),
    /// The index of one more element of a sequence that goes on.
    Next(u32),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<V> {
    /// With a result.
    Value(V),
    /// A generator, all of whose items were told: as a list, if [`crate::Engine::gathers`] asked for one.
    Streamed(Option<V>),
    /// With an error.
    Failed(Failure),
    /// The cache has a value.
    Found(V),
    /// The cache has none under this key.
    NotFound(V),
}
