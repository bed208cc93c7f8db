//! A linear map from what is known of an item, or of a shopper, to a vector: a tower of
//! [`two_tower`](super::two_tower), and what matrix factorization expects of an item by its content.
//!
//! In: for each of some owners (items, or shoppers), terms: rows with factors, and the numbers of a content vector. Out: a
//! vector for each owner, and backward from the gradients of these the steps of all rows. A row is that of an id, of a
//! bucket of hashed facets, or of a number of the encoder's vectors. All of them are learned by row-wise Adagrad; a row's
//! gradients are added in the order of owners.

use std::sync::{Arc, LazyLock};

use accrue_kernel::{Activation, Packed, QuantisedQuery, Start, View, ViewMut, axpy, dot, multiply, squared_norm};
use accrue_store::{Descriptor, ItemIdx};
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::table::{EmbeddingTable, TableSettings};

/// With fewer owners the content vectors are multiplied without packing the map first.
const FEW_OWNERS: usize = 4;

/// The rows of a tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tower {
    pub(super) ids: EmbeddingTable,
    pub(super) facets: EmbeddingTable,
    /// A row for each number of a content vector.
    pub(super) numbers: EmbeddingTable,
    /// The space of the content vectors that the map is learned for; 0 for none.
    space: u64,
    n_buckets: u32,
    /// Rows of facets, in ascending order, that were taken from another shop.
    taken: Arc<[u32]>,
    /// Whether the map of content vectors was taken.
    is_map_taken: bool,
}

/// The rows of a tower that mean the same in every shop: those of facets, and the map of content vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SharedRows {
    facets: EmbeddingTable,
    numbers: EmbeddingTable,
    space: u64,
    n_buckets: u32,
}

impl SharedRows {
    pub(super) fn dim(&self) -> usize {
        self.facets.dim()
    }

    pub(super) fn n_buckets(&self) -> usize {
        self.n_buckets as usize
    }

    /// Whether all numbers are there, and finite.
    pub(super) fn is_sound(&self) -> bool {
        let tables = [&self.facets, &self.numbers];
        self.n_buckets > 0
            && self.numbers.dim() == self.facets.dim()
            && tables.iter().all(|table| table.is_whole() && table.is_finite())
    }
}

/// A row that an owner's vector contains with a factor.
#[derive(Clone, Copy, Debug)]
struct Term {
    row: u32,
    owner: u32,
    factor: f32,
}

/// What is known of some owners.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    n: usize,
    ids: Vec<Term>,
    facets: Vec<Term>,
    /// Content vectors `[n, width]`; empty if the tower reads none.
    content: Vec<f32>,
    width: usize,
}

impl Inputs {
    /// Begins with no owners.
    pub(super) fn begin(&mut self, tower: &Tower, catalogue: &Catalogue) {
        self.n = 0;
        self.width = tower.reads(catalogue).unwrap_or(0);
        self.ids.clear();
        self.facets.clear();
        self.content.clear();
    }

    /// Adds an owner, to whom what follows belongs.
    pub(super) fn next_owner(&mut self) {
        self.n += 1;
        self.content.resize(self.n * self.width, 0.0);
    }

    fn owner(&self) -> u32 {
        self.n as u32 - 1
    }

    /// Adds all that is known of an item, but for its age.
    pub(super) fn add_item(&mut self, tower: &Tower, catalogue: &Catalogue, item: ItemIdx, factor: f32) {
        let owner = self.owner();
        self.ids.push(Term { row: item, owner, factor });
        self.add_content(tower, catalogue, item, factor);
    }

    /// Adds the facets and the content vector of an item.
    pub(super) fn add_content(&mut self, tower: &Tower, catalogue: &Catalogue, item: ItemIdx, factor: f32) {
        let owner = self.owner();
        let facets = catalogue.facets(item);
        let share = factor / (facets.len().max(1) as f32).sqrt();
        self.facets.extend(facets.iter().map(|facet| Term { row: tower.bucket(facet.value), owner, factor: share }));
        if self.width > 0
            && let Some(vector) = catalogue.vectors().get(item)
        {
            let start = owner as usize * self.width;
            vector.add_to(factor, &mut self.content[start..]);
        }
    }

    /// Adds a facet of the owner.
    pub(super) fn add_facet(&mut self, tower: &Tower, hash: u32, factor: f32) {
        let owner = self.owner();
        self.facets.push(Term { row: tower.bucket(hash), owner, factor });
    }

    /// Adds a facet of an earlier owner.
    pub(super) fn add_facet_of(&mut self, tower: &Tower, owner: usize, hash: u32) {
        self.facets.push(Term { row: tower.bucket(hash), owner: owner as u32, factor: 1.0 });
    }

    /// Adds up the factors of equal rows of an owner: a history names the same brand many times.
    pub(super) fn merge(&mut self) {
        for terms in [&mut self.ids, &mut self.facets] {
            terms.sort_by_key(|term| (term.row, term.owner));
            terms.dedup_by(|term, kept| {
                let is_same = (term.row, term.owner) == (kept.row, kept.owner);
                if is_same {
                    kept.factor += term.factor;
                }
                is_same
            });
        }
    }
}

impl Tower {
    /// A map without rows. `stream` and the two numbers after it separate the random numbers of its tables from others.
    pub(super) fn new(rows: TableSettings, n_buckets: usize, seed: u64, stream: u64) -> Self {
        Self {
            ids: EmbeddingTable::new(rows.clone(), seed, stream),
            facets: EmbeddingTable::new(rows.clone(), seed, stream + 1),
            numbers: EmbeddingTable::new(rows, seed, stream + 2),
            space: 0,
            n_buckets: n_buckets as u32,
            taken: Arc::from([]),
            is_map_taken: false,
        }
    }

    /// What another shop can take.
    pub(super) fn shared_rows(&self) -> SharedRows {
        let Self { facets, numbers, space, n_buckets, .. } = self.clone();
        SharedRows { facets, numbers, space, n_buckets }
    }

    /// Begins with the rows of another shop, which have the same width.
    pub(super) fn begin_with(&mut self, rows: &SharedRows) {
        let of_facets =
            (0..rows.facets.len().min(self.n_buckets as usize) as u32).filter(|&row| rows.facets.is_learned(row));
        let taken: Vec<u32> = of_facets.collect();
        for (from, into) in [(&rows.facets, &mut self.facets), (&rows.numbers, &mut self.numbers)] {
            for row in 0..from.len() as u32 {
                into.copy_row(from, row);
            }
        }
        self.taken = taken.into();
        self.space = rows.space;
        self.is_map_taken = !rows.numbers.is_empty();
    }

    pub(super) fn set_steps(&mut self, rate: f32, row_decay: f32) {
        self.tables_mut().into_iter().for_each(|table| table.set_steps(rate, row_decay));
    }

    /// The width of the catalogue's vectors, if they are those that the tower is learned for.
    fn reads(&self, catalogue: &Catalogue) -> Option<usize> {
        let vectors = catalogue.vectors();
        vectors.space().filter(|&(space, _)| space == self.space).map(|_| vectors.width())
    }

    fn bucket(&self, hash: u32) -> u32 {
        hash % self.n_buckets
    }

    /// Begins a new map if the catalogue's vectors are of another space than the one that it is learned for.
    pub(super) fn follow_space(&mut self, catalogue: &Catalogue) {
        let Some((space, _)) = catalogue.vectors().space() else { return };
        if space != self.space {
            self.space = space;
            self.numbers = self.numbers.emptied();
            self.is_map_taken = false;
        }
        (0..catalogue.vectors().width() as u32).for_each(|number| self.numbers.touch(number));
    }

    /// Makes sure that the rows of all facets exist.
    pub(super) fn touch_facets(&mut self, inputs: &Inputs) {
        inputs.facets.iter().for_each(|term| self.facets.touch(term.row));
    }

    /// Makes sure that the rows of all ids exist.
    pub(super) fn touch_ids(&mut self, inputs: &Inputs) {
        inputs.ids.iter().for_each(|term| self.ids.touch(term.row));
    }

    /// Whether anything is known of the first owner that has a row.
    pub(super) fn knows(&self, inputs: &Inputs) -> bool {
        inputs.ids.iter().any(|term| self.ids.is_learned(term.row))
            || inputs.facets.iter().any(|term| self.facets.is_learned(term.row))
            || inputs.content.iter().any(|&number| number != 0.0)
    }

    /// The vectors of the owners. `out: [n, dim]`; rows that do not exist are zeros.
    pub(super) fn forward(&self, inputs: &Inputs, out: &mut Vec<f32>) {
        let d = self.ids.dim();
        out.clear();
        out.resize(inputs.n * d, 0.0);
        if inputs.width > 0 && inputs.n >= FEW_OWNERS {
            let map = Packed::of(View::new(&self.map(inputs.width), inputs.width, d));
            let content = View::new(&inputs.content, inputs.n, inputs.width);
            multiply(content, &map, Start::Zero, Activation::Identity, ViewMut::new(out, inputs.n, d));
        } else if inputs.width > 0 {
            for (content, out) in inputs.content.chunks_exact(inputs.width).zip(out.chunks_exact_mut(d)) {
                for (number, &value) in content.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                    if let Some(row) = self.numbers.row(number as u32) {
                        axpy(value, row, out);
                    }
                }
            }
        }
        for (terms, table) in [(&inputs.ids, &self.ids), (&inputs.facets, &self.facets)] {
            for term in terms {
                if let Some(row) = table.row(term.row) {
                    axpy(term.factor, row, &mut out[term.owner as usize * d..][..d]);
                }
            }
        }
    }

    /// The map of content vectors. `→ [width, dim]`
    fn map(&self, width: usize) -> Vec<f32> {
        let d = self.ids.dim();
        let mut map = vec![0.0; width * d];
        for (number, out) in map.chunks_exact_mut(d).enumerate() {
            if let Some(row) = self.numbers.row(number as u32) {
                out.copy_from_slice(row);
            }
        }
        map
    }

    /// Moves all rows against the gradients of the owners' vectors, those that were taken from another shop `of_taken`
    /// times as far. `gradients: [n, dim]`
    pub(super) fn descend(&mut self, inputs: &mut Inputs, gradients: &[f32], of_taken: f32) {
        // An id begins when it is first chosen: until then an item is what its content says.
        inputs.ids.retain(|term| self.ids.is_learned(term.row));
        inputs.merge();
        descend_rows(&inputs.ids, &mut self.ids, gradients, |_| 1.0);
        let of_facet = |row| if self.taken.binary_search(&row).is_ok() { of_taken } else { 1.0 };
        descend_rows(&inputs.facets, &mut self.facets, gradients, of_facet);
        let of_map = if self.is_map_taken { of_taken } else { 1.0 };
        if inputs.width > 0 && of_map > 0.0 {
            self.descend_map(inputs, gradients, of_map);
        }
    }

    fn descend_map(&mut self, inputs: &Inputs, gradients: &[f32], multiplier: f32) {
        let d = self.ids.dim();
        let mut of_map = vec![0.0; inputs.width * d];
        let content = View::new(&inputs.content, inputs.n, inputs.width).transposed();
        let packed = Packed::of(View::new(gradients, inputs.n, d));
        multiply(content, &packed, Start::Zero, Activation::Identity, ViewMut::new(&mut of_map, inputs.width, d));
        for (number, gradient) in of_map.chunks_exact(d).enumerate() {
            let norm = squared_norm(gradient);
            if norm > 0.0 {
                self.numbers.descend(number as u32, gradient, norm, multiplier);
            }
        }
    }

    /// The row of a facet.
    pub(super) fn facet(&self, hash: u32) -> Option<&[f32]> {
        self.facets.row(self.bucket(hash))
    }

    /// A gradient in the space of content vectors; `None` where the tower reads none.
    pub(super) fn mapped(&self, catalogue: &Catalogue, gradient: &[f32]) -> Option<QuantisedQuery> {
        let width = self.reads(catalogue)?;
        let numbers = (0..width as u32).map(|number| self.numbers.row(number).map_or(0.0, |row| dot(row, gradient)));
        Some(QuantisedQuery::new(&numbers.collect::<Vec<f32>>()))
    }

    /// The dot product of an item's vector and a gradient.
    pub(super) fn pull(
        &self,
        catalogue: &Catalogue,
        item: ItemIdx,
        gradient: &[f32],
        mapped: Option<&QuantisedQuery>,
    ) -> f32 {
        let of_id = self.ids.row(item).map_or(0.0, |row| dot(row, gradient));
        let facets = catalogue.facets(item);
        let of_facets: f32 =
            facets.iter().filter_map(|facet| self.facet(facet.value)).map(|row| dot(row, gradient)).sum();
        let of_content = mapped.zip(catalogue.vectors().get(item)).map_or(0.0, |(query, vector)| vector.dot(query));
        of_id + of_facets / (facets.len().max(1) as f32).sqrt() + of_content
    }

    fn tables(&self) -> [&EmbeddingTable; 3] {
        [&self.ids, &self.facets, &self.numbers]
    }

    fn tables_mut(&mut self) -> [&mut EmbeddingTable; 3] {
        [&mut self.ids, &mut self.facets, &mut self.numbers]
    }

    pub(super) fn share_with(&mut self, other: &Self) {
        for (mine, theirs) in self.tables_mut().into_iter().zip(other.tables()) {
            mine.share_with(theirs);
        }
    }

    pub(super) fn n_params(&self) -> u64 {
        self.tables().iter().map(|table| (table.len() * table.dim()) as u64).sum()
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.tables().iter().map(|table| table.copied_bytes()).sum()
    }

    pub(super) fn is_finite(&self) -> bool {
        self.tables().iter().all(|table| table.is_finite())
    }
}

/// Moves the rows of terms, which are in the order of rows, against the gradients of their owners.
fn descend_rows(terms: &[Term], table: &mut EmbeddingTable, gradients: &[f32], multiplier: impl Fn(u32) -> f32) {
    let d = table.dim();
    let mut sum = vec![0.0; d];
    for of_row in terms.chunk_by(|a, b| a.row == b.row) {
        sum.fill(0.0);
        of_row.iter().for_each(|term| axpy(term.factor, &gradients[term.owner as usize * d..][..d], &mut sum));
        let (norm, multiplier) = (squared_norm(&sum), multiplier(of_row[0].row));
        if norm * multiplier > 0.0 {
            table.descend(of_row[0].row, &sum, norm, multiplier);
        }
    }
}

static AGE_HASHES: LazyLock<[u32; N_AGES]> = LazyLock::new(|| {
    let facet = |bin: usize| Descriptor::of_item("age", &bin.to_string()).expect("a number is a short text");
    std::array::from_fn(|bin| facet(bin).value)
});

/// The hash of the facet that items have whose age is in this bin.
pub(super) fn age_hash(bin: usize) -> u32 {
    AGE_HASHES[bin]
}

/// Bins of ages.
pub(super) const N_AGES: usize = 12;

/// The bin of an age: powers of two.
pub(super) fn age_bin(days: f32) -> usize {
    (crate::decay::log2(1.0 + days) as usize).min(N_AGES - 1)
}

#[cfg(test)]
mod tests {
    use accrue_event::Item;

    use super::*;

    fn catalogue(titles: &[&str]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.keep_facets(true);
        for (index, title) in titles.iter().enumerate() {
            let item = Item { title: Some((*title).into()), ..Item::bare("x".into()) };
            catalogue.describe(index as ItemIdx, &item);
        }
        catalogue
    }

    fn tower() -> Tower {
        let rows = TableSettings { dim: 2, init: 0.0, rate: 0.1, rate_floor: 0.1, l2: 0.0, scanned: false };
        Tower::new(rows, 1 << 20, 1, 2)
    }

    fn inputs(tower: &Tower, catalogue: &Catalogue, items: &[(ItemIdx, f32)]) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.begin(tower, catalogue);
        for &(item, factor) in items {
            inputs.next_owner();
            inputs.add_item(tower, catalogue, item, factor);
        }
        inputs
    }

    fn vectors(tower: &Tower, inputs: &Inputs) -> Vec<f32> {
        let mut out = Vec::new();
        tower.forward(inputs, &mut out);
        out
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        // The loss is the dot product of the vectors and fixed numbers, so each step moves a row along its gradient.
        let catalogue = catalogue(&["red mug", "red red plate", "blue"]);
        let mut tower = tower();
        let gradients = [0.3, -0.2, 0.5, 0.1, -0.4, 0.6];
        let owners = [(0, 1.0), (1, -0.5), (0, 2.0)];
        let of = |tower: &Tower| vectors(tower, &inputs(tower, &catalogue, &owners));
        tower.ids.touch(0);
        let before = of(&tower);
        let mut moved = inputs(&tower, &catalogue, &owners);
        tower.touch_facets(&moved);
        tower.descend(&mut moved, &gradients, 1.0);
        let loss = |vectors: &[f32]| vectors.iter().zip(&gradients).map(|(a, b)| a * b).sum::<f32>();
        assert!(loss(&of(&tower)) < loss(&before) - 0.01, "a step lowers the loss");
        assert!(tower.ids.row(1).is_none(), "an id that was never chosen has no row");
        // The id of item 0 has the factors 1 and 2: its gradient is (0.3 + 2 · -0.4, -0.2 + 2 · 0.6).
        let row = tower.ids.row(0).unwrap();
        assert!((row[0] / row[1] - -0.5 / 1.0).abs() < 1e-5 && row[0] > 0.0, "{row:?}");
    }

    #[test]
    fn what_was_taken_stays_while_its_multiplier_is_0_and_other_rows_learn() {
        let catalogue = catalogue(&["red", "blue"]);
        let mut source = tower();
        let mut red = inputs(&source, &catalogue, &[(0, 1.0)]);
        source.descend(&mut red, &[1.0, 1.0], 1.0);
        let mut target = tower();
        target.begin_with(&source.shared_rows());
        let both = || inputs(&tower(), &catalogue, &[(0, 1.0), (1, 1.0)]);
        let begun = vectors(&target, &both());
        assert_eq!(begun, vectors(&source, &both()));
        target.descend(&mut both(), &[1.0, 1.0, 1.0, 1.0], 0.0);
        let frozen = vectors(&target, &both());
        assert!(frozen[..2] == begun[..2] && frozen[2..] != begun[2..], "{begun:?} {frozen:?}");
        target.descend(&mut both(), &[1.0, 1.0, 1.0, 1.0], 0.5);
        assert_ne!(vectors(&target, &both())[..2], begun[..2]);
    }
}
