//! Diversity by maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998): each place is filled by the item with the
//! best score less its similarity to the items above it in the window:
//!
//! ```text
//! value(i) = (1 − d)·r_i − d · max over picked j of S_ij
//! ```
//!
//! with relevance `r` in 0 to 1 and diversity `d`. A value only falls as more items are picked, so an item is compared
//! only when its last known value is the best.

use super::greedy::Greedy;

/// The values of the items of a window, by place.
pub(super) struct Mmr<'a, S: Fn(usize, usize) -> f32> {
    /// `[items]`, 0 to 1.
    relevance: &'a [f32],
    diversity: f32,
    similarity: S,
    picked: Vec<usize>,
    /// By item: the largest similarity to the first `n_compared` of the picked; similarity to the others is not computed
    /// yet.
    likeness: Vec<f32>,
    n_compared: Vec<usize>,
}

impl<'a, S: Fn(usize, usize) -> f32> Mmr<'a, S> {
    /// No item is picked. `relevance: [items]`, 0 to 1.
    pub fn new(relevance: &'a [f32], diversity: f32, similarity: S) -> Self {
        let n = relevance.len();
        let (likeness, n_compared) = (vec![0.0; n], vec![0; n]);
        Self { relevance, diversity, similarity, picked: Vec::new(), likeness, n_compared }
    }
}

impl<S: Fn(usize, usize) -> f32> Greedy for Mmr<'_, S> {
    fn bound(&self, item: usize) -> f32 {
        (1.0 - self.diversity) * self.relevance[item] - self.diversity * self.likeness[item]
    }

    fn is_exact(&mut self, item: usize) -> bool {
        let from = self.n_compared[item];
        for &above in &self.picked[from..] {
            self.likeness[item] = self.likeness[item].max((self.similarity)(above, item));
        }
        self.n_compared[item] = self.picked.len();
        from == self.picked.len()
    }

    fn pick(&mut self, item: usize, _: &[usize]) {
        self.picked.push(item);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::greedy::fill;

    /// The definition: every item is compared with every pick.
    fn pick_eagerly(
        relevance: &[f32],
        diversity: f32,
        n: usize,
        similarity: impl Fn(usize, usize) -> f32,
    ) -> Vec<usize> {
        let mut picked: Vec<usize> = Vec::new();
        while picked.len() < n {
            let value = |item: usize| {
                let alike = picked.iter().map(|&above| similarity(above, item)).fold(0.0, f32::max);
                (1.0 - diversity) * relevance[item] - diversity * alike
            };
            let left = (0..relevance.len()).filter(|item| !picked.contains(item));
            let best = left.reduce(|best, item| if value(item) > value(best) { item } else { best });
            picked.push(best.unwrap());
        }
        picked
    }

    proptest! {
        #[test]
        fn lazy_selection_picks_the_same_items_as_the_definition(
            scores in proptest::collection::vec(-3..3_i32, 1..40),
            diversity in 0.0..=1.0_f32,
            share in 0.0..=1.0_f32,
            kinds in 1..7_usize,
        ) {
            let relevance: Vec<f32> = scores.iter().map(|&score| (score + 3) as f32 / 6.0).collect();
            // Many are equally similar, so that there are ties.
            let similarity = |a: usize, b: usize| {
                if a % kinds == b % kinds { 1.0 } else { 1.0 / (1 + a.abs_diff(b)) as f32 }
            };
            let n = (share * relevance.len() as f32) as usize;
            let picked = fill(&mut Mmr::new(&relevance, diversity, similarity), relevance.len(), n, |_, _| true).picked;
            prop_assert_eq!(picked, pick_eagerly(&relevance, diversity, n, similarity));
        }
    }
}
