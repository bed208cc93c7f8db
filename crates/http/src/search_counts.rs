//! What was searched for since the server began.
//!
//! In: each search that is answered. Out: the most frequent words, and those that found nothing. The counts are in memory,
//! bounded, and begin anew after a restart, and when a person is forgotten, because nothing in them says whose searches
//! they were. A query that few ask for may be missing among them; the counts of those that many ask for are exact from
//! when they were first seen.
//!
//! What one person typed is theirs: a text is told from [`VISITORS`] different visitors on. A search without a user and a
//! session counts as one of a visitor of its own.

use std::collections::HashMap;

use accrue_event::normalised;
use parking_lot::{Mutex, MutexGuard};

/// Queries that are counted. When there are that many, those are forgotten that were asked for as often as the median, or
/// less: half of them or more.
const MAX_QUERIES: usize = 4_096;
/// Longest query that is counted, in bytes.
const MAX_BYTES: usize = 100;
/// Visitors without whom a text is not told.
pub(super) const VISITORS: usize = 3;

/// The searches of a server since its start.
#[derive(Default)]
pub(super) struct SearchCounts(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_words: HashMap<Box<str>, Count>,
    n: u64,
    n_without: u64,
    /// How often people were being forgotten when the counts began.
    n_erasures: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) n: u64,
    pub(super) n_without: u64,
    /// Hashes of different visitors, up to [`VISITORS`].
    visitors: [u64; VISITORS],
    n_visitors: usize,
}

impl Count {
    fn add(&mut self, visitor: Option<u64>, found_nothing: bool) {
        self.n += 1;
        self.n_without += u64::from(found_nothing);
        let is_known = visitor.is_some_and(|visitor| self.visitors[..self.n_visitors].contains(&visitor));
        if !is_known && self.n_visitors < VISITORS {
            self.visitors[self.n_visitors] = visitor.unwrap_or_default();
            self.n_visitors += 1;
        }
    }
}

impl SearchCounts {
    /// Counts a search that was answered. `n_erasures` is how often people were forgotten so far.
    pub(super) fn add(&self, query: &str, visitor: Option<u64>, found_nothing: bool, n_erasures: u64) {
        if query.trim().is_empty() || query.len() > MAX_BYTES {
            return;
        }
        let folded = normalised(query);
        let words = folded.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut counts = self.since(n_erasures);
        counts.n += 1;
        counts.n_without += u64::from(found_nothing);
        if counts.by_words.len() >= MAX_QUERIES && !counts.by_words.contains_key(&*words) {
            counts.forget_rare();
        }
        counts.by_words.entry(words.into()).or_default().add(visitor, found_nothing);
    }

    /// The counts; without words if people were forgotten since.
    fn since(&self, n_erasures: u64) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock();
        if counts.n_erasures != n_erasures {
            counts.by_words.clear();
            counts.n_erasures = n_erasures;
        }
        counts
    }

    /// How many searches were answered, and how many of them found nothing.
    pub(super) fn totals(&self) -> (u64, u64) {
        let counts = self.0.lock();
        (counts.n, counts.n_without)
    }

    /// The queries that were asked for most, by `of`, with their counts.
    pub(super) fn most(&self, n: usize, n_erasures: u64, of: impl Fn(&Count) -> u64) -> Vec<(Box<str>, Count)> {
        let counts = self.since(n_erasures);
        let is_told = |count: &Count| count.n_visitors >= VISITORS && of(count) > 0;
        let mut all: Vec<_> = counts.by_words.iter().filter(|(_, count)| is_told(count)).collect();
        all.sort_unstable_by(|a, b| of(b.1).cmp(&of(a.1)).then(a.0.cmp(b.0)));
        all.into_iter().take(n).map(|(words, count)| (words.clone(), *count)).collect()
    }
}

impl Counts {
    fn forget_rare(&mut self) {
        let mut counts: Vec<u64> = self.by_words.values().map(|count| count.n).collect();
        let (_, median, _) = counts.select_nth_unstable(MAX_QUERIES / 2);
        let median = *median;
        self.by_words.retain(|_, count| count.n > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_searches_stay_counted_among_many_rare_ones() {
        let counts = SearchCounts::default();
        for n in 0..20_000 {
            counts.add(&format!("rare {n}"), None, n % 2 == 0, 0);
            if n % 10 == 0 {
                counts.add("  Red  MUG ", Some(n), false, 0);
            }
        }
        counts.add(" ", None, true, 0);
        counts.add(&"x".repeat(MAX_BYTES + 1), None, true, 0);
        {
            let counted = counts.0.lock();
            assert!(counted.by_words.len() <= MAX_QUERIES);
            assert_eq!((counted.n, counted.n_without), (22_000, 10_000));
        }
        let most = counts.most(2, 0, |count| count.n);
        assert_eq!((&*most[0].0, most[0].1.n, most[0].1.n_without), ("red mug", 2_000, 0));
        assert_eq!(most.len(), 1);
    }

    #[test]
    fn what_one_person_typed_is_not_listed_and_everything_goes_when_a_person_is_forgotten() {
        let counts = SearchCounts::default();
        (0..50).for_each(|_| counts.add("my own name", Some(1), true, 0));
        counts.add("my own name", Some(2), true, 0);
        assert!(counts.most(9, 0, |count| count.n).is_empty());
        (3..5).for_each(|visitor| counts.add("red mug", Some(visitor), true, 0));
        counts.add("red mug", None, false, 0);
        let told = |n_erasures| counts.most(9, n_erasures, |count| count.n_without);
        assert_eq!(
            told(0).iter().map(|(words, count)| (&**words, count.n_without)).collect::<Vec<_>>(),
            [("red mug", 2)]
        );
        assert!(told(1).is_empty(), "an erasure began");
        (3..6).for_each(|visitor| counts.add("red mug", Some(visitor), true, 1));
        assert_eq!(told(1).len(), 1);
    }
}
