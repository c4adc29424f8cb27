//! What does the planner know of a federation?

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// The content of `fed_info.json`: all that is public.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FedInfo {
    /// The version of this format, 1.
    pub format: u32,
    /// The generated Python package, which is also the federation's name.
    pub code_package: String,
    /// `X.Y.Z`.
    pub api_version: String,
    /// For users.
    #[serde(default)]
    pub description: String,
    /// `namespace.Name` → operation, whether a site offers it or not.
    pub operations: IndexMap<String, OperationInfo>,
    /// Schema whose values are models → field that always has a value → the name of its type, where it has one.
    #[serde(default)]
    pub schemas: IndexMap<String, IndexMap<String, String>>,
    /// Name → site.
    pub sites: IndexMap<String, SiteInfo>,
    /// What sending costs where no site says it; `None` for unknown.
    #[serde(skip)]
    pub other_send_cost: Option<SendCost>,
}

/// What a pipeline can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationInfo {
    /// For users.
    #[serde(default)]
    pub description: String,
    /// The name of its result's type, where that is the same at all sites and has one.
    #[serde(default)]
    pub returns: Option<serde_json::Value>,
    /// Name → parameter.
    pub parameters: IndexMap<String, ParameterInfo>,
    /// How it may be applied to parts of what it puts together; `None` if it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
}

/// That an operation's result for some parts may take their place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// Whether the order of the parts makes no difference.
    pub commutative: bool,
}

/// One parameter of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterInfo {
    /// Whether a pipeline has to give it.
    pub required: bool,
    /// Its type's name, where all sites take the same and that has one.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// One site, as the others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteInfo {
    /// For users.
    #[serde(default)]
    pub description: String,
    /// What it can run.
    #[serde(default)]
    pub offers: Vec<Offer>,
    /// Other site → the cost of sending there.
    #[serde(default)]
    pub send_cost: IndexMap<String, SendCost>,
}

/// An operation at a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// `namespace.Name`.
    pub operation: String,
    /// The provider that runs it; `None` for the site itself.
    pub provider: Option<String>,
    /// The operation's parameters, and those that the site adds.
    pub parameters: Vec<String>,
    /// Those that a pipeline has to give.
    pub required: Vec<String>,
    /// What it costs there.
    #[serde(default)]
    pub compute_cost: ComputeCost,
}

/// The cost of running an operation once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComputeCost {
    /// Seconds.
    pub fixed_time: f64,
    /// Bytes of input a second; `None` for unlimited.
    pub compute_throughput: Option<f64>,
    /// Bytes of the result.
    pub fixed_size: f64,
    /// Bytes of the result for each byte of input.
    pub output_factor: f64,
}

/// The cost of sending to another site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SendCost {
    /// Seconds.
    pub fixed_time: f64,
    /// Bytes a second; `None` for unlimited.
    pub bandwidth: Option<f64>,
}

impl FedInfo {
    /// What sending costs between two sites of these names; `None` for unknown.
    pub fn send_cost(&self, from: &str, to: &str) -> Option<&SendCost> {
        self.sites.get(from).and_then(|site| site.send_cost.get(to)).or(self.other_send_cost.as_ref())
    }

    /// What is declared of an operation's result; `None` if nothing is.
    pub fn returns(&self, operation: &str) -> Option<&serde_json::Value> {
        self.operations.get(operation)?.returns.as_ref()
    }

    /// Reads `fed_info.json`.
    ///
    /// # Errors
    /// The text is not what the code generator writes.
    pub fn from_json(text: &str) -> Result<Self, Problem> {
        let help = || Some("generate the federation's code again: dfm fed gen code".to_owned());
        let read: Self = serde_json::from_str(text).map_err(|error| {
            Problem::new("plan-fed-info", None, format!("the federation's fed_info.json is not valid: {error}"), help())
        })?;
        if read.format != 1 {
            let message = format!("the federation's fed_info.json has format {}, but this dfm reads 1", read.format);
            return Err(Problem::new("plan-fed-info", None, message, help()));
        }
        Ok(read)
    }
}
