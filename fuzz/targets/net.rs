//! Does any net that a site accepts make its engine panic, whatever tokens come that the net takes?

#![no_main]

use std::collections::HashMap;

use dfm_fuzz::{PLANS, Plain, input, messages, write_seeds};
use dfm_net::{
    Action, Arc, Engine, Failure, Frame, Kind, MOST_ELEMENTS, Net, Outcome, PlaceId, Source, Step, Token, check_alone,
};
use dfm_wire::Message;
use libfuzzer_sys::fuzz_target;

/// A net is checked whatever its size, but not run with so many elements: that takes the time that they take.
const MOST_COUNTED: u32 = 50;

fuzz_target!(init: seeds(), |bytes: &[u8]| {
    let mut parts = messages(bytes);
    let Some(first) = parts.next() else { return };
    let Ok(Message::Open(_, _, net)) = Message::from_bytes(first.packet) else { return };
    let at_home = first.how.is_multiple_of(2);
    let told = check_alone(&net, at_home);
    // As text, since a number that is none is not equal to itself.
    assert_eq!(format!("{told:?}"), format!("{:?}", check_alone(&net, at_home)), "a net is always told the same");
    if told.is_err() {
        return;
    }
    let consumers: usize = (0..net.transitions.len()).map(|at| net.consumers(at as u32).len()).sum();
    assert!(consumers <= net.transitions.iter().flat_map(|one| &one.outputs).count().pow(2));
    let mut engine: Engine<Plain> = Engine::new(net.clone());
    let params = net.places.iter().filter_map(|place| match &place.source {
        Source::Param(name) => Some((name.clone(), Plain(vec![3, 2, 1]))),
        _ => None,
    });
    let params: HashMap<String, Plain> = params.collect();
    let script = parts.next().map_or(&b""[..], |part| part.packet);
    for choice in script.chunks_exact(4) {
        let mut frame = Frame::of_param_set(u32::from(choice[0] % 3));
        match choice[1] % 8 {
            0 => engine.start(&frame, &params),
            1 => engine.lose("east", failure()),
            2 => engine.stop(u64::from(choice[2])),
            what => {
                let place = PlaceId::from(choice[2]);
                let Some(kept) = net.places.get(place as usize) else { continue };
                for level in 0..depth(&net, kept.block) {
                    frame = frame.child(u32::from(choice[3] >> level & 1));
                }
                deposit(&mut engine, place, &frame, what, choice[3]);
            }
        }
        act(&mut engine, choice[3]);
    }
});

fn deposit(engine: &mut Engine<Plain>, place: PlaceId, frame: &Frame, what: u8, more: u8) {
    let Source::Site(from) = engine.net().places[place as usize].source.clone() else { return };
    let count = u32::from(more) % MOST_COUNTED;
    let value = Plain(vec![more, 1]);
    let (kind, token) = match (what, more % 4) {
        (3, _) => (Kind::Value, Some(Token::Value(value.clone()))),
        (4, 0) => (Kind::Count(count), Some(Token::Count(count))),
        (4, 1) => (Kind::Count(MOST_ELEMENTS + 1), Some(Token::Count(MOST_ELEMENTS + 1))),
        (4, _) => (Kind::Next, Some(Token::Next(count))),
        (5, _) => (Kind::Errors, Some(Token::Error(vec![failure().into()]))),
        (6, 0) => (Kind::Missing, Some(Token::Missing(failure().into()))),
        (6, 1) => (Kind::End, Some(Token::End)),
        (6, _) => (Kind::Item, None),
        _ => (Kind::Signal, None),
    };
    if engine.net().refuses(place, &from, frame, kind).is_some() {
        return;
    }
    match kind {
        Kind::Item => drop(engine.deposit_item(place, frame, value)),
        _ => drop(engine.deposit(place, frame, token)),
    }
}

/// Does what the engine asks for, as a host would; `how` says how calls end.
fn act(engine: &mut Engine<Plain>, how: u8) {
    for _ in 0..1000 {
        let Some(action) = engine.next_action() else { break };
        let Action::Call { transition, frame, inputs } = action else { continue };
        let value = inputs.into_iter().flatten().next().unwrap_or(Plain(vec![2, 1]));
        let looks_up = matches!(engine.net().transitions[transition as usize].step, Step::LookUp { .. });
        let outcome = match how % 4 {
            0 if looks_up => Outcome::Found(value),
            _ if looks_up => Outcome::NotFound(value),
            0 => Outcome::Value(value),
            1 => Outcome::Failed(failure()),
            2 => {
                engine.item(transition, &frame, &value);
                engine.item(transition, &frame, &value);
                let list = engine.gathers(transition).then_some(value);
                Outcome::Streamed(list)
            }
            _ => continue,
        };
        engine.complete(transition, &frame, outcome);
    }
}

fn depth(net: &Net, block: u32) -> u32 {
    let mut at = Some(block);
    let mut levels = 0;
    while let Some(block) = at.map(|block| &net.blocks[block as usize]) {
        levels += u32::from(block.each);
        at = block.parent;
    }
    levels.min(7)
}

fn failure() -> Failure {
    Failure {
        site: "east".into(),
        node: None,
        operation: None,
        frame: None,
        kind: "ValueError".into(),
        message: "no".into(),
        stack_trace: String::new(),
    }
}

fn seeds() {
    let of_net = |net: &Net| {
        let open = Message::Open(1, "p".into(), net.clone().into()).to_bytes();
        let at_home = u8::from(net.transitions.iter().all(|one| !matches!(one.step, Step::Yield { .. })));
        let mut script = vec![0, 0, 0, 0];
        for place in
            (0..net.places.len() as u8).filter(|at| matches!(net.places[usize::from(*at)].source, Source::Site(_)))
        {
            let counts =
                matches!(net.transitions[net.places[usize::from(place)].transition as usize].step, Step::Enter { .. });
            script.extend([0, if counts { 4 } else { 3 }, place, 0]);
        }
        let streams = net.transitions.iter().flat_map(|one| &one.outputs).any(Arc::streams);
        script.extend([0, 2, 1, if streams { 2 } else { 0 }]);
        input([(at_home, &open[..]), (0, &script[..])])
    };
    write_seeds("net", PLANS.iter().flatten().map(of_net));
}
