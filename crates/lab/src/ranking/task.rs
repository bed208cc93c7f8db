//! A ranking task: data to fit on, and queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_kernel::Draws;
use accrue_model::collaborative::{Interactions, InteractionsBuilder};

use crate::read::Vocabulary;

/// Streams of random numbers.
const HELD_OUT: u64 = 0x4845_4C44;
const NEGATIVES: u64 = 0x4E45_4741;
const SAMPLED: u64 = 0x5341_4D50;

/// One query: which items does a user with this history choose next?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The user. The bootstrap resamples all queries of a user together.
    pub user: u32,
    /// The history, oldest first.
    pub history: Vec<u32>,
    /// The chosen items; at least one, each once.
    pub relevant: Vec<u32>,
    /// If present, relevant items are ranked among these only; `None` ranks all items.
    pub among: Option<Vec<u32>>,
}

/// Numbers of what was left out, by reason, so that nothing is dropped silently.
pub type LeftOut = BTreeMap<&'static str, u64>;

/// Data to fit on, and the queries to evaluate.
#[derive(Clone, Debug)]
pub struct Task {
    /// Histories to fit on. `n_items` counts the items of all files.
    pub train: Interactions,
    /// The queries.
    pub queries: Vec<Query>,
    /// Whether items of the history are excluded from the candidates.
    pub drop_seen: bool,
    /// Numbers of what was left out.
    pub counted: LeftOut,
    /// The names of users and items.
    pub names: Names,
}

/// The names of users and items, by index. Queries of sessions have no users with names.
#[derive(Clone, Debug, Default)]
pub struct Names {
    users: Option<Arc<Vocabulary>>,
    items: Arc<Vocabulary>,
}

impl Names {
    /// Names by their indices.
    pub fn of(users: Option<Vocabulary>, items: Vocabulary) -> Self {
        Self { users: users.map(Arc::new), items: Arc::new(items) }
    }

    /// The user's name, or the index where users have none.
    pub fn user(&self, user: u32) -> String {
        let name = self.users.as_ref().and_then(|users| users.name(user));
        name.map_or_else(|| user.to_string(), str::to_string)
    }

    /// The item's name.
    pub fn item(&self, item: u32) -> String {
        self.items.name(item).map_or_else(|| item.to_string(), str::to_string)
    }
}

impl Task {
    /// One query for an item near the end of each history; [`LastItems`] says which, and what is fitted on.
    ///
    /// The history of a query contains all items before its target. Users with fewer than three items are fitted on and
    /// have no query.
    pub fn last_items(histories: &[Vec<u32>], n_items: usize, on: LastItems, drop_seen: bool) -> Self {
        let mut train = InteractionsBuilder::new(n_items);
        let (mut queries, mut counted) = (Vec::new(), LeftOut::new());
        for (user, history) in histories.iter().enumerate() {
            if history.len() < 3 {
                train.push(history);
                *counted.entry("users_with_fewer_than_three_items").or_default() += 1;
                continue;
            }
            let asked = history.len() - 1 - usize::from(on == LastItems::Validation);
            let fitted = if on == LastItems::TestRefitted { asked } else { history.len() - 2 };
            train.push(&history[..fitted]);
            let relevant = vec![history[asked]];
            queries.push(Query { user: user as u32, history: history[..asked].to_vec(), relevant, among: None });
        }
        Self { train: train.build(), queries, drop_seen, counted, names: Names::default() }
    }

    /// One query for each user's test items, among all items that are not in the user's history.
    pub fn test_sets(train: &[Vec<u32>], test: &[Vec<u32>], n_items: usize) -> Self {
        let (mut queries, mut counted) = (Vec::new(), LeftOut::new());
        for (user, relevant) in test.iter().enumerate() {
            let history = train.get(user).cloned().unwrap_or_default();
            let relevant = without(relevant, &history);
            if relevant.is_empty() {
                continue;
            }
            if history.is_empty() {
                *counted.entry("test_users_never_trained_on").or_default() += 1;
            }
            queries.push(Query { user: user as u32, history, relevant, among: None });
        }
        let train = Interactions::new(n_items, train);
        let known = train.counts();
        let unknown = queries.iter().flat_map(|query| &query.relevant).filter(|&&item| known[item as usize] == 0);
        counted.insert("test_items_never_trained_on", unknown.count() as u64);
        Self { train, queries, drop_seen: true, counted, names: Names::default() }
    }

    /// Turns a random share of each history into a query: a validation split inside the training data.
    #[must_use]
    pub fn hold_out_share(&self, share: f64, seed: u64) -> Self {
        let mut train = InteractionsBuilder::new(self.train.n_items());
        let mut queries = Vec::new();
        for (user, history) in self.train.histories().enumerate() {
            let mut order: Vec<usize> = (0..history.len()).collect();
            Draws::new(seed, HELD_OUT, user as u64).shuffle(&mut order);
            let n_held = ((history.len() as f64 * share) as usize).min(history.len().saturating_sub(1));
            let mut is_held = vec![false; history.len()];
            order[..n_held].iter().for_each(|&place| is_held[place] = true);
            let part = |held: bool| -> Vec<u32> {
                history.iter().zip(&is_held).filter(|&(_, &is)| is == held).map(|(&item, _)| item).collect()
            };
            let kept = part(false);
            train.push(&kept);
            let relevant = without(&part(true), if self.drop_seen { &kept } else { &[] });
            if !relevant.is_empty() {
                queries.push(Query { user: user as u32, history: kept, relevant, among: None });
            }
        }
        Self {
            train: train.build(),
            queries,
            drop_seen: self.drop_seen,
            counted: LeftOut::new(),
            names: self.names.clone(),
        }
    }

    /// Turns the last share of the histories, in file order, into queries: the next item after each prefix.
    #[must_use]
    pub fn hold_out_last_sessions(&self, share: f64) -> Self {
        let n_users = self.train.n_users();
        let n_kept = n_users - (n_users as f64 * share).ceil() as usize;
        let kept = Interactions::new(self.train.n_items(), self.train.histories().take(n_kept));
        let known = kept.counts();
        let mut queries = Vec::new();
        for (user, session) in self.train.histories().enumerate().skip(n_kept) {
            // As in the test, items that do not occur in the training data are not asked for.
            let session: Vec<u32> = session.iter().copied().filter(|&item| known[item as usize] > 0).collect();
            for place in 1..session.len() {
                let (history, relevant) = (session[..place].to_vec(), vec![session[place]]);
                queries.push(Query { user: user as u32, history, relevant, among: None });
            }
        }
        Self { train: kept, queries, drop_seen: self.drop_seen, counted: LeftOut::new(), names: self.names.clone() }
    }

    /// Turns one random item of each history into a query.
    #[must_use]
    pub fn hold_out_one(&self, seed: u64) -> Self {
        let mut train = InteractionsBuilder::new(self.train.n_items());
        let mut queries = Vec::new();
        for (user, history) in self.train.histories().enumerate() {
            if history.len() < 2 {
                train.push(history);
                continue;
            }
            let place = Draws::new(seed, HELD_OUT, user as u64).below(history.len() as u64) as usize;
            let mut kept = history.to_vec();
            let relevant = vec![kept.remove(place)];
            train.push(&kept);
            queries.push(Query { user: user as u32, history: kept, relevant, among: None });
        }
        Self {
            train: train.build(),
            queries,
            drop_seen: self.drop_seen,
            counted: LeftOut::new(),
            names: self.names.clone(),
        }
    }

    /// The task with a random share of its users: their histories and their queries.
    ///
    /// Histories without a query (past sessions) are sampled in the same way.
    #[must_use]
    pub fn sampled(&self, share: f64, seed: u64) -> Self {
        if share >= 1.0 {
            return self.clone();
        }
        let is_kept = |user: u64| f64::from(Draws::new(seed, SAMPLED, user).uniform()) < share;
        let mut train = InteractionsBuilder::new(self.train.n_items());
        for (user, history) in self.train.histories().enumerate() {
            train.push(if is_kept(user as u64) { history } else { &[] });
        }
        let queries = self.queries.iter().filter(|query| is_kept(u64::from(query.user))).cloned().collect();
        Self {
            train: train.build(),
            queries,
            drop_seen: self.drop_seen,
            counted: LeftOut::new(),
            names: self.names.clone(),
        }
    }

    /// Ranks each query among `n` sampled items that the user has not chosen, each once, instead of among all items.
    pub fn sample_negatives(&mut self, n: usize, seed: u64) {
        let n_items = self.train.n_items();
        for (number, query) in self.queries.iter_mut().enumerate() {
            let mut draws = Draws::new(seed, NEGATIVES, number as u64);
            let mut taken: Vec<u32> = query.history.iter().chain(&query.relevant).copied().collect();
            taken.sort_unstable();
            taken.dedup();
            let n = n.min(n_items - taken.len());
            let mut sampled = Vec::with_capacity(n);
            while sampled.len() < n {
                let item = draws.below(n_items as u64) as u32;
                if let Err(place) = taken.binary_search(&item) {
                    taken.insert(place, item);
                    sampled.push(item);
                }
            }
            query.among = Some(sampled);
        }
    }
}

/// The target of [`Task::last_items`], and what it is fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastItems {
    /// The last item but one; fitted on all items before it.
    Validation,
    /// The last item; fitted on all items before the last but one, as for most published results.
    Test,
    /// The last item; fitted on all items before it.
    TestRefitted,
}

/// The `items` that are not in `others`, each once, in order.
fn without(items: &[u32], others: &[u32]) -> Vec<u32> {
    let mut excluded = others.to_vec();
    excluded.sort_unstable();
    let mut kept = Vec::with_capacity(items.len());
    for &item in items {
        if excluded.binary_search(&item).is_err() && !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_item_is_the_target_and_the_one_before_it_is_not_fitted_on() {
        let histories = [vec![0, 1, 2, 3], vec![4, 5]];
        let task = Task::last_items(&histories, 6, LastItems::Test, true);
        assert_eq!((task.train.history(0), task.train.history(1)), (&[0, 1][..], &[4, 5][..]));
        assert_eq!(task.queries.len(), 1);
        assert_eq!((&*task.queries[0].history, &*task.queries[0].relevant), (&[0, 1, 2][..], &[3][..]));
        let validation = Task::last_items(&histories, 6, LastItems::Validation, true);
        assert_eq!((&*validation.queries[0].history, &*validation.queries[0].relevant), (&[0, 1][..], &[2][..]));
        assert_eq!(validation.train, task.train);
        assert_eq!(Task::last_items(&histories, 6, LastItems::TestRefitted, true).train.history(0), [0, 1, 2]);
    }

    #[test]
    fn held_out_items_leave_the_history_and_none_is_lost() {
        let task = Task::test_sets(&[vec![0, 1, 2, 3, 4], vec![5]], &[vec![5, 0], vec![1]], 6);
        assert_eq!(task.queries[0].relevant, [5], "item 0 was trained on");
        let inner = task.hold_out_share(0.4, 1);
        assert_eq!(inner.queries.len(), 1);
        let mut all: Vec<u32> = inner.queries[0].history.iter().chain(&inner.queries[0].relevant).copied().collect();
        all.sort_unstable();
        assert_eq!((all, inner.queries[0].relevant.len()), (vec![0, 1, 2, 3, 4], 2));
    }

    #[test]
    fn negatives_are_items_that_the_user_has_not_chosen() {
        let mut task = Task::last_items(&[vec![0, 1, 2, 3]], 8, LastItems::Test, true);
        task.sample_negatives(100, 3);
        let mut among = task.queries[0].among.clone().expect("sampled");
        among.sort_unstable();
        assert_eq!(among, [4, 5, 6, 7]);
    }
}
