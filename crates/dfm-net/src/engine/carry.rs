//! How does what a transition has come to get to the places that it is for?

use std::sync;

use super::condition::{errors_of, holds, value_of};
use super::firing::Move;
use super::{Action, Engine, Input};
use crate::hostile::MOST_ELEMENTS;
use crate::{Arc, Carry, Failure, Form, Frame, Step, Token, TransitionId, Value, Wrong};

impl<V: Value> Engine<V> {
    /// Carries out the firings that need nothing of the host, one after the other.
    pub(super) fn settle(&mut self) {
        let net = self.net.clone();
        while let Some((transition, frame, inputs)) = self.due.pop_front() {
            self.sets.make(transition, &frame, Move::CarryOut);
            let errors = errors_of(&inputs);
            let step = &net.transitions[transition as usize].step;
            if let Step::Enter { block, .. } = step {
                if !errors.is_empty() && self.waits_in_vain(transition, &frame) {
                    self.bar_others(*block, &frame, &errors);
                }
                self.enter_all(*block, &frame, inputs.into_iter().flatten().next(), errors);
                self.finish(transition, &frame);
                continue;
            }
            if let Step::Gather { .. } = step {
                let token = self.gathered(transition, &frame, inputs);
                self.put_out(transition, &frame, &token, false);
                continue;
            }
            if let Step::Again { .. } = step {
                self.end_round(transition, &frame, inputs, errors);
                continue;
            }
            let set = self.sets.live_mut(&frame);
            let parted = set.and_then(|set| set.parted.remove(&(transition, frame.clone()))).unwrap_or_default();
            if !errors.is_empty() {
                self.put_out(transition, &frame, &Token::Error(errors), false);
                continue;
            }
            let ended = inputs.iter().any(|input| matches!(input, Some(Token::End)));
            let inputs: Vec<Option<V>> = inputs.into_iter().map(value_of).collect();
            let done = match step {
                Step::Split { .. } if ended => {
                    self.put_out(transition, &frame, &Token::Count(parted), false);
                    Ok(())
                }
                Step::Split { sequence, .. } => match sequence.value(&inputs).and_then(|all| all.elements()) {
                    Ok(elements) if elements.len() > MOST_ELEMENTS as usize => {
                        let message = format!("a loop goes through at most {MOST_ELEMENTS} elements of one sequence");
                        Err(Wrong::new("LimitError", message))
                    }
                    Ok(elements) => {
                        self.part(transition, &frame, &elements);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Step::Repeat { start, .. } => match start.value(&inputs) {
                    Ok(value) => {
                        self.part_item(transition, &frame, value);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Step::Decide { condition, .. } => match holds(condition, &inputs) {
                    Ok(holds) => {
                        self.put_out(transition, &frame, &Token::Count(u32::from(holds)), false);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                _ => {
                    if let Some(value) = inputs.into_iter().flatten().next() {
                        self.put_out(transition, &frame, &Token::Value(value), false);
                    }
                    Ok(())
                }
            };
            if let Err(Wrong { kind, message }) = done {
                let failure = self.failure(transition, &frame, &kind, message);
                let errors = vec![self.report(failure)];
                self.put_out(transition, &frame, &Token::Error(errors), false);
            }
        }
    }

    /// Ends a round: the next one begins, or what waits for the last one gets what it came to. What began the rounds is
    /// over with them, so until then its parameter set is not.
    fn end_round(
        &mut self,
        transition: TransitionId,
        frame: &Frame,
        inputs: Vec<Input<V>>,
        errors: Vec<sync::Arc<Failure>>,
    ) {
        let net = self.net.clone();
        let declared = &net.transitions[transition as usize];
        let Step::Again { repeat, next, until, at_most, .. } = &declared.step else { return };
        let (Some(around), Some(index)) = (frame.parent(), frame.levels().last()) else { return };
        let rounds = index.saturating_add(1);
        let inputs: Vec<Option<V>> = inputs.into_iter().map(value_of).collect();
        let decide = || {
            let value = next.value(&inputs)?;
            let last = match until {
                Some(condition) => holds(condition, &inputs)?,
                None => false,
            };
            if !last && rounds < *at_most {
                return Ok((value, false));
            }
            let rounds = V::literal(&rounds.into())?;
            Ok((V::build(&Form::Tuple, vec![value, rounds])?, true))
        };
        let decided = if errors.is_empty() {
            decide().map_err(|Wrong { kind, message }| {
                let failure = self.failure(transition, frame, &kind, message);
                vec![self.report(failure)]
            })
        } else {
            Err(errors)
        };
        match decided {
            Ok((value, false)) => {
                for arc in &declared.outputs {
                    self.move_along(arc, frame, None);
                }
                self.finish(transition, frame);
                self.part_item(*repeat, &around, value);
                return;
            }
            Ok((value, true)) => self.put_out(transition, frame, &Token::Value(value), false),
            Err(errors) => self.put_out(transition, frame, &Token::Error(errors), false),
        }
        self.put_out(*repeat, &around, &Token::Count(rounds), false);
    }

    /// Puts out one item of a sequence that goes on.
    pub(super) fn part_item(&mut self, transition: TransitionId, frame: &Frame, value: V) {
        let net = self.net.clone();
        let Some(set) = self.sets.of(frame) else { return };
        let parted = set.parted.entry((transition, frame.clone())).or_default();
        let (index, inner) = (*parted, frame.child(*parted));
        *parted += 1;
        let token = Token::Value(value);
        for arc in &net.transitions[transition as usize].outputs {
            if let Carry::Count(_) = arc.carry {
                self.move_along(arc, frame, Some(Token::Next(index)));
            } else {
                let carried = self.carried(transition, &inner, arc, &token, false);
                self.move_along(arc, &inner, carried);
            }
        }
    }

    /// Puts out a sequence: how many elements it has, then each of them in its own frame.
    fn part(&mut self, transition: TransitionId, frame: &Frame, elements: &[V]) {
        let net = self.net.clone();
        let (counts, items): (Vec<&Arc>, Vec<&Arc>) =
            net.transitions[transition as usize].outputs.iter().partition(|arc| matches!(arc.carry, Carry::Count(_)));
        for arc in counts {
            self.move_along(arc, frame, Some(Token::Count(elements.len() as u32)));
        }
        for (index, element) in elements.iter().enumerate() {
            let inner = frame.child(index as u32);
            for arc in &items {
                let carried = self.carried(transition, &inner, arc, &Token::Value(element.clone()), false);
                self.move_along(arc, &inner, carried);
            }
        }
        self.finish(transition, frame);
    }

    /// Puts out what a cache has, or the key that it has no value under.
    pub(super) fn put_out_looked_up(&mut self, transition: TransitionId, frame: &Frame, found: &Result<V, V>) {
        let net = self.net.clone();
        for arc in &net.transitions[transition as usize].outputs {
            let token = match (&arc.carry, found) {
                (Carry::Count(when), found) => Some(Token::Count(u32::from(*when == found.is_err()))),
                (Carry::Value(_), Ok(value)) | (Carry::Key, Err(value)) => Some(Token::Value(value.clone())),
                _ => None,
            };
            self.move_along(arc, frame, token);
        }
        self.finish(transition, frame);
    }

    /// Moves a result along every arc that leaves the transition. After a stream's items only its end follows them.
    pub(super) fn put_out(&mut self, transition: TransitionId, frame: &Frame, token: &Token<V>, streamed: bool) {
        let net = self.net.clone();
        let declared = &net.transitions[transition as usize];
        let splits = declared.step.parts();
        for arc in &declared.outputs {
            // A split that failed has no elements; whoever enters its block learns why.
            if !splits || matches!(arc.carry, Carry::Count(_)) {
                let carried = self.carried(transition, frame, arc, token, streamed);
                self.move_along(arc, frame, carried);
            }
        }
        self.finish(transition, frame);
    }

    fn carried(
        &mut self,
        transition: TransitionId,
        frame: &Frame,
        arc: &Arc,
        token: &Token<V>,
        streamed: bool,
    ) -> Input<V> {
        let splits = self.net.transitions[transition as usize].step.parts();
        match (&arc.carry, token) {
            (Carry::Value(path), Token::Value(value)) if !path.is_empty() => match value.select(path) {
                Ok(part) => Some(Token::Value(part)),
                Err(Wrong { kind, message }) => {
                    let failure = self.failure(transition, frame, &kind, message);
                    Some(match arc.inward {
                        true => Token::Missing(sync::Arc::new(failure)),
                        false => Token::Error(vec![self.report(failure)]),
                    })
                }
            },
            (Carry::Signal, Token::Value(_) | Token::End) => None,
            (Carry::Stream(_), Token::Value(_)) if streamed => Some(Token::End),
            (Carry::Count(_), Token::Count(elements)) if splits => Some(Token::Count(*elements)),
            (Carry::Count(when), Token::Count(came_out)) => Some(Token::Count(u32::from(*when == (*came_out == 1)))),
            (_, token) => Some(token.clone()),
        }
    }

    fn move_along(&mut self, arc: &Arc, frame: &Frame, token: Input<V>) {
        match &arc.site {
            None => {
                self.put(arc.place, frame, token);
            }
            Some(site) => {
                let (site, frame) = (site.clone(), frame.clone());
                self.actions.push_back(Action::Send { site, place: arc.place, frame, token });
            }
        }
    }
}
