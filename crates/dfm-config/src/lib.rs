//! From a `.dfm.yaml` to a validated [`Federation`], and the registry of federations.

mod model;

pub use model::*;
