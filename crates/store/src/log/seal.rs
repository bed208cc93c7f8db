//! Sealing: a full segment gets a filter, an index and a seal, and is verified against them.

use xxhash_rust::xxh3::xxh3_64;

use super::ids::{self, Filter};
use super::row;
use super::segment::Segment;
use crate::{Offset, StoreError};

/// The number and the checksum of a sealed segment's records.
pub(super) struct Seal {
    pub(super) count: u64,
    pub(super) checksum: u64,
    pub(super) bucket_bits: u32,
}

impl Segment {
    /// Writes filter, index and seal, after all records.
    pub(super) fn seal(&mut self, count: u64, checksum: u64, pairs: &[(u64, u32)]) -> Result<Filter, StoreError> {
        let filter = Filter::build(pairs);
        let filter_bytes = filter.to_bytes();
        let bucket_bits = ids::bucket_bits(pairs.len());
        let mut rest = pairs;
        let mut buckets = (0..1u64 << bucket_bits).map(|bucket| {
            let len = rest.partition_point(|pair| ids::bucket_of(pair.0, bucket_bits) <= bucket);
            let (own, others) = rest.split_at(len);
            rest = others;
            (bucket, ids::bucket_bytes(own))
        });
        let metas = [
            ("filter_checksum", xxh3_64(&filter_bytes) as i64),
            ("bucket_bits", i64::from(bucket_bits)),
            ("sealed_checksum", checksum as i64),
            ("sealed_count", count as i64),
        ];
        self.rows.write_index(&filter_bytes, &mut buckets, &metas)?;
        Ok(filter)
    }

    /// The seal, if the segment is sealed.
    pub(super) fn sealed(&self) -> Result<Option<Seal>, StoreError> {
        let Some(count) = self.meta("sealed_count")? else { return Ok(None) };
        let (Some(checksum), Some(bucket_bits)) = (self.meta("sealed_checksum")?, self.meta("bucket_bits")?) else {
            return Err(self.corrupt("its seal is incomplete"));
        };
        let bucket_bits = u32::try_from(bucket_bits).ok().filter(|bits| *bits <= 32);
        let bucket_bits = bucket_bits.ok_or_else(|| self.corrupt("its seal is invalid"))?;
        Ok(Some(Seal { count: count as u64, checksum: checksum as u64, bucket_bits }))
    }

    /// The filter of a sealed segment.
    pub(super) fn filter(&self) -> Result<Filter, StoreError> {
        let bytes = self.rows.filter()?;
        if self.meta("filter_checksum")? != Some(xxh3_64(&bytes) as i64) {
            return Err(self.corrupt("its filter does not match its checksum"));
        }
        Filter::from_bytes(&bytes).ok_or_else(|| self.corrupt("its filter has an impossible length"))
    }

    /// The positions of a hash in the index of a sealed segment, ascending.
    pub(super) fn candidates(&self, bucket_bits: u32, hash: u64) -> Result<Vec<u32>, StoreError> {
        let pairs = self.bucket(ids::bucket_of(hash, bucket_bits))?;
        let start = pairs.partition_point(|pair| pair.0 < hash);
        Ok(pairs[start..].iter().take_while(|pair| pair.0 == hash).map(|pair| pair.1).collect())
    }

    /// The pairs of hash and position in a bucket of the index.
    fn bucket(&self, bucket: u64) -> Result<Vec<(u64, u32)>, StoreError> {
        let found = ids::bucket_pairs(&self.rows.bucket(bucket)?);
        found.ok_or_else(|| self.corrupt(format!("bucket {bucket} of its index does not match its checksum")))
    }

    /// Reads the whole segment up to `until`, and compares it with its seal, filter and index.
    pub(super) fn verify(&self, until: Offset) -> Result<(), StoreError> {
        let sealed = match self.sealed()? {
            Some(seal) => Some((seal, self.filter()?)),
            None => None,
        };
        let (mut count, mut checksum) = (0, 0u64);
        let mut hashes = Vec::new();
        let reached = self.scan(self.first, until, |offset, _, body, sum| {
            count += 1;
            checksum = checksum.wrapping_add(sum);
            if let (Some(_), Some(key)) = (&sealed, row::key(body)?) {
                hashes.push((key.hash(), (offset.0 - self.first.0) as u32));
            }
            Ok(())
        })?;
        if reached != until {
            return Err(self.corrupt(format!("it ends at {reached}, not at {until}")));
        }
        let Some((seal, filter)) = sealed else { return Ok(()) };
        if (seal.count, seal.checksum) != (count, checksum) {
            return Err(self.corrupt("its records do not match the checksum of its seal"));
        }
        hashes.sort_unstable();
        let mut rest = hashes.as_slice();
        for bucket in 0..1u64 << seal.bucket_bits {
            let indexed = self.bucket(bucket)?;
            let (own, others) =
                rest.split_at(rest.partition_point(|p| ids::bucket_of(p.0, seal.bucket_bits) <= bucket));
            // The index may have more ids: those of erased records.
            let known = |pair: &(u64, u32)| filter.may_contain(pair.0) && indexed.binary_search(pair).is_ok();
            if let Some((_, position)) = own.iter().find(|pair| !known(pair)) {
                return Err(self.bad_record(ids::offset_of(self.first, *position), "it is missing in the index"));
            }
            rest = others;
        }
        Ok(())
    }
}
