//! Reading of numbers that were sent as numbers or as texts.

use super::repairs::Repairs;
use super::text::prefix;
use super::verdict::Repair;
use crate::amount::{self, Decimal};
use crate::raw_value::RawValue;

/// A value as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// No value was sent.
    Missing,
    /// A number, possibly NaN or infinite.
    Given(f64),
    /// Not a number.
    Unreadable,
}

/// Reads a number. A number in a text is a repair, as people write it too: `15.00 USD`, `9,99 €`, `0.350 kg`. `1,234` is
/// unreadable, because it has two possible meanings.
pub(super) fn number(value: &RawValue, repairs: &mut Repairs) -> Number {
    number_as(value, amount::read, repairs)
}

/// As [`number`], of a price: `1.234` has two possible meanings too.
pub(super) fn number_of_price(value: &RawValue, repairs: &mut Repairs) -> Number {
    match value {
        RawValue::Text(text) if amount::is_open_price(text) => Number::Unreadable,
        value => number_as(value, amount::read_price, repairs),
    }
}

fn number_as(
    value: &RawValue,
    read: impl Fn(&str, Decimal) -> Option<amount::Amount>,
    repairs: &mut Repairs,
) -> Number {
    match value {
        RawValue::Null => Number::Missing,
        // What a path finds in an empty array.
        RawValue::List(values) if values.is_empty() => Number::Missing,
        RawValue::Int(whole) => Number::Given(*whole as f64),
        RawValue::Float(number) => Number::Given(*number),
        RawValue::Text(text) => match text.trim() {
            "" => Number::Missing,
            // No number needs more characters, and a long text need not be read to its end.
            text if text.len() > 64 => Number::Unreadable,
            text => match text.parse() {
                Ok(number) => {
                    repairs.note(Repair::NumberFromText);
                    Number::Given(number)
                }
                Err(_) => match read(text, Decimal::Any) {
                    Some(amount) => {
                        repairs.note(Repair::NumberFromText);
                        Number::Given(amount.number)
                    }
                    None => Number::Unreadable,
                },
            },
        },
        RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => Number::Unreadable,
    }
}

/// A whole number within the range of u32.
pub(super) fn whole_u32(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

/// The number in the precision of events, if it is finite in that precision.
pub(super) fn finite_f32(number: f64) -> Option<f32> {
    let narrow = number as f32;
    narrow.is_finite().then_some(narrow)
}

/// A short form of a value for a person to read, at most about 80 characters.
pub(super) fn excerpt(value: &RawValue) -> String {
    match value {
        RawValue::Null => "nothing".to_owned(),
        RawValue::Bool(value) => value.to_string(),
        RawValue::Int(value) => value.to_string(),
        // `{:?}` writes an exponent, which keeps 1e300 short.
        RawValue::Float(value) => format!("{value:?}"),
        RawValue::Text(text) => format!("{:?}", prefix(text, 80)),
        RawValue::List(values) => format!("a list of {}", values.len()),
        RawValue::Other(json) => prefix(json, 80).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_either_form() {
        let check = |value: RawValue, expected: Number, repaired: bool| {
            let mut repairs = Repairs::default();
            assert_eq!(number(&value, &mut repairs), expected, "{value:?}");
            assert_eq!(!repairs.as_slice().is_empty(), repaired, "{value:?}");
        };
        check(RawValue::Int(-3), Number::Given(-3.0), false);
        check(RawValue::text(" 9.99 "), Number::Given(9.99), true);
        check(RawValue::text("9,99 €"), Number::Given(9.99), true);
        check(RawValue::text("1,234"), Number::Unreadable, false);
        check(RawValue::text(""), Number::Missing, false);
        check(RawValue::text("1".repeat(10 << 20)), Number::Unreadable, false);
        check(RawValue::Bool(true), Number::Unreadable, false);
        assert_eq!(whole_u32(2.5), None);
        assert_eq!(whole_u32(f64::NAN), None);
        assert_eq!(finite_f32(1e300), None);
    }
}
