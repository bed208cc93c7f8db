//! The row with the least sum among a few.
//!
//! In: sixteen rows of numbers. Out: the first of those with the least sum, in the total order of numbers. The loops have
//! no branches, so that they vectorise.

use crate::instruction_set::{Supported, compiled_for_each_set};

/// Rows that are compared.
const ROWS: usize = 16;

/// The place of the first row with the least sum, each row added up from its first number on. In the order of
/// [`f32::total_cmp`]: `-0.0` is less than `0.0`.
///
/// ```
/// let mut rows = [[1.0, 2.0]; 16];
/// rows[3] = [4.0, -2.0];
/// assert_eq!(accrue_kernel::least_row(&rows), 3);
/// ```
#[inline]
pub fn least_row<const N: usize>(rows: &[[f32; N]; ROWS]) -> usize {
    least_on(Supported::best(), rows.as_flattened(), N)
}

compiled_for_each_set! { fn least_on(numbers: &[f32], width: usize) -> usize = least }

#[inline(always)]
fn least(numbers: &[f32], width: usize) -> usize {
    let sums = match width {
        1 => sums::<1>(numbers),
        3 => sums::<3>(numbers),
        _ => std::array::from_fn(|row| numbers[row * width..][..width].iter().sum()),
    };
    // A number that is in the order of sums, so that two are compared as integers.
    let ranks = sums.map(|sum: f32| {
        let bits = sum.to_bits();
        bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
    });
    let least = ranks.iter().fold(u32::MAX, |least, &rank| if rank < least { rank } else { least });
    let equal = (0..ROWS).fold(0_u32, |bits, row| bits | u32::from(ranks[row] == least) << row);
    equal.trailing_zeros() as usize
}

#[inline(always)]
fn sums<const N: usize>(numbers: &[f32]) -> [f32; ROWS] {
    let rows: &[[f32; N]] = numbers.as_chunks().0;
    let rows: &[[f32; N]; ROWS] = rows.first_chunk().expect("there are as many rows");
    rows.map(|row| row.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet};

    fn check<const N: usize>(rows: &[[f32; N]; ROWS]) {
        let sum = |row: &[f32; N]| row.iter().sum::<f32>();
        let expected = (0..ROWS).min_by(|&a, &b| sum(&rows[a]).total_cmp(&sum(&rows[b])));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let found = least_on(Supported::check(set), rows.as_flattened(), N);
            assert_eq!(Some(found), expected, "{} {rows:?}", set.name());
        }
    }

    #[test]
    fn the_first_of_the_least_sums_is_found_on_every_set() {
        let mut draws = Draws::new(1, 2, 3);
        for round in 0..200 {
            // Few different numbers, of both signs, so that sums are equal.
            let mut number = || (draws.below(5 + round) as f32 - 2.0) * 0.5;
            check::<1>(&std::array::from_fn(|_| [number()]));
            check::<2>(&std::array::from_fn(|_| std::array::from_fn(|_| number())));
            check::<3>(&std::array::from_fn(|_| std::array::from_fn(|_| number())));
        }
        check(&std::array::from_fn(|row| [if row == 9 { -0.0 } else { 0.0 }]));
    }
}
