//! What happens when a block is entered, once, for each element, or not at all?

use std::collections::BTreeSet;
use std::sync;

use super::{Action, Engine, Input};
use crate::{BlockId, Carry, Failure, Frame, PlaceId, Source, Step, Token, TransitionId, Value};

/// So many elements of a sequence that goes on are told to be done at once.
const TOLD_AT_ONCE: u64 = 128;

impl<V: Value> Engine<V> {
    /// Enters a block in a frame: what its transitions need without its being sent comes now.
    pub(super) fn enter(&mut self, block: BlockId, frame: &Frame) {
        let net = self.net.clone();
        let at = block as usize;
        let Some(set) = self.sets.of(frame) else { return };
        set.entered[at].insert(frame.clone());
        self.steps.known += self.blocks.blocks[at].calls;
        self.steps.elements += u64::from(self.blocks.blocks[at].each);
        for place in self.blocks.blocks[at].outer.clone() {
            let declared = &net.places[place as usize];
            let key = (place, frame.prefix(self.blocks.blocks[declared.block as usize].levels));
            if let Some(input) = self.use_kept(&key) {
                self.fill(declared.transition, declared.slot as usize, frame, input);
            }
        }
        for index in 0..self.blocks.blocks[at].owed.len() {
            let place = self.blocks.blocks[at].owed[index];
            let input = match &net.places[place as usize].source {
                Source::Site(site) => match self.lost.get(site) {
                    Some(failure) => Some(Token::Error(vec![failure.clone()])),
                    None => match self.barred_in(place, frame) {
                        Some(errors) => Some(Token::Error(errors)),
                        None => continue,
                    },
                },
                _ => None,
            };
            self.put(place, frame, input);
        }
        self.enter_early(block, frame);
        if block > 0 {
            for index in 0..self.blocks.blocks[at].transitions.len() {
                let transition = self.blocks.blocks[at].transitions[index];
                self.fill(transition, self.slots[transition as usize], frame, None);
            }
        }
    }

    /// Enters a block as often as the token says. Where there is an error instead, nothing in it runs, and its yields
    /// and collections say why.
    pub(super) fn enter_all(
        &mut self,
        block: BlockId,
        frame: &Frame,
        token: Input<V>,
        errors: Vec<sync::Arc<Failure>>,
    ) {
        let at = block as usize;
        let each = self.blocks.blocks[at].each;
        let gathering = self.blocks.blocks[at].gathering.clone();
        let early = self.blocks.blocks[at].entry.map(|place| self.take_early(place, frame)).unwrap_or_default();
        if !errors.is_empty() {
            // They came before the error, and other sites have entered them.
            for index in early {
                self.enter_counted(block, &frame.child(index));
            }
            for place in gathering {
                if !each {
                    self.put(place, frame, Some(Token::Error(errors.clone())));
                } else if self.gathered_in(place, frame).is_some() {
                    if let Some(set) = self.sets.live_mut(frame) {
                        set.gathered.remove(&(place, frame.clone()));
                    }
                    let declared = &self.net.places[place as usize];
                    let (transition, slot) = (declared.transition, declared.slot as usize);
                    self.fill(transition, slot, frame, Some(Token::Error(errors.clone())));
                }
            }
            for &transition in &self.blocks.blocks[at].yields {
                let (frame, token) = (frame.clone(), Token::Error(errors.clone()));
                self.actions.push_back(Action::Yield { transition, frame, token });
            }
        } else if let Some(Token::Count(count)) = token {
            for place in gathering {
                if each {
                    if let Some(gathered) = self.gathered_in(place, frame) {
                        gathered.count = Some(count);
                    }
                    self.end_gathering(place, frame);
                } else if count == 0 {
                    self.put(place, frame, None);
                }
            }
            for index in 0..count {
                let inner = if each { frame.child(index) } else { frame.clone() };
                if !self.has_entered(block, &inner) {
                    self.enter_counted(block, &inner);
                }
            }
        }
        if let Some(set) = self.sets.live_mut(frame) {
            set.elements_done.remove(&(block, frame.clone()));
        }
    }

    /// Enters the blocks in a block for the elements that came before it was entered itself.
    fn enter_early(&mut self, block: BlockId, frame: &Frame) {
        if self.sets.live(frame).is_none_or(|set| set.early.is_empty()) {
            return;
        }
        for inner in 0..self.blocks.blocks.len() {
            let inside = &self.blocks.blocks[inner];
            let Some(place) = inside.entry.filter(|_| inside.parent == Some(block)) else { continue };
            for index in self.take_early(place, frame) {
                self.enter_next(place, frame, index);
            }
        }
    }

    /// The elements that came too early for a place, which are kept no longer.
    fn take_early(&mut self, place: PlaceId, frame: &Frame) -> BTreeSet<u32> {
        let set = self.sets.live_mut(frame);
        set.and_then(|set| set.early.remove(&(place, frame.clone()))).unwrap_or_default()
    }

    /// Enters a block for one more element of a sequence that goes on. What comes before the block around it is entered
    /// waits for that: if a site is lost, that may never be, and nobody would tell what the element waits for.
    pub(super) fn enter_next(&mut self, place: PlaceId, frame: &Frame, index: u32) -> bool {
        let declared = &self.net.places[place as usize];
        let Step::Enter { block, .. } = self.net.transitions[declared.transition as usize].step else { return false };
        let inner = frame.child(index);
        let levels = self.blocks.blocks[block as usize].levels;
        if inner.levels().len() != levels || self.has_entered(block, &inner) {
            return false;
        }
        let Some(set) = self.sets.of(frame) else { return false };
        if set.is_full(declared.transition, frame) {
            return false;
        }
        if !set.entered[self.net.transitions[declared.transition as usize].block as usize].contains(frame) {
            return set.early.entry((place, frame.clone())).or_default().insert(index);
        }
        set.elements.insert((block, inner.clone()), 0);
        self.enter_counted(block, &inner);
        true
    }

    fn has_entered(&self, block: BlockId, frame: &Frame) -> bool {
        self.sets.live(frame).is_some_and(|set| set.entered[block as usize].contains(frame))
    }

    fn enter_counted(&mut self, block: BlockId, frame: &Frame) {
        let firings = self.blocks.blocks[block as usize].transitions.len() as u64;
        let Some(set) = self.sets.of(frame) else { return };
        set.left += firings;
        self.inner += firings;
        self.count_in_elements(block, frame, |left| left + firings);
        self.enter(block, frame);
    }

    /// Changes how many firings are left to the elements that a block's frame is in. Those that are done are told.
    pub(super) fn count_in_elements(&mut self, block: BlockId, frame: &Frame, change: impl Fn(u64) -> u64) {
        let Some(set) = self.sets.live_mut(frame) else { return };
        let mut around = (!set.elements.is_empty()).then_some(block);
        while let Some(block) = around {
            let inside = &self.blocks.blocks[block as usize];
            around = inside.parent;
            let key = (block, frame.prefix(inside.levels));
            let Some(left) = set.elements.get_mut(&key) else { continue };
            *left = change(*left);
            if *left > 0 {
                continue;
            }
            set.elements.remove(&key);
            let (Some(place), Some(frame)) = (inside.entry, key.1.parent()) else { continue };
            if set.is_full(self.net.places[place as usize].transition, &frame) {
                continue;
            }
            let done = set.elements_done.entry((block, frame.clone())).or_default();
            *done += 1;
            if done.is_multiple_of(TOLD_AT_ONCE) {
                self.actions.push_back(Action::Consumed { place, frame, count: *done });
            }
        }
    }

    /// Whether an input of a transition will not come because a site was lost: the one that it is to come from, or one
    /// that this in turn had waited for.
    pub(super) fn waits_in_vain(&self, transition: TransitionId, frame: &Frame) -> bool {
        let mut places = (0..).zip(&self.net.places).filter(|(_, place)| place.transition == transition);
        places.any(|(at, place)| match &place.source {
            Source::Site(site) => self.lost.contains_key(site) || self.barred_in(at, frame).is_some(),
            _ => false,
        })
    }

    /// Tells others that nothing will come from a block here: a site that was lost may have let them enter it.
    pub(super) fn bar_others(&mut self, block: BlockId, frame: &Frame, errors: &[sync::Arc<Failure>]) {
        let net = self.net.clone();
        for &transition in &self.blocks.blocks[block as usize].awaited {
            let declared = &net.transitions[transition as usize];
            let splits = declared.step.parts();
            for arc in declared.outputs.iter().filter(|arc| !splits || matches!(arc.carry, Carry::Count(_))) {
                let Some(site) = arc.site.clone() else { continue };
                let (frame, token) = (frame.clone(), Some(Token::Error(errors.to_vec())));
                self.actions.push_back(Action::Send { site, place: arc.place, frame, token });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync;

    use super::*;
    use crate::engine::tests::Nothing;
    use crate::{Argument, Block, Net, NodeId, Place, Transition};

    /// A yield in the rounds of each element of a loop, all of which site `b` tells.
    fn rounds_in_a_loop() -> Net {
        let from_b = |transition, block| Place { transition, slot: 0, block, source: Source::Site("b".into()) };
        let enter = |node, block| Step::Enter { node: NodeId::Number(node), block };
        let told = Step::Yield { node: NodeId::Number(2), place: "told".into(), value: Argument::Slot(0) };
        let transition = |step, block| Transition { step, block, outputs: vec![] };
        let each = |parent| Block { parent: Some(parent), each: true };
        Net {
            site: "a".into(),
            blocks: vec![Block::body(), each(0), each(1)],
            places: vec![from_b(0, 0), from_b(1, 1), from_b(2, 1)],
            transitions: vec![transition(enter(0, 1), 0), transition(enter(1, 2), 1), transition(told, 2)],
        }
    }

    fn lost() -> Failure {
        Failure {
            site: "b".into(),
            node: None,
            operation: None,
            frame: None,
            kind: "SiteLost".into(),
            message: String::new(),
            stack_trace: String::new(),
        }
    }

    /// Whether the engine is done once `b` has told this much and is lost.
    fn ends_after(told: &[(PlaceId, Frame, Token<Nothing>)]) -> bool {
        let mut engine: Engine<Nothing> = Engine::new(sync::Arc::new(rounds_in_a_loop()));
        engine.start(&Frame::of_param_set(0), &HashMap::new());
        engine.stop(1);
        for (place, frame, token) in told {
            assert!(engine.deposit(*place, frame, Some(token.clone())));
        }
        engine.lose("b", lost());
        std::iter::from_fn(|| engine.next_action()).any(|action| matches!(action, Action::Done))
    }

    #[test]
    fn an_element_that_comes_before_the_start_is_there_although_its_sequence_ends_with_an_error() {
        let rounds = rounds_in_a_loop();
        let of_the_element = Transition { block: 1, ..rounds.transitions[2].clone() };
        let net = Net {
            blocks: rounds.blocks[..2].to_vec(),
            places: vec![rounds.places[0].clone(), Place { transition: 1, ..rounds.places[1].clone() }],
            transitions: vec![rounds.transitions[0].clone(), of_the_element],
            ..rounds
        };
        assert_eq!(net.problem(), None);
        let (all, element) = (Frame::of_param_set(0), Frame::of_param_set(0).child(0));
        let end = Token::Error(vec![lost().into()]);
        let told = [(0, &all, Token::Next(0)), (1, &element, Token::Value(Nothing)), (0, &all, end)];
        for before in 0..=told.len() {
            let mut engine: Engine<Nothing> = Engine::new(sync::Arc::new(net.clone()));
            let mut taken = vec![];
            for (at, (place, frame, token)) in told.iter().enumerate() {
                if at == before {
                    engine.start(&all, &HashMap::new());
                }
                taken.push(engine.deposit(*place, frame, Some(token.clone())));
            }
            engine.start(&all, &HashMap::new());
            engine.stop(1);
            assert_eq!(taken, [true; 3], "started before {before}");
            let mut done: Vec<Action<Nothing>> = std::iter::from_fn(|| engine.next_action()).collect();
            assert_eq!(done.pop(), Some(Action::Done), "started before {before}");
            let frames: Vec<&Frame> = done
                .iter()
                .map(|action| match action {
                    Action::Yield { frame, .. } => frame,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(frames, [&element, &all], "started before {before}");
            assert_eq!(engine.live(), 0);
        }
    }

    #[test]
    fn a_round_that_comes_before_the_loop_around_it_is_no_end_of_it_when_the_site_is_lost() {
        let all = Frame::of_param_set(0);
        let element = all.child(2);
        assert!(ends_after(&[(1, element.clone(), Token::Next(0))]));
        assert!(ends_after(&[(1, element.clone(), Token::Next(0)), (0, all.clone(), Token::Count(3))]));
        assert!(ends_after(&[(0, all, Token::Count(3)), (1, element, Token::Next(0))]));
    }
}
