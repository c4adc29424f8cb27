//! The Petri-net engine: places, transitions, tokens, marking and frames.
//!
//! A pipeline becomes one [`Net`] per site. [`Engine`] runs one of them as a pure state machine: events go in
//! (a frame starts, a token arrives, a call ends), [`Action`]s come out (call this, send that). It does no I/O, knows no
//! clock and no thread, so the same engine serves every target and can be tested over any order of events.

mod asked;
mod blocks;
mod engine;
mod frame;
mod hostile;
mod makers;
mod measured;
mod net;
mod noted;
mod sums;
mod token;
mod unsound;
mod whole;

pub use asked::{Asked, asked};
pub use engine::{Action, Engine, Move, State, Steps, WaitingFiring};
pub use frame::Frame;
pub use hostile::{Kind, MOST_ELEMENTS, MOST_LEVELS, MOST_ROUNDS};
pub use makers::Makers;
pub use measured::Measured;
pub use net::{
    Arc, Argument, Block, BlockId, Carry, Comparison, Condition, Form, Limits, Net, NodeId, OnError, Place, PlaceId,
    Selector, Source, Step, Transition, TransitionId,
};
pub use noted::{Counted, Counts, Line, Noted, Trace, is_time};
pub use sums::{SECURE_SUM, check_sums};
pub use token::{Failure, Outcome, Token, Value, Wrong};
pub use unsound::{Excess, Named, Refusal, Unlimited, Unsound};
pub use whole::{check_alone, check_whole};
