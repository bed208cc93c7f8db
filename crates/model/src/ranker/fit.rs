//! Fits a click model: passes over the rows until a validation part gets no better, from several seeds, calibrated.
//!
//! In: rows to learn from, rows to validate on, settings, a seed. Out: models whose mean logit predicts, and the line
//! that maps it to a probability. The same bytes on any number of threads.
//!
//! After each pass the validation rows are predicted with the mean of the recent weights. The best pass is kept. The
//! logit is calibrated by Platt, *Probabilistic outputs for support vector machines* (1999): a scale and a shift, fitted
//! by Newton's method on the validation rows.

use accrue_kernel::{Draws, random, sigmoid};

use super::measure::{auc, log_loss};
use super::model::ClickModel;
use super::rows::{ClickRows, ClickShape};
use crate::collaborative::{Epoch, Fit, FitError};

/// Streams of random numbers.
const ORDER: u64 = 0x636c_6963_0004;
const SEEDS: u64 = 0x636c_6963_0005;
/// Steps of Newton's method; it is at rest after about six.
const NEWTON_STEPS: usize = 30;

/// Rows to learn from and rows that say when to stop.
#[derive(Clone, Copy, Debug)]
pub struct ClickData<'a> {
    /// Rows to learn from.
    pub train: &'a ClickRows,
    /// Rows to validate and calibrate on.
    pub valid: &'a ClickRows,
    /// Fields and features of both.
    pub shape: ClickShape,
}

/// A fitted click model.
#[derive(Clone, Debug)]
pub struct FittedClicks<M> {
    models: Vec<M>,
    calibration: Calibration,
}

/// The line from a logit to the logit of a calibrated probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Factor of the logit.
    pub scale: f64,
    /// What is added.
    pub shift: f64,
}

impl Calibration {
    /// Changes nothing.
    pub const NONE: Self = Self { scale: 1.0, shift: 0.0 };

    /// The line with the smallest loss on these rows. `labels, logits: [n]`
    pub fn of(labels: &[f32], logits: &[f32]) -> Self {
        let mut line = Self::NONE;
        for _ in 0..NEWTON_STEPS {
            // Gradient and curvature of the mean loss, with a little pull towards no change, which keeps the curvature
            // above 0 where all logits are equal.
            let pull = 1e-6;
            let mut g = [pull * (line.scale - 1.0), pull * line.shift];
            let mut h = [pull, 0.0, pull];
            for (&label, &z) in labels.iter().zip(logits) {
                let z = f64::from(z);
                let p = 1.0 / (1.0 + libm::exp(-(line.scale * z + line.shift)));
                let (slope, curve) = (p - f64::from(label), p * (1.0 - p));
                let n = labels.len() as f64;
                g = [g[0] + slope * z / n, g[1] + slope / n];
                h = [h[0] + curve * z * z / n, h[1] + curve * z / n, h[2] + curve / n];
            }
            let determinant = h[0] * h[2] - h[1] * h[1];
            let by = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
            let next = Self { scale: line.scale - by[0], shift: line.shift - by[1] };
            if !(next.scale.is_finite() && next.shift.is_finite() && next.scale > 0.0) {
                return line;
            }
            line = next;
        }
        line
    }

    /// The probability of a logit.
    pub fn probability(self, logit: f32) -> f32 {
        sigmoid((self.scale * f64::from(logit) + self.shift) as f32)
    }
}

impl<M: ClickModel> FittedClicks<M> {
    /// Fits as many models as the settings say.
    ///
    /// # Errors
    /// [`FitError`] if there is nothing to learn from, a setting is not valid or training diverges.
    pub fn fit(data: ClickData<'_>, settings: &M::Settings, fit: &Fit<'_>) -> Result<Self, FitError> {
        if data.train.is_empty() || data.valid.is_empty() {
            return Err(FitError::Empty);
        }
        let n_seeds = M::training(settings).seeds;
        let models = (0..n_seeds).map(|nth| fit_one::<M>(data, settings, nth, fit)).collect::<Result<Vec<_>, _>>()?;
        let mut fitted = Self { models, calibration: Calibration::NONE };
        let logits = fitted.logits(data.valid, fit.threads);
        fitted.calibration = Calibration::of(data.valid.labels(), &logits);
        Ok(fitted)
    }

    /// The mean logit of each row.
    pub fn logits(&self, rows: &ClickRows, threads: usize) -> Vec<f32> {
        let (mut sum, mut one) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        for model in &self.models {
            model.logits(rows, 0, threads, &mut one);
            accrue_kernel::axpy(1.0 / self.models.len() as f32, &one, &mut sum);
        }
        sum
    }

    /// The calibrated probability of each row.
    pub fn probabilities(&self, rows: &ClickRows, threads: usize) -> Vec<f32> {
        self.logits(rows, threads).into_iter().map(|logit| self.calibration.probability(logit)).collect()
    }

    /// The calibration.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        self.models.iter().map(M::n_params).sum()
    }
}

/// Fits one model, from the seed that has this number.
fn fit_one<M: ClickModel>(
    data: ClickData<'_>,
    settings: &M::Settings,
    nth: usize,
    fit: &Fit<'_>,
) -> Result<M, FitError> {
    let training = M::training(settings).clone();
    let seed = if nth == 0 { fit.seed } else { random(fit.seed, SEEDS, nth as u64, 0) };
    let mut model = M::new(settings, data.shape, seed)?;
    let mut order: Vec<u32> = (0..data.train.len() as u32).collect();
    let (mut best, mut kept, mut n_worse) = (f64::NEG_INFINITY, None, 0);
    let mut rate = training.learning_rate as f32;
    let mut logits = vec![0.0; data.valid.len()];
    let n_epochs = training.epochs * training.seeds;
    for epoch in 1..=training.epochs {
        Draws::new(seed, ORDER, epoch as u64).shuffle(&mut order);
        let mut loss = 0.0;
        for chosen in order.chunks(training.batch) {
            fit.go_on()?;
            let of_step = model.step(data.train, chosen, rate, fit.threads);
            loss += of_step.map_err(|_| FitError::Diverged { epoch })? * chosen.len() as f64;
        }
        let candidate = model.averaged();
        candidate.as_ref().unwrap_or(&model).logits(data.valid, 0, fit.threads, &mut logits);
        let value = value(data.valid.labels(), &logits);
        if !value.is_finite() {
            return Err(FitError::Diverged { epoch });
        }
        let loss = Some(loss / order.len() as f64);
        (fit.progress)(Epoch { done: nth * training.epochs + epoch, of: n_epochs, loss });
        if value > best {
            (best, kept, n_worse) = (value, Some(candidate.unwrap_or_else(|| model.clone())), 0);
        } else {
            (rate, n_worse) = (rate * training.slower as f32, n_worse + 1);
            if n_worse > training.patience {
                break;
            }
        }
    }
    kept.ok_or(FitError::Diverged { epoch: 0 })
}

/// What a pass is judged by: order and loss together, as in BARS (Zhu et al., *BARS: towards open benchmarking for
/// recommender systems*, SIGIR 2022).
fn value(labels: &[f32], logits: &[f32]) -> f64 {
    let probabilities: Vec<f32> = logits.iter().map(|&logit| sigmoid(logit)).collect();
    auc(labels, logits) - log_loss(labels, &probabilities)
}
