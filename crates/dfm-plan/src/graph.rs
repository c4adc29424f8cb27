//! What is left of a pipeline once it has been checked?

use dfm_net::NodeId;

use crate::{Argument, Offer, OperationStatement, YieldStatement};

/// A pipeline whose references hold, with every site where each node may run.
pub(crate) struct Graph<'a> {
    /// In the order of the statements.
    pub nodes: Vec<Node<'a>>,
    /// The indices of `nodes`, each after those it depends on.
    pub order: Vec<usize>,
}

/// One statement.
pub(crate) struct Node<'a> {
    pub statement: Known<'a>,
    /// The nodes it depends on, in the order of the arguments; a signal is only order.
    pub inputs: Vec<Input>,
    /// The nodes that depend on it, once for each of their inputs.
    pub outputs: Vec<Input>,
    /// Where it may run, never empty; a `Yield` only at home.
    pub candidates: Vec<Candidate<'a>>,
    /// What left so few candidates.
    pub limits: Limits,
}

/// A statement of a kind that this planner knows.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    Operation(&'a OperationStatement),
    Yield(&'a YieldStatement),
}

/// One end of a dependency.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// The other end's index.
    pub node: usize,
    /// Order without data.
    pub signal: bool,
}

/// One way to run a node.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The site's index in the federation.
    pub site: usize,
    /// What it offers; `None` for a `Yield`.
    pub offer: Option<&'a Offer>,
}

/// What ruled sites out, apart from not offering the operation.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The pipeline names the site.
    pub named: bool,
    /// The pipeline lists sites.
    pub listed: bool,
    /// The session is restricted to some sites, and one that offers the operation is not among them.
    pub restricted: bool,
    /// A site does not take the parameters given.
    pub parameters: bool,
}

impl<'a> Known<'a> {
    pub fn node(self) -> &'a NodeId {
        match self {
            Self::Operation(statement) => &statement.node,
            Self::Yield(statement) => &statement.node,
        }
    }

    pub fn after(self) -> &'a [NodeId] {
        match self {
            Self::Operation(statement) => &statement.after,
            Self::Yield(statement) => &statement.after,
        }
    }

    /// What is given, in order.
    pub fn arguments(self) -> Box<dyn Iterator<Item = &'a Argument> + 'a> {
        match self {
            Self::Operation(statement) => Box::new(statement.arguments.values()),
            Self::Yield(statement) => Box::new(std::iter::once(&statement.value)),
        }
    }
}
