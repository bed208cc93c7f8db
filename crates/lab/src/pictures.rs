//! The protocol `pictures`: how many of the ten items nearest to an item have its label.
//!
//! In: the ids of items, and for each item vectors and labels. Out: for each kind of label the share of the ten
//! gallery items of highest score that have the query's label, averaged over queries, with 95 % intervals. Items
//! stand in the order of the hexadecimal SHA-256 of `SEED:ID`; the first 500 are queries, the next 2,500 the gallery,
//! and models may learn from the rest, whose labels they do not get. On validation data the rest is divided once more
//! in the same way.

use std::collections::BTreeMap;

use accrue_kernel::dot;
use sha2::{Digest as _, Sha256};

use crate::LabError;
use crate::metrics::Interval;
use crate::report::round;

/// The length of the list that counts.
pub const NEAREST: usize = 10;
/// Queries, and items among which the nearest are looked for.
const N_QUERIES: usize = 500;
const N_GALLERY: usize = 2_500;

/// Places of items by their part in the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureSplit {
    /// Queries.
    pub queries: Vec<usize>,
    /// Where the nearest of each are looked for.
    pub gallery: Vec<usize>,
    /// What may be learned from.
    pub others: Vec<usize>,
}

impl PictureSplit {
    /// Divides items by their ids.
    ///
    /// # Errors
    /// [`LabError::Empty`] if there are too few items.
    pub fn of(ids: &[&str], seed: u64, on_validation: bool) -> Result<Self, LabError> {
        let mut hashed: Vec<([u8; 32], usize)> =
            ids.iter().enumerate().map(|(place, id)| (Sha256::digest(format!("{seed}:{id}")).into(), place)).collect();
        hashed.sort_unstable();
        let mut order = hashed.into_iter().map(|(_, place)| place);
        if on_validation {
            order.by_ref().take(N_QUERIES + N_GALLERY).for_each(drop);
        }
        let mut take = |n| order.by_ref().take(n).collect::<Vec<usize>>();
        let split = Self { queries: take(N_QUERIES), gallery: take(N_GALLERY), others: take(usize::MAX) };
        if split.gallery.len() < N_GALLERY {
            return Err(LabError::Empty("too few items have a picture: 500 queries and a gallery of 2,500 are needed"));
        }
        Ok(split)
    }
}

/// What items are compared by: vectors of norm 1, whose products are added.
pub struct Compared<'a> {
    /// The vector of an item, for each addend of the score, with its weight.
    pub parts: Vec<(f32, &'a [Vec<f32>])>,
}

impl Compared<'_> {
    /// The places of the [`NEAREST`] gallery items of each query, best first; of equal scores the first in the gallery.
    pub fn nearest(&self, split: &PictureSplit) -> Vec<Vec<usize>> {
        let of_query = |&query: &usize| {
            let score = |item: usize| -> f32 {
                self.parts.iter().map(|(weight, vectors)| weight * dot(&vectors[query], &vectors[item])).sum()
            };
            let mut scored: Vec<(f32, usize)> = split.gallery.iter().map(|&item| (score(item), item)).collect();
            scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            scored.truncate(NEAREST);
            scored.into_iter().map(|(_, item)| item).collect()
        };
        split.queries.iter().map(of_query).collect()
    }
}

/// The precision of lists for one kind of label. `labels`: by item, empty where it has none.
pub fn precision(split: &PictureSplit, nearest: &[Vec<usize>], labels: &[String]) -> (f64, Interval) {
    let of_query = |(&query, list): (&usize, &Vec<usize>)| {
        let label = &labels[query];
        let n_same = list.iter().filter(|&&item| !label.is_empty() && labels[item] == *label).count();
        n_same as f64 / NEAREST as f64
    };
    let each: Vec<f64> = split.queries.iter().zip(nearest).map(of_query).collect();
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let variance = each.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = 1.96 * (variance / n).sqrt();
    (round(mean), Interval(round(mean - half), round(mean + half)))
}

/// Vectors of titles by their words: `tf · idf`, with `idf = ln((1 + N) / (1 + df)) + 1` over the gallery's titles.
/// Words that the gallery does not have are dropped.
pub fn title_words(titles: &[&str], split: &PictureSplit) -> Vec<Vec<f32>> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for &item in &split.gallery {
        let mut words: Vec<String> = words(titles[item]).collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1.0);
    }
    let n = split.gallery.len() as f64;
    let idf: BTreeMap<&str, (usize, f64)> = counts
        .iter()
        .enumerate()
        .map(|(place, (word, df))| (&**word, (place, ((1.0 + n) / (1.0 + df)).ln() + 1.0)))
        .collect();
    let mut vectors = vec![Vec::new(); titles.len()];
    for &item in split.queries.iter().chain(&split.gallery) {
        let mut vector = vec![0.0_f64; idf.len()];
        for (place, idf) in words(titles[item]).filter_map(|word| idf.get(&*word).copied()) {
            vector[place] += idf;
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        vectors[item] = vector.into_iter().map(|x| (x / norm) as f32).collect();
    }
    vectors
}

/// Runs of ASCII letters and digits, in small letters.
fn words(title: &str) -> impl Iterator<Item = String> {
    let parts = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    parts.map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<String> {
        (0..7_000).map(|n| n.to_string()).collect()
    }

    #[test]
    fn items_have_one_part_each_and_validation_is_of_the_rest() {
        let ids = ids();
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let test = PictureSplit::of(&ids, 7, false).unwrap();
        assert_eq!((test.queries.len(), test.gallery.len(), test.others.len()), (500, 2_500, 4_000));
        let mut all = [&test.queries[..], &test.gallery, &test.others].concat();
        all.sort_unstable();
        assert_eq!(all, (0..7_000).collect::<Vec<_>>());
        let validation = PictureSplit::of(&ids, 7, true).unwrap();
        assert_eq!([&validation.queries[..], &validation.gallery, &validation.others].concat(), test.others);
        assert_ne!(PictureSplit::of(&ids, 8, false).unwrap(), test);
        assert!(PictureSplit::of(&ids[..2_999], 7, false).is_err());
        // The hash is that of other programs: `printf 7:0 | sha256sum`.
        assert_eq!(format!("{:02x}", Sha256::digest("abc")[0]), "ba");
    }

    #[test]
    fn precision_counts_equal_labels_and_a_missing_one_equals_none() {
        let ids = ids();
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let split = PictureSplit::of(&ids, 7, false).unwrap();
        // Two kinds of items at a right angle.
        let kind = |place: usize| place % 2;
        let vectors: Vec<Vec<f32>> =
            (0..7_000).map(|place| if kind(place) == 0 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
        let nearest = Compared { parts: vec![(1.0, &vectors)] }.nearest(&split);
        let of_query = &nearest[0];
        let first: Vec<usize> =
            split.gallery.iter().copied().filter(|&item| kind(item) == kind(split.queries[0])).take(10).collect();
        assert_eq!(*of_query, first, "of equal scores the first in the gallery");
        let labels: Vec<String> = (0..7_000).map(|place| kind(place).to_string()).collect();
        assert_eq!(precision(&split, &nearest, &labels), (1.0, Interval(1.0, 1.0)));
        let none = vec![String::new(); 7_000];
        assert_eq!(precision(&split, &nearest, &none).0, 0.0);
    }

    #[test]
    fn titles_are_compared_by_their_words() {
        let ids = ids();
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let split = PictureSplit::of(&ids, 7, false).unwrap();
        let mut titles = vec!["Nike Men's T-Shirt"; 7_000];
        titles[split.gallery[3]] = "red SHOES";
        titles[split.queries[0]] = "Blue shoes";
        let vectors = title_words(&titles, &split);
        let nearest = Compared { parts: vec![(1.0, &vectors)] }.nearest(&split);
        assert_eq!(nearest[0][0], split.gallery[3]);
        assert!((dot(&vectors[split.queries[1]], &vectors[split.gallery[0]]) - 1.0).abs() < 1e-6);
    }
}
