//! What does a step that the engine carries out itself read of its inputs?

use std::sync;

use crate::{Condition, Failure, Token, Value, Wrong};

use super::Input;

pub(super) fn value_of<V>(input: Input<V>) -> Option<V> {
    match input {
        Some(Token::Value(value)) => Some(value),
        _ => None,
    }
}

/// The errors of all inputs, each once.
pub(super) fn errors_of<V>(inputs: &[Input<V>]) -> Vec<sync::Arc<Failure>> {
    let mut errors = vec![];
    for input in inputs {
        if let Some(Token::Error(more)) = input {
            add_new(&mut errors, more);
        }
    }
    errors
}

pub(super) fn add_new(errors: &mut Vec<sync::Arc<Failure>>, more: &[sync::Arc<Failure>]) {
    for error in more {
        if !errors.contains(error) {
            errors.push(error.clone());
        }
    }
}

pub(super) fn holds<V: Value>(condition: &Condition, inputs: &[Option<V>]) -> Result<bool, Wrong> {
    match condition {
        Condition::And(all) => {
            for one in all {
                if !holds(one, inputs)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(all) => {
            for one in all {
                if holds(one, inputs)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Not(one) => Ok(!holds(one, inputs)?),
        Condition::Compare(comparison, left, right) => left.value(inputs)?.compare(*comparison, &right.value(inputs)?),
        Condition::Truth(one) => one.value(inputs)?.truth(),
    }
}
