//! How does one site's net move from marking to marking?
//!
//! Invariants, upheld here and checked over random nets and orders of events in `tests/properties.rs`:
//! 1. In every started frame each transition fires exactly once.
//! 2. A place takes one token a frame; a second one is refused, never merged.
//! 3. A token meets only tokens of its own frame.
//! 4. A token that an error has reached moves on like any other, so every job ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync;

use crate::{Carry, Failure, Frame, Net, Outcome, PlaceId, Source, Step, Token, TransitionId, Value};

/// What the host has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<V> {
    /// Run the transition's operation, then tell [`Engine::complete`].
    Call {
        /// The transition that fired.
        transition: TransitionId,
        /// Its frame.
        frame: Frame,
        /// One value for each input; `None` where an input is only a signal.
        inputs: Vec<Option<V>>,
    },
    /// Hand the token to the application.
    Yield {
        /// The transition that fired.
        transition: TransitionId,
        /// Its frame.
        frame: Frame,
        /// What arrived.
        token: Token<V>,
    },
    /// Hand one item of a stream to the application.
    Item {
        /// The `Yield` it goes through.
        transition: TransitionId,
        /// The stream's frame.
        frame: Frame,
        /// The item.
        value: V,
    },
    /// Carry an item to another site and [`Engine::deposit_item`] it there.
    SendItem {
        /// That site.
        site: String,
        /// The place in that site's net.
        place: PlaceId,
        /// The stream's frame.
        frame: Frame,
        /// The item.
        value: V,
    },
    /// Carry the token to another site and [`Engine::deposit`] it there.
    Send {
        /// That site.
        site: String,
        /// The place in that site's net.
        place: PlaceId,
        /// The token's frame.
        frame: Frame,
        /// The token, `None` for a signal.
        token: Option<Token<V>>,
    },
    /// Tell the application of an error, once, where it arose.
    Report(sync::Arc<Failure>),
    /// Everything has fired in every frame there will be.
    Done,
}

/// A firing that still waits for some of its inputs.
struct Pending<V> {
    inputs: Vec<Option<Input<V>>>,
    missing: usize,
}

/// What an input holds: a token, or `None` inside for a signal.
type Input<V> = Option<Token<V>>;

/// The marking of one net, and the rules by which it changes.
pub struct Engine<V> {
    net: sync::Arc<Net>,
    slots: Vec<usize>,
    pending: HashMap<(TransitionId, Frame), Pending<V>>,
    running: HashSet<(TransitionId, Frame)>,
    fired: HashSet<(TransitionId, Frame)>,
    frames: HashSet<Frame>,
    lost: HashMap<String, sync::Arc<Failure>>,
    /// Errors that passed a transition and have not been put out yet.
    passing: VecDeque<(TransitionId, Frame, Vec<sync::Arc<Failure>>)>,
    finished: u64,
    expected: Option<u64>,
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
        Self {
            net,
            slots,
            pending: HashMap::new(),
            running: HashSet::new(),
            fired: HashSet::new(),
            frames: HashSet::new(),
            lost: HashMap::new(),
            passing: VecDeque::new(),
            finished: 0,
            expected: None,
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
        if !self.frames.insert(frame.clone()) {
            return;
        }
        let net = self.net.clone();
        for (place, kept) in net.places.iter().enumerate() {
            let input = match &kept.source {
                Source::Start => None,
                Source::Param(name) => match params.get(name) {
                    Some(value) => Some(Token::Value(value.clone())),
                    None => {
                        let failure = self.failure(kept.transition, frame, "MissingParameter", {
                            format!("no value was given for the parameter place '{name}'")
                        });
                        Some(Token::Error(vec![self.report(failure)]))
                    }
                },
                Source::Site(site) => match self.lost.get(site) {
                    Some(failure) => Some(Token::Error(vec![failure.clone()])),
                    None => continue,
                },
                Source::Here => continue,
            };
            self.fill(place as PlaceId, frame, input);
        }
        self.pass_errors();
    }

    /// Takes a token from another site. One that is there already, or is not the net's, is refused with `false`.
    pub fn deposit(&mut self, place: PlaceId, frame: &Frame, token: Option<Token<V>>) -> bool {
        let known = self.net.places.get(place as usize).is_some_and(|place| matches!(place.source, Source::Site(_)));
        let taken = known && self.fill(place, frame, token);
        self.pass_errors();
        taken
    }

    /// Takes an item from another site; one that comes after the stream's end is refused with `false`.
    pub fn deposit_item(&mut self, place: PlaceId, frame: &Frame, value: V) -> bool {
        let Some(kept) = self.net.places.get(place as usize) else { return false };
        let (transition, frame) = (kept.transition, frame.clone());
        if !matches!(kept.source, Source::Site(_)) || self.fired.contains(&(transition, frame.clone())) {
            return false;
        }
        self.actions.push_back(Action::Item { transition, frame, value });
        true
    }

    /// Takes one item of a running call's generator; one of a call that does not run is refused with `false`.
    pub fn item(&mut self, transition: TransitionId, frame: &Frame, value: &V) -> bool {
        if !self.running.contains(&(transition, frame.clone())) {
            return false;
        }
        let net = self.net.clone();
        for arc in net.transitions[transition as usize].outputs.iter().filter(|arc| arc.carry == Carry::Stream) {
            let (frame, value) = (frame.clone(), value.clone());
            self.actions.push_back(match &arc.site {
                Some(site) => Action::SendItem { site: site.clone(), place: arc.place, frame, value },
                None => {
                    let transition = net.places[arc.place as usize].transition;
                    Action::Item { transition, frame, value }
                }
            });
        }
        true
    }

    /// Whether the items of this transition's generator are also needed as a list.
    pub fn gathers(&self, transition: TransitionId) -> bool {
        let outputs = &self.net.transitions[transition as usize].outputs;
        outputs.iter().any(|arc| matches!(arc.carry, Carry::Value(_)))
    }

    /// Takes the result of a call. One that is not awaited, such as a late or repeated one, is refused with `false`.
    pub fn complete(&mut self, transition: TransitionId, frame: &Frame, outcome: Outcome<V>) -> bool {
        if !self.running.remove(&(transition, frame.clone())) {
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
        }
        self.pass_errors();
        true
    }

    /// Ends the input: `frames` frames were started in all.
    pub fn stop(&mut self, frames: u64) {
        self.expected = Some(frames * self.net.transitions.len() as u64);
        self.finish_if_done();
    }

    /// Puts an error in the place of every token that `site` still owes, now and in later frames. What had arrived
    /// before stays. The caller reports the loss; it is one error, however many sites notice it.
    pub fn lose(&mut self, site: &str, failure: Failure) {
        let failure = sync::Arc::new(failure);
        self.lost.insert(site.to_owned(), failure.clone());
        let net = self.net.clone();
        let mut frames: Vec<Frame> = self.frames.iter().cloned().collect();
        frames.sort();
        for frame in frames {
            for (place, kept) in net.places.iter().enumerate() {
                if matches!(&kept.source, Source::Site(from) if from == site) {
                    self.fill(place as PlaceId, &frame, Some(Token::Error(vec![failure.clone()])));
                }
            }
        }
        self.pass_errors();
    }

    /// Puts out what errors have reached, one transition after the other: a chain may be longer than any stack.
    fn pass_errors(&mut self) {
        while let Some((transition, frame, errors)) = self.passing.pop_front() {
            self.put_out(transition, &frame, &Token::Error(errors), false);
        }
    }

    /// Fills a place for a frame, and fires its transition when that was the last input missing.
    fn fill(&mut self, place: PlaceId, frame: &Frame, input: Input<V>) -> bool {
        let kept = &self.net.places[place as usize];
        let (transition, slot) = (kept.transition, kept.slot as usize);
        let key = (transition, frame.clone());
        if self.fired.contains(&key) {
            return false;
        }
        let slots = self.slots[transition as usize];
        let pending = self
            .pending
            .entry(key.clone())
            .or_insert_with(|| Pending { inputs: (0..slots).map(|_| None).collect(), missing: slots });
        if pending.inputs[slot].is_some() {
            return false;
        }
        pending.inputs[slot] = Some(input);
        pending.missing -= 1;
        if pending.missing == 0 {
            let inputs = self.pending.remove(&key).expect("it was just filled").inputs;
            self.fired.insert(key);
            self.fire(transition, frame, inputs.into_iter().map(|input| input.expect("none is missing")).collect());
        }
        true
    }

    fn fire(&mut self, transition: TransitionId, frame: &Frame, inputs: Vec<Input<V>>) {
        let mut errors: Vec<sync::Arc<Failure>> = Vec::new();
        for input in &inputs {
            if let Some(Token::Error(more)) = input {
                for error in more {
                    if !errors.contains(error) {
                        errors.push(error.clone());
                    }
                }
            }
        }
        let net = self.net.clone();
        match &net.transitions[transition as usize].step {
            Step::Yield { .. } => {
                let value = inputs.into_iter().flatten().next();
                let token = if errors.is_empty() { value } else { Some(Token::Error(errors)) };
                if let Some(token) = token {
                    self.actions.push_back(Action::Yield { transition, frame: frame.clone(), token });
                }
                self.finished += 1;
                self.finish_if_done();
            }
            Step::Call { .. } if !errors.is_empty() => self.passing.push_back((transition, frame.clone(), errors)),
            Step::Call { .. } => {
                let value = |input| match input {
                    Some(Token::Value(value)) => Some(value),
                    _ => None,
                };
                let inputs = inputs.into_iter().map(value).collect();
                self.running.insert((transition, frame.clone()));
                self.actions.push_back(Action::Call { transition, frame: frame.clone(), inputs });
            }
        }
    }

    /// Moves a result along every arc that leaves the transition. After a stream's items only its end follows them.
    fn put_out(&mut self, transition: TransitionId, frame: &Frame, token: &Token<V>, streamed: bool) {
        let net = self.net.clone();
        for arc in &net.transitions[transition as usize].outputs {
            let carried = match (&arc.carry, token) {
                (Carry::Value(path), Token::Value(value)) if !path.is_empty() => match value.select(path) {
                    Ok(part) => Some(Token::Value(part)),
                    Err(message) => {
                        let failure = self.failure(transition, frame, "SelectError", message);
                        Some(Token::Error(vec![self.report(failure)]))
                    }
                },
                (Carry::Signal, Token::Value(_) | Token::End) => None,
                (Carry::Stream, Token::Value(_)) if streamed => Some(Token::End),
                (_, token) => Some(token.clone()),
            };
            match &arc.site {
                None => {
                    self.fill(arc.place, frame, carried);
                }
                Some(site) => self.actions.push_back(Action::Send {
                    site: site.clone(),
                    place: arc.place,
                    frame: frame.clone(),
                    token: carried,
                }),
            }
        }
        self.finished += 1;
        self.finish_if_done();
    }

    fn failure(&self, transition: TransitionId, frame: &Frame, kind: &str, message: String) -> Failure {
        let (Step::Call { node, .. } | Step::Yield { node, .. }) = &self.net.transitions[transition as usize].step;
        Failure {
            site: self.net.site.clone(),
            node: Some(node.clone()),
            frame: Some(frame.clone()),
            operation: match &self.net.transitions[transition as usize].step {
                Step::Call { operation, .. } => Some(operation.clone()),
                Step::Yield { .. } => None,
            },
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
        if self.expected == Some(self.finished) && !self.done {
            self.done = true;
            self.actions.push_back(Action::Done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arc, NodeId, Place, Selector, Transition};

    #[derive(Clone, Debug, PartialEq)]
    struct Nothing;

    impl Value for Nothing {
        fn select(&self, _: &[Selector]) -> Result<Self, String> {
            Ok(Self)
        }
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
            },
            outputs: (at + 1 < length)
                .then(|| Arc { site: None, place: at + 1, carry: Carry::Value(vec![]) })
                .into_iter()
                .collect(),
        };
        let source = |at| if at == 0 { Source::Start } else { Source::Here };
        let net = Net {
            site: "a".into(),
            places: (0..length).map(|at| Place { transition: at, slot: 0, source: source(at) }).collect(),
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
