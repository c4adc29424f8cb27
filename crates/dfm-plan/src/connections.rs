//! Can a result ever be what the parameter takes that it is given to?
//!
//! The configuration says of many results and parameters that they are texts, numbers, truth values or of a schema that
//! has fields. Where one of these can never be the other, no run is needed to say so. Everything else is left to the
//! sites, which check each value.

use dfm_net::Selector;

use crate::graph::Known;
use crate::{Argument, FedInfo, OperationStatement, Problem};

/// Refuses results that go to parameters they cannot be for. `made_by` gives what makes a node.
pub(crate) fn check_connections<'a>(
    fed: &FedInfo,
    taker: &OperationStatement,
    made_by: impl Fn(&dfm_net::NodeId) -> Option<Known<'a>>,
    problems: &mut Vec<Problem>,
) {
    for (name, argument) in &taker.arguments {
        let Argument::Node { node, path } = argument else { continue };
        let Some(Known::Operation(maker)) = made_by(node) else { continue };
        let parameter = fed.operations.get(&taker.operation).and_then(|of| of.parameters.get(name));
        let Some(taken) = parameter.and_then(|parameter| parameter.of.as_deref()) else { continue };
        let Some((made, what)) = result(fed, &maker.operation, path) else { continue };
        if !may_be(fed, made, taken) {
            let message = format!("its parameter '{name}' takes {}, and {what} is {}", of(taken), of(made));
            let help = "give it what the operation takes, or a part of the result that is that".to_owned();
            problems.push(Problem::new("plan-type", Some(&taker.node), message, Some(help)));
        }
    }
}

/// The type of a part of an operation's result, and what that is for people.
fn result<'f>(fed: &'f FedInfo, operation: &str, path: &[Selector]) -> Option<(&'f str, String)> {
    let returns = fed.returns(operation)?.as_str()?;
    match path {
        [] => Some((returns, format!("the result of {operation}"))),
        [Selector::Attribute(field)] => {
            let part = fed.schemas.get(returns)?.get(field)?;
            Some((part, format!("{field} of the result of {operation}")))
        }
        _ => None,
    }
}

/// Whether a value of one type may be one of the other. A generator's result is a list of what it returns, which is none
/// of these types.
fn may_be(fed: &FedInfo, made: &str, taken: &str) -> bool {
    let is_known = |name: &str| is_plain(name) != fed.schemas.contains_key(name);
    let numbers = ["integer", "number"];
    !is_known(made) || !is_known(taken) || made == taken || (numbers.contains(&made) && numbers.contains(&taken))
}

fn is_plain(name: &str) -> bool {
    matches!(name, "string" | "integer" | "number" | "boolean")
}

/// A type, for people.
fn of(name: &str) -> String {
    match name {
        "integer" => "an integer".to_owned(),
        name if is_plain(name) => format!("a {name}"),
        name => format!("a value of the schema {name}"),
    }
}
