//! An encoder without weights: texts with the same words, or words with the same letters, have close vectors.
//!
//! In: texts. Out: counts of words and of runs of three to five letters, each added to one of 512 places with a sign
//! (Weinberger et al., *Feature hashing for large scale multitask learning*, 2009), divided by the norm. It knows no
//! meaning: `cup` and `mug` have nothing in common. It stands in where no weights can be had.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Space;

/// Numbers in a vector.
const WIDTH: usize = 512;
/// Lengths of the runs of letters.
const RUNS: std::ops::RangeInclusive<usize> = 3..=5;
/// Words of a text that are read.
const MAX_WORDS: usize = 256;
/// Letters of a word that are read.
const MAX_LETTERS: usize = 64;
/// Weight of a whole word beside each of its runs.
const WORD: f32 = 2.0;

/// The encoder without weights.
///
/// ```
/// let encode = |text| accrue_encode::HashedEncoder.encode(text);
/// let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// let (mug, mugs, lamp) = (encode("red mug"), encode("Red mugs"), encode("desk lamp"));
/// assert!(cosine(&mug, &mugs) > 0.5 && cosine(&mug, &lamp).abs() < 0.2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HashedEncoder;

impl HashedEncoder {
    /// Numbers in a vector.
    pub fn width(self) -> usize {
        WIDTH
    }

    /// The space of its vectors.
    pub fn space(self) -> Space {
        Space::of(&[b"hashed"])
    }

    /// The vector of a text, with norm 1.
    pub fn encode(self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; WIDTH];
        let text = text.to_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        for word in words.take(MAX_WORDS) {
            // The marks keep the beginning and the end of a word apart from its middle.
            let marked: String = std::iter::once('<').chain(word.chars().take(MAX_LETTERS)).chain(['>']).collect();
            add(&mut vector, &marked, WORD);
            let mut starts: Vec<usize> = marked.char_indices().map(|(start, _)| start).collect();
            starts.push(marked.len());
            for length in RUNS {
                for run in starts.windows(length + 1) {
                    add(&mut vector, &marked[run[0]..run[length]], 1.0);
                }
            }
        }
        let norm = accrue_kernel::squared_norm(&vector).sqrt();
        if norm > 0.0 {
            accrue_kernel::scale(1.0 / norm, &mut vector);
        } else {
            // A text without letters, or one whose features cancel out.
            vector[0] = 1.0;
        }
        vector
    }
}

fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = xxh3_64_with_seed(feature.as_bytes(), feature.len() as u64);
    let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
    vector[hash as usize % WIDTH] += sign * weight;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_finite_vector_of_norm_1() {
        let long = "long ".repeat(20_000);
        for text in ["", "?!", "a", "红色 杯子", "ÄÖÜ", &long] {
            let vector = HashedEncoder.encode(text);
            let norm = vector.iter().map(|x| x * x).sum::<f32>();
            assert!((norm - 1.0).abs() < 1e-5, "{text:.10}: {norm}");
        }
    }
}
