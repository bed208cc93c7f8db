//! Piecewise-linear curves with knots at equal distances: where values lie along them, what the curves are there, and a
//! step that learns the knots.
//!
//! In: values, and how they are laid out along a curve. Out: for each value the knot below it and the share of the next
//! one; sums of curves; gradients. The loops have no branches, so that they vectorise; each element has the same bits on every instruction set.

use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};

/// Knots of the curves of [`add_on_curve`] and [`curve_gradient`]: a table that fits the lanes.
pub(crate) const TABLE: usize = N_LANES;

/// How values are laid out along a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// Values of 0 and below at knot 0; knots 1 … at `2^low`, `2^(low + step)`, …, linear in [`log2`].
    Log {
        /// Exponent at knot 1.
        low: f32,
        /// Exponents from knot to knot.
        step: f32,
    },
    /// Knots at equal distances from `low` to `high`.
    Linear {
        /// Value at knot 0.
        low: f32,
        /// Value at the last knot.
        high: f32,
    },
}

/// Logarithm to base 2, linear between powers of two (error below 0.09). It is monotone, exact at powers of two, and
/// has the same bits on every machine, which bins and orders need. Zero and below give −127. It is meant for numbers:
/// the result for a `NaN` has no meaning, and [`locate`] does not use it.
#[inline(always)]
pub fn log2(x: f32) -> f32 {
    // The bits of a positive number are below 2³¹, so they may be converted as a signed integer, which vectors can do.
    if x <= 0.0 { -127.0 } else { x.to_bits() as i32 as f32 * (1.0 / 8_388_608.0) - 127.0 }
}

/// The knot below each of `values` `[n]` on a curve of `n_knots`, and the share of the next knot:
/// `knots: [n], shares: [n]`. Values outside the curve lie at its ends; a `NaN` lies at knot 0, with a share of `NaN`,
/// so that whatever is computed from it is a `NaN` too and the fault is seen.
///
/// # Panics
/// If the lengths differ or the curve has fewer than two knots.
pub fn locate(layout: Layout, n_knots: usize, values: &[f32], knots: &mut [u32], shares: &mut [f32]) {
    assert!(values.len() == knots.len() && values.len() == shares.len(), "locate: lengths differ");
    assert!(n_knots >= 2, "locate: a curve has at least two knots");
    let last = (n_knots - 1) as f32;
    match layout {
        Layout::Log { low, step } => locate_log_on(Supported::best(), low, step, last, values, knots, shares),
        Layout::Linear { low, high } => locate_linear_on(Supported::best(), low, high, last, values, knots, shares),
    }
}

/// Adds to each of `scores` `[n]` the value of a curve at the place that [`locate`] found:
/// `curve[knot] · (1 - share) + curve[knot + 1] · share`, the first product rounded before the second is added to it.
/// `knots: [n], shares: [n]`; each knot is below 15.
///
/// # Panics
/// If the lengths differ.
pub fn add_on_curve(curve: &[f32; TABLE], knots: &[u32], shares: &[f32], scores: &mut [f32]) {
    assert!(knots.len() == scores.len() && shares.len() == scores.len(), "add_on_curve: lengths differ");
    add_on_curve_on(Supported::best(), curve, knots, shares, scores);
}

/// Whether all places, as [`locate`] found them, are at the first knot, with a share of 0. `knots: [n], shares: [n]`.
pub fn are_at_first_knot(knots: &[u32], shares: &[f32]) -> bool {
    are_at_first_knot_on(Supported::best(), knots, shares)
}

/// Adds to the gradient of a curve's knots that of values whose errors are `errors` `[n]`, at the places that
/// [`locate`] found. `knots: [n], shares: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn curve_gradient(errors: &[f32], knots: &[u32], shares: &[f32], gradient: &mut [f32; TABLE]) {
    assert!(knots.len() == errors.len() && shares.len() == errors.len(), "curve_gradient: lengths differ");
    // Many values have the same knots. Four sums in turn, so that an addition need not wait for the one before it.
    let mut parts = [[0.0; TABLE]; 4];
    for (n, ((error, &knot), share)) in errors.iter().zip(knots).zip(shares).enumerate() {
        let (part, knot) = (&mut parts[n % 4], knot as usize);
        part[knot % TABLE] += error * (1.0 - share);
        part[(knot + 1) % TABLE] += error * share;
    }
    for (k, sum) in gradient.iter_mut().enumerate() {
        *sum += (parts[0][k] + parts[1][k]) + (parts[2][k] + parts[3][k]);
    }
}

/// A step of Adagrad whose sums forget: where `g` is not 0, `s = s + (g² - forget · s)`,
/// `x = x - rate · g / (√s + ε)`. `g, x, s: [n]`. Duchi, Hazan and Singer, *Adaptive subgradient methods* (2011).
///
/// # Panics
/// If the lengths differ.
pub fn adagrad_forgetting(rate: f32, forget: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32]) {
    adagrad_forgetting_on(Supported::best(), rate, forget, epsilon, g, x, s);
}

/// `y = y + share · (x - y)`: an exponential moving average. `x, y: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn move_towards(share: f32, x: &[f32], y: &mut [f32]) {
    move_towards_on(Supported::best(), share, x, y);
}

compiled_for_each_set! {
    fn locate_log_on(low: f32, step: f32, last: f32, values: &[f32], knots: &mut [u32], shares: &mut [f32])
        = locate_log
}
compiled_for_each_set! {
    fn locate_linear_on(low: f32, high: f32, last: f32, values: &[f32], knots: &mut [u32], shares: &mut [f32])
        = locate_linear
}
compiled_for_each_set! {
    fn adagrad_forgetting_on(rate: f32, forget: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32])
        = adagrad_forgetting_elements
}
compiled_for_each_set! { fn are_at_first_knot_on(knots: &[u32], shares: &[f32]) -> bool = are_zero }
compiled_for_each_set! { fn move_towards_on(share: f32, x: &[f32], y: &mut [f32]) = move_towards_elements }
compiled_for_each_set! {
    fn add_on_curve_on(curve: &[f32; TABLE], knots: &[u32], shares: &[f32], scores: &mut [f32])
        = add_on_curve_lanes<Lanes>
}

#[inline(always)]
fn locate_log(low: f32, step: f32, last: f32, values: &[f32], knots: &mut [u32], shares: &mut [f32]) {
    let per_exponent = 1.0 / step;
    for ((&value, knot), share) in values.iter().zip(knots).zip(shares) {
        (*knot, *share) = place_log(low, per_exponent, last, value);
    }
}

/// The knot below a value, and the share of the next one, where knots lie at equal distances of the logarithm.
#[inline(always)]
pub(crate) fn place_log(low: f32, per_exponent: f32, last: f32, value: f32) -> (u32, f32) {
    let place = if value <= 0.0 { 0.0 } else { within(1.0, 1.0 + (log2(value) - low) * per_exponent, last) };
    // The bits of a NaN would be taken for a large number.
    split(if value.is_nan() { value } else { place }, last)
}

#[inline(always)]
fn locate_linear(low: f32, high: f32, last: f32, values: &[f32], knots: &mut [u32], shares: &mut [f32]) {
    let per_unit = last / (high - low);
    for ((&value, knot), share) in values.iter().zip(knots).zip(shares) {
        (*knot, *share) = place_linear(low, per_unit, last, value);
    }
}

/// The knot below a value, and the share of the next one, where knots lie at equal distances.
#[inline(always)]
pub(crate) fn place_linear(low: f32, per_unit: f32, last: f32, value: f32) -> (u32, f32) {
    split(within(0.0, (value - low) * per_unit, last), last)
}

/// `place` within bounds; `NaN` stays. Comparisons instead of `clamp`: these become one instruction each.
#[inline(always)]
fn within(low: f32, place: f32, high: f32) -> f32 {
    let place = if place < low { low } else { place };
    if place > high { high } else { place }
}

/// The knot below a place, but not the last one, and the share of the next.
#[inline(always)]
fn split(place: f32, last: f32) -> (u32, f32) {
    let below = if place > last - 1.0 { last - 1.0 } else { place };
    // Signed, because vectors convert to signed integers; a place is between 0 and the last knot.
    let knot = below as i32;
    (knot as u32, place - knot as f32)
}

#[inline(always)]
fn add_on_curve_lanes<L: Lanes>(curve: &[f32; TABLE], knots: &[u32], shares: &[f32], scores: &mut [f32]) {
    let table = L::load(curve);
    let whole = scores.len() / N_LANES * N_LANES;
    let (chunks, rest) = scores.as_chunks_mut::<N_LANES>();
    let located = knots.as_chunks::<N_LANES>().0.iter().zip(shares.as_chunks::<N_LANES>().0);
    for (scores, (knots, shares)) in chunks.iter_mut().zip(located) {
        add_chunk(table, knots, L::load(shares), scores);
    }
    if !rest.is_empty() {
        let (mut padded, mut knots_of_rest) = ([0.0; N_LANES], [0; N_LANES]);
        padded[..rest.len()].copy_from_slice(rest);
        knots_of_rest[..rest.len()].copy_from_slice(&knots[whole..]);
        add_chunk(table, &knots_of_rest, L::load_tail(&shares[whole..]), &mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

#[inline(always)]
fn add_chunk<L: Lanes>(table: L, knots: &[u32; N_LANES], shares: L, scores: &mut [f32; N_LANES]) {
    let one = L::splat(1.0);
    let left = one.multiply_add(L::splat(-1.0), shares);
    let low = L::zero().multiply_add(table.look_up(knots), left);
    let value = low.multiply_add(table.look_up(&knots.map(|knot| knot + 1)), shares);
    L::load(scores).multiply_add(one, value).store(scores);
}

#[inline(always)]
fn are_zero(knots: &[u32], shares: &[f32]) -> bool {
    knots.iter().zip(shares).fold(0, |bits, (knot, share)| bits | knot | share.to_bits()) == 0
}

#[inline(always)]
fn adagrad_forgetting_elements(rate: f32, forget: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32]) {
    assert!(g.len() == x.len() && s.len() == x.len(), "adagrad_forgetting: lengths differ");
    for ((x, &g), s) in x.iter_mut().zip(g).zip(s) {
        let sum = *s + (g * g - forget * *s);
        let moved = *x - rate * g / (sum.sqrt() + epsilon);
        *s = if g != 0.0 { sum } else { *s };
        *x = if g != 0.0 { moved } else { *x };
    }
}

#[inline(always)]
fn move_towards_elements(share: f32, x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len(), "move_towards: lengths differ");
    for (y, x) in y.iter_mut().zip(x) {
        *y += share * (x - *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet};

    const N_KNOTS: usize = 16;

    /// The definition, one value at a time.
    fn expected(layout: Layout, value: f32) -> (u32, f32) {
        let last = (N_KNOTS - 1) as f32;
        let place = match layout {
            _ if value.is_nan() => value,
            Layout::Log { .. } if value <= 0.0 => 0.0,
            Layout::Log { low, step } => (1.0 + (log2(value) - low) * (1.0 / step)).clamp(1.0, last),
            Layout::Linear { low, high } => ((value - low) * (last / (high - low))).clamp(0.0, last),
        };
        let knot = (place as usize).min(N_KNOTS - 2);
        (knot as u32, place - knot as f32)
    }

    fn values() -> Vec<f32> {
        let mut draws = Draws::new(3, 0, 0);
        let edges = [0.0, -0.0, -3.0, 1.0, 0.125, 1e-30, 1e30, f32::MAX, f32::MIN_POSITIVE, 14.0, 15.0];
        let no_numbers = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
        edges.into_iter().chain(no_numbers).chain((0..199).map(|_| 4.0 * draws.normal())).collect()
    }

    #[test]
    fn values_lie_where_the_definition_puts_them_on_every_set() {
        let values = values();
        let n = values.len();
        for layout in [
            Layout::Log { low: -9.0, step: 0.7 },
            Layout::Log { low: 0.0, step: 0.5 },
            Layout::Linear { low: -9.0, high: 6.0 },
            Layout::Linear { low: 0.0, high: 1.0 },
        ] {
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let (mut knots, mut shares) = (vec![9; n], vec![9.0; n]);
                let (set, last) = (Supported::check(set), (N_KNOTS - 1) as f32);
                match layout {
                    Layout::Log { low, step } => {
                        locate_log_on(set, low, step, last, &values, &mut knots, &mut shares);
                    }
                    Layout::Linear { low, high } => {
                        locate_linear_on(set, low, high, last, &values, &mut knots, &mut shares);
                    }
                }
                for ((&value, knot), share) in values.iter().zip(knots).zip(shares) {
                    let (expected_knot, expected_share) = expected(layout, value);
                    let same = share.to_bits() == expected_share.to_bits() || share.is_nan() && value.is_nan();
                    assert!(knot == expected_knot && same, "{layout:?} {value}: {knot} {share}");
                }
            }
        }
    }

    #[test]
    fn steps_have_the_same_bits_on_every_set() {
        let mut draws = Draws::new(1, 0, 0);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| draws.normal()).collect() };
        let (mut g, x) = (normal(67), normal(67));
        g.iter_mut().step_by(3).for_each(|g| *g = 0.0);
        let run = |set: InstructionSet| {
            let set = Supported::check(set);
            let (mut x, mut s, mut y) = (x.clone(), vec![0.5; 67], vec![1.0; 67]);
            adagrad_forgetting_on(set, 0.05, 1e-3, 1e-3, &g, &mut x, &mut s);
            move_towards_on(set, 0.01, &x, &mut y);
            [x, s, y].concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = run(InstructionSet::Scalar);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(run(set), expected, "{}", set.name());
        }
    }

    #[test]
    fn curves_have_the_same_bits_on_every_set() {
        let mut draws = Draws::new(2, 0, 0);
        let curve: [f32; N_KNOTS] = std::array::from_fn(|_| draws.normal());
        for n in [0, 1, 15, 16, 17, 100] {
            let knots: Vec<u32> = (0..n).map(|_| draws.below(N_KNOTS as u64 - 1) as u32).collect();
            let shares: Vec<f32> = (0..n).map(|_| draws.uniform()).collect();
            let scores: Vec<f32> = (0..n).map(|_| draws.normal()).collect();
            let value = |(&knot, &share): (&u32, &f32)| {
                let (low, high) = (curve[knot as usize], curve[knot as usize + 1]);
                high.mul_add(share, low * (1.0 - share))
            };
            let values = knots.iter().zip(&shares).map(value);
            let expected: Vec<u32> =
                scores.iter().zip(values).map(|(score, value)| (score + value).to_bits()).collect();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut found = scores.clone();
                add_on_curve_on(Supported::check(set), &curve, &knots, &shares, &mut found);
                assert_eq!(found.into_iter().map(f32::to_bits).collect::<Vec<_>>(), expected, "{} n={n}", set.name());
            }
        }
    }

    #[test]
    fn the_gradient_of_a_curve_is_that_of_its_two_knots() {
        let mut gradient = [1.0; N_KNOTS];
        let errors = [1.0, -2.0, 4.0, 8.0, 16.0];
        curve_gradient(&errors, &[0, 14, 0, 3, 0], &[0.0, 0.5, 0.25, 1.0, 0.0], &mut gradient);
        let mut expected = [1.0; N_KNOTS];
        expected[0] += 1.0 + 3.0 + 16.0;
        expected[1] += 1.0;
        expected[4] += 8.0;
        expected[14] -= 1.0;
        expected[15] -= 1.0;
        assert_eq!(gradient, expected);
    }

    #[test]
    fn places_beyond_the_first_knot_are_noticed_wherever_they_are() {
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let set = Supported::check(set);
            assert!(are_at_first_knot_on(set, &[0; 40], &[0.0; 40]));
            for place in [0, 15, 16, 39] {
                let (mut knots, mut shares) = ([0; 40], [0.0; 40]);
                knots[place] = 3;
                assert!(!are_at_first_knot_on(set, &knots, &[0.0; 40]));
                shares[place] = 0.5;
                assert!(!are_at_first_knot_on(set, &[0; 40], &shares));
            }
        }
    }

    #[test]
    fn a_gradient_of_zero_changes_nothing() {
        let (mut x, mut s) = ([1.0, 1.0], [4.0, 4.0]);
        adagrad_forgetting(0.5, 0.25, 0.0, &[0.0, 2.0], &mut x, &mut s);
        assert_eq!((x, s), ([1.0, 1.0 - 0.5 * 2.0 / 7.0_f32.sqrt()], [4.0, 7.0]));
    }
}
