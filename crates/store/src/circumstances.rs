//! The circumstances of a choice: where and how the shopper looked, and how the shop describes the shopper.
//!
//! In: the fields of an event or of a request, and the attributes of a user or an item. Out: [`Circumstances`], which
//! borrow the texts, and [`Descriptor`]s, which are hashes of attributes and their values. The learner makes them from records and the
//! server from requests, both by the functions of this file, so that both name the same thing by the same number.

use accrue_event::{Attribute, Attributes, Event};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Descriptors of one shopper, at most; further ones are left out.
pub const MAX_DESCRIPTORS: usize = 16;
/// Values of one attribute that count, at most, where it is a list.
const MAX_VALUES: usize = 4;
/// A longer text is no value that shoppers have in common.
const MAX_TEXT_BYTES: usize = 64;
/// Seeds of the hashes, so that an attribute called `scene` is not the scene.
const OF_PAGE: u64 = 1;
const OF_SHOPPER: u64 = 2;
const OF_ITEM: u64 = 3;

/// Where and how a shopper looks at items, as far as a request or an event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// The kind of page, as the shop names it: `home`, `item`, `cart`, `search` …
    pub scene: Option<&'a str>,
    /// The text that was searched for.
    pub query: Option<&'a str>,
    /// The kind of device, as the shop names it: `phone`, `desktop`, `app` …
    pub device: Option<&'a str>,
    /// The place, from 0, of the chosen item in its list. Events have it; for a page that is being made it is unknown.
    pub position: Option<u32>,
}

impl<'a> Circumstances<'a> {
    /// What an event says. Scene and device are properties of it.
    pub fn of(event: &'a Event) -> Self {
        let property = |name: &str| match event.properties.get(name) {
            Some(Attribute::Text(text)) => Some(&**text),
            _ => None,
        };
        Self {
            scene: property("scene"),
            query: event.query.as_deref(),
            device: property("device"),
            position: event.position,
        }
    }

    /// The same before anything was chosen: without a position.
    pub fn before_choice(self) -> Self {
        Self { position: None, ..self }
    }

    /// Scene, search text and device as descriptors, as far as they are known.
    pub fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        let named = [("scene", self.scene), ("query", self.query), ("device", self.device)];
        named.into_iter().filter_map(|(name, text)| Some(Descriptor::new(OF_PAGE, name, &normal(text?)?)))
    }
}

/// An attribute with one of its values, as numbers: the learned state names no person's attributes by their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Descriptor {
    /// Hash of the attribute's name.
    pub attribute: u32,
    /// Hash of the name and the value.
    pub value: u32,
}

impl Descriptor {
    fn new(seed: u64, name: &str, value: &str) -> Self {
        let attribute = xxh3_64_with_seed(name.as_bytes(), seed);
        Self { attribute: attribute as u32, value: xxh3_64_with_seed(value.as_bytes(), attribute) as u32 }
    }

    /// A field of an item with one of its texts; `None` for an empty or long text.
    pub fn of_item(field: &str, text: &str) -> Option<Self> {
        Some(Self::new(OF_ITEM, field, &normal(text)?))
    }

    /// The attribute number of an item's field: that of all its descriptors.
    pub fn item_field(field: &str) -> u32 {
        xxh3_64_with_seed(field.as_bytes(), OF_ITEM) as u32
    }
}

/// The descriptors of a shopper with these attributes, sorted, each once. Few shoppers have the same number, so numbers
/// count in steps, also those that were sent as texts. A long text does not count: it describes one shopper.
pub fn shopper_descriptors(attributes: &Attributes) -> Vec<Descriptor> {
    descriptors(OF_SHOPPER, attributes)
}

/// The descriptors of an item with these attributes, by the rules of [`shopper_descriptors`].
pub fn item_descriptors(attributes: &Attributes) -> Vec<Descriptor> {
    descriptors(OF_ITEM, attributes)
}

fn descriptors(seed: u64, attributes: &Attributes) -> Vec<Descriptor> {
    let mut descriptors = Vec::new();
    for (name, attribute) in attributes {
        let mut push = |value: &str| descriptors.push(Descriptor::new(seed, name, value));
        match attribute {
            Attribute::Bool(value) => push(if *value { "true" } else { "false" }),
            Attribute::Number(value) => push(&step(*value)),
            Attribute::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => push(&step(number)),
                _ => normal(text).iter().for_each(|text| push(text)),
            },
            Attribute::List(texts) => {
                texts.iter().filter_map(|text| normal(text)).take(MAX_VALUES).for_each(|text| push(&text));
            }
        }
        if descriptors.len() >= MAX_DESCRIPTORS {
            break;
        }
    }
    descriptors.truncate(MAX_DESCRIPTORS);
    descriptors.sort_unstable();
    descriptors.dedup();
    descriptors
}

/// A text without differences in case and space, which say nothing; `None` for an empty or long one.
fn normal(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let first = words.next()?.to_lowercase();
    let text = words.fold(first, |text, word| text + " " + &word.to_lowercase());
    (text.len() <= MAX_TEXT_BYTES).then_some(text)
}

/// The step that a number is on: years by their decade, other numbers by their first digit and magnitude (24 and 29.5
/// are both `2e1`).
fn step(number: f64) -> String {
    if (1900.0..2100.0).contains(&number) {
        return format!("{}0s", number as i64 / 10);
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let end = digits.find('.').unwrap_or(digits.len());
    format!("{}e{exponent}", &digits[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(attributes: &[(&str, Attribute)]) -> Vec<Descriptor> {
        shopper_descriptors(&attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    fn text(text: &str) -> Attribute {
        Attribute::Text(text.into())
    }

    #[test]
    fn equal_values_have_equal_descriptors_however_they_are_written() {
        assert_eq!(values(&[("city", text(" São  Paulo "))]), values(&[("city", text("são paulo"))]));
        assert_eq!(values(&[("age", text("24"))]), values(&[("age", Attribute::Number(29.0))]));
        assert_eq!(values(&[("born", text("1984"))]), values(&[("born", Attribute::Number(1989.0))]));
        assert_ne!(values(&[("born", text("1984"))]), values(&[("born", text("1990"))]));
        assert_ne!(values(&[("age", text("24"))]), values(&[("age", text("31"))]));
        assert_ne!(values(&[("age", text("24"))]), values(&[("height", text("24"))]));
        let both = Attribute::List(vec!["b".into(), "A".into()]);
        assert_eq!(values(&[("likes", both)]).len(), 2);
    }

    #[test]
    fn long_texts_do_not_count_and_the_number_of_descriptors_is_bounded() {
        assert_eq!(values(&[("notes", text(&"word ".repeat(50))), ("empty", text("  "))]), []);
        let many: Vec<String> = (0..100).map(|n| format!("a{n}")).collect();
        let many: Vec<(&str, Attribute)> = many.iter().map(|name| (name.as_str(), Attribute::Bool(true))).collect();
        assert_eq!(values(&many).len(), MAX_DESCRIPTORS);
        let (bare, of_page) =
            (values(&[("scene", text("home"))]), Circumstances { scene: Some("home"), ..Default::default() });
        assert_ne!(bare, of_page.descriptors().collect::<Vec<_>>(), "an attribute called scene is not the scene");
    }
}
