//! The cells that a mapping reads: texts of a file's row, or values of an object.

use std::borrow::Cow;

use crate::RawValue;
use crate::amount::{self, Decimal};

/// One cell of a row, or one value of an object.
pub trait Cell {
    /// The cell as a text, for rules.
    fn text(&self) -> Cow<'_, str>;
    /// The cell as a value; a text is read as a number if `reading` says so.
    fn value(&self, reading: Reading) -> RawValue;
    /// The elements of a list, which has no text of its own.
    fn elements(&self) -> Option<&[RawValue]> {
        None
    }
    /// Whether the cell is an object, which has a value and no text.
    fn is_object(&self) -> bool {
        false
    }
}

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A text.
    Text,
    /// A number as programs write it.
    Number,
    /// A number as people write it: `9,99 €`, `1.5 kg`.
    Amount(Decimal),
    /// As [`Reading::Amount`], of a price.
    Price(Decimal),
}

impl Reading {
    /// The value of a text that is not empty.
    pub(super) fn of(self, text: &str) -> RawValue {
        let is_amount = matches!(self, Self::Amount(_) | Self::Price(_));
        if is_amount && ["nan", "nat", "<na>"].iter().any(|none| text.trim().eq_ignore_ascii_case(none)) {
            return RawValue::Null;
        }
        let plain = || RawValue::number_or_text(text.trim_ascii());
        match self {
            Self::Text => RawValue::text(text),
            Self::Number => plain(),
            // `1.234` is 1234 where the decimal sign is a comma.
            Self::Amount(Decimal::Comma) | Self::Price(Decimal::Comma) => {
                amount::read(text, Decimal::Comma).map_or_else(|| RawValue::text(text), |found| number(found.number))
            }
            // A price that may be two numbers stays a text, which the check refuses.
            Self::Price(Decimal::Any) if amount::is_open_price(text) => RawValue::text(text),
            Self::Price(decimal) => match plain() {
                RawValue::Text(_) => {
                    amount::read_price(text, decimal).map_or_else(|| RawValue::text(text), |found| number(found.number))
                }
                number => number,
            },
            Self::Amount(decimal) => match plain() {
                RawValue::Text(_) => {
                    amount::read(text, decimal).map_or_else(|| RawValue::text(text), |found| number(found.number))
                }
                number => number,
            },
        }
    }
}

fn number(number: f64) -> RawValue {
    if number.fract() == 0.0 && number.abs() < 9e15 { RawValue::Int(number as i64) } else { RawValue::Float(number) }
}

impl Cell for &str {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }

    fn value(&self, reading: Reading) -> RawValue {
        if self.is_empty() { RawValue::Null } else { reading.of(self) }
    }
}

impl Cell for RawValue {
    fn text(&self) -> Cow<'_, str> {
        match self {
            RawValue::Text(text) => Cow::Borrowed(text),
            RawValue::Int(number) => Cow::Owned(number.to_string()),
            RawValue::Float(number) => Cow::Owned(number.to_string()),
            RawValue::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            RawValue::Null | RawValue::List(_) | RawValue::Other(_) => Cow::Borrowed(""),
        }
    }

    fn value(&self, reading: Reading) -> RawValue {
        match self {
            RawValue::Text(text) if reading != Reading::Text => reading.of(text),
            value => value.clone(),
        }
    }

    fn elements(&self) -> Option<&[RawValue]> {
        match self {
            RawValue::List(values) => Some(values),
            _ => None,
        }
    }

    fn is_object(&self) -> bool {
        matches!(self, RawValue::Other(_))
    }
}
