//! Does any record make the keeper of a job panic, or the application that takes the job up again?

#![no_main]

use std::collections::HashMap;

use dfm_fuzz::{HOME, PLANS, Plainly, input, messages, turn, write_seeds};
use dfm_net::{Frame, Source};
use dfm_runtime::{Carried, Keeper, Packet, Site, read_answer};
use dfm_wire::{Outline, unfold};
use libfuzzer_sys::fuzz_target;

const SITES: [&str; 2] = ["east", "west"];

fuzz_target!(init: write_seeds("record", seeds()), |bytes: &[u8]| {
    let mut keeper = Keeper::new(1 << 16);
    let packet = |from: &str, packet: &[u8]| {
        let outline = Outline::of(HOME, packet).to_bytes();
        (outline.clone(), Packet { from: from.to_owned(), head: outline, body: Some(packet.to_vec().into()) })
    };
    for said in messages(bytes) {
        match said.how % 6 {
            0 => {
                let (outline, packet) = packet(HOME, said.packet);
                keeper.record(&outline, packet);
            }
            // An outline is what its sender says it is.
            1 => {
                let (_, packet) = packet(SITES[0], said.packet);
                keeper.take(said.packet, packet);
            }
            at @ (2 | 3) => {
                let (outline, packet) = packet(SITES[usize::from(at) - 2], said.packet);
                keeper.take(&outline, packet);
            }
            4 => keeper.ask(u64::from(said.how / 6)),
            _ => {
                if let [transition, set, had, ..] = said.packet {
                    let frame = Frame::of_param_set((*set).into());
                    keeper.acknowledge(u64::from(said.how / 6), (*transition).into(), &frame, (*had).into());
                }
            }
        }
        if let Some(job) = keeper.let_go() {
            assert!(keeper.progress(job).is_none());
        }
    }
    let jobs: Vec<u64> = keeper.jobs().collect();
    let mut home = Site::new(HOME.to_owned(), None, Plainly);
    SITES.iter().for_each(|name| home.add_pipe(name));
    home.keep_record();
    for job in jobs {
        assert!(keeper.progress(job).is_some());
        keeper.had(job);
        let plan = keeper.history(job).next().and_then(|packet| packet.body.clone()).unwrap_or_default();
        for told in keeper.told(job) {
            read_answer(&plan, &told.from, told.body.as_deref().unwrap_or_default());
        }
        let history = keeper.history(job).map(|kept| (kept.from.clone(), kept.head.clone(), kept.body.as_ref().map(|body| body.to_vec())));
        if let Some((packets, _)) = unfold(HOME, history.collect()) {
            home.replay(packets.iter().map(|(from, packet)| (from.as_str(), packet.as_slice())));
        }
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
                for Carried { to, bytes: packet, .. } in sent.into_iter().flatten() {
                    match (from == HOME, to == HOME) {
                        (true, true) => said.push((0, packet)),
                        (true, false) => sites.get_mut(&to).expect("it is linked").receive_packet(from, &packet),
                        (false, true) => {
                            said.push((2, packet.clone()));
                            said.push((1, Outline::of(HOME, &packet).to_bytes()));
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
