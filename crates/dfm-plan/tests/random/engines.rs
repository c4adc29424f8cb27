//! What comes out of a plan's nets, in a random order of events?

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dfm_net::{Action, Engine, Failure, Frame, Kind, Move, Outcome, PlaceId, Source, Step, Token, TransitionId};
use dfm_plan::Plan;

use super::pipelines::Picks;
use super::reference::Observed;
use super::value::{Val, before_failing, cached, generates, id, origin, params, persist, sum};

enum Event {
    Start(usize, u32),
    Stop(usize),
    Complete(usize, TransitionId, Frame, Outcome<Val>),
    /// Gives the items one by one, the last one first, then completes.
    Generate(usize, TransitionId, Frame, Vec<Val>, Outcome<Val>),
    Item(usize, usize, PlaceId, Frame, Val),
    Deposit(usize, usize, PlaceId, Frame, Option<Token<Val>>),
    Lose(usize, usize),
}

/// Runs a plan's nets. A site that `dies` is lost after so many events.
pub fn execute(plan: &Plan, frames: u32, order: u64, dies: Option<(usize, usize)>) -> (Observed, usize) {
    let nets = &plan.nets;
    let mut engines: Vec<Engine<Val>> = nets.iter().map(|net| Engine::new(Arc::new(net.clone()))).collect();
    let mut picks = Picks(order);
    let mut seen = Observed::default();
    let mut items_of: HashMap<(usize, TransitionId, Frame), Vec<Val>> = HashMap::new();
    let mut done = HashSet::new();
    let mut events: Vec<Event> = vec![];
    for site in 0..nets.len() {
        events.extend((0..frames).map(|index| Event::Start(site, index)));
        events.push(Event::Stop(site));
    }
    let mut dead = None;
    let mut turn = 0;
    let mut begun = vec![0; nets.len()];
    // One site may hear last what it has to begin, after others' values have come to it.
    let late = picks.pick(nets.len() as u64 + 1) as usize;
    while !events.is_empty() || dies.is_some_and(|_| dead.is_none()) {
        if let Some((lost, _)) = dies.filter(|(_, after)| dead.is_none() && (turn >= *after || events.is_empty())) {
            dead = Some(lost);
            events.retain(|event| match event {
                Event::Start(site, _) | Event::Stop(site) | Event::Complete(site, ..) | Event::Generate(site, ..) => {
                    *site != lost
                }
                Event::Deposit(from, to, ..) | Event::Item(from, to, ..) => *from != lost && *to != lost,
                Event::Lose(..) => true,
            });
            events.extend((0..nets.len()).filter(|site| *site != lost).map(|site| Event::Lose(site, lost)));
            continue;
        }
        let mut picked = picks.pick(events.len() as u64) as usize;
        while matches!(events[picked], Event::Start(site, _) if site == late) && picks.pick(16) > 0 {
            picked = picks.pick(events.len() as u64) as usize;
        }
        // What goes from one site to another for one place goes in its order.
        let to = |event: &Event| match event {
            Event::Deposit(from, to, place, frame, _) | Event::Item(from, to, place, frame, _) => {
                Some((*from, *to, *place, frame.clone()))
            }
            _ => None,
        };
        let way = to(&events[picked]);
        let picked = if way.is_none() { picked } else { events.iter().position(|event| to(event) == way).unwrap() };
        let event = events.remove(picked);
        turn += 1;
        let at = match event {
            Event::Start(site, index) => {
                begun[site] += 1;
                engines[site].start(&Frame::of_param_set(index), &params(index));
                site
            }
            Event::Stop(site) => {
                engines[site].stop(u64::from(frames));
                site
            }
            Event::Complete(site, transition, frame, outcome) => {
                assert!(engines[site].complete(transition, &frame, outcome.clone()));
                assert!(!engines[site].complete(transition, &frame, outcome), "a second result is refused");
                site
            }
            Event::Generate(site, transition, frame, mut items, outcome) => {
                match items.pop() {
                    Some(item) => {
                        assert!(engines[site].item(transition, &frame, &item));
                        events.push(Event::Generate(site, transition, frame, items, outcome));
                    }
                    None => assert!(engines[site].complete(transition, &frame, outcome)),
                }
                site
            }
            Event::Item(from, site, place, frame, value) => {
                let refused = nets[site].refuses(place, &nets[from].site, &frame, Kind::Item);
                assert_eq!(refused, None, "a site takes what the planner's nets send");
                engines[site].deposit_item(place, &frame, value);
                site
            }
            Event::Deposit(from, site, place, frame, token) => {
                let refused = nets[site].refuses(place, &nets[from].site, &frame, kind_of(token.as_ref()));
                assert_eq!(refused, None, "a site takes what the planner's nets send");
                engines[site].deposit(place, &frame, token.clone());
                assert!(!engines[site].deposit(place, &frame, token), "a second token is refused");
                site
            }
            Event::Lose(site, lost) => {
                let failure = Failure {
                    site: nets[lost].site.clone(),
                    node: None,
                    operation: None,
                    frame: None,
                    kind: "SiteLost".into(),
                    message: String::new(),
                    stack_trace: String::new(),
                };
                engines[site].lose(&nets[lost].site, failure);
                site
            }
        };
        while let Some(action) = engines[at].next_action() {
            let step = |transition: TransitionId| &nets[at].transitions[transition as usize].step;
            match action {
                Action::Call { transition, frame, inputs } => {
                    let node = step(transition).node();
                    let at_node = (id(node), frame.levels().to_vec());
                    *seen.calls.entry(at_node.clone()).or_default() += 1;
                    let value = |argument: &dfm_net::Argument| argument.value(&inputs).expect("it has a value");
                    let mut items = None;
                    let outcome = match step(transition) {
                        Step::Call { operation, arguments, .. } if operation == "t.Sum" => {
                            Some(Outcome::Value(sum(&value(&arguments[0].1))))
                        }
                        Step::Call { arguments, limits, .. } => {
                            let given: Vec<Val> = arguments.iter().map(|(_, argument)| value(argument)).collect();
                            let once = limits.retries == 0 && limits.timeout.is_none();
                            match persist(&id(node), &given, limits.retries, limits.timeout) {
                                Some(Val::List(made)) if generates(&id(node)) => {
                                    items = Some(made.clone());
                                    let gathers = engines[at].gathers(transition);
                                    Some(Outcome::Streamed(gathers.then_some(Val::List(made))))
                                }
                                None if generates(&id(node)) && once => {
                                    items = Some(before_failing(&id(node), &given));
                                    None
                                }
                                made => made.map(Outcome::Value),
                            }
                        }
                        Step::LookUp { key, .. } => {
                            let key: Vec<Val> = key.iter().map(value).collect();
                            let found = cached(&id(node), &key);
                            found.map(|found| found.map_or(Outcome::NotFound(Val::List(key)), Outcome::Found))
                        }
                        Step::Store { .. } => {
                            let Some(Some(Val::List(key))) = inputs.last().cloned() else { panic!("there is no key") };
                            let value = inputs[0].clone().expect("it has a value");
                            seen.stored.insert(at_node, (key, value.clone()));
                            Some(Outcome::Value(value))
                        }
                        other => panic!("{other:?} is no call"),
                    };
                    let outcome = outcome.unwrap_or_else(|| {
                        Outcome::Failed(Failure {
                            site: nets[at].site.clone(),
                            node: Some(node.clone()),
                            operation: None,
                            frame: Some(frame.clone()),
                            kind: "Raised".into(),
                            message: String::new(),
                            stack_trace: String::new(),
                        })
                    });
                    events.push(match items {
                        Some(mut items) => {
                            items.reverse();
                            Event::Generate(at, transition, frame, items, outcome)
                        }
                        None => Event::Complete(at, transition, frame, outcome),
                    });
                }
                Action::Yield { transition, frame, token } => {
                    let made = match token {
                        Token::Value(value) => Ok(value),
                        Token::Error(errors) => Err(errors.iter().map(|one| origin(one)).collect()),
                        Token::End => {
                            Ok(Val::List(items_of.remove(&(at, transition, frame.clone())).unwrap_or_default()))
                        }
                        other => panic!("a yield has no {other:?}"),
                    };
                    let key = (id(step(transition).node()), frame.levels().to_vec());
                    assert_eq!(seen.yields.insert(key, made), None, "a yield delivers once a frame");
                }
                Action::Send { site, place, frame, token } => {
                    let to = nets.iter().position(|net| net.site == site).expect("a site of the plan");
                    if Some(to) != dead {
                        events.push(Event::Deposit(at, to, place, frame, token));
                    }
                }
                Action::Item { transition, frame, value } => {
                    items_of.entry((at, transition, frame)).or_default().push(value);
                }
                Action::SendItem { site, place, frame, value } => {
                    let to = nets.iter().position(|net| net.site == site).expect("a site of the plan");
                    if Some(to) != dead {
                        events.push(Event::Item(at, to, place, frame, value));
                    }
                }
                Action::Consumed { .. } => {}
                Action::Report(failure) => {
                    seen.reports.insert(origin(&failure));
                }
                Action::Done => assert!(done.insert(at), "a site is done once"),
            }
        }
        let runs = |event: &Event| match event {
            Event::Complete(site, ..) | Event::Generate(site, ..) | Event::Stop(site) => *site == at,
            _ => false,
        };
        if begun[at] == frames && !events.iter().any(runs) {
            assert_eq!(names_what_it_waits_for(&engines[at]), !done.contains(&at));
        }
    }
    for (at, engine) in engines.iter().enumerate() {
        if done.contains(&at) {
            assert_eq!(engine.live(), 0, "nothing is held of what is over");
        }
        for (times, made) in seen.moves.iter_mut().zip(Move::ALL) {
            *times += engine.moves(made);
        }
    }
    (seen, done.len() - usize::from(dead.is_some_and(|dead| done.contains(&dead))))
}

fn kind_of(token: Option<&Token<Val>>) -> Kind {
    match token {
        None => Kind::Signal,
        Some(Token::Value(_)) => Kind::Value,
        Some(Token::Error(_)) => Kind::Errors,
        Some(Token::Missing(_)) => Kind::Missing,
        Some(Token::End) => Kind::End,
        Some(Token::Count(count)) => Kind::Count(*count),
        Some(Token::Next(_)) => Kind::Next,
    }
}

/// Whether a site says of anything that it waits for another site. Whatever waits says which places are empty.
fn names_what_it_waits_for(engine: &Engine<Val>) -> bool {
    let (waiting, more) = engine.waiting(usize::MAX);
    assert!(more == 0 && waiting.iter().all(|one| !one.empty.is_empty()));
    let place = |place: &PlaceId| &engine.net().places[*place as usize];
    waiting.iter().flat_map(|one| &one.empty).any(|empty| matches!(place(empty).source, Source::Site(_)))
}
