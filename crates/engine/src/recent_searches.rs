//! The words of the latest searches, by the id of their answers.
//!
//! An event that names the answer which it came from (`recommendation_id`) needs not repeat the words: the writer adds
//! them before the event is stored, so that the log says what was searched for. After a restart, events that name earlier
//! answers have only the words that they bring themselves.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// Answers that are remembered.
const CAPACITY: usize = 32_768;
/// Longest text that is remembered, in bytes.
const MAX_BYTES: usize = 200;

/// The words of the latest searches.
#[derive(Debug, Default)]
pub(crate) struct RecentSearches(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    words: HashMap<Box<str>, Box<str>>,
    /// In the order of the answers.
    ids: VecDeque<Box<str>>,
}

impl RecentSearches {
    /// Remembers an answer.
    pub fn remember(&self, id: &str, query: &str) {
        if query.trim().is_empty() || query.len() > MAX_BYTES || id.len() > MAX_BYTES {
            return;
        }
        let mut recent = self.0.lock();
        if recent.ids.len() >= CAPACITY
            && let Some(oldest) = recent.ids.pop_front()
        {
            recent.words.remove(&oldest);
        }
        if recent.words.insert(id.into(), query.into()).is_none() {
            recent.ids.push_back(id.into());
        }
    }

    /// What was searched for in the answer with this id.
    pub fn words(&self, id: &str) -> Option<Box<str>> {
        self.0.lock().words.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_answers_are_remembered() {
        let searches = RecentSearches::default();
        for n in 0..CAPACITY + 10 {
            searches.remember(&format!("r{n}"), "mug");
        }
        searches.remember("long", &"x".repeat(MAX_BYTES + 1));
        searches.remember("blank", " ");
        assert_eq!([0, 9, 10].map(|n| searches.words(&format!("r{n}")).is_some()), [false, false, true]);
        assert!(searches.words("long").is_none() && searches.words("blank").is_none());
    }
}
