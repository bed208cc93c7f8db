//! The check of items and users. A fault in an optional field loses only that field; a wrong price rejects the record,
//! because it would be shown to shoppers.

use super::Check;
use super::attributes;
use super::availability;
use super::number::{Number, excerpt, number};
use super::repairs::Repairs;
use super::rules;
use super::text::{Lines, clean};
use super::time::read_time;
use super::verdict::{Reason, Rejection, Repair};
use crate::raw::{RawItem, RawUser};
use crate::raw_value::RawValue;
use crate::{CheckSettings, Item, ItemId, ItemPatch, Timestamp, User, UserId};

impl Check {
    /// The item of a description, and the repairs made to it.
    ///
    /// # Errors
    /// The reason why the description cannot be used.
    pub fn judge_item(&self, raw: &RawItem) -> Result<(Item, Vec<Repair>), Rejection> {
        let mut repairs = Repairs::default();
        let settings = self.settings();
        let id = rules::id("id", &raw.id, settings, &mut repairs)?
            .ok_or_else(|| Rejection::new(Reason::NoId, "id: an item needs one"))?;
        self.match_item(&id)?;
        let short = |value: &RawValue, repairs: &mut Repairs| {
            rules::free_text(value, settings.max_title_bytes, Lines::Join, repairs)
        };
        let item = Item {
            id: ItemId::new(id),
            parent: rules::id("parent", &raw.parent, settings, &mut repairs)?,
            title: short(&raw.title, &mut repairs),
            description: rules::free_text(&raw.description, settings.max_description_bytes, Lines::Keep, &mut repairs),
            brand: short(&raw.brand, &mut repairs),
            categories: texts(&raw.categories, settings, &mut repairs).unwrap_or_default(),
            tags: texts(&raw.tags, settings, &mut repairs).unwrap_or_default(),
            price: rules::price(&raw.price, &mut repairs)?,
            currency: currency(&raw.currency, &mut repairs),
            locale: short(&raw.locale, &mut repairs),
            image: short(&raw.image, &mut repairs),
            available: availability::read(&raw.available, &raw.attributes, &mut repairs).unwrap_or(true),
            stock: stock(&raw.stock, &mut repairs),
            published_at: time(&raw.published_at, &mut repairs),
            attributes: attributes::read(&raw.attributes, settings, &mut repairs),
        };
        Ok((item, repairs.into_vec()))
    }

    /// The item that a description is about, also where the description itself cannot be used; `None` if its id cannot be read.
    pub fn item_id(&self, raw: &RawItem) -> Option<ItemId> {
        rules::id("id", &raw.id, self.settings(), &mut Repairs::default()).ok().flatten().map(ItemId::new)
    }

    /// The change of a partial description. Its id, if there is one, is ignored: the caller knows which item is meant.
    ///
    /// # Errors
    /// The reason why the description cannot be used.
    pub fn judge_patch(&self, raw: &RawItem) -> Result<(ItemPatch, Vec<Repair>), Rejection> {
        let mut repairs = Repairs::default();
        let settings = self.settings();
        let patch = ItemPatch {
            title: rules::free_text(&raw.title, settings.max_title_bytes, Lines::Join, &mut repairs),
            description: rules::free_text(&raw.description, settings.max_description_bytes, Lines::Keep, &mut repairs),
            brand: rules::free_text(&raw.brand, settings.max_title_bytes, Lines::Join, &mut repairs),
            categories: texts(&raw.categories, settings, &mut repairs),
            tags: texts(&raw.tags, settings, &mut repairs),
            price: rules::price(&raw.price, &mut repairs)?,
            available: availability::read(&raw.available, &raw.attributes, &mut repairs),
            stock: stock(&raw.stock, &mut repairs),
            published_at: time(&raw.published_at, &mut repairs),
            attributes: attributes::read(&raw.attributes, settings, &mut repairs),
        };
        Ok((patch, repairs.into_vec()))
    }

    /// The user of a description, and the repairs made to it.
    ///
    /// # Errors
    /// The reason why the description cannot be used.
    pub fn judge_user(&self, raw: &RawUser) -> Result<(User, Vec<Repair>), Rejection> {
        let mut repairs = Repairs::default();
        let id = rules::id("id", &raw.id, self.settings(), &mut repairs)?
            .ok_or_else(|| Rejection::new(Reason::NoId, "id: a user needs one"))?;
        let attributes = attributes::read(&raw.attributes, self.settings(), &mut repairs);
        Ok((User { id: UserId::new(id), attributes }, repairs.into_vec()))
    }
}

/// A list of texts; a single text is a list of one.
fn texts(value: &RawValue, settings: &CheckSettings, repairs: &mut Repairs) -> Option<Vec<Box<str>>> {
    match value {
        RawValue::Null => None,
        RawValue::List(values) => Some(attributes::list(values, settings.max_title_bytes, settings, repairs)),
        one => rules::free_text(one, settings.max_title_bytes, Lines::Join, repairs).map(|text| vec![text]),
    }
}

/// A currency code of three letters.
fn currency(value: &RawValue, repairs: &mut Repairs) -> Option<Box<str>> {
    let text = match value {
        RawValue::Text(text) if text.len() <= 16 => clean(text, Lines::Join, repairs),
        RawValue::Null => return None,
        _ => "?".into(),
    };
    if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        if !text.is_empty() {
            repairs.note(Repair::FieldDropped);
        }
        return None;
    }
    let upper = text.to_ascii_uppercase();
    if upper != text {
        repairs.note(Repair::Uppercased);
    }
    Some(upper.into())
}

/// Pieces in stock, rounded down; a negative stock becomes 0.
fn stock(value: &RawValue, repairs: &mut Repairs) -> Option<u32> {
    match number(value, repairs) {
        Number::Missing => None,
        Number::Given(number) if number < 0.0 => {
            repairs.note(Repair::StockFloored);
            Some(0)
        }
        // A stock above 4 billion becomes the largest u32: the cast saturates.
        Number::Given(number) if !number.is_nan() => Some(number as u32),
        Number::Given(_) | Number::Unreadable => {
            repairs.note(Repair::FieldDropped);
            None
        }
    }
}

fn time(value: &RawValue, repairs: &mut Repairs) -> Option<Timestamp> {
    if value.is_missing() {
        return None;
    }
    let at = read_time(value);
    if at.is_none() {
        repairs.note(Repair::FieldDropped);
    }
    at
}

impl Check {
    /// Rejects an item's id that does not match the pattern of the settings.
    pub(super) fn match_item(&self, id: &str) -> Result<(), Rejection> {
        match &self.item_pattern {
            Some(pattern) if !pattern.is_match(id) => {
                let detail = format!("item: {} does not match `item_pattern`", excerpt(&RawValue::text(id)));
                Err(Rejection::new(Reason::NotAProduct, detail))
            }
            _ => Ok(()),
        }
    }
}
