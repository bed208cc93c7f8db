//! The position of an id in a short unsorted list, and the largest id of one.
//!
//! In: a list of ids and the id to find. Out: its first position. A list long enough to be worth sorting should be
//! sorted and searched by bisection instead.

use crate::instruction_set::{Supported, compiled_for_each_set};

/// Ids that are compared before the result is tested.
const CHUNK: usize = 32;

/// The first position of `id` in `ids`: the result of `ids.iter().position(|&other| other == id)`, with 32 comparisons
/// at a time.
///
/// ```
/// assert_eq!(accrue_kernel::find(&[7, 3, 9, 3], 3), Some(1));
/// ```
#[inline]
pub fn find(ids: &[u32], id: u32) -> Option<usize> {
    find_on(Supported::best(), ids, id)
}

/// The largest of `ids`.
#[inline]
pub fn largest_id(ids: &[u32]) -> Option<u32> {
    largest_id_on(Supported::best(), ids)
}

compiled_for_each_set! { fn largest_id_on(ids: &[u32]) -> Option<u32> = largest }
compiled_for_each_set! { fn find_on(ids: &[u32], id: u32) -> Option<usize> = find_in_chunks }

#[inline(always)]
fn largest(ids: &[u32]) -> Option<u32> {
    let largest = ids.iter().fold(0, |largest, &id| if id > largest { id } else { largest });
    (!ids.is_empty()).then_some(largest)
}

#[inline(always)]
fn find_in_chunks(ids: &[u32], id: u32) -> Option<usize> {
    let (chunks, rest) = ids.as_chunks::<CHUNK>();
    for (number, chunk) in chunks.iter().enumerate() {
        // No early exit inside a chunk: a fold over a fixed length compiles to a few vector comparisons.
        if chunk.iter().fold(false, |any, &other| any | (other == id)) {
            let place = chunk.iter().position(|&other| other == id).expect("an id of this chunk was equal");
            return Some(number * CHUNK + place);
        }
    }
    let place = rest.iter().position(|&other| other == id)?;
    Some(chunks.len() * CHUNK + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_position_is_found_at_every_length() {
        for len in 0..130_u32 {
            let ids: Vec<u32> = (0..len).map(|n| n * 7 % 31).collect();
            for id in 0..32 {
                let expected = ids.iter().position(|&other| other == id);
                for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                    assert_eq!(find_on(Supported::check(set), &ids, id), expected, "{len} ids, {}", set.name());
                }
            }
            for set in crate::InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let found = largest_id_on(Supported::check(set), &ids);
                assert_eq!(found, ids.iter().copied().max(), "{len} ids, {}", set.name());
            }
        }
    }
}
