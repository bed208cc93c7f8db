//! A hint that memory will be read soon.
//!
//! In: a slice. Out: nothing that can be seen; values that lie anywhere in a large table are on their way into the cache while others are
//! worked on. Where the target has no such instruction it does nothing.
#![allow(unsafe_code)]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks the processor to load the slice into the cache.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    let first = values.as_ptr().cast::<u8>();
    for line in (0..size_of_val(values)).step_by(LINE) {
        prefetch_line(first.wrapping_add(line));
    }
}

/// Asks for the cache line that `value` begins in.
#[inline]
pub fn prefetch_first<T: ?Sized>(value: *const T) {
    prefetch_line(value.cast::<u8>());
}

#[inline]
fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and cannot fault, whatever the address; the instruction is in every x86-64 processor.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
