//! Which sites run somewhere of their own, and on which ports does their server listen?

use dfm_config::{Direct, Federation, Project, SERVER};
use dfm_diag::Diagnostic;

use crate::texts::{self, is_site};

/// The sites that are deployed: a Flare server and its clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Members {
    /// The server.
    pub server: Member,
    /// The clients.
    pub clients: Vec<Member>,
    /// The project's name, which is also that of its folder in a workspace.
    pub project: String,
    /// The server's ports, that of the clients first.
    pub ports: Vec<u16>,
}

/// One site that is deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name in the NVFlare project, and in the configuration.
    pub name: String,
    /// Where it takes direct connections, if it does.
    pub direct: Option<Direct>,
}

/// The port that a server listens on where its project does not say: NVFlare's own.
pub const PORT: u16 = 8002;

/// The members that the NVFlare project names. Without one they are those that provisioning makes up: a server, and all
/// other sites but the first, which is the application's. `name` is the federation's in the registry.
///
/// # Errors
/// A project without exactly one server, with two members that would have one name, or with a name that no file may have in
/// it; a server that would have one port for two things.
pub fn members(federation: &Federation, name: &str, project: Option<&Project>) -> Result<Members, Diagnostic> {
    let direct = |name: &str| federation.provision.direct.get(name);
    let member = |name: &String| Member { name: name.clone(), direct: direct(name).map(|direct| direct.value.clone()) };
    // A server may be named for its host; in the configuration it is the site `server`.
    let the_server = |name: &String| Member { name: name.clone(), ..member(&SERVER.to_owned()) };
    let members = if let Some(project) = project {
        let [server] = &project.servers[..] else {
            let count = project.servers.len();
            let message = format!("the NVFlare project has {count} servers instead of one");
            let help = "give it one participant of `type: server`";
            return Err(Diagnostic::error("deploy-servers", message).help(help));
        };
        let port = project.port.as_ref().map_or(PORT, |port| port.value);
        let mut ports = vec![port];
        ports.extend(project.admin_port.as_ref().map(|admin| admin.value).filter(|admin| *admin != port));
        Members {
            server: the_server(server),
            clients: project.clients.iter().map(member).collect(),
            project: project.name.clone().unwrap_or_else(|| name.to_owned()),
            ports,
        }
    } else {
        let clients = federation.sites.keys().filter(|name| *name != SERVER).skip(1).map(member).collect();
        let server = the_server(&SERVER.to_owned());
        Members { server, clients, project: name.replace('_', "-"), ports: vec![crate::port(name)] }
    };
    if let Some(direct) = direct(SERVER)
        && let Some(port) = members.ports.iter().find(|port| direct.value.ports().contains(port))
    {
        let message = format!("NVFlare's server listens on the port {port}, which direct connections cannot have too");
        return Err(Diagnostic::error("deploy-direct-port", message)
            .at(direct.span, format!("its ports are {} to {}", direct.value.first, direct.value.last))
            .help("write other `ports` here, or another `fed_learn_port` and `admin_port` in the NVFlare project"));
    }
    let all: Vec<&Member> = std::iter::once(&members.server).chain(&members.clients).collect();
    for (index, one) in all.iter().enumerate() {
        if !is_site(&one.name) {
            return Err(texts::odd("the name of a site", &one.name, texts::SITE));
        }
        let same = |other: &&&Member| {
            other.slug() == one.slug() || crate::names::variable(&other.name) == crate::names::variable(&one.name)
        };
        if let Some(other) = all[..index].iter().find(same) {
            let message =
                format!("the sites `{}` and `{}` would have the same name in containers", other.name, one.name);
            let help = "let their first 20 letters or digits be different";
            return Err(Diagnostic::error("deploy-same-name", message).help(help));
        }
    }
    Ok(members)
}

impl Member {
    /// As Kubernetes and compose take it.
    pub fn slug(&self) -> String {
        crate::names::slug(&self.name)
    }
}
