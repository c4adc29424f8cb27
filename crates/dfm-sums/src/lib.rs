//! How do sites add up numbers that none of them shows?
//!
//! The scheme is that of Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (2017).
//! Each two sites agree on a mask, which one of them adds to its numbers and the other one subtracts; each site adds one
//! more of its own. What a site gives is as good as random, and in the sum of all the masks between two sites are gone. Of
//! its secrets each site gives the others shares, so that the masks of one that is lost can be made again, and in the end
//! those that the others have added for themselves. A site tells its share of only one of another site's two secrets, so
//! that nobody can take all masks off one contribution.
//!
//! A [`Party`] is one site in one sum. It trusts nothing that it is told, and once something is wrong it is over. It knows
//! no network and no clock and draws no random numbers: its secrets come from a seed. Who has signed what it is told is
//! for its caller to check.
//!
//! Whether a site's numbers are within the bound of a sum is for nobody to see, as the bound is anybody's choice: a site
//! with others spoils the sum by a mask that nobody takes off, and only who adds up sees that it is spoilt.

mod masks;
mod party;
mod shares;
mod terms;
mod total;

pub use party::{KEYS, Party};
pub use terms::{MOST_SITES, Refused, Terms, least_against};
pub use total::{add, total};
