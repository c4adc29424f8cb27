//! What does a plan look like?
//!
//! Each site is a lane from top to bottom, and each node stands below those it depends on. Boxes stand on a grid, so
//! that an edge over several rows finds its way between the columns. Between two rows, each node whose value passes there
//! has a height of its own, so that edges do not run along each other.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use dfm_diag::{fitted, text_width, xml};
use indexmap::IndexMap;

use crate::check::shown as shown_node;
use crate::cost::UNKNOWN;
use crate::estimate::{EstimatedEdge, shown_bytes, shown_seconds};
use crate::{Estimate, EstimatedNode, MeasuredNode, MeasuredRun};

/// Pixels.
const BOX: (f64, f64) = (150.0, 52.0);
/// From the left end of one box to that of the next.
const COLUMN: f64 = 180.0;
/// From the lower end of a row to the next row, at least, and for each node whose value passes there.
const GAP: (f64, f64) = (46.0, 11.0);
const HEAD: f64 = 40.0;
/// The most boxes of one site side by side; more go into further rows.
const MAX_COLUMNS: usize = 4;
/// So much wider than others bold letters are.
const BOLD: f64 = 1.15;
/// Pixels for a line in a box.
const LINE: f64 = BOX.0 - 10.0;
/// Of the letters of labels and of what stands below a box's first line.
const SMALL: f64 = 10.0;
const NOTE: &str = "no time: no cost known";
const COLOURS: [&str; 6] = ["#eaf2fb", "#eef7ea", "#fdf3e4", "#f6ecf8", "#e9f6f5", "#fbecec"];

/// The rectangle around something: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// An SVG of the plan: sites as lanes, the sizes of values on the edges, times in the boxes. They are those that are
/// expected, and beside them, of a run, those that were measured.
pub fn picture(estimate: &Estimate, run: Option<&MeasuredRun>) -> String {
    let grid = Grid::new(estimate);
    let is_known = |node: &EstimatedNode| node.finish < UNKNOWN;
    let notes = !estimate.nodes.iter().all(is_known);
    let (width, height) = (grid.columns as f64 * COLUMN, grid.height + if notes { 14.0 } else { 0.0 });
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#556\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, (site, (first, columns))) in grid.lanes.iter().enumerate() {
        let (left, width) = (*first as f64 * COLUMN, *columns as f64 * COLUMN);
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\" stroke=\"white\" \
             stroke-width=\"3\"/>\n<text x=\"{}\" y=\"22\" text-anchor=\"middle\" font-size=\"14\" \
             font-weight=\"bold\">{}<title>{}</title></text>",
            left + width / 2.0,
            fitted(site, 14.0 * BOLD, width - 12.0),
            xml(site, 200)
        );
    }
    let mut labels = String::new();
    let mut taken: Vec<Area> = (0..estimate.nodes.len()).map(|node| grid.area(node)).collect();
    let mut said = HashMap::new();
    for (index, edge) in estimate.edges.iter().enumerate() {
        let route = grid.route(edge);
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
        let (x, y) = (COLUMN / 2.0, height - 6.0);
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

/// Which cell each node has.
struct Grid<'a> {
    /// Site → its first column and how many it has, in the order of their first nodes.
    lanes: IndexMap<&'a str, (usize, usize)>,
    columns: usize,
    /// Node → column and row.
    cells: Vec<(usize, usize)>,
    /// Row → its upper end.
    tops: Vec<f64>,
    /// Row and a node whose value passes below it → the height where it does.
    tracks: HashMap<(usize, usize), f64>,
    height: f64,
}

/// An edge's route: its corners, and between each two the height at which it changes columns.
struct Route {
    corners: Vec<(f64, f64)>,
    tracks: Vec<f64>,
}

impl<'a> Grid<'a> {
    fn new(estimate: &'a Estimate) -> Self {
        let mut inputs = vec![vec![]; estimate.nodes.len()];
        for edge in &estimate.edges {
            inputs[edge.to].push(edge.from);
        }
        let layers = layers(estimate);
        // Layer → site → nodes.
        let mut groups: Vec<IndexMap<&str, Vec<usize>>> =
            vec![IndexMap::new(); layers.iter().max().map_or(0, |l| l + 1)];
        for (index, node) in estimate.nodes.iter().enumerate() {
            groups[layers[index]].entry(&node.site).or_default().push(index);
        }
        let mut lanes: IndexMap<&str, (usize, usize)> = IndexMap::new();
        for group in &groups {
            for (site, nodes) in group {
                let lane = lanes.entry(site).or_default();
                lane.1 = lane.1.max(nodes.len().min(MAX_COLUMNS));
            }
        }
        let mut columns = 0;
        for lane in lanes.values_mut() {
            lane.0 = columns;
            columns += lane.1;
        }
        let mut cells = vec![(0, 0); estimate.nodes.len()];
        let mut rows = 0;
        for group in &groups {
            let mut height = 0;
            for (site, nodes) in group {
                let (first, count) = lanes[site];
                let wish = |node: usize| {
                    let from = &inputs[node];
                    let sum: usize = from.iter().map(|from| cells[*from].0).sum();
                    if from.is_empty() { first as f64 } else { sum as f64 / from.len() as f64 }
                };
                let mut wishes: Vec<(f64, usize)> = nodes.iter().map(|node| (wish(*node), *node)).collect();
                wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (below, row) in wishes.chunks(count).enumerate() {
                    let mut free = first;
                    for (at, (wish, node)) in row.iter().enumerate() {
                        let last = first + count - (row.len() - at);
                        let column = (wish.round().max(0.0) as usize).clamp(free, last);
                        cells[*node] = (column, rows + below);
                        free = column + 1;
                    }
                }
                height = height.max(nodes.len().div_ceil(count));
            }
            rows += height;
        }
        let (tops, tracks, height) = heights(estimate, &cells, rows);
        Self { lanes, columns, cells, tops, tracks, height }
    }

    fn area(&self, node: usize) -> Area {
        let (column, row) = self.cells[node];
        let (left, top) = (column as f64 * COLUMN + (COLUMN - BOX.0) / 2.0, self.tops[row]);
        (left, top, left + BOX.0, top + BOX.1)
    }

    /// Where the lane begins and ends that has a point.
    fn lane_at(&self, x: f64) -> (f64, f64) {
        let ends = |(first, columns): &(usize, usize)| (*first as f64 * COLUMN, (first + columns) as f64 * COLUMN);
        let mut lanes = self.lanes.values().map(ends);
        lanes.find(|(_, right)| x <= *right).unwrap_or((0.0, COLUMN))
    }

    fn route(&self, edge: &EstimatedEdge) -> Route {
        let (source, target) = (self.area(edge.from), self.area(edge.to));
        let start = ((source.0 + source.2) / 2.0, source.3);
        let end = ((target.0 + target.2) / 2.0, target.1);
        let ((from, above), (to, below)) = (self.cells[edge.from], self.cells[edge.to]);
        let track = |row| self.tracks[&(row, edge.from)];
        if below == above + 1 {
            return Route { corners: vec![start, end], tracks: vec![track(above)] };
        }
        // Between two columns, on the side of the target.
        let shift = 3.0 + 3.0 * (edge.from % 4) as f64;
        let x = if to > from { (from + 1) as f64 * COLUMN - shift } else { from as f64 * COLUMN + shift };
        let (upper, lower) = (self.tops[above + 1], self.tops[below - 1] + BOX.1);
        Route {
            corners: vec![start, (x, upper), (x, lower), end],
            tracks: vec![track(above), (upper + lower) / 2.0, track(below - 1)],
        }
    }
}

/// The rows' upper ends, the heights at which values pass between them, and the height of all.
fn heights(
    estimate: &Estimate,
    cells: &[(usize, usize)],
    rows: usize,
) -> (Vec<f64>, HashMap<(usize, usize), f64>, f64) {
    let mut passing = vec![BTreeSet::new(); rows];
    for edge in &estimate.edges {
        let (column, row) = cells[edge.from];
        passing[row].insert((column, edge.from));
        passing[cells[edge.to].1 - 1].insert((column, edge.from));
    }
    let (mut tops, mut tracks, mut height) = (vec![], HashMap::new(), HEAD);
    for (row, nodes) in passing.iter().enumerate() {
        tops.push(height);
        height += BOX.1;
        let gap = GAP.0.max(GAP.1 * (nodes.len() + 2) as f64);
        for (at, (_, node)) in nodes.iter().enumerate() {
            tracks.insert((row, *node), height + gap * (at + 1) as f64 / (nodes.len() + 1) as f64);
        }
        height += gap;
    }
    (tops, tracks, height)
}

/// How many nodes stand above each node, on the longest way.
fn layers(estimate: &Estimate) -> Vec<usize> {
    let mut missing = vec![0; estimate.nodes.len()];
    let mut outputs = vec![vec![]; estimate.nodes.len()];
    for edge in &estimate.edges {
        missing[edge.to] += 1;
        outputs[edge.from].push(edge.to);
    }
    let mut layers = vec![0; estimate.nodes.len()];
    let mut open: Vec<usize> = (0..missing.len()).filter(|node| missing[*node] == 0).collect();
    while let Some(node) = open.pop() {
        for &to in &outputs[node] {
            layers[to] = layers[to].max(layers[node] + 1);
            missing[to] -= 1;
            if missing[to] == 0 {
                open.push(to);
            }
        }
    }
    layers
}

fn draw_edge(svg: &mut String, route: &Route, signal: bool) {
    let (x, y) = route.corners[0];
    let mut path = format!("M{x} {y}");
    for (pair, track) in route.corners.windows(2).zip(&route.tracks) {
        let ((x0, _), (x1, y1)) = (pair[0], pair[1]);
        let _ = write!(path, "C{x0} {track:.1} {x1} {track:.1} {x1} {y1}");
    }
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
    let width = text_width(text, SMALL) + 4.0;
    if text.is_empty() || width > COLUMN - 4.0 {
        return;
    }
    let area_at = |along: f64| {
        let (x, y) = point_on(route, along);
        let (left, right) = grid.lane_at(x);
        let x = x.clamp(left + width / 2.0 + 2.0, right - width / 2.0 - 2.0);
        (x - width / 2.0, y - 7.0, x + width / 2.0, y + 6.0)
    };
    let is_free = |area: &Area| taken.iter().all(|a| area.2 < a.0 || a.2 < area.0 || area.3 < a.1 || a.3 < area.1);
    let tries = [0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6];
    let Some(area) = tries.iter().map(|along| area_at(*along)).find(is_free) else {
        // Rather none than one over another; the box says what comes of the node.
        return;
    };
    taken.push(area);
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

/// A point on a drawn edge: `along` goes from 0 to 1.
fn point_on(route: &Route, along: f64) -> (f64, f64) {
    let parts = route.tracks.len() as f64;
    let part = ((along * parts) as usize).min(route.tracks.len() - 1);
    let t = along * parts - part as f64;
    let ((x0, y0), (x1, y1)) = (route.corners[part], route.corners[part + 1]);
    let bent = 3.0 * t * t - 2.0 * t * t * t;
    let u = 1.0 - t;
    (x0 + (x1 - x0) * bent, u * u * u * y0 + 3.0 * u * t * route.tracks[part] + t * t * t * y1)
}
