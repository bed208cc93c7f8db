//! Pairs of texts that belong together, and the batches of a training.
//!
//! In: which texts belong together, and hard negatives. Out: for each step a batch, a function of the seed and the step's
//! number. Every pair is drawn once before any is drawn again. A passage that is known to belong to a query is no negative
//! of it, nor is one with the same text.

use std::collections::BTreeSet;

use accrue_kernel::Draws;

/// Stream of the random numbers of an order, and of the choice of negatives.
const ORDER: u64 = 0x5475_6e01;
const NEGATIVES: u64 = 0x5475_6e02;

/// Which texts belong together. Texts are named by their places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// A query and a passage that belongs to it.
    pub pairs: Vec<[u32; 2]>,
    /// For each pair passages that are close to the query and do not belong to it; may be empty.
    pub hard: Vec<Vec<u32>>,
    /// All pairs that are known, whether trained on or not.
    pub known: BTreeSet<[u32; 2]>,
}

/// The texts of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The queries.
    pub queries: Vec<u32>,
    /// The passage of each query, and then hard negatives.
    pub passages: Vec<u32>,
    /// Passages that do not count for a query: `[queries, passages]`
    pub excluded: Vec<bool>,
}

impl Pairs {
    /// The batch of a step: `n` pairs, and `hard` negatives for each that has some.
    pub fn batch(&self, seed: u64, step: u64, n: usize, hard: usize) -> Batch {
        let n_pairs = self.pairs.len();
        let n = n.min(n_pairs);
        let steps_each = (n_pairs / n.max(1)).max(1) as u64;
        let order = order(n_pairs, seed, step / steps_each);
        let first = (step % steps_each) as usize * n;
        let drawn = &order[first..first + n];
        let mut batch = Batch {
            queries: drawn.iter().map(|&pair| self.pairs[pair as usize][0]).collect(),
            passages: drawn.iter().map(|&pair| self.pairs[pair as usize][1]).collect(),
            excluded: Vec::new(),
        };
        let mut draws = Draws::new(seed, NEGATIVES, step);
        for &pair in drawn {
            let of_pair = self.hard.get(pair as usize).map_or(&[][..], |hard| hard);
            for _ in 0..hard.min(of_pair.len()) {
                batch.passages.push(of_pair[draws.below(of_pair.len() as u64) as usize]);
            }
        }
        for (place, &query) in batch.queries.iter().enumerate() {
            let own = batch.passages[place];
            let belongs = |(at, &passage): (usize, &u32)| {
                at != place && (passage == own || passage == query || self.known.contains(&[query, passage]))
            };
            batch.excluded.extend(batch.passages.iter().enumerate().map(belongs));
        }
        batch
    }
}

/// The order of the pairs in a round: Fisher and Yates.
fn order(n: usize, seed: u64, round: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    let mut draws = Draws::new(seed, ORDER, round);
    for last in (1..n).rev() {
        order.swap(last, draws.below(last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Pairs {
        let pairs: Vec<[u32; 2]> = (0..10).map(|at| [at, 100 + at]).collect();
        let known = pairs.iter().copied().chain([[3, 104]]).collect();
        Pairs { hard: pairs.iter().map(|[query, _]| vec![200 + query, 300 + query]).collect(), pairs, known }
    }

    #[test]
    fn a_round_has_every_pair_once_and_the_next_has_another_order() {
        let pairs = pairs();
        let round =
            |first: u64| (first..first + 2).flat_map(|step| pairs.batch(7, step, 5, 0).queries).collect::<Vec<_>>();
        let (first, second) = (round(0), round(2));
        let sorted = |mut queries: Vec<u32>| {
            queries.sort_unstable();
            queries
        };
        assert_eq!(sorted(first.clone()), (0..10).collect::<Vec<_>>());
        assert_eq!(sorted(second.clone()), (0..10).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_eq!(pairs.batch(7, 1, 5, 1), pairs.batch(7, 1, 5, 1));
    }

    #[test]
    fn what_belongs_to_a_query_is_no_negative_of_it() {
        let batch = pairs().batch(1, 0, 10, 1);
        assert_eq!(batch.passages.len(), 20);
        let excluded = |query: u32, passage: u32| {
            let row = batch.queries.iter().position(|&at| at == query).unwrap();
            let column = batch.passages.iter().position(|&at| at == passage).unwrap();
            batch.excluded[row * 20 + column]
        };
        assert!(excluded(3, 104) && !excluded(3, 103) && !excluded(4, 103) && !excluded(2, 104));
        assert_eq!(batch.excluded.iter().filter(|excluded| **excluded).count(), 1);
    }

    #[test]
    fn fewer_pairs_than_a_batch_make_a_smaller_one() {
        let mut few = pairs();
        few.pairs.truncate(3);
        assert_eq!(few.batch(1, 9, 32, 0).queries.len(), 3);
        assert!(Pairs::default().batch(1, 0, 32, 1).queries.is_empty());
    }
}
