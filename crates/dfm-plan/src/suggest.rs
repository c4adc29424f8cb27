//! Which costs would have foretold what a run has taken?

use std::collections::BTreeMap;
use std::fmt::Write;

use dfm_net::Measured;
use serde_json::json;

use crate::measure::Calls;
use crate::{Estimate, Plan};

/// What a straight line says: a part that is always there, and one for each unit.
type Line = (f64, f64);

/// What one call took.
struct Sample {
    input_bytes: f64,
    seconds: f64,
    output_bytes: f64,
}

/// Operation → its calls.
type Interface = BTreeMap<String, Vec<Sample>>;

/// What was measured at a site.
#[derive(Default)]
struct Site {
    /// Other site → bytes and seconds of each value that was sent there.
    send: BTreeMap<String, Vec<(f64, f64)>>,
    /// By the provider.
    bindings: BTreeMap<Option<String>, Interface>,
}

/// A network file with the costs that a run had, in the words of a configuration.
pub fn suggested_costs(plan: &Plan, estimate: &Estimate, measured: &[Measured]) -> String {
    let calls = Calls::new(estimate, measured);
    let mut sites: BTreeMap<&str, Site> = BTreeMap::new();
    for (edge, bytes, seconds) in calls.arrivals() {
        let (from, to) = (&estimate.nodes[estimate.edges[edge].from], &estimate.nodes[estimate.edges[edge].to]);
        if let Some(bytes) = bytes {
            sites.entry(&from.site).or_default().send.entry(to.site.clone()).or_default().push((bytes, seconds));
        }
    }
    let operations = estimate.nodes.iter().enumerate().filter(|(_, node)| node.operation);
    for ((at, node), placement) in operations.zip(&plan.placements) {
        let samples = calls.of(at).filter_map(|call| {
            let input_bytes = calls.input_bytes(at, call)?;
            Some(Sample { input_bytes, seconds: call.seconds, output_bytes: call.bytes? as f64 })
        });
        let samples: Vec<_> = samples.collect();
        if !samples.is_empty() {
            let bindings = &mut sites.entry(&node.site).or_default().bindings;
            let operations = bindings.entry(placement.provider.clone()).or_default();
            operations.entry(placement.operation.clone()).or_default().extend(samples);
        }
    }
    let mut text = format!(
        "# Costs as dfm measured them in a run of the pipeline {}. Each entry fits the same place of the configuration.\n\
         dfm-network: 1\nsites:{}\n",
        json!(plan.name),
        if sites.is_empty() { " {}" } else { "" }
    );
    for (name, site) in sites {
        let _ = writeln!(text, "  {name}:");
        if !site.send.is_empty() {
            text += "    send_cost:\n";
        }
        for (to, samples) in &site.send {
            let (fixed, rate) = line(samples);
            let bandwidth = if rate > 0.0 { format!(", bandwidth: {}", rounded(1.0 / rate)) } else { String::new() };
            let _ = writeln!(text, "      {to}: {{fixed_time: {}{bandwidth}}}", rounded(fixed));
        }
        if let Some(operations) = site.bindings.get(&None) {
            write_interface(&mut text, "    ", operations);
        }
        let providers =
            site.bindings.iter().filter_map(|(provider, operations)| Some((provider.as_ref()?, operations)));
        for (index, (provider, operations)) in providers.enumerate() {
            if index == 0 {
                text += "    providers:\n";
            }
            let _ = writeln!(text, "      {}:", json!(provider));
            write_interface(&mut text, "        ", operations);
        }
    }
    text
}

fn write_interface(text: &mut String, indent: &str, operations: &Interface) {
    let _ = writeln!(text, "{indent}interface:");
    for (operation, samples) in operations {
        let seconds: Vec<(f64, f64)> = samples.iter().map(|one| (one.input_bytes, one.seconds)).collect();
        let sizes: Vec<(f64, f64)> = samples.iter().map(|one| (one.input_bytes, one.output_bytes)).collect();
        let ((time, rate), (size, factor)) = (line(&seconds), line(&sizes));
        let mut cost = format!("fixed_time: {}", rounded(time));
        if rate > 0.0 {
            let _ = write!(cost, ", compute_throughput: {}", rounded(1.0 / rate));
        }
        let _ = write!(cost, ", fixed_size: {}", rounded(size));
        if factor > 0.0 {
            let _ = write!(cost, ", output_factor: {}", rounded(factor));
        }
        let _ = writeln!(text, "{indent}  \"#/operations/{operation}\": {{compute_cost: {{{cost}}}}}");
    }
}

/// The line through points, if they lie on one that rises; else their median, which a few slow calls do not change.
fn line(points: &[(f64, f64)]) -> Line {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|point| of(point.0 - x, point.1 - y)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    if points.len() < 3 || xy <= 0.0 || xy * xy < 0.8 * xx * yy {
        let mut all: Vec<f64> = points.iter().map(|point| point.1).collect();
        all.sort_by(f64::total_cmp);
        return (all[all.len() / 2], 0.0);
    }
    let slope = xy / xx;
    match y - slope * x {
        fixed if fixed >= 0.0 => (fixed, slope),
        _ => {
            let through = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
            (0.0, through(|point| point.0 * point.1) / through(|point| point.0 * point.0))
        }
    }
}

/// Three digits: more would only look exact.
fn rounded(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_a_line_or_their_median() {
        assert_eq!(line(&[(1.0, 3.0)]), (3.0, 0.0));
        assert_eq!(line(&[(1.0, 3.0), (1.0, 9.0), (1.0, 2.0)]), (3.0, 0.0));
        assert_eq!(line(&[(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]), (1.0, 2.0));
        assert_eq!(line(&[(1.0, 9.0), (2.0, 5.0), (4.0, 3.0)]), (5.0, 0.0));
        let (fixed, slope) = line(&[(10.0, 0.9), (20.0, 2.0), (40.0, 4.1)]);
        assert!(fixed == 0.0 && (slope - 0.102).abs() < 0.001);
        assert_eq!([0.0, 0.123456, 123_456_789.0].map(rounded), [0.0, 0.123, 123_000_000.0]);
    }
}
