//! Where do a plan's nodes stand in a picture, and how do its edges go?
//!
//! Each site is a lane from top to bottom, and each node stands below those it depends on. Boxes stand on a grid, so
//! that an edge over several rows finds its way between the columns. Between two rows, each node whose value passes there
//! has a height of its own, so that edges do not run along each other.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use dfm_diag::{fitted, xml};
use indexmap::IndexMap;

/// Pixels.
pub(crate) const BOX: (f64, f64) = (150.0, 52.0);
/// From the left end of one box to that of the next.
pub(crate) const COLUMN: f64 = 180.0;
/// From the lower end of a row to the next row, at least, and for each node whose value passes there.
const GAP: (f64, f64) = (46.0, 11.0);
const HEAD: f64 = 40.0;
/// The most boxes of one site side by side; more go into further rows.
const MAX_COLUMNS: usize = 4;
/// So much wider than others bold letters are.
const BOLD: f64 = 1.15;
const COLOURS: [&str; 6] = ["#eaf2fb", "#eef7ea", "#fdf3e4", "#f6ecf8", "#e9f6f5", "#fbecec"];

/// The rectangle around something: left, top, right, bottom.
pub(crate) type Area = (f64, f64, f64, f64);

/// Begins an SVG: its size, the tip of edges, and the lanes with their sites. `below` is what is free under the lanes' nodes.
pub(crate) fn begin(grid: &Grid<'_>, below: f64) -> String {
    let (width, height) = (grid.width, grid.height + below);
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
    svg
}

/// Which cell each node has.
pub(crate) struct Grid<'a> {
    /// Site → its first column and how many it has, in the order of their first nodes.
    lanes: IndexMap<&'a str, (usize, usize)>,
    /// How wide all of them are.
    pub width: f64,
    /// Node → column and row.
    cells: Vec<(usize, usize)>,
    /// Row → its upper end.
    tops: Vec<f64>,
    /// Row and a node whose value passes below it → the height where it does.
    tracks: HashMap<(usize, usize), f64>,
    pub height: f64,
}

/// An edge's route: its corners, and between each two the height at which it changes columns.
pub(crate) struct Route {
    corners: Vec<(f64, f64)>,
    tracks: Vec<f64>,
}

impl<'a> Grid<'a> {
    /// For nodes at these sites, with these edges, by the nodes' indices; none leads back.
    pub fn new(sites: &[&'a str], edges: &[(usize, usize)]) -> Self {
        let mut inputs = vec![vec![]; sites.len()];
        for (from, to) in edges {
            inputs[*to].push(*from);
        }
        let layers = layers(sites.len(), edges);
        // Layer → site → nodes.
        let mut groups: Vec<IndexMap<&str, Vec<usize>>> =
            vec![IndexMap::new(); layers.iter().max().map_or(0, |l| l + 1)];
        for (index, site) in sites.iter().enumerate() {
            groups[layers[index]].entry(site).or_default().push(index);
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
        let mut cells = vec![(0, 0); sites.len()];
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
        let (tops, tracks, height) = heights(edges, &cells, rows);
        Self { lanes, width: columns as f64 * COLUMN, cells, tops, tracks, height }
    }

    /// A node's box.
    pub fn area(&self, node: usize) -> Area {
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

    /// How an edge goes.
    pub fn route(&self, (from_node, to_node): (usize, usize)) -> Route {
        let (source, target) = (self.area(from_node), self.area(to_node));
        let start = ((source.0 + source.2) / 2.0, source.3);
        let end = ((target.0 + target.2) / 2.0, target.1);
        let ((from, above), (to, below)) = (self.cells[from_node], self.cells[to_node]);
        let track = |row| self.tracks[&(row, from_node)];
        if below == above + 1 {
            return Route { corners: vec![start, end], tracks: vec![track(above)] };
        }
        // Between two columns, on the side of the target.
        let shift = 3.0 + 3.0 * (from_node % 4) as f64;
        let x = if to > from { (from + 1) as f64 * COLUMN - shift } else { from as f64 * COLUMN + shift };
        let (upper, lower) = (self.tops[above + 1], self.tops[below - 1] + BOX.1);
        Route {
            corners: vec![start, (x, upper), (x, lower), end],
            tracks: vec![track(above), (upper + lower) / 2.0, track(below - 1)],
        }
    }

    /// A place for a text of that width beside an edge, in a lane and over nothing that is taken, which it is then.
    pub fn beside(&self, route: &Route, width: f64, taken: &mut Vec<Area>) -> Option<Area> {
        if width > COLUMN - 4.0 {
            return None;
        }
        let area_at = |along: f64| {
            let (x, y) = route.point(along);
            let (left, right) = self.lane_at(x);
            let x = x.clamp(left + width / 2.0 + 2.0, right - width / 2.0 - 2.0);
            (x - width / 2.0, y - 7.0, x + width / 2.0, y + 6.0)
        };
        let is_free = |area: &Area| taken.iter().all(|a| area.2 < a.0 || a.2 < area.0 || area.3 < a.1 || a.3 < area.1);
        let area = [0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6].into_iter().map(area_at).find(is_free)?;
        taken.push(area);
        Some(area)
    }
}

impl Route {
    /// As an SVG path.
    pub fn path(&self) -> String {
        let (x, y) = self.corners[0];
        let mut path = format!("M{x} {y}");
        for (pair, track) in self.corners.windows(2).zip(&self.tracks) {
            let ((x0, _), (x1, y1)) = (pair[0], pair[1]);
            let _ = write!(path, "C{x0} {track:.1} {x1} {track:.1} {x1} {y1}");
        }
        path
    }

    /// A point on it: `along` goes from 0 to 1.
    fn point(&self, along: f64) -> (f64, f64) {
        let parts = self.tracks.len() as f64;
        let part = ((along * parts) as usize).min(self.tracks.len() - 1);
        let t = along * parts - part as f64;
        let ((x0, y0), (x1, y1)) = (self.corners[part], self.corners[part + 1]);
        let bent = 3.0 * t * t - 2.0 * t * t * t;
        let u = 1.0 - t;
        (x0 + (x1 - x0) * bent, u * u * u * y0 + 3.0 * u * t * self.tracks[part] + t * t * t * y1)
    }
}

/// The rows' upper ends, the heights at which values pass between them, and the height of all.
fn heights(
    edges: &[(usize, usize)],
    cells: &[(usize, usize)],
    rows: usize,
) -> (Vec<f64>, HashMap<(usize, usize), f64>, f64) {
    let mut passing = vec![BTreeSet::new(); rows];
    for (from, to) in edges {
        let (column, row) = cells[*from];
        passing[row].insert((column, *from));
        passing[cells[*to].1 - 1].insert((column, *from));
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
fn layers(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut missing = vec![0; nodes];
    let mut outputs = vec![vec![]; nodes];
    for (from, to) in edges {
        missing[*to] += 1;
        outputs[*from].push(*to);
    }
    let mut layers = vec![0; nodes];
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
