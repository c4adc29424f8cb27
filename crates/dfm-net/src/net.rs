//! What is one site's share of a plan?

use serde::{Deserialize, Serialize};

use crate::{Unsound, Value};

/// The index of a place in [`Net::places`].
pub type PlaceId = u32;
/// The index of a transition in [`Net::transitions`].
pub type TransitionId = u32;

/// The index of a block in [`Net::blocks`]; 0 is the pipeline's own body.
pub type BlockId = u32;

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
    /// The pipeline's blocks, the same at every site, outer ones before inner ones.
    pub blocks: Vec<Block>,
    /// Every input of every transition.
    pub places: Vec<Place>,
    /// What the site does.
    pub transitions: Vec<Transition>,
}

/// What runs once in each frame in which it is entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The block around it; `None` for the pipeline's own body.
    pub parent: Option<BlockId>,
    /// Whether it is entered once for each element of a sequence, which adds a level to its frames.
    pub each: bool,
}

impl Block {
    /// The only block of a pipeline without others.
    pub fn body() -> Self {
        Self { parent: None, each: false }
    }
}

/// One input of one transition. A frame's token rests here until the transition's other inputs have theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The transition it is an input of.
    pub transition: TransitionId,
    /// Which input, counted from 0.
    pub slot: u16,
    /// The block whose frames its tokens have. Where that is around the transition's block, a token serves every frame
    /// nested in its own; where it is inside, tokens are gathered until their block has been left; of a block that is
    /// entered once or not at all, there is its token or none.
    pub block: BlockId,
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

/// Something that fires once in each frame in which its block is entered, when all its inputs have a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// What firing means.
    pub step: Step,
    /// The block it belongs to.
    pub block: BlockId,
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
        /// How often and how long the host tries.
        limits: Limits,
    },
    /// Hand a value to the application, or the token in an input as it is.
    Yield {
        /// The pipeline's node.
        node: NodeId,
        /// The place the application knows it by.
        place: String,
        /// The value.
        value: Argument,
    },
    /// Part a sequence into its elements, each in a frame of its own.
    Split {
        /// The pipeline's node.
        node: NodeId,
        /// The sequence.
        sequence: Argument,
    },
    /// See whether a condition holds.
    Decide {
        /// The pipeline's node.
        node: NodeId,
        /// The condition, over the inputs.
        condition: Condition,
    },
    /// Enter a block, as often as the token in the only input says.
    Enter {
        /// The block's own node, for errors.
        node: NodeId,
        /// The block.
        block: BlockId,
    },
    /// Look whether the site's cache has a value.
    LookUp {
        /// The pipeline's node.
        node: NodeId,
        /// The parts of the key that it has it under.
        key: Vec<Argument>,
    },
    /// Put the first input's value into the site's cache, under the key in the last one.
    Store {
        /// The pipeline's node.
        node: NodeId,
    },
    /// Go on with the value of the first input, where a cache had it, or of the second one, from the block that made it.
    Join {
        /// The pipeline's node.
        node: NodeId,
    },
    /// Begin rounds, the first of which has this value as its element.
    Repeat {
        /// The pipeline's node.
        node: NodeId,
        /// The value.
        start: Argument,
    },
    /// End a round. The next one has another value as its element; what the last one gives is a tuple of that value and
    /// how many rounds there were.
    Again {
        /// The pipeline's node.
        node: NodeId,
        /// What began the rounds, in the same net.
        repeat: TransitionId,
        /// The value.
        next: Argument,
        /// What holds in the last round.
        until: Option<Condition>,
        /// There are at most so many rounds.
        at_most: u32,
    },
    /// Make a dictionary of the values that its first inputs have, one for each key.
    Gather {
        /// The pipeline's node.
        node: NodeId,
        /// The keys, such as sites.
        keys: Vec<String>,
        /// How many of them suffice; with fewer values it fails with the errors of the others.
        at_least: u32,
        /// Whether errors stand in the place of values that are not there, which are left out otherwise.
        keep: bool,
        /// Whether to make a list of the keys without a value instead, which never fails.
        missing: bool,
    },
    /// Make a list of the tokens that its first input has gathered.
    Collect {
        /// The pipeline's node.
        node: NodeId,
        /// What becomes of elements that failed.
        errors: OnError,
    },
}

impl Step {
    /// The pipeline's node.
    pub fn node(&self) -> &NodeId {
        match self {
            Self::Call { node, .. }
            | Self::Yield { node, .. }
            | Self::Split { node, .. }
            | Self::Decide { node, .. }
            | Self::Enter { node, .. }
            | Self::LookUp { node, .. }
            | Self::Store { node }
            | Self::Join { node }
            | Self::Gather { node, .. }
            | Self::Repeat { node, .. }
            | Self::Again { node, .. }
            | Self::Collect { node, .. } => node,
        }
    }

    /// What it is, for people: the operation, or what of the pipeline it does.
    pub fn label(&self) -> String {
        match self {
            Self::Call { operation, .. } => operation.clone(),
            Self::Yield { place, .. } => format!("yield {place}"),
            Self::Split { .. } => "for each".to_owned(),
            Self::Repeat { .. } => "repeat".to_owned(),
            Self::Again { .. } => "next round".to_owned(),
            Self::Decide { .. } => "if".to_owned(),
            Self::Enter { .. } => "body".to_owned(),
            Self::LookUp { .. } => "try from cache".to_owned(),
            Self::Store { .. } => "write to cache".to_owned(),
            Self::Join { .. } => "cached or made".to_owned(),
            Self::Collect { .. } | Self::Gather { .. } => "collect".to_owned(),
        }
    }

    /// Whether it gives elements, each in a frame of its own.
    pub fn parts(&self) -> bool {
        matches!(self, Self::Split { .. } | Self::Repeat { .. })
    }

    /// The operation, if it calls one.
    pub fn operation(&self) -> Option<&str> {
        match self {
            Self::Call { operation, .. } => Some(operation),
            _ => None,
        }
    }
}

/// How often and how long a host tries a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// How many more times after a failure.
    pub retries: u32,
    /// Seconds before the first retry; twice as many before each further one.
    pub backoff: f64,
    /// Seconds that one try may take; `None` for as long as it takes.
    pub timeout: Option<f64>,
}

/// What becomes of a collection's elements that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The collection fails with their errors.
    Fail,
    /// They are left out.
    Skip,
    /// The list has their errors in their place.
    Keep,
}

/// A condition over values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// All of them hold; they are tried in their order, up to the first that does not.
    And(Vec<Condition>),
    /// One of them holds; they are tried in their order, up to the first that does.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Two values compare so.
    Compare(Comparison, Argument, Argument),
    /// The value counts as true.
    Truth(Argument),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

/// Where an operation's argument comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// The pipeline itself.
    Literal(serde_json::Value),
    /// The token in this input.
    Slot(u16),
    /// What is made of these.
    Built(Form, Vec<Argument>),
}

/// What values become together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A list.
    List,
    /// A tuple.
    Tuple,
    /// A dictionary, of keys and values in turn.
    Dict,
    /// An object of the host's class with this path, of its fields' names and values in turn.
    Model(String),
}

impl Argument {
    /// The value, of what the inputs hold.
    ///
    /// # Errors
    /// What tells the user why there is none.
    pub fn value<V: Value>(&self, inputs: &[Option<V>]) -> Result<V, crate::Wrong> {
        match self {
            Self::Literal(json) => V::literal(json),
            Self::Slot(slot) => {
                let found = inputs.get(usize::from(*slot)).cloned().flatten();
                found.ok_or_else(|| crate::Wrong::new("ValueError", "there is no value, only a signal"))
            }
            Self::Built(form, parts) => {
                V::build(form, parts.iter().map(|part| part.value(inputs)).collect::<Result<_, _>>()?)
            }
        }
    }

    /// The inputs that it looks at.
    pub fn slots(&self) -> Vec<u16> {
        match self {
            Self::Literal(_) => vec![],
            Self::Slot(slot) => vec![*slot],
            Self::Built(_, parts) => parts.iter().flat_map(Self::slots).collect(),
        }
    }
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
    /// Whether it leads into a block: what it should select and does not find is an error only where that is entered.
    pub inward: bool,
}

/// What of a result an arc carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carry {
    /// The part of the result under this path; all of it for an empty one. From a split, that of each element. Selecting happens before the token leaves,
    /// so that no more than was asked for crosses a border.
    Value(Vec<Selector>),
    /// All of the result, to the `Yield` at this place or, without one, to a split; a generator's items go one by one, as
    /// they come.
    Stream(Option<String>),
    /// Only that it happened: order without data.
    Signal,
    /// From a split: how many elements there are. From a decision: 1 if it came out so, otherwise 0. From a cache: 1 if
    /// having no value is so, otherwise 0.
    Count(bool),
    /// From a cache that has no value: the key to store it under.
    Key,
}

impl Arc {
    /// Whether a generator's items go along it one by one.
    pub fn streams(&self) -> bool {
        matches!(self.carry, Carry::Stream(_))
    }
}

impl Net {
    /// The places, each with its site or `None` for this one, whose credit a call's generator waits for: those that take
    /// its items, or elements where a split makes these of them.
    pub fn consumers(&self, transition: TransitionId) -> Vec<(Option<&str>, PlaceId)> {
        let mut consumers = vec![];
        for arc in self.transitions[transition as usize].outputs.iter().filter(|arc| arc.streams()) {
            let here =
                arc.site.is_none().then(|| &self.transitions[self.places[arc.place as usize].transition as usize]);
            match here.filter(|to| matches!(to.step, Step::Split { .. })) {
                Some(split) => {
                    let counts = split.outputs.iter().filter(|arc| matches!(arc.carry, Carry::Count(_)));
                    consumers.extend(counts.map(|arc| (arc.site.as_deref(), arc.place)));
                }
                None => consumers.push((arc.site.as_deref(), arc.place)),
            }
        }
        consumers
    }

    /// Why an engine cannot run this net, as it can any that the planner made.
    pub fn problem(&self) -> Option<Unsound> {
        let mut slots = vec![vec![]; self.transitions.len()];
        for (at, place) in (0..).zip(&self.places) {
            match slots.get_mut(place.transition as usize) {
                Some(slots) => slots.push(usize::from(place.slot)),
                None => return Some(Unsound::PlaceOfNone { place: at, transition: place.transition }),
            }
        }
        for (at, (transition, mut slots)) in (0..).zip(self.transitions.iter().zip(slots)) {
            slots.sort_unstable();
            if slots.is_empty() || slots.iter().enumerate().any(|(expected, slot)| expected != *slot) {
                return Some(Unsound::Inputs(at));
            }
            let missing = |arc: &&Arc| {
                let place = self.places.get(arc.place as usize);
                arc.site.is_none() && !place.is_some_and(|place| place.source == Source::Here)
            };
            if let Some(arc) = transition.outputs.iter().find(missing) {
                return Some(Unsound::Output { transition: at, place: arc.place });
            }
        }
        self.problem_of_blocks()
    }

    fn problem_of_blocks(&self) -> Option<Unsound> {
        let mut levels: Vec<usize> = vec![];
        for (at, block) in (0..).zip(&self.blocks) {
            levels.push(match block.parent.map(|parent| levels.get(parent as usize)) {
                None if at == 0 && !block.each => 1,
                Some(Some(outer)) if at > 0 => outer + usize::from(block.each),
                _ => return Some(Unsound::Block(at)),
            });
        }
        let is_around = |outer: BlockId, mut inner: BlockId| {
            while inner > outer {
                inner = self.blocks[inner as usize].parent.unwrap_or_default();
            }
            inner == outer
        };
        let count = levels.len() as BlockId;
        for (at, transition) in (0..).zip(&self.transitions) {
            let fits = match transition.step {
                Step::Enter { block, .. } => {
                    block < count && self.blocks[block as usize].parent == Some(transition.block)
                }
                _ => true,
            };
            if transition.block >= count || !fits {
                return Some(Unsound::BlockOfTransition(at));
            }
        }
        for (at, place) in (0..).zip(&self.places) {
            let transition = &self.transitions[place.transition as usize];
            let gathers = |inner| match transition.step {
                Step::Collect { .. } => {
                    is_around(transition.block, inner)
                        && levels[inner as usize] == levels[transition.block as usize] + 1
                }
                Step::Gather { .. } => {
                    is_around(transition.block, inner) && levels[inner as usize] == levels[transition.block as usize]
                }
                Step::Join { .. } => {
                    let inner = &self.blocks[inner as usize];
                    place.slot == 1 && inner.parent == Some(transition.block) && !inner.each
                }
                _ => false,
            };
            let fits = place.block < count
                && (is_around(place.block, transition.block) || gathers(place.block))
                && (place.block == 0 || !matches!(place.source, Source::Param(_)));
            if !fits {
                return Some(Unsound::BlockOfPlace(at));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_whose_parts_do_not_fit_is_told_from_one_that_can_run() {
        let step = Step::Yield { node: NodeId::Number(0), place: "yield".into(), value: Argument::Slot(0) };
        let place = |transition, slot| Place { transition, slot, block: 0, source: Source::Start };
        let net = |places, outputs| Net {
            site: "a".into(),
            places,
            blocks: vec![Block::body()],
            transitions: vec![Transition { step: step.clone(), block: 0, outputs }],
        };
        assert_eq!(net(vec![place(0, 0)], vec![]).problem(), None);
        assert!(net(vec![place(1, 0)], vec![]).problem().is_some());
        assert!(net(vec![place(0, 1)], vec![]).problem().is_some());
        assert!(net(vec![], vec![]).problem().is_some());
        let arc = |site: Option<&str>| {
            vec![Arc { site: site.map(Into::into), place: 7, carry: Carry::Signal, inward: false }]
        };
        assert!(net(vec![place(0, 0)], arc(None)).problem().is_some());
        assert_eq!(net(vec![place(0, 0)], arc(Some("b"))).problem(), None);

        let mut other = net(vec![place(0, 0)], vec![]);
        other.blocks = vec![];
        assert!(other.problem().is_some());
        other.blocks = vec![Block::body(), Block { parent: Some(1), each: true }];
        assert!(other.problem().is_some());
        other.blocks[1].parent = Some(0);
        assert_eq!(other.problem(), None);
        other.places[0].block = 1;
        assert!(other.problem().is_some(), "only a collection gathers");
        other.transitions[0].step = Step::Collect { node: NodeId::Number(0), errors: OnError::Fail };
        assert_eq!(other.problem(), None);
        other.blocks.push(Block { parent: Some(1), each: true });
        other.places[0].block = 2;
        assert!(other.problem().is_some(), "an inner loop's results are collected in the outer one first");
        other.blocks[2].each = false;
        assert_eq!(other.problem(), None);
        other.places[0].block = 1;
        other.blocks.pop();
        other.blocks[1].each = false;
        assert!(other.problem().is_some(), "there is nothing to gather");
        other.transitions[0].step = Step::Enter { node: NodeId::Number(0), block: 0 };
        assert!(other.problem().is_some());
    }
}
