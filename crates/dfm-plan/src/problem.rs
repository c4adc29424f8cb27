//! Why can a federation not run a pipeline?

use dfm_net::NodeId;
use serde::{Deserialize, Serialize};

use crate::Broken;

/// One reason, for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, such as `plan-unknown-operation`.
    pub code: String,
    /// The node it is about, if it is about one.
    pub node: Option<NodeId>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A problem of a node, or of the whole.
    pub fn new(code: &str, node: Option<&NodeId>, message: String, help: Option<String>) -> Self {
        Self { code: code.to_owned(), node: node.cloned(), message, help }
    }

    /// That a node breaks a rule.
    pub(crate) fn of(node: &NodeId, broken: Broken) -> Self {
        Self::new(broken.code, Some(node), broken.message, Some(broken.help.to_owned()))
    }
}
