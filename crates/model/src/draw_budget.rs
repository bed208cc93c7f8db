//! How much draws may have cost: a bound on lost clicks that holds at all times, so that draws can end before they cost
//! more than a budget.
//!
//! In: by day, the answers whose first places were drawn and the others, with the clicks on both
//! ([`DrawAccount`](accrue_store::DrawAccount)). Out: what the draws cost, estimated and at most. With `n₁` drawn
//! answers of a day, `n₀` others and `r = n₁/n₀`, the clicks that the drawn ones would have had are `r` times those of
//! the others:
//!
//! ```text
//! M = Σ_days r·clicks₀ − clicks₁            V = Σ_days r²·squares₀ + squares₁
//! P(at some time the cost exceeds M + u(V)) ≤ α
//! u(v) = k₁·√(v·ℓ(v)) + c·k₂·ℓ(v)          ℓ(v) = s·ln ln(2v) + ln(ζ(s)/(α·ln(2)^s)),  v ≥ 1
//! ```
//!
//! That is the empirical Bernstein bound with the stitched boundary of Howard, Ramdas, McAuliffe, Sekhon,
//! *Time-uniform, nonparametric, nonasymptotic confidence sequences* (Annals of Statistics 2021; theorem 4 with 0 as
//! the prediction, equation 10 with η = 2, s = 1.4), where `c` is the most that one answer can add. It may be read
//! after every click, whenever draws stop and begin, because its error probability is one of all times together.
//! `lab/src/draw_budget.rs` measures it on simulated shops.

use accrue_store::{DrawDay, MAX_CLICKS};

/// The probability that the cost exceeds its bound at any time of a window.
pub const ALPHA: f64 = 0.05;
/// How fast the error probability is spent over the epochs of the boundary.
const S: f64 = 1.4;
/// Riemann's ζ(1.4).
const ZETA_S: f64 = 3.105_547;
/// `(2^¼ + 2^-¼)/√2` and `(√2 + 1)/2`.
const K1: f64 = 1.435_528;
const K2: f64 = 1.207_107;

/// What draws cost, in clicks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DrawCost {
    /// The estimate; below 0 if drawn answers were clicked more often.
    pub estimate: f64,
    /// The bound.
    pub at_most: f64,
}

impl DrawCost {
    /// Of the draws of these days.
    pub fn of<'d>(days: impl Iterator<Item = &'d DrawDay>) -> Self {
        let (mut estimate, mut variance, mut largest, mut unknown) = (0.0, 0.0, 0.0_f64, 0.0);
        for DrawDay { drawn, others, .. } in days.filter(|day| day.drawn.answers > 0) {
            if others.answers == 0 {
                // There is nothing to compare them with.
                unknown += f64::from(MAX_CLICKS) * drawn.answers as f64;
                continue;
            }
            let ratio = drawn.answers as f64 / others.answers as f64;
            estimate += ratio * others.clicks as f64 - drawn.clicks as f64;
            variance += ratio * ratio * others.squares as f64 + drawn.squares as f64;
            largest = largest.max(f64::from(MAX_CLICKS) * (1.0 + ratio.min(1.0)));
        }
        if largest == 0.0 && unknown == 0.0 {
            return Self::default();
        }
        Self { estimate, at_most: estimate + unknown + boundary(variance, largest.max(f64::from(MAX_CLICKS))) }
    }
}

/// `u(v)` for increments of at most `c`.
fn boundary(v: f64, c: f64) -> f64 {
    let v = v.max(1.0);
    let (ln2, lnln) = (std::f64::consts::LN_2, ln(ln(2.0 * v).max(f64::MIN_POSITIVE)));
    let spent = S * lnln + ln(ZETA_S / ALPHA) - S * ln(ln2);
    K1 * (v * spent).sqrt() + c * K2 * spent
}

/// The logarithm of the kernel, which is the same on every machine.
fn ln(x: f64) -> f64 {
    f64::from(accrue_kernel::ln(x as f32))
}

#[cfg(test)]
mod tests {
    use accrue_store::Clicked;

    use super::*;

    fn day(drawn: (u64, u64), others: (u64, u64)) -> DrawDay {
        let of = |(answers, clicks)| Clicked { answers, clicks, squares: clicks };
        DrawDay { day: 0, drawn: of(drawn), others: of(others) }
    }

    #[test]
    fn the_boundary_is_that_of_the_paper() {
        // Equation 11: 1.7·√(v·(ln ln(2v) + 0.72·ln(5.2/α))), without the part for increments.
        for v in [10.0_f64, 100.0, 10_000.0] {
            let expected = 1.7 * (v * ((2.0 * v).ln().ln() + 0.72 * (5.2 / ALPHA).ln())).sqrt();
            assert!((boundary(v, 0.0) / expected - 1.0).abs() < 0.01, "{v}: {} {expected}", boundary(v, 0.0));
        }
        assert_eq!(boundary(0.0, 1.0), boundary(1.0, 1.0));
    }

    #[test]
    fn days_are_compared_each_with_itself() {
        assert_eq!(DrawCost::of([].iter()), DrawCost::default());
        assert_eq!(DrawCost::of([day((0, 0), (500, 70))].iter()), DrawCost::default());
        // A tenth is drawn; on the second day everything is clicked twice as often, drawn or not.
        let days = [day((100, 10), (1_000, 200)), day((300, 60), (3_000, 1_200))];
        let cost = DrawCost::of(days.iter());
        assert!((cost.estimate - (10.0 + 60.0)).abs() < 1e-9, "{cost:?}");
        assert!(cost.at_most > cost.estimate + 20.0 && cost.at_most < cost.estimate + 80.0, "{cost:?}");
        let alone = DrawCost::of([day((40, 9), (0, 0))].iter());
        assert!(alone.at_most >= 120.0, "nothing to compare with: {alone:?}");
    }
}
