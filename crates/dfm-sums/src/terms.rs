//! What do all sites of a sum know of it before it begins?

use std::collections::HashSet;
use std::fmt;

use sha2::{Digest, Sha256};

/// The most sites of a sum: shares are points of a curve over a field of 256 elements, and one is the secret.
pub const MOST_SITES: usize = 255;
/// The largest whole number up to which each has a float of its own.
const WHOLE: f64 = (1u64 << 53) as f64;
/// Sums stay below it, so that they are never taken for negative ones.
const HALF: f64 = (1u64 << 62) as f64;

/// Why a site takes no part, or a sum has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// How many of so many sites have to take part to the end so that so many of them may deceive.
pub fn least_against(dishonest: usize, count: usize) -> usize {
    (count + dishonest) / 2 + 1
}

pub(crate) fn refused<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// What a sum is about.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Each once, in the order that all of them know.
    pub(crate) sites: Vec<String>,
    /// With fewer sites there is no sum.
    pub(crate) least: usize,
    /// No number is farther from 0.
    bound: f64,
    /// What numbers are whole multiples of: a power of two, so that nothing is rounded twice.
    unit: f64,
    /// Another one for any other sum.
    pub(crate) digest: [u8; 32],
}

impl Terms {
    /// The terms of a sum over `sites`, which has a value as long as `least` of them take part to the end. `about` tells it
    /// from others. No number is farther from 0 than `bound`, and the sum is that of all numbers to within `precision`.
    ///
    /// # Errors
    /// They are no terms on which numbers stay hidden, or not of numbers that can be counted with.
    pub fn new(about: &str, sites: Vec<String>, least: usize, bound: f64, precision: f64) -> Result<Self, Refused> {
        let count = sites.len();
        if !(2..=MOST_SITES).contains(&count) {
            return refused(format!("a secure sum is over 2 to {MOST_SITES} sites, and here are {count}"));
        }
        let mut known = HashSet::new();
        if let Some(twice) = sites.iter().find(|site| !known.insert(site.as_str())) {
            return refused(format!("the site '{twice}' is named twice"));
        }
        if least > count || least * 2 <= count {
            return refused(format!(
                "at_least={least} of {count} sites: more than half of them have to take part to the end, or two groups \
                 could tell what no one may; say at_least={} or more",
                least_against(1, count)
            ));
        }
        let is_amount = |number: f64| number.is_normal() && number > 0.0;
        if !is_amount(bound) || !is_amount(precision) {
            return refused(format!("bound={bound} and precision={precision}: both are numbers above 0"));
        }
        // Each site is wrong by half a unit at most, so that all are wrong by half the precision.
        let unit = (precision / count as f64).log2().floor().exp2();
        let most = WHOLE.min(HALF / count as f64);
        if !is_amount(unit) || bound / unit > most {
            return refused(format!(
                "bound={bound} and precision={precision} have too many digits between them for a sum over {count} \
                 sites; with that precision, a bound may be {}",
                unit * most
            ));
        }
        let mut digest = Sha256::new();
        digest.update(b"dfm secure sum 1");
        for text in std::iter::once(about).chain(sites.iter().map(String::as_str)) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        digest.update((least as u64).to_le_bytes());
        digest.update(bound.to_le_bytes());
        digest.update(precision.to_le_bytes());
        Ok(Self { sites, least, bound, unit, digest: digest.finalize().into() })
    }

    /// How many sites that deceive it withstands: together with whoever adds up, they learn of the others no more than
    /// their total. One more could be of two groups, each of `least` sites, that are told of different contributions,
    /// and tell one secret of a site each.
    pub fn dishonest(&self) -> usize {
        2 * self.least - self.sites.len() - 1
    }

    /// Which of the sites has this name.
    ///
    /// # Errors
    /// None has.
    pub fn index(&self, site: &str) -> Result<usize, Refused> {
        let found = self.sites.iter().position(|one| one == site);
        found.ok_or_else(|| Refused("something is said in the place of who is no site of this sum".to_owned()))
    }

    /// What some of the sites say, one entry for each site.
    ///
    /// # Errors
    /// One of them is no site of the sum, says something twice, or too few say something.
    pub fn by_site<T>(&self, said: impl IntoIterator<Item = (String, T)>) -> Result<Vec<Option<T>>, Refused> {
        let mut found: Vec<Option<T>> = self.sites.iter().map(|_| None).collect();
        for (site, one) in said {
            let at = self.index(&site)?;
            if found[at].replace(one).is_some() {
                return refused(format!("the site '{site}' is named twice"));
            }
        }
        let count = found.iter().flatten().count();
        if count < self.least {
            let least = self.least;
            return refused(format!("only {count} sites take part, and this sum is over {least} at least"));
        }
        Ok(found)
    }

    /// A number in units.
    pub(crate) fn units_of(&self, number: f64) -> Option<u64> {
        // Of what is no number, no comparison holds.
        (number.abs() <= self.bound).then(|| (number / self.unit).round_ties_even() as i64 as u64)
    }

    /// The number that so many units are.
    pub(crate) fn number_of(&self, units: u64) -> f64 {
        units as i64 as f64 * self.unit
    }

    pub(crate) fn bound(&self) -> f64 {
        self.bound
    }
}
