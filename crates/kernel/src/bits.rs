//! Floats by their bits: ids and floats that are read together are kept in one allocation of 32-bit words.
//!
//! In: words. Out: the same memory as floats.
#![allow(unsafe_code)]

/// The floats that have these bits.
///
/// ```
/// assert_eq!(accrue_kernel::as_floats(&[1.5_f32.to_bits()]), [1.5]);
/// ```
#[inline]
pub fn as_floats(bits: &[u32]) -> &[f32] {
    // SAFETY: both types have the same size and alignment, and every word is a float.
    unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
}

/// The floats that have these bits, for writing.
#[inline]
pub fn as_floats_mut(bits: &mut [u32]) -> &mut [f32] {
    // SAFETY: as above, and every float is a word.
    unsafe { std::slice::from_raw_parts_mut(bits.as_mut_ptr().cast(), bits.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_their_bits() {
        let mut words = [0, 7, f32::NAN.to_bits()];
        as_floats_mut(&mut words[..2]).copy_from_slice(&[-0.0, 3.25]);
        assert_eq!(words, [1 << 31, 3.25_f32.to_bits(), f32::NAN.to_bits()]);
        assert!(as_floats(&words)[2].is_nan() && as_floats(&[]).is_empty());
    }
}
