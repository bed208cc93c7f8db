//! The ids of events and refused records in the log: a map for the segment being written, a filter and an index for each
//! sealed one.
//!
//! Ids are looked up by a 64-bit hash. A hash gives possible offsets, and the record at an offset has the id itself. The filter is the split
//! block Bloom filter of Parquet (Putze, Sanders, Singler 2007): one cache line per lookup and 12 bits per id. It is a
//! function of the ids, so equal segments have equal filters.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use crate::Offset;

/// The ids of one segment in memory.
#[derive(Default)]
pub(super) struct LiveIds {
    first: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    /// Further offsets of a hash, which are rare: an id that was sent again after its erasure, or two ids of equal hash.
    further: HashMap<u64, Vec<u32>>,
}

impl LiveIds {
    /// Adds an id of the record at `position` (counted from the segment's first).
    pub(super) fn insert(&mut self, hash: u64, position: u32) {
        use std::collections::hash_map::Entry;
        match self.first.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(position);
            }
            Entry::Occupied(_) => self.further.entry(hash).or_default().push(position),
        }
    }

    /// Positions whose id may have this hash, in ascending order.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let first = self.first.get(&hash).copied();
        let further = first.and_then(|_| self.further.get(&hash)).map(Vec::as_slice).unwrap_or_default();
        first.into_iter().chain(further.iter().copied())
    }

    /// All pairs of hash and position, sorted.
    pub(super) fn sorted(&self) -> Vec<(u64, u32)> {
        let further = self.further.iter().flat_map(|(&hash, positions)| positions.iter().map(move |&p| (hash, p)));
        let mut pairs: Vec<_> = self.first.iter().map(|(&hash, &position)| (hash, position)).chain(further).collect();
        pairs.sort_unstable();
        pairs
    }
}

/// Passes the hash through, because the keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Bits of the filter per id. With 12, one new id in 200 is looked up in the index although it is not there.
const BITS_PER_ID: usize = 12;
const BLOCK_BITS: usize = 256;
const BLOCK_WORDS: usize = 8;
/// The odd multipliers of the Parquet format.
const SALT: [u32; BLOCK_WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Answers for a hash that it is certainly not in the segment, or that it may be.
pub(super) struct Filter {
    blocks: Vec<[u32; BLOCK_WORDS]>,
}

impl Filter {
    /// The filter over these hashes.
    pub(super) fn build(pairs: &[(u64, u32)]) -> Self {
        let n_blocks = (pairs.len() * BITS_PER_ID).div_ceil(BLOCK_BITS).max(1);
        let mut filter = Self { blocks: vec![[0; BLOCK_WORDS]; n_blocks] };
        for &(hash, _) in pairs {
            let block_idx = filter.block_idx(hash);
            for (word, bit) in filter.blocks[block_idx].iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
        }
        filter
    }

    /// Whether an id of this hash may be in the segment.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let block = &self.blocks[self.block_idx(hash)];
        let missing = bits(hash).into_iter().zip(block).fold(0, |missing, (bit, word)| missing | (bit & !word));
        missing == 0
    }

    fn block_idx(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }

    /// The bytes to store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The filter with these bytes, if their length is possible.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (blocks, rest) = bytes.as_chunks::<{ BLOCK_BITS / 8 }>();
        if blocks.is_empty() || !rest.is_empty() {
            return None;
        }
        let read_block = |block: &[u8; BLOCK_BITS / 8]| {
            let (words, _) = block.as_chunks::<4>();
            std::array::from_fn(|i| u32::from_le_bytes(words[i]))
        };
        Some(Self { blocks: blocks.iter().map(read_block).collect() })
    }
}

fn bits(hash: u64) -> [u32; BLOCK_WORDS] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// Largest mean number of ids in a bucket of the index, so that a page of the database has at least two buckets.
const IDS_PER_BUCKET: usize = 128;
/// A hash and a position.
const ENTRY_BYTES: usize = 12;
const SUM_BYTES: usize = 4;

/// Number of leading bits of a hash that are the number of its bucket, in an index of `n_ids`.
pub(super) fn bucket_bits(n_ids: usize) -> u32 {
    n_ids.div_ceil(IDS_PER_BUCKET).next_power_of_two().trailing_zeros()
}

/// The bucket of a hash.
pub(super) fn bucket_of(hash: u64, bucket_bits: u32) -> u64 {
    hash.checked_shr(64 - bucket_bits).unwrap_or(0)
}

/// The bytes of a bucket: its pairs in order, then a checksum.
pub(super) fn bucket_bytes(pairs: &[(u64, u32)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pairs.len() * ENTRY_BYTES + SUM_BYTES);
    for (hash, position) in pairs {
        bytes.extend_from_slice(&hash.to_le_bytes());
        bytes.extend_from_slice(&position.to_le_bytes());
    }
    let sum = xxh3_64(&bytes) as u32;
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The pairs in a bucket, in order; `None` if the bytes are not a bucket.
pub(super) fn bucket_pairs(bytes: &[u8]) -> Option<Vec<(u64, u32)>> {
    let (entries, sum) = bytes.split_last_chunk::<SUM_BYTES>()?;
    if (xxh3_64(entries) as u32).to_le_bytes() != *sum {
        return None;
    }
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    let read = |entry: &[u8; ENTRY_BYTES]| {
        let (hash, position) = entry.split_at(8);
        let hash = u64::from_le_bytes(hash.try_into().expect("8 bytes"));
        (hash, u32::from_le_bytes(position.try_into().expect("4 bytes")))
    };
    rest.is_empty().then(|| entries.iter().map(read).collect())
}

/// The offset of a position.
pub(super) fn offset_of(first: Offset, position: u32) -> Offset {
    Offset(first.0 + u64::from(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(id: &str) -> u64 {
        crate::log::row::Key::Event(id).hash()
    }

    fn pairs(n: u32) -> Vec<(u64, u32)> {
        let mut ids = LiveIds::default();
        for position in 0..n {
            ids.insert(hash(&format!("e{position}")), position);
        }
        ids.sorted()
    }

    #[test]
    fn filter_knows_every_id_and_few_others() {
        for n in [0, 1, 1000, 50_000] {
            let pairs = pairs(n);
            let filter = Filter::from_bytes(&Filter::build(&pairs).to_bytes()).unwrap();
            assert!(pairs.iter().all(|pair| filter.may_contain(pair.0)));
            let strangers = (0..50_000).filter(|i| filter.may_contain(hash(&format!("x{i}")))).count();
            assert!(strangers < 500, "{strangers} of 50,000 new ids pass a filter over {n}");
        }
    }

    #[test]
    fn bucket_reads_back_or_is_refused() {
        let pairs = [(3, 9), (7, 1), (7, 4), (u64::MAX, 2)];
        let bytes = bucket_bytes(&pairs);
        assert_eq!(bucket_pairs(&bytes), Some(pairs.to_vec()));
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            assert_eq!(bucket_pairs(&bent), None);
            assert_eq!(bucket_pairs(&bytes[..at]), None);
        }
    }

    #[test]
    fn buckets_split_the_hashes_evenly() {
        assert_eq!((bucket_bits(0), bucket_bits(128), bucket_bits(129), bucket_bits(2_000_000)), (0, 0, 1, 14));
        assert_eq!(bucket_of(u64::MAX, 0), 0);
        assert_eq!(bucket_of(u64::MAX, 14), (1 << 14) - 1);
    }
}
