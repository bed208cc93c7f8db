//! Which users chose which items, in order: the input of every fitted model.
//!
//! In: histories, one a user (or a session), oldest first. Out: the same as two flat arrays, and transposed as users of each
//! item. Refuses: item ids beyond `n_items` (panics; readers number items themselves).

use serde::{Deserialize, Serialize};

/// Histories in compressed rows. Repeats are kept, because a history is a sequence; a model that needs a set removes
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interactions {
    n_items: usize,
    /// `[n_users + 1]`: where each history begins in `items`.
    begins: Vec<usize>,
    items: Vec<u32>,
}

impl Interactions {
    /// From histories, oldest first. Item ids are `0..n_items`; more items than occur are allowed.
    ///
    /// ```
    /// use accrue_model::collaborative::Interactions;
    /// let mugs_and_plates = Interactions::new(3, [vec![0, 2], vec![2, 1, 2]]);
    /// assert_eq!((mugs_and_plates.n_users(), mugs_and_plates.n_interactions()), (2, 5));
    /// assert_eq!(mugs_and_plates.history(1), [2, 1, 2]);
    /// ```
    ///
    /// # Panics
    /// If an id is not below `n_items`.
    pub fn new(n_items: usize, histories: impl IntoIterator<Item = impl AsRef<[u32]>>) -> Self {
        let mut builder = InteractionsBuilder::new(n_items);
        histories.into_iter().for_each(|history| builder.push(history.as_ref()));
        builder.build()
    }

    /// Number of items, including those that do not occur.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Number of histories, including empty ones.
    pub fn n_users(&self) -> usize {
        self.begins.len() - 1
    }

    /// Number of items in all histories together.
    pub fn n_interactions(&self) -> usize {
        self.items.len()
    }

    /// One user's items, oldest first.
    pub fn history(&self, user: usize) -> &[u32] {
        &self.items[self.begins[user]..self.begins[user + 1]]
    }

    /// All histories, in the order of users.
    pub fn histories(&self) -> impl ExactSizeIterator<Item = &[u32]> + Clone {
        self.begins.windows(2).map(|ends| &self.items[ends[0]..ends[1]])
    }

    /// All items of all histories, one after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// How often each item was chosen. `[n_items]`
    pub fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_items];
        for &item in &self.items {
            counts[item as usize] += 1;
        }
        counts
    }

    /// Each history as a set: sorted, without repeats.
    #[must_use]
    pub fn distinct(&self) -> Self {
        let mut builder = InteractionsBuilder::new(self.n_items);
        let mut set = Vec::new();
        for history in self.histories() {
            set.clear();
            set.extend_from_slice(history);
            set.sort_unstable();
            set.dedup();
            builder.push(&set);
        }
        builder.build()
    }

    /// The interactions selected by their number, counted through all histories.
    #[must_use]
    pub(crate) fn retained(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let (mut begins, mut items) = (Vec::with_capacity(self.begins.len()), Vec::with_capacity(self.items.len()));
        begins.push(0);
        for ends in self.begins.windows(2) {
            items.extend((ends[0]..ends[1]).filter(|&number| wanted(number)).map(|number| self.items[number]));
            begins.push(items.len());
        }
        Self { n_items: self.n_items, begins, items }
    }

    /// The users of each item, ascending: rows become items and the other way round.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut begins = vec![0; self.n_items + 1];
        for &item in &self.items {
            begins[item as usize + 1] += 1;
        }
        for row in 0..self.n_items {
            begins[row + 1] += begins[row];
        }
        let mut next = begins.clone();
        let mut users = vec![0; self.items.len()];
        for (user, history) in self.histories().enumerate() {
            for &item in history {
                users[next[item as usize]] = user as u32;
                next[item as usize] += 1;
            }
        }
        Self { n_items: self.n_users(), begins, items: users }
    }
}

impl Interactions {
    /// Where each item occurs.
    pub fn occurrences(&self) -> Occurrences {
        let mut begins = vec![0; self.n_items + 1];
        for &item in &self.items {
            begins[item as usize + 1] += 1;
        }
        for item in 0..self.n_items {
            begins[item + 1] += begins[item];
        }
        let mut next = begins.clone();
        let mut places = vec![(0, 0); self.items.len()];
        for (user, history) in self.histories().enumerate() {
            for (place, &item) in history.iter().enumerate() {
                places[next[item as usize]] = (user as u32, place as u32);
                next[item as usize] += 1;
            }
        }
        Occurrences { begins, places }
    }
}

/// Where each item occurs: users ascending, places ascending within a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrences {
    /// `[n_items + 1]`
    begins: Vec<usize>,
    /// `(user, place in the user's history)`
    places: Vec<(u32, u32)>,
}

impl Occurrences {
    /// `(user, place)` of each occurrence of the item.
    pub fn of(&self, item: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        let places = &self.places[self.begins[item]..self.begins[item + 1]];
        places.iter().map(|&(user, place)| (user as usize, place as usize))
    }
}

/// Collects histories one by one.
#[derive(Clone, Debug)]
pub struct InteractionsBuilder {
    built: Interactions,
}

impl InteractionsBuilder {
    /// No history yet.
    pub fn new(n_items: usize) -> Self {
        Self { built: Interactions { n_items, begins: vec![0], items: Vec::new() } }
    }

    /// The next user's history, oldest first.
    ///
    /// # Panics
    /// If an id is not below `n_items`.
    pub fn push(&mut self, history: &[u32]) {
        let n_items = self.built.n_items;
        assert!(history.iter().all(|&item| (item as usize) < n_items), "item ids are below n_items={n_items}");
        self.built.items.extend_from_slice(history);
        self.built.begins.push(self.built.items.len());
    }

    /// All histories pushed so far.
    pub fn build(self) -> Interactions {
        self.built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_gives_the_sets_back() {
        let data = Interactions::new(4, [vec![3, 0, 3], vec![], vec![1, 0]]);
        assert_eq!(data.distinct().transposed().transposed(), data.distinct());
        assert_eq!(data.transposed().history(3), [0, 0]);
        assert_eq!(data.counts(), [2, 1, 0, 2]);
    }

    #[test]
    #[should_panic(expected = "below n_items=2")]
    fn an_id_beyond_the_items_is_refused() {
        Interactions::new(2, [[2]]);
    }
}
