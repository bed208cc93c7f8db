//! The row with the least sum among a few.
//!
//! In: sixteen rows of numbers. Out: the first of those with the least sum, in the total order of numbers. The loops have
//! no branches, so that they vectorise.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Lanes256, Lanes512};

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

compiled_for_each_set! { fn least_on(numbers: &[f32], width: usize) -> usize = least<Lanes> }

#[inline(always)]
fn least<L: LeastLanes>(numbers: &[f32], width: usize) -> usize {
    match numbers.as_chunks::<3>().0.first_chunk() {
        Some(rows) if width == 3 => L::least_of_three(rows),
        _ => least_of(match width {
            1 => sums::<1>(numbers),
            _ => std::array::from_fn(|row| numbers[row * width..][..width].iter().sum()),
        }),
    }
}

/// Sixteen rows of three numbers, as the counts of pairs are.
trait LeastLanes: Lanes {
    /// The first row with the least sum.
    #[inline(always)]
    fn least_of_three(rows: &[[f32; 3]; ROWS]) -> usize {
        least_of(rows.map(|row| row.iter().sum()))
    }
}

impl LeastLanes for [f32; N_LANES] {}

#[cfg(target_arch = "x86_64")]
impl LeastLanes for Lanes256 {}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl LeastLanes for Lanes512 {
    #[inline(always)]
    fn least_of_three(rows: &[[f32; 3]; ROWS]) -> usize {
        const IN_TWO: [[i32; ROWS]; 3] = places(false);
        const IN_THIRD: [[i32; ROWS]; 3] = places(true);
        // SAFETY: as for `Lanes`, the caller has the features; reads the 48 numbers and the tables of 16 places.
        unsafe {
            let numbers = rows.as_flattened().as_ptr();
            let (a, b) = (_mm512_loadu_ps(numbers), _mm512_loadu_ps(numbers.add(16)));
            let c = _mm512_loadu_ps(numbers.add(32));
            let column = |number: usize| {
                let in_two = _mm512_loadu_si512(IN_TWO[number].as_ptr().cast());
                let in_third = _mm512_loadu_si512(IN_THIRD[number].as_ptr().cast());
                _mm512_permutex2var_ps(_mm512_permutex2var_ps(a, in_two, b), in_third, c)
            };
            let sums = _mm512_castps_si512(_mm512_add_ps(_mm512_add_ps(column(0), column(1)), column(2)));
            let signs = _mm512_or_si512(_mm512_srai_epi32::<31>(sums), _mm512_set1_epi32(i32::MIN));
            let ranks = _mm512_xor_si512(sums, signs);
            let least = _mm512_reduce_min_epu32(ranks);
            _mm512_cmpeq_epi32_mask(ranks, _mm512_set1_epi32(least as i32)).trailing_zeros() as usize
        }
    }
}

/// For each number of a row of three: of which place of three registers it comes for each row. Of the first two registers
/// if it is there, otherwise of the third, which follows what was taken of the first two.
#[cfg(target_arch = "x86_64")]
const fn places(of_third: bool) -> [[i32; ROWS]; 3] {
    let mut places = [[0; ROWS]; 3];
    let mut number = 0;
    while number < 3 {
        let mut row = 0;
        while row < ROWS {
            let place = 3 * row + number;
            places[number][row] = match (of_third, place < 2 * ROWS) {
                (false, true) => place as i32,
                (false, false) => 0,
                (true, true) => row as i32,
                (true, false) => (place - ROWS) as i32,
            };
            row += 1;
        }
        number += 1;
    }
    places
}

/// The first of the least of sixteen sums.
#[inline(always)]
fn least_of(sums: [f32; ROWS]) -> usize {
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
