//! How does `dfm fed gen docker` write the files of a federation's image and containers?

use dfm_deploy::{Docker, docker};

use crate::args::{GenDocker, Skip};
use crate::chosen::federation_patched;
use crate::context::{Context, Failure};
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
    let mut settings = Docker::of(&chosen.federation).map_err(wrong)?;
    let section = chosen.federation.provision.docker.as_ref().map(|section| section.span);
    let settled = |key, path: &_| deployment::settled(context, &chosen, section, key, path);
    settings.dockerfile = settled("dockerfile", &settings.dockerfile);
    settings.build.context = settled("build.context", &settings.build.context);
    settings.build.save = settings.build.save.map(|file| settled("build.save.file", &file));
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
    if !args.allow_outside {
        let build = &settings.build;
        let mut named = vec![("dockerfile", settings.dockerfile.as_path()), ("build.context", build.context.as_path())];
        named.extend(build.save.as_deref().map(|file| ("build.save.file", file)));
        deployment::stays_inside(context, &chosen, section, &named, &files)?;
    }
    deployment::write(context, &chosen, &files, args.force)
}
