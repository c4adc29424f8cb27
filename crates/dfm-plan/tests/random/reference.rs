//! What has to come out of a pipeline, by a plain interpreter?

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;

use dfm_net::{Form, Move, NodeId, OnError, Value};
use dfm_plan::{Argument, Condition, GatherStatement, Pipeline, Plan, Statement};

use super::value::{Made, Origin, Val, before_failing, cached, generates, id, params, persist, sum};

/// Node → where it was made, and what it is.
type Env = HashMap<String, (Firing, Made)>;
/// Yields and calls by node and frame, and where errors arose.
#[derive(Debug, Default, PartialEq)]
pub struct Observed {
    pub yields: BTreeMap<(String, Vec<u32>), Made>,
    pub calls: BTreeMap<(String, Vec<u32>), u32>,
    pub stored: BTreeMap<(String, Vec<u32>), (Vec<Val>, Val)>,
    pub reports: BTreeSet<Origin>,
    /// How often each of the engines' declared moves was made; not by the interpreter, which has none.
    pub moves: [u64; Move::ALL.len()],
}

/// A node and the frame in which it fires.
type Firing = (String, Vec<u32>);

struct Reference<'p> {
    pipeline: &'p Pipeline,
    /// The loops that take a generator's items as they come.
    streamed: HashSet<String>,
    /// Generator and frame → what it gave before it failed.
    given: RefCell<HashMap<Firing, Vec<Val>>>,
    params: HashMap<String, Val>,
    /// The sites of each `EachSite`.
    sites: &'p [(NodeId, Vec<String>)],
    /// The site that the body of an `EachSite` is being run for.
    site: RefCell<Option<String>>,
    seen: RefCell<Observed>,
}

impl Reference<'_> {
    /// A node, as nets name it.
    fn name(&self, node: &str) -> String {
        match &*self.site.borrow() {
            Some(site) => format!("{node}@{site}"),
            None => node.to_owned(),
        }
    }

    fn report(&self, node: &str, frame: &[u32]) -> BTreeSet<Origin> {
        let origin = (node.to_owned(), frame.to_vec());
        self.seen.borrow_mut().reports.insert(origin.clone());
        BTreeSet::from([origin])
    }

    fn value(&self, argument: &Argument, env: &Env) -> Made {
        let built = |form: Form, parts: &mut dyn Iterator<Item = &Argument>| {
            let parts: Vec<&Argument> = parts.collect();
            let parts = self.inputs(&parts, &[], env)?;
            Ok(Val::build(&form, parts).expect("everything can be made of them"))
        };
        match argument {
            Argument::List { list } => built(Form::List, &mut list.iter()),
            Argument::Tuple { tuple } => built(Form::Tuple, &mut tuple.iter()),
            Argument::Dict { dict } => built(Form::Dict, &mut dict.iter().flat_map(|(key, value)| [key, value])),
            Argument::Model { .. } => unreachable!("none is written"),
            Argument::Literal { literal } => Ok(Val::literal(literal).expect("it is a number or a list")),
            Argument::Param { param, .. } => Ok(self.params[param].clone()),
            Argument::Encoded { .. } | Argument::Advise { .. } => unreachable!("none is written"),
            Argument::Node { node, path } => {
                let ((name, frame), made) = &env[&id(node)];
                let value = made.clone()?;
                value.select(path).map_err(|_| self.report(name, frame))
            }
        }
    }

    /// All inputs, or the errors of all that have none.
    fn inputs(&self, arguments: &[&Argument], after: &[NodeId], env: &Env) -> Result<Vec<Val>, BTreeSet<Origin>> {
        let mut errors = BTreeSet::new();
        let mut values = vec![];
        for argument in arguments {
            match self.value(argument, env) {
                Ok(value) => values.push(value),
                Err(more) => errors.extend(more),
            }
        }
        for node in after {
            if let Err(more) = &env[&id(node)].1 {
                errors.extend(more.iter().cloned());
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }

    fn holds(&self, condition: &Condition, values: &mut dyn Iterator<Item = Val>) -> Result<bool, ()> {
        let mut next = || values.next().expect("there is one for each argument");
        match condition {
            Condition::And { and } => {
                let all: Vec<Result<bool, ()>> = and.iter().map(|one| self.holds(one, values)).collect();
                all.into_iter().find(|one| *one != Ok(true)).unwrap_or(Ok(true))
            }
            Condition::Or { or } => {
                let all: Vec<Result<bool, ()>> = or.iter().map(|one| self.holds(one, values)).collect();
                all.into_iter().find(|one| *one != Ok(false)).unwrap_or(Ok(false))
            }
            Condition::Not { not } => self.holds(not, values).map(|holds| !holds),
            Condition::Compare { compare, .. } => {
                let (left, right) = (next(), next());
                left.compare(*compare, &right).map_err(|_| ())
            }
            Condition::Truth { .. } => next().truth().map_err(|_| ()),
        }
    }

    /// Says in all yields of a block why it was not run; its nodes have the errors in this frame.
    fn poison(&self, block: &str, frame: &[u32], errors: &BTreeSet<Origin>, env: &mut Env) {
        for statement in self.of(Some(block)) {
            let node = node_of(statement);
            env.insert(node.clone(), ((self.name(&node), frame.to_vec()), Err(errors.clone())));
            match statement {
                Statement::Yield(_) => {
                    self.seen.borrow_mut().yields.insert((node, frame.to_vec()), Err(errors.clone()));
                }
                Statement::ForEach(_)
                | Statement::If(_)
                | Statement::Otherwise(_)
                | Statement::TryFromCache(_)
                | Statement::Repeat(_)
                | Statement::EachSite(_) => {
                    self.poison(&node, frame, errors, env);
                }
                _ => {}
            }
        }
    }

    fn of<'s>(&'s self, block: Option<&'s str>) -> impl Iterator<Item = &'s Statement> {
        self.pipeline.statements.iter().filter(move |statement| statement.block().map(id).as_deref() == block)
    }

    fn run(&self, block: Option<&str>, frame: &[u32], env: &mut Env) {
        let mut loops: HashMap<String, Result<Vec<Env>, BTreeSet<Origin>>> = HashMap::new();
        let mut outcomes: HashMap<String, Result<bool, BTreeSet<Origin>>> = HashMap::new();
        let mut each: HashMap<String, Vec<Env>> = HashMap::new();
        let mut outcomes_of_rounds: HashMap<String, Made> = HashMap::new();
        // What an EachSite comes after, its body does.
        let before = self.pipeline.statements.iter().find_map(|statement| match statement {
            Statement::EachSite(each) if Some(id(&each.node)).as_deref() == block => Some(each.after.clone()),
            _ => None,
        });
        let before = before.unwrap_or_default();
        let after = |own: &[NodeId]| -> Vec<NodeId> { own.iter().chain(&before).cloned().collect() };
        for statement in self.of(block) {
            let node = node_of(statement);
            let name = self.name(&node);
            let here = || (name.clone(), frame.to_vec());
            match statement {
                Statement::Operation(one) => {
                    let arguments: Vec<&Argument> = one.arguments.values().collect();
                    let made = self.inputs(&arguments, &after(&one.after), env).and_then(|inputs| {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        if one.operation == "t.Sum" {
                            return Ok(sum(&inputs[0]));
                        }
                        let retries = one.retry.map_or(0, |retry| retry.times);
                        persist(&name, &inputs, retries, one.timeout).ok_or_else(|| {
                            if generates(&name) && retries == 0 && one.timeout.is_none() {
                                self.given.borrow_mut().insert(here(), before_failing(&name, &inputs));
                            }
                            self.report(&name, frame)
                        })
                    });
                    env.insert(node.clone(), (here(), made));
                }
                Statement::Yield(one) => {
                    let made = self.inputs(&[&one.value], &after(&one.after), env).map(|mut inputs| inputs.remove(0));
                    self.seen.borrow_mut().yields.insert(here(), made);
                }
                Statement::ForEach(one) => {
                    let made = self.inputs(&[&one.sequence], &after(&one.after), env);
                    let made = made.and_then(|inputs| inputs[0].elements().map_err(|_| self.report(&name, frame)));
                    let run_each = |elements: Vec<Val>| -> Vec<Env> {
                        let each = elements.into_iter().enumerate().map(|(index, element)| {
                            let mut inner = env.clone();
                            let frame: Vec<u32> = frame.iter().copied().chain([index as u32]).collect();
                            inner.insert(node.clone(), ((name.clone(), frame.clone()), Ok(element)));
                            self.run(Some(&node), &frame, &mut inner);
                            inner
                        });
                        each.collect()
                    };
                    if let (Err(_), Argument::Node { node: of, .. }) = (&made, &one.sequence)
                        && self.streamed.contains(&name)
                    {
                        let given = self.given.borrow().get(&env[&id(of)].0).cloned();
                        run_each(given.unwrap_or_default());
                    }
                    let each = made.map(run_each);
                    if let Err(errors) = &each {
                        self.poison(&node, frame, errors, &mut env.clone());
                    }
                    loops.insert(node, each);
                }
                Statement::Collect(one) => {
                    let Argument::Node { node: of, .. } = &one.value else { unreachable!("a node is collected") };
                    let made = loops[&id(&one.for_each)].clone().and_then(|each| {
                        let mut items = vec![];
                        let mut failed = BTreeSet::new();
                        for (_, made) in each.iter().filter_map(|env| env.get(&id(of))) {
                            match (made, one.errors) {
                                (Ok(value), _) => items.push(value.clone()),
                                (Err(errors), OnError::Fail) => failed.extend(errors.iter().cloned()),
                                (Err(errors), OnError::Keep) => items.push(Val::Failed(errors.clone())),
                                (Err(_), OnError::Skip) => {}
                            }
                        }
                        if failed.is_empty() { Ok(Val::List(items)) } else { Err(failed) }
                    });
                    let made = match (made, self.inputs(&[], &after(&one.after), env)) {
                        (Err(failed), Err(before)) => Err(&failed | &before),
                        (made, before) => before.and(made),
                    };
                    env.insert(node.clone(), (here(), made));
                }
                Statement::If(one) => {
                    let outcome = self.inputs(&one.condition.arguments(), &after(&one.after), env).and_then(|inputs| {
                        let holds = self.holds(&one.condition, &mut inputs.into_iter());
                        holds.map_err(|()| self.report(&name, frame))
                    });
                    self.branch(&node, frame, outcome.clone(), env);
                    outcomes.insert(node, outcome);
                }
                Statement::Otherwise(one) => {
                    let outcome = outcomes[&id(&one.of)].clone().map(|holds| !holds);
                    self.branch(&node, frame, outcome, env);
                }
                Statement::TryFromCache(one) => {
                    let key: Vec<&Argument> = one.key.iter().collect();
                    let looked_up = self.inputs(&key, &after(&one.after), env).and_then(|key| {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        cached(&name, &key).map(|found| (key, found)).ok_or_else(|| self.report(&name, frame))
                    });
                    let made = match looked_up {
                        Ok((_, Some(found))) => Ok(found),
                        Ok((key, None)) => {
                            env.insert(node.clone(), (here(), Ok(Val::List(key))));
                            self.run(Some(&node), frame, env);
                            env[&node].1.clone()
                        }
                        Err(errors) => {
                            self.poison(&node, frame, &errors, env);
                            Err(errors)
                        }
                    };
                    env.insert(node.clone(), (here(), made));
                }
                Statement::WriteToCache(one) => {
                    let cache = id(&one.cache);
                    let Ok(Val::List(key)) = env[&cache].1.clone() else { unreachable!("it has its key") };
                    let made = self.inputs(&[&one.value], &after(&one.after), env).map(|mut inputs| inputs.remove(0));
                    if let Ok(value) = &made {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        self.seen.borrow_mut().stored.insert(here(), (key, value.clone()));
                    }
                    env.insert(cache.clone(), ((self.name(&cache), frame.to_vec()), made));
                }
                Statement::Repeat(one) => {
                    let given: Vec<&Argument> = one.start.values().collect();
                    let mut state =
                        self.inputs(&given, &after(&one.after), env).map(|values| named(&one.start, values));
                    let begun = state.is_ok();
                    let mut rounds = vec![];
                    let mut outcome = state.clone();
                    while let Ok(value) = state {
                        let mut inner = env.clone();
                        let frame: Vec<u32> = frame.iter().copied().chain([rounds.len() as u32]).collect();
                        inner.insert(node.clone(), ((name.clone(), frame.clone()), Ok(value)));
                        self.run(Some(&node), &frame, &mut inner);
                        let again = inner.iter().find(|(of, _)| self.ends(of, &node)).expect("it was run").1.1.clone();
                        rounds.push(inner);
                        state = match again {
                            Ok(Val::List(decided)) => {
                                let last = decided[0] != Val::Num(0) || rounds.len() as u32 == one.at_most;
                                let count = Val::Num(rounds.len() as i64);
                                outcome = Ok(Val::List(vec![decided[1].clone(), count]));
                                if last { Err(BTreeSet::new()) } else { Ok(decided[1].clone()) }
                            }
                            other => {
                                outcome = other.clone();
                                other.and(Err(BTreeSet::new()))
                            }
                        };
                    }
                    if let (false, Err(errors)) = (begun, &outcome) {
                        self.poison(&node, frame, errors, &mut env.clone());
                    }
                    loops.insert(node.clone(), if begun { Ok(rounds) } else { outcome.clone().map(|_| vec![]) });
                    outcomes_of_rounds.insert(node, outcome);
                }
                Statement::Again(one) => {
                    let mut given: Vec<&Argument> = one.until.iter().flat_map(Condition::arguments).collect();
                    given.extend(one.next.values());
                    let made = self.inputs(&given, &after(&one.after), env).and_then(|inputs| {
                        let mut inputs = inputs.into_iter();
                        let until = one.until.as_ref().map_or(Ok(false), |until| self.holds(until, &mut inputs));
                        let until = until.map_err(|()| self.report(&name, frame))?;
                        Ok(Val::List(vec![Val::Num(i64::from(until)), named(&one.next, inputs.collect())]))
                    });
                    env.insert(node.clone(), (here(), made));
                }
                Statement::Outcome(one) => {
                    let made = outcomes_of_rounds[&id(&one.repeat)].clone();
                    env.insert(node.clone(), (here(), made));
                }
                Statement::EachSite(_) => {
                    let sites = self.sites.iter().find(|(each, _)| id(each) == node).map(|(_, sites)| sites);
                    let run_at = |site: &String| {
                        let mut inner = env.clone();
                        *self.site.borrow_mut() = Some(site.clone());
                        self.run(Some(&node), frame, &mut inner);
                        *self.site.borrow_mut() = None;
                        inner
                    };
                    let envs = sites.expect("it is planned").iter().map(run_at).collect();
                    each.insert(node, envs);
                }
                Statement::Gather(one) => {
                    let made = self.gathered(one, &each[&id(&one.each_site)]);
                    let before = self.inputs(&[], &after(&one.after), env);
                    let made = before.and_then(|_| made.unwrap_or_else(|| Err(self.report(&name, frame))));
                    env.insert(node.clone(), (here(), made));
                }
                Statement::Gathered(_) | Statement::SecureSum(_) | Statement::Other { .. } => {
                    unreachable!("none is written")
                }
            }
        }
    }

    /// Whether a node ends the rounds of a `Repeat`.
    fn ends(&self, node: &str, repeat: &str) -> bool {
        self.pipeline.statements.iter().any(|statement| match statement {
            Statement::Again(again) => id(&again.node) == node && id(&again.repeat) == repeat,
            _ => false,
        })
    }

    /// What sites made, or why there is too little; `None` where nothing says why.
    fn gathered(&self, gather: &GatherStatement, envs: &[Env]) -> Option<Made> {
        let each = self.pipeline.statements.iter().find_map(|statement| match statement {
            Statement::EachSite(each) if each.node == gather.each_site => Some(each),
            _ => None,
        });
        let each = each.expect("the pipeline has it");
        let sites =
            self.sites.iter().find(|(node, _)| *node == each.node).map(|(_, sites)| sites).expect("it is planned");
        let Argument::Node { node, .. } = &gather.value else { unreachable!("a node is collected") };
        let (mut pairs, mut missing, mut errors, mut values) = (vec![], vec![], BTreeSet::new(), 0);
        for (site, env) in sites.iter().zip(envs) {
            let key = Val::literal(&site.as_str().into()).expect("a text has a value");
            match env.contains_key(&id(node)).then(|| self.value(&gather.value, env)) {
                Some(Ok(value)) => {
                    values += 1;
                    pairs.extend([key, value]);
                }
                Some(Err(more)) if each.errors == OnError::Keep => {
                    pairs.extend([key.clone(), Val::Failed(more.clone())]);
                    errors.extend(more);
                    missing.push(key);
                }
                Some(Err(more)) => {
                    errors.extend(more);
                    missing.push(key);
                }
                None => missing.push(key),
            }
        }
        if gather.missing {
            return Some(Ok(Val::List(missing)));
        }
        let least = each.at_least.unwrap_or(if each.errors == OnError::Fail { sites.len() as u32 } else { 0 });
        if values >= least {
            return Some(Ok(Val::build(&Form::Dict, pairs).expect("it can be built")));
        }
        (!errors.is_empty()).then_some(Err(errors))
    }

    fn branch(&self, block: &str, frame: &[u32], enter: Result<bool, BTreeSet<Origin>>, env: &mut Env) {
        match enter {
            Ok(true) => self.run(Some(block), frame, env),
            Ok(false) => {}
            Err(errors) => self.poison(block, frame, &errors, env),
        }
    }
}

/// What rounds carry, as a dictionary.
fn named(names: &IndexMap<String, Argument>, values: Vec<Val>) -> Val {
    let name = |name: &String| Val::literal(&name.as_str().into()).expect("a text has a value");
    let pairs = names.keys().zip(values).flat_map(|(key, value)| [name(key), value]);
    Val::build(&Form::Dict, pairs.collect()).expect("it can be built")
}

fn node_of(statement: &Statement) -> String {
    id(statement.node().expect("each has one"))
}

pub fn interpret(pipeline: &Pipeline, plan: &Plan, frames: u32) -> Observed {
    let mut streamed = HashSet::new();
    for net in &plan.nets {
        let arcs = net.transitions.iter().flat_map(|transition| &transition.outputs);
        for arc in arcs.filter(|arc| arc.streams() && arc.site.is_none()) {
            streamed.insert(id(net.transitions[net.places[arc.place as usize].transition as usize].step.node()));
        }
    }
    let mut reference = Reference {
        pipeline,
        streamed,
        given: RefCell::default(),
        params: HashMap::new(),
        site: RefCell::default(),
        sites: &plan.each_sites,
        seen: RefCell::default(),
    };
    for index in 0..frames {
        reference.params = params(index);
        reference.run(None, &[index], &mut Env::new());
    }
    reference.seen.into_inner()
}
