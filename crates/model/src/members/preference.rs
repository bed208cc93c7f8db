//! What a shopper likes about items: `s(i) = Σ_e w(type_e, age_e) · cos(e, i)` over the events e of their history.
//!
//! `cos` is the cosine of the items' descriptions (brand, categories, tags, words of the title), weighted by inverse
//! document frequency; `w` is a table by event type and age, learned by gradient descent on the pairwise logistic loss
//! (BPR, Rendle et al. 2009), so that the shop itself determines how fast interest fades. It needs only descriptions,
//! and so it also scores an item that was never chosen.

use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::decay::log2;
use crate::weights::MAX_TYPES;
use crate::{Context, Step};

/// Ages are binned by powers of two of minutes: the last bin begins after about a year.
const N_AGES: usize = 20;
/// Events of the history that count.
const REACH: usize = 40;
/// Step of the gradient descent.
const RATE: f32 = 0.05;
/// The table learns from one event in this many: it is small and changes slowly.
const LEARN_ONE_IN: u64 = 4;
/// Stream of the random numbers that choose the pairs to learn from.
const STREAM: u64 = 0x5052_4546;

/// Preference has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceSettings {}

impl MemberSettings for PreferenceSettings {
    fn candidates(&self) -> usize {
        0
    }
}

/// The learned table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// `w`, by type and age.
    table: Vec<f32>,
}

/// A shopper's preference by descriptor, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct ShopperPreference {
    descriptors: Accumulator<1>,
    /// While learning: what each descriptor of the chosen item and of the other one adds to a dot product.
    compared: Accumulator<2>,
}

impl Member for Preference {
    type Settings = PreferenceSettings;
    type Situation = ShopperPreference;

    const COLUMNS: &'static [Column] = &[Column::log("preference", -9.0, 1.0, 0.1)];
    const RETRIEVES: bool = false;

    fn new(_: &PreferenceSettings, _: u64) -> Option<Self> {
        Some(Self { table: (0..MAX_TYPES * N_AGES).map(|place| 1.0 / (1 + place % N_AGES) as f32).collect() })
    }

    fn set_settings(&mut self, _: &PreferenceSettings, _: u64) -> bool {
        true
    }

    /// Learns which events of the history predict the chosen item better than one drawn at random.
    fn learn(&mut self, step: &Step<'_>, catalogue: &Catalogue, _: Option<&Self>, of_shopper: &mut ShopperPreference) {
        let item = step.event.item;
        if step.weight <= 0.0 || step.n_items < 2 || catalogue.description(item).0.is_empty() {
            return;
        }
        let mut draws = accrue_kernel::Draws::new(step.seed, STREAM, step.offset);
        if draws.below(LEARN_ONE_IN) != 0 {
            return;
        }
        let other = draws.below(u64::from(step.n_items)) as ItemIdx;
        if other == item {
            return;
        }
        let compared = &mut of_shopper.compared;
        compared.clear(catalogue.n_descriptors());
        let norms = [item, other].map(|item| catalogue.description(item).1);
        for (side, item) in [item, other].into_iter().enumerate() {
            for &descriptor in catalogue.description(item).0 {
                compared.entry(descriptor)[side] = catalogue.rarity(descriptor);
            }
        }
        let recent = step.context.past.iter().rev().take(REACH);
        let pulls: Vec<(usize, f32)> = recent
            .filter(|past| step.context.weight(past) > 0.0)
            .map(|past| {
                let [chosen, drawn] = cosines(catalogue, past.item, compared, norms);
                let pull = chosen - drawn;
                (Self::cell(past.type_code, step.context.now_ms - past.at_ms()), pull)
            })
            .collect();
        let margin: f32 = pulls.iter().map(|&(cell, pull)| self.table[cell] * pull).sum();
        let rate = RATE * step.weight * accrue_kernel::sigmoid(-margin);
        for (cell, pull) in pulls {
            self.table[cell] = (self.table[cell] + rate * pull).clamp(0.0, 10.0);
        }
    }

    /// Sums the history's descriptors, each event by its learned weight.
    fn prepare(
        &self,
        catalogue: &Catalogue,
        context: &Context<'_>,
        ShopperPreference { descriptors: sums, .. }: &mut ShopperPreference,
    ) {
        sums.clear(catalogue.n_descriptors());
        if catalogue.n_descriptors() == 0 {
            return;
        }
        catalogue.prefetch(context.past.iter().rev().take(REACH).map(|past| past.item));
        for past in context.past.iter().rev().take(REACH) {
            let sign = if context.weight(past) < 0.0 { -1.0 } else { f32::from(context.weight(past) > 0.0) };
            let (descriptors, norm) = catalogue.description(past.item);
            if norm <= 0.0 || sign == 0.0 {
                continue;
            }
            let weight = sign * self.weight(past.type_code, context.now_ms - past.at_ms()) / norm;
            for &descriptor in descriptors {
                sums.entry(descriptor)[0] += weight * catalogue.rarity(descriptor);
            }
        }
    }

    /// The predicted preference for each item; zero where the item or the history has no description.
    fn columns(&self, catalogue: &Catalogue, of_shopper: &ShopperPreference, items: &[ItemIdx], out: &mut [f32]) {
        if of_shopper.descriptors.touched().is_empty() {
            return;
        }
        catalogue.prefetch(items.iter().copied());
        for (out, &item) in out.iter_mut().zip(items) {
            let (descriptors, norm) = catalogue.description(item);
            let sum: f32 = descriptors.iter().map(|&descriptor| of_shopper.descriptors.get(descriptor)[0]).sum();
            *out = if sum == 0.0 || norm == 0.0 { 0.0 } else { sum / norm };
        }
    }

    fn n_params(&self) -> u64 {
        self.table.len() as u64
    }

    fn is_finite(&self) -> bool {
        self.table.iter().all(|weight| weight.is_finite())
    }
}

/// The cosines of an item's description with two others, whose descriptors' products are in `compared` and whose
/// lengths are `norms`; zero where one has no length. Rarities are newer than lengths until the catalogue is weighed again,
/// so descriptions can share rare words while the length of one of them is still that of common words, or zero.
fn cosines(catalogue: &Catalogue, item: ItemIdx, compared: &Accumulator<2>, norms: [f32; 2]) -> [f32; 2] {
    let (descriptors, norm) = catalogue.description(item);
    let mut shared = [0.0; 2];
    for &descriptor in descriptors {
        let added = compared.get(descriptor);
        shared[0] += added[0];
        shared[1] += added[1];
    }
    std::array::from_fn(|side| {
        let length = norm * norms[side];
        if shared[side] > 0.0 && length > 0.0 { (shared[side] / length).min(1.0) } else { 0.0 }
    })
}

impl Preference {
    fn cell(type_code: u8, age_ms: i64) -> usize {
        let minutes = age_ms.max(0) as f32 / 60_000.0;
        let age = (log2(1.0 + minutes) as usize).min(N_AGES - 1);
        usize::from(type_code).min(MAX_TYPES - 1) * N_AGES + age
    }

    /// The learned weight of an event of that type and age.
    pub fn weight(&self, type_code: u8, age_ms: i64) -> f32 {
        self.table[Self::cell(type_code, age_ms)]
    }
}
