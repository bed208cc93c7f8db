//! Newness: how long an item has been in the shop.
//!
//! In: the catalogue's first sights. Out: `1 / (1 + days)`, and the newest items as candidates, so that an item that
//! was never chosen is shown at all. The blend learns how much newness adds to a score.

use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings, ReasonKind};
use crate::catalogue::Catalogue;
use crate::{Context, Step};

/// How many of the newest items a page may have as candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewnessSettings {
    /// Newest items among the candidates of a page.
    pub candidates: usize,
}

impl Default for NewnessSettings {
    fn default() -> Self {
        Self { candidates: 20 }
    }
}

impl MemberSettings for NewnessSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }
}

/// Reads the catalogue; it has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Newness;

impl Member for Newness {
    type Settings = NewnessSettings;
    /// Stream time, in milliseconds since 1970.
    type Situation = i64;

    const COLUMNS: &'static [Column] = &[Column::log("newness", -9.0, 0.7, 0.02).because(ReasonKind::New)];
    const ALWAYS_LEARNS: bool = true;

    fn new(_: &NewnessSettings, _: u64) -> Option<Self> {
        Some(Self)
    }

    fn set_settings(&mut self, _: &NewnessSettings, _: u64) -> bool {
        true
    }

    fn learn(&mut self, _: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut i64) {}

    fn prepare(&self, _: &Catalogue, context: &Context<'_>, now_ms: &mut i64) {
        *now_ms = context.now_ms;
    }

    fn columns(&self, catalogue: &Catalogue, now_ms: &i64, items: &[ItemIdx], out: &mut [f32]) {
        for (out, &item) in out.iter_mut().zip(items) {
            *out = 1.0 / (1.0 + catalogue.age_days(item, *now_ms));
        }
    }

    fn retrieve(&self, catalogue: &Catalogue, _: &Context<'_>, _: &i64, limit: usize, out: &mut Vec<ItemIdx>) {
        out.extend(catalogue.newest().take(limit));
    }

    fn n_params(&self) -> u64 {
        0
    }

    fn is_finite(&self) -> bool {
        true
    }
}
