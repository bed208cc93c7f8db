//! What is believed of a new product: how often shoppers click on it where they are shown it.
//!
//! In: what is expected of items of its kinds, and how often it was shown and clicked so far. Out: a Gaussian belief
//! about the logarithm of its probability of a click. The probability is `p·θ`: `p` is that of its kinds, and `θ` is how
//! much better or worse the item is than its kinds. `θ` has a Gamma prior with mean 1, and clicks are Poisson:
//!
//! ```text
//! θ | clicks, impressions ~ Gamma(S + clicks, S + p·impressions)
//! E[ln θ] = ψ(a) − ln b       Var[ln θ] = ψ'(a)        for Gamma(a, b)
//! ```
//!
//! (Agarwal, Chen, Elango, *Spatio-temporal models for estimating click-through rate*, WWW 2009, use the same model for
//! new articles of a page.) [`Thompson`](crate::Thompson) draws from such beliefs. Refuses nothing.

use accrue_store::ShownClicked;

use crate::gaussian::Gaussian;

/// How many clicks as expected weigh as much as the prior: single items are up to a few times better than their kinds.
const S: f32 = 2.0;
/// Impressions of a kind that weigh as much as what is expected without it.
const OF_KIND: f32 = 100.0;
/// Clicks per impression that are expected before anything was counted, and the impressions that they weigh.
const FIRST: f32 = 0.05;
const OF_SHOP: f32 = 50.0;
/// The most that kinds multiply what is expected by.
const MOST: f32 = 8.0;

/// The probability of a click that is expected of an item: that of all items, times how much better each of its kinds
/// is than all items. A kind that was shown little counts little. Kinds overlap, so together they count as their
/// geometric mean and a half: of three kinds that are each twice as good, 2^1.5 times as good.
pub fn expected(of_all: ShownClicked, of_kinds: impl Iterator<Item = ShownClicked>) -> f32 {
    let rate = |of: ShownClicked, before: f32, weight: f32| {
        let (clicks, impressions) = (of.clicks.min(of.impressions) as f32, of.impressions as f32);
        (clicks + weight * before) / (impressions + weight)
    };
    let base = rate(of_all, FIRST, OF_SHOP);
    let (mut sum, mut n) = (0.0, 0.0);
    for of_kind in of_kinds {
        sum += accrue_kernel::ln(rate(of_kind, base, OF_KIND) / base);
        n += 1.0;
    }
    let factor = if n > 0.0 { accrue_kernel::exp(sum / f32::max(n / 1.5, 1.0)) } else { 1.0 };
    (base * factor.clamp(1.0 / MOST, MOST)).clamp(1e-5, 0.9)
}

/// The belief about the logarithm of the probability that this shopper clicks. `p` is what is expected of this shopper,
/// `of_kinds` what is expected of anyone ([`expected`]), `shown` what is known of the item.
pub fn belief(p: f32, of_kinds: f32, shown: ShownClicked) -> Gaussian {
    let a = S + shown.clicks as f32;
    let b = S + of_kinds * shown.impressions.max(shown.clicks) as f32;
    let mean = accrue_kernel::ln(p.clamp(1e-6, 1.0)) + digamma(a) - accrue_kernel::ln(b);
    Gaussian { mean, variance: trigamma(a) }
}

/// The probability of a click of an item: what is expected of it, corrected by what is known.
pub fn estimate(expected: f32, shown: ShownClicked) -> f32 {
    let impressions = shown.impressions.max(shown.clicks) as f32;
    (expected * (S + shown.clicks as f32) / (S + expected * impressions)).min(1.0)
}

/// `ψ(x)` for `x ≥ 1`: by its recurrence up to 6, from there by its asymptotic series.
fn digamma(mut x: f32) -> f32 {
    let mut shift = 0.0;
    while x < 6.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    shift + accrue_kernel::ln(x) - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0))
}

/// `ψ'(x)` for `x ≥ 1`, in the same way.
fn trigamma(mut x: f32) -> f32 {
    let mut shift = 0.0;
    while x < 6.0 {
        shift += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    shift + 1.0 / x + 0.5 * square + square / x * (1.0 / 6.0 - square * (1.0 / 30.0 - square / 42.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(impressions: u64, clicks: u64) -> ShownClicked {
        ShownClicked { impressions, clicks }
    }

    #[test]
    fn the_moments_of_a_gamma_variable_are_those_of_tables() {
        // ψ(1) = −γ, ψ'(1) = π²/6; ψ(10), ψ'(10) by Abramowitz and Stegun, tables 6.1 and 6.2.
        for (x, of_digamma, of_trigamma) in
            [(1.0, -0.577_215_7, 1.644_934), (2.0, 0.422_784_3, 0.644_934), (10.0, 2.251_752_6, 0.105_166_3)]
        {
            assert!((digamma(x) - of_digamma).abs() < 1e-5, "{x}: {}", digamma(x));
            assert!((trigamma(x) - of_trigamma).abs() < 1e-5, "{x}: {}", trigamma(x));
        }
    }

    #[test]
    fn what_an_item_was_shown_for_moves_the_belief_and_narrows_it() {
        let [new, liked, disliked] =
            [shown(0, 0), shown(100, 12), shown(100, 0)].map(|shown| belief(0.04, 0.04, shown));
        assert!(liked.mean > new.mean && new.mean > disliked.mean, "{new:?} {liked:?} {disliked:?}");
        assert!(liked.variance < new.variance / 3.0);
        let sure = belief(0.04, 0.04, shown(10_000, 1_200));
        assert!((accrue_kernel::exp(sure.mean) - 0.12).abs() < 0.002, "{sure:?}");
    }

    #[test]
    fn kinds_that_are_clicked_often_raise_what_is_expected_and_little_shown_ones_hardly() {
        let all = shown(100_000, 5_000);
        let of = |kinds: &[ShownClicked]| expected(all, kinds.iter().copied());
        assert!((of(&[]) - 0.05).abs() < 1e-3);
        let (good, little) = (shown(20_000, 2_000), shown(4, 2));
        assert!(of(&[good]) > 0.095 && of(&[good, good, good]) < 0.16, "{} {}", of(&[good]), of(&[good; 3]));
        assert!(of(&[little]) < 0.07, "{}", of(&[little]));
        assert!((expected(shown(0, 0), std::iter::empty()) - FIRST).abs() < 1e-6);
        assert!(of(&[shown(10, 500)]) <= 0.9, "more clicks than impressions");
    }
}
