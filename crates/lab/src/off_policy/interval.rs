//! 95 % intervals of a ratio of sums, over users, because decisions of one user are correlated.
//!
//! With `V = Σy/Σx` and `e_u = Σ_{i of u} (y_i − V·x_i)`, the linearised variance is `U/(U−1)·Σ e_u² / (Σx)²` (Liang,
//! Zeger 1986). The quantile is that of Student's distribution with `2U/(κ − 1)` degrees of freedom, at most `U − 1`, where `κ` is
//! the kurtosis of the `e_u` (Satterthwaite 1946): with large weights few users make most of the variance, which is then
//! known less well than from as many equal ones. The interval is
//! valid if it is read once, at a planned time; for reading at any time see [`super::ConfidenceSequence`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metrics::Interval;

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The least degrees of freedom that a kurtosis may lead to.
const FEWEST: f64 = 6.0;

/// A mean with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean reward per decision.
    pub value: f64,
    /// The standard error, over users.
    pub standard_error: f64,
    /// The 95 % interval over users, valid for one reading.
    pub ci95: Interval,
}

/// The ratio `Σy/Σx` over `(user, y, x)`, with its interval. `None` for fewer than two users, or if `Σx` is not above
/// 0.
pub fn clustered(terms: impl Iterator<Item = (u32, f64, f64)>) -> Option<Estimate> {
    let mut by_user: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (user, y, x) in terms {
        let (sum_y, sum_x) = by_user.entry(user).or_default();
        *sum_y += y;
        *sum_x += x;
    }
    let (y, x) = by_user.values().fold((0.0, 0.0), |(y, x), user| (y + user.0, x + user.1));
    let n = by_user.len() as f64;
    if by_user.len() < 2 || x <= 0.0 {
        return None;
    }
    let value = y / x;
    let residuals = || by_user.values().map(|user| user.0 - value * user.1);
    let squares: f64 = residuals().map(|e| e.powi(2)).sum();
    let standard_error = (n / (n - 1.0) * squares).sqrt() / x;
    let kurtosis = n * residuals().map(|e| e.powi(4)).sum::<f64>() / (squares * squares).max(f64::MIN_POSITIVE);
    let half = student(degrees_of_freedom(n, kurtosis)) * standard_error;
    Some(Estimate { value, standard_error, ci95: Interval(value - half, value + half) })
}

/// Of the variance of `n` residuals with this kurtosis.
fn degrees_of_freedom(n: f64, kurtosis: f64) -> f64 {
    let of_variance = if kurtosis > 1.0 { 2.0 * n / (kurtosis - 1.0) } else { n };
    // Below, the expansion of the quantile is not exact enough.
    of_variance.max(FEWEST).min(n - 1.0)
}

/// The 97.5 % quantile of Student's distribution, by the expansion in `1/ν` (Cornish, Fisher 1938); within 0.1 % for ν
/// ≥ 6.
fn student(nu: f64) -> f64 {
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    Z + (z3 + Z) / (4.0 * nu)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * nu.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / (384.0 * nu.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_the_tables() {
        for (nu, expected) in [(9.0, 2.2622), (30.0, 2.0423), (1000.0, 1.9623)] {
            assert!((student(nu) - expected).abs() < 2e-3, "{nu}: {}", student(nu));
        }
    }

    #[test]
    fn where_few_users_make_the_variance_the_quantile_is_larger() {
        assert_eq!(degrees_of_freedom(300.0, 3.0), 299.0, "normal residuals");
        assert_eq!(degrees_of_freedom(300.0, 31.0), 20.0);
        assert_eq!((degrees_of_freedom(300.0, 290.0), degrees_of_freedom(4.0, 3.5)), (6.0, 3.0));
        let width = |large: f64| {
            let of =
                |user: u32| if user < 4 { large * f64::from(1 - 2 * (user as i32 % 2)) } else { f64::from(user % 2) };
            let found = clustered((0..400).map(|user| (user, of(user), 1.0))).unwrap();
            (found.ci95.1 - found.ci95.0) / found.standard_error
        };
        assert!(width(100.0) > 1.15 * width(1.0), "{} {}", width(100.0), width(1.0));
    }

    #[test]
    fn a_mean_of_independent_users_has_the_standard_error_of_the_mean() {
        let terms = (0..400_u32).map(|user| (user, f64::from(user % 4), 1.0));
        let estimate = clustered(terms).unwrap();
        assert!((estimate.value - 1.5).abs() < 1e-12);
        assert!((estimate.standard_error - (1.25_f64 / 399.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn repeating_each_user_does_not_narrow_the_interval() {
        let once = clustered((0..50_u32).map(|user| (user, f64::from(user % 3), 1.0))).unwrap();
        let thrice = clustered((0..150_u32).map(|n| (n % 50, f64::from(n % 50 % 3), 1.0))).unwrap();
        assert!((once.standard_error - thrice.standard_error).abs() < 1e-12);
        assert_eq!(clustered([(1, 1.0, 1.0)].into_iter()), None);
    }
}
