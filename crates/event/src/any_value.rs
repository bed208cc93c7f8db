//! Reading a value of any kind from a self-describing format, such as JSON or TOML.
//!
//! [`read`] serves every type that holds such values, each of which implements [`AnyValue`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A type that holds a value of any kind.
pub(crate) trait AnyValue: Sized {
    /// An element of a list, and the value of a field of a table.
    type Element: for<'de> Deserialize<'de>;
    /// The name of a field of a table.
    type Name: for<'de> Deserialize<'de>;

    fn null() -> Self;
    fn boolean(value: bool) -> Self;
    fn integer(value: i64) -> Self;
    /// A number above the range of `i64`.
    fn above_i64(value: u64) -> Self;
    fn float(value: f64) -> Self;
    fn text(value: String) -> Self;
    fn list(values: Vec<Self::Element>) -> Self;
    fn table(fields: Vec<(Self::Name, Self::Element)>) -> Self;
}

/// Reads a `T` of any kind.
pub(crate) fn read<'de, T: AnyValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(AnyVisitor(PhantomData))
}

struct AnyVisitor<T>(PhantomData<T>);

impl<'de, T: AnyValue> Visitor<'de> for AnyVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_none<E>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(i64::try_from(value).map_or_else(|_| T::above_i64(value), T::integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<T, E> {
        Ok(T::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(T::list(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<T, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(T::table(fields))
    }
}
