//! What does one site do in a sum, step by step?

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::masks::{derived, mask, mask_between, shared};
use crate::shares::{Secret, share};
use crate::terms::{Refused, Terms, refused};

/// The bytes of a site's public keys: one to seal shares with, one for the masks, and the digest of its own mask's key.
pub const KEYS: usize = 96;
/// What a pair of shares is sealed to.
const SEALED: usize = 64 + 16;
/// Of each site, a survivor has in its last message which secret the share is of, and the share.
pub(crate) const TOLD: usize = 33;
pub(crate) const OF_OWN_MASK: u8 = 1;
pub(crate) const OF_KEY: u8 = 2;
pub(crate) const MASK: &[u8] = b"mask";
/// What nobody takes off.
const SPOILING: &[u8] = b"spoiling";

/// One site in one sum. Each of its steps is taken once, in their order.
pub struct Party {
    terms: Terms,
    own: usize,
    /// Opens the shares that other sites give it.
    sealing: StaticSecret,
    /// Makes the masks between two sites.
    masking: StaticSecret,
    /// Makes the mask of its own.
    own_mask: Secret,
    /// Makes what is random in shares.
    seed: Secret,
    spoils: bool,
    step: Step,
}

/// What a party waits for, and what it has to know for that.
enum Step {
    Keys,
    Shares { keys: Known },
    Survivors { keys: Known, held: Vec<Option<Held>> },
    Agreement { held: Vec<Option<Held>>, survivors: Vec<bool>, digest: [u8; 32] },
    Over,
}

/// The others' public keys.
struct Known {
    keys: Vec<Option<[u8; KEYS]>>,
    /// Of all of them: who has other ones is in another sum.
    digest: [u8; 32],
}

/// The shares of another site's secrets.
struct Held {
    own_mask: Secret,
    masking: Secret,
}

impl Party {
    /// The site of this name in a sum. Whoever knows the seed, which is never used again, knows all its secrets.
    ///
    /// # Errors
    /// It is no site of the sum.
    pub fn new(terms: Terms, site: &str, seed: Secret) -> Result<Self, Refused> {
        let own = terms.index(site)?;
        let secret = |purpose: &[u8]| derived(&seed, &terms.digest, purpose);
        let (sealing, masking) = (StaticSecret::from(secret(b"sealing")), StaticSecret::from(secret(b"masking")));
        let (own_mask, seed) = (secret(b"own mask"), secret(b"shares"));
        Ok(Self { terms, own, sealing, masking, own_mask, seed, spoils: false, step: Step::Keys })
    }

    /// Its public keys, for all others.
    pub fn keys(&self) -> [u8; KEYS] {
        let mut keys = [0; KEYS];
        keys[..32].copy_from_slice(PublicKey::from(&self.sealing).as_bytes());
        keys[32..64].copy_from_slice(PublicKey::from(&self.masking).as_bytes());
        keys[64..].copy_from_slice(&Sha256::digest(self.own_mask));
        keys
    }

    /// Takes the keys of all sites that take part, its own among them.
    ///
    /// # Errors
    /// They are not those of enough sites, each with keys of its own.
    pub fn shares(&mut self, keys: Vec<(String, Vec<u8>)>) -> Result<Vec<(String, Vec<u8>)>, Refused> {
        let Step::Keys = self.go_on() else { return out_of_turn() };
        let terms = &self.terms;
        let keys = known(terms, keys)?;
        if keys.keys[self.own] != Some(self.keys()) {
            return refused("its own keys are not among those of the sites");
        }
        let random = |of: &[u8]| -> Vec<Secret> {
            let purpose = |number: u64| [of, &number.to_le_bytes()].concat();
            (1..terms.least as u64).map(|number| derived(&self.seed, &terms.digest, &purpose(number))).collect()
        };
        let (for_mask, for_key) = (random(b"own mask"), random(b"masking"));
        let mut told = vec![];
        for (other, key) in keys.keys.iter().enumerate().filter_map(|(other, key)| Some((other, (*key)?))) {
            let at = other as u8 + 1;
            let held = [share(&self.own_mask, &for_mask, at), share(self.masking.as_bytes(), &for_key, at)];
            // What it gives itself comes back sealed like any other's: so a site has all that it needs from its messages.
            let key = self.sealing_key(&key, &keys.digest, self.own, other)?;
            let sealed = ChaCha20Poly1305::new(&key.into()).encrypt(&[0; 12].into(), held.concat().as_slice());
            told.push((terms.sites[other].clone(), sealed.expect("two shares are not too long")));
        }
        self.step = Step::Shares { keys };
        Ok(told)
    }

    /// Takes the shares that sites have given this one, its own among them, and masks its numbers. What comes of them has
    /// one number more, which is 0 under its masks unless the sum is spoilt.
    ///
    /// # Errors
    /// One of the shares was changed, or they are not of enough sites.
    pub fn masked(&mut self, shares: Vec<(String, Vec<u8>)>, numbers: &[f64]) -> Result<Vec<u8>, Refused> {
        let Step::Shares { keys } = self.go_on() else { return out_of_turn() };
        let terms = &self.terms;
        let shares = terms.by_site(shares)?;
        if shares[self.own].is_none() {
            return refused("its own shares are not among those of the sites");
        }
        let within: Option<Vec<u64>> = numbers.iter().map(|number| terms.units_of(*number)).collect();
        self.spoils = within.is_none();
        let mut units = within.unwrap_or_else(|| vec![0; numbers.len()]);
        units.push(0);
        if self.spoils {
            mask(&mut units, &derived(&self.seed, &terms.digest, SPOILING), true);
        }
        let mut held: Vec<Option<Held>> = vec![];
        for (other, sealed) in shares.into_iter().enumerate() {
            held.push(sealed.map(|sealed| self.open(&keys, other, &sealed)).transpose()?);
        }
        mask(&mut units, &derived(&self.own_mask, &terms.digest, MASK), true);
        for (other, key) in keys.keys.iter().enumerate() {
            if let (Some(key), Some(_), false) = (key, &held[other], other == self.own) {
                let key = shared(&self.masking, masking_key(key), &terms.digest, MASK);
                mask_between(&mut units, &key.ok_or_else(|| weak(terms, other))?, self.own, other);
            }
        }
        self.step = Step::Survivors { keys, held };
        Ok(units.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    /// Whether it has spoilt the sum: one of its numbers is none, or beyond the bound. That is for its own site to know.
    pub fn spoils(&self) -> bool {
        self.spoils
    }

    /// Takes the list of the sites whose contributions have arrived.
    ///
    /// # Returns
    /// What it has been told so far, as a digest: the others have to say the same.
    ///
    /// # Errors
    /// They are too few, this site is not among them, or one is that has shared nothing.
    pub fn agree(&mut self, survivors: Vec<String>) -> Result<[u8; 32], Refused> {
        let Step::Survivors { keys, held } = self.go_on() else { return out_of_turn() };
        let terms = &self.terms;
        let survivors = terms.by_site(survivors.into_iter().map(|site| (site, ())))?;
        if survivors[self.own].is_none() {
            return refused("it has given its numbers, and is told that they have not arrived");
        }
        let is_known = |at: usize| survivors[at].is_none() || held[at].is_some();
        if let Some(unknown) = (0..survivors.len()).find(|at| !is_known(*at)) {
            return refused(format!("the site '{}' has given a contribution, but no shares", terms.sites[unknown]));
        }
        let survivors: Vec<bool> = survivors.iter().map(Option::is_some).collect();
        let mut digest = Sha256::new();
        digest.update(keys.digest);
        for (survives, held) in survivors.iter().zip(&held) {
            digest.update([u8::from(*survives), u8::from(held.is_some())]);
        }
        let digest = digest.finalize().into();
        self.step = Step::Agreement { held, survivors, digest };
        Ok(digest)
    }

    /// Takes what the sites say that they were told.
    ///
    /// # Returns
    /// A share of one secret of each site: of its own mask if its contribution has arrived, else of its key.
    ///
    /// # Errors
    /// One of them was told something else, or too few say anything.
    pub fn unmask(&mut self, agreed: Vec<(String, Vec<u8>)>) -> Result<Vec<u8>, Refused> {
        let Step::Agreement { held, survivors, digest } = self.go_on() else { return out_of_turn() };
        let terms = &self.terms;
        for (other, said) in terms.by_site(agreed)?.into_iter().enumerate() {
            if said.as_ref().is_some_and(|said| *said != digest) {
                return refused(format!(
                    "the site '{}' was told of other sites, keys or contributions than this one",
                    terms.sites[other]
                ));
            }
            if said.is_some() && !survivors[other] {
                return refused(format!("the site '{}' has no say, as its part has not arrived", terms.sites[other]));
            }
        }
        let mut told = Vec::with_capacity(held.len() * TOLD);
        for (held, survives) in held.into_iter().zip(survivors) {
            let (kind, share) = match (held, survives) {
                (Some(held), true) => (OF_OWN_MASK, held.own_mask),
                (Some(held), false) => (OF_KEY, held.masking),
                (None, _) => (0, [0; 32]),
            };
            told.push(kind);
            told.extend(share);
        }
        Ok(told)
    }

    fn go_on(&mut self) -> Step {
        std::mem::replace(&mut self.step, Step::Over)
    }

    fn open(&self, keys: &Known, other: usize, sealed: &[u8]) -> Result<Held, Refused> {
        let site = &self.terms.sites[other];
        let Some(key) = &keys.keys[other] else {
            return refused(format!("the site '{site}' has shared its secrets, and said no keys"));
        };
        let key = self.sealing_key(key, &keys.digest, other, self.own)?;
        let wrong = || Refused(format!("what the site '{site}' has shared was changed on its way"));
        if sealed.len() != SEALED {
            return Err(wrong());
        }
        let opened = ChaCha20Poly1305::new(&key.into()).decrypt(&[0; 12].into(), sealed).map_err(|_| wrong())?;
        let part = |at: usize| opened[at..at + 32].try_into().expect("it has two shares");
        Ok(Held { own_mask: part(0), masking: part(32) })
    }

    /// The key for what one site shares with another, one of which this is. It is used once.
    fn sealing_key(&self, key: &[u8; KEYS], sum: &[u8; 32], from: usize, to: usize) -> Result<Secret, Refused> {
        let other = if from == self.own { to } else { from };
        let public = key[..32].try_into().expect("it has 96 bytes");
        let key = shared(&self.sealing, public, sum, &[b's', from as u8, to as u8]);
        key.ok_or_else(|| weak(&self.terms, other))
    }
}

/// The keys that sites have said.
///
/// # Errors
/// They are too few, not keys, or two sites have the same.
fn known(terms: &Terms, keys: Vec<(String, Vec<u8>)>) -> Result<Known, Refused> {
    let keys = terms.by_site(keys)?;
    let mut digest = Sha256::new();
    digest.update(terms.digest);
    let mut found: Vec<Option<[u8; KEYS]>> = vec![];
    for (at, said) in keys.into_iter().enumerate() {
        let site = &terms.sites[at];
        let key: Option<[u8; KEYS]> = match said {
            None => None,
            Some(said) => match said.try_into() {
                Ok(key) => Some(key),
                Err(_) => return refused(format!("what the site '{site}' has said are no keys")),
            },
        };
        if let Some(key) = &key
            && found.iter().flatten().any(|one| one[..32] == key[..32] || masking_key(one) == masking_key(key))
        {
            return refused(format!("the site '{site}' has said the keys of another one"));
        }
        digest.update([u8::from(key.is_some())]);
        digest.update(key.unwrap_or([0; KEYS]));
        found.push(key);
    }
    Ok(Known { keys: found, digest: digest.finalize().into() })
}

pub(crate) fn masking_key(keys: &[u8; KEYS]) -> &[u8; 32] {
    keys[32..64].try_into().expect("it has 96 bytes")
}

fn weak(terms: &Terms, site: usize) -> Refused {
    Refused(format!("the site '{}' has said a key that hides nothing", terms.sites[site]))
}

fn out_of_turn<T>() -> Result<T, Refused> {
    refused("this step of a secure sum is taken once, after those before it")
}
