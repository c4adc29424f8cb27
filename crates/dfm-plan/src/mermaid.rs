//! What does a plan look like in a document whose viewer draws Mermaid?

use std::fmt::Write;

use indexmap::IndexMap;

use crate::Estimate;
use crate::check::shown as shown_node;
use crate::cost::UNKNOWN;
use crate::estimate::{shown_bytes, shown_seconds};

/// A flowchart of the plan: sites as subgraphs, the sizes of values on the edges, times in the boxes.
pub fn mermaid(estimate: &Estimate) -> String {
    let mut sites: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (index, node) in estimate.nodes.iter().enumerate() {
        sites.entry(&node.site).or_default().push(index);
    }
    let mut text = "flowchart TD\n".to_owned();
    for (at, (site, nodes)) in sites.into_iter().enumerate() {
        let _ = writeln!(text, "  subgraph s{at}[\"{}\"]", quoted(site));
        for index in nodes {
            let node = &estimate.nodes[index];
            let mut lines = format!("{}<br/>{}", quoted(&node.label), quoted(&shown_node(&node.node)));
            if node.finish < UNKNOWN {
                let _ = write!(lines, ", done after {}", shown_seconds(node.finish));
            }
            let (begin, end) = if node.operation { ("[", "]") } else { ("([", "])") };
            let _ = writeln!(text, "    n{index}{begin}\"{lines}\"{end}");
        }
        text.push_str("  end\n");
    }
    for edge in &estimate.edges {
        let (from, to) = (edge.from, edge.to);
        let _ = match edge.signal {
            true => writeln!(text, "  n{from} -.-> n{to}"),
            false => writeln!(text, "  n{from} -->|\"{}\"| n{to}", shown_bytes(edge.bytes)),
        };
    }
    text
}

/// A text in which nothing but letters and digits means anything to a viewer.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | ',' | ':');
    let short = text.chars().filter(|c| !c.is_control()).take(100);
    short.fold(
        String::new(),
        |quoted, c| if plain(c) { quoted + &c.to_string() } else { format!("{quoted}#{};", c as u32) },
    )
}
