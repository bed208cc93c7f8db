//! Quantiles of a stream in bounded memory: counts in logarithmic buckets.
//!
//! A bucket spans 1/32 of a doubling and is read from the bits of the float, so a quantile is accurate to 1.6 %. All
//! operations are on integers, so equal sequences of values give equal bytes on every machine.

use serde::{Deserialize, Serialize};

/// Bits of a float that are below its bucket; the sign, the exponent and the five upper bits of the mantissa remain.
const SHIFT: u32 = 18;

/// Counts of values by size. Values are finite and not negative.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHistogram {
    /// (bucket, count), by bucket; at most 8160 of them for all finite floats, in practice a few hundred.
    buckets: Vec<(u16, u64)>,
    total: u64,
}

impl LogHistogram {
    /// Counts one value.
    pub fn add(&mut self, value: f32) {
        debug_assert!(value >= 0.0 && value.is_finite(), "{value} has no bucket");
        // The sign of -0.0 is ignored.
        let bucket = (value.abs().to_bits() >> SHIFT) as u16;
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(idx) => self.buckets[idx].1 += 1,
            Err(idx) => self.buckets.insert(idx, (bucket, 1)),
        }
        self.total += 1;
    }

    /// Number of values counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The middle of the bucket that contains the value of this rank; `per_mille` 500 is the median. `None` if empty.
    pub fn quantile(&self, per_mille: u32) -> Option<f32> {
        let rank = (u128::from(self.total) * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0u128;
        for (bucket, count) in &self.buckets {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(middle(*bucket));
            }
        }
        None
    }
}

/// The middle of a bucket; 0 for bucket 0, which contains zero.
fn middle(bucket: u16) -> f32 {
    if bucket == 0 { 0.0 } else { f32::from_bits((u32::from(bucket) << SHIFT) + (1 << (SHIFT - 1))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(LogHistogram::default().quantile(500), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_accurate_to_two_per_cent(mut values in prop::collection::vec(1e-3f32..1e6, 1..200), per_mille in 0u32..=1000) {
            let mut histogram = LogHistogram::default();
            values.iter().for_each(|value| histogram.add(*value));
            values.sort_by(f32::total_cmp);
            let rank = (values.len() as u64 * u64::from(per_mille)).div_ceil(1000).max(1) as usize;
            let exact = values[rank - 1];
            let estimate = histogram.quantile(per_mille).unwrap();
            prop_assert!((estimate / exact - 1.0).abs() < 0.02, "{estimate} for {exact}");
        }
    }
}
