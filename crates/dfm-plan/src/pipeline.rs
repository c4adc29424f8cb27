//! What is a pipeline, as data?

use dfm_net::{NodeId, Selector};
use indexmap::IndexMap;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::Problem;

/// A pipeline, as `dfm.api.Pipeline` writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Pipeline {
    /// The version of this format, 1.
    pub dfm_pipeline: u32,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// `execute` or `discovery`.
    pub mode: String,
    /// The federation it was written for; `None` for a pipeline without operations.
    #[serde(default)]
    pub package: Option<String>,
    /// The version of the generated code it was written with.
    #[serde(default)]
    pub api_version: Option<String>,
    /// What it does, in the order of its file.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Run an operation.
    Operation(OperationStatement),
    /// Hand a value to the application.
    Yield(YieldStatement),
    /// A kind that this planner does not know.
    Other {
        /// The kind.
        kind: String,
        /// Its node, if it has one.
        node: Option<NodeId>,
    },
}

/// Run an operation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OperationStatement {
    /// Its id.
    pub node: NodeId,
    /// `namespace.Name`.
    pub operation: String,
    /// Where.
    pub site: SiteChoice,
    /// The site's provider; `None` for the site itself, or the planner's choice where only providers offer it.
    #[serde(default)]
    pub provider: Option<String>,
    /// The nodes it runs after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The arguments that are given.
    pub arguments: IndexMap<String, Argument>,
}

/// Hand a value to the application.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct YieldStatement {
    /// Its id.
    pub node: NodeId,
    /// The name that the application knows it by.
    pub place: String,
    /// Whether other uses may have the same name.
    #[serde(default)]
    pub multiuse: bool,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// What to hand over.
    pub value: Argument,
}

/// Where an operation runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a site is a name or a best_of")]
pub enum SiteChoice {
    /// There.
    Name(String),
    /// Where it is best.
    BestOf {
        /// One of these; `None` for any site.
        best_of: Option<Vec<String>>,
    },
}

/// What is given for a parameter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "an argument is a literal, an encoded value, a param or a node")]
pub enum Argument {
    /// Plain data.
    Literal {
        /// It.
        literal: Value,
    },
    /// A literal that JSON has no form for.
    Encoded {
        /// Base64, opaque to the planner.
        encoded: String,
    },
    /// A value that is given when the pipeline is executed.
    Param {
        /// The name that the application gives it under.
        param: String,
        /// Whether other uses may have the same name.
        #[serde(default)]
        multiuse: bool,
    },
    /// A node's result.
    Node {
        /// The node.
        node: NodeId,
        /// The way to a part of its result; empty for all of it.
        #[serde(default)]
        path: Vec<Selector>,
    },
}

impl Pipeline {
    /// Reads a pipeline's JSON.
    ///
    /// # Errors
    /// The text is not a pipeline.
    pub fn from_json(text: &str) -> Result<Self, Problem> {
        let problem = |message, help: Option<&str>| Problem::new("plan-format", None, message, help.map(str::to_owned));
        let read: Self = serde_json::from_str(text).map_err(|error| {
            problem(
                format!("this is not a valid pipeline: {error}"),
                Some("write it with dfm.api.Pipeline.save_to_file or model_dump_json"),
            )
        })?;
        if read.dfm_pipeline != 1 {
            return Err(problem(format!("the pipeline's format is {}, but this dfm reads 1", read.dfm_pipeline), None));
        }
        Ok(read)
    }
}

impl<'de> Deserialize<'de> for Statement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let kind = value.get("kind").and_then(Value::as_str).ok_or_else(|| D::Error::missing_field("kind"))?;
        let named = |error: serde_json::Error| D::Error::custom(format!("in a statement of kind '{kind}': {error}"));
        match kind {
            "operation" => OperationStatement::deserialize(&value).map(Statement::Operation).map_err(named),
            "yield" => YieldStatement::deserialize(&value).map(Statement::Yield).map_err(named),
            other => Ok(Statement::Other {
                kind: other.to_owned(),
                node: value.get("node").and_then(|node| NodeId::deserialize(node).ok()),
            }),
        }
    }
}
