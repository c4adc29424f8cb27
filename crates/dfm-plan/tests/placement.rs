//! Do pipelines end as soon as they can?
//!
//! `DFM_GRAPHS` says how many random graphs are tried instead of 50.

use dfm_plan::{Options, plan, plan_and_estimate};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

mod shape;

use shape::{Offer, Op, Shape, shapes};

/// The first nodes of a placement.
#[derive(Clone, Default)]
struct Placed {
    sites: Vec<usize>,
    ends: Vec<f64>,
    sizes: Vec<f64>,
    /// When the last of them ends, and is where it is yielded.
    end: f64,
    /// How long all compute and send.
    work: f64,
}

impl Placed {
    /// Places the next node, by the definition of the costs.
    fn with(&self, shape: &Shape, site: usize) -> Self {
        let send = |from: usize, to: usize, bytes: f64| match shape.send[from][to] {
            _ if from == to => 0.0,
            Some((fixed, rate)) => f64::from(fixed) + rate.map_or(0.0, |rate| bytes / f64::from(rate)),
            None => 1e6,
        };
        let op = &shape.ops[self.sites.len()];
        let offer = op.offers[site].expect("it is offered there");
        let mut bytes = (op.literal + 2) as f64;
        let mut sending = if op.param { send(0, site, 0.0) } else { 0.0 };
        let mut ready: f64 = sending;
        for (from, signal) in &op.reads {
            let size = if *signal { 0.0 } else { self.sizes[*from] };
            let sent = send(self.sites[*from], site, size);
            ready = ready.max(self.ends[*from] + sent);
            sending += sent;
            bytes += size;
        }
        let computing = f64::from(offer.fixed_time) + offer.throughput.map_or(0.0, |rate| bytes / f64::from(rate));
        let end = ready + computing;
        let size = f64::from(offer.fixed_size) + f64::from(offer.output_factor) * bytes;
        let home = if op.yields { send(site, 0, size) } else { 0.0 };
        let mut next = self.clone();
        next.sites.push(site);
        next.ends.push(end);
        next.sizes.push(size);
        next.end = next.end.max(end + home);
        next.work += computing + sending + home;
        next
    }

    fn all(shape: &Shape, sites: &[usize]) -> Self {
        sites.iter().fold(Self::default(), |placed, site| placed.with(shape, *site))
    }

    /// The end of the best of all placements that go on from here, or `known` if that is none later. Each is tried,
    /// until what is placed of it leaves too little time for what comes after.
    fn best_end(&self, shape: &Shape, least_rest: &[f64], known: f64) -> f64 {
        let node = self.sites.len();
        if node == shape.ops.len() {
            return self.end;
        }
        shape.ops[node].sites().into_iter().fold(known, |best, site| {
            let next = self.with(shape, site);
            let hopeless = next.end >= best || next.ends[node] + least_rest[node] >= best;
            if hopeless { best } else { next.best_end(shape, least_rest, best) }
        })
    }
}

/// Node → the least time from its end to the end of all that follows, if sending took none.
fn least_rest(shape: &Shape) -> Vec<f64> {
    let mut least_rest = vec![0.0; shape.ops.len()];
    for (node, op) in shape.ops.iter().enumerate().rev() {
        let times = op.offers.iter().flatten().map(|offer| f64::from(offer.fixed_time));
        let least = times.fold(f64::INFINITY, f64::min) + least_rest[node];
        for (from, _) in &op.reads {
            least_rest[*from] = f64::max(least_rest[*from], least);
        }
    }
    least_rest
}

/// Plans a pipeline: the site of each operation, and when the last node is done by the estimate.
fn placed(shape: &Shape) -> (Vec<usize>, f64) {
    let options = Options::default();
    let made = plan_and_estimate(&shape.federation(), &shape.pipeline(), "site0", &options);
    let (plan, estimate) = made.expect("it is valid");
    let site = |name: &str| name["site".len()..].parse().expect("a site of the test");
    let sites = plan.placements.iter().map(|placement| site(&placement.site)).collect();
    (sites, estimate.nodes.iter().map(|node| node.finish).fold(0.0, f64::max))
}

/// How much longer pipelines take than they need, sorted: 0.05 is 5 % too long.
fn excess(shapes: impl Strategy<Value = Shape>) -> Vec<f64> {
    let graphs = std::env::var("DFM_GRAPHS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let mut runner = TestRunner::new(Config { cases: graphs, failure_persistence: None, ..Config::default() });
    let all = std::cell::RefCell::new(vec![]);
    let outcome = runner.run(&shapes, |shape| {
        let (sites, end) = placed(&shape);
        let defined = Placed::all(&shape, &sites).end;
        prop_assert!((end - defined).abs() <= 1e-9 * end, "the estimate is that of the costs' definition");
        let best = Placed::default().best_end(&shape, &least_rest(&shape), end);
        all.borrow_mut().push(if end > best { end / best - 1.0 } else { 0.0 });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let mut all = all.into_inner();
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize];
    println!("{} graphs: median {}, 99th {}, worst {}", all.len(), at(0.5), at(0.99), at(1.0));
    all
}

#[test]
fn a_pipeline_of_up_to_12_open_operations_ends_as_soon_as_it_can() {
    let all = excess(shapes(1..13, 2..5));
    assert!(all.last().is_some_and(|worst| *worst < 1e-8));
}

#[test]
fn a_pipeline_of_more_ends_within_5_percent_of_that() {
    let all = excess(shapes(13..20, 2..4));
    assert!(all.last().is_some_and(|worst| *worst < 0.05));
}

proptest! {
    #[test]
    fn no_operation_runs_where_it_only_makes_more_work(mut shape in shapes(1..13, 2..5)) {
        // What depends on each other has one end.
        let last = shape.ops.len() - 1;
        shape.ops[last].reads = (0..last).map(|node| (node, false)).collect();
        let (sites, _) = placed(&shape);
        let found = Placed::all(&shape, &sites);
        for (node, op) in shape.ops.iter().enumerate() {
            for site in op.sites() {
                let mut other = sites.clone();
                other[node] = site;
                let other = Placed::all(&shape, &other);
                prop_assert!(other.end > found.end * (1.0 + 1e-9) || other.work > found.work * (1.0 - 1e-8) - 1e-9);
            }
        }
    }

    #[test]
    fn the_order_of_what_has_none_changes_no_plan(shape in shapes(1..20, 2..5)) {
        let (federation, pipeline) = (shape.federation(), shape.pipeline());
        let mut other = federation.clone();
        other.operations.reverse();
        for site in other.sites.values_mut() {
            site.send_cost.reverse();
            site.offers.reverse();
        }
        let options = Options::default();
        let made = plan_and_estimate(&federation, &pipeline, "site0", &options);
        prop_assert_eq!(&made, &plan_and_estimate(&federation, &pipeline, "site0", &options));
        prop_assert_eq!(&made, &plan_and_estimate(&other, &pipeline, "site0", &options));
    }
}

/// So many operations in rows of ten, each on three of the row before.
fn big(operations: usize) -> Shape {
    let offer = |site: usize, node: usize| Offer {
        fixed_time: (1 + (node * 7 + site * 5) % 11) as u8,
        throughput: Some(9),
        fixed_size: (node % 5) as u8,
        output_factor: 0,
    };
    let ops = (0..operations).map(|node| {
        let before = (node / 10 * 10).checked_sub(10);
        let reads = before.map(|row| [0, 3, 7].map(|step| (row + (node * step + node) % 10, false)).to_vec());
        let offers = (0..4).map(|site| ((node + site) % 5 > 0).then(|| offer(site, node))).collect();
        Op { offers, named: None, reads: reads.unwrap_or_default(), param: before.is_none(), literal: 3, yields: false }
    });
    let cost = |from: usize, to: usize| Some(((from + 2 * to) as u8, Some(8)));
    Shape { ops: ops.collect(), send: (0..4).map(|from| (0..4).map(|to| cost(from, to)).collect()).collect() }
}

#[test]
fn thousands_of_open_operations_are_placed_the_same_each_time() {
    let shape = big(3000);
    let (federation, pipeline) = (shape.federation(), shape.pipeline());
    let first = plan(&federation, &pipeline, "site0", None).expect("it is valid");
    assert_eq!(plan(&federation, &pipeline, "site0", None).as_ref(), Ok(&first));
}
