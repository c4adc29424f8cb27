//! Does any record make the keeper of a job panic, or the application that takes the job up again?

#![no_main]

use std::collections::HashMap;

use dfm_fuzz::{HOME, PLANS, Plainly, input, messages, turn, write_seeds};
use dfm_net::{Frame, Source};
use dfm_runtime::{Keeper, Site};
use libfuzzer_sys::fuzz_target;

const SITES: [&str; 2] = ["east", "west"];

fuzz_target!(init: write_seeds("record", seeds()), |bytes: &[u8]| {
    let mut keeper = Keeper::default();
    for said in messages(bytes) {
        match said.how % 6 {
            0 => keeper.record(HOME, said.packet),
            1 => drop(keeper.may_go(SITES[0], said.packet)),
            at @ (2 | 3) => drop(keeper.take(SITES[usize::from(at) - 2], said.packet)),
            4 => drop(keeper.question(u64::from(said.how / 6))),
            _ => {
                if let [transition, set, had, ..] = said.packet {
                    let frame = Frame::of_param_set((*set).into());
                    keeper.acknowledge(u64::from(said.how / 6), (*transition).into(), &frame, (*had).into());
                }
            }
        }
    }
    let jobs: Vec<u64> = keeper.jobs().collect();
    let mut home = Site::new(HOME.to_owned(), None, Plainly);
    SITES.iter().for_each(|name| home.add_pipe(name));
    home.keep_record();
    for job in jobs {
        assert!(keeper.progress(job).is_some());
        keeper.told(job);
        keeper.positions(job);
        home.replay(keeper.history(job));
        turn(&mut home, 0);
        home.ask(1, job);
        keeper.forget(job);
        assert!(keeper.progress(job).is_none());
    }
    home.take_packets();
});

/// What an undisturbed session's application has kept, and what comes for it.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![];
    for nets in PLANS.iter() {
        let mut names: Vec<String> = nets.iter().map(|net| net.site.clone()).collect();
        names.sort_by_key(|name| name != HOME);
        let mut sites: HashMap<String, Site<Plainly>> = HashMap::new();
        for name in &names {
            let mut site = Site::new(name.clone(), (name != HOME).then(|| HOME.to_owned()), Plainly);
            names.iter().filter(|other| *other != name).for_each(|other| site.add_pipe(other));
            sites.insert(name.clone(), site);
        }
        let home = sites.get_mut(HOME).expect("it is there");
        home.keep_record();
        home.open(1, "p", nets.clone(), &HashMap::new());
        let params = nets.iter().flat_map(|net| &net.places).filter_map(|place| match &place.source {
            Source::Param(name) => Some((name.clone(), dfm_fuzz::Plain(vec![3, 2, 1]))),
            _ => None,
        });
        home.start(1, &params.collect());
        home.stop(1);
        let mut said: Vec<(u8, Vec<u8>)> = vec![];
        for _ in 0..100 {
            for from in &names {
                let sent = sites.get_mut(from).map(|site| {
                    turn(site, 0);
                    site.take_packets()
                });
                for (to, packet) in sent.into_iter().flatten() {
                    match (from == HOME, to == HOME) {
                        (true, true) => said.push((0, packet)),
                        (true, false) => {
                            said.push((1, packet.clone()));
                            sites.get_mut(&to).expect("it is linked").receive_packet(from, &packet);
                        }
                        (false, true) => {
                            said.push((2, packet.clone()));
                            sites.get_mut(&to).expect("it is linked").receive_packet(from, &packet);
                        }
                        (false, false) => sites.get_mut(&to).expect("it is linked").receive_packet(from, &packet),
                    }
                }
            }
        }
        said.push((5 + 6, vec![0, 0, 1]));
        said.push((4 + 6, vec![]));
        seeds.push(input(said.iter().map(|(how, packet)| (*how, packet.as_slice()))));
    }
    seeds
}
