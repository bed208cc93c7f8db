//! What published keys leave in the log and in the facts: keys that are in a page, so that anyone can send
//! events with them.
//!
//! In: records about their events. Out: the counts by which the writer limits them. The writer decides what has an
//! effect and writes it down; nothing here decides again, so that a replay reaches the same state.

use std::collections::BTreeMap;

use accrue_event::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::CheckedEvent;

const HOUR_MS: i64 = 3_600_000;

/// Days for which a guest of published keys has one of the places. After it the place is another guest's, and what is
/// known of the first one stays.
pub const PLACE_DAYS: i64 = 30;

/// A record about events of a published key. The order of the variants is part of the format: add at the end only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "a record is on its way to the log, and is not kept in memory")]
pub enum PublishedRecord {
    /// An event that is kept, so that it is known when it is sent again, and has no effect: an identity step.
    Inert {
        /// The event, without properties, search text and the record as it was sent.
        event: CheckedEvent,
        /// Why it has no effect.
        why: InertReason,
    },
    /// The refused records of one batch.
    Refusals {
        /// How many of them are in quarantine, each as a record of its own.
        kept: u64,
        /// Those that were only counted, by reason.
        counted: Vec<(Box<str>, u64)>,
    },
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Why an event of a published key has no effect. The order of the variants is part of the format: add at the end only.
    InertReason {
        /// Neither the catalogue nor an event of the shop's own names the item.
        UnknownItem => "unknown_item",
        /// The limit on guests that only events of published keys name is reached, so this one cannot be added.
        TooManyShoppers => "too_many_shoppers",
        /// It is a purchase or a return, which only the shop's own backend may report.
        Order => "order",
        /// The limit on other sessions of its address that were about the item within the hour is reached.
        TooManySessions => "too_many_sessions",
        /// The limit on impressions of its address within the hour is reached.
        TooManyImpressions => "too_many_impressions",
        /// Its address has brought as many guests within the hour as it may.
        TooManyGuestsOfAddress => "too_many_guests_of_address",
    }
}

/// A count within the current hour of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hourly {
    hour: i64,
    n: u64,
}

impl Hourly {
    /// The count in the hour of this time.
    pub fn at(&self, received_at: Timestamp) -> u64 {
        if self.hour == hour(received_at) { self.n } else { 0 }
    }

    /// Adds to the count.
    pub fn add(&mut self, received_at: Timestamp, n: u64) {
        *self = Self { hour: hour(received_at), n: self.at(received_at) + n };
    }
}

fn hour(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// What published keys have caused so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedCounts {
    /// Shoppers that became known by events of published keys.
    pub n_shoppers: u64,
    /// Those of the current hour.
    pub shoppers: Hourly,
    /// Refused records that were put into quarantine in the current hour.
    pub kept_refusals: Hourly,
    /// Refused records that were only counted.
    pub n_counted: u64,
    /// Events without effect, by reason.
    pub inert: BTreeMap<InertReason, u64>,
    /// The shoppers that became known on each of the latest days of arrival, counted from 1970: they have a place each.
    pub(crate) places: BTreeMap<i64, u64>,
}

impl PublishedCounts {
    /// Counts a shopper that became known.
    pub fn add_shopper(&mut self, received_at: Timestamp) {
        self.n_shoppers += 1;
        self.shoppers.add(received_at, 1);
        let today = day(received_at);
        // Records arrive in order, so what is over by now stays so.
        self.places.retain(|day, _| *day > today - PLACE_DAYS);
        *self.places.entry(today).or_default() += 1;
    }

    /// How many places are taken: the shoppers that became known within [`PLACE_DAYS`] days.
    pub fn n_places(&self, received_at: Timestamp) -> u64 {
        self.places.range(day(received_at) - PLACE_DAYS + 1..).map(|(_, n)| n).sum()
    }
}

/// The counts as builds wrote them in which a guest had its place for ever.
#[derive(Deserialize)]
pub(crate) struct FirstPublishedCounts {
    n_shoppers: u64,
    shoppers: Hourly,
    kept_refusals: Hourly,
    n_counted: u64,
    inert: BTreeMap<InertReason, u64>,
}

impl From<FirstPublishedCounts> for PublishedCounts {
    fn from(first: FirstPublishedCounts) -> Self {
        let FirstPublishedCounts { n_shoppers, shoppers, kept_refusals, n_counted, inert } = first;
        Self { n_shoppers, shoppers, kept_refusals, n_counted, inert, places: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_its_place_for_thirty_days() {
        let at = |day: i64| Timestamp(day * DAY_MS + 5);
        let mut counts = PublishedCounts::default();
        for day in 0..400 {
            (0..10).for_each(|_| counts.add_shopper(at(day)));
            assert_eq!(counts.n_places(at(day)), 10 * (day as u64 + 1).min(30));
        }
        assert_eq!((counts.n_shoppers, counts.places.len()), (4_000, 30));
        assert_eq!([400, 428, 429].map(|day| counts.n_places(at(day))), [290, 10, 0]);
    }

    #[test]
    fn a_count_begins_anew_with_each_hour() {
        let mut count = Hourly::default();
        count.add(Timestamp(10), 2);
        count.add(Timestamp(HOUR_MS - 1), 1);
        assert_eq!((count.at(Timestamp(5)), count.at(Timestamp(HOUR_MS))), (3, 0));
        count.add(Timestamp(HOUR_MS), 1);
        assert_eq!(count.at(Timestamp(HOUR_MS + 1)), 1);
    }
}
