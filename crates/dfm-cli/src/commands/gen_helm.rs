//! How does `dfm fed gen helm` write a federation's chart?

use dfm_deploy::{Helm, helm};

use crate::args::GenHelm;
use crate::chosen::federation_patched;
use crate::context::{Context, Failure};
use crate::deployment;
use crate::neighbours;

/// Generates the files.
///
/// # Errors
/// A federation that cannot be loaded, settings that are missing, files that are different where `--force` is not
/// given, and what the file system refuses.
pub fn run(context: &Context, args: &GenHelm) -> Result<(), Failure> {
    let chosen = federation_patched(context, &args.name, args.patch.as_deref())?;
    let mut settings = Helm::of(&chosen.federation).map_err(|diagnostic| deployment::wrong(&chosen, diagnostic))?;
    let section = chosen.federation.provision.helm.as_ref().map(|section| section.span);
    settings.path = deployment::settled(context, &chosen, section, "path", &settings.path);
    neighbours::tell(context, &chosen)?;
    let members = deployment::members(&chosen)?;
    let scene = deployment::scene(context, &chosen, None);
    let files = helm(&chosen.federation, &settings, &members, &scene);
    if !args.allow_outside {
        deployment::stays_inside(context, &chosen, section, &[("path", &settings.path)], &files)?;
    }
    deployment::write(context, &chosen, &files, args.force)
}
