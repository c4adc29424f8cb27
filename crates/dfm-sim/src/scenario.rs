//! What happens in a simulation, beside what the plan says?

use std::collections::HashMap;

/// How much is run, how much sites can do, and what fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// How many parameter sets are executed, all from the start on.
    pub frames: u32,
    /// Site → how many calls it runs at the same time; any number where it is not said.
    pub at_once: HashMap<String, usize>,
    /// Sites that are lost, not the homesite, and the second of it.
    pub lost: Vec<(String, f64)>,
    /// Operations some of whose calls fail.
    pub failing: Vec<Failing>,
    /// Which of the calls fail. The same number gives the same ones.
    pub seed: u64,
}

/// An operation some of whose calls fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// The site.
    pub site: String,
    /// `namespace.Name`.
    pub operation: String,
    /// The provider that runs it; `None` for the site itself.
    pub provider: Option<String>,
    /// The part of its calls that fail, from 0 to 1.
    pub share: f64,
}
