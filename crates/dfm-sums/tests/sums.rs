//! Do sites add up their numbers, and does nobody learn more than the sum?

use dfm_sums::{Party, Refused, Terms, add, total};
use proptest::prelude::*;

type Said = Vec<(String, Vec<u8>)>;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|site| format!("site{site}")).collect()
}

fn terms(count: usize, least: usize) -> Terms {
    Terms::new("a job", names(count), least, 1e6, 1e-3).unwrap()
}

/// Sites in a sum, up to where each has given its numbers.
struct Round {
    terms: Terms,
    parties: Vec<Party>,
    keys: Said,
    masked: Said,
}

fn parties(terms: &Terms, count: usize) -> Vec<Party> {
    let party = |(at, name): (usize, String)| Party::new(terms.clone(), &name, [at as u8 + 1; 32]).unwrap();
    names(count).into_iter().enumerate().map(party).collect()
}

fn said(parties: &[Party]) -> Said {
    names(parties.len()).into_iter().zip(parties).map(|(name, party)| (name, party.keys().to_vec())).collect()
}

/// What each of the sites that have shared gives the site of this name.
fn given_to(name: &str, shares: &[(String, Said)]) -> Said {
    let to = |given: &Said| given.iter().find(|(to, _)| to == name).map(|(_, share)| share.clone());
    shares.iter().filter_map(|(from, given)| Some((from.clone(), to(given)?))).collect()
}

impl Round {
    /// `lost` says of each site before which of the steps it is lost: keys, shares, masked numbers; later for 3 and more.
    fn new(terms: Terms, numbers: &[Vec<f64>], lost: &[usize]) -> Result<Self, Refused> {
        let count = numbers.len();
        let mut parties = parties(&terms, count);
        let there = |site: &usize, step: usize| lost.get(*site).is_none_or(|lost| *lost > step);
        let all = said(&parties);
        let keys: Said = (0..count).filter(|site| there(site, 0)).map(|site| all[site].clone()).collect();
        let mut shares = vec![];
        for site in (0..count).filter(|site| there(site, 1)) {
            shares.push((all[site].0.clone(), parties[site].shares(keys.clone())?));
        }
        let mut masked = vec![];
        for site in (0..count).filter(|site| there(site, 2)) {
            let given = given_to(&all[site].0, &shares);
            masked.push((all[site].0.clone(), parties[site].masked(given, &numbers[site])?));
        }
        Ok(Self { terms, parties, keys, masked })
    }

    fn survivors(&self) -> Vec<String> {
        self.masked.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What survivors tell in the end; those that `is_lost` are lost before.
    fn told(&mut self, is_lost: impl Fn(usize) -> bool) -> Result<Said, Refused> {
        let survivors = self.survivors();
        let at: Vec<usize> = survivors.iter().map(|name| self.terms.index(name).unwrap()).collect();
        let mut agreed = vec![];
        for (name, site) in survivors.iter().zip(&at) {
            agreed.push((name.clone(), self.parties[*site].agree(survivors.clone())?.to_vec()));
        }
        let mut told = vec![];
        for (name, site) in survivors.iter().zip(at).filter(|(_, site)| !is_lost(*site)) {
            told.push((name.clone(), self.parties[site].unmask(agreed.clone())?));
        }
        Ok(told)
    }

    fn total(&mut self, is_lost: impl Fn(usize) -> bool) -> Result<Vec<f64>, Refused> {
        let told = self.told(is_lost)?;
        total(&self.terms, self.keys.clone(), self.survivors(), &add(&self.masked)?, told)
    }
}

fn why<T>(outcome: Result<T, Refused>) -> String {
    outcome.err().expect("it is refused").to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_sum_is_that_of_the_sites_whose_numbers_arrived(
        count in 2usize..8,
        spare in 0usize..4,
        length in 0usize..6,
        all in proptest::collection::vec(proptest::collection::vec(-1e6..1e6, 6), 8),
        lost in proptest::collection::vec((0usize..8, 0usize..5), 0..4),
    ) {
        let least = count.saturating_sub(spare).max(count / 2 + 1);
        let numbers: Vec<Vec<f64>> = all[..count].iter().map(|numbers| numbers[..length].to_vec()).collect();
        let mut steps = vec![9; count];
        for (site, step) in lost.into_iter().take(count - least) {
            steps[site % count] = step;
        }
        let mut round = Round::new(terms(count, least), &numbers, &steps).unwrap();
        let sum = round.total(|site| steps[site] == 4).unwrap();
        prop_assert_eq!(sum.len(), length);
        for at in 0..length {
            let plain: f64 = (0..count).filter(|site| steps[*site] > 2).map(|site| numbers[site][at]).sum();
            prop_assert!((sum[at] - plain).abs() <= 1e-3, "{} is not {plain}", sum[at]);
        }
    }

    #[test]
    fn what_is_no_message_is_refused_and_nothing_else_happens(
        // The second are as long as some message is.
        junk in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            prop_oneof![Just(16), Just(32), Just(80), Just(96), Just(99)]
                .prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length)),
        ],
        step in 0usize..5,
    ) {
        let numbers = vec![vec![1.0]; 3];
        let mut round = Round::new(terms(3, 2), &numbers, &[]).unwrap();
        let mut fresh = parties(&round.terms, 3);
        let with_junk = |mut said: Said| {
            said[1].1.clone_from(&junk);
            said
        };
        let outcome = match step {
            0 => {
                let keys = with_junk(said(&fresh));
                fresh[0].shares(keys).map(|_| ())
            }
            1 => {
                let keys = said(&fresh);
                let shares: Vec<_> =
                    (0..3).map(|site| (keys[site].0.clone(), fresh[site].shares(keys.clone()).unwrap())).collect();
                fresh[0].masked(with_junk(given_to("site0", &shares)), &[1.0]).map(|_| ())
            }
            2 => {
                let survivors = round.survivors();
                let digest = round.parties[0].agree(survivors.clone()).unwrap();
                let agreed = survivors.into_iter().map(|name| (name, digest.to_vec())).collect();
                round.parties[0].unmask(with_junk(agreed)).map(|_| ())
            }
            3 => add(&with_junk(round.masked.clone())).map(|_| ()),
            _ => {
                let told = with_junk(round.told(|_| false).unwrap());
                let sum = add(&round.masked).unwrap();
                let keys = round.keys.clone();
                total(&round.terms, keys, round.survivors(), &sum, told).map(|_| ())
            }
        };
        // Any bytes of the right length are keys, or a masked number: what they were is found out by a later step.
        let is_one = matches!((step, junk.len()), (0, 96) | (3, 16));
        prop_assert_eq!(outcome.is_ok(), is_one, "step {} of {} bytes", step, junk.len());
    }
}

/// How far the counts of bytes are from those of random ones: the square of the distance, of which 255 are expected, and
/// more than 400 happen once in a hundred million times.
fn distance(bytes: &[u8]) -> f64 {
    let mut counts = [0.0; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
}

#[test]
fn each_contribution_looks_random_and_is_another_one_each_time() {
    let numbers = vec![vec![1.0; 8192]; 3];
    let first = Round::new(terms(3, 2), &numbers, &[]).unwrap();
    let other = Terms::new("another job", names(3), 2, 1e6, 1e-3).unwrap();
    let second = Round::new(other, &numbers, &[]).unwrap();
    for ((_, one), (_, two)) in first.masked.iter().zip(&second.masked) {
        assert!(distance(one) < 400.0);
        let between: Vec<u8> = one.iter().zip(two).map(|(one, two)| one ^ two).collect();
        assert!(distance(&between) < 400.0);
    }
    // Two of the three together still have a mask that the third one shares.
    assert!(distance(&add(&first.masked[..2]).unwrap()) < 400.0);
    // So does the sum of all, by the masks that each has added for itself.
    assert!(distance(&add(&first.masked).unwrap()) < 400.0);
}

#[test]
fn fewer_sites_than_the_least_reveal_nothing() {
    let numbers = vec![vec![7.0; 4096]; 4];
    let mut round = Round::new(terms(4, 3), &numbers, &[]).unwrap();
    let told = round.told(|site| site > 1).unwrap();
    let sum = add(&round.masked).unwrap();
    let outcome = total(&round.terms, round.keys.clone(), round.survivors(), &sum, told.clone());
    assert_eq!(why(outcome), "only 2 sites take part, and this sum is over 3 at least");
    // Whoever takes them for enough makes a secret of them that fits nothing, and masks that are none.
    let fewer = Terms::new("a job", names(3), 2, 1e6, 1e-3).unwrap();
    let shorter = told.into_iter().map(|(name, said)| (name, said[..99].to_vec())).collect();
    let keys = round.keys[..3].to_vec();
    let outcome = total(&fewer, keys, round.survivors()[..3].to_vec(), &add(&round.masked[..3]).unwrap(), shorter);
    assert_eq!(why(outcome), "what sites tell of the masks of 'site0' does not fit its keys");
}

#[test]
fn a_last_message_has_a_share_of_what_is_asked_for() {
    let numbers = vec![vec![1.0]; 4];
    let mut round = Round::new(terms(4, 3), &numbers, &[3, 3, 3, 1]).unwrap();
    let told = round.told(|_| false).unwrap();
    let sum = add(&round.masked).unwrap();
    let total = |told: Said| total(&round.terms, round.keys.clone(), round.survivors(), &sum, told);
    assert_eq!(total(told.clone()).unwrap(), [3.0]);
    // Of nothing, or of the other secret: both of a site that has given its part, and of one that was lost.
    for (at, kind) in [(0, 0), (0, 2), (3 * 33, 1), (3 * 33, 3)] {
        let mut changed = told.clone();
        changed[1].1[at] = kind;
        assert_eq!(why(total(changed)), "what the site 'site1' tells in the end are no shares");
    }
}

#[test]
fn a_step_is_taken_once() {
    let numbers = vec![vec![1.0]; 3];
    let mut round = Round::new(terms(3, 2), &numbers, &[]).unwrap();
    let once = "this step of a secure sum is taken once, after those before it";
    let survivors = round.survivors();
    let digest = round.parties[0].agree(survivors.clone()).unwrap();
    let agreed: Said = survivors.iter().map(|name| (name.clone(), digest.to_vec())).collect();
    assert!(round.parties[0].unmask(agreed.clone()).is_ok());
    assert_eq!(why(round.parties[0].unmask(agreed)), once);
    assert_eq!(why(round.parties[0].agree(survivors.clone())), once);
    // The same masks never come onto other numbers; and after a step out of turn there is no other one.
    assert_eq!(why(round.parties[1].masked(vec![], &[2.0])), once);
    assert_eq!(why(round.parties[1].agree(survivors)), once);
}

#[test]
fn nobody_makes_a_site_tell_both_secrets_of_another() {
    let numbers = vec![vec![1.0]; 5];
    let mut round = Round::new(terms(5, 3), &numbers, &[]).unwrap();
    // Two lists of survivors, each told to some of the sites: each site says what it was told, and the others see it.
    let lists = [names(5), names(3)];
    let digest = |round: &mut Round, site: usize, list: usize| round.parties[site].agree(lists[list].clone()).unwrap();
    let mut agreed: Said = vec![];
    for site in 0..5 {
        let list = usize::from(site < 2);
        agreed.push((format!("site{site}"), digest(&mut round, site, list).to_vec()));
    }
    for site in 0..5 {
        assert!(why(round.parties[site].unmask(agreed.clone())).contains("was told of other sites"));
    }
    // A site whose part has arrived does not take part where that is said not to be so.
    let mut round = Round::new(terms(5, 3), &numbers, &[]).unwrap();
    assert!(why(round.parties[4].agree(names(3))).contains("told that they have not arrived"));
    assert!(why(round.parties[0].agree(names(2))).contains("only 2 sites take part"));
}

#[test]
fn keys_that_are_not_each_sites_own_are_refused() {
    let terms = terms(3, 2);
    let refused = |change: &dyn Fn(&mut Said)| {
        let mut parties = parties(&terms, 3);
        let mut keys = said(&parties);
        change(&mut keys);
        why(parties[0].shares(keys))
    };
    assert_eq!(refused(&|keys| keys[2].1 = keys[1].1.clone()), "the site 'site2' has said the keys of another one");
    assert_eq!(refused(&|keys| keys[2].0 = "site1".to_owned()), "the site 'site1' is named twice");
    assert_eq!(
        refused(&|keys| keys[2].0 = "elsewhere".to_owned()),
        "something is said in the place of who is no site of this sum"
    );
    assert_eq!(refused(&|keys| drop(keys.drain(1..))), "only 1 sites take part, and this sum is over 2 at least");
    assert_eq!(refused(&|keys| drop(keys.remove(0))), "its own keys are not among those of the sites");
    assert_eq!(refused(&|keys| keys[1].1[..32].fill(0)), "the site 'site1' has said a key that hides nothing");
}

#[test]
fn shares_are_for_one_site_in_one_sum() {
    let terms = terms(3, 2);
    let mut parties = parties(&terms, 3);
    let keys = said(&parties);
    let shares: Vec<_> =
        (0..3).map(|site| (keys[site].0.clone(), parties[site].shares(keys.clone()).unwrap())).collect();
    // Those for another site.
    let wrong = given_to("site1", &shares);
    assert!(why(parties[0].masked(wrong, &[1.0])).contains("was changed on its way"));
    let mut fewer = given_to("site1", &shares);
    fewer.remove(1);
    assert_eq!(why(parties[1].masked(fewer, &[1.0])), "its own shares are not among those of the sites");
}

#[test]
fn numbers_are_counted_with_or_refused() {
    let masked = |number: f64| {
        let terms = terms(2, 2);
        let numbers = vec![vec![number]; 2];
        Round::new(terms, &numbers, &[]).and_then(|mut round| round.total(|_| false))
    };
    assert_eq!(masked(1e6).unwrap(), [2e6]);
    assert_eq!(masked(-1e6).unwrap(), [-2e6]);
    for number in [1000000.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        assert!(why(masked(number)).starts_with("a number is none, or farther from 0 than bound=1000000"));
    }
}

/// The bound is the application's choice: by asking with one after the other it would learn what a site has, if it saw which
/// site is beyond it, or what the others come to without that one.
#[test]
fn a_number_beyond_the_bound_spoils_the_sum_and_nothing_shows_whose_it_is() {
    let round = |beyond: &[usize]| {
        let number = |site| if beyond.contains(&site) { 2e6 } else { 0.0 };
        Round::new(terms(4, 3), &(0..4).map(|site| vec![number(site); 4096]).collect::<Vec<_>>(), &[]).unwrap()
    };
    let honest = round(&[]);
    for beyond in [&[1][..], &[0, 2], &[0, 1, 2, 3]] {
        // Each site takes each of its steps, as one does whose numbers are within the bound.
        let mut round = round(beyond);
        assert_eq!(beyond, (0..4).filter(|site| round.parties[*site].spoils()).collect::<Vec<_>>());
        assert!(why(round.total(|_| false)).starts_with("a number is none, or farther from 0 than bound=1000000"));
        // Who adds up sees what is random, and not what the others have.
        for ((_, own), (_, zeros)) in round.masked.iter().zip(&honest.masked).filter(|(one, other)| one != other) {
            let pairs = own.chunks_exact(8).zip(zeros.chunks_exact(8));
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            let added: Vec<u8> =
                pairs.flat_map(|(own, zero)| number(own).wrapping_sub(number(zero)).to_le_bytes()).collect();
            assert!(distance(&added) < 400.0);
        }
        let changed = (0..4).filter(|site| round.masked[*site] != honest.masked[*site]);
        assert_eq!(changed.collect::<Vec<_>>(), beyond);
    }
}

/// Of two groups that are told of different contributions, each site that deceives is in both, and tells each what it wants
/// to hear. One that has both totals has what the first site adds.
#[test]
fn as_many_sites_that_deceive_as_a_sum_withstands_learn_nothing_and_one_more_would() {
    for count in 2..7 {
        for least in count / 2 + 1..=count {
            let withstood = terms(count, least).dishonest();
            for dishonest in 0..count - 1 {
                let learnt = (1..count - dishonest).any(|first| is_learnt(count, least, dishonest, first));
                // Without the first site, there have to be enough for a sum.
                assert_eq!(learnt, dishonest > withstood && least < count, "{dishonest} of {count}, {least} needed");
            }
        }
    }
}

/// Whether the last sites, which are `dishonest`, learn what the first one adds, when the `first` honest ones are told of
/// all contributions, and the other honest ones of all but that.
fn is_learnt(count: usize, least: usize, dishonest: usize, first: usize) -> bool {
    let numbers: Vec<Vec<f64>> = (0..count).map(|site| vec![f64::from(1 << site)]).collect();
    // What deceives takes its steps twice.
    let mut rounds = [0, 1].map(|_| Round::new(terms(count, least), &numbers, &[]).unwrap());
    let honest = count - dishonest;
    let totals = [(0..first, 0), (first..honest, 1)].map(|(group, without)| {
        let round = &mut rounds[without];
        let survivors = names(count)[without..].to_vec();
        let told = told_in_group(round, group.chain(honest..count).collect(), &survivors)?;
        total(&round.terms, round.keys.clone(), survivors, &add(&round.masked[without..])?, told)
    });
    matches!(totals, [Ok(all), Ok(others)] if (all[0] - others[0] - numbers[0][0]).abs() < 1e-2)
}

/// What the sites of a group tell that says among itself that these are the survivors.
fn told_in_group(round: &mut Round, group: Vec<usize>, survivors: &[String]) -> Result<Said, Refused> {
    let mut agreed = vec![];
    for site in &group {
        agreed.push((format!("site{site}"), round.parties[*site].agree(survivors.to_vec())?.to_vec()));
    }
    let tell = |site: usize| Ok((format!("site{site}"), round.parties[site].unmask(agreed.clone())?));
    group.into_iter().map(tell).collect()
}

#[test]
fn masks_of_lost_sites_are_made_again_for_so_many_numbers_only() {
    let lost: Vec<usize> = (0..120).map(|site| if site < 55 { 2 } else { 9 }).collect();
    let mut round = Round::new(terms(120, 61), &vec![vec![]; 120], &lost).unwrap();
    let told = round.told(|_| false).unwrap();
    let sum = vec![0; ((1 << 35) / (55 * 65) + 1) * 8];
    let outcome = total(&round.terms, round.keys.clone(), round.survivors(), &sum, told);
    assert_eq!(
        why(outcome),
        "55 sites are lost, whose masks with 65 others are of 9611116 numbers each: more than 34359738368 in all are \
         not made again; sum fewer numbers, or over fewer sites"
    );
}

#[test]
fn terms_hide_numbers_or_are_refused() {
    let of = |sites, least, bound, precision| why(Terms::new("", names(sites), least, bound, precision));
    assert!(of(4, 2, 1.0, 0.1).ends_with("say at_least=3 or more"));
    assert!(of(3, 4, 1.0, 0.1).starts_with("at_least=4 of 3 sites"));
    assert!(of(1, 1, 1.0, 0.1).ends_with("and here are 1"));
    assert!(of(256, 200, 1.0, 0.1).ends_with("and here are 256"));
    assert!(of(3, 2, 1e12, 1e-6).contains("too many digits"));
    for (bound, precision) in
        [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (1e300, 1e-310)]
    {
        assert!(of(3, 2, bound, precision).ends_with("both are numbers above 0"), "{bound} {precision}");
    }
    // What it says would do does.
    let told = of(3, 2, 1e12, 1e-6);
    let bound: f64 = told.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(Terms::new("", names(3), 2, bound, 1e-6).is_ok());
}
