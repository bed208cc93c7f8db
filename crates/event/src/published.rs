//! The ids of events that came with a published key: a key that a page contains, so that any visitor can send with it.
//!
//! In: the name of the key, and an event as it was sent. Out: the event with its id in the namespace of the key,
//! `@publish:KEY:ID`. So an event of a published key never takes an id that the shop's own events use, nor that of
//! another key's events; the same event sent again with the same key is known by its id. The id is also what tells
//! later stages that an event was published: no field of the log says it a second time.

use crate::check::clean_id;
use crate::raw::RawEvent;
use crate::{EventId, RawValue};

/// How the ids of published events begin. An event of the shop's own with such an id is refused, so that none is taken
/// for a published one.
pub const PUBLISHED_PREFIX: &str = "@publish:";
/// Longest name of a key in an id; a longer one is cut.
const MAX_KEY_BYTES: usize = 64;

/// The namespace of the ids of one key's events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// The namespace of the key of this name. Keys of one name share it, so that a key can be replaced by another one.
    pub fn of_key(name: &str) -> Self {
        let name = crate::check::prefix(name, MAX_KEY_BYTES);
        Self(format!("{PUBLISHED_PREFIX}{}:", name.replace('%', "%25").replace(':', "%3A")).into())
    }

    /// Moves the id of an event into the namespace. A value that no rule reads as an id is left as it is.
    pub fn claim(&self, raw: &mut RawEvent) {
        raw.id = match &raw.id {
            RawValue::Text(id) => RawValue::text(format!("{}{}", self.0, clean_id(id))),
            RawValue::Int(id) => RawValue::text(format!("{}{id}", self.0)),
            RawValue::Float(id) if id.fract() == 0.0 && id.abs() < 9e15 => {
                RawValue::text(format!("{}{}", self.0, *id as i64))
            }
            RawValue::Null | RawValue::Bool(_) | RawValue::Float(_) | RawValue::List(_) | RawValue::Other(_) => return,
        };
    }

    /// The id of the namespace that ends with `id`.
    pub fn id(&self, id: &EventId) -> EventId {
        EventId::new(format!("{}{id}", self.0))
    }
}

impl EventId {
    /// Whether the event came with a published key.
    pub fn is_published(&self) -> bool {
        self.as_str().starts_with(PUBLISHED_PREFIX)
    }

    /// The name of the published key, as ids have it.
    pub fn published_by(&self) -> Option<&str> {
        self.as_str().strip_prefix(PUBLISHED_PREFIX)?.split(':').next()
    }
}

/// Bytes that a namespace adds to an id.
pub(crate) fn namespace_bytes(id: &str) -> usize {
    let Some(rest) = id.strip_prefix(PUBLISHED_PREFIX) else { return 0 };
    // A colon in the name of a key takes three bytes.
    let name = rest.find(':').filter(|end| *end <= 3 * MAX_KEY_BYTES);
    name.map_or(0, |end| PUBLISHED_PREFIX.len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(key: &str, id: RawValue) -> RawValue {
        let mut raw = RawEvent { id, ..Default::default() };
        Namespace::of_key(key).claim(&mut raw);
        raw.id
    }

    #[test]
    fn each_key_has_ids_of_its_own() {
        let check = |key: &str, id: RawValue, expected: &str| {
            assert_eq!(claimed(key, id), RawValue::text(expected), "{key}");
        };
        check("web", RawValue::text(" order-1\u{a0}"), "@publish:web:order-1");
        check("web", RawValue::Int(7), "@publish:web:7");
        check("web", RawValue::Float(7.0), "@publish:web:7");
        check("web", RawValue::text("13085.0"), "@publish:web:13085");
        check("a:b", RawValue::text("c"), "@publish:a%3Ab:c");
        check("a", RawValue::text("b:c"), "@publish:a:b:c");
        assert_eq!(claimed("web", RawValue::Bool(true)), RawValue::Bool(true), "no id, under any rule");
        for nothing in [" ".repeat(200), "\u{0}".repeat(200), "\u{0}".into(), " ".repeat(5_000)] {
            let raw = RawEvent { id: RawValue::text(nothing), ..Default::default() };
            assert!(crate::lacks_id(&raw), "it gets an id of its content before it is moved into the namespace");
        }
    }

    #[test]
    fn an_id_tells_whose_it_is() {
        let id = |id: &str| EventId::from(id);
        assert_eq!(id("@publish:web:order-1").published_by(), Some("web"));
        assert!(id("@publish:web:order-1").is_published() && !id("order-1").is_published());
        assert_eq!(Namespace::of_key("web").id(&id("x")), id("@publish:web:x"));
        assert_eq!(namespace_bytes("@publish:web:order-1"), 13);
        assert_eq!(namespace_bytes("order-1"), 0);
        assert_eq!(namespace_bytes(&format!("@publish:{}:x", "a".repeat(500))), 0, "no key has such a name");
    }
}
