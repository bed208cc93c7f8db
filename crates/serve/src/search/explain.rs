//! Why an item was found: which words stand in which of its fields, and what each adds to the score.

use tantivy::DocSet as _;

use super::plan::Plan;
use super::schema::field_at;
use super::score::Walk;
use super::snapshot::{Place, Snapshot};
use super::{MatchedField, SearchError, SearchField};

impl Snapshot {
    /// The matched fields of each item, in the order given.
    pub(super) fn explain(&self, plan: &Plan, items: &[u32]) -> Result<Vec<Vec<MatchedField>>, SearchError> {
        let mut all = vec![Vec::new(); items.len()];
        self.visit(plan, items, |walk, doc, nth| all[nth] = reasons(walk, plan, doc))?;
        Ok(all)
    }

    /// The score of each item, in the order given, whether it has all words or not; 0 for one that is not in the index.
    pub(super) fn scores(&self, plan: &Plan, items: &[u32]) -> Result<Vec<f32>, SearchError> {
        let mut all = vec![0.0; items.len()];
        self.visit(plan, items, |walk, doc, nth| all[nth] = score(walk, plan, doc))?;
        Ok(all)
    }

    /// For each concept the guess that an item was found by, if it was corrected.
    pub(super) fn guesses_of(&self, plan: &Plan, item: u32) -> Result<Vec<Option<usize>>, SearchError> {
        let mut guesses = vec![None; plan.concepts.len()];
        self.visit(plan, &[item], |walk, doc, _| {
            for (cursors, guess) in walk.concepts.iter_mut().zip(&mut guesses) {
                let mut best = 0.0;
                for cursor in cursors {
                    cursor.seek(doc);
                    if cursor.doc() == doc && cursor.weight > best {
                        (best, *guess) = (cursor.weight, cursor.guess);
                    }
                }
            }
        })?;
        Ok(guesses)
    }

    /// Calls `visit` with the lists of each item's segment, its document and its place among the items.
    fn visit(
        &self,
        plan: &Plan,
        items: &[u32],
        mut visit: impl FnMut(&mut Walk<'_>, u32, usize),
    ) -> Result<(), SearchError> {
        let mut places: Vec<(Place, usize)> = Vec::with_capacity(items.len());
        for (nth, item_idx) in items.iter().enumerate() {
            places.extend(self.find(*item_idx)?.map(|place| (place, nth)));
        }
        places.sort_unstable_by_key(|(place, _)| (place.segment, place.doc));
        for group in places.chunk_by(|(a, _), (b, _)| a.segment == b.segment) {
            let segment = &self.segments[group[0].0.segment as usize];
            let mut walk = self.walk(segment, plan, true)?;
            for (place, nth) in group {
                visit(&mut walk, place.doc, *nth);
            }
        }
        Ok(())
    }
}

/// What each field adds to one document's score. Documents must be passed in ascending order.
fn reasons(walk: &mut Walk, plan: &Plan, doc: u32) -> Vec<MatchedField> {
    let mut shares: Vec<(SearchField, &str, f32)> = Vec::new();
    let mut has = 0_u32;
    let mut positions = Vec::new();
    for (i, (concept, cursors)) in plan.concepts.iter().zip(&mut walk.concepts).enumerate() {
        let mut best: Option<(f32, Vec<u32>)> = None;
        for cursor in cursors {
            cursor.seek(doc);
            if cursor.doc() != doc {
                continue;
            }
            let score = walk.bm25.score(cursor.weight, cursor.frequency(), walk.lengths.fieldnorm_id(doc));
            if best.as_ref().is_none_or(|(known, _)| score > *known) {
                cursor.positions(&mut positions);
                best = Some((score, positions.clone()));
            }
        }
        let Some((score, positions)) = best else { continue };
        has |= 1 << i;
        for run in positions.chunk_by(|a, b| field_at(*a) == field_at(*b)) {
            let share = score * run.len() as f32 / positions.len() as f32;
            shares.push((field_at(run[0]), &concept.surface, share));
        }
    }
    let n_words = shares.len();
    for (code, list) in plan.codes.iter().zip(&mut walk.codes) {
        let stands_at = if list.postings.doc() < doc { list.postings.seek(doc) } else { list.postings.doc() };
        if stands_at == doc {
            has |= code.covers;
            shares.push((SearchField::Id, &code.surface, list.weight));
        }
    }
    if plan.concepts.len() > 1 && has.count_ones() as usize == plan.concepts.len() {
        shares[..n_words].iter_mut().for_each(|(_, _, share)| *share *= walk.all_terms);
    }
    gather(shares)
}

/// The score of one document. Documents must be passed in ascending order.
fn score(walk: &mut Walk, plan: &Plan, doc: u32) -> f32 {
    let (mut words, mut codes, mut has) = (0.0, 0.0, 0_u32);
    for (i, cursors) in walk.concepts.iter_mut().enumerate() {
        let mut best = 0.0_f32;
        for cursor in cursors {
            cursor.seek(doc);
            if cursor.doc() == doc {
                best = best.max(walk.bm25.score(cursor.weight, cursor.frequency(), walk.lengths.fieldnorm_id(doc)));
                has |= 1 << i;
            }
        }
        words += best;
    }
    for (code, list) in plan.codes.iter().zip(&mut walk.codes) {
        let stands_at = if list.postings.doc() < doc { list.postings.seek(doc) } else { list.postings.doc() };
        if stands_at == doc {
            (codes, has) = (codes + list.weight, has | code.covers);
        }
    }
    let has_all = plan.concepts.len() > 1 && has.count_ones() as usize == plan.concepts.len();
    if has_all { words * walk.all_terms + codes } else { words + codes }
}

fn gather(mut shares: Vec<(SearchField, &str, f32)>) -> Vec<MatchedField> {
    // A stable sort: within a field the words keep the query's order.
    shares.sort_by_key(|(field, _, _)| *field);
    let mut fields: Vec<MatchedField> = Vec::new();
    for group in shares.chunk_by(|a, b| a.0 == b.0) {
        let mut terms: Vec<Box<str>> = Vec::new();
        for (_, term, _) in group {
            if terms.iter().all(|known| **known != **term) {
                terms.push((*term).into());
            }
        }
        let contribution = group.iter().map(|(_, _, share)| share).sum();
        fields.push(MatchedField { field: group[0].0, terms, contribution });
    }
    fields
}
