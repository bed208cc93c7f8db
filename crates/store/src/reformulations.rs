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

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use accrue_event::{Attribute, Event, EventType, ItemId, Shopper, normalised};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Body, Page, Record, Served, is_search_choice, shopper_hash};

/// Queries that are remembered. Beyond them those make room that only published keys know, then those that no shopper of
/// own events chose after, the oldest first.
const MAX_QUERIES: usize = 20_000;
/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 100;
/// Shoppers whose latest search is remembered.
const SLOTS: u64 = 65_536;
/// Earlier searches of one visit that led to nothing.
const MAX_BEFORE: usize = 3;
/// The latest different shoppers that are remembered of a query, and of a later query.
const MAX_SHOPPERS: usize = 64;
/// Later queries that are remembered of a query.
const MAX_THEN: usize = 12;
/// Items that are remembered of a query, and of a later query.
const MAX_ITEMS: usize = 16;
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
    queries: BTreeMap<Box<str>, QueryFate>,
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

/// What came of the searches for one query.
#[derive(Clone, Debug, Default)]
pub struct QueryFate {
    /// Searches.
    pub searches: u64,
    /// Those that found nothing.
    pub without_result: u64,
    /// Those after which something was chosen.
    pub chosen: u64,
    /// The latest different shoppers who searched for it, of own events and answers.
    pub searchers: Vec<Searcher>,
    /// The same of published keys.
    pub published: Vec<Searcher>,
    /// What was chosen after it.
    pub items: Vec<ChosenItem>,
    /// The queries after which its shoppers chose something, having chosen nothing after this one.
    pub then: Vec<Then>,
    last_ms: i64,
    known_by: KnownBy,
}

/// Who knows of a query; those that only published keys know make room first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum KnownBy {
    #[default]
    PublishedKeys,
    OwnSearch,
    OwnChoice,
}

/// A shopper who searched for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Searcher {
    /// Hash of the name.
    pub shopper: u32,
    /// Something was chosen after it.
    pub chose: bool,
    /// The shopper searched for something else soon after.
    pub moved_on: bool,
}

/// A later query after which something was chosen.
#[derive(Clone, Debug, Default)]
pub struct Then {
    /// Its words.
    pub query: Box<str>,
    /// The latest different shoppers of own events, as hashes.
    pub own: Vec<u32>,
    /// The same of events of published keys.
    pub published: Vec<u32>,
    /// What they chose.
    pub items: Vec<ChosenItem>,
    last_ms: i64,
}

/// An item with the different shoppers of own events who chose it.
#[derive(Clone, Debug)]
pub struct ChosenItem {
    /// The item.
    pub item: ItemId,
    /// Hashes of the shoppers; none if only published keys reported the choice.
    pub shoppers: Vec<u32>,
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
    pub fn queries(&self) -> impl Iterator<Item = (&str, &QueryFate)> {
        self.queries.iter().map(|(query, fate)| (&**query, fate))
    }

    /// What came of the searches for these words.
    pub fn of(&self, query: &str) -> Option<&QueryFate> {
        self.queries.get(&*words(query)?)
    }

    /// Counts of all searches.
    pub fn totals(&self) -> SearchTotals {
        self.totals
    }

    /// The `n` queries with the largest `count`, without those of which it is 0; equal ones by their words.
    pub fn most(&self, n: usize, count: impl Fn(&QueryFate) -> u64) -> Vec<(&str, &QueryFate)> {
        let mut all: Vec<_> = self.queries().filter(|(_, fate)| count(fate) > 0).collect();
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
        if let Some(query) = words(query) {
            let (shopper, is_own) = (shopper_hash(&shopper), !served.published);
            let answer = Some(xxh3_64(served.recommendation_id.as_bytes()));
            self.search(Search { shopper, is_own, query, answer, at_ms, found_nothing });
        }
    }

    fn happened(&mut self, event: &Event) {
        let Some(query) = event.query.as_deref().and_then(words) else { return };
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
                    self.count(&query, |fate| fate.without_result += 1);
                    self.totals.without_result += 1;
                }
                visit.at_ms = visit.at_ms.max(at_ms);
                self.count(&query, |fate| fate.searcher(shopper as u32, is_own));
                self.put_visit(visit);
                return;
            }
            if !visit.is_chosen && (0..=SOON_MS).contains(&since) {
                before = std::mem::take(&mut visit.before);
                if is_typed_on(&visit.query, &query) && since <= TYPED_ON_MS {
                    self.take_back(&visit);
                } else {
                    self.count(&visit.query, |fate| fate.move_on(shopper as u32));
                    before.push(visit.query);
                    before.drain(..before.len().saturating_sub(MAX_BEFORE));
                }
            }
        }
        self.make_room();
        self.totals.searches += 1;
        self.totals.without_result += u64::from(found_nothing);
        let fate = self.queries.entry(query.clone()).or_default();
        fate.searches += 1;
        fate.without_result += u64::from(found_nothing);
        fate.last_ms = fate.last_ms.max(at_ms);
        fate.known_by = fate.known_by.max(if is_own { KnownBy::OwnSearch } else { KnownBy::PublishedKeys });
        fate.searcher(shopper as u32, is_own);
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
        self.count(&query, |fate| {
            fate.chosen += u64::from(is_first);
            let known_by = if choice.is_own { KnownBy::OwnChoice } else { KnownBy::PublishedKeys };
            fate.known_by = fate.known_by.max(known_by);
            fate.choose(choice);
        });
        self.totals.chosen += u64::from(is_first);
        for earlier in before {
            self.count(&earlier, |fate| fate.then(&query, choice));
        }
    }

    /// A search that was only the beginning of the next one does not count.
    fn take_back(&mut self, visit: &Visit) {
        let Some(fate) = self.queries.get_mut(&visit.query) else { return };
        fate.searches = fate.searches.saturating_sub(1);
        fate.without_result = fate.without_result.saturating_sub(u64::from(visit.found_nothing));
        for searchers in [&mut fate.searchers, &mut fate.published] {
            searchers.retain(|searcher| searcher.shopper != visit.shopper as u32 || searcher.chose);
        }
        if fate.searches == 0 {
            self.queries.remove(&visit.query);
        }
        self.totals.searches -= 1;
        self.totals.without_result -= u64::from(visit.found_nothing);
    }

    fn count(&mut self, query: &str, change: impl FnOnce(&mut QueryFate)) {
        if let Some(fate) = self.queries.get_mut(query) {
            change(fate);
        }
    }

    fn make_room(&mut self) {
        if self.queries.len() < MAX_QUERIES {
            return;
        }
        let mut oldest: Vec<(KnownBy, i64, Box<str>)> =
            self.queries.iter().map(|(query, fate)| (fate.known_by, fate.last_ms, query.clone())).collect();
        oldest.sort_unstable();
        for (_, _, query) in &oldest[..MAX_QUERIES / 16] {
            self.queries.remove(query);
        }
    }
}

impl QueryFate {
    /// Searches after which nothing was chosen.
    pub fn without_choice(&self) -> u64 {
        self.searches.saturating_sub(self.chosen)
    }

    /// The different shoppers who searched for it, those of published keys too, as far as they are remembered.
    pub fn n_searchers(&self) -> usize {
        let is_other = |searcher: &&Searcher| self.searchers.iter().all(|own| own.shopper != searcher.shopper);
        self.searchers.len() + self.published.iter().filter(is_other).count()
    }

    /// A shopper who searched for it, remembered among the latest different ones.
    fn searcher(&mut self, shopper: u32, is_own: bool) {
        let searchers = if is_own { &mut self.searchers } else { &mut self.published };
        if searchers.iter().all(|known| known.shopper != shopper) {
            searchers.drain(..(searchers.len() + 1).saturating_sub(MAX_SHOPPERS));
            searchers.push(Searcher { shopper, chose: false, moved_on: false });
        }
    }

    fn move_on(&mut self, shopper: u32) {
        let all = self.searchers.iter_mut().chain(&mut self.published);
        all.filter(|known| known.shopper == shopper).for_each(|known| known.moved_on = true);
    }

    fn choose(&mut self, choice: &Choice<'_>) {
        self.searcher(choice.shopper, choice.is_own);
        let all = self.searchers.iter_mut().chain(&mut self.published);
        all.filter(|known| known.shopper == choice.shopper).for_each(|known| known.chose = true);
        add_item(&mut self.items, choice);
    }

    fn then(&mut self, query: &str, choice: &Choice<'_>) {
        self.searcher(choice.shopper, choice.is_own);
        self.move_on(choice.shopper);
        if !self.then.iter().any(|then| &*then.query == query) {
            if self.then.len() >= MAX_THEN {
                let weakest = (0..self.then.len()).min_by_key(|&place| {
                    let then = &self.then[place];
                    (then.own.len(), then.last_ms)
                });
                let Some(place) = weakest.filter(|&place| choice.is_own || self.then[place].own.is_empty()) else {
                    return;
                };
                self.then.remove(place);
            }
            self.then.push(Then { query: query.into(), ..Then::default() });
        }
        let Some(then) = self.then.iter_mut().find(|then| &*then.query == query) else { return };
        then.last_ms = then.last_ms.max(choice.at_ms);
        add_shopper(if choice.is_own { &mut then.own } else { &mut then.published }, choice.shopper);
        add_item(&mut then.items, choice);
    }
}

/// Remembers a shopper among the latest different ones.
fn add_shopper(shoppers: &mut Vec<u32>, shopper: u32) {
    if !shoppers.contains(&shopper) {
        shoppers.drain(..(shoppers.len() + 1).saturating_sub(MAX_SHOPPERS));
        shoppers.push(shopper);
    }
}

/// Remembers what was chosen; the item that fewest own shoppers chose makes room, but none of theirs for one of a
/// published key.
fn add_item(items: &mut Vec<ChosenItem>, choice: &Choice<'_>) {
    if !items.iter().any(|known| known.item == *choice.item) {
        if items.len() >= MAX_ITEMS {
            let weakest = (0..items.len()).min_by_key(|&place| items[place].shoppers.len());
            let Some(place) = weakest.filter(|&place| choice.is_own || items[place].shoppers.is_empty()) else {
                return;
            };
            items.remove(place);
        }
        items.push(ChosenItem { item: choice.item.clone(), shoppers: Vec::new() });
    }
    if let Some(known) = items.iter_mut().find(|known| known.item == *choice.item)
        && choice.is_own
    {
        add_shopper(&mut known.shoppers, choice.shopper);
    }
}

/// Whether a text is another one with more letters at its end.
fn is_typed_on(one: &str, longer: &str) -> bool {
    longer.starts_with(one) || one.starts_with(longer)
}

/// The words of a query in the form in which equal searches are equal; `None` if there are none, or too many.
fn words(query: &str) -> Option<Box<str>> {
    if query.len() > 4 * MAX_QUERY_BYTES {
        return None;
    }
    let folded = normalised(query);
    let text = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty() && text.len() <= MAX_QUERY_BYTES).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use accrue_event::Timestamp;

    use super::*;
    use crate::{CheckedEvent, Offset};

    fn record(kind: EventType, user: &str, query: &str, item: Option<&str>, at_s: i64, is_published: bool) -> Record {
        let event = Event {
            id: if is_published { "@publish:web:1".into() } else { "e".into() },
            event_type: kind,
            user: Some(user.into()),
            session: None,
            item: item.map(ItemId::from),
            at: Timestamp(at_s * 1_000),
            value: 1.0,
            quantity: 1,
            price: None,
            query: Some(query.into()),
            source: None,
            recommendation_id: None,
            position: None,
            properties: Default::default(),
        };
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        Record { offset: Offset(0), received_at: Timestamp(0), body }
    }

    fn search(found: &mut Reformulations, user: &str, query: &str, at_s: i64) {
        found.observe(&record(EventType::Search, user, query, None, at_s, false));
    }

    fn click(found: &mut Reformulations, user: &str, query: &str, at_s: i64) {
        found.observe(&record(EventType::Click, user, query, Some("i1"), at_s, false));
    }

    #[test]
    fn a_choice_that_names_its_answer_is_no_further_search_whatever_its_time() {
        let mut found = Reformulations::default();
        let answer = |id: &str, received_at: i64| {
            let served = Served {
                recommendation_id: id.into(),
                page: Page::Search { query: "mug".into() },
                user: Some("ann".into()),
                session: None,
                version: 1,
                learned: Offset(0),
                first_position: 0,
                items: vec!["i1".into()],
                propensities: Vec::new(),
                arm: None,
                ranks: Vec::new(),
                asked: Box::default(),
                sponsored: Vec::new(),
                published: false,
                trial: Default::default(),
            };
            Record { offset: Offset(0), received_at: Timestamp(received_at), body: Body::Served(Box::new(served)) }
        };
        let choose = |found: &mut Reformulations, kind: EventType, id: &str| {
            let mut record = record(kind, "ann", "mug", Some("i1"), 9, false);
            if let Body::Event(checked) = &mut record.body {
                checked.event.recommendation_id = Some(id.into());
            }
            found.observe(&record);
        };
        let years_later = 40 * 365 * accrue_event::DAY_MS;
        found.observe(&answer("r1", years_later));
        choose(&mut found, EventType::Click, "r1");
        choose(&mut found, EventType::Cart, "r1");
        assert_eq!(found.totals(), SearchTotals { searches: 1, without_result: 0, chosen: 1 });
        choose(&mut found, EventType::Click, "of-another-day");
        assert_eq!(found.totals().searches, 2);
    }

    #[test]
    fn a_search_that_led_to_nothing_is_followed_to_the_one_that_did() {
        let mut found = Reformulations::default();
        for user in ["ann", "bob"] {
            search(&mut found, user, "Brolly", 0);
            search(&mut found, user, "rain  cover", 20);
            search(&mut found, user, "umbrella", 40);
            click(&mut found, user, "umbrella", 60);
            click(&mut found, user, "umbrella", 61);
        }
        let brolly = found.of("brolly").unwrap();
        assert_eq!((brolly.searches, brolly.chosen, brolly.without_choice()), (2, 0, 2));
        assert!(brolly.searchers.iter().all(|searcher| searcher.moved_on && !searcher.chose));
        assert_eq!((&*brolly.then[0].query, brolly.then[0].own.len()), ("umbrella", 2));
        assert_eq!(brolly.then[0].items[0].shoppers.len(), 2);
        assert_eq!(found.of("rain cover").unwrap().then.len(), 1);
        assert!(found.of("umbrella").unwrap().then.is_empty());
        assert_eq!(found.totals(), SearchTotals { searches: 6, without_result: 0, chosen: 2 });
        assert_eq!(found.most(1, |fate| fate.without_choice())[0].0, "brolly");
    }

    #[test]
    fn a_search_after_a_choice_or_much_later_is_another_wish() {
        let mut found = Reformulations::default();
        search(&mut found, "ann", "mug", 0);
        click(&mut found, "ann", "mug", 5);
        search(&mut found, "ann", "lamp", 20);
        click(&mut found, "ann", "lamp", 25);
        search(&mut found, "bob", "mug", 0);
        search(&mut found, "bob", "lamp", 400);
        click(&mut found, "bob", "lamp", 410);
        assert!(found.of("mug").unwrap().then.is_empty());
    }

    #[test]
    fn letters_typed_on_are_one_search_and_choices_imply_theirs() {
        let mut found = Reformulations::default();
        for (n, text) in ["u", "umb", "umbrella"].iter().enumerate() {
            search(&mut found, "ann", text, n as i64);
        }
        search(&mut found, "ann", "umbrella", 3);
        click(&mut found, "ann", "umbrella", 4);
        click(&mut found, "bob", "lamp", 4);
        assert_eq!(
            found.queries().map(|(query, fate)| (query, fate.searches)).collect::<Vec<_>>(),
            [("lamp", 1), ("umbrella", 1)]
        );
        assert_eq!(found.totals().searches, 2);
    }

    #[test]
    fn published_choices_are_kept_apart_and_everything_is_bounded() {
        let mut found = Reformulations::default();
        for n in 0..500 {
            let user = format!("s{n}");
            search(&mut found, &user, "brolly", 0);
            found.observe(&record(EventType::Click, &user, &format!("q{}", n % 40), Some("i1"), 10, true));
        }
        let brolly = found.of("brolly").unwrap();
        assert!(brolly.then.len() <= MAX_THEN && brolly.searchers.len() <= MAX_SHOPPERS);
        assert!(brolly.then.iter().all(|then| then.own.is_empty() && !then.published.is_empty()));
        assert!(brolly.then.iter().all(|then| then.items.iter().all(|item| item.shoppers.is_empty())));
        click(&mut found, "ann", "kept", 0);
        for n in 0..MAX_QUERIES + 100 {
            search(&mut found, "bob", &format!("word {n} x"), 1_000 * n as i64);
        }
        assert!(found.queries.len() <= MAX_QUERIES && found.of("kept").is_some());
        search(&mut found, "bob", &"x".repeat(10_000), 0);
        assert!(found.queries().all(|(query, _)| query.len() <= MAX_QUERY_BYTES));
    }

    #[test]
    fn published_keys_change_nothing_of_what_own_shoppers_did() {
        let mut found = Reformulations::default();
        for n in 0..30 {
            let user = format!("ann{n}");
            search(&mut found, &user, "gamp", 60 * n);
            search(&mut found, &user, "umbrella", 60 * n + 20);
            click(&mut found, &user, "umbrella", 60 * n + 30);
        }
        for n in 0..20 {
            let choice = record(EventType::Click, &format!("bob{n}"), "gamp", Some(&format!("own{n}")), 5_000, false);
            found.observe(&choice);
        }
        let before = found.of("gamp").unwrap().clone();
        for n in 0..400_i64 {
            let mut published = |kind, session: &str, query: &str, item: Option<&str>| {
                let mut record = record(kind, session, query, item, 6_000 + n, true);
                let Body::Event(checked) = &mut record.body else { unreachable!() };
                checked.event.session = checked.event.user.take().map(|user| user.as_str().into());
                found.observe(&record);
            };
            let session = format!("x{n}");
            published(EventType::Search, &session, "gamp", None);
            published(EventType::Click, &session, "gamp", Some(&format!("m{}", n % 22)));
            published(EventType::Search, &format!("y{n}"), "gamp", None);
            published(EventType::Click, &format!("y{n}"), &format!("other {n}"), Some("m1"));
        }
        let after = found.of("gamp").unwrap();
        assert_eq!(after.searchers, before.searchers);
        assert_eq!(after.published.len(), MAX_SHOPPERS);
        let own = |fate: &QueryFate| {
            let items: Vec<_> =
                fate.items.iter().filter(|item| !item.shoppers.is_empty()).map(|item| &item.item).cloned().collect();
            (items, fate.then.iter().map(|then| then.own.clone()).filter(|own| !own.is_empty()).collect::<Vec<_>>())
        };
        assert_eq!(own(after), own(&before));
        assert!(after.n_searchers() > before.n_searchers());
    }

    #[test]
    fn a_published_event_that_names_a_user_is_no_part_of_their_visit() {
        let mut found = Reformulations::default();
        for n in 0..10 {
            let user = format!("ann{n}");
            found.observe(&record(EventType::Search, &user, "mug", None, 0, true));
            search(&mut found, &user, "umbrella", 10);
            click(&mut found, &user, "umbrella", 20);
        }
        let of_mug = found.of("mug").unwrap();
        assert!(of_mug.then.is_empty() && of_mug.searchers.is_empty(), "{of_mug:?}");
    }

    #[test]
    fn searches_of_a_page_count_as_own_ones_once_an_own_choice_follows() {
        let mut found = Reformulations::default();
        let answered = |found: &mut Reformulations, query: &str, at_ms| {
            let served = Served {
                recommendation_id: "r".into(),
                page: Page::Search { query: query.into() },
                user: None,
                session: Some("s1".into()),
                version: 1,
                learned: Offset(0),
                first_position: 0,
                items: vec!["i1".into()],
                propensities: Vec::new(),
                arm: None,
                ranks: Vec::new(),
                asked: Box::default(),
                sponsored: Vec::new(),
                published: true,
                trial: Default::default(),
            };
            let body = Body::Served(Box::new(served));
            found.observe(&Record { offset: Offset(0), received_at: Timestamp(at_ms), body });
        };
        answered(&mut found, "gamp", 0);
        answered(&mut found, "umbrella", 10_000);
        let searchers = |found: &Reformulations, query: &str| {
            let fate = found.of(query).unwrap();
            (fate.searchers.len(), fate.published.len(), fate.then.iter().map(|then| then.own.len()).sum::<usize>())
        };
        assert_eq!((searchers(&found, "gamp"), searchers(&found, "umbrella")), ((0, 1, 0), (0, 1, 0)));
        let mut choice = record(EventType::Click, "", "umbrella", Some("i1"), 15, false);
        let Body::Event(checked) = &mut choice.body else { unreachable!() };
        (checked.event.user, checked.event.session) = (None, Some("s1".into()));
        found.observe(&choice);
        assert_eq!((searchers(&found, "gamp"), searchers(&found, "umbrella")), ((1, 1, 1), (1, 1, 0)));
    }
}
