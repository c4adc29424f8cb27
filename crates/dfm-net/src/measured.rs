//! What is told of a call that a host has measured?

use serde::{Deserialize, Serialize};

use crate::{Frame, NodeId};

/// One call, or one token that came to the application, as its site measured it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The pipeline's node.
    pub node: NodeId,
    /// Its frame.
    pub frame: Frame,
    /// When it began, or came: seconds since 1970 by the clock of its site.
    pub begin: f64,
    /// Seconds until its result was there, all tries included.
    pub seconds: f64,
    /// Bytes of its result, encoded; `None` where it failed or has no encoding.
    pub bytes: Option<u64>,
}
