//! Which firings of a net wait, and which of their places are empty?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::firing::Firing;
use crate::{Frame, PlaceId, TransitionId};

/// A firing whose frame has begun and that has not all of its inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFiring {
    /// What will fire.
    pub transition: TransitionId,
    /// Its frame.
    pub frame: Frame,
    /// Its first empty places.
    pub empty: Vec<PlaceId>,
    /// How many more of its places are empty.
    pub more: u64,
}

impl<V> Engine<V> {
    /// The first `most` firings that wait, each with at most so many empty places, and how many more there are. Outer
    /// blocks come before inner ones, a block's frames in their order, and a frame's firings in that of the pipeline.
    pub fn waiting(&self, most: usize) -> (Vec<WaitingFiring>, u64) {
        let mut first = vec![];
        let mut all = 0;
        for (block, inside) in self.blocks.blocks.iter().enumerate() {
            let frames = self.sets.all().flat_map(|set| set.entered[block].iter().map(move |frame| (set, frame)));
            for (set, frame) in frames {
                for &transition in &inside.transitions {
                    let key = (transition, frame.clone());
                    if !set.is_full(transition, frame) {
                        all += 1;
                        if first.len() < most {
                            first.push(key);
                        }
                    }
                }
            }
        }
        let more = all - first.len() as u64;
        let mut places: HashMap<TransitionId, Vec<PlaceId>> =
            first.iter().map(|(transition, _)| (*transition, vec![])).collect();
        for (at, place) in self.net.places.iter().enumerate() {
            if let Some(places) = places.get_mut(&place.transition) {
                places.push(at as PlaceId);
            }
        }
        let waiting = first.into_iter().map(|key| {
            let firing = self.sets.live(&key.1).and_then(|set| set.firings.get(&key));
            let is_empty = |place: &PlaceId| {
                let slot = usize::from(self.net.places[*place as usize].slot);
                match firing {
                    Some(Firing::Waiting { inputs, .. }) => inputs[slot].is_none(),
                    _ => true,
                }
            };
            let mut empty: Vec<PlaceId> = places[&key.0].iter().copied().filter(is_empty).collect();
            let more = empty.len().saturating_sub(most) as u64;
            empty.truncate(most);
            WaitingFiring { transition: key.0, frame: key.1, empty, more }
        });
        (waiting.collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use std::sync;

    use super::*;
    use crate::engine::tests::Nothing;
    use crate::{
        Action, Arc, Block, BlockId, Carry, Limits, Net, NodeId, Outcome, Place, Source, Step, Token, Transition,
    };

    fn call(node: u64, block: BlockId, to: Option<PlaceId>) -> Transition {
        let step = Step::Call {
            node: NodeId::Number(node),
            operation: "a.B".into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        };
        let arc = |place| Arc { site: None, place, carry: Carry::Value(vec![]), inward: false };
        Transition { step, block, outputs: to.map(arc).into_iter().collect() }
    }

    fn place(transition: TransitionId, slot: u16, block: BlockId, source: Source) -> Place {
        Place { transition, slot, block, source }
    }

    /// Call 0 begins with its frame; call 1 needs its result and one of site `b`.
    fn joined() -> Engine<Nothing> {
        Engine::new(sync::Arc::new(Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: vec![
                place(0, 0, 0, Source::Start),
                place(1, 0, 0, Source::Here),
                place(1, 1, 0, Source::Site("b".into())),
            ],
            transitions: vec![call(0, 0, Some(1)), call(1, 0, None)],
        }))
    }

    fn frame(index: u32) -> Frame {
        Frame::of_param_set(index)
    }

    fn start(engine: &mut Engine<Nothing>, index: u32) {
        engine.start(&frame(index), &HashMap::new());
    }

    fn waits(transition: TransitionId, frame: Frame, empty: Vec<PlaceId>) -> WaitingFiring {
        WaitingFiring { transition, frame, empty, more: 0 }
    }

    #[test]
    fn a_firing_names_the_places_that_are_still_empty() {
        let mut engine = joined();
        assert_eq!(engine.waiting(9), (vec![], 0), "no frame has begun");
        start(&mut engine, 0);
        start(&mut engine, 1);
        assert!(engine.deposit(2, &frame(1), Some(Token::Value(Nothing))));
        let expected = vec![waits(1, frame(0), vec![1, 2]), waits(1, frame(1), vec![1])];
        assert_eq!(engine.waiting(9), (expected, 0), "what runs does not wait");
        for index in [0, 1] {
            assert!(engine.complete(0, &frame(index), Outcome::Value(Nothing)));
        }
        assert_eq!(engine.waiting(9), (vec![waits(1, frame(0), vec![2])], 0), "call 1 runs in the other frame");
        assert!(engine.deposit(2, &frame(0), Some(Token::Value(Nothing))));
        for index in [0, 1] {
            assert!(engine.complete(1, &frame(index), Outcome::Value(Nothing)));
        }
        assert_eq!(engine.waiting(9), (vec![], 0), "both frames are over");
    }

    #[test]
    fn many_firings_are_counted_and_only_the_first_are_named() {
        let mut engine = joined();
        for index in 0..100_000 {
            start(&mut engine, index);
        }
        let (first, more) = engine.waiting(2);
        assert_eq!(first, [waits(1, frame(0), vec![1, 2]), waits(1, frame(1), vec![1, 2])]);
        assert_eq!(more, 99_998);
        let cut = WaitingFiring { transition: 1, frame: frame(0), empty: vec![1], more: 1 };
        assert_eq!(engine.waiting(1), (vec![cut], 99_999), "nor all places of one");
    }

    #[test]
    fn an_element_waits_in_its_own_frame_once_its_block_is_entered() {
        let enter = Step::Enter { node: NodeId::Number(0), block: 1 };
        let net = Net {
            site: "a".into(),
            blocks: vec![Block::body(), Block { parent: Some(0), each: true }],
            places: vec![place(0, 0, 0, Source::Site("b".into())), place(1, 0, 1, Source::Site("b".into()))],
            transitions: vec![Transition { step: enter, block: 0, outputs: vec![] }, call(1, 1, None)],
        };
        let mut engine: Engine<Nothing> = Engine::new(sync::Arc::new(net));
        start(&mut engine, 0);
        assert_eq!(engine.waiting(9), (vec![waits(0, frame(0), vec![0])], 0), "only the loop itself has begun");
        assert!(engine.deposit(0, &frame(0), Some(Token::Count(3))));
        assert!(engine.deposit(1, &frame(0).child(1), Some(Token::Value(Nothing))));
        let expected = [0, 2].map(|index| waits(1, frame(0).child(index), vec![1])).to_vec();
        assert_eq!(engine.waiting(9), (expected, 0));
        assert!(matches!(engine.next_action(), Some(Action::Call { transition: 1, .. })));
    }
}
