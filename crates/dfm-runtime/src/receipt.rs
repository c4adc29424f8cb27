//! What has a site contributed to a job, for its receipt?

use std::collections::BTreeMap;

use dfm_net::{Frame, NodeId, PlaceId};

/// So many values are listed in each direction; of more, it is known how many there were.
const MOST_PASSED: usize = 10_000;
/// Bytes of another site's part of a receipt.
pub(crate) const MOST_TEXT: usize = 4 << 20;

/// What one site has contributed to a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Operation, and the provider if it is not the site's own → how many of its calls had a result.
    pub calls: BTreeMap<(String, Option<String>), u64>,
    /// The values that came from other sites.
    pub came: Vec<Passed>,
    /// The values that went to other sites.
    pub left: Vec<Passed>,
    /// How many more there were of both.
    pub unlisted: u64,
}

/// A value that passed from one site to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The other one.
    pub site: String,
    /// Where it goes.
    pub goal: Goal,
    /// Its frame.
    pub frame: Frame,
    /// The node of this site that it comes from, or that uses it.
    pub node: Option<NodeId>,
    /// The operation whose result it is, of what has left.
    pub operation: Option<String>,
    /// The SHA-256 of its bytes, and how many these are: only of what the application sends or gets, for whoever has the
    /// digest of a value can tell it from others.
    pub seen: Option<(String, u64)>,
}

/// What a value is for, at the site that gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A place of its net.
    Place(PlaceId),
    /// A parameter of the pipeline.
    Param(String),
}

impl Contribution {
    /// A call had a result.
    pub(crate) fn called(&mut self, operation: &str, provider: Option<&str>) {
        *self.calls.entry((operation.to_owned(), provider.map(str::to_owned))).or_default() += 1;
    }

    /// A value came.
    pub(crate) fn came(&mut self, value: Passed) {
        add(&mut self.came, &mut self.unlisted, value);
    }

    /// A value went.
    pub(crate) fn left(&mut self, value: Passed) {
        add(&mut self.left, &mut self.unlisted, value);
    }
}

fn add(list: &mut Vec<Passed>, unlisted: &mut u64, value: Passed) {
    if list.len() < MOST_PASSED {
        list.push(value);
    } else {
        *unlisted += 1;
    }
}
