//! How a sequence network is trained: the part of its settings that all of them have.

use accrue_tensor::Schedule;
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use crate::collaborative::FitError;

/// How to train; part of the settings of every sequence network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// The objective.
    pub objective: Objective,
    /// Sampled items: drawn once a step for `sampled-softmax`, once a window step for the others except `softmax`.
    pub negatives: usize,
    /// Items are sampled by their count to this power; 0 is uniformly.
    pub negative_power: f64,
    /// Passes over the data.
    pub epochs: usize,
    /// Windows a batch.
    pub batch: usize,
    /// Batches whose gradients are summed before a step. The step equals that of one batch this many times as large,
    /// except for rounding and for what is drawn for each batch (dropout, negatives), and the activations of only one
    /// batch are in memory.
    pub accumulate: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// AdamW's decay of dense weights and of the table's touched rows.
    pub weight_decay: f64,
    /// Second decay rate of Adam.
    pub beta_2: f64,
    /// Largest norm of the gradient; 0 is no limit.
    pub clip: f64,
    /// Steps over which the step size rises.
    pub warm_up: u64,
    /// How it changes after that.
    pub schedule: Schedule,
    /// Standard deviation of the items' first vectors.
    pub deviation: f64,
    /// Whether only the last step of a window is trained on.
    pub last_only: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            objective: Objective::Softmax,
            negatives: 1,
            negative_power: 0.0,
            epochs: 40,
            batch: 128,
            accumulate: 1,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            beta_2: 0.999,
            clip: 5.0,
            warm_up: 0,
            schedule: Schedule::Constant,
            deviation: 0.05,
            last_only: false,
        }
    }
}

impl Training {
    /// Refuses values that cannot be trained with.
    pub(super) fn check(&self) -> Result<(), FitError> {
        let Self { epochs, batch, negatives, negative_power, learning_rate, weight_decay, beta_2, clip, .. } = *self;
        let (positive, at_least_0) = ("a number above 0", "a number of at least 0");
        FitError::check(epochs > 0, "epochs", epochs, positive)?;
        FitError::check(batch > 0, "batch", batch, positive)?;
        FitError::check(self.accumulate > 0, "accumulate", self.accumulate, positive)?;
        FitError::check(negatives > 0, "negatives", negatives, positive)?;
        FitError::check(negative_power >= 0.0, "negative_power", negative_power, at_least_0)?;
        FitError::check(learning_rate > 0.0, "learning_rate", learning_rate, positive)?;
        FitError::check(weight_decay >= 0.0, "weight_decay", weight_decay, at_least_0)?;
        FitError::check((0.0..1.0).contains(&beta_2), "beta_2", beta_2, "a number from 0 to below 1")?;
        FitError::check(clip >= 0.0, "clip", clip, at_least_0)?;
        FitError::check(self.deviation > 0.0, "deviation", self.deviation, positive)
    }
}
