//! What does a plan look like?

use std::collections::HashMap;
use std::fmt::Write;

use dfm_diag::{fitted, text_width, xml};

use crate::check::shown as shown_node;
use crate::cost::UNKNOWN;
use crate::estimate::{EstimatedEdge, shown_bytes, shown_seconds};
use crate::lanes::{Area, BOX, COLUMN, Grid, Route, begin};
use crate::{Estimate, EstimatedNode, MeasuredNode, MeasuredRun};

/// Pixels for a line in a box.
const LINE: f64 = BOX.0 - 10.0;
/// Of the letters of labels and of what stands below a box's first line.
const SMALL: f64 = 10.0;
const NOTE: &str = "no time: no cost known";

/// An SVG of the plan: sites as lanes, the sizes of values on the edges, times in the boxes. They are those that are
/// expected, and beside them, of a run, those that were measured.
pub fn picture(estimate: &Estimate, run: Option<&MeasuredRun>) -> String {
    let sites: Vec<&str> = estimate.nodes.iter().map(|node| node.site.as_str()).collect();
    let edges: Vec<(usize, usize)> = estimate.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let grid = Grid::new(&sites, &edges);
    let is_known = |node: &EstimatedNode| node.finish < UNKNOWN;
    let notes = !estimate.nodes.iter().all(is_known);
    let below = if notes { 14.0 } else { 0.0 };
    let mut svg = begin(&grid, below);
    let mut labels = String::new();
    let mut taken: Vec<Area> = (0..estimate.nodes.len()).map(|node| grid.area(node)).collect();
    let mut said = HashMap::new();
    for (index, edge) in estimate.edges.iter().enumerate() {
        let route = grid.route((edge.from, edge.to));
        draw_edge(&mut svg, &route, edge.signal);
        // One value that goes to one site needs one label.
        let site = &estimate.nodes[edge.to].site;
        if !edge.signal && said.insert((edge.from, site), ()).is_none() {
            let text = match run {
                Some(run) => {
                    let bytes = run.nodes[edge.from].as_ref().and_then(|node| node.bytes);
                    let seconds = run.edges[index].map(shown_seconds);
                    [bytes.map(shown_bytes), seconds].into_iter().flatten().collect::<Vec<_>>().join(", ")
                }
                None => edge_text(edge, &estimate.nodes[edge.from].site != site),
            };
            draw_label(&mut labels, &route, &text, &grid, &mut taken);
        }
    }
    for (index, node) in estimate.nodes.iter().enumerate() {
        let measured = run.map(|run| run.nodes[index].as_ref());
        draw_node(&mut svg, node, measured, grid.area(index));
    }
    if notes {
        let (x, y) = (COLUMN / 2.0, grid.height + below - 6.0);
        let _ = writeln!(
            labels,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#556\">{NOTE}</text>"
        );
    }
    svg + &labels + "</svg>\n"
}

/// Draws a node; `measured` is there for a run, and empty where the node did not run.
fn draw_node(svg: &mut String, node: &EstimatedNode, measured: Option<Option<&MeasuredNode>>, area: Area) {
    let (left, top, right, _) = area;
    let (round, stroke) = if node.operation { (4, "#334") } else { (19, "#383") };
    let id = shown_node(&node.node);
    let known = node.finish < UNKNOWN;
    let (done, expected) = match known.then(|| shown_seconds(node.finish)) {
        Some(finish) => (format!("done after {finish}"), format!("expected {finish}")),
        None => Default::default(),
    };
    let lines = match measured {
        None => [beside(&id, &done), fitted(&repeated(node), SMALL, LINE)],
        Some(Some(run)) => [beside(&id, &format!("done after {}", shown_seconds(run.finish))), expected],
        Some(None) if node.operation => [beside(&id, "did not run"), expected],
        Some(None) => [beside(&id, ""), String::new()],
    };
    let far = measured.flatten().filter(|_| known).is_some_and(|run| {
        let (more, less) = (run.finish.max(node.finish), run.finish.min(node.finish));
        more > 2.0 * less && more - less > 1e-3
    });
    let colours = ["#556", if far { "#b30" } else { "#556" }];
    let middle = (left + right) / 2.0;
    let title = xml(&format!("{id}: {} at {}", node.label, node.site), usize::MAX);
    let lines: Vec<(&String, &str)> = lines.iter().zip(colours).filter(|(text, _)| !text.is_empty()).collect();
    let (label, line) = (fitted(&node.label, 12.0, LINE), top + 30.0 - 6.5 * lines.len() as f64);
    let _ = write!(
        svg,
        "<g><title>{title}</title><rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"{round}\" \
         fill=\"white\" stroke=\"{stroke}\"/><text x=\"{middle}\" y=\"{line}\" text-anchor=\"middle\">{label}</text>",
        BOX.0, BOX.1
    );
    for (below, (text, colour)) in lines.into_iter().enumerate() {
        let y = line + 14.0 + 13.0 * below as f64;
        let _ = write!(
            svg,
            "<text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"10\" fill=\"{colour}\">{text}</text>"
        );
    }
    *svg += "</g>\n";
}

/// A node's name, cut to what the rest leaves of the line in its box.
fn beside(id: &str, rest: &str) -> String {
    if rest.is_empty() {
        return fitted(id, SMALL, LINE);
    }
    format!("{}, {rest}", fitted(id, SMALL, LINE - text_width(&format!(", {rest}"), SMALL)))
}

/// How often a node fires, if not once.
fn repeated(node: &EstimatedNode) -> String {
    if node.firings == 1.0 { String::new() } else { format!("{} times", node.firings.round()) }
}

fn draw_edge(svg: &mut String, route: &Route, signal: bool) {
    let path = route.path();
    let dashes = if signal { " stroke-dasharray=\"4 3\"" } else { "" };
    let _ = writeln!(
        svg,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#556\" stroke-opacity=\"0.7\"{dashes} marker-end=\"url(#tip)\"/>"
    );
}

fn edge_text(edge: &EstimatedEdge, leaves: bool) -> String {
    let size = shown_bytes(edge.bytes);
    match edge.seconds {
        Some(seconds) if leaves => format!("{size}, {}", shown_seconds(seconds)),
        _ => size,
    }
}

/// Writes beside the edge, where there is room in a lane.
fn draw_label(svg: &mut String, route: &Route, text: &str, grid: &Grid<'_>, taken: &mut Vec<Area>) {
    if text.is_empty() {
        return;
    }
    let width = text_width(text, SMALL) + 4.0;
    // Rather none than one over another; the box says what comes of the node.
    let Some(area) = grid.beside(route, width, taken) else { return };
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"13\" rx=\"3\" fill=\"white\" \
         fill-opacity=\"0.85\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\" \
         fill=\"#114\">{text}</text>",
        area.0,
        area.1,
        (area.0 + area.2) / 2.0,
        area.1 + 10.0
    );
}
