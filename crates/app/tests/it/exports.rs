//! What exports of shops leave open, and what may not be taken from them: prices of old orders, names of customers, lines of
//! reports, lists in place of texts.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{example, find, folder_of, ingested, run, text};

/// Runs an ingest into the data folder `d`, and returns what was said.
fn ingest(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, &[&["ingest", "--data", "d"], arguments].concat());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

fn exported(folder: &Path, what: &str) -> Vec<Value> {
    let export = run(folder, &["export", what, "--data", "d"]);
    text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_variant_has_no_price_and_title_of_an_old_order_where_its_product_has_them() {
    let folder = folder_of(&[
        ("items.csv", "id,parent,title,price,stock\nLS,,Linen shirt,49.90,\nLS-S,LS,,,3\nLS-M,LS,,52,1\nTM,,,,2\n"),
        (
            "orders.csv",
            "user,sku,product_name,price,at\nu1,LS-S,Old shirt,59.90,2026-03-01\nu1,LS-M,Old shirt,59.90,2026-03-01\nu2,TM,Tea mug,9,2026-03-01\n",
        ),
    ]);
    ingest(folder.path(), &["items.csv", "--items"]);
    ingest(folder.path(), &["orders.csv", "--map", "item=sku,type='purchase'"]);
    let items = exported(folder.path(), "catalogue");
    let of = |id: &str| (find(&items, "id", id)["title"].clone(), find(&items, "id", id)["price"].clone());
    assert_eq!(of("LS-S"), ("Linen shirt".into(), Value::Null), "it follows its product");
    assert_eq!(of("LS-M"), ("Linen shirt".into(), 52.0.into()));
    assert_eq!(of("TM"), ("Tea mug".into(), 9.0.into()), "what the catalogue lacks");
}

#[test]
fn the_name_of_a_customer_is_no_title_of_an_item() {
    let lines = "Belegnr;Belegdatum;Kundennr;Name;PLZ;Artikelnummer;Bezeichnung;Menge;Einzelpreis\n\
        1001;15.10.2026;10002;Müller GmbH;20095;A;Tasse;1,00;9,90\n\
        1002;16.10.2026;10003;Ana Pires;10115;A;Tasse;2,00;9,90\n";
    let folder = folder_of(&[("lines.csv", lines), ("plain.csv", "user,item,name,at\nu1,A,Ana Pires,2026-03-01\n")]);
    let guess = text(&run(folder.path(), &["ingest", "--guess", "lines.csv"]).stdout);
    assert!(guess.contains("[item]    # what the rows say of the items\ntitle = \"Bezeichnung\"\n"), "{guess}");
    assert!(guess.contains("price = \"Einzelpreis\"") && guess.contains("drop_columns = [\"*\"]"), "{guess}");
    assert!(guess.ends_with("keeps those that never change:\n#   Name\n#   PLZ\n"), "{guess}");
    let said = ingest(folder.path(), &["lines.csv", "--map", "at=Belegdatum,type='purchase'"]);
    assert!(said.contains("recognised `Bezeichnung` as the title of the items"), "{said}");
    let items = exported(folder.path(), "catalogue");
    assert_eq!((&items[0]["title"], &items[0]["price"]), (&"Tasse".into(), &9.9.into()));
    let guess = text(&run(folder.path(), &["ingest", "--guess", "plain.csv"]).stdout);
    assert!(guess.contains("\n# title = \"name\"") && !guess.contains("\ntitle = "), "{guess}");
}

#[test]
fn a_title_of_a_report_may_be_filled_up_with_delimiters() {
    let sheet =
        "Artikelstamm Stand 29.11.2026;;;;\n;;;;\nArtikelnummer;Bezeichnung;Preis;Bestand;Farbe\n7;Tasse;9,99;3;rot\n";
    let folder = folder_of(&[("sheet.csv", sheet), ("m.toml", "kind = 'items'\nskip_lines = 2\n")]);
    let file = folder.path().join("sheet.csv");
    let (_, said, items) = ingested(&file, &[], "catalogue");
    assert!(said.contains("2 lines before the header"), "{said}");
    assert_eq!((&items[0]["title"], &items[0]["price"]), (&"Tasse".into(), &9.99.into()));
    let mapping = folder.path().join("m.toml");
    let (_, _, same) = ingested(&file, &["--mapping", mapping.to_str().unwrap()], "catalogue");
    assert_eq!(same, items);
}

#[test]
fn a_category_that_repeats_counts_beside_one_that_is_a_number() {
    let item = |id: &str, types: &str| {
        format!(
            "<item><id>{id}</id><title>Mug</title><link>https://s.example</link><image_link>https://s.example/m.jpg</image_link><availability>in_stock</availability><price>5.00 EUR</price><google_product_category>212</google_product_category>{types}</item>"
        )
    };
    let types = "<product_type>Home &gt; Mugs</product_type>";
    let feed = format!(
        "<?xml version=\"1.0\"?><rss><channel>{}{}{}</channel></rss>",
        item("A", types),
        item("B", &format!("{types}<product_type>Sale</product_type>")),
        item("C", "")
    );
    let folder = folder_of(&[("feed.xml", &feed)]);
    let items = ingested(&folder.path().join("feed.xml"), &[], "catalogue").2;
    let categories = ["A", "B", "C"].map(|id| find(&items, "id", id)["categories"].clone());
    let expected =
        [serde_json::json!(["Home", "Mugs"]), serde_json::json!(["Home", "Mugs", "Sale"]), serde_json::json!([])];
    assert_eq!(categories, expected);
}

#[test]
fn what_a_feed_says_to_be_archived_is_not_sold() {
    let rows = "id,title,availability,condition,price,image_link,product_tags[0],product_tags[1],status\n\
        A,Mug,in stock,new,5.00 EUR,https://s.example/a.jpg,new,red,active\n\
        B,Cup,in stock,new,5.00 EUR,https://s.example/b.jpg,,,archived\n";
    let folder = folder_of(&[("meta.csv", rows)]);
    let items = ingested(&folder.path().join("meta.csv"), &[], "catalogue").2;
    assert_eq!((&items[0]["available"], &items[1]["available"]), (&true.into(), &false.into()));
    assert_eq!(items[0]["tags"], serde_json::json!(["new", "red"]));
    assert_eq!(items[0]["attributes"], serde_json::json!({"condition": "new"}));
}

#[test]
fn products_of_interfaces_have_variants_sale_prices_and_states() {
    let items = |name: &str| ingested(&example(name), &[], "catalogue").2;
    let bigcommerce = items("bigcommerce-api-products.json");
    let small = find(&bigcommerce, "id", "LS-S");
    assert_eq!((&small["title"], &small["price"], &small["stock"]), (&"Linen shirt".into(), &49.0.into(), &12.into()));
    assert_eq!(small["attributes"], serde_json::json!({"Size": "S", "Colour": "Blue"}));
    assert_eq!(find(&bigcommerce, "id", "OL-1")["available"], false);
    let shopware = items("shopware-api-products.json");
    let small = find(&shopware, "id", "SW100.1");
    assert_eq!((&small["parent"], &small["stock"]), (&"SW100".into(), &0.into()));
    let shirt = find(&shopware, "id", "SW100");
    assert_eq!(
        (&shirt["price"], &shirt["brand"], &shirt["categories"]),
        (&49.0.into(), &"Maré".into(), &serde_json::json!(["Shirts"]))
    );
    assert_eq!(find(&shopware, "id", "SW102")["available"], false);
    let prestashop = items("prestashop-api-products.xml");
    let shirt = find(&prestashop, "id", "1");
    assert_eq!((&shirt["title"], &shirt["attributes"]["sku"]), (&"Linen shirt".into(), &"LS".into()));
    assert_eq!(find(&prestashop, "id", "2")["available"], false);
}

#[test]
fn a_hint_on_ids_names_a_column_for_every_kind_of_record() {
    let event = |name: &str, properties: &str| {
        format!(
            r#"{{"type":"track","event":"{name}","messageId":"{name}","anonymousId":"a","timestamp":"2026-03-01T09:00:00Z","properties":{properties}}}"#
        )
    };
    let events = [
        event("Product Viewed", r#"{"product_id":"501","sku":"LS","name":"Linen shirt"}"#),
        event("Order Completed", r#"{"products":[{"product_id":"501","sku":"LS","name":"Linen shirt"}]}"#),
    ];
    let folder =
        folder_of(&[("items.csv", "id,title,stock\nLS,Linen shirt,3\n"), ("segment.ndjson", &events.join("\n"))]);
    // A file that is recognised is read by that column, and the hint is for mappings that a person names.
    let said = ingest(folder.path(), &["items.csv", "segment.ndjson"]);
    assert!(said.contains("recognised `properties.products[].sku`, `properties.sku` as item"), "{said}");
    let events = exported(folder.path(), "events");
    assert_eq!(events.iter().map(|event| &event["item"]).collect::<Vec<_>>(), ["LS", "LS"]);
    std::fs::remove_dir_all(folder.path().join("d")).unwrap();
    ingest(folder.path(), &["items.csv", "--items"]);
    let said = ingest(folder.path(), &["segment.ndjson", "--mapping", "segment"]);
    let item = r#"item = ["properties.products[].sku", "properties.sku"]"#;
    assert!(said.contains(item), "{said}");
    let guess = text(&run(folder.path(), &["ingest", "--guess", "segment.ndjson"]).stdout);
    let mapping: Vec<&str> = guess.lines().map(|line| if line.starts_with("item = ") { item } else { line }).collect();
    std::fs::write(folder.path().join("m.toml"), mapping.join("\n")).unwrap();
    std::fs::remove_dir_all(folder.path().join("d")).unwrap();
    ingest(folder.path(), &["items.csv", "--items"]);
    ingest(folder.path(), &["segment.ndjson", "--mapping", "m.toml"]);
    let events = exported(folder.path(), "events");
    assert_eq!(events.iter().map(|event| &event["item"]).collect::<Vec<_>>(), ["LS", "LS"]);
}

#[test]
fn variants_of_interfaces_have_their_own_prices_and_the_rest_of_their_product() {
    let items = |name: &str| ingested(&example(name), &[], "catalogue").2;
    let fields = |item: &Value, names: &[&str]| names.iter().map(|name| item[*name].clone()).collect::<Vec<_>>();
    let check = |items: &[Value], id: &str, names: &[&str], expected: Value| {
        assert_eq!(Value::from(fields(find(items, "id", id), names)), expected, "{id}");
    };
    let all = ["title", "parent", "price", "stock", "available", "image", "categories", "attributes"];

    let shopify = items("shopify-graphql-products.json");
    check(
        &shopify,
        "LS-S",
        &all,
        json!(["Linen shirt", "linen-shirt", 49.0, 4, true, "https://cdn.shop.example/linen-1.jpg", ["Shirts"], {"Size": "S", "Colour": "Blue"}]),
    );
    check(
        &shopify,
        "808950811",
        &all,
        json!(["Linen shirt", "linen-shirt", 52.0, null, true, "https://cdn.shop.example/linen-m.jpg", ["Shirts"], {"Size": "M", "Colour": "Blue"}]),
    );
    check(&shopify, "OL-1", &["available", "stock", "attributes", "tags"], json!([false, null, {}, []]));
    check(
        &shopify,
        "LS-S",
        &["description", "brand", "tags", "published_at"],
        json!(["Woven in Porto.", "Maré", ["linen", "summer"], "2026-01-06T09:00:00Z"]),
    );

    let bulk = items("shopify-bulk-products.jsonl");
    check(
        &bulk,
        "LS-S",
        &["title", "parent", "price", "stock", "attributes"],
        json!([null, "linen-shirt", 49.0, 4, {"Size": "S"}]),
    );
    check(
        &bulk,
        "808950811",
        &["title", "parent", "price", "stock", "available"],
        json!([null, "linen-shirt", 52.0, null, true]),
    );
    check(&bulk, "linen-shirt", &["title", "price", "brand", "available"], json!(["Linen shirt", 49.0, "Maré", true]));
    check(&bulk, "OL-1", &["parent", "available"], json!(["old-lamp", false]));

    let woo = items("woocommerce-api-products.json");
    check(
        &woo,
        "800",
        &["title", "parent", "price", "attributes"],
        json!(["Wool scarf", null, 32.0, {"Colour": ["Red", "Grey"], "sku": "WS"}]),
    );
    check(
        &woo,
        "801",
        &["title", "parent", "price", "stock", "available", "image", "attributes"],
        json!([null, "800", 35.0, 2, true, "https://shop.example/scarf-red.jpg", {"Colour": "Red", "sku": "WS-R"}]),
    );
    check(&woo, "802", &["title", "parent", "price", "available"], json!([null, "800", 32.0, false]));

    let shopware = items("shopware-api-products.json");
    check(&shopware, "SW100.1", &["title", "parent", "price", "available"], json!([null, "SW100", null, true]));
    check(
        &shopware,
        "SW100.2",
        &["title", "parent", "price", "attributes"],
        json!([null, "SW100", 52.0, {"Size": "XL"}]),
    );

    let commercetools = items("commercetools-products.json");
    check(
        &commercetools,
        "LS-S",
        &all,
        json!(["Linen shirt", "ct-1", 49.0, 4, true, "https://ct.example/ls-s.jpg", ["Shirts"], {"size": "S", "colour": "blue"}]),
    );
    check(
        &commercetools,
        "LS-M",
        &["title", "parent", "price", "stock", "available", "currency"],
        json!(["Linen shirt", "ct-1", 52.5, 0, false, "EUR"]),
    );
    check(&commercetools, "OL-1", &["price", "currency", "available"], json!([8000.0, "JPY", false]));
    let projections = items("commercetools-projections.json");
    check(
        &projections,
        "WS-R",
        &["title", "parent", "price", "categories"],
        json!(["Wool scarf", "ct-3", 35.0, ["Clothing"]]),
    );
    check(&projections, "WS-G", &["title", "parent", "price", "available"], json!(["Wool scarf", "ct-3", 32.0, true]));

    for name in ["squarespace-api-products.json", "squarespace-products.csv"] {
        let squarespace = items(name);
        check(
            &squarespace,
            "LS-S",
            &["title", "parent", "price", "stock", "available", "tags", "attributes"],
            json!(["Linen shirt", "sq1", 49.0, 4, true, ["linen", "summer"], {"Size": "S"}]),
        );
        check(
            &squarespace,
            "LS-M",
            &["title", "parent", "price", "stock", "available", "attributes"],
            json!(["Linen shirt", "sq1", 39.5, null, true, {"Size": "M"}]),
        );
        check(&squarespace, "OL-1", &["title", "available", "image"], json!(["Old lamp", false, null]));
        assert_eq!(find(&squarespace, "id", "LS-S")["image"], "https://s.example/ls.jpg", "{name}");
    }

    let wix = items("wix-api-products.json");
    check(
        &wix,
        "LS-S",
        &["title", "parent", "price", "currency", "stock", "available", "image", "brand", "attributes"],
        json!(["Linen shirt", "wx1", 39.2, "EUR", 4, true, "https://wix.example/ls.jpg", "Maré", {"Size": "S"}]),
    );
    check(&wix, "LS-M", &["price", "stock", "available"], json!([52.0, null, false]));
    check(&wix, "OL-1", &["title", "price", "available"], json!(["Old lamp", 80.0, false]));
}

#[test]
fn values_that_databases_put_into_objects_are_read_as_they_are_meant() {
    let orders = r#"{"_id":{"$oid":"65a1"},"type":"purchase","user":{"$oid":"u1"},"skus":["A","B"],"at":{"$date":{"$numberLong":"1772355600000"}},"price":{"$numberDecimal":"9.90"},"quantity":{"$numberInt":"2"}},
{"_id":{"$oid":"65a2"},"type":"purchase","user":{"$oid":"u2"},"skus":"A","at":{"$date":"2026-03-02T09:00:00Z"}},
"#;
    let folder = folder_of(&[("orders.jsonl", orders), ("m.toml", "[fields]\nitem = \"skus\"\n")]);
    let mapping = folder.path().join("m.toml");
    let (summary, said, events) =
        ingested(&folder.path().join("orders.jsonl"), &["--mapping", mapping.to_str().unwrap()], "events");
    assert_eq!(summary["read"], 3, "{summary} {said}");
    let told: Vec<_> =
        events.iter().map(|event| (&event["id"], &event["item"], &event["user"], &event["at"])).collect();
    let expected = [
        (json!("65a1"), json!("A"), json!("u1"), json!("2026-03-01T09:00:00Z")),
        (json!("65a1#2"), json!("B"), json!("u1"), json!("2026-03-01T09:00:00Z")),
        (json!("65a2"), json!("A"), json!("u2"), json!("2026-03-02T09:00:00Z")),
    ];
    assert_eq!(told, expected.each_ref().map(|(id, item, user, at)| (id, item, user, at)));
    assert_eq!((&events[0]["price"], &events[0]["quantity"]), (&9.9.into(), &2.into()));
}

#[test]
fn tables_in_other_encodings_and_with_other_signs_are_read() {
    let expected = json!([["A", "Żółty kubek", 9.5], ["B", "Łyżka; mała", 5.0], ["C", "Święta książka", 7.0]]);
    let rows = |delimiter: &str, quote: &str| {
        let row = |cells: [&str; 3]| cells.map(|cell| format!("{quote}{cell}{quote}")).join(delimiter) + "\n";
        row(["id", "title", "price"])
            + &row(["A", "Żółty kubek", "9.50"])
            + &row(["B", "Łyżka; mała", "5.00"])
            + &row(["C", "Święta książka", "7.00"])
    };
    let of_iso = |text: &str| {
        text.chars()
            .map(|c| match c {
                'Ż' => 0xAF,
                'ó' => 0xF3,
                'ł' => 0xB3,
                'Ł' => 0xA3,
                'ż' => 0xBF,
                'Ś' => 0xA6,
                'ę' => 0xEA,
                'ą' => 0xB1,
                c => u8::try_from(c).unwrap(),
            })
            .collect::<Vec<u8>>()
    };
    let files = [
        ("iso.csv", of_iso(&rows(",", "\"")), "ISO-8859-2"),
        ("tilde.csv", rows("~", "").into_bytes(), "tildes"),
        ("caret.txt", rows("^", "").into_bytes(), "carets"),
        ("hive.csv", rows("\u{1}", "").into_bytes(), "\\x01"),
        ("single.csv", rows(",", "'").into_bytes(), "cells in single quotes"),
        ("single-semicolon.csv", rows(";", "'").into_bytes(), "cells in single quotes"),
    ];
    for (name, bytes, note) in files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (_, said, items) = ingested(&path, &["--items"], "catalogue");
        assert!(said.contains(note), "{name}: {said}");
        let items: Vec<Value> = items.iter().map(|item| json!([item["id"], item["title"], item["price"]])).collect();
        assert_eq!(Value::from(items), expected, "{name}");
    }
}
