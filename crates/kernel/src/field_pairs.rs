//! Products of pairs of rows of a table, and the gradients of their sum: what a field-aware factorization machine does for
//! each example.
//!
//! In: pairs of rows with a factor each, and a table whose rows hold numbers and the sums of their squared gradients side
//! by side, so that both are in one cache line at width 8: `[n, 2 · width]`, the width a multiple of 8. Out: a sum of dot
//! products, or the changed rows. Sums have one fixed order: 8 lanes over all pairs, then one fixed tree, so all versions
//! return the same bits.

use crate::instruction_set::{Supported, compiled_for_each_set};

/// Numbers that are computed at once; a row's width is a multiple of it.
pub const PAIR_LANES: usize = 8;

/// Two rows whose dot product counts `factor` times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowPair {
    /// One row.
    pub one: u32,
    /// The other.
    pub other: u32,
    /// The factor.
    pub factor: f32,
}

/// `Σ factor · ⟨one, other⟩`. `table: [n, 2 · width] → scalar`.
///
/// # Panics
/// If the width is not a multiple of [`PAIR_LANES`] or a row is not in the table.
pub fn pair_dots(pairs: &[RowPair], width: usize, table: &[f32]) -> f32 {
    pair_dots_on(Supported::best(), pairs, width, table)
}

/// One step of Adagrad on both rows of each pair, in the order of pairs, where the sum of dot products has this slope:
/// `g = slope · factor · other`, `s = s + g²`, `one = one - rate · g / √s`, and the same for the other row with the row
/// before the step. Sums of squares must begin above 0. Juan, Zhuang, Chin and Lin, *Field-aware factorization machines
/// for CTR prediction* (RecSys 2016).
///
/// # Panics
/// If the width is not a multiple of [`PAIR_LANES`] or a row is not in the table.
pub fn pair_adagrad(pairs: &[RowPair], width: usize, slope: f32, rate: f32, table: &mut [f32]) {
    pair_adagrad_on(Supported::best(), pairs, width, slope, rate, table);
}

compiled_for_each_set! { fn pair_dots_on(pairs: &[RowPair], width: usize, table: &[f32]) -> f32 = pair_dots_lanes }
compiled_for_each_set! {
    fn pair_adagrad_on(pairs: &[RowPair], width: usize, slope: f32, rate: f32, table: &mut [f32]) = pair_adagrad_rows
}

#[inline(always)]
fn pair_dots_lanes(pairs: &[RowPair], width: usize, table: &[f32]) -> f32 {
    assert!(width.is_multiple_of(PAIR_LANES), "pair_dots: a width of {width}");
    let mut lanes = [0.0; PAIR_LANES];
    for pair in pairs {
        let row = |row: u32| table[row as usize * 2 * width..][..width].as_chunks::<PAIR_LANES>().0;
        for (one, other) in row(pair.one).iter().zip(row(pair.other)) {
            for lane in 0..PAIR_LANES {
                lanes[lane] += pair.factor * (one[lane] * other[lane]);
            }
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[inline(always)]
fn pair_adagrad_rows(pairs: &[RowPair], width: usize, slope: f32, rate: f32, table: &mut [f32]) {
    assert!(width.is_multiple_of(PAIR_LANES), "pair_adagrad: a width of {width}");
    for pair in pairs {
        let slope = slope * pair.factor;
        let (one, other) = (pair.one as usize * 2 * width, pair.other as usize * 2 * width);
        for at in (0..width).step_by(PAIR_LANES) {
            let one_before: [f32; PAIR_LANES] = std::array::from_fn(|lane| table[one + at..][..PAIR_LANES][lane]);
            let other_before: [f32; PAIR_LANES] = std::array::from_fn(|lane| table[other + at..][..PAIR_LANES][lane]);
            for (row, beside) in [(one, other_before), (other, one_before)] {
                let (values, squares) = table[row + at..].split_at_mut(width);
                let (values, squares) = (&mut values[..PAIR_LANES], &mut squares[..PAIR_LANES]);
                for lane in 0..PAIR_LANES {
                    let g = slope * beside[lane];
                    squares[lane] += g * g;
                    values[lane] -= rate * g / squares[lane].sqrt();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet};

    const WIDTH: usize = 16;

    fn table() -> Vec<f32> {
        let mut draws = Draws::new(1, 2, 3);
        let mut table: Vec<f32> = (0..5 * 2 * WIDTH).map(|_| draws.normal()).collect();
        table.chunks_exact_mut(2 * WIDTH).for_each(|row| row[WIDTH..].fill(0.1));
        table
    }

    fn pairs() -> [RowPair; 3] {
        let pair = |one, other, factor| RowPair { one, other, factor };
        [pair(0, 3, 1.0), pair(4, 1, -0.5), pair(3, 2, 2.0)]
    }

    #[test]
    fn every_set_has_the_same_bits() {
        let run = |set: InstructionSet| {
            let (set, mut table) = (Supported::check(set), table());
            let sum = pair_dots_on(set, &pairs(), WIDTH, &table);
            pair_adagrad_on(set, &pairs(), WIDTH, 0.7, 0.1, &mut table);
            table.push(sum);
            table.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = run(InstructionSet::Scalar);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(run(set), expected, "{}", set.name());
        }
    }

    #[test]
    fn the_sum_is_that_of_its_formula_and_a_step_lowers_it() {
        let mut table = table();
        let row = |table: &[f32], row: usize| table[row * 2 * WIDTH..][..WIDTH].to_vec();
        let dot = |table: &[f32], a, b| crate::dot(&row(table, a), &row(table, b));
        let expected = dot(&table, 0, 3) - 0.5 * dot(&table, 4, 1) + 2.0 * dot(&table, 3, 2);
        let found = pair_dots(&pairs(), WIDTH, &table);
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        // The first step of the first pair: g = 0.5 · other.
        let (before, beside) = (table[0], table[3 * 2 * WIDTH]);
        pair_adagrad(&pairs()[..1], WIDTH, 0.5, 0.1, &mut table);
        let g = 0.5 * beside;
        assert!((table[0] - (before - 0.1 * g / (0.1 + g * g).sqrt())).abs() < 1e-6);
        assert!(pair_dots(&pairs()[..1], WIDTH, &table) < dot(&self::table(), 0, 3));
    }
}
