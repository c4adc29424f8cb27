//! What do two sites derive from their keys, and how does a mask come onto numbers?

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::shares::Secret;

/// How many numbers are masked at a time.
const CHUNK: usize = 512;

/// The key that two sites, and nobody else, have for a purpose in the sum with this digest; `None` for a public key of which
/// everybody would know what comes out.
pub(crate) fn shared(own: &StaticSecret, other: &[u8; 32], sum: &[u8; 32], purpose: &[u8]) -> Option<Secret> {
    let secret = own.diffie_hellman(&PublicKey::from(*other));
    secret.was_contributory().then(|| derived(secret.as_bytes(), sum, purpose))
}

/// A key for a purpose in the sum with this digest.
pub(crate) fn derived(secret: &Secret, sum: &[u8; 32], purpose: &[u8]) -> Secret {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(Some(sum), secret).expand(purpose, &mut key);
    expanded.expect("32 bytes are not too many");
    key
}

/// Adds the mask of a key to numbers, or takes it off.
pub(crate) fn mask(numbers: &mut [u64], key: &Secret, add: bool) {
    let mut stream = ChaCha20::new(key.into(), &[0; 12].into());
    let mut bytes = [0; CHUNK * 8];
    for chunk in numbers.chunks_mut(CHUNK) {
        let bytes = &mut bytes[..chunk.len() * 8];
        bytes.fill(0);
        stream.apply_keystream(bytes);
        for (number, part) in chunk.iter_mut().zip(bytes.chunks_exact(8)) {
            let part = u64::from_le_bytes(part.try_into().expect("they are 8"));
            *number = if add { number.wrapping_add(part) } else { number.wrapping_sub(part) };
        }
    }
}

/// Masks numbers of the site `own` by the key that it has with the site `other`: what the one adds, the other takes off.
pub(crate) fn mask_between(numbers: &mut [u64], key: &Secret, own: usize, other: usize) {
    mask(numbers, key, own < other);
}
