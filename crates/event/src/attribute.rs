//! Open-ended fields of items, users and events.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Fields by name. The order is that of the names, so that equal sets have equal bytes.
pub type Attributes = BTreeMap<Box<str>, Attribute>;

/// One value of an open-ended field. Serialised as a plain JSON value in human-readable formats and as a tagged enum in
/// binary ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(Box<str>),
    /// Several texts; a filter matches if one of them matches.
    List(Vec<Box<str>>),
}

/// The tagged form of [`Attribute`]: binary formats do not describe the type of a value, so the variant has to be
/// stored.
#[derive(Serialize, Deserialize)]
enum Tagged {
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    List(Vec<Box<str>>),
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return match self {
                Attribute::Bool(value) => serializer.serialize_bool(*value),
                Attribute::Number(value) => serializer.serialize_f64(*value),
                Attribute::Text(value) => serializer.serialize_str(value),
                Attribute::List(values) => values.serialize(serializer),
            };
        }
        match self.clone() {
            Attribute::Bool(value) => Tagged::Bool(value),
            Attribute::Number(value) => Tagged::Number(value),
            Attribute::Text(value) => Tagged::Text(value),
            Attribute::List(values) => Tagged::List(values),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(PlainValue);
        }
        Ok(match Tagged::deserialize(deserializer)? {
            Tagged::Bool(value) => Attribute::Bool(value),
            Tagged::Number(value) => Attribute::Number(value),
            Tagged::Text(value) => Attribute::Text(value),
            Tagged::List(values) => Attribute::List(values),
        })
    }
}

struct PlainValue;

impl<'de> de::Visitor<'de> for PlainValue {
    type Value = Attribute;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number, a text or a list of texts")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Attribute, E> {
        Ok(Attribute::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Attribute, E> {
        Ok(Attribute::Number(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Attribute, E> {
        Ok(Attribute::Number(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Attribute, E> {
        Ok(Attribute::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Attribute, E> {
        Ok(Attribute::Text(value.into()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Attribute, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Box<str>>()? {
            values.push(value);
        }
        Ok(Attribute::List(values))
    }
}
