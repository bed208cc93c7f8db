//! How well one head predicted: order, loss and calibration over about the last [`HALF_LIFE`] impressions and a half.
//!
//! In: the probability that was predicted when an impression was shown, and whether it happened. Out: figures. The
//! predictions are counted in bins of equal width of the logit, so the state has a fixed size; with 128 bins the area
//! under the curve differs from the exact one by less than .001.

use serde::{Deserialize, Serialize};

use super::measure::{DECILES, Decile, calibration_error};

/// Bins of the logit, from the lowest to the highest.
const N_BINS: usize = 128;
const LOWEST: f32 = -10.0;
const WIDTH: f32 = 0.125;
/// Impressions after which a count weighs half.
pub const HALF_LIFE: f64 = 20_000.0;
/// When one impression weighs this much, all counts are scaled down.
const HEAVIEST: f64 = 1e9;

/// The counts of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadQuality {
    /// What one impression weighs now. It grows, in place of shrinking all counts.
    unit: f64,
    n: Vec<f64>,
    predicted: Vec<f64>,
    happened: Vec<f64>,
    loss: f64,
}

impl Default for HeadQuality {
    fn default() -> Self {
        let zeros = vec![0.0; N_BINS];
        Self { unit: 1.0, n: zeros.clone(), predicted: zeros.clone(), happened: zeros, loss: 0.0 }
    }
}

impl HeadQuality {
    /// Counts a prediction.
    pub fn count(&mut self, probability: f32, label: f32) {
        let p = f64::from(probability.clamp(1e-7, 1.0 - 1e-7));
        let logit = libm::log(p / (1.0 - p)) as f32;
        let bin = (((logit - LOWEST) / WIDTH).clamp(0.0, (N_BINS - 1) as f32)) as usize;
        self.n[bin] += self.unit;
        self.predicted[bin] += self.unit * p;
        self.happened[bin] += self.unit * f64::from(label);
        self.loss -= self.unit * libm::log(if label > 0.5 { p } else { 1.0 - p });
        self.unit *= libm::exp2(1.0 / HALF_LIFE);
        if self.unit > HEAVIEST {
            let scale = 1.0 / self.unit;
            self.unit = 1.0;
            self.loss *= scale;
            [&mut self.n, &mut self.predicted, &mut self.happened].into_iter().flatten().for_each(|x| *x *= scale);
        }
    }

    /// Impressions that the figures are of, the latest of them counting 1.
    pub fn n(&self) -> f64 {
        self.n.iter().sum::<f64>() / self.unit
    }

    /// Share of them in which it happened.
    pub fn happened(&self) -> f64 {
        self.happened.iter().sum::<f64>() / self.n.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// Mean predicted probability.
    pub fn predicted(&self) -> f64 {
        self.predicted.iter().sum::<f64>() / self.n.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// Area under the curve; 0 as long as only one outcome occurred.
    pub fn auc(&self) -> f64 {
        let (mut below, mut ordered) = (0.0, 0.0);
        for (n, happened) in self.n.iter().zip(&self.happened) {
            let not = n - happened;
            ordered += happened * (below + 0.5 * not);
            below += not;
        }
        let pairs = below * self.happened.iter().sum::<f64>();
        if pairs > 0.0 { ordered / pairs } else { 0.0 }
    }

    /// Mean of `−ln p` of what happened.
    pub fn log_loss(&self) -> f64 {
        self.loss / self.n.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// Predicted and observed rates by tenths of the impressions. A bin on a border is divided.
    pub fn deciles(&self) -> Vec<Decile> {
        let total: f64 = self.n.iter().sum();
        let mut deciles = Vec::new();
        let (mut bin, mut taken) = (0, 0.0);
        for _ in 0..DECILES {
            let (mut left, mut predicted, mut happened) = (total / DECILES as f64, 0.0, 0.0);
            while bin < N_BINS && left > 0.0 {
                let in_bin = self.n[bin] - taken;
                let now = in_bin.min(left);
                if self.n[bin] > 0.0 {
                    predicted += now / self.n[bin] * self.predicted[bin];
                    happened += now / self.n[bin] * self.happened[bin];
                }
                left -= now;
                taken += now;
                if now >= in_bin {
                    (bin, taken) = (bin + 1, 0.0);
                }
            }
            let n = total / DECILES as f64 - left.max(0.0);
            if n > 0.0 {
                let weight = (n / self.unit).round() as usize;
                deciles.push(Decile { n: weight, predicted: predicted / n, happened: happened / n });
            }
        }
        deciles
    }

    /// The figures.
    pub fn figures(&self) -> HeadFigures {
        let deciles = self.deciles();
        let distances = deciles.iter().map(|tenth| (tenth.predicted - tenth.happened).abs());
        HeadFigures {
            rate: self.happened(),
            predicted: self.predicted(),
            auc: self.auc(),
            logloss: self.log_loss(),
            calibration: calibration_error(&deciles),
            calibration_worst: distances.fold(0.0, f64::max),
        }
    }
}

/// How well one head predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HeadFigures {
    /// Share of impressions in which it happened.
    pub rate: f64,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Area under the curve.
    pub auc: f64,
    /// Mean of `−ln p` of what happened.
    pub logloss: f64,
    /// Mean distance between predicted and observed rates over tenths of the impressions.
    pub calibration: f64,
    /// The largest of these distances.
    pub calibration_worst: f64,
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;
    use crate::ranker::{auc, log_loss};

    #[test]
    fn figures_of_bins_are_near_the_exact_ones() {
        let mut quality = HeadQuality::default();
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        let mut draws = Draws::new(1, 2, 3);
        for _ in 0..4_000 {
            let p = accrue_kernel::sigmoid(1.5 * draws.normal() - 2.0);
            let label = f32::from(u8::from(draws.uniform() < p));
            quality.count(p, label);
            labels.push(label);
            probabilities.push(p);
        }
        // With this few the half-life changes the figures by less than the tolerance.
        assert!((quality.auc() - auc(&labels, &probabilities)).abs() < 0.01);
        assert!((quality.log_loss() - log_loss(&labels, &probabilities)).abs() < 0.01);
        assert!(quality.figures().calibration < 0.04, "{:?}", quality.figures());
        let deciles = quality.deciles();
        assert_eq!(deciles.len(), 10);
        assert!(deciles.windows(2).all(|pair| pair[0].predicted < pair[1].predicted), "{deciles:?}");
    }

    #[test]
    fn old_predictions_fade_and_nothing_overflows() {
        let mut quality = HeadQuality::default();
        (0..700_000).for_each(|_| quality.count(0.9, 0.0));
        (0..200_000).for_each(|_| quality.count(0.1, 0.0));
        assert!(quality.predicted() < 0.11 && quality.happened() == 0.0, "{}", quality.predicted());
        assert!((quality.n() - 28_854.0).abs() < 100.0, "{}", quality.n());
        assert_eq!(HeadQuality::default().deciles().len(), 0);
        assert_eq!((HeadQuality::default().auc(), HeadQuality::default().log_loss()), (0.0, 0.0));
    }
}
