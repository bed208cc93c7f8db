//! What was searched for since the server began.
//!
//! In: each search that is answered. Out: the most frequent words, and those that found nothing. The counts are in memory,
//! bounded, and begin anew after a restart, and when a person is forgotten, because nothing in them says whose searches
//! they were. A query that few ask for may be missing among them; the counts of those that many ask for are exact from
//! when they were first seen.
//!
//! What one person typed is theirs: a text is told from [`VISITORS`] different visitors on. A search without a user and a
//! session counts as one of a visitor of its own. Whoever reads a published key off a page can invent visitors, so with
//! such a key an address is one visitor, brings at most [`TEXTS_OF_ADDRESS`] texts a day, and counts at most
//! [`SEARCHES_OF_ADDRESS`] times a day for each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use accrue_engine::Asker;
use accrue_event::normalised;
use parking_lot::{Mutex, MutexGuard};

/// Queries that are counted. When there are that many, those are forgotten that were asked for as often as the median, or
/// less: half of them or more.
const MAX_QUERIES: usize = 4_096;
/// Longest query that is counted, in bytes.
const MAX_BYTES: usize = 100;
/// Visitors without whom a text is not told.
pub(super) const VISITORS: usize = 3;
/// Texts that the searches of one address with a published key bring within [`PERIOD`].
const TEXTS_OF_ADDRESS: usize = 128;
/// Searches for one text of one address with a published key that count within [`PERIOD`].
const SEARCHES_OF_ADDRESS: u32 = 20;
/// After this time every address counts anew.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Texts of addresses that are remembered; beyond that every address counts anew.
const MAX_PAIRS: usize = 65_536;

/// The searches of a server since its start.
#[derive(Default)]
pub(super) struct SearchCounts(Mutex<Counts>);

/// A search that was answered.
pub(super) struct AnsweredSearch<'q> {
    /// The caller.
    pub(super) asker: Asker,
    /// What was searched for.
    pub(super) query: &'q str,
    /// A hash of the shopper, if the request names one.
    pub(super) visitor: Option<u64>,
    /// Whether there was no hit.
    pub(super) found_nothing: bool,
}

#[derive(Default)]
struct Counts {
    by_words: HashMap<Box<str>, Count>,
    of_pages: OfPages,
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

/// What each address searched for with published keys, as far as it counted.
#[derive(Default)]
struct OfPages {
    /// Keyed, so that nobody chooses texts that are taken for others.
    hasher: RandomState,
    /// By address: how often each text was searched for, by its hash.
    by_address: HashMap<u64, HashMap<u64, u32>>,
    n_pairs: usize,
    since: Option<Instant>,
}

impl OfPages {
    /// The visitor that an address counts as, if its search for these words counts.
    fn admit(&mut self, address: Asker, words: &str, now: Instant) -> Option<u64> {
        let is_over = self.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD);
        if is_over || self.n_pairs >= MAX_PAIRS {
            (self.by_address, self.n_pairs, self.since) = (HashMap::new(), 0, Some(now));
        }
        let visitor = self.hasher.hash_one(address);
        let texts = self.by_address.entry(visitor).or_default();
        let (text, n_texts) = (self.hasher.hash_one(words), texts.len());
        match texts.get_mut(&text) {
            Some(n) if *n >= SEARCHES_OF_ADDRESS => return None,
            Some(n) => *n += 1,
            None if n_texts >= TEXTS_OF_ADDRESS => return None,
            None => {
                texts.insert(text, 1);
                self.n_pairs += 1;
            }
        }
        Some(visitor)
    }
}

impl SearchCounts {
    /// Counts a search that was answered. `n_erasures` is how often people were forgotten so far.
    pub(super) fn add(&self, answered: &AnsweredSearch<'_>, n_erasures: u64, now: Instant) {
        let &AnsweredSearch { asker, query, mut visitor, found_nothing } = answered;
        if query.trim().is_empty() || query.len() > MAX_BYTES {
            return;
        }
        let folded = normalised(query);
        let words = folded.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut counts = self.since(n_erasures);
        counts.n += 1;
        counts.n_without += u64::from(found_nothing);
        if matches!(asker, Asker::Page(Some(_))) {
            visitor = counts.of_pages.admit(asker, &words, now);
            if visitor.is_none() {
                return;
            }
        }
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
            counts.of_pages = OfPages::default();
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
    use std::net::IpAddr;

    use super::*;

    fn search(query: &str, visitor: Option<u64>, found_nothing: bool) -> AnsweredSearch<'_> {
        AnsweredSearch { asker: Asker::Shop, query, visitor, found_nothing }
    }

    #[test]
    fn frequent_searches_stay_counted_among_many_rare_ones() {
        let counts = SearchCounts::default();
        for n in 0..20_000 {
            counts.add(&search(&format!("rare {n}"), None, n % 2 == 0), 0, Instant::now());
            if n % 10 == 0 {
                counts.add(&search("  Red  MUG ", Some(n), false), 0, Instant::now());
            }
        }
        counts.add(&search(" ", None, true), 0, Instant::now());
        counts.add(&search(&"x".repeat(MAX_BYTES + 1), None, true), 0, Instant::now());
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
        (0..50).for_each(|_| counts.add(&search("my own name", Some(1), true), 0, Instant::now()));
        counts.add(&search("my own name", Some(2), true), 0, Instant::now());
        assert!(counts.most(9, 0, |count| count.n).is_empty());
        (3..5).for_each(|visitor| counts.add(&search("red mug", Some(visitor), true), 0, Instant::now()));
        counts.add(&search("red mug", None, false), 0, Instant::now());
        let told = |n_erasures| counts.most(9, n_erasures, |count| count.n_without);
        assert_eq!(
            told(0).iter().map(|(words, count)| (&**words, count.n_without)).collect::<Vec<_>>(),
            [("red mug", 2)]
        );
        assert!(told(1).is_empty(), "an erasure began");
        (3..6).for_each(|visitor| counts.add(&search("red mug", Some(visitor), true), 1, Instant::now()));
        assert_eq!(told(1).len(), 1);
    }

    #[test]
    fn one_address_with_a_published_key_neither_fills_nor_leads_the_list() {
        let counts = SearchCounts::default();
        let begun = Instant::now();
        let ask = |address: u8, query: &str, visitor: u64, now: Instant| {
            let asker = Asker::Page(Some(IpAddr::from([10, 0, 0, address])));
            counts.add(&AnsweredSearch { asker, query, visitor: Some(visitor), found_nothing: false }, 0, now);
        };
        for visitor in 0..3 {
            (0..30).for_each(|_| counts.add(&search("red mug", Some(visitor), false), 0, begun));
        }
        // One address, with as many sessions as it likes.
        for n in 0..10_000 {
            ask(1, "buy at other.example", n, begun);
            ask(1, &format!("invented {n}"), n, begun);
        }
        let most =
            |n| counts.most(n, 0, |count| count.n).into_iter().map(|(words, count)| (words.to_string(), count.n));
        assert_eq!(most(9).collect::<Vec<_>>(), [("red mug".to_owned(), 90)]);
        assert!(counts.0.lock().by_words.len() <= TEXTS_OF_ADDRESS + 1);
        // Nor does it raise what others search for.
        (0..1_000).for_each(|n| ask(1, "red mug", n, begun));
        assert_eq!(most(1).next(), Some(("red mug".to_owned(), 90)), "it has its texts of the day");
        (0..1_000).for_each(|n| ask(2, "red mug", n, begun));
        assert_eq!(most(1).next(), Some(("red mug".to_owned(), 90 + u64::from(SEARCHES_OF_ADDRESS))));
        ask(2, "red mug", 1, begun + PERIOD);
        assert_eq!(most(1).next(), Some(("red mug".to_owned(), 91 + u64::from(SEARCHES_OF_ADDRESS))));
        // What visitors of several addresses search for is told.
        (3..6).for_each(|address| ask(address, "blue mug", 1, begun));
        assert_eq!(most(9).map(|(words, _)| words).collect::<Vec<_>>(), ["red mug", "blue mug"]);
    }

    #[test]
    fn what_is_remembered_of_addresses_is_bounded() {
        let counts = SearchCounts::default();
        for n in 0..2 * MAX_PAIRS as u32 {
            let asker = Asker::Page(Some(IpAddr::from(n.to_be_bytes())));
            counts.add(&AnsweredSearch { asker, query: "mug", visitor: None, found_nothing: false }, 0, Instant::now());
        }
        let counts = counts.0.lock();
        assert!(counts.of_pages.n_pairs <= MAX_PAIRS && counts.of_pages.by_address.len() <= MAX_PAIRS);
    }
}
