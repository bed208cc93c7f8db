//! The contract of sequence networks: layers from the vectors of a history's items to the states that predict the next.

use std::fmt::Debug;

use accrue_tensor::{Tape, Var, Weights};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::settings::Training;
use crate::collaborative::FitError;

/// Layers that turn a sequence of item vectors into a sequence of states.
pub trait Network: Clone + Debug + PartialEq + Send + Sync + Sized {
    /// The network's settings, including those of the training.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + Debug;

    /// The sizes that the layers are built from; saved with their weights.
    type Shape: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + Debug;

    /// The shape and the training of these settings.
    ///
    /// # Errors
    /// [`FitError::Setting`] if a setting is not valid.
    fn plan(settings: &Self::Settings) -> Result<(Self::Shape, Training), FitError>;

    /// Adds the weights of all layers.
    fn new(shape: &Self::Shape, weights: &mut Weights) -> Self;

    /// Width of an item's vector, and how many items of a history are on a tape: a state depends on no earlier ones.
    fn width_and_length(shape: &Self::Shape) -> (usize, usize);

    /// How many of the last items the last state depends on; scoring reads no more. At most the length.
    fn sight(shape: &Self::Shape) -> usize {
        Self::width_and_length(shape).1
    }

    /// The forward pass. `x: [n, d]`, the vectors of all sequences' items `→ [n, d]`: after each item, the state that
    /// predicts the next one. A state depends on its own sequence alone, and there on its own item and earlier ones.
    fn states(&self, tape: &mut Tape, x: Var) -> Var;
}
