//! Entries per caller: a caller that sends without pause evicts only its own.
//!
//! In: entries, each with its asker. Out: the entries of one asker in the order in which they came. Where there is no
//! room, the pages of the shop give up an entry if they have more than half of the places, and otherwise the shop; of
//! pages, the address that has the most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;

/// The caller, as bounds that searches share need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asker {
    /// The shop: one of its own keys, which asks for many visitors, or a program of this machine.
    #[default]
    Shop,
    /// A page of the shop, with a key that every visitor can have; the address where it is open, if it is known.
    Page(Option<IpAddr>),
}

/// Entries of several askers.
#[derive(Debug)]
pub(crate) struct ByAsker<T> {
    capacity: usize,
    n: usize,
    by_asker: BTreeMap<Asker, VecDeque<T>>,
    /// How many entries the pages at each address have, the most last.
    pages: BTreeSet<(usize, Asker)>,
    /// The address that was served last.
    last_page: Asker,
    /// Whether the shop was served last.
    was_shop: bool,
}

impl<T> ByAsker<T> {
    /// No entries, of `capacity` at most.
    pub fn new(capacity: usize) -> Self {
        let (by_asker, pages) = (BTreeMap::new(), BTreeSet::new());
        Self { capacity, n: 0, by_asker, pages, last_page: Asker::Shop, was_shop: false }
    }

    /// How many entries there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.n
    }

    /// The entries of an asker, oldest first.
    pub fn of(&self, asker: Asker) -> impl Iterator<Item = &T> {
        self.by_asker.get(&asker).into_iter().flatten()
    }

    /// All entries.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.by_asker.values().flatten()
    }

    /// Adds the latest entry of an asker.
    pub fn push(&mut self, asker: Asker, entry: T) {
        self.change(asker, |entries| entries.push_back(entry));
    }

    /// The asker that gives up an entry because there are more than places; `None` if there is room.
    pub fn crowded_by(&self) -> Option<Asker> {
        if self.n <= self.capacity {
            return None;
        }
        let n_of_shop = self.by_asker.get(&Asker::Shop).map_or(0, VecDeque::len);
        let largest = self.pages.last().map(|(_, page)| *page);
        largest.filter(|_| 2 * (self.n - n_of_shop) > self.capacity).or(Some(Asker::Shop))
    }

    /// Takes out the oldest entry of an asker.
    pub fn take_oldest(&mut self, asker: Asker) -> Option<T> {
        self.change(asker, VecDeque::pop_front)
    }

    /// Takes out the latest entry of an asker.
    pub fn take_latest(&mut self, asker: Asker) -> Option<T> {
        self.change(asker, VecDeque::pop_back)
    }

    /// Takes out the entry that is served next: the shop and pages take turns, and so do the addresses of pages.
    pub fn next(&mut self) -> Option<T> {
        let after = (Bound::Excluded(self.last_page.max(Asker::Shop)), Bound::Unbounded);
        let page = self.by_asker.range(after).next();
        let page = page.or_else(|| self.by_asker.range((Bound::Excluded(Asker::Shop), Bound::Unbounded)).next());
        let page = page.map(|(page, _)| *page);
        let has_shop = self.by_asker.contains_key(&Asker::Shop);
        self.was_shop = has_shop && (page.is_none() || !self.was_shop);
        if self.was_shop {
            return self.take_oldest(Asker::Shop);
        }
        self.last_page = page?;
        self.take_oldest(self.last_page)
    }

    fn change<R>(&mut self, asker: Asker, change: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let entries = self.by_asker.entry(asker).or_default();
        let before = entries.len();
        let result = change(entries);
        let after = entries.len();
        self.n = self.n + after - before;
        if after == 0 {
            self.by_asker.remove(&asker);
        }
        if asker != Asker::Shop {
            self.pages.remove(&(before, asker));
            if after > 0 {
                self.pages.insert((after, asker));
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: u32) -> Asker {
        Asker::Page(Some(IpAddr::from(n.to_be_bytes())))
    }

    /// Adds entries as long as there is room, as those do that remember.
    fn keep(places: &mut ByAsker<u32>, asker: Asker, entry: u32) {
        places.push(asker, entry);
        if let Some(crowded) = places.crowded_by() {
            places.take_oldest(crowded);
        }
    }

    #[test]
    fn one_who_adds_without_pause_takes_places_from_itself() {
        let mut places = ByAsker::new(100);
        (0..20).for_each(|n| keep(&mut places, page(1), n));
        (0..60).for_each(|n| keep(&mut places, Asker::Shop, n));
        (0..1_000).for_each(|n| keep(&mut places, page(2), n));
        assert_eq!(places.len(), 100);
        assert_eq!(places.of(page(1)).count(), 20);
        assert!(places.of(Asker::Shop).count() >= 50);
        assert_eq!(places.of(page(2)).last(), Some(&999), "its latest stay");
        // The shop cannot take the half of the pages either.
        (0..1_000).for_each(|n| keep(&mut places, Asker::Shop, n));
        assert_eq!((places.of(Asker::Shop).count(), places.all().count()), (50, 100));
    }

    #[test]
    fn the_shop_and_the_addresses_of_pages_take_turns() {
        let mut places = ByAsker::new(100);
        (0..6).for_each(|n| places.push(page(1), 100 + n));
        places.push(page(2), 200);
        (0..3).for_each(|n| places.push(Asker::Shop, n));
        let served: Vec<u32> = std::iter::from_fn(|| places.next()).collect();
        assert_eq!(served, [0, 100, 1, 200, 2, 101, 102, 103, 104, 105]);
        assert_eq!((places.len(), places.pages.len(), places.by_asker.len()), (0, 0, 0));
    }

    #[test]
    fn without_other_askers_all_places_are_free() {
        let mut places = ByAsker::new(10);
        (0..25).for_each(|n| keep(&mut places, Asker::Shop, n));
        assert_eq!(places.of(Asker::Shop).copied().collect::<Vec<_>>(), (15..25).collect::<Vec<_>>());
    }
}
