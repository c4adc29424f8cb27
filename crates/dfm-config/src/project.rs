//! Who takes part in a federation's NVFlare project, and where is its server?

use std::path::Path;

use dfm_diag::{Report, Sources, Spanned};

use crate::tree::{Data, Node};

/// What others need to know of an NVFlare project. What else its file holds, or lacks, is for others to judge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// Its name, which is also that of its folder in a workspace.
    pub name: Option<String>,
    /// The names of its servers.
    pub servers: Vec<String>,
    /// The names of its clients.
    pub clients: Vec<String>,
    /// The port that the first server listens on for clients, where the file says so.
    pub port: Option<Spanned<u16>>,
    /// The port that the first server listens on for applications, where the file says so.
    pub admin_port: Option<Spanned<u16>>,
    /// The host that the first server is reached at, where the file says so.
    pub host: Option<String>,
}

/// Reads an NVFlare project; its text is added to `sources`, which its spans point into.
///
/// # Errors
/// A file that cannot be read, or is not YAML.
pub fn project(path: &Path, sources: &mut Sources) -> Result<Project, Report> {
    let file = crate::files::read(path, "the NVFlare project", sources)?;
    let (root, diagnostics) = crate::tree::parse(sources.text(file), file);
    if !diagnostics.is_empty() {
        return Err(Report { diagnostics, sources: sources.clone() });
    }
    let mut project = Project::default();
    let Some(root) = root else { return Ok(project) };
    project.name = text(&root, "name");
    let entries = root.map().and_then(|root| root.get("participants"));
    let Some(Data::List(list)) = entries.map(|entry| &entry.value.data) else { return Ok(project) };
    for one in list {
        match (text(one, "type").as_deref(), text(one, "name")) {
            (Some("server"), Some(name)) => {
                project.servers.push(name);
                project.port = project.port.or_else(|| port(one, "fed_learn_port"));
                project.admin_port = project.admin_port.or_else(|| port(one, "admin_port"));
                project.host = project.host.or_else(|| text(one, "default_host"));
            }
            (Some("client"), Some(name)) => project.clients.push(name),
            _ => (),
        }
    }
    Ok(project)
}

fn text(node: &Node, key: &str) -> Option<String> {
    Some(node.map()?.get(key)?.value.text()?.to_owned())
}

fn port(node: &Node, key: &str) -> Option<Spanned<u16>> {
    let entry = node.map()?.get(key)?;
    let value = u16::try_from(entry.value.to_json().as_u64()?).ok()?;
    Some(Spanned { value, span: entry.value.span })
}
