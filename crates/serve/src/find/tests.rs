use std::collections::{BTreeMap, BTreeSet};

use accrue_event::{Attribute, Item, Price, Timestamp};
use accrue_store::{Body, Facts, ItemIdx, Offset, Record};
use proptest::prelude::*;

use crate::filter::Filter;
use crate::fixture::{Fixture, Size, index, user};
use crate::search::SearchReader;
use crate::shop::Product;
use crate::{FacetCounts, FacetError, Grouping, Recommended, SearchAnswer, SearchRequest, Shop, SortError, Visitor};

fn search(shop: &Fixture, query: &str, of: impl FnOnce(&mut SearchRequest)) -> SearchAnswer {
    let mut request = SearchRequest { query: query.to_string(), explain: true, ..SearchRequest::default() };
    of(&mut request);
    shop.shop().search(&shop.index, &request).unwrap()
}

pub(super) fn ids(hits: &[Recommended]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

#[test]
fn pages_of_hits_are_cut_from_one_list_with_one_of_each_product() {
    let shop = Fixture::new(Size::default());
    let filter = Some(Filter::parse("price:..50").unwrap());
    for grouping in [Grouping::Product, Grouping::Item] {
        for (query, personalisation) in [("mug", 0.0), ("mug", 1.0), ("mug brand3", 0.5), ("", 1.0), ("", 0.0)] {
            let page = |offset, n| {
                search(&shop, query, |request| {
                    (request.visitor, request.filter) = (user(1), filter.clone());
                    (request.offset, request.n) = (offset, n);
                    (request.grouping, request.personalisation) = (grouping, personalisation);
                })
            };
            let whole = page(0, 1000);
            assert_eq!((whole.hits.len(), &whole.degraded[..]), (whole.total, &[][..]));
            assert!(whole.hits.is_sorted_by(|a, b| a.score >= b.score), "also beyond the hits that taste reorders");
            let products: BTreeSet<_> =
                ids(&whole.hits).into_iter().map(|id| shop.shop().product(shop.facts.items.get(id).unwrap())).collect();
            let expected = if grouping == Grouping::Product { whole.total } else { products.len() };
            assert!(products.len() == expected && (40..700).contains(&whole.total), "{}", whole.total);
            for n in [7, 100, 333] {
                let pages = (0..whole.total).step_by(n).flat_map(|offset| page(offset, n).hits);
                assert_eq!(pages.collect::<Vec<_>>(), whole.hits, "{n}");
            }
            for hit in &whole.hits {
                let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
                assert!((sum - hit.score).abs() < 1e-4, "{hit:?}");
            }
        }
    }
    let first = |personalisation| {
        search(&shop, "mug", |request| (request.visitor, request.personalisation) = (user(1), personalisation)).hits
    };
    assert_ne!(ids(&first(0.0)), ids(&first(1.0)), "taste reorders hits");
}

#[test]
fn among_equal_matches_what_sells_comes_first_for_a_visitor_without_a_history() {
    let shop = Fixture::new(Size::default());
    let popularity = shop.version.ensemble.popularity();
    let standing = |hit: &Recommended| popularity.standing(shop.facts.items.get(hit.id.as_str()).unwrap());
    let best = (0..shop.facts.items.len() as u32).map(|item| popularity.standing(item)).fold(0.0, f32::max);
    for (query, personalisation) in [("mug", 0.0), ("mug", 0.5), ("", 0.0)] {
        let answer = search(&shop, query, |request| {
            (request.visitor, request.n, request.personalisation) = (Visitor::default(), 50, personalisation);
        });
        assert_eq!(answer.degraded.contains(&"cold_user"), personalisation > 0.0);
        assert_eq!(standing(&answer.hits[0]), best, "{query:?} {personalisation}: all titles match alike");
        assert!(personalisation > 0.0 || answer.hits.is_sorted_by(|a, b| standing(a) >= standing(b)), "{query:?}");
        assert!(answer.hits[0].reasons.iter().any(|reason| reason.code == "popular"));
    }
    let of_brand = search(&shop, "mug brand3", |request| request.n = 200);
    let has_brand = |hit: &&Recommended| hit.reasons.iter().any(|reason| reason.text.contains("brand3"));
    let n_of_brand = of_brand.hits.iter().filter(has_brand).count();
    assert!(n_of_brand > 20 && of_brand.hits.iter().take(n_of_brand).all(|hit| has_brand(&hit)), "all words first");
}
/// A shop of these items, with the models of another one.
pub(super) struct Catalogue {
    pub fixture: Fixture,
    facts: Facts,
    pub index: SearchReader,
}

impl Catalogue {
    pub fn new(items: &[Item]) -> Self {
        let mut facts = Facts::new(1);
        for (offset, item) in (0..).zip(items) {
            let body = Body::Item(Box::new(item.clone()));
            facts.apply(&Record { offset: Offset(offset), received_at: Timestamp(0), body });
        }
        // As the engine does it, the index has each item with what it has from its product.
        let described: Vec<Item> =
            (0..items.len() as ItemIdx).map(|item| facts.described(item).unwrap().to_item()).collect();
        let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
        Self { fixture, facts, index: index(&described) }
    }

    pub fn shop(&self) -> Shop<'_> {
        Shop { facts: &self.facts, ..self.fixture.shop() }
    }

    fn search(&self, query: &str, filter: Option<&str>, facets: &[&str], sort: &str) -> SearchAnswer {
        self.page(query, filter, facets, sort, (0, 1000))
    }

    fn page(
        &self,
        query: &str,
        filter: Option<&str>,
        facets: &[&str],
        sort: &str,
        (offset, n): (usize, usize),
    ) -> SearchAnswer {
        let shop = self.shop();
        let request = SearchRequest {
            query: query.to_string(),
            filter: filter.map(|filter| Filter::parse(filter).unwrap()),
            facets: facets.iter().map(|name| shop.facet(name).unwrap()).collect(),
            sort: shop.sort(sort.split(',')).unwrap(),
            personalisation: 0.0,
            offset,
            n,
            ..SearchRequest::default()
        };
        shop.search(&self.index, &request).unwrap()
    }
}

pub(super) fn mug(id: usize, edit: impl FnOnce(&mut Item)) -> Item {
    let mut item = Item::bare(format!("m{id}").as_str().into());
    item.title = Some("mug".into());
    edit(&mut item);
    item
}

#[test]
fn a_word_that_only_items_have_which_may_not_be_shown_is_read_as_unknown() {
    let item = |id: &str, title: &str, brand: &str, available: bool| {
        let mut item = Item::bare(id.into());
        (item.title, item.brand, item.available) = (Some(title.into()), Some(brand.into()), available);
        item
    };
    let with = |cheap: bool| {
        Catalogue::new(&[
            item("u1", "Umbrella red", "Acme", true),
            item("u2", "Umbrella blue", "Acme", true),
            item("c", "Umbrela cheap copy", "Bolt", cheap),
            item("t1", "Tea box", "Acme", false),
            item("t2", "Teapot", "Acme", true),
            item("x1", "AB100 lamp", "Acme", false),
            item("x2", "AB1000 lamp", "Acme", true),
            item("k", "Kettel steel", "Acme", false),
            item("k2", "Kettle steel", "Acme", true),
        ])
    };
    let found = |shop: &Catalogue, query: &str, filter: Option<&str>| {
        let answer = shop.search(query, filter, &[], "");
        let mut ids: Vec<String> = answer.hits.iter().map(|hit| hit.id.as_str().to_owned()).collect();
        ids.sort_unstable();
        (ids.join(" "), answer.corrected.map(String::from))
    };
    let told = |ids: &str, corrected: Option<&str>| (ids.to_owned(), corrected.map(str::to_owned));
    let shop = with(true);
    assert_eq!(found(&shop, "umbrela", None).0, "c", "what may be shown has the word");
    assert_eq!(found(&shop, "umbrela", Some("brand:Acme")), told("u1 u2", Some("umbrella")));
    let shop = with(false);
    assert_eq!(found(&shop, "umbrela", None), told("u1 u2", Some("umbrella")));
    assert_eq!(found(&shop, "red umbrela", None), told("u1", Some("red umbrella")));
    assert_eq!(found(&shop, "kettel steel", None), told("k2", Some("kettle steel")));
    assert_eq!(found(&shop, "tea", None), told("t2", None));
    assert_eq!(found(&shop, "ab100 ", None), told("", None), "a code means what it says");
    assert_eq!(found(&shop, "cheap copy", None), told("", None));
}

/// What an item of the property below has; numbers index lists of values.
type Drawn = (Option<usize>, Option<usize>, Vec<usize>, Option<u16>, Option<usize>, Option<usize>, bool);

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        prop::option::of(0..4_usize),
        prop::option::of(0..5_usize),
        prop::collection::vec(0..4_usize, 0..3),
        prop::option::weighted(0.9, 0..400_u16),
        prop::option::of(0..5_usize),
        prop::option::weighted(0.5, 0..6_usize),
        prop::bool::weighted(0.9),
    )
}

fn described(place: usize, (brand, colour, categories, price, size, parent, available): &Drawn) -> Item {
    mug(place, |item| {
        item.brand = brand.map(|brand| ["Acme", "Bolt", "ACME", "Éclair"][brand].into());
        item.categories = categories.iter().map(|&one| ["mugs", "gifts", "Mugs", "sale"][one].into()).collect();
        item.price = price.and_then(|price| Price::new(f64::from(price) / 10.0));
        // Items of one parent are variants; the first items are parents themselves.
        item.parent = parent.filter(|parent| *parent != place).map(|parent| format!("m{parent}").into());
        item.available = *available;
        let colour = colour.map(|colour| match colour {
            4 => Attribute::List(vec!["red".into(), "Blue".into()]),
            one => Attribute::Text(["red", "blue", "Red", "green"][one].into()),
        });
        item.attributes.extend(colour.map(|colour| ("colour".into(), colour)));
        item.attributes.extend(size.map(|size| ("size".into(), Attribute::Number(38.0 + size as f64 / 2.0))));
    })
}

/// Filters, each with what restricts the facets brand, category, colour, price and size: all but their own selection.
const FILTERS: [(&str, [&str; 5]); 7] = [
    ("", [""; 5]),
    ("brand:acme", ["", "brand:acme", "brand:acme", "brand:acme", "brand:acme"]),
    ("NOT brand:acme", ["NOT brand:acme"; 5]),
    (
        "brand:(acme OR bolt) AND price:5..20 AND colour:red",
        [
            "price:5..20 AND colour:red",
            "brand:(acme OR bolt) AND price:5..20 AND colour:red",
            "brand:(acme OR bolt) AND price:5..20",
            "brand:(acme OR bolt) AND colour:red",
            "brand:(acme OR bolt) AND price:5..20 AND colour:red",
        ],
    ),
    (
        "category:mugs AND category:sale",
        [
            "category:mugs AND category:sale",
            "",
            "category:mugs AND category:sale",
            "category:mugs AND category:sale",
            "category:mugs AND category:sale",
        ],
    ),
    ("brand:acme OR colour:red", ["brand:acme OR colour:red"; 5]),
    (
        "size>=39 AND NOT colour:green",
        [
            "size>=39 AND NOT colour:green",
            "size>=39 AND NOT colour:green",
            "size>=39 AND NOT colour:green",
            "size>=39 AND NOT colour:green",
            "NOT colour:green",
        ],
    ),
];
const FACETS: [&str; 5] = ["brand", "category", "colour", "price", "size"];

/// The products with each value, by looking at every item.
fn enumerated(shop: &Shop<'_>, filter: &str, grouping: Grouping, facet: &str) -> BTreeMap<String, usize> {
    let filter = (!filter.is_empty()).then(|| Filter::parse(filter).unwrap());
    let filter = shop.pass(filter.as_ref());
    let mut products: BTreeMap<String, BTreeSet<Product>> = BTreeMap::new();
    for item in (0..shop.facts.items.len() as ItemIdx).filter(|&item| shop.shown(item, filter.as_ref()).is_some()) {
        let described = shop.facts.described(item).unwrap();
        let values: Vec<String> = match facet {
            "brand" => described.brand().into_iter().map(str::to_lowercase).collect(),
            "category" => described.categories().iter().map(|one| one.to_lowercase()).collect(),
            "price" => described.price().map(|price| price.to_string()).into_iter().collect(),
            attribute => match described.attribute(attribute) {
                None => vec![],
                Some(Attribute::List(texts)) => texts.iter().map(|one| one.to_lowercase()).collect(),
                Some(Attribute::Text(text)) => vec![text.to_lowercase()],
                Some(Attribute::Number(number)) => vec![number.to_string()],
                Some(Attribute::Bool(is)) => vec![is.to_string()],
            },
        };
        for value in values {
            products.entry(value).or_default().insert(shop.counted(item, grouping));
        }
    }
    products.into_iter().map(|(value, products)| (value, products.len())).collect()
}

fn check_facet(shop: &Shop<'_>, counts: &FacetCounts, filter: &str, grouping: Grouping) {
    let wanted = enumerated(shop, filter, grouping, &counts.name);
    if &*counts.name != "price" {
        let got: BTreeMap<String, usize> =
            counts.values.iter().map(|value| (value.value.to_lowercase(), value.count)).collect();
        assert_eq!(got, wanted, "{} under {filter:?}", counts.name);
        assert!(counts.values.is_sorted_by(|a, b| a.count >= b.count));
    }
    if let Some(numbers) = &counts.numbers {
        let values = || wanted.keys().map(|value| value.parse::<f64>().unwrap());
        assert_eq!((numbers.min, numbers.max), (values().reduce(f64::min), values().reduce(f64::max)));
        for range in &numbers.ranges {
            let and = if filter.is_empty() { String::new() } else { format!("({filter}) AND ") };
            let name = &counts.name;
            let filter = format!("{and}{name}>={} AND {name}<{}", range.from, range.to);
            let filter = Filter::parse(&filter).unwrap();
            let products: BTreeSet<Product> = (0..shop.facts.items.len() as ItemIdx)
                .filter(|&item| shop.shown(item, shop.pass(Some(&filter)).as_ref()).is_some())
                .map(|item| shop.counted(item, grouping))
                .collect();
            assert_eq!(products.len(), range.count, "{range:?} of {name} under {filter}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn facets_count_what_an_enumeration_counts(items in prop::collection::vec(drawn(), 1..40)) {
        let mut items: Vec<Item> = items.iter().enumerate().map(|(place, drawn)| described(place, drawn)).collect();
        // Every field that a filter names exists.
        items.push(mug(99, |item| {
            item.attributes.insert("colour".into(), Attribute::Text("red".into()));
            item.attributes.insert("size".into(), Attribute::Number(38.0));
            (item.brand, item.price, item.categories) = (Some("Bolt".into()), Price::new(10.0), vec!["sale".into()]);
        }));
        let mut catalogue = Catalogue::new(&items);
        for round in 0..2 {
            let shop = catalogue.shop();
            for (filter, of_facets) in FILTERS {
                for grouping in [Grouping::Product, Grouping::Item] {
                    let request = SearchRequest {
                        query: "mug".into(),
                        filter: (!filter.is_empty()).then(|| Filter::parse(filter).unwrap()),
                        facets: FACETS.iter().map(|name| shop.facet(name).unwrap()).collect(),
                        grouping,
                        n: 1,
                        ..SearchRequest::default()
                    };
                    let answer = shop.search(&catalogue.index, &request).unwrap();
                    for (counts, filter) in answer.facets.iter().zip(of_facets) {
                        check_facet(&shop, counts, filter, grouping);
                    }
                }
            }
            // Again after changes, which the columns must follow.
            let mut changed = items[items.len() / 2].clone();
            (changed.brand, changed.parent) = (Some("New".into()), None);
            changed.attributes.insert("size".into(), Attribute::Number(100.0 + f64::from(round)));
            let offset = catalogue.facts.end;
            let body = Body::Item(Box::new(changed));
            catalogue.facts.apply(&Record { offset, received_at: Timestamp(0), body });
        }
    }

    #[test]
    fn sorted_hits_are_in_order_and_pages_of_them_do_not_repeat(items in prop::collection::vec(drawn(), 1..40)) {
        let items: Vec<Item> = items.iter().enumerate().map(|(place, drawn)| described(place, drawn)).collect();
        let catalogue = Catalogue::new(&items);
        let described = |id: &str| {
            let item = catalogue.facts.items.get(id).unwrap();
            catalogue.facts.described(item).unwrap().to_item()
        };
        let item = |hit: &Recommended| described(hit.id.as_str());
        for (sort, is_descending) in [("price:asc", false), ("price:desc", true)] {
            let whole = catalogue.search("mug", None, &[], sort);
            prop_assert_eq!(whole.hits.len(), whole.total);
            prop_assert_eq!(whole.total, catalogue.search("mug", None, &[], "").total);
            let turned = |price: Price| if is_descending { -price.to_f64() } else { price.to_f64() };
            let key = |hit: &Recommended| {
                let item = item(hit);
                (item.price.is_none(), item.price.map_or(0.0, turned), item.id.to_string())
            };
            prop_assert!(whole.hits.is_sorted_by(|a, b| key(a) < key(b)), "a total order: {:?}", ids(&whole.hits));
            for hit in &whole.hits {
                // No other variant of the product comes before the one that stands for it.
                let of = |id: &str| catalogue.facts.items.get(id).unwrap();
                let product = catalogue.shop().product(of(&hit.id.to_string()));
                let own = item(hit);
                for other in catalogue.facts.entries().iter().filter(|entry| entry.can_be_shown()) {
                    let is_variant = catalogue.shop().product(of(other.item.id.as_str())) == product;
                    let price = |item: &Item| item.price.map_or(f64::MAX, turned);
                    prop_assert!(!is_variant || price(&described(other.item.id.as_str())) >= price(&own));
                }
            }
            for n in [1, 3, 7] {
                let pages = (0..whole.total).step_by(n);
                let pages = pages.flat_map(|offset| catalogue.page("mug", None, &[], sort, (offset, n)).hits);
                prop_assert_eq!(pages.collect::<Vec<_>>(), whole.hits.clone());
            }
            prop_assert!(catalogue.page("mug", None, &[], sort, (10_000, 10)).hits.is_empty());
        }
    }
}

#[test]
fn hits_are_sorted_by_any_field_and_equal_ones_by_the_next() {
    let rated = |id, title: &str, rating: Option<f64>| {
        mug(id, |item| {
            item.title = Some(format!("{title} mug").into());
            item.attributes.extend(rating.map(|rating| ("rating".into(), Attribute::Number(rating))));
            item.published_at = Some(Timestamp(1_000 * id as i64));
        })
    };
    let catalogue = Catalogue::new(&[
        rated(0, "zebra", Some(3.0)),
        rated(1, "Éclair", Some(5.0)),
        rated(2, "apple", None),
        rated(3, "egg", Some(3.0)),
        rated(4, "Fan", Some(3.0)),
    ]);
    let order = |sort| ids(&catalogue.search("mug", None, &[], sort).hits).join(" ");
    assert_eq!(order("title"), "m2 m1 m3 m4 m0", "without case and marks");
    assert_eq!(order("title:desc"), "m0 m4 m3 m1 m2");
    assert_eq!(order("attributes.rating:desc"), "m1 m0 m3 m4 m2", "equal ones by id, what lacks it last");
    assert_eq!(order("rating:asc,title:desc"), "m0 m4 m3 m1 m2");
    assert_eq!(order("published_at"), "m4 m3 m2 m1 m0", "the newest first");
    assert_eq!(order("popularity,id:desc"), order("popularity:desc,id:desc"));
    assert_eq!(order("relevance"), order(""));
}

#[test]
fn hits_in_an_order_are_those_of_the_order_by_score() {
    let named =
        |id, title: &str, price| mug(id, |item| (item.title, item.price) = (Some(title.into()), Price::new(price)));
    let catalogue = Catalogue::new(&[
        named(0, "red mug", 9.0),
        named(1, "red spoon", 1.0),
        named(2, "blue mug", 2.0),
        named(3, "red mug, large", 5.0),
    ]);
    let answer = catalogue.search("red mug", None, &["price"], "price:asc");
    assert_eq!((ids(&answer.hits), answer.total), (vec!["m3", "m0"], 2));
    assert_eq!(answer.total, catalogue.search("red mug", None, &[], "").total);
    assert_eq!(answer.facets[0].numbers.as_ref().unwrap().min, Some(5.0), "counts are those of the hits");
    let answer = catalogue.search("green mug", None, &[], "price:asc");
    assert_eq!(ids(&answer.hits), ["m2", "m3", "m0"], "no item is green");
}

#[test]
fn a_search_without_words_lists_a_category_without_incomplete_items() {
    let shop = Fixture::new(Size::default());
    let filter = Filter::parse("category:category1").unwrap();
    let answer = search(&shop, "", |request| {
        (request.filter, request.n, request.personalisation) = (Some(filter), 1000, 0.0);
        request.facets = vec![shop.shop().facet("category").unwrap()];
    });
    let standing = |hit: &Recommended| shop.shop().standing(shop.facts.items.get(hit.id.as_str()).unwrap());
    assert!(answer.total > 100 && answer.hits.is_sorted_by(|a, b| standing(a) >= standing(b)));
    assert_eq!(answer.facets[0].values.len(), 4, "the other categories can be chosen");
    let own = answer.facets[0].values.iter().find(|value| &*value.value == "category1").unwrap();
    assert_eq!(own.count, answer.total);

    let free = mug(0, |item| item.price = Price::new(0.0));
    let catalogue = Catalogue::new(&[free, mug(1, |item| item.price = Price::new(5.0))]);
    assert_eq!(catalogue.search("", None, &[], "").total, 1);
    let found = catalogue.search("mug", None, &[], "");
    assert_eq!(found.total, 2);
    assert_eq!(found.hits[0].id.as_str(), "m1", "what costs nothing is found, and behind all others: {found:?}");
}

#[test]
fn names_that_no_item_has_are_refused_with_near_ones() {
    let coloured = mug(0, |item| drop(item.attributes.insert("colour".into(), Attribute::Text("red".into()))));
    let catalogue = Catalogue::new(&[coloured]);
    let shop = catalogue.shop();
    let near = |name: &str| match shop.facet(name) {
        Err(FacetError::Unknown(unknown)) => unknown.near.join(" "),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        (near("categories"), near("color"), near("vendor")),
        ("category".into(), "colour".into(), "brand".into())
    );
    assert_eq!(near("titel"), "", "a title cannot be counted, so it is not offered");
    assert!(matches!(shop.facet("title"), Err(FacetError::NotCounted(_))));
    assert!(
        shop.facet(" colour ").is_ok()
            && shop.facet("attributes.colour").is_ok()
            && shop.facet("attributes.brand").is_err()
    );

    let fault = |sort: &str| shop.sort(sort.split(',')).unwrap_err().to_string();
    assert!(fault("prize:asc").contains("did you mean price?"), "{}", fault("prize:asc"));
    assert!(fault("title:up").contains("asc or desc"));
    for (written, meant) in [
        ("-price", "price:desc"),
        ("+price", "price:asc"),
        ("price desc", "price:desc"),
        ("published_at_DESC", "published_at:desc"),
        ("price-asc", "price:asc"),
        ("desc(colour)", "colour:desc"),
        ("price,desc", "price:desc"),
    ] {
        assert!(fault(written).ends_with(&format!("write {meant}")), "{}", fault(written));
    }
    assert!(!fault("-prize").contains("write"), "{}", fault("-prize"));
    assert_eq!(shop.sort(["relevance", "price"]).unwrap_err(), SortError::Relevance);
    assert_eq!(shop.sort(["price"; 5]).unwrap_err(), SortError::TooMany);
    assert_eq!(shop.sort(["", " "]).unwrap(), None);
}

proptest! {
    #[test]
    fn no_name_of_a_facet_or_order_panics(text in ".{0,80}", other in "[a-z:,. é]{0,30}") {
        let catalogue = Catalogue::new(&[mug(0, |_| {})]);
        for text in [&text, &other] {
            let _ = catalogue.shop().facet(text);
            let _ = catalogue.shop().sort(text.split(','));
        }
    }
}
