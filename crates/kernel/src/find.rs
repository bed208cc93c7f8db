//! The position of an id in short unsorted lists, and the largest id of one.
//!
//! In: a list of ids and the id to find. Out: its first position. A list long enough to be worth sorting should be
//! sorted and searched by bisection instead. Comparisons become a bit for each id, so that the only branches are those
//! on the lengths of lists: where in a list an id is, the processor could not predict.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Lanes256, Lanes512};

/// Ids that are compared before the result is tested: a bit of a word for each.
const BLOCK: usize = u64::BITS as usize;
/// The place of an id that [`find_each`] does not find.
pub const NO_PLACE: u32 = u32::MAX;

/// The first position of `id` in `ids`: the result of `ids.iter().position(|&other| other == id)`, with 64 comparisons
/// at a time.
///
/// ```
/// assert_eq!(accrue_kernel::find(&[7, 3, 9, 3], 3), Some(1));
/// ```
#[inline]
pub fn find(ids: &[u32], id: u32) -> Option<usize> {
    find_on(Supported::best(), ids, id)
}

/// [`find`] of one id in each of `lists`: `places: [lists]`, [`NO_PLACE`] where the id is not in the list.
///
/// ```
/// let mut places = [0; 2];
/// accrue_kernel::find_each(&[&[7, 3], &[9]], 3, &mut places);
/// assert_eq!(places, [1, accrue_kernel::NO_PLACE]);
/// ```
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn find_each(lists: &[&[u32]], id: u32, places: &mut [u32]) {
    find_each_on(Supported::best(), lists, id, places);
}

/// The largest of `ids`.
#[inline]
pub fn largest_id(ids: &[u32]) -> Option<u32> {
    largest_id_on(Supported::best(), ids)
}

compiled_for_each_set! { fn largest_id_on(ids: &[u32]) -> Option<u32> = largest }
compiled_for_each_set! { fn find_on(ids: &[u32], id: u32) -> Option<usize> = find_by_bits<Lanes> }
compiled_for_each_set! {
    fn find_each_on(lists: &[&[u32]], id: u32, places: &mut [u32]) = find_each_by_bits<Lanes>
}

#[inline(always)]
fn largest(ids: &[u32]) -> Option<u32> {
    let largest = ids.iter().fold(0, |largest, &id| if id > largest { id } else { largest });
    (!ids.is_empty()).then_some(largest)
}

#[inline(always)]
fn find_by_bits<L: EqualIds>(ids: &[u32], id: u32) -> Option<usize> {
    let (blocks, rest) = ids.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        let equal = equal_in_block::<L>(block, id);
        if equal != 0 {
            return Some(number * BLOCK + equal.trailing_zeros() as usize);
        }
    }
    let equal = equal_in_rest::<L>(rest, id);
    (equal != 0).then(|| blocks.len() * BLOCK + equal.trailing_zeros() as usize)
}

#[inline(always)]
fn find_each_by_bits<L: EqualIds>(lists: &[&[u32]], id: u32, places: &mut [u32]) {
    assert_eq!(lists.len(), places.len(), "find_each: there is no place for each list");
    for (ids, place) in lists.iter().zip(places) {
        let (blocks, rest) = ids.as_chunks::<BLOCK>();
        let mut found = NO_PLACE;
        for (number, block) in blocks.iter().enumerate() {
            found = earliest(found, number, equal_in_block::<L>(block, id));
        }
        if !rest.is_empty() {
            found = earliest(found, blocks.len(), equal_in_rest::<L>(rest, id));
        }
        *place = found;
    }
}

/// The place found before; if there was none, that of the first bit in block `number`.
#[inline(always)]
fn earliest(found: u32, number: usize, equal: u64) -> u32 {
    let here = (number * BLOCK) as u32 + equal.trailing_zeros();
    let here = if equal != 0 { here } else { NO_PLACE };
    if found != NO_PLACE { found } else { here }
}

/// A bit for each id of the block, 1 if it is `id`.
#[inline(always)]
fn equal_in_block<L: EqualIds>(block: &[u32; BLOCK], id: u32) -> u64 {
    let (chunks, _) = block.as_chunks::<N_LANES>();
    let mut equal = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        equal |= u64::from(L::equal(chunk, id)) << (number * N_LANES);
    }
    equal
}

/// The same for fewer ids than a block has.
#[inline(always)]
fn equal_in_rest<L: EqualIds>(rest: &[u32], id: u32) -> u64 {
    let (chunks, tail) = rest.as_chunks::<N_LANES>();
    let mut equal = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        equal |= u64::from(L::equal(chunk, id)) << (number * N_LANES);
    }
    if tail.is_empty() { equal } else { equal | u64::from(L::equal_in_tail(tail, id)) << (chunks.len() * N_LANES) }
}

/// Sixteen comparisons at once.
trait EqualIds: Lanes {
    /// A bit for each of `ids`, 1 if it is `id`.
    fn equal(ids: &[u32; N_LANES], id: u32) -> u16;

    /// The same for fewer than 16.
    #[inline(always)]
    fn equal_in_tail(ids: &[u32], id: u32) -> u16 {
        ids.iter().enumerate().fold(0, |equal, (place, &other)| equal | u16::from(other == id) << place)
    }
}

impl EqualIds for [f32; N_LANES] {
    #[inline(always)]
    fn equal(ids: &[u32; N_LANES], id: u32) -> u16 {
        Self::equal_in_tail(ids, id)
    }
}

// SAFETY of all blocks below: as for `Lanes`, the caller has the features.
#[cfg(target_arch = "x86_64")]
impl EqualIds for Lanes256 {
    #[inline(always)]
    fn equal(ids: &[u32; N_LANES], id: u32) -> u16 {
        let (halves, _) = ids.as_chunks::<8>();
        // SAFETY: reads the eight ids of a half.
        let equal = |half: &[u32; 8]| unsafe {
            let equal = _mm256_cmpeq_epi32(_mm256_loadu_si256(half.as_ptr().cast()), _mm256_set1_epi32(id as i32));
            _mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u16
        };
        equal(&halves[0]) | equal(&halves[1]) << 8
    }
}

#[cfg(target_arch = "x86_64")]
impl EqualIds for Lanes512 {
    #[inline(always)]
    fn equal(ids: &[u32; N_LANES], id: u32) -> u16 {
        // SAFETY: reads the 16 ids.
        unsafe { _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(ids.as_ptr().cast()), _mm512_set1_epi32(id as i32)) }
    }

    #[inline(always)]
    fn equal_in_tail(ids: &[u32], id: u32) -> u16 {
        assert!(ids.len() < N_LANES);
        let mask = (1_u16 << ids.len()) - 1;
        // SAFETY: ids that the mask disables are not read, so nothing past the tail is read.
        unsafe {
            let ids = _mm512_maskz_loadu_epi32(mask, ids.as_ptr().cast());
            _mm512_mask_cmpeq_epi32_mask(mask, ids, _mm512_set1_epi32(id as i32))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_position_is_found_at_every_length() {
        for len in 0..200_u32 {
            let ids: Vec<u32> = (0..len).map(|n| n * 7 % 131).collect();
            for id in (0..132).step_by(3) {
                let expected = ids.iter().position(|&other| other == id);
                for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                    assert_eq!(find_on(Supported::check(set), &ids, id), expected, "{len} ids, {}", set.name());
                    let (lists, mut places) = ([&[][..], &ids, &ids[ids.len() / 2..]], [7; 3]);
                    find_each_on(Supported::check(set), &lists, id, &mut places);
                    let place = |list: &[u32]| list.iter().position(|&other| other == id).map(|place| place as u32);
                    let right = lists.map(|list| place(list).unwrap_or(NO_PLACE));
                    assert_eq!(places, right, "{len} ids, {}", set.name());
                }
            }
            for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let found = largest_id_on(Supported::check(set), &ids);
                assert_eq!(found, ids.iter().copied().max(), "{len} ids, {}", set.name());
            }
        }
    }
}
