//! The arithmetic of BM25.

use tantivy::fieldnorm::FieldNormReader;

/// The part of BM25 that is the same for every term of a query.
pub(super) struct Bm25 {
    k1: f32,
    /// `k1·(1 − b + b·length/mean)` by the byte that encodes a length.
    norms: Box<[f32; 256]>,
}

impl Bm25 {
    pub(super) fn new(k1: f32, b: f32, mean_length: f32) -> Self {
        let mut norms = Box::new([0.0; 256]);
        for (byte, norm) in (0..=255_u8).zip(norms.iter_mut()) {
            let length = FieldNormReader::id_to_fieldnorm(byte) as f32;
            *norm = k1 * (1.0 - b + b * length / mean_length.max(1.0));
        }
        Self { k1, norms }
    }

    /// `weight` is the term's idf times the weight of its alternative.
    pub(super) fn score(&self, weight: f32, tf: u32, length_byte: u8) -> f32 {
        let tf = tf as f32;
        weight * (self.k1 + 1.0) * tf / (tf + self.norms[usize::from(length_byte)])
    }
}

/// `ln(1 + (n − df + ½)/(df + ½))`; positive even for a term that every document has.
pub(super) fn idf(n: u64, df: u64) -> f32 {
    // The kernel's logarithm, because the system's differs between machines and scores must not.
    accrue_kernel::ln(1.0 + (n.saturating_sub(df) as f32 + 0.5) / (df as f32 + 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_weigh_more_and_all_weights_are_positive() {
        assert!(idf(1000, 1) > idf(1000, 10) && idf(1000, 10) > idf(1000, 1000) && idf(1000, 1000) > 0.0);
        assert!(idf(0, 0).is_finite());
    }
}
