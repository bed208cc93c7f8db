//! What a person is told of the attributes of items: those that are left out because they are of a person, those that hide items,
//! those that may be stocks and were not understood, and those that have the end of a sale, which hides nothing.
//!
//! In: raw items. Out: names with numbers of items. The verdict on an item does not depend on this.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::availability;
use super::stated_stock::{StatedStock, stated_stock};
use super::stock_of_places;
use super::time::read_time;
use crate::RawValue;
use crate::near::folded;
use crate::private::{is_of_person, names_person, places_of_persons};
use crate::raw::RawItem;

/// Names that are told, of each sort.
const MAX_TOLD: usize = 16;
/// Different names that are looked at; further ones are not told.
const MAX_NAMES: usize = 4096;
/// Names that are longer say nothing that is known.
const MAX_BYTES: usize = 96;

/// Names of attributes, each with the number of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ItemNotes {
    /// Left out, because they are of persons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub persons: BTreeMap<Box<str>, u64>,
    /// They say that the item is not to be shown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_by: BTreeMap<Box<str>, u64>,
    /// Kept under their names, of items without a stock.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub perhaps_stocks: BTreeMap<Box<str>, u64>,
    /// Kept under their names: times until which the item is sold. Nothing hides it when they are over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ends: BTreeMap<Box<str>, u64>,
    /// What is known of a name. Looked up only.
    #[serde(skip)]
    known: HashMap<Box<str>, Meaning>,
}

/// What an attribute of a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meaning {
    is_of_person: bool,
    may_hide: bool,
    may_be_stock: bool,
    is_end: bool,
}

/// Names of the time until which an item is sold, in lower case and without separators.
const ENDS: &[&str] = &[
    "expirationdate",
    "expirydate",
    "expiresat",
    "expireson",
    "unpublishedat",
    "unpublishat",
    "unpublishdate",
    "availableuntil",
    "availableto",
    "validuntil",
    "onlineuntil",
    "offlineat",
    "verfügbarbis",
    "gültigbis",
    "onlinebis",
    "ablaufdatum",
    "dateexpiration",
    "datedefin",
    "fechadecaducidad",
    "下架时间",
];

impl ItemNotes {
    /// Looks at the attributes of an item.
    pub fn look_at(&mut self, item: &RawItem) {
        let (mut has_person, mut may_be_stock) = (false, false);
        for (name, value) in &item.attributes {
            if name.len() > MAX_BYTES || value.is_missing() {
                continue;
            }
            let Some(meaning) = self.meaning(name) else { continue };
            has_person |= meaning.is_of_person || is_perhaps_of_person(name, value);
            may_be_stock |= meaning.may_be_stock;
            if meaning.may_hide && availability::is_hidden_by(name, value) {
                add(&mut self.hidden_by, name);
            }
            if meaning.is_end && read_time(value).is_some() {
                add(&mut self.ends, name);
            }
        }
        if has_person {
            for place in places_of_persons(&item.attributes) {
                add(&mut self.persons, &item.attributes[place].0);
            }
        }
        if may_be_stock && item.stock.is_missing() && stated_stock(item) == StatedStock::Missing {
            for (name, _) in item.attributes.iter().filter(|(_, value)| !value.is_missing()) {
                if self.known.get(name).is_some_and(|meaning| meaning.may_be_stock) {
                    add(&mut self.perhaps_stocks, name);
                }
            }
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        let Self { persons, hidden_by, perhaps_stocks, ends, known: _ } = self;
        [persons, hidden_by, perhaps_stocks, ends].into_iter().all(BTreeMap::is_empty)
    }

    fn meaning(&mut self, name: &str) -> Option<Meaning> {
        if let Some(known) = self.known.get(name) {
            return Some(*known);
        }
        if self.known.len() >= MAX_NAMES {
            return None;
        }
        let meaning = Meaning {
            is_of_person: names_person(name),
            may_hide: availability::may_hide(name),
            may_be_stock: stock_of_places::may_be_stock(name),
            is_end: ENDS.contains(&&*folded(name)),
        };
        self.known.insert(name.into(), meaning);
        Some(meaning)
    }
}

/// Whether a value can be that of a person, under whatever name.
fn is_perhaps_of_person(name: &str, value: &RawValue) -> bool {
    match value {
        RawValue::Text(text) => text.len() <= 300 && is_of_person(name, text),
        RawValue::Int(number) => *number >= 1_000_000 && is_of_person(name, &number.to_string()),
        RawValue::List(values) => values.iter().any(|value| is_perhaps_of_person(name, value)),
        _ => false,
    }
}

fn add(names: &mut BTreeMap<Box<str>, u64>, name: &str) {
    if let Some(n) = names.get_mut(name) {
        *n += 1;
    } else if names.len() < MAX_TOLD {
        names.insert(name.into(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_or_hides_an_item_is_told_by_name() {
        let mut notes = ItemNotes::default();
        for json in [
            r#"{"id":"a","Vorname":"Ada","City":"Berlin","colour":"red","note":"5V@2.4A"}"#,
            r#"{"id":"b","note":"ada@example.com","Active":"No","Bestand Nord":3}"#,
            r#"{"id":"c","Active":"No","stock":3,"Bestand Nord":3}"#,
            r#"{"id":"d","Active":"yes","status":"0","expiration_date":"2021-01-01T00:00:00Z"}"#,
            r#"{"id":"e","expiration_date":"never"}"#,
        ] {
            notes.look_at(&serde_json::from_str(json).unwrap());
        }
        let of = |names: &BTreeMap<Box<str>, u64>| -> Vec<(String, u64)> {
            names.iter().map(|(name, n)| (name.to_string(), *n)).collect()
        };
        let told = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(of(&notes.persons), told(&[("City", 1), ("Vorname", 1), ("note", 1)]));
        assert_eq!(of(&notes.hidden_by), told(&[("Active", 2), ("status", 1)]));
        assert_eq!(of(&notes.perhaps_stocks), told(&[("Bestand Nord", 1)]));
        assert_eq!(of(&notes.ends), told(&[("expiration_date", 1)]));
    }
}
