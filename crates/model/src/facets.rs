//! Facets: what a shop says of an item, as numbers that mean the same in every shop.
//!
//! In: descriptions and changes of them. Out: for any member, an item's facets: brand, categories, tags, words of the
//! title, a step of the price, and further attributes, each as a [`Descriptor`], which is a hash of field and value. So a
//! new value needs no place in a vocabulary, and rows that were learned for facets in one shop fit another one. The
//! catalogue keeps facets only where a member needs them.

use std::sync::Arc;

use accrue_event::{Item, ItemPatch, Price};
use accrue_kernel::log2;
use accrue_store::{Descriptor, ItemIdx, item_descriptors};
use serde::{Deserialize, Serialize};

use crate::cow::CowVec;

/// Facets kept of an item.
pub(crate) const MAX_FACETS: usize = 32;

/// The facets of all items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facets {
    /// In the order of fields as a description names them: titles last, because they are cut first.
    of_items: CowVec<Arc<[Descriptor]>>,
}

impl Default for Facets {
    fn default() -> Self {
        Self { of_items: CowVec::new(16, Arc::from([])) }
    }
}

impl Facets {
    /// An item's facets; empty for one without a description.
    #[inline]
    pub(crate) fn of(&self, item: ItemIdx) -> &[Descriptor] {
        self.of_items.get(item as usize)
    }

    /// Replaces all facets of an item.
    pub(crate) fn describe(&mut self, index: ItemIdx, item: &Item) {
        let mut facets = Vec::new();
        facets.extend(item.brand.as_deref().and_then(|brand| Descriptor::of_item("brand", brand)));
        facets.extend(item.categories.iter().filter_map(|text| Descriptor::of_item("category", text)));
        facets.extend(item.price.map(price));
        facets.extend(item_descriptors(&item.attributes));
        facets.extend(item.tags.iter().filter_map(|text| Descriptor::of_item("tag", text)));
        facets.extend(item.title.iter().flat_map(|title| words(title)));
        self.put(index, facets);
    }

    /// Replaces the facets of the fields that a change names.
    pub(crate) fn patch(&mut self, index: ItemIdx, patch: &ItemPatch) {
        let attributes = item_descriptors(&patch.attributes);
        let mut replaced: Vec<u32> = patch.attributes.keys().map(|name| Descriptor::item_field(name)).collect();
        let named = [
            ("brand", patch.brand.is_some()),
            ("category", patch.categories.is_some()),
            ("tag", patch.tags.is_some()),
            ("price", patch.price.is_some()),
            ("title", patch.title.is_some()),
        ];
        replaced.extend(named.iter().filter(|(_, is_named)| *is_named).map(|(field, _)| Descriptor::item_field(field)));
        if replaced.is_empty() {
            return;
        }
        let mut facets = Vec::new();
        facets.extend(patch.brand.as_deref().and_then(|brand| Descriptor::of_item("brand", brand)));
        let categories = patch.categories.iter().flatten();
        facets.extend(categories.filter_map(|text| Descriptor::of_item("category", text)));
        facets.extend(patch.price.map(price));
        facets.extend(attributes);
        facets.extend(patch.tags.iter().flatten().filter_map(|text| Descriptor::of_item("tag", text)));
        let kept = self.of(index).iter().copied().filter(|facet| !replaced.contains(&facet.attribute));
        facets.extend(kept);
        facets.extend(patch.title.iter().flat_map(|title| words(title)));
        self.put(index, facets);
    }

    /// Replaces the facets of an item by those of single fields with their texts, as a catalogue keeps them.
    pub(crate) fn restore<'a>(&mut self, index: ItemIdx, fields: impl Iterator<Item = (&'static str, &'a str)>) {
        self.put(index, fields.filter_map(|(field, text)| Descriptor::of_item(field, text)).collect());
    }

    fn put(&mut self, index: ItemIdx, mut facets: Vec<Descriptor>) {
        let mut known = std::collections::BTreeSet::new();
        facets.retain(|facet| known.insert(*facet));
        facets.truncate(MAX_FACETS);
        if facets[..] != *self.of(index) {
            *self.of_items.get_mut(index as usize) = facets.into();
        }
    }

    pub(crate) fn share_with(&mut self, other: &Self) {
        self.of_items.share_with(&other.of_items);
    }

    pub(crate) fn copied_bytes(&self) -> u64 {
        self.of_items.copied_bytes()
    }
}

/// Half octaves: 4.99 and 5.99 are on different steps, 4.99 and 4.59 on the same one.
fn price(price: Price) -> Descriptor {
    let step = (2.0 * log2(price.to_f32().max(1e-3))).floor() as i32;
    Descriptor::of_item("price", &step.to_string()).expect("a number is a short text")
}

fn words(title: &str) -> impl Iterator<Item = Descriptor> {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().nth(1).is_some());
    words.filter_map(|word| Descriptor::of_item("title", word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mug() -> Item {
        Item {
            brand: Some("Acme".into()),
            categories: vec!["Kitchen".into(), "Mugs".into()],
            title: Some("Red mug".into()),
            price: Price::new(4.99),
            attributes: [("material".into(), accrue_event::Attribute::Text("clay".into()))].into(),
            ..Item::bare("mug".into())
        }
    }

    #[test]
    fn a_change_replaces_the_fields_that_it_names_alone() {
        let mut facets = Facets::default();
        facets.describe(3, &mug());
        let before = facets.of(3).to_vec();
        assert_eq!(before.len(), 7);
        facets.patch(3, &ItemPatch { stock: Some(2), ..ItemPatch::default() });
        assert_eq!(facets.of(3), before);
        facets.patch(3, &ItemPatch { price: Price::new(4.59), ..ItemPatch::default() });
        let sorted = |facets: &[Descriptor]| facets.iter().copied().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(facets.of(3)), sorted(&before), "the same step of the price");
        let attributes = [("material".into(), accrue_event::Attribute::Text("Glass".into()))].into();
        facets.patch(3, &ItemPatch { attributes, title: Some("Blue".into()), ..ItemPatch::default() });
        let mut expected = Facets::default();
        let described = Item {
            title: Some("blue".into()),
            attributes: [("material".into(), accrue_event::Attribute::Text("glass".into()))].into(),
            ..mug()
        };
        expected.describe(0, &described);
        assert_eq!(sorted(facets.of(3)), sorted(expected.of(0)));
        assert!(facets.of(4).is_empty());
    }

    #[test]
    fn hostile_descriptions_have_few_facets() {
        let mut facets = Facets::default();
        let item = Item {
            title: Some("word ".repeat(10_000).into()),
            categories: (0..1000).map(|number| format!("c{number}").into()).collect(),
            price: Some(Price::ZERO),
            ..mug()
        };
        facets.describe(0, &item);
        assert_eq!(facets.of(0).len(), MAX_FACETS);
    }
}
