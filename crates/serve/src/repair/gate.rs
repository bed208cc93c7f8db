//! How much evidence shares of shoppers give, and how much is enough.
//!
//! Proposals are computed again and again, by a server every ten minutes, so a bound for one look would be exceeded by
//! chance sooner or later. Evidence is an *e-value*: what a gain would be in a fair bet against the hypothesis. That it
//! ever exceeds 1/α has a probability of at most α, however often one looks (Ville's inequality; Ramdas, Grünwald,
//! Vovk & Shafer, *Game-Theoretic Statistics and Safe Anytime-Valid Inference*, 2023). The bet is a mixture over all
//! shares, divided by the largest likelihood under the hypothesis (Wasserman, Ramdas & Balakrishnan, *Universal
//! inference*, 2020); the mixture is that of Krichevsky and Trofimov (1981). Among many pairs those are taken that
//! e-BH takes (Wang & Ramdas, *False discovery rate control with e-values*, 2022): of what it takes at most a share of α
//! is chance on average, however the pairs depend on each other. Numbers here are natural logarithms of e-values.
//!
//! Of a query the latest shoppers are remembered, so the bound holds for as long as these are all, and for each later
//! window of them by itself.

/// The share of chance among what is taken.
const ALPHA: f64 = 0.05;
/// A pair needs at least this share of the shoppers who chose something later.
const LEAST_SHARE: f64 = 0.15;
/// It must also exceed the share that chance gives by this factor.
const OVER_CHANCE: f64 = 2.0;
/// Words fail if the share of their shoppers who choose is at most this part of that of the other words.
const FAILING: f64 = 0.5;
/// The same of words that the catalogue does not have. They find nothing themselves: what is chosen after them was found
/// by the other words of the queries.
const FAILING_UNKNOWN: f64 = 0.8;

/// `n` of `of`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub n: f64,
    pub of: f64,
}

impl Share {
    fn value(self) -> f64 {
        if self.of > 0.0 { self.n / self.of } else { 0.0 }
    }

    /// The logarithm of the likelihood of a probability.
    fn likelihood(self, p: f64) -> f64 {
        let times = |n: f64, p: f64| if n > 0.0 { n * libm::log(p) } else { 0.0 };
        times(self.n, p) + times(self.of - self.n, 1.0 - p)
    }

    /// The logarithm of its mean over all probabilities.
    fn mixture(self) -> f64 {
        ln_beta(self.n + 0.5, self.of - self.n + 0.5) - ln_beta(0.5, 0.5)
    }

    /// The evidence that the probability is larger than `most`.
    pub fn above(self, most: f64) -> f64 {
        if self.value() <= most { f64::NEG_INFINITY } else { self.mixture() - self.likelihood(most) }
    }

    /// The least probability that `evidence` does not refute.
    pub fn low(self, evidence: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.value());
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if self.above(middle) >= evidence { low = middle } else { high = middle }
        }
        low
    }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The evidence that a share of those who chose something in the end is more than chance, of which `chance` is one.
pub(super) fn exceeds_chance(share: Share, chance: f64) -> f64 {
    share.above(LEAST_SHARE.max(OVER_CHANCE * chance).min(0.99))
}

/// The evidence that words fail today in comparison with others: by the shares of their shoppers who chose something.
/// `is_known`: the catalogue has the words.
pub(super) fn fails_beside(own: Share, other: Share, is_known: bool) -> f64 {
    let part = if is_known { FAILING } else { FAILING_UNKNOWN };
    if own.value() >= part * other.value() {
        return f64::NEG_INFINITY;
    }
    // Of all pairs of probabilities that refute it the likeliest is on the border, where the likelihood has one peak.
    let at = |p: f64| own.likelihood(part * p) + other.likelihood(p);
    let (mut low, mut high) = (own.value() / part, other.value());
    for _ in 0..60 {
        let third = (high - low) / 3.0;
        let (left, right) = (low + third, high - third);
        if at(left) < at(right) { low = left } else { high = right }
    }
    own.mixture() + other.mixture() - at(((low + high) / 2.0).clamp(1e-9, 1.0 - 1e-9))
}

/// The mean of e-values, which is one too, however they depend on each other. By logarithms; nothing for no evidence.
pub(super) fn mean(evidence: &[f64]) -> f64 {
    let most = evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    let sum: f64 = evidence.iter().map(|one| libm::exp(one - most)).sum();
    most + libm::log(sum / evidence.len() as f64)
}

/// The threshold of e-BH over the evidence of all tests: those that reach it are taken. Infinite if no test reaches it.
pub(super) fn enough(evidence: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = evidence.into_iter().collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let needed = |n_taken: usize| libm::log(all.len() as f64 / (n_taken as f64 * ALPHA));
    let n_taken = (1..=all.len()).rev().find(|&n| all[n - 1] >= needed(n));
    n_taken.map_or(f64::INFINITY, needed)
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    fn share(n: u32, of: u32) -> Share {
        Share { n: n.into(), of: of.into() }
    }

    #[test]
    fn evidence_grows_with_shoppers_and_bounds_narrow() {
        let enough = libm::log(100.0 / ALPHA);
        let (few, many) = (share(5, 5).low(enough), share(50, 50).low(enough));
        assert!(few > 0.1 && few < 0.5 && many > 0.8 && many < 1.0, "{few} {many}");
        assert_eq!(share(0, 0).above(0.1), f64::NEG_INFINITY);
        assert_eq!(share(1, 10).above(0.1), f64::NEG_INFINITY);
        assert!(share(8, 10).above(0.15) > share(4, 5).above(0.15));
    }

    #[test]
    fn words_that_work_do_not_fail_and_a_few_shoppers_prove_nothing() {
        let enough = libm::log(50.0 / ALPHA);
        let fails = |own, other, is_known| fails_beside(own, other, is_known) >= enough;
        assert!(fails(share(0, 30), share(30, 40), true));
        assert!(!fails(share(10, 30), share(30, 40), true), "a third of the shoppers choose");
        assert!(fails(share(12, 64), share(100, 128), false), "they are found by the other words of the query");
        assert!(!fails(share(50, 64), share(100, 128), false), "as good as the other words");
        assert!(!fails(share(0, 3), share(30, 40), true), "three shoppers");
        assert!(exceeds_chance(share(8, 10), 0.01) >= enough);
        assert!(exceeds_chance(share(8, 10), 0.3) < enough, "everyone goes on to those words");
        assert!(exceeds_chance(share(4, 60), 0.01) < enough);
    }

    #[test]
    fn more_is_taken_where_more_is_true() {
        assert_eq!(enough([0.0; 40]), f64::INFINITY);
        let one = enough([9.0].into_iter().chain([0.0; 99]));
        let many = enough([9.0; 50].into_iter().chain([0.0; 50]));
        assert!((one - libm::log(2_000.0)).abs() < 1e-9 && (many - libm::log(40.0)).abs() < 1e-9, "{one} {many}");
    }

    #[test]
    fn looking_after_every_shopper_takes_chance_no_more_often_than_it_says() {
        let (mut n_chance, mut n_fail) = (0, 0);
        for run in 0..2_000 {
            let mut draws = Draws::new(7, 11, run);
            let (mut own, mut other) = (share(0, 0), share(0, 0));
            let (mut is_chance, mut is_failing) = (false, false);
            for _ in 0..150 {
                for (share, p) in [(&mut own, 0.15), (&mut other, 0.3)] {
                    share.of += 1.0;
                    share.n += f64::from(u8::from(f64::from(draws.uniform()) < p));
                }
                is_chance |= own.above(0.15) >= libm::log(1.0 / ALPHA);
                is_failing |= fails_beside(own, other, true) >= libm::log(1.0 / ALPHA);
            }
            n_chance += u32::from(is_chance);
            n_fail += u32::from(is_failing);
        }
        assert!(n_chance <= 100 && n_fail <= 100, "{n_chance} {n_fail}, of 100 each");
    }
}
