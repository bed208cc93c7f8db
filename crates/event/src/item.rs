//! Products and customers, as the shop describes them.

use serde::{Deserialize, Serialize};

use crate::{Attributes, ItemId, Timestamp, UserId};

/// A product. Everything but the id may be unknown: an item that only events name is a bare id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The item's name in every event and answer.
    pub id: ItemId,
    /// Groups variants (sizes, colours): a page shows one item of a parent.
    #[serde(default)]
    pub parent: Option<Box<str>>,
    /// What shoppers read.
    #[serde(default)]
    pub title: Option<Box<str>>,
    /// Longer text.
    #[serde(default)]
    pub description: Option<Box<str>>,
    /// Maker.
    #[serde(default)]
    pub brand: Option<Box<str>>,
    /// Categories, broad to narrow or several side by side.
    #[serde(default)]
    pub categories: Vec<Box<str>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<Box<str>>,
    /// Price of one piece, not negative.
    #[serde(default)]
    pub price: Option<f32>,
    /// ISO 4217 code.
    #[serde(default)]
    pub currency: Option<Box<str>>,
    /// BCP 47 tag of title and description.
    #[serde(default)]
    pub locale: Option<Box<str>>,
    /// Address of a picture.
    #[serde(default)]
    pub image: Option<Box<str>>,
    /// May be shown; `true` where nothing is said.
    #[serde(default = "yes")]
    pub available: bool,
    /// Pieces in stock; `None` is unknown, 0 hides the item.
    #[serde(default)]
    pub stock: Option<u32>,
    /// When it came into the shop.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
    /// Whatever else the shop describes; filters reach it by name.
    #[serde(default)]
    pub attributes: Attributes,
}

fn yes() -> bool {
    true
}

impl Item {
    /// An item of which only the id is known.
    pub fn bare(id: ItemId) -> Self {
        Self {
            id,
            parent: None,
            title: None,
            description: None,
            brand: None,
            categories: Vec::new(),
            tags: Vec::new(),
            price: None,
            currency: None,
            locale: None,
            image: None,
            available: true,
            stock: None,
            published_at: None,
            attributes: Attributes::new(),
        }
    }

    /// Whether a page may show it: available, and not known to be out of stock.
    pub fn can_be_shown(&self) -> bool {
        self.available && self.stock != Some(0)
    }
}

/// A partial change of an item: `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemPatch {
    /// New title.
    pub title: Option<Box<str>>,
    /// New description.
    pub description: Option<Box<str>>,
    /// New brand.
    pub brand: Option<Box<str>>,
    /// New categories, replacing the old ones.
    pub categories: Option<Vec<Box<str>>>,
    /// New tags, replacing the old ones.
    pub tags: Option<Vec<Box<str>>>,
    /// New price.
    pub price: Option<f32>,
    /// New availability.
    pub available: Option<bool>,
    /// New stock.
    pub stock: Option<u32>,
    /// New date of publication.
    pub published_at: Option<Timestamp>,
    /// Attributes to set; the others stay.
    pub attributes: Attributes,
}

impl ItemPatch {
    /// Writes the change into `item`.
    pub fn apply(&self, item: &mut Item) {
        fn set<T: Clone>(field: &mut T, change: &Option<T>) {
            if let Some(value) = change {
                field.clone_from(value);
            }
        }
        fn set_some<T: Clone>(field: &mut Option<T>, change: &Option<T>) {
            if change.is_some() {
                field.clone_from(change);
            }
        }
        set_some(&mut item.title, &self.title);
        set_some(&mut item.description, &self.description);
        set_some(&mut item.brand, &self.brand);
        set(&mut item.categories, &self.categories);
        set(&mut item.tags, &self.tags);
        set_some(&mut item.price, &self.price);
        set(&mut item.available, &self.available);
        set_some(&mut item.stock, &self.stock);
        set_some(&mut item.published_at, &self.published_at);
        item.attributes.extend(self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// A customer, as the shop describes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The user's name in every event and request.
    pub id: UserId,
    /// Whatever the shop tells.
    #[serde(default)]
    pub attributes: Attributes,
}
