//! Random numbers without a state: a pure function of a seed, a stream and a counter.
//!
//! In: the seed of the run, the constant of the stream, a counter (a record's offset) and a draw number. Out: 64 mixed
//! bits, and derived from them numbers below a bound, uniform and normal floats, and shuffles. No state has to be saved
//! or restored. Not suitable for secrets.
//!
//! The mixing is SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014) with
//! David Stafford's finaliser 13: one full mix each for seed, stream and counter gives a key, and draw `i` is output
//! `i` of the SplitMix64 generator that starts at the key.

use crate::math::ln;

/// 2⁶⁴ / golden ratio, odd: the step of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The draws of one key, in order. It holds only the key and the number of the next draw.
///
/// ```
/// use accrue_kernel::{Draws, random};
/// const NEGATIVES: u64 = 1;
/// let (seed, offset) = (42, 1_000);
/// let mut draws = Draws::new(seed, NEGATIVES, offset);
/// assert_eq!(draws.next_u64(), random(seed, NEGATIVES, offset, 0));
/// let item = draws.below(12_000);
/// assert!(item < 12_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    key: u64,
    draw: u32,
}

impl Draws {
    /// The draws of `(seed, stream, counter)`, from draw 0.
    #[inline]
    pub fn new(seed: u64, stream: u64, counter: u64) -> Self {
        Self { key: key(seed, stream, counter), draw: 0 }
    }

    /// The next 64 random bits.
    ///
    /// # Panics
    /// After 2³² - 1 draws, because later draws would repeat.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let bits = draw(self.key, self.draw);
        self.draw = self.draw.checked_add(1).expect("a record takes fewer than 2^32 draws");
        bits
    }

    /// The next random bits, one draw for each word.
    ///
    /// # Panics
    /// After 2³² - 1 draws, because later draws would repeat.
    #[inline]
    pub fn fill(&mut self, bits: &mut [u64]) {
        let first = self.draw;
        let n = u32::try_from(bits.len()).ok();
        self.draw = n.and_then(|n| first.checked_add(n)).expect("a record takes fewer than 2^32 draws");
        for (number, bits) in (first..).zip(bits) {
            *bits = draw(self.key, number);
        }
    }

    /// A number in `0..n`, in one draw: multiply and shift (Lemire, *Fast random integer generation in an interval*,
    /// 2019) without the rejection step, so each number's probability is off by at most `n / 2⁶⁴`.
    ///
    /// # Panics
    /// If `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "below(0): there is no number below 0");
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A multiple of 2⁻²⁴ in `[0, 1)`, in one draw.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// A standard normal number (mean 0, variance 1, within ±6.6), in one draw.
    ///
    /// The inverse of the distribution function by rational approximations: Wichura, *Algorithm AS 241*, PPND7, 1988;
    /// about 7 digits.
    pub fn normal(&mut self) -> f32 {
        let bits = self.next_u64();
        // 32 bits and a half, so never 0 or 1. An f64 holds the value exactly; only sums, products and one f32
        // logarithm follow.
        let distance = ((bits >> 32) as f64 + 0.5) * (1.0 / 4_294_967_296.0) - 0.5;
        inverse_normal(distance)
    }

    /// Puts the elements in a random order, each order equally likely (Fisher–Yates); `len - 1` draws.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            elements.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// 64 random bits: a pure function of its inputs, the same on every machine and in every version.
///
/// `seed` is that of the run, `stream` a constant that names the use, `counter` the record's offset, `draw_number` 0,
/// 1, 2 …
#[inline]
pub fn random(seed: u64, stream: u64, counter: u64, draw_number: u32) -> u64 {
    draw(key(seed, stream, counter), draw_number)
}

#[inline]
fn key(seed: u64, stream: u64, counter: u64) -> u64 {
    // Each input is fully mixed before the next is added, so that small seeds, streams and offsets do not give equal or
    // related keys.
    let seeded = mix(seed.wrapping_add(STEP));
    let streamed = mix((seeded ^ stream).wrapping_add(STEP));
    mix((streamed ^ counter).wrapping_add(STEP))
}

#[inline]
fn draw(key: u64, number: u32) -> u64 {
    mix(key.wrapping_add(STEP.wrapping_mul(u64::from(number) + 1)))
}

/// Stafford's variant 13 of the MurmurHash3 finaliser: a permutation of the 64-bit words.
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number x with P(X < x) = `0.5 + distance`; `distance` is strictly within ±0.5.
fn inverse_normal(distance: f64) -> f32 {
    if distance.abs() <= 0.425 {
        let r = 0.180_625 - distance * distance;
        let above = ((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let below = ((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return (distance * above / below) as f32;
    }
    let tail = 0.5 - distance.abs();
    let r = f64::from(-ln(tail as f32)).sqrt();
    let size = if r <= 5.0 {
        let r = r - 1.6;
        let above = ((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_390_0) * r + 1.423_437_277_7;
        above / ((0.120_211_329_75 * r + 0.737_001_642_50) * r + 1.0)
    } else {
        let r = r - 5.0;
        let above = ((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386_0) * r + 6.657_905_115_0;
        above / ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0)
    };
    if distance < 0.0 { -size as f32 } else { size as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 200_000;

    /// Sum of (observed - expected)² / expected.
    fn chi_square(seen: &[u64]) -> f64 {
        let expected = seen.iter().sum::<u64>() as f64 / seen.len() as f64;
        seen.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum()
    }

    fn check_even(what: &str, values: impl Iterator<Item = u64>, n_bins: usize) {
        let mut seen = vec![0; n_bins];
        values.take(N).for_each(|value| seen[value as usize] += 1);
        let freedom = (n_bins - 1) as f64;
        // Five standard deviations of the chi-square distribution.
        assert!((chi_square(&seen) - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{what}: {}", chi_square(&seen));
    }

    #[test]
    fn golden_values_never_change() {
        let golden = [random(0, 0, 0, 0), random(1, 2, 3, 4), random(u64::MAX, u64::MAX, u64::MAX, u32::MAX)];
        assert_eq!(golden, GOLDEN, "{golden:#x?}");
        let mut draws = Draws::new(42, 7, 1_000);
        let floats = [draws.uniform().to_bits(), draws.normal().to_bits(), draws.normal().to_bits()];
        assert_eq!(floats, GOLDEN_FLOATS, "{floats:#x?}");
    }
    const GOLDEN: [u64; 3] = [0x2130_748A_AAC8_0268, 0x99E2_9908_CA70_E935, 0x558B_5D57_9CA8_F73E];
    const GOLDEN_FLOATS: [u32; 3] = [0x3f0e_cc75, 0xbfd3_be1d, 0xbf6b_a425];

    #[test]
    fn low_and_high_bits_are_uniform_along_every_input() {
        type Along = (&'static str, fn(u64) -> u64);
        let along: [Along; 4] = [
            ("seed", |i| random(i, 0, 0, 0)),
            ("stream", |i| random(0, i, 0, 0)),
            ("counter", |i| random(0, 0, i, 0)),
            ("draw", |i| random(0, 0, 0, i as u32)),
        ];
        for (what, bits) in along {
            check_even(what, (0..).map(|i| bits(i) & 255), 256);
            check_even(what, (0..).map(|i| bits(i) >> 56), 256);
            // Consecutive outputs are independent: pairs of four low bits.
            check_even(what, (0..).map(|i| (bits(i) & 15) << 4 | bits(i + 1) & 15), 256);
        }
    }

    #[test]
    fn one_changed_input_bit_changes_half_of_the_output() {
        let of = |bit: u32, i: u64| match bit / 64 {
            0 => random(i ^ 1 << bit, i, i, 0),
            1 => random(i, i ^ 1 << (bit - 64), i, 0),
            _ => random(i, i, i ^ 1 << (bit - 128), 0),
        };
        for bit in 0..192 {
            let flipped: u32 = (0..1000).map(|i| (of(bit, i) ^ random(i, i, i, 0)).count_ones()).sum();
            assert!((31_000..33_000).contains(&flipped), "bit {bit}: {flipped} of 64,000");
        }
    }

    #[test]
    fn uniform_has_mean_one_half_and_variance_one_twelfth() {
        let mut draws = Draws::new(1, 0, 0);
        let values: Vec<f64> = (0..N).map(|_| f64::from(draws.uniform())).collect();
        assert!(values.iter().all(|x| (0.0..1.0).contains(x)));
        let (mean, variance) = moments(&values);
        assert!((mean - 0.5).abs() < 0.003 && (variance - 1.0 / 12.0).abs() < 0.001, "{mean} {variance}");
    }

    #[test]
    fn normal_has_the_moments_and_tails_of_the_normal_distribution() {
        let mut draws = Draws::new(2, 0, 0);
        let values: Vec<f64> = (0..N).map(|_| f64::from(draws.normal())).collect();
        let (mean, variance) = moments(&values);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let share_above = |x| values.iter().filter(|&&v| v > x).count() as f64 / N as f64;
        assert!((share_above(1.0) - 0.158_66).abs() < 0.004);
        assert!((share_above(3.0) - 0.001_35).abs() < 0.000_4);
    }

    #[test]
    fn inverse_normal_matches_known_quantiles() {
        let known = [
            (0.0, 0.0),
            (0.25, 0.674_489_750_2),
            (0.475, 1.959_963_984_5),
            (0.499, 3.090_232_306_2),
            (0.5 - 1e-6, 4.753_424_309),
            (0.5 - 1e-12, 7.034_483_825),
        ];
        for (distance, quantile) in known {
            for sign in [1.0, -1.0] {
                let found = f64::from(inverse_normal(sign * distance));
                assert!((found - sign * quantile).abs() < 2e-6 * (1.0 + quantile), "{distance}: {found}");
            }
        }
        let widest = inverse_normal(0.5 - 0.5 / 4_294_967_296.0);
        assert!(widest.is_finite() && widest < 6.6, "{widest}");
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut draws = Draws::new(3, 0, 0);
        check_even("below(100)", std::iter::from_fn(|| Some(draws.below(100))), 100);
        assert_eq!(draws.below(1), 0);
        assert!(draws.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn shuffle_gives_every_order_equally_often() {
        let orders = (0..).map(|counter| {
            let mut three = [0_u64, 1, 2];
            Draws::new(4, 0, counter).shuffle(&mut three);
            three[0] * 3 + three[1] - u64::from(three[1] > three[0]) - three[0]
        });
        check_even("shuffle", orders, 6);
    }

    #[test]
    fn a_copy_continues_with_the_same_draws() {
        let mut draws = Draws::new(5, 6, 7);
        draws.next_u64();
        let mut copy = draws;
        assert_eq!(draws.next_u64(), copy.next_u64());
        assert_eq!(copy.next_u64(), random(5, 6, 7, 2));
        let mut three = [0; 3];
        copy.fill(&mut three);
        assert_eq!(three, [3, 4, 5].map(|number| random(5, 6, 7, number)));
        assert_eq!(copy.next_u64(), random(5, 6, 7, 6));
    }

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }
}
