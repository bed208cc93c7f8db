//! Records as a shop sends them: every field is optional, and every value may have any type.
//!
//! In: a map from any self-describing format (JSON in the app), or (field, text) pairs. Out: a [`RawEvent`],
//! [`RawItem`] or [`RawUser`] for the check. A well-formed record is never refused here. A value of the wrong type,
//! such as a list in place of a text, is kept as it was sent, so that one bad field leads to a verdict on its record
//! and not to the loss of a batch.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::raw_value::{Node, RawValue, object_json};

/// Whether the field holds a number, so that a cell of a file is read as one.
pub(crate) fn is_numeric(field: &str) -> bool {
    matches!(field, "at" | "value" | "quantity" | "price" | "position" | "stock" | "published_at")
}

/// A cell of a file as a value of `field`. An empty cell is missing.
pub(crate) fn cell(field: &str, text: &str) -> RawValue {
    match text {
        "" => RawValue::Null,
        _ if is_numeric(field) => RawValue::number_or_text(text.trim_ascii()),
        _ => RawValue::text(text),
    }
}

macro_rules! raw_record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $key:literal,)* } rest $rest:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: RawValue,)*
            /// All other fields that were sent, in their order; a later entry replaces an earlier one of the same name.
            pub $rest: Vec<(Box<str>, RawValue)>,
        }

        impl $name {
            /// The names of the fields, in order.
            pub const FIELDS: &[&str] = &[$($key),*];
            /// The name of the object that holds all other fields.
            pub const REST: &str = stringify!($rest);

            /// A record from the cells of a row. Cells of numeric fields are read as numbers.
            pub fn from_texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
                let mut record = Self::default();
                for (name, text) in pairs {
                    record.set(name, cell(name, text));
                }
                record
            }

            /// Sets a field; a name that is not a field is added to the other fields.
            pub fn set(&mut self, name: &str, value: RawValue) {
                match name {
                    $($key => self.$field = value,)*
                    _ => self.$rest.push((name.into(), value)),
                }
            }

            /// The field of this name; `None` if there is no such field.
            pub fn field(&self, name: &str) -> Option<&RawValue> {
                match name {
                    $($key => Some(&self.$field),)*
                    _ => None,
                }
            }

            /// The field of this name, for a change; `None` if there is no such field.
            pub fn field_mut(&mut self, name: &str) -> Option<&mut RawValue> {
                match name {
                    $($key => Some(&mut self.$field),)*
                    _ => None,
                }
            }

            /// All fields with their names, in order, without the other fields.
            pub fn fields(&self) -> impl Iterator<Item = (&'static str, &RawValue)> {
                [$(($key, &self.$field)),*].into_iter()
            }

            /// The record as one line of JSON, without missing fields.
            pub fn to_json(&self) -> String {
                object_json(self.fields(), Self::REST, &self.$rest)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut record = $name::default();
                        while let Some(name) = map.next_key_seed(Name { fields: $name::FIELDS, rest: $name::REST })? {
                            match name {
                                Key::Field(name) => record.set(name, map.next_value()?),
                                Key::Unknown(name) => record.$rest.push((name, map.next_value()?)),
                                Key::Rest => match map.next_value()? {
                                    Node::Value(RawValue::Null) => {}
                                    Node::Value(lone) => record.$rest.push(($name::REST.into(), lone)),
                                    Node::Map(pairs) => record.$rest.extend(pairs),
                                },
                            }
                        }
                        Ok(record)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}

raw_record! {
    /// An event before the check. Fields with unknown names are kept as properties; an object `properties` is
    /// flattened.
    RawEvent {
        /// The shop's id of the event.
        id = "id",
        /// What happened.
        event_type = "type",
        /// The known user.
        user = "user",
        /// The visit.
        session = "session",
        /// The item concerned.
        item = "item",
        /// When it happened: RFC 3339, or a number since the epoch.
        at = "at",
        /// Strength; the rating of a `rating`.
        value = "value",
        /// Number of pieces.
        quantity = "quantity",
        /// Price of one piece.
        price = "price",
        /// The search text.
        query = "query",
        /// The platform that sent the event.
        source = "source",
        /// The recommendation that the shopper acted on.
        recommendation_id = "recommendation_id",
        /// The item's position in that recommendation.
        position = "position",
    } rest properties
}

raw_record! {
    /// An item before the check. Fields with unknown names are kept as attributes.
    RawItem {
        /// Identifies the item in every event.
        id = "id",
        /// The group of the item's variants.
        parent = "parent",
        /// The name that shoppers read.
        title = "title",
        /// A longer text.
        description = "description",
        /// The brand or maker.
        brand = "brand",
        /// Categories: a list, or one text.
        categories = "categories",
        /// Labels: a list, or one text.
        tags = "tags",
        /// Price of one piece.
        price = "price",
        /// ISO 4217 code.
        currency = "currency",
        /// BCP 47 language tag.
        locale = "locale",
        /// Address of a picture.
        image = "image",
        /// Whether the item may be shown.
        available = "available",
        /// Pieces in stock.
        stock = "stock",
        /// When the item was added to the shop.
        published_at = "published_at",
    } rest attributes
}

raw_record! {
    /// A user before the check. Fields with unknown names are kept as attributes.
    RawUser {
        /// Identifies the user in every event.
        id = "id",
    } rest attributes
}

/// A key of a record.
enum Key {
    Field(&'static str),
    Rest,
    Unknown(Box<str>),
}

/// Compares a key with the names of a record's fields, without an allocation for known names.
struct Name {
    fields: &'static [&'static str],
    rest: &'static str,
}

impl<'de> de::DeserializeSeed<'de> for Name {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl de::Visitor<'_> for Name {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
        if name == self.rest {
            return Ok(Key::Rest);
        }
        Ok(match self.fields.iter().find(|field| **field == name) {
            Some(field) => Key::Field(field),
            None => Key::Unknown(name.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> RawEvent {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn wrong_types_are_kept_for_the_check() {
        let raw =
            event(r#"{"type":["view"],"user":7,"item":{"id":"a\"b"},"session":18446744073709551615,"price":"9.99"}"#);
        assert_eq!(raw.event_type, RawValue::List(vec![RawValue::text("view")]));
        assert_eq!(raw.user, RawValue::Int(7));
        assert_eq!(raw.item, RawValue::Other(r#"{"id":"a\"b"}"#.into()));
        assert_eq!(raw.session, RawValue::text("18446744073709551615"));
        assert_eq!(raw.price, RawValue::text("9.99"));
    }

    #[test]
    fn unknown_names_and_the_properties_object_are_joined() {
        let raw = event(r#"{"colour":"red","properties":{"size":38},"user":null}"#);
        assert_eq!(raw.properties, [("colour".into(), RawValue::text("red")), ("size".into(), RawValue::Int(38))]);
        let lone = event(r#"{"properties":"red"}"#);
        assert_eq!(lone.properties, [("properties".into(), RawValue::text("red"))]);
    }

    #[test]
    fn json_reads_back_as_it_was_rendered() {
        let raw = event(
            r#"{"id":"e\u0001\"\\\n","type":"view","value":-1.5,"price":1e300,"quantity":3,"query":"größe","tags":["a",1,null,{"x":[]}],"properties":{"ok":true}}"#,
        );
        assert_eq!(event(&raw.to_json()), raw);
    }

    #[test]
    fn cells_of_numeric_fields_are_numbers() {
        let raw = RawEvent::from_texts([
            ("item", "85048"),
            ("quantity", "12"),
            ("price", "6.95"),
            ("country", "UK"),
            ("user", ""),
        ]);
        assert_eq!(raw.item, RawValue::text("85048"));
        assert_eq!((raw.quantity, raw.price, raw.user), (RawValue::Int(12), RawValue::Float(6.95), RawValue::Null));
        assert_eq!(raw.properties, [("country".into(), RawValue::text("UK"))]);
    }
}
