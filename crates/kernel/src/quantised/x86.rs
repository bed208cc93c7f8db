//! The scan with AVX2 and with AVX-512 VNNI.
//!
//! In: arguments that `scan_on` has checked: `rows: [n, d]`, `scales: [n]`, `out: [n]`, `d > 0`. Out: the bits of
//! `scan_scalar`. At 64 dimensions a row is one register, and adding up its lanes costs more than the products. So the
//! lanes of 16 rows (AVX2: 8) are added up together, each step halving the number of registers.
#![allow(unsafe_code)]

use super::{QuantisedQuery, WIDEST, product};
use crate::instruction_set::Supported;
use std::arch::x86_64::*;

/// Rows per block: their 16 sums fill one AVX-512 register.
const BLOCK_AVX512: usize = 16;
/// Rows per block: their 8 sums fill one AVX2 register.
const BLOCK_AVX2: usize = 8;

/// As [`super::scan`]; `set` proves that AVX-512 is supported.
pub(super) fn scan_avx512(set: Supported, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    assert!(set.set() >= crate::InstructionSet::Avx512);
    // SAFETY: a `Supported` is constructed only for a set that the processor was found to support.
    unsafe { avx512(query, rows, scales, out) }
}

/// As [`super::scan`]; `set` proves that AVX2 is supported.
pub(super) fn scan_avx2(set: Supported, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    assert!(set.set() >= crate::InstructionSet::Avx2);
    // SAFETY: as above.
    unsafe { avx2(query, rows, scales, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn avx512(query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    let d = query.d;
    let offset = query.sum.wrapping_mul(128);
    let scale_query = _mm512_set1_ps(query.scale);
    let mut blocks = rows.chunks_exact(BLOCK_AVX512 * d);
    let mut block_scales = scales.chunks_exact(BLOCK_AVX512);
    let mut block_outs = out.chunks_exact_mut(BLOCK_AVX512);
    for ((rows, scales), out) in blocks.by_ref().zip(block_scales.by_ref()).zip(block_outs.by_ref()) {
        let sums =
            _mm512_sub_epi32(add_up_16(shifted_products::<BLOCK_AVX512>(query, rows)), _mm512_set1_epi32(offset));
        // SAFETY: `scales` and `out` have 16 elements each.
        unsafe {
            let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scales.as_ptr()));
            _mm512_storeu_ps(out.as_mut_ptr(), _mm512_mul_ps(scaled, scale_query));
        }
    }
    let rest = blocks.remainder().chunks_exact(d).zip(block_scales.remainder());
    for ((row, &scale), out) in rest.zip(block_outs.into_remainder()) {
        let [products] = shifted_products::<1>(query, row);
        *out = product(_mm512_reduce_add_epi32(products).wrapping_sub(offset), scale, query.scale);
    }
}

/// Per row, 16 partial sums of `(code + 128) · query code`. `rows: [R, d] → R × [16]`.
///
/// `vpdpbusd` multiplies unsigned by signed bytes. Flipping the top bit adds 128 to each code of a row, and the caller
/// subtracts 128 · Σ query codes again. Sums may wrap at 2³² in between; the subtraction wraps back.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn shifted_products<const R: usize>(query: &QuantisedQuery, rows: &[i8]) -> [__m512i; R] {
    let d = query.d;
    assert!(rows.len() == R * d && query.codes.len() >= d.next_multiple_of(WIDEST));
    let flip = _mm512_set1_epi8(-128);
    let mut sums = [_mm512_setzero_si512(); R];
    let whole = d / WIDEST * WIDEST;
    for start in (0..whole).step_by(WIDEST) {
        // SAFETY: `start + 64 <= d`, so the loads stay within the query's codes and within row `r` of `rows`.
        unsafe {
            let q = _mm512_loadu_si512(query.codes.as_ptr().add(start).cast());
            for (r, sum) in sums.iter_mut().enumerate() {
                let codes = _mm512_loadu_si512(rows.as_ptr().add(r * d + start).cast());
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(codes, flip), q);
            }
        }
    }
    if whole < d {
        let mask = (1_u64 << (d - whole)) - 1;
        // SAFETY: the query's codes are padded to a multiple of 64; of row `r` only the `d - whole` bytes of its tail
        // are read, because the mask excludes the others.
        unsafe {
            let q = _mm512_loadu_si512(query.codes.as_ptr().add(whole).cast());
            for (r, sum) in sums.iter_mut().enumerate() {
                let codes = _mm512_maskz_loadu_epi8(mask, rows.as_ptr().add(r * d + whole));
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(codes, flip), q);
            }
        }
    }
    sums
}

/// Adds up the lanes of 16 registers: lane `r` of the result is the sum of register `r`.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_up_16(v: [__m512i; 16]) -> __m512i {
    let columns = [add_up_4(v[0], v[4], v[8], v[12]), add_up_4(v[1], v[5], v[9], v[13])];
    let others = [add_up_4(v[2], v[6], v[10], v[14]), add_up_4(v[3], v[7], v[11], v[15])];
    let left = fold_32(columns[0], columns[1]);
    let right = fold_32(others[0], others[1]);
    _mm512_add_epi32(_mm512_unpacklo_epi64(left, right), _mm512_unpackhi_epi64(left, right))
}

/// Folds four registers into one: its 128-bit quarters hold four partial sums each of `a`, `b`, `c` and `d`.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_up_4(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xEE>(a, b));
    let cd = _mm512_add_epi32(_mm512_shuffle_i64x2::<0x44>(c, d), _mm512_shuffle_i64x2::<0xEE>(c, d));
    _mm512_add_epi32(_mm512_shuffle_i64x2::<0x88>(ab, cd), _mm512_shuffle_i64x2::<0xDD>(ab, cd))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn fold_32(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
}

#[target_feature(enable = "avx2,fma")]
fn avx2(query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    let d = query.d;
    let scale_query = _mm256_set1_ps(query.scale);
    let mut blocks = rows.chunks_exact(BLOCK_AVX2 * d);
    let mut block_scales = scales.chunks_exact(BLOCK_AVX2);
    let mut block_outs = out.chunks_exact_mut(BLOCK_AVX2);
    for ((rows, scales), out) in blocks.by_ref().zip(block_scales.by_ref()).zip(block_outs.by_ref()) {
        let sums = add_up_8(signed_products::<BLOCK_AVX2>(query, rows));
        // SAFETY: `scales` and `out` have 8 elements each.
        unsafe {
            let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales.as_ptr()));
            _mm256_storeu_ps(out.as_mut_ptr(), _mm256_mul_ps(scaled, scale_query));
        }
    }
    let rest = blocks.remainder().chunks_exact(d).zip(block_scales.remainder());
    for ((row, &scale), out) in rest.zip(block_outs.into_remainder()) {
        let [products] = signed_products::<1>(query, row);
        let none = _mm256_setzero_si256();
        let sums = add_up_8([products, none, none, none, none, none, none, none]);
        *out = product(_mm256_cvtsi256_si32(sums), scale, query.scale);
    }
}

/// A 32-byte window that starts at `32 - n` excludes the first `n` bytes.
static OFF_THEN_ON: [i8; 64] = {
    let mut mask = [0; 64];
    let mut i = 32;
    while i < 64 {
        mask[i] = -1;
        i += 1;
    }
    mask
};

/// Per row, 8 partial sums of `code · query code`. `rows: [R, d] → R × [8]`.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn signed_products<const R: usize>(query: &QuantisedQuery, rows: &[i8]) -> [__m256i; R] {
    let d = query.d;
    assert!(rows.len() == R * d && query.codes.len() >= d.next_multiple_of(WIDEST));
    let mut sums = [_mm256_setzero_si256(); R];
    let whole = d / 32 * 32;
    for start in (0..whole).step_by(32) {
        // SAFETY: `start + 32 <= d`, so the loads stay within the query's codes and within row `r` of `rows`.
        unsafe {
            let q = _mm256_loadu_si256(query.codes.as_ptr().add(start).cast());
            for (r, sum) in sums.iter_mut().enumerate() {
                let codes = _mm256_loadu_si256(rows.as_ptr().add(r * d + start).cast());
                *sum = _mm256_add_epi32(*sum, signed_by_signed(codes, q));
            }
        }
    }
    if whole < d && d >= 32 {
        // The last 32 codes of each row. The codes that were summed already are multiplied by zeros of the masked
        // query.
        let start = d - 32;
        // SAFETY: `start + 32 == d`, so the loads stay within the query's codes and within row `r` of `rows`; the mask
        // starts `whole - start <= 32` before the ones.
        unsafe {
            let mask = _mm256_loadu_si256(OFF_THEN_ON.as_ptr().add(32 - (whole - start)).cast());
            let q = _mm256_and_si256(mask, _mm256_loadu_si256(query.codes.as_ptr().add(start).cast()));
            for (r, sum) in sums.iter_mut().enumerate() {
                let codes = _mm256_loadu_si256(rows.as_ptr().add(r * d + start).cast());
                *sum = _mm256_add_epi32(*sum, signed_by_signed(codes, q));
            }
        }
    } else if whole < d {
        for (row, sum) in rows.chunks_exact(d).zip(&mut sums) {
            let mut padded = [0_i8; 32];
            padded[..d].copy_from_slice(row);
            // SAFETY: `padded` has 32 bytes, and the query's codes are padded to a multiple of 64.
            unsafe {
                let q = _mm256_loadu_si256(query.codes.as_ptr().cast());
                let codes = _mm256_loadu_si256(padded.as_ptr().cast());
                *sum = _mm256_add_epi32(*sum, signed_by_signed(codes, q));
            }
        }
    }
    sums
}

/// Products of 32 codes, added up in groups of four.
///
/// `vpmaddubsw` multiplies unsigned by signed bytes, adds pairs and saturates at 32,767: |code| ≤ 128 by ±127, twice,
/// is at most 32,512.
#[target_feature(enable = "avx2")]
#[inline]
fn signed_by_signed(codes: __m256i, query: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(query, codes));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

/// Adds up the lanes of 8 registers: lane `r` of the result is the sum of register `r`.
#[target_feature(enable = "avx2")]
#[inline]
fn add_up_8(v: [__m256i; 8]) -> __m256i {
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
}
