//! Which steps of secure sums may a site's net have, and where may what they are given come from?
//!
//! Steps are no operations of a site's, so no rule of its policy is about them, and they tell anybody why they refuse
//! something. So they are given nothing that the site has or makes, but for the value that is masked. That is what an
//! operation has made there, as rules are about: a net that has the others add what it says sees what one site adds.

use std::collections::HashMap;

use serde_json::Value;

use crate::{Argument, Carry, Form, Named, Net, Place, PlaceId, Selector, Source, Step, TransitionId, Unsound};

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
pub fn check_sums(net: &Net) -> Result<(), Unsound> {
    let named = |at: TransitionId| {
        let step = &net.transitions[at as usize].step;
        Named { node: step.node().clone(), label: step.label(), site: net.site.clone() }
    };
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

/// An input of a transition → where its tokens come from and, if that is in this net, what makes them and what of it they
/// carry.
type Inputs<'n> = HashMap<(TransitionId, u16), (&'n Source, Option<(TransitionId, &'n Carry)>)>;

fn inputs<'n>(net: &'n Net) -> Inputs<'n> {
    let mut makers: HashMap<PlaceId, (TransitionId, &Carry)> = HashMap::new();
    for (at, transition) in (0..).zip(&net.transitions) {
        let here = transition.outputs.iter().filter(|arc| arc.site.is_none());
        makers.extend(here.map(|arc| (arc.place, (at, &arc.carry))));
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
            let made = input(argument).and_then(|(_, maker)| net.transitions[maker?.0 as usize].step.operation());
            made.and_then(|operation| operation.strip_prefix(SECURE_SUM)) == Some(before)
        }
    }
}

/// Whether an argument of a transition is what an operation has made here, or what is left of that by a block, a loop or
/// rounds. What a cache has may come from anywhere, and how many rounds there were may be what the net says.
fn is_made_here(net: &Net, inputs: &Inputs<'_>, mut at: TransitionId, argument: &Argument) -> bool {
    // Which part of the argument it is, the first step of the way there last.
    let mut path: Vec<&Selector> = vec![];
    let mut argument = Some(argument);
    loop {
        let Some(Argument::Slot(slot)) = argument else { return false };
        let Some((Source::Here, Some((maker, Carry::Value(part))))) = inputs.get(&(at, *slot)) else { return false };
        path.extend(part.iter().rev());
        at = *maker;
        argument = match &net.transitions[at as usize].step {
            Step::Call { operation, .. } => return !operation.starts_with(SECURE_SUM),
            Step::Collect { .. } => {
                path.pop();
                Some(&Argument::Slot(0))
            }
            Step::Again { next, .. } if path.pop() == Some(&Selector::Index(0)) => part_of(next, &mut path),
            _ => return false,
        };
    }
}

/// The argument that a part of another one is, which may be in dictionaries. Takes the way to it off the `path`.
fn part_of<'n>(mut argument: &'n Argument, path: &mut Vec<&Selector>) -> Option<&'n Argument> {
    while let Argument::Built(Form::Dict, parts) = argument {
        let Some(Selector::Key(wanted)) = path.pop() else { return None };
        let mut found = None;
        for pair in parts.chunks_exact(2) {
            // Any other key may turn out to be this one.
            let Argument::Literal(Value::String(key)) = &pair[0] else { return None };
            if key == wanted && found.replace(&pair[1]).is_some() {
                return None;
            }
        }
        argument = found?;
    }
    Some(argument)
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

    /// The net of site `a` that masks what comes by this path from a step with two inputs, which makes it of what a look-up
    /// and an operation have given it.
    fn made_by(step: Step, path: Vec<Selector>) -> Net {
        let to = |place, path| vec![Arc { site: None, place, carry: Carry::Value(path), inward: false }];
        let call = |operation: &str, arguments| Step::Call {
            node: NodeId::Number(0),
            operation: operation.into(),
            provider: None,
            arguments,
            limits: Limits::default(),
        };
        let masked = call("secure-sum.masked", vec![("value".to_owned(), Argument::Slot(0))]);
        let look_up = Step::LookUp { node: NodeId::Number(1), key: vec![] };
        let steps =
            [(look_up, to(2, vec![])), (call("t.Op", vec![]), to(3, vec![])), (step, to(4, path)), (masked, vec![])];
        let place = |transition, slot, source| Place { transition, slot, block: 0, source };
        Net {
            site: "a".into(),
            blocks: vec![Block::body()],
            places: vec![
                place(0, 0, Source::Start),
                place(1, 0, Source::Start),
                place(2, 0, Source::Here),
                place(2, 1, Source::Here),
                place(3, 0, Source::Here),
            ],
            transitions: steps.map(|(step, outputs)| Transition { step, block: 0, outputs }).into(),
        }
    }

    #[test]
    fn what_a_cache_had_is_added_by_no_site() {
        let net = made_by(Step::Join { node: NodeId::Number(2) }, vec![]);
        assert!(matches!(check_sums(&net), Err(Unsound::GivenToSum { parameter, .. }) if parameter == "value"));
    }

    #[test]
    fn of_what_rounds_leave_a_site_adds_what_an_operation_has_made() {
        let text = |text: &str| Argument::Literal(text.into());
        let of = |parts: &[(Argument, Argument)]| {
            Argument::Built(Form::Dict, parts.iter().cloned().flat_map(<[Argument; 2]>::from).collect())
        };
        let key = |key: &str| Selector::Key(key.into());
        let is_added = |next, path: &[Selector]| {
            let again = Step::Again { node: NodeId::Number(2), repeat: 0, next, until: None, at_most: 9 };
            check_sums(&made_by(again, path.to_vec())).is_ok()
        };
        let (found, made) = (Argument::Slot(0), Argument::Slot(1));
        let two = of(&[(text("f"), found.clone()), (text("m"), made.clone()), (text("l"), text("x"))]);
        let of_next = |path: &[Selector]| [&[Selector::Index(0)], path].concat();
        assert!(is_added(made.clone(), &of_next(&[])) && is_added(made.clone(), &of_next(&[key("any")])));
        assert!(is_added(two.clone(), &of_next(&[key("m"), key("any")])));
        assert!(is_added(of(&[(text("in"), two.clone())]), &of_next(&[key("in"), key("m")])));
        // How many rounds there were, and that with what they leave.
        assert!(!is_added(made.clone(), &[Selector::Index(1)]) && !is_added(made.clone(), &[]));
        for path in [vec![], vec![key("f")], vec![key("l")], vec![key("n")], vec![Selector::Attribute("m".into())]] {
            assert!(!is_added(two.clone(), &of_next(&path)), "{path:?}");
        }
        for other in [text("m"), found, Argument::Literal(1.into())] {
            assert!(!is_added(of(&[(text("m"), made.clone()), (other, text("0"))]), &of_next(&[key("m")])));
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
