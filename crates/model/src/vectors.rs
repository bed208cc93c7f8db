//! Vectors of items: what an encoder knows of them, from the log.
//!
//! In: vectors in 8 bits a number, each of a *space*, which is named by a hash of its encoder. Out: for any member, the
//! vector of an item, the mean of all, and a scan for the nearest. Only vectors of one space are compared. When another
//! encoder is set, its space fills beside the one in use, and replaces it once it has nine tenths as many vectors. So a
//! shop never stands without vectors in between, and when that happens follows from the log.

use std::sync::Arc;

use accrue_kernel::{MAX_DIMENSIONS, QuantisedQuery, TopK, scan};
use accrue_store::{ItemIdx, ItemVector};
use serde::{Deserialize, Serialize};

use crate::cow::CowVec;

/// Vectors in a chunk: the unit that a write after a publication copies, and that a scan reads at once.
const CHUNK: usize = 64;

/// The vectors of all items that have one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vectors {
    in_use: Option<Space>,
    filling: Option<Space>,
}

/// The vectors of one space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Space {
    id: u64,
    /// `[items, width]`
    codes: CowVec<i8>,
    /// The value of code 1 for each item; 0 for one without a vector.
    scales: CowVec<f32>,
    width: usize,
    n: u32,
    /// The sum of all vectors. `[width]`
    sum: Arc<[f32]>,
}

/// An item's vector: number `i` is `scale · codes[i]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coded<'a> {
    /// `[width]`
    pub codes: &'a [i8],
    /// The value of code 1; greater than 0.
    pub scale: f32,
}

impl Coded<'_> {
    /// `out += factor · vector`. `out: [width]`
    pub fn add_to(self, factor: f32, out: &mut [f32]) {
        let factor = factor * self.scale;
        for (out, &code) in out.iter_mut().zip(self.codes) {
            *out += factor * f32::from(code);
        }
    }

    /// The dot product with a query of the same width.
    pub fn dot(self, query: &QuantisedQuery) -> f32 {
        let mut product = [0.0];
        scan(query, self.codes, &[self.scale], &mut product);
        product[0]
    }
}

impl Vectors {
    /// Whether no item has a vector.
    pub fn is_empty(&self) -> bool {
        self.in_use.is_none() && self.filling.is_none()
    }

    /// Replaces an item's vector. One that cannot be used (no numbers, another width than others of its space) changes
    /// nothing.
    pub fn put(&mut self, item: ItemIdx, vector: &ItemVector) {
        let is_usable =
            (1..=MAX_DIMENSIONS).contains(&vector.codes.len()) && vector.scale.is_finite() && vector.scale > 0.0;
        if !is_usable {
            return;
        }
        match &mut self.in_use {
            None => self.in_use = Some(Space::of(item, vector)),
            Some(in_use) if in_use.id == vector.space => in_use.put(item, vector),
            Some(in_use) => {
                match &mut self.filling {
                    Some(filling) if filling.id == vector.space => filling.put(item, vector),
                    filling => *filling = Some(Space::of(item, vector)),
                }
                let n_filled = self.filling.as_ref().map_or(0, |filling| filling.n);
                if u64::from(n_filled) * 10 >= u64::from(in_use.n) * 9 {
                    self.in_use = self.filling.take();
                }
            }
        }
    }

    /// The space in use, and how many items have a vector of it.
    pub fn space(&self) -> Option<(u64, u32)> {
        self.in_use.as_ref().map(|space| (space.id, space.n))
    }

    /// Numbers in a vector; 0 if there are none.
    pub fn width(&self) -> usize {
        self.in_use.as_ref().map_or(0, |space| space.width)
    }

    /// An item's vector.
    #[inline]
    pub fn get(&self, item: ItemIdx) -> Option<Coded<'_>> {
        let space = self.in_use.as_ref()?;
        let scale = *space.scales.get(item as usize);
        (scale > 0.0).then(|| Coded { codes: space.codes.row(item as usize).unwrap_or(&[]), scale })
    }

    /// Writes the mean of all vectors. `out: [width]`
    pub fn mean(&self, out: &mut Vec<f32>) {
        out.clear();
        if let Some(space) = &self.in_use {
            let factor = 1.0 / space.n as f32;
            out.extend(space.sum.iter().map(|sum| sum * factor));
        }
    }

    /// The items with the largest dot product with `query`, best first, among those that `accept` admits; at most `limit`. The items
    /// with the largest indices are read first, and at most `reach` of them.
    pub fn nearest(
        &self,
        query: &QuantisedQuery,
        reach: usize,
        limit: usize,
        accept: impl Fn(ItemIdx) -> bool,
    ) -> Vec<ItemIdx> {
        let Some(space) = self.in_use.as_ref().filter(|space| space.width == query.dimensions()) else {
            return Vec::new();
        };
        let mut best = TopK::new(limit);
        let mut scores = [0.0; CHUNK];
        let chunks: Vec<(&[i8], &[f32])> = space.codes.chunks().zip(space.scales.chunks()).collect();
        for (number, (codes, scales)) in chunks.into_iter().enumerate().rev().take(reach.div_ceil(CHUNK)) {
            let scores = &mut scores[..scales.len()];
            scan(query, &codes[..scales.len() * space.width], scales, scores);
            for (row, (&score, &scale)) in scores.iter().zip(scales).enumerate() {
                let item = (number * CHUNK + row) as ItemIdx;
                if scale > 0.0 && score > best.threshold() && accept(item) {
                    best.push(score, item);
                }
            }
        }
        best.into_sorted().into_iter().map(|(_, item)| item).collect()
    }

    /// The dot products of all items with a query of the same width, by item: not a number for an item without a vector.
    pub fn dots(&self, query: &QuantisedQuery, out: &mut Vec<f32>) {
        out.clear();
        let Some(space) = self.in_use.as_ref().filter(|space| space.width == query.dimensions()) else { return };
        for (codes, scales) in space.codes.chunks().zip(space.scales.chunks()) {
            let first = out.len();
            out.resize(first + scales.len(), 0.0);
            scan(query, &codes[..scales.len() * space.width], scales, &mut out[first..]);
            for (dot, &scale) in out[first..].iter_mut().zip(scales) {
                if scale <= 0.0 {
                    *dot = f32::NAN;
                }
            }
        }
    }

    /// Refers to the memory of `other` wherever both hold the same values.
    pub fn share_with(&mut self, other: &Self) {
        let pairs = [(&mut self.in_use, &other.in_use), (&mut self.filling, &other.filling)];
        for (mine, theirs) in pairs.into_iter().filter_map(|(mine, theirs)| mine.as_mut().zip(theirs.as_ref())) {
            mine.codes.share_with(&theirs.codes);
            mine.scales.share_with(&theirs.scales);
        }
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        let spaces = self.in_use.iter().chain(&self.filling);
        spaces.map(|space| space.codes.copied_bytes() + space.scales.copied_bytes()).sum()
    }
}

impl Space {
    /// A space with its first vector.
    fn of(item: ItemIdx, vector: &ItemVector) -> Self {
        let width = vector.codes.len();
        let mut space = Self {
            id: vector.space,
            codes: CowVec::of_rows(CHUNK, width, 0),
            scales: CowVec::new(CHUNK, 0.0),
            width,
            n: 0,
            sum: vec![0.0; width].into(),
        };
        space.put(item, vector);
        space
    }

    fn put(&mut self, item: ItemIdx, vector: &ItemVector) {
        if vector.codes.len() != self.width {
            return;
        }
        let sum = Arc::make_mut(&mut self.sum);
        let (codes, scale) = (self.codes.row_mut(item as usize), self.scales.get_mut(item as usize));
        if *scale > 0.0 {
            Coded { codes, scale: *scale }.add_to(-1.0, sum);
        } else {
            self.n += 1;
        }
        codes.copy_from_slice(&vector.codes);
        *scale = vector.scale;
        Coded { codes, scale: *scale }.add_to(1.0, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(space: u64, numbers: &[f32]) -> ItemVector {
        let mut codes = vec![0; numbers.len()];
        let scale = accrue_kernel::quantise(numbers, &mut codes);
        ItemVector { item: "x".into(), space, text: 1, scale, codes: codes.into() }
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02), "{found:?}, not {expected:?}");
    }

    #[test]
    fn the_mean_follows_replaced_vectors() {
        let (mut vectors, mut mean) = (Vectors::default(), Vec::new());
        vectors.put(3, &vector(1, &[1.0, 0.0]));
        vectors.put(900, &vector(1, &[0.0, 1.0]));
        vectors.mean(&mut mean);
        near(&mean, &[0.5, 0.5]);
        vectors.put(3, &vector(1, &[0.0, -1.0]));
        vectors.mean(&mut mean);
        near(&mean, &[0.0, 0.0]);
        assert_eq!((vectors.space(), vectors.get(4), vectors.get(901)), (Some((1, 2)), None, None));
        near(&[vectors.get(900).unwrap().dot(&QuantisedQuery::new(&[0.5, 0.5]))], &[0.5]);
    }

    #[test]
    fn another_space_takes_over_when_it_is_nearly_as_full() {
        let mut vectors = Vectors::default();
        (0..20).for_each(|item| vectors.put(item, &vector(1, &[1.0, 0.0])));
        (0..17).for_each(|item| vectors.put(item, &vector(2, &[1.0, 0.0, 0.0])));
        assert_eq!((vectors.space(), vectors.width()), (Some((1, 20)), 2));
        // A third encoder begins anew, and the first goes on meanwhile.
        (0..17).for_each(|item| vectors.put(item, &vector(3, &[0.0, 1.0])));
        vectors.put(20, &vector(1, &[1.0, 0.0]));
        assert_eq!(vectors.space(), Some((1, 21)));
        (17..19).for_each(|item| vectors.put(item, &vector(3, &[0.0, 1.0])));
        assert_eq!((vectors.space(), vectors.get(20)), (Some((3, 19)), None));
    }

    #[test]
    fn vectors_that_cannot_be_used_change_nothing() {
        let mut vectors = Vectors::default();
        let unusable = [vector(1, &[]), vector(1, &[f32::NAN, 0.0]), vector(1, &[0.0, 0.0])];
        unusable.iter().for_each(|vector| vectors.put(0, vector));
        assert!(vectors.is_empty());
        vectors.put(0, &vector(1, &[1.0, 0.0]));
        let before = vectors.clone();
        vectors.put(0, &vector(1, &[1.0, 0.0, 0.0]));
        unusable.iter().for_each(|vector| vectors.put(0, vector));
        assert_eq!(vectors, before);
    }

    #[test]
    fn the_nearest_are_those_of_a_full_comparison() {
        let mut draws = accrue_kernel::Draws::new(1, 2, 3);
        let mut vectors = Vectors::default();
        let numbers: Vec<[f32; 8]> = (0..300).map(|_| std::array::from_fn(|_| draws.normal())).collect();
        for (item, numbers) in numbers.iter().enumerate().filter(|(item, _)| item % 3 != 0) {
            vectors.put(item as ItemIdx, &vector(1, numbers));
        }
        let query = QuantisedQuery::new(&numbers[5]);
        let mut expected: Vec<ItemIdx> = (0..300).filter(|item| item % 3 != 0 && item % 2 == 0).collect();
        expected.sort_by(|&a, &b| {
            let dot = |item| vectors.get(item).unwrap().dot(&query);
            dot(b).total_cmp(&dot(a)).then(a.cmp(&b))
        });
        let found = vectors.nearest(&query, usize::MAX, 20, |item| item % 2 == 0);
        assert_eq!(found, expected[..20]);
        let late = vectors.nearest(&query, 64, 300, |_| true);
        assert!(late.iter().all(|&item| item >= 256) && late.len() == 30, "{late:?}");
    }
}
