//! A hint that a row will be read soon.
//!
//! In: a slice. Out: nothing that can be seen; rows that lie anywhere in a large table are on their way into the cache while
//! others are worked on. Refuses: nothing; where the target has no such instruction it does nothing.
#![allow(unsafe_code)]

/// Floats a cache line.
const LINE: usize = 16;

/// Asks for the slice to be brought into the cache.
#[inline]
pub fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(LINE) {
        // SAFETY: a prefetch reads nothing and cannot fault; the instruction is in every x86-64 processor.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, LINE);
}
