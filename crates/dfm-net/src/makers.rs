//! Of whose results may there be something in what leaves a site?

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{Arc, Carry, Net, PlaceId, Selector, Step, TransitionId};

/// Which transitions of a site's net lead to other sites, and which to each other; made once for a net, as looking for
/// them would take as long as the net is large.
#[derive(Debug, Default)]
pub struct Makers {
    /// Another site → its place → the transitions whose arcs lead there, in their order.
    leaving: HashMap<String, HashMap<PlaceId, Vec<TransitionId>>>,
    /// For each transition those of this site whose arcs lead to one of its places.
    before: Vec<Vec<TransitionId>>,
}

impl Makers {
    /// Those of a whole net.
    pub fn new(net: &Net) -> Self {
        let mut makers = Self { leaving: HashMap::new(), before: vec![vec![]; net.transitions.len()] };
        for (at, transition) in net.transitions.iter().enumerate() {
            for arc in &transition.outputs {
                let led = match &arc.site {
                    Some(site) => makers.leaving.entry(site.clone()).or_default().entry(arc.place).or_default(),
                    None => {
                        let to = net.places.get(arc.place as usize).map(|to| to.transition as usize);
                        let Some(before) = to.and_then(|to| makers.before.get_mut(to)) else { continue };
                        before
                    }
                };
                if led.last() != Some(&(at as TransitionId)) {
                    led.push(at as TransitionId);
                }
            }
        }
        makers
    }

    /// The transitions whose arcs lead to a place of another site.
    pub fn leading(&self, place: PlaceId, site: &str) -> &[TransitionId] {
        self.leaving.get(site).and_then(|places| places.get(&place)).map_or(&[], Vec::as_slice)
    }

    /// The operations of whose results there may be something in what goes to a place of another site: that whose arc
    /// leads there or, where that is no operation's, all from which something comes to it. `net` is the one that these
    /// were made of.
    pub fn operations(&self, net: &Net, place: PlaceId, site: &str) -> Vec<String> {
        self.operations_of(net, self.leading(place, site).to_vec())
    }

    /// The operations of whose results there may be something in what a transition gives. `net` is the one that these
    /// were made of.
    pub fn operations_in(&self, net: &Net, transition: TransitionId) -> Vec<String> {
        self.operations_of(net, vec![transition])
    }

    /// The names by which results were taken apart on their way to a place of another site: of what an operation says
    /// beside a part of its result, the part itself shows nothing. `net` is the one that these were made of.
    pub fn parts(&self, net: &Net, place: PlaceId, site: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut seen = HashSet::new();
        let leads = |arc: &&Arc| arc.site.as_deref() == Some(site) && arc.place == place;
        for at in self.leading(place, site) {
            let from = &net.transitions[*at as usize];
            found.extend(from.outputs.iter().filter(leads).flat_map(names));
            self.add_parts_before(net, *at, &mut seen, &mut found);
        }
        found.into_iter().map(str::to_owned).collect()
    }

    fn add_parts_before<'a>(
        &self,
        net: &'a Net,
        to: TransitionId,
        seen: &mut HashSet<TransitionId>,
        found: &mut BTreeSet<&'a str>,
    ) {
        let mut next = vec![to];
        while let Some(to) = next.pop() {
            if net.transitions[to as usize].step.operation().is_some() || !seen.insert(to) {
                continue;
            }
            let leads = |arc: &&Arc| {
                arc.site.is_none() && net.places.get(arc.place as usize).is_some_and(|place| place.transition == to)
            };
            for before in &self.before[to as usize] {
                found.extend(net.transitions[*before as usize].outputs.iter().filter(leads).flat_map(names));
                next.push(*before);
            }
        }
    }

    /// The operations whose results decide what is done, and so what is seen to leave: those of whose results there may be
    /// something in a condition, in a loop's sequence or in whether rounds go on. `net` is the one that these were made of.
    pub fn deciding(&self, net: &Net) -> Vec<String> {
        let decides = |step: &Step| matches!(step, Step::Decide { .. } | Step::Split { .. } | Step::Again { .. });
        let steps = net.transitions.iter().zip(&self.before).filter(|(transition, _)| decides(&transition.step));
        self.operations_of(net, steps.flat_map(|(_, before)| before).copied().collect())
    }

    /// The operations among these transitions and, in the place of each that is none, among those that lead to it.
    fn operations_of(&self, net: &Net, mut next: Vec<TransitionId>) -> Vec<String> {
        let mut seen: HashSet<TransitionId> = next.iter().copied().collect();
        let mut found = vec![];
        while let Some(at) = next.pop() {
            match net.transitions[at as usize].step.operation() {
                Some(operation) => found.push(operation.to_owned()),
                None => next.extend(self.before[at as usize].iter().filter(|before| seen.insert(**before))),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The names on the path of what an arc carries; an index says of an element no more than where it stood.
fn names(arc: &Arc) -> impl Iterator<Item = &str> {
    let path: &[Selector] = if let Carry::Value(path) = &arc.carry { path } else { &[] };
    path.iter().filter_map(|selector| match selector {
        Selector::Attribute(name) | Selector::Key(name) => Some(name.as_str()),
        Selector::Index(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Argument, Block, Condition, Limits, NodeId, Place, Source, Transition};

    #[test]
    fn a_part_is_known_by_every_name_on_its_way() {
        let node = || NodeId::Number(0);
        let call = Step::Call {
            node: node(),
            operation: "x.First".into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        };
        let arc = |site: Option<&str>, path: Vec<Selector>| Arc {
            site: site.map(str::to_owned),
            place: 0,
            carry: Carry::Value(path),
            inward: false,
        };
        let inner = vec![Selector::Key("groups".into()), Selector::Index(3)];
        let step = |step, outputs| Transition { step, block: 0, outputs };
        let collect = Step::Collect { node: node(), errors: crate::OnError::Fail };
        let net = Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: vec![Place { transition: 1, slot: 0, block: 0, source: Source::Here }],
            transitions: vec![
                step(call.clone(), vec![arc(None, inner)]),
                step(collect, vec![arc(Some("b"), vec![Selector::Attribute("mean".into())]), arc(Some("c"), vec![])]),
            ],
        };
        let makers = Makers::new(&net);
        assert_eq!(makers.parts(&net, 0, "b"), ["groups", "mean"]);
        assert_eq!(makers.parts(&net, 0, "c"), ["groups"]);
        let whole = Net { transitions: vec![step(call, vec![arc(Some("b"), vec![Selector::Index(0)])])], ..net };
        assert_eq!(Makers::new(&whole).parts(&whole, 0, "b"), [""; 0]);
    }

    #[test]
    fn what_decides_is_every_operation_that_leads_to_a_condition() {
        let node = || NodeId::Number(0);
        let call = |name: &str| Step::Call {
            node: node(),
            operation: name.into(),
            provider: None,
            arguments: vec![],
            limits: Limits::default(),
        };
        let collect = Step::Collect { node: node(), errors: crate::OnError::Fail };
        let decide = Step::Decide { node: node(), condition: Condition::Truth(Argument::Slot(0)) };
        let step = |step, to: Option<PlaceId>| Transition {
            step,
            block: 0,
            outputs: to
                .map(|place| Arc { site: None, place, carry: Carry::Value(vec![]), inward: false })
                .into_iter()
                .collect(),
        };
        let place = |transition| Place { transition, slot: 0, block: 0, source: Source::Here };
        let net = Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: vec![place(3), place(4), place(1)],
            transitions: vec![
                step(call("x.First"), Some(2)),
                step(call("x.Second"), Some(0)),
                step(call("x.Other"), None),
                step(collect, Some(1)),
                step(decide, None),
            ],
        };
        assert_eq!(Makers::new(&net).deciding(&net), ["x.Second"], "the second one's result is not the first one's");
    }
}
