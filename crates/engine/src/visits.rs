//! What the scenes of a visit already show, so that its other scenes show something else.
//!
//! In: for each answer that names a visit, the scene and its items. Out: the items that the other scenes of the visit
//! show. It is memory of the process, not of the log: it is bounded in visits and in items of all visits together, the visit
//! that was used longest ago makes room, and a restart begins without it. Answers that are made at the same moment do not
//! know of each other. Anyone can ask with a published key, under any name, so the visits of such keys have half of the room
//! and names of their own.

use std::collections::{BTreeMap, HashMap};

use accrue_event::ItemId;
use parking_lot::Mutex;

use crate::by_asker::Asker;

/// Visits that are remembered of the shop's own programs, and as many of published keys.
const MAX_VISITS: usize = 5_000;
/// Scenes of a visit that are remembered.
const MAX_SCENES: usize = 16;
/// Items of a scene that are remembered, from the top.
const MAX_ITEMS: usize = 200;
/// Items of all these visits that are remembered. Names of visits are free, so a client can fill the memory up to this: with
/// ids of 20 bytes it is about 25 MB.
const MAX_ITEMS_OF_ALL: usize = 500_000;

/// The visits.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    of_shop: Mutex<Known>,
    /// Those that published keys name.
    of_pages: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Only looked up.
    visits: HashMap<Box<str>, Visit>,
    /// Visits by when they were used last.
    used: BTreeMap<u64, Box<str>>,
    n_uses: u64,
    /// Items of all of them.
    n_items: usize,
}

#[derive(Debug, Default)]
struct Visit {
    used: u64,
    /// The latest at the end.
    scenes: Vec<(Box<str>, Vec<ItemId>)>,
}

impl Visit {
    fn n_items(&self) -> usize {
        self.scenes.iter().map(|(_, items)| items.len()).sum()
    }
}

impl Visits {
    fn of(&self, asker: Asker) -> &Mutex<Known> {
        match asker {
            Asker::Shop => &self.of_shop,
            Asker::Page(_) => &self.of_pages,
        }
    }

    /// What the other scenes of the visit show.
    pub fn shown_elsewhere(&self, asker: Asker, visit: &str, scene: &str) -> Vec<ItemId> {
        let known = self.of(asker).lock();
        let scenes = known.visits.get(visit).into_iter().flat_map(|visit| &visit.scenes);
        scenes.filter(|(other, _)| **other != *scene).flat_map(|(_, items)| items.iter().cloned()).collect()
    }

    /// A scene of the visit shows these items from place `offset` on; what it showed from there on before is forgotten.
    pub fn show(&self, asker: Asker, visit: &str, scene: &str, offset: usize, items: impl Iterator<Item = ItemId>) {
        let mut known = self.of(asker).lock();
        known.n_uses += 1;
        let now = known.n_uses;
        let Known { visits, used, n_items, .. } = &mut *known;
        let known_visit = visits.entry(visit.into()).or_default();
        *n_items -= known_visit.n_items();
        used.remove(&known_visit.used);
        known_visit.used = now;
        used.insert(now, visit.into());
        let scenes = &mut known_visit.scenes;
        let mut shown = match scenes.iter().position(|(known, _)| **known == *scene) {
            Some(place) => scenes.remove(place).1,
            None => Vec::new(),
        };
        shown.truncate(offset);
        let room = MAX_ITEMS.saturating_sub(shown.len());
        shown.extend(items.take(room));
        scenes.push((scene.into(), shown));
        scenes.drain(..scenes.len().saturating_sub(MAX_SCENES));
        *n_items += known_visit.n_items();
        while (visits.len() > MAX_VISITS || *n_items > MAX_ITEMS_OF_ALL)
            && let Some((_, oldest)) = used.pop_first()
        {
            *n_items -= visits.remove(&oldest).map_or(0, |visit| visit.n_items());
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.of_shop.lock() = Known::default();
        *self.of_pages.lock() = Known::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(names: &[&str]) -> Vec<ItemId> {
        names.iter().map(|name| ItemId::from(*name)).collect()
    }

    #[test]
    fn other_scenes_of_the_visit_are_told_apart() {
        let visits = Visits::default();
        visits.show(Asker::Shop, "v", "home", 0, items(&["a", "b"]).into_iter());
        visits.show(Asker::Shop, "v", "home", 2, items(&["c"]).into_iter());
        visits.show(Asker::Shop, "v", "basket", 0, items(&["d"]).into_iter());
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "basket"), items(&["a", "b", "c"]));
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "home"), items(&["d"]));
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "w", "home"), items(&[]));
        visits.show(Asker::Shop, "v", "home", 0, items(&["e"]).into_iter());
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "basket"), items(&["e"]));
        visits.clear();
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "basket"), items(&[]));
    }

    #[test]
    fn visits_of_published_keys_push_out_none_of_the_shop_and_have_names_of_their_own() {
        let (visits, page) = (Visits::default(), Asker::Page(None));
        visits.show(Asker::Shop, "v", "home", 0, items(&["a"]).into_iter());
        visits.show(page, "v", "home", 0, items(&["b"]).into_iter());
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "basket"), items(&["a"]));
        assert_eq!(visits.shown_elsewhere(page, "v", "basket"), items(&["b"]));
        for n in 0..3 * MAX_VISITS {
            visits.show(page, &format!("v{n}"), "home", 0, items(&["c"]).into_iter());
        }
        assert_eq!(visits.shown_elsewhere(Asker::Shop, "v", "basket"), items(&["a"]));
        visits.clear();
        assert_eq!(visits.shown_elsewhere(page, "v1", "basket"), items(&[]));
    }

    #[test]
    fn it_is_bounded() {
        let visits = Visits::default();
        for n in 0..MAX_VISITS + 5 {
            visits.show(Asker::Shop, &format!("v{n}"), "home", 0, items(&["a"]).into_iter());
            visits.show(Asker::Shop, "first", "home", 0, items(&["a"]).into_iter());
        }
        for n in 0..100 {
            visits.show(Asker::Shop, "first", &format!("s{n}"), 0, (0..1000).map(|n| ItemId::from(&*n.to_string())));
        }
        let known = visits.of_shop.lock();
        assert_eq!((known.visits.len(), known.used.len()), (MAX_VISITS, MAX_VISITS));
        let first = &known.visits["first"];
        assert_eq!((first.scenes.len(), first.scenes[0].1.len()), (MAX_SCENES, MAX_ITEMS));
        assert!(!known.visits.contains_key("v0"));
    }

    #[test]
    fn visits_of_many_items_make_room_before_there_are_too_many_visits() {
        let visits = Visits::default();
        let of_visit = || (0..MAX_ITEMS).map(|n| ItemId::from(&*n.to_string()));
        for n in 0..MAX_VISITS {
            visits.show(Asker::Shop, &format!("v{n}"), "home", 0, of_visit());
        }
        let known = visits.of_shop.lock();
        assert_eq!((known.n_items, known.visits.len()), (MAX_ITEMS_OF_ALL, MAX_ITEMS_OF_ALL / MAX_ITEMS));
        assert_eq!(known.visits.values().map(Visit::n_items).sum::<usize>(), known.n_items);
        assert!(!known.visits.contains_key("v0") && known.visits.contains_key(&*format!("v{}", MAX_VISITS - 1)));
    }
}
