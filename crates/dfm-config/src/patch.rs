//! What does a configuration say once a patch has been merged into it?

use std::rc::Rc;

use crate::documents::Documents;
use crate::fields::{Faults, Fields};
use crate::format::PATCH;
use crate::tree::{Data, Entries, Entry, Node};

/// A configuration with the `provision` of a patch merged into it: dictionaries merge, anything else replaces, `null`
/// removes.
pub fn apply(root: Rc<Node>, patch: &Node, documents: &mut Documents) -> Rc<Node> {
    let faults: &mut Faults = &mut documents.faults;
    let Some(fields) = Fields::of(&PATCH, patch, patch.span, faults) else { return root };
    let (Some(entry), Some(entries)) = (fields.need("provision", faults), root.map()) else { return root };
    let change = Entries::from([("provision".to_owned(), entry.clone())]);
    Rc::new(Node::new(root.span, Data::Map(merged(entries, &change))))
}

fn merged(entries: &Entries, changes: &Entries) -> Entries {
    let mut result = entries.clone();
    for (key, new) in changes {
        if new.value.is_null() {
            result.shift_remove(key);
            continue;
        }
        let Some(changes) = new.value.map() else {
            result.insert(key.clone(), new.clone());
            continue;
        };
        let old = entries.get(key).filter(|entry| entry.value.map().is_some());
        let Entry { key: named, value } = old.unwrap_or(new);
        let inner = merged(old.and_then(|entry| entry.value.map()).unwrap_or(&Entries::new()), changes);
        // What is missed from now on, the patch removed.
        let removed = changes.values().find(|entry| entry.value.is_null());
        let key_span = removed.map_or(*named, |removed| removed.key);
        result.insert(key.clone(), Entry { key: key_span, value: Rc::new(Node::new(value.span, Data::Map(inner))) });
    }
    result
}
