//! Tests of suggestions on small shops.

use accrue_event::{Event, EventType, Item, Timestamp};
use accrue_store::{Body, CheckedEvent, Facts, Record};

use super::*;
use crate::fixture::{Fixture, Size, user};

fn item(id: usize, title: &str, brand: &str, category: &str) -> Item {
    let mut item = Item::bare(format!("i{id}").as_str().into());
    (item.title, item.brand) = (Some(title.into()), Some(brand.into()));
    item.categories = vec![category.into()];
    item.price = accrue_event::Price::new(5.0);
    item
}

/// A shop that sells these items, in which nothing was chosen yet.
struct Case {
    fixture: Fixture,
    facts: Facts,
    suggestions: Suggestions,
}

impl Case {
    fn new(items: &[Item]) -> Self {
        let fixture = Fixture::new(Size { n_events: 0, n_unmet: 0, ..Size::default() });
        let mut case = Self { fixture, facts: Facts::new(100), suggestions: Suggestions::default() };
        items.iter().zip(0..).for_each(|(item, place)| case.describe(place, item));
        case
    }

    fn take(&mut self, body: Body) {
        self.facts.apply(&Record { offset: self.facts.end, received_at: Timestamp(0), body });
    }

    fn describe(&mut self, place: ItemIdx, item: &Item) {
        self.take(Body::Item(Box::new(item.clone())));
        let described = self.facts.described(place).unwrap().to_item();
        self.suggestions.set(place, Some(&described));
    }

    fn suggest(&self, query: &str, visitor: Visitor) -> Vec<String> {
        let request = SuggestRequest { query: query.into(), visitor, n: 5 };
        let suggested = Shop { facts: &self.facts, ..self.fixture.shop() }.suggest(&self.suggestions, &request);
        suggested.into_iter().map(|one| format!("{:?} {}", one.kind, one.text).to_lowercase()).collect()
    }

    fn anybody(&self, query: &str) -> Vec<String> {
        self.suggest(query, Visitor::default())
    }
}

fn shop() -> Case {
    Case::new(&[
        item(0, "Red lunch bag", "Acme", "Bags"),
        item(1, "Bagpipe", "Bolt", "Music"),
        item(2, "Lunchbox", "Acme", "Kitchen"),
        item(3, "Hot water bottle", "Cask", "Home"),
    ])
}

#[test]
fn titles_brands_and_categories_that_begin_like_the_text_are_suggested() {
    let shop = shop();
    let bag = shop.anybody("ba");
    assert_eq!(
        BTreeSet::from_iter(bag.iter().map(|one| &**one)),
        ["category bags", "item bagpipe", "item red lunch bag"].into()
    );
    assert_eq!(shop.anybody("lunch b"), ["item lunchbox", "item red lunch bag"], "also written together");
    assert_eq!(shop.anybody("AC"), ["brand acme"]);
    assert_eq!(shop.anybody("water hot"), ["item hot water bottle"]);
    for nothing in ["", " ", "?!", "zebra", "lunch zebra"] {
        assert_eq!(shop.anybody(nothing), [""; 0], "{nothing:?}");
    }
}

#[test]
fn what_a_rule_hides_is_not_suggested_and_neither_is_its_brand() {
    let shop = shop();
    let hide = r#"{"name": "gone", "action": "hide", "filter": "brand:Bolt"}"#;
    let rules = crate::rules::Rules::read(&[serde_json::from_str(hide).unwrap()]).unwrap();
    let suggest = |query: &str| -> Vec<String> {
        let request = SuggestRequest { query: query.into(), visitor: Visitor::default(), n: 5 };
        let ruled = Shop { facts: &shop.facts, rules: &rules, ..shop.fixture.shop() };
        ruled.suggest(&shop.suggestions, &request).into_iter().map(|one| one.text.to_lowercase()).collect()
    };
    assert_eq!(BTreeSet::from_iter(suggest("ba")), ["bags".to_owned(), "red lunch bag".to_owned()].into());
    for gone in ["bagpipe", "music"] {
        assert!(!suggest(gone).iter().any(|text| text == "bagpipe" || text == "music"), "{gone}");
        assert!(!shop.anybody(gone).is_empty(), "{gone} is suggested without the rule");
    }
    assert!(!suggest("bolt").contains(&"bolt".to_owned()));
}

#[test]
fn words_are_suggested_written_together_and_apart() {
    let shop = Case::new(&[
        item(0, "Regency cakestand", "Acme", "Kitchen"),
        item(1, "T-Shirt blue", "Bolt", "Wear"),
        item(2, "Tea towel shirt", "Cask", "Home"),
    ]);
    for typed in ["cake st", "cake stand", "regency cake s"] {
        assert_eq!(shop.anybody(typed), ["item regency cakestand"], "{typed}");
    }
    assert_eq!(shop.anybody("tshi"), ["item t-shirt blue"]);
    assert_eq!(shop.anybody("tshirt bl"), ["item t-shirt blue"]);
    assert_eq!(shop.anybody("teashirt"), [""; 0], "the words do not stand side by side");
}

#[test]
fn one_variant_of_a_product_is_suggested() {
    let variant = |id, title: &str| {
        let mut variant = item(id, title, "Acme", "Wear");
        variant.parent = Some("shirt".into());
        variant
    };
    let shop = Case::new(&[
        variant(0, "Linen shirt S"),
        variant(1, "Linen shirt M"),
        item(2, "Linen trousers", "Bolt", "Wear"),
    ]);
    assert_eq!(shop.anybody("linen"), ["item linen shirt m", "item linen trousers"]);
    assert_eq!(shop.anybody("linwn"), ["item linen shirt m", "item linen trousers"], "also with typing errors");
}

#[test]
fn typing_errors_are_forgiven_after_what_matches_as_it_is_written() {
    let shop = shop();
    assert_eq!(shop.anybody("hot wtaer botle"), ["item hot water bottle"]);
    assert_eq!(shop.anybody("luch"), ["item lunchbox", "item red lunch bag"]);
    assert_eq!(shop.anybody("kunch"), [""; 0], "not in the first letter");
}

#[test]
fn what_is_not_shown_is_not_suggested_and_changes_are_followed() {
    let mut shop = shop();
    let mut sold_out = item(1, "Bagpipe", "Bolt", "Music");
    sold_out.stock = Some(0);
    shop.describe(1, &sold_out);
    assert_eq!((shop.anybody("bagpip"), shop.anybody("bol")), (vec![], vec![]));
    shop.describe(1, &item(1, "Violin", "Bolt", "Music"));
    assert_eq!(
        (shop.anybody("bagpip").len(), shop.anybody("viol").len(), &*shop.anybody("bolt")[0]),
        (0, 1, "brand bolt")
    );
    shop.suggestions.set(1, None);
    assert_eq!((shop.anybody("viol").len(), shop.anybody("music").len()), (0, 0));
    (0..4).for_each(|place| shop.suggestions.set(place, None));
    assert!(shop.suggestions.words.is_empty() && shop.suggestions.n_texts() == 0);
}

#[test]
fn a_known_shoppers_categories_come_first() {
    let mut shop = Case::new(&[
        item(0, "Blue bowl", "Acme", "Kitchen"),
        item(1, "Blue ball", "Acme", "Toys"),
        item(2, "Blue boat", "Acme", "Toys"),
    ]);
    let neutral = shop.anybody("blue b");
    assert_eq!(neutral[0], "item blue ball", "equal ones by text");
    let other = Fixture::new(Size { n_items: 1, n_unmet: 0, n_events: 1, ..Size::default() });
    for n in 0..3 {
        let event = Event { user: Some("ann".into()), ..other.event(EventType::Purchase, 0, n) };
        shop.take(Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None }));
    }
    let ann = Visitor { user: Some("ann".into()), session: None };
    assert_eq!(shop.suggest("blue b", ann)[0], "item blue bowl");
    assert_eq!(shop.suggest("blue b", user(99)), neutral);
}
