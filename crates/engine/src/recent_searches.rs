//! The words and first hits of the latest searches, by the id of their answers.
//!
//! An event that names the answer which it came from (`recommendation_id`) needs not repeat the words: the writer adds
//! them before the event is stored, so that the log says what was searched for. If it chose one of the hits, the writer
//! records what stood beside it, from which the order of hits is learned. After a restart, events that name earlier answers
//! have only the words that they bring themselves.

use std::collections::HashMap;

use accrue_event::Event;
use accrue_serve::RankedHit;
use accrue_store::{Facts, SearchChoice, is_search_choice};
use parking_lot::Mutex;

use crate::by_asker::{Asker, ByAsker};

/// Answers that are remembered. Half of the places are the shop's, so that searches with a key that every visitor can have
/// do not push out what the shop's own searches answered.
const CAPACITY: usize = 32_768;
/// Longest text that is remembered, in bytes.
const MAX_BYTES: usize = 200;

/// The words and first hits of the latest searches.
#[derive(Debug, Default)]
pub(crate) struct RecentSearches(Mutex<Recent>);

#[derive(Debug)]
struct Recent {
    searches: HashMap<Box<str>, Search>,
    /// In the order of the answers to each asker.
    ids: ByAsker<Box<str>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { searches: HashMap::new(), ids: ByAsker::new(CAPACITY) }
    }
}

#[derive(Debug)]
struct Search {
    words: Box<str>,
    /// Hits to skip from the top.
    offset: usize,
    /// The first hits with their features; empty if they were not ordered by score.
    hits: Box<[RankedHit]>,
}

impl RecentSearches {
    /// Remembers an answer to `asker`, whose first hit has the position `offset` in the whole list.
    pub fn remember(&self, asker: Asker, id: &str, query: &str, offset: usize, hits: Vec<RankedHit>) {
        if query.trim().is_empty() || query.len() > MAX_BYTES || id.len() > MAX_BYTES {
            return;
        }
        let mut recent = self.0.lock();
        let search = Search { words: query.into(), offset, hits: hits.into() };
        if recent.searches.insert(id.into(), search).is_none() {
            recent.ids.push(asker, id.into());
        }
        if let Some(crowded) = recent.ids.crowded_by()
            && let Some(oldest) = recent.ids.take_oldest(crowded)
        {
            recent.searches.remove(&oldest);
        }
    }

    /// What was searched for in the answer with this id.
    pub fn words(&self, id: &str) -> Option<Box<str>> {
        self.0.lock().searches.get(id).map(|search| search.words.clone())
    }

    /// What stood on the page from which the event chose an item, if it did and the page is remembered. A choice of another
    /// variant of a product that stood there is one of that product.
    pub fn choice(&self, event: &Event, facts: &Facts) -> Option<SearchChoice> {
        let (item, answer) = (event.item.as_ref()?, event.recommendation_id.as_ref()?);
        if !is_search_choice(&event.event_type) {
            return None;
        }
        let item = facts.items.get(item.as_str())?;
        let recent = self.0.lock();
        let search = recent.searches.get(&**answer)?;
        let product = facts.products.of(item);
        let is_chosen =
            |hit: &RankedHit| hit.item == item || (product.is_some() && facts.products.of(hit.item) == product);
        let place = search.hits.iter().position(is_chosen).filter(|_| search.hits.len() > 1)?;
        let is_published = event.id.is_published();
        let shown_at = (search.offset + place) as u32;
        Some(SearchChoice {
            user: event.user.clone(),
            session: event.session.clone(),
            event_type: event.event_type.clone(),
            is_published,
            // The position that an event of a published key names is what its sender says it is.
            position: event.position.filter(|_| !is_published).unwrap_or(shown_at),
            place: place as u16,
            scores: search.hits.iter().map(|hit| hit.score).collect(),
            rows: search.hits.iter().map(|hit| hit.features.clone()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_answers_are_remembered() {
        let searches = RecentSearches::default();
        for n in 0..CAPACITY + 10 {
            searches.remember(Asker::Shop, &format!("r{n}"), "mug", 0, Vec::new());
        }
        searches.remember(Asker::Shop, "long", &"x".repeat(MAX_BYTES + 1), 0, Vec::new());
        searches.remember(Asker::Shop, "blank", " ", 0, Vec::new());
        assert_eq!([0, 9, 10].map(|n| searches.words(&format!("r{n}")).is_some()), [false, false, true]);
        assert!(searches.words("long").is_none() && searches.words("blank").is_none());
    }
    #[test]
    fn searches_with_a_key_that_pages_contain_do_not_push_out_those_of_the_shop_or_of_another_address() {
        let searches = RecentSearches::default();
        let address = |last: u8| Asker::Page(Some([10, 0, 0, last].into()));
        searches.remember(Asker::Shop, "own", "mug", 0, Vec::new());
        searches.remember(address(1), "shopper", "mug", 0, Vec::new());
        for n in 0..2 * CAPACITY {
            searches.remember(address(2 + (n % 4) as u8), &format!("flood{n}"), "mug", 0, Vec::new());
        }
        assert_eq!(["own", "shopper", "flood0"].map(|id| searches.words(id).is_some()), [true, true, false]);
        assert_eq!(searches.0.lock().searches.len(), CAPACITY);
    }
}
