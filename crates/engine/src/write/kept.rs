//! How many bytes of the log published keys take on a day of arrival, so that they do not fill the disk.
//!
//! In: the bytes of what was handed to the log, by whom it came. Out: whether there is room for more (`room.rs` asks). The counts are
//! memory of the process: the log has what was kept and how many records were only counted, so a replay needs none, and a
//! restart begins a new count.

use std::collections::HashMap;
use std::hash::Hash;

use accrue_event::{DAY_MS, Timestamp};

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
