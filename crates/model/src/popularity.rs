//! Popularity with decay: what the shop as a whole does lately, over a day, a week and a season.
//!
//! In: weighted events. Out: how an item's decayed count compares with the leader's, for three half-lives, and the list of
//! leaders. Impersonal: it is what somebody gets of whom nothing is known.

use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use crate::cow::CowVec;
use crate::decay::{Decayed, HalfLife};
use crate::{Scored, Step};

/// Half-lives in days, short to long.
const HALF_LIVES: [f64; 3] = [1.0, 7.0, 60.0];
/// Which of them orders the list of leaders.
const WEEK: usize = 1;
/// How many leaders are kept in order.
const N_LEADERS: usize = 512;

/// Decayed counts by item, and the leaders by the weekly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    half_lives: [HalfLife; 3],
    counts: CowVec<[Decayed; 3]>,
    /// Level and item, best first. Levels of items that nothing happens to never change, so the order holds by itself.
    leaders: Vec<(f32, ItemIdx)>,
    /// The highest level of each half-life so far: what features are relative to.
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

impl Popularity {
    /// Names of the columns that [`Popularity::features`] writes.
    pub const FEATURES: [&'static str; 3] = ["popular_day", "popular_week", "popular_season"];

    /// Adds the event's weight to its item.
    pub fn learn(&mut self, step: &Step<'_>) {
        if step.weight == 0.0 {
            return;
        }
        let item = step.event.item;
        let counts = self.counts.get_mut(item as usize);
        for (count, half_life) in counts.iter_mut().zip(&self.half_lives) {
            count.add(step.weight, half_life.position(step.event.at_ms));
        }
        let levels = counts.map(|count| count.level());
        for (top, level) in self.top.iter_mut().zip(levels) {
            *top = top.max(level);
        }
        self.place_leader(item, levels[WEEK]);
    }

    fn place_leader(&mut self, item: ItemIdx, level: f32) {
        if let Some(old) = self.leaders.iter().position(|&(_, leader)| leader == item) {
            self.leaders.remove(old);
        }
        let ahead = |&(other, leader): &(f32, ItemIdx)| other > level || (other == level && leader < item);
        let place = self.leaders.partition_point(ahead);
        if place < N_LEADERS {
            self.leaders.insert(place, (level, item));
            self.leaders.truncate(N_LEADERS);
        }
    }

    /// Half-lives that the item's count lies below the highest ever reached and decayed since; 0 is the leader, large is nobody.
    pub fn features(&self, item: ItemIdx, out: &mut [f32]) {
        let counts = self.counts.get(item as usize);
        for ((out, count), top) in out.iter_mut().zip(counts).zip(self.top) {
            *out = crate::decay::power_of_two_f32((count.level() - top).max(-60.0));
        }
    }

    /// The weekly count of an item at `now_ms`.
    pub fn weekly(&self, item: ItemIdx, now_ms: i64) -> f32 {
        self.counts.get(item as usize)[WEEK].at(self.half_lives[WEEK].position(now_ms))
    }

    /// The leaders of the week, best first, with their decayed counts at `now_ms`.
    pub fn leaders(&self, now_ms: i64) -> impl Iterator<Item = Scored> + '_ {
        self.leaders.iter().map(move |&(_, item)| Scored { item, score: self.weekly(item, now_ms) })
    }

    /// Holds the memory of `other` wherever both say the same.
    pub fn share_with(&mut self, other: &Self) {
        self.counts.share_with(&other.counts);
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        (self.counts.len() * HALF_LIVES.len()) as u64
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.counts.copied_bytes()
    }
}
