//! What do the random pipelines compute with, and what do their operations make of it?

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dfm_net::{Comparison, Failure, Form, NodeId, Selector, Value, Wrong};
use serde_json::Value as Json;

/// What the pipelines of this test compute with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Val {
    Num(i64),
    List(Vec<Val>),
    Failed(BTreeSet<Origin>),
}

/// The node and the frame where an error arose.
pub type Origin = (String, Vec<u32>);
/// A value, or why there is none.
pub type Made = Result<Val, BTreeSet<Origin>>;

pub fn id(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => number.to_string(),
        NodeId::Name(name) => name.clone(),
    }
}

pub fn origin(failure: &Failure) -> Origin {
    let node = failure.node.as_ref().map(id).unwrap_or_else(|| format!("lost {}", failure.site));
    (node, failure.frame.as_ref().map(|frame| frame.levels().to_vec()).unwrap_or_default())
}

fn wrong<T>() -> Result<T, Wrong> {
    Err(Wrong::new("TypeError", "it is not of that kind"))
}

impl Value for Val {
    fn select(&self, path: &[Selector]) -> Result<Self, Wrong> {
        let mut at = self;
        for step in path {
            at = match (at, step) {
                (Self::List(items), Selector::Index(index)) => usize::try_from(*index)
                    .ok()
                    .and_then(|index| items.get(index))
                    .ok_or_else(|| Wrong::new("SelectError", "there is none"))?,
                // A dictionary is its values and keys in turn, the last ones first.
                (Self::List(items), Selector::Key(key)) => {
                    let key = Self::literal(&key.as_str().into()).expect("a text has a value");
                    let pair = items.chunks(2).find(|pair| pair.get(1) == Some(&key));
                    pair.map(|pair| &pair[0]).ok_or_else(|| Wrong::new("SelectError", "there is none"))?
                }
                _ => return Err(Wrong::new("SelectError", "it has none")),
            };
        }
        Ok(at.clone())
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        match self {
            Self::List(items) => Ok(items.clone()),
            _ => wrong(),
        }
    }

    fn failed(errors: &[Arc<Failure>]) -> Result<Self, Wrong> {
        Ok(Self::Failed(errors.iter().map(|one| origin(one)).collect()))
    }

    fn build(form: &Form, mut parts: Vec<Self>) -> Result<Self, Wrong> {
        // Each form is another list.
        if let Form::Dict = form {
            parts.reverse();
        }
        Ok(Self::List(parts))
    }

    fn literal(json: &Json) -> Result<Self, Wrong> {
        match json {
            Json::Array(items) => Ok(Self::List(items.iter().map(Self::literal).collect::<Result<_, _>>()?)),
            Json::String(text) => Ok(Self::Num(text.bytes().map(i64::from).sum())),
            json => Ok(Self::Num(json.as_i64().unwrap_or_default())),
        }
    }

    fn compare(&self, comparison: Comparison, other: &Self) -> Result<bool, Wrong> {
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

    fn truth(&self) -> Result<bool, Wrong> {
        match self {
            Self::Num(number) => Ok(*number != 0),
            Self::List(items) => Ok(!items.is_empty()),
            Self::Failed(_) => wrong(),
        }
    }
}

/// The parameters of a set.
pub fn params(index: u32) -> HashMap<String, Val> {
    let number = Val::Num(i64::from(index));
    HashMap::from([("number".to_owned(), number.clone()), ("list".to_owned(), Val::List(vec![number; index as usize]))])
}

/// What an operation makes of its inputs: about one of nine fails, half of the others make lists.
pub fn body(node: &str, inputs: &[Val]) -> Option<Val> {
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

/// What the operation makes that puts together what sites made: the least numbers in all of it, so few that loops over
/// them stay short.
pub fn sum(parts: &Val) -> Val {
    fn add(value: &Val, numbers: &mut Vec<i64>) {
        match value {
            Val::Num(number) => numbers.push(*number),
            Val::List(items) => items.iter().for_each(|item| add(item, numbers)),
            Val::Failed(_) => {}
        }
    }
    let Val::List(pairs) = parts else { return parts.clone() };
    let mut numbers = vec![];
    // Each value is before its key.
    pairs.chunks(2).for_each(|pair| add(&pair[0], &mut numbers));
    numbers.sort_unstable();
    Val::List(numbers.into_iter().take(4).map(Val::Num).collect())
}

/// What becomes of a call that is tried again when it fails, and given up when it takes too long: every third try takes
/// three seconds, the others one.
pub fn persist(node: &str, inputs: &[Val], retries: u32, timeout: Option<f64>) -> Option<Val> {
    (0..=retries).find_map(|attempt| {
        let made = match attempt {
            0 => body(node, inputs),
            _ => body(&format!("{node}, again {attempt}"), inputs),
        };
        let seconds = if (attempt as usize + inputs.len()).is_multiple_of(3) { 3.0 } else { 1.0 };
        made.filter(|_| timeout.is_none_or(|timeout| seconds <= timeout))
    })
}

/// Whether an operation is a generator.
pub fn generates(node: &str) -> bool {
    node.parse::<u64>().is_ok_and(|number| number % 3 == 0)
}

/// What a generator gives before it fails, if it is tried once.
pub fn before_failing(node: &str, inputs: &[Val]) -> Vec<Val> {
    match body(&format!("items of {node}"), inputs) {
        Some(Val::List(items)) => items,
        _ => vec![],
    }
}

/// What the cache has under a key: about one of nine look-ups fails, and a third of the others find something.
pub fn cached(node: &str, key: &[Val]) -> Option<Option<Val>> {
    let at = format!("key of {node}");
    body(&at, key).map(|found| matches!(found, Val::Num(0..3)).then_some(found))
}
