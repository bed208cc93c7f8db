//! The cells that a mapping reads: texts of a file's row, or values of an object.

use std::borrow::Cow;

use crate::RawValue;

/// One cell of a row, or one value of an object.
pub trait Cell {
    /// The cell as a text, for rules.
    fn text(&self) -> Cow<'_, str>;
    /// The cell as a value; if a number is expected, a text is read as one.
    fn value(&self, numeric: bool) -> RawValue;
}

impl Cell for &str {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }

    fn value(&self, numeric: bool) -> RawValue {
        match (*self, numeric) {
            ("", _) => RawValue::Null,
            (text, true) => RawValue::number_or_text(text.trim_ascii()),
            (text, false) => RawValue::text(text),
        }
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

    fn value(&self, numeric: bool) -> RawValue {
        match self {
            RawValue::Text(text) if numeric => RawValue::number_or_text(text.trim_ascii()),
            value => value.clone(),
        }
    }
}
