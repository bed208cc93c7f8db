//! The k best of many scored ids.
//!
//! In: `(score, id)` pairs. Out: the k best, higher score first, equal scores by smaller id. Pairs with a `NaN` score
//! are left out and counted. Duplicate ids are not removed.
//!
//! The best pairs so far are kept in a buffer of up to `2k`. When the buffer is full, selection reduces it to `k`;
//! without a heap, an accepted pair costs amortised constant time in any order of the input.

use std::collections::BinaryHeap;

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};

/// Collects the `k` best of the pairs pushed so far.
///
/// ```
/// let mut best = accrue_kernel::TopK::new(2);
/// for (score, item) in [(0.2, 7), (0.9, 3), (f32::NAN, 4), (0.9, 1)] {
///     best.push(score, item);
/// }
/// assert_eq!(best.n_rejected_nan(), 1);
/// assert_eq!(best.into_sorted(), [(0.9, 1), (0.9, 3)]);
/// ```
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    /// The best pairs so far, at most `full_at`, unordered.
    keys: Vec<u64>,
    full_at: usize,
    /// Smallest key that can still enter.
    lowest: u64,
    /// The score of `lowest`.
    threshold: f32,
    n_rejected_nan: u64,
}

/// Smallest size at which the buffer is reduced; with a smaller one it would be reduced too often.
const SMALLEST_BUFFER: usize = 32;
/// Pairs that there is room for from the start, so that a short list is allocated once.
const FIRST_BUFFER: usize = 128;
/// Scores that are compared with the threshold before any of them is pushed.
const CHUNK: usize = 64;

/// Scores of which [`TopK::push_many`] takes the largest.
const OF_A_PEAK: usize = 8;

impl TopK {
    /// An empty collection of at most `k`. Memory grows with what is pushed, up to `16k` bytes.
    pub fn new(k: usize) -> Self {
        let full_at = k.saturating_mul(2).max(SMALLEST_BUFFER);
        let keys = Vec::with_capacity(full_at.min(FIRST_BUFFER));
        Self { k, keys, full_at, lowest: 0, threshold: f32::NEG_INFINITY, n_rejected_nan: 0 }
    }

    /// Offers a pair. `-0.0` counts as `0.0`; a `NaN` is counted and left out.
    #[inline]
    pub fn push(&mut self, score: f32, id: u32) {
        if score < self.threshold {
            return;
        }
        if score.is_nan() {
            self.n_rejected_nan += 1;
            return;
        }
        let key = key(score, id);
        if key < self.lowest {
            return;
        }
        self.keys.push(key);
        if self.keys.len() >= self.full_at {
            self.cut();
        }
    }

    /// Offers each of `scores` `[n]` with its id of `ids` `[n]`: the result of pushing them one by one. It is faster where
    /// few can enter.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn push_each(&mut self, scores: &[f32], ids: &[u32]) {
        assert_eq!(scores.len(), ids.len(), "push_each: lengths differ");
        push_each_on(Supported::best(), self, scores, ids);
    }

    /// [`TopK::push_each`] for pairs of which there are many times `k`. The largest score of every eight is found first:
    /// where `k` of them are at least as large as some score, no smaller one can be among the `k` best, and nearly all
    /// are left out without being collected.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn push_many(&mut self, scores: &[f32], ids: &[u32]) {
        let mut peaks = Vec::new();
        if self.k > 0 && scores.len() / OF_A_PEAK >= self.k.saturating_mul(2) {
            peaks_on(Supported::best(), scores, &mut peaks);
        }
        if peaks.len() > self.k {
            let (_, &mut least, _) = peaks.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            self.threshold = if least > self.threshold { least } else { self.threshold };
        }
        self.push_each(scores, ids);
    }

    /// A score *below* this cannot enter: `-inf` until `k` pairs are known, and never above the k-th best score so far.
    /// A pair with exactly this score may still enter by its smaller id. The threshold rises only when the buffer is
    /// reduced.
    #[inline]
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Number of pairs that were left out because their score was `NaN`.
    pub fn n_rejected_nan(&self) -> u64 {
        self.n_rejected_nan
    }

    /// The best pairs, at most `k`: higher score first, equal scores by smaller id.
    pub fn into_sorted(mut self) -> Vec<(f32, u32)> {
        if self.keys.len() > self.k {
            self.cut();
        }
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.into_iter().map(score_and_id).collect()
    }

    /// The same pairs in the same order, sorted only as far as they are taken: a page takes ten of hundreds.
    pub fn into_descending(mut self) -> impl Iterator<Item = (f32, u32)> + use<> {
        if self.keys.len() > self.k {
            self.cut();
        }
        let mut keys = BinaryHeap::from(self.keys);
        std::iter::from_fn(move || keys.pop().map(score_and_id))
    }

    /// Reduces the buffer to the k best pairs and raises the threshold to the worst of them.
    #[cold]
    #[inline(never)]
    fn cut(&mut self) {
        let Some(last) = self.k.checked_sub(1) else {
            self.keys.clear();
            return;
        };
        let (_, &mut lowest, _) = self.keys.select_nth_unstable_by(last, |a, b| b.cmp(a));
        self.keys.truncate(self.k);
        self.lowest = lowest;
        self.threshold = score_and_id(lowest).0;
    }
}

/// The `k` best of `scores: [n]`, each with its position. Higher score first, equal scores by smaller position; `NaN`
/// is left out.
///
/// ```
/// assert_eq!(accrue_kernel::top_k(&[0.1, 0.7, 0.7, 0.3], 2), [(0.7, 1), (0.7, 2)]);
/// ```
///
/// # Panics
/// If there are more scores than a `u32` can index.
pub fn top_k(scores: &[f32], k: usize) -> Vec<(f32, u32)> {
    top_k_on(Supported::best(), scores, k)
}

/// [`top_k`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`top_k`], or if the processor does not support the set.
pub fn top_k_with(set: InstructionSet, scores: &[f32], k: usize) -> Vec<(f32, u32)> {
    top_k_on(Supported::check(set), scores, k)
}

compiled_for_each_set! { fn peaks_on(scores: &[f32], peaks: &mut Vec<f32>) = peaks_of_blocks }
compiled_for_each_set! { fn push_each_on(best: &mut TopK, scores: &[f32], ids: &[u32]) = push_chunks<Lanes> }
compiled_for_each_set! { fn top_k_on(scores: &[f32], k: usize) -> Vec<(f32, u32)> = top_k_of_chunks }

/// Adds the largest of every eight scores to `peaks`, `-inf` where all are `NaN`. Eight are those of one lane of a block,
/// so that no lane waits for another.
#[inline(always)]
fn peaks_of_blocks(scores: &[f32], peaks: &mut Vec<f32>) {
    peaks.reserve(scores.len().div_ceil(OF_A_PEAK) + N_LANES);
    for block in scores.chunks(OF_A_PEAK * N_LANES) {
        let mut lanes = [f32::NEG_INFINITY; N_LANES];
        for chunk in block.as_chunks::<N_LANES>().0 {
            for (lane, &score) in lanes.iter_mut().zip(chunk) {
                *lane = if score > *lane { score } else { *lane };
            }
        }
        peaks.extend_from_slice(&lanes);
    }
}

#[inline(always)]
fn push_chunks<L: Lanes>(best: &mut TopK, scores: &[f32], ids: &[u32]) {
    let (chunks, rest) = scores.as_chunks::<N_LANES>();
    let (ids, ids_of_rest) = ids.as_chunks::<N_LANES>();
    for (scores, ids) in chunks.iter().zip(ids) {
        let mut entering = L::load(scores).not_below(L::splat(best.threshold()));
        while entering != 0 {
            let place = entering.trailing_zeros() as usize;
            entering &= entering - 1;
            best.push(scores[place], ids[place]);
        }
    }
    rest.iter().zip(ids_of_rest).for_each(|(&score, &id)| best.push(score, id));
}

#[inline(always)]
fn top_k_of_chunks(scores: &[f32], k: usize) -> Vec<(f32, u32)> {
    assert!(u32::try_from(scores.len()).is_ok(), "{} scores; ids are u32", scores.len());
    if k == 0 {
        return Vec::new();
    }
    let mut best = TopK::new(k.min(scores.len()));
    let (chunks, rest) = scores.as_chunks::<CHUNK>();
    let mut id = 0;
    for chunk in chunks {
        // Once the threshold has risen, few chunks contain a score that can enter; the test is one vector comparison
        // per 16 scores.
        let threshold = best.threshold();
        let may_enter = chunk.iter().fold(false, |any, &score| any | (score >= threshold));
        if may_enter {
            for (&score, id) in chunk.iter().zip(id..) {
                best.push(score, id);
            }
        }
        id += CHUNK as u32;
    }
    for (&score, id) in rest.iter().zip(id..) {
        best.push(score, id);
    }
    best.into_sorted()
}

/// A number that is larger for the better pair: the score's bits in ascending order, then the complement of the id.
#[inline(always)]
fn key(score: f32, id: u32) -> u64 {
    // Adding zero turns -0.0 into 0.0, so that the two are equal.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits };
    (u64::from(ascending) << 32) | u64::from(!id)
}

#[inline(always)]
fn score_and_id(key: u64) -> (f32, u32) {
    let ascending = (key >> 32) as u32;
    let bits = if ascending >> 31 == 1 { ascending & 0x7FFF_FFFF } else { !ascending };
    (f32::from_bits(bits), !(key as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;
    use proptest::prelude::*;

    fn by_sorting(scores: &[f32], k: usize) -> Vec<(f32, u32)> {
        let mut all: Vec<_> = scores.iter().copied().zip(0_u32..).filter(|(score, _)| !score.is_nan()).collect();
        all.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("no NaN").then(a.1.cmp(&b.1)));
        all.truncate(k);
        all
    }

    fn check(scores: &[f32], k: usize) {
        let expected = by_sorting(scores, k);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(top_k_with(set, scores, k), expected, "{} n={} k={k}", set.name(), scores.len());
        }
        // Pushed in reverse, equal scores arrive with descending ids.
        let mut best = TopK::new(k);
        for (id, &score) in scores.iter().enumerate().rev() {
            best.push(score, id as u32);
            assert!(best.threshold() <= expected.last().map_or(f32::INFINITY, |last| last.0));
        }
        assert_eq!(best.n_rejected_nan(), scores.iter().filter(|score| score.is_nan()).count() as u64);
        let ids: Vec<u32> = (0..scores.len() as u32).rev().collect();
        let reversed: Vec<f32> = scores.iter().rev().copied().collect();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let mut best = TopK::new(k);
            push_each_on(Supported::check(set), &mut best, &reversed, &ids);
            assert_eq!(best.into_sorted(), expected, "{} n={} k={k}", set.name(), scores.len());
        }
        let mut best_of_many = TopK::new(k);
        best_of_many.push_many(&reversed, &ids);
        assert_eq!(best_of_many.into_sorted(), expected, "n={} k={k}", scores.len());
        let descending: Vec<(f32, u32)> = best.clone().into_descending().collect();
        assert_eq!(descending, expected);
        assert_eq!(best.into_sorted(), expected);
    }

    proptest! {
        #[test]
        fn equals_sorting(scores in prop::collection::vec(prop_oneof![
            8 => any::<f32>(), 4 => (0_u8..4).prop_map(f32::from), 1 => Just(f32::NAN), 1 => Just(-0.0), 1 => Just(f32::NEG_INFINITY),
        ], 0..400), k in 0_usize..70) {
            check(&scores, k);
        }
    }

    #[test]
    fn equals_sorting_on_long_input_in_any_order() {
        let mut draws = Draws::new(1, 0, 0);
        let mut scores: Vec<f32> = (0..20_001).map(|_| draws.normal()).collect();
        for k in [1, 10, 1000, 20_001, 30_000] {
            check(&scores, k);
        }
        scores.sort_by(f32::total_cmp);
        check(&scores, 100);
        scores.reverse();
        check(&scores, 100);
        check(&[0.5; 5000], 100);
    }

    #[test]
    fn a_huge_k_allocates_nothing_in_advance() {
        let mut best = TopK::new(usize::MAX);
        best.push(1.0, 1);
        assert_eq!(best.into_sorted(), [(1.0, 1)]);
    }
}
