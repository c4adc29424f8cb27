//! Why must a net not run, or a token not be taken?

use std::fmt;

use crate::hostile::{LONGEST_BACKOFF, MOST_LEVELS, MOST_PARTS, MOST_RETRIES};
use crate::{BlockId, Frame, Kind, MOST_ROUNDS, NodeId, PlaceId, TransitionId};

/// How many steps of a circle are named.
const MOST_TOLD: usize = 10;

/// Why a net, or the nets of a plan together, must not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Unsound {
    /// What is wrong with one net of several.
    Net {
        /// Its site.
        site: String,
        /// What that is.
        why: Box<Unsound>,
    },
    /// A place belongs to a transition that is not there.
    PlaceOfNone {
        /// The place.
        place: PlaceId,
        /// What it says that it belongs to.
        transition: TransitionId,
    },
    /// A transition's inputs are not numbered from 0.
    Inputs(TransitionId),
    /// A transition's output leads to a place at its own site that takes nothing from there.
    Output {
        /// The transition.
        transition: TransitionId,
        /// Where the output leads.
        place: PlaceId,
    },
    /// A block does not follow the one around it.
    Block(BlockId),
    /// A transition belongs to no block, or enters one that is not in its own.
    BlockOfTransition(TransitionId),
    /// A place has tokens of a block that its transition has no part in.
    BlockOfPlace(PlaceId),
    /// A net has more parts than any site takes.
    Parts {
        /// Which.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Blocks lie too deep in each other.
    Deep,
    /// There may be too many rounds.
    Rounds,
    /// A transition goes beyond a limit.
    Step(TransitionId, Excess),
    /// A transition uses an input that it does not have.
    NoInput(TransitionId),
    /// A transition uses an input twice: a small net could make a value many times as large as what came.
    InputTwice(TransitionId),
    /// A place takes its tokens from where it may not.
    Origin(PlaceId),
    /// A site got the net of another one.
    OtherSite(String),
    /// Two nets are for one site.
    TwoNets(String),
    /// The nets of two sites have other blocks.
    OtherBlocks(String, String),
    /// Only the application's site yields.
    HomeOnly(Named),
    /// An output leads to a place that is not there.
    Nowhere(Named),
    /// A place gets two tokens in one frame.
    TwoTokens {
        /// Who gets them.
        taker: Named,
        /// Who sends one of them.
        maker: Named,
    },
    /// A place gets a token from where it expects none.
    Unexpected {
        /// Who gets it.
        taker: Named,
        /// Who sends it.
        maker: Named,
    },
    /// A place gets what it is not for.
    Unusable {
        /// Who gets it.
        taker: Named,
        /// Who sends it.
        maker: Named,
    },
    /// A step of a secure sum is given something that may not come from there.
    GivenToSum {
        /// The step.
        step: Named,
        /// As what.
        parameter: String,
    },
    /// A place waits for a token that nobody sends.
    Unfed(Named),
    /// A block is entered more or less often than at other sites.
    OtherCount(Named),
    /// The end of a round belongs to no beginning of its own.
    NoRound(Named),
    /// Nothing ends the rounds that it begins.
    Endless(Named),
    /// It is in a block that is not entered at its site.
    NotEntered(Named),
    /// A block is entered twice at one site.
    EnteredTwice(Named),
    /// Each waits for the next, and the last for the first; not empty.
    Circle(Vec<Named>),
}

/// A transition, as its user knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The pipeline's node.
    pub node: NodeId,
    /// The operation, or what else the node is.
    pub label: String,
    /// Where it runs.
    pub site: String,
}

/// What of one transition goes beyond a limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Excess {
    /// So many outputs.
    Outputs(usize),
    /// So many arguments.
    Arguments(usize),
    /// So many keys.
    Keys(usize),
    /// Something is nested too deeply, or has a key without a value.
    Nested,
    /// There is no round.
    NoRounds,
    /// A call is tried too often, or too long.
    Limits(Unlimited),
}

/// Why no site tries a call so often or so long.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlimited {
    /// So many retries.
    Retries(u32),
    /// So many seconds before the first retry.
    Backoff(f64),
    /// So many seconds for one try.
    Timeout(f64),
}

/// Why a place does not take a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// There is no such place.
    NoPlace(PlaceId),
    /// It takes nothing from that site.
    Sender(PlaceId),
    /// It takes no such token.
    Kind(PlaceId, Kind),
    /// It has no such frame.
    Frame(PlaceId, Frame),
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net { site, why } => write!(f, "the net of site '{site}': {why}"),
            Self::PlaceOfNone { place, transition } => {
                write!(f, "place {place} belongs to transition {transition}, which is not there")
            }
            Self::Inputs(transition) => write!(f, "the inputs of transition {transition} are not numbered from 0"),
            Self::Output { transition, place } => {
                write!(f, "an output of transition {transition} leads to place {place}, which takes none")
            }
            Self::Block(block) => write!(f, "block {block} does not follow the one around it"),
            Self::BlockOfTransition(transition) => {
                write!(f, "transition {transition} belongs to no block, or enters one that is not in its own")
            }
            Self::BlockOfPlace(place) => {
                write!(f, "place {place} has tokens of a block that its transition has no part in")
            }
            Self::Parts { what, count } => write!(f, "it has {count} {what}, and a net has at most {MOST_PARTS}"),
            Self::Deep => write!(f, "its blocks lie more than {MOST_LEVELS} deep in each other"),
            Self::Rounds => {
                write!(f, "it may go through more than {MOST_ROUNDS} rounds, counting those inside of others")
            }
            Self::Step(transition, excess) => write!(f, "transition {transition} has {excess}"),
            Self::NoInput(transition) => write!(f, "transition {transition} uses an input that it does not have"),
            Self::InputTwice(transition) => write!(f, "transition {transition} uses an input twice"),
            Self::Origin(place) => write!(f, "place {place} takes its tokens from where it may not"),
            Self::OtherSite(site) => write!(f, "it is for site '{site}'"),
            Self::TwoNets(site) => write!(f, "site '{site}' has two nets"),
            Self::OtherBlocks(one, other) => {
                write!(f, "the nets of site '{one}' and of site '{other}' have other blocks")
            }
            Self::HomeOnly(step) => write!(f, "{step} is for the application's site alone"),
            Self::Nowhere(step) => write!(f, "{step} sends to a place that is not there"),
            Self::TwoTokens { taker, maker } => write!(f, "{taker} gets two tokens in one frame, from {maker}"),
            Self::Unexpected { taker, maker } => {
                write!(f, "{taker} gets a token that it does not expect, from {maker}")
            }
            Self::Unusable { taker, maker } => write!(f, "{taker} cannot use what it gets from {maker}"),
            Self::GivenToSum { step, parameter } => {
                write!(f, "{step} takes its '{parameter}' from where it may not")
            }
            Self::Unfed(step) => write!(f, "{step} waits for a token that nobody sends"),
            Self::OtherCount(step) => write!(f, "{step} is not entered as often as at other sites"),
            Self::NoRound(step) => write!(f, "{step} ends no round of its own"),
            Self::Endless(step) => write!(f, "{step} begins rounds that nothing ends"),
            Self::NotEntered(step) => write!(f, "{step} is in a block that is not entered there"),
            Self::EnteredTwice(step) => write!(f, "{step} is entered twice there"),
            Self::Circle(steps) => match &steps[..] {
                [] => Ok(()),
                [only] => write!(f, "{only} waits for itself"),
                [first, rest @ ..] => {
                    write!(f, "{first}")?;
                    let (told, others) = rest.split_at(rest.len().min(MOST_TOLD - 1));
                    for (at, step) in told.iter().enumerate() {
                        write!(f, "{} waits for {step}", if at == 0 { "" } else { ", which" })?;
                    }
                    match others.len() {
                        0 => write!(f, ", which waits for the first"),
                        1 => write!(f, ", which waits for another, which waits for the first"),
                        count => write!(f, ", which waits for {count} others, which wait for the first"),
                    }
                }
            },
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, label, site } = self;
        match node {
            NodeId::Number(number) => write!(f, "node {number} ({label}) at site '{site}'"),
            NodeId::Name(name) => write!(f, "node '{name}' ({label}) at site '{site}'"),
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outputs(count) => write!(f, "{count} outputs"),
            Self::Arguments(count) => write!(f, "{count} arguments"),
            Self::Keys(count) => write!(f, "{count} keys"),
            Self::Nested => write!(f, "what is nested more than {MOST_LEVELS} deep, or a key without a value"),
            Self::NoRounds => write!(f, "no rounds"),
            Self::Limits(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Unlimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retries(retries) => write!(f, "{retries} retries, and a call has at most {MOST_RETRIES}"),
            Self::Backoff(seconds) => {
                write!(f, "a backoff of {seconds} s, which is not from 0 to {LONGEST_BACKOFF} s")
            }
            Self::Timeout(seconds) => write!(f, "a timeout of {seconds} s, which is no time to wait"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace(place) => write!(f, "there is no place {place}"),
            Self::Sender(place) => write!(f, "place {place} takes nothing from there"),
            Self::Kind(place, kind) => write!(f, "place {place} is not for {kind:?}"),
            Self::Frame(place, frame) => write!(f, "place {place} has no frame {:?}", frame.levels()),
        }
    }
}

impl std::error::Error for Unsound {}
impl std::error::Error for Unlimited {}
impl std::error::Error for Refusal {}
