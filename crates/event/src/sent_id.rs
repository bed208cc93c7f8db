//! Ids in requests, in the form in which records have them.
//!
//! In: an id as a client writes it: a text, or, where the shop counts its users or items, a whole number. Out: the text
//! that the check would make of it in a record ([`clean_id`]), so that a request names what the records name. The
//! functions are for `#[serde(deserialize_with = …)]`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::check::clean_id;

struct SentId(String);

impl<'de> Deserialize<'de> for SentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SentId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<SentId, E> {
                Ok(SentId(clean_id(id).into_owned()))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<SentId, E> {
                Ok(SentId(id.to_string()))
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<SentId, E> {
                Ok(SentId(id.to_string()))
            }

            // What some languages make of a whole number on its way; beyond these bounds digits are lost.
            fn visit_f64<E: de::Error>(self, id: f64) -> Result<SentId, E> {
                match id.fract() == 0.0 && id.abs() < 9e15 {
                    true => Ok(SentId((id as i64).to_string())),
                    false => Err(E::invalid_type(de::Unexpected::Float(id), &self)),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// An id.
///
/// # Errors
/// If the value is neither a text nor a whole number.
pub fn one<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    SentId::deserialize(deserializer).map(|id| id.0.into())
}

/// An id, or null.
///
/// # Errors
/// Those of [`one`].
pub fn optional<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<SentId>::deserialize(deserializer)?.map(|id| id.0.into()))
}

/// A list of ids.
///
/// # Errors
/// Those of [`one`], or if the value is no list.
pub fn list<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<SentId>::deserialize(deserializer)?.into_iter().map(|id| id.0.into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ItemId;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Request {
        #[serde(deserialize_with = "one")]
        session: String,
        #[serde(deserialize_with = "optional")]
        user: Option<String>,
        #[serde(deserialize_with = "list")]
        items: Vec<ItemId>,
    }

    #[test]
    fn ids_are_what_records_make_of_them() {
        let sent = "{\"session\": 7, \"user\": \" Ka\u{308}se \", \"items\": [17, \"13085.0\", 18.0, -1, \"sku-9\"]}";
        let read: Request = serde_json::from_str(sent).unwrap();
        assert_eq!((read.session.as_str(), read.user.as_deref()), ("7", Some("K\u{e4}se")));
        assert_eq!(read.items.iter().map(ItemId::as_str).collect::<Vec<_>>(), ["17", "13085", "18", "-1", "sku-9"]);
        assert_eq!(serde_json::from_str::<Request>("{\"user\": null}").unwrap(), Request::default());
    }

    #[test]
    fn other_values_are_refused() {
        for sent in [
            "{\"user\": true}",
            "{\"user\": 1.5}",
            "{\"user\": 1e300}",
            "{\"user\": [\"u1\"]}",
            "{\"items\": \"sku-9\"}",
            "{\"items\": [null]}",
        ] {
            assert!(serde_json::from_str::<Request>(sent).is_err(), "{sent}");
        }
    }
}
