//! What does a configuration say of a site's cache, and of who shares it?

use std::collections::HashMap;

use dfm_diag::{Diagnostic, Span};
use indexmap::IndexMap;
use serde_json::Map;

use crate::Cache;
use crate::fields::{Faults, Fields, wrong_type};
use crate::format::CACHE;
use crate::tree::{Data, Entry};

/// Decodes `cache_config` of a site's fields.
pub fn cache(fields: &Fields<'_>, faults: &mut Faults) -> Cache {
    let default = || Cache {
        protocol: "file".to_owned(),
        storage_options: Map::new(),
        base_path: None,
        shared: false,
        groups: IndexMap::new(),
    };
    let Some(entry) = fields.get("cache_config") else { return default() };
    let fields = Fields::of(&CACHE, &entry.value, entry.key, faults);
    fields.map_or_else(default, |fields| Cache {
        protocol: fields.text("protocol", faults).unwrap_or_else(|| "file".to_owned()),
        storage_options: fields.free("storage_options", faults),
        base_path: fields.text("base_path", faults),
        shared: fields.flag("shared", faults).unwrap_or(false),
        groups: groups(&fields, faults),
    })
}

/// Groups by name, each with its users. A user of two would have two caches at once, so there is none.
fn groups(fields: &Fields<'_>, faults: &mut Faults) -> IndexMap<String, Vec<String>> {
    let named: Vec<_> = fields.named("groups", faults).collect();
    let mut at: HashMap<&str, (&str, Span)> = HashMap::new();
    let mut groups = IndexMap::new();
    for (group, entry) in named {
        let mut users: Vec<String> = vec![];
        for (user, span) in members(entry, faults) {
            match at.insert(user, (group, span)) {
                None => users.push(user.to_owned()),
                Some((other, _)) if other == group => {}
                Some((other, first)) => faults.push(
                    Diagnostic::error("config-cache-group", format!("`{user}` is in `{other}` and in `{group}`"))
                        .at(span, "whose would be what this user's jobs keep?")
                        .related(first, "the first one")
                        .help("a user is in one group of a site's cache: leave out one, or make one group of both"),
                ),
            }
        }
        groups.insert(group.clone(), users);
    }
    groups
}

/// The users of a group, and where they are written.
fn members<'n>(entry: &'n Entry, faults: &mut Faults) -> Vec<(&'n str, Span)> {
    let Data::List(users) = &entry.value.data else {
        faults.push(wrong_type(&entry.value, "a group of a cache", "a list of users' names"));
        return vec![];
    };
    if users.is_empty() {
        faults.push(
            Diagnostic::error("config-cache-group", "a group of a cache is empty")
                .at(entry.key, "nobody is in it")
                .help("name its users as their certificates do, such as `ann@north.example`, or leave it out"),
        );
    }
    for user in users.iter().filter(|user| user.text().is_none()) {
        faults.push(wrong_type(user, "a user of a group", "a text"));
    }
    users.iter().filter_map(|user| user.text().map(|name| (name, user.span))).collect()
}
