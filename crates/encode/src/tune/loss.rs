//! The loss of a batch: which passage belongs to a query, among all passages of the batch.
//!
//! In: vectors of norm 1. Out: the mean of `−ln softmax(q·p / temperature)` at each query's own passage, and the gradients
//! of the vectors. Van den Oord et al., *Representation learning with contrastive predictive coding* (2018); passages of
//! other queries as negatives: Henderson et al., *Efficient natural language response suggestion* (2017).

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, multiply, scale, softmax_row};

/// What the score of an excluded passage is replaced by.
const EXCLUDED: f32 = -1e30;

/// The loss, and the gradients of queries and passages.
#[derive(Debug)]
pub(super) struct Loss {
    pub loss: f64,
    pub d_queries: Vec<f32>,
    pub d_passages: Vec<f32>,
}

/// `queries: [n, d], passages: [m, d]`, m ≥ n; the passage of query `i` is passage `i`. `excluded: [n, m]`: passages that do
/// not count for a query.
pub(super) fn contrast(queries: &[f32], passages: &[f32], d: usize, temperature: f32, excluded: &[bool]) -> Loss {
    let (n, m) = (queries.len() / d, passages.len() / d);
    let mut scores = vec![0.0; n * m];
    let packed = Packed::of(View::new(passages, m, d).transposed());
    let out = ViewMut::new(&mut scores, n, m);
    multiply(View::new(queries, n, d), &packed, Start::Zero, Activation::Identity, out);
    let mut loss = 0.0;
    for (i, (row, excluded)) in scores.chunks_exact_mut(m).zip(excluded.chunks_exact(m)).enumerate() {
        row.iter_mut().zip(excluded).filter(|(_, excluded)| **excluded).for_each(|(score, _)| *score = EXCLUDED);
        let own = row[i] / temperature;
        loss += f64::from(softmax_row(1.0 / temperature, row) - own);
        row[i] -= 1.0;
        scale(1.0 / (temperature * n as f32), row);
    }
    let mut d_queries = vec![0.0; n * d];
    let right = Packed::of(View::new(passages, m, d));
    let out = ViewMut::new(&mut d_queries, n, d);
    multiply(View::new(&scores, n, m), &right, Start::Zero, Activation::Identity, out);
    let mut d_passages = vec![0.0; m * d];
    let right = Packed::of(View::new(queries, n, d));
    let out = ViewMut::new(&mut d_passages, m, d);
    multiply(View::new(&scores, n, m).transposed(), &right, Start::Zero, Activation::Identity, out);
    Loss { loss: loss / n as f64, d_queries, d_passages }
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    #[test]
    fn the_gradients_are_those_of_finite_differences() {
        let (d, n, m) = (5, 4, 7);
        let mut draws = Draws::new(3, 1, 4);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| 0.5 * draws.normal()).collect() };
        let (queries, passages) = (normal(n * d), normal(m * d));
        let mut excluded = vec![false; n * m];
        excluded[2] = true;
        excluded[m + 6] = true;
        let loss = |q: &[f32], p: &[f32]| contrast(q, p, d, 0.3, &excluded);
        let found = loss(&queries, &passages);
        let check = |x: &[f32], found: &[f32], of: &dyn Fn(&[f32]) -> f64| {
            for i in 0..x.len() {
                let at = |step: f32| {
                    let mut x = x.to_vec();
                    x[i] += step;
                    of(&x)
                };
                let difference = (at(0.01) - at(-0.01)) / 0.02;
                assert!((difference - f64::from(found[i])).abs() < 2e-3, "{i}: {difference} {}", found[i]);
            }
        };
        check(&queries, &found.d_queries, &|q| loss(q, &passages).loss);
        check(&passages, &found.d_passages, &|p| loss(&queries, p).loss);
    }

    #[test]
    fn an_excluded_passage_changes_nothing() {
        let (d, n) = (3, 2);
        let queries = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let passages = [0.9, 0.1, 0.0, 0.0, 0.8, 0.3, 1.0, 0.0, 0.0];
        let excluded = [false, false, true, false, false, true];
        let with = contrast(&queries, &passages, d, 0.1, &excluded);
        let without = contrast(&queries, &passages[..6], d, 0.1, &[false; 4]);
        assert_eq!(with.loss, without.loss);
        assert_eq!((&with.d_queries, &with.d_passages[..6]), (&without.d_queries, &without.d_passages[..]));
        assert!(with.d_passages[6..].iter().all(|x| *x == 0.0) && n == 2);
    }
}
