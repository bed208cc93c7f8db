//! A choice of the holdout, and how well given models would have predicted it.
//!
//! The rank of the chosen item among all items is estimated. Items that either model would retrieve are counted one by
//! one; some items drawn at random stand for all others. Which items are drawn is a function of seed and offset. Two
//! measures follow from the rank:
//!
//! - NDCG@20, which measures the part of a page that shoppers see. In a shop of fewer than 200 items the cutoff is a
//!   tenth of the items.
//! - The gain `1 - ln(rank) / ln(n)` among all n items, for the gate. It reflects a change at any rank, so that few
//!   choices show one.

use accrue_event::{DAY_MS, EventType};
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared, TypeWeights};
use accrue_store::{Interaction, ItemIdx, Names, PastEvent};
use serde::{Deserialize, Serialize};

/// Candidates from each member of each model.
const N_CANDIDATES: usize = 16;
/// Items drawn at random, before duplicates are removed.
const N_DRAWN: usize = 32;
/// The places of a page that count: at most this number, and at most this share of a small catalogue, because a list of
/// a third of all items contains the right one often by chance.
const CUTOFF: f64 = 20.0;
const CUTOFF_SHARE: f64 = 0.1;
/// Events of a history that a holdout choice keeps.
const REACH: usize = 64;
/// Shoppers with fewer past events than this are new.
pub(super) const NEW_SHOPPER: usize = 3;
/// Items that first appeared within this time, in milliseconds, are new.
const NEW_ITEM_MS: i64 = 7 * DAY_MS;
/// Slices: all choices, new shoppers, new items, one for each type of event below [`N_TYPES`], one for each source.
pub(super) const N_SLICES: usize = 3 + N_TYPES + N_SOURCES;
const N_TYPES: usize = 13;
/// Sources with a slice. All sources beyond the first `N_SOURCES - 1` share the last one.
const N_SOURCES: usize = 16;
/// Slice of the first source.
const SOURCES: usize = 3 + N_TYPES;

/// The set of slices that a choice belongs to, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slices(u32);

impl Slices {
    /// `source` is the number that [`SliceNames::note`] gave.
    pub(super) fn of(
        context: &Context<'_>,
        event: &Interaction,
        source: Option<usize>,
        first_seen_ms: Option<i64>,
    ) -> Self {
        let mut bits = 1;
        bits |= u32::from(context.past.len() < NEW_SHOPPER) << 1;
        bits |= u32::from(first_seen_ms.is_none_or(|seen_ms| event.at_ms - seen_ms < NEW_ITEM_MS)) << 2;
        if usize::from(event.type_code) < N_TYPES {
            bits |= 8 << event.type_code;
        }
        if let Some(source) = source {
            bits |= 1 << (SOURCES + source);
        }
        Self(bits)
    }

    /// Without the slices that depend on time: a shopper or an item does not stay new.
    pub(super) fn lasting(self) -> Self {
        Self(self.0 & !6)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..N_SLICES).filter(move |&slice| self.0 >> slice & 1 == 1)
    }
}

/// The names of slices, as far as events have given them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SliceNames {
    /// The shop's own types of events, by code.
    types: Vec<(u8, Box<str>)>,
    /// Sources in order of appearance, except those that share the last slice.
    sources: Vec<Box<str>>,
}

impl SliceNames {
    /// Records the type and the source of a choice, and returns the number of its source if it names one.
    pub(super) fn note(&mut self, type_code: u8, names: &Names<'_>) -> Option<usize> {
        if let Some(own_type) = names.own_type
            && usize::from(type_code) < N_TYPES
            && self.types.iter().all(|(known, _)| *known != type_code)
        {
            self.types.push((type_code, own_type.name().into()));
        }
        let source = names.source?;
        let known = self.sources.iter().position(|known| **known == *source);
        if known.is_none() && self.sources.len() < N_SOURCES - 1 {
            self.sources.push(source.into());
            return Some(self.sources.len() - 1);
        }
        Some(known.unwrap_or(N_SOURCES - 1))
    }

    /// The name of a slice.
    pub(super) fn name(&self, slice: usize) -> String {
        match slice {
            0 => "all".into(),
            1 => "new shoppers".into(),
            2 => "new items".into(),
            code if code < SOURCES => self.type_name(code - 3),
            source => match self.sources.get(source - SOURCES) {
                Some(name) => format!("source {name}"),
                None => "other sources".into(),
            },
        }
    }

    fn type_name(&self, code: usize) -> String {
        let own = || self.types.iter().find(|(known, _)| usize::from(*known) == code).map(|(_, name)| name.to_string());
        let built_in = EventType::BUILT_IN.get(code).map(|event_type| event_type.name().to_string());
        built_in.or_else(own).unwrap_or_else(|| format!("type {code}"))
    }
}

/// A choice that was withheld from learning, with all that is needed to predict it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HoldoutChoice {
    /// Its record in the log.
    pub(super) offset: u64,
    past: Vec<PastEvent>,
    at_ms: i64,
    item: ItemIdx,
    pub(super) slices: Slices,
}

impl HoldoutChoice {
    pub(super) fn new(offset: u64, context: &Context<'_>, event: &Interaction, slices: Slices) -> Self {
        let earlier = context.earlier();
        let past = earlier[earlier.len().saturating_sub(REACH)..].to_vec();
        Self { offset, past, at_ms: event.at_ms, item: event.item, slices }
    }

    /// NDCG@20 of two models, as if the choice were made at `now_ms`, so that counts that decay have decayed equally
    /// for both; and as if it began a visit, so that it tests what was learned over a long time and not the last
    /// clicks.
    pub(super) fn ndcgs(
        &self,
        models: [&Ensemble; 2],
        now_ms: i64,
        weights: &TypeWeights,
        draws: &mut Draws,
        prepared: &mut Prepared,
    ) -> [f64; 2] {
        let later_s = (now_ms - self.at_ms).max(0) / 1000;
        let mut past = self.past.clone();
        for event in &mut past {
            event.at_s = (i64::from(event.at_s) + later_s).min(i64::from(u32::MAX)) as u32;
        }
        let context = Context::between_visits(&past, now_ms, weights);
        ranks_of(models, [&context, &context], self.item, draws, prepared).ndcgs()
    }
}

/// The ranks that two models give to one choice.
pub(crate) struct Ranks {
    /// From 1. Fractions occur, because random items stand for others.
    of: [f64; 2],
    n_items: u32,
}

impl Ranks {
    /// NDCG@20 of both models.
    pub(super) fn ndcgs(&self) -> [f64; 2] {
        let cutoff = (CUTOFF_SHARE * f64::from(self.n_items)).clamp(1.0, CUTOFF);
        self.of.map(|rank| if rank <= cutoff { 1.0 / libm::log2(1.0 + rank) } else { 0.0 })
    }

    /// The gains of both models: 1 for the first rank, 0 for the last.
    pub(crate) fn gains(&self) -> [f64; 2] {
        let ln = |n: f32| f64::from(accrue_kernel::ln(n));
        self.of.map(|rank| (1.0 - ln(rank as f32) / ln(self.n_items as f32)).max(0.0))
    }
}

/// The ranks that two models give to `item`, each with its own context of the shopper. `draws` chooses the random
/// items.
pub(crate) fn ranks_of(
    models: [&Ensemble; 2],
    contexts: [&Context<'_>; 2],
    item: ItemIdx,
    draws: &mut Draws,
    prepared: &mut Prepared,
) -> Ranks {
    let n_items = models[0].n_items().max(models[1].n_items()).max(2);
    let mut second = prepared.take_second();
    let mut found: Vec<ItemIdx> = Vec::new();
    for ((model, context), prepared) in models.iter().zip(contexts).zip([&mut *prepared, &mut *second]) {
        model.prepare(context, prepared);
        found.extend(model.cheap_candidates(context, prepared, N_CANDIDATES));
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|&other| other != item);
    let mut drawn: Vec<ItemIdx> = (0..N_DRAWN).map(|_| draws.below(u64::from(n_items)) as ItemIdx).collect();
    drawn.retain(|other| *other != item && found.binary_search(other).is_err());
    let stands_for = (n_items as usize - found.len().min(n_items as usize - 1)) as f64 / drawn.len().max(1) as f64;
    let (n_found, mut items) = (found.len(), found);
    items.extend(drawn);
    items.push(item);
    let of = [(models[0], &*prepared), (models[1], &*second)].map(|(model, prepared)| {
        let scores = model.score_all(prepared, &items);
        let (&score, others) = scores.split_last().expect("the chosen item is the last");
        let (of_found, of_drawn) = others.split_at(n_found);
        let above = |others: &[f32]| others.iter().filter(|&&other| other >= score).count() as f64;
        // NaN compares with nothing, so it would rank first; it gets the last rank.
        match score.is_finite() {
            true => 1.0 + above(of_found) + stands_for * above(of_drawn),
            false => f64::from(n_items),
        }
    });
    prepared.keep_second(second);
    Ranks { of, n_items }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_the_names_that_events_give() {
        let mut slices = SliceNames::default();
        let own_type = EventType::Custom("fitting".into());
        let fitting = Names { own_type: Some(&own_type), ..Names::default() };
        let own = EventType::BUILT_IN.len();
        assert_eq!(slices.note(own as u8, &fitting), None);
        assert_eq!(
            (slices.name(3 + own), slices.name(3 + 1)),
            ("fitting".into(), EventType::BUILT_IN[1].name().to_string())
        );
        assert_eq!(slices.name(3 + own + 1), format!("type {}", own + 1), "a type that no event has named");
        let from = |source| Names { source: Some(source), ..Names::default() };
        let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
        let places: Vec<_> = names.iter().map(|name| slices.note(1, &from(name)).unwrap()).collect();
        assert_eq!((&places[..3], &places[14..17]), (&[0, 1, 2][..], &[14, 15, 15][..]));
        assert_eq!((slices.note(1, &from("s2")), slices.note(1, &from("s19"))), (Some(2), Some(15)));
        assert_eq!((slices.name(SOURCES + 2), slices.name(SOURCES + 15)), ("source s2".into(), "other sources".into()));
        assert_eq!(SOURCES + N_SOURCES, N_SLICES);
    }
}
