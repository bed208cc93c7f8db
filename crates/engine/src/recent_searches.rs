//! The words and first hits of the latest searches, by the id of their answers.
//!
//! An event that names the answer which it came from (`recommendation_id`) needs not repeat the words: the writer adds
//! them before the event is stored, so that the log says what was searched for. If it chose one of the hits, the writer
//! records what stood beside it, from which the order of hits is learned. After a restart, events that name earlier answers
//! have only the words that they bring themselves.

use std::collections::{HashMap, VecDeque};

use accrue_event::Event;
use accrue_serve::RankedHit;
use accrue_store::{Facts, SearchChoice, is_search_choice};
use parking_lot::Mutex;

/// Answers that are remembered.
const CAPACITY: usize = 32_768;
/// Longest text that is remembered, in bytes.
const MAX_BYTES: usize = 200;

/// The words and first hits of the latest searches.
#[derive(Debug, Default)]
pub(crate) struct RecentSearches(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    searches: HashMap<Box<str>, Search>,
    /// In the order of the answers.
    ids: VecDeque<Box<str>>,
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
    /// Remembers an answer, whose first hit has the position `offset` in the whole list.
    pub fn remember(&self, id: &str, query: &str, offset: usize, hits: Vec<RankedHit>) {
        if query.trim().is_empty() || query.len() > MAX_BYTES || id.len() > MAX_BYTES {
            return;
        }
        let mut recent = self.0.lock();
        if recent.ids.len() >= CAPACITY
            && let Some(oldest) = recent.ids.pop_front()
        {
            recent.searches.remove(&oldest);
        }
        let search = Search { words: query.into(), offset, hits: hits.into() };
        if recent.searches.insert(id.into(), search).is_none() {
            recent.ids.push_back(id.into());
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
            searches.remember(&format!("r{n}"), "mug", 0, Vec::new());
        }
        searches.remember("long", &"x".repeat(MAX_BYTES + 1), 0, Vec::new());
        searches.remember("blank", " ", 0, Vec::new());
        assert_eq!([0, 9, 10].map(|n| searches.words(&format!("r{n}")).is_some()), [false, false, true]);
        assert!(searches.words("long").is_none() && searches.words("blank").is_none());
    }
}
