//! Records inside the answer of an interface: `{"cursor": …, "items": [{…}, …]}`.
//!
//! An answer has one array of records beside cursors, totals and the like, perhaps inside another object. An event on several
//! items has an array of objects too, so what has the id of a shopper, a type or a title beside the array is a record.

use super::object::{Nested, Object};
use super::vocabulary::{compact, other_names};
use crate::{RawValue, RecordKind};

/// Names under which interfaces have an array of records.
const ARRAYS: [&str; 23] = [
    "products",
    "orders",
    "customers",
    "events",
    "items",
    "data",
    "results",
    "records",
    "variants",
    "users",
    "value",
    "values",
    "entries",
    "hits",
    "documents",
    "docs",
    "rows",
    "feedback",
    "content",
    "list",
    "nodes",
    "edges",
    "response",
];

/// Names of what interfaces say about an answer, compact.
const ABOUT_ANSWERS: [&str; 52] = [
    "cursor",
    "nextcursor",
    "prevcursor",
    "next",
    "nextpage",
    "nextpagetoken",
    "nexttoken",
    "nexturl",
    "previous",
    "prev",
    "first",
    "last",
    "count",
    "total",
    "totals",
    "totalcount",
    "totalitems",
    "totalpages",
    "totalresults",
    "totalhits",
    "offset",
    "limit",
    "page",
    "pages",
    "pagesize",
    "pagenumber",
    "perpage",
    "lastpage",
    "currentpage",
    "hasmore",
    "hasnext",
    "more",
    "took",
    "timedout",
    "status",
    "success",
    "ok",
    "error",
    "code",
    "message",
    "size",
    "start",
    "nbhits",
    "nbpages",
    "hitsperpage",
    "estimatedtotalhits",
    "processingtimems",
    "query",
    "scrollid",
    "object",
    "apiversion",
    "numfound",
];

/// Objects in one another that are looked into.
const MAX_DEPTH: usize = 3;

/// Whether an object with an array of objects of this name, and these single values beside it, is an answer.
pub fn is_answer<'n>(array: &str, beside: impl Iterator<Item = &'n str>) -> bool {
    let mut says_of_answer = false;
    for name in beside {
        let name = compact(name);
        if ABOUT_ANSWERS.contains(&&*name) {
            says_of_answer = true;
        } else if is_of_record(&name) {
            return false;
        }
    }
    says_of_answer || ARRAYS.contains(&&*compact(array))
}

/// Whether a compact name is one of a record: a shopper, a type, an id, a title, a price.
fn is_of_record(name: &str) -> bool {
    let is_usual = |kind, field: &&str| compact(field) == name || other_names(kind, field).contains(&name);
    ["id", "type", "user", "session", "item"].iter().any(|field| is_usual(RecordKind::Events, field))
        || ["title", "price"].iter().any(|field| is_usual(RecordKind::Items, field))
}

impl Object {
    /// The records of an answer, or the object itself if it is none. `is_named` says which fields a mapping leads into.
    pub fn into_records(self, is_named: impl Fn(&str) -> bool) -> Vec<Self> {
        match self.records_at(&is_named, 0) {
            None => vec![self.only_record(&is_named).document(&is_named)],
            Some(path) => self.taken(&path).into_iter().map(|record| record.document(&is_named)).collect(),
        }
    }

    /// The record of an answer with one alone, `{"product": {…}}`, or the object itself.
    fn only_record(mut self, is_named: &impl Fn(&str) -> bool) -> Self {
        let is_answer = match &self.0[..] {
            [(name, Nested::Object(_))] => ["product", "order", "customer"].contains(&&**name) && !is_named(name),
            _ => false,
        };
        match self.0.pop() {
            Some((_, Nested::Object(inner))) if is_answer => inner,
            other => {
                self.0.extend(other);
                self
            }
        }
    }

    /// The names that lead to the array of an answer.
    fn records_at(&self, is_named: &impl Fn(&str) -> bool, depth: usize) -> Option<Vec<Box<str>>> {
        let is_flat = self.0.iter().all(|(_, value)| matches!(value, Nested::Single(_)));
        let is_led_into = |(name, value): &(Box<str>, Nested)| is_named(name) && !repeats_inside(name, value);
        if is_flat || depth == MAX_DEPTH || self.0.iter().any(is_led_into) {
            return None;
        }
        let single = |field: &&(Box<str>, Nested)| matches!(field.1, Nested::Single(_));
        let beside = || self.0.iter().filter(single).map(|(name, _)| &**name);
        let holds_objects = |values: &[Nested]| values.iter().all(|value| matches!(value, Nested::Object(_)));
        let arrays = self.0.iter().filter_map(|(name, value)| match value {
            Nested::List(values) if holds_objects(values) => Some((name, values.is_empty())),
            _ => None,
        });
        let mut empty = None;
        for (name, is_empty) in arrays.filter(|(name, _)| is_answer(name, beside())) {
            if !is_empty {
                return Some(vec![name.clone()]);
            }
            empty = empty.or(Some(vec![name.clone()]));
        }
        if beside().any(|name| is_of_record(&compact(name))) {
            return None;
        }
        let inside = self.0.iter().find_map(|(name, value)| {
            let Nested::Object(inner) = value else { return None };
            let mut path = inner.records_at(is_named, depth + 1)?;
            path.insert(0, name.clone());
            Some(path)
        });
        // An empty page is no record, if something says that it is a page.
        inside.or(empty.filter(|_| beside().any(|name| ABOUT_ANSWERS.contains(&&*compact(name)))))
    }

    fn taken(self, path: &[Box<str>]) -> Vec<Self> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        match self.0.into_iter().find(|(name, _)| name == first) {
            Some((_, Nested::List(values))) => {
                let objects = values.into_iter().filter_map(|value| match value {
                    Nested::Object(object) => Some(object),
                    _ => None,
                });
                objects.collect()
            }
            Some((_, Nested::Object(inner))) => inner.taken(rest),
            _ => Vec::new(),
        }
    }

    /// The document inside a hit of OpenSearch and Elasticsearch (`_source`), or inside an edge of GraphQL (`node`).
    fn document(mut self, is_named: &impl Fn(&str) -> bool) -> Self {
        let has = |name: &str| self.field(name).is_some();
        let is_hit = has("_source") && (has("_index") || has("_id"));
        let name = match () {
            () if is_hit => "_source",
            () if has("node") && self.0.len() <= 2 => "node",
            () => return self,
        };
        let Some(place) = self.0.iter().position(|(known, _)| **known == *name).filter(|_| !is_named(name)) else {
            return self;
        };
        match self.0.swap_remove(place) {
            (_, Nested::Object(mut inner)) => {
                // A document need not repeat its id.
                let is_given = |wanted: &str| matches!(inner.field(wanted), Some(value) if !is_null(value));
                let has_id = || other_names(RecordKind::Items, "id").iter().any(|known| is_given_as(&inner, known));
                if is_hit && !is_given("_id") && !has_id() {
                    inner.0.extend(self.0.into_iter().find(|(name, _)| **name == *"_id").map(as_id));
                }
                inner
            }
            other => {
                self.0.push(other);
                self
            }
        }
    }
}

/// Whether the elements of an array have arrays of the same name: in `{"items": [{"items": […]}]}`, as Magento answers with
/// orders, the path `items[].sku` leads into the inner ones.
fn repeats_inside(name: &str, value: &Nested) -> bool {
    let Nested::List(values) = value else { return false };
    let has_array =
        |value: &Nested| matches!(value, Nested::Object(it) if matches!(it.field(name), Some(Nested::List(_))));
    values.first().is_some_and(has_array)
}

fn is_null(value: &Nested) -> bool {
    *value == Nested::Single(RawValue::Null)
}

/// Whether an object has a value under a name, however that is written.
fn is_given_as(object: &Object, wanted: &str) -> bool {
    object.0.iter().any(|(name, value)| compact(name) == wanted && !is_null(value))
}

/// The id of a hit as that of its document.
fn as_id((_, value): (Box<str>, Nested)) -> (Box<str>, Nested) {
    ("id".into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(json: &str) -> Vec<String> {
        let object: Object = serde_json::from_str(json).unwrap();
        object
            .into_records(|name| name == "lines")
            .iter()
            .map(|record| record.names().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn answers_are_unwrapped_and_records_are_not() {
        let none: [&str; 0] = [];
        assert_eq!(records(r#"{"Cursor":"","Items":[{"a":1},{"b":2}]}"#), ["a", "b"]);
        assert_eq!(records(r#"{"total":2,"stuff":[{"a":1}],"next":null}"#), ["a"]);
        assert_eq!(records(r#"{"products":[{"a":1}],"shop":"x"}"#), ["a"]);
        assert_eq!(records(r#"{"data":{"products":[{"a":1}]}}"#), ["a"]);
        assert_eq!(
            records(r#"{"data":{"products":{"edges":[{"cursor":"c","node":{"a":1}}],"pageInfo":{"x":1}}}}"#),
            ["a"]
        );
        assert_eq!(
            records(r#"{"took":1,"hits":{"total":{"value":1},"hits":[{"_id":"1","_source":{"a":1}}]}}"#),
            ["a id"]
        );
        assert_eq!(records(r#"{"_index":"i","_source":{"a":1}}"#), ["a"]);
        assert_eq!(records(r#"{"_index":"i","_id":"P1","_source":{"title":"Mug"}}"#), ["title id"]);
        assert_eq!(records(r#"{"_index":"i","_id":"P1","_source":{"sku":"A","title":"Mug"}}"#), ["sku title"]);
        assert_eq!(records(r#"{"lines":[{"lines":[{"a":1}],"n":1}],"total_count":1}"#), ["lines n"]);
        assert_eq!(records(r#"{"Cursor":"","Feedback":[]}"#), none);
        assert_eq!(records(r#"{"product":{"id":1,"variants":[{"a":1}]}}"#), ["id variants"]);
        for record in [
            r#"{"event_name":"purchase","items":[{"a":1}]}"#,
            r#"{"id":1,"total":"9","line_items":[{"a":1}]}"#,
            r#"{"title":"Mug","variants":[{"a":1}]}"#,
            r#"{"lines":[{"a":1}],"total":1}"#,
            r#"{"properties":{"products":[{"a":1}]},"userId":"u"}"#,
            r#"{"a":1,"b":[{"c":1}]}"#,
        ] {
            assert_eq!(records(record).len(), 1, "{record}");
            assert!(records(record)[0].contains(' '), "{record}");
        }
    }
}
