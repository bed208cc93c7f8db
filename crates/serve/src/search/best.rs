//! The best of many matches, each product once.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::{Candidate, Retrieved, VARIANTS_KEPT};

/// The best of many matches, by product: a heap whose top is the worst that is kept.
pub(super) struct Best {
    depth: usize,
    n_alone: usize,
    heap: BinaryHeap<Candidate>,
    /// The best variants of each product with several, best first. The order of the products is not read.
    products: HashMap<u32, Vec<Candidate>>,
}

impl Best {
    pub(super) fn new(depth: usize) -> Self {
        Self { depth, n_alone: 0, heap: BinaryHeap::new(), products: HashMap::new() }
    }

    /// Whether nothing was pushed.
    pub(super) fn is_empty(&self) -> bool {
        self.n_alone == 0 && self.products.is_empty()
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        let Some(product) = candidate.product else {
            self.n_alone += 1;
            self.keep(candidate);
            return;
        };
        let variants = self.products.entry(product).or_default();
        let place = variants.partition_point(|better| *better < candidate);
        if place < VARIANTS_KEPT {
            variants.insert(place, candidate);
            variants.truncate(VARIANTS_KEPT);
        }
    }

    fn keep(&mut self, candidate: Candidate) {
        if self.heap.len() < self.depth {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// All candidates of the best products, best first.
    pub(super) fn into_retrieved(mut self) -> Retrieved {
        let products = std::mem::take(&mut self.products);
        let total = self.n_alone + products.len();
        products.values().for_each(|variants| self.keep(variants[0]));
        let mut candidates = self.heap.into_sorted_vec();
        for place in 0..candidates.len() {
            let variants = candidates[place].product.and_then(|product| products.get(&product));
            candidates.extend(variants.into_iter().flat_map(|variants| &variants[1..]));
        }
        candidates.sort_unstable();
        Retrieved { total, candidates, ..Retrieved::default() }
    }
}

/// A better match is smaller: higher score first, then the smaller item index.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.found.item_idx.cmp(&other.found.item_idx))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Candidate {}
