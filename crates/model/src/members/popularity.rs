//! Popularity with decay: the items chosen most in the whole shop, over a day, a week and a season.
//!
//! In: weighted events. Out: how an item's decayed count compares with the leader's, for three half-lives, and the list
//! of leaders. It is the same for every shopper, so it is also what a shopper without a history gets.

use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings, ReasonKind};
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::{Decayed, HalfLife};
use crate::{Context, Scored, Step};

/// Half-lives in days, short to long.
const HALF_LIVES: [f64; 3] = [1.0, 7.0, 60.0];
/// Which of them orders the list of leaders.
const WEEK: usize = 1;
const SEASON: usize = 2;
/// How many leaders are kept in their order.
const N_LEADERS: usize = 512;

/// How many leaders a page may have as candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PopularitySettings {
    /// Leaders of the week among the candidates of a page.
    pub candidates: usize,
}

impl Default for PopularitySettings {
    fn default() -> Self {
        Self { candidates: 100 }
    }
}

impl MemberSettings for PopularitySettings {
    fn candidates(&self) -> usize {
        self.candidates
    }
}

/// Decayed counts by item, and the leaders by the weekly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    half_lives: [HalfLife; 3],
    counts: CowVec<[Decayed; 3]>,
    /// Level and item, best first. The level of an item without events does not change, so the order stays valid
    /// without updates.
    leaders: Vec<(f32, ItemIdx)>,
    /// The highest level of each half-life so far, which columns are relative to.
    top: [f32; 3],
}

impl Default for Popularity {
    fn default() -> Self {
        Self {
            half_lives: HALF_LIVES.map(HalfLife::days),
            counts: CowVec::new(64, [Decayed::default(); 3]),
            leaders: Vec::new(),
            top: [f32::NEG_INFINITY; 3],
        }
    }
}

impl Member for Popularity {
    type Settings = PopularitySettings;
    type Situation = ();

    const COLUMNS: &'static [Column] = &[
        Column::log("popular_day", -14.0, 1.0, 0.05).alone(0.0).because(ReasonKind::Popular),
        Column::log("popular_week", -14.0, 1.0, 0.15).because(ReasonKind::Popular),
        Column::log("popular_season", -14.0, 1.0, 0.05).alone(0.0).because(ReasonKind::Popular),
    ];
    const ALWAYS_LEARNS: bool = true;

    fn new(_: &PopularitySettings, _: u64) -> Option<Self> {
        Some(Self::default())
    }

    fn set_settings(&mut self, _: &PopularitySettings, _: u64) -> bool {
        true
    }

    /// Adds the event's weight to its item.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, (): &mut ()) {
        if step.weight == 0.0 {
            return;
        }
        let item = step.event.item;
        let counts = self.counts.get_mut(item as usize);
        let before = counts[WEEK].level();
        for (count, half_life) in counts.iter_mut().zip(&self.half_lives) {
            count.add(step.weight, half_life.position(step.event.at_ms));
        }
        let levels = counts.map(|count| count.level());
        for (top, level) in self.top.iter_mut().zip(levels) {
            *top = top.max(level);
        }
        self.place_leader(item, before, levels[WEEK]);
    }

    fn prepare(&self, _: &Catalogue, _: &Context<'_>, (): &mut ()) {}

    /// How an item's decayed count compares with the highest ever reached and decayed since: 1 is the leader, near 0 is
    /// an item that is hardly chosen.
    fn columns(&self, _: &Catalogue, (): &(), items: &[ItemIdx], out: &mut [f32]) {
        items.iter().for_each(|&item| self.counts.prefetch(item as usize));
        for (place, &item) in items.iter().enumerate() {
            let counts = self.counts.get(item as usize);
            for (column, (count, top)) in counts.iter().zip(self.top).enumerate() {
                out[column * items.len() + place] = (count.level() - top).max(-60.0);
            }
        }
        accrue_kernel::exp2_in_place(out);
    }

    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, (): &(), limit: usize, out: &mut Vec<ItemIdx>) {
        out.extend(self.leaders.iter().take(limit).map(|&(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.counts.share_with(&other.counts);
    }

    fn n_params(&self) -> u64 {
        (self.counts.len() * HALF_LIVES.len()) as u64
    }

    fn copied_bytes(&self) -> u64 {
        self.counts.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.counts.iter().flatten().all(Decayed::is_finite)
    }
}

impl Popularity {
    /// Puts an item whose level was `before` in its place.
    fn place_leader(&mut self, item: ItemIdx, before: f32, level: f32) {
        let place = |leaders: &[(f32, ItemIdx)], level: f32| {
            leaders.partition_point(|&(other, leader)| other > level || (other == level && leader < item))
        };
        let (old, new) = (place(&self.leaders, before), place(&self.leaders, level));
        match self.leaders.get(old) {
            // Leaders in between move by one place; none of the others is touched.
            Some(&(_, leader)) if leader == item => {
                if new <= old {
                    self.leaders[new..=old].rotate_right(1);
                    self.leaders[new] = (level, item);
                } else {
                    self.leaders[old..new].rotate_left(1);
                    self.leaders[new - 1] = (level, item);
                }
            }
            _ if new < N_LEADERS => {
                self.leaders.insert(new, (level, item));
                self.leaders.truncate(N_LEADERS);
            }
            _ => {}
        }
    }

    /// The weekly count of an item at `now_ms`.
    pub fn weekly(&self, item: ItemIdx, now_ms: i64) -> f32 {
        self.counts.get(item as usize)[WEEK].at(self.half_lives[WEEK].position(now_ms))
    }

    /// Orders items by their weekly counts, at any moment alike: a larger level is a larger count. −∞ for an item
    /// without events.
    pub fn weekly_level(&self, item: ItemIdx) -> f32 {
        self.counts.get(item as usize)[WEEK].level()
    }

    /// How an item's count compares with the highest, on a logarithmic scale: 1 for the leader, 0 for an item with less
    /// than a thousandth of its count. The mean over the week and the season, because a week alone is short for most
    /// items.
    pub fn standing(&self, item: ItemIdx) -> f32 {
        const RANGE: f32 = 10.0;
        let counts = self.counts.get(item as usize);
        let standing = |of: usize| 1.0 - (self.top[of] - counts[of].level()).clamp(0.0, RANGE) / RANGE;
        if counts[WEEK].level() > f32::NEG_INFINITY { 0.5 * (standing(WEEK) + standing(SEASON)) } else { 0.0 }
    }

    /// How many leaders are in order.
    pub fn n_leaders(&self) -> usize {
        self.leaders.len()
    }

    /// The leaders of the week, best first, with their decayed counts at `now_ms`.
    pub fn leaders(&self, now_ms: i64) -> impl Iterator<Item = Scored> + '_ {
        self.leaders.iter().map(move |&(_, item)| Scored { item, score: self.weekly(item, now_ms) })
    }
}
