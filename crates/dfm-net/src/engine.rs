//! How does one site's net move from marking to marking?
//!
//! Invariants, upheld here and checked over random nets and orders of events in `tests/properties.rs`:
//! 1. In every frame in which a block is entered each of its transitions fires exactly once.
//! 2. A place takes one token a frame; a second one is refused, never merged.
//! 3. A token meets only tokens of its own frame, and of the frames that this is nested in.
//! 4. A token that an error has reached moves on like any other, so every job ends.
//! 5. Of a parameter set that has ended nothing is held but that it has, and whatever comes for it is refused.

mod action;
mod carry;
mod condition;
mod enter;
mod fill;
mod firing;
mod set;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync;

pub use action::Action;
pub use firing::{Move, State};
pub use waiting::WaitingFiring;

use crate::blocks::Blocks;
use crate::{Carry, Failure, Frame, Net, Outcome, PlaceId, Source, Step, Token, TransitionId, Value};
use set::{Set, Sets};

/// What an input holds: a token, or `None` inside for a signal.
type Input<V> = Option<Token<V>>;

/// How far a net is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Calls of operations in the blocks that were entered so far.
    pub known: u64,
    /// Those of them that are over, made or, as an error had come, not.
    pub done: u64,
    /// Elements and rounds of loops that have begun.
    pub elements: u64,
}

/// The marking of one net, and the rules by which it changes.
pub struct Engine<V> {
    net: sync::Arc<Net>,
    blocks: Blocks,
    /// Transition → how many inputs it has.
    slots: Vec<usize>,
    params: Vec<PlaceId>,
    sets: Sets<V>,
    lost: HashMap<String, sync::Arc<Failure>>,
    /// Firings that need nothing of the host, not carried out yet: a chain of them may be longer than any stack.
    due: VecDeque<(TransitionId, Frame, Vec<Input<V>>)>,
    finished: u64,
    /// How many firings the blocks entered so far have.
    inner: u64,
    steps: Steps,
    stopped: Option<u64>,
    done: bool,
    actions: VecDeque<Action<V>>,
}

impl<V: Value> Engine<V> {
    /// An empty marking of `net`.
    pub fn new(net: sync::Arc<Net>) -> Self {
        let mut slots = vec![0; net.transitions.len()];
        for place in &net.places {
            slots[place.transition as usize] += 1;
        }
        let params = |place: &PlaceId| matches!(net.places[*place as usize].source, Source::Param(_));
        let blocks = Blocks::new(&net);
        Self {
            params: (0..net.places.len() as PlaceId).filter(params).collect(),
            sets: Sets::new(blocks.blocks.len(), blocks.blocks[0].transitions.len() as u64),
            blocks,
            net,
            slots,
            lost: HashMap::new(),
            due: VecDeque::new(),
            finished: 0,
            inner: 0,
            steps: Steps::default(),
            stopped: None,
            done: false,
            actions: VecDeque::new(),
        }
    }

    /// The net it runs.
    pub fn net(&self) -> &sync::Arc<Net> {
        &self.net
    }

    /// The next thing to do, in the order it became due.
    pub fn next_action(&mut self) -> Option<Action<V>> {
        self.actions.pop_front()
    }

    /// Starts a frame with the parameters this site needs. A frame that has started already stays as it is.
    pub fn start(&mut self, frame: &Frame, params: &HashMap<String, V>) {
        self.start_without(frame, params, &HashMap::new());
    }

    /// As [`Engine::start`], where some parameters could not come here, which has been reported.
    pub fn start_without(
        &mut self,
        frame: &Frame,
        params: &HashMap<String, V>,
        lost: &HashMap<String, sync::Arc<Failure>>,
    ) {
        let Some(set) = self.sets.of(frame) else { return };
        if set.entered[0].contains(frame) {
            return;
        }
        let net = self.net.clone();
        for place in self.params.clone() {
            let declared = &net.places[place as usize];
            let Source::Param(name) = &declared.source else { continue };
            let token = match (params.get(name), lost.get(name)) {
                (Some(value), _) => Token::Value(value.clone()),
                (None, Some(failure)) => Token::Error(vec![failure.clone()]),
                (None, None) => {
                    let why = "none was given, or the application ended before it was sent here";
                    let message = format!("there is no value for the parameter place '{name}': {why}");
                    let failure = self.failure(declared.transition, frame, "MissingParameter", message);
                    Token::Error(vec![self.report(failure)])
                }
            };
            self.put(place, frame, Some(token));
        }
        self.enter(0, frame);
        self.settle();
    }

    /// Takes a token from another site. One that is there already, or is not the net's, is refused with `false`.
    pub fn deposit(&mut self, place: PlaceId, frame: &Frame, token: Option<Token<V>>) -> bool {
        let known = self.net.places.get(place as usize).is_some_and(|place| {
            let levels = self.blocks.blocks[place.block as usize].levels;
            matches!(place.source, Source::Site(_)) && frame.levels().len() <= levels
        });
        let taken = known && self.put(place, frame, token);
        self.settle();
        taken
    }

    /// Takes an item from another site; one that comes after the stream's end is refused with `false`.
    pub fn deposit_item(&mut self, place: PlaceId, frame: &Frame, value: V) -> bool {
        let Some(declared) = self.net.places.get(place as usize) else { return false };
        let (transition, frame) = (declared.transition, frame.clone());
        let full = self.sets.live(&frame).is_some_and(|set| set.is_full(transition, &frame));
        if !matches!(declared.source, Source::Site(_)) || full || self.sets.has_ended(&frame) {
            return false;
        }
        self.actions.push_back(Action::Item { transition, frame, value });
        true
    }

    /// Takes one item of a running call's generator; one of a call that does not run is refused with `false`.
    pub fn item(&mut self, transition: TransitionId, frame: &Frame, value: &V) -> bool {
        let firing = self.sets.live(frame).and_then(|set| set.firings.get(&(transition, frame.clone())));
        if !firing.is_some_and(|firing| firing.state() == State::Running) {
            return false;
        }
        let net = self.net.clone();
        for arc in net.transitions[transition as usize].outputs.iter().filter(|arc| arc.streams()) {
            let (frame, value) = (frame.clone(), value.clone());
            self.actions.push_back(match &arc.site {
                Some(site) => Action::SendItem { site: site.clone(), place: arc.place, frame, value },
                None => {
                    let transition = net.places[arc.place as usize].transition;
                    if let Step::Split { .. } = net.transitions[transition as usize].step {
                        self.part_item(transition, &frame, value);
                        continue;
                    }
                    Action::Item { transition, frame, value }
                }
            });
        }
        self.settle();
        true
    }

    /// Whether the items of this transition's generator are also needed as a list.
    pub fn gathers(&self, transition: TransitionId) -> bool {
        let outputs = &self.net.transitions[transition as usize].outputs;
        outputs.iter().any(|arc| matches!(arc.carry, Carry::Value(_)))
    }

    /// Takes the result of a call. One that is not awaited, such as a late or repeated one, is refused with `false`.
    pub fn complete(&mut self, transition: TransitionId, frame: &Frame, outcome: Outcome<V>) -> bool {
        if !self.sets.make(transition, frame, Move::Complete) {
            return false;
        }
        match outcome {
            Outcome::Value(value) => self.put_out(transition, frame, &Token::Value(value), false),
            Outcome::Streamed(list) => {
                let token = list.map_or(Token::End, Token::Value);
                self.put_out(transition, frame, &token, true);
            }
            Outcome::Failed(failure) => {
                let token = Token::Error(vec![self.report(failure)]);
                self.put_out(transition, frame, &token, false);
            }
            Outcome::Found(value) => self.put_out_looked_up(transition, frame, &Ok(value)),
            Outcome::NotFound(key) => self.put_out_looked_up(transition, frame, &Err(key)),
        }
        self.settle();
        true
    }

    /// Ends the input: `frames` frames were started in all.
    pub fn stop(&mut self, frames: u64) {
        self.stopped = Some(frames.saturating_mul(self.blocks.blocks[0].transitions.len() as u64));
        self.finish_if_done();
    }

    /// Puts an error in the place of every token that `site` still owes, now and in later frames. What had arrived
    /// before stays. The caller reports the loss; it is one error, however many sites notice it.
    pub fn lose(&mut self, site: &str, failure: Failure) {
        let failure = sync::Arc::new(failure);
        self.lost.insert(site.to_owned(), failure.clone());
        let net = self.net.clone();
        let from_there =
            |place: &PlaceId| matches!(&net.places[*place as usize].source, Source::Site(from) if from == site);
        for block in 0..self.blocks.blocks.len() {
            let owed: Vec<PlaceId> = self.blocks.blocks[block].owed.iter().copied().filter(from_there).collect();
            if owed.is_empty() {
                continue;
            }
            let frames: Vec<Frame> = self.sets.all().flat_map(|set| set.entered[block].iter()).cloned().collect();
            for frame in frames {
                for place in &owed {
                    self.put(*place, &frame, Some(Token::Error(vec![failure.clone()])));
                }
            }
        }
        self.settle();
    }

    /// Whether a parameter set has been started here, or has ended without that.
    pub fn has_started(&self, frame: &Frame) -> bool {
        let entered = |set: &Set<V>| set.entered[0].contains(&frame.prefix(1));
        self.sets.has_ended(frame) || self.sets.live(frame).is_some_and(entered)
    }

    /// How many parameter sets are held here: something has come for them, and they have not ended.
    pub fn live(&self) -> usize {
        self.sets.count()
    }

    /// How far it is.
    pub fn steps(&self) -> Steps {
        self.steps
    }

    /// How often a declared move of a firing was made.
    pub fn moves(&self, made: Move) -> u64 {
        self.sets.moves.of(made)
    }

    /// Counts a firing. With the last one of a parameter set, everything of that is dropped.
    fn finish(&mut self, transition: TransitionId, frame: &Frame) {
        self.finished += 1;
        let declared = &self.net.transitions[transition as usize];
        self.steps.done += u64::from(declared.step.operation().is_some());
        self.count_in_elements(declared.block, frame, |left| left.saturating_sub(1));
        self.sets.finish(frame);
        self.finish_if_done();
    }

    fn failure(&self, transition: TransitionId, frame: &Frame, kind: &str, message: String) -> Failure {
        let step = &self.net.transitions[transition as usize].step;
        Failure {
            site: self.net.site.clone(),
            node: Some(step.node().clone()),
            frame: Some(frame.clone()),
            operation: step.operation().map(str::to_owned),
            kind: kind.to_owned(),
            message,
            stack_trace: String::new(),
        }
    }

    fn report(&mut self, failure: Failure) -> sync::Arc<Failure> {
        let failure = sync::Arc::new(failure);
        self.actions.push_back(Action::Report(failure.clone()));
        failure
    }

    fn finish_if_done(&mut self) {
        if self.stopped.is_some_and(|body| body.saturating_add(self.inner) == self.finished) && !self.done {
            self.done = true;
            self.actions.push_back(Action::Done);
        }
    }
}

/// The index of a frame's parameter set.
fn root(frame: &Frame) -> u32 {
    frame.levels()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arc, Block, Comparison, Form, Limits, NodeId, OnError, Place, Selector, Transition, Wrong};

    /// A value of no content.
    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Nothing;

    impl Value for Nothing {
        fn select(&self, _: &[Selector]) -> Result<Self, Wrong> {
            Ok(Self)
        }

        fn elements(&self) -> Result<Vec<Self>, Wrong> {
            Ok(vec![])
        }

        fn failed(_: &[sync::Arc<Failure>]) -> Result<Self, Wrong> {
            Err(Wrong::new("MemoryError", "it cannot be told"))
        }

        fn build(_: &Form, _: Vec<Self>) -> Result<Self, Wrong> {
            Ok(Self)
        }

        fn literal(_: &serde_json::Value) -> Result<Self, Wrong> {
            Ok(Self)
        }

        fn compare(&self, _: Comparison, _: &Self) -> Result<bool, Wrong> {
            Ok(true)
        }

        fn truth(&self) -> Result<bool, Wrong> {
            Ok(true)
        }
    }

    #[test]
    fn what_cannot_stand_for_an_error_in_a_collection_is_an_error_and_no_part_of_it() {
        let node = NodeId::Number(0);
        let from_east = |transition, block| Place { transition, slot: 0, block, source: Source::Site("east".into()) };
        let home = Arc { site: Some("home".into()), place: 0, carry: Carry::Value(vec![]), inward: false };
        let collect = Step::Collect { node: node.clone(), errors: OnError::Keep };
        let net = Net {
            site: "west".into(),
            blocks: vec![Block::body(), Block { parent: Some(0), each: true }],
            places: vec![from_east(0, 0), from_east(1, 1)],
            transitions: vec![
                Transition { step: Step::Enter { node, block: 1 }, block: 0, outputs: vec![] },
                Transition { step: collect, block: 0, outputs: vec![home] },
            ],
        };
        assert_eq!(net.problem(), None);
        let mut engine: Engine<Nothing> = Engine::new(net.into());
        let frame = Frame::of_param_set(0);
        engine.start(&frame, &HashMap::new());
        assert!(engine.deposit(0, &frame, Some(Token::Count(1))));
        let lost = engine.failure(1, &frame, "ValueError", "no".into());
        assert!(engine.deposit(1, &frame.child(0), Some(Token::Error(vec![lost.into()]))));
        let sent = std::iter::from_fn(|| engine.next_action()).find_map(|action| match action {
            Action::Send { token: Some(Token::Error(errors)), .. } => Some(errors[0].message.clone()),
            _ => None,
        });
        assert_eq!(sent.as_deref(), Some("it cannot be told"));
    }

    #[test]
    fn an_error_passes_a_chain_that_is_longer_than_the_stack_is_deep() {
        let length = 100_000;
        let transition = |at: u32| Transition {
            step: Step::Call {
                node: NodeId::Number(at.into()),
                operation: "a.B".into(),
                provider: None,
                arguments: vec![],
                limits: Limits::default(),
            },
            block: 0,
            outputs: (at + 1 < length)
                .then(|| Arc { site: None, place: at + 1, carry: Carry::Value(vec![]), inward: false })
                .into_iter()
                .collect(),
        };
        let source = |at| if at == 0 { Source::Start } else { Source::Here };
        let net = Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: (0..length).map(|at| Place { transition: at, slot: 0, block: 0, source: source(at) }).collect(),
            transitions: (0..length).map(transition).collect(),
        };
        let mut engine: Engine<Nothing> = Engine::new(sync::Arc::new(net));
        let frame = Frame::of_param_set(0);
        engine.start(&frame, &HashMap::new());
        engine.stop(1);
        let failure = engine.failure(0, &frame, "ValueError", "no".into());
        assert!(engine.complete(0, &frame, Outcome::Failed(failure)));
        let last = std::iter::from_fn(|| engine.next_action()).last();
        assert_eq!(last, Some(Action::Done));
    }
}
