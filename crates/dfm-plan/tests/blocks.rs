//! Do nets with blocks, on several sites and in any order of events, give what a plain interpreter of the pipeline
//! gives?
//!
//! `DFM_PIPELINES` says how many random pipelines are tried instead of 2,000.

use dfm_net::{Carry, Move, Net, PlaceId, Source, Step, check_alone, check_whole};
use dfm_plan::{Argument, Meeting, Pipeline, Plan, Statement, plan};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

mod random;

use random::engines::execute;
use random::pipelines::{Picks, earlier_pipeline, federation, pipeline};
use random::reference::interpret;

fn tries() -> u32 {
    std::env::var("DFM_PIPELINES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

fn planned(pipeline: &Pipeline) -> Plan {
    plan(&federation(), pipeline, "site0", None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Whether a node puts parts of an aggregation together before the others.
fn is_on_the_way(plan: &Plan, node: &str) -> bool {
    let origin = plan.copies.iter().find(|(copy, _)| copy == node).map(|(_, origin)| origin);
    origin.is_some_and(|origin| plan.meets.iter().any(|(operation, _)| operation == origin))
}

/// Has some parts of each aggregation meet at one of their sites, whatever that costs.
fn with_trees(mut pipeline: Pipeline, picks: &mut Picks) -> Pipeline {
    let plan = planned(&pipeline);
    let gathers = pipeline.statements.clone();
    let sites_of = |gathered: &Argument| {
        let each = gathers.iter().find_map(|statement| match (statement, gathered) {
            (Statement::Gather(one), Argument::Node { node, .. }) if one.node == *node => Some(&one.each_site),
            _ => None,
        });
        plan.each_sites.iter().find(|(node, _)| Some(node) == each).map_or(&[][..], |(_, sites)| sites)
    };
    for statement in &mut pipeline.statements {
        let Statement::Operation(one) = statement else { continue };
        let sites = sites_of(one.arguments.values().next().unwrap_or(&Argument::Advise { advise: true }));
        if sites.len() > 1 && plan.meets.iter().any(|(operation, _)| *operation == one.node) {
            let at = picks.pick(sites.len() as u64) as usize;
            let two = vec![sites[at].clone(), sites[(at + 1) % sites.len()].clone()];
            let of = if picks.pick(2) == 0 { two } else { sites.to_vec() };
            one.meets = Some(vec![Meeting { site: sites[at].clone(), of }]);
        }
    }
    pipeline
}

#[test]
fn nets_give_what_a_plain_interpreter_gives() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 0..3u32, any::<u64>());
    let outcome = runner.run(&shape, |(seed, size, frames, order)| {
        let pipeline = with_trees(pipeline(seed, size), &mut Picks(order));
        let plan = planned(&pipeline);
        for (at, net) in plan.nets.iter().enumerate() {
            prop_assert_eq!(check_alone(net, at == 0), Ok(()));
        }
        let expected = interpret(&pipeline, &plan, frames);
        let (mut seen, done) = execute(&plan, frames, order, None);
        // What is put together on the way is no call of the pipeline's.
        seen.calls.retain(|(node, _), _| !is_on_the_way(&plan, node));
        prop_assert_eq!(&seen.calls, &expected.calls);
        prop_assert_eq!(&seen.yields, &expected.yields);
        prop_assert_eq!(&seen.stored, &expected.stored);
        prop_assert_eq!(done, plan.nets.len());
        for reported in &expected.reports {
            prop_assert!(seen.reports.contains(reported), "{reported:?} is not reported");
        }
        for reported in &seen.reports {
            prop_assert!(expected.reports.contains(reported), "{reported:?} is reported, but was no error");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_site_lost_at_any_time_ends_no_job_in_silence() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 1..3u32, any::<u64>(), 0..60usize, any::<prop::sample::Index>());
    let outcome = runner.run(&shape, |(seed, size, frames, order, after, lost)| {
        let pipeline = pipeline(seed, size);
        let plan = planned(&pipeline);
        if plan.nets.len() > 1 {
            let lost = 1 + lost.index(plan.nets.len() - 1);
            let (seen, done) = execute(&plan, frames, order, Some((lost, after)));
            prop_assert_eq!(done, plan.nets.len() - 1);
            prop_assert!(seen.calls.values().all(|times| *times == 1));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Rounds that one site has begun and another does not go on with, as it lost the one that counts them: what the first has
/// of the second it gets no more, and those that wait for the first must hear of it.
#[test]
fn a_loss_that_another_site_has_told_is_told_on() {
    for (seed, size, frames, order, after) in [
        (14_937_527_924_838_935_330, 14, 2, 2_498_080_229_809_770_160, 48),
        (3_821_635_056_428_591_994, 27, 1, 2_531_178_805_137_226_709, 26),
    ] {
        let plan = planned(&earlier_pipeline(seed, size));
        let (_, done) = execute(&plan, frames, order, Some((1, after)));
        assert_eq!(done, plan.nets.len() - 1);
    }
}

#[test]
fn every_move_that_is_declared_is_made() {
    let mut made = [0; Move::ALL.len()];
    for seed in 0..u64::from(tries()) {
        let plan = planned(&pipeline(seed, 1 + seed as usize % 39));
        let lost = (plan.nets.len() > 1 && seed % 2 == 0).then(|| (1 + seed as usize % (plan.nets.len() - 1), 20));
        let (seen, _) = execute(&plan, 2, seed, lost);
        made = std::array::from_fn(|at| made[at] + seen.moves[at]);
    }
    let never: Vec<Move> =
        Move::ALL.into_iter().zip(made).filter(|(_, times)| *times == 0).map(|(made, _)| made).collect();
    assert_eq!(never, [], "of {made:?}");
}

/// Nothing passes through a site on its way: what comes from elsewhere, an operation computes with there, a condition or
/// a cache needs it there, or the application gets it there.
#[test]
fn values_go_only_where_they_are_used() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(any::<u64>(), 1..40usize), |(seed, size)| {
        let plan = planned(&pipeline(seed, size));
        let net_of = |site: &str| plan.nets.iter().find(|net| net.site == *site).expect("a site of the plan");
        let is_used = |net: &Net, place: PlaceId| {
            let step = &net.transitions[net.places[place as usize].transition as usize].step;
            match step {
                Step::Call { .. } => {
                    let placed = plan.placements.iter().find(|placement| placement.node == *step.node());
                    placed.is_some_and(|placement| placement.site == net.site)
                }
                Step::Yield { .. } => net.site == plan.home,
                // Its elements come from several sites.
                Step::Split { sequence: dfm_net::Argument::Built(..), .. } => true,
                step => {
                    matches!(
                        step,
                        Step::Decide { .. }
                            | Step::LookUp { .. }
                            | Step::Store { .. }
                            | Step::Gather { .. }
                            | Step::Repeat { .. }
                            | Step::Again { .. }
                    )
                }
            }
        };
        for net in &plan.nets {
            for arc in net.transitions.iter().flat_map(|transition| &transition.outputs) {
                if let (Some(to), Carry::Value(_) | Carry::Stream(_) | Carry::Key) = (&arc.site, &arc.carry) {
                    prop_assert!(is_used(net_of(to), arc.place), "{:?} goes from {} for nothing", arc, net.site);
                }
            }
            for (at, place) in net.places.iter().enumerate() {
                if matches!(place.source, Source::Param(_)) && net.site != plan.home {
                    prop_assert!(is_used(net, at as PlaceId), "{:?} is at {} for nothing", place.source, net.site);
                }
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Does something wrong to a plan's nets, as no planner should.
fn spoil(nets: &mut [Net], picks: &mut Picks) {
    let mut pick = |below: usize| picks.pick(below.max(1) as u64) as usize;
    let arcs: Vec<(usize, usize, usize)> = (0..nets.len())
        .flat_map(|net| (0..nets[net].transitions.len()).map(move |at| (net, at)))
        .flat_map(|(net, at)| (0..nets[net].transitions[at].outputs.len()).map(move |arc| (net, at, arc)))
        .collect();
    let Some(&(net, at, arc)) = arcs.get(pick(arcs.len())) else { return };
    let blocks = nets[0].blocks.len();
    let other = arcs[pick(arcs.len())];
    let target = (pick(nets.len()), pick(1000));
    match pick(7) {
        0 => drop(nets[net].transitions[at].outputs.remove(arc)),
        1 => {
            let twice = nets[net].transitions[at].outputs[arc].clone();
            nets[net].transitions[at].outputs.push(twice);
        }
        2 => {
            let (to, place) = (target.0, target.1 % nets[target.0].places.len().max(1));
            let site = (to != net).then(|| nets[to].site.clone());
            let moved = &mut nets[net].transitions[at].outputs[arc];
            (moved.site, moved.place) = (site, place as PlaceId);
        }
        3 => {
            // Each of the two gets what was for the other one, in nets that expect it.
            let whole = |nets: &[Net], (net, at, arc): (usize, usize, usize)| {
                let arc = &nets[net].transitions[at].outputs[arc];
                (arc.site.clone().unwrap_or_else(|| nets[net].site.clone()), arc.place)
            };
            let ends = [whole(nets, (net, at, arc)), whole(nets, other)];
            for ((net, at, arc), (site, place)) in [(other, &ends[0]), ((net, at, arc), &ends[1])] {
                let from = nets[net].site.clone();
                let to = nets.iter().position(|net| net.site == *site).expect("a site of the plan");
                let here = from == *site;
                nets[to].places[*place as usize].source = if here { Source::Here } else { Source::Site(from) };
                let moved = &mut nets[net].transitions[at].outputs[arc];
                (moved.site, moved.place) = ((!here).then(|| site.clone()), *place);
            }
        }
        4 => nets[net].transitions[at].block = pick(blocks) as u32,
        5 => {
            let places = &mut nets[net].places;
            let place = pick(places.len());
            places[place].block = pick(blocks) as u32;
        }
        _ => {
            let carry = nets[other.0].transitions[other.1].outputs[other.2].carry.clone();
            nets[net].transitions[at].outputs[arc].carry = carry;
        }
    }
}

#[test]
fn nets_that_might_not_come_to_their_end_are_refused() {
    let mut runner = TestRunner::new(Config { cases: tries(), failure_persistence: None, ..Config::default() });
    let shape = (any::<u64>(), 1..40usize, 0..3u32, any::<u64>());
    let outcome = runner.run(&shape, |(seed, size, frames, order)| {
        let mut plan = planned(&pipeline(seed, size));
        let mut picks = Picks(order);
        spoil(&mut plan.nets, &mut picks);
        if check_whole(&plan.nets).is_ok() {
            let (_, done) = execute(&plan, frames, order, None);
            prop_assert_eq!(done, plan.nets.len());
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
