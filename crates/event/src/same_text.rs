//! When two texts of a catalogue are the same to a shopper: in filters, and where values are counted.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Composed (NFC) and lower-cased; borrows if the text already is. Two texts are the same if this is equal for both.
pub fn normalised(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        };
    }
    let lower = text.nfc().collect::<String>().to_lowercase();
    if is_nfc_quick(lower.chars()) == IsNormalized::Yes { lower.into() } else { lower.nfc().collect::<String>().into() }
}
