//! Names of attributes and properties that are probably misspelt fields: `stok`, `titel`, `publishdAt`. The check
//! keeps them as attributes, because a shop may have such a field; here they are found, so that the sender can be told.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{availability, time, usual};
use crate::near::{folded, misspelling, nearest, singular};
use crate::raw::{RawEvent, RawItem};
use crate::{RawValue, RecordKind};

/// A name that was kept as an attribute or a property, and the field that it is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MisspeltField {
    /// The name as it was sent.
    pub name: Box<str>,
    /// The field that was probably meant.
    pub near: Box<str>,
    /// Number of records with this name and without that field.
    pub records: u64,
}

/// The misspelt names of the records of a batch.
#[derive(Clone, Debug, Default)]
pub struct MisspeltFields {
    found: BTreeMap<Box<str>, (&'static str, u64)>,
    /// What was found out about a name. Looked up only.
    known: HashMap<(RecordKind, Box<str>), Option<&'static str>>,
    /// Attributes and properties that are left out because of their values, with the number of records.
    dropped: BTreeMap<Box<str>, u64>,
}

/// Different names that are looked at; further ones are kept as attributes without a word.
const MAX_NAMES: usize = 4096;
/// Names that are told.
const MAX_TOLD: usize = 32;
/// Names that are longer are none of ours.
const MAX_BYTES: usize = 64;
/// The letters from which on a name can be said to be misspelt.
const MIN_LETTERS: usize = 4;

impl MisspeltFields {
    /// Looks at the names of an item's attributes.
    pub fn look_at_item(&mut self, item: &RawItem) {
        self.look(RecordKind::Items, &item.attributes, |field| {
            item.field(field).is_some_and(|value| !value.is_missing())
        });
    }

    /// Looks at the names of an event's properties.
    pub fn look_at_event(&mut self, event: &RawEvent) {
        let is_given = |field: &str| event.field(field).is_some_and(|value| !value.is_missing());
        self.look(RecordKind::Events, &event.properties, is_given);
        // Without its time, an event of a file is one of now, and nothing would show it.
        if !is_given("at")
            && time::other_name(&event.properties).is_none()
            && let Some(name) = time::date_beside(&event.properties)
        {
            self.tell(name, "at");
        }
    }

    /// The names of attributes and properties that are left out because their values are objects, or numbers that are none,
    /// with the number of records.
    pub fn take_dropped(&mut self) -> BTreeMap<Box<str>, u64> {
        std::mem::take(&mut self.dropped)
    }

    /// What was found, by name.
    pub fn into_vec(self) -> Vec<MisspeltField> {
        let told = self.found.into_iter();
        told.map(|(name, (near, records))| MisspeltField { name, near: near.into(), records }).collect()
    }

    fn look(&mut self, kind: RecordKind, rest: &[(Box<str>, RawValue)], is_given: impl Fn(&str) -> bool) {
        for (name, value) in rest {
            if name.len() > MAX_BYTES || value.is_missing() {
                continue;
            }
            let is_left_out = match value {
                RawValue::Other(_) => true,
                RawValue::Float(number) => !number.is_finite(),
                // Other lists of objects are read: pairs of names and values, pictures, categories.
                RawValue::List(values) if name.eq_ignore_ascii_case("variants") => {
                    values.iter().any(|value| matches!(value, RawValue::Other(_)))
                }
                _ => false,
            };
            if is_left_out {
                if let Some(n) = self.dropped.get_mut(name) {
                    *n += 1;
                } else if self.dropped.len() < MAX_TOLD {
                    self.dropped.insert(name.clone(), 1);
                }
            }
            let Some(near) = self.near(kind, name).filter(|field| !is_given(field)) else { continue };
            self.tell(name, near);
        }
    }

    fn tell(&mut self, name: &str, near: &'static str) {
        if let Some((_, n)) = self.found.get_mut(name) {
            *n += 1;
        } else if self.found.len() < MAX_TOLD && name.len() <= MAX_BYTES {
            self.found.insert(name.into(), (near, 1));
        }
    }

    /// The field that a name is near.
    fn near(&mut self, kind: RecordKind, name: &str) -> Option<&'static str> {
        let key = (kind, Box::from(name));
        match self.known.get(&key) {
            Some(known) => *known,
            None if self.known.len() >= MAX_NAMES => None,
            None => {
                let near = near_field(kind, name);
                self.known.insert(key, near);
                near
            }
        }
    }
}

/// Words that are near the name of a field and are what they say.
const WORDS: [&str; 5] = ["gender", "vectors", "brandy", "stick", "version"];

fn near_field(kind: RecordKind, name: &str) -> Option<&'static str> {
    // `_vectors` and `$value` are names that a system gave, and no slips.
    if name.starts_with(['_', '$']) || WORDS.contains(&&*folded(name)) {
        return None;
    }
    let n_letters = name.chars().filter(|c| c.is_alphabetic()).count();
    if n_letters < MIN_LETTERS {
        return None;
    }
    let is_long = |name: &&'static str| name.len() >= MIN_LETTERS;
    // `query_id`, `title_de` and `image2` say more than the field, and are no slips.
    let is_longer =
        |field: &str| folded(name).starts_with(&singular(&folded(field))) && misspelling(name, field) != Some(0);
    let fields = || kind.fields().iter().copied().filter(|field| is_long(field) && !is_longer(field));
    match kind {
        RecordKind::Items => {
            // The check finds these fields under their other names, and so a name that is near one of those is near the
            // field.
            let others = usual::other_names().chain(availability::other_names());
            if others.clone().any(|(_, other)| misspelling(name, other) == Some(0)) {
                return None;
            }
            // What says more than a field is no slip of another one either.
            let says_more = kind.fields().iter().any(|field| is_longer(field));
            let others = others.filter(|(_, other)| !says_more && is_long(other) && !is_longer(other));
            nearest(name, fields()).or_else(|| {
                let near = others.filter_map(|(field, other)| Some((misspelling(name, other)?, field)));
                near.min().map(|(_, field)| field)
            })
        }
        RecordKind::Events => {
            let is_read = usual::other_names_of_events().any(|(_, other)| misspelling(name, other) == Some(0));
            if is_read { None } else { nearest(name, fields()) }
        }
        RecordKind::Users => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_item(json: &str) -> Vec<(String, String)> {
        let mut fields = MisspeltFields::default();
        fields.look_at_item(&serde_json::from_str(json).unwrap());
        fields.into_vec().into_iter().map(|found| (found.name.into(), found.near.into())).collect()
    }

    #[test]
    fn names_near_a_field_that_the_item_lacks_are_told() {
        for (name, near) in [
            ("stok", "stock"),
            ("titel", "title"),
            ("prize", "price"),
            ("availabilty", "available"),
            ("Titlle", "title"),
            ("publshedAt", "published_at"),
            ("manufactuer", "brand"),
            ("curency", "currency"),
        ] {
            let json = format!(r#"{{"id":"a","{name}":"x"}}"#);
            assert_eq!(of_item(&json), [(name.to_owned(), near.to_owned())]);
        }
    }

    #[test]
    fn attributes_of_the_shop_and_names_of_other_systems_are_not() {
        for name in [
            "colour",
            "size",
            "style",
            "material",
            "season",
            "name",
            "availability",
            "image_link",
            "ean",
            "ids",
            "title_de",
            "image2",
            "brand_id",
            "gender",
            "_vectors",
            "$value",
        ] {
            assert_eq!(of_item(&format!(r#"{{"id":"a","{name}":"x"}}"#)), []);
        }
        assert_eq!(
            of_item(r#"{"id":"a","title":"Tasse","titel":"x","price":1,"prices":[1]}"#),
            [],
            "the item has the field"
        );
        assert_eq!(of_item(r#"{"id":"a","stok":""}"#), []);
    }

    #[test]
    fn an_event_without_a_time_beside_a_date_of_an_unknown_name_is_told() {
        let told = |pairs: &[(&str, &str)]| {
            let mut fields = MisspeltFields::default();
            let event = [("type", "view"), ("user", "u"), ("item", "a")].into_iter().chain(pairs.iter().copied());
            fields.look_at_event(&RawEvent::from_texts(event));
            fields
                .into_vec()
                .into_iter()
                .map(|found| (found.name.into(), found.near.into()))
                .collect::<Vec<(String, String)>>()
        };
        for date in ["2026-11-21T10:00:00Z", "2026-11-21 10:00:00", "21.11.2026 10:00", "11/21/2026", "2026-11-21"] {
            assert_eq!(told(&[("buchungsdatum", date)]), [("buchungsdatum".to_owned(), "at".to_owned())], "{date}");
        }
        for pairs in [
            &[("at", "2026-11-21T10:00:00Z"), ("buchungsdatum", "2026-11-21")][..],
            &[("liefertermin", "2026-11-28")],
            &[("birthday", "1990-01-01")],
            &[("order", "1763700000")],
            &[("timestamp", "2026-11-21T10:00:00Z")],
            &[("version", "1.2.3")],
            &[("colour", "red")],
        ] {
            assert_eq!(told(pairs), [], "{pairs:?}");
        }
    }

    #[test]
    fn attributes_that_are_left_out_are_told_by_their_names() {
        let mut fields = MisspeltFields::default();
        for _ in 0..3 {
            let json =
                r#"{"id":"a","_vectors":{"x":[1]},"colour":"red","sizes":["S"],"variants":[{"id":"a-1","price":9}]}"#;
            fields.look_at_item(&serde_json::from_str(json).unwrap());
        }
        assert_eq!(fields.take_dropped(), BTreeMap::from([("_vectors".into(), 3), ("variants".into(), 3)]));
        assert_eq!(fields.take_dropped(), BTreeMap::new());
    }

    #[test]
    fn records_are_counted_and_names_are_bounded() {
        let mut fields = MisspeltFields::default();
        for n in 0..10_000 {
            let item = RawItem::from_texts([("id", "a"), ("stok", "1"), (&*format!("{}titel", n % 100), "x")]);
            fields.look_at_item(&item);
        }
        let found = fields.into_vec();
        assert!(found.contains(&MisspeltField { name: "stok".into(), near: "stock".into(), records: 10_000 }));
        assert!(found.len() <= MAX_TOLD);
        let mut fields = MisspeltFields::default();
        fields.look_at_event(&RawEvent::from_texts([("type", "purchase"), ("quantitty", "3"), ("colour", "red")]));
        assert_eq!(fields.into_vec()[0].name, "quantitty".into());
    }
}
