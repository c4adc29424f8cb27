//! Does any recording make the site panic that runs its job again?

#![no_main]

use dfm_events::{Beginning, Entry, Header, Packet, RECORDING_VERSION, Recorded, VERSION, Values, parse_recording};
use dfm_fuzz::{HOME, PLANS, Plain, Plainly, turn, write_seeds};
use dfm_net::Source;
use dfm_runtime::{Carried, Event, Site, kept_packet};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(init: write_seeds("recording", seeds()), |text: &[u8]| {
    let Ok(recording) = parse_recording(text) else { return };
    recording.only_told();
    let home_name = &recording.beginning.header.homesite;
    let mut home = Site::new(home_name.clone(), None, Plainly);
    for line in &recording.lines {
        let Recorded::Packet(packet) = line else { continue };
        let Some(data) = &packet.data else { continue };
        kept_packet(None, data);
        // What comes of a call may be any of these, as may what is said of it.
        let _ = home.came_to(data);
        let _ = home.parameters(data);
        home.repeat(&packet.from, data);
        turn(&mut home, 0);
        home.take_packets();
    }
    home.ask(0, 1);
});

/// What the homes of undisturbed sessions keep, with what the other sites say.
fn seeds() -> Vec<Vec<u8>> {
    PLANS
        .iter()
        .map(|nets| {
            let mut sites: Vec<Site<Plainly>> = nets
                .iter()
                .map(|net| {
                    let mut site = Site::new(net.site.clone(), (net.site != HOME).then(|| HOME.to_owned()), Plainly);
                    nets.iter().filter(|other| other.site != net.site).for_each(|other| site.add_pipe(&other.site));
                    site
                })
                .collect();
            let home = sites.iter().position(|site| site.name() == HOME).expect("it is there");
            sites[home].keep_job(1);
            sites[home].open(1, "p", nets.clone(), &Default::default());
            let params = nets.iter().flat_map(|net| &net.places).filter_map(|place| match &place.source {
                Source::Param(name) => Some((name.clone(), Plain(vec![3, 2, 1]))),
                _ => None,
            });
            sites[home].start(1, &params.collect());
            sites[home].stop(1);
            let mut text = line(&json!(beginning()));
            for _ in 0..100 {
                for from in 0..sites.len() {
                    for event in turn(&mut sites[from], 0) {
                        if let Event::Kept(_, site, packet) = event {
                            let mut kept = Packet::new(&site, 2.0, "value");
                            kept.data = Some(packet);
                            text.extend(line(&json!(Recorded::Packet(kept))));
                        }
                    }
                    let name = sites[from].name().to_owned();
                    for Carried { to, bytes, .. } in sites[from].take_packets() {
                        if let Some(to) = sites.iter_mut().find(|site| site.name() == to) {
                            to.receive_packet(&name, &bytes);
                        }
                    }
                }
            }
            text.extend(line(&json!(Recorded::Event(Entry::Resumed { at: 3.0 }))));
            text
        })
        .collect()
}

fn beginning() -> Beginning {
    Beginning {
        dfm_recording: RECORDING_VERSION,
        values: Values::Full,
        api_version: "1.0.0".to_owned(),
        header: Header {
            dfm_events: VERSION,
            job: "a-1".to_owned(),
            federation: "small".to_owned(),
            pipeline: "p".to_owned(),
            target: "local".to_owned(),
            homesite: HOME.to_owned(),
            at: 1.0,
            params: vec![],
            reached: None,
            nodes: [].into(),
            plan: None,
        },
    }
}

fn line(what: &Value) -> Vec<u8> {
    format!("{what}\n").into_bytes()
}
