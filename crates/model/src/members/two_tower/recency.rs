//! How much a past event counts in a shopper's vector: learned by its type, its age and its place in the history.

use accrue_store::PastEvent;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::decay::log2;
use crate::weights::MAX_TYPES;

/// Ages are binned by powers of two of minutes: the last bin begins after about a year.
const N_AGES: usize = 20;
/// Places from the end are binned by powers of two.
const N_PLACES: usize = 8;
/// Step of the gradient descent, and the largest factor.
const RATE: f32 = 0.02;
const MOST: f32 = 10.0;

/// One past event, as far as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    pub(super) item: u32,
    /// The weight of its type.
    weight: f32,
    /// Bins of type and age, and of place.
    cell: u16,
    place: u8,
}

impl Evidence {
    /// The last `reach` events of the shopper that have a weight, latest first.
    pub(super) fn of<'a>(context: &'a Context<'_>, reach: usize) -> impl Iterator<Item = Self> + 'a {
        let counting = context.past.iter().rev().filter(|past| context.weight(past) != 0.0);
        counting.take(reach).enumerate().map(|(place, past)| Self::new(context, place, past))
    }

    fn new(context: &Context<'_>, place: usize, past: &PastEvent) -> Self {
        let minutes = (context.now_ms - past.at_ms()).max(0) as f32 / 60_000.0;
        let age = (log2(1.0 + minutes) as usize).min(N_AGES - 1);
        let place = (log2(1.0 + place as f32) as usize).min(N_PLACES - 1);
        let cell = usize::from(past.type_code).min(MAX_TYPES - 1) * N_AGES + age;
        Self { item: past.item, weight: context.weight(past), cell: cell as u16, place: place as u8 }
    }
}

/// The learned factors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recency {
    by_age: Vec<f32>,
    by_place: Vec<f32>,
}

impl Default for Recency {
    fn default() -> Self {
        let by_age = (0..MAX_TYPES * N_AGES).map(|cell| 1.0 / (1.0 + 0.25 * (cell % N_AGES) as f32)).collect();
        Self { by_age, by_place: vec![1.0; N_PLACES] }
    }
}

impl Recency {
    /// How much an event counts.
    pub(super) fn weight(&self, evidence: &Evidence) -> f32 {
        evidence.weight * self.by_age[usize::from(evidence.cell)] * self.by_place[usize::from(evidence.place)]
    }

    /// Moves the factors of an event against the gradient of its weight, which is a mean over `n` examples. A factor
    /// stays at 0 or above.
    pub(super) fn descend(&mut self, evidence: &Evidence, gradient: f32, n: f32) {
        let (cell, place) = (usize::from(evidence.cell), usize::from(evidence.place));
        let step = RATE / n * gradient * evidence.weight;
        let (of_age, of_place) = (self.by_age[cell], self.by_place[place]);
        self.by_age[cell] = (of_age - step * of_place).clamp(0.0, MOST);
        self.by_place[place] = (of_place - step * of_age).clamp(0.0, MOST);
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len() + self.by_place.len()
    }

    /// Whether every factor is finite, and there are as many as bins.
    pub(super) fn is_finite(&self) -> bool {
        let is_whole = self.by_age.len() == MAX_TYPES * N_AGES && self.by_place.len() == N_PLACES;
        is_whole && self.by_age.iter().chain(&self.by_place).all(|factor| factor.is_finite())
    }
}
