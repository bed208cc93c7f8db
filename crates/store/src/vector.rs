//! What an encoder computed for an item, as the log keeps it: a replay needs no encoder.

use accrue_event::ItemId;
use serde::{Deserialize, Serialize};

/// An item's vector, in 8 bits a number: number `i` is `scale · codes[i]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemVector {
    /// The item.
    pub item: ItemId,
    /// The vector space: a hash of the encoder and of how it was used. Vectors of two spaces are never compared.
    pub space: u64,
    /// Hash of the text that was encoded, by which a change of the item is noticed.
    pub text: u64,
    /// The value of code 1.
    pub scale: f32,
    /// The codes.
    pub codes: Box<[i8]>,
}

/// Which text of an item was encoded last, and into which space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    /// The space; 0 for an item without a vector.
    pub space: u64,
    /// Hash of the text.
    pub text: u64,
}
