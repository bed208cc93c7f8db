//! BM25 over several posting lists at once: the arithmetic, and the iteration over a segment that adds it up.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocSet, TERMINATED};

/// Documents whose sums are kept at once: three small arrays that stay in the first-level cache.
const WINDOW: u32 = 2048;

/// The part of BM25 that is the same for every term of a query.
pub(super) struct Bm25 {
    k1: f32,
    /// `k1·(1 − b + b·length/mean)` by the byte that encodes a length.
    norms: Box<[f32; 256]>,
}

impl Bm25 {
    pub(super) fn new(k1: f32, b: f32, mean_length: f32) -> Self {
        let mut norms = Box::new([0.0; 256]);
        for (byte, norm) in (0..=255_u8).zip(norms.iter_mut()) {
            let length = FieldNormReader::id_to_fieldnorm(byte) as f32;
            *norm = k1 * (1.0 - b + b * length / mean_length.max(1.0));
        }
        Self { k1, norms }
    }

    /// `weight` is the term's idf times the weight of its alternative.
    pub(super) fn score(&self, weight: f32, tf: u32, length_byte: u8) -> f32 {
        let tf = tf as f32;
        weight * (self.k1 + 1.0) * tf / (tf + self.norms[usize::from(length_byte)])
    }
}

/// `ln(1 + (n − df + ½)/(df + ½))`; positive even for a term that every document has.
pub(super) fn idf(n: u64, df: u64) -> f32 {
    // The kernel's logarithm, because the system's differs between machines and scores must not.
    accrue_kernel::ln(1.0 + (n.saturating_sub(df) as f32 + 0.5) / (df as f32 + 0.5))
}

/// One term's list in one segment.
pub(super) struct Cursor {
    pub postings: SegmentPostings,
    pub weight: f32,
}

/// The posting lists of one segment for a query.
pub(super) struct Walk<'a> {
    pub bm25: &'a Bm25,
    pub lengths: &'a FieldNormReader,
    /// By concept, its alternatives that the segment has (possibly none).
    pub concepts: Vec<Vec<Cursor>>,
    /// Lists that add their weight without BM25.
    pub bonuses: Vec<Cursor>,
    /// Factor for documents that have every concept of several.
    pub all_terms: f32,
    /// Concepts that any item has.
    pub n_known: usize,
}

/// Sums of the documents of one window, by their position in it. All slots are zero between two windows.
struct Sums {
    words: [f32; WINDOW as usize],
    bonus: [f32; WINDOW as usize],
    /// The best alternative of the current concept.
    best: [f32; WINDOW as usize],
    n_concepts: [u8; WINDOW as usize],
    found: Marks,
}

/// A set of slots.
#[derive(Clone, Copy)]
struct Marks([u64; WINDOW as usize / 64]);

impl Marks {
    const NONE: Self = Self([0; WINDOW as usize / 64]);

    fn set(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    fn for_each(&self, mut visit: impl FnMut(usize)) {
        for (i, mut word) in self.0.iter().copied().enumerate() {
            while word != 0 {
                visit(i * 64 + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
    }
}

impl Walk<'_> {
    /// Calls `found(doc, score, has_all)` for each document of any list, in the order of documents; `has_all` says whether
    /// it has every concept that any item has, or a code.
    ///
    /// Window by window, list by list: a document's words are added in the order of the query, in every segment.
    pub(super) fn run(mut self, mut found: impl FnMut(u32, f32, bool)) {
        let mut sums = Sums {
            words: [0.0; WINDOW as usize],
            bonus: [0.0; WINDOW as usize],
            best: [0.0; WINDOW as usize],
            n_concepts: [0; WINDOW as usize],
            found: Marks::NONE,
        };
        let needed = self.concepts.len();
        let factor = if needed > 1 { self.all_terms } else { 1.0 };
        while let Some(base) = self.next_doc() {
            let end = base.saturating_add(WINDOW).min(TERMINATED);
            for i in 0..needed {
                self.add_concept(i, base, end, &mut sums);
            }
            for cursor in &mut self.bonuses {
                let weight = cursor.weight;
                each(cursor, end, |doc, _| {
                    let slot = (doc - base) as usize;
                    sums.bonus[slot] += weight;
                    sums.found.set(slot);
                });
            }
            let marks = std::mem::replace(&mut sums.found, Marks::NONE);
            marks.for_each(|slot| {
                let words = std::mem::take(&mut sums.words[slot]);
                let n_concepts = std::mem::take(&mut sums.n_concepts[slot]);
                let words = if usize::from(n_concepts) == needed { words * factor } else { words };
                let bonus = std::mem::take(&mut sums.bonus[slot]);
                found(base + slot as u32, words + bonus, usize::from(n_concepts) >= self.n_known || bonus > 0.0);
            });
        }
    }

    fn add_concept(&mut self, i: usize, base: u32, end: u32, sums: &mut Sums) {
        let (bm25, lengths) = (self.bm25, self.lengths);
        let alternatives = self.concepts[i].as_mut_slice();
        if let [only] = alternatives {
            let weight = only.weight;
            each(only, end, |doc, tf| {
                let slot = (doc - base) as usize;
                sums.words[slot] += bm25.score(weight, tf, lengths.fieldnorm_id(doc));
                sums.n_concepts[slot] += 1;
                sums.found.set(slot);
            });
            return;
        }
        let mut touched = Marks::NONE;
        for cursor in alternatives {
            let weight = cursor.weight;
            each(cursor, end, |doc, tf| {
                let slot = (doc - base) as usize;
                sums.best[slot] = sums.best[slot].max(bm25.score(weight, tf, lengths.fieldnorm_id(doc)));
                touched.set(slot);
            });
        }
        touched.for_each(|slot| {
            sums.words[slot] += std::mem::take(&mut sums.best[slot]);
            sums.n_concepts[slot] += 1;
            sums.found.set(slot);
        });
    }

    /// The first document that is in no window yet.
    fn next_doc(&self) -> Option<u32> {
        let lists = self.concepts.iter().flatten().chain(&self.bonuses);
        lists.map(|cursor| cursor.postings.doc()).min().filter(|doc| *doc != TERMINATED)
    }
}

/// Visits a list's documents before `end` with their term frequencies.
fn each(cursor: &mut Cursor, end: u32, mut visit: impl FnMut(u32, u32)) {
    let mut doc = cursor.postings.doc();
    while doc < end {
        visit(doc, cursor.postings.term_freq());
        doc = cursor.postings.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_weigh_more_and_all_weights_are_positive() {
        assert!(idf(1000, 1) > idf(1000, 10) && idf(1000, 10) > idf(1000, 1000) && idf(1000, 1000) > 0.0);
        assert!(idf(0, 0).is_finite());
    }
}
