//! Prices: exact decimals of at most 15 significant digits.
//!
//! In: numbers as they were sent. Out: a [`Price`], which is compared, printed and stored as the decimal that was
//! meant. Binary floating-point numbers name decimals: two decimals of at most 15 significant digits never have the
//! same nearest `f64`, their order is that of these, and the shortest text of such an `f64` is the decimal. A price is
//! therefore kept as that `f64`, and nothing is computed with it.
//!
//! In the log and in checkpoints a price has the four bytes of an `f32` where the shortest text of that is the price,
//! as all prices had before. Other prices, mostly of more than seven digits, have a NaN in that place and eight bytes
//! behind it.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The price of one piece: an exact decimal, not negative.
///
/// ```
/// use accrue_event::Price;
///
/// let price = Price::new(49.9).unwrap();
/// assert_eq!(price.to_string(), "49.9");
/// assert_eq!(Price::new(0.1 + 0.2), Price::new(0.3));
/// assert!(Price::new(12_345_678.9) < Price::new(12_345_678.91));
/// ```
#[derive(Clone, Copy, PartialEq)]
pub struct Price(f64);

/// Significant decimal digits that every `f64` keeps.
const DIGITS: usize = 15;

impl Price {
    /// No price at all: a gift.
    pub const ZERO: Self = Self(0.0);

    /// The price that a number stands for, to 15 significant digits; `None` if it is negative or not finite, also in
    /// the precision of [`Price::to_f32`].
    pub fn new(number: f64) -> Option<Self> {
        // Adding 0 turns -0.0 into 0.0.
        (number >= 0.0 && (number as f32).is_finite()).then(|| Self(decimal(number) + 0.0))
    }

    /// The price that a number of single precision stands for: its shortest decimal.
    pub fn from_f32(number: f32) -> Option<Self> {
        (number >= 0.0 && number.is_finite()).then(|| Self(shortest(number) + 0.0))
    }

    /// The nearest number of double precision.
    pub fn to_f64(self) -> f64 {
        self.0
    }

    /// The nearest number of single precision, for statistics and learning.
    pub fn to_f32(self) -> f32 {
        self.0 as f32
    }

    /// The number of single precision of which the shortest decimal is this price, if there is one.
    pub(crate) fn as_short(self) -> Option<f32> {
        let short = self.to_f32();
        (shortest(short) == self.0).then_some(short)
    }
}

impl Eq for Price {}

impl Ord for Price {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number nearest to the decimal of at most 15 digits that `number` stands for.
fn decimal(number: f64) -> f64 {
    // Most prices have few decimals, and a product by a power of ten shows it without a text.
    for unit in [1.0, 10.0, 100.0, 1000.0, 10_000.0] {
        let whole = (number * unit).round();
        if whole < 1e15 && whole / unit == number {
            return number;
        }
    }
    let rounded = parsed(&format!("{number:.*e}", DIGITS - 1));
    // Beyond 15 digits there is noise: of a computation, or of a number of single precision that was made longer.
    if rounded != number && f64::from(number as f32) == number { shortest(number as f32) } else { rounded }
}

/// The number nearest to the shortest decimal that leads to `number`.
fn shortest(number: f32) -> f64 {
    for unit in [1.0, 10.0, 100.0, 1000.0, 10_000.0] {
        let whole = (f64::from(number) * unit).round();
        // Decimals of six digits never have the same nearest number, so the first that leads here is the shortest.
        if whole < 1e6 && (whole / unit) as f32 == number {
            return whole / unit;
        }
    }
    parsed(&number.to_string())
}

fn parsed(text: &str) -> f64 {
    text.parse().expect("a number that was just written can be read")
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_short() {
            _ if serializer.is_human_readable() => serializer.serialize_f64(self.0),
            Some(short) => serializer.serialize_f32(short),
            None => (f32::NAN, self.0).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Stored;
        impl<'de> de::Visitor<'de> for Stored {
            type Value = Price;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price: a number of at least 0")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Price, A::Error> {
                let missing = |place| de::Error::invalid_length(place, &self);
                let short: f32 = seq.next_element()?.ok_or_else(|| missing(0))?;
                let price = if short.is_nan() {
                    // Only what this build writes, so that equal prices have equal bytes.
                    let long: f64 = seq.next_element()?.ok_or_else(|| missing(1))?;
                    Price::new(long).filter(|price| price.0 == long)
                } else {
                    Price::from_f32(short)
                };
                price.ok_or_else(|| de::Error::custom("a stored price is no number of at least 0"))
            }
        }
        if deserializer.is_human_readable() {
            let number = f64::deserialize(deserializer)?;
            return Price::new(number).ok_or_else(|| de::Error::custom("a price is a number of at least 0"));
        }
        deserializer.deserialize_tuple(2, Stored)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(number: f64) -> Price {
        Price::new(number).unwrap()
    }

    #[test]
    fn a_price_is_the_decimal_that_was_meant() {
        for text in ["0", "49.9", "0.05", "16777217", "12345678.91", "1234567890123.45", "0.000123456789", "1e20"] {
            let sent: f64 = text.parse().unwrap();
            assert_eq!(price(sent).to_string(), sent.to_string(), "{text}");
        }
        for (noisy, meant) in
            [(0.1 + 0.2, 0.3), (f64::from(49.9_f32), 49.9), (f64::from(0.1_f32), 0.1), (3.0 * 1.1, 3.3), (-0.0, 0.0)]
        {
            assert_eq!(price(noisy).to_string(), meant.to_string());
        }
        assert_eq!(price(1_048_576.125).to_string(), "1048576.125", "a number of single precision that is exact");
        for refused in [-0.01, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(Price::new(refused), None);
        }
    }

    #[test]
    fn prices_of_older_logs_keep_their_bytes_and_longer_ones_are_exact() {
        for number in [0.0_f32, 49.9, 9.99, 1280.0, 0.333_333_34, 1_234_567.9, 1e20, 1e-12, f32::MAX] {
            let bytes = postcard::to_stdvec(&Some(number)).unwrap();
            let read: Option<Price> = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(read.unwrap().to_f32(), number);
            assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes, "{number}");
        }
        // What is behind a price in a record is read as before.
        let bytes = postcard::to_stdvec(&(price(12_345_678.91), 7_u8, price(2.5), 8_u8)).unwrap();
        let read: (Price, u8, Price, u8) = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read, (price(12_345_678.91), 7, price(2.5), 8));
        for wrong in [postcard::to_stdvec(&-1.0_f32), postcard::to_stdvec(&(f32::NAN, 49.9_f64 + 1e-14))] {
            assert!(postcard::from_bytes::<Price>(&wrong.unwrap()).is_err());
        }
        assert_eq!(serde_json::to_string(&price(49.9)).unwrap(), "49.9");
        assert_eq!(serde_json::from_str::<Price>("49.90").unwrap(), price(49.9));
    }

    proptest! {
        #[test]
        fn decimals_keep_their_digits_and_their_order(cents in 0_u64..1_000_000_000_000_000, n_decimals in 0_u32..7) {
            let unit = 10_u64.pow(n_decimals);
            let text = format!("{}.{:0width$}", cents / unit, cents % unit, width = n_decimals as usize);
            let text = text.trim_end_matches(['0', '.']);
            let text = if n_decimals == 0 || cents / unit * unit == cents { (cents / unit).to_string() } else { text.to_owned() };
            let price = price(text.parse().unwrap());
            prop_assert_eq!(price.to_string(), text);
            let next = Price::new(format!("{}e-{n_decimals}", cents + 1).parse().unwrap()).unwrap();
            prop_assert!(cents + 1 == 1_000_000_000_000_000 || price < next);
            let bytes = postcard::to_stdvec(&price).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Price>(&bytes).unwrap(), price);
        }

        #[test]
        fn stored_numbers_of_single_precision_keep_their_bytes(bits in 0_u32..0x7f80_0000) {
            let number = f32::from_bits(bits);
            let bytes = postcard::to_stdvec(&number).unwrap();
            let read: Price = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        }
    }
}
