//! Does anything that is said in the place of a site's messages make another site of a sum, or who adds up, panic?

#![no_main]

use std::cell::RefCell;

use dfm_fuzz::{input, messages, write_seeds};
use dfm_sums::{Party, Refused, Terms, add, total};
use libfuzzer_sys::fuzz_target;

const SITES: [&str; 3] = ["east", "north", "west"];
const NUMBERS: [f64; 2] = [1.5, -2.0];

// Of each message's `how`, the upper half says in which step it is said, and the lower one in which site's place.
fuzz_target!(init: write_seeds("sums", seeds()), |bytes: &[u8]| {
    let said: Vec<_> = messages(bytes).collect();
    let _ = play(|how, honest| said.iter().find(|one| one.how == how).map_or(honest, |one| one.packet.to_vec()));
});

/// A sum of three sites, the first of which and who adds up get what `said` makes of each honest message.
fn play(said: impl Fn(u8, Vec<u8>) -> Vec<u8>) -> Result<Vec<f64>, Refused> {
    let terms = Terms::new("a job", SITES.map(str::to_owned).to_vec(), 2, 1e6, 1e-3)?;
    let mut parties = vec![];
    for (at, site) in SITES.iter().enumerate() {
        parties.push(Party::new(terms.clone(), site, [at as u8 + 1; 32])?);
    }
    let heard = |step: u8, honest: Vec<(String, Vec<u8>)>| -> Vec<(String, Vec<u8>)> {
        let one = |(at, (site, honest)): (usize, (String, Vec<u8>))| (site, said(step << 4 | at as u8, honest));
        honest.into_iter().enumerate().map(one).collect()
    };
    let named = |of: Vec<Vec<u8>>| -> Vec<(String, Vec<u8>)> { SITES.map(str::to_owned).into_iter().zip(of).collect() };
    let keys = named(parties.iter().map(|party| party.keys().to_vec()).collect());
    let mut given = vec![parties[0].shares(heard(0, keys.clone()))?];
    for party in &mut parties[1..] {
        given.push(party.shares(keys.clone())?);
    }
    // No site gives itself a share.
    let to = |site: &str| -> Vec<(String, Vec<u8>)> {
        let share =
            |all: &Vec<(String, Vec<u8>)>| all.iter().find(|(to, _)| to == site).map(|(_, share)| share.clone());
        SITES.iter().zip(&given).filter_map(|(from, all)| Some(((*from).to_owned(), share(all)?))).collect()
    };
    let mut masked = vec![parties[0].masked(heard(1, to(SITES[0])), &NUMBERS)?];
    for (party, site) in parties.iter_mut().zip(SITES).skip(1) {
        masked.push(party.masked(to(site), &NUMBERS)?);
    }
    let masked = heard(2, named(masked));
    let survivors = SITES.map(str::to_owned).to_vec();
    let mut agreed = vec![];
    for party in &mut parties {
        agreed.push(party.agree(survivors.clone())?.to_vec());
    }
    let agreed = named(agreed);
    let mut told = vec![parties[0].unmask(heard(3, agreed.clone()))?];
    for party in &mut parties[1..] {
        told.push(party.unmask(agreed.clone())?);
    }
    total(&terms, heard(4, keys), survivors, &add(&masked)?, heard(5, named(told)))
}

/// What honest sites say.
fn seeds() -> Vec<Vec<u8>> {
    let all = RefCell::new(vec![]);
    let sum = play(|how, honest| {
        all.borrow_mut().push((how, honest.clone()));
        honest
    });
    let sum = sum.unwrap_or_else(|refused| panic!("honest sites are refused: {}", refused.0));
    assert!(sum.iter().zip(NUMBERS).all(|(sum, one)| (sum - 3.0 * one).abs() <= 1e-3));
    all.into_inner().iter().map(|(how, honest)| input([(*how, honest.as_slice())])).collect()
}
