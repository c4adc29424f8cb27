//! What do all contributions come to, once the sites have told their shares?

use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::masks::{derived, mask, mask_between, shared};
use crate::party::{KEYS, MASK, OF_KEY, OF_OWN_MASK, TOLD, masking_key};
use crate::shares::{Secret, secret};
use crate::terms::{Refused, Terms, refused};

/// Masks between lost sites and others are made again for at most so many numbers, which takes minutes.
const MOST_MADE_AGAIN: usize = 1 << 35;

/// The sum of contributions, still masked.
///
/// # Errors
/// They are not of one length.
pub fn add<B: AsRef<[u8]>>(masked: &[(String, B)]) -> Result<Vec<u8>, Refused> {
    let Some((first, rest)) = masked.split_first() else { return refused("there is no contribution") };
    let mut sum = units(first.1.as_ref())?;
    for (site, numbers) in rest {
        let numbers = units(numbers.as_ref())?;
        if numbers.len() != sum.len() {
            return refused(format!(
                "the site '{site}' gives {} numbers, and '{}' gives {}",
                numbers.len(),
                first.0,
                sum.len()
            ));
        }
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum = sum.wrapping_add(number);
        }
    }
    Ok(sum.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// The sum without masks: of the `survivors`' contributions, which are `added`. `keys` are those that sites have said,
/// and `told` the last messages of survivors.
///
/// # Errors
/// Too few have told their shares, or what they tell does not fit what was said before; a site has spoilt the sum; or the
/// masks of lost sites are too many to be made again.
pub fn total(
    terms: &Terms,
    keys: Vec<(String, Vec<u8>)>,
    survivors: Vec<String>,
    added: &[u8],
    told: Vec<(String, Vec<u8>)>,
) -> Result<Vec<f64>, Refused> {
    let keys = terms.by_site(keys)?;
    let survivors = terms.by_site(survivors.into_iter().map(|site| (site, ())))?;
    let told = terms.by_site(told)?;
    let mut sum = units(added)?;
    for (site, said) in told.iter().enumerate().filter_map(|(site, said)| Some((site, said.as_ref()?))) {
        if !is_last_message(said, &survivors) {
            return refused(format!("what the site '{}' tells in the end are no shares", terms.sites[site]));
        }
    }
    let count = |of: &dyn Fn(usize) -> bool| (0..survivors.len()).filter(|site| of(*site)).count();
    let there = count(&|site| survivors[site].is_some());
    let lost = count(&|site| survivors[site].is_none() && keys[site].is_some());
    if lost * there * sum.len() > MOST_MADE_AGAIN {
        return refused(format!(
            "{lost} sites are lost, whose masks with {there} others are of {} numbers each: more than \
             {MOST_MADE_AGAIN} in all are not made again; sum fewer numbers, or over fewer sites",
            sum.len()
        ));
    }
    let key = |site: usize| -> Result<[u8; KEYS], Refused> {
        let said = keys[site].clone().and_then(|said| said.try_into().ok());
        said.ok_or_else(|| Refused(format!("the site '{}' has said no keys", terms.sites[site])))
    };
    for (site, survives) in survivors.iter().enumerate() {
        let kind = if survives.is_some() { OF_OWN_MASK } else { OF_KEY };
        let shares = shares_of(terms, &told, site, kind);
        if survives.is_none() && shares.is_empty() {
            continue; // it was lost before anybody masked anything with it
        }
        let Some(shares) = shares.get(..terms.least) else {
            return refused(format!("too few sites tell what masks '{}' has used", terms.sites[site]));
        };
        let (found, said) = (secret(shares), key(site)?);
        let unfit =
            || refused(format!("what sites tell of the masks of '{}' does not fit its keys", terms.sites[site]));
        if survives.is_some() {
            if Sha256::digest(found)[..] != said[64..] {
                return unfit();
            }
            mask(&mut sum, &derived(&found, &terms.digest, MASK), false);
            continue;
        }
        let found = StaticSecret::from(found);
        if PublicKey::from(&found).as_bytes() != masking_key(&said) {
            return unfit();
        }
        for other in (0..survivors.len()).filter(|other| survivors[*other].is_some()) {
            let Some(key) = shared(&found, masking_key(&key(other)?), &terms.digest, MASK) else { return unfit() };
            // What the lost one would have done cancels what the other one has done.
            mask_between(&mut sum, &key, site, other);
        }
    }
    if sum.pop() != Some(0) {
        return refused(format!(
            "a number is none, or farther from 0 than bound={} says that all are, at a site that nobody is told of; its \
             own audit names it",
            terms.bound()
        ));
    }
    Ok(sum.into_iter().map(|units| terms.number_of(units)).collect())
}

/// Whether a survivor's last message has a share of what each site's masks are taken off with; a lost site may have given
/// it none.
fn is_last_message(said: &[u8], survivors: &[Option<()>]) -> bool {
    let fits = |(share, survives): (&[u8], &Option<()>)| match survives {
        Some(()) => share[0] == OF_OWN_MASK,
        None => share[0] == OF_KEY || share.iter().all(|byte| *byte == 0),
    };
    said.len() == survivors.len() * TOLD && said.chunks_exact(TOLD).zip(survivors).all(fits)
}

/// The shares of one secret of a site that were told, each with the place of who tells it.
fn shares_of(terms: &Terms, told: &[Option<Vec<u8>>], site: usize, kind: u8) -> Vec<(u8, Secret)> {
    let of = |(teller, said): (usize, &Option<Vec<u8>>)| {
        let said = said.as_ref()?.get(site * TOLD..(site + 1) * TOLD)?;
        (said[0] == kind).then(|| (teller as u8 + 1, said[1..].try_into().expect("it has 32 bytes")))
    };
    told.iter().enumerate().filter_map(of).take(terms.least).collect()
}

fn units(bytes: &[u8]) -> Result<Vec<u64>, Refused> {
    if !bytes.len().is_multiple_of(8) {
        return refused("a contribution is cut short");
    }
    Ok(bytes.chunks_exact(8).map(|part| u64::from_le_bytes(part.try_into().expect("they are 8"))).collect())
}
