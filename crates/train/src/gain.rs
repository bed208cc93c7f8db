//! What a prediction counts by its place in a list: the gain of NDCG.

/// Places of a list that count.
pub(crate) const LIST: usize = 20;

/// Gain of the right item at `rank` (from 0): `1 / log2(2 + rank)`.
pub(crate) fn gain(rank: usize) -> f64 {
    // ln is ours, so that the sum has the same bits everywhere.
    f64::from(std::f32::consts::LN_2 / accrue_kernel::ln(rank as f32 + 2.0))
}
