//! Single measurements and their percentiles.

use std::time::Instant;

use super::measure::Figure;

/// The smallest value that a share `q` of all values does not exceed (nearest rank). Sorts.
pub(super) fn quantile(values: &mut [f64], q: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// A percentile of single measurements as a row's value.
pub(super) fn figure(values: &mut [f64], q: f64) -> Figure {
    Figure { value: quantile(values, q), samples: values.len() as u64 }
}

/// The median over rounds; `samples` counts what each round consisted of.
pub(super) fn median_rate(mut rates: Vec<f64>, samples: u64) -> Figure {
    Figure { value: quantile(&mut rates, 0.5), samples }
}

pub(super) fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| quantile(&mut values, q)), [1.0, 50.0, 99.0, 100.0]);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
