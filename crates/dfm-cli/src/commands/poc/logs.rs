//! How does `dfm poc logs` show what the sites say?

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

use dfm_config::registry::Registry;
use dfm_diag::{Diagnostic, nearest};

use super::{Place, records};
use crate::commands::poc::kits::Kind;
use crate::context::{Context, Failure};

/// Between two looks at files that may have grown.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows the log of a site, or of all, and with `follow` also what comes.
///
/// # Errors
/// An unknown site.
pub fn run(context: &Context, place: &Place, site: Option<&str>, follow: bool) -> Result<(), Failure> {
    let kits: Vec<_> = place.kits().into_iter().filter(|kit| kit.kind != Kind::Admin).collect();
    let names: Vec<&str> = kits.iter().map(|kit| kit.name.as_str()).collect();
    if let Some(site) = site.filter(|site| !names.contains(site)) {
        let message = format!("`{}` has no process `{site}`", place.name);
        let near = nearest(site, names.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let is_federation = Registry::read(&context.registry).is_ok_and(|known| known.records.contains_key(site));
        let help = if follow && is_federation {
            format!("`-f` follows what comes here; name the federation with `--federation {site}`")
        } else if names.is_empty() {
            format!("it has none yet; start it: `dfm poc start -f {}`", place.name)
        } else {
            format!("{}it has: {}", near.unwrap_or_default(), names.join(", "))
        };
        return Err(Failure::wrong(Diagnostic::error("poc-unknown-site", message).help(help)));
    }
    let wanted = kits.iter().filter(|kit| site.is_none_or(|site| site == kit.name));
    let mut files: Vec<(&str, BufReader<File>, String)> = wanted
        .filter_map(|kit| {
            Some((kit.name.as_str(), BufReader::new(File::open(records::log(&kit.folder)).ok()?), String::new()))
        })
        .collect();
    loop {
        for (name, file, line) in &mut files {
            // A line that is not complete yet waits for the rest.
            while file.read_line(line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
                let text = line.trim_end();
                context.output.result(&if site.is_some() { text.to_owned() } else { format!("{name:<12} {text}") });
                line.clear();
            }
        }
        if !follow {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
}
