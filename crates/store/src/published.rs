//! What published keys leave in the log and in the facts: keys that are in a page, so that anyone can send
//! events with them.
//!
//! In: records about their events. Out: the counts by which the writer limits them. The writer decides what has an
//! effect and writes it down; nothing here decides again, so that a replay reaches the same state.

use std::collections::BTreeMap;

use accrue_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::CheckedEvent;

const HOUR_MS: i64 = 3_600_000;

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

/// Why an event of a published key has no effect. The order of the variants is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InertReason {
    /// Neither the catalogue nor an event of the shop's own names the item.
    UnknownItem,
    /// The limit on guests that only events of published keys name is reached, so this one cannot be added.
    TooManyShoppers,
    /// It is a purchase or a return, which only the shop's own backend may report.
    Order,
    /// The limit on other sessions of its address that were about the item within the hour is reached.
    TooManySessions,
    /// The limit on impressions of its address within the hour is reached.
    TooManyImpressions,
}

impl InertReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::UnknownItem, Self::TooManyShoppers, Self::Order, Self::TooManySessions, Self::TooManyImpressions];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownItem => "unknown_item",
            Self::TooManyShoppers => "too_many_shoppers",
            Self::Order => "order",
            Self::TooManySessions => "too_many_sessions",
            Self::TooManyImpressions => "too_many_impressions",
        }
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
}

impl PublishedCounts {
    /// Counts a shopper that became known.
    pub fn add_shopper(&mut self, received_at: Timestamp) {
        self.n_shoppers += 1;
        self.shoppers.add(received_at, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
