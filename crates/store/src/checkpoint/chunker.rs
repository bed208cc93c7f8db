//! Where a stream of bytes is cut into chunks: at places that its content chooses, so that equal stretches give equal chunks
//! wherever they lie.
//!
//! In: bytes. Out: the length of the first chunk. FastCDC (Xia, Zhou, Jiang, Feng, Hua, Hu, Liu, Zhang: "FastCDC: a fast and
//! efficient content-defined chunking approach for data deduplication", USENIX ATC 2016): a gear hash over the bytes,
//! `h ← 2h + gear[byte]`, cuts where chosen bits of it are zero; a stricter mask before the mean length and a laxer one behind it
//! (their normalised chunking, level 2) keep lengths near the mean. No cut comes before the least or after the greatest length.

/// Least length of a chunk, save the last one of a section.
pub(super) const MIN_BYTES: usize = 1 << 10;
/// Length around which chunks lie. Small chunks make a table of contents long, large ones are written again for one changed byte.
pub(super) const MEAN_BYTES: usize = 1 << 12;
/// Greatest length of a chunk.
pub(super) const MAX_BYTES: usize = 1 << 14;

const MEAN_BITS: u32 = MEAN_BYTES.trailing_zeros();
/// Before the mean: two bits more must be zero. The high bits of the hash have seen the most bytes.
const STRICT: u64 = !0 << (64 - (MEAN_BITS + 2));
/// Behind the mean: two bits fewer.
const LAX: u64 = !0 << (64 - (MEAN_BITS - 2));

/// One number for each byte, without a pattern: the outputs of splitmix64 from 0 on. Another table would cut other chunks: it is
/// part of no format, but no chunk of an earlier build would be found again.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut state = 0_u64;
    let mut byte = 0;
    while byte < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[byte] = z ^ (z >> 31);
        byte += 1;
    }
    gear
};

/// Length of the first chunk of `bytes`; all of them if they are shorter than a chunk may be, or end without a cut. Only the first
/// [`MAX_BYTES`] are looked at.
pub(super) fn cut(bytes: &[u8]) -> usize {
    let end = bytes.len().min(MAX_BYTES);
    if end <= MIN_BYTES {
        return end;
    }
    let mean = end.min(MEAN_BYTES);
    let mut hash = 0_u64;
    for (at, &byte) in bytes[..end].iter().enumerate().skip(MIN_BYTES) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
        let mask = if at < mean { STRICT } else { LAX };
        if hash & mask == 0 {
            return at + 1;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn noise(n: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..n).map(|_| next()).collect()
    }

    fn chunks(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let (chunk, rest) = bytes.split_at(cut(bytes));
            chunks.push(chunk);
            bytes = rest;
        }
        chunks
    }

    #[test]
    fn lengths_lie_between_the_limits_and_near_the_mean() {
        let bytes = noise(4 << 20);
        let chunks = chunks(&bytes);
        let (last, others) = chunks.split_last().unwrap();
        assert!(others.iter().all(|chunk| (MIN_BYTES..=MAX_BYTES).contains(&chunk.len())) && last.len() <= MAX_BYTES);
        let mean = bytes.len() / chunks.len();
        assert!((MEAN_BYTES * 3 / 4..MEAN_BYTES * 3 / 2).contains(&mean), "{mean}");
    }

    #[test]
    fn a_changed_and_a_new_byte_change_the_chunks_around_them_alone() {
        let before = noise(1 << 20);
        let known: BTreeSet<&[u8]> = chunks(&before).into_iter().collect();
        for insert in [false, true] {
            let mut after = before.clone();
            if insert {
                after.insert(500_000, 9)
            } else {
                after[500_000] ^= 1
            }
            let new: usize =
                chunks(&after).iter().filter(|chunk| !known.contains(*chunk)).map(|chunk| chunk.len()).sum();
            assert!((1..=4 * MAX_BYTES).contains(&new), "{new} new bytes");
        }
    }

    #[test]
    fn bytes_without_a_pattern_to_cut_at_still_end() {
        assert!(chunks(&vec![0; 100_000]).iter().rev().skip(1).all(|chunk| chunk.len() <= MAX_BYTES));
        assert_eq!(chunks(&noise(100)).len(), 1);
    }
}
