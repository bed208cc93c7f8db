//! Similarity of meaning: how near the vectors of items are to that of a query.
//!
//! In: the vector of a query and those of all items, which are compared one by one (the scan is exact). Out: a similarity
//! from 0 to 1 for each item, and the items so similar that they are found without the words of the query.
//!
//! Cosines mean something else for each encoder: those of one lie between 0 and 1, those of another between 0.7 and 1.
//! So a similarity is `(cosine − μ) / (1 − μ)`, where μ is the mean cosine of this query with the whole catalogue: 0
//! is what any item has, 1 the same text. In a catalogue in several scripts, μ is the mean over the items of the same
//! script (Han, or any other): vectors of multilingual encoders are nearer to texts of their own language than to
//! others of the same meaning, and the mean takes that part out (Libovický, Rosa, Fraser, *On the language neutrality
//! of pre-trained multilingual representations*, 2020).
//!
//! Which items are similar enough depends on the query and the catalogue alone, never on the filter. So the items under a
//! filter are those without it that pass, and what a facet counts is what is found once its value is chosen.

use std::collections::HashSet;
use std::sync::Arc;

use accrue_event::SettingFault;
use accrue_kernel::{QuantisedQuery, TopK, scan};
use accrue_model::Vectors;
use serde::{Deserialize, Serialize};

/// How the meaning of a query counts beside its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimilarSettings {
    /// What a similarity of 1 adds to a score, in units of the score of an item of mean length that has each word of the
    /// query once; 0 switches vectors off in searches.
    pub weight: f32,
    /// The similarity from which on an item is found without the words of the query.
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
    /// By item, not a number for one without a vector.
    cosines: Vec<f32>,
    /// The mean cosines of items in other characters than Han, and of those in Han.
    means: [f32; 2],
    /// By item; shorter where no item behind is in Han characters.
    is_han: Vec<bool>,
    weight: f32,
    /// The items that are found without the words of the query, by item.
    found: Vec<u32>,
}

/// Whether an item is in Han characters, as a place.
fn group(is_han: &[bool], item: usize) -> usize {
    usize::from(is_han.get(item).copied().unwrap_or(false))
}

impl Similar {
    /// Compares a query with all items, of which `han` are in Han characters; `None` if the vectors are not of its
    /// space.
    pub fn new(vectors: &Vectors, query: &QueryVector, settings: &SimilarSettings, han: &[u32]) -> Option<Self> {
        let (space, n) = vectors.space()?;
        if space != query.space || vectors.width() != query.vector.dimensions() || n == 0 {
            return None;
        }
        let mut cosines = Vec::new();
        vectors.dots(&query.vector, &mut cosines);
        let mut is_han = vec![false; han.last().map_or(0, |&last| last as usize + 1)];
        han.iter().for_each(|&item| is_han[item as usize] = true);
        let (mut sums, mut counts) = ([0.0_f64; 2], [0.0_f64; 2]);
        for (item, &cosine) in cosines.iter().enumerate().filter(|(_, cosine)| !cosine.is_nan()) {
            let group = group(&is_han, item);
            sums[group] += f64::from(cosine);
            counts[group] += 1.0;
        }
        let mean = |group: usize| ((sums[group] / counts[group].max(1.0)) as f32).min(0.99);
        let means = [mean(0), mean(1)];
        let mut similar = Self { means, is_han, weight: settings.weight, cosines, found: Vec::new() };
        let mut best = TopK::new(settings.items);
        for (item, _) in similar.cosines.iter().enumerate().filter(|_| settings.items > 0) {
            let similarity = similar.of(item as u32).unwrap_or(0.0);
            if similarity >= settings.floor && similarity > best.threshold() {
                best.push(similarity, item as u32);
            }
        }
        similar.found = best.into_sorted().into_iter().map(|(_, item)| item).collect();
        similar.found.sort_unstable();
        Some(similar)
    }

    /// The similarity of an item, 0 to 1; `None` if it has no vector.
    fn of(&self, item: u32) -> Option<f32> {
        let cosine = self.cosines.get(item as usize).copied().filter(|cosine| !cosine.is_nan())?;
        let mean = self.means[group(&self.is_han, item as usize)];
        Some(((cosine - mean) / (1.0 - mean)).clamp(0.0, 1.0))
    }

    /// What similarity adds to the score of an item. `unit` is the score of a usual item with every word. An item without a
    /// vector counts as similar as its words match.
    pub fn share(&self, item: u32, lexical: f32, unit: f32) -> f32 {
        let similarity = self.of(item).unwrap_or_else(|| (lexical / unit).clamp(0.0, 1.0));
        self.weight * unit * similarity
    }

    /// The items that are found without the words of the query and are not among `met`.
    pub fn others(&self, met: &HashSet<u32>) -> Vec<u32> {
        self.found.iter().copied().filter(|item| !met.contains(item)).collect()
    }

    /// Whether an item is found without the words of the query.
    pub fn finds(&self, item: u32) -> bool {
        self.found.binary_search(&item).is_ok()
    }
}
