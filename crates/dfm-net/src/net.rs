//! What is one site's share of a plan?

use serde::{Deserialize, Serialize};

/// The index of a place in [`Net::places`].
pub type PlaceId = u32;
/// The index of a transition in [`Net::transitions`].
pub type TransitionId = u32;

/// A node's id in its pipeline: automatic ids are numbers, well-known ones names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NodeId {
    /// Given by the pipeline, in the order of construction.
    Number(u64),
    /// Given by the user.
    Name(String),
}

/// One step of a `fieldref`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// `result.name`
    Attribute(String),
    /// `result[index]`
    Index(i64),
    /// `result["key"]`
    Key(String),
}

/// One site's net: plain data that names operations and holds no code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Net {
    /// The site that runs it.
    pub site: String,
    /// Every input of every transition.
    pub places: Vec<Place>,
    /// What the site does.
    pub transitions: Vec<Transition>,
}

/// One input of one transition. A frame's token rests here until the transition's other inputs have theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The transition it is an input of.
    pub transition: TransitionId,
    /// Which input, counted from 0.
    pub slot: u16,
    /// Where its tokens come from.
    pub source: Source,
}

/// Where a place's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The start of a frame; the token says only that the frame is there.
    Start,
    /// The pipeline parameter with this name.
    Param(String),
    /// A transition of the same net.
    Here,
    /// A transition at another site.
    Site(String),
}

/// Something that fires once in each frame, when all its inputs have a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// What firing means.
    pub step: Step,
    /// Where the result goes.
    pub outputs: Vec<Arc>,
}

/// What firing a transition means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Run an operation's adapter.
    Call {
        /// The pipeline's node.
        node: NodeId,
        /// `namespace.Name`.
        operation: String,
        /// The provider whose binding is meant, if not the site's own.
        provider: Option<String>,
        /// The operation's arguments by name.
        arguments: Vec<(String, Argument)>,
    },
    /// Hand the token to the application.
    Yield {
        /// The pipeline's node.
        node: NodeId,
        /// The place the application knows it by.
        place: String,
    },
}

/// Where an operation's argument comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// The pipeline itself.
    Literal(serde_json::Value),
    /// The token in this input.
    Slot(u16),
}

/// From a transition to a place, here or at another site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arc {
    /// The place's site; `None` for this one.
    pub site: Option<String>,
    /// The place, in that site's net.
    pub place: PlaceId,
    /// What of the result it carries.
    pub carry: Carry,
}

/// What of a result an arc carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carry {
    /// The part of the result under this path; all of it for an empty one. Selecting happens before the token leaves,
    /// so that no more than was asked for crosses a border.
    Value(Vec<Selector>),
    /// All of the result, to a `Yield`; a generator's items go one by one, as they come.
    Stream,
    /// Only that it happened: order without data.
    Signal,
}
