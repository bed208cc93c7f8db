//! A fitted sequence network with its table of items: from a history to a score for every item.

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, multiply};
use accrue_tensor::{Buffers, Mode, Tape, Weights};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::trainer::Trainer;
use crate::collaborative::{CollaborativeModel, Fit, FitError, Interactions};
use crate::stored::StoredFault;

/// A fitted network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved<N::Shape>", into = "Saved<N::Shape>", bound = "")]
pub struct Sequential<N: Network> {
    shape: N::Shape,
    network: N,
    weights: Weights,
    /// `[n_items, d]`
    items: Vec<f32>,
    /// The same, transposed and packed. `[d, n_items]`
    packed: Packed,
    /// Scores of an empty history. `[n_items]`
    popularity: Vec<f32>,
}

/// The stored form of a fitted network.
#[derive(Serialize, Deserialize)]
struct Saved<S> {
    shape: S,
    weights: Vec<f32>,
    items: Vec<f32>,
    popularity: Vec<f32>,
}

impl<N: Network> From<Sequential<N>> for Saved<N::Shape> {
    fn from(model: Sequential<N>) -> Self {
        let Sequential { shape, weights, items, popularity, .. } = model;
        Self { shape, weights: weights.values().to_vec(), items, popularity }
    }
}

impl<N: Network> TryFrom<Saved<N::Shape>> for Sequential<N> {
    type Error = StoredFault;

    fn try_from(saved: Saved<N::Shape>) -> Result<Self, StoredFault> {
        let Saved { shape, weights: values, items, popularity } = saved;
        let mut weights = Weights::new(0);
        let network = N::new(&shape, &mut weights);
        let (n_expected, d) = (weights.values().len(), N::width_and_length(&shape).0);
        if values.len() != n_expected || items.len() != popularity.len() * d {
            let (found, expected) = (vec![values.len(), items.len()], vec![n_expected, popularity.len() * d]);
            return Err(StoredFault::Sizes { what: "weights, and vectors of items", found, expected });
        }
        if !values.iter().chain(&items).chain(&popularity).all(|x| x.is_finite()) {
            return Err(StoredFault::NotFinite);
        }
        weights.change(|to| to.copy_from_slice(&values));
        Ok(Self::assemble(shape, network, weights, items, popularity))
    }
}

impl<N: Network> PartialEq for Sequential<N> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self.weights.values() == other.weights.values()
            && self.items == other.items
            && self.popularity == other.popularity
    }
}

impl<N: Network> Sequential<N> {
    fn assemble(shape: N::Shape, network: N, weights: Weights, items: Vec<f32>, popularity: Vec<f32>) -> Self {
        let d = N::width_and_length(&shape).0;
        let packed = Packed::of(View::new(&items, popularity.len(), d).transposed());
        Self { shape, network, weights, items, packed, popularity }
    }

    /// The states after the last item of each history. `histories: none empty → [histories.len(), d]`
    fn last_states(&self, histories: &[&[u32]]) -> Vec<f32> {
        let (d, sight) = (N::width_and_length(&self.shape).0, N::sight(&self.shape));
        let recent: Vec<&[u32]> =
            histories.iter().map(|history| &history[history.len().saturating_sub(sight)..]).collect();
        let segments: Vec<usize> = recent.iter().map(|history| history.len()).collect();
        let mut buffers = Buffers::default();
        let mut tape = Tape::new(&mut buffers, &self.weights, &segments, Mode::Predict);
        let x = tape.leaf(segments.iter().sum(), d, |x| {
            for (x, &item) in x.chunks_exact_mut(d).zip(recent.iter().copied().flatten()) {
                x.copy_from_slice(&self.items[item as usize * d..][..d]);
            }
        });
        let states = self.network.states(&mut tape, x);
        let last = tape.last_rows();
        let states = tape.value(states);
        last.iter().flat_map(|&row| &states[row as usize * d..][..d]).copied().collect()
    }
}

impl<N: Network> Trainer<'_, N> {
    /// The fitted model so far.
    pub fn model(&self) -> Sequential<N> {
        let popularity = self.data.counts().iter().map(|&n| accrue_kernel::ln(1.0 + n as f32)).collect();
        let (network, weights, items) = (self.network.clone(), self.weights.clone(), self.items.clone());
        Sequential::assemble(self.shape.clone(), network, weights, items, popularity)
    }
}

impl<N: Network> CollaborativeModel for Sequential<N> {
    type Settings = N::Settings;

    fn fit(data: &Interactions, settings: &N::Settings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let (shape, training) = N::plan(settings)?;
        let mut trainer: Trainer<N> = Trainer::new(&shape, training, data, fit.seed, fit.threads)?;
        trainer.train(fit)?;
        Ok(trainer.model())
    }

    fn n_params(&self) -> u64 {
        (self.weights.values().len() + self.items.len()) as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        self.score_batch(&[history], out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let n_items = self.popularity.len();
        let (places, known): (Vec<usize>, Vec<&[u32]>) =
            histories.iter().enumerate().filter(|(_, history)| !history.is_empty()).map(|(i, h)| (i, *h)).unzip();
        for (history, out) in histories.iter().zip(out.chunks_exact_mut(n_items.max(1))) {
            if history.is_empty() {
                out.copy_from_slice(&self.popularity);
            }
        }
        // A small batch keeps its activations in the cache; scores do not depend on how histories are batched.
        const AT_ONCE: usize = 16;
        let mut scores = vec![0.0; AT_ONCE.min(known.len()) * n_items];
        for (places, known) in places.chunks(AT_ONCE).zip(known.chunks(AT_ONCE)) {
            let (n, states) = (known.len(), self.last_states(known));
            let (states, scores) = (View::new(&states, n, states.len() / n), &mut scores[..n * n_items]);
            let to = ViewMut::new(scores, n, n_items);
            multiply(states, &self.packed, Start::Zero, Activation::Identity, to);
            for (&place, scores) in places.iter().zip(scores.chunks_exact(n_items)) {
                out[place * n_items..][..n_items].copy_from_slice(scores);
            }
        }
    }
}
