//! FinalMLP: Mao, Zhu, Su, Cai, Li and Dong, *FinalMLP: an enhanced two-stream MLP model for CTR prediction* (AAAI 2023).
//!
//! Two perceptrons look at the same vectors, each through a gate of its own, and a bilinear form in several heads joins
//! their last states:
//!
//! ```text
//! g_s = 2 σ(G_s v_{c_s} + a_s)      o_s = perceptron_s(g_s ∘ [v_1 … v_F])
//! logit = b + w_1 · o_1 + w_2 · o_2 + Σ_heads o_1ʰ · W_h o_2ʰ
//! ```
//!
//! The gates select features by the vector of one field (`context_1`, `context_2`): by default the first two fields,
//! which in logs of clicks are the shopper and the item.

use accrue_tensor::{Init, Tape, Var, WeightId, Weights};
use serde::{Deserialize, Serialize};

use super::network::{ClickInput, ClickNetwork, Dense, Perceptron, check_layers};
use super::rows::ClickShape;
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// Settings of FinalMLP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FinalMlpSettings {
    /// Whether each stream selects features by a gate.
    pub gates: bool,
    /// The field that the first stream's gate looks at, from 0.
    pub context_1: usize,
    /// The field that the second stream's gate looks at, from 0.
    pub context_2: usize,
    /// Width of a hidden layer of the first stream; a multiple of the heads.
    pub hidden: usize,
    /// Hidden layers of the first stream.
    pub layers: usize,
    /// Width of a hidden layer of the second stream; a multiple of the heads.
    pub hidden_2: usize,
    /// Hidden layers of the second stream.
    pub layers_2: usize,
    /// Heads of the bilinear form.
    pub heads: usize,
    /// Share of values dropped after each hidden layer.
    pub dropout: f64,
    /// How it is trained.
    #[serde(flatten)]
    pub training: ClickTraining,
}

impl Default for FinalMlpSettings {
    fn default() -> Self {
        Self {
            gates: false,
            context_1: 0,
            context_2: 1,
            hidden: 400,
            layers: 3,
            hidden_2: 400,
            layers_2: 1,
            heads: 10,
            dropout: 0.2,
            training: ClickTraining::default(),
        }
    }
}

/// One perceptron with its gate.
#[derive(Clone, Debug)]
struct Stream {
    /// The gate, and the first column of the vector that it looks at.
    gate: Option<(Dense, usize)>,
    perceptron: Perceptron,
    out: Dense,
}

/// Two streams and the form that joins them.
#[derive(Clone, Debug)]
pub struct FinalMlp {
    streams: [Stream; 2],
    /// One matrix a head, from the head's part of the first state to that of the second.
    heads: Vec<WeightId>,
    d: usize,
}

impl ClickNetwork for FinalMlp {
    type Settings = FinalMlpSettings;

    fn training(settings: &FinalMlpSettings) -> &ClickTraining {
        &settings.training
    }

    fn new(settings: &FinalMlpSettings, shape: ClickShape, d: usize, weights: &mut Weights) -> Result<Self, FitError> {
        let FinalMlpSettings { hidden, layers, hidden_2, layers_2, heads, dropout, .. } = *settings;
        let width = shape.n_fields * d;
        for (hidden, layers) in [(hidden, layers), (hidden_2, layers_2)] {
            check_layers(hidden, layers, dropout)?;
            FitError::check(layers > 0, "layers", layers, "at least 1 in both streams")?;
        }
        let divides = heads > 0 && hidden.is_multiple_of(heads) && hidden_2.is_multiple_of(heads);
        FitError::check(divides, "heads", heads, "a whole number that divides hidden and hidden_2")?;
        let mut stream = |name: &str, context: usize, hidden: usize, layers: usize| {
            let last = shape.n_fields.saturating_sub(1);
            FitError::check(context <= last, "context", context, "the number of a field, from 0")?;
            let gate = settings.gates.then(|| (Dense::new(weights, &format!("{name}.gate"), [d, width]), context * d));
            let perceptron = Perceptron::new(weights, name, width, (hidden, layers), dropout);
            let out = Dense::new(weights, &format!("{name}.out"), [hidden, 1]);
            Ok(Stream { gate, perceptron, out })
        };
        let context = |context: usize| if settings.gates { context } else { 0 };
        let streams = [
            stream("first", context(settings.context_1), hidden, layers)?,
            stream("second", context(settings.context_2), hidden_2, layers_2)?,
        ];
        let shape = [hidden / heads, hidden_2 / heads];
        let heads = (0..heads).map(|head| weights.matrix(&format!("head.{head}"), shape, Init::Xavier)).collect();
        Ok(Self { streams, heads, d })
    }

    fn logits(&self, tape: &mut Tape, input: ClickInput) -> Var {
        let [first, second] = self.streams.each_ref().map(|stream| {
            let x = match stream.gate {
                None => input.vectors,
                Some((gate, column)) => {
                    let context = tape.columns(input.vectors, column, self.d);
                    let gate = gate.of(tape, context);
                    let gate = tape.sigmoid(gate);
                    let twice = tape.add(gate, gate);
                    tape.product(input.vectors, twice)
                }
            };
            stream.perceptron.states(tape, x)
        });
        let parts = [first, second].into_iter().zip(&self.streams).map(|(states, stream)| (states, stream.out));
        let linear = parts.fold(input.linear, |sum, (states, out)| {
            let term = out.of(tape, states);
            tape.add(sum, term)
        });
        self.heads.iter().enumerate().fold(linear, |sum, (head, &weight)| {
            let part = |tape: &mut Tape, states: Var| {
                let width = tape.shape(states).1 / self.heads.len();
                tape.columns(states, head * width, width)
            };
            let (one, other) = (part(tape, first), part(tape, second));
            let mapped = tape.linear(one, weight, None);
            let term = tape.row_dots(mapped, other);
            tape.add(sum, term)
        })
    }
}
