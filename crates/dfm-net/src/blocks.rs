//! How do a net's blocks lie in each other, and what has to happen when one is entered?

use crate::{BlockId, Net, PlaceId, Source, Step, TransitionId};

/// What the engine looks up about each block, and about each place.
pub(crate) struct Blocks {
    /// In the net's order.
    pub blocks: Vec<Inside>,
    /// How each place treats its tokens.
    pub kinds: Vec<PlaceKind>,
}

/// What a block has to do with at this site.
#[derive(Default)]
pub(crate) struct Inside {
    /// How many levels its frames have.
    pub levels: usize,
    /// Whether it is entered once for each element of a sequence.
    pub each: bool,
    /// The block around it.
    pub parent: Option<BlockId>,
    /// The place that tells how often it is entered.
    pub entry: Option<PlaceId>,
    /// Its own transitions.
    pub transitions: Vec<TransitionId>,
    /// How many of them call an operation.
    pub calls: u64,
    /// Places of its transitions whose tokens come from a block around it.
    pub outer: Vec<PlaceId>,
    /// Places whose tokens have its frames and may come without being sent: at the start, or when a site is lost.
    pub owed: Vec<PlaceId>,
    /// Places around it that gather or join its tokens, or those of blocks in it.
    pub gathering: Vec<PlaceId>,
    /// The yields in it and in blocks in it.
    pub yields: Vec<TransitionId>,
    /// The transitions in it and in blocks in it that other sites wait for.
    pub awaited: Vec<TransitionId>,
}

/// How a place treats its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// A token is for one firing.
    Plain,
    /// A token is for every firing in a frame nested in its own.
    Outer,
    /// All tokens of a frame's elements are for one firing in that frame.
    Gather,
    /// The token of a block that is entered once or not at all is for a firing beside the block.
    Join,
}

impl Blocks {
    pub fn new(net: &Net) -> Self {
        let mut blocks: Vec<Inside> = Vec::with_capacity(net.blocks.len());
        for block in &net.blocks {
            let outer = block.parent.map_or(1, |parent| blocks[parent as usize].levels);
            let levels = outer + usize::from(block.each);
            blocks.push(Inside { levels, each: block.each, parent: block.parent, ..Inside::default() });
        }
        if blocks.is_empty() {
            blocks.push(Inside { levels: 1, ..Inside::default() });
        }
        for (at, transition) in net.transitions.iter().enumerate() {
            let own = &mut blocks[transition.block as usize];
            own.transitions.push(at as TransitionId);
            own.calls += u64::from(transition.step.operation().is_some());
            let yields = matches!(transition.step, Step::Yield { .. });
            let awaited = transition.outputs.iter().any(|arc| arc.site.is_some());
            for block in outwards(net, transition.block).filter(|block| *block > 0) {
                if yields {
                    blocks[block as usize].yields.push(at as TransitionId);
                }
                if awaited {
                    blocks[block as usize].awaited.push(at as TransitionId);
                }
            }
        }
        let mut kinds = Vec::with_capacity(net.places.len());
        for (at, place) in net.places.iter().enumerate() {
            let at = at as PlaceId;
            if let Step::Enter { block, .. } = net.transitions[place.transition as usize].step {
                blocks[block as usize].entry = Some(at);
            }
            let to = net.transitions[place.transition as usize].block;
            if matches!(place.source, Source::Start | Source::Site(_)) {
                blocks[place.block as usize].owed.push(at);
            }
            kinds.push(if place.block == to {
                PlaceKind::Plain
            } else if outwards(net, to).any(|block| block == place.block) {
                blocks[to as usize].outer.push(at);
                PlaceKind::Outer
            } else {
                for block in outwards(net, place.block).take_while(|block| *block != to) {
                    blocks[block as usize].gathering.push(at);
                }
                let same = blocks[place.block as usize].levels == blocks[to as usize].levels;
                if same { PlaceKind::Join } else { PlaceKind::Gather }
            });
        }
        Self { blocks, kinds }
    }
}

/// A block, the one around it, and so on.
fn outwards(net: &Net, block: BlockId) -> impl Iterator<Item = BlockId> {
    std::iter::successors(Some(block), |block| net.blocks.get(*block as usize)?.parent)
}
