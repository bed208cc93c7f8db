//! The check of items and users. A fault in an optional text loses only that field. A price, a stock, an availability
//! or a date of publication that cannot be read refuses the record, of a whole description as of a change: they decide
//! what shoppers are shown, and neither of the two possible guesses is right. What the catalogue has of the item stays.

use std::borrow::Cow;

use super::Check;
use super::attributes;
use super::availability;
use super::categories;
use super::markup::without_markup;
use super::nested;
use super::number::{Number, excerpt, number};
use super::persons::without_persons;
use super::repairs::Repairs;
use super::rules;
use super::text::{Lines, clean, prefix};
use super::time::read_time;
use super::usual;
use super::verdict::{Reason, Rejection, Repair};
use super::words_of_exports::{is_no_price, is_spreadsheet_error};
use crate::amount;
use crate::raw::{RawItem, RawUser};
use crate::raw_patch::{ATTRIBUTES, RawPatch};
use crate::raw_value::RawValue;
use crate::{Attributes, CheckSettings, Item, ItemId, Price, Timestamp, User, UserId};

impl Check {
    /// The item of a description, and the repairs made to it.
    ///
    /// # Errors
    /// The reason why the description cannot be used.
    pub fn judge_item(&self, raw: &RawItem) -> Result<(Item, Vec<Repair>), Rejection> {
        let mut repairs = Repairs::default();
        let settings = self.settings();
        let raw = &*without_persons(nested::with_pairs(usual::named(raw, None, &mut repairs)), &mut repairs);
        let id = rules::id("id", &raw.id, settings, &mut repairs)?
            .ok_or_else(|| Rejection::new(Reason::NoId, "id: an item needs one"))?;
        self.match_item(&id)?;
        let short = |value: &RawValue, repairs: &mut Repairs| {
            rules::free_text(value, settings.max_title_bytes, Lines::Join, repairs)
        };
        let locale = short(&raw.locale, &mut repairs);
        let prose = Prose { settings, locale: locale.as_deref().or(settings.language.as_deref()) };
        let item = Item {
            id: ItemId::new(id),
            parent: rules::id("parent", &raw.parent, settings, &mut repairs)?.map(Into::into),
            title: prose.title(&raw.title, &mut repairs)?,
            description: prose.description(&raw.description, &mut repairs),
            brand: prose.line(&raw.brand, &mut repairs),
            categories: prose.categories(&raw.categories, &mut repairs).unwrap_or_default(),
            tags: prose.list(&listed(&raw.tags), &mut repairs).unwrap_or_default(),
            price: price(&raw.price, &mut repairs)?,
            currency: currency_of(raw, &mut repairs),
            image: short(&nested::address(&raw.image, &mut repairs), &mut repairs),
            available: availability::read(&raw.available, &raw.attributes)?.unwrap_or(true),
            stock: stock(&raw.stock, &mut repairs)?.flatten(),
            published_at: time(&raw.published_at, &mut repairs)?,
            attributes: prose.attributes(&raw.attributes, &mut repairs),
            locale,
        };
        Ok((item, repairs.into_vec()))
    }

    /// The item that a description is about, also where the description itself cannot be used; `None` if its id cannot be read.
    pub fn item_id(&self, raw: &RawItem) -> Option<ItemId> {
        rules::id("id", &raw.id, self.settings(), &mut Repairs::default()).ok().flatten().map(ItemId::new)
    }

    /// The item that a partial description is about.
    ///
    /// # Errors
    /// If there is no id, or one that no item can have.
    pub fn patched_id(&self, raw: &RawPatch) -> Result<ItemId, Rejection> {
        let id = rules::id("id", &raw.item.id, self.settings(), &mut Repairs::default())?;
        id.map(ItemId::new).ok_or_else(|| Rejection::new(Reason::NoId, "id: a patch names its item"))
    }

    /// The item `before` after a partial description, and the repairs made to that. What the description leaves out stays,
    /// and so does a text whose new value cannot be read. The id of the description is ignored: the caller knows which
    /// item is meant. Bounds hold for the item as a whole: attributes beyond them are left out.
    ///
    /// # Errors
    /// The reason why the description cannot be used.
    pub fn judge_patch(&self, raw: &RawPatch, before: &Item) -> Result<(Item, Vec<Repair>), Rejection> {
        fn set<T>(field: &mut Option<T>, value: Option<T>) {
            if value.is_some() {
                *field = value;
            }
        }
        let mut repairs = Repairs::default();
        let settings = self.settings();
        let mut item = before.clone();
        raw.cleared.iter().for_each(|name| clear(&mut item, name));
        let raw =
            &*without_persons(nested::with_pairs(usual::named(&raw.item, Some(before), &mut repairs)), &mut repairs);
        let short = |value: &RawValue, repairs: &mut Repairs| {
            rules::free_text(value, settings.max_title_bytes, Lines::Join, repairs)
        };
        set(&mut item.locale, short(&raw.locale, &mut repairs));
        let locale = item.locale.clone();
        let prose = Prose { settings, locale: locale.as_deref().or(settings.language.as_deref()) };
        set(&mut item.parent, rules::id("parent", &raw.parent, settings, &mut repairs)?.map(Into::into));
        set(&mut item.title, prose.title(&raw.title, &mut repairs)?);
        set(&mut item.description, prose.description(&raw.description, &mut repairs));
        set(&mut item.brand, prose.line(&raw.brand, &mut repairs));
        if let Some(categories) = prose.categories(&raw.categories, &mut repairs) {
            item.categories = categories;
        }
        if let Some(tags) = prose.list(&listed(&raw.tags), &mut repairs) {
            item.tags = tags;
        }
        set(&mut item.price, price(&raw.price, &mut repairs)?);
        set(&mut item.currency, currency_of(raw, &mut repairs));
        set(&mut item.image, short(&nested::address(&raw.image, &mut repairs), &mut repairs));
        if let Some(available) = availability::read(&raw.available, &raw.attributes)? {
            item.available = available;
        }
        // A stock of which the number is not known is a change too: the item was sold out and is not any more.
        if let Some(stock) = stock(&raw.stock, &mut repairs)? {
            item.stock = stock;
        }
        set(&mut item.published_at, time(&raw.published_at, &mut repairs)?);
        for (name, value) in prose.attributes(&raw.attributes, &mut repairs) {
            if item.attributes.len() < settings.max_properties || item.attributes.contains_key(&name) {
                item.attributes.insert(name, value);
            } else {
                repairs.note(Repair::PropertyDropped);
            }
        }
        Ok((item, repairs.into_vec()))
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

/// Clears a field or an attribute, by its name.
fn clear(item: &mut Item, name: &str) {
    match name {
        "id" => {}
        "parent" => item.parent = None,
        "title" => item.title = None,
        "description" => item.description = None,
        "brand" => item.brand = None,
        "categories" => item.categories.clear(),
        "tags" => item.tags.clear(),
        "price" => item.price = None,
        "currency" => item.currency = None,
        "locale" => item.locale = None,
        "image" => item.image = None,
        "available" => item.available = true,
        "stock" => item.stock = None,
        "published_at" => item.published_at = None,
        RawItem::REST => item.attributes.clear(),
        attribute => drop(item.attributes.remove(attribute.strip_prefix(ATTRIBUTES).unwrap_or(attribute))),
    }
}

/// The texts of an item that people read and search: without markup, in one language.
struct Prose<'s> {
    settings: &'s CheckSettings,
    locale: Option<&'s str>,
}

impl Prose<'_> {
    /// The title. One that was sent and gives no text refuses the record: what the catalogue has stays, and no product is
    /// shown without a name because of the form in which it was sent.
    fn title(&self, value: &RawValue, repairs: &mut Repairs) -> Result<Option<Box<str>>, Rejection> {
        match &*nested::text(value, self.locale, repairs) {
            RawValue::Other(_) | RawValue::List(_) if !is_empty(value) => {
                let detail = format!("title: no text is found in {}", excerpt(value));
                Err(Rejection::new(Reason::BadTitle, detail))
            }
            _ => Ok(self.line(value, repairs)),
        }
    }

    fn categories(&self, value: &RawValue, repairs: &mut Repairs) -> Option<Vec<Box<str>>> {
        self.list(&categories::listed(value, self.locale, repairs), repairs)
    }

    /// A text of one line.
    fn line(&self, value: &RawValue, repairs: &mut Repairs) -> Option<Box<str>> {
        let max_bytes = self.settings.max_title_bytes;
        let value = nested::text(value, self.locale, repairs);
        if is_no_text(&value) {
            repairs.note(Repair::FieldDropped);
            return None;
        }
        rules::free_text(&plain(&value, max_bytes, repairs), max_bytes, Lines::Join, repairs)
    }

    fn description(&self, value: &RawValue, repairs: &mut Repairs) -> Option<Box<str>> {
        let max_bytes = self.settings.max_description_bytes;
        let value = nested::text(value, self.locale, repairs);
        rules::free_text(&plain(&value, max_bytes, repairs), max_bytes, Lines::Keep, repairs)
    }

    /// A list of texts; a single text is a list of one.
    fn list(&self, value: &RawValue, repairs: &mut Repairs) -> Option<Vec<Box<str>>> {
        let max_bytes = self.settings.max_title_bytes;
        match &*plain(&nested::texts(value, self.locale, repairs), max_bytes, repairs) {
            RawValue::Null => None,
            one if is_no_text(one) => {
                repairs.note(Repair::FieldDropped);
                None
            }
            RawValue::List(values) if values.iter().any(is_no_text) => {
                repairs.note(Repair::FieldDropped);
                let values: Vec<RawValue> = values.iter().filter(|value| !is_no_text(value)).cloned().collect();
                Some(attributes::list(&values, max_bytes, self.settings, repairs))
            }
            RawValue::List(values) => Some(attributes::list(values, max_bytes, self.settings, repairs)),
            one => rules::free_text(one, max_bytes, Lines::Join, repairs).map(|text| vec![text]),
        }
    }

    fn attributes(&self, pairs: &[(Box<str>, RawValue)], repairs: &mut Repairs) -> Attributes {
        let max_bytes = self.settings.max_property_bytes;
        let plain_pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| {
                (name.clone(), plain(&nested::texts(value, self.locale, repairs), max_bytes, repairs).into_owned())
            })
            .filter(|(_, value)| !is_no_text(value))
            .collect();
        if plain_pairs.len() < pairs.len() {
            repairs.note(Repair::FieldDropped);
        }
        attributes::read(&plain_pairs, self.settings, repairs)
    }
}

/// Tags in one text, as Shopify sends them: `linen, summer`.
fn listed(tags: &RawValue) -> Cow<'_, RawValue> {
    match tags {
        RawValue::Text(text) if text.contains(',') && text.len() <= MAX_BYTES_OF_TAGS => {
            let each = text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
            Cow::Owned(RawValue::List(each.map(RawValue::text).collect()))
        }
        tags => Cow::Borrowed(tags),
    }
}

/// A longer text is no list of tags.
const MAX_BYTES_OF_TAGS: usize = 1 << 16;

/// The value with its texts without markup. No more of a text is looked at than can be kept.
fn plain<'v>(value: &'v RawValue, max_bytes: usize, repairs: &mut Repairs) -> Cow<'v, RawValue> {
    let mut of_text = |text: &str| {
        // Markup is rarely more than nine tenths of a text.
        let near = prefix(text, 16 * max_bytes + 4096);
        match without_markup(near) {
            Cow::Borrowed(_) => None,
            Cow::Owned(plain) => {
                repairs.note(Repair::MarkupRemoved);
                if near.len() < text.len() {
                    repairs.note(Repair::Truncated);
                }
                Some(RawValue::text(plain))
            }
        }
    };
    match value {
        RawValue::Text(text) => of_text(text).map_or(Cow::Borrowed(value), Cow::Owned),
        RawValue::List(values) => {
            let mut changed = false;
            let plain = values.iter().map(|value| match value {
                RawValue::Text(text) => match of_text(text) {
                    Some(plain) => {
                        changed = true;
                        plain
                    }
                    None => value.clone(),
                },
                value => value.clone(),
            });
            let plain: Vec<_> = plain.collect();
            if changed { Cow::Owned(RawValue::List(plain)) } else { Cow::Borrowed(value) }
        }
        value => Cow::Borrowed(value),
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

/// The currency that the record states, or else that in the text of the price.
fn currency_of(raw: &RawItem, repairs: &mut Repairs) -> Option<Box<str>> {
    currency(&raw.currency, repairs).or_else(|| match &raw.price {
        RawValue::Text(text) => amount::read_price(text, amount::Decimal::Any)?.currency,
        _ => None,
    })
}

/// A list or an object without anything in it.
fn is_empty(value: &RawValue) -> bool {
    match value {
        RawValue::List(values) => values.iter().all(|value| value.is_missing() || is_empty(value)),
        RawValue::Other(json) => {
            nested::pairs(json).is_some_and(|pairs| pairs.iter().all(|(_, value)| value.is_missing()))
        }
        _ => false,
    }
}

/// Whether a text is what programs write for one that they do not have. Fewer words than of numbers: `None`, `Nan` and
/// `Na` may be names. Those of pandas count as it writes them.
fn is_no_text(value: &RawValue) -> bool {
    const WORDS: [&str; 8] = ["null", "undefined", "(null)", "#n/a", "n/a", "#ref!", "#value!", "#name?"];
    let RawValue::Text(text) = value else { return false };
    let text = text.trim();
    matches!(text, "\\N" | "nan" | "NaN" | "NaT" | "<NA>")
        || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
        || is_spreadsheet_error(text)
}

/// Whether a cell holds what programs write for a value that they do not have.
fn is_null(value: &RawValue) -> bool {
    const WORDS: [&str; 10] = ["null", "nan", "nil", "undefined", "n/a", "#n/a", "na", "\\n", "nat", "<na>"];
    let RawValue::Text(text) = value else { return false };
    let text = text.trim();
    WORDS.iter().any(|null| text.eq_ignore_ascii_case(null))
        || is_spreadsheet_error(text)
        || text.starts_with("0000-00-00")
}

/// The price of one piece.
fn price(value: &RawValue, repairs: &mut Repairs) -> Result<Option<Price>, Rejection> {
    if matches!(value, RawValue::Text(text) if is_no_price(text)) {
        repairs.note(Repair::PriceDropped);
        return Ok(None);
    }
    if is_null(value) {
        repairs.note(Repair::FieldDropped);
        return Ok(None);
    }
    rules::price(value, repairs)
}

/// Pieces in stock, rounded down, but less than one piece is one: it can be bought, by weight or length. A negative stock
/// becomes 0: more was sold than there was. The outer `None` says that nothing was sent, the inner that there are some.
fn stock(value: &RawValue, repairs: &mut Repairs) -> Result<Option<Option<u32>>, Rejection> {
    if is_null(value) {
        repairs.note(Repair::FieldDropped);
        return Ok(None);
    }
    let bad = || {
        let detail = format!("stock: {} is no number of pieces; a word such as \"sold out\" is one", excerpt(value));
        Rejection::new(Reason::BadStock, detail)
    };
    // `1.234` may be one piece and a part, or more than a thousand.
    if let RawValue::Text(text) = value
        && (amount::is_open(text, '.') || amount::is_open(text, ','))
    {
        return Err(bad());
    }
    match number(value, repairs) {
        Number::Missing => Ok(None),
        Number::Given(number) if number < 0.0 => {
            repairs.note(Repair::StockFloored);
            Ok(Some(Some(0)))
        }
        // A stock above 4 billion becomes the largest u32: the cast saturates.
        Number::Given(number) if number > 0.0 && number < 1.0 => Ok(Some(Some(1))),
        Number::Given(number) if !number.is_nan() => Ok(Some(Some(number as u32))),
        Number::Given(_) | Number::Unreadable => match value {
            RawValue::Text(text) => availability::pieces(text, repairs).map(Some).ok_or_else(bad),
            RawValue::Bool(has_some) => Ok(Some((!has_some).then_some(0))),
            _ => Err(bad()),
        },
    }
}

/// A smaller number is not taken for seconds since 1970: it would be a date before 1973.
const LEAST_SECONDS: i64 = 100_000_000;

/// The date of publication.
fn time(value: &RawValue, repairs: &mut Repairs) -> Result<Option<Timestamp>, Rejection> {
    if value.is_missing() {
        return Ok(None);
    }
    if is_null(value) {
        repairs.note(Repair::FieldDropped);
        return Ok(None);
    }
    let bad = || {
        let hint = "write 2026-11-21 or 2026-11-21T10:00:00Z, or say `time_format` in a mapping";
        Rejection::new(Reason::BadTime, format!("published_at: {} is no time; {hint}", excerpt(value)))
    };
    let number = match value {
        RawValue::Int(number) => Some(*number),
        // Programs that have years or days in a column with gaps write `2024.0`.
        RawValue::Float(number) => whole(*number),
        RawValue::Text(text) => {
            text.trim().parse().ok().or_else(|| text.trim().strip_suffix(".0").and_then(|text| text.parse().ok()))
        }
        _ => None,
    };
    let value = &*number.map_or(Cow::Borrowed(value), |number| Cow::Owned(RawValue::Int(number)));
    match (number, read_time(value)) {
        // The year of a book or a film.
        (Some(year @ 1_000..=2_999), _) => Timestamp::parse(&format!("{year}-01-01")).map(Some).ok_or_else(bad),
        // The days of a spreadsheet would be hours of the year 1970.
        (Some(days), Some(at)) if (1..LEAST_SECONDS).contains(&days) && at.0 == 1_000 * days => Err(bad()),
        // A day with its time, as spreadsheets have it.
        (None, Some(at)) if matches!(value, RawValue::Float(_)) && (1..1_000 * LEAST_SECONDS).contains(&at.0) => {
            Err(bad())
        }
        (_, at) => at.map(Some).ok_or_else(bad),
    }
}

fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e18).then_some(number as i64)
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
