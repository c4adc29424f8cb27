//! Which Python name does a name of the configuration get?

use std::collections::{BTreeMap, HashMap, HashSet};

use dfm_config::KEYWORDS;

use crate::layout::import;

/// What `pydantic.BaseModel` uses itself.
const MODEL: &[&str] = &[
    "construct",
    "copy",
    "dict",
    "from_orm",
    "json",
    "model_computed_fields",
    "model_config",
    "model_construct",
    "model_copy",
    "model_dump",
    "model_dump_json",
    "model_extra",
    "model_fields",
    "model_fields_set",
    "model_json_schema",
    "model_parametrized_name",
    "model_post_init",
    "model_rebuild",
    "model_validate",
    "model_validate_json",
    "model_validate_strings",
    "parse_file",
    "parse_obj",
    "parse_raw",
    "schema",
    "schema_json",
    "update_forward_refs",
    "validate",
];

/// What `dfm.api.Operation` uses itself, apart from `dfm_…`.
const OPERATION: &[&str] = &["fieldref", "provider", "retry", "site", "timeout"];

/// A Python identifier that stays as near to `name` as it can: `site-1` becomes `site_1`, `class` becomes `class_`.
pub fn identifier(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_alphabetic() || c.is_ascii_digit() { c } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    if KEYWORDS.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// Names of the configuration → Python names, all different, and none of `taken`.
pub fn identifiers<'a>(
    names: impl IntoIterator<Item = &'a str>,
    taken: impl IntoIterator<Item = String>,
) -> HashMap<&'a str, String> {
    distinct(names, taken.into_iter().collect(), identifier)
}

/// Names with dots → names of classes, all different, and none of `taken`: `geo.Point` becomes `Point`, or `geo_Point`
/// where another name ends in the same word.
pub fn classes<'a>(
    names: impl IntoIterator<Item = &'a str>,
    taken: impl IntoIterator<Item = String>,
) -> HashMap<&'a str, String> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut ends: HashMap<&str, usize> = HashMap::new();
    names.iter().for_each(|name| *ends.entry(end(name)).or_default() += 1);
    distinct(names, taken.into_iter().collect(), |name| identifier(if ends[end(name)] == 1 { end(name) } else { name }))
}

fn end(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Parameters or properties → names of a pydantic model's fields, all different and none of the model's own;
/// `operation`: nor of an operation's.
pub fn fields<'a>(names: impl IntoIterator<Item = &'a str>, operation: bool) -> HashMap<&'a str, String> {
    distinct(names, HashSet::new(), |name| {
        // pydantic takes a leading underscore for a private attribute.
        let mut out = identifier(identifier(name).trim_start_matches('_'));
        if MODEL.contains(&out.as_str()) || (operation && is_of_operation(&out)) {
            out.push('_');
        }
        if out.starts_with('_') { format!("field{out}") } else { out }
    })
}

/// Whether it is an attribute of every operation's class.
pub fn is_of_operation(name: &str) -> bool {
    OPERATION.contains(&name) || name.starts_with("dfm_")
}

fn distinct<'a>(
    names: impl IntoIterator<Item = &'a str>,
    mut taken: HashSet<String>,
    python: impl Fn(&str) -> String,
) -> HashMap<&'a str, String> {
    let names = names.into_iter().map(|name| (name, python(name)));
    // A name that is right as it is keeps itself, whoever comes first.
    let (exact, others): (Vec<_>, Vec<_>) = names.partition(|(name, in_python)| in_python == name);
    let mut out = HashMap::new();
    for (name, in_python) in exact.into_iter().chain(others) {
        if out.contains_key(name) {
            continue;
        }
        let name_in_python = free(in_python, &taken);
        taken.insert(name_in_python.clone());
        out.insert(name, name_in_python);
    }
    out
}

fn free(mut name: String, taken: &HashSet<String>) -> String {
    while taken.contains(&name) {
        name.push('_');
    }
    name
}

/// What a module imports, and under which names.
pub struct Imports {
    taken: HashSet<String>,
    modules: BTreeMap<String, BTreeMap<String, String>>,
    first_party: String,
}

impl Imports {
    /// `first_party`: the package that the module belongs to. `taken`: names that the module uses otherwise: an import
    /// under such a name gets a `_` behind it, so a parameter `date` does not hide the type `date`.
    pub fn new(first_party: &str, taken: impl IntoIterator<Item = String>) -> Self {
        Imports { taken: taken.into_iter().collect(), modules: BTreeMap::new(), first_party: first_party.to_owned() }
    }

    /// The name of a module's `symbol` in this module, which is imported from now on.
    pub fn name(&mut self, module: &str, symbol: &str) -> String {
        if module == "builtins" && !self.taken.contains(symbol) {
            return symbol.to_owned();
        }
        if let Some(name) = self.modules.get(module).and_then(|symbols| symbols.get(symbol)) {
            return name.clone();
        }
        let name = free(symbol.to_owned(), &self.taken);
        self.taken.insert(name.clone());
        self.modules.entry(module.to_owned()).or_default().insert(symbol.to_owned(), name.clone());
        name
    }

    /// The import statements, the standard library first and the federation's own package last, with an empty line
    /// between the groups.
    pub fn statements(&self) -> String {
        let mut groups = [String::new(), String::new(), String::new()];
        for (module, symbols) in &self.modules {
            let top = module.split('.').next().unwrap_or_default();
            let group = match top {
                "builtins" | "datetime" | "typing" => 0,
                _ if top == self.first_party => 2,
                _ => 1,
            };
            let (plain, renamed): (Vec<_>, Vec<_>) = symbols.iter().partition(|(symbol, name)| symbol == name);
            let mut plain: Vec<&str> = plain.into_iter().map(|(symbol, _)| symbol.as_str()).collect();
            plain.sort_by_key(|symbol| import_order(symbol));
            let mut statements: Vec<(&str, String)> = renamed
                .into_iter()
                .map(|(symbol, name)| (symbol.as_str(), import(module, &[&format!("{symbol} as {name}")])))
                .collect();
            statements.extend(plain.first().map(|first| (*first, import(module, &plain))));
            statements.sort_by_key(|(first, _)| import_order(first));
            groups[group].extend(statements.into_iter().map(|(_, statement)| statement));
        }
        groups.iter().filter(|group| !group.is_empty()).cloned().collect::<Vec<_>>().join("\n")
    }
}

/// Where Python's sorters of imports put a symbol: constants, classes, the others.
fn import_order(symbol: &str) -> (u8, String, String) {
    let kind = match symbol {
        _ if symbol.len() > 1 && !symbol.chars().any(char::is_lowercase) => 0,
        _ if symbol.starts_with(char::is_uppercase) => 1,
        _ => 2,
    };
    (kind, symbol.to_lowercase(), symbol.to_owned())
}
