//! Which sites will Kubernetes refuse, or not keep apart?

use std::collections::HashMap;

use dfm_diag::{Diagnostic, Span};

use crate::fields::Faults;

/// The longest name of a Helm release; Kubernetes' own limit is 63, and a chart adds to it.
const LONGEST: usize = 53;

/// Complains about sites whose names Kubernetes could not keep apart, or are too long for it.
pub fn check_sites<'n>(sites: impl Iterator<Item = (&'n str, Span)>, faults: &mut Faults) {
    let mut seen: HashMap<String, (&str, Span)> = HashMap::new();
    for (name, span) in sites {
        let label = label(name);
        if label.len() > LONGEST || label.is_empty() {
            let expected = format!("Kubernetes expects at most {LONGEST} letters and digits");
            faults.push(invalid(name, "a site in a Helm chart", span, &expected));
        } else if let Some((other, first)) = seen.insert(label.clone(), (name, span)) {
            faults.push(
                Diagnostic::error(
                    "config-name-clash",
                    format!("Kubernetes does not keep the sites `{other}` and `{name}` apart"),
                )
                .at(span, format!("both are `{label}` there"))
                .related(first, "the first one")
                .help("rename one of them, or leave `provision.helm` out"),
            );
        }
    }
}

fn invalid(name: &str, what: &str, span: Span, expected: &str) -> Diagnostic {
    Diagnostic::error("config-invalid-name", format!("`{name}` cannot be the name of {what}")).at(span, expected)
}

/// The name as Kubernetes would take it.
fn label(text: &str) -> String {
    let text: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    text.trim_matches('-').to_owned()
}
