//! What does an engine ask of its host?

use std::sync;

use crate::{Failure, Frame, PlaceId, Token, TransitionId};

/// What the host has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<V> {
    /// Run the transition's operation, or use the cache for it, then tell [`crate::Engine::complete`].
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
    /// Carry an item to another site and [`crate::Engine::deposit_item`] it there.
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
    /// Carry the token to another site and [`crate::Engine::deposit`] it there.
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
    /// Tell the sender of a sequence that goes on how many of its elements are done here.
    Consumed {
        /// The place here that takes its elements.
        place: PlaceId,
        /// The sequence's frame.
        frame: Frame,
        /// How many in all.
        count: u64,
    },
    /// Tell the application of an error, once, where it arose.
    Report(sync::Arc<Failure>),
    /// Everything has fired in every frame there will be.
    Done,
}
