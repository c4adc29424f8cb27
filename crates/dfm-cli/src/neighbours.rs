//! What would a federation share with another one of the registry, once both run?

use std::path::Path;

use dfm_config::Federation;
use dfm_config::registry::Registry;
use dfm_deploy::{Docker, PORT, container_name, port};
use dfm_diag::{Diagnostic, Report, Sources, Span};

use crate::chosen::{Chosen, load};
use crate::context::{Context, Failure};

/// What a federation takes for its own.
struct Claims {
    /// Its name among containers, if it becomes any.
    name: Option<String>,
    /// Its image with the tag, and where that is written.
    image: Option<(String, Span)>,
    /// Where its server is reached, as `host:port`, and where that is written.
    addresses: Vec<(String, Option<Span>)>,
}

/// Tells what a federation would share with others; goes on only if both can run all the same.
///
/// # Errors
/// A registry that cannot be read, or two federations that nothing would keep apart.
pub fn tell(context: &Context, chosen: &Chosen) -> Result<(), Failure> {
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    let mut sources = chosen.sources.clone();
    let diagnostics = shared(context, &registry, &chosen.name, &chosen.federation, &mut sources);
    let report = Report { diagnostics, sources };
    if report.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Failure::wrong(report));
    }
    context.output.problems(&report);
    Ok(())
}

/// What a federation would share with each other one that can be loaded; the spans point into `sources`.
pub fn shared(
    context: &Context,
    registry: &Registry,
    name: &str,
    federation: &Federation,
    sources: &mut Sources,
) -> Vec<Diagnostic> {
    let Some(paths) = registry.paths(name) else { return Vec::new() };
    let mine = Claims::of(context, name, federation, paths.project.as_deref(), sources);
    let mut shared = Vec::new();
    for other in registry.records.keys().filter(|other| *other != name) {
        let Some((theirs, loaded)) = registry.paths(other).and_then(|paths| {
            let loaded = load(context, other, &paths).ok()?;
            Some((paths, loaded))
        }) else {
            continue;
        };
        let mut texts = loaded.report.sources;
        let claims = Claims::of(context, other, &loaded.federation, theirs.project.as_deref(), &mut texts);
        shared.extend(mine.name.as_ref().filter(|mine| claims.name.as_ref() == Some(mine)).map(|label| {
            let message =
                format!("the federations `{name}` and `{other}` are both `{label}` in containers and clusters");
            let help = "register one of them under another name, with `dfm fed config set`";
            Diagnostic::error("deploy-same-name", message).help(help)
        }));
        if let (Some((image, span)), Some((same, place))) = (&mine.image, &claims.image)
            && image == same
            && paths.config != theirs.config
        {
            let message = format!("the images of `{name}` and `{other}` are both `{image}`");
            shared.push(
                Diagnostic::warning("deploy-same-image", message)
                    .at(*span, format!("the other one is named at {}", written(&texts, *place)))
                    .help("the one that is built last replaces the other: name one of them differently"),
            );
        }
        for (address, span) in &mine.addresses {
            let Some((_, place)) = claims.addresses.iter().find(|(same, _)| same == address) else { continue };
            let message = format!("the servers of `{name}` and `{other}` are both at `{address}`");
            let place = match place {
                Some(place) => format!("the other one says so at {}", written(&texts, *place)),
                None => "the other one does so unless its project says otherwise".to_owned(),
            };
            let fault = Diagnostic::warning("deploy-same-port", message);
            let help = "one machine can run only one of them: give one another port, then provision it again";
            shared.push(match span {
                Some(span) => fault.at(*span, place).help(help),
                None => fault.help(format!("{place}; {help}")),
            });
        }
    }
    shared
}

impl Claims {
    /// The text of a project is added to `sources`. One that cannot be read claims nothing: others tell what is wrong.
    fn of(
        context: &Context,
        name: &str,
        federation: &Federation,
        project: Option<&Path>,
        sources: &mut Sources,
    ) -> Self {
        let provision = &federation.provision;
        let docker = Docker::of(federation).ok().zip(provision.docker.as_ref());
        let project = project.map(|path| dfm_config::project(&context.shown(path), sources));
        Self {
            name: (provision.docker.is_some() || provision.helm.is_some()).then(|| container_name(name)),
            image: docker.map(|(docker, section)| (format!("{}:{}", docker.reference(), docker.tag), section.span)),
            addresses: match project {
                None => vec![(format!("localhost:{}", port(name)), None)],
                Some(Err(_)) => Vec::new(),
                Some(Ok(project)) => {
                    let host = project.host.or(project.servers.first().cloned()).unwrap_or_default();
                    let port = project.port.map_or((PORT, None), |port| (port.value, Some(port.span)));
                    let admin = project.admin_port.map(|admin| (admin.value, Some(admin.span)));
                    let ports = std::iter::once(port).chain(admin.filter(|admin| admin.0 != port.0));
                    ports.map(|(port, span)| (format!("{host}:{port}"), span)).collect()
                }
            },
        }
    }
}

/// A place in words.
fn written(sources: &Sources, span: Span) -> String {
    let position = sources.position(span);
    format!("{}:{}:{}", sources.name(span.file), position.line, position.column)
}
