//! Who is in which arm of an experiment.
//!
//! In: the hash of a shopper's name. Out: the arm, a function of the experiment's name, its shares and that hash alone: the same on every
//! visit, after every restart, and unrelated to other experiments. Pages and learning both use this function, so that they
//! mean the same shoppers.

use accrue_event::Shopper;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What traffic is split by: the same for a user on every visit, for a guest within their session.
pub fn shopper_hash(shopper: &Shopper) -> u64 {
    // Users and guests may share a name, and are others.
    match shopper {
        Shopper::User(user) | Shopper::PublishedUser(user) => xxh3_64_with_seed(user.as_str().as_bytes(), 1),
        Shopper::Guest(session) | Shopper::PublishedGuest(session) => xxh3_64_with_seed(session.as_str().as_bytes(), 2),
    }
}

/// Shoppers, split into arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The experiment's name; another one splits differently.
    pub experiment: Box<str>,
    /// The arms, in their order.
    pub arms: Vec<Share>,
}

/// An arm of a [`Split`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Its name.
    pub name: Box<str>,
    /// Its share of shoppers; those of all arms sum to 1.
    pub share: f64,
}

impl Split {
    /// The place of the arm that the shopper with this hash is in.
    ///
    /// # Panics
    /// If there is no arm.
    pub fn arm_of(&self, shopper: u64) -> usize {
        let hashed = xxh3_64_with_seed(self.experiment.as_bytes(), shopper);
        let at = (hashed >> 11) as f64 / (1_u64 << 53) as f64;
        let mut below = 0.0;
        let found = self.arms.iter().position(|arm| {
            below += arm.share;
            at < below
        });
        assert!(!self.arms.is_empty(), "a split has arms");
        // Shares may sum to a rounding less than 1.
        found.unwrap_or(self.arms.len() - 1)
    }
}
