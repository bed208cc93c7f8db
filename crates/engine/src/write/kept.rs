//! How many bytes of the log published keys take on a day of arrival, so that they do not fill the disk.
//!
//! In: the bytes of what was handed to the log, by whom it came. Out: whether there is room for more. The counts are
//! memory of the process: the log has what was kept and how many records were only counted, so a replay needs none, and a
//! restart begins a new count.

use std::collections::HashMap;
use std::hash::Hash;

use accrue_event::{DAY_MS, RawEvent, Reason, Timestamp};
use accrue_store::{Body, PublishedRecord};

use super::addresses::site;
use super::batch::{Incoming, Ingested, Refused, Sender};
use super::group::NewInGroup;
use super::writer::Writer;
use crate::clock::Arrival;
use crate::error::EngineError;

/// Those of a key that one address may take: a part of this many.
const PARTS_OF_ADDRESSES: u64 = 16;
/// Keys or addresses that are counted; those that come later are counted with the key alone.
const MAX_COUNTED: usize = 100_000;

/// Bytes of the current day, by key, or by key and address.
#[derive(Debug)]
pub(crate) struct KeptBytes<K> {
    day: i64,
    /// Only looked up.
    of_keys: HashMap<K, u64>,
}

impl<K> Default for KeptBytes<K> {
    fn default() -> Self {
        Self { day: 0, of_keys: HashMap::new() }
    }
}

impl<K: Eq + Hash> KeptBytes<K> {
    /// Whether the key has taken `most` bytes on the day of this time; 0 is no bound.
    pub fn is_full(&mut self, key: &K, at: Timestamp, most: u64) -> bool {
        self.begin_day(at);
        most > 0 && self.of_keys.get(key).is_some_and(|n_bytes| *n_bytes >= most)
    }

    /// Counts bytes of a key.
    pub fn add(&mut self, key: K, at: Timestamp, n_bytes: u64) {
        self.begin_day(at);
        if self.of_keys.len() < MAX_COUNTED || self.of_keys.contains_key(&key) {
            *self.of_keys.entry(key).or_default() += n_bytes;
        }
    }

    fn begin_day(&mut self, at: Timestamp) {
        let day = at.0.div_euclid(DAY_MS);
        if day != self.day {
            *self = Self { day, of_keys: HashMap::new() };
        }
    }
}

impl Writer {
    /// [`Writer::judge`] for a batch whose key may have left as many bytes in the log on this day as
    /// `check.published.kept_bytes_per_day` says, or whose address its part of them: then its records are counted and not kept.
    pub fn judge_if_room(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        sender: &Sender,
        arrival: Arrival,
        group: &mut NewInGroup,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let Sender::Published { namespace, address } = sender else {
            return self.judge(batch, sender, arrival, group, bodies);
        };
        let most = self.check.settings().published.kept_bytes_per_day;
        // All networks of one /48 may be one customer's.
        let of_address = address.map(|address| (namespace.clone(), site(address).unwrap_or(address)));
        let part = most / PARTS_OF_ADDRESSES;
        let is_full = |of_address| self.kept_of_addresses.is_full(of_address, arrival.stamp, part);
        if of_address.as_ref().is_some_and(is_full) || self.kept.is_full(namespace, arrival.stamp, most) {
            return Ok(count_only(batch.len(), most, bodies));
        }
        let before = bodies.len();
        let judged = self.judge(batch, sender, arrival, group, bodies)?;
        let n_bytes = bodies[before..].iter().map(Body::n_bytes).sum();
        self.kept.add(namespace.clone(), arrival.stamp, n_bytes);
        of_address.into_iter().for_each(|of_address| self.kept_of_addresses.add(of_address, arrival.stamp, n_bytes));
        Ok(judged)
    }
}

/// The outcome of a batch that is only counted: one small record says how many events there were.
fn count_only(n_events: usize, most: u64, bodies: &mut Vec<Body>) -> (Ingested, usize) {
    let reason = Reason::TooManyBytes.code();
    let detail = format!(
        "the events of this key took {most} bytes of the log today (check.published.kept_bytes_per_day), or those of its address a \
         part of them; further ones are counted and not kept until the next day of UTC"
    );
    let refused = |index| Refused { index, reason: reason.into(), detail: detail.clone() };
    let outcome = Ingested { quarantined: (0..n_events).map(refused).collect(), ..Ingested::default() };
    let counted = vec![(reason.into(), n_events as u64)];
    bodies.push(Body::Published(Box::new(PublishedRecord::Refusals { kept: 0, counted })));
    (outcome, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_bytes_of_a_day() {
        let mut kept = KeptBytes::default();
        let at = |day: i64| Timestamp(day * DAY_MS + 7);
        kept.add("web", at(1), 60);
        kept.add("web", at(1), 50);
        kept.add("app", at(1), 99);
        assert_eq!(["web", "app", "new"].map(|key| kept.is_full(&key, at(1), 100)), [true, false, false]);
        assert!(!kept.is_full(&"web", at(1), 0), "no bound");
        assert!(!kept.is_full(&"web", at(2), 100), "another day");
    }
}
