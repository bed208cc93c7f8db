//! Tests of whole verdicts: each rule through one function, and the promises that every accepted event keeps.

use proptest::prelude::*;

use super::text::{Lines, is_clean};
use super::*;
use crate::{Attribute, Price, RawValue};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T10:00:00Z").unwrap()
}

pub(super) fn check_by(toml: &str) -> Check {
    Check::new(toml::from_str(toml).unwrap(), RuleStatistics::default()).unwrap()
}

fn raw(json: &str) -> RawEvent {
    serde_json::from_str(json).unwrap()
}

/// An event with these fields, in addition to a type, a user, an item and a time.
fn with(fields: &str) -> RawEvent {
    raw(&format!(r#"{{"type":"view","user":"u1","item":"mug","at":"2026-11-20T10:00:00Z",{fields}}}"#))
}

/// The codes of a verdict: those of its repairs, or that of its reason.
fn codes(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(_) => "accepted".to_owned(),
        Outcome::Repaired(_, repairs) => repairs.iter().map(Repair::code).collect::<Vec<_>>().join(" "),
        Outcome::Quarantined(rejection) => format!("! {}", rejection.reason),
    }
}

fn fact(outcome: Outcome) -> Event {
    match outcome {
        Outcome::Accepted(event) | Outcome::Repaired(event, _) => event,
        Outcome::Quarantined(rejection) => panic!("{rejection}"),
    }
}

#[test]
fn each_rule_returns_its_code() {
    let check = check_by("types = { share = 1 }\naliases = { teilen = 'share' }");
    let cases = [
        (r#""value":2"#, "accepted"),
        (r#""type":" View""#, "type_alias"),
        (r#""type":"add-to-cart""#, "type_alias"),
        (r#""type":"share""#, "accepted"),
        (r#""type":"Teilen""#, "type_alias"),
        (r#""type":"jump""#, "! unknown_type"),
        (r#""type":"""#, "! no_type"),
        (r#""type":null"#, "! no_type"),
        (r#""type":3"#, "! bad_type"),
        (r#""user":null"#, "! no_shopper"),
        (r#""user":" ""#, "! no_shopper"),
        (r#""user":"","session":"s1""#, "accepted"),
        (r#""user":13085"#, "text_from_number"),
        (r#""user":13085.0"#, "text_from_number"),
        (r#""user":1.5"#, "! bad_id"),
        (r#""user":true"#, "! bad_id"),
        (r#""item":["mug"]"#, "! bad_id"),
        (r#""item":{"id":"mug"}"#, "! bad_id"),
        (r#""item":null"#, "! no_item"),
        (r#""item":" mug ""#, "trimmed"),
        (r#""item":"mu\u0000g""#, "control_removed"),
        (r#""item":"cafe\u0301""#, "nfc"),
        (r#""type":"search","item":null,"query":"red mug""#, "accepted"),
        (r#""type":"search","item":null"#, "! no_query"),
        (r#""type":"search","query":["red"]"#, "! no_query"),
        (r#""query":["red"]"#, "field_dropped"),
        (r#""at":"soon""#, "! bad_time"),
        (r#""at":[1]"#, "! bad_time"),
        (r#""at":null"#, "at_filled"),
        (r#""at":"0001-01-01T00:00:00Z""#, "! far_past"),
        (r#""at":"9999-12-31T23:59:59Z""#, "! far_future"),
        (r#""at":"2026-11-21T11:00:00Z""#, "at_clamped"),
        (r#""at":881250949"#, "accepted"),
        (r#""value":"4.5""#, "number_from_text"),
        (r#""value":"NaN""#, "! bad_value"),
        (r#""value":1e39"#, "! bad_value"),
        (r#""value":true"#, "! bad_value"),
        (r#""type":"rating","value":4"#, "accepted"),
        (r#""type":"rating""#, "! no_value"),
        (r#""quantity":0"#, "! bad_quantity"),
        (r#""quantity":1.5"#, "quantity_rounded"),
        (r#""quantity":"0,350 kg""#, "number_from_text quantity_rounded"),
        (r#""quantity":"NaN""#, "! bad_quantity"),
        (r#""quantity":"many""#, "! bad_quantity"),
        (r#""quantity":-1"#, "! bad_quantity"),
        (r#""quantity":100001"#, "! absurd_quantity"),
        (r#""quantity":1e300"#, "! absurd_quantity"),
        (r#""type":"purchase","price":1,"quantity":-3"#, "return_from_negative_quantity"),
        (r#""type":"return","price":1,"quantity":-3"#, "quantity_sign"),
        (r#""price":0"#, "accepted"),
        (r#""price":-1"#, "! bad_price"),
        (r#""price":"9.99""#, "number_from_text"),
        (r#""price":"9,99 €""#, "number_from_text"),
        (r#""price":"1,234""#, "! bad_price"),
        (r#""price":"1.234""#, "! bad_price"),
        (r#""price":1.234"#, "accepted"),
        (r#""price":"150.000 ₫""#, "number_from_text"),
        (r#""price":"inf""#, "! bad_price"),
        (r#""price":1e39"#, "! bad_price"),
        (r#""position":-1"#, "field_dropped"),
        (r#""position":3"#, "accepted"),
        (r#""colour":"red","size":38,"new":true,"tags":["a","b"]"#, "accepted"),
        (r#""place":{"x":1}"#, "property_dropped"),
        (r#""user":"13085.0""#, "id_repaired"),
        (r#""item":"8.71E+12""#, "! bad_id"),
        (r#""item":"4,00638e+12""#, "! bad_id"),
        (r#""item":"1E5""#, "accepted"),
        (r#""item":"2.50""#, "accepted"),
        (r#""user":"undefined""#, "! no_shopper"),
        (r#""user":"undefined","session":"s1""#, "placeholder_id"),
        (r#""user":"u1","session":"[object Object]""#, "placeholder_id"),
        (r#""item":"null""#, "! no_item"),
        (r#""id":"undefined""#, "placeholder_id"),
        (r#""tags":[["a"]]"#, "property_dropped"),
    ];
    for (fields, expected) in cases {
        // Of several fields with one name the last is used, so a case overrides the common fields.
        assert_eq!(codes(&check.judge(&with(fields), now(), |_| None)), expected, "{fields}");
    }
}

#[test]
fn what_programs_write_in_place_of_an_id_is_no_id() {
    let check = check_by("");
    let user = |id: &str| fact(check.judge(&with(&format!(r#""session":"s1","user":{id:?}"#)), now(), |_| None)).user;
    let placeholders = [
        "undefined",
        "null",
        "NULL",
        "(not set)",
        "NaN",
        "None",
        "nil",
        "N/A",
        "#N/A",
        "[object Object]",
        "<NA>",
        "''",
        "00000000-0000-0000-0000-000000000000",
        "00000000000000000000000000000000",
        "{{ customer.id }}",
        "${userId}",
        "-",
        "anonymous",
        "guest",
        "(other)",
        "  undefined ",
        "{user_id}",
        "%USER_ID%",
        "<user_id>",
        "d41d8cd98f00b204e9800998ecf8427e",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ];
    for id in placeholders {
        assert_eq!(user(id), None, "{id}");
    }
    for id in [
        "u1",
        "nulla",
        "Nan-a",
        "0",
        "none-7",
        "guest-17",
        "undefined2",
        "(x)",
        "00000000-0000-0000-0000-000000000001",
        "{7f-1}",
        "100%",
    ] {
        assert_eq!(user(id).unwrap().as_str(), id);
    }
    let item = check.judge_item(&serde_json::from_str(r#"{"id":"undefined","title":"Mug"}"#).unwrap());
    assert_eq!(item.unwrap_err().reason, Reason::NoId);
    // An article may be called so; a shopper may not.
    let item = check.judge_item(&serde_json::from_str(r#"{"id":"guest","title":"Towel"}"#).unwrap());
    assert_eq!(item.unwrap().0.id.as_str(), "guest");
}

#[test]
fn a_time_under_another_name_is_the_events_time() {
    let check = check_by("");
    let judge = |fields: &str| {
        check.judge(&raw(&format!(r#"{{"type":"view","user":"u1","item":"mug",{fields}}}"#)), now(), |_| None)
    };
    let at = Timestamp::parse("2019-03-01T10:00:00Z").unwrap();
    let aliases = [
        r#""timestamp":"2019-03-01T10:00:00Z""#,
        r#""timestamp":1551434400"#,
        r#""AT":"2019-03-01T10:00:00Z""#,
        r#"" at":"2019-03-01T10:00:00Z""#,
        r#""server_ts":1551434400"#,
        r#""eventTime":1551434400000"#,
        r#""event_timestamp":1551434400000000,"event_date":"20190302""#,
        r#""Created-At":"2019-03-01T11:00:00+01:00""#,
        r#""properties":{"ts":1551434400}"#,
        r#""datum":"2019-03-01T10:00:00Z""#,
        r#""zeit":1551434400"#,
        r#""at":null,"time":"2019-03-01 10:00:00 UTC","colour":"red""#,
        r#""at":"","order_date":"2019-03-01T10:00:00[UTC]""#,
    ];
    for fields in aliases {
        let outcome = judge(fields);
        assert!(codes(&outcome).contains("time_alias"), "{fields}");
        let event = fact(outcome);
        assert_eq!(event.at, at, "{fields}");
        assert!(!event.properties.keys().any(|name| name.contains("time")), "{fields}");
    }
    for fields in [
        r#""timestamp":"soon""#,
        r#""when_seen_time":"2019-03-01T10:00:00Z""#,
        r#""zeitstempel_time":1551434400"#,
        r#""moment":1551434400"#,
    ] {
        assert_eq!(codes(&judge(fields)), "! bad_time", "{fields}");
    }
    // Other times of an event's item or shopper do not say when the event happened.
    for fields in [
        r#""delivery_date":"2026-12-24""#,
        r#""lieferdatum":"2026-12-24""#,
        r#""published_at":"2019-03-01""#,
        r#""mealtime":"noon""#,
        r#""times":3"#,
    ] {
        assert_eq!(codes(&judge(fields)), "at_filled", "{fields}");
    }
    let both = fact(judge(r#""at":"2019-03-01T10:00:00Z","timestamp":"2018-01-01T00:00:00Z""#));
    assert_eq!((both.at, both.properties.len()), (at, 1));
}

#[test]
fn the_names_of_tracking_vocabularies_are_known() {
    let check = check_by("");
    let cases = [
        ("impression", "Product List Viewed|collection_viewed|view_item_list|list_view"),
        (
            "view",
            "Product Viewed|product_viewed|ViewContent|view_item|Viewed Product|detail-view|fb_mobile_content_view|pageVisit",
        ),
        ("click", "Product Clicked|select_item|list_click|clickedObjectIDs"),
        ("favorite", "Product Added to Wishlist|AddToWishlist|add_to_wishlist|thumbs-up"),
        (
            "cart",
            "Product Added|product_added_to_cart|AddToCart|add_to_cart|Added to Cart|InitiateCheckout|checkout_started",
        ),
        (
            "purchase",
            "Order Completed|checkout_completed|Purchase|purchase|Placed Order|orders/create|purchasedObjectIDs|transaction",
        ),
        ("return", "Order Refunded|refund|Order Cancelled|refunds/create"),
        ("rating", "Product Reviewed|rate"),
        ("search", "Products Searched|search_submitted|view_search_results|Search"),
        ("dislike", "not interested|thumbs_down|dismiss|Product Dismissed|block|rejected"),
    ];
    for (expected, names) in cases {
        for name in names.split('|') {
            let fields = format!(r#""type":{name:?},"query":"mug","value":1"#);
            assert_eq!(fact(check.judge(&with(&fields), now(), |_| None)).event_type.name(), expected, "{name}");
        }
    }
    assert_eq!(codes(&check.judge(&with(r#""type":"Promotion Viewed""#), now(), |_| None)), "! unknown_type");
    for removed in ["remove_from_cart", "Product Removed", "removedFromCart"] {
        let Outcome::Quarantined(rejection) = check.judge(&with(&format!(r#""type":"{removed}""#)), now(), |_| None)
        else {
            panic!("{removed}")
        };
        assert!(rejection.detail.contains("nothing takes an item out of the cart"), "{removed}: {}", rejection.detail);
    }
}

#[test]
fn long_texts_are_cut_and_long_ids_refused() {
    let check = check_by("");
    let long = "x".repeat(10 << 20);
    let verdict =
        |name: &str, text: &str| codes(&check.judge(&with(&format!(r#""{name}":"{text}""#)), now(), |_| None));
    assert_eq!(verdict("user", &long), "! id_too_long");
    assert_eq!(verdict("item", &long[..257]), "! id_too_long");
    assert_eq!(verdict("item", &long[..256]), "accepted");
    assert_eq!(verdict("id", &long), "! id_too_long");
    assert_eq!(verdict("type", &long), "! unknown_type");
    assert_eq!(verdict("at", &long), "! bad_time");
    assert_eq!(verdict("price", &long), "! bad_price");
    assert_eq!(verdict("query", &long), "truncated");
    assert_eq!(verdict("source", &long), "truncated");
    assert_eq!(verdict("note", &long), "truncated");
    assert_eq!(verdict(&long, "note"), "truncated");
    let Outcome::Quarantined(rejection) = check.judge(&with(&format!(r#""at":"{long}""#)), now(), |_| None) else {
        panic!("a long text is not a time");
    };
    assert!(rejection.detail.len() < 200, "{} bytes of detail", rejection.detail.len());
}

#[test]
fn a_clean_event_is_accepted_as_it_was_sent() {
    let sent = r#"{"id":"e1","type":"view","user":"u1","item":"sku-9","at":"2026-11-21T10:00:00Z","session":"s1","value":1,
        "quantity":1,"price":9.9,"query":"red mug","source":"web","recommendation_id":"r1","position":3,"properties":{"size":38}}"#;
    let Outcome::Accepted(event) = check_by("").judge(&raw(sent), now(), |_| None) else {
        panic!("the event is clean")
    };
    assert_eq!(event, serde_json::from_str(sent).unwrap());
}

#[test]
fn a_missing_price_is_filled_from_the_most_specific_source() {
    let mut check = check_by("min_prices = 2");
    let buy = |item: &str| raw(&format!(r#"{{"type":"purchase","user":"u","item":"{item}","at":0.8e9}}"#));
    let mug = |price| move |_: &ItemId| Some(KnownItem { price, category: Some("mugs") });
    let verdict = |check: &Check, price| {
        let outcome = check.judge(&buy("mug"), now(), mug(price));
        (codes(&outcome), fact(outcome).price)
    };
    assert_eq!(verdict(&check, None), ("accepted".into(), None));
    for (price, category) in [(1.0, "plates"), (1.0, "plates"), (4.0, "mugs")] {
        let event = fact(check.judge(&with(&format!(r#""price":{price}"#)), now(), |_| None));
        check.observe(&event, Some(KnownItem { price: None, category: Some(category) }));
    }
    let near = |price: Option<Price>, expected: f32| {
        assert!((price.unwrap().to_f32() / expected - 1.0).abs() < 0.02, "{price:?}");
    };
    let (code, price) = verdict(&check, None);
    assert_eq!(code, "price_from_catalogue");
    near(price, 1.0);
    let event = fact(check.judge(&with(r#""price":4"#), now(), |_| None));
    check.observe(&event, Some(KnownItem { price: None, category: Some("mugs") }));
    let (code, price) = verdict(&check, None);
    assert_eq!(code, "price_from_category");
    near(price, 4.0);
    let known = Price::new(3.5);
    assert_eq!(verdict(&check, known), ("price_from_item".into(), known));
    assert_eq!(codes(&check.judge(&with(r#""value":1"#), now(), mug(known))), "accepted", "a view needs no price");
    let off = check_by("fill_price = false");
    assert_eq!(verdict(&off, known), ("accepted".into(), None));
}

#[test]
fn outliers_are_rejected_only_after_enough_observations() {
    let run = |action: &str| {
        let mut check = check_by(&format!("outliers = {{ action = '{action}', min_observations = 100 }}"));
        let known = |_: &ItemId| Some(KnownItem { price: Price::new(2.0), category: None });
        let many = with(r#""type":"purchase","price":2,"quantity":50000"#);
        let dear = with(r#""type":"purchase","price":200000"#);
        assert_eq!(codes(&check.judge(&many, now(), known)), "accepted", "too few observations");
        for _ in 0..100 {
            let event = fact(check.judge(&with(r#""type":"purchase","price":2,"quantity":12"#), now(), known));
            check.observe(&event, known(&ItemId::from("mug")));
        }
        let verdicts = [check.judge(&many, now(), known), check.judge(&dear, now(), known)];
        verdicts.map(|verdict| codes(&verdict))
    };
    assert_eq!(run("quarantine"), ["! quantity_outlier", "! price_outlier"]);
    assert_eq!(run("clamp"), ["outlier_clamped", "outlier_clamped"]);
    assert_eq!(run("off"), ["accepted", "accepted"]);
}

#[test]
fn a_bot_is_rejected_and_a_wholesaler_is_not() {
    let n_accepted = |event_type: &str, n: usize, seconds_apart: usize| {
        let mut check = check_by("");
        let mut n_accepted = 0;
        for idx in 0..n {
            let at = 1_700_000_040 + idx * seconds_apart;
            let fields = format!(r#""type":"{event_type}","at":{at},"value":1,"price":1"#);
            match check.judge(&with(&fields), now(), |_| None) {
                Outcome::Quarantined(rejection) => assert_eq!(rejection.reason, Reason::BotRate),
                outcome => {
                    check.observe(&fact(outcome), None);
                    n_accepted += 1;
                }
            }
        }
        n_accepted
    };
    assert_eq!(n_accepted("view", 1000, 0), 600);
    assert_eq!(n_accepted("view", 1000, 1), 1000);
    assert_eq!(n_accepted("impression", 1000, 0), 1000);
    assert_eq!(n_accepted("purchase", 1000, 0), 1000);
}

#[test]
fn the_rate_of_one_shopper_does_not_count_for_another() {
    let mut check = check_by("rates = { actions = 2 }");
    for user in 0..1000 {
        for _ in 0..2 {
            let event = fact(check.judge(&with(&format!(r#""user":"u{user}""#)), now(), |_| None));
            check.observe(&event, None);
        }
    }
    let verdict = |user: &str| codes(&check.judge(&with(&format!(r#""user":"{user}""#)), now(), |_| None));
    assert_eq!([verdict("u999"), verdict("u1000")], ["! bot_rate", "accepted"]);
}

#[test]
fn statistics_resume_from_their_bytes_as_if_never_stopped() {
    let events: Vec<Event> = (0..500)
        .map(|idx| {
            let fields =
                format!(r#""type":"purchase","user":"u{}","price":{},"quantity":{}"#, idx % 7, idx % 13, 1 + idx % 50);
            fact(check_by("").judge(&with(&fields), now(), |_| None))
        })
        .collect();
    let item = Some(KnownItem { price: Price::new(3.0), category: Some("mugs") });
    let fold = |statistics: &mut RuleStatistics, events: &[Event]| {
        events.iter().for_each(|event| statistics.observe(event, item));
    };
    let mut whole = RuleStatistics::default();
    fold(&mut whole, &events);
    let mut half = RuleStatistics::default();
    fold(&mut half, &events[..250]);
    let bytes = postcard::to_stdvec(&half).unwrap();
    let mut resumed: RuleStatistics = postcard::from_bytes(&bytes).unwrap();
    fold(&mut resumed, &events[250..]);
    assert_eq!(postcard::to_stdvec(&resumed).unwrap(), postcard::to_stdvec(&whole).unwrap());
    assert_eq!(serde_json::from_str::<RuleStatistics>(&serde_json::to_string(&whole).unwrap()).unwrap(), whole);
}

fn any_value() -> impl Strategy<Value = RawValue> {
    let words = ["", " ", "view", "Buy", "search", "rating", "mug", "u1", "-3", "1e400", "NaN", "2009-12-01 07:45:00"];
    let leaf = prop_oneof![
        Just(RawValue::Null),
        any::<bool>().prop_map(RawValue::Bool),
        any::<i64>().prop_map(RawValue::Int),
        (-3i64..2_000_000_000).prop_map(RawValue::Int),
        any::<f64>().prop_map(RawValue::Float),
        prop::sample::select(words.to_vec()).prop_map(RawValue::text),
        ".{0,20}".prop_map(RawValue::text),
        "[ -~\\u{300}-\\u{303}a]{0,300}".prop_map(RawValue::text),
        Just(RawValue::Other("{}".into())),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(RawValue::List))
}

fn any_raw() -> impl Strategy<Value = RawEvent> {
    let changes = prop::collection::vec((0..RawEvent::FIELDS.len(), any_value()), 0..5);
    let rest = prop::collection::vec((".{0,8}", any_value()), 0..4);
    (changes, rest).prop_map(|(changes, rest)| {
        let mut raw = with(r#""value":1"#);
        for (idx, value) in changes {
            raw.set(RawEvent::FIELDS[idx], value);
        }
        raw.properties = rest.into_iter().map(|(name, value)| (name.into(), value)).collect();
        raw
    })
}

/// The promises of an event.
fn assert_invariants(event: &Event, settings: &CheckSettings) {
    let ids = [
        Some(event.id.as_str()),
        event.user.as_ref().map(|id| id.as_str()),
        event.session.as_ref().map(|id| id.as_str()),
        event.item.as_ref().map(|id| id.as_str()),
        event.recommendation_id.as_deref(),
        event.source.as_deref(),
    ];
    for id in ids.into_iter().flatten() {
        assert!(is_clean(id, Lines::Join) && id.len() <= settings.max_id_bytes, "{id:?}");
    }
    assert!(event.user.is_some() || event.session.is_some());
    match event.event_type {
        EventType::Search => assert!(event.query.is_some()),
        _ => assert!(event.item.is_some()),
    }
    assert!(event.value.is_finite() && event.quantity >= 1 && event.quantity <= settings.max_quantity);
    assert!(event.query.as_ref().is_none_or(|query| is_clean(query, Lines::Join) && query.len() <= 1024));
    assert!(event.at >= settings.oldest_at && event.at.0 <= now().0 + 300_000);
    for (name, attribute) in &event.properties {
        assert!(is_clean(name, Lines::Join));
        match attribute {
            Attribute::Number(number) => assert!(number.is_finite()),
            Attribute::Text(text) => assert!(is_clean(text, Lines::Keep)),
            Attribute::List(texts) => assert!(texts.iter().all(|text| is_clean(text, Lines::Keep))),
            Attribute::Bool(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn accepted_events_keep_the_promises_of_an_event(raw in any_raw()) {
        let mut check = check_by("");
        if let Outcome::Accepted(event) | Outcome::Repaired(event, _) = check.judge(&raw, now(), |_| None) {
            assert_invariants(&event, check.settings());
            check.observe(&event, None);
            // An accepted event is clean: sent again, it is accepted unchanged.
            let again = serde_json::from_value(serde_json::to_value(&event).unwrap()).unwrap();
            prop_assert_eq!(check.judge(&again, now(), |_| None), Outcome::Accepted(event));
        }
        prop_assert!(serde_json::from_str::<RawEvent>(&raw.to_json()).is_ok());
    }

    #[test]
    fn every_json_object_gets_a_verdict(json in "\\{(\"(type|user|item|at|price|x)\":([0-9]{1,25}|\"[^\"\\\\]{0,9}\"|\\[1,\"a\"\\]|null|\\{\\}),){0,5}\"type\":\"view\"\\}") {        let is_json = serde_json::from_str::<serde_json::Value>(&json).is_ok();
        let raw = serde_json::from_str::<RawEvent>(&json);
        prop_assert_eq!(raw.is_ok(), is_json);
        let Ok(raw) = raw else { return Ok(()) };
        let check = check_by("");
        match check.judge(&raw, now(), |_| None) {
            Outcome::Accepted(event) | Outcome::Repaired(event, _) => assert_invariants(&event, check.settings()),
            Outcome::Quarantined(rejection) => {
                prop_assert!(Reason::ALL.contains(&rejection.reason), "{rejection}");
                prop_assert!(rejection.detail.len() < 200, "{rejection}");
            }
        }
    }
}
