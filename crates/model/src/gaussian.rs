//! The Gaussian view of a score: what the models expect, and how far they may be off.
//!
//! A row with many updates is known better than one that was just created. Adagrad keeps, beside each row, the sum of
//! its
//! squared gradients; for a logistic loss their expectation is the Hessian's (the Fisher information), so the sum is a precision
//! (Laplace's approximation; MacKay, *The evidence framework applied to classification networks*, 1992). With rows as
//! independent Gaussians, `μ` their numbers and `σ²` one variance for all numbers of a row, a dot product has
//!
//! ```text
//! E[u·p]   = μu · μp
//! Var[u·p] = Σ (μu² σp² + μp² σu² + σu² σp²) = |μu|² σp² + |μp|² σu² + d σu² σp²
//! ```
//!
//! In: rows, variances. Out: a mean and a variance. [`Thompson`](crate::Thompson) uses it to draw the first places of a
//! page in proportion to how likely each item is to be the best. An interval is for the score that the models would
//! give after learning much more from the same histories. Two constants of [`RowBelief`] were fitted on one simulated
//! shop, and hold on others (`lab/src/calibration.rs`). Not included: the shift that all scores have in common in a
//! shop of a few days, where intervals are too narrow, and the biases, which are taken as known. Refuses nothing.

use accrue_kernel::{Draws, exp, squared_norm};

/// A normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// What is expected.
    pub mean: f32,
    /// How far off it may be, squared; at least 0.
    pub variance: f32,
}

/// A row whose values are uncertain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowBelief<'a> {
    /// What is expected of the numbers. `[d]`
    pub mean: &'a [f32],
    /// The variance of each of them.
    pub variance: f32,
}

impl RowBelief<'_> {
    /// The prior variance of a row's numbers: of one that has learned nothing.
    pub const PRIOR: f32 = 0.05;
    /// The weight of the sum of squared gradients in the precision. It is below 1, because events repeat each other and
    /// rows change while they are learned.
    pub const EVIDENCE: f32 = 0.6;

    /// The variance of a row's numbers after mean squared gradients that sum to `squared`.
    pub fn variance_after(squared: f32) -> f32 {
        1.0 / (1.0 / Self::PRIOR + Self::EVIDENCE * squared)
    }
}

impl Gaussian {
    /// The dot product of two rows of one width.
    pub fn of_product(u: RowBelief<'_>, p: RowBelief<'_>) -> Self {
        let (of_u, of_p) = (squared_norm(u.mean), squared_norm(p.mean));
        let d = u.mean.len() as f32;
        let variance = of_u * p.variance + of_p * u.variance + d * u.variance * p.variance;
        Self { mean: accrue_kernel::dot(u.mean, p.mean), variance }
    }

    /// The root of the variance.
    pub fn deviation(self) -> f32 {
        self.variance.sqrt()
    }

    /// The interval around the mean that holds `share` of the distribution, 0 to below 1.
    pub fn interval(self, share: f32) -> (f32, f32) {
        // By bisection: Φ rises, and 40 halvings are finer than the numbers.
        let (mut low, mut high) = (0.0_f32, 8.0_f32);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            *(if 2.0 * normal_below(middle) - 1.0 < share { &mut low } else { &mut high }) = middle;
        }
        (self.mean - high * self.deviation(), self.mean + high * self.deviation())
    }

    /// A number drawn from it.
    pub fn sample(self, draws: &mut Draws) -> f32 {
        self.mean + self.deviation() * draws.normal()
    }

    /// The share of it below `x`; a step where the variance is 0.
    pub fn below(self, x: f32) -> f32 {
        match self.variance > 0.0 {
            true => normal_below((x - self.mean) / self.deviation()),
            false => f32::from(u8::from(x >= self.mean)),
        }
    }
}

/// `Φ(x)`, by the error function's rational approximation of Hastings (Abramowitz and Stegun 7.1.26), off by less than 10⁻⁶.
pub(crate) fn normal_below(x: f32) -> f32 {
    let z = f64::from(x.abs()) * std::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let beyond = 0.5 * series * f64::from(exp(-(z * z) as f32));
    (if x < 0.0 { beyond } else { 1.0 - beyond }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_of_a_product_are_those_of_drawn_rows() {
        let (d, n_drawn) = (12, 40_000);
        let mut draws = Draws::new(1, 2, 3);
        let mut row = |deviation: f32| (0..d).map(|_| deviation * draws.normal()).collect::<Vec<f32>>();
        let (u, p) = (row(0.8), row(0.5));
        for (of_u, of_p) in [(0.3, 0.2), (0.0, 0.5), (0.9, 0.0), (1.5, 1.5)] {
            let believed = Gaussian::of_product(
                RowBelief { mean: &u, variance: of_u * of_u },
                RowBelief { mean: &p, variance: of_p * of_p },
            );
            let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
            for number in 0..n_drawn {
                let mut draws = Draws::new(4, 5, number);
                let mut near =
                    |x: f32, deviation: f32| Gaussian { mean: x, variance: deviation * deviation }.sample(&mut draws);
                let score: f32 = u.iter().zip(&p).map(|(&u, &p)| near(u, of_u) * near(p, of_p)).sum();
                sum += f64::from(score);
                squares += f64::from(score) * f64::from(score);
            }
            let mean = sum / n_drawn as f64;
            let variance = squares / n_drawn as f64 - mean * mean;
            let four_errors = 4.0 * (variance / n_drawn as f64).sqrt();
            assert!((mean - f64::from(believed.mean)).abs() < four_errors, "{mean} {believed:?}");
            assert!((variance / f64::from(believed.variance) - 1.0).abs() < 0.05, "{variance} {believed:?}");
        }
    }

    #[test]
    fn intervals_hold_their_share_of_what_is_drawn() {
        let belief = Gaussian { mean: -2.0, variance: 9.0 };
        for (share, half) in [(0.8, 1.281_552_f32), (0.95, 1.959_964), (0.0, 0.0)] {
            let (low, high) = belief.interval(share);
            assert!((low + 2.0 + 3.0 * half).abs() < 1e-4 && (high + 2.0 - 3.0 * half).abs() < 1e-4, "{low} {high}");
            let mut draws = Draws::new(7, 8, 9);
            let n_inside = (0..20_000).filter(|_| (low..high).contains(&belief.sample(&mut draws))).count();
            assert!((n_inside as f32 / 20_000.0 - share).abs() < 0.012, "{share}: {n_inside}");
        }
    }

    #[test]
    fn the_share_below_is_that_of_tables() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.0, 0.158_655_3), (3.0, 0.998_650_1), (-9.0, 0.0)] {
            assert!((normal_below(x) - share).abs() < 1e-6, "{x}");
        }
        let sure = Gaussian { mean: 2.0, variance: 0.0 };
        assert_eq!((sure.below(1.9), sure.below(2.0)), (0.0, 1.0));
    }
}
