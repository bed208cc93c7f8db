//! Searches and what came of them: whether the shopper chose something, and what the same shopper searched for next.
//!
//! In: records in log order: search events, recorded answers to searches, choices that name their search. Out: for
//! each query how many different shoppers searched for it, chose something after it, or searched again soon; and for a
//! search that led to nothing the later queries of the same shoppers after which they did choose, with what they
//! chose.
//!
//! It is computed from the log whenever it is needed and is in no checkpoint, so erased records have no part in it. It
//! is bounded: shoppers, queries, later queries of each, shoppers and items of each of those.
//!
//! **Who counts.** Different shoppers count, not searches. What published keys report, and searches that are answered to
//! them, is kept apart, because any visitor of a page can send it without end: their searchers and choices have lists of
//! their own, take no place from those of own events, and queries that only they know make room first. A choice that an
//! own event reports shows that its visitor is a shopper, so the searches of the visit that led to it count as own ones,
//! also where a page asked for them. A choice that a published key reports counts for an own searcher of the same
//! session, which only its visitor knows.

mod outcome;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use accrue_event::{Attribute, Event, EventType, ItemId, Shopper};
use xxhash_rust::xxh3::xxh3_64;

use self::outcome::KnownBy;
pub use self::outcome::{ChosenItem, QueryOutcome, Searcher, Then};
use crate::searches::words;
use crate::{Body, Page, Record, Served, is_search_choice, shopper_hash};

/// Queries that are remembered. Beyond them those make room that only published keys know, then those that no shopper of
/// own events chose after, the oldest first.
const MAX_QUERIES: usize = 20_000;
/// Shoppers whose latest search is remembered.
const SLOTS: u64 = 65_536;
/// Earlier searches of one visit that led to nothing.
const MAX_BEFORE: usize = 3;
/// A search within this time after one that led to nothing is another try.
const SOON_MS: i64 = 5 * 60_000;
/// A choice within this time after the search came of it.
const VISIT_MS: i64 = 30 * 60_000;
/// A longer text within this time is the same search, typed on.
const TYPED_ON_MS: i64 = 5_000;

/// Searches and what came of them.
#[derive(Clone, Debug, Default)]
pub struct Reformulations {
    /// The latest searches that own events and answers tell of.
    own: BTreeMap<u64, Visit>,
    /// The same of published keys.
    published: BTreeMap<u64, Visit>,
    queries: BTreeMap<Box<str>, QueryOutcome>,
    totals: SearchTotals,
}

/// Counts of all searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchTotals {
    /// Searches with words.
    pub searches: u64,
    /// Those that found nothing.
    pub without_result: u64,
    /// Those after which something was chosen.
    pub chosen: u64,
}

/// The latest search of a shopper.
#[derive(Clone, Debug)]
struct Visit {
    shopper: u64,
    /// Own records tell of it.
    is_own: bool,
    query: Box<str>,
    /// The id of the answer, as a hash; `None` for a search that only an event reports.
    answer: Option<u64>,
    at_ms: i64,
    found_nothing: bool,
    is_chosen: bool,
    /// The searches just before it that led to nothing, the latest at the end.
    before: Vec<Box<str>>,
}

impl Visit {
    /// Whether a record of the shopper is about this search: it has the same words, and comes soon before or after, or
    /// names the answer. Answers have the server's time, and events that of their sender, which may be another.
    fn is_of(&self, query: &str, at_ms: i64, answer: Option<u64>) -> bool {
        let is_near = (at_ms - self.at_ms).abs() <= VISIT_MS;
        *self.query == *query && (is_near || (answer.is_some() && answer == self.answer))
    }
}

/// A search.
struct Search {
    shopper: u64,
    is_own: bool,
    query: Box<str>,
    answer: Option<u64>,
    at_ms: i64,
    found_nothing: bool,
}

/// A choice after a search.
struct Choice<'a> {
    shopper: u32,
    is_own: bool,
    /// The id of the answer that it names, as a hash.
    answer: Option<u64>,
    item: &'a ItemId,
    at_ms: i64,
}

impl Reformulations {
    /// Takes in a record.
    pub fn observe(&mut self, record: &Record) {
        match &record.body {
            Body::Served(served) => self.answered(served, record.received_at.0),
            Body::Event(checked) | Body::Released { event: checked, .. } => self.happened(&checked.event),
            _ => {}
        }
    }

    /// The queries in alphabetical order, each with what came of it.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &QueryOutcome)> {
        self.queries.iter().map(|(query, outcome)| (&**query, outcome))
    }

    /// What came of the searches for these words.
    pub fn of(&self, query: &str) -> Option<&QueryOutcome> {
        self.queries.get(words(query)?.as_str())
    }

    /// Counts of all searches.
    pub fn totals(&self) -> SearchTotals {
        self.totals
    }

    /// The `n` queries with the largest `count`, without those of which it is 0; equal ones by their words.
    pub fn most(&self, n: usize, count: impl Fn(&QueryOutcome) -> u64) -> Vec<(&str, &QueryOutcome)> {
        let mut all: Vec<_> = self.queries().filter(|(_, outcome)| count(outcome) > 0).collect();
        all.sort_by(|a, b| count(b.1).cmp(&count(a.1)).then(a.0.cmp(b.0)));
        all.truncate(n);
        all
    }

    fn answered(&mut self, served: &Served, at_ms: i64) {
        let Page::Search { query } = &served.page else { return };
        let shopper = match (&served.user, &served.session) {
            (Some(user), _) => Shopper::User(user.clone()),
            (None, Some(session)) => Shopper::Guest(session.clone()),
            (None, None) => return,
        };
        let found_nothing = served.items.is_empty() && served.first_position == 0;
        if let Some(query) = words(query).map(Box::from) {
            let (shopper, is_own) = (shopper_hash(&shopper), !served.published);
            let answer = Some(xxh3_64(served.recommendation_id.as_bytes()));
            self.search(Search { shopper, is_own, query, answer, at_ms, found_nothing });
        }
    }

    fn happened(&mut self, event: &Event) {
        let Some(query) = event.query.as_deref().and_then(words).map(Box::from) else { return };
        let is_own = !event.id.is_published();
        // Anyone can name a user in an event of a published key, so that user is another shopper. Only its visitor knows a
        // session.
        let named = event.visitor();
        let is_doubted = !is_own && matches!(named, Shopper::User(_));
        let (hash, at_ms) = (shopper_hash(&named), event.at.0);
        let answer = event.recommendation_id.as_deref().map(|id| xxh3_64(id.as_bytes()));
        let shopper = if is_doubted { !hash } else { hash };
        if event.event_type == EventType::Search {
            let found_nothing = matches!(event.properties.get("results"), Some(Attribute::Number(n)) if *n == 0.0);
            self.search(Search { shopper, is_own, query, answer, at_ms, found_nothing });
        } else if let Some(item) = event.item.as_ref().filter(|_| is_search_choice(&event.event_type)) {
            self.choose(shopper, query, &Choice { shopper: shopper as u32, is_own, answer, item, at_ms });
        }
    }

    /// Takes the visit of a shopper out.
    fn take_visit(&mut self, shopper: u64) -> Option<Visit> {
        let of = |visits: &mut BTreeMap<u64, Visit>| {
            let is_theirs = visits.get(&(shopper % SLOTS)).is_some_and(|visit| visit.shopper == shopper);
            is_theirs.then(|| visits.remove(&(shopper % SLOTS))).flatten()
        };
        of(&mut self.own).or_else(|| of(&mut self.published))
    }

    /// Remembers a visit. One of which own records tell takes the place of another such one alone.
    fn put_visit(&mut self, visit: Visit) -> &mut Visit {
        let visits = if visit.is_own { &mut self.own } else { &mut self.published };
        match visits.entry(visit.shopper % SLOTS) {
            Entry::Occupied(mut slot) => {
                slot.insert(visit);
                slot.into_mut()
            }
            Entry::Vacant(slot) => slot.insert(visit),
        }
    }

    /// A search of a shopper. The same words again are no other search: a reload, a further page, or the answer to a
    /// search that an event reports too.
    fn search(&mut self, search: Search) {
        let Search { shopper, is_own, query, answer, at_ms, found_nothing } = search;
        let (mut before, mut is_own_visit) = (Vec::new(), is_own);
        if let Some(mut visit) = self.take_visit(shopper) {
            visit.is_own |= is_own;
            is_own_visit = visit.is_own;
            let since = at_ms - visit.at_ms;
            if visit.is_of(&query, at_ms, answer) {
                if found_nothing && !visit.found_nothing {
                    visit.found_nothing = true;
                    self.count(&query, |outcome| outcome.without_result += 1);
                    self.totals.without_result += 1;
                }
                visit.at_ms = visit.at_ms.max(at_ms);
                self.count(&query, |outcome| outcome.searcher(shopper as u32, is_own));
                self.put_visit(visit);
                return;
            }
            if !visit.is_chosen && (0..=SOON_MS).contains(&since) {
                before = std::mem::take(&mut visit.before);
                if is_typed_on(&visit.query, &query) && since <= TYPED_ON_MS {
                    self.take_back(&visit);
                } else {
                    self.count(&visit.query, |outcome| outcome.move_on(shopper as u32));
                    before.push(visit.query);
                    before.drain(..before.len().saturating_sub(MAX_BEFORE));
                }
            }
        }
        self.make_room();
        self.totals.searches += 1;
        self.totals.without_result += u64::from(found_nothing);
        let outcome = self.queries.entry(query.clone()).or_default();
        outcome.searches += 1;
        outcome.without_result += u64::from(found_nothing);
        outcome.last_ms = outcome.last_ms.max(at_ms);
        outcome.known_by = outcome.known_by.max(if is_own { KnownBy::OwnSearch } else { KnownBy::PublishedKeys });
        outcome.searcher(shopper as u32, is_own);
        let is_own = is_own_visit;
        self.put_visit(Visit { shopper, is_own, query, answer, at_ms, found_nothing, is_chosen: false, before });
    }

    /// A choice after a search for these words; it says that there was such a search, if that is not known.
    fn choose(&mut self, shopper: u64, query: Box<str>, choice: &Choice<'_>) {
        let is_of = |visit: &Visit| visit.is_of(&query, choice.at_ms, choice.answer);
        let known = self.take_visit(shopper);
        let is_known = known.as_ref().is_some_and(is_of);
        if let Some(visit) = known {
            self.put_visit(visit);
        }
        if !is_known {
            let (is_own, query, answer, at_ms) = (choice.is_own, query.clone(), choice.answer, choice.at_ms);
            self.search(Search { shopper, is_own, query, answer, at_ms, found_nothing: false });
        }
        let Some(mut visit) = self.take_visit(shopper) else { return };
        visit.is_own |= choice.is_own;
        let visit = self.put_visit(visit);
        let is_first = !std::mem::replace(&mut visit.is_chosen, true);
        let before = visit.before.clone();
        self.count(&query, |outcome| {
            outcome.chosen += u64::from(is_first);
            let known_by = if choice.is_own { KnownBy::OwnChoice } else { KnownBy::PublishedKeys };
            outcome.known_by = outcome.known_by.max(known_by);
            outcome.choose(choice);
        });
        self.totals.chosen += u64::from(is_first);
        for earlier in before {
            self.count(&earlier, |outcome| outcome.then(&query, choice));
        }
    }

    /// A search that was only the beginning of the next one does not count.
    fn take_back(&mut self, visit: &Visit) {
        let Some(outcome) = self.queries.get_mut(&visit.query) else { return };
        outcome.searches = outcome.searches.saturating_sub(1);
        outcome.without_result = outcome.without_result.saturating_sub(u64::from(visit.found_nothing));
        for searchers in [&mut outcome.searchers, &mut outcome.published] {
            searchers.retain(|searcher| searcher.shopper != visit.shopper as u32 || searcher.chose);
        }
        if outcome.searches == 0 {
            self.queries.remove(&visit.query);
        }
        self.totals.searches -= 1;
        self.totals.without_result -= u64::from(visit.found_nothing);
    }

    fn count(&mut self, query: &str, change: impl FnOnce(&mut QueryOutcome)) {
        if let Some(outcome) = self.queries.get_mut(query) {
            change(outcome);
        }
    }

    fn make_room(&mut self) {
        if self.queries.len() < MAX_QUERIES {
            return;
        }
        let mut oldest: Vec<(KnownBy, i64, Box<str>)> =
            self.queries.iter().map(|(query, outcome)| (outcome.known_by, outcome.last_ms, query.clone())).collect();
        oldest.sort_unstable();
        for (_, _, query) in &oldest[..MAX_QUERIES / 16] {
            self.queries.remove(query);
        }
    }
}

/// Whether a text is another one with more letters at its end.
fn is_typed_on(one: &str, longer: &str) -> bool {
    longer.starts_with(one) || one.starts_with(longer)
}
