//! Products and customers, as the shop describes them.

use serde::{Deserialize, Serialize};

use crate::{Attributes, ItemId, Price, Timestamp, UserId};

/// A product. Every field except the id may be unknown: an item that only events mention has nothing but an id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Identifies the item in every event and answer.
    pub id: ItemId,
    /// Groups variants (sizes, colours); a page shows at most one item of a group.
    #[serde(default)]
    pub parent: Option<Box<str>>,
    /// The name that shoppers read.
    #[serde(default)]
    pub title: Option<Box<str>>,
    /// A longer text.
    #[serde(default)]
    pub description: Option<Box<str>>,
    /// The brand or maker.
    #[serde(default)]
    pub brand: Option<Box<str>>,
    /// Categories, from broad to narrow or independent of each other.
    #[serde(default)]
    pub categories: Vec<Box<str>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<Box<str>>,
    /// Price of one piece.
    #[serde(default)]
    pub price: Option<Price>,
    /// ISO 4217 code.
    #[serde(default)]
    pub currency: Option<Box<str>>,
    /// BCP 47 language tag of title and description.
    #[serde(default)]
    pub locale: Option<Box<str>>,
    /// Address of a picture.
    #[serde(default)]
    pub image: Option<Box<str>>,
    /// Whether the item may be shown; `true` if the shop does not say.
    #[serde(default = "yes")]
    pub available: bool,
    /// Pieces in stock; `None` is unknown, 0 hides the item.
    #[serde(default)]
    pub stock: Option<u32>,
    /// When the item was added to the shop.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
    /// All other fields that the shop sent; filters refer to them by name.
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

    /// Whether a page may show the item: it is available and not known to be out of stock.
    pub fn can_be_shown(&self) -> bool {
        self.available && self.stock != Some(0)
    }
}

/// A partial change of an item; `None` leaves a field unchanged.
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
    pub price: Option<Price>,
    /// New availability.
    pub available: Option<bool>,
    /// New stock.
    pub stock: Option<u32>,
    /// New date of publication.
    pub published_at: Option<Timestamp>,
    /// Attributes to set; all others are unchanged.
    pub attributes: Attributes,
}

impl ItemPatch {
    /// The change that makes `after` of `before`; `None` if no patch can say it, because a field is cleared or one
    /// changes that a patch does not have.
    pub fn between(before: &Item, after: &Item) -> Option<Self> {
        fn changed<T: Clone + PartialEq>(before: &T, after: &T) -> Option<T> {
            (before != after).then(|| after.clone())
        }
        let attributes = after.attributes.iter().filter(|&(name, value)| before.attributes.get(name) != Some(value));
        let patch = Self {
            title: changed(&before.title, &after.title).flatten(),
            description: changed(&before.description, &after.description).flatten(),
            brand: changed(&before.brand, &after.brand).flatten(),
            categories: changed(&before.categories, &after.categories),
            tags: changed(&before.tags, &after.tags),
            price: changed(&before.price, &after.price).flatten(),
            available: changed(&before.available, &after.available),
            stock: changed(&before.stock, &after.stock).flatten(),
            published_at: changed(&before.published_at, &after.published_at).flatten(),
            attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        let mut patched = before.clone();
        patch.apply(&mut patched);
        (patched == *after).then_some(patch)
    }

    /// Applies the change to `item`.
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
    /// Identifies the user in every event and request.
    pub id: UserId,
    /// All fields that the shop sent.
    #[serde(default)]
    pub attributes: Attributes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_between_two_items_makes_one_of_the_other_or_there_is_none() {
        let before =
            Item { title: Some("Mug".into()), price: Price::new(9.0), stock: Some(3), ..Item::bare("mug".into()) };
        let after = Item { stock: Some(4), tags: vec!["gift".into()], ..before.clone() };
        let patch = ItemPatch::between(&before, &after).unwrap();
        assert_eq!(patch, ItemPatch { stock: Some(4), tags: Some(vec!["gift".into()]), ..ItemPatch::default() });
        let mut patched = before.clone();
        patch.apply(&mut patched);
        assert_eq!(patched, after);
        for beyond in [Item { price: None, ..before.clone() }, Item { currency: Some("EUR".into()), ..before.clone() }]
        {
            assert_eq!(ItemPatch::between(&before, &beyond), None);
        }
    }
}
