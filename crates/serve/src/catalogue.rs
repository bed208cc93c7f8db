//! Which items of the catalogue are shown, by the rules that the settings switch (`catalogue_settings.rs`).
//!
//! In: an entry, the catalogue as a whole, and the time of the request. Out: whether a page may show the item. What is
//! not certain to be sold is not shown: an item before its date of publication, and an item that only events name where
//! there is a catalogue that does not have it.

use accrue_event::{Price, is_withdrawn};
use accrue_store::{CatalogueEntry, ItemIdx, OnSale};

use crate::filter::{Filter, FilterPass};
use crate::shop::Product;
use crate::{CatalogueSettings, IncompleteItems, Shop, UnknownItems};

impl<'a> Shop<'a> {
    /// The same shop with another rule for incomplete items, if one is given.
    pub(crate) fn with_incomplete(self, incomplete: Option<IncompleteItems>) -> Self {
        let incomplete = incomplete.unwrap_or(self.catalogue.incomplete);
        Self { catalogue: CatalogueSettings { incomplete, ..self.catalogue }, ..self }
    }

    /// A filter over the catalogue, for one page.
    pub(crate) fn pass<'f>(&self, filter: Option<&'f Filter>) -> Option<FilterPass<'f>>
    where
        'a: 'f,
    {
        filter.map(|filter| filter.over(self.facts))
    }

    /// An item as the catalogue has it, if a page may show it and the filter accepts it.
    pub(crate) fn shown(&self, item: ItemIdx, filter: Option<&FilterPass<'_>>) -> Option<&'a CatalogueEntry> {
        let entry: &'a CatalogueEntry = self.facts.entry(item)?;
        let passes = self.is_on_sale(item, entry) && filter.is_none_or(|filter| filter.accepts(item));
        passes.then_some(entry)
    }

    /// Whether a page that the shopper did not ask for by words may show the item: not if it is incomplete.
    pub(crate) fn may_recommend(&self, item: ItemIdx, filter: Option<&FilterPass<'_>>) -> bool {
        let is_on_sale = match self.facts.on_sale(item) {
            OnSale::From(at_ms) => at_ms <= self.now_ms,
            OnSale::IfUnknownAre => self.shows_unknown(),
            OnSale::ReadEntry => {
                return self.shown(item, filter).is_some_and(|entry| self.is_complete(item, entry));
            }
        };
        is_on_sale && filter.is_none_or(|filter| filter.accepts(item))
    }

    /// Whether a product is among [`Shop::n_on_sale`].
    pub(crate) fn may_recommend_product(&self, product: Product, filter: Option<&FilterPass<'_>>) -> bool {
        let products = &self.facts.products;
        match product {
            Product::Alone(item) => self.may_recommend(item, filter),
            Product::OfVariants(product) => {
                let mut items = products.parent(product).into_iter().chain(products.variants(product).iter().copied());
                items.any(|item| self.may_recommend(item, filter))
            }
        }
    }

    /// A variant is not published before its product, and is withdrawn with it.
    fn is_on_sale(&self, item: ItemIdx, entry: &CatalogueEntry) -> bool {
        if !entry.can_be_shown() || !(entry.described || self.shows_unknown()) {
            return false;
        }
        let product = entry.item.parent.as_ref().and_then(|_| self.facts.product_entry(item));
        let published_at = entry.item.published_at.max(product.and_then(|product| product.item.published_at));
        let is_withdrawn =
            product.is_some_and(|product| !product.item.available && is_withdrawn(&product.item.attributes));
        published_at.is_none_or(|at| at.0 <= self.now_ms) && !is_withdrawn
    }

    /// Whether items that only events name are shown.
    pub fn shows_unknown(&self) -> bool {
        match self.catalogue.unknown {
            UnknownItems::Auto => self.facts.overview().n_described() == 0,
            UnknownItems::Show => true,
            UnknownItems::Hide => false,
        }
    }

    /// Whether an item is at price 0 where others have a price: a correction, a present, or a part of something else.
    fn is_free(&self, entry: &CatalogueEntry) -> bool {
        entry.item.price == Some(Price::ZERO) && self.facts.overview().n_priced() > 0
    }

    /// Whether a search lists an item behind all others: one at price 0, where those are not recommended.
    pub(crate) fn comes_last_in_searches(&self, item: ItemIdx) -> bool {
        self.catalogue.incomplete == IncompleteItems::Hide && self.facts.entry(item).is_some_and(|it| self.is_free(it))
    }

    /// How many items pages can show, and how many of them have no title.
    pub fn count_untitled(&self) -> (u64, u64) {
        let shown = (0..self.facts.items.len() as ItemIdx).filter(|&item| self.shown(item, None).is_some());
        shown.fold((0, 0), |(n, n_untitled), item| {
            let has_title = self.facts.described(item).is_some_and(|described| described.title().is_some());
            (n + 1, n_untitled + u64::from(!has_title))
        })
    }

    fn is_complete(&self, item: ItemIdx, entry: &CatalogueEntry) -> bool {
        let overview = self.facts.overview();
        let is_free = self.is_free(entry);
        let has_title = || self.facts.described(item).is_some_and(|item| item.title().is_some());
        let is_untitled = || overview.n_titled() > 0 && !has_title();
        // An unknown item has no title; whether it is shown was decided before.
        self.catalogue.incomplete == IncompleteItems::Show || !entry.described || !(is_free || is_untitled())
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Event, EventType, Item, Timestamp};
    use accrue_store::{Body, CheckedEvent, Facts, Offset, Record};

    use super::*;
    use crate::ListRequest;
    use crate::fixture::{Fixture, Size};

    const NOW_MS: i64 = 1_000_000_000;

    struct Case {
        fixture: Fixture,
        facts: Facts,
    }

    impl Case {
        fn new(bodies: Vec<Body>) -> Self {
            let fixture = Fixture::new(Size { n_items: 2, n_unmet: 0, n_events: 4, ..Size::default() });
            let mut facts = Facts::new(1);
            for (place, body) in bodies.into_iter().enumerate() {
                facts.apply(&Record { offset: Offset(place as u64), received_at: Timestamp(0), body });
            }
            Self { fixture, facts }
        }

        fn shop(&self, now_ms: i64, catalogue: CatalogueSettings) -> Shop<'_> {
            Shop { facts: &self.facts, now_ms, catalogue, ..self.fixture.shop() }
        }

        /// The items that a search may show, and those that may be recommended.
        fn shown(&self, now_ms: i64, catalogue: CatalogueSettings) -> (Vec<&str>, Vec<&str>) {
            let shop = self.shop(now_ms, catalogue);
            let items = || 0..self.facts.items.len() as ItemIdx;
            let name = |item: ItemIdx| self.facts.items.name(item).unwrap();
            let by_search = items().filter(|&item| shop.shown(item, None).is_some()).map(name).collect();
            (by_search, items().filter(|&item| shop.may_recommend(item, None)).map(name).collect())
        }
    }

    fn described(id: &str, edit: impl FnOnce(&mut Item)) -> Body {
        let mut item = Item::bare(id.into());
        edit(&mut item);
        Body::Item(Box::new(item))
    }

    #[test]
    fn what_is_known_without_the_entry_is_what_the_entry_says() {
        let item = |id: &'static str, parent: Option<&'static str>, edit: fn(&mut Item)| {
            described(id, |item| {
                item.parent = parent.map(Into::into);
                edit(item);
            })
        };
        let draft: fn(&mut Item) = |item| {
            item.available = false;
            item.attributes.insert("status".into(), Attribute::Text("draft".into()));
        };
        let later: fn(&mut Item) = |item| item.published_at = Some(Timestamp(NOW_MS + 1));
        let free: fn(&mut Item) = |item| {
            titled(item);
            item.price = Some(Price::ZERO);
        };
        let priced: fn(&mut Item) = |item| {
            titled(item);
            item.price = Price::new(9.5);
        };
        let edits: [fn(&mut Item); 7] = [|_| {}, titled, draft, later, |item| item.available = false, free, priced];
        let mut bodies = vec![seen("unknown")];
        for (n, edit) in edits.into_iter().enumerate() {
            let product: &'static str = ["p0", "p1", "p2", "p3", "p4", "p5", "p6"][n];
            bodies.push(item(product, None, edit));
            for (variant, edit) in edits.into_iter().enumerate() {
                let id: &'static str = format!("{product}-{variant}").leak();
                bodies.push(item(id, Some(product), edit));
                let alone: &'static str = format!("of-nobody-{n}-{variant}").leak();
                bodies.push(item(alone, Some("nobody"), edit));
            }
        }
        let retired = [bodies.clone(), vec![Body::ItemRetired("p1".into())]].concat();
        for case in [Case::new(bodies), Case::new(retired)] {
            let incomplete = [IncompleteItems::Hide, IncompleteItems::Show];
            let settings = [(NOW_MS, UnknownItems::Auto), (NOW_MS + 1, UnknownItems::Show)];
            for ((now_ms, unknown), incomplete) in settings.into_iter().flat_map(|of| incomplete.map(|it| (of, it))) {
                let shop = case.shop(now_ms, CatalogueSettings { unknown, incomplete });
                for item in 0..case.facts.items.len() as ItemIdx {
                    let by_entry = shop.shown(item, None).is_some_and(|entry| shop.is_complete(item, entry));
                    assert_eq!(shop.may_recommend(item, None), by_entry, "{:?}", case.facts.items.name(item));
                }
            }
        }
    }

    fn titled(item: &mut Item) {
        item.title = Some("Mug".into());
    }

    fn seen(item: &str) -> Body {
        let fixture = Fixture::new(Size { n_items: 2, n_unmet: 0, n_events: 1, ..Size::default() });
        let event = Event { item: Some(item.into()), ..fixture.event(EventType::View, 0, 0) };
        Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None })
    }

    #[test]
    fn an_item_is_shown_from_its_date_of_publication_on() {
        let published = |at_ms| move |item: &mut Item| item.published_at = Some(Timestamp(at_ms));
        let case = Case::new(vec![described("now", published(NOW_MS)), described("later", published(NOW_MS + 1))]);
        let shown = |now_ms| case.shown(now_ms, CatalogueSettings::DEFAULT).0;
        assert_eq!(shown(NOW_MS - 1), [""; 0]);
        assert_eq!(shown(NOW_MS), ["now"]);
        assert_eq!(shown(NOW_MS + 1), ["now", "later"]);
    }

    #[test]
    fn a_variant_is_not_shown_before_its_product_or_once_that_is_withdrawn() {
        let of = |parent: &'static str| move |item: &mut Item| item.parent = Some(parent.into());
        let state = |word: &'static str| {
            move |item: &mut Item| {
                item.available = false;
                item.attributes.insert("status".into(), Attribute::Text(word.into()));
            }
        };
        let case = Case::new(vec![
            described("later", |item| item.published_at = Some(Timestamp(NOW_MS + 1))),
            described("later-s", of("later")),
            described("later-early-s", |item| {
                (item.parent, item.published_at) = (Some("later".into()), Some(Timestamp(1)))
            }),
            described("draft", state("draft")),
            described("draft-s", of("draft")),
            described("sold-out", state("sold out")),
            described("sold-out-s", of("sold-out")),
        ]);
        assert_eq!(case.shown(NOW_MS, CatalogueSettings::DEFAULT).0, ["sold-out-s"]);
        assert_eq!(
            case.shown(NOW_MS + 1, CatalogueSettings::DEFAULT).0,
            ["later", "later-s", "later-early-s", "sold-out-s"]
        );
    }

    #[test]
    fn items_that_only_events_name_are_shown_until_there_is_a_catalogue() {
        let without = Case::new(vec![seen("a"), seen("b")]);
        assert_eq!(without.shown(NOW_MS, CatalogueSettings::DEFAULT).1, ["a", "b"]);
        let with = Case::new(vec![seen("a"), described("mug", titled), seen("b")]);
        assert_eq!(with.shown(NOW_MS, CatalogueSettings::DEFAULT), (vec!["mug"], vec!["mug"]));
        let retired = Case::new(vec![seen("a"), described("mug", titled), Body::ItemRetired("mug".into())]);
        assert_eq!(retired.shown(NOW_MS, CatalogueSettings::DEFAULT).0, [""; 0], "a catalogue was sent");
        let settings = |unknown| CatalogueSettings { unknown, ..CatalogueSettings::DEFAULT };
        assert_eq!(with.shown(NOW_MS, settings(UnknownItems::Show)).1, ["a", "mug", "b"]);
        assert_eq!(without.shown(NOW_MS, settings(UnknownItems::Hide)).1, [""; 0]);
    }

    #[test]
    fn incomplete_items_are_found_and_not_recommended_where_others_are_complete() {
        let priced = |price| {
            move |item: &mut Item| {
                titled(item);
                item.price = Price::new(price);
            }
        };
        let case = Case::new(vec![
            described("mug", priced(5.0)),
            described("free", priced(0.0)),
            described("no-title", |item| item.price = Price::new(5.0)),
            described("no-price", titled),
            described("variant", |item| item.parent = Some("mug".into())),
        ]);
        let (found, recommended) = case.shown(NOW_MS, CatalogueSettings::DEFAULT);
        assert_eq!(found.len(), 5);
        assert_eq!(recommended, ["mug", "no-price", "variant"], "a variant has its parent's title");
        let shop = case.shop(NOW_MS, CatalogueSettings::DEFAULT).with_incomplete(Some(IncompleteItems::Show));
        assert!((0..5).all(|item| shop.may_recommend(item, None)));

        let free = Case::new(vec![described("a", |item| item.price = Price::new(0.0)), described("b", |_| {})]);
        assert_eq!(free.shown(NOW_MS, CatalogueSettings::DEFAULT).1, ["a", "b"], "no item has a price or a title");
    }

    #[test]
    fn new_items_go_by_the_date_of_publication() {
        const DAY: i64 = 24 * 3600 * 1000;
        let published = |day: i64| move |item: &mut Item| item.published_at = Some(Timestamp(day * DAY));
        let case = Case::new(vec![
            described("third", published(10)),
            described("first", published(30)),
            described("second", published(20)),
            described("later", published(40)),
        ]);
        let new = |now_ms, n| {
            let list = ListRequest { n, ..ListRequest::default() };
            let answer = case.shop(now_ms, CatalogueSettings::DEFAULT).new_items(&list);
            answer.items.iter().map(|item| item.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(new(30 * DAY, 5), ["first", "second", "third"]);
        assert_eq!(new(40 * DAY, 1), ["later"], "its time has come, and no event was needed");
    }
}
