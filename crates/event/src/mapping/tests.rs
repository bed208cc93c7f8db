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
    shown(mapping.bind(header).unwrap().apply(row))
}

fn shown(mapped: Mapped) -> (String, Option<String>) {
    match mapped {
        Mapped::Event { event, item, .. } => (event.to_json(), item.map(|item| item.to_json())),
        Mapped::Item(item) => (item.to_json(), None),
        Mapped::User(user) => (user.to_json(), None),
        Mapped::Quarantined { rejection, raw } => (rejection.to_string(), Some(raw.into())),
        Mapped::ItemRemoved(id) | Mapped::UserRemoved(id) => (format!("removed {id:?}"), None),
        Mapped::Skipped => ("skipped".into(), None),
        Mapped::WithoutItem => ("without an item".into(), None),
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
    let records = mapping.bind_objects().unwrap().apply_object(object.unwrap());
    let [Mapped::Event { event, .. }] = &records[..] else { panic!("an event") };
    let event = event.clone();
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
    let mut bound = toml::from_str::<Mapping>(rule).unwrap().bind(&["item"]).unwrap();
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

fn objects(toml: &str, json: &str) -> Vec<String> {
    let mapping: Mapping = toml::from_str(toml).unwrap();
    let records = mapping.bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap());
    records.into_iter().map(|mapped| shown(mapped).0).collect()
}

fn rows(toml: &str, header: &[&str], rows: &[&[&str]]) -> Vec<String> {
    let mut bound = toml::from_str::<Mapping>(toml).unwrap().bind(header).unwrap();
    rows.iter().map(|row| shown(bound.apply(row)).0).collect()
}

#[test]
fn an_event_of_an_order_becomes_one_for_each_line() {
    let toml = r#"
        drop_columns = ["*"]
        [fields]
        id = "transaction"
        type = "event_name"
        user = ["user_id", "user_pseudo_id"]
        at = "event_timestamp"
        item = "items[].item_id"
        price = "items[].price"
        quantity = "items[].quantity"
        [properties]
        page = "event_params[key=page].value"
        [item]
        title = "items[].item_name"
    "#;
    let row = r#"{"event_name":"purchase","event_timestamp":"1767225600000000","user_id":null,"user_pseudo_id":"11.22","transaction":"T1",
        "event_params":[{"key":"page","value":{"string_value":"/x","int_value":null}}],"device":{"os":"x"},
        "items":[{"item_id":"P1","price":5.5,"quantity":1},{"item_id":"P2","price":6,"quantity":2}]}"#;
    let line = |id: &str, item: &str, quantity: u32, price: &str| {
        format!(
            r#"{{"id":"{id}","type":"purchase","user":"11.22","item":"{item}","at":1767225600000000,"quantity":{quantity},"price":{price},"properties":{{"page":"/x"}}}}"#
        )
    };
    assert_eq!(objects(toml, row), [line("T1", "P1", 1, "5.5"), line("T1#2", "P2", 2, "6")]);
    let without_brackets = toml.replace("[].", ".");
    assert_eq!(objects(&without_brackets, row), [line("T1", "P1", 1, "5.5"), line("T1#2", "P2", 2, "6")]);
    let empty = r#"{"event_name":"page_view","user_pseudo_id":"11.22","items":[]}"#;
    assert_eq!(objects(toml, empty), ["without an item"]);
}

#[test]
fn nested_names_lead_to_values_and_lists() {
    let click = r#"{"action_name":"click","client_id":"c1","event_attributes":{"object":{"object_id":"P1"},"position":{"ordinal":3}}}"#;
    for item in ["event_attributes.object.object_id", "$.event_attributes.object.object_id"] {
        let toml = format!(
            "fields = {{ type = 'action_name', session = 'client_id', item = '{item}', position = 'event_attributes.position.ordinal' }}"
        );
        assert_eq!(objects(&toml, click), [r#"{"type":"click","session":"c1","item":"P1","position":3}"#]);
    }
    // A name with dots that the object has as it is.
    let flat = r#"{"type":"click","session":"c1","event_attributes.object.object_id":"P2"}"#;
    let toml = "fields = { item = 'event_attributes.object.object_id' }";
    assert_eq!(objects(toml, flat), [r#"{"type":"click","session":"c1","item":"P2"}"#]);
    let product = r#"{"handle":"mug","title":"Mug","tags":["a","b"],"collections":[{"name":"Cups"},{"name":"Gifts"}],
        "variants":[{"sku":"M-1","price":"9.90"},{"sku":"M-2","price":"10.90"}],"attributes":{"colour":"red"}}"#;
    let toml = "kind = 'items'\nfields = { id = 'variants[].sku', price = 'variants[].price', parent = 'handle', categories = 'collections[].name' }";
    let variant = |id: &str, price: &str| {
        format!(
            r#"{{"id":"{id}","parent":"mug","title":"Mug","categories":["Cups","Gifts"],"tags":["a","b"],"price":{price},"attributes":{{"colour":"red"}}}}"#
        )
    };
    assert_eq!(objects(toml, product), [variant("M-1", "9.9"), variant("M-2", "10.9")]);
}

#[test]
fn json_in_a_cell_is_reached_by_a_path() {
    let toml = "fields = { item = 'items[].id', type = 'event' }";
    let mut bound = toml::from_str::<Mapping>(toml).unwrap().bind(&["event", "user", "items"]).unwrap();
    assert!(bound.is_nested());
    let records = bound.apply_nested(&["view", "u1", r#"[{"id":"a"},{"id":"b"}]"#]);
    let records: Vec<String> = records.into_iter().map(|mapped| shown(mapped).0).collect();
    let view = |item: &str| format!(r#"{{"type":"view","user":"u1","item":"{item}"}}"#);
    assert_eq!(records, [view("a"), view("b")]);
}

#[test]
fn fields_are_found_under_their_usual_names() {
    let header = ["product_id", "Product Name", "regular_price", "image_link", "Availability", "colour"];
    let mut bound = toml::from_str::<Mapping>("kind = 'items'").unwrap().bind(&header).unwrap();
    assert_eq!(
        bound.take_notes(),
        [
            "`product_id` as id",
            "`Product Name` as title",
            "`regular_price` as price",
            "`image_link` as image",
            "`Availability` as available"
        ]
    );
    let (item, _) = shown(bound.apply(&["7", "Mug", "12,50 €", "https://shop.example/7.jpg", "in stock", "red"]));
    let expected = r#"{"id":"7","title":"Mug","price":12.5,"currency":"EUR","image":"https://shop.example/7.jpg","available":"in stock","attributes":{"colour":"red"}}"#;
    assert_eq!(item, expected);
    // What the mapping uses, and what has our name, is not guessed.
    let toml = "kind = 'items'\nfields = { id = 'sku' }\nproperties = { label = 'name' }";
    assert_eq!(
        rows(toml, &["sku", "name", "title"], &[&["1", "x", "Mug"]]),
        [r#"{"id":"1","title":"Mug","attributes":{"label":"x"}}"#]
    );
    let event = r#"{"event_type":"view","user_id":7,"product_id":"a","properties":{"qty":2}}"#;
    assert_eq!(objects("", event), [r#"{"type":"view","user":7,"item":"a","quantity":2}"#]);
}

#[test]
fn amounts_are_read_as_the_file_writes_them() {
    let price = |toml: &str, text: &str| rows(toml, &["price"], &[&[text]]).remove(0);
    assert_eq!(price("kind = 'items'", "15.00 USD"), r#"{"price":15,"currency":"USD"}"#);
    assert_eq!(price("kind = 'items'\ncurrency = 'EUR'", "15.00 USD"), r#"{"price":15,"currency":"USD"}"#);
    assert_eq!(price("kind = 'items'\ncurrency = 'EUR'", "1.299,00"), r#"{"price":1299,"currency":"EUR"}"#);
    assert_eq!(price("kind = 'items'\ndecimal = ','", "1.299"), r#"{"price":1299}"#);
    assert_eq!(price("kind = 'items'\ndecimal = ','", "9.99"), r#"{"price":"9.99"}"#);
    assert_eq!(price("kind = 'items'", "1,299"), r#"{"price":"1,299"}"#);
    assert_eq!(price("scale = { price = 0.01 }", "1999"), r#"{"price":19.99}"#);
    assert_eq!(rows("", &["quantity"], &[&["0,350 kg"]]), [r#"{"quantity":0.35}"#]);
    assert_eq!(rows("numbers = ['weight']", &["weight"], &[&["1,5 kg"]]), [r#"{"properties":{"weight":1.5}}"#]);
}

#[test]
fn a_group_is_described_by_its_first_row() {
    let header = ["Handle", "Title", "Variant SKU", "Variant Price", "Image Src", "Status"];
    let table: [&[&str]; 5] = [
        &["shirt", "Shirt", "S-1", "20", "a.jpg", "draft"],
        &["shirt", "", "S-2", "21", "", ""],
        &["shirt", "", "", "", "b.jpg", ""],
        &["mug", "Mug", "M-1", "9", "", "active"],
        &["", "", "X-1", "1", "", ""],
    ];
    let toml = "kind = 'items'\nfields = { id = 'Variant SKU', parent = 'Handle', available = 'Status' }";
    let expected = [
        r#"{"id":"S-1","parent":"shirt","title":"Shirt","price":20,"image":"a.jpg","available":"draft"}"#,
        r#"{"id":"S-2","parent":"shirt","title":"Shirt","price":21,"image":"a.jpg","available":"draft"}"#,
        "skipped",
        r#"{"id":"M-1","parent":"mug","title":"Mug","price":9,"available":"active"}"#,
        r#"{"id":"X-1","price":1}"#,
    ];
    assert_eq!(rows(toml, &header, &table), expected);
    // The product has a row of its own above its variants.
    let children: [&[&str]; 3] = [&["P1", "", "Shirt", ""], &["C1", "P1", "", "20"], &["Z", "", "", "5"]];
    let expected = [
        r#"{"id":"P1","title":"Shirt"}"#,
        r#"{"id":"C1","parent":"P1","title":"Shirt","price":20}"#,
        r#"{"id":"Z","price":5}"#,
    ];
    assert_eq!(rows("kind = 'items'", &["sku", "parent_sku", "name", "price"], &children), expected);
    let orders = "fill_down = ['at', 'Country']\nfields = { session = 'Name', at = 'Paid at', item = 'Sku' }";
    let lines: [&[&str]; 3] = [&["#1", "2026-01-05", "DE", "a"], &["#1", "", "", "b"], &["#2", "", "", "c"]];
    let line = |item: &str| {
        format!(r##"{{"session":"#1","item":"{item}","at":"2026-01-05","properties":{{"Country":"DE"}}}}"##)
    };
    let expected = [line("a"), line("b"), r##"{"session":"#2","item":"c"}"##.to_owned()];
    assert_eq!(rows(orders, &["Name", "Paid at", "Country", "Sku"], &lines), expected);
}

#[test]
fn rows_are_skipped_joined_and_taken_from_the_first_column_with_a_value() {
    let toml = "kind = 'items'\nfields = { id = ['SKU', '{Handle}-{Size}', 'Handle'] }\ndrop_columns = ['Handle', 'S*']\n\
                [[rule]]\nwhen = { column = 'Handle', equals = 'Total' }\nskip = true";
    let table: [&[&str]; 4] = [&["A", "h", "L"], &["", "h", "L"], &["", "h", ""], &["", "Total", ""]];
    let expected = [r#"{"id":"A"}"#, r#"{"id":"h-L"}"#, r#"{"id":"h"}"#, "skipped"];
    assert_eq!(rows(toml, &["SKU", "Handle", "Size"], &table), expected);
    let toml = "kind = 'items'\nseparators = { categories = [',', '>'] }";
    let expected = [r#"{"categories":["Clothing","Shirts","Sale"]}"#];
    assert_eq!(rows(toml, &["categories"], &[&["Clothing, Clothing > Shirts, Sale"]]), expected);
    assert_eq!(rows("kind = 'items'", &["categories"], &[&["Home > Mugs"]]), [r#"{"categories":["Home","Mugs"]}"#]);
}

#[test]
fn times_without_a_zone_are_those_of_the_file() {
    let at = |toml: &str, text: &str| rows(toml, &["at"], &[&[text]]).remove(0);
    let zone = "time_zone = 'Europe/Berlin'";
    assert_eq!(at(zone, "2026-07-01 12:00:00"), r#"{"at":"2026-07-01T10:00:00Z"}"#);
    assert_eq!(at(zone, "2026-07-01"), r#"{"at":"2026-06-30T22:00:00Z"}"#);
    assert_eq!(at(zone, "2026-07-01T12:00:00Z"), r#"{"at":"2026-07-01T12:00:00Z"}"#);
    assert_eq!(at(zone, "2026-10-25 02:30:00"), r#"{"at":"2026-10-25T00:30:00Z"}"#, "the first of two");
    assert!(at(zone, "2026-03-29 02:30:00").contains("not a time in Europe/Berlin"));
    let format = format!("{zone}\ntime_format = '%d.%m.%Y %H:%M'");
    assert_eq!(at(&format, "01.12.2026 07:45"), r#"{"at":"2026-12-01T06:45:00Z"}"#);
    let error = toml::from_str::<Mapping>("time_zone = 'Berlin'").unwrap().validate().unwrap_err().to_string();
    assert!(error.contains("Europe/Berlin"), "{error}");
}

/// The items of a table, as JSON.
fn items(mapping: &str, header: &[&str], rows: &[&[&str]]) -> Vec<serde_json::Value> {
    let mapping: Mapping = toml::from_str(&format!("kind = \"items\"\n{mapping}")).unwrap();
    let mut bound = mapping.bind(header).unwrap();
    rows.iter().map(|row| serde_json::from_str(&shown(bound.apply(row)).0).unwrap()).collect()
}

#[test]
fn the_name_of_a_property_may_stand_in_a_column_and_counts_for_all_variants() {
    let mapping = "empty = ['Default Title']\noptional = ['{Name 2}']\n[fields]\nid = 'sku'\nparent = 'handle'\n[properties]\n'{Name 1}' = 'Value 1'\n'{Name 2}' = 'Value 2'\n[separators]\n'{Name 1}' = ','\n";
    let header = ["handle", "sku", "Name 1", "Value 1"];
    let rows: &[&[&str]] = &[
        &["shirt", "S-1", "Size", "S"],
        &["shirt", "S-2", "", "M"],
        &["mug", "M", "Title", "Default Title"],
        &["hat", "H", "", "L"],
    ];
    let found = items(mapping, &header, rows);
    let of = |place: usize| found[place]["attributes"].clone();
    assert_eq!([of(0), of(1)], [serde_json::json!({"Size": ["S"]}), serde_json::json!({"Size": ["M"]})]);
    assert_eq!([of(2), of(3)], [serde_json::Value::Null, serde_json::Value::Null], "no value, and no name");
    let text = "[fields]\nid = 'sku'\n[properties]\n'{Name 2}' = 'Value 2'\n";
    assert!(matches!(toml::from_str::<Mapping>(text).unwrap().bind(&["sku"]), Err(MappingError::NoColumn { .. })));
}

#[test]
fn a_variant_without_a_picture_has_the_first_of_its_product() {
    let mapping = "[fields]\nid = 'sku'\nparent = 'handle'\ntitle = 'title'\nimage = ['own', 'of product']\n";
    let header = ["handle", "sku", "title", "own", "of product"];
    let rows: &[&[&str]] = &[
        &["shirt", "S-1", "Shirt", "", "1.jpg"],
        &["shirt", "S-2", "", "blue.jpg", "2.jpg"],
        &["shirt", "S-3", "", "", "3.jpg"],
        &["shirt", "S-4", "", "", ""],
        &["hat", "H-1", "Hat", "", ""],
        &["hat", "H-2", "", "", "hat.jpg"],
    ];
    let images: Vec<_> = items(mapping, &header, rows).iter().map(|item| item["image"].clone()).collect();
    assert_eq!(
        images,
        ["1.jpg".into(), "blue.jpg".into(), "1.jpg".into(), "1.jpg".into(), serde_json::Value::Null, "hat.jpg".into()]
    );
    // One column of pictures has those of the variants, and the first where there is none.
    let mapping = "[fields]\nid = 'sku'\nparent = 'handle'\nimage = 'image'\n";
    let rows: &[&[&str]] = &[&["s", "1", "a.jpg"], &["s", "2", "b.jpg"], &["s", "3", ""]];
    let images: Vec<_> =
        items(mapping, &["handle", "sku", "image"], rows).iter().map(|item| item["image"].clone()).collect();
    assert_eq!(images, ["a.jpg", "b.jpg", "a.jpg"]);
}

#[test]
fn a_field_can_collect_the_values_of_its_columns() {
    let mapping =
        "collect = ['categories']\nempty = ['Root']\n[fields]\nid = 'sku'\ncategories = ['type', 'path', 'more']\n";
    let header = ["sku", "type", "path", "more"];
    let rows: &[&[&str]] =
        &[&["1", "Shirts", "Root > Clothing > Shirts", ""], &["2", "", " ", "Mugs"], &["3", "", "", ""]];
    let found: Vec<_> = items(mapping, &header, rows).iter().map(|item| item["categories"].clone()).collect();
    assert_eq!(
        found,
        [serde_json::json!(["Shirts", "Clothing"]), serde_json::json!(["Mugs"]), serde_json::Value::Null]
    );
    let wrong: Mapping = toml::from_str("kind = 'items'\ncollect = ['title']").unwrap();
    assert!(matches!(wrong.validate(), Err(MappingError::NoField { table: "collect", .. })));
}

#[test]
fn a_separator_behind_a_backslash_is_part_of_an_element() {
    let mapping = "[fields]\nid = 'sku'\n[separators]\ncategories = [',', '>']\n";
    let found = items(mapping, &["sku", "categories"], &[&["1", r"Home\, Garden > Pots, Gifts \> ten"]]);
    assert_eq!(found[0]["categories"], serde_json::json!(["Home, Garden", "Pots", "Gifts > ten"]));
}

#[test]
fn a_cell_of_white_space_leaves_a_constant_and_is_a_text_elsewhere() {
    let mapping = "currency = 'EUR'\n[fields]\nid = 'sku'\n[constants]\nbrand = 'Acme'\n";
    let header = ["sku", "brand", "title", "currency", "note"];
    let found = items(mapping, &header, &[&["1", "  ", " ", " ", " "], &["2", "Bolt", "Mug", "USD", "x"]]);
    assert_eq!([&found[0]["brand"], &found[0]["currency"]], ["Acme", "EUR"]);
    assert_eq!([&found[0]["title"], &found[0]["attributes"]["note"]], [" ", " "]);
    assert_eq!([&found[1]["brand"], &found[1]["currency"]], ["Bolt", "USD"]);
}

#[test]
fn an_address_of_a_customer_is_one_id_however_it_is_written() {
    let mapping: Mapping = toml::from_str("lowercase = ['item']\n[constants]\ntype = 'view'\n").unwrap();
    let header = ["user", "session", "item", "at"];
    for (user, expected) in [
        (" Ana.B@Mail.example ", "ana.b@mail.example"),
        ("ana.b@mail.example", "ana.b@mail.example"),
        ("AB12", "AB12"),
        ("@Ana", "@Ana"),
        ("https://shop.example/@Ana.B", "https://shop.example/@Ana.B"),
    ] {
        let (event, _) = map(&mapping, &header, &[user, "S@1", "SKU-A", "1"]);
        let event: RawEvent = serde_json::from_str(&event).unwrap();
        assert_eq!((event.user, event.session), (RawValue::text(expected), RawValue::text("S@1")), "{user}");
        assert_eq!(event.item, RawValue::text("sku-a"));
    }
}

#[test]
fn a_rule_can_keep_a_row_from_describing_its_item_and_may_miss_its_column() {
    let text = "[item]\ntitle = 'name'\n[constants]\ntype = 'purchase'\n[[rule]]\nwhen = { column = 'sku', empty = true }\ndescribe = false\n[[rule]]\noptional = true\nwhen = { column = 'status', equals = 'open' }\nskip = true\n";
    let mapping: Mapping = toml::from_str(&format!("[fields]\nitem = ['sku', 'name']\n{text}")).unwrap();
    let header = ["user", "sku", "name", "at"];
    let (event, item) = map(&mapping, &header, &["u", "", "Tip", "1"]);
    assert!(event.contains(r#""item":"Tip""#) && item.is_none(), "{event} {item:?}");
    assert_eq!(map(&mapping, &header, &["u", "M", "Mug", "1"]).1.unwrap(), r#"{"id":"M","title":"Mug"}"#);
    let with_status = ["user", "sku", "name", "at", "status"];
    assert_eq!(map(&mapping, &with_status, &["u", "M", "Mug", "1", "open"]).0, "skipped");
    let needed = text.replace("optional = true\n", "");
    let mapping: Mapping = toml::from_str(&format!("[fields]\nitem = ['sku', 'name']\n{needed}")).unwrap();
    assert!(matches!(mapping.bind(&header), Err(MappingError::NoColumn { .. })));
}

#[test]
fn elements_of_an_array_take_no_more_memory_than_allowed() {
    let mapping: Mapping = toml::from_str("[fields]\nitem = 'items[].id'\n[constants]\ntype = 'view'\n").unwrap();
    let records = |n: usize, n_bytes: usize, drop: &[&str]| {
        let drop_columns = drop.iter().map(|name| (*name).into()).collect();
        let mapping = Mapping { drop_columns, ..mapping.clone() };
        let elements: Vec<String> = (0..n).map(|n| format!(r#"{{"id":"{n}"}}"#)).collect();
        let json =
            format!(r#"{{"user":"u","at":1,"note":"{}","items":[{}]}}"#, "x".repeat(n_bytes), elements.join(","));
        mapping.bind_objects().unwrap().apply_object(serde_json::from_str(&json).unwrap())
    };
    assert_eq!(records(1_000, 1_000, &[]).len(), 1_000);
    for (n, n_bytes) in [(1_000, 1 << 20), (200_000, 10)] {
        let [Mapped::Quarantined { rejection, .. }] = &records(n, n_bytes, &[])[..] else { panic!("{n} {n_bytes}") };
        assert!(rejection.reason == Reason::Malformed && rejection.detail.contains("drop_columns"), "{rejection}");
    }
    assert_eq!(records(1_000, 1 << 20, &["note"]).len(), 1_000);
}

#[test]
fn lists_of_properties_and_written_line_ends_are_read() {
    let mapping = "unescape = ['description']\ndrop_columns = ['*']\n[fields]\nid = 'sku'\ndescription = 'text'\n[[pairs]]\ncolumn = 'more'\n[[pairs]]\ncolumn = 'absent'\n";
    let rows: &[&[&str]] = &[
        &["1", r"Soft\n\nand warm", "color=Blue,note=one, two,size = S,empty=,url=https://a.example/?b=c"],
        &["2", "", ""],
    ];
    let found = items(mapping, &["sku", "text", "more"], rows);
    assert_eq!(found[0]["description"], "Soft\n\nand warm");
    let expected =
        serde_json::json!({"color": "Blue", "note": "one, two", "size": "S", "url": "https://a.example/?b=c"});
    assert_eq!((&found[0]["attributes"], &found[1]["attributes"]), (&expected, &serde_json::Value::Null));
}

#[test]
fn an_element_of_an_event_without_an_item_is_left_out() {
    let mapping: Mapping =
        toml::from_str("empty = ['(not set)']\n[fields]\ntype = 'name'\nitem = 'items[].id'\n").unwrap();
    let json = r#"{"name":"view","user":"u","at":1,"items":[{"id":"A"},{"id":"(not set)"},{"id":"B"}]}"#;
    let records = mapping.bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap());
    assert!(matches!(records[..], [Mapped::Event { .. }, Mapped::WithoutItem, Mapped::Event { .. }]), "{records:?}");
}

#[test]
fn a_rule_deletes_items_and_users_and_no_event() {
    let rule = "[[rule]]\nwhen = { column = 'op', equals = 'd' }\ndelete = true\n";
    let of_kind = |kind: &str| format!("kind = '{kind}'\ndrop_columns = ['op']\n{rule}");
    let items: Mapping = toml::from_str(&of_kind("items")).unwrap();
    assert_eq!(map(&items, &["op", "id"], &["d", "mug"]).0, "removed Text(\"mug\")");
    assert_eq!(map(&items, &["op", "id"], &["u", "mug"]).0, r#"{"id":"mug"}"#);
    let users: Mapping = toml::from_str(&of_kind("users")).unwrap();
    assert_eq!(map(&users, &["op", "id"], &["d", "ann"]).0, "removed Text(\"ann\")");
    let events: Mapping = toml::from_str(&of_kind("events")).unwrap();
    let refused = events.validate().unwrap_err().to_string();
    assert!(refused.contains("`delete` is for items and users"), "{refused}");
}

#[test]
fn a_change_of_a_captured_table_is_a_description_or_a_deletion() {
    let mapping: Mapping = toml::from_str(
        "kind = 'items'\ndrop_columns = ['*']\n[fields]\nid = ['after.id', 'before.id']\ntitle = 'after.title'\n\
         [[rule]]\nwhen = { column = 'op', equals = 'd' }\ndelete = true\n",
    )
    .unwrap();
    let of = |json: &str| {
        let mut records = mapping.bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap());
        shown(records.remove(0)).0
    };
    assert_eq!(of(r#"{"op":"u","before":null,"after":{"id":7,"title":"Mug"}}"#), r#"{"id":7,"title":"Mug"}"#);
    assert_eq!(of(r#"{"op":"d","before":{"id":7,"title":"Mug"},"after":null}"#), "removed Int(7)");
}

#[test]
fn what_mapped_paths_lead_into_is_no_field_of_its_name() {
    for field in ["value", "session", "price"] {
        let text = format!(
            "[fields]\ntype = \"{field}.type\"\nuser = \"{field}.user.id\"\nitem = \"{field}.product.sku\"\nat = \"{field}.ts\"\n"
        );
        let mapping: Mapping = toml::from_str(&text).unwrap();
        let json = format!(
            r#"{{"topic":"x","{field}":{{"type":"view","user":{{"id":"u1"}},"product":{{"sku":"A"}},"ts":1767225600000}}}}"#
        );
        let records = mapping.bind_objects().unwrap().apply_object(serde_json::from_str(&json).unwrap());
        let (event, _) = shown(records.into_iter().next().unwrap());
        let expected = r#"{"type":"view","user":"u1","item":"A","at":1767225600000"#;
        assert!(event.starts_with(expected) && !event.contains(&format!("\"{field}\":")), "{event}");
    }
}

#[test]
fn bundles_and_groups_without_a_price_have_the_lowest_of_their_parts() {
    let mapping: Mapping = toml::from_str(
        "kind = \"items\"\n[fields]\nid = \"id\"\nparent = \"parent\"\nprice = \"price\"\n\
         [variants]\nlowest_price = true\nparts = [\"associated_skus\", \"bundle_values\"]\n\
         part = '(?:^|[,|])sku=([^,|]+)|(?:^|,)([^,=|]+)=\\d'\n",
    )
    .unwrap();
    let header = ["id", "title", "parent", "price", "associated_skus", "bundle_values"];
    let rows = [
        ["G", "Group", "", "", "A=1.0000,P=2.0000", ""],
        ["B", "Bundle", "", "", "", "name=Top,type=select,required=1,sku=C,price=0.00|name=Hat,sku=A,default=1"],
        ["A", "Hat", "", "12", "", ""],
        ["C", "Top", "", "30", "", ""],
        ["P", "Shirt", "", "", "", ""],
        ["P-S", "Shirt", "P", "9", "", ""],
        ["E", "Empty", "", "", "Z=1", ""],
        ["O", "Priced", "", "99", "A=1", ""],
    ];
    let mut finder = FamilyFinder::of(&mapping).unwrap().unwrap();
    let mut bound = finder.mapping().bind(&header).unwrap();
    for row in &rows {
        let Mapped::Item(item) = bound.apply(row) else { panic!("{row:?}") };
        finder.add(&item);
    }
    let mut bound = mapping.bind(&header).unwrap();
    bound.set_family(std::sync::Arc::new(finder.finish()));
    let price = |row: &[&str; 6]| match bound.clone().apply(row) {
        Mapped::Item(item) => item.price.text().into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rows.each_ref().map(price), ["9", "12", "12", "30", "9", "9", "", "99"]);
}

#[test]
fn a_row_without_an_item_takes_back_the_order_of_its_number() {
    let mapping: Mapping = toml::from_str(
        "[fields]\ntype = \"kind\"\nuser = \"user\"\nat = \"at\"\nitem = \"lines[].sku\"\n\
         [[rule]]\nwhen = { column = \"kind\", equals = \"refund\" }\nundo_order = \"o-{number}\"\n",
    )
    .unwrap();
    let of = |json: &str| -> Vec<(String, Option<Undo>)> {
        let records = mapping.bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap());
        let told = |record| match record {
            Mapped::Event { event, undo, .. } => (format!("{} {}", event.id.text(), event.item.text()), undo),
            other => (format!("{other:?}"), None),
        };
        records.into_iter().map(told).collect()
    };
    let undone = vec![("o-7 ".to_owned(), Some(Undo::Order))];
    assert_eq!(of(r#"{"kind":"refund","user":"a","at":1,"number":7,"lines":[]}"#), undone);
    assert_eq!(of(r#"{"kind":"refund","user":"a","at":1,"number":7}"#), undone);
    assert_eq!(of(r#"{"kind":"refund","user":"a","at":1,"number":7,"lines":[{"qty":0},{"note":"all"}]}"#), undone);
    let unnamed = of(r#"{"kind":"refund","user":"a","at":1,"number":7,"lines":[{"name":"Hat","qty":1}]}"#);
    assert!(unnamed.len() == 1 && unnamed[0].0.contains("none of its items has an id"), "{unnamed:?}");
    let one = of(r#"{"kind":"refund","user":"a","at":1,"number":7,"lines":[{"sku":"A"},{"qty":2}]}"#);
    assert_eq!(one, [(" A".to_owned(), None), ("WithoutItem".to_owned(), None)]);
    assert_eq!(of(r#"{"kind":"refund","user":"a","at":1,"lines":[]}"#)[0].0, "WithoutItem", "without a number");
}
