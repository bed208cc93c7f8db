use accrue_event::{Attribute, Item, Price, Timestamp};
use proptest::prelude::*;

use super::{Filter, FilterError, MAX_CONDITIONS, MAX_DEPTH, MAX_LEN, MAX_TEXTS, MAX_VALUES};

fn mug() -> Item {
    let mut item = Item::bare("SKU-7".into());
    item.title = Some("Red Café mug, 0.3 l".into());
    item.brand = Some("Acme".into());
    item.categories = vec!["Kitchen".into(), "Mugs & cups".into()];
    item.tags = vec!["gift".into()];
    item.price = Price::new(9.99);
    item.stock = Some(3);
    item.currency = Some("EUR".into());
    item.published_at = Timestamp::parse("2026-11-21T10:00:00Z");
    item.attributes.insert("colour".into(), Attribute::Text("Red".into()));
    item.attributes.insert("litres".into(), Attribute::Number(0.3));
    item.attributes.insert("dishwasher".into(), Attribute::Bool(true));
    item.attributes.insert("sizes".into(), Attribute::List(vec!["S".into(), "XL".into()]));
    item.attributes.insert("price".into(), Attribute::Text("on request".into()));
    item
}

#[test]
fn own_fields_may_be_in_any_case() {
    for (text, canonical) in [("Category:mugs", "category:mugs"), ("TAG:red", "tag:red"), ("Price:1..2", "price:1..2")]
    {
        assert_eq!(Filter::parse(text), Filter::parse(canonical), "{text}");
    }
    let attribute = Filter::parse("attributes.tag:red").unwrap();
    assert_eq!(
        (attribute.to_string().as_str(), Filter::parse("tag:red") == Ok(attribute)),
        ("attributes.tag:red", false)
    );
}

#[test]
fn names_and_values_are_composed_and_trimmed_as_those_of_records() {
    let composed = Filter::parse("größe:L");
    for text in ["gro\u{308}ße:L", "\" größe \":\" L \"", "attributes.gro\u{308}ße:l"] {
        assert_eq!(Filter::parse(text), composed, "{text}");
    }
    check("category:\" Kitchen \"", true);
    for text in ["category:\"Mugs &amp; cups\"", "category:\"Mugs & cups\""] {
        check(text, true);
    }
}

fn check(text: &str, expected: bool) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(filter.matches(&mug()), expected, "{text} read as {filter}");
    assert_eq!(Filter::parse(&filter.to_string()).as_ref(), Ok(&filter), "{text} printed as {filter}");
}

#[test]
fn filters_match_what_they_say() {
    for text in [
        "price:9.99",
        "price:9.99..9.99",
        "price:..10 AND price:5..",
        "price>=9.99",
        "price<10",
        "price > 9",
        "price:(1..2 OR 9..11)",
        "stock:3",
        "brand:acme",
        "brand:(Bolt OR ACME)",
        "category:\"mugs & cups\"",
        "category:kitchen",
        "tag:gift",
        "id:sku-7",
        "currency:eur",
        "available:true",
        "title:CAFÉ",
        "title:\"cafe\u{301} mug\"",
        "published_at:2026-11-21",
        "published_at:2026-11-01..2026-11-21",
        "published_at<=2026-11-21",
        "published_at>2026-11-21T09:59:59Z",
        "published_at:2026-11-21T12:00:00+02:00",
        "colour:red",
        "attributes.colour:RED",
        "litres:0.1..0.5",
        "litres:0.30",
        "dishwasher:true",
        "sizes:xl",
        "attributes.price:\"on request\"",
        "not colour:blue",
        "NOT parent:x",
        "NOT depth:1..2",
        "price:10..20 OR brand:acme AND NOT category:used",
        "NOT (brand:bolt OR price:10..)",
        "((brand:acme))",
    ] {
        check(text, true);
    }
    for text in [
        "price:10..20",
        "price>9.99",
        "stock<3",
        "parent:x",
        "locale:de",
        "available:false",
        "published_at>2026-11-21",
        "published_at<2026-11-21",
        "colour:1..2",
        "litres:0.4..",
        "sizes:m",
        "depth:1",
        "NOT brand:acme",
        "(price:10..20 OR brand:acme) AND category:used",
    ] {
        check(text, false);
    }
}

#[test]
fn printing_is_canonical() {
    for (text, canonical) in [
        ("  brand : Acme   and not( tag:x )", "brand:acme AND NOT tag:x"),
        ("a:1 AND (b:2 AND (c:3))", "a:1 AND b:2 AND c:3"),
        ("a:1 AND (b:2 OR c:3)", "a:1 AND (b:2 OR c:3)"),
        ("price>=10", "price:10.."),
        ("price<=1e300", "price:..1e300"),
        ("price>-0", "price>0"),
        ("title:\"Say \\\"hi\\\"\"", "title:\"say \\\"hi\\\"\""),
        ("attributes.brand:x", "attributes.brand:x"),
        ("attributes.size:x", "size:x"),
        ("\"OR\":\"and\"", "\"OR\":\"and\""),
        ("or:and", "\"or\":\"and\""),
        ("published_at:2026-11-21..", "published_at:2026-11-21.."),
    ] {
        assert_eq!(Filter::parse(text).map(|filter| filter.to_string()).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, position, expected) in [
        ("", 0, "the name of a field"),
        ("brand", 5, "':'"),
        ("brand:", 6, "a value"),
        ("brand:acme colour:red", 11, "AND, OR or the end"),
        ("brand:acme AND", 14, "the name of a field"),
        ("(brand:acme", 11, "closing parenthesis"),
        ("brand:(a b)", 9, "OR or the closing"),
        ("price:cheap", 6, "a number"),
        ("price:1..x", 9, "a number"),
        ("price:2..1", 6, "smaller end"),
        ("price:..", 8, "a number"),
        ("price:nan", 6, "a number"),
        ("brand:a..b", 6, "a text"),
        ("brand>a", 6, "a text"),
        ("published_at:monday", 13, "a day"),
        ("published_at:2026-02-30", 13, "a day"),
        ("available:maybe", 10, "true or false"),
        ("tïtle:\"abc", 10, "a closing quote"),
        ("title:\"a\\n\"", 8, "\\\""),
        ("attributes.:x", 0, "the name of a field"),
        ("\"\":x", 0, "the name of a field"),
    ] {
        match Filter::parse(text) {
            Err(FilterError::Unexpected { position: p, expected: e, .. }) => {
                assert!(p == position && e.contains(expected), "{text}: {e} at {p}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |n: usize| format!("{}a:1{}", "(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&deep(MAX_DEPTH - 1)).is_ok());
    assert_eq!(Filter::parse(&deep(MAX_DEPTH)), Err(FilterError::TooDeep { position: MAX_DEPTH }));
    assert!(matches!(Filter::parse(&"NOT ".repeat(1000)), Err(FilterError::TooDeep { .. })));
    assert_eq!(Filter::parse(&"x".repeat(MAX_LEN + 1)), Err(FilterError::TooLong));
    let sought = |n: usize| (0..n).map(|n| format!("description:a{n}")).collect::<Vec<_>>().join(" OR ");
    assert!(Filter::parse(&sought(MAX_TEXTS)).is_ok());
    assert_eq!(Filter::parse(&sought(MAX_TEXTS + 1)), Err(FilterError::TooManyTexts));
    let long = vec!["a:1"; MAX_LEN / 8].join(" AND ");
    assert!(Filter::parse(&long).is_ok());
}

#[test]
fn conditions_and_values_of_a_request_are_bounded_and_those_of_stored_filters_are_read() {
    let conditions = |n: usize| (0..n).map(|n| format!("a{n}:1")).collect::<Vec<_>>().join(" AND ");
    assert!(Filter::of_request(&conditions(MAX_CONDITIONS)).is_ok());
    assert_eq!(Filter::of_request(&conditions(MAX_CONDITIONS + 1)), Err(FilterError::TooManyConditions));
    let told = FilterError::TooManyConditions.to_string();
    assert!(told.contains(&MAX_CONDITIONS.to_string()), "{told}");
    assert!(Filter::parse(&conditions(MAX_CONDITIONS + 1)).is_ok());
    for field in ["id", "brand", "size", "stock"] {
        let values = |n: usize| format!("{field}:({})", (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(" OR "));
        assert!(Filter::of_request(&values(MAX_VALUES)).is_ok(), "{field}");
        assert_eq!(Filter::of_request(&values(MAX_VALUES + 1)), Err(FilterError::TooManyValues), "{field}");
        assert!(Filter::parse(&values(MAX_VALUES + 1)).is_ok(), "{field}");
    }
    assert!(FilterError::TooManyValues.to_string().contains(&MAX_VALUES.to_string()));
}

#[test]
fn conditions_on_one_field_that_or_joins_are_one() {
    for (text, canonical) in [
        ("brand:a OR brand:B OR brand:c", "brand:(a OR b OR c)"),
        ("brand:a OR price:1..2 OR brand:b", "brand:(a OR b) OR price:1..2"),
        ("size:s OR (size:m OR size:l)", "size:(s OR m OR l)"),
        ("size:s OR size>3", "size:s OR size>3"),
        ("description:a OR description:b OR title:a", "description:(a OR b) OR title:a"),
        ("brand:a AND brand:b", "brand:a AND brand:b"),
        ("NOT brand:a OR brand:b", "NOT brand:a OR brand:b"),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.to_string(), canonical, "{text}");
        assert_eq!(Filter::parse(canonical).as_ref(), Ok(&filter), "{text}");
    }
    let ids = (0..MAX_CONDITIONS + 1).map(|n| format!("id:{n}")).collect::<Vec<_>>().join(" OR ");
    assert!(Filter::of_request(&ids).is_ok());
}

/// Texts made of the tokens that the parser knows, so that random ones are parsed deeply.
fn filter_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "AND",
            "or",
            "NOT",
            "(",
            ")",
            ":",
            "..",
            ">",
            "<=",
            "\"",
            "\\",
            " ",
            "price",
            "stock",
            "brand",
            "attributes.",
            "published_at",
            "available",
            "true",
            "10",
            "-0.5",
            "1e9",
            "2026-11-21",
            "2026-11-21T10:00:00Z",
            "Ärger",
            "İ",
            "手机",
            "e\u{301}",
            "ẞ",
            "Σ",
            "\u{2028}",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn test_text() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "brand",
        "title",
        "tag",
        "colour",
        "attributes.id",
        "\"a b\"",
        "\"attributes.attributes.x\"",
    ]);
    let value =
        prop_oneof!["[a-zA-ZÀ-ž0-9]([.]?[a-zA-Z0-9]){0,4}", ".{0,6}".prop_map(|text| format!("{:?}", Plain(text)))];
    let text = (name, prop::collection::vec(value, 1..4))
        .prop_map(|(name, values)| format!("{name}:({})", values.join(" OR ")));
    let number =
        (any::<f64>().prop_filter("finite", |n| n.is_finite()), prop::sample::select(vec![":", ">", "<", ">=", "<="]))
            .prop_map(|(n, sign)| format!("price{sign}{n:?}"));
    let day = (1..9999u32, 1..13u32, 1..29u32).prop_map(|(y, m, d)| format!("published_at:{y:04}-{m:02}-{d:02}.."));
    prop_oneof![text, number, day]
}

/// Quotes a text as the grammar requires.
struct Plain(String);

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn nested() -> impl Strategy<Value = String> {
    test_text().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner, 1..4).prop_map(|parts| format!("({})", parts.join(" or "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in prop_oneof![any::<String>(), filter_like()]) {
        if let Ok(filter) = Filter::parse(&text) {
            let _ = filter.matches(&mug());
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_filter(text in nested()) {
        match Filter::parse(&text) {
            Ok(filter) => {
                prop_assert_eq!(filter.matches(&mug()), Filter::parse(&filter.to_string()).unwrap().matches(&mug()));
                prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
            }
            Err(error) => prop_assert!(matches!(error, FilterError::TooLong), "{text}: {error}"),
        }
    }

    #[test]
    fn not_is_the_opposite(text in nested()) {
        if let (Ok(yes), Ok(no)) = (Filter::parse(&text), Filter::parse(&format!("NOT ({text})"))) {
            prop_assert_ne!(yes.matches(&mug()), no.matches(&mug()));
        }
    }
}
