//! The contract of click models, and what a fit needs of one.

use accrue_tensor::TensorError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rows::{ClickRows, ClickShape};
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// A model that predicts whether something happens from the features of a row, and that is trained by steps.
pub trait ClickModel: Clone + Send + Sync {
    /// The settings: plain numbers and booleans, those of training among them.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + std::fmt::Debug;

    /// The settings of training.
    fn training(settings: &Self::Settings) -> &ClickTraining;

    /// A model before its first step.
    ///
    /// # Errors
    /// [`FitError::Setting`] if a setting is not valid.
    fn new(settings: &Self::Settings, shape: ClickShape, seed: u64) -> Result<Self, FitError>;

    /// Makes room for more features; those that are known keep what was learned. There are never more fields.
    fn grow(&mut self, n_rows: usize);

    /// One step over the chosen rows; returns the mean loss. The result does not depend on `threads`.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite. No weight becomes so, and nothing of the row that caused it is learned; a
    /// model that learns row by row keeps what it learned of the rows before.
    fn step(&mut self, rows: &ClickRows, chosen: &[u32], rate: f32, threads: usize) -> Result<f64, TensorError>;

    /// The logits of the rows from `first` on. Features that the model has no room for count nothing. `→ out: [n]`
    fn logits(&self, rows: &ClickRows, first: usize, threads: usize, out: &mut [f32]);

    /// The same model with the mean of its recent weights, if it keeps one.
    #[must_use]
    fn averaged(&self) -> Option<Self>;

    /// Predicts the rows from `first` on, each before anything of it was learned, and learns them. `→ out: [n]` logits.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite.
    fn predict_and_learn(
        &mut self,
        rows: &ClickRows,
        first: usize,
        settings: &Self::Settings,
        threads: usize,
        out: &mut [f32],
    ) -> Result<(), TensorError> {
        let training = Self::training(settings);
        let mut chosen: Vec<u32> = Vec::new();
        for (place, out) in out.chunks_mut(training.online_batch).enumerate() {
            let begin = first + place * training.online_batch;
            self.logits(rows, begin, threads, out);
            chosen.clear();
            chosen.extend((begin..begin + out.len()).map(|row| row as u32));
            self.step(rows, &chosen, training.online_rate as f32, threads)?;
        }
        Ok(())
    }

    /// Numbers that were learned.
    fn n_params(&self) -> u64;
}
