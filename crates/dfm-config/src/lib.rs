//! From a `.dfm.yaml` to a validated [`Federation`], and the registry of federations.

mod decode;
mod decode_binding;
mod decode_operation;
mod decode_provision;
mod decode_schema;
mod decode_site;
mod documents;
mod fields;
mod files;
mod load;
mod model;
mod names;
mod patch;
mod project;
mod refs;
pub mod registry;
mod registry_edit;
mod registry_find;
mod scalar;
mod tree;
mod write;

pub use load::{Loaded, Options, load};
pub use model::*;
pub use project::{Project, participants, project};
pub use registry_find::{FILE_NAME, find as find_registry};
pub use write::write_file;
