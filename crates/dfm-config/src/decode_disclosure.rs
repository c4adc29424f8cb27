//! What does an operation say that its results tell of the data they are made of?

use dfm_diag::Diagnostic;

use crate::Disclosure;
use crate::fields::{Faults, Fields, listed, wrong_type};
use crate::format::{AGGREGATE, DISCLOSURE, DISCLOSURES};
use crate::tree::{Data, Entry};

/// `disclosure` of an operation.
pub fn disclosure(entry: &Entry, faults: &mut Faults) -> Option<Disclosure> {
    let node = &entry.value;
    match &node.data {
        Data::Text(text) => {
            if !DISCLOSURES.contains(&text.as_str()) {
                faults.push(
                    Diagnostic::error("config-wrong-value", format!("`disclosure` cannot be `{text}`"))
                        .at(node.span, format!("expected one of {}", listed(DISCLOSURES.iter().copied()))),
                );
            }
            Some(Disclosure { kind: text.clone(), min_group: None })
        }
        Data::Map(_) => {
            let fields = Fields::of(&DISCLOSURE, node, entry.key, faults)?;
            let of = fields.need("aggregate", faults)?;
            let fields = Fields::of(&AGGREGATE, &of.value, of.key, faults)?;
            fields.need("min-group", faults)?;
            Some(Disclosure { kind: "aggregate".to_owned(), min_group: Some(fields.whole("min-group", 1, faults)?) })
        }
        _ => {
            faults.push(wrong_type(node, "`disclosure`", "a text, or `{aggregate: {min-group: 10}}`"));
            None
        }
    }
}
