//! Is a tree a federation, and which?

use dfm_diag::{Diagnostic, Span};
use indexmap::IndexMap;

use crate::decode_operation::operations;
use crate::decode_provision::provision;
use crate::decode_schema::schemas;
use crate::decode_site::sites;
use crate::fields::{Faults, Fields, text, wrong_type};
use crate::format::{CONFIGURATION, Form, INFO, VALUES, VERSION};
use crate::names::{advice, is_name, is_taken};
use crate::tree::{Data, Entry, Node};
use crate::{Federation, Info, type_paths};

/// Decodes a whole federation; it is complete only if no fault that is an error was added.
pub fn federation(root: &Node, faults: &mut Faults) -> Option<Federation> {
    let start = Span { end: root.span.start, ..root.span };
    let fields = Fields::of(&CONFIGURATION, root, start, faults)?;
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
    let named = fields.get("sites").and_then(|entry| entry.value.map());
    let named: Vec<&str> = named.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let provision = fields.get("provision").map(|entry| provision(entry, &named, faults)).unwrap_or_default();
    let schemas = schemas(&fields, root.span.file, faults);
    let operations = operations(&fields, &schemas, faults);
    let sites = sites(&fields, &operations, &schemas, provision.helm.is_some(), faults);
    let operations: IndexMap<_, _> =
        operations.into_iter().filter_map(|(name, operation)| Some((name, operation?))).collect();
    let schemas = schemas.values;
    let value_packages = fields.get("values").map(|entry| packages(entry, faults)).unwrap_or_default();
    let type_paths = type_paths::find(root);
    Some(Federation { info: info?, schemas, operations, sites, value_packages, provision, type_paths })
}

/// The packages that `values` names. Python's own and dfm's are none: an object of theirs may do anything.
fn packages(values: &Entry, faults: &mut Faults) -> Vec<String> {
    let Some(entry) = Fields::of(&VALUES, &values.value, values.key, faults).and_then(|fields| fields.get("packages"))
    else {
        return vec![];
    };
    let Data::List(items) = &entry.value.data else {
        faults.push(wrong_type(&entry.value, "`packages`", "a list of packages"));
        return vec![];
    };
    let mut packages = vec![];
    for item in items {
        let Some(name) = text(item, "packages", faults) else { continue };
        if is_name(name) && !is_taken(name) {
            packages.push(name.to_owned());
            continue;
        }
        let fault = Diagnostic::error("config-invalid-name", format!("objects of `{name}` cannot be made to travel"));
        faults.push(match name.split_once('.') {
            Some((package, _)) if is_name(package) && !is_taken(package) => {
                fault.at(item.span, "expected a whole package").help(format!("write `{package}`"))
            }
            _ => fault.at(item.span, "expected a package that is neither Python's nor dfm's"),
        });
    }
    packages
}

fn info(node: &Node, owner: Span, faults: &mut Faults) -> Option<Info> {
    let fields = Fields::of(&INFO, node, owner, faults)?;
    let api_version = fields.need("api-version", faults);
    let api_version = api_version.and_then(|entry| {
        let version = entry.value.text().filter(|text| Form::Version.fits(text));
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
        let fault =
            Diagnostic::error("config-invalid-name", format!("`{name}` cannot be the name of a Python package"));
        if !is_name(name) {
            faults.push(fault.at(entry.value.span, "expected a Python identifier").help(advice(name)));
        } else if is_taken(name) {
            let fault = fault.at(entry.value.span, "Python has a module of this name already");
            faults.push(fault.help(format!("use another, as in `{name}_federation`")));
        }
        Some(name.to_owned())
    });
    let description = fields.text("description", faults).unwrap_or_default();
    Some(Info { api_version: api_version?, code_package: code_package?, description })
}
