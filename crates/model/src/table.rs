//! The embedding table: dense index → row of floats, learned row by row.
//!
//! Rows begin as seeded random numbers, a function of (seed, row), and exist only once touched. The optimizer's state
//! is the row's last number, so that learning a row waits for memory once; the int8 image for the scan is stored
//! separately. Updates are row-wise Adagrad (Duchi, Hazan, Singer 2011; one accumulator a row) with a floor on the
//! rate, since a shop never stops changing.

use accrue_kernel::RowsToMove;
use serde::{Deserialize, Serialize};

use crate::cow::CowVec;
use crate::gaussian::RowBelief;

/// Rows in a chunk: the unit that a write after a publication copies, and that versions share. With sixteen, versions
/// of a large shop share little; with one row to a chunk, publishing counts a reference for every row, which slows
/// learning by a quarter.
pub const CHUNK_ROWS: usize = 4;
/// Rows in a chunk of images. A scan reads them all, and memory is read at full speed only in long runs.
pub const IMAGE_ROWS: usize = 256;
/// Rows that are given to a kernel at once.
const ROWS_AT_ONCE: usize = u32::BITS as usize;

/// How rows are initialised and updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSettings {
    /// Numbers in a row.
    pub dim: usize,
    /// Standard deviation of a fresh row's numbers.
    pub init: f32,
    /// Adagrad's step.
    pub rate: f32,
    /// The smallest share of `rate` that a row's step may fall to.
    pub rate_floor: f32,
    /// Weight decay of a touched row.
    pub l2: f32,
    /// Whether rows have int8 images for the scan.
    pub scanned: bool,
}

/// Rows of `dim` floats.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct EmbeddingTable {
    settings: TableSettings,
    seed: u64,
    stream: u64,
    /// `[dim]` numbers, then the row's *mass*: 1 plus the sum of its mean squared gradients; 0 for a row that does not
    /// exist yet.
    rows: CowVec<f32>,
    /// A bit for each row, 1 if its image is out of date; rows beyond the end have current ones. Bits of rows that do
    /// not exist say nothing.
    stale: Vec<u64>,
    images: CowVec<i8>,
    scales: CowVec<f32>,
}

/// The part of a table that a checkpoint keeps. Images are computed from the rows, and when they were computed is not
/// part of the state.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: TableSettings,
    seed: u64,
    stream: u64,
    rows: CowVec<f32>,
}

impl From<EmbeddingTable> for Stored {
    fn from(table: EmbeddingTable) -> Self {
        let EmbeddingTable { settings, seed, stream, rows, .. } = table;
        Self { settings, seed, stream, rows }
    }
}

impl From<Stored> for EmbeddingTable {
    fn from(stored: Stored) -> Self {
        let mut table = Self::new(stored.settings, stored.seed, stored.stream);
        table.rows = stored.rows;
        table.mark_all_stale();
        table
    }
}

impl PartialEq for EmbeddingTable {
    fn eq(&self, other: &Self) -> bool {
        (&self.settings, self.seed, self.stream) == (&other.settings, other.seed, other.stream)
            && self.rows == other.rows
    }
}

impl EmbeddingTable {
    /// An empty table; `stream` separates its random numbers from those of other tables.
    pub fn new(settings: TableSettings, seed: u64, stream: u64) -> Self {
        let dim = settings.dim;
        Self {
            settings,
            seed,
            stream,
            rows: CowVec::of_rows(CHUNK_ROWS, dim + 1, 0.0),
            stale: Vec::new(),
            images: CowVec::of_rows(IMAGE_ROWS, dim, 0),
            scales: CowVec::new(IMAGE_ROWS, 0.0),
        }
    }

    /// A table of the same kind without rows.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.settings.clone(), self.seed, self.stream)
    }

    /// Changes the step and the weight decay.
    pub fn set_steps(&mut self, rate: f32, l2: f32) {
        (self.settings.rate, self.settings.l2) = (rate, l2);
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.settings.dim
    }

    /// Rows with an index: those touched, and those below one that was.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row has been touched.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the row was ever learned.
    #[inline]
    pub fn is_learned(&self, row: u32) -> bool {
        self.row(row).is_some()
    }

    /// Whether a gradient has moved the row. A row that only exists, or was [`set`](Self::set), has not.
    pub(crate) fn has_moved(&self, row: u32) -> bool {
        self.rows.row(row as usize).and_then(|row| row.last()).is_some_and(|mass| *mass > 1.0)
    }

    /// The row `[dim]`, or `None` if it was never touched.
    #[inline]
    pub fn row(&self, row: u32) -> Option<&[f32]> {
        let (mass, numbers) = self.rows.row(row as usize)?.split_last()?;
        (*mass > 0.0).then_some(numbers)
    }

    /// Prefetches a row.
    #[inline]
    pub fn prefetch(&self, row: u32) {
        self.rows.prefetch(row as usize);
    }

    /// The variance of each number of the row; see [`RowBelief::variance_after`].
    pub fn variance(&self, row: u32) -> f32 {
        let mass = self.rows.row(row as usize).and_then(|row| row.last()).copied().unwrap_or(0.0);
        RowBelief::variance_after((mass - 1.0).max(0.0))
    }

    /// Makes sure that the row exists, with its seeded numbers if it is new.
    #[inline]
    pub fn touch(&mut self, row: u32) {
        if !self.is_learned(row) {
            self.learned_mut(row);
            self.mark_stale(row);
        }
    }

    /// The mass and the numbers of a row for writing; it begins if it is new.
    #[inline(always)]
    fn learned_mut(&mut self, row: u32) -> (&mut f32, &mut [f32]) {
        let (mass, numbers) = self.rows.row_mut(row as usize).split_last_mut().expect("a row has a mass");
        if *mass == 0.0 {
            begin(self.settings.init, accrue_kernel::Draws::new(self.seed, self.stream, u64::from(row)), numbers);
            *mass = 1.0;
        }
        (mass, numbers)
    }

    /// Notes that the image of a row is out of date.
    #[inline(always)]
    fn mark_stale(&mut self, row: u32) {
        if self.settings.scanned {
            let word = row as usize / 64;
            if word >= self.stale.len() {
                self.stale.resize(word + 1, 0);
            }
            self.stale[word] |= 1 << (row % 64);
        }
    }

    /// Notes that the images of all rows are out of date.
    fn mark_all_stale(&mut self) {
        if self.settings.scanned {
            self.stale = vec![u64::MAX; self.len().div_ceil(u64::BITS as usize)];
        }
    }

    /// Drops the images, which the next [`EmbeddingTable::refresh`] computes again: a table that nobody scans takes a
    /// fifth less memory without them.
    pub fn drop_images(&mut self) {
        if !self.images.is_empty() {
            self.images = CowVec::of_rows(IMAGE_ROWS, self.settings.dim, 0);
            self.scales = CowVec::new(IMAGE_ROWS, 0.0);
            self.mark_all_stale();
        }
    }

    /// Copies a row of a table of the same width, with the state of its optimizer.
    pub(crate) fn copy_row(&mut self, from: &Self, row: u32) {
        if let Some(own) = from.rows.row(row as usize).filter(|_| from.is_learned(row)) {
            self.rows.row_mut(row as usize).copy_from_slice(own);
            self.mark_stale(row);
        }
    }

    /// Replaces the numbers of a row that is computed from others and not learned. `numbers: [dim]`
    pub(crate) fn set(&mut self, row: u32, numbers: &[f32]) {
        let (mass, own) = self.rows.row_mut(row as usize).split_last_mut().expect("a row has a mass");
        own.copy_from_slice(numbers);
        *mass = mass.max(1.0);
        self.mark_stale(row);
    }

    /// Moves a row by a share of its distance to `numbers` `[dim]`.
    pub(crate) fn approach(&mut self, row: u32, share: f32, numbers: &[f32]) {
        let (_, own) = self.rows.row_mut(row as usize).split_last_mut().expect("a row has a mass");
        accrue_kernel::axpby(share, numbers, 1.0 - share, own);
        self.mark_stale(row);
    }

    /// Moves the row against `gradient` `[dim]`, times `scale`. The caller passes the gradient's `squared_norm`, which
    /// it computes once for all rows that share the gradient.
    pub fn descend(&mut self, row: u32, gradient: &[f32], squared_norm: f32, scale: f32) {
        self.descend_each(std::iter::once((row, scale)), gradient, squared_norm);
    }

    /// [`EmbeddingTable::descend`] for each of `rows`, which come with their scales, one after the other.
    pub(crate) fn descend_each(&mut self, rows: impl Iterator<Item = (u32, f32)>, gradient: &[f32], squared_norm: f32) {
        let TableSettings { dim, rate, rate_floor, l2, .. } = self.settings;
        accrue_kernel::axpby_each(
            gradient,
            Descent { table: self, rows, squared_norm, dim: dim as f32, rate, rate_floor, l2 },
        );
    }

    /// Brings the int8 images of the touched rows up to date; call before publishing.
    pub fn refresh(&mut self) {
        for (word, bits) in std::mem::take(&mut self.stale).into_iter().enumerate() {
            rows_of(word, bits).for_each(|row| self.rows.prefetch(row));
            for row in rows_of(word, bits) {
                // As `row` reads it, which would borrow the images too.
                let Some((mass, numbers)) = self.rows.row(row).and_then(|row| row.split_last()) else { continue };
                if *mass > 0.0 {
                    *self.scales.get_mut(row) = accrue_kernel::quantise(numbers, self.images.row_mut(row));
                }
            }
        }
    }

    /// Adds to `out` `[dim]` the rows of `terms`, each times its weight, in their order; `added` is told the weight of
    /// each row that exists. Others add nothing.
    pub(crate) fn add_rows(
        &self,
        terms: impl Iterator<Item = (u32, f32)>,
        out: &mut [f32],
        mut added: impl FnMut(f32),
    ) {
        let mut batch: [(f32, &[f32]); ROWS_AT_ONCE] = [(0.0, &[]); ROWS_AT_ONCE];
        let mut n = 0;
        for (row, weight) in terms {
            let Some(numbers) = self.row(row) else { continue };
            added(weight);
            batch[n] = (weight, numbers);
            n += 1;
            if n == ROWS_AT_ONCE {
                accrue_kernel::add_rows(&batch, out);
                n = 0;
            }
        }
        accrue_kernel::add_rows(&batch[..n], out);
    }

    /// The dot product of `query` `[dim]` with each of `rows`: `out: [rows]`. 0 for a row that does not exist; returns
    /// whether all exist.
    pub(crate) fn dot_each(&self, query: &[f32], rows: &[u32], out: &mut [f32]) -> bool {
        let mut all_exist = true;
        for (rows, out) in rows.chunks(ROWS_AT_ONCE).zip(out.chunks_mut(ROWS_AT_ONCE)) {
            let mut batch: [&[f32]; ROWS_AT_ONCE] = [&[]; ROWS_AT_ONCE];
            let mut missing = 0_u32;
            for (place, (numbers, &row)) in batch.iter_mut().zip(rows).enumerate() {
                *numbers = self.row(row).unwrap_or_else(|| {
                    missing |= 1 << place;
                    query
                });
            }
            accrue_kernel::dot_each(query, &batch[..rows.len()], out);
            if missing == 0 {
                continue;
            }
            all_exist = false;
            out.iter_mut().enumerate().filter(|(place, _)| missing >> place & 1 == 1).for_each(|(_, out)| *out = 0.0);
        }
        all_exist
    }

    /// The int8 images `[n, dim]` and scales `[n]`, chunk by chunk in the order of rows.
    pub fn images(&self) -> impl Iterator<Item = (&[i8], &[f32])> {
        self.images.chunks().zip(self.scales.chunks())
    }

    /// The rows with the largest dot product with `query` `[dim]`, at most `limit`, best first: an int8 scan over all
    /// rows, as they were at the last [`EmbeddingTable::refresh`].
    pub fn nearest(&self, query: &[f32], limit: usize) -> Vec<u32> {
        let query = accrue_kernel::QuantisedQuery::new(query);
        let mut best = accrue_kernel::TopK::new(limit);
        let mut scores = [0.0; IMAGE_ROWS];
        let mut rows: [u32; IMAGE_ROWS] = std::array::from_fn(|row| row as u32);
        for (images, scales) in self.images() {
            let scores = &mut scores[..scales.len()];
            accrue_kernel::scan(&query, &images[..scales.len() * self.settings.dim], scales, scores);
            best.push_each(scores, &rows[..scales.len()]);
            rows.iter_mut().for_each(|row| *row += IMAGE_ROWS as u32);
        }
        best.into_sorted().into_iter().map(|(_, row)| row).filter(|&row| self.is_learned(row)).collect()
    }

    /// Holds the memory of `other` wherever both hold the same values.
    pub fn share_with(&mut self, other: &Self) {
        self.rows.share_with(&other.rows);
    }

    /// Whether rows are as wide as the settings say.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows.width() == self.settings.dim + 1
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.rows.iter().all(|number| number.is_finite())
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.rows.copied_bytes() + self.images.copied_bytes() + self.scales.copied_bytes()
    }
}

/// The rows of the bits that are 1 in a word of [`EmbeddingTable::stale`].
fn rows_of(word: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(word * 64 + place)
    })
}

/// Rows on their way against a gradient, each with its scale.
struct Descent<'a, I> {
    table: &'a mut EmbeddingTable,
    rows: I,
    squared_norm: f32,
    dim: f32,
    rate: f32,
    rate_floor: f32,
    l2: f32,
}

impl<I: Iterator<Item = (u32, f32)>> RowsToMove for Descent<'_, I> {
    #[inline(always)]
    fn next_row(&mut self) -> Option<(f32, f32, &mut [f32])> {
        let (row, scale) = self.rows.next()?;
        self.table.mark_stale(row);
        let (mass, numbers) = self.table.learned_mut(row);
        *mass += scale * scale * self.squared_norm / self.dim;
        let step = self.rate * (1.0 / mass.sqrt()).max(self.rate_floor);
        Some((-step * scale, 1.0 - step * self.l2, numbers))
    }
}

/// Draws the numbers of a fresh row.
#[cold]
#[inline(never)]
fn begin(deviation: f32, mut draws: accrue_kernel::Draws, numbers: &mut [f32]) {
    for number in numbers {
        *number = deviation * draws.normal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_were_dropped_are_computed_again_as_they_were() {
        let settings = TableSettings { dim: 8, init: 1.0, rate: 0.1, rate_floor: 0.1, l2: 0.0, scanned: true };
        let mut table = EmbeddingTable::new(settings, 1, 2);
        [3, 70, 300].into_iter().for_each(|row| table.touch(row));
        table.refresh();
        let (kept, query) = (table.clone(), [1.0; 8]);
        // Of all rows: those that do not exist score 0, above some that do.
        let found = table.nearest(&query, 400);
        assert_eq!(found.len(), 3);
        table.drop_images();
        assert!(table == kept && table.nearest(&query, 400).is_empty());
        table.refresh();
        assert!(table.images().eq(kept.images()) && table.nearest(&query, 400) == found);
    }
}
