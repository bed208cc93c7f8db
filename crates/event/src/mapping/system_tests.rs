//! Abilities of mappings that the exports of several systems need.

use std::sync::Arc;

use super::*;
use crate::RawValue;
use crate::raw::RawItem;

fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).unwrap()
}

fn item(mapped: Mapped) -> Option<RawItem> {
    match mapped {
        Mapped::Item(item) => Some(item),
        Mapped::Skipped => None,
        other => panic!("{other:?}"),
    }
}

fn items(toml: &str, header: &[&str], rows: &[&[&str]]) -> Vec<String> {
    let mut bound = mapping(toml).bind(header).unwrap();
    rows.iter().filter_map(|row| item(bound.apply(row))).map(|item| item.to_json()).collect()
}

fn of_object(toml: &str, json: &str) -> Vec<Mapped> {
    mapping(toml).bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap())
}

/// The price of a row on the first of June 2026, with its sale.
fn price(more: &str, sale: &str, from: &str, until: &str) -> String {
    let toml = format!(
        "kind = 'items'\nas_of = '2026-06-01T12:00:00Z'\n[fields]\nprice = 'p'\n[sale]\nprice = 's'\nfrom = 'f'\nuntil = 'u'\n{more}"
    );
    items(&toml, &["p", "s", "f", "u"], &[&["20", sale, from, until]]).remove(0)
}

#[test]
fn the_price_of_a_sale_counts_while_it_is_valid() {
    let (usual, reduced) = (r#"{"price":20}"#, r#"{"price":5}"#);
    for (from, until, expected) in [
        ("", "", reduced),
        ("2025-01-01 00:00:00", "2025-02-01 23:59:59", usual),
        ("2026-05-01", "2026-06-01", reduced),
        ("2026-05-01", "2026-05-31", usual),
        ("2026-06-02", "", usual),
        ("2026-06-01T13:00:00+02:00", "", reduced),
        ("", "2026-06-01T11:59:59Z", usual),
        ("1767225600", "1798761600", reduced),
        ("", "soon", usual),
    ] {
        assert_eq!(price("", "5", from, until), expected, "{from}/{until}");
    }
    assert_eq!((price("", "", "", ""), price("", "0.00", "", "")), (usual.to_owned(), usual.to_owned()));
    assert_eq!(price("", "5", "", "2026-06-01 00:00:00"), usual);
    assert_eq!(price("until_day = true", "5", "", "2026-06-01 00:00:00"), reduced);
    assert_eq!(price("until_day = true", "5", "", "2026-05-31 00:00:00"), usual);
    let american = "time_format = '%m/%d/%y'";
    assert_eq!(price(american, "5", "6/1/26", "6/1/26"), reduced);
    assert_eq!(price(american, "5", "1/1/25", "1/31/25"), usual);
}

#[test]
fn a_period_has_both_ends_and_its_sales_are_counted() {
    let toml = "kind = 'items'\nas_of = '2026-06-01T12:00:00Z'\n[fields]\nid = 'id'\nprice = 'price'\n[sale]\nprice = 'sale'\nperiod = 'when'";
    let header = ["id", "price", "sale", "when"];
    let rows: [&[&str]; 5] = [
        &["over", "9 EUR", "8 EUR", "2025-01-01T13:00-0800/2025-02-01T15:30-0800"],
        &["valid", "9 EUR", "8 EUR", "2026-01-01T09:30-08:00/2026-12-31T23:59-08:00"],
        &["ahead", "9 EUR", "8 EUR", "2026-07-01/2026-07-31"],
        &["open", "9 EUR", "8 EUR", ""],
        &["none", "9 EUR", "", "2026-01-01/2026-12-31"],
    ];
    let mut bound = mapping(toml).bind(&header).unwrap();
    let prices: Vec<RawValue> = rows.iter().map(|row| item(bound.apply(row)).unwrap().price).collect();
    assert_eq!(prices, [9, 8, 9, 8, 9].map(RawValue::Int));
    let sales = bound.sales();
    assert_eq!((sales.n_dated, sales.n_valid, sales.n_over, sales.n_ahead), (3, 1, 1, 1));
    assert_eq!(sales.next_change, Timestamp::parse("2026-07-01T00:00:00Z"));
    // Without a time, nothing says that a sale with dates is valid.
    let mut bound = Mapping { as_of: None, ..mapping(toml) }.bind(&header).unwrap();
    assert_eq!(item(bound.apply(rows[1])).unwrap().price, RawValue::Int(9));
    assert_eq!(item(bound.apply(rows[3])).unwrap().price, RawValue::Int(8));
}

#[test]
fn attributes_have_names_from_columns_arrays_and_one_cell() {
    let toml = "kind = 'items'\ndrop_columns = ['*']\nfields = { id = 'ID' }\n[[pairs]]\nname = 'Attribute * name'\nvalue = 'Attribute * value(s)'\nseparators = ', '";
    let header = ["ID", "Attribute 1 name", "Attribute 1 value(s)", "Attribute 12 name", "Attribute 12 value(s)"];
    let rows: [&[&str]; 2] = [&["1", "Color", "Blue, Green", "Size", "M"], &["2", "", "", "Size", ""]];
    assert_eq!(
        items(toml, &header, &rows),
        [r#"{"id":"1","attributes":{"Color":["Blue","Green"],"Size":["M"]}}"#, r#"{"id":"2"}"#]
    );
    let toml = "kind = 'items'\ndrop_columns = ['*']\nfields = { id = 'id' }\n[[pairs]]\nname = 'attributes[].name'\nvalue = ['attributes[].options', 'attributes[].option']";
    let product = r#"{"id":1,"attributes":[{"name":"Color","options":["Blue","Green"]},{"name":"Size","option":"M"},{"name":"Fit","options":[]}]}"#;
    let [Mapped::Item(item)] = &of_object(toml, product)[..] else { panic!("an item") };
    assert_eq!(item.to_json(), r#"{"id":1,"attributes":{"Color":["Blue","Green"],"Size":"M"}}"#);
    // Each element has its own.
    let toml = "kind = 'items'\ndrop_columns = ['*']\nfields = { id = 'variants[].id' }\n[[pairs]]\nname = 'variants[].options[].name'\nvalue = 'variants[].options[].value'";
    let product = r#"{"variants":[{"id":1,"options":[{"name":"Size","value":"S"}]},{"id":2,"options":[{"name":"Size","value":"M"}]}]}"#;
    let sizes: Vec<String> =
        of_object(toml, product).into_iter().filter_map(item_of).map(|item| item.to_json()).collect();
    assert_eq!(sizes, [r#"{"id":1,"attributes":{"Size":"S"}}"#, r#"{"id":2,"attributes":{"Size":"M"}}"#]);
    let toml = "kind = 'items'\ndrop_columns = ['*']\nfields = { id = 'sku' }\n[[pairs]]\ncolumn = 'additional'\nseparators = '|'";
    let row: &[&str] = &["1", "color=Red,activity=Gym|Hiking,care=Wash cold, dry flat"];
    let expected =
        r#"{"id":"1","attributes":{"color":"Red","activity":["Gym","Hiking"],"care":"Wash cold, dry flat"}}"#;
    assert_eq!(items(toml, &["sku", "additional"], &[row]), [expected]);
    assert_eq!(items(toml, &["sku"], &[&["1"]]), [r#"{"id":"1"}"#], "not every export has the column");
    for wrong in ["name = 'a'\nvalue = 'b'", "name = 'a *'", "value = 'b'", "column = 'a'\nname = 'b *'"] {
        assert!(mapping(&format!("[[pairs]]\n{wrong}")).validate().is_err(), "{wrong}");
    }
}

fn item_of(mapped: Mapped) -> Option<RawItem> {
    item(mapped)
}

#[test]
fn escapes_positions_and_paths_of_pictures_are_read() {
    let toml = "kind = 'items'\nunescape = ['title', 'description']\nimage_base = 'https://shop.example/media/'\nseparators = { image = ',' }";
    let row: &[&str] = &["'-10 % mug", r"Soft.\n\n<b>Warm</b> C:\\temp", "/m/a.jpg, https://cdn.example/b.jpg"];
    let expected = r#"{"title":"-10 % mug","description":"Soft.\n\n<b>Warm</b> C:\\temp","image":["https://shop.example/media/m/a.jpg","https://cdn.example/b.jpg"]}"#;
    assert_eq!(items(toml, &["title", "description", "image"], &[row]), [expected]);
    let events = |position: &str| {
        let json = format!(r#"{{"type":"click","user":"u","item":"A","position":{position}}}"#);
        let [Mapped::Event { event, .. }] = &of_object("shift = { position = -1 }", &json)[..] else {
            panic!("an event")
        };
        event.position.clone()
    };
    assert_eq!([events("3"), events("1"), events("0"), events("\"2\"")], [2, 0, 0, 1].map(RawValue::Int));
}

#[test]
fn what_stands_beside_an_array_is_not_that_of_its_elements() {
    let toml = "drop_columns = ['*']\n[fields]\nuser = 'u'\ntype = 'event'\nitem = ['p.products[].id', 'p.id']\nprice = ['p.products[].price', 'p.price']\n\
                [item]\ntitle = ['p.products[].name', 'p.name']\ncategories = ['p.products[].category', 'p.category']\ncurrency = ['p.products[].currency', 'p.currency']";
    let list = r#"{"u":"1","event":"view","p":{"category":"Deals","price":99,"currency":"EUR","products":[{"id":"a","name":"A","price":5,"category":"Mugs"},{"id":"b","name":"B"}]}}"#;
    let records = of_object(toml, list);
    let [Mapped::Event { item: Some(a), .. }, Mapped::Event { item: Some(b), event, .. }] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (&a.categories, &b.categories, &b.currency),
        (&RawValue::text("Mugs"), &RawValue::Null, &RawValue::text("EUR"))
    );
    assert_eq!(event.price, RawValue::Null);
    let single = r#"{"u":"1","event":"view","p":{"id":"a","name":"A","category":"Games","price":7}}"#;
    let [Mapped::Event { item: Some(item), event, .. }] = &of_object(toml, single)[..] else { panic!("an event") };
    assert_eq!((&item.categories, &event.price), (&RawValue::text("Games"), &RawValue::Int(7)));
}

#[test]
fn a_rule_may_have_several_tests() {
    let toml = "kind = 'items'\n[[rule]]\noptional = true\nwhen = { column = 'manage', equals = '0' }\nand = [{ column = 'by_config', not_matches = '^1$' }]\nclear = ['stock']\n\
                drop_columns = ['manage']";
    assert!(toml::from_str::<Mapping>(toml).is_err(), "drop_columns is no key of rules");
    let toml = "kind = 'items'\ndrop_columns = ['manage', 'by_config']\n[[rule]]\noptional = true\nwhen = { column = 'manage', equals = '0' }\nand = [{ column = 'by_config', not_matches = '^1$' }]\nclear = ['stock']";
    let rows: [&[&str]; 3] = [&["0", "0", ""], &["0", "0", "1"], &["0", "1", "0"]];
    assert_eq!(items(toml, &["stock", "manage", "by_config"], &rows), ["{}", r#"{"stock":0}"#, r#"{"stock":0}"#]);
    assert_eq!(items(toml, &["stock", "manage"], &[&["0", "0"]]), [r#"{"stock":0}"#]);
}

#[test]
fn variants_are_found_from_the_rows_of_their_products() {
    let toml = "kind = 'items'\ndrop_columns = ['*']\noptional = ['available']\nfields = { id = 'sku', price = 'price' }\n\
                [variants]\ncolumn = 'children'\nid = 'sku=([^,|]+)'\nlowest_price = true\n\
                [[rule]]\nwhen = { column = 'visible', equals = 'no' }\nunless_variant = true\nskip = true\n\
                [[rule]]\nwhen = { column = 'online', equals = '0' }\nset = { available = 'no' }";
    let header = ["sku", "price", "visible", "online", "children"];
    let rows: [&[&str]; 6] = [
        &["S", "22", "no", "1", ""],
        &["SHIRT", "", "yes", "1", "sku=S,size=S|sku=M,size=M"],
        &["M", "20.5", "no", "1", ""],
        &["PART", "3", "no", "1", ""],
        &["OFF", "", "yes", "0", "sku=O,size=S"],
        &["O", "5", "no", "1", ""],
    ];
    let mapping = mapping(toml);
    let mut finder = FamilyFinder::of(&mapping).unwrap().unwrap();
    let mut first = finder.mapping().bind(&header).unwrap();
    rows.iter().filter_map(|row| item(first.apply(row))).for_each(|item| finder.add(&item));
    let mut bound = mapping.bind(&header).unwrap();
    bound.set_family(Arc::new(finder.finish()));
    let found: Vec<String> = rows.iter().filter_map(|row| item(bound.apply(row))).map(|item| item.to_json()).collect();
    let expected = [
        r#"{"id":"S","parent":"SHIRT","price":22}"#,
        r#"{"id":"SHIRT","price":20.5}"#,
        r#"{"id":"M","parent":"SHIRT","price":20.5}"#,
        r#"{"id":"OFF","price":5,"available":"no"}"#,
        r#"{"id":"O","parent":"OFF","price":5,"available":"no"}"#,
    ];
    assert_eq!(found, expected);
    assert!(mapping_of_events().is_err());
}

fn mapping_of_events() -> Result<(), MappingError> {
    mapping("[variants]\nlowest_price = true").validate()
}

#[test]
fn of_columns_with_one_name_the_first_with_a_value_counts_and_lists_have_all() {
    let header = &["id", "title", "title", "tag", "tag"];
    let found = items("kind = 'items'", header, &[&["1", "", "Mug", "a", "b"], &["2", "Cup", "Mug", "", "b"]]);
    let expected = [r#"{"id":"1","title":"Mug","tags":["a","b"]}"#, r#"{"id":"2","title":"Cup","tags":["b"]}"#];
    assert_eq!(found, expected);
}

#[test]
fn json_in_a_text_of_an_object_is_opened_where_a_path_leads_into_it() {
    let toml = "[fields]\nitem = 'items[].item_id'\nuser = 'u'\n[constants]\ntype = 'purchase'";
    let json = r#"{"u":"a","note":"[1]","items":"[{\"item_id\":\"P1\"},{\"item_id\":\"P2\"}]"}"#;
    let items: Vec<_> = of_object(toml, json)
        .into_iter()
        .map(|mapped| match mapped {
            Mapped::Event { event, .. } => (event.item, event.properties),
            other => panic!("{other:?}"),
        })
        .collect();
    let note = || vec![("note".into(), RawValue::text("[1]"))];
    assert_eq!(items, [(RawValue::text("P1"), note()), (RawValue::text("P2"), note())]);
}

#[test]
fn a_day_in_digits_begins_in_the_zone_of_the_file() {
    let toml = "time_zone = 'Europe/Berlin'";
    let mut bound = mapping(toml).bind(&["type", "user", "item", "at"]).unwrap();
    let mut at = |text: &str| match bound.apply(&["view", "u", "i", text]) {
        Mapped::Event { event, .. } => event.at,
        other => panic!("{other:?}"),
    };
    let midnight = RawValue::text("2026-07-04T22:00:00Z");
    assert_eq!(at("20260705"), midnight);
    assert_eq!(at("2026-07-05"), midnight);
    assert_eq!(at("1783288800"), RawValue::Int(1_783_288_800));
}

#[test]
fn a_part_of_a_text_is_extracted_as_the_value() {
    let toml = "extract = { item = '^shopify_[A-Z]+_\\d+_(\\d+)$' }\n[fields]\nitem = 'item_id'\n";
    let item = |id: &str| {
        let mut bound = mapping(toml).bind(&["item_id"]).unwrap();
        match bound.apply(&[id]) {
            Mapped::Event { event, .. } => event.item.text().into_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(item("shopify_DE_8112_4433"), "4433");
    assert_eq!(item("LS-S"), "LS-S", "what does not match stays as it is");
    let broken = mapping("[extract]\nitem = '('\n");
    assert!(matches!(broken.validate(), Err(MappingError::ExtractPattern { .. })));
}

#[test]
fn what_is_no_number_in_the_column_of_a_sale_is_no_sale() {
    for nothing in ["", "0", "0.00", "-", "\u{2013}", "none", "n/a", "NULL", "no sale", "20%", "-5"] {
        assert_eq!(price("", nothing, "", ""), r#"{"price":20}"#, "{nothing}");
    }
    assert_eq!(price("", "15", "", ""), r#"{"price":15}"#);
    assert_eq!(price("", "15.50 EUR", "", ""), r#"{"price":15.5}"#);
    assert_eq!(price("", "25 EUR", "", ""), r#"{"price":20}"#, "it is no lower one");
    // It may be two prices, so the check has to refuse it.
    assert_eq!(price("", "1.234", "", ""), r#"{"price":"1.234"}"#);
    assert_eq!(price("", "1,234", "", ""), r#"{"price":"1,234"}"#);
    let toml = "kind = 'items'\n[fields]\nprice = 'p'\n[sale]\nprice = 's'\n";
    for nothing in ["false", "[]", "{}", "null", "0", "\"\""] {
        let [Mapped::Item(item)] = &of_object(toml, &format!(r#"{{"p":9,"s":{nothing}}}"#))[..] else {
            panic!("an item")
        };
        assert_eq!(item.price, RawValue::Int(9), "{nothing}");
    }
    for (object, is_lower) in [(r#"{"value":"7.5","currency":"EUR"}"#, true), (r#"{"EUR":12}"#, false)] {
        let [Mapped::Item(item)] = &of_object(toml, &format!(r#"{{"p":9,"s":{object}}}"#))[..] else {
            panic!("an item")
        };
        assert_eq!(item.price != RawValue::Int(9), is_lower, "{object}");
    }
}

#[test]
fn a_sale_that_ends_on_a_day_is_valid_for_that_day_in_any_spelling() {
    for day in ["2026-06-01", "20260601", "1.6.2026", "2026/06/01"] {
        assert_eq!(price("", "15", "", day), r#"{"price":15}"#, "{day}");
    }
    for over in ["2026-05-31", "20260531", "31 May 2026", "2026-06-01T00:00:00Z", "2026-06-01 10:00", "1780300800"] {
        assert_eq!(price("", "15", "", over), r#"{"price":20}"#, "{over}");
    }
    let toml = "kind = 'items'\nas_of = '2026-06-01T12:00:00Z'\ntime_zone = 'Europe/Berlin'\n[fields]\nprice = 'p'\n[sale]\nprice = 's'\nuntil = 'u'\n";
    for (day, expected) in [("20260601", 15), ("20260531", 20)] {
        let [Mapped::Item(item)] = &of_object(toml, &format!(r#"{{"p":20,"s":15,"u":{day}}}"#))[..] else {
            panic!("an item")
        };
        assert_eq!(item.price, RawValue::Int(expected), "{day}");
    }
}

#[test]
fn what_is_said_of_a_text_is_said_of_each_element_of_a_list() {
    for (key, [one, other], [of_one, of_other]) in [
        ("[strip]\nimage = 'old/'", ["old/a", "b"], ["a", "b"]),
        ("[extract]\nimage = '=(\\w+)$'", ["x=a", "y=b"], ["a", "b"]),
        ("uppercase = ['image']", ["a", "b"], ["A", "B"]),
        ("lowercase = ['image']", ["A", "B"], ["a", "b"]),
        ("[prefix]\nimage = 'new/'", ["a", "b"], ["new/a", "new/b"]),
        ("image_base = 'https://s.example/'", ["/a", "http://o/b"], ["https://s.example/a", "http://o/b"]),
        (
            "image_base = 'https://s.example/'\n[prefix]\nimage = 'm/'",
            ["a", "b"],
            ["https://s.example/m/a", "https://s.example/m/b"],
        ),
        ("unescape = ['image']", [r"a\\b", r"c\\d"], [r"a\b", r"c\d"]),
    ] {
        let toml = format!("kind = 'items'\n{key}\n[fields]\nimage = 'p'\n");
        let separated = format!("{toml}[separators]\nimage = ';'\n");
        let text = |toml: &str, text: &str| match mapping(toml).bind(&["p"]).unwrap().apply(&[text]) {
            Mapped::Item(item) => item.image,
            other => panic!("{other:?}"),
        };
        let list = RawValue::List(vec![RawValue::text(of_one), RawValue::text(of_other)]);
        assert_eq!(text(&toml, one), RawValue::text(of_one), "{key}");
        assert_eq!(text(&separated, &format!("{one}; {other}")), list, "{key}");
        let json = serde_json::json!({"p": [one, other]}).to_string();
        let [Mapped::Item(item)] = &of_object(&toml, &json)[..] else { panic!("an item") };
        assert_eq!(item.image, list, "{key}");
    }
}

#[test]
fn a_field_can_be_multiplied_and_shifted() {
    let toml = "kind = 'events'\n[fields]\nposition = 'p'\n[scale]\nposition = 0.1\n[shift]\nposition = -1\n";
    let [Mapped::Event { event, .. }] = &of_object(toml, r#"{"p":30,"item":"A"}"#)[..] else { panic!("an event") };
    assert_eq!(event.position, RawValue::Int(2));
}

#[test]
fn every_key_that_names_columns_is_asked_for_them() {
    let toml = "kind = 'items'\nfill_down = ['group']\ndrop_columns = ['noise', 'x*']\n[fields]\nid = 'sku'\n[properties]\nsize = 's'\n\
        [sale]\nprice = 'sale'\n[variants]\ncolumn = 'children'\nkey = 'handle'\npicture = 'photo'\nparts = ['bundle']\n\
        [begins]\ncolumn = 'row'\nequals = 'Product'\n[join]\nobject = 'main'\nto = 'all'\n[[pairs]]\nname = 'Name *'\nvalue = 'Value *'\n\
        [[pairs]]\ncolumn = 'attributes'\n[[rule]]\nwhen = { column = 'state', equals = 'x' }\nskip = true\n";
    let mut names: Vec<String> = mapping(toml).column_names().map(str::to_owned).collect();
    names.sort();
    let expected = [
        "Name *",
        "Value *",
        "all",
        "attributes",
        "bundle",
        "children",
        "group",
        "handle",
        "main",
        "noise",
        "photo",
        "row",
        "s",
        "sale",
        "sku",
        "state",
    ];
    assert_eq!(names, expected);
    // A column with the variants is no description, whatever its name.
    let toml = "kind = 'items'\n[fields]\nid = 'sku'\n[variants]\ncolumn = 'body'\n";
    assert_eq!(items(toml, &["sku", "body"], &[&["P", "A,B"]]), [r#"{"id":"P","attributes":{"body":"A,B"}}"#]);
}

#[test]
fn what_is_said_of_other_fields_is_not_said_of_the_columns_that_name_variants() {
    let toml = "kind = 'items'\nuppercase = ['description', 'title', 'brand']\n[fields]\nid = 'sku'\nprice = 'price'\nparent = 'of'\n\
        [constants]\nbrand = 'Acme'\n[strip]\ndescription = 'a'\ntitle = 'b'\n[extract]\nbrand = '(.)'\n\
        [variants]\ncolumn = 'children'\nkey = 'handle'\nparts = ['bundle']\nlowest_price = true\n\
        [[rule]]\nwhen = { column = 'sku', starts_with = 'p' }\nset = { description = 'Fine', title = 'Set' }\n";
    let of = mapping(toml);
    let mut finder = FamilyFinder::of(&of).unwrap().unwrap();
    let header = ["sku", "of", "price", "handle", "children", "bundle"];
    let rows: &[&[&str]] = &[
        &["p1", "", "", "shirt", "a1,a2", ""],
        &["a1", "", "9", "", "", ""],
        &["a2", "", "7", "", "", ""],
        &["c1", "shirt", "8", "", "", ""],
        &["p2", "", "", "", "", "b1"],
        &["b1", "", "5", "", "", ""],
    ];
    let mut bound = finder.mapping().bind(&header).unwrap();
    rows.iter().filter_map(|row| item(bound.apply(row))).for_each(|item| finder.add(&item));
    let mut bound = of.bind(&header).unwrap();
    bound.set_family(Arc::new(finder.finish()));
    let found: Vec<RawItem> = rows.iter().filter_map(|row| item(bound.apply(row))).collect();
    let parents: Vec<_> = found.iter().map(|item| item.parent.clone()).collect();
    let p1 = || RawValue::text("p1");
    assert_eq!(parents[1..4], [p1(), p1(), p1()]);
    assert_eq!((&found[0].price, &found[4].price), (&RawValue::Int(7), &RawValue::Int(5)));
}
