//! Which steps of secure sums may a site's net have, and where may what they are given come from?
//!
//! Steps are no operations of a site's, so no rule of its policy is about them, and they tell anybody why they refuse
//! something. So they are given nothing that the site has or makes, but for the value that is masked. That is what an
//! operation has made there, as rules are about: a net that has the others add what it says sees what one site adds.

use std::collections::HashMap;

use crate::{Argument, Named, Net, Place, PlaceId, Source, Step, TransitionId, Unsound};

/// What their names begin with, which no operation of a federation has.
pub const SECURE_SUM: &str = "secure-sum.";

/// Where something that a step is given comes from.
enum Origin {
    /// The net itself.
    Net,
    /// The application's site, where all that sites say is put together.
    Elsewhere,
    /// This step before it.
    Step(&'static str),
    /// An operation of the site's.
    Operation,
}

/// The steps that sites take, each with its parameters. What all sites have given is added up by the application alone.
const AT_SITES: [(&str, &[(&str, Origin)]); 5] = [
    ("keys", &[("terms", Origin::Net)]),
    ("shares", &[("sum", Origin::Step("keys")), ("keys", Origin::Elsewhere)]),
    ("masked", &[("sum", Origin::Step("shares")), ("shares", Origin::Elsewhere), ("value", Origin::Operation)]),
    ("agreed", &[("sum", Origin::Step("shares")), ("survivors", Origin::Elsewhere)]),
    ("told", &[("sum", Origin::Step("agreed")), ("agreed", Origin::Elsewhere)]),
];

/// Checks the steps of secure sums in a net that is not of the application's own site, and in which nothing waits for itself.
///
/// # Errors
/// Which one is not for this site, or is given what it may not be.
pub(crate) fn check_sums(net: &Net, named: impl Fn(TransitionId) -> Named) -> Result<(), Unsound> {
    let steps = (0..).zip(&net.transitions).filter_map(|(at, transition)| match &transition.step {
        Step::Call { operation, arguments, .. } => Some((at, operation.strip_prefix(SECURE_SUM)?, arguments)),
        _ => None,
    });
    let mut makers = None;
    for (at, step, arguments) in steps {
        let Some((_, parameters)) = AT_SITES.iter().find(|(name, _)| *name == step) else {
            return Err(Unsound::HomeOnly(named(at)));
        };
        let inputs = makers.get_or_insert_with(|| inputs(net));
        for (name, argument) in arguments {
            let parameter = parameters.iter().find(|(parameter, _)| parameter == name);
            if !parameter.is_some_and(|(_, origin)| comes_from(net, inputs, at, argument, origin)) {
                return Err(Unsound::GivenToSum { step: named(at), parameter: name.clone() });
            }
        }
    }
    Ok(())
}

/// An input of a transition → where its tokens come from, and what makes them if that is in this net.
type Inputs<'n> = HashMap<(TransitionId, u16), (&'n Source, Option<TransitionId>)>;

fn inputs<'n>(net: &'n Net) -> Inputs<'n> {
    let mut makers: HashMap<PlaceId, TransitionId> = HashMap::new();
    for (at, transition) in (0..).zip(&net.transitions) {
        let here = transition.outputs.iter().filter(|arc| arc.site.is_none());
        makers.extend(here.map(|arc| (arc.place, at)));
    }
    let input =
        |(at, place): (PlaceId, &'n Place)| ((place.transition, place.slot), (&place.source, makers.get(&at).copied()));
    (0..).zip(&net.places).map(input).collect()
}

fn comes_from(net: &Net, inputs: &Inputs<'_>, at: TransitionId, argument: &Argument, origin: &Origin) -> bool {
    let input = |argument: &Argument| match argument {
        Argument::Slot(slot) => inputs.get(&(at, *slot)).copied(),
        _ => None,
    };
    match origin {
        Origin::Operation => is_made_here(net, inputs, at, argument),
        Origin::Net => matches!(argument, Argument::Literal(_)),
        Origin::Elsewhere => {
            matches!(input(argument), Some((Source::Site(site), _)) if *site != net.site)
        }
        Origin::Step(before) => {
            let made = input(argument).and_then(|(_, maker)| net.transitions[maker? as usize].step.operation());
            made.and_then(|operation| operation.strip_prefix(SECURE_SUM)) == Some(before)
        }
    }
}

/// Whether an argument of a transition is what an operation has made here, or what is left of that by a block, a loop or
/// rounds.
fn is_made_here(net: &Net, inputs: &Inputs<'_>, mut at: TransitionId, argument: &Argument) -> bool {
    let mut argument = argument;
    loop {
        let Argument::Slot(slot) = argument else { return false };
        let Some((Source::Here, Some(maker))) = inputs.get(&(at, *slot)) else { return false };
        at = *maker;
        argument = match &net.transitions[at as usize].step {
            Step::Call { operation, .. } => return !operation.starts_with(SECURE_SUM),
            Step::Collect { .. } => &Argument::Slot(0),
            Step::Join { .. } => &Argument::Slot(1),
            Step::Again { next, .. } => next,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arc, Block, Carry, Limits, NodeId, Transition, check_alone};

    /// The net of site `a` where a call of `t.Op` and a step that is called by `first` give the step `second` something.
    fn net(first: (&str, Source), second: (&str, &str, Argument), source: Source) -> Net {
        let call = |operation: String, arguments| Step::Call {
            node: NodeId::Number(0),
            operation,
            provider: None,
            arguments,
            limits: Limits::default(),
        };
        let (step, parameter, argument) = second;
        let to_it = vec![Arc { site: None, place: 1, carry: Carry::Value(vec![]), inward: false }];
        let outputs = if source == Source::Here { to_it } else { vec![] };
        let (maker, from) = first;
        Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: vec![
                Place { transition: 0, slot: 0, block: 0, source: from },
                Place { transition: 1, slot: 0, block: 0, source },
            ],
            transitions: vec![
                Transition { step: call(maker.to_owned(), vec![]), block: 0, outputs },
                Transition {
                    step: call(format!("{SECURE_SUM}{step}"), vec![(parameter.to_owned(), argument)]),
                    block: 0,
                    outputs: vec![],
                },
            ],
        }
    }

    fn problem(maker: &str, step: &str, parameter: &str, argument: Argument, source: Source) -> Option<String> {
        let net = net((maker, Source::Start), (step, parameter, argument), source);
        check_alone(&net, false).err().map(|problem| problem.to_string())
    }

    #[test]
    fn a_step_is_given_nothing_that_its_site_has_but_the_value_that_it_masks() {
        let slot = || Argument::Slot(0);
        let from_b = || Source::Site("b".into());
        for (step, parameter) in [("shares", "keys"), ("masked", "shares"), ("agreed", "survivors"), ("told", "agreed")]
        {
            assert_eq!(problem("t.Op", step, parameter, slot(), from_b()), None);
            let told = format!("node 0 (secure-sum.{step}) at site 'a' takes its '{parameter}' from where it may not");
            for (argument, source) in [
                (slot(), Source::Here),
                (slot(), Source::Param("p".into())),
                (Argument::Built(crate::Form::List, vec![slot()]), Source::Here),
                (Argument::Built(crate::Form::List, vec![slot()]), from_b()),
                (Argument::Literal(1.into()), Source::Start),
            ] {
                assert_eq!(problem("t.Op", step, parameter, argument, source), Some(told.clone()));
            }
            assert_eq!(problem("secure-sum.masked", step, parameter, slot(), Source::Here), Some(told));
        }
        for (step, before) in [("shares", "keys"), ("masked", "shares"), ("agreed", "shares"), ("told", "agreed")] {
            assert_eq!(problem(&format!("secure-sum.{before}"), step, "sum", slot(), Source::Here), None);
            assert!(problem("t.Op", step, "sum", slot(), Source::Here).is_some());
            assert!(problem("secure-sum.masked", step, "sum", slot(), Source::Here).is_some());
            assert!(problem("t.Op", step, "sum", slot(), from_b()).is_some());
        }
        assert_eq!(problem("t.Op", "keys", "terms", Argument::Literal(1.into()), Source::Start), None);
        for source in [Source::Here, from_b(), Source::Param("p".into())] {
            assert!(problem("t.Op", "keys", "terms", slot(), source).is_some());
        }
        assert!(problem("t.Op", "keys", "other", Argument::Literal(1.into()), Source::Start).is_some());
    }

    #[test]
    fn a_site_adds_what_its_operations_make_and_nothing_that_a_net_says() {
        let slot = || Argument::Slot(0);
        assert_eq!(problem("t.Op", "masked", "value", slot(), Source::Here), None);
        let of_two = Argument::Built(crate::Form::List, vec![slot()]);
        for (maker, argument, source) in [
            ("t.Op", Argument::Literal(0.into()), Source::Start),
            ("t.Op", slot(), Source::Param("p".into())),
            ("t.Op", slot(), Source::Site("b".into())),
            ("t.Op", of_two, Source::Here),
            ("secure-sum.shares", slot(), Source::Here),
        ] {
            let told = problem(maker, "masked", "value", argument, source).unwrap();
            assert!(told.ends_with("takes its 'value' from where it may not"), "{told}");
        }
    }

    #[test]
    fn contributions_are_added_up_at_the_applications_site_alone() {
        for step in ["added", "total", "other"] {
            let net = net(("t.Op", Source::Start), (step, "masked", Argument::Slot(0)), Source::Site("b".into()));
            assert_eq!(check_alone(&net, true), Ok(()));
            let problem = check_alone(&net, false).unwrap_err().to_string();
            assert_eq!(problem, format!("node 0 (secure-sum.{step}) at site 'a' is for the application's site alone"));
        }
    }
}
