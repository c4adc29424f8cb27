//! What does a federation's configuration say of the operations of a description?

use std::fmt::Write;

use dfm_diag::Sources;
use serde_json::Value;

use crate::openapi::{Call, Described, Secret};
use crate::tree::{self, Data, Entries, Entry, Node};

/// The file with the schemas, operations and bindings; `description` is the path of the description, as seen from there.
pub fn imported(described: &Described, description: &str) -> String {
    let refer = |pointer: &str| quoted(&format!("{description}#{pointer}"));
    let mut text = format!(
        "# Written by `dfm fed import openapi`, which writes it anew; settings are at the provider in the .dfm.yaml.\n\
         # {}\n",
        quoted(&described.title)
    );
    if !described.schemas.is_empty() {
        text += "schemas:\n";
        for (name, pointer) in &described.schemas {
            line(&mut text, &format!("  {name}: {{$ref: {}}}", refer(pointer)));
        }
    }
    text += "operations:\n";
    for call in &described.operations {
        line(&mut text, &format!("  {}:", call.name));
        if !call.description.is_empty() {
            line(&mut text, &format!("    description: {}", quoted(&call.description)));
        }
        if !call.parameters.is_empty() {
            text += "    parameters:\n";
        }
        for one in &call.parameters {
            line(&mut text, &format!("      {}:", quoted(&one.name)));
            match &one.schema {
                Some(pointer) => line(&mut text, &format!("        $ref: {}", refer(pointer))),
                None => text += "        type: object\n",
            }
            if !one.description.is_empty() {
                line(&mut text, &format!("        description: {}", quoted(&one.description)));
            }
        }
        let required: Vec<String> =
            call.parameters.iter().filter(|one| one.required).map(|one| quoted(&one.name)).collect();
        if !required.is_empty() {
            line(&mut text, &format!("    required: [{}]", required.join(", ")));
        }
        match &call.returns {
            Some(pointer) => line(&mut text, &format!("    returns: {{$ref: {}}}", refer(pointer))),
            None => text += "    returns: object\n",
        }
    }
    text += "interface:\n";
    for call in &described.operations {
        bind(&mut text, call);
    }
    text
}

fn bind(text: &mut String, call: &Call) {
    line(text, &format!("  {}:", quoted(&format!("#/operations/{}", call.name))));
    *text += "    adapter:\n      path: dfm.http.Call\n      args:\n";
    line(text, &format!("        method: {}", call.method));
    line(text, &format!("        path: {}", quoted(&call.path)));
    line(text, &format!("        parameters:{}", if call.parameters.is_empty() { " {}" } else { "" }));
    for one in &call.parameters {
        let style = one.style.map(|style| format!(", style: {style}")).unwrap_or_default();
        let sent = format!("{{in: {}, name: {}{style}}}", one.place, quoted(&one.sent_as));
        line(text, &format!("          {}: {sent}", quoted(&one.name)));
    }
    if call.pages {
        *text += "        pages: true\n";
    }
    *text += "    args: from-operation\n";
}

/// The provider that the operations are bound at; `file` is the path of the file above, as seen from the configuration.
fn provider(described: &Described, namespace: &str, file: &str) -> Vec<String> {
    let mut lines = vec![format!("{namespace}:"), "  info:".to_owned()];
    if !described.title.is_empty() {
        lines.push(format!("    description: {}", quoted(&described.title)));
    }
    if described.address.is_none() {
        // A check refuses what is empty, so that nobody forgets it.
        lines.push("    # Write here where the paths begin, such as https://host.example/v1".to_owned());
    }
    lines.push(format!("    address: {}", quoted(described.address.as_deref().unwrap_or_default())));
    if !described.secrets.is_empty() {
        lines.push("    secrets:".to_owned());
    }
    for Secret { place, name, before } in &described.secrets {
        let before = if before.is_empty() { String::new() } else { format!(", before: {}", quoted(before)) };
        lines.push(format!("      - {{in: {place}, name: {}{before}, key: {namespace}}}", quoted(name)));
    }
    lines.push("  interface:".to_owned());
    lines.push(format!("    $ref: [{}]", quoted(&format!("{file}#/interface"))));
    lines
}

/// The text of a configuration that has the operations at a site, and what is left to whoever keeps it, as lines of YAML.
///
/// A provider of that name that is there stays as it is, for its settings are the site's.
pub fn with_imported(
    text: &str,
    described: &Described,
    namespace: &str,
    site: &str,
    file: &str,
) -> (String, Vec<String>) {
    let (mut text, mut left) = (text.to_owned(), Vec::new());
    let mut parts = vec!["operations"];
    parts.extend((!described.schemas.is_empty()).then_some("schemas"));
    for part in parts {
        let reference = format!("{file}#/{part}");
        match merged(&text, part, &reference) {
            Some(changed) => text = changed,
            None => left.push(format!("{part}: {{$ref: [{}]}}", quoted(&reference))),
        }
    }
    let lines = provider(described, namespace, file);
    match provided(&text, site, namespace, &lines) {
        Some(changed) => text = changed,
        None => {
            left.push(format!("sites: {site}: providers:"));
            left.extend(lines.iter().map(|line| format!("  {line}")));
        }
    }
    (text, left)
}

/// The text with a reference among those that a part of the configuration merges.
fn merged(text: &str, part: &str, reference: &str) -> Option<String> {
    let root = parsed(text)?;
    let Some(entry) = root.get(part) else {
        let gap = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        return Some(format!("{text}{gap}{part}:\n  $ref: [{}]\n", quoted(reference)));
    };
    let entries = entry.value.map()?;
    let Some(merge) = entries.get("$ref") else {
        return before_first(text, entries, &[format!("$ref: [{}]", quoted(reference))]);
    };
    let Data::List(items) = &merge.value.data else { return None };
    if items.iter().any(|item| item.text() == Some(reference)) {
        return Some(text.to_owned());
    }
    // A list in brackets that has something ends its last item within them; others are left to people.
    let last = items.last()?;
    text[merge.value.span.start..].starts_with('[').then(|| {
        let end = last.span.end;
        format!("{}, {}{}", &text[..end], quoted(reference), &text[end..])
    })
}

/// The text with a provider of a site.
fn provided(text: &str, site: &str, name: &str, lines: &[String]) -> Option<String> {
    let root = parsed(text)?;
    let site = root.get("sites")?.value.map()?.get(site)?.value.map()?;
    match site.get("providers") {
        Some(providers) if providers.value.map()?.contains_key(name) => Some(text.to_owned()),
        Some(providers) => before_first(text, providers.value.map()?, lines),
        None => {
            let mut all = vec!["providers:".to_owned()];
            all.extend(lines.iter().map(|line| format!("  {line}")));
            before_first(text, site, &all)
        }
    }
}

/// The text with lines before the first entry of a dictionary in block style, as far in as that.
fn before_first(text: &str, entries: &Entries, lines: &[String]) -> Option<String> {
    let Entry { key, .. } = entries.values().next()?;
    let start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[start..key.start];
    if !indent.bytes().all(|byte| byte == b' ') {
        return None;
    }
    let block: String = lines.iter().map(|line| format!("{indent}{line}\n")).collect();
    Some(format!("{}{block}{}", &text[..start], &text[start..]))
}

fn parsed(text: &str) -> Option<Entries> {
    let mut sources = Sources::default();
    let file = sources.add("", text);
    match tree::parse(text, file) {
        (Some(Node { data: Data::Map(entries), .. }), faults) if faults.is_empty() => Some(entries),
        _ => None,
    }
}

fn line(text: &mut String, words: &str) {
    _ = writeln!(text, "{words}");
}

/// A text as YAML and JSON both write it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Described {
        let schemas = vec![("Pet".to_owned(), "/components/schemas/Pet".to_owned())];
        Described { title: "Pets".to_owned(), schemas, ..Described::default() }
    }

    #[test]
    fn a_configuration_is_changed_where_people_would() {
        let text =
            "# ours\noperations:\n    a.B: {}  # one\nsites:\n  s:\n    info: {}\nschemas:\n  $ref: [\"o.yaml#/x\"]\n";
        let (changed, left) = with_imported(text, &described(), "pets", "s", "p.yaml");
        assert!(left.is_empty());
        insta::assert_snapshot!(changed);
        let (again, left) = with_imported(&changed, &described(), "pets", "s", "p.yaml");
        assert_eq!((again.as_str(), left.len()), (changed.as_str(), 0), "once is enough");
    }

    #[test]
    fn what_is_written_in_another_way_is_left_to_people() {
        for text in [
            "operations: {a.B: {}}\nsites: {s: {info: {}}}\nschemas: {$ref: []}\n",
            "operations: 3\nschemas:\n  $ref: x\n",
            "operations: [",
            "sites:\n  s:\n",
        ] {
            let (changed, left) = with_imported(text, &described(), "pets", "s", "p.yaml");
            assert!(changed.starts_with(text), "{changed}");
            assert!(left.iter().any(|line| line == "  pets:"), "{left:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn nothing_that_was_written_is_lost(parts in proptest::collection::vec(
            "(operations|schemas|sites|providers|s|pets|\\$ref): |\\[a#/b\\]|\n|  |é|- x|a|\\{\\}|\"|#"
            , 0..20
        )) {
            let text = parts.concat();
            let (changed, _) = with_imported(&text, &described(), "pets", "s", "p.yaml");
            let mut rest = changed.chars();
            proptest::prop_assert!(text.chars().all(|c| rest.any(|other| other == c)), "{changed}");
        }
    }
}
