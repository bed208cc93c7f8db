//! Bounds of confidence for shares of shoppers.
//!
//! Wilson, *Probable inference, the law of succession, and statistical inference* (1927); Newcombe, *Interval
//! estimation for the difference between independent proportions* (1998, method 10). A test at 5 % in all takes 5 %
//! divided by the number of tests for each (Bonferroni), so that among thousands of pairs hardly one passes by chance.

/// The error that all tests together may make.
const ALPHA: f64 = 0.05;
/// A pair is no chance from this share of those who searched on.
const LEAST_SHARE: f64 = 0.15;
/// It must also exceed the share that chance gives by this factor.
const OVER_CHANCE: f64 = 2.0;
/// Words fail if the share of their shoppers who choose is at most this part of that of the other words.
const FAILING: f64 = 0.5;

/// `n` of `of`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub n: f64,
    pub of: f64,
}

/// The interval of a share at a quantile of the normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Share {
    fn value(self) -> f64 {
        if self.of > 0.0 { self.n / self.of } else { 0.0 }
    }

    /// Wilson's interval; all of 0 to 1 without a trial.
    pub fn bounds(self, z: f64) -> Bounds {
        if self.of <= 0.0 {
            return Bounds { low: 0.0, high: 1.0 };
        }
        let (p, n) = (self.value(), self.of);
        let centre = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).max(0.0).sqrt();
        let scale = 1.0 + z * z / n;
        Bounds { low: ((centre - half) / scale).max(0.0), high: ((centre + half) / scale).min(1.0) }
    }
}

/// The quantile for one of `n_tests` one-sided tests that err with 5 % together.
pub(super) fn quantile(n_tests: usize) -> f64 {
    upper_quantile(ALPHA / n_tests.max(1) as f64)
}

/// The point that a standard normal value exceeds with this probability (Acklam's approximation of the tail, which is
/// exact to a thousandth, below 2.5 %; above it, that of 2.5 %, which is stricter).
fn upper_quantile(p: f64) -> f64 {
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    let q = (-2.0 * libm::log(p.clamp(1e-12, 0.024))).sqrt();
    let above = C.iter().fold(0.0, |sum, c| sum * q + c);
    let below = D.iter().chain([&1.0]).fold(0.0, |sum, d| sum * q + d);
    -(above / below)
}

/// Whether a share of those who searched on is more than chance, at this quantile; its lower bound then.
pub(super) fn exceeds_chance(share: Share, chance: f64, z: f64) -> Option<f64> {
    let low = share.bounds(z).low;
    (low >= LEAST_SHARE.max(OVER_CHANCE * chance)).then_some(low)
}

/// Whether words fail today in comparison with others: by the shares of their shoppers who chose something.
pub(super) fn fails_beside(own: Share, other: Share, z: f64) -> bool {
    let (mine, theirs) = (own.bounds(z), other.bounds(z));
    let difference = other.value() - own.value();
    let (below, above) = (other.value() - theirs.low, mine.high - own.value());
    let least = difference - (below * below + above * above).sqrt();
    least > 0.0 && mine.high <= FAILING * other.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(n: u32, of: u32) -> Share {
        Share { n: n.into(), of: of.into() }
    }

    #[test]
    fn bounds_hold_the_share_and_narrow_with_more_shoppers() {
        let few = share(5, 5).bounds(quantile(100));
        let many = share(50, 50).bounds(quantile(100));
        assert!(few.low > 0.2 && few.low < 0.5 && many.low > 0.8 && many.high == 1.0, "{few:?} {many:?}");
        assert_eq!(share(0, 0).bounds(2.0), Bounds { low: 0.0, high: 1.0 });
        for (n_tests, expected) in [(2, 1.977), (10, 2.576), (100, 3.291), (5_000, 4.265)] {
            assert!((quantile(n_tests) - expected).abs() < 0.01, "{n_tests}: {}", quantile(n_tests));
        }
    }

    #[test]
    fn words_that_work_do_not_fail_and_a_few_shoppers_prove_nothing() {
        let z = quantile(50);
        assert!(fails_beside(share(0, 25), share(30, 40), z));
        assert!(!fails_beside(share(10, 25), share(30, 40), z), "two fifths of the shoppers choose");
        assert!(!fails_beside(share(0, 3), share(30, 40), z), "three shoppers");
        assert!(exceeds_chance(share(8, 10), 0.01, z).is_some());
        assert!(exceeds_chance(share(8, 10), 0.3, z).is_none(), "everyone goes on to those words");
        assert!(exceeds_chance(share(4, 60), 0.01, z).is_none());
    }
}
