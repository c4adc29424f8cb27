//! How does a token get into its place, and what fires with the last one?

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync;

use super::condition::{add_new, errors_of, value_of};
use super::firing::{Firing, Move};
use super::set::Gathered;
use super::{Action, Engine, Input};
use crate::blocks::PlaceKind;
use crate::{Argument, Failure, Form, Frame, OnError, PlaceId, Step, Token, TransitionId, Value, Wrong};

impl<V: Value> Engine<V> {
    /// Puts a token into a place.
    pub(super) fn put(&mut self, place: PlaceId, frame: &Frame, input: Input<V>) -> bool {
        if let Some(Token::Next(index)) = input {
            return self.enter_next(place, frame, index);
        }
        let declared = &self.net.places[place as usize];
        let (transition, slot) = (declared.transition, declared.slot as usize);
        if frame.levels().len() < self.blocks.blocks[declared.block as usize].levels {
            return self.bar(place, frame, input);
        }
        match self.blocks.kinds[place as usize] {
            PlaceKind::Plain | PlaceKind::Join => self.fill(transition, slot, frame, input),
            PlaceKind::Gather => self.gather(place, frame, input),
            PlaceKind::Outer => {
                let Some(set) = self.sets.of(frame) else { return false };
                let key = (place, frame.clone());
                match set.kept.entry(key.clone()) {
                    Entry::Occupied(_) => return false,
                    Entry::Vacant(vacant) => vacant.insert(input),
                };
                for inner in set.entered_under(self.net.transitions[transition as usize].block, frame) {
                    if let Some(input) = self.use_kept(&key) {
                        self.fill(transition, slot, &inner, input);
                    }
                }
                true
            }
        }
    }

    /// Takes an error for all frames nested in `frame`, entered now or later.
    fn bar(&mut self, place: PlaceId, frame: &Frame, input: Input<V>) -> bool {
        let Some(Token::Error(errors)) = input else { return false };
        let Some(set) = self.sets.of(frame) else { return false };
        let barred = set.barred.entry(place).or_default();
        if barred.insert(frame.clone(), errors.clone()).is_some() {
            return false;
        }
        for inner in set.entered_under(self.net.places[place as usize].block, frame) {
            self.put(place, &inner, Some(Token::Error(errors.clone())));
        }
        true
    }

    /// The errors that all frames around `frame` leave for a place.
    pub(super) fn barred_in(&self, place: PlaceId, frame: &Frame) -> Option<Vec<sync::Arc<Failure>>> {
        let barred = self.sets.live(frame)?.barred.get(&place)?;
        (1..frame.levels().len()).find_map(|levels| barred.get(&frame.prefix(levels))).cloned()
    }

    /// A token that a block's frames share. With its first use, a missing part becomes an error.
    pub(super) fn use_kept(&mut self, key: &(PlaceId, Frame)) -> Option<Input<V>> {
        let input = self.sets.live_mut(&key.1)?.kept.get_mut(key)?;
        if let Some(Token::Missing(failure)) = input {
            let failure = failure.clone();
            *input = Some(Token::Error(vec![failure.clone()]));
            self.actions.push_back(Action::Report(failure));
        }
        Some(input.clone())
    }

    /// Fills an input in a frame, and fires its transition when that was the last one missing. In a block, one input
    /// more than the net's own tells that the block was entered.
    pub(super) fn fill(&mut self, transition: TransitionId, slot: usize, frame: &Frame, input: Input<V>) -> bool {
        let declared = &self.net.transitions[transition as usize];
        let own = self.slots[transition as usize];
        let slots = own + usize::from(declared.block > 0);
        let Some((set, moves)) = self.sets.of_with_moves(frame) else { return false };
        let begin = || Firing::begin(slots, moves);
        let firing = set.firings.entry((transition, frame.clone())).or_insert_with(begin);
        let Firing::Waiting { inputs, missing } = firing else { return false };
        if inputs[slot].is_some() {
            return false;
        }
        inputs[slot] = Some(input);
        *missing -= 1;
        if *missing > 0 {
            firing.make(Move::Fill, moves);
            return true;
        }
        let inputs: Vec<Input<V>> = std::mem::take(inputs).into_iter().take(own).flatten().collect();
        let made = when_full(&declared.step, &inputs);
        firing.make(made, moves);
        self.fire(transition, frame, inputs, made);
        true
    }

    /// Takes the token of one element; `None` if it has none.
    fn gather(&mut self, place: PlaceId, frame: &Frame, token: Option<Token<V>>) -> bool {
        let transition = self.net.places[place as usize].transition;
        let block = self.net.transitions[transition as usize].block as usize;
        let levels = self.blocks.blocks[block].levels;
        let outer = frame.prefix(levels);
        let gathered = self.gathered_in(place, &outer);
        let Some(gathered) = gathered else { return false };
        if gathered.tokens.contains_key(&frame.levels()[levels]) {
            return false;
        }
        gathered.tokens.insert(frame.levels()[levels], token);
        self.end_gathering(place, &outer);
        true
    }

    /// What a place has gathered in a frame; `None` if that is over.
    pub(super) fn gathered_in(&mut self, place: PlaceId, frame: &Frame) -> Option<&mut Gathered<V>> {
        let declared = &self.net.places[place as usize];
        let key = (declared.transition, frame.clone());
        let set = self.sets.of(frame)?;
        let filled = match set.firings.get(&key) {
            Some(Firing::Waiting { inputs, .. }) => inputs[declared.slot as usize].is_some(),
            Some(Firing::Running | Firing::Due | Firing::Fired) => true,
            None => false,
        };
        let empty = || Gathered { tokens: BTreeMap::new(), count: None };
        (!filled).then(|| set.gathered.entry((place, frame.clone())).or_insert_with(empty))
    }

    pub(super) fn end_gathering(&mut self, place: PlaceId, frame: &Frame) {
        let key = (place, frame.clone());
        let whole = |gathered: &Gathered<V>| gathered.count == u32::try_from(gathered.tokens.len()).ok();
        let Some(set) = self.sets.live_mut(frame) else { return };
        if !set.gathered.get(&key).is_some_and(whole) {
            return;
        }
        let Some(gathered) = set.gathered.remove(&key) else { return };
        let tokens = gathered.tokens.into_values().flatten();
        let declared = &self.net.places[place as usize];
        let (transition, slot) = (declared.transition, declared.slot as usize);
        let Step::Collect { errors: on_error, .. } = self.net.transitions[transition as usize].step else { return };
        let mut items: Vec<Result<V, Wrong>> = vec![];
        let mut failures = vec![];
        for token in tokens {
            match token {
                Token::Value(value) => items.push(Ok(value)),
                Token::Error(errors) if on_error == OnError::Keep => items.push(V::failed(&errors)),
                Token::Error(errors) if on_error == OnError::Fail => add_new(&mut failures, &errors),
                Token::Error(_) | Token::Missing(_) | Token::End | Token::Count(_) | Token::Next(_) => {}
            }
        }
        let token = if failures.is_empty() {
            let made = items.into_iter().collect::<Result<_, _>>().and_then(|items| V::build(&Form::List, items));
            self.token_of(transition, frame, made)
        } else {
            Token::Error(failures)
        };
        self.fill(transition, slot, frame, Some(token));
    }

    /// A value, or that there is none, which is told.
    pub(super) fn token_of(&mut self, transition: TransitionId, frame: &Frame, made: Result<V, Wrong>) -> Token<V> {
        match made {
            Ok(value) => Token::Value(value),
            Err(Wrong { kind, message }) => {
                let failure = self.failure(transition, frame, &kind, message);
                Token::Error(vec![self.report(failure)])
            }
        }
    }

    /// What the inputs of a `Gather`, one for each key, come to.
    pub(super) fn gathered(&mut self, transition: TransitionId, frame: &Frame, inputs: Vec<Input<V>>) -> Token<V> {
        let net = self.net.clone();
        let Step::Gather { keys, at_least, keep, missing, .. } = &net.transitions[transition as usize].step else {
            return Token::End;
        };
        let (mut parts, mut errors, mut absent, mut values) = (vec![], vec![], vec![], 0);
        let mut inputs = inputs.into_iter();
        for (key, input) in keys.iter().zip(inputs.by_ref()) {
            let key = V::literal(&serde_json::Value::String(key.clone()));
            let is_value = matches!(input, Some(Token::Value(_)));
            let value = match input {
                Some(Token::Value(value)) => {
                    values += 1;
                    Some(Ok(value))
                }
                Some(Token::Error(more)) => {
                    add_new(&mut errors, &more);
                    keep.then(|| V::failed(&more))
                }
                _ => None,
            };
            if !is_value {
                absent.push(key.clone());
            }
            parts.extend(value.map(|value| [key, value]).into_iter().flatten());
        }
        let before = errors_of(&inputs.collect::<Vec<_>>());
        let made = |form, parts: Vec<Result<V, Wrong>>| V::build(&form, parts.into_iter().collect::<Result<_, _>>()?);
        if !before.is_empty() {
            Token::Error(before)
        } else if *missing {
            self.token_of(transition, frame, made(Form::List, absent))
        } else if values >= *at_least {
            self.token_of(transition, frame, made(Form::Dict, parts))
        } else if !errors.is_empty() {
            Token::Error(errors)
        } else {
            let message = format!("{values} of {} sites have a value, and {at_least} are needed at least", keys.len());
            self.token_of(transition, frame, Err(Wrong::new("TooFewSites", message)))
        }
    }

    /// What the application gets of a `Yield`'s inputs.
    fn yielded(&mut self, transition: TransitionId, frame: &Frame, inputs: Vec<Input<V>>) -> Option<Token<V>> {
        let errors = errors_of(&inputs);
        if !errors.is_empty() {
            return Some(Token::Error(errors));
        }
        let net = self.net.clone();
        match &net.transitions[transition as usize].step {
            Step::Yield { value: Argument::Slot(slot), .. } => inputs.into_iter().nth(usize::from(*slot)).flatten(),
            Step::Yield { value, .. } => {
                let inputs: Vec<Option<V>> = inputs.into_iter().map(value_of).collect();
                Some(self.token_of(transition, frame, value.value(&inputs)))
            }
            _ => None,
        }
    }

    fn fire(&mut self, transition: TransitionId, frame: &Frame, inputs: Vec<Input<V>>, made: Move) {
        match made {
            Move::Yield => {
                if let Some(token) = self.yielded(transition, frame, inputs) {
                    self.actions.push_back(Action::Yield { transition, frame: frame.clone(), token });
                }
                self.finish(transition, frame);
            }
            Move::Call => {
                let inputs = inputs.into_iter().map(value_of).collect();
                self.actions.push_back(Action::Call { transition, frame: frame.clone(), inputs });
            }
            _ => self.due.push_back((transition, frame.clone(), inputs)),
        }
    }
}

/// What becomes of a step that has all its inputs.
fn when_full<V>(step: &Step, inputs: &[Input<V>]) -> Move {
    let fails = inputs.iter().any(|input| matches!(input, Some(Token::Error(_))));
    match step {
        Step::Yield { .. } => Move::Yield,
        Step::Call { .. } | Step::LookUp { .. } | Step::Store { .. } if !fails => Move::Call,
        _ => Move::Take,
    }
}
