//! The id of a refused record, which is a hash of its content.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::RecordKind;

/// Identifies a refused record by its content: the same record sent again has the same id, for whatever reason it was
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefusalId(pub(crate) u128);

impl RefusalId {
    /// The id of the first record with this content, as it was sent.
    pub fn of(kind: RecordKind, content: &[u8]) -> Self {
        let mut buffer = Vec::with_capacity(1 + content.len());
        buffer.push(kind as u8);
        buffer.extend(content);
        Self(xxh3_128(&buffer))
    }

    /// A hash of 64 bits, which is part of the log's format.
    pub fn hash64(self) -> u64 {
        self.0 as u64
    }
}
