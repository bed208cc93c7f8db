//! Tests of mappings: those of the examples, and the errors of invalid ones.

use super::*;
use crate::raw::RawEvent;
use crate::{RawValue, Reason};

fn retail() -> Mapping {
    toml::from_str(include_str!("../../../../examples/online-retail/mapping.toml")).unwrap()
}

const RETAIL_HEADER: [&str; 8] =
    ["invoice", "stock_code", "description", "quantity", "ts", "price", "customer_id", "country"];

fn map(mapping: &Mapping, header: &[&str], row: &[&str]) -> (String, Option<String>) {
    match mapping.bind(header).unwrap().apply(row) {
        Mapped::Event { event, item } => (event.to_json(), item.map(|item| item.to_json())),
        Mapped::Item(item) => (item.to_json(), None),
        Mapped::User(user) => (user.to_json(), None),
        Mapped::Quarantined { rejection, raw } => (rejection.to_string(), Some(raw.into())),
    }
}

#[test]
fn a_retail_line_becomes_a_purchase_and_describes_its_item() {
    let row = ["489434", "79323w", " WHITE LIGHTS", "12", "2009-12-01T07:45:00", "6.75", "13085", "United Kingdom"];
    let (event, item) = map(&retail(), &RETAIL_HEADER, &row);
    let expected = r#"{"type":"purchase","user":"13085","session":"489434","item":"79323W","at":"2009-12-01T07:45:00","quantity":12,"price":6.75,"source":"online-retail","properties":{"country":"United Kingdom"}}"#;
    assert_eq!(event, expected);
    assert_eq!(item.unwrap(), r#"{"id":"79323W","title":" WHITE LIGHTS","price":6.75,"currency":"GBP"}"#);
}

#[test]
fn retail_rules_make_returns_guests_and_refusals() {
    let line = |invoice, code, quantity, customer| {
        let row = [invoice, code, "nan", quantity, "2009-12-01T07:45:00", "6.75", customer, "France"];
        map(&retail(), &RETAIL_HEADER, &row)
    };
    let (returned, item) = line("C489434", "79323W", "-12", "");
    assert!(returned.starts_with(r#"{"type":"return","session":"C489434","item":"79323W""#), "{returned}");
    assert!(returned.contains(r#""quantity":12"#), "{returned}");
    assert_eq!(item.unwrap(), r#"{"id":"79323W","price":6.75,"currency":"GBP"}"#, "`nan` is not a title");
    let (refused, raw) = line("489434", "POST", "1", "13085");
    assert!(refused.starts_with("not_a_product: "), "{refused}");
    assert!(serde_json::from_str::<RawEvent>(&raw.unwrap()).is_ok());
    assert!(line("489434", "DCGS0058", "1", "13085").0.starts_with('{'));
    assert!(line("489434", "47503J ", "1", "13085").0.starts_with('{'));
}

#[test]
fn movielens_maps_ratings_and_films() {
    let ratings: Mapping = toml::from_str(include_str!("../../../../examples/movielens/mapping.toml")).unwrap();
    let header = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"];
    let (event, _) = map(&ratings, &header, &["196", "242", "3", "881250949"]);
    let expected = r#"{"type":"rating","user":"196","item":"242","at":881250949,"value":3,"source":"movielens"}"#;
    assert_eq!(event, expected);
    let films: Mapping = toml::from_str(include_str!("../../../../examples/movielens/items.toml")).unwrap();
    let header = ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"];
    let (film, _) = map(&films, &header, &["1", "Toy Story", "1995", "Animation Children's Comedy"]);
    let expected =
        r#"{"id":"1","title":"Toy Story","categories":["Animation","Children's","Comedy"],"attributes":{"year":1995}}"#;
    assert_eq!(film, expected);
}

#[test]
fn units_prefixes_and_time_formats_are_converted() {
    let mapping: Mapping = toml::from_str(
        r#"
        time_format = "%d/%m/%Y %H:%M"
        drop_columns = ["noise"]
        [fields]
        item = "sku"
        [constants]
        type = "view"
        [prefix]
        item = "nl-"
        [scale]
        price = 0.01
        [properties]
        land = "country"
        "#,
    )
    .unwrap();
    let header = ["sku", "user", "at", "price", "country", "noise"];
    let (event, _) = map(&mapping, &header, &[" 7", "u1", "01/12/2009 07:45", "999", "NL", "x"]);
    let expected = r#"{"type":"view","user":"u1","item":"nl-7","at":"2009-12-01T07:45:00Z","price":9.99,"properties":{"land":"NL"}}"#;
    assert_eq!(event, expected);
    let (event, _) = map(&mapping, &header, &["7", "u1", "2009"]);
    assert_eq!(
        event, r#"{"type":"view","user":"u1","item":"nl-7","at":"2009"}"#,
        "short rows are accepted, and unreadable times are left for the check"
    );

    let object =
        serde_json::from_str(r#"{"sku":7,"user":"u1","at":"01/12/2009 07:45","price":"999","x":"y","noise":1}"#);
    let Mapped::Event { event, .. } = mapping.bind_objects().unwrap().apply_object(object.unwrap()) else {
        panic!("an event");
    };
    assert_eq!((event.item, event.price), (RawValue::text("nl-7"), RawValue::Float(9.99)));
    assert_eq!(event.properties, [("x".into(), RawValue::text("y"))]);
}

#[test]
fn pairs_map_columns_and_quoted_constants() {
    let pairs = [("item", "stock_code"), ("user", "customer"), ("type", "'purchase'")];
    let (event, _) = map(&Mapping::from_pairs(pairs).unwrap(), &["customer", "stock_code"], &["u1", "mug"]);
    assert_eq!(event, r#"{"type":"purchase","user":"u1","item":"mug"}"#);
}

#[test]
fn the_reason_of_a_rule_is_kept() {
    let rule = "[[rule]]\nwhen = { column = 'item', starts_with = 'gift' }\nquarantine = 'no_gifts'";
    let bound = toml::from_str::<Mapping>(rule).unwrap().bind(&["item"]).unwrap();
    let Mapped::Quarantined { rejection, .. } = bound.apply(&["gift_1"]) else { panic!("a gift") };
    assert_eq!(rejection.reason, Reason::Rule("no_gifts".into()));
}

#[test]
fn faults_of_mappings_are_stated() {
    let cases = [
        ("fields = { itm = 'x' }", "`fields` names the field `itm`, which does not exist; the fields are: id, type"),
        ("fields = { item = 'x' }", "`fields` names the column `x`, which the file does not have; it has: item, user"),
        ("scale = { price = 0 }", "multiplies `price` by 0"),
        ("kind = 'items'\nitem = { title = 'user' }", "`kind` is not `events`"),
        (
            "[[rule]]\nwhen = { column = 'item', matches = '(' }\nclear = ['user']",
            "rule 1: `(` is not a regular expression",
        ),
        ("[[rule]]\nwhen = { column = 'item' }\nclear = ['user']", "exactly one test besides `column`, but has 0"),
        ("[[rule]]\nwhen = { column = 'x', empty = true }\nclear = ['user']", "`rule.when` names the column `x`"),
        ("[[rule]]", "rule 1 does nothing"),
        ("[[rule]]\nquarantine = 'No Gifts'", "`No Gifts` cannot be a reason"),
    ];
    for (toml, message) in cases {
        let error = toml::from_str::<Mapping>(toml).unwrap().bind(&["item", "user"]).unwrap_err().to_string();
        assert!(error.contains(message), "{toml}: {error}");
    }
    assert!(toml::from_str::<Mapping>("field = {}").is_err());
}
