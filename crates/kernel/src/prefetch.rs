//! A hint to the processor that a row will be read soon.
//!
//! In: a slice. Out: no visible result; the processor starts to load the slice into its cache while other work goes on.
//! On a target without a prefetch instruction the function does nothing.
#![allow(unsafe_code)]

/// Floats per cache line.
const LINE: usize = 16;

/// Asks the processor to load the slice into the cache.
#[inline]
pub fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(LINE) {
        // SAFETY: a prefetch returns no data and cannot fault; every x86-64 processor has the instruction.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, LINE);
}
