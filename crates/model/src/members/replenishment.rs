//! Replenishment: when a shopper will need an item again.
//!
//! In: purchases. Out: for an item that the shopper has bought, the time since the last purchase divided by the
//! interval that is expected between two. The expected interval is a geometric mean of three, each shrunk towards the
//! next: the shopper's own intervals for the item, those of all shoppers for the item, and those of all shoppers for
//! all items. The blend learns what being early, due or late adds to a score; Bhagat, Muralidharan, Lobzhanidze,
//! Vishwanath, *Buy it again: modeling repeat purchase recommendations*, KDD 2018, fit a distribution of intervals
//! instead.

use accrue_event::{EventType, SettingFault};
use accrue_store::{ItemIdx, PastEvent};
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::log2;
use crate::{Context, Step};

/// Purchases of one item within fewer hours than this are one purchase.
const LEAST_GAP_H: f32 = 12.0;
/// Before anything is learned, an item is expected to be bought again after 30 days.
const FIRST_INTERVAL_H: f32 = 720.0;
/// The item's mean counts as if it had been measured this many times as the mean of all items.
const SHRINK_ITEM: f32 = 4.0;
/// The shopper's own mean counts as if it had been measured this many times as the item's.
const SHRINK_OWN: f32 = 2.0;
/// A mean follows about this many of the last intervals.
const MEMORY: f32 = 64.0;

/// Whether intervals are learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplenishmentSettings {
    /// Whether intervals are learned.
    pub enabled: bool,
}

impl Default for ReplenishmentSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl MemberSettings for ReplenishmentSettings {
    /// Its candidates are the shopper's own items, which `repeat` retrieves.
    fn candidates(&self) -> usize {
        0
    }

    fn switched_off(&self) -> Option<SettingFault> {
        (!self.enabled).then(|| SettingFault::new("enabled", false, "true"))
    }
}

/// A mean of logarithms (base 2) of intervals in hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Interval {
    mean: f32,
    n: f32,
}

impl Interval {
    fn add(&mut self, log_interval: f32) {
        self.n = (self.n + 1.0).min(MEMORY);
        self.mean += (log_interval - self.mean) / self.n;
    }

    /// The mean, shrunk towards `prior` as if that had been measured `weight` times.
    fn shrunk(self, prior: f32, weight: f32) -> f32 {
        (self.n * self.mean + weight * prior) / (self.n + weight)
    }
}

/// Intervals between purchases, of each item and of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replenishment {
    items: CowVec<Interval>,
    all: Interval,
}

/// For each item that the shopper has bought: hours since the last purchase, the sum of the logarithms of the shopper's
/// own intervals, and how many there are.
#[derive(Clone, Debug, Default)]
pub struct Bought {
    items: Accumulator<3>,
}

impl Member for Replenishment {
    type Settings = ReplenishmentSettings;
    type Situation = Bought;

    const COLUMNS: &'static [Column] = &[Column::log("replenishment", -6.0, 0.6, 0.0)];
    // Its source of the same name is a file of `serve/src/page/sources/`.
    const RETRIEVES: bool = false;

    fn new(settings: &ReplenishmentSettings, _: u64) -> Option<Self> {
        let all = Interval { mean: log2(FIRST_INTERVAL_H), n: 1.0 };
        settings.enabled.then(|| Self { items: CowVec::new(256, Interval::default()), all })
    }

    fn set_settings(&mut self, _: &ReplenishmentSettings, _: u64) -> bool {
        true
    }

    /// Learns the interval since the shopper's last purchase of the item, if there was one.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut Bought) {
        if Some(usize::from(step.event.type_code)) != purchase() || step.weight <= 0.0 {
            return;
        }
        let (purchase, item) = (purchase(), step.event.item);
        let is_last = |past: &&PastEvent| past.item == item && Some(usize::from(past.type_code)) == purchase;
        let last = step.context.past.iter().rev().find(is_last);
        let Some(gap_h) = last.map(|past| hours(step.event.at_ms - past.at_ms())) else { return };
        if gap_h >= LEAST_GAP_H {
            self.items.get_mut(step.event.item as usize).add(log2(gap_h));
            self.all.add(log2(gap_h));
        }
    }

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, Bought { items }: &mut Bought) {
        items.clear(catalogue.n_items() as usize);
        let purchase = purchase();
        for past in context.past.iter().filter(|past| Some(usize::from(past.type_code)) == purchase) {
            let age_h = hours(context.now_ms - past.at_ms()).max(1e-3);
            let [last_h, sum, n] = items.entry(past.item);
            if *last_h - age_h >= LEAST_GAP_H {
                *sum += log2(*last_h - age_h);
                *n += 1.0;
            }
            *last_h = age_h;
        }
    }

    /// The time since the last purchase over the expected interval: 1 is due, 0 is an item that was never bought.
    fn columns(&self, _: &Catalogue, bought: &Bought, items: &[ItemIdx], out: &mut [f32]) {
        if bought.items.touched().is_empty() {
            return;
        }
        for (out, &item) in out.iter_mut().zip(items) {
            let Some(&[last_h, sum, n]) = bought.items.known(item) else { continue };
            if last_h > 0.0 {
                let own = Interval { mean: if n > 0.0 { sum / n } else { 0.0 }, n };
                let of_item = self.items.get(item as usize).shrunk(self.all.mean, SHRINK_ITEM);
                *out = last_h * accrue_kernel::exp2(-own.shrunk(of_item, SHRINK_OWN));
            }
        }
    }

    fn share_with(&mut self, other: &Self) {
        self.items.share_with(&other.items);
    }

    fn n_params(&self) -> u64 {
        self.items.len() as u64 + 1
    }

    fn copied_bytes(&self) -> u64 {
        self.items.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.all.mean.is_finite() && self.items.iter().all(|interval| interval.mean.is_finite())
    }
}

/// The code of purchases.
fn purchase() -> Option<usize> {
    EventType::BUILT_IN.iter().position(|known| *known == EventType::Purchase)
}

fn hours(ms: i64) -> f32 {
    ms as f32 / 3_600_000.0
}
