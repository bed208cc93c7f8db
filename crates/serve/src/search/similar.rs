//! Similarity of meaning: how near the vectors of items are to that of a query.
//!
//! In: the vector of a query and those of all items, which are compared one by one (the scan is exact). Out: a similarity
//! from 0 to 1 for each item, and the items so similar that they are found without the words of the query.
//!
//! Cosines mean something else for each encoder: those of one lie between 0 and 1, those of another between 0.7 and 1.
//! So what counts is how far the cosine of an item lies above the mean cosine of this query with the whole catalogue: its
//! *deviation*. In a catalogue in several scripts, that is the mean over the items of the same script (Han, or any
//! other): vectors of multilingual encoders are nearer to texts of their own language than to others of the same
//! meaning, and the mean takes that part out (Libovický, Rosa, Fraser, *On the language neutrality of pre-trained
//! multilingual representations*, 2020).
//!
//! A similarity is the deviation divided by that of the query's own text (a cosine of 1), or by [`SPREADS`] times the
//! spread of the deviations (their root mean square) if that is less: 0 is what any item has. The second measure is for
//! encoders that put queries apart from all items, of which none comes near a cosine of 1.
//!
//! Where no item has all words of the query, its words say little, and the nearest items are found if they lie apart
//! from the others, by the spread again: a search in another language than the titles is ordered by meaning alone.
//!
//! Which items are similar enough depends on the query and the catalogue alone, never on the filter. So the items under a
//! filter are those without it that pass, and what a facet counts is what is found once its value is chosen.

use std::collections::HashSet;
use std::sync::Arc;

use accrue_event::SettingFault;
use accrue_kernel::{QuantisedQuery, TopK, scan};
use accrue_model::Vectors;
use serde::{Deserialize, Serialize};

/// Spreads of the deviations that are a similarity of 1, if a cosine of 1 lies higher.
const SPREADS: f32 = 16.0;
/// Spreads above the mean from which on an item may be found where no item has all words of the query.
const APART: f32 = 1.0;
/// The least deviation that may be a similarity of 1, and the least similarity that finds an item: less is rounding.
const LEAST: f32 = 0.02;
/// Items that are found by that, at most.
const NEAREST: usize = 20;

/// How the meaning of a query counts beside its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimilarSettings {
    /// What a similarity of 1 adds to a score, in units of the score of an item of mean length that has each word of the
    /// query once; 0 switches vectors off in searches.
    pub weight: f32,
    /// The similarity from which on an item is found without the words of the query. Where no item has all of its words, the
    /// nearest items are found from a lower one on.
    pub floor: f32,
    /// Items that are found without the words of the query, at most.
    pub items: usize,
    /// Milliseconds that a search waits for the vector of its query; after them it is lexical, and says so.
    pub within_ms: u64,
    /// Vectors of queries that are kept, so that a query is encoded once.
    pub remembered: usize,
}

impl SimilarSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("weight", self.weight, 0.0..=10.0)?;
        SettingFault::check("floor", self.floor, 0.05..=1.0)?;
        SettingFault::check("items", self.items, 0..=1_000)?;
        SettingFault::check("within_ms", self.within_ms, 1..=10_000)?;
        SettingFault::check("remembered", self.remembered, 1..=100_000)
    }
}

impl Default for SimilarSettings {
    fn default() -> Self {
        // By cross-validation over judged queries; `docs/search.md` has the command.
        Self { weight: 1.5, floor: 0.3, items: 100, within_ms: 50, remembered: 4_096 }
    }
}

/// The vector of a query.
#[derive(Clone, Debug)]
pub struct QueryVector {
    /// The space of the encoder that computed it.
    pub space: u64,
    /// The vector: its product with an item's vector is the cosine of their texts.
    pub vector: QuantisedQuery,
    /// Its length: 1, or more where an item's vector is that of its picture too.
    length: f32,
}

impl QueryVector {
    /// A vector as an encoder of this space computed it.
    pub fn new(space: u64, vector: &[f32]) -> Arc<Self> {
        let length = accrue_kernel::squared_norm(vector).sqrt().max(f32::MIN_POSITIVE);
        Arc::new(Self { space, vector: QuantisedQuery::new(vector), length })
    }

    /// The cosine of two queries of one space.
    pub fn cosine(&self, other: &Self) -> f32 {
        let mut cosine = [0.0];
        if self.vector.dimensions() == other.vector.dimensions() {
            scan(&self.vector, other.vector.codes(), &[other.vector.scale()], &mut cosine);
        }
        cosine[0] / (self.length * other.length)
    }
}

/// How similar each item is to one query.
#[derive(Clone, Debug)]
pub(super) struct Similar {
    /// By item how far its product with the query lies above the mean, not a number for one without a vector.
    deviations: Vec<f32>,
    /// The deviation that is a similarity of 1.
    scale: f32,
    weight: f32,
    /// The items that may be found without the words of the query, most similar first.
    found: Vec<u32>,
    /// How many of them are found where items have all words of the query.
    n_near: usize,
    /// `found` by item.
    sorted: Vec<u32>,
}

impl Similar {
    /// Compares a query with all items, of which `han` are in Han characters; `None` if the vectors are not of its
    /// space.
    pub fn new(vectors: &Vectors, query: &QueryVector, settings: &SimilarSettings, han: &[u32]) -> Option<Self> {
        let (space, n) = vectors.space()?;
        if space != query.space || vectors.width() != query.vector.dimensions() || n == 0 {
            return None;
        }
        let mut deviations = Vec::new();
        vectors.dots(&query.vector, &mut deviations);
        let (mean, spread) = subtract_means(&mut deviations, han);
        // Longer vectors, of items with pictures, may reach more than a cosine of 1.
        let scale = (1.0 - mean).min(SPREADS * spread).max(LEAST);
        let mut similar =
            Self { deviations, scale, weight: settings.weight, found: Vec::new(), n_near: 0, sorted: Vec::new() };
        similar.find(settings, spread);
        Some(similar)
    }

    /// Chooses the items that may be found without the words.
    fn find(&mut self, settings: &SimilarSettings, spread: f32) {
        let mut best = TopK::new(settings.items);
        let apart = (APART * spread / self.scale).min(settings.floor);
        for (item, _) in self.deviations.iter().enumerate().filter(|_| settings.items > 0) {
            let similarity = self.of(item as u32).unwrap_or(0.0);
            if similarity > LEAST && similarity >= apart && similarity > best.threshold() {
                best.push(similarity, item as u32);
            }
        }
        let best = best.into_sorted();
        self.n_near = best.partition_point(|(similarity, _)| *similarity >= settings.floor);
        self.found = best.into_iter().map(|(_, item)| item).take(self.n_near.max(NEAREST)).collect();
        self.sorted.clone_from(&self.found);
        self.sorted.sort_unstable();
    }

    /// The similarity of an item, 0 to 1; `None` if it has no vector.
    fn of(&self, item: u32) -> Option<f32> {
        let deviation = self.deviations.get(item as usize).copied().filter(|deviation| !deviation.is_nan())?;
        Some((deviation / self.scale).clamp(0.0, 1.0))
    }

    /// What similarity adds to the score of an item. `unit` is the score of a usual item with every word. An item without a
    /// vector counts as similar as its words match.
    pub fn share(&self, item: u32, lexical: f32, unit: f32) -> f32 {
        let similarity = self.of(item).unwrap_or_else(|| (lexical / unit).clamp(0.0, 1.0));
        self.weight * unit * similarity
    }

    /// The items that are found without the words of the query and are not among `met`, by item. `is_answered` says whether
    /// items have all of its words.
    pub fn others(&self, met: &HashSet<u32>, is_answered: bool) -> Vec<u32> {
        let n = if is_answered { self.n_near } else { self.found.len() };
        let mut others: Vec<u32> = self.found[..n].iter().copied().filter(|item| !met.contains(item)).collect();
        others.sort_unstable();
        others
    }

    /// Whether an item may be found without the words of the query.
    pub fn finds(&self, item: u32) -> bool {
        self.sorted.binary_search(&item).is_ok()
    }
}

/// Takes from each cosine the mean of the cosines of items in the same script; returns the mean of all and the spread of what
/// is left.
fn subtract_means(products: &mut [f32], han: &[u32]) -> (f32, f32) {
    let mut is_han = vec![false; products.len()];
    for &item in han {
        if let Some(is_han) = is_han.get_mut(item as usize) {
            *is_han = true;
        }
    }
    let (mut sums, mut counts) = ([0.0_f64; 2], [0.0_f64; 2]);
    for (&product, &group) in products.iter().zip(&is_han).filter(|(product, _)| !product.is_nan()) {
        sums[usize::from(group)] += f64::from(product);
        counts[usize::from(group)] += 1.0;
    }
    let means = [0, 1].map(|group| (sums[group] / counts[group].max(1.0)) as f32);
    let mut squares = 0.0_f64;
    for (product, group) in products.iter_mut().zip(is_han).filter(|(product, _)| !product.is_nan()) {
        *product -= means[usize::from(group)];
        squares += f64::from(*product) * f64::from(*product);
    }
    let n = (counts[0] + counts[1]).max(1.0);
    (((sums[0] + sums[1]) / n) as f32, (squares / n).sqrt() as f32)
}
