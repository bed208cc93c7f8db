//! One value of a raw record, of any type, and its JSON text.
//!
//! In: a value from any self-describing format. Out: a [`RawValue`], and JSON text of it. The ids of refused records are
//! hashes of that text, so its bytes must never change. It is not written with `serde_json`, which writes some floats and
//! control characters in other ways and does not promise to keep its notation.

use serde::{Deserialize, Deserializer};

use crate::any_value::{self, AnyValue};
use crate::json::{push_key, push_text};
use crate::{Attribute, Text};

/// One value as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RawValue {
    /// Absent, or `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; one from a file may be NaN or infinite.
    Float(f64),
    /// A text.
    Text(Text),
    /// A list of values.
    List(Vec<RawValue>),
    /// A nested object, as its JSON text.
    Other(Box<str>),
}

impl RawValue {
    /// A text value.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A number if the text is one, otherwise the text. For cells of files, which have no types.
    pub fn number_or_text(text: &str) -> Self {
        if let Ok(whole) = text.parse::<i64>() {
            return Self::Int(whole);
        }
        text.parse::<f64>().map_or_else(|_| Self::text(text), Self::Float)
    }

    /// Appends the value as JSON. JSON has no NaN and no infinity; both become `null`.
    pub(crate) fn push_json(&self, out: &mut String) {
        use std::fmt::Write as _;
        match self {
            RawValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            RawValue::Int(value) => write!(out, "{value}").expect("writing to a String cannot fail"),
            RawValue::Float(value) if value.is_finite() => {
                write!(out, "{value:?}").expect("writing to a String cannot fail");
            }
            RawValue::Null | RawValue::Float(_) => out.push_str("null"),
            RawValue::Text(value) => push_text(out, value),
            RawValue::List(values) => {
                out.push('[');
                for (idx, element) in values.iter().enumerate() {
                    if idx > 0 {
                        out.push(',');
                    }
                    element.push_json(out);
                }
                out.push(']');
            }
            RawValue::Other(json) => out.push_str(json),
        }
    }

    /// Bytes that the value takes, about.
    pub(crate) fn n_bytes(&self) -> usize {
        match self {
            RawValue::Null | RawValue::Bool(_) | RawValue::Int(_) | RawValue::Float(_) => 0,
            RawValue::Text(text) => text.len(),
            RawValue::Other(json) => json.len(),
            RawValue::List(values) => values.iter().map(|value| size_of::<Self>() + value.n_bytes()).sum(),
        }
    }

    /// Whether the value says nothing: `null`, or a text of white space only.
    pub fn is_missing(&self) -> bool {
        match self {
            RawValue::Null => true,
            RawValue::Text(text) => text.trim_ascii().is_empty(),
            _ => false,
        }
    }
}

/// An attribute as a value that was just sent, so that it can pass the check again.
impl From<Attribute> for RawValue {
    fn from(attribute: Attribute) -> Self {
        match attribute {
            Attribute::Bool(value) => Self::Bool(value),
            Attribute::Number(value) => Self::Float(value),
            Attribute::Text(text) => Self::text(text),
            Attribute::List(texts) => Self::List(texts.into_iter().map(Self::text).collect()),
        }
    }
}

/// The JSON object of the fields that are present, with the other fields in a nested object under `rest_name`.
pub(crate) fn object_json<'a>(
    fields: impl Iterator<Item = (&'static str, &'a RawValue)>,
    rest_name: &str,
    rest: &[(Box<str>, RawValue)],
) -> String {
    let mut out = String::from("{");
    for (name, value) in fields.filter(|(_, value)| **value != RawValue::Null) {
        push_key(&mut out, name);
        value.push_json(&mut out);
    }
    if !rest.is_empty() {
        push_key(&mut out, rest_name);
        out.push_str(&pairs_json(rest));
    }
    out.push('}');
    out
}

/// The JSON object of these pairs, in their order.
pub(crate) fn pairs_json(pairs: &[(Box<str>, RawValue)]) -> String {
    let mut out = String::from("{");
    for (name, value) in pairs {
        push_key(&mut out, name);
        value.push_json(&mut out);
    }
    out.push('}');
    out
}

/// A value, or the pairs of a nested object.
pub(crate) enum Node {
    Value(RawValue),
    Map(Vec<(Box<str>, RawValue)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Node::deserialize(deserializer)? {
            Node::Value(value) => value,
            Node::Map(pairs) => RawValue::Other(pairs_json(&pairs).into()),
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any_value::read(deserializer)
    }
}

impl AnyValue for Node {
    type Element = RawValue;
    type Name = Box<str>;

    fn null() -> Self {
        Self::Value(RawValue::Null)
    }

    fn boolean(value: bool) -> Self {
        Self::Value(RawValue::Bool(value))
    }

    fn integer(value: i64) -> Self {
        Self::Value(RawValue::Int(value))
    }

    // An id above the range of i64 must keep its digits, so it becomes a text and not a float.
    fn above_i64(value: u64) -> Self {
        Self::Value(RawValue::text(value.to_string()))
    }

    fn float(value: f64) -> Self {
        Self::Value(RawValue::Float(value))
    }

    fn text(value: String) -> Self {
        Self::Value(RawValue::text(value))
    }

    fn list(values: Vec<RawValue>) -> Self {
        Self::Value(RawValue::List(values))
    }

    fn table(fields: Vec<(Box<str>, RawValue)>) -> Self {
        Self::Map(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_never_changes() {
        let check = |raw: RawValue, expected: &str| {
            let mut out = String::new();
            raw.push_json(&mut out);
            assert_eq!(out, expected);
        };
        check(RawValue::text("\u{8}\u{c}\n\r\t\u{7f}\"\\/é"), "\"\\u0008\\u000c\\n\\r\\t\u{7f}\\\"\\\\/é\"");
        let floats = [1.0, -0.0, 9.99, 1e-5, 0.0001, 1e15, 1e16, 1e300, 5e-324];
        let expected = "[1.0,-0.0,9.99,1e-5,0.0001,1000000000000000.0,1e16,1e300,5e-324]";
        check(RawValue::List(floats.map(RawValue::Float).into()), expected);
        let others = [RawValue::Int(i64::MIN), RawValue::Bool(true), RawValue::Null, RawValue::Float(f64::NAN)];
        check(RawValue::List(others.into()), "[-9223372036854775808,true,null,null]");
        check(RawValue::Other(r#"{"a": 1}"#.into()), r#"{"a": 1}"#);
    }
}
