//! How click models are trained.

use serde::{Deserialize, Serialize};

use crate::collaborative::FitError;

/// Settings of training that all click models have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClickTraining {
    /// Width of a feature's vector.
    pub d: usize,
    /// Passes over the rows, at most.
    pub epochs: usize,
    /// Rows a step.
    pub batch: usize,
    /// Rows a step of the online mode.
    pub online_batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// Step size of the online mode.
    pub online_rate: f64,
    /// Weight of ½‖v‖² in the loss, over all vectors and the features' own weights, at every step.
    pub l2: f64,
    /// Passes without a better result on the validation part before training ends.
    pub patience: usize,
    /// Factor of the step size after each such pass.
    pub slower: f64,
    /// How slowly the mean of the weights, which predicts, follows the weights: the factor of the mean at each step. 0
    /// for the weights themselves.
    pub averaging: f64,
    /// Models from different seeds; the mean of their logits predicts.
    pub seeds: usize,
}

impl Default for ClickTraining {
    fn default() -> Self {
        Self {
            d: 10,
            epochs: 60,
            batch: 4096,
            online_batch: 64,
            learning_rate: 1e-3,
            online_rate: 2e-3,
            l2: 0.05,
            patience: 2,
            slower: 0.1,
            averaging: 0.98,
            seeds: 1,
        }
    }
}

impl ClickTraining {
    /// Checks that all are in their ranges.
    ///
    /// # Errors
    /// [`FitError::Setting`] for the first that is not.
    pub fn check(&self) -> Result<(), FitError> {
        let whole = "a whole number of at least 1";
        for (name, n) in [("epochs", self.epochs), ("batch", self.batch), ("online_batch", self.online_batch)] {
            FitError::check(n > 0, name, n, whole)?;
        }
        FitError::check((1..=1024).contains(&self.d), "d", self.d, "a whole number from 1 to 1024")?;
        FitError::check((1..=64).contains(&self.seeds), "seeds", self.seeds, "a whole number from 1 to 64")?;
        for (name, rate) in [("learning_rate", self.learning_rate), ("online_rate", self.online_rate)] {
            FitError::check(rate > 0.0 && rate.is_finite(), name, rate, "a number above 0")?;
        }
        FitError::check((1e-6..=1.0).contains(&self.slower), "slower", self.slower, "a number above 0 and at most 1")?;
        FitError::check((0.0..1e6).contains(&self.l2), "l2", self.l2, "a number of at least 0")?;
        let averaging = self.averaging;
        FitError::check((0.0..1.0).contains(&averaging), "averaging", averaging, "a number from 0 to below 1")
    }
}
