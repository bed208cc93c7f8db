//! Prequential quality: predict a choice, then learn it, and count how often the prediction was right (Dawid 1984; Gama
//! 2013).

use accrue_model::{Ensemble, Prepared, Step};
use accrue_store::Split;
use serde::{Deserialize, Serialize};

use crate::drift::Drift;
use crate::gain::{LIST, gain};
use crate::model_state::ModelState;

/// Weight of the newest sample in a recent figure, which is so an average over about the last 500.
const FORGET: f64 = 1.0 / 500.0;

/// Hit rate and NDCG of lists of 20, over a set of predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    /// Predictions made.
    pub samples: u64,
    /// Sum of hits.
    hits: f64,
    /// Sum of gains `1 / log2(1 + rank)`, rank from 1.
    gains: f64,
}

impl Hits {
    fn add(&mut self, rank: Option<usize>) {
        self.samples += 1;
        if let Some(rank) = rank {
            self.hits += 1.0;
            self.gains += gain(rank);
        }
    }

    /// Share of predictions with the right item among the 20.
    pub fn hit_rate(&self) -> f64 {
        self.hits / self.samples.max(1) as f64
    }

    /// Mean gain.
    pub fn ndcg(&self) -> f64 {
        self.gains / self.samples.max(1) as f64
    }
}

/// How well the models of one arm predict the choices of its shoppers, and how well the shared models predict the same
/// choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmQuality {
    /// Choices of its shoppers since the arm began.
    pub n_choices: u64,
    /// Of the arm's own models.
    pub own: Hits,
    /// Of the shared models.
    pub shared: Hits,
}

impl ArmQuality {
    /// Counts one choice, with the places that both gave it.
    pub(crate) fn count(&mut self, own: Option<usize>, shared: Option<usize>) {
        self.own.add(own);
        self.shared.add(shared);
    }
}

/// How well the models predict the next choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// All predictions.
    pub all: Hits,
    /// Those of items that the shopper had not chosen before.
    pub first_time: Hits,
    /// Those of items chosen before.
    pub repeat: Hits,
    /// Hit rate over about the last 500 predictions.
    pub recent_hit_rate: f64,
    /// NDCG over about the last 500 predictions.
    pub recent_ndcg: f64,
    /// One choice in this many is predicted now.
    pub one_in: u64,
    /// Number of items at the last prediction.
    pub n_items: u32,
    /// Changes of the prediction error.
    pub drift: Drift,
    /// For each arm, while arms learn apart.
    pub arms: Vec<ArmQuality>,
}

impl Quality {
    /// Ranks a list before the choice is learned, and counts the place of the chosen item in it. `models` are those
    /// that serve, `split` is the experiment's, and `shopper` is the hash of the shopper's name.
    pub(crate) fn predict(
        &mut self,
        models: &ModelState,
        split: Option<&Split>,
        step: &Step<'_>,
        shopper: u64,
        prepared: &mut Prepared,
    ) {
        let mut place_by = |models: &Ensemble| models.place_of(&step.context, prepared, LIST, step.event.item);
        let place = place_by(&models.shared);
        if let Some((split, models)) = models.arms_of(split) {
            let arm = split.arm_of(shopper);
            self.arms[arm].count(place_by(&models[arm]), place);
        }
        let repeat = step.context.past.iter().any(|past| past.item == step.event.item);
        self.count(place, repeat, step.n_items);
    }

    /// Counts a prediction: the place of the chosen item in the list (from 0), if it was there.
    pub fn count(&mut self, rank: Option<usize>, repeat: bool, n_items: u32) {
        self.all.add(rank);
        if repeat {
            self.repeat.add(rank)
        } else {
            self.first_time.add(rank)
        }
        let forget = FORGET.max(1.0 / self.all.samples as f64);
        self.recent_hit_rate += forget * (f64::from(rank.is_some()) - self.recent_hit_rate);
        self.recent_ndcg += forget * (rank.map_or(0.0, gain) - self.recent_ndcg);
        self.n_items = n_items;
    }
}
