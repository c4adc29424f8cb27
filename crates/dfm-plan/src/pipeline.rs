//! What is a pipeline, as data?

use dfm_net::{Comparison, NodeId, OnError, Selector};
use indexmap::IndexMap;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::Problem;

/// The version of a pipeline's JSON form.
const FORMAT: u32 = 1;

/// What is read of a pipeline first.
#[derive(Deserialize)]
struct Version {
    dfm_pipeline: Value,
}

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
    /// Run a body for each element of a sequence.
    ForEach(ForEachStatement),
    /// Make a list of what a body made for each element.
    Collect(CollectStatement),
    /// Run a body if a condition holds.
    If(IfStatement),
    /// Run a body if it does not.
    Otherwise(OtherwiseStatement),
    /// Take a value from the cache, or run a body that makes it.
    TryFromCache(TryFromCacheStatement),
    /// Put a value into the cache, for next time.
    WriteToCache(WriteToCacheStatement),
    /// Run a body in rounds.
    Repeat(RepeatStatement),
    /// What a round leaves to the next one.
    Again(AgainStatement),
    /// What the last round came to.
    Outcome(OutcomeStatement),
    /// Run a body at each of some sites.
    EachSite(EachSiteStatement),
    /// Put together what a body made at each site.
    Gather(GatherStatement),
    /// The same, once the sites are known. No pipeline is written with it.
    Gathered(GatheredStatement),
    /// Add up what a body made at each site, so that nobody sees a part.
    SecureSum(SecureSumStatement),
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
    /// The block it stands in; `None` for the pipeline's own body.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// Whether a failure is tried again.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Seconds that one try may take.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Of an aggregation over sites: where some of its parts meet on their way, in order; `None` where the planner
    /// decides.
    #[serde(default)]
    pub meets: Option<Vec<Meeting>>,
}

/// Some parts of an aggregation over sites, which it is applied to before the others. What it makes of them stands in
/// their place, under the name of the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// Where.
    pub site: String,
    /// The parts, by the sites that they come from.
    pub of: Vec<String>,
}

/// How a failed operation is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Retry {
    /// How many more times.
    pub times: u32,
    /// Seconds before the first retry; twice as many before each further one.
    pub backoff: f64,
}

/// Run a body for each element of a sequence. In the body, its node is the element.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ForEachStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The sequence.
    pub sequence: Argument,
}

/// Make a list of what a `ForEach`'s body made for each element.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CollectStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is the one around the `ForEach`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `ForEach`.
    pub for_each: NodeId,
    /// A node of its body.
    pub value: Argument,
    /// What becomes of elements that failed.
    pub errors: OnError,
}

/// Run a body if a condition holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct IfStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The condition.
    pub condition: Condition,
}

/// Run a body if an `If`'s condition does not hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OtherwiseStatement {
    /// Its id, which only its body's statements use.
    pub node: NodeId,
    /// The block it stands in, which is that of the `If`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// None: it comes after its `If`.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `If`.
    #[serde(rename = "if")]
    pub of: NodeId,
}

/// Take a value from the cache, or run a body that makes it. Outside of its body, its node is the value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TryFromCacheStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The parts of the key.
    pub key: Vec<Argument>,
    /// The site whose cache it is; `None` for the site that makes the value.
    #[serde(default)]
    pub site: Option<String>,
}

/// Put a value into the cache, for next time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WriteToCacheStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is the body of the `TryFromCache`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `TryFromCache`.
    pub cache: NodeId,
    /// A node.
    pub value: Argument,
}

/// Run a body in rounds. In the body, its node is a dictionary of the carried values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RepeatStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// What the first round carries, by its name.
    pub start: IndexMap<String, Argument>,
    /// There are at most so many rounds.
    pub at_most: u32,
}

/// What a round leaves to the next one, unless it is the last.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AgainStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is the body of the `Repeat`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `Repeat`.
    pub repeat: NodeId,
    /// What the next round carries, by the names that the first one has.
    pub next: IndexMap<String, Argument>,
    /// What holds in the last round.
    #[serde(default)]
    pub until: Option<Condition>,
}

/// What the last round came to: what it left, as a dictionary, and how many rounds there were.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OutcomeStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is that of the `Repeat`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// None: it comes after the `Repeat`.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `Repeat`.
    pub repeat: NodeId,
}

/// Run a body at each of the sites that offer what it asks for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EachSiteStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes its body comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The operations that a site has to offer, beside those that the body places by it.
    #[serde(default)]
    pub offers: Vec<String>,
    /// The sites to choose from; `None` for all.
    #[serde(default)]
    pub sites: Option<Vec<String>>,
    /// How many sites suffice.
    #[serde(default)]
    pub at_least: Option<u32>,
    /// What becomes of sites that failed.
    pub errors: OnError,
}

/// Put together what the body of an `EachSite` made at each site.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct GatherStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is that of the `EachSite`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `EachSite`.
    pub each_site: NodeId,
    /// A node of its body.
    pub value: Argument,
    /// Whether to tell the sites that have no value, instead of the values of the others.
    #[serde(default)]
    pub missing: bool,
}

/// Put together what nodes made at sites.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in.
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    pub after: Vec<NodeId>,
    /// Each site and what is made there.
    pub parts: Vec<(String, Argument)>,
    /// How many values suffice.
    pub at_least: u32,
    /// Whether errors stand in the place of values that are not there.
    pub keep: bool,
    /// Whether to tell the sites that have no value, instead of the values of the others.
    pub missing: bool,
    /// Whether it is put together at the application's site, and not where it is used first.
    pub at_home: bool,
}

/// Add up the numbers that the body of an `EachSite` made at each site, so that nobody sees those of one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SecureSumStatement {
    /// Its id.
    pub node: NodeId,
    /// The block it stands in, which is that of the `EachSite`.
    #[serde(default)]
    pub block: Option<NodeId>,
    /// The nodes it comes after, without using their results.
    #[serde(default)]
    pub after: Vec<NodeId>,
    /// The `EachSite`.
    pub each_site: NodeId,
    /// A node of its body.
    pub value: Argument,
    /// No number is farther from 0.
    pub bound: f64,
    /// How far from the sum what comes of it may be.
    pub precision: f64,
    /// Whether it is parted by the number of the sites.
    #[serde(default)]
    pub mean: bool,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a condition is an and, an or, a not, a compare or a truth")]
pub enum Condition {
    /// All of them hold.
    And {
        /// The conditions, all of which hold.
        and: Vec<Condition>,
    },
    /// One of them holds.
    Or {
        /// The conditions, one of which holds.
        or: Vec<Condition>,
    },
    /// It does not hold.
    Not {
        /// The condition that does not hold.
        not: Box<Condition>,
    },
    /// Two values compare so.
    Compare {
        /// How they compare.
        compare: Comparison,
        /// The value on the left.
        left: Argument,
        /// The value on the right.
        right: Argument,
    },
    /// The value counts as true.
    Truth {
        /// The value, as Python takes it for true or not.
        truth: Argument,
    },
}

impl Condition {
    /// The values it looks at, in order.
    pub fn arguments(&self) -> Vec<&Argument> {
        match self {
            Self::And { and: all } | Self::Or { or: all } => all.iter().flat_map(Self::arguments).collect(),
            Self::Not { not } => not.arguments(),
            Self::Compare { left, right, .. } => vec![left, right],
            Self::Truth { truth } => vec![truth],
        }
    }
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
    /// The block it stands in; `None` for the pipeline's own body.
    #[serde(default)]
    pub block: Option<NodeId>,
}

/// Where an operation runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a site is a name, a best_of, an each_site or an advise")]
pub enum SiteChoice {
    /// At the site of this name.
    Name(String),
    /// That which the `EachSite` around it is at.
    EachSite {
        /// The node id of the `EachSite`.
        each_site: NodeId,
    },
    /// In discovery mode: every site that offers the operation is asked.
    Advise {
        /// Not read: the key says it all.
        advise: bool,
    },
    /// Where it is best.
    BestOf {
        /// One of these; `None` for any site.
        best_of: Option<Vec<String>>,
    },
}

/// What is given for a parameter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "an argument is a literal, an encoded value, a param, a node, an advise, or a list, tuple, dict or model of these"
)]
pub enum Argument {
    /// Plain data.
    Literal {
        /// The data, as JSON.
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
    /// In discovery mode: the sites are asked which values are possible.
    Advise {
        /// Not read: the key says it all.
        advise: bool,
    },
    /// A list of these.
    List {
        /// The items.
        list: Vec<Argument>,
    },
    /// A tuple of these.
    Tuple {
        /// The items.
        tuple: Vec<Argument>,
    },
    /// A dictionary of these.
    Dict {
        /// Keys, each with its value.
        dict: Vec<(Argument, Argument)>,
    },
    /// An object of a Python class.
    Model {
        /// The class, `module:name`.
        model: String,
        /// The names of its fields, each with its value.
        fields: Vec<(String, Argument)>,
    },
}

impl Argument {
    /// What it is made of, in order; itself, if it is not made of others.
    pub fn parts(&self) -> impl Iterator<Item = &Argument> {
        let whole = (!self.is_made()).then_some(self);
        whole.into_iter().chain(self.made_of())
    }

    /// What it is made of, if it is made of others. Most are not, and need no memory for it.
    fn made_of(&self) -> Vec<&Argument> {
        match self {
            Self::List { list: parts } | Self::Tuple { tuple: parts } => parts.iter().flat_map(Self::parts).collect(),
            Self::Dict { dict } => dict.iter().flat_map(|(key, value)| [key, value]).flat_map(Self::parts).collect(),
            Self::Model { fields, .. } => fields.iter().flat_map(|(_, value)| value.parts()).collect(),
            _ => vec![],
        }
    }

    /// Whether it is made of others.
    pub fn is_made(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Tuple { .. } | Self::Dict { .. } | Self::Model { .. })
    }
}

impl Pipeline {
    /// The same with other statements.
    pub(crate) fn with(&self, statements: Vec<Statement>) -> Self {
        let Self { dfm_pipeline, name, mode, package, api_version, statements: _ } = self;
        Self {
            dfm_pipeline: *dfm_pipeline,
            name: name.clone(),
            mode: mode.clone(),
            package: package.clone(),
            api_version: api_version.clone(),
            statements,
        }
    }

    /// Reads a pipeline's JSON.
    ///
    /// # Errors
    /// The text is not a pipeline.
    pub fn from_json(text: &str) -> Result<Self, Problem> {
        let problem = |message, help: &str| Problem::new("plan-format", None, message, Some(help.to_owned()));
        let help = "write it with dfm.api.Pipeline.save_to_file or model_dump_json";
        let read: Result<Self, _> = serde_json::from_str(text);
        if !read.as_ref().is_ok_and(|pipeline| pipeline.dfm_pipeline == FORMAT)
            // The version first: what else another one holds is nothing to complain about.
            && let Ok(Version { dfm_pipeline }) = serde_json::from_str(text)
            && dfm_pipeline != json!(FORMAT)
        {
            let message = format!("the pipeline has format {dfm_pipeline}, and this dfm reads format {FORMAT}");
            return Err(problem(message, "save it again with this dfm, or use the dfm that saved it"));
        }
        let pipeline = read.map_err(|error| {
            let (why, at) = why_none(text, &error);
            Problem { at, ..problem(format!("this is not a valid pipeline: {why}"), help) }
        })?;
        match pipeline.statements.iter().find(|statement| statement.comes_after_nodes()) {
            Some(statement) => {
                let message = "it says which nodes it comes after, and comes after what it is about".to_owned();
                Err(Problem::new("plan-format", statement.node(), message, Some(help.to_owned())))
            }
            None => Ok(pipeline),
        }
    }
}

/// Why a text is no pipeline, in a user's words, and the line and column where that is.
fn why_none(text: &str, error: &serde_json::Error) -> (String, Option<(usize, usize)>) {
    let at = (error.line(), error.column());
    let told = error.to_string();
    let told = told.strip_suffix(&format!(" at line {} column {}", at.0, at.1)).unwrap_or(&told);
    let kind = match serde_json::from_str(text) {
        Err(_) => return (format!("it is no JSON: {told}"), Some(at)),
        Ok(Value::Object(object)) if object.contains_key("dfm_pipeline") => return (told.to_owned(), Some(at)),
        Ok(Value::Object(_)) => return ("it has no key `dfm_pipeline`".to_owned(), None),
        Ok(Value::Array(_)) => "a list",
        Ok(Value::String(_)) => "a text",
        Ok(Value::Number(_)) => "a number",
        Ok(Value::Bool(_) | Value::Null) => "a single word",
    };
    (format!("it is {kind}, where an object with the key `dfm_pipeline` is expected"), None)
}

impl Statement {
    /// Whether it names nodes that it comes after, though it is of a kind that comes after what it is about.
    fn comes_after_nodes(&self) -> bool {
        match self {
            Self::Collect(one) => !one.after.is_empty(),
            Self::Gather(one) => !one.after.is_empty(),
            Self::SecureSum(one) => !one.after.is_empty(),
            Self::Again(one) => !one.after.is_empty(),
            Self::Otherwise(one) => !one.after.is_empty(),
            Self::Outcome(one) => !one.after.is_empty(),
            _ => false,
        }
    }

    /// Its id; `None` for one of an unknown kind that has none.
    pub fn node(&self) -> Option<&NodeId> {
        Some(match self {
            Self::Operation(one) => &one.node,
            Self::Yield(one) => &one.node,
            Self::ForEach(one) => &one.node,
            Self::Collect(one) => &one.node,
            Self::If(one) => &one.node,
            Self::Otherwise(one) => &one.node,
            Self::TryFromCache(one) => &one.node,
            Self::WriteToCache(one) => &one.node,
            Self::Repeat(one) => &one.node,
            Self::Again(one) => &one.node,
            Self::Outcome(one) => &one.node,
            Self::EachSite(one) => &one.node,
            Self::Gather(one) => &one.node,
            Self::Gathered(one) => &one.node,
            Self::SecureSum(one) => &one.node,
            Self::Other { node, .. } => return node.as_ref(),
        })
    }

    /// The block it stands in; `None` for the pipeline's own body.
    pub fn block(&self) -> Option<&NodeId> {
        match self {
            Self::Operation(one) => one.block.as_ref(),
            Self::Yield(one) => one.block.as_ref(),
            Self::ForEach(one) => one.block.as_ref(),
            Self::Collect(one) => one.block.as_ref(),
            Self::If(one) => one.block.as_ref(),
            Self::Otherwise(one) => one.block.as_ref(),
            Self::TryFromCache(one) => one.block.as_ref(),
            Self::WriteToCache(one) => one.block.as_ref(),
            Self::Repeat(one) => one.block.as_ref(),
            Self::Again(one) => one.block.as_ref(),
            Self::Outcome(one) => one.block.as_ref(),
            Self::EachSite(one) => one.block.as_ref(),
            Self::Gather(one) => one.block.as_ref(),
            Self::Gathered(one) => one.block.as_ref(),
            Self::SecureSum(one) => one.block.as_ref(),
            Self::Other { .. } => None,
        }
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
            "for_each" => ForEachStatement::deserialize(&value).map(Statement::ForEach).map_err(named),
            "collect" => CollectStatement::deserialize(&value).map(Statement::Collect).map_err(named),
            "if" => IfStatement::deserialize(&value).map(Statement::If).map_err(named),
            "otherwise" => OtherwiseStatement::deserialize(&value).map(Statement::Otherwise).map_err(named),
            "try_from_cache" => TryFromCacheStatement::deserialize(&value).map(Statement::TryFromCache).map_err(named),
            "write_to_cache" => WriteToCacheStatement::deserialize(&value).map(Statement::WriteToCache).map_err(named),
            "repeat" => RepeatStatement::deserialize(&value).map(Statement::Repeat).map_err(named),
            "again" => AgainStatement::deserialize(&value).map(Statement::Again).map_err(named),
            "outcome" => OutcomeStatement::deserialize(&value).map(Statement::Outcome).map_err(named),
            "each_site" => EachSiteStatement::deserialize(&value).map(Statement::EachSite).map_err(named),
            "gather" => GatherStatement::deserialize(&value).map(Statement::Gather).map_err(named),
            "secure_sum" => SecureSumStatement::deserialize(&value).map(Statement::SecureSum).map_err(named),
            other => Ok(Statement::Other {
                kind: other.to_owned(),
                node: value.get("node").and_then(|node| NodeId::deserialize(node).ok()),
            }),
        }
    }
}
