//! Features: what the learned order knows of a hit.
//!
//! In: the best hits of a search with the parts of their scores. Out: for each hit the features of
//! [`HitFeature`], each about 0 to 1, and what the learned weights make of them. They are computed for the
//! answer and, if something of the page is chosen, kept in the log, so that learning needs neither the index nor an encoder
//! and a replay has the same numbers.

use std::collections::{HashMap, HashSet};

use accrue_event::DAY_MS;
use accrue_kernel::{exp, ln};
use accrue_store::{HitFeature, ItemIdx, MAX_FEATURE, MAX_HITS, N_FEATURES, feature_row};

use super::rank::{Found, Known};
use crate::{RankedHit, Shop};

/// Age in days at which an item is half as fresh.
const FRESH_DAYS: f32 = 30.0;
/// Pieces in stock that are as good as many.
const MANY: f32 = 10.0;
/// What is assumed of an item whose stock or age is not known.
const UNKNOWN: f32 = 0.5;

/// The features of hits.
pub(super) struct Features(HashMap<ItemIdx, [f32; N_FEATURES]>);

impl Features {
    /// The first hits of a page that have features, as they are learned from.
    pub fn ranked(&self, page: &[Found], unit: f32) -> Vec<RankedHit> {
        let row = |found: &Found| {
            let features = feature_row(self.0.get(&found.item)?);
            Some(RankedHit { item: found.item, score: found.unlearned() / unit, features })
        };
        page.iter().take(MAX_HITS).filter_map(row).collect()
    }
}

/// What a feature is computed from, once for all hits.
struct Standard {
    unit: f32,
    /// The mean logarithm of the prices of the hits.
    ln_price: f32,
    /// How much was chosen after the query in each category.
    categories: HashMap<Box<str>, f32>,
}

impl Shop<'_> {
    /// Adds what learned weights make of the features of hits, and returns the features. None if the query may not be
    /// reordered.
    pub(super) fn add_learned(&self, found: &mut [Found], known: &Known<'_>) -> Features {
        if !known.is_learned {
            return Features(HashMap::new());
        }
        let standard = self.standard(found, known);
        let ranking = &self.facts.search_ranking;
        let mut all = HashMap::with_capacity(found.len());
        for found in found.iter_mut() {
            let features = self.features(found, known, &standard);
            found.learned = ranking.adds(&features);
            all.insert(found.item, features);
        }
        // Only differences count. The least becomes 0, so that these hits stay before those that have no features.
        let least = found.iter().map(|found| found.learned).fold(f32::INFINITY, f32::min);
        found.iter_mut().for_each(|found| found.learned = known.unit * (found.learned - least));
        Features(all)
    }

    fn standard(&self, found: &[Found], known: &Known<'_>) -> Standard {
        let prices = found.iter().filter_map(|found| self.price(found.item)).map(ln);
        let (sum, n) = prices.fold((0.0, 0.0), |(sum, n), price| (sum + price, n + 1.0_f32));
        let mut categories: HashMap<Box<str>, f32> = HashMap::new();
        for chosen in known.chosen_items() {
            for category in self.categories(chosen.item) {
                *categories.entry(category).or_default() += chosen.strength;
            }
        }
        // The largest is found without regard to their order.
        let most = categories.values().copied().fold(0.0, f32::max);
        categories.values_mut().for_each(|strength| *strength /= most.max(1e-6));
        Standard { unit: known.unit, ln_price: sum / n.max(1.0), categories }
    }

    fn features(&self, found: &Found, known: &Known<'_>, standard: &Standard) -> [f32; N_FEATURES] {
        let entry = self.facts.entry(found.item);
        let unit = standard.unit.max(1e-6);
        let price = self.price(found.item).map_or(0.0, |price| (standard.ln_price - ln(price)).clamp(-1.5, 1.5));
        let of_category = self.categories(found.item).into_iter().map(|category| standard.categories.get(&category));
        let category = of_category.flatten().copied().fold(0.0, f32::max);
        let age_days =
            entry.and_then(|entry| entry.item.published_at).map(|at| (self.now_ms - at.0) as f32 / DAY_MS as f32);
        let standing = self.standing(found.item);
        let stock = entry.and_then(|entry| entry.item.stock).map(|stock| stock as f32);
        HitFeature::ALL.map(|feature| match feature {
            HitFeature::Words => (found.lexical / unit).min(MAX_FEATURE),
            HitFeature::Meaning => (found.similar / unit).min(MAX_FEATURE),
            HitFeature::AllWords => f32::from(u8::from(found.has_all)),
            HitFeature::Sells => standing * standing,
            HitFeature::Chosen => known.chosen(found.item).map_or(0.0, |chosen| chosen.strength),
            HitFeature::ChosenNear => known.chosen_near(found.item),
            HitFeature::Category => category,
            HitFeature::Taste => found.liked,
            HitFeature::Fresh => age_days.map_or(UNKNOWN, |days| exp(-ln(2.0) * days.max(0.0) / FRESH_DAYS)),
            HitFeature::Price => price,
            HitFeature::InStock => stock.map_or(UNKNOWN, |stock| stock.clamp(0.0, MANY) / MANY),
        })
    }

    fn price(&self, item: ItemIdx) -> Option<f32> {
        let price = self.facts.described(item)?.price()?.to_f64() as f32;
        (price > 0.0).then_some(price)
    }

    /// The categories of an item, each once, in small letters.
    fn categories(&self, item: ItemIdx) -> HashSet<Box<str>> {
        let described = self.facts.described(item);
        let categories = described.iter().flat_map(|item| item.categories());
        categories.map(|category| category.to_lowercase().into()).collect()
    }
}
