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
    #[inline]
    fn place(&self, value: f32) -> f32 {
        let last = (N_KNOTS - 1) as f32;
        match *self {
            Axis::Log { .. } if value <= 0.0 => 0.0,
            Axis::Log { low, step } => (1.0 + (log2(value) - low) / step).clamp(1.0, last),
            Axis::Linear { low, high } => ((value - low) / (high - low) * last).clamp(0.0, last),
        }
    }

    /// Knot below a value and the share of the next one.
    #[inline]
    fn locate(&self, value: f32) -> (usize, f32) {
        let place = self.place(value);
        let knot = (place as usize).min(N_KNOTS - 2);
        (knot, place - knot as f32)
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

/// One choice to learn from: the candidates that it was made among. Keep one, and fill it anew each time.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    groups: Vec<u32>,
    /// `[candidates, features]`
    rows: Vec<f32>,
    /// Logarithms of how many items a candidate stands for; after learning, probabilities.
    scores: Vec<f32>,
    /// `[features, candidates]`: knots and the shares of the next ones.
    cells: Vec<(u32, f32)>,
    /// `[groups, features, knots]`
    gradient: Vec<f32>,
}

impl Sample {
    /// Takes all candidates out.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.rows.clear();
        self.scores.clear();
    }

    /// After learning: the probability that candidate `place` had before.
    pub fn probability(&self, place: usize) -> f32 {
        self.scores[place]
    }

    /// Adds a candidate. It stands for `exp(stands_for)` items: a retrieved one for itself, one drawn at random for its share
    /// of the catalogue.
    pub fn push(&mut self, group: usize, row: &[f32], stands_for: f32) {
        self.groups.push(group as u32);
        self.rows.extend_from_slice(row);
        self.scores.push(stands_for);
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

    /// How many features a candidate has.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Goes on with these features instead, of which the first ones are those that there were: their curves stay as they are, a
    /// new one begins straight, one too many is forgotten.
    pub fn set_features(&mut self, features: &[Feature], n_groups: usize) {
        let fresh = Self::new(self.settings.clone(), features, n_groups);
        let n_kept = self.n_features.min(fresh.n_features) * N_KNOTS;
        let (width, wide) = (self.n_features * N_KNOTS, fresh.n_features * N_KNOTS);
        let carry = |from: &[f32], mut to: Vec<f32>| {
            for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(wide)) {
                to[..n_kept].copy_from_slice(&from[..n_kept]);
            }
            to
        };
        self.curves = carry(&self.curves, fresh.curves);
        self.averaged = carry(&self.averaged, fresh.averaged);
        self.squared = carry(&self.squared, fresh.squared);
        (self.n_features, self.axes) = (fresh.n_features, fresh.axes);
    }

    /// Puts other step sizes in force.
    pub fn set_settings(&mut self, settings: BlendSettings) {
        self.settings = settings;
    }

    /// What feature number `feature` adds to the score.
    #[inline]
    pub fn share(&self, group: usize, feature: usize, value: f32) -> f32 {
        let (knot, next) = self.axes[feature].locate(value);
        let curve = &self.averaged[(group * self.n_features + feature) * N_KNOTS..][..N_KNOTS];
        curve[knot] * (1.0 - next) + curve[knot + 1] * next
    }

    /// The score of a candidate with these features `[f]`.
    #[inline]
    pub fn score(&self, group: usize, features: &[f32]) -> f32 {
        features.iter().enumerate().map(|(feature, &value)| self.share(group, feature, value)).sum()
    }

    /// Learns that candidate `chosen` was taken from among those of the sample, and leaves their probabilities before the step.
    pub fn learn(&mut self, sample: &mut Sample, chosen: usize, weight: f32) {
        let Sample { groups, rows, scores, cells, gradient } = sample;
        cells.clear();
        // Where on which curve each value lies is found once, for the scores and for the gradient.
        for (feature, axis) in self.axes.iter().enumerate() {
            for (candidate, (&group, score)) in groups.iter().zip(scores.iter_mut()).enumerate() {
                let (knot, next) = axis.locate(rows[candidate * self.n_features + feature]);
                let place = (group as usize * self.n_features + feature) * N_KNOTS + knot;
                *score += self.curves[place] * (1.0 - next) + self.curves[place + 1] * next;
                cells.push((place as u32, next));
            }
        }
        accrue_kernel::softmax_in_place(scores);
        gradient.clear();
        gradient.resize(self.curves.len(), 0.0);
        for cells in cells.chunks_exact(groups.len().max(1)) {
            for (candidate, (&(place, next), &probability)) in cells.iter().zip(scores.iter()).enumerate() {
                let error = probability - f32::from(candidate == chosen);
                gradient[place as usize] += error * (1.0 - next);
                gradient[place as usize + 1] += error * next;
            }
        }
        let BlendSettings { rate, forget, average } = self.settings;
        for ((curve, squared), gradient) in self.curves.iter_mut().zip(&mut self.squared).zip(gradient.iter()) {
            if *gradient != 0.0 {
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
