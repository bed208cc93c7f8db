//! The names of shoppers in the vocabulary.

use accrue_event::{Shopper, UserId};

/// A shopper's name in the vocabulary. A user and a guest may have the same name, so the first letter distinguishes
/// them.
pub fn shopper_name(shopper: &Shopper) -> String {
    match shopper {
        Shopper::User(user) => user_name(user),
        Shopper::Guest(session) => guest_name(session.as_str()),
        Shopper::PublishedGuest(session) => format!("p{session}"),
        Shopper::PublishedUser(user) => format!("q{user}"),
    }
}

pub(super) fn user_name(user: &UserId) -> String {
    format!("u{user}")
}

pub(super) fn guest_name(session: &str) -> String {
    format!("g{session}")
}

/// The hash of a session's name, which histories keep.
pub fn session_hash(session: &str) -> u32 {
    xxhash_rust::xxh3::xxh3_64(session.as_bytes()) as u32
}
