//! How does the API ask for the planner's rules?

use pyo3::prelude::*;

use crate::classes::classes;

classes! {
    /// One use of a place.
    PlaceUse {
        /// Whether tokens come out of it, rather than go in.
        yields: bool,
        /// Whether it says that there may be others.
        multiuse: bool,
        /// Where it stands, such as `at f.py:3`.
        at: String,
    }
}

impl PlaceUse {
    fn planners(&self) -> dfm_plan::PlaceUse {
        dfm_plan::PlaceUse { yields: self.yields, multiuse: self.multiuse, at: self.at.clone() }
    }
}

/// Whether code made for one version of a federation's API understands the other.
#[pyfunction]
pub fn same_api(one: &str, other: &str) -> bool {
    dfm_plan::same_api(one, other)
}

/// Why a place that was used before cannot also be used so.
#[pyfunction]
pub fn place_conflict(place: &str, first: &PlaceUse, next: &PlaceUse) -> Option<String> {
    dfm_plan::place_conflict(place, &first.planners(), &next.planners()).map(|broken| broken.to_string())
}

/// That a node is used outside of the body that makes it, which is `around`'s, or of its own body, if it is a loop. `kind`
/// is what has the body.
#[pyfunction]
pub fn out_of_block(node: &str, around: Option<&str>, kind: &str) -> String {
    dfm_plan::out_of_block(node, around, kind).to_string()
}
