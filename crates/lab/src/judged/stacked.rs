//! Two simpler models of judgments, whose predictions are features of the trees.
//!
//! The first one knows words: how ratings differ from the mean where the title has a word of the query, and where it
//! lacks it. The second one knows vectors: a line over the products of both vectors, number by number, which weighs the
//! dimensions of a cosine (ridge regression, by conjugate gradients).
//!
//! What the trees see of a pair must come from other queries than its own, or they would trust it too much (Wolpert,
//! *Stacked generalization*, 1992). For a fold that is predicted, a pair of another fold is predicted from all folds but
//! these two, and its own pairs from all others.

use std::collections::HashMap;

use super::Judged;

/// Names of the columns.
pub(super) const NAMES: [&str; WIDTH] = ["word_effects", "word_effects_least", "products"];
const WIDTH: usize = 3;
/// Pairs of the mean that the effect of a word is averaged with.
const SHRINKAGE: f64 = 15.0;
/// What the line is held back by, in units of the mean square of a product.
const RIDGE: f64 = 0.02;
/// Steps of conjugate gradients.
const STEPS: usize = 200;

/// Sums of each fold, from which models without some folds are made.
pub(super) struct Simple<'a> {
    judged: &'a Judged,
    fold_of: &'a [usize],
    n_folds: usize,
    /// By pair the words of its query as places of `effects`: with the word, or without.
    words: Vec<Vec<u32>>,
    /// By fold, by word with and without: the sum of ratings, and their number.
    effects: Vec<Vec<(f64, f64)>>,
    /// By fold the sum of ratings, and their number.
    ratings: Vec<(f64, f64)>,
    /// By fold the sums of products: `[width, width]` and `[width]`; empty without vectors.
    squares: Vec<Vec<f32>>,
    sums: Vec<Vec<f64>>,
    width: usize,
}

impl<'a> Simple<'a> {
    pub(super) fn new(judged: &'a Judged, fold_of: &'a [usize], n_folds: usize) -> Self {
        let mut ids: HashMap<&str, u32> = HashMap::new();
        let mut words = Vec::with_capacity(judged.pairs.len());
        for pair in &judged.pairs {
            let title = &judged.titles[pair.title].words;
            let of_word = |word: &'a super::Word| {
                let next = ids.len() as u32;
                let has = title.iter().any(|other| other.term == word.term);
                2 * *ids.entry(&word.term).or_insert(next) + u32::from(has)
            };
            words.push(judged.queries[pair.query].words.iter().map(of_word).collect());
        }
        let width =
            judged.vectors.as_ref().map_or(0, |(queries, _)| queries.first().map_or(0, |first| first.len() + 1));
        let mut simple = Self {
            judged,
            fold_of,
            n_folds,
            words,
            effects: vec![vec![(0.0, 0.0); 2 * ids.len()]; n_folds],
            ratings: vec![(0.0, 0.0); n_folds],
            squares: vec![vec![0.0; width * width]; n_folds],
            sums: vec![vec![0.0; width]; n_folds],
            width,
        };
        simple.count();
        simple
    }

    fn count(&mut self) {
        let mut products = Vec::new();
        for (at, pair) in self.judged.pairs.iter().enumerate() {
            let (fold, rating) = (self.fold_of[at], f64::from(pair.rating));
            let add = |sum: &mut (f64, f64)| *sum = (sum.0 + rating, sum.1 + 1.0);
            add(&mut self.ratings[fold]);
            self.words[at].iter().for_each(|&word| add(&mut self.effects[fold][word as usize]));
            self.products(at, &mut products);
            // One half, because the other one is its mirror image.
            for (i, &product) in products.iter().enumerate() {
                let row = &mut self.squares[fold][i * self.width..i * self.width + i + 1];
                accrue_kernel::axpy(product, &products[..=i], row);
                self.sums[fold][i] += f64::from(product) * rating;
            }
        }
    }

    /// The products of both vectors of a pair, scaled so that they are about 1, and a 1 for the mean.
    fn products(&self, at: usize, out: &mut Vec<f32>) {
        out.clear();
        let Some((queries, titles)) = &self.judged.vectors else { return };
        let pair = &self.judged.pairs[at];
        let scale = self.width as f32;
        let both = queries[pair.query].iter().zip(&titles[pair.title]);
        out.extend(both.map(|(one, other)| scale * one * other));
        out.push(1.0);
    }

    /// What both models make of each pair, for a prediction of `fold`.
    pub(super) fn columns(&self, fold: usize) -> Vec<[f32; WIDTH]> {
        let mut columns = vec![[f32::NAN; WIDTH]; self.judged.pairs.len()];
        for inner in 0..self.n_folds {
            let is_used = |other: usize| other != fold && other != inner;
            let line = self.line(is_used);
            let mean = sum_of(self.ratings.iter(), is_used);
            let mean = mean.0 / mean.1.max(1.0);
            let mut effects = vec![(0.0, 0.0); self.effects[0].len()];
            for of_fold in self.effects.iter().enumerate().filter(|(other, _)| is_used(*other)).map(|(_, of)| of) {
                effects.iter_mut().zip(of_fold).for_each(|(sum, of)| *sum = (sum.0 + of.0, sum.1 + of.1));
            }
            let mut products = Vec::new();
            for (at, column) in columns.iter_mut().enumerate().filter(|(at, _)| self.fold_of[*at] == inner) {
                let effect = |&word: &u32| {
                    let (sum, n) = effects[word as usize];
                    ((sum - n * mean) / (n + SHRINKAGE)) as f32
                };
                column[0] = self.words[at].iter().map(effect).sum();
                column[1] = self.words[at].iter().map(effect).fold(0.0, f32::min);
                self.products(at, &mut products);
                if !products.is_empty() {
                    column[2] =
                        products.iter().zip(&line).map(|(product, weight)| f64::from(*product) * weight).sum::<f64>()
                            as f32;
                }
            }
        }
        columns
    }

    /// The weights of the products, fitted on some folds.
    fn line(&self, is_used: impl Fn(usize) -> bool) -> Vec<f64> {
        let n = self.width;
        let mut squares = vec![0.0_f64; n * n];
        let mut sums = vec![0.0_f64; n];
        for fold in (0..self.n_folds).filter(|fold| is_used(*fold)) {
            for i in 0..n {
                for j in 0..=i {
                    squares[i * n + j] += f64::from(self.squares[fold][i * n + j]);
                }
                sums[i] += self.sums[fold][i];
            }
        }
        let trace: f64 = (0..n).map(|i| squares[i * n + i]).sum();
        let ridge = RIDGE * trace / n.max(1) as f64;
        for i in 0..n {
            for j in 0..i {
                squares[j * n + i] = squares[i * n + j];
            }
            // The mean is not held back.
            squares[i * n + i] += if i + 1 < n { ridge } else { 1e-6 };
        }
        solve(&squares, &sums)
    }
}

fn sum_of<'a>(sums: impl Iterator<Item = &'a (f64, f64)>, is_used: impl Fn(usize) -> bool) -> (f64, f64) {
    let used = sums.enumerate().filter(|(fold, _)| is_used(*fold));
    used.fold((0.0, 0.0), |all, (_, of)| (all.0 + of.0, all.1 + of.1))
}

/// Solves `a·x = b` for a symmetric positive definite `a: [n, n]`, by conjugate gradients with the diagonal as their scale.
fn solve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let times = |x: &[f64]| -> Vec<f64> { a.chunks(n.max(1)).map(|row| inner(row, x)).collect() };
    let scaled = |r: &[f64]| -> Vec<f64> { r.iter().enumerate().map(|(i, r)| r / a[i * n + i]).collect() };
    let (mut x, mut left) = (vec![0.0; n], b.to_vec());
    let mut towards = scaled(&left);
    let mut before = inner(&left, &towards);
    let enough = before * 1e-18;
    for _ in 0..STEPS {
        let moved = times(&towards);
        let along = inner(&towards, &moved);
        if along <= 0.0 || before <= enough {
            break;
        }
        let step = before / along;
        x.iter_mut().zip(&towards).for_each(|(x, towards)| *x += step * towards);
        left.iter_mut().zip(&moved).for_each(|(left, moved)| *left -= step * moved);
        let next = scaled(&left);
        let now = inner(&left, &next);
        towards.iter_mut().zip(&next).for_each(|(towards, next)| *towards = next + now / before * *towards);
        before = now;
    }
    x
}

fn inner(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::super::Pair;
    use super::super::tests::text;
    use super::*;

    #[test]
    fn equations_are_solved() {
        let a = [4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let x = [1.0, -2.0, 3.0];
        let b: Vec<f64> = a.chunks(3).map(|row| inner(row, &x)).collect();
        assert!(solve(&a, &b).iter().zip(x).all(|(found, x)| (found - x).abs() < 1e-9));
        assert!(solve(&[], &[]).is_empty());
    }

    #[test]
    fn dimensions_that_tell_are_found_and_a_pair_is_not_predicted_from_its_own_fold() {
        let mut draws = Draws::new(1, 2, 3);
        let vector = |draws: &mut Draws| -> Vec<f32> { (0..8).map(|_| draws.normal() / 8.0_f32.sqrt()).collect() };
        let queries: Vec<Vec<f32>> = (0..200).map(|_| vector(&mut draws)).collect();
        let titles: Vec<Vec<f32>> = (0..200).map(|_| vector(&mut draws)).collect();
        let pairs: Vec<Pair> = (0..200)
            .map(|at| Pair { query: at, title: at, rating: 2.0 + 3.0 * queries[at][5] * titles[at][5] })
            .collect();
        let texts = || (0..200).map(|_| text("mug")).collect();
        let mut judged = Judged { queries: texts(), titles: texts(), pairs, vectors: Some((queries, titles)) };
        let fold_of: Vec<usize> = (0..200).map(|at| at % 4).collect();
        let columns = Simple::new(&judged, &fold_of, 4).columns(0);
        let error = |at: usize| (columns[at][2] - judged.pairs[at].rating).abs();
        assert!((0..200).all(|at| error(at) < 0.1), "{}", (0..200).map(error).fold(0.0, f32::max));
        // Other ratings of two folds change nothing for pairs of the second one where the first is predicted.
        judged.pairs.iter_mut().enumerate().filter(|(at, _)| at % 4 < 2).for_each(|(_, pair)| pair.rating = -9.0);
        let other = Simple::new(&judged, &fold_of, 4).columns(0);
        assert!((0..200).filter(|at| at % 4 == 1).all(|at| columns[at] == other[at]));
        assert!((0..200).filter(|at| at % 4 == 2).any(|at| columns[at] != other[at]));
    }
}
