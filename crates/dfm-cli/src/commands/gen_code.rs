//! How does `dfm fed gen code` write a federation's Python package?

use dfm_diag::Diagnostic;

use super::{Context, Failure, federation};
use crate::args::GenCode;

/// Generates the code.
///
/// # Errors
/// A federation that cannot be loaded.
pub fn run(context: &Context, args: &GenCode) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    let (package, dir) = (&chosen.federation.info.code_package, chosen.paths.dir.display());
    Err(Failure::failed(Diagnostic::error(
        "gen-code-not-built",
        format!("cannot generate `{package}` for `{dir}` yet"),
    )))
}
