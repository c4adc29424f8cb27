//! What is held of the parameter sets that have not ended, and what is left of those that have?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync;

use super::firing::{Firing, Move, Moves, State};
use super::{Input, root};
use crate::{BlockId, Failure, Frame, PlaceId, Token, TransitionId};

/// Everything of one parameter set, dropped whole with its last firing.
pub(super) struct Set<V> {
    /// What has begun in its frames.
    pub firings: HashMap<(TransitionId, Frame), Firing<V>>,
    /// Block → the frames in which it was entered.
    pub entered: Vec<BTreeSet<Frame>>,
    /// Tokens that blocks nested in their frames may still need.
    pub kept: HashMap<(PlaceId, Frame), Input<V>>,
    /// What places have gathered of a frame's elements.
    pub gathered: HashMap<(PlaceId, Frame), Gathered<V>>,
    /// Split and its frame → how many items of its sequence have come, while that goes on.
    pub parted: HashMap<(TransitionId, Frame), u32>,
    /// Block and frame of an element that came while its sequence goes on → how many firings it is known to have left.
    pub elements: HashMap<(BlockId, Frame), u64>,
    /// Block and the frame of such a sequence → how many of its elements are done.
    pub elements_done: HashMap<(BlockId, Frame), u64>,
    /// Place → the frames in all of whose nested ones its tokens are errors, as their sender cannot enter its block.
    pub barred: HashMap<PlaceId, BTreeMap<Frame, Vec<sync::Arc<Failure>>>>,
    /// What enters a block and its frame → the elements that came before that frame was entered itself.
    pub early: HashMap<(PlaceId, Frame), BTreeSet<u32>>,
    /// How many firings it is known to have left.
    pub left: u64,
}

/// What a place has gathered in one frame.
pub(super) struct Gathered<V> {
    /// Element → its token; `None` if it has none, being of a branch that was not taken.
    pub tokens: BTreeMap<u32, Option<Token<V>>>,
    /// How many elements there are, once that is known.
    pub count: Option<u32>,
}

impl<V> Set<V> {
    fn new(blocks: usize, body: u64) -> Self {
        Self {
            firings: HashMap::new(),
            entered: (0..blocks).map(|_| BTreeSet::new()).collect(),
            kept: HashMap::new(),
            gathered: HashMap::new(),
            parted: HashMap::new(),
            elements: HashMap::new(),
            elements_done: HashMap::new(),
            barred: HashMap::new(),
            early: HashMap::new(),
            left: body,
        }
    }

    /// Whether a transition has all its inputs in a frame, and takes no more.
    pub fn is_full(&self, transition: TransitionId, frame: &Frame) -> bool {
        let firing = self.firings.get(&(transition, frame.clone()));
        firing.is_some_and(|firing| firing.state() != State::Waiting)
    }

    /// The frames under `frame`, itself included, in which a block was entered.
    pub fn entered_under(&self, block: BlockId, frame: &Frame) -> Vec<Frame> {
        let inner = self.entered[block as usize].range(frame.clone()..);
        inner.take_while(|inner| *inner == frame || frame.is_ancestor_of(inner)).cloned().collect()
    }
}

/// All parameter sets of one engine.
pub(super) struct Sets<V> {
    live: BTreeMap<u32, Box<Set<V>>>,
    ended: Ended,
    blocks: usize,
    /// How many firings the pipeline's own body has.
    body: u64,
    pub moves: Moves,
}

impl<V> Sets<V> {
    /// None yet, of a net with so many blocks and so many transitions in its body.
    pub fn new(blocks: usize, body: u64) -> Self {
        Self { live: BTreeMap::new(), ended: Ended::default(), blocks, body, moves: Moves::default() }
    }

    /// The set that a frame is of, from the first that is told of it until its end.
    pub fn of(&mut self, frame: &Frame) -> Option<&mut Set<V>> {
        self.of_with_moves(frame).map(|(set, _)| set)
    }

    /// The same, and what counts the moves made in it.
    pub fn of_with_moves(&mut self, frame: &Frame) -> Option<(&mut Set<V>, &mut Moves)> {
        let index = root(frame);
        if self.body == 0 || self.ended.has(index) {
            return None;
        }
        let (blocks, body) = (self.blocks, self.body);
        let set = self.live.entry(index).or_insert_with(|| Box::new(Set::new(blocks, body)));
        Some((set, &mut self.moves))
    }

    /// That set, if anything has been told of it and it has not ended.
    pub fn live(&self, frame: &Frame) -> Option<&Set<V>> {
        self.live.get(&root(frame)).map(Box::as_ref)
    }

    /// That set, to be changed.
    pub fn live_mut(&mut self, frame: &Frame) -> Option<&mut Set<V>> {
        self.live.get_mut(&root(frame)).map(Box::as_mut)
    }

    /// Whether the last firing of a frame's set is over.
    pub fn has_ended(&self, frame: &Frame) -> bool {
        self.ended.has(root(frame))
    }

    /// All that have not ended, in their order.
    pub fn all(&self) -> impl Iterator<Item = &Set<V>> {
        self.live.values().map(Box::as_ref)
    }

    /// Makes a declared move of a firing; `false` where it is not in the state for that.
    pub fn make(&mut self, transition: TransitionId, frame: &Frame, made: Move) -> bool {
        let set = self.live.get_mut(&root(frame));
        let firing = set.and_then(|set| set.firings.get_mut(&(transition, frame.clone())));
        firing.is_some_and(|firing| firing.make(made, &mut self.moves))
    }

    /// Counts a firing that is over. With its last one the whole set is dropped.
    pub fn finish(&mut self, frame: &Frame) {
        let index = root(frame);
        let Some(set) = self.live.get_mut(&index) else { return };
        set.left = set.left.saturating_sub(1);
        if set.left > 0 {
            return;
        }
        for firing in set.firings.values_mut() {
            let made = if firing.state() == State::Waiting { Move::LeaveOut } else { Move::Forget };
            let made = firing.make(made, &mut self.moves);
            debug_assert!(made, "no firing of a set that is over runs or is due");
        }
        self.live.remove(&index);
        self.ended.add(index);
    }

    /// How many have not ended.
    pub fn count(&self) -> usize {
        self.live.len()
    }
}

/// Which parameter sets have ended: the first of each run of them → its last. Where sets begin in their order there are
/// no more runs than sets that have not ended, and one.
#[derive(Default)]
struct Ended(BTreeMap<u32, u32>);

impl Ended {
    fn has(&self, index: u32) -> bool {
        self.0.range(..=index).next_back().is_some_and(|(_, last)| index <= *last)
    }

    fn add(&mut self, index: u32) {
        let before = self.0.range(..=index).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((_, last)) if index <= last => return,
            Some((first, last)) if last.checked_add(1) == Some(index) => first,
            _ => index,
        };
        let last = index.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(index);
        self.0.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_sets_are_runs_in_whatever_order_they_end() {
        for order in [[0, 1, 2, 3, 5], [5, 3, 2, 1, 0], [3, 0, 5, 2, 1], [1, 3, 2, 5, 0]] {
            let mut ended = Ended::default();
            for index in order {
                assert!(!ended.has(index));
                ended.add(index);
                assert!(ended.has(index));
            }
            assert_eq!(ended.0, BTreeMap::from([(0, 3), (5, 5)]), "{order:?}");
            assert!(!ended.has(4) && !ended.has(6));
        }
        let mut ended = Ended::default();
        ended.add(u32::MAX);
        ended.add(u32::MAX - 1);
        assert_eq!(ended.0, BTreeMap::from([(u32::MAX - 1, u32::MAX)]));
    }
}
