//! Own visits: what the shopper chose beside the items of this visit, in earlier visits of their own.
//!
//! In: the shopper's history. Out: for an item, in how many visits of the shopper it was chosen beside items of this visit, how near
//! it was to the latest item there and whether it came after it, and how long ago it was chosen in this visit. A shopper
//! who orders a list again orders it in nearly the same order; `neighbours` counts over all shoppers and cannot tell. All
//! of it is read from the history, so there is nothing to learn here; the blend learns what each adds to a score.

use accrue_store::{ItemIdx, PastEvent};
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::{Context, Step};

/// Events of earlier visits that are read, the latest.
const EVENTS: usize = 400;
/// Events before and after the latest item's in an earlier visit that are near it.
const NEAR: usize = 12;
/// Columns: in this visit, shared visits, near, after.
const N_COLUMNS: usize = 4;
const IN_VISIT: usize = 0;
const SHARED: usize = 1;
const BESIDE: usize = 2;
const AFTER: usize = 3;
/// Behind the columns: the earlier visit in which an item was counted last, so that one that was viewed, put into the cart
/// and bought there counts once.
const COUNTED: usize = N_COLUMNS;

/// Own visits have no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnVisitsSettings {}

impl MemberSettings for OwnVisitsSettings {
    /// Its candidates are the shopper's own items, which `repeat` retrieves.
    fn candidates(&self) -> usize {
        0
    }
}

/// Reads the shopper's visits; it has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnVisits;

/// The columns of the shopper's own items, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct VisitItems {
    values: Accumulator<{ N_COLUMNS + 1 }>,
}

impl Member for OwnVisits {
    type Settings = OwnVisitsSettings;
    type Situation = VisitItems;

    // A slope of 0 leaves scores as they are until the blend has learned the curves.
    const COLUMNS: &'static [Column] = &[
        Column::log("in_this_visit", -7.0, 0.5, 0.0).alone(0.0),
        Column::log("own_shared_visits", -7.0, 0.7, 0.0),
        Column::log("own_beside", -4.0, 0.3, 0.0),
        Column::log("own_after", -4.0, 0.3, 0.0),
    ];
    const TIES_BY_POPULARITY: bool = true;
    const RETRIEVES: bool = false;

    fn new(_: &OwnVisitsSettings, _: u64) -> Option<Self> {
        Some(Self)
    }

    fn set_settings(&mut self, _: &OwnVisitsSettings, _: u64) -> bool {
        true
    }

    fn learn(&mut self, _: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut VisitItems) {}

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, VisitItems { values }: &mut VisitItems) {
        values.clear(catalogue.n_items() as usize);
        let chosen = |past: &&PastEvent| context.weight(past) > 0.0;
        for (back, past) in context.visit().iter().rev().filter(chosen).enumerate() {
            let place = &mut values.entry(past.item)[IN_VISIT];
            *place = place.max(1.0 / (1 + back) as f32);
        }
        let n_in_visit = values.touched().len();
        let Some(latest) = context.visit().iter().rev().find(chosen).map(|past| past.item) else { return };
        let earlier = context.earlier();
        let earlier = &earlier[earlier.len().saturating_sub(EVENTS)..];
        for (number, visit) in earlier.chunk_by(|_, next| !next.starts_visit).enumerate() {
            // Two passes, each of which counts an item once.
            let [shared, counted] = [1, 2].map(|pass| (2 * number + pass) as f32);
            let mut n_shared = 0;
            for past in visit.iter().filter(chosen) {
                if values.get(past.item)[IN_VISIT] > 0.0 {
                    let before = std::mem::replace(&mut values.entry(past.item)[COUNTED], shared);
                    n_shared += usize::from(before != shared);
                }
            }
            if n_shared == 0 {
                continue;
            }
            let share = n_shared as f32 / n_in_visit as f32;
            for past in visit.iter().filter(chosen) {
                let of_item = values.entry(past.item);
                if std::mem::replace(&mut of_item[COUNTED], counted) != counted {
                    of_item[SHARED] += share;
                }
            }
            for (place, _) in visit.iter().enumerate().filter(|(_, past)| past.item == latest) {
                let (before, after) = (&visit[place.saturating_sub(NEAR)..place], &visit[place + 1..]);
                for (distance, past) in before.iter().rev().enumerate().filter(|(_, past)| chosen(past)) {
                    let beside = &mut values.entry(past.item)[BESIDE];
                    *beside = beside.max(1.0 / (1 + distance) as f32);
                }
                for (distance, past) in after.iter().take(NEAR).enumerate().filter(|(_, past)| chosen(past)) {
                    let of_item = values.entry(past.item);
                    let nearness = 1.0 / (1 + distance) as f32;
                    of_item[BESIDE] = of_item[BESIDE].max(nearness);
                    of_item[AFTER] = of_item[AFTER].max(nearness);
                }
            }
        }
    }

    /// The reciprocal of the places since the item was chosen in this visit; earlier visits with the item, each as the share
    /// of this visit's items that it has; the reciprocal of the item's distance from the latest one in an earlier visit, and
    /// that distance if it came after. Zeros before a visit and for an item that was not chosen.
    fn columns(&self, _: &Catalogue, own: &VisitItems, items: &[ItemIdx], out: &mut [f32]) {
        if own.values.touched().is_empty() {
            return;
        }
        for (place, &item) in items.iter().enumerate() {
            let Some(values) = own.values.known(item) else { continue };
            for (column, value) in values.iter().take(N_COLUMNS).enumerate() {
                out[column * items.len() + place] = *value;
            }
        }
    }

    fn n_params(&self) -> u64 {
        0
    }

    fn is_finite(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{DAY_MS, EventType};
    use accrue_store::{History, Interaction};

    use super::*;
    use crate::TypeWeights;

    /// The code of a purchase.
    const PURCHASE: u8 = 5;

    /// The columns of items 0 to `n - 1` for a shopper with these visits, the last of which is in progress.
    fn columns(visits: &[&[ItemIdx]], n: u32) -> Vec<[f32; N_COLUMNS]> {
        let of_type = |type_code| move |item: &ItemIdx| (*item, type_code);
        let visits: Vec<Vec<_>> = visits.iter().map(|visit| visit.iter().map(of_type(PURCHASE)).collect()).collect();
        columns_of(&visits, n)
    }

    /// The same for visits of items and the types of events.
    fn columns_of(visits: &[Vec<(ItemIdx, u8)>], n: u32) -> Vec<[f32; N_COLUMNS]> {
        let mut history = History::default();
        for (day, visit) in visits.iter().enumerate() {
            for &(item, type_code) in visit {
                let (at_ms, session) = (day as i64 * DAY_MS, Some(day as u32));
                history
                    .push(&Interaction { shopper: 0, item, type_code, at_ms, session, value: 1.0, quantity: 1 }, 1000);
            }
        }
        let weights = TypeWeights::default();
        assert!(weights.get(PURCHASE) > 0.0);
        let last = visits.len() - 1;
        let context = Context::new(&history, Some(last as u32), last as i64 * DAY_MS, &weights);
        let (catalogue, mut own) = (Catalogue::default(), VisitItems::default());
        OwnVisits.prepare(&catalogue, &context, &mut own);
        let items: Vec<ItemIdx> = (0..n).collect();
        let mut out = vec![0.0; N_COLUMNS * items.len()];
        OwnVisits.columns(&catalogue, &own, &items, &mut out);
        (0..items.len()).map(|place| std::array::from_fn(|column| out[column * items.len() + place])).collect()
    }

    #[test]
    fn what_followed_the_latest_item_in_an_own_visit_is_nearest_after_it() {
        let of = columns(&[&[0, 1, 2, 3], &[4], &[1]], 6);
        assert_eq!(of[0], [0.0, 1.0, 1.0, 0.0], "before it");
        assert_eq!(of[2], [0.0, 1.0, 1.0, 1.0], "next");
        assert_eq!(of[3], [0.0, 1.0, 0.5, 0.5], "the one after");
        assert_eq!(of[4], [0.0; 4], "of a visit that shares nothing with this one");
        assert_eq!(of[5], [0.0; 4], "never chosen");
    }

    #[test]
    fn an_own_visit_counts_as_the_share_of_this_visits_items_that_it_has() {
        let of = columns(&[&[0, 1, 2], &[1, 3], &[4, 1, 0]], 6);
        assert_eq!([0, 1, 2, 3, 4].map(|item| of[item][SHARED]), [2.0 / 3.0, 1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]);
        assert_eq!([0, 1, 2, 4].map(|item| of[item][IN_VISIT]), [1.0, 0.5, 0.0, 1.0 / 3.0]);
    }

    #[test]
    fn an_item_that_was_viewed_and_bought_in_a_visit_counts_once_and_a_disliked_one_not() {
        let [view, cart, dislike] = ["view", "cart", "dislike"].map(|name| {
            let place = EventType::BUILT_IN.iter().position(|event_type| event_type.name() == name);
            place.expect("a built-in type") as u8
        });
        assert!(TypeWeights::default().get(dislike) <= 0.0);
        let earlier = vec![(0, view), (0, cart), (0, PURCHASE), (7, view), (7, PURCHASE), (5, dislike)];
        let of = columns_of(&[earlier, vec![(0, view), (5, view), (0, cart)]], 8);
        assert_eq!([0, 5, 7].map(|item| of[item][SHARED]), [0.5, 0.0, 0.5], "one of this visit's two items was in it");
    }

    #[test]
    fn before_a_visit_and_without_earlier_ones_nothing_is_known_of_own_visits() {
        assert_eq!(columns(&[&[0, 1], &[]], 2), [[0.0; 4]; 2]);
        assert_eq!(columns(&[&[0, 1]], 3), [[0.5, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0; 4]]);
    }

    #[test]
    fn only_the_latest_events_of_a_long_history_are_read() {
        let old: Vec<ItemIdx> = vec![0, 1];
        let filler: Vec<ItemIdx> = vec![2; EVENTS];
        assert_eq!(columns(&[&old, &filler, &[0]], 3)[1], [0.0; 4]);
        assert_eq!(columns(&[&old, &filler[2..], &[0]], 3)[1], [0.0, 1.0, 1.0, 1.0]);
    }
}
