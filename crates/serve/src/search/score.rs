//! BM25 over several posting lists at once: the iteration over a segment that adds it up.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::SegmentPostings;
use tantivy::{DocSet as _, TERMINATED};

use super::bm25::Bm25;
use super::cursor::Cursor;

/// Documents whose sums are kept at once: three small arrays that stay in the first-level cache.
const WINDOW: u32 = 2048;

/// The lists of one segment for a query.
pub(super) struct Walk<'a> {
    pub bm25: &'a Bm25,
    pub lengths: &'a FieldNormReader,
    /// By concept, its lists that the segment has (possibly none).
    pub concepts: Vec<Vec<Cursor>>,
    /// Ids and codes, which add their weight without BM25.
    pub codes: Vec<Code>,
    /// Factor for documents that have every concept of several.
    pub all_terms: f32,
    /// Concepts that any item has, a bit each.
    pub needed: u32,
}

/// An id or a code of the query in one segment.
pub(super) struct Code {
    pub postings: SegmentPostings,
    pub weight: f32,
    /// The concepts that it stands for, a bit each.
    pub covers: u32,
}

/// A document that was found.
#[derive(Clone, Copy)]
pub(super) struct FoundDoc {
    pub doc: u32,
    pub score: f32,
    /// The concepts that it has, a bit each.
    pub has: u32,
    /// Whether it has every concept that any item has in full.
    pub has_all: bool,
}

/// Sums of the documents of one window, by their position in it. All slots are zero between two windows.
struct Sums {
    words: [f32; WINDOW as usize],
    bonus: [f32; WINDOW as usize],
    /// The best list of the current concept.
    best: [f32; WINDOW as usize],
    has: [u32; WINDOW as usize],
    full: [u32; WINDOW as usize],
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
    /// Calls `found` for each document that has the `required` concepts (or, if there are none, any), in the order of
    /// documents.
    ///
    /// Window by window, list by list: a document's words are added in the order of the query, in every segment.
    pub(super) fn run(mut self, required: u32, mut found: impl FnMut(FoundDoc)) {
        let mut sums = Sums {
            words: [0.0; WINDOW as usize],
            bonus: [0.0; WINDOW as usize],
            best: [0.0; WINDOW as usize],
            has: [0; WINDOW as usize],
            full: [0; WINDOW as usize],
            found: Marks::NONE,
        };
        let n_concepts = self.concepts.len();
        let everything = ((1_u64 << n_concepts) - 1) as u32;
        let factor = if n_concepts > 1 { self.all_terms } else { 1.0 };
        while let Some(base) = self.next_doc(required) {
            let end = base.saturating_add(WINDOW).min(TERMINATED);
            for i in 0..n_concepts {
                self.add_concept(i, base, end, &mut sums);
            }
            for code in &mut self.codes {
                code.add(base, end, &mut sums);
            }
            let marks = std::mem::replace(&mut sums.found, Marks::NONE);
            marks.for_each(|slot| {
                let words = std::mem::take(&mut sums.words[slot]);
                let bonus = std::mem::take(&mut sums.bonus[slot]);
                let has = std::mem::take(&mut sums.has[slot]);
                let full = std::mem::take(&mut sums.full[slot]);
                if has & required != required {
                    return;
                }
                let words = if has == everything { words * factor } else { words };
                let (doc, score) = (base + slot as u32, words + bonus);
                let has_all = full & self.needed == self.needed;
                found(FoundDoc { doc, score, has, has_all });
            });
        }
    }

    fn add_concept(&mut self, i: usize, base: u32, end: u32, sums: &mut Sums) {
        let (bm25, lengths) = (self.bm25, self.lengths);
        let bit = 1_u32 << i;
        let mut touched = Marks::NONE;
        for cursor in &mut self.concepts[i] {
            let weight = cursor.weight;
            let full = if cursor.is_full { bit } else { 0 };
            cursor.seek(base);
            cursor.each(end, |doc, tf| {
                let slot = (doc - base) as usize;
                sums.best[slot] = sums.best[slot].max(bm25.score(weight, tf, lengths.fieldnorm_id(doc)));
                sums.full[slot] |= full;
                touched.set(slot);
            });
        }
        touched.for_each(|slot| {
            sums.words[slot] += std::mem::take(&mut sums.best[slot]);
            sums.has[slot] |= bit;
            sums.found.set(slot);
        });
    }

    /// The first document from which on a document in no window yet may have the required concepts.
    fn next_doc(&self, required: u32) -> Option<u32> {
        let first_of = |i: usize| {
            let codes = self.codes.iter().filter(|code| code.covers & (1 << i) != 0);
            let codes = codes.map(|code| code.postings.doc());
            self.concepts[i].iter().map(Cursor::doc).chain(codes).min().unwrap_or(TERMINATED)
        };
        let first = match required {
            0 => {
                let codes = self.codes.iter().map(|code| code.postings.doc());
                self.concepts.iter().flatten().map(Cursor::doc).chain(codes).min()
            }
            required => (0..self.concepts.len()).filter(|i| required & (1 << i) != 0).map(first_of).max(),
        };
        first.filter(|doc| *doc != TERMINATED)
    }
}

impl Code {
    fn add(&mut self, base: u32, end: u32, sums: &mut Sums) {
        let mut doc = if self.postings.doc() < base { self.postings.seek(base) } else { self.postings.doc() };
        while doc < end {
            let slot = (doc - base) as usize;
            sums.bonus[slot] += self.weight;
            sums.has[slot] |= self.covers;
            sums.full[slot] |= self.covers;
            sums.found.set(slot);
            doc = self.postings.advance();
        }
    }
}
