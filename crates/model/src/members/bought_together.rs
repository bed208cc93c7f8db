//! Bought together: how much likelier an item becomes given the items in the basket.
//!
//! In: purchases of one visit. Out: for an item j and the items i bought in the current visit, the mean *lift*
//! `P(j | i) / P(j)`, with `P(j | i) = c_ij / (c_i + κ)` and `P(j) = (c_j + κ) / (n + κ)` over decayed counts of
//! purchases (market-basket analysis: Brin, Motwani, Ullman, Tsur, *Dynamic itemset counting and implication rules for
//! market basket data*, SIGMOD 1997). Neighbours count what is seen together, of any type, and favour popular items. A
//! lift does not, and so it finds items that are bought with few others.

use accrue_event::{EventType, SettingFault};
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, MAX_PAIRED, MAX_REACH, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::{Decayed, HalfLife};
use crate::pairs::{self, PairRow};
use crate::{Context, Step};

/// Half-life of a pair, in days.
const HALF_LIFE_DAYS: f64 = 120.0;
/// Purchases added to each count, so that two items that were bought once, together, do not get the largest lift.
const SHRINK: f32 = 4.0;

/// How many pairs are kept, and how many candidates they give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoughtTogetherSettings {
    /// Whether the model learns from baskets. Off by default: on the stream of a shop whose events are all purchases it
    /// adds .001 to the hit rate of the next line of a basket and nothing to that of the next basket, for an eighth of
    /// the learner's time.
    pub enabled: bool,
    /// Purchases back in a visit that a pair reaches.
    pub reach: usize,
    /// Items that one item is paired with, at most.
    pub capacity: usize,
    /// Candidates of a page.
    pub candidates: usize,
}

impl Default for BoughtTogetherSettings {
    fn default() -> Self {
        Self { enabled: false, reach: 20, capacity: 48, candidates: 50 }
    }
}

impl MemberSettings for BoughtTogetherSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        (!self.enabled).then(|| SettingFault::new("enabled", false, "true"))
    }

    /// A row of pairs without room for one cannot take the first.
    fn validate(&self) -> Result<(), SettingFault> {
        if self.enabled { SettingFault::check("capacity", self.capacity, 1..) } else { Ok(()) }
    }

    fn limit(&self) -> Result<(), SettingFault> {
        SettingFault::check("reach", self.reach, ..=MAX_REACH)?;
        SettingFault::check("capacity", self.capacity, ..=MAX_PAIRED)
    }
}

/// Decayed counts of purchases and of pairs of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoughtTogether {
    settings: BoughtTogetherSettings,
    half_life: HalfLife,
    rows: CowVec<PairRow<1>>,
    counts: CowVec<Decayed>,
    total: Decayed,
    #[serde(skip)]
    copied_bytes: u64,
}

impl PartialEq for BoughtTogether {
    /// Bytes copied since the last save are not part of the state.
    fn eq(&self, other: &Self) -> bool {
        let Self { settings, half_life, rows, counts, total, copied_bytes: _ } = self;
        (settings, half_life, total) == (&other.settings, &other.half_life, &other.total)
            && *rows == other.rows
            && *counts == other.counts
    }
}

/// Sums of `P(j | i)` over the basket, and the factors that turn them into lifts.
#[derive(Clone, Debug, Default)]
pub struct Basket {
    sums: Accumulator<1>,
    n_items: f32,
    now: f64,
}

impl Member for BoughtTogether {
    type Settings = BoughtTogetherSettings;
    type Situation = Basket;

    const COLUMNS: &'static [Column] = &[Column::log("bought_together", -3.0, 0.8, 0.0)];

    fn new(settings: &BoughtTogetherSettings, _: u64) -> Option<Self> {
        settings.enabled.then(|| Self {
            settings: settings.clone(),
            half_life: HalfLife::days(HALF_LIFE_DAYS),
            rows: CowVec::new(16, PairRow::default()),
            counts: CowVec::new(256, Decayed::default()),
            total: Decayed::default(),
            copied_bytes: 0,
        })
    }

    fn set_settings(&mut self, settings: &BoughtTogetherSettings, _: u64) -> bool {
        self.settings = settings.clone();
        true
    }

    /// Pairs a purchase with those before it in the visit.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut Basket) {
        if !is_purchase(step.event.type_code) || step.weight <= 0.0 {
            return;
        }
        let item = step.event.item;
        let position = self.half_life.position(step.event.at_ms);
        let (epoch, unit) = HalfLife::unit(position);
        self.counts.get_mut(item as usize).add(1.0, position);
        self.total.add(1.0, position);
        let BoughtTogetherSettings { reach, capacity, .. } = self.settings;
        let visit = step.context.visit().iter().rev().filter(|past| is_purchase(past.type_code));
        for other in visit.map(|past| past.item).take(reach).filter(|&other| other != item) {
            for (from, to) in [(other, item), (item, other)] {
                pairs::row_mut(&mut self.rows, from, &mut self.copied_bytes).add(to, [unit], epoch, capacity);
            }
        }
    }

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, Basket { sums, n_items, now }: &mut Basket) {
        sums.clear(catalogue.n_items() as usize);
        *n_items = 0.0;
        *now = self.half_life.position(context.now_ms);
        let visit = context.visit().iter().rev().filter(|past| is_purchase(past.type_code));
        for item in visit.map(|past| past.item).take(self.settings.reach) {
            let bought = self.counts.get(item as usize).at(*now) + SHRINK;
            let row = self.rows.get(item as usize);
            let unit = row.unit_at(*now);
            for (&other, [together]) in row.items().iter().zip(row.weights()) {
                sums.entry(other)[0] += together * unit / bought;
            }
            *n_items += 1.0;
        }
    }

    fn columns(&self, _: &Catalogue, basket: &Basket, items: &[ItemIdx], out: &mut [f32]) {
        let total = self.total.at(basket.now) + SHRINK;
        for (out, &item) in out.iter_mut().zip(items) {
            let [sum] = basket.sums.get(item);
            if sum > 0.0 {
                *out = sum / basket.n_items * total / (self.counts.get(item as usize).at(basket.now) + SHRINK);
            }
        }
    }

    /// The items that are likeliest given the basket, by `P(j | i)`, because a lift alone prefers items that are hardly
    /// ever bought.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, basket: &Basket, limit: usize, out: &mut Vec<ItemIdx>) {
        let mut best = accrue_kernel::TopK::new(limit);
        for &item in basket.sums.touched() {
            best.push(basket.sums.get(item)[0], item);
        }
        out.extend(best.into_sorted().into_iter().map(|(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.rows.share_with(&other.rows);
        self.counts.share_with(&other.counts);
    }

    fn n_params(&self) -> u64 {
        self.counts.len() as u64 + self.rows.iter().map(|row| row.items().len() as u64).sum::<u64>()
    }

    fn copied_bytes(&self) -> u64 {
        self.copied_bytes + self.rows.copied_bytes() + self.counts.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.rows.iter().all(|row| row.is_finite()) && self.counts.iter().chain([&self.total]).all(Decayed::is_finite)
    }
}

fn is_purchase(type_code: u8) -> bool {
    EventType::built_in(type_code) == Some(&EventType::Purchase)
}
