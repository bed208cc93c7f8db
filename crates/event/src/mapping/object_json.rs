//! Objects of a platform as JSON has them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::notation;
use super::object::{Nested, Object};
use crate::RawValue;
use crate::any_value::{self, AnyValue};

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> de::Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Object(pairs))
    }
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any_value::read(deserializer)
    }
}

impl AnyValue for Nested {
    type Element = Nested;
    type Name = Box<str>;

    fn null() -> Self {
        Self::Single(RawValue::Null)
    }

    fn boolean(value: bool) -> Self {
        Self::Single(RawValue::Bool(value))
    }

    fn integer(value: i64) -> Self {
        Self::Single(RawValue::Int(value))
    }

    // An id above the range of i64 must keep its digits.
    fn above_i64(value: u64) -> Self {
        Self::Single(RawValue::text(value.to_string()))
    }

    fn float(value: f64) -> Self {
        Self::Single(RawValue::Float(value))
    }

    fn text(value: String) -> Self {
        Self::Single(RawValue::text(value))
    }

    fn list(values: Vec<Nested>) -> Self {
        Self::List(values)
    }

    fn table(fields: Vec<(Box<str>, Nested)>) -> Self {
        notation::meant(fields)
    }
}
