//! Is a tree a federation, and which?

use dfm_diag::{Diagnostic, Span};
use indexmap::IndexMap;

use crate::decode_operation::operations;
use crate::decode_provision::provision;
use crate::decode_schema::schemas;
use crate::decode_site::sites;
use crate::fields::{Faults, Fields, Others, text};
use crate::names::{advice, is_name};
use crate::tree::Node;
use crate::{Federation, Info};

const KEYS: &[&str] = &["dfm", "info", "provision", "schemas", "operations", "sites"];

/// The version of the format.
const VERSION: &str = "1.0.0";

/// Decodes a whole federation; it is complete only if no fault that is an error was added.
pub fn federation(root: &Node, faults: &mut Faults) -> Option<Federation> {
    let start = Span { end: root.span.start, ..root.span };
    let fields = Fields::of("a configuration", root, start, KEYS, Others::Refused, faults)?;
    if let Some(entry) = fields.need("dfm", faults)
        && entry.value.text() != Some(VERSION)
    {
        let written = &entry.value.to_json().to_string();
        faults.push(
            Diagnostic::error("config-wrong-version", format!("this dfm reads version {VERSION} of the format"))
                .at(entry.value.span, format!("expected {VERSION}, not {}", written.trim_matches('"')))
                .help(format!("write `dfm: {VERSION}`")),
        );
    }
    let info = fields.need("info", faults).and_then(|entry| info(&entry.value, entry.key, faults));
    let provision = fields.get("provision").map(|entry| provision(entry, faults)).unwrap_or_default();
    let schemas = schemas(&fields, faults);
    let operations = operations(&fields, faults);
    let sites = sites(&fields, &operations, faults);
    let operations: IndexMap<_, _> =
        operations.into_iter().filter_map(|(name, operation)| Some((name, operation?))).collect();
    Some(Federation { info: info?, schemas, operations, sites, provision })
}

fn info(node: &Node, owner: Span, faults: &mut Faults) -> Option<Info> {
    let known = ["api-version", "code-package", "description"];
    let fields = Fields::of("`info`", node, owner, &known, Others::Allowed, faults)?;
    let api_version = fields.need("api-version", faults);
    let api_version = api_version.and_then(|entry| {
        let version = entry.value.text().filter(|text| is_version(text));
        if version.is_none() {
            faults.push(
                Diagnostic::error("config-wrong-value", "`api-version` must be three numbers, as in `1.0.0`")
                    .at(entry.value.span, "expected X.Y.Z"),
            );
        }
        version.map(str::to_owned)
    });
    let code_package = fields.need("code-package", faults).and_then(|entry| {
        let name = text(&entry.value, "code-package", faults)?;
        if !is_name(name) {
            faults.push(
                Diagnostic::error("config-invalid-name", format!("`{name}` cannot be the name of a Python package"))
                    .at(entry.value.span, "expected a Python identifier")
                    .help(advice(name)),
            );
        }
        Some(name.to_owned())
    });
    let description = fields.text("description", faults).unwrap_or_default();
    Some(Info { api_version: api_version?, code_package: code_package?, description })
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}
