//! From a [`Federation`](dfm_config::Federation) to the files it is deployed with, as plain values: nothing is written.

mod docker;
mod helm;
mod members;
mod names;
mod render;
mod settings;
mod texts;

use std::path::PathBuf;

pub use dfm_config::relative;
pub use docker::{Scene, docker};
pub use helm::helm;
pub use members::{Member, Members, PORT, members};
pub use names::{container_name, port};
pub use settings::{Build, Docker, Helm, KitSource, Login, Push};

/// A file to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Relative to the federation's folder.
    pub path: PathBuf,
    /// The whole content.
    pub text: String,
    /// Whether it is a program.
    pub executable: bool,
}
