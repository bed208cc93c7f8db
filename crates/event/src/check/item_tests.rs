//! Tests of descriptions of items and changes of them: what is read, under which names, and what is refused.

use super::tests::check_by;
use super::*;
use crate::raw::RawItem;
use crate::{Attribute, Item, Price};

#[test]
fn items_are_read_leniently() {
    let check = check_by(r"item_pattern = '^[a-z]+-?\d*$'");
    let item: RawItem = serde_json::from_str(
        r#"{"id":" mug-1","title":"Red\nmug","categories":"kitchen","tags":["a",1,{"x":1}],"price":"9.90","currency":"eur",
            "available":"no","stock":-2,"published_at":"0000-00-00 00:00:00","image":["x"],"colour":"red"}"#,
    )
    .unwrap();
    let (item, repairs) = check.judge_item(&item).unwrap();
    let codes: Vec<_> = repairs.iter().map(Repair::code).collect();
    let expected = "trimmed control_removed property_dropped number_from_text uppercased stock_floored field_dropped";
    assert_eq!(codes.join(" "), expected);
    assert_eq!((item.id.as_str(), item.title.as_deref()), ("mug-1", Some("Red mug")));
    assert_eq!((item.categories, item.tags), (vec!["kitchen".into()], vec!["a".into(), "1".into()]));
    assert_eq!((item.price, item.currency.as_deref(), item.available), (Price::new(9.9), Some("EUR"), false));
    assert_eq!((item.stock, item.published_at, item.image.as_deref()), (Some(0), None, Some("x")));
    assert_eq!(item.attributes["colour"], Attribute::Text("red".into()));

    let refused = |json: &str| check.judge_item(&serde_json::from_str(json).unwrap()).unwrap_err().reason;
    assert_eq!(refused("{}"), Reason::NoId);
    assert_eq!(refused(r#"{"id":"POST!"}"#), Reason::NotAProduct);
    assert_eq!(refused(r#"{"id":"mug","price":-1}"#), Reason::BadPrice);
    let (user, _) = check.judge_user(&serde_json::from_str(r#"{"id":7,"age":24}"#).unwrap()).unwrap();
    assert_eq!((user.id.as_str(), &user.attributes["age"]), ("7", &Attribute::Number(24.0)));
}

#[test]
fn a_stock_in_words_is_understood() {
    let check = check_by("");
    let stock = |json: &str| {
        let raw = serde_json::from_str(&format!(r#"{{"id":"a","stock":{json}}}"#)).unwrap();
        let (item, _) = check.judge_item(&raw).unwrap();
        (item.stock, item.can_be_shown())
    };
    for hidden in [r#""sold out""#, "false", "0", "-2"] {
        assert_eq!(stock(hidden), (Some(0), false), "{hidden}");
    }
    for (shown, n) in [
        (r#""in stock""#, None),
        ("true", None),
        ("null", None),
        (r#""N/A""#, None),
        (r#""20+""#, Some(20)),
        ("0.4", Some(1)),
    ] {
        assert_eq!(stock(shown), (n, true), "{shown}");
    }
}

#[test]
fn a_patch_changes_what_it_names_and_clears_what_is_null() {
    let check = check_by("max_properties = 3");
    let (before, _) = check
        .judge_item(
            &serde_json::from_str(
                r#"{"id":"mug","title":"Red mug","brand":"Acme","categories":["mugs"],"price":9.9,"stock":3,"available":false,
                    "currency":"EUR","colour":"red","size":"L"}"#,
            )
            .unwrap(),
        )
        .unwrap();
    let patched = |json: &str| check.judge_patch(&serde_json::from_str(json).unwrap(), &before).unwrap();
    assert_eq!(patched(r#"{"id":"other"}"#), (before.clone(), Vec::new()));
    assert_eq!(patched(r#"{"stock":" 7 ","title":""}"#).0, Item { stock: Some(7), ..before.clone() });
    let (cleared, _) =
        patched(r#"{"price":null,"brand":null,"categories":null,"available":null,"attributes":{"size":null}}"#);
    let left = Item { price: None, brand: None, categories: Vec::new(), available: true, ..before.clone() };
    assert_eq!((cleared.attributes.len(), Item { attributes: before.attributes.clone(), ..cleared }), (1, left));
    assert!(patched(r#"{"attributes":null}"#).0.attributes.is_empty());
    let (unread, repairs) = patched(r#"{"published_at":"n/a","stock":"NULL"}"#);
    assert_eq!((unread, repairs.contains(&Repair::FieldDropped)), (before.clone(), true));
    let sold_out = Item { stock: Some(0), ..before.clone() };
    let restocked = check.judge_patch(&serde_json::from_str(r#"{"stock":"in stock"}"#).unwrap(), &sold_out).unwrap().0;
    assert_eq!(restocked.stock, None, "there are some, of which nothing says how many");

    // Bounds hold for the item, however many patches it took.
    let (full, repairs) = patched(r#"{"a":1,"b":2,"size":"M"}"#);
    assert_eq!(full.attributes.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "colour", "size"]);
    assert!(repairs.contains(&Repair::PropertyDropped));
}

#[test]
fn what_decides_what_is_shown_is_read_or_refused_in_descriptions_and_in_changes() {
    let check = check_by("");
    let before = Item { stock: Some(3), price: Price::new(9.5), ..Item::bare("mug".into()) };
    let cases: &[(&str, &[&str], Reason)] = &[
        ("price", &["-1", r#""abc""#, r#""1,234""#, "true", "[1]", "1e300"], Reason::BadPrice),
        ("title", &[r#"{"x":{"y":1}}"#, r#"[{"x":1}]"#, "[[1]]"], Reason::BadTitle),
        ("stock", &[r#""abc""#, r#""?""#, r#""perhaps""#, "[1]", r#"{"n":1}"#], Reason::BadStock),
        ("stock", &[r#""1,000""#, r#""1.234""#, r#""1,234 pcs""#], Reason::BadStock),
        ("available", &[r#""perhaps""#, r#""ask us""#, "[]", r#"{"a":1}"#], Reason::BadAvailability),
        ("availability", &[r#""in two weeks""#, "[1]"], Reason::BadAvailability),
        (
            "published_at",
            &[r#""soon""#, r#""31/12/2026""#, "true", "[1]", "45992", r#""45992""#, "45321.5"],
            Reason::BadTime,
        ),
    ];
    for (field, values, reason) in cases {
        for value in *values {
            let title = if *field == "title" { "" } else { r#""title":"Red mug","# };
            let json = format!(r#"{{"id":"mug",{title}"{field}":{value}}}"#);
            let whole = check.judge_item(&serde_json::from_str(&json).unwrap()).unwrap_err();
            let change = check.judge_patch(&serde_json::from_str(&json).unwrap(), &before).unwrap_err();
            assert_eq!((&whole.reason, &whole), (reason, &change), "{json}");
            assert!(whole.detail.starts_with(&format!("{field}: ")), "{whole}");
        }
    }
}

#[test]
fn a_date_of_publication_may_be_a_year_a_day_or_a_number_of_seconds() {
    let check = check_by("");
    for (value, expected) in [
        ("2099", "2099-01-01"),
        (r#""1869""#, "1869-01-01"),
        ("20260131", "2026-01-31"),
        ("1767225600", "2026-01-01"),
        ("1767225600000", "2026-01-01"),
        ("-315619200", "1960-01-01"),
        ("2024.0", "2024-01-01"),
        (r#""2024.0""#, "2024-01-01"),
        ("20250131.0", "2025-01-31"),
    ] {
        let json = format!(r#"{{"id":"mug","title":"Mug","published_at":{value}}}"#);
        let (item, _) = check.judge_item(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(item.published_at, Timestamp::parse(expected), "{value}");
    }
}

#[test]
fn a_product_that_is_not_sold_is_hidden_whatever_the_shop_calls_it() {
    let check = check_by("");
    let is_available = |fields: &str| {
        let json = format!(r#"{{"id":"mug","title":"Red mug",{fields}}}"#);
        check.judge_item(&serde_json::from_str(&json).unwrap()).unwrap().0.can_be_shown()
    };
    for fields in [
        r#""available_for_sale":false"#,
        r#""purchasable":"no""#,
        r#""is_salable":0"#,
        r#""disabled":true"#,
        r#""online":false"#,
        r#""publish":false"#,
        r#""expired":"yes""#,
        r#""state":"inactive""#,
        r#""lifecycle":"discontinued""#,
        r#""status":0"#,
        r#""Stock":0"#,
        r#""AVAILABLE":false"#,
        r#""In_Stock":"no""#,
    ] {
        assert!(!is_available(fields), "{fields}");
    }
    for fields in [r#""status":1"#, r#""state":"Bavaria""#, r#""online":true"#, r#""Stock":5"#, r#""expired":false"#] {
        assert!(is_available(fields), "{fields}");
    }
}

#[test]
fn fields_are_found_whatever_their_case_and_by_language() {
    let check = check_by("");
    let judge = |fields: &str| {
        check.judge_item(&serde_json::from_str(&format!(r#"{{"id":"mug",{fields}}}"#)).unwrap()).unwrap().0
    };
    let item = judge(r#""Title":"Red mug","PRICE":"9,99 €","publishedAt":"2099-01-01","Tags":["a"]"#);
    assert_eq!(
        (item.title.as_deref(), item.price, item.currency.as_deref()),
        (Some("Red mug"), Price::new(9.99), Some("EUR"))
    );
    assert!(item.published_at.is_some() && item.tags.len() == 1 && item.attributes.is_empty());
    assert!(judge(r#""title":"Mug","available_from":"2099-01-01""#).published_at.is_some());
    let film = judge(r#""title":"Mug","release_date":1999"#);
    assert!(film.published_at.is_none() && film.attributes.len() == 1);
    for later in [r#""verfügbar ab":"01.01.2099""#, r#""Veröffentlicht ab":"2099-01-01""#] {
        assert!(judge(&format!(r#""title":"Mug",{later}"#)).published_at.is_some(), "{later}");
    }
    let book = judge(r#""title":"Book","Erscheinungsdatum":"Mai 2019""#);
    assert!(book.published_at.is_none() && book.attributes.len() == 1);
    let titles = r#""title_de":"Becher","title_en":"Mug""#;
    assert_eq!(judge(titles).title.as_deref(), Some("Mug"));
    assert_eq!(judge(&format!(r#""locale":"de",{titles}"#)).title.as_deref(), Some("Becher"));
    assert_eq!(judge(r#""title_tag":"Mugs at Acme""#).title, None);
}

#[test]
fn what_programs_write_for_none_is_no_brand_title_or_category() {
    let check = check_by("");
    for none in ["NULL", "undefined", "#N/A", "n/a", r"\\N"] {
        let json =
            format!(r#"{{"id":"a","title":"{none}","brand":"{none}","categories":["{none}","Mugs"],"tags":"{none}"}}"#);
        let (item, repairs) = check.judge_item(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!((item.title, item.brand, item.tags.len()), (None, None, 0), "{none}");
        assert_eq!(item.categories, ["Mugs".into()]);
        assert!(repairs.contains(&Repair::FieldDropped));
    }
    for none in ["nan", "NaN", "NaT", "<NA>"] {
        let json = format!(
            r#"{{"id":"a","title":"{none}","brand":"{none}","categories":"{none}","price":"{none}","stock":"{none}","published_at":"{none}",
            "attributes":{{"colour":"{none}","size":"M"}}}}"#
        );
        let (item, _) = check.judge_item(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!((item.title, item.brand, item.categories.len(), item.price), (None, None, 0, None), "{none}");
        assert_eq!((item.stock, item.published_at, item.attributes.len()), (None, None, 1), "{none}");
    }
    let (item, _) =
        check.judge_item(&serde_json::from_str(r#"{"id":"a","title":"Nan","brand":"Na"}"#).unwrap()).unwrap();
    assert_eq!(item.title.as_deref(), Some("Nan"));
    let (item, _) =
        check.judge_item(&serde_json::from_str(r#"{"id":"a","title":"None","brand":"Na"}"#).unwrap()).unwrap();
    assert_eq!((item.title.as_deref(), item.brand.as_deref()), (Some("None"), Some("Na")), "they may be names");
    for error in ["#NV", "#N/D", "#Н/Д", "#BEZUG!"] {
        assert!(super::is_placeholder(error), "{error}");
    }
    for nobody in [
        "undefined undefined",
        "null,null",
        "None None",
        "undefined@undefined",
        "*|EMAIL|*",
        "Infinity",
        "(data deleted)",
    ] {
        assert!(super::is_placeholder(nobody), "{nobody}");
    }
    assert!(!super::is_placeholder("none-such") && !super::is_placeholder("null-island"));
}

#[test]
fn an_item_is_read_as_shop_systems_describe_it() {
    let check = check_by("");
    let judge = |json: &str| check.judge_item(&serde_json::from_str(json).unwrap()).unwrap();
    let (item, repairs) = judge(
        r#"{"id":794,"title":{"en":"Umbrella","de":"Regenschirm"},"description":"<table><tr><td>Height</td><td>12 cm</td></tr></table>for a caf&eacute;",
            "brand":{"name":"H&M"},"categories":[{"id":9,"name":"Clothing","slug":"clothing"}],"tags":[{"name":"Sale &amp; more"}],
            "image":[{"src":"https://shop.example/a.jpg?x=1&y=2"}],"stock_status":"outofstock","care":"<b>Wash</b> cold"}"#,
    );
    assert_eq!(item.title.as_deref(), Some("Umbrella"));
    assert_eq!(item.description.as_deref(), Some("Height\n12 cm\nfor a café"));
    assert_eq!(
        (item.brand.as_deref(), item.image.as_deref()),
        (Some("H&M"), Some("https://shop.example/a.jpg?x=1&y=2"))
    );
    assert_eq!((item.categories, item.tags), (vec!["Clothing".into()], vec!["Sale & more".into()]));
    assert_eq!(item.attributes["care"], Attribute::Text("Wash cold".into()));
    assert!(!item.available);
    for repair in [Repair::MarkupRemoved, Repair::LanguageChosen, Repair::TextFromObject] {
        assert!(repairs.contains(&repair), "{repair} in {repairs:?}");
    }
    let (item, _) = judge(r#"{"id":"a","title":{"en":"Umbrella","de":"Regenschirm"},"locale":"de-DE"}"#);
    assert_eq!(item.title.as_deref(), Some("Regenschirm"));
}

#[test]
fn attributes_that_stand_in_a_list_with_their_names_keep_their_values() {
    let check = Check::new(CheckSettings::default(), RuleStatistics::default()).unwrap();
    let attributes = |json: &str| {
        let raw = serde_json::from_str(&format!(r#"{{"id":"A","title":"Mug","attributes":{json}}}"#)).unwrap();
        let (item, _) = check.judge_item(&raw).unwrap();
        item.attributes.into_iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(attributes(r#"[{"name":"Colour","value":"crimson"}]"#), r#"Colour=Text("crimson")"#);
    let woocommerce = r#"[{"id":6,"name":"Colour","options":["teal","red"]},{"id":7,"name":"Size","option":"S"}]"#;
    assert_eq!(attributes(woocommerce), r#"Colour=List(["teal", "red"]) Size=Text("S")"#);
    assert_eq!(attributes(r#"[{"Colour":"crimson"},{"Size":7}]"#), r#"Colour=Text("crimson") Size=Number(7.0)"#);
    assert_eq!(attributes(r#"["new","old"]"#), r#"attributes=List(["new", "old"])"#);
    // What is of a person is left out here too.
    assert_eq!(attributes(r#"[{"name":"customer_email","value":"a@b.example"}]"#), "");
}
