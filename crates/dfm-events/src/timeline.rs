//! When was what done in a job, drawn or for a viewer of traces?
//!
//! Each site is a lane, as in a plan's picture; time goes from left to right. Calls that overlap stand below each other.

use std::collections::HashMap;
use std::fmt::Write;

use dfm_diag::{fitted, text_width, xml};
use dfm_net::{Frame, NodeId};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::format::Entry;
use crate::read::Record;

/// Pixels.
const WIDTH: f64 = 1000.0;
/// Where time begins, beside the sites' names.
const LEFT: f64 = 140.0;
/// What is left of it beside its end, for half of a time's text.
const RIGHT: f64 = 36.0;
const HEAD: f64 = 34.0;
const ROW: f64 = 20.0;
const PAD: f64 = 6.0;
/// Of a site's letters, as wide as bold ones are, and of an operation's.
const SITE: f64 = 13.0 * 1.15;
const SMALL: f64 = 11.0;
/// The most rows of a lane; calls beyond them are told of in a line.
const MOST_ROWS: usize = 60;
/// The most calls and marks that are drawn.
const MOST_DRAWN: usize = 5000;
const COLOURS: [&str; 6] = ["#eaf2fb", "#eef7ea", "#fdf3e4", "#f6ecf8", "#e9f6f5", "#fbecec"];

/// A job's calls and marks, by site, with moments since its beginning.
struct Timeline<'r> {
    record: &'r Record,
    lanes: IndexMap<&'r str, Lane<'r>>,
    operations: HashMap<&'r NodeId, &'r str>,
    begin: f64,
    length: f64,
}

#[derive(Default)]
struct Lane<'r> {
    calls: Vec<Call<'r>>,
    marks: Vec<(f64, &'static str, String)>,
    rows: usize,
    /// Calls for which there was no row.
    hidden: usize,
}

struct Call<'r> {
    node: &'r NodeId,
    frame: &'r Frame,
    at: f64,
    seconds: f64,
    waited: f64,
    failed: bool,
    row: usize,
}

impl<'r> Timeline<'r> {
    fn new(record: &'r Record) -> Self {
        let header = &record.header;
        let mut lanes: IndexMap<&str, Lane<'_>> = IndexMap::new();
        lanes.entry(&header.homesite).or_default();
        for node in header.nodes.iter() {
            lanes.entry(&node.site).or_default();
        }
        let operations = header.nodes.iter().map(|node| (&node.node, node.operation.as_str())).collect();
        let (mut begin, mut end) = (header.at, header.at);
        for entry in &record.entries {
            let (from, to) = match entry {
                Entry::Fired { at, seconds, waited, .. } => (at - waited, at + seconds),
                Entry::LeftOut { .. } | Entry::Said { .. } | Entry::More { .. } => continue,
                Entry::Started { at, .. }
                | Entry::Sent { at, .. }
                | Entry::Came { at, .. }
                | Entry::Error { at, .. }
                | Entry::Resumed { at }
                | Entry::Ended { at, .. } => (*at, *at),
            };
            (begin, end) = (begin.min(from), end.max(to));
        }
        let mut timeline = Self { record, lanes, operations, begin, length: (end - begin).max(1e-6) };
        record.entries.iter().for_each(|entry| timeline.take(entry));
        timeline.lanes.values_mut().for_each(Lane::stack);
        timeline
    }

    fn take(&mut self, entry: &'r Entry) {
        let home = self.record.header.homesite.as_str();
        let (site, at, kind, text) = match entry {
            Entry::Fired { site, node, frame, at, seconds, waited, failed } => {
                let (at, seconds, waited, failed) = (at - self.begin, *seconds, *waited, *failed);
                let call = Call { node, frame, at, seconds, waited, failed, row: 0 };
                self.lanes.entry(site).or_default().calls.push(call);
                return;
            }
            Entry::Started { frame, at } => (home, at, "started", format!("frame {frame} began")),
            Entry::Sent { site, node, frame, to, at, bytes } => {
                let what = format!("{} sent {bytes} bytes to {to} in frame {frame}", self.name(node));
                (site.as_str(), at, "sent", what)
            }
            Entry::Came { node, frame, at } => {
                (home, at, "came", format!("{} came in frame {frame}", shown_node(node)))
            }
            Entry::Error { error, at } => {
                (home, at, "error", format!("{} at {}: {}", error.kind, error.site, error.message))
            }
            Entry::Resumed { at } => (home, at, "resumed", "another application went on".to_owned()),
            Entry::Ended { at, status, .. } => (home, at, "ended", format!("the job was over: {status}")),
            Entry::LeftOut { .. } | Entry::Said { .. } | Entry::More { .. } => return,
        };
        let mark = (at - self.begin, kind, text);
        self.lanes.entry(site).or_default().marks.push(mark);
    }

    /// A node's operation; the node where it has none.
    fn name(&self, node: &NodeId) -> String {
        self.operations.get(node).map_or_else(|| shown_node(node), |operation| (*operation).to_owned())
    }
}

impl Lane<'_> {
    /// Gives each call the first row that is free.
    fn stack(&mut self) {
        self.calls.sort_by(|one, other| one.at.total_cmp(&other.at));
        let mut ends: Vec<f64> = vec![];
        for call in &mut self.calls {
            let free = ends.iter().take(MOST_ROWS).position(|end| *end <= call.at);
            call.row = free.unwrap_or(ends.len().min(MOST_ROWS));
            if call.row == MOST_ROWS {
                self.hidden += 1;
                continue;
            }
            let end = call.at + call.seconds;
            match ends.get_mut(call.row) {
                Some(before) => *before = end,
                None => ends.push(end),
            }
        }
        self.rows = ends.len().max(1);
    }
}

/// An SVG: sites as lanes, each call a box from its begin to its end, with a line before it for as long as it waited for
/// its turn. Values that were sent and tokens that came are marks.
pub fn timeline_svg(record: &Record) -> String {
    let timeline = Timeline::new(record);
    let height = HEAD + timeline.lanes.values().map(|lane| lane.rows as f64 * ROW + 2.0 * PAD + ROW).sum::<f64>() + ROW;
    let scale = (WIDTH - LEFT - RIGHT) / timeline.length;
    let x = |seconds: f64| LEFT + seconds * scale;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let (mut top, mut drawn, mut lanes, mut waits, mut boxes) = (HEAD, 0, String::new(), String::new(), String::new());
    for (index, (site, lane)) in timeline.lanes.iter().enumerate() {
        let below = lane.rows as f64 * ROW + 2.0 * PAD + ROW;
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            lanes,
            "<rect y=\"{top}\" width=\"{WIDTH}\" height=\"{below}\" fill=\"{colour}\" stroke=\"white\" \
             stroke-width=\"3\"/>\n<text x=\"8\" y=\"{}\" font-size=\"13\" font-weight=\"bold\">{}<title>{}</title></text>",
            top + PAD + 14.0,
            fitted(site, SITE, LEFT - 16.0),
            xml(site, 200)
        );
        if lane.hidden > 0 {
            let y = top + PAD + ROW + 14.0;
            let _ = writeln!(lanes, "<text x=\"8\" y=\"{y}\" fill=\"#933\">{} more calls</text>", lane.hidden);
        }
        for call in lane.calls.iter().filter(|call| call.row < MOST_ROWS) {
            drawn += 1;
            if drawn <= MOST_DRAWN {
                let y = top + PAD + call.row as f64 * ROW;
                draw_wait(&mut waits, call, (x(call.at), y), scale);
                draw_call(&mut boxes, &timeline.name(call.node), call, (x(call.at), y), scale);
            }
        }
        let y = top + PAD + lane.rows as f64 * ROW + 10.0;
        for (at, kind, text) in &lane.marks {
            drawn += 1;
            if drawn <= MOST_DRAWN {
                draw_mark(&mut boxes, (x(*at), y), kind, text);
            }
        }
        top += below;
    }
    svg.push_str(&lanes);
    draw_axis(&mut svg, timeline.length, scale, top);
    // Below the boxes: one that waits in a row may have another before it.
    svg.push_str(&waits);
    svg.push_str(&boxes);
    if drawn > MOST_DRAWN {
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{}\" fill=\"#933\">{} more are not drawn</text>",
            top + 14.0,
            drawn - MOST_DRAWN
        );
    }
    svg + "</svg>\n"
}

fn draw_wait(svg: &mut String, call: &Call<'_>, (left, y): (f64, f64), scale: f64) {
    let waited = call.waited * scale;
    if waited >= 1.0 {
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}H{left:.1}\" stroke=\"#778\" stroke-dasharray=\"2 2\"/>",
            left - waited,
            y + ROW / 2.0
        );
    }
}

fn draw_call(svg: &mut String, name: &str, call: &Call<'_>, (left, y): (f64, f64), scale: f64) {
    let width = (call.seconds * scale).max(1.0);
    let (fill, stroke) = if call.failed { ("#fbd0d0", "#a22") } else { ("#fff", "#334") };
    let told = format!(
        "{name}, frame {}: {}, waited {}{}",
        call.frame,
        shown_seconds(call.seconds),
        shown_seconds(call.waited),
        if call.failed { ", failed" } else { "" }
    );
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\" fill=\"{fill}\" \
         stroke=\"{stroke}\"><title>{}</title></rect>",
        y + 2.0,
        ROW - 4.0,
        xml(&told, 300)
    );
    // As much of the operation's own name as the box has room for.
    let room = width - 6.0;
    if room >= text_width("nn…", SMALL) {
        let short = name.rsplit('.').next().unwrap_or(name);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" pointer-events=\"none\">{}</text>",
            left + 3.0,
            y + 14.0,
            fitted(short, SMALL, room)
        );
    }
}

fn draw_mark(svg: &mut String, (x, y): (f64, f64), kind: &str, text: &str) {
    let colour = match kind {
        "sent" => "#27a",
        "came" => "#383",
        "error" => "#a22",
        _ => "#556",
    };
    let shape = match kind {
        "sent" => format!("M{x:.1} {:.1}l4 4l-4 4z", y - 4.0),
        "came" => format!("M{:.1} {:.1}h8l-4 7z", x - 4.0, y - 4.0),
        _ => format!("M{x:.1} {:.1}v10", y - 5.0),
    };
    let _ = writeln!(
        svg,
        "<path d=\"{shape}\" fill=\"{colour}\" stroke=\"{colour}\"><title>{}</title></path>",
        xml(text, 300)
    );
}

/// Round times, at most eight of them, so that their texts stand beside each other.
fn draw_axis(svg: &mut String, length: f64, scale: f64, bottom: f64) {
    let rough = length / 8.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough).max(length / 8.0);
    for number in 0..=8 {
        let at = f64::from(number) * step;
        if at > length {
            break;
        }
        let x = LEFT + at * scale;
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {HEAD}V{bottom:.1}\" stroke=\"#556\" stroke-opacity=\"0.2\"/>\
             <text x=\"{x:.1}\" y=\"22\" text-anchor=\"middle\" fill=\"#114\">{}</text>",
            round_seconds(at)
        );
    }
}

/// A round time without the zeros behind it.
fn round_seconds(seconds: f64) -> String {
    let text = shown_seconds(seconds);
    let Some((number, unit)) = text.split_once(' ').filter(|(number, _)| number.contains('.')) else { return text };
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// A document of the trace event format, which Chrome's and Perfetto's viewers read: a process for each site, a thread for
/// each row of calls.
pub fn timeline_chrome(record: &Record) -> Value {
    let timeline = Timeline::new(record);
    let micro = |seconds: f64| (seconds * 1e9).round() / 1e3;
    let mut events = vec![];
    for (site, (name, lane)) in timeline.lanes.iter().enumerate() {
        events.push(json!({"ph": "M", "name": "process_name", "pid": site, "args": {"name": name}}));
        for call in &lane.calls {
            events.push(json!({
                "ph": "X", "cat": "call", "name": timeline.name(call.node), "pid": site, "tid": call.row,
                "ts": micro(call.at), "dur": micro(call.seconds),
                "args": {"node": call.node, "frame": call.frame, "waited": call.waited, "failed": call.failed},
            }));
        }
        for (at, kind, text) in &lane.marks {
            events.push(json!({
                "ph": "i", "s": "p", "cat": kind, "name": text, "pid": site, "tid": 0, "ts": micro(*at),
            }));
        }
    }
    let about = &record.header;
    json!({
        "displayTimeUnit": "ms",
        "otherData": {"job": about.job, "pipeline": about.pipeline, "began": about.at},
        "traceEvents": events,
    })
}

/// For people: what was done when, in the order of time, a line for each. A line may hold line ends of an error.
pub fn timeline_text(record: &Record) -> Vec<String> {
    let timeline = Timeline::new(record);
    let mut lines = vec![];
    for (site, lane) in &timeline.lanes {
        for call in &lane.calls {
            let failed = if call.failed { ", failed" } else { "" };
            let (took, waited) = (shown_seconds(call.seconds), shown_seconds(call.waited));
            let name = timeline.name(call.node);
            let what = format!("{name}, frame {}: {took}, waited {waited}{failed}", call.frame);
            lines.push((call.at, *site, what));
        }
        lines.extend(lane.marks.iter().map(|(at, _, text)| (*at, *site, text.clone())));
    }
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    let width = lines.iter().map(|(_, site, _)| site.chars().count()).max().unwrap_or(0).min(30);
    let line = |(at, site, what): (f64, &str, String)| format!("{:>11}  {site:<width$}  {what}", shown_seconds(at));
    lines.into_iter().map(line).collect()
}

/// A time, for people.
pub fn shown_seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds == 0.0 => "0 s".to_owned(),
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 600.0 => format!("{seconds:.2} s"),
        _ if seconds < 36_000.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 360_000.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

fn shown_node(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => format!("node {number}"),
        NodeId::Name(name) => format!("node {name}"),
    }
}
