//! Every online model, and the blend that turns their columns into one score: what the learner trains and the server publishes.
//!
//! In: steps, item descriptions. Out: for a context, candidates from every model and their scores, each the sum of its shares. Cloning an
//! ensemble is publishing it: only pointers are copied.

mod impressions;
mod learning;
mod retrieval;
mod sections;

use std::sync::Arc;

use accrue_event::{Item, ItemPatch};
use accrue_store::{ItemIdx, ItemVector};
use serde::{Deserialize, Serialize};

use self::learning::Examples;
pub use self::retrieval::RetrievalSettings;
use crate::blend::Blend;
use crate::catalogue::Catalogue;
use crate::gaussian::Gaussian;
use crate::members::{
    Column, Factorization, Fitted, Members, Neighbours, Part, PendingFit, Popularity, Sequence, Settings, Situations,
};
use crate::parts::{Parts, provided};
use crate::{Context, Scored};

/// Groups of the blend: (no visit | short visit | long visit) × (new to the shopper | chosen before).
pub(crate) const N_GROUPS: usize = 6;
/// Items scored at once: their columns stay in the first-level cache.
const SCORED_AT_ONCE: usize = 256;

/// Candidates for which memory is allocated at once.
const USUAL_CANDIDATES: usize = 1024;
/// In a catalogue with more words of 64 bits than this for each candidate, sorting the candidates is faster than reading a
/// bit for each item.
const WORDS_PER_ITEM: usize = 4;

/// The trained state of all models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// The settings that it was made with.
    pub settings: Settings,
    /// The models.
    pub members: Members,
    /// The blend over their columns.
    pub blend: Blend,
    /// What the models know of the items themselves.
    pub catalogue: Catalogue,
}

/// What is derived from one shopper's context for any number of scores. Keep one per thread: its memory is reused.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    situations: Situations,
    visit_len: usize,
    examples: Examples,
    /// The place of the chosen item when the blend learned last; `None` if the last step taught it nothing.
    foreseen: Option<usize>,
    /// The part that scores instead of the one that the settings name.
    part: Option<Part>,
    /// For another model in the same comparison.
    second: Option<Box<Prepared>>,
}

impl Prepared {
    /// The place (from 0) at which the blend ranked what was chosen in the last step, among the step's candidates and before it
    /// learned from them; `None` if the step was not one that the blend learns from.
    pub fn foreseen(&self) -> Option<usize> {
        self.foreseen
    }

    /// Another one, to compare two models without preparing either twice. Put it back with [`Prepared::keep_second`].
    pub fn take_second(&mut self) -> Box<Prepared> {
        self.second.take().unwrap_or_default()
    }

    /// Keeps it, so that its memory is reused.
    pub fn keep_second(&mut self, second: Box<Prepared>) {
        self.second = Some(second);
    }

    /// Lets another part score until the next [`Ensemble::prepare`]. A part that the settings leave unlearned scores every item 0.
    pub fn score_by(&mut self, part: Option<Part>) {
        self.part = part;
    }
}

impl Ensemble {
    /// An ensemble that has learned nothing.
    ///
    /// # Panics
    /// If the settings are not valid; see [`Settings::validate`].
    pub fn new(settings: Settings, seed: u64) -> Self {
        let mut members = Members::new(&settings, seed);
        let mut blend = Blend::new(settings.blend.clone(), &members.columns(), N_GROUPS);
        if let Some(parts) = provided(&settings.init) {
            members.begin_with(&parts.members, &settings.init);
            parts.blend.iter().for_each(|learned| blend.begin_with(learned));
        }
        let mut catalogue = Catalogue::default();
        catalogue.keep_facets(settings.needs_facets());
        Self { members, blend, catalogue, settings }
    }

    /// What another shop can begin with.
    pub fn parts(&self) -> Parts {
        Parts { members: self.members.parts_for_others(), blend: Some(self.blend.clone()) }
    }

    /// Changes the settings. Members that are kept keep what they learned if it fits the new settings, and so do the
    /// curves of their columns.
    pub fn set_settings(&mut self, settings: Settings, seed: u64) {
        self.members.set_settings(&settings, seed);
        self.blend.set_columns(&self.members.columns());
        self.blend.set_settings(settings.blend.clone());
        self.catalogue.keep_facets(settings.needs_facets());
        self.settings = settings;
    }

    /// Decayed popularity, which every ensemble learns.
    ///
    /// # Panics
    /// Never: popularity learns whichever part scores.
    pub fn popularity(&self) -> &Popularity {
        self.members.popularity.as_ref().expect("popularity learns whichever part scores")
    }

    /// Item neighbours, if the settings ask for them.
    pub fn neighbours(&self) -> Option<&Neighbours> {
        self.members.neighbours.as_ref()
    }

    /// Matrix factorization, if the settings ask for it.
    pub fn factorization(&self) -> Option<&Factorization> {
        self.members.factorization.as_ref()
    }

    /// The sequence network, if the settings ask for one.
    pub fn sequence(&self) -> Option<&Sequence> {
        self.members.sequence.as_ref()
    }

    /// The fitted model, if the settings ask for one.
    pub fn fitted(&self) -> Option<&Fitted> {
        self.members.fitted.as_ref()
    }

    /// Every item that has been seen has an index below this.
    pub fn n_items(&self) -> u32 {
        self.catalogue.n_items()
    }

    /// Records the first sight of an item.
    pub fn see_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.catalogue.see(item, at_ms);
    }

    /// Takes in that an item was chosen at this time, which may be before its first sight.
    pub fn date_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.catalogue.date(item, at_ms);
    }

    /// Replaces an item's description.
    pub fn describe(&mut self, item: ItemIdx, description: &Item) {
        self.catalogue.describe(item, description);
        self.members.describe(item, &self.catalogue);
    }

    /// Changes fields of an item's description.
    pub fn patch(&mut self, item: ItemIdx, patch: &ItemPatch) {
        self.catalogue.patch(item, patch);
        self.members.describe(item, &self.catalogue);
    }

    /// Replaces the vector that an encoder computed for an item.
    pub fn encode(&mut self, item: ItemIdx, vector: &ItemVector) {
        self.catalogue.encode(item, vector);
        self.members.describe(item, &self.catalogue);
    }

    /// Copies the catalogue of `other`: which items there are, since when, and their descriptions. Nothing that was
    /// learned changes.
    pub fn take_catalogue(&mut self, other: &Self) {
        self.catalogue = other.catalogue.clone();
        self.catalogue.keep_facets(self.settings.needs_facets());
    }

    /// When the item was first seen, in milliseconds since 1970.
    pub fn first_seen_ms(&self, item: ItemIdx) -> Option<i64> {
        self.catalogue.first_seen_ms(item)
    }

    /// The newest items, newest first.
    pub fn newest(&self) -> impl Iterator<Item = ItemIdx> + '_ {
        self.catalogue.newest()
    }

    /// Refers to the memory of `other` wherever both hold the same values: states that were read from a file one by one share memory
    /// again.
    pub fn share_with(&mut self, other: &Self) {
        self.catalogue.share_with(&other.catalogue);
        self.members.share_with(&other.members);
    }

    /// Reads a shopper's context once, for any number of scores.
    pub fn prepare(&self, context: &Context<'_>, prepared: &mut Prepared) {
        self.members.prepare(&self.catalogue, context, &mut prepared.situations);
        prepared.visit_len = context.in_visit;
        prepared.part = None;
    }

    /// The columns of the blend, in the order of [`Ensemble::shares`].
    pub fn columns(&self) -> Vec<Column> {
        self.members.columns()
    }

    /// The group of an item in the blend.
    #[inline]
    fn group(&self, prepared: &Prepared, item: ItemIdx) -> u32 {
        group(prepared.visit_len, prepared.situations.repeat.contains(item))
    }

    fn part(&self, prepared: &Prepared) -> Part {
        prepared.part.unwrap_or(self.settings.part)
    }

    /// The scores of `items`, in their order: each is the sum of the item's [`Ensemble::shares`].
    pub fn score_all(&self, prepared: &Prepared, items: &[ItemIdx]) -> Vec<f32> {
        self.scores_by(self.part(prepared), prepared, items)
    }

    /// The scores that one part gives `items`, in their order. A part that does not learn scores every item 0.
    pub fn scores_by(&self, part: Part, prepared: &Prepared, items: &[ItemIdx]) -> Vec<f32> {
        let mut scores = vec![0.0; items.len()];
        self.each_batch(part, prepared, items, |first, batch, columns| {
            self.score_batch(part, prepared, batch, columns, &mut scores[first..first + batch.len()]);
        });
        scores
    }

    /// Adds the scores of a batch to `scores`. `columns: [columns, items]`
    fn score_batch(&self, part: Part, prepared: &Prepared, batch: &[ItemIdx], columns: &[f32], scores: &mut [f32]) {
        match part {
            Part::Blend => {
                let groups: Vec<u32> = batch.iter().map(|&item| self.group(prepared, item)).collect();
                self.blend.score_all(&groups, columns, scores);
            }
            part => {
                for (factor, column) in self.members.factors(part).iter().zip(columns.chunks_exact(batch.len())) {
                    if *factor != 0.0 {
                        scores.iter_mut().zip(column).for_each(|(score, value)| *score += factor * value);
                    }
                }
            }
        }
    }

    /// Fills the columns of `items` batch by batch: the place of a batch's first item, the batch, its columns `[columns, items]`.
    fn each_batch(
        &self,
        part: Part,
        prepared: &Prepared,
        items: &[ItemIdx],
        mut take: impl FnMut(usize, &[ItemIdx], &[f32]),
    ) {
        let n_columns = self.blend.n_columns();
        let mut columns = vec![0.0; n_columns * items.len().min(SCORED_AT_ONCE)];
        for (place, batch) in items.chunks(SCORED_AT_ONCE).enumerate() {
            let columns = &mut columns[..n_columns * batch.len()];
            self.members.fill(&self.catalogue, &prepared.situations, batch, part, columns);
            take(place * SCORED_AT_ONCE, batch, columns);
        }
    }

    /// The score of one item; [`Ensemble::score_all`] is cheaper for several.
    pub fn score(&self, prepared: &Prepared, item: ItemIdx) -> f32 {
        self.score_all(prepared, &[item])[0]
    }

    /// What each column adds to the score of an item, in the order of [`Ensemble::columns`].
    pub fn shares(&self, prepared: &Prepared, item: ItemIdx) -> Vec<f32> {
        let mut shares = Vec::new();
        let part = self.part(prepared);
        self.each_batch(part, prepared, &[item], |_, _, columns| {
            shares = match part {
                Part::Blend => {
                    let group = self.group(prepared, item) as usize;
                    let values = columns.iter().enumerate();
                    values.map(|(column, &value)| self.blend.share(group, column, value)).collect()
                }
                part => self.members.factors(part).iter().zip(columns).map(|(factor, value)| factor * value).collect(),
            };
        });
        shares
    }

    /// The score of each of `items` and its uncertainty. Only members that state their own uncertainty contribute to
    /// it; the others are counts, which are known exactly. `prepared` is for `context`.
    pub fn beliefs(&self, context: &Context<'_>, prepared: &Prepared, items: &[ItemIdx]) -> Vec<Gaussian> {
        let scores = self.score_all(prepared, items);
        let mut beliefs: Vec<Gaussian> = scores.into_iter().map(|mean| Gaussian { mean, variance: 0.0 }).collect();
        let uncertain = self.members.deviations(context, &prepared.situations, items);
        let part = self.part(prepared);
        let factors = self.members.factors(part);
        self.each_batch(part, prepared, items, |first, batch, columns| {
            for (column, deviations) in &uncertain {
                for (place, &item) in batch.iter().enumerate() {
                    let (value, deviation) = (columns[column * batch.len() + place], deviations[first + place]);
                    let deviation = match part {
                        // A curve is not a straight line, so its values at one deviation above and one below are
                        // compared.
                        Part::Blend => {
                            let group = self.group(prepared, item) as usize;
                            let at = |value: f32| self.blend.share(group, *column, value);
                            0.5 * (at(value + deviation) - at(value - deviation)).abs()
                        }
                        _ => factors[*column] * deviation,
                    };
                    beliefs[first + place].variance += deviation * deviation;
                }
            }
        });
        beliefs
    }

    /// Candidates from every model, each item once, in the order of the items; at most `cap` from each model.
    pub fn candidates(&self, context: &Context<'_>, prepared: &Prepared, cap: usize) -> Vec<ItemIdx> {
        self.retrieve(context, prepared, (cap, false))
    }

    /// Adds the candidates of one model, at most `limit`, or as many as its settings say, in any order. `false` if the
    /// model does not learn.
    pub fn candidates_of(
        &self,
        part: Part,
        context: &Context<'_>,
        prepared: &Prepared,
        limit: Option<usize>,
        out: &mut Vec<ItemIdx>,
    ) -> bool {
        let of_items = (&self.settings, &self.catalogue);
        self.members.retrieve_by(part, of_items, (context, &prepared.situations), limit, out)
    }

    /// [`Ensemble::candidates`] without the members whose candidates are expensive to retrieve, for steps that run many times a second.
    pub fn cheap_candidates(&self, context: &Context<'_>, prepared: &Prepared, cap: usize) -> Vec<ItemIdx> {
        self.retrieve(context, prepared, (cap, true))
    }

    fn retrieve(&self, context: &Context<'_>, prepared: &Prepared, cap: (usize, bool)) -> Vec<ItemIdx> {
        let mut items = Vec::with_capacity(USUAL_CANDIDATES);
        self.add_candidates(context, prepared, cap, &mut items);
        sort_and_dedup(&mut items, self.n_items());
        items
    }

    /// Adds the candidates of every model, at most `cap` from each, in any order; an item may occur more than once.
    fn add_candidates(&self, context: &Context<'_>, prepared: &Prepared, cap: (usize, bool), items: &mut Vec<ItemIdx>) {
        let (catalogue, situations) = (&self.catalogue, &prepared.situations);
        self.members.retrieve(&self.settings, catalogue, context, situations, cap, items);
    }

    /// The place (from 0) of `item` in [`Ensemble::rank`]'s list of `limit` items, if it is there. Only the item's place is
    /// computed: nothing is scored unless a model retrieves the item.
    pub fn place_of(
        &self,
        context: &Context<'_>,
        prepared: &mut Prepared,
        limit: usize,
        item: ItemIdx,
    ) -> Option<usize> {
        self.prepare(context, prepared);
        let mut found = Vec::new();
        self.add_candidates(context, prepared, (usize::MAX, false), &mut found);
        let met = &mut prepared.examples.met;
        met.clear(self.n_items() as usize);
        found.iter().for_each(|&other| met.meet(other));
        met.known(item)?;
        let items = prepared.examples.met.touched();
        let scores = self.score_all(prepared, items);
        let score = scores[items.iter().position(|&other| other == item)?];
        // Equal scores are in the order of the items; a score that is not a number is in no list.
        let is_above =
            |(&other_score, &other): (&f32, &ItemIdx)| other_score > score || other_score == score && other < item;
        let place = scores.iter().zip(items).filter(|&(score, other)| is_above((score, other))).count();
        (place < limit && !score.is_nan()).then_some(place)
    }

    /// The best `limit` items of those that `accept` admits, best first.
    pub fn rank(
        &self,
        context: &Context<'_>,
        prepared: &mut Prepared,
        limit: usize,
        accept: impl Fn(ItemIdx) -> bool,
    ) -> Vec<Scored> {
        self.prepare(context, prepared);
        let mut items = self.candidates(context, prepared, usize::MAX);
        items.retain(|&item| accept(item));
        let mut best = accrue_kernel::TopK::new(limit);
        best.push_each(&self.score_all(prepared, &items), &items);
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect()
    }

    /// Updates what scans read to what was learned; call before publishing.
    pub fn refresh(&mut self) {
        self.members.refresh();
    }

    /// Drops what scans read, until [`Ensemble::refresh`] computes it again: for a version that is kept and serves nobody.
    pub fn drop_images(&mut self) {
        self.members.drop_images();
    }

    /// A fit that has begun and has not taken effect yet.
    pub fn pending_fit(&self) -> Option<&Arc<PendingFit>> {
        self.fitted().and_then(Fitted::pending)
    }

    /// Fits that took effect.
    pub fn n_fits(&self) -> u64 {
        self.fitted().map_or(0, Fitted::n_fits)
    }

    /// How many choices can be learned without waiting for a fit; see [`Fitted::free_choices`].
    pub fn free_choices(&self) -> u64 {
        self.fitted().map_or(u64::MAX, Fitted::free_choices)
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        let part = self.settings.part;
        let of_blend = if part == Part::Blend { self.blend.n_params() } else { 0 };
        self.members.n_params(part) + of_blend
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.members.copied_bytes() + self.catalogue.copied_bytes()
    }
}

/// Sorts items and leaves each once.
fn sort_and_dedup(items: &mut Vec<ItemIdx>, n_items: u32) {
    let n_words = n_items.div_ceil(u64::BITS) as usize;
    if n_words > WORDS_PER_ITEM * items.len() || items.iter().any(|&item| item >= n_items) {
        items.sort_unstable();
        return items.dedup();
    }
    // A bit for each item of the catalogue: its items in order are found faster than hundreds are sorted.
    let mut bits = vec![0_u64; n_words];
    items.iter().for_each(|&item| bits[(item / u64::BITS) as usize] |= 1 << (item % u64::BITS));
    items.clear();
    for (first, mut word) in (0..).step_by(u64::BITS as usize).zip(bits) {
        while word != 0 {
            items.push(first + word.trailing_zeros());
            word &= word - 1;
        }
    }
}

/// The group of an item in the blend, where so many events belong to the visit.
#[inline]
fn group(visit_len: usize, is_own: bool) -> u32 {
    let depth = match visit_len {
        0 => 0,
        1..=4 => 1,
        _ => 2,
    };
    depth * 2 + u32::from(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_in_the_order_of_items_each_once_in_a_catalogue_of_any_size() {
        let found = vec![70, 3, 64, 3, 0, 127, 70, 63];
        for n_items in [0, 100, 128, 129, 5_000, 1_000_000] {
            let mut items = found.clone();
            sort_and_dedup(&mut items, n_items);
            assert_eq!(items, [0, 3, 63, 64, 70, 127], "{n_items}");
        }
        let mut none = Vec::new();
        sort_and_dedup(&mut none, 100);
        assert!(none.is_empty());
    }
}
