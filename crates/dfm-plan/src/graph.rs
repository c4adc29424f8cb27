//! What is left of a pipeline once it has been checked?

use dfm_net::NodeId;
use indexmap::IndexMap;

use crate::{
    AgainStatement, Argument, CollectStatement, Condition, ForEachStatement, GatheredStatement, IfStatement, Offer,
    OperationStatement, OutcomeStatement, RepeatStatement, Statement, TryFromCacheStatement, WriteToCacheStatement,
    YieldStatement,
};

/// A pipeline whose references hold, with every site where each node may run.
pub(crate) struct Graph<'a> {
    /// In the order of the statements.
    pub nodes: Vec<Node<'a>>,
    /// The indices of `nodes`, each after those it depends on.
    pub order: Vec<usize>,
    /// The pipeline's own body, then each block after the one around it.
    pub blocks: Vec<Block>,
}

/// A body that statements stand in.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// The block around it; the pipeline's own body is around itself.
    pub parent: usize,
    /// The node that enters it; `None` for the pipeline's own body.
    pub node: Option<usize>,
    /// Whether it is entered once for each element of a sequence.
    pub each: bool,
    /// How the condition has to come out for it to be entered.
    pub when: bool,
}

/// One statement.
pub(crate) struct Node<'a> {
    pub statement: Known<'a>,
    /// The block it stands in.
    pub block: usize,
    /// The block whose frames its result belongs to: its own, but for the element of a `ForEach`.
    pub result: usize,
    /// The node at whose site it is, if it goes with another.
    pub follows: Option<usize>,
    /// The nodes it depends on, in the order of the arguments; a signal is only order. After those that it names, the
    /// nodes that enter its blocks, and what ends the rounds from which it collects.
    pub inputs: Vec<Input>,
    /// The nodes that depend on it, once for each of their inputs.
    pub outputs: Vec<Input>,
    /// Where it may run, never empty; a `Yield` only at home. One that follows another has that one's, in its order.
    pub candidates: Vec<Candidate<'a>>,
    /// What left so few candidates.
    pub limits: Limits,
}

/// A statement of a kind that this planner knows.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    Operation(&'a OperationStatement),
    Yield(&'a YieldStatement),
    ForEach(&'a ForEachStatement),
    Collect(&'a CollectStatement),
    Gather(&'a GatheredStatement),
    Repeat(&'a RepeatStatement),
    Again(&'a AgainStatement),
    /// It depends on what ends the rounds, then on what begins them.
    Outcome(&'a OutcomeStatement),
    If(&'a IfStatement),
    LookUp(&'a TryFromCacheStatement),
    Store(&'a WriteToCacheStatement),
    /// The value of a `TryFromCache`, wherever it came from. It depends on the look-up, then on what stores it.
    Join(&'a TryFromCacheStatement),
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
    /// What it offers; `None` for what is no operation.
    pub offer: Option<&'a Offer>,
}

/// What ruled sites out, apart from not offering the operation.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The pipeline names the site.
    pub named: bool,
    /// It is a copy that an `EachSite` made for the site.
    pub copied: bool,
    /// Parts of an aggregation meet there.
    pub meeting: bool,
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
            Self::ForEach(statement) => &statement.node,
            Self::Collect(statement) => &statement.node,
            Self::Gather(statement) => &statement.node,
            Self::Repeat(statement) => &statement.node,
            Self::Again(statement) => &statement.node,
            Self::Outcome(statement) => &statement.node,
            Self::If(statement) => &statement.node,
            Self::LookUp(statement) | Self::Join(statement) => &statement.node,
            Self::Store(statement) => &statement.node,
        }
    }

    pub fn after(self) -> &'a [NodeId] {
        match self {
            Self::Operation(statement) => &statement.after,
            Self::Yield(statement) => &statement.after,
            Self::ForEach(statement) => &statement.after,
            Self::Collect(statement) => &statement.after,
            Self::Gather(statement) => &statement.after,
            Self::Repeat(statement) => &statement.after,
            Self::Again(statement) => &statement.after,
            Self::Outcome(_) => &[],
            Self::If(statement) => &statement.after,
            Self::LookUp(statement) => &statement.after,
            Self::Store(statement) => &statement.after,
            Self::Join(_) => &[],
        }
    }

    /// A statement that is given something.
    pub fn giving(statement: &'a Statement) -> Option<Self> {
        match statement {
            Statement::Operation(one) => Some(Self::Operation(one)),
            Statement::Yield(one) => Some(Self::Yield(one)),
            Statement::ForEach(one) => Some(Self::ForEach(one)),
            Statement::If(one) => Some(Self::If(one)),
            Statement::TryFromCache(one) => Some(Self::LookUp(one)),
            Statement::WriteToCache(one) => Some(Self::Store(one)),
            Statement::Repeat(one) => Some(Self::Repeat(one)),
            Statement::Again(one) => Some(Self::Again(one)),
            _ => None,
        }
    }

    /// What is given, in order, down to what is made of nothing else.
    pub fn arguments(self) -> impl Iterator<Item = &'a Argument> {
        self.given().flat_map(Argument::parts)
    }

    /// What is given, in order.
    pub fn given(self) -> impl Iterator<Item = &'a Argument> {
        let (unnamed, named) = match self {
            Self::Operation(statement) => (vec![], Some(&statement.arguments)),
            Self::Yield(statement) => (vec![&statement.value], None),
            Self::ForEach(statement) => (vec![&statement.sequence], None),
            Self::Collect(statement) => (vec![&statement.value], None),
            Self::Gather(statement) => (statement.parts.iter().map(|(_, part)| part).collect(), None),
            Self::If(statement) => (statement.condition.arguments(), None),
            Self::LookUp(statement) => (statement.key.iter().collect(), None),
            Self::Store(statement) => (vec![&statement.value], None),
            Self::Repeat(statement) => (vec![], Some(&statement.start)),
            Self::Again(statement) => {
                let until = statement.until.iter().flat_map(Condition::arguments);
                (until.collect(), Some(&statement.next))
            }
            Self::Join(_) | Self::Outcome(_) => (vec![], None),
        };
        unnamed.into_iter().chain(named.into_iter().flat_map(IndexMap::values))
    }
}
