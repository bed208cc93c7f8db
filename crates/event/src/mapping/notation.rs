//! Values that some writers of JSON put into objects: the extended JSON of MongoDB, and the lists of GraphQL.

use super::object::{Nested, Object};
use crate::RawValue;

/// What an object means: the value that `{"$oid": "…"}` or `{"$numberLong": "7"}` stands for, the list of a connection
/// (`{"edges": [{"node": …}]}`, `{"nodes": […]}`), or the object itself.
pub(super) fn meant(fields: Vec<(Box<str>, Nested)>) -> Nested {
    match extended(&fields) {
        Some(value) => Nested::Single(value),
        None => connection(fields),
    }
}

/// A value of a type that JSON does not have, as `mongoexport` writes it.
fn extended(fields: &[(Box<str>, Nested)]) -> Option<RawValue> {
    let [(name, value)] = fields else { return extended_pair(fields) };
    let kind = name.strip_prefix('$')?;
    let Nested::Single(value) = value else { return None };
    match (kind, value) {
        ("oid" | "uuid" | "symbol", RawValue::Text(_)) => Some(value.clone()),
        ("date", RawValue::Text(text)) => Some(text.parse().map_or_else(|_| value.clone(), RawValue::Int)),
        (
            "date" | "numberInt" | "numberLong" | "numberDouble" | "numberDecimal",
            RawValue::Int(_) | RawValue::Float(_),
        ) => Some(value.clone()),
        ("numberInt" | "numberLong", RawValue::Text(text)) => {
            Some(text.trim().parse().map_or_else(|_| value.clone(), RawValue::Int))
        }
        ("numberDouble" | "numberDecimal", RawValue::Text(text)) => Some(RawValue::number_or_text(text.trim())),
        ("undefined" | "minKey" | "maxKey", _) => Some(RawValue::Null),
        _ => None,
    }
}

/// `{"$timestamp": …}` and `{"$binary": …, "$type": …}` of older versions: the first is a time in seconds.
fn extended_pair(fields: &[(Box<str>, Nested)]) -> Option<RawValue> {
    let [(name, Nested::Single(value)), (other, _)] = fields else { return None };
    (&**name == "$binary" && &**other == "$type").then(|| value.clone())
}

/// The list of a connection of GraphQL.
fn connection(mut fields: Vec<(Box<str>, Nested)>) -> Nested {
    const BESIDE: [&str; 6] = ["pageInfo", "totalCount", "__typename", "edges", "nodes", "count"];
    let is_connection = fields.iter().all(|(name, _)| BESIDE.contains(&&**name));
    let place_of = |wanted: &str| fields.iter().position(|(name, _)| **name == *wanted);
    if !is_connection {
        return Nested::Object(Object(fields));
    }
    let is_list_of = |value: &Nested, fits: &dyn Fn(&Object) -> bool| match value {
        Nested::List(values) => values.iter().all(|value| matches!(value, Nested::Object(object) if fits(object))),
        _ => false,
    };
    let nodes = place_of("nodes").filter(|place| is_list_of(&fields[*place].1, &|_| true));
    let edges = place_of("edges").filter(|place| is_list_of(&fields[*place].1, &|edge| edge.field("node").is_some()));
    match (nodes, edges) {
        (Some(place), _) => fields.swap_remove(place).1,
        (None, Some(place)) => match fields.swap_remove(place).1 {
            Nested::List(values) => Nested::List(values.into_iter().filter_map(node_of).collect()),
            other => other,
        },
        (None, None) => Nested::Object(Object(fields)),
    }
}

fn node_of(edge: Nested) -> Option<Nested> {
    let Nested::Object(Object(fields)) = edge else { return None };
    fields.into_iter().find(|(name, _)| **name == *"node").map(|(_, node)| node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        let mut out = String::new();
        RawValue::from(serde_json::from_str::<Nested>(json).unwrap()).push_json(&mut out);
        out
    }

    #[test]
    fn values_of_mongodb_are_plain_values() {
        for (json, expected) in [
            (r#"{"$oid":"65a1"}"#, r#""65a1""#),
            (r#"{"$date":"2026-03-01T09:00:00Z"}"#, r#""2026-03-01T09:00:00Z""#),
            (r#"{"$date":1772355600000}"#, "1772355600000"),
            (r#"{"$date":{"$numberLong":"1772355600000"}}"#, "1772355600000"),
            (r#"{"$numberLong":"9007199254740993"}"#, "9007199254740993"),
            (r#"{"$numberInt":"3"}"#, "3"),
            (r#"{"$numberDecimal":"9.99"}"#, "9.99"),
            (r#"{"$numberDouble":"4.5"}"#, "4.5"),
            (r#"[{"sku":{"$oid":"a"}}]"#, r#"[{"sku":"a"}]"#),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
        for same in [r#"{"$other":"x"}"#, r#"{"$oid":"x","b":1}"#, r#"{"price":"9"}"#, "{}"] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn connections_of_graphql_are_lists() {
        let list = r#"[{"a":1},{"a":2}]"#;
        assert_eq!(
            read(r#"{"edges":[{"cursor":"x","node":{"a":1}},{"node":{"a":2}}],"pageInfo":{"hasNextPage":false}}"#),
            list
        );
        assert_eq!(read(r#"{"nodes":[{"a":1},{"a":2}],"pageInfo":{}}"#), list);
        for same in [r#"{"edges":[{"a":1}]}"#, r#"{"nodes":[1]}"#, r#"{"edges":[{"node":{"a":1}}],"colour":"red"}"#] {
            assert_eq!(read(same), same);
        }
    }
}
