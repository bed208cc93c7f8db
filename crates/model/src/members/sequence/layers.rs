//! The network of the chosen kind, its dense weights and their optimizer.
//!
//! They share one pointer: publishing copies the pointer, and the first step after it copies the weights.

use accrue_tensor::{Optimizer, Rule, Tape, Var, Weights};

use super::settings::{SequenceKind, SequenceSettings};
use crate::collaborative::FitError;
use crate::neural::{Convolution, ConvolutionSettings, Gru, GruSettings, Network, Transformer, TransformerSettings};

/// Layers of one kind.
#[derive(Clone, Debug)]
enum Layers {
    Gru(Gru),
    Transformer(Transformer),
    Convolution(Convolution),
}

/// Layers with their weights.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    layers: Layers,
    pub(super) weights: Weights,
    pub(super) optimizer: Optimizer,
}

impl PartialEq for Dense {
    fn eq(&self, other: &Self) -> bool {
        self.weights.values() == other.weights.values() && self.optimizer == other.optimizer
    }
}

impl Dense {
    /// Seeded weights for these settings; `None` for the kind `none`.
    ///
    /// There is no dropout: an event is learned a few times, not in passes over a data set, so there is little risk of
    /// overfitting.
    ///
    /// # Errors
    /// If a size is not valid.
    pub(super) fn new(settings: &SequenceSettings, seed: u64) -> Result<Option<Self>, FitError> {
        let SequenceSettings { kind, d, length, blocks, heads, weight_decay, .. } = *settings;
        let mut weights = Weights::new(seed);
        let layers = match kind {
            SequenceKind::None => return Ok(None),
            SequenceKind::Gru => {
                let settings = GruSettings { d, length, layers: blocks, dropout: 0.0, ..Default::default() };
                Layers::Gru(Gru::new(&Gru::plan(&settings)?.0, &mut weights))
            }
            SequenceKind::Transformer => {
                let settings = TransformerSettings {
                    d,
                    length,
                    blocks,
                    heads,
                    hidden: 4 * d,
                    dropout: 0.0,
                    attention_dropout: 0.0,
                    ..Default::default()
                };
                Layers::Transformer(Transformer::new(&Transformer::plan(&settings)?.0, &mut weights))
            }
            SequenceKind::Convolution => {
                let settings = ConvolutionSettings { d, length, blocks, dropout: 0.0, ..Default::default() };
                Layers::Convolution(Convolution::new(&Convolution::plan(&settings)?.0, &mut weights))
            }
        };
        let rule = Rule::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay };
        let optimizer = Optimizer::new(rule, weights.values().len());
        Ok(Some(Self { layers, weights, optimizer }))
    }

    /// The forward pass. `x: [n, d] → [n, d]`; see [`Network::states`].
    pub(super) fn states(&self, tape: &mut Tape, x: Var) -> Var {
        match &self.layers {
            Layers::Gru(network) => network.states(tape, x),
            Layers::Transformer(network) => network.states(tape, x),
            Layers::Convolution(network) => network.states(tape, x),
        }
    }
}
