//! Do the nets of a plan fit together, and do they always come to their end? And one of them, as far as it shows alone?
//!
//! Each place has one producer that gives it one token a frame, so the nets are bounded. No firing waits for itself, at
//! whatever site, not even a generator that is held up until its consumers have caught up, so they are free of deadlock.
//! The check takes time that grows with the number of arcs.

use std::collections::HashMap;

use crate::hostile::reads;
use crate::sums::check_sums;
use crate::{Arc, BlockId, Carry, Named, Net, Place, PlaceId, Source, Step, Transition, TransitionId, Unsound};

/// Checks the nets of a plan, one for each site.
///
/// # Errors
/// Why they could wait for ever or do something twice, with the node and its site.
pub fn check_whole(nets: &[Net]) -> Result<(), Unsound> {
    let mut at = HashMap::new();
    for (index, net) in nets.iter().enumerate() {
        if let Some(problem) = net.problem() {
            return Err(Unsound::Net { site: net.site.clone(), why: Box::new(problem) });
        }
        if at.insert(net.site.as_str(), index).is_some() {
            return Err(Unsound::TwoNets(net.site.clone()));
        }
        if net.blocks != nets[0].blocks {
            return Err(Unsound::OtherBlocks(net.site.clone(), nets[0].site.clone()));
        }
    }
    let whole = Whole { nets, at, slots: nets.iter().map(inputs).collect(), alone: false };
    whole.check_producers()?;
    whole.check_rounds()?;
    whole.check_waiting()
}

/// Checks one site's net as that site has to, which trusts nobody that it might come from: everything of
/// [`check_whole`] that shows without the other nets, and what no planner would make. What comes from other sites is
/// held against it with [`Net::refuses`].
///
/// # Errors
/// Why the site must not run it, with the node.
pub fn check_alone(net: &Net, at_home: bool) -> Result<(), Unsound> {
    if let Some(problem) = net.problem().or_else(|| net.beyond_limits()) {
        return Err(problem);
    }
    let inputs = inputs(net);
    if let Some(problem) = net.wrong_inputs(&inputs) {
        return Err(problem);
    }
    let nets = std::slice::from_ref(net);
    let whole = Whole { nets, at: HashMap::from([(net.site.as_str(), 0)]), slots: vec![inputs], alone: true };
    if !at_home && let Some((_, _, firing)) = whole.firings().find(|(_, one, _)| matches!(one.step, Step::Yield { .. }))
    {
        return Err(Unsound::HomeOnly(whole.named(firing)));
    }
    whole.check_producers()?;
    whole.check_rounds()?;
    whole.check_waiting()?;
    if at_home { Ok(()) } else { check_sums(net) }
}

/// By transition: how many inputs it has.
fn inputs(net: &Net) -> Vec<usize> {
    let mut inputs = vec![0; net.transitions.len()];
    net.places.iter().for_each(|place| inputs[place.transition as usize] += 1);
    inputs
}

struct Whole<'n> {
    nets: &'n [Net],
    /// Site → its net.
    at: HashMap<&'n str, usize>,
    /// By net and transition: how many inputs it has.
    slots: Vec<Vec<usize>>,
    /// Whether other sites have nets that are not here.
    alone: bool,
}

/// A transition, by its net.
type Firing = (usize, TransitionId);

/// Block → the transition that says how often it is entered, and what of it says so.
type Openers = HashMap<BlockId, (Firing, bool)>;

/// What happens to a transition, over all frames of the frame that its block lies in.
#[derive(Clone, Copy)]
enum Event {
    /// It takes its inputs, or the first of many.
    Begin,
    /// It has given all that it gives.
    End,
    /// Of one that enters a block: all in there has ended at its site.
    Left,
}

impl<'n> Whole<'n> {
    /// Every place that takes tokens of transitions has one that gives them, of the kind and in the frames it is for.
    fn check_producers(&self) -> Result<(), Unsound> {
        let openers = self.openers()?;
        let mut fed: Vec<Vec<bool>> = self.nets.iter().map(|net| vec![false; net.places.len()]).collect();
        for (from, arc, maker) in self.arcs() {
            let Some((to, place)) = self.target(from, arc) else {
                if self.alone && arc.site.as_ref().is_some_and(|site| *site != self.nets[from].site) {
                    continue;
                }
                return Err(Unsound::Nowhere(self.named(maker)));
            };
            let declared = &self.nets[to].places[place as usize];
            let taker = (to, declared.transition);
            let expects = match &declared.source {
                Source::Here => to == from,
                Source::Site(site) => to != from && *site == self.nets[from].site,
                Source::Start | Source::Param(_) => false,
            };
            if !expects || std::mem::replace(&mut fed[to][place as usize], true) {
                let (taker, maker) = (self.named(taker), self.named(maker));
                return Err(match expects {
                    true => Unsound::TwoTokens { taker, maker },
                    false => Unsound::Unexpected { taker, maker },
                });
            }
            if !self.fits(maker, arc, taker, declared, &openers) {
                return Err(Unsound::Unusable { taker: self.named(taker), maker: self.named(maker) });
            }
        }
        for (index, (net, fed)) in self.nets.iter().zip(fed).enumerate() {
            let starves = |place: &Place| match place.source {
                Source::Here => true,
                Source::Site(_) => !self.alone,
                Source::Start | Source::Param(_) => false,
            };
            if let Some((place, _)) = net.places.iter().zip(fed).find(|(place, fed)| !fed && starves(place)) {
                return Err(Unsound::Unfed(self.named((index, place.transition))));
            }
        }
        Ok(())
    }

    /// What says how often each block is entered, the same at every site.
    fn openers(&self) -> Result<Openers, Unsound> {
        let mut openers = Openers::new();
        for (from, arc, maker) in self.arcs() {
            let Some((to, place)) = self.target(from, arc) else { continue };
            let taker = (to, self.nets[to].places[place as usize].transition);
            if let (Carry::Count(when), Step::Enter { block, .. }) = (&arc.carry, self.step(taker))
                && *openers.entry(*block).or_insert((maker, *when)) != (maker, *when)
            {
                return Err(Unsound::OtherCount(self.named(taker)));
            }
        }
        Ok(openers)
    }

    /// Whether the maker gives what the taker's place is for.
    fn fits(&self, maker: Firing, arc: &Arc, taker: Firing, place: &Place, openers: &Openers) -> bool {
        let (made, taken) = (self.step(maker), self.step(taker));
        let [own, into] = [maker, taker].map(|(net, transition)| self.nets[net].transitions[transition as usize].block);
        let opens = |block: BlockId| openers.get(&block).is_some_and(|(opener, _)| *opener == maker);
        let counts = matches!(arc.carry, Carry::Count(_));
        let keys = matches!(taken, Step::Store { .. }) && self.is_last(taker, place.slot);
        let splits = made.parts();
        let kind = match (made, &arc.carry) {
            // What has been found needs no body.
            (Step::LookUp { .. }, Carry::Count(when)) => *when,
            (Step::Split { .. } | Step::Repeat { .. } | Step::Decide { .. }, Carry::Count(_)) => true,
            // Of all rounds but the last one there is nothing to be had.
            (Step::Again { .. }, Carry::Value(path)) => {
                path.is_empty() && arc.site.is_none() && matches!(taken, Step::Collect { .. })
            }
            (Step::Again { .. }, _) => false,
            (Step::Call { .. }, Carry::Stream(named)) => match taken {
                Step::Yield { place, .. } => named.as_ref() == Some(place),
                _ => named.is_none() && matches!(taken, Step::Split { .. }),
            },
            (Step::LookUp { .. }, Carry::Key) => keys && opens(into),
            (Step::LookUp { .. }, Carry::Value(_)) => matches!(taken, Step::Join { .. }) && place.slot == 0,
            (Step::Enter { .. } | Step::Decide { .. }, Carry::Value(_)) => false,
            (_, Carry::Value(_)) => !matches!(taken, Step::Join { .. }) || place.slot > 0,
            (Step::Enter { .. }, Carry::Signal) => false,
            (_, Carry::Signal) => !self.reads(taker, place.slot),
            _ => false,
        };
        let frames = if splits && !counts { opens(place.block) } else { place.block == own };
        let guarded = !arc.inward || place.block < into;
        // A value is kept under the key that a look-up here has made, and under nothing else.
        let keyed = keys == (arc.carry == Carry::Key);
        kind && frames && guarded && keyed && counts == matches!(taken, Step::Enter { .. })
    }

    /// Whether a transition looks at the value of its input with this number.
    fn reads(&self, taker: Firing, slot: u16) -> bool {
        reads(self.step(taker), slot, self.is_last(taker, slot))
    }

    fn is_last(&self, (net, transition): Firing, slot: u16) -> bool {
        usize::from(slot) + 1 == self.slots[net][transition as usize]
    }

    /// Rounds end, and nothing but the end of one begins the next: each `Repeat` enters a block whose only `Again` is its
    /// own, at the same site.
    fn check_rounds(&self) -> Result<(), Unsound> {
        let mut ends = HashMap::new();
        for (net, transition, firing) in self.firings() {
            let Step::Again { repeat, .. } = transition.step else { continue };
            let begins = self.nets[net].transitions.get(repeat as usize).filter(|begins| {
                let enters = |arc: &Arc| {
                    let place = self.nets[net].places.get(arc.place as usize).filter(|_| arc.site.is_none());
                    let taker = place.map(|place| self.step((net, place.transition)));
                    matches!(taker, Some(Step::Enter { block, .. }) if *block == transition.block)
                };
                matches!(begins.step, Step::Repeat { .. }) && begins.outputs.iter().any(enters)
            });
            let each = self.nets[net].blocks[transition.block as usize].each;
            if begins.is_none() || !each || ends.insert((net, repeat), firing).is_some() {
                return Err(Unsound::NoRound(self.named(firing)));
            }
        }
        let without_end = |(_, transition, firing): &(usize, &Transition, Firing)| {
            matches!(transition.step, Step::Repeat { .. }) && !ends.contains_key(firing)
        };
        match self.firings().find(without_end) {
            Some((_, _, firing)) => Err(Unsound::Endless(self.named(firing))),
            None => Ok(()),
        }
    }

    /// No event waits for itself.
    fn check_waiting(&self) -> Result<(), Unsound> {
        let enters = self.enters()?;
        let enter = |net, block, waiting| {
            let known: Option<&TransitionId> = enters.get(&(net, block));
            known.map(|transition| (net, *transition)).ok_or_else(|| Unsound::NotEntered(self.named(waiting)))
        };
        let mut order = Precedence::new(self.nets);
        for (net, transition, firing) in self.firings() {
            order.add((firing, Event::Begin), (firing, Event::End));
            if transition.block > 0 {
                let around = enter(net, transition.block, firing)?;
                order.add((around, Event::Begin), (firing, Event::Begin));
                order.add((firing, Event::End), (around, Event::Left));
                if matches!(transition.step, Step::Enter { .. }) {
                    order.add((firing, Event::Left), (around, Event::Left));
                }
            }
            if let Step::Again { repeat, .. } = transition.step {
                order.add((firing, Event::End), ((net, repeat), Event::End));
            }
            if matches!(transition.step, Step::Call { .. }) {
                for (site, place) in self.nets[net].consumers(firing.1) {
                    let Some(to) = site.map_or(Some(net), |site| self.at.get(site).copied()) else { continue };
                    let taker = (to, self.nets[to].places[place as usize].transition);
                    order.add((taker, Event::Left), (firing, Event::End));
                }
            }
        }
        for (from, arc, maker) in self.arcs() {
            let Some((to, place)) = self.target(from, arc) else { continue };
            let taker = (to, self.nets[to].places[place as usize].transition);
            let parts = self.step(maker).parts();
            if parts || arc.streams() {
                order.add((maker, Event::Begin), (taker, Event::Begin));
                if matches!(arc.carry, Carry::Count(_) | Carry::Stream(_)) {
                    order.add((maker, Event::End), (taker, Event::End));
                }
            } else {
                order.add((maker, Event::End), (taker, Event::Begin));
            }
        }
        for (net, place) in self.nets.iter().enumerate().flat_map(|(net, of)| of.places.iter().map(move |p| (net, p))) {
            let taker = (net, place.transition);
            let own = self.nets[net].transitions[place.transition as usize].block;
            let mut block = place.block;
            // What it gathers is all there when each of the blocks has been entered as often as it will be.
            while block > own {
                order.add((enter(net, block, taker)?, Event::End), (taker, Event::Begin));
                block = self.nets[net].blocks[block as usize].parent.unwrap_or_default();
            }
        }
        match order.circle() {
            None => Ok(()),
            Some(firings) => Err(Unsound::Circle(firings.into_iter().map(|firing| self.named(firing)).collect())),
        }
    }

    /// Site and block → the transition that enters it there.
    fn enters(&self) -> Result<HashMap<(usize, BlockId), TransitionId>, Unsound> {
        let mut enters = HashMap::new();
        for (net, transition, firing) in self.firings() {
            if let Step::Enter { block, .. } = transition.step
                && enters.insert((net, block), firing.1).is_some()
            {
                return Err(Unsound::EnteredTwice(self.named(firing)));
            }
        }
        Ok(enters)
    }

    fn firings(&self) -> impl Iterator<Item = (usize, &'n Transition, Firing)> {
        let nets = self.nets.iter().enumerate();
        nets.flat_map(|(net, of)| (0..).zip(&of.transitions).map(move |(at, one)| (net, one, (net, at))))
    }

    fn arcs(&self) -> impl Iterator<Item = (usize, &'n Arc, Firing)> {
        self.firings().flat_map(|(net, of, firing)| of.outputs.iter().map(move |arc| (net, arc, firing)))
    }

    fn target(&self, from: usize, arc: &Arc) -> Option<(usize, PlaceId)> {
        let to = arc.site.as_ref().map_or(Some(from), |site| self.at.get(site.as_str()).copied())?;
        ((arc.place as usize) < self.nets[to].places.len()).then_some((to, arc.place))
    }

    fn step(&self, (net, transition): Firing) -> &'n Step {
        &self.nets[net].transitions[transition as usize].step
    }

    /// A transition, for people.
    fn named(&self, firing: Firing) -> Named {
        let step = self.step(firing);
        Named { node: step.node().clone(), label: step.label(), site: self.nets[firing.0].site.clone() }
    }
}

/// Which event of which transition comes after which.
struct Precedence {
    /// By net: how many transitions those before it have.
    first: Vec<usize>,
    /// By event: those that wait for it.
    after: Vec<Vec<usize>>,
    /// By event: how many it waits for.
    missing: Vec<u32>,
}

impl Precedence {
    fn new(nets: &[Net]) -> Self {
        let mut first = Vec::with_capacity(nets.len());
        let mut count = 0;
        for net in nets {
            first.push(count);
            count += net.transitions.len();
        }
        Self { first, after: vec![vec![]; 3 * count], missing: vec![0; 3 * count] }
    }

    fn add(&mut self, before: (Firing, Event), after: (Firing, Event)) {
        let at =
            |((net, transition), event): (Firing, Event)| 3 * (self.first[net] + transition as usize) + event as usize;
        let (before, after) = (at(before), at(after));
        self.after[before].push(after);
        self.missing[after] += 1;
    }

    /// Transitions of which each waits for the next and the last for the first, if there are such.
    fn circle(mut self) -> Option<Vec<Firing>> {
        let mut ready: Vec<usize> = (0..self.missing.len()).filter(|event| self.missing[*event] == 0).collect();
        while let Some(event) = ready.pop() {
            for other in &self.after[event] {
                self.missing[*other] -= 1;
                if self.missing[*other] == 0 {
                    ready.push(*other);
                }
            }
        }
        let mut waits_for = vec![None; self.missing.len()];
        for event in (0..self.missing.len()).filter(|event| self.missing[*event] > 0) {
            for other in &self.after[event] {
                waits_for[*other] = Some(event);
            }
        }
        let mut event = self.missing.iter().position(|missing| *missing > 0)?;
        let (mut way, mut seen) = (vec![], vec![false; self.missing.len()]);
        while !std::mem::replace(&mut seen[event], true) {
            way.push(event);
            event = waits_for[event]?;
        }
        let start = way.iter().position(|one| *one == event)?;
        let mut firings: Vec<Firing> = way[start..].iter().map(|event| self.firing(event / 3)).collect();
        firings.dedup();
        if firings.len() > 1 && firings.first() == firings.last() {
            firings.pop();
        }
        Some(firings)
    }

    fn firing(&self, transition: usize) -> Firing {
        let net = self.first.partition_point(|first| *first <= transition) - 1;
        (net, (transition - self.first[net]) as TransitionId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Argument, Block, Frame, Kind, Limits, MOST_ROUNDS, NodeId};

    fn step(node: u64, slots: u16) -> Step {
        Step::Call {
            node: NodeId::Number(node),
            operation: "t.Op".into(),
            provider: None,
            arguments: (0..slots).map(|slot| (slot.to_string(), Argument::Slot(slot))).collect(),
            limits: Limits::default(),
        }
    }

    fn place(transition: TransitionId, slot: u16, source: Source) -> Place {
        Place { transition, slot, block: 0, source }
    }

    fn arc(site: Option<&str>, place: PlaceId, carry: Carry) -> Arc {
        Arc { site: site.map(Into::into), place, carry, inward: false }
    }

    fn net(site: &str, places: Vec<Place>, transitions: Vec<(Step, BlockId, Vec<Arc>)>) -> Net {
        let transitions = transitions.into_iter().map(|(step, block, outputs)| Transition { step, block, outputs });
        Net { site: site.into(), blocks: vec![Block::body()], places, transitions: transitions.collect() }
    }

    fn value() -> Carry {
        Carry::Value(vec![])
    }

    #[test]
    fn sites_that_wait_for_each_other_are_told() {
        let nets = |back: bool| {
            let first = if back { Source::Site("b".into()) } else { Source::Start };
            let to_a = if back { vec![arc(Some("a"), 0, value())] } else { vec![] };
            [
                net(
                    "a",
                    vec![place(0, 0, first)],
                    vec![(step(1, u16::from(back)), 0, vec![arc(Some("b"), 0, value())])],
                ),
                net("b", vec![place(0, 0, Source::Site("a".into()))], vec![(step(2, 1), 0, to_a)]),
            ]
        };
        assert_eq!(check_whole(&nets(false)), Ok(()));
        assert_eq!(
            check_whole(&nets(true)).unwrap_err().to_string(),
            "node 1 (t.Op) at site 'a' waits for node 2 (t.Op) at site 'b', which waits for the first"
        );
    }

    /// A site that looked along the whole way at each of its steps would still be at it tomorrow.
    #[test]
    fn a_circle_may_be_as_long_as_a_net() {
        let count = 1 << 16;
        let to_next = |at| (step(at, 1), 0, vec![arc(None, (at as PlaceId + 1) % count, value())]);
        let places = (0..count).map(|at| place(at, 0, Source::Here)).collect();
        let circle = net("a", places, (0..u64::from(count)).map(to_next).collect());
        let problem = check_alone(&circle, true).unwrap_err();
        assert!(matches!(&problem, Unsound::Circle(firings) if firings.len() == count as usize));
        assert!(problem.to_string().ends_with("which waits for 65526 others, which wait for the first"), "{problem}");
    }

    #[test]
    fn a_place_has_one_token_a_frame_or_is_refused() {
        let nets = |arcs: Vec<Arc>, source| {
            let b = vec![place(0, 0, source), place(1, 0, Source::Start)];
            [
                net("a", vec![place(0, 0, Source::Start)], vec![(step(1, 0), 0, arcs)]),
                net("b", b, vec![(step(2, 1), 0, vec![]), (step(3, 0), 0, vec![])]),
            ]
        };
        let from_a = || Source::Site("a".into());
        let to = |place, carry| arc(Some("b"), place, carry);
        assert_eq!(check_whole(&nets(vec![to(0, value())], from_a())), Ok(()));
        let problem = |arcs, source| check_whole(&nets(arcs, source)).unwrap_err().to_string();
        let names = |what: &str| format!("node 2 (t.Op) at site 'b' {what}");
        assert_eq!(problem(vec![], from_a()), names("waits for a token that nobody sends"));
        assert_eq!(
            problem(vec![to(0, value()), to(0, value())], from_a()),
            names("gets two tokens in one frame, from node 1 (t.Op) at site 'a'")
        );
        assert_eq!(
            problem(vec![to(0, value())], Source::Site("c".into())),
            names("gets a token that it does not expect, from node 1 (t.Op) at site 'a'")
        );
        assert_eq!(
            problem(vec![to(0, Carry::Signal)], from_a()),
            names("cannot use what it gets from node 1 (t.Op) at site 'a'")
        );
        assert_eq!(
            problem(vec![to(0, value()), to(7, value())], from_a()),
            "node 1 (t.Op) at site 'a' sends to a place that is not there"
        );
    }

    /// A loop takes a generator's items one by one, and its body needs something else from around it.
    fn streaming(from_generator: bool) -> Net {
        let body = Place { transition: 4, slot: 1, block: 0, source: Source::Here };
        let element = Place { transition: 4, slot: 0, block: 1, source: Source::Here };
        let needed = arc(None, 5, value());
        let split = Step::Split { node: NodeId::Number(2), sequence: Argument::Slot(0) };
        let enter = Step::Enter { node: NodeId::Number(2), block: 1 };
        let mut generated = vec![arc(None, 1, Carry::Stream(None))];
        let mut other = vec![];
        if from_generator { &mut generated } else { &mut other }.push(needed);
        let parted = vec![arc(None, 2, Carry::Count(true)), arc(None, 4, value())];
        let places = vec![
            place(0, 0, Source::Start),
            place(1, 0, Source::Here),
            place(2, 0, Source::Here),
            place(3, 0, Source::Start),
            element,
            body,
        ];
        let transitions = vec![
            (step(0, 0), 0, generated),
            (split, 0, parted),
            (enter, 0, vec![]),
            (step(1, 0), 0, other),
            (step(3, 2), 1, vec![]),
        ];
        let mut net = net("a", places, transitions);
        net.blocks.push(Block { parent: Some(0), each: true });
        net
    }

    #[test]
    fn a_generator_that_its_own_loop_holds_up_is_told() {
        assert_eq!(check_whole(&[streaming(false)]), Ok(()));
        let problem = check_whole(&[streaming(true)]).unwrap_err().to_string();
        assert!(problem.contains("node 0 (t.Op) at site 'a'"), "{problem}");
        assert!(problem.contains("node 3 (t.Op) at site 'a'"), "{problem}");
        assert!(problem.ends_with("which waits for the first"), "{problem}");
    }

    #[test]
    fn what_is_in_a_block_needs_its_being_entered() {
        let mut net = net("a", vec![place(0, 0, Source::Start)], vec![(step(3, 0), 1, vec![])]);
        net.blocks.push(Block { parent: Some(0), each: true });
        assert_eq!(
            check_whole(&[net]).unwrap_err().to_string(),
            "node 3 (t.Op) at site 'a' is in a block that is not entered there"
        );
    }

    fn cached(key: Source, kept: Source) -> Net {
        let look_up = Step::LookUp { node: NodeId::Number(1), key: vec![Argument::Slot(0)] };
        let enter = Step::Enter { node: NodeId::Number(1), block: 1 };
        let store = Step::Store { node: NodeId::Number(2) };
        let from_look_up = matches!(key, Source::Here).then(|| Arc { inward: true, ..arc(None, 3, Carry::Key) });
        let outputs = from_look_up.into_iter().chain([arc(None, 1, Carry::Count(true))]).collect();
        let places = vec![
            place(0, 0, Source::Param("k".into())),
            place(1, 0, Source::Here),
            Place { transition: 2, slot: 0, block: 1, source: kept },
            Place { transition: 2, slot: 1, block: 0, source: key },
        ];
        let mut net = net("a", places, vec![(look_up, 0, outputs), (enter, 0, vec![]), (store, 1, vec![])]);
        net.blocks.push(Block { parent: Some(0), each: false });
        net
    }

    #[test]
    fn a_key_comes_from_a_look_up_at_the_site_and_from_nowhere_else() {
        let from_b = || Source::Site("b".into());
        assert_eq!(check_alone(&cached(Source::Here, from_b()), false), Ok(()));
        for key in [Source::Param("k".into()), from_b(), Source::Start] {
            let problem = check_alone(&cached(key, from_b()), false).unwrap_err().to_string();
            assert_eq!(problem, "place 3 takes its tokens from where it may not");
        }
        // Nor from a call here, whose result an adapter makes.
        let mut own = cached(Source::Here, from_b());
        own.transitions[0].outputs[0] = arc(None, 1, Carry::Count(true));
        own.transitions[0].outputs.truncate(1);
        own.places.push(Place { transition: 3, slot: 0, block: 0, source: Source::Start });
        own.transitions.push(Transition { step: step(3, 0), block: 0, outputs: vec![arc(None, 3, value())] });
        assert!(check_alone(&own, false).unwrap_err().to_string().starts_with("node 2 (write to cache)"));
    }

    /// Rounds that carry a number which nothing changes.
    fn rounds() -> Net {
        let repeat = Step::Repeat { node: NodeId::Number(1), start: Argument::Literal(0.into()) };
        let outputs = vec![arc(None, 1, Carry::Count(true)), arc(None, 2, value())];
        let enter = Step::Enter { node: NodeId::Number(1), block: 1 };
        let again =
            Step::Again { node: NodeId::Number(2), repeat: 0, next: Argument::Slot(0), until: None, at_most: 9 };
        let places = vec![
            place(0, 0, Source::Start),
            place(1, 0, Source::Here),
            Place { transition: 2, slot: 0, block: 1, source: Source::Here },
        ];
        let mut net = net("a", places, vec![(repeat, 0, outputs), (enter, 0, vec![]), (again, 1, vec![])]);
        net.blocks.push(Block { parent: Some(0), each: true });
        net
    }

    #[test]
    fn rounds_end_and_begin_by_nothing_but_their_own() {
        assert_eq!(check_alone(&rounds(), false), Ok(()));
        let with = |repeat, at_most| {
            let mut net = rounds();
            let Step::Again { repeat: own, at_most: most, .. } = &mut net.transitions[2].step else { unreachable!() };
            (*own, *most) = (repeat, at_most);
            check_alone(&net, false).unwrap_err().to_string()
        };
        assert_eq!(with(0, 0), "transition 2 has no rounds");
        assert!(with(0, MOST_ROUNDS + 1).starts_with("it may go through more than 65536 rounds"));
        for repeat in [1, 2, 7] {
            assert!(with(repeat, 9).ends_with("ends no round of its own"));
        }
        let mut endless = rounds();
        endless.transitions[2].step = step(2, 1);
        assert!(check_alone(&endless, false).unwrap_err().to_string().ends_with("begins rounds that nothing ends"));
        let mut twice = rounds();
        twice.transitions[0].outputs.push(arc(None, 3, value()));
        twice.transitions.push(twice.transitions[2].clone());
        twice.places.push(Place { transition: 3, slot: 0, block: 1, source: Source::Here });
        assert!(check_alone(&twice, false).unwrap_err().to_string().ends_with("ends no round of its own"));
    }

    #[test]
    fn what_only_the_applications_site_does_is_refused_elsewhere() {
        let handed_on = Step::Yield { node: NodeId::Number(1), place: "p".into(), value: Argument::Slot(0) };
        let net = net("a", vec![place(0, 0, Source::Param("v".into()))], vec![(handed_on, 0, vec![])]);
        assert_eq!(check_alone(&net, true), Ok(()));
        assert!(check_alone(&net, false).unwrap_err().to_string().ends_with("is for the application's site alone"));
    }

    #[test]
    fn errors_that_name_none_are_taken_by_no_place() {
        let handed_on = Step::Yield { node: NodeId::Number(1), place: "p".into(), value: Argument::Slot(0) };
        let steps = vec![(handed_on, 0, vec![]), (step(2, 1), 0, vec![])];
        let from_b = || Source::Site("b".into());
        let net = net("a", vec![place(0, 0, from_b()), place(1, 0, from_b())], steps);
        let frame = Frame::of_param_set(0);
        for place in 0..2 {
            assert_eq!(net.refuses(place, "b", &frame, Kind::Errors), None);
            assert!(net.refuses(place, "b", &frame, Kind::NoErrors).is_some());
        }
    }

    #[test]
    fn what_no_site_can_do_is_refused() {
        let with = |limits| {
            let mut net = net("a", vec![place(0, 0, Source::Start)], vec![(step(1, 0), 0, vec![])]);
            let Step::Call { limits: own, .. } = &mut net.transitions[0].step else { unreachable!() };
            *own = limits;
            check_alone(&net, false)
        };
        assert_eq!(with(Limits { retries: 3, backoff: 0.5, timeout: Some(1.0) }), Ok(()));
        for (backoff, timeout) in
            [(f64::NAN, None), (-1.0, None), (1e300, None), (0.0, Some(0.0)), (0.0, Some(f64::NAN))]
        {
            assert!(with(Limits { retries: 1, backoff, timeout }).is_err(), "{backoff} {timeout:?}");
        }
        let problem = with(Limits { retries: u32::MAX, backoff: 0.0, timeout: None }).unwrap_err().to_string();
        assert_eq!(problem, "transition 0 has 4294967295 retries, and a call has at most 1000");
    }
}
