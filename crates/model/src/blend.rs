//! The blend: one learned curve for each feature, added up, so that a score is the sum of its reasons.
//!
//! `s(i) = Σ_f curve_{g,f}(x_f(i))`: a generalised additive model (Hastie, Tibshirani 1986) with piecewise-linear curves. The
//! group g tells whether a visit is going on and whether the shopper chose the item before, since evidence means different
//! things then. Learned online by the softmax cross-entropy of the item that was chosen against its fellow candidates; scores
//! come from an average of the last curves (Polyak, Juditsky 1992), for a step that follows the shop also follows its noise.
//! In: feature rows. Out: scores, and each feature's share.

use serde::{Deserialize, Serialize};

use crate::decay::log2;

/// Knots of a curve.
pub const N_KNOTS: usize = 16;

/// How a feature's values are laid along its curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Axis {
    /// Zero has knot 0 of its own; knots 1 … lie at `2^low`, `2^(low + step)`, …
    Log {
        /// Exponent at knot 1.
        low: f32,
        /// Exponents from knot to knot.
        step: f32,
    },
    /// Knots at equal distances from `low` to `high`.
    Linear {
        /// Value at knot 0.
        low: f32,
        /// Value at the last knot.
        high: f32,
    },
}

impl Axis {
    /// Place of a value along the curve, from 0 to the last knot.
    fn place(&self, value: f32) -> f32 {
        let last = (N_KNOTS - 1) as f32;
        match *self {
            Axis::Log { .. } if value <= 0.0 => 0.0,
            Axis::Log { low, step } => (1.0 + (log2(value) - low) / step).clamp(1.0, last),
            Axis::Linear { low, high } => ((value - low) / (high - low) * last).clamp(0.0, last),
        }
    }
}

/// A feature: its name in reasons, its axis, and what a step along the axis is worth before anything is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Name in reasons and metrics.
    pub name: &'static str,
    /// How values are laid out.
    pub axis: Axis,
    /// Initial slope, in score per knot.
    pub slope: f32,
}

/// Step sizes of the blend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlendSettings {
    /// Step of the curves.
    pub rate: f32,
    /// Share of the squared gradients that a step forgets: the rate never dies out.
    pub forget: f32,
    /// Share of the latest curves in the average that scores: about one over the steps that it looks back.
    pub average: f32,
}

impl Default for BlendSettings {
    fn default() -> Self {
        Self { rate: 0.05, forget: 1e-3, average: 2e-3 }
    }
}

/// The curves of all groups and features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    settings: BlendSettings,
    n_features: usize,
    axes: Vec<Axis>,
    /// `[groups, features, knots]`: what learns.
    curves: Vec<f32>,
    /// Their average, of the same shape: what scores.
    averaged: Vec<f32>,
    /// Decayed squared gradients, of the same shape.
    squared: Vec<f32>,
    /// Steps taken.
    steps: u64,
}

impl Blend {
    /// Straight curves with the features' initial slopes, for `n_groups` groups.
    pub fn new(settings: BlendSettings, features: &[Feature], n_groups: usize) -> Self {
        let curve = |feature: &Feature| (0..N_KNOTS).map(|knot| feature.slope * knot as f32).collect::<Vec<_>>();
        let curves: Vec<f32> = (0..n_groups).flat_map(|_| features.iter().flat_map(curve)).collect();
        Self {
            settings,
            n_features: features.len(),
            axes: features.iter().map(|feature| feature.axis).collect(),
            squared: vec![0.0; curves.len()],
            averaged: curves.clone(),
            steps: 0,
            curves,
        }
    }

    /// Puts other step sizes in force.
    pub fn set_settings(&mut self, settings: BlendSettings) {
        self.settings = settings;
    }

    /// Knot below a value and the share of the next one, per feature.
    fn locate(&self, feature: usize, value: f32) -> (usize, f32) {
        let place = self.axes[feature].place(value);
        let knot = (place as usize).min(N_KNOTS - 2);
        (knot, place - knot as f32)
    }

    /// What feature number `feature` adds to the score.
    pub fn share(&self, group: usize, feature: usize, value: f32) -> f32 {
        self.read(&self.averaged, group, feature, value)
    }

    /// The score of a candidate with these features `[f]`.
    pub fn score(&self, group: usize, features: &[f32]) -> f32 {
        features.iter().enumerate().map(|(feature, &value)| self.share(group, feature, value)).sum()
    }

    /// The height of a curve at a value.
    fn read(&self, curves: &[f32], group: usize, feature: usize, value: f32) -> f32 {
        let (knot, next) = self.locate(feature, value);
        let curve = &curves[(group * self.n_features + feature) * N_KNOTS..][..N_KNOTS];
        curve[knot] * (1.0 - next) + curve[knot + 1] * next
    }

    /// Learns that candidate `chosen` was taken from among `candidates` (each a group and a row of `rows` `[n, f]`).
    /// `scores` `[n]` comes in with the logarithm of how many items each candidate stands for (a retrieved one for itself,
    /// one drawn at random for its share of the catalogue) and goes out as probabilities before the step.
    pub fn learn(&mut self, groups: &[usize], rows: &[f32], chosen: usize, weight: f32, scores: &mut [f32]) {
        let rows_of = |candidate: usize| &rows[candidate * self.n_features..][..self.n_features];
        for (candidate, (&group, score)) in groups.iter().zip(scores.iter_mut()).enumerate() {
            let row = rows_of(candidate).iter().enumerate();
            *score += row.map(|(feature, &value)| self.read(&self.curves, group, feature, value)).sum::<f32>();
        }
        accrue_kernel::softmax_in_place(scores);
        let mut gradient = vec![0.0; self.curves.len()];
        for (candidate, (&group, &probability)) in groups.iter().zip(scores.iter()).enumerate() {
            let error = probability - f32::from(candidate == chosen);
            for (feature, &value) in rows_of(candidate).iter().enumerate() {
                let (knot, next) = self.locate(feature, value);
                let place = (group * self.n_features + feature) * N_KNOTS + knot;
                gradient[place] += error * (1.0 - next);
                gradient[place + 1] += error * next;
            }
        }
        let BlendSettings { rate, forget, average } = self.settings;
        for ((curve, squared), gradient) in self.curves.iter_mut().zip(&mut self.squared).zip(gradient) {
            if gradient != 0.0 {
                *squared += gradient * gradient - forget * *squared;
                *curve -= weight * rate * gradient / (squared.sqrt() + 1e-3);
            }
        }
        // A young average is the plain mean of what there was.
        self.steps += 1;
        let average = average.max(1.0 / self.steps as f32);
        for (averaged, curve) in self.averaged.iter_mut().zip(&self.curves) {
            *averaged += average * (curve - *averaged);
        }
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        self.curves.len() as u64
    }

    /// Whether every parameter is finite.
    pub fn is_finite(&self) -> bool {
        self.curves.iter().chain(&self.averaged).all(|number| number.is_finite())
    }
}
