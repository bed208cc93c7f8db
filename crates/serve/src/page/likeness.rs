//! How alike the items of a window are, by what the scene compares: words of descriptions, vectors, categories, brands.
//!
//! Each kind is 1 for an item and itself and at most 1 for two items, and the whole is the mean of the kinds. What an
//! item lacks makes it unlike all others. So the matrix of similarities is positive semidefinite, which
//! [`dpp`](super::dpp) needs: each kind is a product of vectors, or a share of common elements (Jaccard).

use std::collections::BTreeMap;

use accrue_event::normalised;
use accrue_store::ItemIdx;

use super::{Candidate, Situation};
use crate::scene::LikeBy;

/// What is known of the items of a window, by place.
pub(super) struct Likeness<'a> {
    situation: &'a Situation<'a>,
    items: Vec<ItemIdx>,
    by: &'a [LikeBy],
    /// Vectors of norm 1, or zeros. `[items, width]`
    vectors: Vec<f32>,
    width: usize,
    kinds: Kinds,
}

/// The categories and brands of items, as numbers.
#[derive(Default)]
pub(super) struct Kinds {
    /// By item, sorted.
    pub categories: Vec<Vec<u32>>,
    pub brands: Vec<Option<u32>>,
}

impl Kinds {
    /// Of the items of a window, by place.
    pub fn of(situation: &Situation<'_>, window: &[Candidate]) -> Self {
        let mut numbers: BTreeMap<(bool, String), u32> = BTreeMap::new();
        let mut number = |is_brand: bool, text: &str| {
            let next = numbers.len() as u32;
            *numbers.entry((is_brand, normalised(text).into_owned())).or_insert(next)
        };
        let mut kinds = Self::default();
        for candidate in window {
            let described = situation.shop.facts.described(candidate.item);
            let categories = described.map_or(&[][..], |item| item.categories());
            let mut categories: Vec<u32> = categories.iter().map(|category| number(false, category)).collect();
            categories.sort_unstable();
            categories.dedup();
            kinds.categories.push(categories);
            kinds.brands.push(described.and_then(|item| item.brand()).map(|brand| number(true, brand)));
        }
        kinds
    }
}

impl<'a> Likeness<'a> {
    /// Of the items of a window, by place.
    pub fn of(situation: &'a Situation<'a>, window: &[Candidate]) -> Self {
        let by = &*situation.scene.diversity.by;
        let items: Vec<ItemIdx> = window.iter().map(|candidate| candidate.item).collect();
        let (vectors, width) = if by.contains(&LikeBy::Vectors) { vectors(situation, &items) } else { (Vec::new(), 0) };
        let has_kinds = by.contains(&LikeBy::Categories) || by.contains(&LikeBy::Brands);
        let kinds = if has_kinds { Kinds::of(situation, window) } else { Kinds::default() };
        Self { situation, items, by, vectors, width, kinds }
    }

    /// Of the items at two places.
    pub fn between(&self, a: usize, b: usize) -> f32 {
        self.situation.work.compare(1);
        let of = |by: &LikeBy| match by {
            LikeBy::Descriptions => self.situation.shop.version.ensemble.catalogue.cosine(self.items[a], self.items[b]),
            LikeBy::Vectors => {
                let row = |place: usize| &self.vectors[place * self.width..(place + 1) * self.width];
                accrue_kernel::dot(row(a), row(b))
            }
            LikeBy::Categories => jaccard(&self.kinds.categories[a], &self.kinds.categories[b]),
            LikeBy::Brands => {
                let is_one = self.kinds.brands[a].is_some() && self.kinds.brands[a] == self.kinds.brands[b];
                f32::from(u8::from(is_one))
            }
        };
        match self.by {
            [by] => of(by),
            by => by.iter().map(of).sum::<f32>() / by.len() as f32,
        }
    }
}

/// Common elements over all elements of two sorted lists; 0 for two empty ones.
fn jaccard(a: &[u32], b: &[u32]) -> f32 {
    let common = a.iter().filter(|element| b.binary_search(element).is_ok()).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f32 / all as f32 }
}

/// The vectors of an encoder, or, in a shop without them, the rows of matrix factorization, scaled to norm 1; zeros for
/// an item without one.
fn vectors(situation: &Situation<'_>, items: &[ItemIdx]) -> (Vec<f32>, usize) {
    let ensemble = &situation.shop.version.ensemble;
    let encoded = ensemble.catalogue.vectors();
    let learned = ensemble.factorization();
    let width = match learned {
        _ if encoded.width() > 0 => encoded.width(),
        Some(learned) => learned.dim(),
        None => 0,
    };
    let mut vectors = vec![0.0; items.len() * width];
    for (&item, out) in items.iter().zip(vectors.chunks_exact_mut(width.max(1))) {
        if encoded.width() > 0 {
            if let Some(vector) = encoded.get(item) {
                vector.add_to(1.0, out);
            }
        } else if let Some(row) = learned.and_then(|learned| learned.item_row(item)) {
            out.copy_from_slice(row);
        }
        let norm = accrue_kernel::dot(out, out).sqrt();
        if norm > 1e-6 && norm.is_finite() {
            out.iter_mut().for_each(|x| *x /= norm);
        } else {
            out.fill(0.0);
        }
    }
    (vectors, width)
}
