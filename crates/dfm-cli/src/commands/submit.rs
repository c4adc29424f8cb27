//! How does `dfm fed submit` run a pipeline or a script?

use dfm_diag::Diagnostic;

use super::{Context, Failure, federation};
use crate::args::Submit;

/// Runs it.
///
/// # Errors
/// A federation that cannot be loaded.
pub fn run(context: &Context, args: &Submit) -> Result<(), Failure> {
    let chosen = federation(context, &args.name)?;
    Err(Failure::failed(Diagnostic::error("submit-not-built", format!("cannot submit to `{}` yet", chosen.name))))
}
