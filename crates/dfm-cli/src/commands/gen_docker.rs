//! How does `dfm fed gen docker` write the files of a federation's image and containers?

use dfm_deploy::{Docker, docker};

use super::{Context, Failure, federation_patched};
use crate::args::{GenDocker, Skip};
use crate::deployment;
use crate::neighbours;

/// Generates the files.
///
/// # Errors
/// A federation that cannot be loaded, settings that are missing, files that are different where `--force` is not
/// given, and what the file system refuses.
pub fn run(context: &Context, args: &GenDocker) -> Result<(), Failure> {
    let chosen = federation_patched(context, &args.name, args.patch.as_deref())?;
    let wrong = |diagnostic| deployment::wrong(&chosen, diagnostic);
    let settings = Docker::of(&chosen.federation).map_err(wrong)?;
    neighbours::tell(context, &chosen)?;
    let members = deployment::members(&chosen)?;
    let scene = deployment::scene(context, &chosen, Some(&settings.build.context));
    let (image, scripts) = docker(&chosen.federation, &settings, &members, &scene).map_err(wrong)?;
    let mut files = Vec::new();
    if !args.skip.contains(&Skip::Dockerfile) {
        files.extend(image);
    }
    if !args.skip.contains(&Skip::Scripts) {
        files.extend(scripts);
    }
    deployment::write(context, &chosen, &files, args.force)
}
