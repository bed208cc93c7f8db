//! Counts of the latest keys. Beyond a bound the oldest key is forgotten, so that a flood of new ones makes the counts
//! of others begin again, and never ends what depends on a count being known.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// What is known of each of the latest keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latest<K: Ord, V> {
    known: BTreeMap<K, V>,
    /// The keys in the order of their first appearance.
    order: VecDeque<K>,
    /// Keys that made room for others.
    pub n_dropped: u64,
}

impl<K: Ord, V> Default for Latest<K, V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), n_dropped: 0 }
    }
}

impl<K: Ord + Copy, V: Default> Latest<K, V> {
    pub fn get(&self, key: K) -> Option<&V> {
        self.known.get(&key)
    }

    /// What is known of a key, which is among the `most` latest from here on.
    pub fn entry(&mut self, key: K, most: usize) -> &mut V {
        if !self.known.contains_key(&key) {
            while self.order.len() >= most
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
                self.n_dropped += 1;
            }
            self.order.push_back(key);
        }
        self.known.entry(key).or_default()
    }

    /// Forgets the oldest keys as long as `is_over` says so.
    pub fn forget_while(&mut self, is_over: impl Fn(&V) -> bool) {
        while let Some(oldest) = self.order.front()
            && self.known.get(oldest).is_none_or(&is_over)
        {
            self.known.remove(oldest);
            self.order.pop_front();
        }
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.known.len(), self.order.len());
        self.order.len()
    }
}

impl<K: Ord + Copy, V> From<BTreeMap<K, V>> for Latest<K, V> {
    fn from(known: BTreeMap<K, V>) -> Self {
        Self { order: known.keys().copied().collect(), known, n_dropped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_keys_make_room() {
        let mut latest: Latest<u64, u16> = Latest::default();
        for key in [1, 2, 1, 3, 1, 4] {
            *latest.entry(key, 3) += 1;
        }
        assert_eq!([1, 2, 3, 4].map(|key| latest.get(key).copied()), [None, Some(1), Some(1), Some(1)]);
        assert_eq!((latest.len(), latest.n_dropped), (3, 1));
        *latest.entry(3, 3) = 9;
        latest.forget_while(|n| *n < 9);
        assert_eq!((latest.len(), latest.get(3), latest.get(4)), (2, Some(&9), Some(&1)));
    }
}
