//! The gain of a place in a list, as NDCG counts it.

/// Places of a list that count.
pub(crate) const LIST: usize = 20;

/// Gain of the right item at `rank` (from 0): `1 / log2(2 + rank)`.
pub(crate) fn gain(rank: usize) -> f64 {
    // With the logarithm of `kernel`, which has the same bits on every machine.
    f64::from(std::f32::consts::LN_2 / accrue_kernel::ln(rank as f32 + 2.0))
}
