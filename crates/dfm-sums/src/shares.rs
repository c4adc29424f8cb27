//! How is a secret parted so that so many parts give it back, and fewer tell nothing? (Shamir)
//!
//! Each byte of the secret is the value at 0 of a random curve over the field of 256 elements. A share has the values of
//! all 32 curves at its holder's place.

/// A secret of 32 bytes, or a share of one.
pub(crate) type Secret = [u8; 32];

/// The share of the one at the place `at`, from 1 on. The curves' other coefficients are `random`, as many as `least - 1`.
pub(crate) fn share(secret: &Secret, random: &[Secret], at: u8) -> Secret {
    let mut value = [0; 32];
    for coefficients in random.iter().rev().chain([secret]) {
        for (value, coefficient) in value.iter_mut().zip(coefficients) {
            *value = times(*value, at) ^ coefficient;
        }
    }
    value
}

/// The secret that shares are of, each with its place: all of them are used, so no more than needed are to be given.
pub(crate) fn secret(shares: &[(u8, Secret)]) -> Secret {
    let mut secret = [0; 32];
    for (at, share) in shares {
        // How much this place's value counts at 0, in Lagrange's form.
        let others = shares.iter().map(|(other, _)| *other).filter(|other| other != at);
        let weight = others.fold(1, |weight, other| times(weight, times(other, inverse(other ^ at))));
        for (byte, value) in secret.iter_mut().zip(share) {
            *byte ^= times(*value, weight);
        }
    }
    secret
}

/// The product in the field, in steps that do not depend on the numbers.
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        a = (a << 1) ^ (0x1b & (a >> 7).wrapping_neg());
        b >>= 1;
    }
    product
}

/// What gives 1 in a product with it: its power of 254.
fn inverse(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = times(times(power, power), a);
    }
    times(power, power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{inverse, secret, share, times};

    #[test]
    fn each_number_but_0_has_an_inverse() {
        for number in 1..=255 {
            assert_eq!(times(number, inverse(number)), 1);
        }
    }

    proptest! {
        #[test]
        fn any_shares_that_suffice_give_the_secret(
            hidden: [u8; 32],
            random in proptest::collection::vec(any::<[u8; 32]>(), 0..9),
            mut places in proptest::collection::hash_set(1u8.., 9),
        ) {
            let least = random.len() + 1;
            let places: Vec<u8> = places.drain().take(least).collect();
            let shares: Vec<_> = places.iter().map(|at| (*at, share(&hidden, &random, *at))).collect();
            prop_assert_eq!(secret(&shares), hidden);
        }

        /// For whatever secret one thinks of, there are coefficients with which it has the same shares: they tell nothing.
        #[test]
        fn fewer_shares_fit_every_secret(
            hidden: [u8; 32],
            other: [u8; 32],
            random in proptest::collection::vec(any::<[u8; 32]>(), 1..9),
        ) {
            let places = 1..=random.len() as u8;
            let shares: Vec<_> = places.map(|at| (at, share(&hidden, &random, at))).collect();
            let mut guessed = shares.clone();
            guessed.push((0, other));
            // The curve through the other secret and all of these shares is one of the curves that are drawn.
            let further: Vec<_> = shares.iter().map(|(at, _)| (*at, at_place(&guessed, *at))).collect();
            prop_assert_eq!(further, shares);
            prop_assert_eq!(at_place(&guessed, 0), other);
        }
    }

    /// The value at a place of the curve through points.
    fn at_place(points: &[(u8, [u8; 32])], place: u8) -> [u8; 32] {
        let moved: Vec<_> = points.iter().map(|(at, value)| (at ^ place, *value)).collect();
        match moved.iter().find(|(at, _)| *at == 0) {
            Some((_, value)) => *value,
            None => secret(&moved),
        }
    }
}
