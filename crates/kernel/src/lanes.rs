//! Sixteen floats in parallel lanes: the accumulator of every sum and product, for each instruction set.
//!
//! In: chunks of 16 floats, or fewer at the end. Out: fused multiply-adds per lane, and sums over the lanes in one
//! fixed tree. The implementations differ in the registers they use, never in the order of additions, so they return
//! the same bits. [`compiled_for_each_set`](crate::instruction_set) chooses the instruction set.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Floats per chunk.
pub(crate) const N_LANES: usize = 16;

/// Sixteen f32 accumulators.
///
/// The vector implementations may be used only in functions that are compiled with their features and into which all
/// methods are inlined; `compiled_for_each_set` ensures both.
pub(crate) trait Lanes: Copy {
    /// All zero.
    fn zero() -> Self;
    /// A whole chunk.
    fn load(chunk: &[f32; N_LANES]) -> Self;
    /// Fewer than 16 floats; the other lanes are zero.
    fn load_tail(tail: &[f32]) -> Self;
    /// One number in every lane.
    fn splat(x: f32) -> Self;
    /// Writes the lanes to a chunk.
    fn store(self, chunk: &mut [f32; N_LANES]);
    /// `self + x · y`, rounded once.
    fn multiply_add(self, x: Self, y: Self) -> Self;
    /// `self · x`.
    fn multiply(self, x: Self) -> Self;
    /// A bit for each lane, 1 unless it is below that of `x`: also where one of them is a `NaN`.
    fn not_below(self, x: Self) -> u16;
    /// Lane `l` is lane `places[l]` of `self`, a table of 16 numbers. Each place is below 16.
    fn look_up(self, places: &[u32; N_LANES]) -> Self;
    /// The sum of the lanes of each of four: lane `l` takes lane `l + 8`, then `l + 4`, `l + 2`, `l + 1`.
    fn sum_four(four: [Self; 4]) -> [f32; 4];

    /// The sum of the lanes, by the same tree.
    #[inline(always)]
    fn sum(self) -> f32 {
        let zero = Self::zero();
        Self::sum_four([self, zero, zero, zero])[0]
    }
}

/// The scalar reference.
impl Lanes for [f32; N_LANES] {
    #[inline(always)]
    fn zero() -> Self {
        [0.0; N_LANES]
    }

    #[inline(always)]
    fn load(chunk: &[f32; N_LANES]) -> Self {
        *chunk
    }

    #[inline(always)]
    fn load_tail(tail: &[f32]) -> Self {
        let mut lanes = [0.0; N_LANES];
        lanes[..tail.len()].copy_from_slice(tail);
        lanes
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        [x; N_LANES]
    }

    #[inline(always)]
    fn store(self, chunk: &mut [f32; N_LANES]) {
        *chunk = self;
    }

    #[inline(always)]
    fn multiply_add(self, x: Self, y: Self) -> Self {
        std::array::from_fn(|l| x[l].mul_add(y[l], self[l]))
    }

    #[inline(always)]
    fn multiply(self, x: Self) -> Self {
        std::array::from_fn(|l| self[l] * x[l])
    }

    #[inline(always)]
    fn not_below(self, x: Self) -> u16 {
        let is_below = |l: usize| self[l] < x[l];
        (0..N_LANES).fold(0, |bits, l| bits | u16::from(!is_below(l)) << l)
    }

    #[inline(always)]
    fn look_up(self, places: &[u32; N_LANES]) -> Self {
        places.map(|place| self[place as usize % N_LANES])
    }

    #[inline(always)]
    fn sum_four(four: [Self; 4]) -> [f32; 4] {
        four.map(Self::sum)
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let eight: [f32; 8] = std::array::from_fn(|l| self[l] + self[l + 8]);
        let four: [f32; 4] = std::array::from_fn(|l| eight[l] + eight[l + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
}

/// Two AVX2 registers: lanes 0 to 7, lanes 8 to 15.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Lanes256(pub(crate) __m256, pub(crate) __m256);

// SAFETY of all blocks below: the trait requires the caller to have the features. Each block says what memory it
// touches.
#[cfg(target_arch = "x86_64")]
impl Lanes for Lanes256 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    fn load(chunk: &[f32; N_LANES]) -> Self {
        // SAFETY: reads the 16 floats of the chunk.
        unsafe { Self(_mm256_loadu_ps(chunk.as_ptr()), _mm256_loadu_ps(chunk.as_ptr().add(8))) }
    }

    #[inline(always)]
    fn load_tail(tail: &[f32]) -> Self {
        // The eight mask elements from `N_LANES - n` on enable the first n lanes.
        const ON_THEN_OFF: [i32; 2 * N_LANES] = {
            let mut mask = [0; 2 * N_LANES];
            let mut l = 0;
            while l < N_LANES {
                mask[l] = -1;
                l += 1;
            }
            mask
        };
        let mask = &ON_THEN_OFF[N_LANES - tail.len()..][..N_LANES];
        let second = &tail[tail.len().min(8)..];
        // SAFETY: the mask has 16 elements; disabled lanes are not read, so nothing past the tail is read.
        unsafe {
            let low = _mm256_loadu_si256(mask.as_ptr().cast());
            let high = _mm256_loadu_si256(mask.as_ptr().add(8).cast());
            Self(_mm256_maskload_ps(tail.as_ptr(), low), _mm256_maskload_ps(second.as_ptr(), high))
        }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }

    #[inline(always)]
    fn store(self, chunk: &mut [f32; N_LANES]) {
        // SAFETY: writes the 16 floats of the chunk.
        unsafe {
            _mm256_storeu_ps(chunk.as_mut_ptr(), self.0);
            _mm256_storeu_ps(chunk.as_mut_ptr().add(8), self.1);
        }
    }

    #[inline(always)]
    fn multiply_add(self, x: Self, y: Self) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm256_fmadd_ps(x.0, y.0, self.0), _mm256_fmadd_ps(x.1, y.1, self.1)) }
    }

    #[inline(always)]
    fn multiply(self, x: Self) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm256_mul_ps(self.0, x.0), _mm256_mul_ps(self.1, x.1)) }
    }

    #[inline(always)]
    fn not_below(self, x: Self) -> u16 {
        // SAFETY: touches registers only.
        let half = |a, b| unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(a, b)) as u16 };
        half(self.0, x.0) | half(self.1, x.1) << 8
    }

    #[inline(always)]
    fn look_up(self, places: &[u32; N_LANES]) -> Self {
        // SAFETY: reads the 16 places.
        unsafe {
            // Each half of the table is looked up by the low three bits of a place; the fourth chooses the half.
            let half = |places: __m256i| {
                let (low, high) = (_mm256_permutevar8x32_ps(self.0, places), _mm256_permutevar8x32_ps(self.1, places));
                let is_high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(places, _mm256_set1_epi32(7)));
                _mm256_blendv_ps(low, high, is_high)
            };
            let places = places.as_ptr().cast::<__m256i>();
            Self(half(_mm256_loadu_si256(places)), half(_mm256_loadu_si256(places.add(1))))
        }
    }

    #[inline(always)]
    fn sum_four([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: touches registers only, except for the store of 4 floats.
        unsafe {
            let fold_8 = |x: Self| _mm256_add_ps(x.0, x.1);
            let fold_4 =
                |x, y| _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y));
            let (ab, cd) = (fold_4(fold_8(a), fold_8(b)), fold_4(fold_8(c), fold_8(d)));
            let fold_2 = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xEE>(ab, cd));
            // In each half: a or b, then c or d, then both again.
            let fold_1 =
                _mm256_add_ps(_mm256_shuffle_ps::<0x88>(fold_2, fold_2), _mm256_shuffle_ps::<0xDD>(fold_2, fold_2));
            let (ac, bd) = (_mm256_castps256_ps128(fold_1), _mm256_extractf128_ps::<1>(fold_1));
            _mm_storeu_ps(sums.as_mut_ptr(), _mm_unpacklo_ps(ac, bd));
        }
        sums
    }
}

/// One AVX-512 register.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Lanes512(pub(crate) __m512);

#[cfg(target_arch = "x86_64")]
impl Lanes for Lanes512 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm512_setzero_ps()) }
    }

    #[inline(always)]
    fn load(chunk: &[f32; N_LANES]) -> Self {
        // SAFETY: reads the 16 floats of the chunk.
        unsafe { Self(_mm512_loadu_ps(chunk.as_ptr())) }
    }

    #[inline(always)]
    fn load_tail(tail: &[f32]) -> Self {
        assert!(tail.len() < N_LANES);
        let mask = (1_u16 << tail.len()) - 1;
        // SAFETY: lanes that the mask disables are not read, so nothing past the tail is read.
        unsafe { Self(_mm512_maskz_loadu_ps(mask, tail.as_ptr())) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn store(self, chunk: &mut [f32; N_LANES]) {
        // SAFETY: writes the 16 floats of the chunk.
        unsafe { _mm512_storeu_ps(chunk.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn multiply_add(self, x: Self, y: Self) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm512_fmadd_ps(x.0, y.0, self.0)) }
    }

    #[inline(always)]
    fn multiply(self, x: Self) -> Self {
        // SAFETY: touches registers only.
        unsafe { Self(_mm512_mul_ps(self.0, x.0)) }
    }

    #[inline(always)]
    fn not_below(self, x: Self) -> u16 {
        // SAFETY: touches registers only.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0, x.0) }
    }

    #[inline(always)]
    fn look_up(self, places: &[u32; N_LANES]) -> Self {
        // SAFETY: reads the 16 places.
        unsafe { Self(_mm512_permutexvar_ps(_mm512_loadu_si512(places.as_ptr().cast()), self.0)) }
    }

    #[inline(always)]
    fn sum_four([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: touches registers only, except for the store of 4 floats.
        unsafe {
            let fold_8 = |x, y| _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(x, y), _mm512_shuffle_f32x4::<0xEE>(x, y));
            let (ab, cd) = (fold_8(a.0, b.0), fold_8(c.0, d.0));
            // The four quarters of the result belong to a, b, c and d.
            let fold_4 = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            let fold_2 = _mm512_add_ps(fold_4, _mm512_permute_ps::<0x0E>(fold_4));
            let fold_1 = _mm512_add_ps(fold_2, _mm512_permute_ps::<0x01>(fold_2));
            let firsts = _mm512_maskz_compress_ps(0x1111, fold_1);
            _mm_storeu_ps(sums.as_mut_ptr(), _mm512_castps512_ps128(firsts));
        }
        sums
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: touches registers only.
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0)));
            let eight = _mm256_add_ps(_mm512_castps512_ps256(self.0), high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
}
