//! Which Python classes does a configuration name as types, and where?

use dfm_diag::Spanned;

use crate::names::is_class_path;
use crate::tree::{Data, Node};

/// The dotted paths that a `type` or `returns` says anywhere, in the order of the tree.
pub fn find(root: &Node) -> Vec<Spanned<String>> {
    let mut found = Vec::new();
    for key in ["schemas", "operations", "sites"] {
        if let Some(entry) = root.map().and_then(|root| root.get(key)) {
            walk(&entry.value, &mut found);
        }
    }
    found
}

fn walk(node: &Node, found: &mut Vec<Spanned<String>>) {
    match &node.data {
        Data::List(items) => items.iter().for_each(|item| walk(item, found)),
        Data::Map(entries) => {
            for (key, entry) in entries {
                match (key.as_str(), &entry.value.data) {
                    ("type" | "returns", Data::Text(path)) if is_class_path(path) => {
                        found.push(Spanned { value: path.clone(), span: entry.value.span });
                    }
                    ("type", Data::List(names)) => {
                        let paths = names.iter().filter_map(|name| Some((name.text()?, name.span)));
                        let paths = paths.filter(|(path, _)| is_class_path(path));
                        found.extend(paths.map(|(path, span)| Spanned { value: path.to_owned(), span }));
                    }
                    // Values of the user's own, which mean nothing here.
                    ("const" | "default" | "enum" | "examples" | "info" | "storage_options", _) => {}
                    _ => walk(&entry.value, found),
                }
            }
        }
        _ => {}
    }
}
