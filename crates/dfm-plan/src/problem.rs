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
    /// The other statements that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
    /// The line and column, both from 1, of the pipeline's JSON that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<(usize, usize)>,
}

/// Another statement that a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Also {
    /// Its node.
    pub node: NodeId,
    /// What it has to do with it.
    pub message: String,
}

impl Problem {
    /// A problem of a node, or of the whole.
    pub fn new(code: &str, node: Option<&NodeId>, message: String, help: Option<String>) -> Self {
        Self { code: code.to_owned(), node: node.cloned(), message, help, also: vec![], at: None }
    }

    /// The problem with another statement that it is about.
    pub(crate) fn also(mut self, node: &NodeId, message: String) -> Self {
        self.also.push(Also { node: node.clone(), message });
        self
    }

    /// That a node breaks a rule.
    pub(crate) fn of(node: &NodeId, broken: Broken) -> Self {
        Self::new(broken.code, Some(node), broken.message, Some(broken.help.to_owned()))
    }
}
