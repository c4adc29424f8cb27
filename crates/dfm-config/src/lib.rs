//! From a `.dfm.yaml` to a validated [`Federation`], and the registry of federations.

mod files;
mod load;
mod model;
pub mod registry;
mod registry_edit;
mod registry_find;
mod scalar;
mod tree;
mod write;

pub use load::{Loaded, Options, load};
pub use model::*;
pub use registry_find::{FILE_NAME, find as find_registry};
pub use write::write_file;
