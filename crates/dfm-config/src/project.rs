//! Who takes part in a federation's NVFlare project?

use std::path::Path;

use dfm_diag::{Report, Sources};

use crate::tree::Data;

/// The names of a project's server and clients. What else the file holds, or lacks, is for others to judge.
///
/// # Errors
/// A file that cannot be read, or is not YAML.
pub fn participants(path: &Path) -> Result<Vec<String>, Report> {
    let mut sources = Sources::default();
    let file = crate::files::read(path, "the NVFlare project", &mut sources)?;
    let (root, diagnostics) = crate::tree::parse(sources.text(file), file);
    if !diagnostics.is_empty() {
        return Err(Report { diagnostics, sources });
    }
    let entries = root.as_ref().and_then(|root| root.map()).and_then(|root| root.get("participants"));
    let Some(Data::List(list)) = entries.map(|entry| &entry.value.data) else { return Ok(vec![]) };
    let text = |one: &crate::tree::Node, key| Some(one.map()?.get(key)?.value.text()?.to_owned());
    let runs = |one: &&crate::tree::Node| matches!(text(one, "type").as_deref(), Some("server" | "client"));
    Ok(list.iter().filter(runs).filter_map(|one| text(one, "name")).collect())
}
