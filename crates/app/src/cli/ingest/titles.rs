//! The title of an item that lines of events name: that which most of its lines have.
//!
//! The first line of an item may be a note of the stock-keeping (`damaged`, `short`), and an item may be renamed. The title
//! that is shown changes when another one has clearly more lines, so a long history changes it a few times at most.

use std::collections::HashMap;

/// Items whose titles are counted, at most.
const MAX_ITEMS: usize = 1_000_000;
/// Different titles of one item that are counted, at most.
const MAX_TITLES: usize = 8;

/// How many lines have which title. Looked up by item only.
#[derive(Debug, Default)]
pub(super) struct Titles(HashMap<Box<str>, OfItem>);

#[derive(Debug)]
struct OfItem {
    /// The titles, with the number of lines that have each; none if the catalogue had one before, which stays.
    counts: Vec<(Box<str>, u32)>,
    /// The place of the one that the catalogue has.
    shown: usize,
}

impl Titles {
    /// Counts the title of a line. Returns whether it takes the place of the one that an earlier line gave the item.
    /// `is_titled` says of an item that was not counted before whether the catalogue has a title of it.
    pub fn count(&mut self, item: &str, title: &str, is_titled: impl FnOnce() -> bool) -> bool {
        let title = title.trim();
        let Some(of_item) = self.0.get_mut(item) else {
            if self.0.len() < MAX_ITEMS {
                let counts = if is_titled() { Vec::new() } else { vec![(title.into(), 1)] };
                self.0.insert(item.into(), OfItem { counts, shown: 0 });
            }
            return false;
        };
        if of_item.counts.is_empty() {
            return false;
        }
        let place = match of_item.counts.iter().position(|(known, _)| **known == *title) {
            Some(place) => place,
            None if of_item.counts.len() < MAX_TITLES => {
                of_item.counts.push((title.into(), 0));
                of_item.counts.len() - 1
            }
            None => return false,
        };
        of_item.counts[place].1 += 1;
        let (n, n_shown) = (of_item.counts[place].1, of_item.counts[of_item.shown].1);
        let is_clear = place != of_item.shown && n > n_shown + n_shown / 4;
        if is_clear {
            of_item.shown = place;
        }
        is_clear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_that_most_lines_have_is_shown() {
        let mut titles = Titles::default();
        let mut count = |title: &str| titles.count("71477", title, || false);
        assert!(!count("short"));
        assert!(!count("STAR T-LIGHT HOLDER"), "one line each");
        assert!(count("STAR T-LIGHT HOLDER"));
        assert!(!count("short") && !count("STAR T-LIGHT HOLDER") && !count("short"), "no title has clearly more");
        let changes = (0..1000).filter(|n| count(if n % 2 == 0 { "a" } else { "b" })).count();
        assert!(changes <= 2, "{changes}");
    }

    #[test]
    fn a_title_that_the_catalogue_had_stays() {
        let mut titles = Titles::default();
        assert!((0..9).all(|_| !titles.count("a", "Cup", || true)));
    }

    #[test]
    fn titles_are_counted_within_bounds() {
        let mut titles = Titles::default();
        for n in 0..1000 {
            titles.count("a", &n.to_string(), || false);
        }
        assert_eq!(titles.0["a"].counts.len(), MAX_TITLES);
    }
}
