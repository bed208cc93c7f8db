//! A partial description of an item as a shop sends it: what is left out stays as it is, and `null` clears.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};

use crate::raw::RawItem;
use crate::raw_value::{Node, RawValue};

/// A change of some fields of an item, before the check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawPatch {
    /// The id, and the fields to set. A field without a value stays as it is.
    pub item: RawItem,
    /// Names of fields and attributes to clear, because they were sent as `null`. An attribute of the object `attributes`
    /// has its name after `attributes.`, and `attributes` alone means all of them.
    pub cleared: Vec<Box<str>>,
}

impl From<RawItem> for RawPatch {
    fn from(item: RawItem) -> Self {
        Self { item, cleared: Vec::new() }
    }
}

/// What stands before the name of an attribute.
pub(crate) const ATTRIBUTES: &str = "attributes.";

impl<'de> Deserialize<'de> for RawPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> de::Visitor<'de> for Fields {
            type Value = RawPatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawPatch, A::Error> {
                let mut patch = RawPatch::default();
                while let Some(name) = map.next_key::<Box<str>>()? {
                    if *name != *RawItem::REST {
                        match map.next_value()? {
                            RawValue::Null => patch.cleared.push(name),
                            value => patch.item.set(&name, value),
                        }
                        continue;
                    }
                    match map.next_value()? {
                        Node::Value(RawValue::Null) => patch.cleared.push(name),
                        Node::Value(lone) => patch.item.attributes.push((name, lone)),
                        Node::Map(pairs) => {
                            for (name, value) in pairs {
                                match value {
                                    RawValue::Null => patch.cleared.push(format!("{ATTRIBUTES}{name}").into()),
                                    value => patch.item.attributes.push((name, value)),
                                }
                            }
                        }
                    }
                }
                Ok(patch)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_told_from_what_is_left_out() {
        let json = r#"{"id":"mug","price":null,"stock":3,"colour":null,"size":"L","attributes":{"care":null,"title":null,"age":2}}"#;
        let RawPatch { item, cleared } = serde_json::from_str(json).unwrap();
        assert_eq!((&item.id, &item.stock), (&RawValue::text("mug"), &RawValue::Int(3)));
        assert_eq!(item.attributes, [("size".into(), RawValue::text("L")), ("age".into(), RawValue::Int(2))]);
        let cleared: Vec<&str> = cleared.iter().map(|name| &**name).collect();
        assert_eq!(cleared, ["price", "colour", "attributes.care", "attributes.title"]);
        let all: RawPatch = serde_json::from_str(r#"{"attributes":null}"#).unwrap();
        assert_eq!(*all.cleared[0], *"attributes");
    }
}
