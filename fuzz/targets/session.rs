//! Does any row of messages make a site of a session panic: home, from hostile sites, or another one, from anybody?

#![no_main]

use std::collections::{BTreeSet, HashMap};

use dfm_fuzz::{HOME, PLANS, Plain, Plainly, input, messages, turn, write_seeds};
use dfm_net::{Net, Source, Trace};
use dfm_runtime::{Carried, Limits, Site};
use libfuzzer_sys::fuzz_target;

const JOB: u64 = 1;
/// As a site's policy might have it, so that each of them is met.
const LIMITS: Limits = Limits {
    jobs: 3,
    frames_per_job: 20,
    calls_per_job: 500,
    calls_at_once: 20,
    items_per_call: 5,
    buffered_bytes: 20_000,
};

// An input begins with the plan's number and whether its home is attacked; of each message's `how`, the upper half says
// who sends it, and the lower one how the calls end that it leads to.
fuzz_target!(init: write_seeds("session", seeds()), |bytes: &[u8]| {
    let Some((&[plan, at_home], rest)) = bytes.split_first_chunk() else { return };
    let nets = &PLANS[usize::from(plan) % PLANS.len()];
    let names = names(nets);
    let (mut site, names) = if at_home.is_multiple_of(2) { home(nets, &names) } else { other(&names) };
    for said in messages(rest) {
        if let Some(from) = names.get(usize::from(said.how >> 4) % names.len().max(1)) {
            site.receive_packet(from, said.packet);
            turn(&mut site, said.how);
            site.take_packets();
        }
    }
    site.ask(1, JOB);
    site.overdue(1.0);
});

/// Home with a job under way, and those that may speak to it.
fn home<'n>(nets: &[Net], names: &[&'n str]) -> (Site<Plainly>, Vec<&'n str>) {
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != HOME).collect();
    let mut site = Site::new(HOME.to_owned(), None, Plainly);
    others.iter().for_each(|name| site.add_pipe(name));
    site.open(JOB, "p", nets.to_vec(), &HashMap::new());
    start(&mut site, nets);
    turn(&mut site, 0);
    (site, others)
}

fn start(site: &mut Site<Plainly>, nets: &[Net]) {
    let params = nets.iter().flat_map(|net| &net.places).filter_map(|place| match &place.source {
        Source::Param(name) => Some((name.clone(), Plain(vec![3, 2, 1]))),
        _ => None,
    });
    let params: HashMap<String, Plain> = params.collect();
    site.measure(JOB);
    site.note(JOB, Some(Trace { id: (7, 8), span: 9, sampled: true }));
    site.start(JOB, &params);
    site.start(JOB, &params);
    site.stop(JOB);
}

/// The plan's first site that is not home, with nothing to do, and those that may speak to it.
fn other<'n>(names: &[&'n str]) -> (Site<Plainly>, Vec<&'n str>) {
    let own = names.iter().find(|name| **name != HOME).unwrap_or(&"east");
    let others: Vec<&str> = names.iter().copied().filter(|name| name != own).collect();
    let mut site = Site::new((*own).to_owned(), Some(HOME.to_owned()), Plainly);
    site.limit(LIMITS, [(("work.Add".to_owned(), None), 2)]);
    others.iter().for_each(|name| site.add_pipe(name));
    (site, others)
}

/// Home first, then the others by name.
fn names(nets: &[Net]) -> Vec<&str> {
    let others: BTreeSet<&str> = nets.iter().map(|net| net.site.as_str()).filter(|name| *name != HOME).collect();
    [HOME].into_iter().chain(others).collect()
}

/// What each plan's home and first other site get in an undisturbed session.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![];
    for (number, nets) in (0..).zip(PLANS.iter()) {
        let names = names(nets);
        let mut sites: HashMap<&str, Site<Plainly>> = HashMap::new();
        for name in &names {
            let mut site = Site::new((*name).to_owned(), (*name != HOME).then(|| HOME.to_owned()), Plainly);
            names.iter().filter(|other| *other != name).for_each(|other| site.add_pipe(other));
            sites.insert(name, site);
        }
        let home = sites.get_mut(HOME).expect("it is there");
        home.open(JOB, "p", nets.clone(), &HashMap::new());
        start(home, nets);
        let mut got: HashMap<String, Vec<(String, Vec<u8>)>> = HashMap::new();
        for _ in 0..100 {
            for from in &names {
                let sent = sites.get_mut(from).map(|site| {
                    turn(
                        site,
                        2 * u8::from(
                            nets.iter()
                                .any(|net| (0..net.transitions.len()).any(|at| !net.consumers(at as u32).is_empty())),
                        ),
                    );
                    site.take_packets()
                });
                for Carried { to, bytes: packet, .. } in sent.into_iter().flatten() {
                    if let Some(site) = sites.get_mut(to.as_str()) {
                        site.receive_packet(from, &packet);
                        got.entry(to).or_default().push(((*from).to_owned(), packet));
                    }
                }
            }
        }
        for (attacked, own) in [(0, HOME), (1, names.get(1).copied().unwrap_or("east"))] {
            let senders: Vec<&str> = names.iter().copied().filter(|name| *name != own).collect();
            let said = got.get(own).into_iter().flatten().map(|(from, packet)| {
                let who = senders.iter().position(|name| name == from).unwrap_or_default() as u8;
                (who << 4, packet.as_slice())
            });
            seeds.push([&[number, attacked][..], &input(said)].concat());
        }
    }
    seeds
}
