//! A record as the bytes of its row, with checksums that detect changes.
//!
//! A row has `seq`, `received_at` and a blob: the postcard form of the body, then four bytes of checksum over all three. SQLite
//! does not detect a flipped bit in a blob; the checksum does, at every read.

use accrue_event::{RefusalId, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::{Body, Offset, Record};

/// Bytes of checksum after the body.
const SUM_BYTES: usize = 4;

/// Numbers of the variants of [`Body`] that have a key; a test verifies them.
const EVENT: u32 = 1;
const QUARANTINED: u32 = 2;
const RELEASED: u32 = 3;
const PUBLISHED: u32 = 18;
/// Place of the variant with a key in [`PublishedRecord`].
const INERT: u32 = 0;

/// The key by which a record is recognised when it is sent again. Refused records have ids of their own, so that a refused event
/// can be accepted under its event id after a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// The id of an accepted event.
    Event(&'a str),
    /// The id of a refused record.
    Refused(RefusalId),
}

impl Key<'_> {
    /// The hash in the index; part of the format.
    pub(super) fn hash(self) -> u64 {
        match self {
            Key::Event(id) => xxh3_64(id.as_bytes()),
            Key::Refused(id) => id.hash64(),
        }
    }
}

/// Why a blob is not a record.
pub(super) type Damage = &'static str;

/// Writes the blob of a record into `blob` (cleared first) and returns the record's sum.
pub(super) fn encode(blob: &mut Vec<u8>, offset: Offset, received_at: Timestamp, body: &Body) -> u64 {
    blob.clear();
    let bytes = std::mem::take(blob);
    // Postcard fails only for sequences of unknown length, which a body does not have.
    *blob = postcard::to_extend(body, bytes).expect("a body has no sequence of unknown length");
    let sum = record_sum(offset, received_at, blob);
    blob.extend_from_slice(&(sum as u32).to_le_bytes());
    sum
}

/// The body's bytes in a blob and the record's sum, if the checksum matches.
pub(super) fn verified(offset: Offset, received_at: Timestamp, blob: &[u8]) -> Result<(&[u8], u64), Damage> {
    let Some((body, stored)) = blob.split_last_chunk::<SUM_BYTES>() else {
        return Err("it is shorter than its checksum");
    };
    let sum = record_sum(offset, received_at, body);
    if (sum as u32).to_le_bytes() != *stored {
        return Err("its checksum does not match its content");
    }
    Ok((body, sum))
}

/// The record in a row.
pub(super) fn decode(offset: Offset, received_at: Timestamp, blob: &[u8]) -> Result<Record, Damage> {
    let (bytes, _) = verified(offset, received_at, blob)?;
    match postcard::from_bytes(bytes) {
        Ok(body) => Ok(Record { offset, received_at, body }),
        Err(_) => Err("it does not decode (a newer build may have written it)"),
    }
}

/// The key of the body with these bytes, without decoding the rest.
pub(super) fn key(body: &[u8]) -> Result<Option<Key<'_>>, Damage> {
    let key = || -> postcard::Result<Option<Key<'_>>> {
        let (variant, mut rest) = postcard::take_from_bytes::<u32>(body)?;
        match variant {
            EVENT => {}
            QUARANTINED => return Ok(Some(Key::Refused(postcard::take_from_bytes(rest)?.0))),
            RELEASED => rest = postcard::take_from_bytes::<u64>(rest)?.1,
            PUBLISHED => match postcard::take_from_bytes::<u32>(rest)? {
                (INERT, event) => rest = event,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }
        Ok(Some(Key::Event(postcard::take_from_bytes::<&str>(rest)?.0)))
    };
    key().map_err(|_| "it does not decode")
}

/// The key of a body.
pub(super) fn key_of(body: &Body) -> Option<Key<'_>> {
    match body {
        Body::Quarantined { id, .. } => Some(Key::Refused(*id)),
        body => body.event().map(|checked| Key::Event(checked.event.id.as_str())),
    }
}

/// The term of a record in the sum of its segment. Each term includes the offset, so the sum needs no order, and an erasure changes
/// it by two terms.
fn record_sum(offset: Offset, received_at: Timestamp, body: &[u8]) -> u64 {
    let mut parts = [0; 24];
    parts[..8].copy_from_slice(&offset.0.to_le_bytes());
    parts[8..16].copy_from_slice(&received_at.0.to_le_bytes());
    parts[16..].copy_from_slice(&xxh3_64(body).to_le_bytes());
    xxh3_64(&parts)
}

/// One link of the log's digest: a chain over (offset, received_at, body) from the first record ever written.
pub(super) fn chain(before: u128, offset: Offset, received_at: Timestamp, body: &[u8]) -> u128 {
    let mut parts = [0; 48];
    parts[..16].copy_from_slice(&before.to_le_bytes());
    parts[16..24].copy_from_slice(&offset.0.to_le_bytes());
    parts[24..32].copy_from_slice(&received_at.0.to_le_bytes());
    parts[32..].copy_from_slice(&xxh3_128(body).to_le_bytes());
    xxh3_128(&parts)
}

/// Rows copied from the database, with their blobs in one buffer.
#[derive(Default)]
pub(super) struct Rows {
    places: Vec<(Offset, Timestamp, usize)>,
    bytes: Vec<u8>,
}

impl Rows {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.bytes.clear();
    }

    pub(super) fn push(&mut self, offset: Offset, received_at: Timestamp, blob: &[u8]) {
        self.bytes.extend_from_slice(blob);
        self.places.push((offset, received_at, self.bytes.len()));
    }

    /// Number of rows.
    #[cfg(feature = "sql")]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Offset, Timestamp, &[u8])> {
        let mut start = 0;
        self.places.iter().map(move |&(offset, received_at, end)| {
            let blob = &self.bytes[start..end];
            start = end;
            (offset, received_at, blob)
        })
    }
}
