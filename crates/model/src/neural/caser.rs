//! Caser: convolutional filters over the last few items, taken as an image.
//!
//! Tang and Wang, *Personalized top-N sequential recommendation via convolutional sequence embedding* (WSDM 2018). With
//! `E` the `[L, d]` matrix of the last `L` items' vectors, oldest first,
//!
//! ```text
//! horizontal:  o_{h,k} = max_i relu(⟨F_{h,k}, E[i .. i+h]⟩ + b_{h,k})      h = 1 … L, some filters k of each height
//! vertical:    õ_k     = Σ_l w_{k,l} · E[l]                              [d] each
//! z = relu(W · [o; õ] + b)          state = z · W_out
//! ```
//!
//! A horizontal filter finds a set of items ("bread, then milk") at any position in the window; a vertical one weighs
//! items by how long ago they were chosen. In: the vectors of whole histories. Out: a state after every item. Every
//! step is a target, but windows overlap, so a filter of height `h` is applied once at each row, and a window's maximum
//! is one over the last `L - h + 1` rows. Positions that are wholly before the beginning of a history are left out;
//! those that are partly before it read zeros.
//!
//! Two things differ from the paper. The user's vector beside `z` is left out, because no model here has rows of users.
//! One table holds the items of inputs and outputs, with a matrix before the outputs, where the paper learns a second
//! table.

use accrue_tensor::{Activation, Init, Tape, Var, WeightId, Weights};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::settings::Training;
use crate::collaborative::FitError;

/// Size of the network and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaserSettings {
    /// Width of vectors and states.
    pub d: usize,
    /// Items of a history that are trained on at once; more saves time and changes the result little.
    pub length: usize,
    /// Items that a state reads, the paper's `L`; filters are as high as that at most.
    pub order: usize,
    /// Horizontal filters of each height.
    pub horizontal: usize,
    /// Vertical filters.
    pub vertical: usize,
    /// Share of values dropped from the items and from the outputs of the filters.
    pub dropout: f64,
    /// Settings of the training.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for CaserSettings {
    fn default() -> Self {
        let (order, horizontal, vertical) = (5, 16, 4);
        Self { d: 64, length: 50, order, horizontal, vertical, dropout: 0.3, training: Training::default() }
    }
}

/// The sizes that the layers are built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    d: usize,
    length: usize,
    order: usize,
    horizontal: usize,
    vertical: usize,
    dropout: f32,
}

/// The layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Caser {
    shape: Shape,
    /// Of height 1, 2, … up to the order.
    horizontal: Vec<Filters>,
    /// `[filters, order]`; the last column weighs the last item.
    vertical: WeightId,
    dense: WeightId,
    dense_bias: WeightId,
    out: WeightId,
}

/// All horizontal filters of one height.
#[derive(Clone, Debug, PartialEq)]
struct Filters {
    /// `[height · d, filters]`
    weight: WeightId,
    bias: WeightId,
}

impl Network for Caser {
    type Settings = CaserSettings;
    type Shape = Shape;

    fn plan(settings: &CaserSettings) -> Result<(Shape, Training), FitError> {
        let CaserSettings { d, length, order, horizontal, vertical, dropout, ref training } = *settings;
        FitError::check(d > 0, "d", d, "a number above 0")?;
        FitError::check((1..=64).contains(&order), "order", order, "1 to 64 items are expected")?;
        FitError::check(length >= order, "length", length, "at least as many items as `order` are expected")?;
        FitError::check(horizontal > 0, "horizontal", horizontal, "a number above 0")?;
        FitError::check(vertical > 0, "vertical", vertical, "a number above 0")?;
        FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, "a number from 0 to below 1")?;
        Ok((Shape { d, length, order, horizontal, vertical, dropout: dropout as f32 }, training.clone()))
    }

    fn new(shape: &Shape, weights: &mut Weights) -> Self {
        let &Shape { d, order, horizontal, vertical, .. } = shape;
        let filters = (1..=order).map(|height| Filters {
            weight: weights.matrix(&format!("horizontal.{height}.weight"), [height * d, horizontal], Init::Xavier),
            bias: weights.rows(&format!("horizontal.{height}.bias"), [1, horizontal], Init::Constant(0.0)),
        });
        let filters = filters.collect();
        let n_found = order * horizontal + vertical * d;
        Self {
            shape: shape.clone(),
            horizontal: filters,
            vertical: weights.rows("vertical.weight", [vertical, order], Init::Xavier),
            dense: weights.matrix("dense.weight", [n_found, d], Init::Xavier),
            dense_bias: weights.rows("dense.bias", [1, d], Init::Constant(0.0)),
            out: weights.matrix("out.weight", [d, d], Init::Xavier),
        }
    }

    fn width_and_length(shape: &Shape) -> (usize, usize) {
        (shape.d, shape.length)
    }

    fn sight(shape: &Shape) -> usize {
        shape.order
    }

    fn states(&self, tape: &mut Tape, x: Var) -> Var {
        let &Shape { order, dropout, .. } = &self.shape;
        let x = tape.dropout(x, dropout);
        let mut found = tape.vertical_convolution(x, self.vertical);
        for (filters, height) in self.horizontal.iter().zip(1..) {
            let matches = tape.convolution(x, filters.weight, filters.bias, height, 1);
            // A rectifier is monotone, so it may follow the maximum.
            let strongest = tape.sliding_max(matches, order - height + 1);
            let strongest = tape.activate(strongest, Activation::Relu, 0.0);
            found = tape.concat(found, strongest);
        }
        let found = tape.dropout(found, dropout);
        let z = tape.linear(found, self.dense, Some(self.dense_bias));
        let z = tape.activate(z, Activation::Relu, 0.0);
        tape.linear(z, self.out, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_kernel::Draws;
    use accrue_tensor::{Buffers, Mode};

    fn network() -> (Caser, Weights) {
        let settings = CaserSettings { d: 3, order: 4, length: 20, horizontal: 2, vertical: 2, ..Default::default() };
        let (shape, _) = Caser::plan(&settings).unwrap();
        let mut weights = Weights::new(7);
        let network = Caser::new(&shape, &mut weights);
        let mut draws = Draws::new(1, 2, 3);
        weights.change(|values| values.iter_mut().for_each(|value| *value = 0.5 * draws.normal()));
        (network, weights)
    }

    /// The states after each of these rows. `rows: [n, 3] → [n, 3]`
    fn states(network: &Caser, weights: &Weights, rows: &[f32]) -> Vec<f32> {
        let (mut buffers, segments) = (Buffers::default(), [rows.len() / 3]);
        let mut tape = Tape::new(&mut buffers, weights, &segments, Mode::Predict);
        let x = tape.leaf(rows.len() / 3, 3, |x| x.copy_from_slice(rows));
        let states = network.states(&mut tape, x);
        tape.value(states).to_vec()
    }

    fn rows(n: usize) -> Vec<f32> {
        let mut draws = Draws::new(4, 5, 6);
        (0..n * 3).map(|_| draws.normal()).collect()
    }

    /// The formula at the top of this file for one full window, as plain loops. `window: [4, 3] → [3]`
    fn by_the_paper(network: &Caser, weights: &Weights, window: &[f32]) -> Vec<f32> {
        let (d, order) = (3, 4);
        let mut found = Vec::new();
        for w in weights.of(network.vertical).chunks(order) {
            found.extend((0..d).map(|j| (0..order).map(|l| w[l] * window[l * d + j]).sum::<f32>()));
        }
        for (filters, height) in network.horizontal.iter().zip(1..) {
            for k in 0..2 {
                let at = |i: usize| {
                    let sees = &window[i * d..(i + height) * d];
                    let product: f32 =
                        sees.iter().zip(weights.of(filters.weight).chunks(2)).map(|(x, w)| x * w[k]).sum();
                    (product + weights.of(filters.bias)[k]).max(0.0)
                };
                found.push((0..=order - height).map(at).fold(0.0, f32::max));
            }
        }
        let times = |x: &[f32], w: &[f32], j: usize| x.iter().zip(w.chunks(d)).map(|(x, w)| x * w[j]).sum::<f32>();
        let bias = weights.of(network.dense_bias);
        let z: Vec<f32> = (0..d).map(|j| (times(&found, weights.of(network.dense), j) + bias[j]).max(0.0)).collect();
        (0..d).map(|j| times(&z, weights.of(network.out), j)).collect()
    }

    #[test]
    fn every_full_window_has_the_state_of_the_paper() {
        let ((network, weights), rows) = (network(), rows(9));
        let states = states(&network, &weights, &rows);
        for last in 3..9 {
            let expected = by_the_paper(&network, &weights, &rows[(last - 3) * 3..(last + 1) * 3]);
            for (found, expected) in states[last * 3..][..3].iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "row {last}: {found} against {expected}");
            }
        }
        assert!(states.iter().any(|x| *x != 0.0));
    }

    #[test]
    fn a_state_reads_only_the_last_items() {
        let ((network, weights), rows) = (network(), rows(9));
        let all = states(&network, &weights, &rows);
        let recent = states(&network, &weights, &rows[5 * 3..]);
        assert_eq!(all[8 * 3..], recent[3 * 3..]);
        let fewer = states(&network, &weights, &rows[6 * 3..]);
        assert_ne!(all[8 * 3..], fewer[2 * 3..]);
    }
}
