//! What can a site be asked of a net's calls before any of them is made?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Argument, Net, NodeId, Step};

/// The most bytes of the parameters of one call that are said; of what is beyond, nothing is known.
const MOST_SAID: usize = 4096;

/// After so many different calls of a net, others are asked of by their operations alone.
const MOST_CALLS: usize = 4096;

/// A call as far as its pipeline says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// `namespace.Name`.
    pub operation: String,
    /// The provider whose binding is meant, if not the site's own.
    pub provider: Option<String>,
    /// The parameters that the pipeline gives, as the JSON of an object; `None` where nothing is known of them.
    pub given: Option<String>,
    /// Those that are known only once it runs.
    pub open: Vec<String>,
}

/// The calls of a net that differ in what is said of them, each with the first node that makes it.
pub fn asked(net: &Net) -> Vec<(Asked, NodeId)> {
    let mut found: HashMap<Asked, (usize, &NodeId)> = HashMap::new();
    for transition in &net.transitions {
        let Step::Call { node, operation, provider, arguments, .. } = &transition.step else { continue };
        let (mut given, mut open, mut bytes) = (vec![], vec![], 0);
        for (name, argument) in arguments {
            let said = match argument {
                Argument::Literal(value) if is_plain(value) => value,
                _ => {
                    open.push(name.clone());
                    continue;
                }
            };
            let said = said.to_string();
            bytes += name.len() + said.len();
            if bytes <= MOST_SAID {
                given.push(format!("{}:{said}", Value::from(name.as_str())));
            } else {
                open.push(name.clone());
            }
        }
        let given = (found.len() < MOST_CALLS).then(|| format!("{{{}}}", given.join(",")));
        let open = if given.is_some() { open } else { vec![] };
        let asked = Asked { operation: operation.clone(), provider: provider.clone(), given, open };
        let at = found.len();
        found.entry(asked).or_insert((at, node));
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable_by_key(|(_, (at, _))| *at);
    found.into_iter().map(|(asked, (_, node))| (asked, node.clone())).collect()
}

/// Whether a literal is the value that it stands for: an object may stand for one of another class.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().all(is_plain),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Block, Form, Limits, Transition};

    fn net(calls: impl IntoIterator<Item = Vec<(&'static str, Argument)>>) -> Net {
        let transition = |(node, arguments): (usize, Vec<(&str, Argument)>)| Transition {
            step: Step::Call {
                node: NodeId::Number(node as u64),
                operation: "work.Add".to_owned(),
                provider: None,
                arguments: arguments.into_iter().map(|(name, argument)| (name.to_owned(), argument)).collect(),
                limits: Limits::default(),
            },
            block: 0,
            outputs: vec![],
        };
        let transitions = calls.into_iter().enumerate().map(transition).collect();
        Net { site: "east".to_owned(), blocks: vec![Block::body()], places: vec![], transitions }
    }

    fn literal(value: Value) -> Argument {
        Argument::Literal(value)
    }

    #[test]
    fn what_the_pipeline_says_is_given_and_all_else_is_open() {
        let built = Argument::Built(Form::List, vec![Argument::Slot(1)]);
        let net = net([
            vec![("a", literal(json!([1, "x", null]))), ("b", Argument::Slot(0)), ("c", built)],
            vec![("a", literal(json!({"@": "of another class"})))],
        ]);
        let found = asked(&net);
        let said: Vec<_> = found.iter().map(|(one, node)| (one.given.as_deref(), one.open.join(" "), node)).collect();
        assert_eq!(
            said,
            [
                (Some(r#"{"a":[1,"x",null]}"#), "b c".to_owned(), &NodeId::Number(0)),
                (Some("{}"), "a".to_owned(), &NodeId::Number(1)),
            ]
        );
    }

    #[test]
    fn calls_that_are_alike_are_asked_of_once_and_there_is_a_limit_to_all() {
        let alike = || vec![("a", literal(json!(1)))];
        assert_eq!(asked(&net([alike(), alike()])).len(), 1);
        let long = "x".repeat(MOST_SAID);
        let found = asked(&net([vec![("a", literal(json!(long))), ("b", literal(json!(2)))]]));
        assert_eq!((found[0].0.given.as_deref(), found[0].0.open.len()), (Some("{}"), 2));
        let many = (0..MOST_CALLS + 10).map(|number| vec![("a", literal(json!(number)))]);
        let found = asked(&net(many));
        assert_eq!((found.len(), &found[MOST_CALLS].0.given), (MOST_CALLS + 1, &None));
    }
}
