//! What does a plan look like whose job somebody follows?
//!
//! Where something will be told while the job runs, the drawing has an empty text or a path that is not seen yet, with
//! the index of its step or edge.

use std::fmt::Write;

use dfm_diag::{fitted, text_width, xml};
use dfm_net::NodeId;

use crate::check::shown as shown_node;
use crate::lanes::{Area, BOX, Grid, begin};

/// Pixels for a line in a box.
const LINE: f64 = BOX.0 - 10.0;
/// The longest text that is told of an edge.
const LONGEST: &str = "999.9k";

/// A step of a plan.
pub struct Followed<'a> {
    /// The pipeline's node.
    pub node: &'a NodeId,
    /// An operation's name; else what is done.
    pub label: &'a str,
    /// Where.
    pub site: &'a str,
    /// Whether it is an operation.
    pub operation: bool,
}

/// An SVG of a plan: sites as lanes, with room for what is told of each step and of each edge. Edges have the indices of
/// what sends and of what receives, and are order without a value if they say so; none leads back.
pub fn followed(steps: &[Followed<'_>], edges: &[(usize, usize, bool)]) -> String {
    let sites: Vec<&str> = steps.iter().map(|step| step.site).collect();
    let ends: Vec<(usize, usize)> = edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    let grid = Grid::new(&sites, &ends);
    let mut svg = begin(&grid, 0.0);
    let (mut moving, mut labels) = (String::new(), String::new());
    let mut taken: Vec<Area> = (0..steps.len()).map(|step| grid.area(step)).collect();
    for (index, (from, to, signal)) in edges.iter().enumerate() {
        let route = grid.route((*from, *to));
        let path = route.path();
        let dashes = if *signal { " stroke-dasharray=\"4 3\"" } else { "" };
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"#556\" stroke-opacity=\"0.7\"{dashes} marker-end=\"url(#tip)\"/>"
        );
        let _ = writeln!(moving, "<path d=\"{path}\" fill=\"none\" stroke=\"none\" data-moving=\"{index}\"/>");
        if let Some(area) = grid.beside(&route, text_width(LONGEST, 10.0), &mut taken) {
            let (x, y) = ((area.0 + area.2) / 2.0, area.1 + 10.0);
            let _ = writeln!(
                labels,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#114\" data-moved=\"{index}\"/>"
            );
        }
    }
    svg += &moving;
    for (index, step) in steps.iter().enumerate() {
        draw_step(&mut svg, index, step, grid.area(index));
    }
    svg + &labels + "</svg>\n"
}

fn draw_step(svg: &mut String, index: usize, step: &Followed<'_>, (left, top, right, _): Area) {
    let (round, stroke) = if step.operation { (4, "#334") } else { (19, "#383") };
    let (middle, id) = ((left + right) / 2.0, shown_node(step.node));
    let _ = writeln!(
        svg,
        "<g data-step=\"{index}\"><title>{}</title><rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"{round}\" \
         fill=\"white\" stroke=\"{stroke}\"/><text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#556\">{}</text>\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#114\" data-told=\"{index}\"/></g>",
        xml(&format!("{id}: {} at {}", step.label, step.site), usize::MAX),
        BOX.0,
        BOX.1,
        top + 17.0,
        fitted(step.label, 12.0, LINE),
        top + 30.0,
        fitted(&id, 10.0, LINE),
        top + 44.0,
    );
}
