//! Which items are variants of one product, and what a variant's description takes from its product.
//!
//! In: the catalogue's entries, one change at a time. Out: the product of an item, and its description with what it
//! lacks filled in. A shop often describes a product once and names only what differs (size, colour, price) in each
//! variant: the parent is an item of its own, or the first variant has the title and the others leave it out. All of
//! this is derived from the catalogue, so it is not stored but built again.

use std::collections::HashMap;

use accrue_event::{Attribute, Item, Price};

use crate::{CataloguePlace, ItemIdx, Vocabulary};

/// The number of a product that has variants.
pub type ProductIdx = u32;

/// An item that is no variant, and not the parent of any.
const NONE: ProductIdx = ProductIdx::MAX;

/// Products with variants. A product is known as long as an item names it.
#[derive(Clone, Debug, Default)]
pub struct Products {
    /// The products by the ids that items name as their parent. Only looked up, so its order reaches nothing.
    by_parent: HashMap<Box<str>, ProductIdx>,
    /// The products by number; one without variants has a number that the next product gets.
    products: Vec<Product>,
    free: Vec<ProductIdx>,
    /// The product of each item.
    of: Vec<ProductIdx>,
}

/// A product with variants.
#[derive(Clone, Debug, Default, PartialEq)]
struct Product {
    /// The item whose id the variants name, if there is one.
    parent: Option<ItemIdx>,
    /// The items that name it as their parent, sorted.
    variants: Vec<ItemIdx>,
    /// The first variant with a title.
    titled: Option<ItemIdx>,
}

/// Equal if every item has the same product; the numbers may differ, because they depend on the order of the changes.
impl PartialEq for Products {
    fn eq(&self, other: &Self) -> bool {
        let Self { by_parent, products: _, free: _, of } = self;
        of.len() == other.of.len()
            && by_parent.len() == other.by_parent.len()
            && (0..of.len() as ItemIdx).all(|item| match (self.product_of(item), other.product_of(item)) {
                (None, None) => true,
                // The first variant stands for the others, whose product is then the same.
                (Some(own), Some(others)) => own.is_same(others, item),
                _ => false,
            })
    }
}

impl Products {
    /// The products of a catalogue.
    pub(crate) fn of_catalogue(items: &Vocabulary, catalogue: &[CataloguePlace]) -> Self {
        let mut products = Self::default();
        for (index, entry) in (0..).zip(catalogue) {
            products.add(index, entry.id().as_str());
            if entry.known().is_some() {
                products.change(index, None, items, catalogue);
            }
        }
        products
    }

    /// Takes in an item that is new and has no description yet.
    pub(crate) fn add(&mut self, item: ItemIdx, id: &str) {
        let product = self.named(id);
        if product != NONE {
            self.products[product as usize].parent = Some(item);
        }
        self.of.push(product);
    }

    /// Follows a change of an item's description; `before` is the parent that it named until then.
    pub(crate) fn change(
        &mut self,
        item: ItemIdx,
        before: Option<&str>,
        items: &Vocabulary,
        catalogue: &[CataloguePlace],
    ) {
        let now = &catalogue[item as usize].item;
        if before != now.parent.as_deref() {
            if let Some(parent) = before {
                self.leave(item, parent, catalogue);
            }
            self.of[item as usize] = match now.parent.as_deref() {
                Some(parent) => self.join(item, parent, items),
                None => self.named(now.id.as_str()),
            };
        }
        if now.parent.is_some() {
            self.products[self.of[item as usize] as usize].retitle(item, catalogue);
        }
    }

    /// The product whose parent has this id, or [`NONE`].
    fn named(&self, id: &str) -> ProductIdx {
        self.by_parent.get(id).copied().unwrap_or(NONE)
    }

    /// The items that name this id as their parent, sorted; the catalogue need not have the parent itself.
    pub fn variants_of(&self, parent: &str) -> &[ItemIdx] {
        self.products.get(self.named(parent) as usize).map_or(&[], |product| &product.variants)
    }

    fn leave(&mut self, item: ItemIdx, parent: &str, catalogue: &[CataloguePlace]) {
        let number = self.named(parent);
        let Some(product) = self.products.get_mut(number as usize) else { return };
        product.leave(item, catalogue);
        if !product.variants.is_empty() {
            return;
        }
        // No item names it any more, so its parent is an item like any other.
        let parent_item = std::mem::take(product).parent;
        self.by_parent.remove(parent);
        self.free.push(number);
        if let Some(of) = parent_item.and_then(|parent| self.of.get_mut(parent as usize)).filter(|of| **of == number) {
            *of = NONE;
        }
    }

    fn join(&mut self, item: ItemIdx, parent: &str, items: &Vocabulary) -> ProductIdx {
        let mut number = self.named(parent);
        if number == NONE {
            let parent_item = items.get(parent);
            let product = Product { parent: parent_item, ..Product::default() };
            number = match self.free.pop() {
                Some(number) => {
                    self.products[number as usize] = product;
                    number
                }
                None => {
                    self.products.push(product);
                    self.products.len() as ProductIdx - 1
                }
            };
            self.by_parent.insert(parent.into(), number);
            // An item that names a parent itself is a variant of that one.
            if let Some(of) = parent_item.and_then(|parent| self.of.get_mut(parent as usize)).filter(|of| **of == NONE)
            {
                *of = number;
            }
        }
        let variants = &mut self.products[number as usize].variants;
        if let Err(place) = variants.binary_search(&item) {
            variants.insert(place, item);
        }
        number
    }

    fn product_of(&self, item: ItemIdx) -> Option<&Product> {
        self.of(item).map(|number| &self.products[number as usize])
    }

    /// The product that the item is a variant of, or the parent of.
    pub fn of(&self, item: ItemIdx) -> Option<ProductIdx> {
        self.of.get(item as usize).copied().filter(|&product| product != NONE)
    }

    /// The item that the variants of a product name as their parent.
    pub fn parent(&self, product: ProductIdx) -> Option<ItemIdx> {
        self.products[product as usize].parent
    }

    /// The variants of a product, by index.
    pub fn variants(&self, product: ProductIdx) -> &[ItemIdx] {
        &self.products[product as usize].variants
    }

    /// The item that describes a product for its variants: its parent if that has a title, else the first variant with
    /// one, else the parent.
    pub fn describing(&self, product: ProductIdx, catalogue: &[CataloguePlace]) -> Option<ItemIdx> {
        let Product { parent, titled, .. } = self.products[product as usize];
        let has_title = |&parent: &ItemIdx| has_title(&catalogue[parent as usize]);
        parent.filter(has_title).or(titled).or(parent)
    }
}

impl Product {
    /// Whether two are the same product of an item. All of it is compared once, at its first variant.
    fn is_same(&self, other: &Self, item: ItemIdx) -> bool {
        let first = |product: &Self| product.variants.first().copied();
        first(self) == first(other) && (first(self) != Some(item) || self == other)
    }

    fn leave(&mut self, item: ItemIdx, catalogue: &[CataloguePlace]) {
        if let Ok(place) = self.variants.binary_search(&item) {
            self.variants.remove(place);
        }
        if self.titled == Some(item) {
            self.find_titled(catalogue);
        }
    }

    /// Keeps the first variant with a title after the title of `item` may have changed.
    fn retitle(&mut self, item: ItemIdx, catalogue: &[CataloguePlace]) {
        if has_title(&catalogue[item as usize]) {
            self.titled = Some(self.titled.map_or(item, |titled| titled.min(item)));
        } else if self.titled == Some(item) {
            self.find_titled(catalogue);
        }
    }

    fn find_titled(&mut self, catalogue: &[CataloguePlace]) {
        let has_title = |&&variant: &&ItemIdx| has_title(&catalogue[variant as usize]);
        self.titled = self.variants.iter().find(has_title).copied();
    }
}

fn has_title(place: &CataloguePlace) -> bool {
    place.known().is_some_and(|entry| entry.item.title.is_some())
}

/// An item's description, in which a variant has from its product what its own description lacks.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    own: &'a Item,
    /// The description of the product, if another item has it.
    product: Option<&'a Item>,
    /// Whether that item is the parent. Attributes are inherited from the parent only: another variant's are its own.
    is_parent: bool,
}

impl<'a> From<&'a Item> for Described<'a> {
    fn from(own: &'a Item) -> Self {
        Self { own, product: None, is_parent: false }
    }
}

impl<'a> Described<'a> {
    pub(crate) fn with(own: &'a Item, product: &'a Item, is_parent: bool) -> Self {
        Self { own, product: Some(product), is_parent }
    }

    /// The item as it was described itself.
    pub fn own(&self) -> &'a Item {
        self.own
    }

    fn text(&self, field: impl Fn(&'a Item) -> Option<&'a str>) -> Option<&'a str> {
        field(self.own).or_else(|| self.product.and_then(field))
    }

    fn texts(&self, field: impl Fn(&'a Item) -> &'a [Box<str>]) -> &'a [Box<str>] {
        let own = field(self.own);
        if own.is_empty() { self.product.map_or(own, field) } else { own }
    }

    /// The name that shoppers read.
    pub fn title(&self) -> Option<&'a str> {
        self.text(|item| item.title.as_deref())
    }

    /// A longer text.
    pub fn description(&self) -> Option<&'a str> {
        self.text(|item| item.description.as_deref())
    }

    /// The brand or maker.
    pub fn brand(&self) -> Option<&'a str> {
        self.text(|item| item.brand.as_deref())
    }

    /// Address of a picture.
    pub fn image(&self) -> Option<&'a str> {
        self.text(|item| item.image.as_deref())
    }

    /// ISO 4217 code.
    pub fn currency(&self) -> Option<&'a str> {
        self.text(|item| item.currency.as_deref())
    }

    /// BCP 47 language tag of the texts.
    pub fn locale(&self) -> Option<&'a str> {
        self.text(|item| item.locale.as_deref())
    }

    /// Categories.
    pub fn categories(&self) -> &'a [Box<str>] {
        self.texts(|item| &item.categories)
    }

    /// Free labels.
    pub fn tags(&self) -> &'a [Box<str>] {
        self.texts(|item| &item.tags)
    }

    /// Price of one piece. Shops leave that of a variant empty where it costs what its product costs. Another variant's price
    /// is its own.
    pub fn price(&self) -> Option<Price> {
        let parent = self.product.filter(|_| self.is_parent);
        self.own.price.or_else(|| parent.and_then(|parent| parent.price))
    }

    /// An attribute by its name.
    pub fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        let parent = self.product.filter(|_| self.is_parent);
        self.own.attributes.get(name).or_else(|| parent.and_then(|parent| parent.attributes.get(name)))
    }

    /// The whole description as an item of its own.
    pub fn to_item(&self) -> Item {
        let mut item = self.own.clone();
        if self.product.is_none() {
            return item;
        }
        let text = |text: Option<&str>| text.map(Box::from);
        (item.title, item.description) = (text(self.title()), text(self.description()));
        (item.brand, item.image) = (text(self.brand()), text(self.image()));
        (item.currency, item.locale) = (text(self.currency()), text(self.locale()));
        (item.categories, item.tags) = (self.categories().to_vec(), self.tags().to_vec());
        item.price = self.price();
        if let Some(parent) = self.product.filter(|_| self.is_parent) {
            for (name, value) in &parent.attributes {
                if !item.attributes.contains_key(name) {
                    item.attributes.insert(name.clone(), value.clone());
                }
            }
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Item, ItemPatch, Price, Timestamp};

    use crate::{Body, Facts, Offset, Record};

    fn variant(id: &str, parent: Option<&str>, title: Option<&str>) -> Item {
        Item { parent: parent.map(Into::into), title: title.map(Into::into), ..Item::bare(id.into()) }
    }

    #[test]
    fn a_variant_without_a_price_costs_what_its_product_costs() {
        let priced = |item: Item, price: f64| Item { price: Price::new(price), ..item };
        let facts = fold([
            Body::Item(Box::new(priced(variant("mug", None, Some("Mug")), 9.0))),
            Body::Item(Box::new(variant("mug-red", Some("mug"), None))),
            Body::Item(Box::new(priced(variant("mug-xl", Some("mug"), None), 12.0))),
            Body::Item(Box::new(priced(variant("cap-s", Some("cap"), Some("Cap")), 5.0))),
            Body::Item(Box::new(variant("cap-m", Some("cap"), None))),
        ]);
        let price = |id: &str| {
            let described = facts.described(facts.items.get(id).unwrap()).unwrap();
            assert_eq!(described.to_item().price, described.price(), "{id}");
            described.price().map(Price::to_f64)
        };
        assert_eq!((price("mug-red"), price("mug-xl")), (Some(9.0), Some(12.0)));
        assert_eq!(price("cap-m"), None, "the price of another variant is its own");
    }

    fn fold(bodies: impl IntoIterator<Item = Body>) -> Facts {
        let mut facts = Facts::new(10);
        for (place, body) in (0..).zip(bodies) {
            facts.apply(&Record { offset: Offset(place), received_at: Timestamp(0), body });
        }
        facts
    }

    fn items(items: impl IntoIterator<Item = Item>) -> Facts {
        fold(items.into_iter().map(|item| Body::Item(Box::new(item))))
    }

    fn title(facts: &Facts, id: &str) -> Option<String> {
        facts.described(facts.items.get(id).unwrap())?.title().map(str::to_owned)
    }

    fn are_one(facts: &Facts, ids: &[&str]) -> bool {
        let product = |id: &&str| facts.products.of(facts.items.get(id).unwrap());
        ids.iter().all(|id| product(id).is_some() && product(id) == product(&ids[0]))
    }

    #[test]
    fn a_variant_has_from_its_parent_what_it_lacks_whichever_came_first() {
        let parent = Item {
            brand: Some("Acme".into()),
            categories: vec!["Shirts".into()],
            attributes: [("material".into(), Attribute::Text("linen".into()))].into(),
            ..variant("shirt", None, Some("Linen shirt"))
        };
        let red = Item { brand: Some("Bolt".into()), ..variant("red", Some("shirt"), None) };
        for order in [[parent.clone(), red.clone()], [red, parent]] {
            let facts = items(order);
            let described = facts.described(facts.items.get("red").unwrap()).unwrap();
            assert_eq!((described.title(), described.brand()), (Some("Linen shirt"), Some("Bolt")));
            assert_eq!(described.categories(), [Box::from("Shirts")]);
            assert_eq!(described.attribute("material"), Some(&Attribute::Text("linen".into())));
            assert_eq!(described.to_item().attributes.len(), 1);
            assert!(are_one(&facts, &["shirt", "red"]));
        }
    }

    #[test]
    fn without_a_parent_the_first_variant_with_a_title_describes_the_others() {
        let mut first = variant("s", Some("shirt"), Some("Linen shirt"));
        first.attributes.insert("size".into(), Attribute::Text("S".into()));
        let facts =
            items([first, variant("m", Some("shirt"), None), variant("l", Some("shirt"), Some("Shirt, large"))]);
        assert_eq!(title(&facts, "m").as_deref(), Some("Linen shirt"));
        assert_eq!(title(&facts, "l").as_deref(), Some("Shirt, large"));
        let m = facts.described(facts.items.get("m").unwrap()).unwrap();
        assert_eq!(m.attribute("size"), None, "the size of another variant is not its own");
    }

    #[test]
    fn a_product_that_no_item_names_is_gone() {
        let describe = |item: Item| Body::Item(Box::new(item));
        let facts = fold([
            describe(variant("shirt", None, Some("Shirt"))),
            describe(variant("red", Some("shirt"), None)),
            describe(variant("red", None, Some("Red shirt"))),
        ]);
        let of = |facts: &Facts, id: &str| facts.products.of(facts.items.get(id).unwrap());
        assert_eq!((of(&facts, "shirt"), of(&facts, "red")), (None, None), "they are two items");
        // A shop that names other products all the time does not fill the memory.
        let busy = fold((0..1_000).map(|n| describe(variant("red", Some(&format!("shirt {n}")), None))));
        assert_eq!((busy.products.products.len(), busy.products.by_parent.len()), (1, 1));
        // The parent of a product may be a variant of another one.
        let nested = fold([
            describe(variant("a", Some("b"), None)),
            describe(variant("b", Some("c"), None)),
            describe(variant("a", None, None)),
        ]);
        assert!(of(&nested, "a").is_none() && of(&nested, "b").is_some());
        for facts in [facts, busy, nested] {
            assert!(facts.products == super::Products::of_catalogue(&facts.items, facts.entries()));
        }
    }

    #[test]
    fn products_differ_if_an_item_has_another_one() {
        let one = items([variant("a", Some("p"), None), variant("b", Some("p"), None)]);
        let titled = items([variant("a", Some("p"), None), variant("b", Some("p"), Some("B"))]);
        let apart = items([variant("a", Some("p"), None), variant("b", Some("q"), None)]);
        let alone = items([variant("a", Some("p"), None), variant("b", None, None)]);
        let all = [one, titled, apart, alone];
        for (place, facts) in all.iter().enumerate() {
            for (other_place, other) in all.iter().enumerate() {
                assert_eq!(facts.products == other.products, place == other_place, "{place} {other_place}");
            }
        }
    }

    #[test]
    fn products_follow_changes_and_are_the_same_when_built_again() {
        let named = |id: &str| variant(id, Some("p"), None);
        let describe = |item: Item| Body::Item(Box::new(item));
        let facts = fold([
            describe(variant("a", Some("p"), Some("A"))),
            describe(named("b")),
            describe(named("c")),
            describe(variant("b", Some("p"), Some("B"))),
            describe(named("a")),
            describe(variant("c", Some("q"), None)),
            describe(variant("q", None, None)),
            Body::ItemPatched {
                id: "q".into(),
                patch: Box::new(ItemPatch { title: Some("Q".into()), ..ItemPatch::default() }),
            },
            describe(variant("d", Some("q"), None)),
            describe(variant("d", None, None)),
        ]);
        assert_eq!(title(&facts, "a").as_deref(), Some("B"), "the title of a is gone");
        assert_eq!(title(&facts, "c").as_deref(), Some("Q"));
        assert!(are_one(&facts, &["a", "b"]) && are_one(&facts, &["c", "q"]) && !are_one(&facts, &["a", "c"]));
        assert_eq!(facts.products.of(facts.items.get("d").unwrap()), None);
        let again = super::Products::of_catalogue(&facts.items, facts.entries());
        assert!(facts.products == again);
    }
}
