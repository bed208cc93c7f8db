//! Sums in cells that need no clearing: a cell counts only if it bears the stamp of the present round.
//!
//! In: rows of three numbers, each with the position of a cell. Out: the cells with the rows added, and the positions of
//! those that were touched for the first time in this round.
#![allow(unsafe_code)]

use crate::instruction_set::{Supported, compiled_for_each_set};

/// Sums, and the round that they are of. Both are adjacent, because they are read together and in an order that the
/// cache cannot predict.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Stamped<const N: usize> {
    /// Valid if the stamp is that of the present round.
    pub sums: [f32; N],
    /// The round.
    pub stamp: u32,
}

/// For each of `ids` `[n]` in turn: `cells[id] += scale · row`, from 0 where the cell is not of `round`. Ids of cells
/// that were not are written to `touched` from `n_touched` on; returns their number after it. `rows: [n, 3]`.
///
/// The loop has no branch on whether a cell was touched before, which the processor could not predict: an id is written
/// behind the list in any case, and kept there at the first touch.
///
/// # Panics
/// If the lengths differ, if an id is not below the number of cells, or if `touched` has no place behind the list.
pub fn add_stamped_rows(
    cells: &mut [Stamped<3>],
    touched: (&mut [u32], usize),
    round: u32,
    ids: &[u32],
    rows: &[[f32; 3]],
    scale: [f32; 3],
) -> usize {
    add_on(Supported::best(), cells, touched, round, ids, rows, scale)
}

compiled_for_each_set! {
    fn add_on(
        cells: &mut [Stamped<3>],
        touched: (&mut [u32], usize),
        round: u32,
        ids: &[u32],
        rows: &[[f32; 3]],
        scale: [f32; 3]
    ) -> usize = add_rows
}

#[inline(always)]
fn add_rows(
    cells: &mut [Stamped<3>],
    (touched, mut n_touched): (&mut [u32], usize),
    round: u32,
    ids: &[u32],
    rows: &[[f32; 3]],
    scale: [f32; 3],
) -> usize {
    assert_eq!(ids.len(), rows.len(), "add_stamped_rows: lengths differ");
    let Some((last, ids_before)) = ids.split_last() else { return n_touched };
    let numbers = rows.as_flattened();
    for (place, id) in ids_before.iter().enumerate() {
        // One number more than the row has, because four are read at once.
        let row = numbers[3 * place..].first_chunk().expect("a row follows");
        touched[n_touched] = *id;
        n_touched += usize::from(add(&mut cells[*id as usize], round, row, scale));
    }
    let [x, y, z] = rows[rows.len() - 1];
    touched[n_touched] = *last;
    n_touched + usize::from(add(&mut cells[*last as usize], round, &[x, y, z, 0.0], scale))
}

/// Adds a row, the first three of `row`, to a cell; returns whether the cell was not of this round.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add(cell: &mut Stamped<3>, round: u32, row: &[f32; 4], [x, y, z]: [f32; 3]) -> bool {
    use std::arch::x86_64::*;
    let address: *mut Stamped<3> = cell;
    // SAFETY: a cell has 16 bytes in the order of its fields, of which any value is valid; the row has 16 bytes; every
    // x86-64 processor has these instructions.
    unsafe {
        let before = _mm_loadu_si128(address.cast());
        let of_round = _mm_set1_epi32(round as i32);
        let is_live = _mm_cmpeq_epi32(_mm_shuffle_epi32::<0xFF>(before), of_round);
        let live = _mm_castsi128_ps(_mm_and_si128(before, is_live));
        let sums = _mm_add_ps(live, _mm_mul_ps(_mm_loadu_ps(row.as_ptr()), _mm_setr_ps(x, y, z, 0.0)));
        let (of_sums, of_stamp) = (_mm_setr_epi32(-1, -1, -1, 0), _mm_setr_epi32(0, 0, 0, -1));
        let sums = _mm_and_si128(_mm_castps_si128(sums), of_sums);
        _mm_storeu_si128(address.cast(), _mm_or_si128(sums, _mm_and_si128(of_round, of_stamp)));
        _mm_cvtsi128_si32(is_live) == 0
    }
}

/// Adds a row, the first three of `row`, to a cell; returns whether the cell was not of this round.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn add(cell: &mut Stamped<3>, round: u32, row: &[f32; 4], scale: [f32; 3]) -> bool {
    let is_first = cell.stamp != round;
    let before = if is_first { [0.0; 3] } else { cell.sums };
    *cell = Stamped { sums: std::array::from_fn(|k| before[k] + row[k] * scale[k]), stamp: round };
    is_first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;

    #[test]
    fn sums_and_first_touches_are_those_of_the_definition() {
        const CELLS: usize = 20;
        let mut draws = Draws::new(1, 0, 0);
        let mut cells = [Stamped { sums: [f32::NAN, f32::INFINITY, 5.0], stamp: 6 }; CELLS];
        let (mut touched, mut n) = ([0; CELLS + 1], 0);
        let (mut sums, mut order) = ([[0.0_f32; 3]; CELLS], Vec::new());
        for len in [0, 1, 2, 9] {
            let ids: Vec<u32> = (0..len).map(|_| draws.below(CELLS as u64) as u32).collect();
            let rows: Vec<[f32; 3]> = ids.iter().map(|_| std::array::from_fn(|_| draws.normal())).collect();
            let scale = [0.5, 0.0, 3.0];
            for (&id, row) in ids.iter().zip(&rows) {
                (0..3).for_each(|k| sums[id as usize][k] += row[k] * scale[k]);
                if !order.contains(&id) {
                    order.push(id);
                }
            }
            n = add_stamped_rows(&mut cells, (&mut touched, n), 7, &ids, &rows, scale);
        }
        assert_eq!(touched[..n], order[..]);
        for &id in &order {
            let cell = cells[id as usize];
            assert_eq!((cell.sums.map(f32::to_bits), cell.stamp), (sums[id as usize].map(f32::to_bits), 7));
        }
        let untouched = cells.iter().filter(|cell| cell.stamp == 6 && cell.sums[2] == 5.0).count();
        assert_eq!(untouched, CELLS - order.len());
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn an_id_without_a_cell_is_refused() {
        let mut cells = [Stamped { sums: [0.0; 3], stamp: 0 }; 2];
        add_stamped_rows(&mut cells, (&mut [0; 3], 0), 1, &[2], &[[1.0; 3]], [1.0; 3]);
    }
}
