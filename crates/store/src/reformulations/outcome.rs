//! What came of the searches for one query: who searched for it, what they chose, and what they searched for next.
//!
//! Everything is bounded: different shoppers, later queries, items. What makes room is stated where it does.

use accrue_event::ItemId;

use super::Choice;

/// The latest different shoppers that are remembered of a query, and of a later query.
pub(super) const MAX_SHOPPERS: usize = 64;
/// Later queries that are remembered of a query.
pub(super) const MAX_THEN: usize = 20;
/// Items that are remembered of a query, and of a later query.
const MAX_ITEMS: usize = 16;
/// Items that are remembered of a query that were chosen after any later one. Shoppers find one misspelt title by many
/// different later queries, each of which may be too rare to be remembered.
const MAX_LATER: usize = 32;

/// What came of the searches for one query.
#[derive(Clone, Debug, Default)]
pub struct QueryOutcome {
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
    /// What its shoppers chose after any later query, having chosen nothing after this one.
    pub later: Vec<ChosenItem>,
    pub(super) last_ms: i64,
    pub(super) known_by: KnownBy,
}

/// Who knows of a query; those that only published keys know make room first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KnownBy {
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
    /// The shopper chose something after such a later search, having chosen nothing after this one.
    pub reached: bool,
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

impl QueryOutcome {
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
    pub(super) fn searcher(&mut self, shopper: u32, is_own: bool) {
        let searchers = if is_own { &mut self.searchers } else { &mut self.published };
        if searchers.iter().all(|known| known.shopper != shopper) {
            searchers.drain(..(searchers.len() + 1).saturating_sub(MAX_SHOPPERS));
            searchers.push(Searcher { shopper, chose: false, moved_on: false, reached: false });
        }
    }

    pub(super) fn move_on(&mut self, shopper: u32) {
        self.mark(shopper, |known| known.moved_on = true);
    }

    fn mark(&mut self, shopper: u32, change: impl Fn(&mut Searcher)) {
        let all = self.searchers.iter_mut().chain(&mut self.published);
        all.filter(|known| known.shopper == shopper).for_each(change);
    }

    pub(super) fn choose(&mut self, choice: &Choice<'_>) {
        self.searcher(choice.shopper, choice.is_own);
        self.mark(choice.shopper, |known| known.chose = true);
        add_item(&mut self.items, MAX_ITEMS, choice);
    }

    pub(super) fn then(&mut self, query: &str, choice: &Choice<'_>) {
        self.searcher(choice.shopper, choice.is_own);
        self.mark(choice.shopper, |known| {
            known.moved_on = true;
            known.reached = true;
        });
        add_item(&mut self.later, MAX_LATER, choice);
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
        add_item(&mut then.items, MAX_ITEMS, choice);
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
fn add_item(items: &mut Vec<ChosenItem>, most: usize, choice: &Choice<'_>) {
    if !items.iter().any(|known| known.item == *choice.item) {
        if items.len() >= most {
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
