//! From a `.dfm.yaml` to a validated [`Federation`], and the registry of federations.

mod check_project;
mod decode;
mod decode_binding;
mod decode_operation;
mod decode_provision;
mod decode_schema;
mod decode_site;
mod deploy_names;
mod documents;
mod fields;
mod files;
mod format;
mod json_schema;
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
mod secrets;
mod tree;
mod value;
mod write;

pub use check_project::check_project;
pub use json_schema::json_schema;
pub use load::{Fetch, Loaded, Options, load};
pub use model::*;
pub use names::{KEYWORDS, is_name, is_taken};
pub use project::{Project, project};
pub use registry_find::{FILE_NAME, find as find_registry};
pub use write::write_file;
