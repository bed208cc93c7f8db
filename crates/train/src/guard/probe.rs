//! A probe: one choice that somebody made, and how well given models would have foreseen it.
//!
//! The gain of a model is `1 - ln(rank) / ln(n)` of the chosen item among itself and its rivals (n in all, rank from 1): 1 for the
//! best place, 0 for the last. Unlike a hit rate it tells of a change at any depth, so that few choices show it. Half of the rivals are drawn from what was chosen lately, so that popularity alone does not win, half from
//! all items. Which they are is a function of seed, offset and the events before.

use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared, TypeWeights};
use accrue_store::{Interaction, ItemIdx, Past};
use serde::{Deserialize, Serialize};

/// Rivals of a choice, before duplicates go.
pub(super) const N_RIVALS: usize = 48;
/// Events of a history that a probe keeps.
const REACH: usize = 64;
/// Shoppers with fewer past events are new.
const NEW_SHOPPER: usize = 3;
/// Items seen for the first time within these milliseconds are new.
const NEW_ITEM_MS: i64 = 7 * 86_400_000;
/// Slices: all, new shoppers, new items, then one for each type of event below [`N_TYPES`].
pub(super) const N_SLICES: usize = 3 + N_TYPES;
const N_TYPES: usize = 13;

/// The slices that a choice belongs to, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slices(u32);

impl Slices {
    pub(super) fn of(context: &Context<'_>, event: &Interaction, first_seen_ms: Option<i64>) -> Self {
        let mut bits = 1;
        bits |= u32::from(context.past.len() < NEW_SHOPPER) << 1;
        bits |= u32::from(first_seen_ms.is_none_or(|seen_ms| event.at_ms - seen_ms < NEW_ITEM_MS)) << 2;
        if usize::from(event.type_code) < N_TYPES {
            bits |= 8 << event.type_code;
        }
        Self(bits)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..N_SLICES).filter(move |&slice| self.0 >> slice & 1 == 1)
    }
}

/// What a slice is called; `type_name` names a type of event by its code.
pub(super) fn slice_name(slice: usize, type_name: impl Fn(u8) -> String) -> String {
    match slice {
        0 => "all".into(),
        1 => "new shoppers".into(),
        2 => "new items".into(),
        code => type_name((code - 3) as u8),
    }
}

/// A choice that was kept from learning, with all that is needed to foresee it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Probe {
    /// Where it lies in the log.
    pub(super) offset: u64,
    past: Vec<Past>,
    at_ms: i64,
    item: ItemIdx,
    rivals: Vec<ItemIdx>,
    pub(super) slices: Slices,
}

impl Probe {
    pub(super) fn new(
        offset: u64,
        context: &Context<'_>,
        event: &Interaction,
        rivals: Vec<ItemIdx>,
        slices: Slices,
    ) -> Self {
        let earlier = context.earlier();
        let past = earlier[earlier.len().saturating_sub(REACH)..].to_vec();
        Self { offset, past, at_ms: event.at_ms, item: event.item, rivals, slices }
    }

    /// The gains of several models, as if the choice were made at `now_ms`: what decays has decayed for all of them alike;
    /// and as if it began a visit, so that what was learned over the long run has to say it.
    pub(super) fn gains<const N: usize>(
        &self,
        models: [&Ensemble; N],
        now_ms: i64,
        weights: &TypeWeights,
        prepared: &mut Prepared,
    ) -> [f64; N] {
        let later_s = (now_ms - self.at_ms).max(0) / 1000;
        let mut past = self.past.clone();
        for event in &mut past {
            event.at_s = (i64::from(event.at_s) + later_s).min(i64::from(u32::MAX)) as u32;
        }
        let context = Context { past: &past, in_visit: 0, now_ms, weights };
        models.map(|ensemble| gain_of(ensemble, &context, self.item, &self.rivals, prepared))
    }
}

/// Draws the rivals of `item`.
pub(crate) fn rivals(draws: &mut Draws, recent: &[ItemIdx], n_items: u32, item: ItemIdx) -> Vec<ItemIdx> {
    let mut rivals: Vec<ItemIdx> = (0..N_RIVALS)
        .map(|place| match place % 2 {
            0 if !recent.is_empty() => recent[draws.below(recent.len() as u64) as usize],
            _ => draws.below(u64::from(n_items.max(1))) as ItemIdx,
        })
        .collect();
    rivals.sort_unstable();
    rivals.dedup();
    rivals.retain(|&rival| rival != item);
    rivals
}

/// The gain of one model for one choice; the chosen item ranks last among equals.
pub(crate) fn gain_of(
    ensemble: &Ensemble,
    context: &Context<'_>,
    item: ItemIdx,
    rivals: &[ItemIdx],
    prepared: &mut Prepared,
) -> f64 {
    ensemble.prepare(context, prepared);
    let score = ensemble.score(prepared, item);
    let above = rivals.iter().filter(|&&rival| ensemble.score(prepared, rival) >= score).count();
    1.0 - f64::from(accrue_kernel::ln(1.0 + above as f32) / accrue_kernel::ln(1.0 + rivals.len().max(1) as f32))
}
