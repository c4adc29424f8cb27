//! How does `dfm fed check` show everything that is wrong with a federation?

use std::collections::HashSet;

use dfm_config::registry::{Paths, Registry};
use dfm_config::{Federation, check_project, check_project_alone, check_without_project};
use dfm_diag::{Diagnostic, Report, Severity, Span};
use serde_json::{Value, json};

mod adapters;

use crate::args::{Check, Format};
use crate::chosen::{load, unknown};
use crate::context::{Context, Failure};
use crate::neighbours::shared;
use crate::output::{counted, problems};

/// Shows all diagnostics; fails with exit code 2 when one is an error.
///
/// # Errors
/// An unknown federation, or errors, which have been told.
pub fn run(context: &Context, args: &Check) -> Result<(), Failure> {
    let (name, paths, registry) = chosen(context, &args.name)?;
    let report = match load(context, &name, &paths) {
        Ok(mut loaded) => {
            if let Some(project) = &paths.project {
                check_project(&mut loaded, &context.shown(project));
            } else {
                loaded.report.diagnostics.extend(check_without_project(&loaded.federation, Severity::Warning));
            }
            let sources = &mut loaded.report.sources;
            let shared = registry.map(|registry| shared(context, &registry, &name, &loaded.federation, sources));
            loaded.report.diagnostics.extend(shared.into_iter().flatten());
            loaded.report.diagnostics.extend(unoffered(&loaded.federation));
            if args.adapters {
                let faults = adapters::check(context, &loaded.federation, &paths.dir, args.import_timeout)?;
                loaded.report.diagnostics.extend(faults);
            }
            loaded.report
        }
        Err(mut report) => {
            if let Some(project) = &paths.project {
                check_project_alone(&mut report, &context.shown(project));
            }
            report
        }
    };
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = report.diagnostics.len() - errors;
    match args.format {
        Some(Format::Sarif) => context.output.document(&sarif(&report)),
        None if context.output.json => context.output.document(
            &json!({"federation": name, "errors": errors, "warnings": warnings, "problems": problems(&report)}),
        ),
        None => {
            context.output.problems(&report);
            let shown = match (errors, warnings) {
                (0, 0) => "nothing is wrong".to_owned(),
                _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
            };
            context.output.status(&format!("`{name}`: {shown}"));
        }
    }
    if errors == 0 { Ok(()) } else { Err(Failure::wrong(Report::default())) }
}

/// Operations that a pipeline can ask for and no site does. Where no site offers anything, sites are still to be written.
fn unoffered(federation: &Federation) -> Vec<Diagnostic> {
    let interfaces = federation.sites.values().flat_map(|site| {
        let provided = site.providers.values().map(|provider| &provider.interface);
        std::iter::once(&site.interface).chain(provided)
    });
    let offered: HashSet<&String> = interfaces.flat_map(|interface| interface.keys()).collect();
    let missing = federation.operations.iter().filter(|(name, _)| !offered.is_empty() && !offered.contains(name));
    missing
        .map(|(name, operation)| {
            Diagnostic::warning("check-not-offered", format!("no site offers the operation `{name}`"))
                .at(operation.span, "no `interface` binds it, so that no pipeline can use it")
                .help(format!(
                    "bind it in the `interface` of a site or a provider, as \"#/operations/{name}\", or take it out"
                ))
        })
        .collect()
}

/// A federation with the registry that it is in, or a configuration file that need not be in one.
fn chosen(context: &Context, name: &str) -> Result<(String, Paths, Option<Registry>), Failure> {
    let path = context.here.join(name);
    if name.ends_with(".dfm.yaml") && path.is_file() {
        let dir = path.parent().unwrap_or(&context.here).to_owned();
        return Ok((name.to_owned(), Paths { dir, config: Some(path), project: None }, None));
    }
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    let paths = registry.paths(name).ok_or_else(|| {
        Failure::wrong(if path.is_file() || name.ends_with(".yaml") || name.contains('/') {
            let message = format!("`{name}` is neither the path of a `.dfm.yaml` nor a federation's name");
            Diagnostic::error("check-no-configuration", message)
                .help("name a file that is there, whose name ends in `.dfm.yaml`; a patch or a part is checked by that")
        } else {
            unknown(context, &registry, name)
        })
    })?;
    Ok((name.to_owned(), paths, Some(registry)))
}

/// The report in the form that code hosts show beside the lines.
fn sarif(report: &Report) -> Value {
    let results = report.diagnostics.iter().map(|diagnostic| {
        let help = diagnostic.help.as_ref().map(|help| format!("\n{help}"));
        let label = Some(&diagnostic.label).filter(|label| !label.is_empty()).map(|label| format!(": {label}"));
        let text = format!("{}{}{}", diagnostic.message, label.unwrap_or_default(), help.unwrap_or_default());
        let location = |span: Span| {
            let start = report.sources.position(span);
            let end = report.sources.position(Span { start: span.end.max(span.start), ..span });
            json!({"artifactLocation": {"uri": report.sources.name(span.file)},
                "region": {"startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column}})
        };
        let own = diagnostic.span.map(|span| json!({"physicalLocation": location(span)}));
        let others = diagnostic
            .related
            .iter()
            .map(|(span, words)| json!({"physicalLocation": location(*span), "message": {"text": words}}));
        json!({"ruleId": diagnostic.code, "message": {"text": text}, "locations": own.as_slice(),
            "relatedLocations": others.collect::<Vec<_>>(),
            "level": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" }})
    });
    json!({"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{"tool": {"driver": {"name": "dfm", "version": env!("CARGO_PKG_VERSION"), "rules": []}},
            "columnKind": "unicodeCodePoints", "results": results.collect::<Vec<_>>()}]})
}
