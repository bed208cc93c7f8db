//! Which words shoppers replaced by which: the difference of a query that led to nothing and the one that did, over
//! all queries.

use std::collections::{BTreeMap, BTreeSet};

use accrue_event::misspelling;
use accrue_store::{ProposalKind, QueryOutcome, Reformulations, Then};

use super::effect::PastSearches;
use super::gate::{Share, exceeds_chance, fails_beside, mean};
use super::phrases::{MAX_WORDS, phrases_of};
use super::{MIN_VISITORS, Proposal, Refusal, RepairSettings, RepairView, Tested, is_plain};
use crate::search::{SearchError, SearchReader};

/// Shorter words are near too many others.
const MIN_NEAR_BYTES: usize = 5;
/// Queries with more words than this are compared by their difference alone: phrase by phrase would take the square of their length,
/// and anyone can send them with a published key.
const MAX_COMPARED: usize = 12;
/// Queries that a proposal shows.
const N_QUERIES: usize = 5;
/// Shoppers that chance is smoothed by.
const SMOOTHING: f64 = 20.0;

/// Pairs of words that enough shoppers replaced by each other.
pub(super) struct Evidence {
    pairs: BTreeMap<(String, String), Pair>,
    phrases: BTreeMap<String, Tried>,
    /// Shoppers who reached the words of the second side from any other words.
    reached: BTreeMap<String, BTreeSet<u32>>,
    n_reached: usize,
    published: f32,
}

/// Who replaced words by others, and chose something then.
#[derive(Default)]
struct Pair {
    own: BTreeSet<u32>,
    published: BTreeSet<u32>,
    queries: BTreeSet<Box<str>>,
    /// Of each two queries that show it, the evidence that the first fails beside the second, as if the catalogue did
    /// not have the words.
    fails: Vec<f64>,
}

/// Who searched for some words, and what came of it.
#[derive(Default)]
struct Tried {
    own: BTreeMap<u32, SearchOutcome>,
    published: BTreeMap<u32, SearchOutcome>,
}

/// What came of the searches of a shopper.
#[derive(Clone, Copy, Default)]
struct SearchOutcome {
    chose: bool,
    /// They chose something after a later search.
    reached: bool,
}

impl Evidence {
    pub(super) fn of(found: &Reformulations, view: &RepairView<'_>, settings: &RepairSettings) -> Self {
        let mut pairs: BTreeMap<(String, String), Pair> = BTreeMap::new();
        let mut reached: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut all: BTreeSet<u32> = BTreeSet::new();
        for (query, outcome) in found.queries() {
            for then in &outcome.then {
                all.extend(&then.own);
                let other = found.of(&then.query).unwrap_or(outcome);
                let [own, other] = [outcome, other].map(|outcome| Tried::of(outcome).share(settings.published));
                let fails = fails_beside(own, other, false);
                for (from, to) in replaced(query, &then.query) {
                    reached.entry(to.clone()).or_default().extend(&then.own);
                    let pair = pairs.entry((from, to)).or_default();
                    pair.own.extend(&then.own);
                    pair.published.extend(&then.published);
                    pair.fails.push(fails);
                    if outcome.n_searchers() >= MIN_VISITORS {
                        pair.queries.insert(query.into());
                    }
                }
            }
        }
        let may = |text: &str| text.split(' ').all(is_plain) && !(view.is_brand)(text);
        pairs.retain(|(from, to), pair| {
            pair.worth(settings.published) >= settings.least_shoppers as f32 && may(from) && may(to)
        });
        let wanted: BTreeSet<&str> = pairs.keys().flat_map(|(from, to)| [&**from, &**to]).collect();
        let mut phrases: BTreeMap<String, Tried> = BTreeMap::new();
        for (query, outcome) in found.queries() {
            for phrase in phrases_of(query).filter(|phrase| wanted.contains(&**phrase)) {
                phrases.entry(phrase.to_owned()).or_default().add(outcome);
            }
        }
        Self { pairs, phrases, reached, n_reached: all.len(), published: settings.published }
    }

    /// All pairs with their evidence: that they are more than chance, and that their words fail today, whichever is less.
    pub(super) fn tested(&self, reader: &SearchReader) -> Result<Vec<Tested>, SearchError> {
        let mut all = Vec::with_capacity(self.pairs.len());
        for ((from, to), pair) in &self.pairs {
            let (Some(own), Some(other)) = (self.phrases.get(from), self.phrases.get(to)) else { continue };
            let n = f64::from(pair.worth(self.published));
            let of = own.count(self.published, |found| found.reached).max(n);
            let others = self.reached.get(to).map_or(0, BTreeSet::len).saturating_sub(pair.own.len());
            let elsewhere = self.n_reached.saturating_sub(own.own.values().filter(|found| found.reached).count());
            let chance = others as f64 / (elsewhere as f64 + SMOOTHING);
            let share = Share { n, of };
            let mut proposal = Proposal::new(kind(from, to), from, to);
            (proposal.shoppers, proposal.published, proposal.of) = (pair.own.len(), pair.published.len(), of as usize);
            proposal.queries = pair.queries.iter().take(N_QUERIES).cloned().collect();
            let of_chance = exceeds_chance(share, chance);
            let is_known = reader.has(from)?;
            let of_all = fails_beside(own.share(self.published), other.share(self.published), is_known);
            // Words that the catalogue does not have fail if they do in one of the queries, where no other word finds
            // what is meant. Words that it has may fail in one query because of its other words.
            let of_failing = if is_known { of_all } else { mean(&[of_all, mean(&pair.fails)]) };
            let (evidence, refusal) = match of_chance < of_failing {
                true => (of_chance, Refusal::Chance),
                false => (of_failing, Refusal::Works),
            };
            all.push(Tested { proposal, share, evidence, refusal });
        }
        Ok(all)
    }
}

/// The past searches with the words of a pair.
pub(super) fn past(found: &Reformulations, from: &str, to: &str) -> PastSearches {
    PastSearches::of_words(found, from, |query, outcome| {
        let pair = (from.to_owned(), to.to_owned());
        let is_meant = |then: &&Then| replaced(query, &then.query).contains(&pair);
        outcome.then.iter().filter(is_meant).flat_map(|then| &then.items).collect()
    })
}

impl Pair {
    /// Different shoppers, those of published keys alone at what they are worth.
    fn worth(&self, published: f32) -> f32 {
        self.own.len() as f32 + published * self.published.difference(&self.own).count() as f32
    }
}

impl Tried {
    fn of(outcome: &QueryOutcome) -> Self {
        let mut tried = Self::default();
        tried.add(outcome);
        tried
    }

    fn add(&mut self, outcome: &QueryOutcome) {
        for (searchers, tried) in [(&outcome.searchers, &mut self.own), (&outcome.published, &mut self.published)] {
            for searcher in searchers {
                let found = tried.entry(searcher.shopper).or_default();
                found.chose |= searcher.chose;
                found.reached |= searcher.reached;
            }
        }
    }

    /// Of how many that holds, those of published keys alone at what they are worth.
    fn count(&self, published: f32, holds: impl Fn(&SearchOutcome) -> bool) -> f64 {
        let own = self.own.values().filter(|found| holds(found)).count();
        let others = self.published.iter().filter(|(shopper, found)| !self.own.contains_key(shopper) && holds(found));
        own as f64 + f64::from(published) * others.count() as f64
    }

    /// The share that chose something.
    fn share(&self, published: f32) -> Share {
        Share { n: self.count(published, |found| found.chose), of: self.count(published, |_| true) }
    }
}

/// What a query and a later one show to be replaced: their difference, and words of the one that are nearly words of the
/// other. Shoppers who search again often add or leave out words at once, so that the difference is seldom the same.
fn replaced(one: &str, other: &str) -> BTreeSet<(String, String)> {
    let is_new = |phrase: &&str, others: &str| {
        phrase.split(' ').all(|word| others.split(' ').all(|known| known != word)) && phrase.len() >= MIN_NEAR_BYTES
    };
    let mut pairs: BTreeSet<(String, String)> = difference(one, other).into_iter().collect();
    if [one, other].iter().any(|query| query.split(' ').count() > MAX_COMPARED) {
        return pairs;
    }
    let others: Vec<(&str, String)> =
        phrases_of(other).filter(|phrase| is_new(phrase, one)).map(|to| (to, closed(to))).collect();
    for from in phrases_of(one).filter(|phrase| is_new(phrase, other)) {
        let letters = closed(from);
        // The first letter is seldom wrong, and words that differ in it are often two words.
        let alike = others.iter().filter(|(to, to_letters)| {
            from.chars().next() == to.chars().next() && misspelling(&letters, to_letters).is_some_and(|edits| edits > 0)
        });
        pairs.extend(alike.map(|(to, _)| (from.to_owned(), (*to).to_owned())));
    }
    pairs
}

/// The letters of a text without what is between its words.
fn closed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

/// What differs between two queries: words in one place of each, at most [`MAX_WORDS`]. `None` if words were only
/// added or left out, which narrows or widens a search and replaces nothing.
fn difference(one: &str, other: &str) -> Option<(String, String)> {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split(' ').collect(), other.split(' ').collect());
    let of = |words: &[&str], others: &[&str]| -> Option<String> {
        let is_own: Vec<bool> = words.iter().map(|word| !others.contains(word)).collect();
        let (first, last) = (is_own.iter().position(|own| *own)?, is_own.iter().rposition(|own| *own)?);
        let are_together = is_own[first..=last].iter().all(|own| *own);
        (are_together && last - first < MAX_WORDS).then(|| words[first..=last].join(" "))
    };
    Some((of(&one, &other)?, of(&other, &one)?))
}

/// What kind of repair it is, by how alike the words are.
fn kind(from: &str, to: &str) -> ProposalKind {
    let is_alike = misspelling(&closed(from), &closed(to)).is_some();
    match (is_alike, from.split(' ').count() == to.split(' ').count()) {
        (true, true) => ProposalKind::Correction,
        (true, false) => ProposalKind::Split,
        (false, _) => ProposalKind::Synonym,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_very_long_queries_are_not_compared_with_each_other() {
        // Two words differ, with others between them, so that the queries have no difference in one place.
        let found = |n_between: usize| {
            let between = vec!["red"; n_between].join(" ");
            replaced(&format!("kaffe {between} mugg"), &format!("kaffee {between} mug pink"))
        };
        let pair: (String, String) = ("kaffe".into(), "kaffee".into());
        assert!(found(1).contains(&pair), "{:?}", found(1));
        assert!(found(MAX_COMPARED).is_empty(), "{:?}", found(MAX_COMPARED));
    }

    #[test]
    fn the_difference_of_two_queries_is_what_was_replaced() {
        let pair = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(difference("red brolly", "red umbrella"), pair("brolly", "umbrella"));
        assert_eq!(difference("ruck sac large", "rucksack large"), pair("ruck sac", "rucksack"));
        assert_eq!(difference("brolly", "umbrella"), pair("brolly", "umbrella"));
        for (one, other) in [("mug", "red mug"), ("red mug", "mug"), ("mug", "mug"), ("a x b y", "a z b w")] {
            assert_eq!(difference(one, other), None, "{one} {other}");
        }
        assert_eq!(kind("ruck sac", "rucksack"), ProposalKind::Split);
        assert_eq!(kind("parafin", "paraffin"), ProposalKind::Correction);
        assert_eq!(kind("brolly", "umbrella"), ProposalKind::Synonym);
    }
}
