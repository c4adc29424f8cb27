//! Do nets with blocks, on several sites and in any order of events, give what a plain interpreter of the pipeline
//! gives?
//!
//! `DFM_PIPELINES` says how many random pipelines are tried instead of 500.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dfm_net::{
    Action, Carry, Comparison, Engine, Failure, Frame, Net, NodeId, OnError, Outcome, PlaceId, Selector, Source, Step,
    Token, TransitionId, Value, check_whole,
};
use dfm_plan::{Argument, Condition, FedInfo, Pipeline, Plan, Statement, plan};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

const SITES: usize = 3;

/// What the pipelines of this test compute with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Val {
    Num(i64),
    List(Vec<Val>),
    Failed(BTreeSet<Origin>),
}

/// The node and the frame where an error arose.
type Origin = (String, Vec<u32>);
/// A value, or why there is none.
type Made = Result<Val, BTreeSet<Origin>>;

fn id(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => number.to_string(),
        NodeId::Name(name) => name.clone(),
    }
}

fn origin(failure: &Failure) -> Origin {
    let node = failure.node.as_ref().map(id).unwrap_or_else(|| format!("lost {}", failure.site));
    (node, failure.frame.as_ref().map(|frame| frame.levels().to_vec()).unwrap_or_default())
}

fn wrong<T>() -> Result<T, (String, String)> {
    Err(("TypeError".to_owned(), "it is not of that kind".to_owned()))
}

impl Value for Val {
    fn select(&self, path: &[Selector]) -> Result<Self, String> {
        let mut at = self;
        for step in path {
            at = match (at, step) {
                (Self::List(items), Selector::Index(index)) => usize::try_from(*index)
                    .ok()
                    .and_then(|index| items.get(index))
                    .ok_or_else(|| "there is none".to_owned())?,
                _ => return Err("it has none".to_owned()),
            };
        }
        Ok(at.clone())
    }

    fn elements(&self) -> Result<Vec<Self>, (String, String)> {
        match self {
            Self::List(items) => Ok(items.clone()),
            _ => wrong(),
        }
    }

    fn list(items: Vec<Result<Self, Vec<Arc<Failure>>>>) -> Self {
        let item = |item: Result<Self, Vec<Arc<Failure>>>| {
            item.unwrap_or_else(|errors| Self::Failed(errors.iter().map(|one| origin(one)).collect()))
        };
        Self::List(items.into_iter().map(item).collect())
    }

    fn literal(json: &Json) -> Result<Self, (String, String)> {
        match json {
            Json::Array(items) => Ok(Self::List(items.iter().map(Self::literal).collect::<Result<_, _>>()?)),
            json => Ok(Self::Num(json.as_i64().unwrap_or_default())),
        }
    }

    fn compare(&self, comparison: Comparison, other: &Self) -> Result<bool, (String, String)> {
        match comparison {
            Comparison::Equal => Ok(self == other),
            Comparison::NotEqual => Ok(self != other),
            _ => match (self, other) {
                (Self::Num(one), Self::Num(other)) => Ok(match comparison {
                    Comparison::Greater => one > other,
                    Comparison::GreaterOrEqual => one >= other,
                    Comparison::Less => one < other,
                    _ => one <= other,
                }),
                _ => wrong(),
            },
        }
    }

    fn truth(&self) -> Result<bool, (String, String)> {
        match self {
            Self::Num(number) => Ok(*number != 0),
            Self::List(items) => Ok(!items.is_empty()),
            Self::Failed(_) => wrong(),
        }
    }
}

/// What an operation makes of its inputs: about one of nine fails, half of the others make lists.
fn body(node: &str, inputs: &[Val]) -> Option<Val> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (node, inputs).hash(&mut hasher);
    let hash = hasher.finish();
    let number = |at: u64| Val::Num((hash >> (8 + 4 * at) & 7) as i64);
    match hash % 9 {
        0 => None,
        1..4 => Some(Val::List((0..hash / 9 % 4).map(number).collect())),
        4 => Some(Val::List(vec![Val::List(vec![number(1), number(2)]), Val::List(vec![]), number(3)])),
        _ => Some(number(0)),
    }
}

// Random pipelines.

struct Writer {
    seed: u64,
    left: usize,
    next: usize,
    statements: Vec<Json>,
}

/// Whether an operation is a generator.
fn generates(node: &str) -> bool {
    node.parse::<u64>().is_ok_and(|number| number % 3 == 0)
}

/// What a generator gives before it fails.
fn before_failing(node: &str, inputs: &[Val]) -> Vec<Val> {
    match body(&format!("items of {node}"), inputs) {
        Some(Val::List(items)) => items,
        _ => vec![],
    }
}

/// What the cache has under a key: about one of nine look-ups fails, and a third of the others find something.
fn cached(node: &str, key: &[Val]) -> Option<Option<Val>> {
    let at = format!("key of {node}");
    body(&at, key).map(|found| matches!(found, Val::Num(0..3)).then_some(found))
}

/// Nodes that later statements of a block may use.
type Scope = Vec<usize>;

impl Writer {
    fn pick(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn node(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn one_of(&mut self, scope: &Scope) -> usize {
        let at = self.pick(scope.len() as u64) as usize;
        // Later nodes depend on more.
        let other = self.pick(scope.len() as u64) as usize;
        scope[at.max(other)]
    }

    fn argument(&mut self, scope: &Scope) -> Json {
        if scope.is_empty() || self.pick(8) == 0 {
            return match self.pick(3) {
                0 => json!({"param": "p", "multiuse": true}),
                1 => json!({"literal": self.pick(5)}),
                _ => json!({"literal": [1, 2, self.pick(5)]}),
            };
        }
        let path = if self.pick(6) == 0 { json!([{"index": self.pick(2)}]) } else { json!([]) };
        json!({"node": self.one_of(scope), "path": path})
    }

    fn after(&mut self, scope: &Scope) -> Json {
        if scope.is_empty() || self.pick(5) > 0 { json!([]) } else { json!([self.one_of(scope)]) }
    }

    fn condition(&mut self, scope: &Scope, depth: usize) -> Json {
        match self.pick(if depth > 0 { 7 } else { 4 }) {
            0 => json!({"truth": self.argument(scope)}),
            1..4 => {
                let all = ["equal", "not-equal", "greater", "greater-or-equal", "less", "less-or-equal"];
                let compare = all[self.pick(6) as usize];
                json!({"compare": compare, "left": self.argument(scope), "right": {"literal": self.pick(6)}})
            }
            4 => json!({"and": [self.condition(scope, depth - 1), self.condition(scope, depth - 1)]}),
            5 => json!({"or": [self.condition(scope, depth - 1), self.condition(scope, depth - 1)]}),
            _ => json!({"not": self.condition(scope, depth - 1)}),
        }
    }

    fn operation(&mut self, block: &Json, node: usize, after: &Json, scope: &Scope) {
        let count = self.pick(3);
        let arguments: serde_json::Map<String, Json> =
            (0..count).map(|at| (format!("a{at}"), self.argument(scope))).collect();
        let site = match self.pick(SITES as u64 + 1) {
            0 => json!({"best_of": null}),
            site => json!(format!("site{}", site - 1)),
        };
        self.statements.push(json!({"kind": "operation", "node": node, "block": block, "after": after,
            "operation": "t.Op", "site": site, "provider": null, "arguments": arguments}));
    }

    fn cache(&mut self, block: &Json, node: usize, after: &Json, scope: &Scope, depth: usize) -> Scope {
        let key: Vec<Json> = (0..1 + self.pick(2)).map(|_| self.argument(scope)).collect();
        let site = if self.pick(3) == 0 { json!(format!("site{}", self.pick(SITES as u64))) } else { Json::Null };
        self.statements.push(json!({"kind": "try_from_cache", "node": node, "block": block, "after": after,
            "key": key, "site": site}));
        let (mut inner, mut own) = self.block(&json!(node), scope, depth);
        if inner.is_empty() {
            inner.push(self.node());
            self.operation(&json!(node), inner[0], &json!([]), scope);
            own.push(inner[0]);
        }
        let (store, after, value) = (self.node(), self.after(&inner), self.one_of(&inner));
        self.statements.push(json!({"kind": "write_to_cache", "node": store, "block": node, "cache": node,
            "after": after, "value": {"node": value, "path": []}}));
        own
    }

    /// Writes a block's statements; the nodes that the block may use at its end, and those that its branches and itself
    /// make, for collecting.
    fn block(&mut self, block: &Json, around: &Scope, depth: usize) -> (Scope, Scope) {
        let mut scope = around.clone();
        let mut own = vec![];
        let count = 1 + self.pick(5);
        for _ in 0..count {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let node = self.node();
            let after = self.after(&scope);
            match self.pick(12) {
                0..2 if !scope.is_empty() => {
                    let value = json!({"node": self.one_of(&scope), "path": []});
                    self.statements.push(json!({"kind": "yield", "node": node, "block": block, "after": after,
                        "place": format!("y{node}"), "multiuse": false, "value": value}));
                }
                2..5 if depth > 0 => {
                    let sequence = self.argument(&scope);
                    self.statements.push(json!({"kind": "for_each", "node": node, "block": block, "after": after,
                        "sequence": sequence}));
                    let mut inner = scope.clone();
                    inner.push(node);
                    let (_, mut made) = self.block(&json!(node), &inner, depth - 1);
                    made.push(node);
                    for _ in 0..self.pick(3) {
                        let collect = self.node();
                        let errors = ["fail", "skip", "keep"][self.pick(3) as usize];
                        let value = json!({"node": self.one_of(&made), "path": []});
                        self.statements.push(json!({"kind": "collect", "node": collect, "block": block, "after": [],
                            "for_each": node, "value": value, "errors": errors}));
                        scope.push(collect);
                        own.push(collect);
                    }
                }
                5..7 if depth > 0 => {
                    let condition = self.condition(&scope, 2);
                    self.statements.push(json!({"kind": "if", "node": node, "block": block, "after": after,
                        "condition": condition}));
                    own.extend(self.block(&json!(node), &scope, depth - 1).1);
                    if self.pick(2) == 0 {
                        let other = self.node();
                        self.statements.push(json!({"kind": "otherwise", "node": other, "block": block, "if": node}));
                        own.extend(self.block(&json!(other), &scope, depth - 1).1);
                    }
                }
                7..9 if depth > 0 => {
                    own.extend(self.cache(block, node, &after, &scope, depth - 1));
                    scope.push(node);
                    own.push(node);
                }
                _ => {
                    self.operation(block, node, &after, &scope);
                    scope.push(node);
                    own.push(node);
                }
            }
        }
        (scope, own)
    }
}

fn pipeline(seed: u64, size: usize) -> Pipeline {
    let mut writer = Writer { seed, left: size, next: 0, statements: vec![] };
    while writer.left > 0 {
        writer.block(&Json::Null, &vec![], 3);
    }
    let document = json!({"dfm_pipeline": 1, "mode": "execute", "statements": writer.statements});
    Pipeline::from_json(&document.to_string()).expect("it is written here")
}

fn federation() -> FedInfo {
    let offer = json!({"operation": "t.Op", "provider": null, "required": [], "parameters": ["a0", "a1"],
        "compute_cost": {"fixed_time": 1}});
    let site = json!({"offers": [offer], "send_cost": {}});
    let sites: serde_json::Map<String, Json> = (0..SITES).map(|at| (format!("site{at}"), site.clone())).collect();
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0",
        "operations": {"t.Op": {"parameters": {}}}, "sites": sites});
    FedInfo::from_json(&info.to_string()).expect("it is written here")
}

// The plain interpreter.

/// Node → the frame it was made in, and what it is.
type Env = HashMap<String, (Vec<u32>, Made)>;
/// Yields and calls by node and frame, and where errors arose.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    yields: BTreeMap<(String, Vec<u32>), Made>,
    calls: BTreeMap<(String, Vec<u32>), u32>,
    stored: BTreeMap<(String, Vec<u32>), (Vec<Val>, Val)>,
    reports: BTreeSet<Origin>,
}

/// A node and the frame in which it fires.
type Firing = (String, Vec<u32>);

struct Reference<'p> {
    pipeline: &'p Pipeline,
    /// The loops that take a generator's items as they come.
    streamed: HashSet<String>,
    /// Generator and frame → what it gave before it failed.
    given: RefCell<HashMap<Firing, Vec<Val>>>,
    param: i64,
    seen: RefCell<Seen>,
}

impl Reference<'_> {
    fn report(&self, node: &str, frame: &[u32]) -> BTreeSet<Origin> {
        let origin = (node.to_owned(), frame.to_vec());
        self.seen.borrow_mut().reports.insert(origin.clone());
        BTreeSet::from([origin])
    }

    fn value(&self, argument: &Argument, env: &Env) -> Made {
        match argument {
            Argument::Literal { literal } => Ok(Val::literal(literal).expect("it is a number or a list")),
            Argument::Param { .. } => Ok(Val::Num(self.param)),
            Argument::Encoded { .. } | Argument::Advise { .. } => unreachable!("none is written"),
            Argument::Node { node, path } => {
                let (frame, made) = &env[&id(node)];
                let value = made.clone()?;
                value.select(path).map_err(|_| self.report(&id(node), frame))
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
            env.insert(node.clone(), (frame.to_vec(), Err(errors.clone())));
            match statement {
                Statement::Yield(_) => {
                    self.seen.borrow_mut().yields.insert((node, frame.to_vec()), Err(errors.clone()));
                }
                Statement::ForEach(_) | Statement::If(_) | Statement::Otherwise(_) | Statement::TryFromCache(_) => {
                    self.poison(&node, frame, errors, env);
                }
                _ => {}
            }
        }
    }

    fn of<'s>(&'s self, block: Option<&'s str>) -> impl Iterator<Item = &'s Statement> {
        let around = |statement: &Statement| match statement {
            Statement::Operation(one) => one.block.as_ref().map(id),
            Statement::Yield(one) => one.block.as_ref().map(id),
            Statement::ForEach(one) => one.block.as_ref().map(id),
            Statement::Collect(one) => one.block.as_ref().map(id),
            Statement::If(one) => one.block.as_ref().map(id),
            Statement::Otherwise(one) => one.block.as_ref().map(id),
            Statement::TryFromCache(one) => one.block.as_ref().map(id),
            Statement::WriteToCache(one) => one.block.as_ref().map(id),
            Statement::Other { .. } => None,
        };
        self.pipeline.statements.iter().filter(move |statement| around(statement).as_deref() == block)
    }

    fn run(&self, block: Option<&str>, frame: &[u32], env: &mut Env) {
        let mut loops: HashMap<String, Result<Vec<Env>, BTreeSet<Origin>>> = HashMap::new();
        let mut outcomes: HashMap<String, Result<bool, BTreeSet<Origin>>> = HashMap::new();
        for statement in self.of(block) {
            let node = node_of(statement);
            let here = || (node.clone(), frame.to_vec());
            match statement {
                Statement::Operation(one) => {
                    let arguments: Vec<&Argument> = one.arguments.values().collect();
                    let made = self.inputs(&arguments, &one.after, env).and_then(|inputs| {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        body(&node, &inputs).ok_or_else(|| {
                            if generates(&node) {
                                self.given.borrow_mut().insert(here(), before_failing(&node, &inputs));
                            }
                            self.report(&node, frame)
                        })
                    });
                    env.insert(node.clone(), (frame.to_vec(), made));
                }
                Statement::Yield(one) => {
                    let made = self.inputs(&[&one.value], &one.after, env).map(|mut inputs| inputs.remove(0));
                    self.seen.borrow_mut().yields.insert(here(), made);
                }
                Statement::ForEach(one) => {
                    let made = self.inputs(&[&one.sequence], &one.after, env);
                    let made = made.and_then(|inputs| inputs[0].elements().map_err(|_| self.report(&node, frame)));
                    let run_each = |elements: Vec<Val>| -> Vec<Env> {
                        let each = elements.into_iter().enumerate().map(|(index, element)| {
                            let mut inner = env.clone();
                            let frame: Vec<u32> = frame.iter().copied().chain([index as u32]).collect();
                            inner.insert(node.clone(), (frame.clone(), Ok(element)));
                            self.run(Some(&node), &frame, &mut inner);
                            inner
                        });
                        each.collect()
                    };
                    if let (Err(_), Argument::Node { node: of, .. }) = (&made, &one.sequence)
                        && self.streamed.contains(&node)
                    {
                        let given = self.given.borrow().get(&(id(of), frame.to_vec())).cloned();
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
                    env.insert(node.clone(), (frame.to_vec(), made));
                }
                Statement::If(one) => {
                    let outcome = self.inputs(&one.condition.arguments(), &one.after, env).and_then(|inputs| {
                        let holds = self.holds(&one.condition, &mut inputs.into_iter());
                        holds.map_err(|()| self.report(&node, frame))
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
                    let looked_up = self.inputs(&key, &one.after, env).and_then(|key| {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        cached(&node, &key).map(|found| (key, found)).ok_or_else(|| self.report(&node, frame))
                    });
                    let made = match looked_up {
                        Ok((_, Some(found))) => Ok(found),
                        Ok((key, None)) => {
                            env.insert(node.clone(), (frame.to_vec(), Ok(Val::List(key))));
                            self.run(Some(&node), frame, env);
                            env[&node].1.clone()
                        }
                        Err(errors) => {
                            self.poison(&node, frame, &errors, env);
                            Err(errors)
                        }
                    };
                    env.insert(node.clone(), (frame.to_vec(), made));
                }
                Statement::WriteToCache(one) => {
                    let cache = id(&one.cache);
                    let Ok(Val::List(key)) = env[&cache].1.clone() else { unreachable!("it has its key") };
                    let made = self.inputs(&[&one.value], &one.after, env).map(|mut inputs| inputs.remove(0));
                    if let Ok(value) = &made {
                        *self.seen.borrow_mut().calls.entry(here()).or_default() += 1;
                        self.seen.borrow_mut().stored.insert(here(), (key, value.clone()));
                    }
                    env.insert(cache, (frame.to_vec(), made));
                }
                Statement::Other { .. } => unreachable!("none is written"),
            }
        }
    }

    fn branch(&self, block: &str, frame: &[u32], enter: Result<bool, BTreeSet<Origin>>, env: &mut Env) {
        match enter {
            Ok(true) => self.run(Some(block), frame, env),
            Ok(false) => {}
            Err(errors) => self.poison(block, frame, &errors, env),
        }
    }
}

fn node_of(statement: &Statement) -> String {
    match statement {
        Statement::Operation(one) => id(&one.node),
        Statement::Yield(one) => id(&one.node),
        Statement::ForEach(one) => id(&one.node),
        Statement::Collect(one) => id(&one.node),
        Statement::If(one) => id(&one.node),
        Statement::Otherwise(one) => id(&one.node),
        Statement::TryFromCache(one) => id(&one.node),
        Statement::WriteToCache(one) => id(&one.node),
        Statement::Other { .. } => unreachable!("none is written"),
    }
}

fn interpret(pipeline: &Pipeline, plan: &Plan, frames: u32) -> Seen {
    let mut streamed = HashSet::new();
    for net in &plan.nets {
        let arcs = net.transitions.iter().flat_map(|transition| &transition.outputs);
        for arc in arcs.filter(|arc| arc.carry == Carry::Stream && arc.site.is_none()) {
            streamed.insert(id(net.transitions[net.places[arc.place as usize].transition as usize].step.node()));
        }
    }
    let mut reference = Reference { pipeline, streamed, given: RefCell::default(), param: 0, seen: RefCell::default() };
    for index in 0..frames {
        reference.param = i64::from(index);
        reference.run(None, &[index], &mut Env::new());
    }
    reference.seen.into_inner()
}

// The engines.

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
fn execute(plan: &Plan, frames: u32, order: u64, dies: Option<(usize, usize)>) -> (Seen, usize) {
    let nets = &plan.nets;
    let mut engines: Vec<Engine<Val>> = nets.iter().map(|net| Engine::new(Arc::new(net.clone()))).collect();
    let mut picks = Writer { seed: order, left: 0, next: 0, statements: vec![] };
    let mut seen = Seen::default();
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
        let picked = picks.pick(events.len() as u64) as usize;
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
                let params = HashMap::from([("p".to_owned(), Val::Num(i64::from(index)))]);
                engines[site].start(&Frame::of_param_set(index), &params);
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
            Event::Item(_, site, place, frame, value) => {
                engines[site].deposit_item(place, &frame, value);
                site
            }
            Event::Deposit(_, site, place, frame, token) => {
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
                    let value = |argument: &dfm_net::Argument| match argument {
                        dfm_net::Argument::Literal(json) => Val::literal(json).expect("it is a number or a list"),
                        dfm_net::Argument::Slot(slot) => inputs[usize::from(*slot)].clone().expect("it has a value"),
                    };
                    let mut items = None;
                    let outcome = match step(transition) {
                        Step::Call { arguments, .. } => {
                            let given: Vec<Val> = arguments.iter().map(|(_, argument)| value(argument)).collect();
                            match body(&id(node), &given) {
                                Some(Val::List(made)) if generates(&id(node)) => {
                                    items = Some(made.clone());
                                    let gathers = engines[at].gathers(transition);
                                    Some(Outcome::Streamed(gathers.then_some(Val::List(made))))
                                }
                                None if generates(&id(node)) => {
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
    (seen, done.len() - usize::from(dead.is_some_and(|dead| done.contains(&dead))))
}

/// Whether a site says of anything that it waits for another site. Whatever waits says which places are empty.
fn names_what_it_waits_for(engine: &Engine<Val>) -> bool {
    let (waiting, more) = engine.waiting(usize::MAX);
    assert!(more == 0 && waiting.iter().all(|one| !one.empty.is_empty()));
    let place = |place: &PlaceId| &engine.net().places[*place as usize];
    waiting.iter().flat_map(|one| &one.empty).any(|empty| matches!(place(empty).source, Source::Site(_)))
}

fn tries() -> u32 {
    std::env::var("DFM_PIPELINES").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

fn planned(pipeline: &Pipeline) -> Plan {
    plan(&federation(), pipeline, "site0", None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn nets_give_what_a_plain_interpreter_gives() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 0..3u32, any::<u64>());
    let outcome = runner.run(&shape, |(seed, size, frames, order)| {
        let pipeline = pipeline(seed, size);
        let plan = planned(&pipeline);
        let expected = interpret(&pipeline, &plan, frames);
        let (seen, done) = execute(&plan, frames, order, None);
        prop_assert_eq!(&seen.calls, &expected.calls);
        prop_assert_eq!(&seen.yields, &expected.yields);
        prop_assert_eq!(&seen.stored, &expected.stored);
        prop_assert_eq!(done, plan.nets.len());
        for reported in &expected.reports {
            prop_assert!(seen.reports.contains(reported), "{reported:?} is not reported");
        }
        for reported in &seen.reports {
            prop_assert!(expected.reports.contains(reported), "{reported:?} is reported, but was no error");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_site_lost_at_any_time_ends_no_job_in_silence() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 1..3u32, any::<u64>(), 0..60usize, any::<prop::sample::Index>());
    let outcome = runner.run(&shape, |(seed, size, frames, order, after, lost)| {
        let pipeline = pipeline(seed, size);
        let plan = planned(&pipeline);
        if plan.nets.len() > 1 {
            let lost = 1 + lost.index(plan.nets.len() - 1);
            let (seen, done) = execute(&plan, frames, order, Some((lost, after)));
            prop_assert_eq!(done, plan.nets.len() - 1);
            prop_assert!(seen.calls.values().all(|times| *times == 1));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Does something wrong to a plan's nets, as no planner should.
fn spoil(nets: &mut [Net], picks: &mut Writer) {
    let mut pick = |below: usize| picks.pick(below.max(1) as u64) as usize;
    let arcs: Vec<(usize, usize, usize)> = (0..nets.len())
        .flat_map(|net| (0..nets[net].transitions.len()).map(move |at| (net, at)))
        .flat_map(|(net, at)| (0..nets[net].transitions[at].outputs.len()).map(move |arc| (net, at, arc)))
        .collect();
    let Some(&(net, at, arc)) = arcs.get(pick(arcs.len())) else { return };
    let blocks = nets[0].blocks.len();
    let other = arcs[pick(arcs.len())];
    let target = (pick(nets.len()), pick(1000));
    match pick(7) {
        0 => drop(nets[net].transitions[at].outputs.remove(arc)),
        1 => {
            let twice = nets[net].transitions[at].outputs[arc].clone();
            nets[net].transitions[at].outputs.push(twice);
        }
        2 => {
            let (to, place) = (target.0, target.1 % nets[target.0].places.len().max(1));
            let site = (to != net).then(|| nets[to].site.clone());
            let moved = &mut nets[net].transitions[at].outputs[arc];
            (moved.site, moved.place) = (site, place as PlaceId);
        }
        3 => {
            // Each of the two gets what was for the other one, in nets that expect it.
            let whole = |nets: &[Net], (net, at, arc): (usize, usize, usize)| {
                let arc = &nets[net].transitions[at].outputs[arc];
                (arc.site.clone().unwrap_or_else(|| nets[net].site.clone()), arc.place)
            };
            let ends = [whole(nets, (net, at, arc)), whole(nets, other)];
            for ((net, at, arc), (site, place)) in [(other, &ends[0]), ((net, at, arc), &ends[1])] {
                let from = nets[net].site.clone();
                let to = nets.iter().position(|net| net.site == *site).expect("a site of the plan");
                let here = from == *site;
                nets[to].places[*place as usize].source = if here { Source::Here } else { Source::Site(from) };
                let moved = &mut nets[net].transitions[at].outputs[arc];
                (moved.site, moved.place) = ((!here).then(|| site.clone()), *place);
            }
        }
        4 => nets[net].transitions[at].block = pick(blocks) as u32,
        5 => {
            let places = &mut nets[net].places;
            let place = pick(places.len());
            places[place].block = pick(blocks) as u32;
        }
        _ => {
            let carry = nets[other.0].transitions[other.1].outputs[other.2].carry.clone();
            nets[net].transitions[at].outputs[arc].carry = carry;
        }
    }
}

#[test]
fn nets_that_might_not_come_to_their_end_are_refused() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 0..3u32, any::<u64>());
    let outcome = runner.run(&shape, |(seed, size, frames, order)| {
        let mut plan = planned(&pipeline(seed, size));
        let mut picks = Writer { seed: order, left: 0, next: 0, statements: vec![] };
        spoil(&mut plan.nets, &mut picks);
        if check_whole(&plan.nets).is_ok() {
            let (_, done) = execute(&plan, frames, order, None);
            prop_assert_eq!(done, plan.nets.len());
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
