//! The name of a vector space: vectors are comparable only if one encoder made both in the same way.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Changes whenever this build would make other vectors from the same folder, beyond rounding.
const FORM: u32 = 1;

/// A vector space: a hash of the encoder's files and of everything else that its vectors depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(pub u64);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Space {
    /// The space of these parts, in this order.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&FORM.to_le_bytes());
        for part in parts {
            // The length keeps two lists of parts apart whose bytes run together.
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.digest())
    }
}

/// The hash by which a text is recognised that was encoded before.
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}
