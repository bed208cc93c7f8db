//! The vector instructions that the processor supports, detected once.
//!
//! In: the processor. Out: an [`InstructionSet`], and for the other files of this crate a macro that compiles one
//! function body for each set. This file reads no environment variable: a setting that forces a set is read elsewhere
//! and passed to the `_with` functions.

use std::sync::atomic::{AtomicU8, Ordering};

/// The vector instructions that a kernel may use, from none to the widest.
///
/// ```
/// use accrue_kernel::InstructionSet;
/// let best = InstructionSet::detect();
/// assert!(best.is_available() && InstructionSet::Scalar.is_available());
/// println!("running on {}", best.name());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionSet {
    /// Only what the compilation target guarantees; the reference for the other sets.
    Scalar,
    /// AVX2 with fused multiply-add: 8 floats at once (x86-64 since 2013).
    Avx2,
    /// AVX-512 with its F, BW, VL and VNNI parts: 16 floats at once (Cascade Lake, Zen 4 and later).
    Avx512,
}

/// 0: not detected yet; otherwise the set's position + 1.
static DETECTED: AtomicU8 = AtomicU8::new(0);

impl InstructionSet {
    /// All sets, from none to the widest; filter by [`is_available`](Self::is_available).
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The widest set that this processor supports. Costs one relaxed load after the first call.
    #[inline]
    pub fn detect() -> Self {
        match DETECTED.load(Ordering::Relaxed) {
            1 => Self::Scalar,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => Self::detect_first(),
        }
    }

    /// Whether this processor supports the set.
    #[inline]
    pub fn is_available(self) -> bool {
        self <= Self::detect()
    }

    /// Short lower-case name for reports: `scalar`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    // Two threads may both run this; they store the same value.
    #[cold]
    fn detect_first() -> Self {
        let found = Self::widest_supported();
        DETECTED.store(found as u8 + 1, Ordering::Relaxed);
        found
    }

    #[cfg(target_arch = "x86_64")]
    fn widest_supported() -> Self {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            return Self::Scalar;
        }
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        if wide { Self::Avx512 } else { Self::Avx2 }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn widest_supported() -> Self {
        Self::Scalar
    }
}

/// Proof that the processor supports the set; every unsafe call of this crate relies on it. Only this file constructs
/// it.
#[derive(Clone, Copy)]
pub(crate) struct Supported(InstructionSet);

impl Supported {
    /// The widest set that this processor supports.
    #[inline(always)]
    pub(crate) fn best() -> Self {
        Self(InstructionSet::detect())
    }

    /// The given set, after a check.
    ///
    /// # Panics
    /// If this processor does not support it.
    #[inline]
    pub(crate) fn check(set: InstructionSet) -> Self {
        assert!(
            set.is_available(),
            "this processor does not support {}; ask InstructionSet::is_available first",
            set.name()
        );
        Self(set)
    }

    #[inline(always)]
    pub(crate) fn set(self) -> InstructionSet {
        self.0
    }
}

/// Defines a function that runs one body, compiled three times: once for each set.
///
/// The body has to be `#[inline(always)]`, because only then is it compiled with the instructions of the function that
/// it is inlined into. Without them `mul_add` is a library call, which is correct but takes 40 ns. With `= body` the
/// compiler vectorises the body itself; with `= body<Lanes>` the body's type parameter is the
/// [`Lanes`](crate::lanes::Lanes) type of the set.
macro_rules! compiled_for_each_set {
    (fn $name:ident $arguments:tt $(-> $out:ty)? = $body:ident) => {
        compiled_for_each_set! { @ $name $arguments ($($out)?) ($body) ($body) ($body) }
    };
    (fn $name:ident $arguments:tt $(-> $out:ty)? = $body:ident<Lanes>) => {
        compiled_for_each_set! {
            @ $name $arguments ($($out)?)
            ($body::<[f32; 16]>) ($body::<$crate::lanes::Lanes256>) ($body::<$crate::lanes::Lanes512>)
        }
    };
    (@ $name:ident ($($arg:ident: $type:ty),*) ($($out:ty)?) ($scalar:expr) ($avx2:expr) ($avx512:expr)) => {
        #[inline]
        #[allow(unsafe_code)]
        fn $name(set: $crate::instruction_set::Supported, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $out)? { $avx512($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? { $avx2($($arg),*) }
            match set.set() {
                // SAFETY: a `Supported` is constructed only for a set that the processor was found to support.
                #[cfg(target_arch = "x86_64")]
                $crate::InstructionSet::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                _ => $scalar($($arg),*),
            }
        }
    };
}
pub(crate) use compiled_for_each_set;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_is_stable_and_scalar_is_always_available() {
        assert_eq!(InstructionSet::detect(), InstructionSet::detect());
        assert!(InstructionSet::Scalar.is_available());
    }

    #[test]
    fn every_set_below_the_best_is_available() {
        let best = InstructionSet::detect();
        for set in InstructionSet::ALL {
            assert_eq!(set.is_available(), set <= best, "{}", set.name());
        }
    }
}
