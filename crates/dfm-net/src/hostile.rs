//! What may others tell a site that do not mean well?
//!
//! A site has its net from the application, and tokens from other sites too. It trusts none of them, so what it is told
//! is held against its own limits, and each token against what its place is for.

use crate::{
    Argument, Condition, Excess, Form, Frame, Limits, Net, PlaceId, Refusal, Source, Step, Unlimited, Unsound,
};

/// A net has at most so many transitions, places and blocks each, and a transition so many outputs and arguments.
pub const MOST_PARTS: usize = 1 << 20;
/// Blocks lie at most so deep in each other, and conditions and literals in themselves.
pub const MOST_LEVELS: usize = 100;
/// A block is entered for at most so many elements of one sequence: each of them costs memory before anything runs.
pub const MOST_ELEMENTS: u32 = 1 << 20;
/// There are at most so many rounds; those of one `Repeat` inside of another count for each of its rounds.
pub const MOST_ROUNDS: u32 = 1 << 16;
/// A transition has at most so many inputs.
const MOST_INPUTS: usize = 1 << 16;
/// A call is tried again at most so many times.
pub(crate) const MOST_RETRIES: u32 = 1000;
/// A call waits at most so many seconds for its first retry, which is a day.
pub(crate) const LONGEST_BACKOFF: f64 = 86_400.0;

/// What comes from another site for a place, as far as the place has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Order without data.
    Signal,
    /// A result.
    Value,
    /// One of a stream's.
    Item,
    /// The end of a stream.
    End,
    /// Errors in the place of a result.
    Errors,
    /// That there are errors, and none of them.
    NoErrors,
    /// An error, if anything needs the result.
    Missing,
    /// How often a block is entered.
    Count(u32),
    /// One more element of a sequence that goes on.
    Next,
}

impl Limits {
    /// Why no site tries a call so often or so long.
    pub fn problem(&self) -> Option<Unlimited> {
        if self.retries > MOST_RETRIES {
            return Some(Unlimited::Retries(self.retries));
        }
        if !(0.0..=LONGEST_BACKOFF).contains(&self.backoff) {
            return Some(Unlimited::Backoff(self.backoff));
        }
        let timeout = self.timeout.filter(|timeout| !(*timeout > 0.0 && timeout.is_finite()));
        timeout.map(Unlimited::Timeout)
    }
}

impl Net {
    /// Why a place does not take a token of this kind and frame from that site; `None` if it does.
    pub fn refuses(&self, place: PlaceId, from: &str, frame: &Frame, kind: Kind) -> Option<Refusal> {
        let Some(declared) = self.places.get(place as usize) else { return Some(Refusal::NoPlace(place)) };
        if !matches!(&declared.source, Source::Site(site) if site == from) {
            return Some(Refusal::Sender(place));
        }
        let step = &self.transitions[declared.transition as usize].step;
        let fits = match (step, kind) {
            (_, Kind::NoErrors) => false,
            (Step::Enter { block, .. }, Kind::Count(count)) => {
                count <= if self.blocks[*block as usize].each { MOST_ELEMENTS } else { 1 }
            }
            (Step::Enter { block, .. }, Kind::Next) => self.blocks[*block as usize].each,
            (Step::Enter { .. }, kind) => kind == Kind::Errors,
            (_, Kind::Count(_) | Kind::Next) => false,
            (Step::Yield { .. }, _) => true,
            (Step::Split { .. }, Kind::End) => true,
            (_, kind) => !matches!(kind, Kind::Item | Kind::End),
        };
        let levels = self.levels_of(declared.block);
        let nested = match kind {
            // An error may be for all frames nested in its own.
            Kind::Errors => frame.levels().len() <= levels,
            _ => frame.levels().len() == levels,
        };
        match (fits, nested) {
            (false, _) => Some(Refusal::Kind(place, kind)),
            (true, false) => Some(Refusal::Frame(place, frame.clone())),
            (true, true) => None,
        }
    }

    /// How many levels a block's frames have.
    fn levels_of(&self, block: u32) -> usize {
        let (mut levels, mut at) = (1, Some(block));
        while let Some(block) = at {
            let block = &self.blocks[block as usize];
            levels += usize::from(block.each);
            at = block.parent;
        }
        levels
    }

    /// Which limit a net of somebody else goes beyond.
    pub(crate) fn beyond_limits(&self) -> Option<Unsound> {
        let parts = [("transitions", self.transitions.len()), ("places", self.places.len())];
        let parts = parts.into_iter().chain([("blocks", self.blocks.len())]);
        if let Some((what, count)) = parts.into_iter().find(|(_, count)| *count > MOST_PARTS) {
            return Some(Unsound::Parts { what, count });
        }
        let mut depth = vec![];
        for block in &self.blocks {
            let around = block.parent.map_or(0, |parent| depth[parent as usize]);
            depth.push(around + 1);
        }
        if depth.iter().any(|levels| *levels > MOST_LEVELS) {
            return Some(Unsound::Deep);
        }
        if self.most_rounds() > MOST_ROUNDS {
            return Some(Unsound::Rounds);
        }
        (0..).zip(&self.transitions).find_map(|(at, transition)| {
            let wrong = if transition.outputs.len() > MOST_PARTS {
                Some(Excess::Outputs(transition.outputs.len()))
            } else {
                beyond(&transition.step)
            };
            wrong.map(|excess| Unsound::Step(at, excess))
        })
    }

    /// How many rounds there may be in one frame of the pipeline.
    fn most_rounds(&self) -> u32 {
        let mut own = vec![1u32; self.blocks.len()];
        for transition in &self.transitions {
            if let Step::Again { at_most, .. } = transition.step {
                own[transition.block as usize] = own[transition.block as usize].max(at_most);
            }
        }
        let mut all: Vec<u32> = Vec::with_capacity(own.len());
        for (block, own) in self.blocks.iter().zip(own) {
            all.push(own.saturating_mul(block.parent.map_or(1, |parent| all[parent as usize])));
        }
        all.into_iter().max().unwrap_or(1)
    }

    /// What tells that a step's inputs are not there, or come from where no planner takes them from.
    pub(crate) fn wrong_inputs(&self, inputs: &[usize]) -> Option<Unsound> {
        for (at, (transition, count)) in (0..).zip(self.transitions.iter().zip(inputs)) {
            let mut used = slots(&transition.step);
            if used.iter().any(|slot| usize::from(*slot) >= *count) {
                return Some(Unsound::NoInput(at));
            }
            used.sort_unstable();
            if used.windows(2).any(|two| two[0] == two[1]) {
                return Some(Unsound::InputTwice(at));
            }
        }
        (0..).zip(&self.places).find_map(|(at, place)| {
            let step = &self.transitions[place.transition as usize].step;
            let last = usize::from(place.slot) + 1 == inputs[place.transition as usize];
            let read = reads(step, place.slot, last);
            let fits = match (&place.source, step) {
                (Source::Here, _) => true,
                // A key is this site's own digest of what its look-up was given: nobody else has a say in it.
                (_, Step::Store { .. }) if last => false,
                (_, Step::Join { .. }) if place.slot == 0 => false,
                (Source::Start, _) => !read,
                (Source::Param(_), Step::Enter { .. } | Step::Join { .. } | Step::Collect { .. }) => !read,
                (Source::Param(_), _) => true,
                (Source::Site(site), _) => *site != self.site,
            };
            (!fits).then_some(Unsound::Origin(at))
        })
    }
}

/// Whether a step looks at the value of its input with this number, which is its last one or not.
pub(crate) fn reads(step: &Step, slot: u16, last: bool) -> bool {
    let is_slot = |argument: &Argument| uses(argument, slot);
    match step {
        Step::Call { arguments, .. } => arguments.iter().any(|(_, argument)| is_slot(argument)),
        Step::Split { sequence, .. } => is_slot(sequence),
        Step::Decide { condition, .. } => mentions(condition, slot),
        Step::LookUp { key, .. } => key.iter().any(is_slot),
        Step::Store { .. } => slot == 0 || last,
        Step::Join { .. } => slot < 2,
        Step::Yield { value, .. } => is_slot(value),
        Step::Repeat { start, .. } => is_slot(start),
        Step::Again { next, until, .. } => {
            is_slot(next) || until.as_ref().is_some_and(|condition| mentions(condition, slot))
        }
        Step::Gather { keys, .. } => usize::from(slot) < keys.len(),
        Step::Collect { .. } | Step::Enter { .. } => slot == 0,
    }
}

/// The inputs that a step looks at by their numbers.
fn slots(step: &Step) -> Vec<u16> {
    match step {
        Step::Call { arguments, .. } => arguments.iter().flat_map(|(_, argument)| argument.slots()).collect(),
        Step::Split { sequence, .. } => sequence.slots(),
        Step::LookUp { key, .. } => key.iter().flat_map(Argument::slots).collect(),
        Step::Decide { condition, .. } => slots_of(condition),
        Step::Repeat { start, .. } => start.slots(),
        Step::Again { next, until, .. } => until.iter().flat_map(slots_of).chain(next.slots()).collect(),
        // The value and the key; the cache's and the block's.
        Step::Store { .. } | Step::Join { .. } => vec![1],
        Step::Yield { value, .. } => value.slots(),
        Step::Gather { keys, .. } => (0..keys.len().min(MOST_INPUTS)).map(|slot| slot as u16).collect(),
        Step::Collect { .. } | Step::Enter { .. } => vec![0],
    }
}

fn slots_of(condition: &Condition) -> Vec<u16> {
    let (mut found, mut conditions) = (vec![], vec![condition]);
    while let Some(condition) = conditions.pop() {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => conditions.extend(parts),
            Condition::Not(part) => conditions.push(part),
            Condition::Compare(_, one, other) => found.extend([one, other].into_iter().flat_map(Argument::slots)),
            Condition::Truth(argument) => found.extend(argument.slots()),
        }
    }
    found
}

fn uses(argument: &Argument, slot: u16) -> bool {
    match argument {
        Argument::Literal(_) => false,
        Argument::Slot(own) => *own == slot,
        Argument::Built(_, parts) => parts.iter().any(|part| uses(part, slot)),
    }
}

/// Whether a condition looks at the value of this input.
fn mentions(condition: &Condition, slot: u16) -> bool {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(|part| mentions(part, slot)),
        Condition::Not(part) => mentions(part, slot),
        Condition::Compare(_, one, other) => uses(one, slot) || uses(other, slot),
        Condition::Truth(argument) => uses(argument, slot),
    }
}

fn beyond(step: &Step) -> Option<Excess> {
    let literal = |argument: &Argument| argument_depth(argument, MOST_LEVELS).is_none();
    let deep = || Excess::Nested;
    match step {
        Step::Call { arguments, limits, .. } => {
            if arguments.len() > MOST_PARTS {
                return Some(Excess::Arguments(arguments.len()));
            }
            if arguments.iter().any(|(_, argument)| literal(argument)) {
                return Some(deep());
            }
            limits.problem().map(Excess::Limits)
        }
        Step::Split { sequence, .. } => literal(sequence).then(deep),
        Step::Decide { condition, .. } => condition_depth(condition, MOST_LEVELS, &literal).is_none().then(deep),
        Step::LookUp { key, .. } => key.iter().any(literal).then(deep),
        Step::Yield { value, .. } => literal(value).then(deep),
        Step::Repeat { start, .. } => literal(start).then(deep),
        Step::Again { next, until, at_most, .. } => {
            let condition = until.as_ref().map(|one| condition_depth(one, MOST_LEVELS, &literal).is_none());
            if *at_most == 0 {
                return Some(Excess::NoRounds);
            }
            (literal(next) || condition.unwrap_or_default()).then(deep)
        }
        Step::Gather { keys, .. } => (keys.len() > MOST_INPUTS).then_some(Excess::Keys(keys.len())),
        _ => None,
    }
}

/// How many levels are left below an argument; `None` when they do not suffice.
fn argument_depth(argument: &Argument, left: usize) -> Option<usize> {
    match argument {
        Argument::Literal(json) => json_depth(json, left),
        Argument::Slot(_) => Some(left),
        Argument::Built(form, parts) => {
            let pairs = matches!(form, Form::Dict | Form::Model(_));
            let left = left.checked_sub(1).filter(|_| !pairs || parts.len().is_multiple_of(2))?;
            parts.iter().try_fold(left, |_, part| argument_depth(part, left).map(|_| left))
        }
    }
}

/// How many levels are left below a value; `None` when they do not suffice.
fn json_depth(json: &serde_json::Value, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    match json {
        serde_json::Value::Array(items) => items.iter().try_fold(left, |_, item| json_depth(item, left).map(|_| left)),
        serde_json::Value::Object(items) => {
            items.values().try_fold(left, |_, item| json_depth(item, left).map(|_| left))
        }
        _ => Some(left),
    }
}

fn condition_depth(condition: &Condition, left: usize, literal: &impl Fn(&Argument) -> bool) -> Option<usize> {
    let left = left.checked_sub(1)?;
    match condition {
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().try_fold(left, |_, part| condition_depth(part, left, literal).map(|_| left))
        }
        Condition::Not(part) => condition_depth(part, left, literal),
        Condition::Compare(_, one, other) => (!literal(one) && !literal(other)).then_some(left),
        Condition::Truth(argument) => (!literal(argument)).then_some(left),
    }
}
