//! How does the text of a registry change without losing what else the user wrote there?

use crate::registry::{NOTHING, Record};
use crate::scalar::is_plain_text;
use crate::tree::{Entries, Entry, Node};

/// The text with a record's given fields added or changed.
pub fn set(text: &str, root: &Option<Node>, name: &str, change: &Record) -> String {
    let root = root.as_ref();
    let federations = root.and_then(Node::map).and_then(|entries| entries.get("federations"));
    let Some(federations) = federations else {
        let block = format!("federations:\n{}", block_record(name, change, 2));
        return match root {
            Some(root) if root.map().is_none_or(Entries::is_empty) => {
                format!("{}{block}{}", &text[..root.span.start], &text[root.span.end..])
            }
            _ => insert_lines(text, text.len(), &block),
        };
    };
    let Some(records) = filled(text, federations) else {
        return fill(text, federations, &block_record(name, change, indent(text, federations) + 2));
    };
    match records.get(name) {
        None if is_flow(text, &federations.value) => {
            add_to_flow(text, &federations.value, &format!("{}: {{{}}}", scalar(name), flow_fields(change)))
        }
        None => {
            let width = records.first().map_or(2, |(_, first)| indent(text, first));
            insert_lines(text, end(records), &block_record(name, change, width))
        }
        Some(record) => set_fields(text, record, change),
    }
}

/// The text without a record. Comments stay, but for those inside the record.
pub fn delete(text: &str, root: &Option<Node>, name: &str) -> String {
    let federations = root.as_ref().and_then(Node::map).and_then(|entries| entries.get("federations"));
    let Some(federations) = federations else { return text.to_owned() };
    let Some((index, _, record)) = federations.value.map().and_then(|records| records.get_full(name)) else {
        return text.to_owned();
    };
    let records = federations.value.map().into_iter().flatten().map(|(_, entry)| entry);
    let records: Vec<&Entry> = records.collect();
    let (start, end) = if !is_flow(text, &federations.value) {
        (line_start(text, record.key.start), line_end(text, record.value.span.end.max(record.key.end)))
    } else if let Some(next) = records.get(index + 1) {
        (record.key.start, next.key.start)
    } else if index > 0 {
        (records[index - 1].value.span.end, record.value.span.end)
    } else {
        (record.key.start, record.value.span.end)
    };
    format!("{}{}", &text[..start], text.get(end..).unwrap_or_default())
}

fn set_fields(text: &str, record: &Entry, change: &Record) -> String {
    let Some(fields) = filled(text, record) else {
        let width = indent(text, record) + 2;
        return fill(text, record, &block_fields(change, width));
    };
    // Later places first, so that the earlier ones stay true.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let flow = is_flow(text, &record.value);
    let mut added = Record::default();
    for (key, value) in change.fields() {
        match fields.iter().find(|(other, _)| other.replace('-', "_") == key) {
            Some((_, entry)) if entry.value.span == entry.key => {
                let colon = text[entry.key.end..].find(':').map_or(entry.key.end, |at| entry.key.end + at + 1);
                edits.push((colon, colon, format!(" {}", scalar(value))));
            }
            Some((_, entry)) => edits.push((entry.value.span.start, entry.value.span.end, scalar(value))),
            None => *added.field(key) = Some(value.to_owned()),
        }
    }
    let mut text = text.to_owned();
    if added != Record::default() {
        text = if flow {
            add_to_flow(&text, &record.value, &flow_fields(&added))
        } else {
            let width = fields.first().map_or(4, |(_, first)| indent(&text, first));
            insert_lines(&text, end(fields), &block_fields(&added, width))
        };
    }
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    for (start, end, new) in edits {
        text.replace_range(start..end, &new);
    }
    text
}

/// The entries of a dictionary that has some.
fn filled<'n>(text: &str, entry: &'n Entry) -> Option<&'n Entries> {
    entry.value.map().filter(|entries| !entries.is_empty() && entry.value.span.end <= text.len())
}

/// Gives lines of content to a key that has nothing, or `{}`, or `null`.
fn fill(text: &str, entry: &Entry, lines: &str) -> String {
    let mut text = text.to_owned();
    let span = entry.value.span;
    if span != entry.key {
        text.replace_range(span.start..span.end, "");
        let kept = text[..span.start].trim_end_matches(' ').len();
        text.replace_range(kept..span.start, "");
    }
    insert_lines(&text, entry.key.end, lines)
}

fn is_flow(text: &str, node: &Node) -> bool {
    text[node.span.start..].starts_with('{')
}

fn end(entries: &Entries) -> usize {
    entries.values().map(|entry| entry.value.span.end.max(entry.key.end)).max().unwrap_or(0)
}

fn indent(text: &str, entry: &Entry) -> usize {
    entry.key.start - line_start(text, entry.key.start)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    if at > 0 && text[..at].ends_with('\n') {
        return at;
    }
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// Puts an entry before the bracket that closes a dictionary which has others.
fn add_to_flow(text: &str, node: &Node, new: &str) -> String {
    let (before, after) = text.split_at(node.span.end - 1);
    let before = before.trim_end_matches(' ');
    let comma = if before.ends_with(',') { " " } else { ", " };
    format!("{before}{comma}{new}{after}")
}

/// Puts whole lines after the line that holds a place.
fn insert_lines(text: &str, at: usize, lines: &str) -> String {
    let at = line_end(text, at);
    let newline = if at > 0 && !text[..at].ends_with('\n') { "\n" } else { "" };
    format!("{}{newline}{lines}{}", &text[..at], &text[at..])
}

fn block_record(name: &str, record: &Record, width: usize) -> String {
    format!("{:width$}{}:\n{}", "", scalar(name), block_fields(record, width + 2))
}

fn block_fields(record: &Record, width: usize) -> String {
    record.fields().map(|(key, value)| format!("{:width$}{key}: {}\n", "", scalar(value))).collect()
}

fn flow_fields(record: &Record) -> String {
    record.fields().map(|(key, value)| format!("{key}: {}", scalar(value))).collect::<Vec<_>>().join(", ")
}

/// YAML reads JSON's quoted texts as JSON does.
fn scalar(text: &str) -> String {
    if text == NOTHING {
        return "null".to_owned();
    }
    if is_plain_text(text) { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    /// What a registry's file holds after `change`.
    fn after(before: &str, change: impl Fn(&mut Registry)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("federations.yaml");
        std::fs::write(&path, before).unwrap();
        change(&mut Registry::read(&path).unwrap());
        std::fs::read_to_string(path).unwrap()
    }

    fn record(dir: Option<&str>, config: Option<&str>) -> Record {
        Record { federation_dir: dir.map(str::to_owned), config_path: config.map(str::to_owned), ..Record::default() }
    }

    #[test]
    fn comments_and_order_stay() {
        let before = "# mine\nfederations:\n    # the first\n    a: # a!\n        federation_dir: /a # here\n    b: {federation_dir: /b}\n# end\n";
        let text = after(before, |registry| {
            registry.set("b", &record(Some("/new b"), Some("x.dfm.yaml"))).unwrap();
            registry.set("a", &record(Some("/aa"), Some("c.dfm.yaml"))).unwrap();
            registry.set("c", &record(Some("/c"), None)).unwrap();
        });
        insta::assert_snapshot!(text);
        let text = after(&text, |registry| {
            registry.delete("b").unwrap();
            registry.delete("c").unwrap();
        });
        insta::assert_snapshot!("after_delete", text);
    }

    #[test]
    fn every_way_to_write_nothing_can_be_filled() {
        for before in [
            "",
            "# c\n",
            "{}",
            "federations:",
            "federations: # c\n",
            "federations: {} # c\n",
            "federations: null\n",
            "other: 1\n",
            "federations:\n  a:\n",
            "federations:\n  a: {}",
            "federations: {a: {federation_dir: x}}",
            "federations: {b: {federation_dir: x}, c: }",
            "federations:\n  a:\n    federation_dir:\n    config-path: ''\n",
        ] {
            let text = after(before, |registry| {
                let filled = registry.set("a", &record(Some("d e"), Some("c")));
                assert_eq!(filled, Ok(()), "{before:?}");
                registry.set("a", &record(None, Some("no"))).unwrap();
                assert_eq!(registry.records["a"], record(Some("d e"), Some("no")));
            });
            assert_eq!(text.contains("# c"), before.contains("# c"), "{before:?} became {text:?}");
            after(&text, |registry| {
                for name in registry.records.keys().cloned().collect::<Vec<_>>() {
                    registry.delete(&name).unwrap();
                }
                assert!(registry.records.is_empty());
            });
        }
    }

    #[test]
    fn what_cannot_be_edited_safely_is_left_alone() {
        let before = "base: &b {federation_dir: x}\nfederations:\n  a: *b\n  c: *b\n";
        let text = after(before, |registry| {
            let fault = registry.set("a", &record(Some("y"), None)).unwrap_err();
            assert_eq!(fault.code, "registry-not-editable");
        });
        assert_eq!(text, before);
    }
}
