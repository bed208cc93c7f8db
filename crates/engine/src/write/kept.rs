//! How many bytes of the log published keys take on a day of arrival, so that they do not fill the disk.
//!
//! In: the bytes of what was handed to the log, by whom it came. Out: whether there is room for more. The counts are
//! memory of the process: the log has what was kept and how many records were only counted, so a replay needs none, and a
//! restart begins a new count.

use accrue_event::{DAY_MS, RawEvent, Reason, Timestamp};
use accrue_store::{Body, PublishedRecord};

use super::batch::{Incoming, Ingested, Refused, Sender};
use super::group::NewInGroup;
use super::writer::Writer;
use crate::clock::Arrival;
use crate::error::EngineError;

/// Bytes of the current day, by key. There are as many keys as the settings name.
#[derive(Debug)]
pub(crate) struct KeptBytes<K> {
    day: i64,
    of_keys: Vec<(K, u64)>,
}

impl<K> Default for KeptBytes<K> {
    fn default() -> Self {
        Self { day: 0, of_keys: Vec::new() }
    }
}

impl<K: PartialEq> KeptBytes<K> {
    /// Whether the key has taken `most` bytes on the day of this time; 0 is no bound.
    pub fn is_full(&mut self, key: &K, at: Timestamp, most: u64) -> bool {
        self.begin_day(at);
        let n_bytes = self.of_keys.iter().find(|(known, _)| known == key).map_or(0, |(_, n)| *n);
        most > 0 && n_bytes >= most
    }

    /// Counts bytes of a key.
    pub fn add(&mut self, key: K, at: Timestamp, n_bytes: u64) {
        self.begin_day(at);
        match self.of_keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, n)) => *n += n_bytes,
            None => self.of_keys.push((key, n_bytes)),
        }
    }

    fn begin_day(&mut self, at: Timestamp) {
        let day = at.0.div_euclid(DAY_MS);
        if day != self.day {
            *self = Self { day, of_keys: Vec::new() };
        }
    }
}

impl Writer {
    /// [`Writer::judge`] for a batch whose key may have left as many bytes in the log on this day as
    /// `check.published.kept_bytes_per_day` says: then its records are counted and not kept.
    pub fn judge_if_room(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        sender: &Sender,
        arrival: Arrival,
        group: &mut NewInGroup,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let Sender::Published { namespace, .. } = sender else {
            return self.judge(batch, sender, arrival, group, bodies);
        };
        let most = self.check.settings().published.kept_bytes_per_day;
        if self.kept.is_full(namespace, arrival.stamp, most) {
            return Ok(count_only(batch.len(), most, bodies));
        }
        let before = bodies.len();
        let judged = self.judge(batch, sender, arrival, group, bodies)?;
        let n_bytes = bodies[before..].iter().map(Body::n_bytes).sum();
        self.kept.add(namespace.clone(), arrival.stamp, n_bytes);
        Ok(judged)
    }
}

/// The outcome of a batch that is only counted: one small record says how many events there were.
fn count_only(n_events: usize, most: u64, bodies: &mut Vec<Body>) -> (Ingested, usize) {
    let reason = Reason::TooManyBytes.code();
    let detail = format!(
        "the events of this key took {most} bytes of the log today (check.published.kept_bytes_per_day); further ones are \
         counted and not kept until the next day of UTC"
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
