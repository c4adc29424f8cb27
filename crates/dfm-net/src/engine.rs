//! How does one site's net move from marking to marking?
//!
//! Invariants, upheld here and checked over random nets and orders of events in `tests/properties.rs`:
//! 1. In every frame in which a block is entered each of its transitions fires exactly once.
//! 2. A place takes one token a frame; a second one is refused, never merged.
//! 3. A token meets only tokens of its own frame, and of the frames that this is nested in.
//! 4. A token that an error has reached moves on like any other, so every job ends.

mod waiting;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync;

pub use waiting::Waiting;

use crate::blocks::{Blocks, Way};
use crate::hostile::MOST_ELEMENTS;
use crate::{
    Arc, Argument, BlockId, Carry, Condition, Failure, Frame, Net, OnError, Outcome, PlaceId, Source, Step, Token,
    TransitionId, Value,
};

/// What the host has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<V> {
    /// Run the transition's operation, or use the cache for it, then tell [`Engine::complete`].
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

/// So many elements of a sequence that goes on are told to be done at once.
const TOLD_AT_ONCE: u64 = 128;

/// A firing that still waits for some of its inputs.
struct Pending<V> {
    inputs: Vec<Option<Input<V>>>,
    missing: usize,
}

/// What an input holds: a token, or `None` inside for a signal.
type Input<V> = Option<Token<V>>;

/// Tokens by their place and frame.
type Kept<V> = HashMap<(PlaceId, Frame), Input<V>>;

/// What a place has gathered in one frame.
struct Gathered<V> {
    /// Element → its token; `None` if it has none, being of a branch that was not taken.
    tokens: BTreeMap<u32, Option<Token<V>>>,
    /// How many elements there are, once that is known.
    count: Option<u32>,
}

/// The marking of one net, and the rules by which it changes.
pub struct Engine<V> {
    net: sync::Arc<Net>,
    blocks: Blocks,
    slots: Vec<usize>,
    params: Vec<PlaceId>,
    pending: HashMap<(TransitionId, Frame), Pending<V>>,
    running: HashSet<(TransitionId, Frame)>,
    fired: HashSet<(TransitionId, Frame)>,
    /// Block → the frames in which it was entered; those of a parameter set are forgotten with its last firing, but
    /// for the pipeline's own body.
    entered: Vec<BTreeSet<Frame>>,
    /// Parameter set → the tokens that blocks nested in their frames may still need.
    kept: HashMap<u32, Kept<V>>,
    gathered: HashMap<(PlaceId, Frame), Gathered<V>>,
    /// Split and its frame → how many items of its sequence have come, while that goes on.
    parted: HashMap<(TransitionId, Frame), u32>,
    /// Block and frame of an element that came while its sequence goes on → how many firings it is known to have left.
    elements: HashMap<(BlockId, Frame), u64>,
    /// Block and the frame of such a sequence → how many of its elements are done.
    elements_done: HashMap<(BlockId, Frame), u64>,
    /// Parameter set → how many firings it is known to have left.
    left: HashMap<u32, u64>,
    lost: HashMap<String, sync::Arc<Failure>>,
    /// Place → the frames in all of whose nested ones its tokens are errors, as their sender cannot enter its block.
    barred: HashMap<PlaceId, BTreeMap<Frame, Vec<sync::Arc<Failure>>>>,
    /// Firings that need nothing of the host, not carried out yet: a chain of them may be longer than any stack.
    due: VecDeque<(TransitionId, Frame, Vec<Input<V>>)>,
    finished: u64,
    /// How many firings the blocks entered so far have.
    inner: u64,
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
            entered: blocks.blocks.iter().map(|_| BTreeSet::new()).collect(),
            blocks,
            net,
            slots,
            pending: HashMap::new(),
            running: HashSet::new(),
            fired: HashSet::new(),
            kept: HashMap::new(),
            gathered: HashMap::new(),
            parted: HashMap::new(),
            elements: HashMap::new(),
            elements_done: HashMap::new(),
            left: HashMap::new(),
            lost: HashMap::new(),
            barred: HashMap::new(),
            due: VecDeque::new(),
            finished: 0,
            inner: 0,
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
        if self.entered[0].contains(frame) {
            return;
        }
        self.left_in(frame);
        let net = self.net.clone();
        for place in self.params.clone() {
            let kept = &net.places[place as usize];
            let Source::Param(name) = &kept.source else { continue };
            let token = match params.get(name) {
                Some(value) => Token::Value(value.clone()),
                None => {
                    let message = format!("no value was given for the parameter place '{name}'");
                    let failure = self.failure(kept.transition, frame, "MissingParameter", message);
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
        for block in 0..self.entered.len() {
            let frames: Vec<Frame> = self.entered[block].iter().cloned().collect();
            let from_there =
                |place: &PlaceId| matches!(&net.places[*place as usize].source, Source::Site(from) if from == site);
            let owed: Vec<PlaceId> = self.blocks.blocks[block].owed.iter().copied().filter(from_there).collect();
            for frame in frames {
                for place in &owed {
                    self.put(*place, &frame, Some(Token::Error(vec![failure.clone()])));
                }
            }
        }
        self.settle();
    }

    /// Enters a block in a frame: what its transitions need without its being sent comes now.
    fn enter(&mut self, block: BlockId, frame: &Frame) {
        let net = self.net.clone();
        let at = block as usize;
        self.entered[at].insert(frame.clone());
        for place in self.blocks.blocks[at].outer.clone() {
            let kept = &net.places[place as usize];
            let key = (place, frame.prefix(self.blocks.blocks[kept.block as usize].levels));
            if let Some(input) = self.use_kept(&key) {
                self.fill(kept.transition, kept.slot as usize, frame, input);
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
        if block > 0 {
            for index in 0..self.blocks.blocks[at].transitions.len() {
                let transition = self.blocks.blocks[at].transitions[index];
                self.fill(transition, self.slots[transition as usize], frame, None);
            }
        }
    }

    /// Puts a token into a place.
    fn put(&mut self, place: PlaceId, frame: &Frame, input: Input<V>) -> bool {
        if let Some(Token::Next(index)) = input {
            return self.enter_next(place, frame, index);
        }
        let kept = &self.net.places[place as usize];
        let (transition, slot) = (kept.transition, kept.slot as usize);
        if frame.levels().len() < self.blocks.blocks[kept.block as usize].levels {
            return self.bar(place, frame, input);
        }
        match self.blocks.ways[place as usize] {
            Way::Plain | Way::Join => self.fill(transition, slot, frame, input),
            Way::Gather => self.gather(place, frame, input),
            Way::Outer => {
                let param_set = root(frame);
                if self.left.get(&param_set) == Some(&0) {
                    return false;
                }
                let key = (place, frame.clone());
                match self.kept.entry(param_set).or_default().entry(key.clone()) {
                    Entry::Occupied(_) => return false,
                    Entry::Vacant(vacant) => vacant.insert(input),
                };
                let block = self.net.transitions[transition as usize].block;
                for inner in self.entered_under(block, frame) {
                    if let Some(input) = self.use_kept(&key) {
                        self.fill(transition, slot, &inner, input);
                    }
                }
                true
            }
        }
    }

    /// The frames under `frame`, itself included, in which a block was entered.
    fn entered_under(&self, block: BlockId, frame: &Frame) -> Vec<Frame> {
        let inner = self.entered[block as usize].range(frame.clone()..);
        inner.take_while(|inner| *inner == frame || frame.is_ancestor_of(inner)).cloned().collect()
    }

    /// Takes an error for all frames nested in `frame`, entered now or later.
    fn bar(&mut self, place: PlaceId, frame: &Frame, input: Input<V>) -> bool {
        let Some(Token::Error(errors)) = input else { return false };
        let barred = self.barred.entry(place).or_default();
        if barred.insert(frame.clone(), errors.clone()).is_some() {
            return false;
        }
        for inner in self.entered_under(self.net.places[place as usize].block, frame) {
            self.put(place, &inner, Some(Token::Error(errors.clone())));
        }
        true
    }

    fn barred_in(&self, place: PlaceId, frame: &Frame) -> Option<Vec<sync::Arc<Failure>>> {
        let barred = self.barred.get(&place)?;
        (1..frame.levels().len()).find_map(|levels| barred.get(&frame.prefix(levels))).cloned()
    }

    /// A token that a block's frames share. With its first use, a missing part becomes an error.
    fn use_kept(&mut self, key: &(PlaceId, Frame)) -> Option<Input<V>> {
        let input = self.kept.get_mut(&root(&key.1))?.get_mut(key)?;
        if let Some(Token::Missing(failure)) = input {
            let failure = failure.clone();
            *input = Some(Token::Error(vec![failure.clone()]));
            self.actions.push_back(Action::Report(failure));
        }
        self.kept.get(&root(&key.1))?.get(key).cloned()
    }

    /// Fills an input in a frame, and fires its transition when that was the last one missing. In a block, one input
    /// more than the net's own tells that the block was entered.
    fn fill(&mut self, transition: TransitionId, slot: usize, frame: &Frame, input: Input<V>) -> bool {
        let key = (transition, frame.clone());
        if self.fired.contains(&key) {
            return false;
        }
        let slots = self.slots[transition as usize] + usize::from(self.net.transitions[transition as usize].block > 0);
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
            let mut inputs = self.pending.remove(&key).expect("it was just filled").inputs;
            inputs.truncate(self.slots[transition as usize]);
            self.fired.insert(key);
            self.fire(transition, frame, inputs.into_iter().map(|input| input.expect("none is missing")).collect());
        }
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
    fn gathered_in(&mut self, place: PlaceId, frame: &Frame) -> Option<&mut Gathered<V>> {
        let kept = &self.net.places[place as usize];
        let key = (kept.transition, frame.clone());
        let filled = |pending: &Pending<V>| pending.inputs[kept.slot as usize].is_some();
        if self.fired.contains(&key) || self.pending.get(&key).is_some_and(filled) {
            return None;
        }
        let empty = || Gathered { tokens: BTreeMap::new(), count: None };
        Some(self.gathered.entry((place, frame.clone())).or_insert_with(empty))
    }

    fn end_gathering(&mut self, place: PlaceId, frame: &Frame) {
        let key = (place, frame.clone());
        let whole = |gathered: &Gathered<V>| gathered.count == u32::try_from(gathered.tokens.len()).ok();
        if !self.gathered.get(&key).is_some_and(whole) {
            return;
        }
        let tokens = self.gathered.remove(&key).expect("it was just looked at").tokens.into_values().flatten();
        let kept = &self.net.places[place as usize];
        let (transition, slot) = (kept.transition, kept.slot as usize);
        let Step::Collect { errors: on_error, .. } = self.net.transitions[transition as usize].step else { return };
        let mut items = vec![];
        let mut failures = vec![];
        for token in tokens {
            match token {
                Token::Value(value) => items.push(Ok(value)),
                Token::Error(errors) if on_error == OnError::Keep => items.push(Err(errors)),
                Token::Error(errors) if on_error == OnError::Fail => add_new(&mut failures, &errors),
                Token::Error(_) | Token::Missing(_) | Token::End | Token::Count(_) | Token::Next(_) => {}
            }
        }
        let token = if failures.is_empty() { Token::Value(V::list(items)) } else { Token::Error(failures) };
        self.fill(transition, slot, frame, Some(token));
    }

    fn fire(&mut self, transition: TransitionId, frame: &Frame, inputs: Vec<Input<V>>) {
        let fails = inputs.iter().any(|input| matches!(input, Some(Token::Error(_))));
        match &self.net.transitions[transition as usize].step {
            Step::Yield { .. } => {
                let errors = errors_of(&inputs);
                let value = inputs.into_iter().flatten().next();
                let token = if errors.is_empty() { value } else { Some(Token::Error(errors)) };
                if let Some(token) = token {
                    self.actions.push_back(Action::Yield { transition, frame: frame.clone(), token });
                }
                self.finish(transition, frame);
            }
            Step::Call { .. } | Step::LookUp { .. } | Step::Store { .. } if !fails => {
                let inputs = inputs.into_iter().map(value_of).collect();
                self.running.insert((transition, frame.clone()));
                self.actions.push_back(Action::Call { transition, frame: frame.clone(), inputs });
            }
            _ => self.due.push_back((transition, frame.clone(), inputs)),
        }
    }

    /// Carries out the firings that need nothing of the host, one after the other.
    fn settle(&mut self) {
        let net = self.net.clone();
        while let Some((transition, frame, inputs)) = self.due.pop_front() {
            let errors = errors_of(&inputs);
            let step = &net.transitions[transition as usize].step;
            if let Step::Enter { block, .. } = step {
                if !errors.is_empty() && self.waits_for_lost(transition) {
                    self.bar_others(*block, &frame, &errors);
                }
                self.enter_all(*block, &frame, inputs.into_iter().flatten().next(), errors);
                self.finish(transition, &frame);
                continue;
            }
            let parted = self.parted.remove(&(transition, frame.clone())).unwrap_or_default();
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
                Step::Split { sequence, .. } => match operand(sequence, &inputs).and_then(|all| all.elements()) {
                    Ok(elements) if elements.len() > MOST_ELEMENTS as usize => {
                        let message = format!("a loop goes through at most {MOST_ELEMENTS} elements of one sequence");
                        Err(("LimitError".to_owned(), message))
                    }
                    Ok(elements) => {
                        self.part(transition, &frame, &elements);
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
            if let Err((kind, message)) = done {
                let failure = self.failure(transition, &frame, &kind, message);
                let errors = vec![self.report(failure)];
                self.put_out(transition, &frame, &Token::Error(errors), false);
            }
        }
    }

    /// Whether an input of a transition comes from a lost site.
    fn waits_for_lost(&self, transition: TransitionId) -> bool {
        let mut places = self.net.places.iter().filter(|place| place.transition == transition);
        !self.lost.is_empty()
            && places.any(|place| matches!(&place.source, Source::Site(site) if self.lost.contains_key(site)))
    }

    /// Tells others that nothing will come from a block here: a site that was lost may have let them enter it.
    fn bar_others(&mut self, block: BlockId, frame: &Frame, errors: &[sync::Arc<Failure>]) {
        let net = self.net.clone();
        for &transition in &self.blocks.blocks[block as usize].awaited {
            let kept = &net.transitions[transition as usize];
            let splits = matches!(kept.step, Step::Split { .. });
            for arc in kept.outputs.iter().filter(|arc| !splits || matches!(arc.carry, Carry::Count(_))) {
                let Some(site) = arc.site.clone() else { continue };
                let (frame, token) = (frame.clone(), Some(Token::Error(errors.to_vec())));
                self.actions.push_back(Action::Send { site, place: arc.place, frame, token });
            }
        }
    }

    /// Enters a block as often as the token says. Where there is an error instead, nothing in it runs, and its yields
    /// and collections say why.
    fn enter_all(&mut self, block: BlockId, frame: &Frame, token: Input<V>, errors: Vec<sync::Arc<Failure>>) {
        let at = block as usize;
        let each = self.blocks.blocks[at].each;
        let gathering = self.blocks.blocks[at].gathering.clone();
        if !errors.is_empty() {
            for place in gathering {
                if !each {
                    self.put(place, frame, Some(Token::Error(errors.clone())));
                } else if self.gathered_in(place, frame).is_some() {
                    self.gathered.remove(&(place, frame.clone()));
                    let kept = &self.net.places[place as usize];
                    let (transition, slot) = (kept.transition, kept.slot as usize);
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
                if !self.entered[at].contains(&inner) {
                    self.enter_counted(block, &inner);
                }
            }
        }
        self.elements_done.remove(&(block, frame.clone()));
    }

    /// Enters a block for one more element of a sequence that goes on.
    fn enter_next(&mut self, place: PlaceId, frame: &Frame, index: u32) -> bool {
        let kept = &self.net.places[place as usize];
        let Step::Enter { block, .. } = self.net.transitions[kept.transition as usize].step else { return false };
        let inner = frame.child(index);
        let levels = self.blocks.blocks[block as usize].levels;
        if inner.levels().len() != levels
            || self.fired.contains(&(kept.transition, frame.clone()))
            || self.entered[block as usize].contains(&inner)
        {
            return false;
        }
        self.elements.insert((block, inner.clone()), 0);
        self.enter_counted(block, &inner);
        true
    }

    fn enter_counted(&mut self, block: BlockId, frame: &Frame) {
        let firings = self.blocks.blocks[block as usize].transitions.len() as u64;
        self.inner += firings;
        *self.left_in(frame) += firings;
        self.count_in_elements(block, frame, |left| left + firings);
        self.enter(block, frame);
    }

    /// Changes how many firings are left to the elements that a block's frame is in. Those that are done are told.
    fn count_in_elements(&mut self, block: BlockId, frame: &Frame, change: impl Fn(u64) -> u64) {
        let mut around = (!self.elements.is_empty()).then_some(block);
        while let Some(block) = around {
            let kept = &self.blocks.blocks[block as usize];
            around = kept.parent;
            let key = (block, frame.prefix(kept.levels));
            let Some(left) = self.elements.get_mut(&key) else { continue };
            *left = change(*left);
            if *left > 0 {
                continue;
            }
            self.elements.remove(&key);
            let (Some(place), Some(frame)) = (kept.entry, key.1.parent()) else { continue };
            if self.fired.contains(&(self.net.places[place as usize].transition, frame.clone())) {
                continue;
            }
            let done = self.elements_done.entry((block, frame.clone())).or_default();
            *done += 1;
            if done.is_multiple_of(TOLD_AT_ONCE) {
                self.actions.push_back(Action::Consumed { place, frame, count: *done });
            }
        }
    }

    /// Puts out one item of a sequence that goes on.
    fn part_item(&mut self, transition: TransitionId, frame: &Frame, value: V) {
        let net = self.net.clone();
        let parted = self.parted.entry((transition, frame.clone())).or_default();
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
    fn put_out_looked_up(&mut self, transition: TransitionId, frame: &Frame, found: &Result<V, V>) {
        let net = self.net.clone();
        for arc in &net.transitions[transition as usize].outputs {
            let token = match (&arc.carry, found) {
                (Carry::Count(so), found) => Some(Token::Count(u32::from(*so == found.is_err()))),
                (Carry::Value(_), Ok(value)) | (Carry::Key, Err(value)) => Some(Token::Value(value.clone())),
                _ => None,
            };
            self.move_along(arc, frame, token);
        }
        self.finish(transition, frame);
    }

    /// Moves a result along every arc that leaves the transition. After a stream's items only its end follows them.
    fn put_out(&mut self, transition: TransitionId, frame: &Frame, token: &Token<V>, streamed: bool) {
        let net = self.net.clone();
        let kept = &net.transitions[transition as usize];
        let splits = matches!(kept.step, Step::Split { .. });
        for arc in &kept.outputs {
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
        let splits = matches!(self.net.transitions[transition as usize].step, Step::Split { .. });
        match (&arc.carry, token) {
            (Carry::Value(path), Token::Value(value)) if !path.is_empty() => match value.select(path) {
                Ok(part) => Some(Token::Value(part)),
                Err(message) => {
                    let failure = self.failure(transition, frame, "SelectError", message);
                    Some(match arc.inward {
                        true => Token::Missing(sync::Arc::new(failure)),
                        false => Token::Error(vec![self.report(failure)]),
                    })
                }
            },
            (Carry::Signal, Token::Value(_) | Token::End) => None,
            (Carry::Stream, Token::Value(_)) if streamed => Some(Token::End),
            (Carry::Count(_), Token::Count(elements)) if splits => Some(Token::Count(*elements)),
            (Carry::Count(so), Token::Count(came_out)) => Some(Token::Count(u32::from(*so == (*came_out == 1)))),
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

    /// Counts a firing. With the last one of a parameter set, what its blocks have needed is forgotten.
    fn finish(&mut self, transition: TransitionId, frame: &Frame) {
        self.finished += 1;
        self.count_in_elements(self.net.transitions[transition as usize].block, frame, |left| left.saturating_sub(1));
        let left = self.left_in(frame);
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.kept.remove(&root(frame));
            for block in 1..self.entered.len() {
                for inner in self.entered_under(block as BlockId, &frame.prefix(1)) {
                    self.entered[block].remove(&inner);
                }
            }
        }
        self.finish_if_done();
    }

    fn left_in(&mut self, frame: &Frame) -> &mut u64 {
        let body = self.blocks.blocks[0].transitions.len() as u64;
        self.left.entry(root(frame)).or_insert(body)
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

fn value_of<V>(input: Input<V>) -> Option<V> {
    match input {
        Some(Token::Value(value)) => Some(value),
        _ => None,
    }
}

/// The errors of all inputs, each once.
fn errors_of<V>(inputs: &[Input<V>]) -> Vec<sync::Arc<Failure>> {
    let mut errors = vec![];
    for input in inputs {
        if let Some(Token::Error(more)) = input {
            add_new(&mut errors, more);
        }
    }
    errors
}

fn add_new(errors: &mut Vec<sync::Arc<Failure>>, more: &[sync::Arc<Failure>]) {
    for error in more {
        if !errors.contains(error) {
            errors.push(error.clone());
        }
    }
}

/// The kind and the message of what went wrong.
type Wrong = (String, String);

fn operand<V: Value>(argument: &Argument, inputs: &[Option<V>]) -> Result<V, Wrong> {
    match argument {
        Argument::Literal(json) => V::literal(json),
        Argument::Slot(slot) => {
            let found = inputs.get(usize::from(*slot)).cloned().flatten();
            found.ok_or_else(|| ("ValueError".to_owned(), "there is no value, only a signal".to_owned()))
        }
    }
}

fn holds<V: Value>(condition: &Condition, inputs: &[Option<V>]) -> Result<bool, Wrong> {
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
        Condition::Compare(comparison, left, right) => {
            operand(left, inputs)?.compare(*comparison, &operand(right, inputs)?)
        }
        Condition::Truth(one) => operand(one, inputs)?.truth(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Comparison, Limits, NodeId, Place, Selector, Transition};

    /// A value of no content.
    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Nothing;

    impl Value for Nothing {
        fn select(&self, _: &[Selector]) -> Result<Self, String> {
            Ok(Self)
        }

        fn elements(&self) -> Result<Vec<Self>, Wrong> {
            Ok(vec![])
        }

        fn list(_: Vec<Result<Self, Vec<sync::Arc<Failure>>>>) -> Self {
            Self
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
