//! What does a configuration say once a patch has been merged into it?

use crate::documents::Documents;
use crate::fields::{Faults, Fields};
use crate::format::PATCH;
use crate::tree::{Data, Entries, Entry, Node};

/// Merges the `provision` of a patch into a configuration's: dictionaries merge, anything else replaces, `null` removes.
pub fn apply(root: &mut Node, patch: &Node, documents: &mut Documents) {
    let faults: &mut Faults = &mut documents.faults;
    let Some(fields) = Fields::of(&PATCH, patch, patch.span, faults) else { return };
    if let (Some(entry), Data::Map(entries)) = (fields.need("provision", faults), &mut root.data) {
        merge(entries, "provision", entry);
    }
}

fn merge(entries: &mut Entries, key: &str, new: &Entry) {
    if new.value.is_null() {
        entries.shift_remove(key);
        return;
    }
    let Data::Map(changes) = &new.value.data else {
        entries.insert(key.to_owned(), new.clone());
        return;
    };
    let old = entries.entry(key.to_owned()).or_insert_with(|| new.clone());
    if old.value.map().is_none() {
        *old = new.clone();
    }
    if let Data::Map(old) = &mut old.value.data {
        for (key, entry) in changes {
            merge(old, key, entry);
        }
    }
}
