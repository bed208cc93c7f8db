//! Fits a projection of pictures on pairs of picture and title.
//!
//! In: the features of pictures and the titles of their items. Out: a [`Projection`] in whose space two pictures are
//! close if the same words are expected in their titles. No label is needed: the shop's own titles say what pictures
//! show.
//!
//! The expected words are those of a ridge regression from features `X` (square roots, of norm 1, centred) to titles
//! `Y` (words by tf · idf, of norm 1): `W = (XᵀX + λI)⁻¹ XᵀY`. The product of two pictures' expected words is `x W Wᵀ
//! x′ᵀ`, so the words themselves are not needed afterwards: the projection has the leading eigenvectors of `W Wᵀ`,
//! each times a power of its eigenvalue (reduced-rank regression: Izenman 1975). They are found by orthogonal
//! iteration from a fixed start, so the same pairs give the same bytes. Learning what pictures show from words near
//! them: Joulin et al., *Learning visual features from large weakly supervised data* (2016).

use std::collections::BTreeMap;

use accrue_kernel::{Activation, Draws, Packed, Start, View, ViewMut, axpy, multiply, scale};

use super::projection::{Projection, rooted};

/// The ridge, in units of the mean eigenvalue of `XᵀX`.
const RIDGE: f64 = 1.0;
/// Steps of the orthogonal iteration.
const STEPS: usize = 12;
/// The power of an eigenvalue by which a coordinate counts: 0.5 keeps the cosines of expected words, less makes rare
/// words count more.
const POWER: f64 = 0.5;
/// Titles in which a word stands at least.
const MIN_TITLES: u32 = 2;
/// Pairs that a fit needs at least.
pub const MIN_PAIRS: usize = 100;
/// Stream of the random numbers that the iteration starts from.
const STREAM: u64 = 0x5052_4f4a;

/// Why no projection can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitFault {
    /// Fewer pairs than [`MIN_PAIRS`].
    #[error("{0} items with a title and a picture; a fit needs at least {MIN_PAIRS}")]
    TooFewPairs(usize),
    /// The titles have no word in common.
    #[error("no word stands in two titles, so that nothing can be learned from them")]
    NoCommonWord,
    /// The pictures do not differ.
    #[error("all pictures are the same, so that nothing can be learned from them")]
    SamePictures,
}

/// Fits a projection to `width` numbers. `features: [pairs][n]`, with a title for each.
///
/// # Errors
/// If there are too few pairs, or nothing can be learned from them.
pub fn fit_projection(features: &[Vec<f32>], titles: &[&str], width: usize) -> Result<Projection, FitFault> {
    let n_pairs = features.len();
    if n_pairs < MIN_PAIRS || titles.len() != n_pairs {
        return Err(FitFault::TooFewPairs(n_pairs));
    }
    let n = features[0].len();
    let (x, mean) = centred(features);
    let words = word_products(&x, n, titles);
    if words.is_empty() {
        return Err(FitFault::NoCommonWord);
    }
    let squared = gram(&x, n);
    let trace: f64 = (0..n).map(|place| f64::from(squared[place * n + place])).sum();
    let ridge = RIDGE * trace / n as f64;
    let mut a: Vec<f64> = squared.iter().map(|&x| f64::from(x)).collect();
    (0..n).for_each(|place| a[place * n + place] += ridge);
    let inverse = inverse(&mut a, n).ok_or(FitFault::SamePictures)?;
    let of_words = gram(&words, n);
    let m = times(&inverse, &times(&of_words, &inverse, n), n);
    Ok(Projection::new(mean, leading(&m, n, width.min(n))))
}

/// The features row by row as the projection prepares them, and their mean. `→ [pairs, n], [n]`
fn centred(features: &[Vec<f32>]) -> (Vec<f32>, Vec<f32>) {
    let n = features[0].len();
    let mut x: Vec<f32> = Vec::with_capacity(features.len() * n);
    for row in features {
        let from = x.len();
        x.extend(row);
        rooted(&mut x[from..]);
    }
    let mut sum = vec![0.0_f64; n];
    x.chunks_exact(n).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x)));
    let mean: Vec<f32> = sum.into_iter().map(|sum| (sum / features.len() as f64) as f32).collect();
    x.chunks_exact_mut(n).for_each(|row| axpy(-1.0, &mean, row));
    (x, mean)
}

/// `YᵀX`: for each word the sum of the pictures in whose titles it stands, weighted. `x: [pairs, n] → [words, n]`
fn word_products(x: &[f32], n: usize, titles: &[&str]) -> Vec<f32> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for title in titles {
        let mut words = words(title);
        words.sort_unstable();
        words.dedup();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    counts.retain(|_, count| *count >= MIN_TITLES);
    let known: BTreeMap<&str, (usize, f32)> = counts
        .iter()
        .enumerate()
        .map(|(place, (word, &count))| {
            let idf = ((1 + titles.len()) as f64 / f64::from(1 + count)).ln() + 1.0;
            (&**word, (place, idf as f32))
        })
        .collect();
    let mut products = vec![0.0; known.len() * n];
    for (title, row) in titles.iter().zip(x.chunks_exact(n)) {
        let mut weights: BTreeMap<usize, f32> = BTreeMap::new();
        for (place, idf) in words(title).iter().filter_map(|word| known.get(&**word).copied()) {
            *weights.entry(place).or_default() += idf;
        }
        let norm = weights.values().map(|weight| weight * weight).sum::<f32>().sqrt();
        for (place, weight) in weights {
            axpy(weight / norm, row, &mut products[place * n..][..n]);
        }
    }
    products
}

/// The words of a title in small letters.
fn words(title: &str) -> Vec<String> {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// `XᵀX`. `x: [rows, n] → [n, n]`
fn gram(x: &[f32], n: usize) -> Vec<f32> {
    let view = View::new(x, x.len() / n, n);
    let mut out = vec![0.0; n * n];
    multiply(view.transposed(), &Packed::of(view), Start::Zero, Activation::Identity, ViewMut::new(&mut out, n, n));
    out
}

/// `A·B`. `a: [rows, n], b: [n, columns] → [rows, columns]`
fn times(a: &[f32], b: &[f32], n: usize) -> Vec<f32> {
    let (rows, columns) = (a.len() / n, b.len() / n);
    let mut out = vec![0.0; rows * columns];
    let (a, b) = (View::new(a, rows, n), Packed::of(View::new(b, n, columns)));
    multiply(a, &b, Start::Zero, Activation::Identity, ViewMut::new(&mut out, rows, columns));
    out
}

/// The inverse of a symmetric positive definite matrix, by Cholesky; `None` for another one. `a: [n, n]`, overwritten.
fn inverse(a: &mut [f64], n: usize) -> Option<Vec<f32>> {
    factor(a, n)?;
    // L⁻¹, row by row, in place: row i is (e_i − Σ_{j<i} L_ij · row j) / L_ii.
    for i in 0..n {
        let (done, rest) = a.split_at_mut(i * n);
        let row = &mut rest[..n];
        let (left, pivot) = (row[..i].to_vec(), row[i]);
        row[..i].fill(0.0);
        for (j, &factor) in left.iter().enumerate() {
            done[j * n..=j * n + j].iter().zip(&mut row[..=j]).for_each(|(&x, out)| *out -= factor * x);
        }
        row[..i].iter_mut().for_each(|x| *x /= pivot);
        row[i] = 1.0 / pivot;
    }
    // A⁻¹ = L⁻ᵀ L⁻¹: a sum over the rows of L⁻¹.
    let mut inverse = vec![0.0_f64; n * n];
    for row in a.chunks_exact(n).enumerate().map(|(i, row)| &row[..=i]) {
        for (j, &x) in row.iter().enumerate().filter(|&(_, &x)| x != 0.0) {
            inverse[j * n..][..=j].iter_mut().zip(row).for_each(|(out, &y)| *out += x * y);
        }
    }
    let at = |place: usize| {
        let (i, j) = (place / n, place % n);
        inverse[i.max(j) * n + i.min(j)] as f32
    };
    Some((0..n * n).map(at).collect())
}

/// The lower triangle `L` of `A = L Lᵀ`, in place. `a: [n, n]`
fn factor(a: &mut [f64], n: usize) -> Option<()> {
    for i in 0..n {
        let (done, rest) = a.split_at_mut(i * n);
        let row = &mut rest[..n];
        for j in 0..i {
            let other = &done[j * n..][..=j];
            let dot: f64 = row[..j].iter().zip(other).map(|(x, y)| x * y).sum();
            row[j] = (row[j] - dot) / other[j];
        }
        let pivot = row[i] - row[..i].iter().map(|x| x * x).sum::<f64>();
        if !(pivot.is_finite() && pivot > 0.0) {
            return None;
        }
        row[i] = pivot.sqrt();
    }
    Some(())
}

/// The `width` leading eigenvectors of a symmetric matrix, each times its eigenvalue to the power of [`POWER`]. `m:
/// [n, n] → [width, n]`
fn leading(m: &[f32], n: usize, width: usize) -> Vec<f32> {
    let mut draws = Draws::new(1, STREAM, 0);
    let mut vectors: Vec<f32> = (0..width * n).map(|_| draws.normal()).collect();
    for _ in 0..STEPS {
        orthonormalise(&mut vectors, n);
        // Rows times a symmetric matrix.
        vectors = times(&vectors, m, n);
    }
    // Each row is now an eigenvector times its eigenvalue, nearly: the longest first.
    let lengths = orthonormalise(&mut vectors, n);
    for (row, length) in vectors.chunks_exact_mut(n).zip(lengths) {
        scale(length.powf(POWER) as f32, row);
    }
    vectors
}

/// Makes rows orthonormal, one after the other (Gram and Schmidt, twice for precision); returns what was left of the
/// length of each. Rows that depend on earlier ones become 0. `rows: [.., n]`
fn orthonormalise(rows: &mut [f32], n: usize) -> Vec<f64> {
    let mut lengths = Vec::new();
    for i in 0..rows.len() / n {
        let (done, rest) = rows.split_at_mut(i * n);
        let row = &mut rest[..n];
        let before = accrue_kernel::squared_norm(row).sqrt();
        for _ in 0..2 {
            for other in done.chunks_exact(n) {
                axpy(-accrue_kernel::dot(row, other), other, row);
            }
        }
        let length = accrue_kernel::squared_norm(row).sqrt();
        let is_new = length > 1e-5 * before && length > 0.0;
        scale(if is_new { 1.0 / length } else { 0.0 }, row);
        lengths.push(if is_new { f64::from(length) } else { 0.0 });
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_is_one() {
        let n = 37;
        let mut draws = Draws::new(3, 1, 4);
        let x: Vec<f32> = (0..60 * n).map(|_| draws.normal()).collect();
        let a = gram(&x, n);
        let inverse = inverse(&mut a.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), n).unwrap();
        let one = times(&a, &inverse, n);
        for (place, x) in one.iter().enumerate() {
            let expected = f32::from(place / n == place % n);
            assert!((x - expected).abs() < 1e-3, "{place}: {x}");
        }
        assert!(super::inverse(&mut [0.0; 9], 3).is_none());
    }

    #[test]
    fn leading_eigenvectors_are_those_of_a_known_matrix() {
        // Eigenvalues 9, 4, 1 along the axes, turned by nothing.
        let m = [9.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 1.0];
        let rows = leading(&m, 3, 2);
        let expected = [9_f64.powf(POWER), 4_f64.powf(POWER)];
        assert!((f64::from(rows[0].abs()) - expected[0]).abs() < 1e-2, "{rows:?}");
        assert!((f64::from(rows[4].abs()) - expected[1]).abs() < 1e-2, "{rows:?}");
    }

    /// Pictures of things in random surroundings: the things are two of the features, the rest is noise.
    fn pairs(n: usize, seed: u64) -> (Vec<Vec<f32>>, Vec<String>) {
        let mut draws = Draws::new(seed, 7, 0);
        let things = ["mug", "shoe", "lamp", "chair"];
        (0..n)
            .map(|place| {
                let mut features: Vec<f32> = (0..24).map(|_| draws.normal().abs()).collect();
                features[place % 4] += 1.5;
                (
                    features,
                    format!(
                        "{} {} no {}",
                        ["red", "blue", "old"][draws.below(3) as usize],
                        things[place % 4],
                        draws.below(40)
                    ),
                )
            })
            .unzip()
    }

    #[test]
    fn pictures_of_the_same_thing_come_closer_and_the_same_pairs_give_the_same_bytes() {
        let (features, titles) = pairs(800, 1);
        let titles: Vec<&str> = titles.iter().map(|title| &**title).collect();
        let projection = fit_projection(&features, &titles, 6).unwrap();
        let again = fit_projection(&features, &titles, 6).unwrap();
        assert_eq!(projection.to_bytes().unwrap(), again.to_bytes().unwrap());
        let (others, _) = pairs(400, 2);
        let precision = |vectors: &[Vec<f32>]| {
            let unit = |vector: &Vec<f32>| {
                let norm = accrue_kernel::squared_norm(vector).sqrt();
                vector.iter().map(|x| x / norm).collect::<Vec<f32>>()
            };
            let vectors: Vec<Vec<f32>> = vectors.iter().map(unit).collect();
            let of_query = |query: usize| {
                let mut scored: Vec<(f32, usize)> =
                    (100..400).map(|item| (accrue_kernel::dot(&vectors[query], &vectors[item]), item)).collect();
                scored.sort_by(|a, b| b.0.total_cmp(&a.0));
                scored[..10].iter().filter(|(_, item)| item % 4 == query % 4).count() as f64 / 10.0
            };
            (0..100).map(of_query).sum::<f64>() / 100.0
        };
        let projected: Vec<Vec<f32>> = others.iter().map(|features| projection.apply(features)).collect();
        let (before, after) = (precision(&others), precision(&projected));
        assert!(after > before + 0.1, "{before} {after}");
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let (features, titles) = pairs(200, 1);
        let titles: Vec<&str> = titles.iter().map(|title| &**title).collect();
        assert!(fit_projection(&features[..99], &titles[..99], 4).unwrap_err().to_string().contains("at least 100"));
        let none = vec![""; 200];
        assert!(fit_projection(&features, &none, 4).unwrap_err() == FitFault::NoCommonWord);
        let same = vec![vec![1.0; 24]; 200];
        assert!(fit_projection(&same, &titles, 4).unwrap_err() == FitFault::SamePictures);
    }
}
