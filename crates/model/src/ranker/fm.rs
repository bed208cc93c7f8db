//! Factorization machine: Rendle, *Factorization machines* (ICDM 2010).
//!
//! ```text
//! logit = b + Σ_i w_i x_i + Σ_{i<j} ⟨v_i, v_j⟩ x_i x_j
//! ```
//!
//! The vectors of one field are added before the pairs are formed, so two features of one field do not meet.

use accrue_tensor::{Tape, Var, Weights};
use serde::{Deserialize, Serialize};

use super::network::{Bias, ClickInput, ClickNetwork};
use super::rows::ClickShape;
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// Settings of a factorization machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FmSettings {
    /// How it is trained.
    #[serde(flatten)]
    pub training: ClickTraining,
}

impl Default for FmSettings {
    fn default() -> Self {
        let training = ClickTraining { d: 16, l2: 0.02, learning_rate: 2e-3, ..ClickTraining::default() };
        Self { training }
    }
}

/// A factorization machine: all that it learns besides the table is a bias.
#[derive(Clone, Debug)]
pub struct Fm {
    bias: Bias,
    d: usize,
}

impl ClickNetwork for Fm {
    type Settings = FmSettings;

    fn training(settings: &FmSettings) -> &ClickTraining {
        &settings.training
    }

    fn new(_: &FmSettings, _: ClickShape, d: usize, weights: &mut Weights) -> Result<Self, FitError> {
        Ok(Self { bias: Bias::new(weights), d })
    }

    fn logits(&self, tape: &mut Tape, input: ClickInput) -> Var {
        let pairs = pair_term(tape, input.vectors, self.d);
        let logits = tape.add(input.linear, pairs);
        self.bias.add(tape, logits)
    }
}

/// `Σ_{f<g} ⟨v_f, v_g⟩`. `vectors: [n, fields · d] → [n, 1]`
pub(super) fn pair_term(tape: &mut Tape, vectors: Var, d: usize) -> Var {
    let products = tape.pair_products(vectors, d);
    let ones = tape.leaf(tape.shape(products).0, d, |ones| ones.fill(1.0));
    tape.row_dots(products, ones)
}
