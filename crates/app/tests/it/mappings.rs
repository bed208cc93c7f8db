//! The exports of shop systems as `docs/mapping.md` shows them: each goes in as it comes, recognised or by its mapping.

use std::path::Path;

use serde_json::Value;

use crate::program::{example, find, ingested, ingested_in_order, run, text, types};

/// A system, its file, what its records are, and how many of them go in and are left out.
const EXAMPLES: &[(&str, &str, &str, u64, u64)] = &[
    ("shopify-products", "csv", "catalogue", 5, 1),
    ("shopify-orders", "csv", "events", 4, 2),
    ("shopify-api-products", "json", "catalogue", 3, 0),
    ("shopify-bulk-products", "jsonl", "catalogue", 5, 1),
    ("shopify-graphql-products", "json", "catalogue", 3, 0),
    ("commercetools-products", "json", "catalogue", 3, 0),
    ("commercetools-projections", "json", "catalogue", 2, 0),
    ("squarespace-api-products", "json", "catalogue", 3, 0),
    ("squarespace-products", "csv", "catalogue", 3, 0),
    ("wix-api-products", "json", "catalogue", 3, 0),
    ("squarespace-orders", "csv", "events", 3, 1),
    ("wix-orders", "csv", "events", 3, 1),
    ("wix-products", "csv", "catalogue", 4, 0),
    ("ecwid-products", "csv", "catalogue", 4, 1),
    ("ecwid-api-orders", "json", "events", 2, 1),
    ("shopify-api-orders", "json", "events", 2, 1),
    ("shopify-pixel", "ndjson", "events", 5, 1),
    ("shopify-storefront-products", "json", "catalogue", 3, 0),
    ("magento-api-products", "json", "catalogue", 3, 0),
    ("magento-api-orders", "json", "events", 3, 2),
    ("prestashop-api-orders", "json", "events", 3, 1),
    ("prestashop-api-products", "xml", "catalogue", 2, 0),
    ("shopware-api-products", "json", "catalogue", 4, 0),
    ("bigcommerce-api-products", "json", "catalogue", 3, 0),
    ("shopware-api-orders", "json", "events", 2, 2),
    ("bigcommerce-api-orders", "json", "events", 3, 1),
    ("woocommerce-products", "csv", "catalogue", 5, 0),
    ("woocommerce-order-lines", "csv", "events", 4, 1),
    ("woocommerce-api-products", "json", "catalogue", 6, 0),
    ("woocommerce-api-orders", "json", "events", 3, 1),
    ("magento-products", "csv", "catalogue", 6, 2),
    ("prestashop-products", "csv", "catalogue", 3, 0),
    ("shopware-products", "csv", "catalogue", 4, 0),
    ("bigcommerce-products", "csv", "catalogue", 4, 2),
    ("bigcommerce-bulk-edit", "csv", "catalogue", 5, 1),
    ("klaviyo", "ndjson", "events", 4, 2),
    ("matomo", "json", "events", 4, 2),
    ("ga4-bigquery", "ndjson", "events", 4, 1),
    ("segment", "ndjson", "events", 4, 2),
    ("snowplow", "ndjson", "events", 4, 2),
    ("snowplow-tsv", "tsv", "events", 3, 5),
    ("opensearch-ubi-queries", "ndjson", "events", 2, 0),
    ("opensearch-ubi", "ndjson", "events", 3, 0),
    ("google-merchant", "tsv", "catalogue", 3, 0),
    ("google-merchant", "xml", "catalogue", 2, 0),
    ("meta-catalogue", "csv", "catalogue", 3, 0),
    ("gorse-items", "ndjson", "catalogue", 3, 0),
    ("gorse-feedback", "ndjson", "events", 3, 0),
];

#[test]
fn exports_of_known_systems_go_in_as_they_come() {
    for (system, ending, exported, n, skipped) in EXAMPLES {
        let file = example(&format!("{system}.{ending}"));
        let (summary, said, records) = ingested(&file, &[], exported);
        assert!(said.contains(&format!("used --mapping {system}")), "{system}: {said}");
        assert_eq!(summary["quarantined"].as_object().unwrap().len(), 0, "{system}: {summary}");
        assert_eq!(summary["read"], *n, "{system}: {summary}");
        assert_eq!(summary["skipped"].as_u64().unwrap_or(0), *skipped, "{system}: {summary}");
        if *exported == "catalogue" {
            assert_eq!(summary["items"]["n"], *n, "{system}: {summary}");
            for record in &records {
                // A variant may have the title of its product.
                assert!(record["title"].is_string() || record["parent"].is_string(), "{system}: {record}");
            }
            assert_eq!(summary["items"]["without_title"], 0, "{system}: {summary}");
        }
        let (named, _, same) = ingested(&file, &["--mapping", system], exported);
        assert_eq!((&named["read"], same), (&summary["read"], records), "{system}");
        let mapping = example(&format!("{system}.toml"));
        let (of_file, ..) = ingested(&file, &["--mapping", mapping.to_str().unwrap()], exported);
        assert_eq!(of_file["read"], summary["read"], "{system}");
    }
}

#[test]
fn products_keep_their_texts_prices_and_availability() {
    let items = |name: &str| ingested(&example(name), &[], "catalogue").2;
    let shopify = items("shopify-products.csv");
    let medium = find(&shopify, "id", "LS-M");
    assert_eq!(
        (&medium["title"], &medium["parent"], &medium["stock"]),
        (&"Linen shirt".into(), &"linen-shirt".into(), &0.into())
    );
    assert_eq!(medium["description"], "Woven in Porto, 100 % linen.");
    assert_eq!(medium["image"], "https://cdn.shop.example/linen-m.jpg");
    assert_eq!(medium["tags"], serde_json::json!(["linen", "summer"]));
    assert_eq!(medium["attributes"], serde_json::json!({"Size": "M", "Colour": "Blue"}));
    assert_eq!(medium["categories"], serde_json::json!(["Shirts", "Apparel & Accessories", "Clothing"]));
    let large = find(&shopify, "id", "LS-L");
    assert_eq!(large["stock"], Value::Null, "sold beyond the stock");
    assert_eq!(
        large["image"], "https://cdn.shop.example/linen-1.jpg",
        "the picture beside it is another of the product"
    );
    let mug = find(&shopify, "id", "Tea mug");
    assert_eq!((&mug["price"], &mug["attributes"]), (&16.5.into(), &serde_json::json!({})));
    assert_eq!(find(&shopify, "id", "OL-1")["available"], false, "a draft");
    let woo = items("woocommerce-products.csv");
    let small = find(&woo, "id", "SHIRT-S");
    assert_eq!((&small["parent"], &small["price"]), (&"SHIRT".into(), &39.9.into()));
    let shirt = find(&woo, "id", "SHIRT");
    assert_eq!(shirt["categories"], serde_json::json!(["Clothing", "Shirts", "Home, Garden"]));
    assert_eq!(
        (&shirt["attributes"]["Size"], &small["attributes"]["Size"]),
        (&serde_json::json!(["S", "M"]), &serde_json::json!(["S"]))
    );
    assert_eq!(find(&woo, "id", "47")["categories"], serde_json::json!(["Kitchen"]));
    assert_eq!(find(&woo, "id", "46")["available"], false);
    assert_eq!(find(&woo, "id", "OL-1")["available"], false, "a draft");
    let rest = items("woocommerce-api-products.json");
    assert_eq!((&rest[0]["parent"], &rest[0]["price"]), (&Value::Null, &39.9.into()));
    let magento = items("magento-products.csv");
    let mug = find(&magento, "id", "MUG");
    assert_eq!((&mug["price"], &mug["stock"]), (&14.9.into(), &12.into()));
    assert_eq!(mug["image"], "/m/u/mug.jpg");
    assert_eq!(mug["categories"], serde_json::json!(["Kitchen"]));
    assert_eq!(mug["published_at"], "2026-01-06T09:30:00Z");
    let presta = items("prestashop-products.csv");
    let lamp = find(&presta, "id", "3");
    assert_eq!((&lamp["price"], &lamp["currency"], &lamp["available"]), (&1280.0.into(), &"EUR".into(), &false.into()));
    let google = items("google-merchant.tsv");
    let mug = find(&google, "id", "TM");
    assert_eq!((&mug["price"], &mug["currency"], &mug["available"]), (&14.9.into(), &"EUR".into(), &true.into()));
    assert_eq!(mug["categories"], serde_json::json!(["Kitchen", "Mugs"]));
    let storefront = items("shopify-storefront-products.json");
    let (small, medium) = (find(&storefront, "id", "LS-S"), find(&storefront, "id", "LS-M"));
    assert_eq!((&small["available"], &medium["available"]), (&true.into(), &false.into()));
    assert_eq!((&small["parent"], &small["price"]), (&"linen-shirt".into(), &49.0.into()));
    assert_eq!(small["attributes"], serde_json::json!({"Size": "S"}));
    let rest = items("magento-api-products.json");
    let mug = find(&rest, "id", "MUG");
    assert_eq!((&mug["available"], &mug["stock"], &mug["price"]), (&false.into(), &0.into(), &16.5.into()));
    assert_eq!((&mug["description"], &mug["image"]), (&"Stoneware.".into(), &"/m/u/mug.jpg".into()));
    assert_eq!(find(&rest, "id", "SHIRT-S")["available"], false, "a variant that has no page");
    let gorse = items("gorse-items.ndjson");
    assert_eq!(find(&gorse, "id", "OL-1")["available"], false);
}

#[test]
fn orders_and_clicks_keep_shopper_item_and_time() {
    let events = |name: &str| ingested(&example(name), &[], "events").2;
    let orders = events("shopify-orders.csv");
    let second = &orders[1];
    assert_eq!((&second["item"], &second["user"]), (&"Tea mug".into(), &"ana@mail.example".into()));
    assert_eq!((&second["at"], &second["quantity"]), (&"2026-03-01T09:01:58Z".into(), &2.into()));
    assert_eq!((&orders[2]["user"], &orders[2]["session"]), (&Value::Null, &"#1002".into()));
    assert_eq!((&orders[3]["type"], &orders[3]["user"]), (&"return".into(), &"ana@mail.example".into()));
    let described = ingested(&example("shopify-orders.csv"), &[], "catalogue").2;
    let described = described.iter().filter(|item| item["title"].is_string());
    let described: Vec<&str> = described.map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(described, ["LS-S"], "a tip is no product, and what takes back nothing names none");
    let ga4 = events("ga4-bigquery.ndjson");
    let bought: Vec<&Value> =
        ga4.iter().filter(|event| event["type"] == "purchase").map(|event| &event["item"]).collect();
    assert_eq!(bought, ["LS-S", "TM"]);
    assert_eq!(find(&ga4, "type", "search")["query"], "linen");
    assert_eq!(find(&ga4, "type", "view")["position"], 3);
    let described = ingested(&example("ga4-bigquery.ndjson"), &[], "catalogue").2;
    let shirt = find(&described, "id", "LS-S");
    assert_eq!((&shirt["currency"], &shirt["categories"]), (&"EUR".into(), &serde_json::json!(["Shirts", "Linen"])));
    let ubi = events("opensearch-ubi.ndjson");
    assert_eq!((&ubi[0]["type"], &ubi[0]["query"]), (&"search".into(), &"linen".into()));
    assert_eq!((&ubi[1]["item"], &ubi[1]["position"]), (&"LS-S".into(), &2.into()), "from 0");
    let described = ingested(&example("opensearch-ubi.ndjson"), &[], "catalogue").2;
    assert_eq!(described[0]["title"], "Linen shirt");
    assert_eq!((&ubi[1]["item"], &ubi[1]["properties"]["query_id"]), (&"LS-S".into(), &"q-1".into()));
    let segment = events("segment.ndjson");
    let ids: Vec<&str> = segment.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m-1", "m-2", "segment-order-T1", "segment-order-T1#2"]);
    let described = ingested(&example("woocommerce-api-orders.json"), &[], "catalogue").2;
    assert_eq!(find(&described, "id", "794")["title"], "Linen shirt", "an id that is a number");
    for (name, sku) in [
        ("magento-api-orders.json", "SHIRT-S"),
        ("prestashop-api-orders.json", "1"),
        ("shopware-api-orders.json", "LS-S"),
        ("bigcommerce-api-orders.json", "LS-S"),
    ] {
        let orders = events(name);
        assert!(types(&orders).iter().all(|kind| matches!(*kind, "purchase" | "return")), "{name}");
        let shirt = find(&orders, "item", sku);
        assert_eq!((&shirt["type"], &shirt["price"]), (&"purchase".into(), &49.0.into()), "{name}: {shirt}");
        let user = if name.starts_with("presta") { "26" } else { "ana@mail.example" };
        assert_eq!(shirt["user"], user, "{name}");
        assert!(shirt["at"].as_str().unwrap().starts_with("2026-03-01T09:01:58"), "{name}: {shirt}");
        let described = ingested(&example(name), &[], "catalogue").2;
        let title = find(&described, "id", sku)["title"].as_str().unwrap();
        assert!(title.starts_with("Linen shirt"), "{name}: {title}");
    }
    let pixel = events("shopify-pixel.ndjson");
    assert_eq!((&pixel[4]["item"], &pixel[4]["user"], &pixel[4]["quantity"]), (&"TM".into(), &"77".into(), &2.into()));
}

#[test]
fn an_order_that_was_counted_and_is_taken_back_later_is_a_return() {
    let woo = |status: [&str; 3]| {
        let order = |n: usize, status: &str| {
            format!(
                r#"{{"id":{n},"status":"{status}","currency":"EUR","customer_id":7,"order_key":"wc_{n}","date_created_gmt":"2026-03-01T09:00:00","billing":{{"email":"a@b.example"}},"line_items":[{{"id":{n}0,"name":"Mug","product_id":5,"quantity":1,"price":37.8151260504202,"sku":"TM"}}]}}"#
            )
        };
        let orders: Vec<String> = status.iter().enumerate().map(|(n, status)| order(n + 1, status)).collect();
        format!("[{}]", orders.join(","))
    };
    let days = [
        ("1.json", woo(["completed", "processing", "cancelled"])),
        ("2.json", woo(["refunded", "cancelled", "cancelled"])),
        ("3.json", woo(["refunded", "cancelled", "cancelled"])),
    ];
    let days: Vec<(&str, &str)> = days.iter().map(|(name, text)| (*name, &**text)).collect();
    let (summaries, events) = ingested_in_order(&days, &[]);
    assert_eq!(types(&events), ["purchase", "purchase", "return", "return"]);
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["10", "20", "10-return", "20-return"]);
    assert_eq!((&summaries[0]["skipped"], &summaries[2]["duplicates"]), (&1.into(), &2.into()), "{summaries:?}");
    let header = "Name,Email,Financial Status,Paid at,Currency,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Payment Method\n";
    let row = |name: &str, status: &str, cancelled: &str, method: &str| {
        format!(
            "{name},a@b.example,{status},2026-03-01 10:01:58 +0100,EUR,2026-03-01 10:01:58 +0100,1,Mug,9,TM,{cancelled},{method}\n"
        )
    };
    let day = |rows: [String; 3]| format!("{header}{}", rows.concat());
    let first = day([
        row("#1", "paid", "", "stripe"),
        row("#2", "pending", "", "manual"),
        row("#3", "paid", "", "(for testing) Bogus Gateway"),
    ]);
    let second = day([
        row("#1", "refunded", "2026-03-02 10:00:00 +0100", "stripe"),
        row("#2", "voided", "2026-03-02 10:00:00 +0100", "manual"),
        row("#3", "paid", "", "(for testing) Bogus Gateway"),
    ]);
    let third = day([
        row("#1", "refunded", "", "stripe"),
        row("#2", "expired", "", "manual"),
        row("#4", "voided", "2026-03-02 10:00:00 +0100", "manual"),
    ]);
    let (summaries, events) = ingested_in_order(&[("1.csv", &first), ("2.csv", &second), ("3.csv", &third)], &[]);
    assert_eq!(types(&events), ["purchase", "purchase", "return", "return"], "{summaries:?}");
    assert_eq!(summaries[2]["skipped"], 1, "a cancelled order that was never counted: {summaries:?}");
}

#[test]
fn lines_of_woocommerce_orders_are_of_their_product_and_not_of_the_number_of_the_line() {
    let (_, _, events) = ingested(&example("woocommerce-order-lines.csv"), &[], "events");
    assert_eq!(types(&events), ["purchase", "purchase", "purchase", "return"]);
    let of = |field: &str| -> Vec<Value> { events.iter().map(|event| event[field].clone()).collect() };
    assert_eq!(of("item"), ["LS-S", "TM", "110", "TM"]);
    assert_eq!(of("user"), [Value::from("7"), "7".into(), Value::Null, "7".into()]);
    assert_eq!(events[2]["session"], "bob@example.com");
    assert_eq!((&events[1]["quantity"], &events[1]["price"]), (&2.into(), &19.9.into()));
}

#[test]
fn products_and_their_variants_stand_in_rows_of_their_own() {
    let items = |name: &str| ingested(&example(name), &[], "catalogue").2;
    let shopware = items("shopware-products.csv");
    assert_eq!(find(&shopware, "id", "SW100.1")["parent"], "SW100");
    let shirt = find(&shopware, "id", "SW100");
    assert_eq!((&shirt["price"], &shirt["brand"]), (&49.0.into(), &"Maré".into()));
    assert_eq!(shirt["image"], "https://s.example/ls.jpg");
    assert_eq!(find(&shopware, "id", "SW102")["available"], false);
    let bigcommerce = items("bigcommerce-products.csv");
    let small = find(&bigcommerce, "id", "LS-S");
    assert_eq!((&small["parent"], &small["title"], &small["stock"]), (&"LS".into(), &"Linen shirt".into(), &12.into()));
    assert_eq!(small["attributes"], serde_json::json!({"Size": "S", "Colour": "Blue"}));
    let shirt = find(&bigcommerce, "id", "LS");
    assert_eq!((&shirt["image"], &shirt["stock"]), (&"https://s.example/ls.jpg".into(), &Value::Null));
    assert_eq!(shirt["attributes"], serde_json::json!({"Material": "Linen", "Origin": "Portugal"}));
    let mug = find(&bigcommerce, "id", "TM");
    assert_eq!(
        (&mug["price"], &mug["stock"], &mug["image"]),
        (&12.0.into(), &Value::Null, &"https://s.example/tm.jpg".into())
    );
    // Its title is that of its product wherever it is shown.
    let bulk = items("bigcommerce-bulk-edit.csv");
    let small = find(&bulk, "id", "LS-S");
    assert_eq!((&small["parent"], &small["title"], &small["stock"]), (&"LS".into(), &Value::Null, &4.into()));
    assert_eq!(small["attributes"], serde_json::json!({"Size": "S"}));
    let mug = find(&bulk, "id", "TM");
    assert_eq!((&mug["price"], &mug["stock"], &mug["brand"]), (&12.0.into(), &10.into(), &"Kiln".into()));
    assert_eq!(mug["categories"], serde_json::json!(["Home", "Kitchen", "Sale"]));
    assert_eq!(find(&bulk, "id", "OL")["available"], false);
    let google = items("google-merchant.xml");
    let shirt = find(&google, "id", "LS-S");
    assert_eq!((&shirt["parent"], &shirt["price"], &shirt["currency"]), (&"LS".into(), &49.0.into(), &"EUR".into()));
    assert_eq!(shirt["categories"], serde_json::json!(["Clothing", "Shirts"]));
    let mug = find(&google, "id", "TM");
    assert_eq!((&mug["title"], &mug["available"]), (&"Salt & pepper mug".into(), &false.into()));
    assert_eq!(mug["categories"], serde_json::json!(["Home & Garden", "Kitchen"]));
}

#[test]
fn actions_of_visits_and_metrics_become_events() {
    let events = |name: &str| ingested(&example(name), &[], "events").2;
    let matomo = events("matomo.json");
    assert_eq!(types(&matomo), ["view", "search", "purchase", "purchase"]);
    assert_eq!((&matomo[1]["query"], &matomo[3]["item"]), (&"linen".into(), &"LS-S".into()));
    assert_eq!(matomo[2]["at"], "2026-03-01T09:05:00Z");
    let klaviyo = events("klaviyo.ndjson");
    assert_eq!(types(&klaviyo), ["view", "purchase", "purchase", "return"]);
    assert_eq!((&klaviyo[0]["user"], &klaviyo[1]["quantity"]), (&"ana@mail.example".into(), &2.into()));
    let snowplow = events("snowplow-tsv.tsv");
    assert_eq!(types(&snowplow), ["view", "purchase", "purchase"]);
    assert_eq!((&snowplow[1]["item"], &snowplow[2]["quantity"]), (&"LS-S".into(), &2.into()));
    let described = ingested(&example("woocommerce-api-orders.json"), &[], "catalogue").2;
    assert!(described.iter().any(|item| item["title"].is_string()));
}

#[test]
fn products_on_sale_have_the_price_of_today() {
    for (name, id, price) in [
        ("woocommerce-products.csv", "47", 16.5),
        ("woocommerce-products.csv", "SHIRT-S", 39.9),
        ("woocommerce-api-products.json", "795", 29.0),
        ("magento-products.csv", "LAMP", 80.0),
        ("magento-products.csv", "MUG", 14.9),
        ("google-merchant.tsv", "LS-S", 49.0),
        ("meta-catalogue.csv", "LS-S", 49.0),
    ] {
        let (_, said, items) = ingested(&example(name), &[], "catalogue");
        assert_eq!(find(&items, "id", id)["price"], price, "{name}");
        assert!(said.contains("over; the usual price was taken"), "{name}: {said}");
    }
    // At an earlier time the sale was valid, and what happens later is said.
    let (_, said, items) = ingested(&example("google-merchant.tsv"), &["--as-of", "2024-11-25T00:00:00Z"], "catalogue");
    assert_eq!(find(&items, "id", "LS-S")["price"], 39.0);
    assert!(said.contains("the next changes at 2024-12-01T23:30:00Z: ingest a new export then"), "{said}");
}

#[test]
fn what_a_line_says_of_an_item_stays_when_a_later_one_adds_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.ndjson");
    let call = |id: &str, more: &str| {
        format!(
            r#"{{"type":"track","event":"Product Viewed","messageId":"{id}","anonymousId":"a","timestamp":"2026-03-01T09:00:00Z","properties":{{"product_id":"U","name":"Uno",{more}}}}}"#
        )
    };
    let lines = [call("1", "\"price\":9"), call("2", "\"price\":3,\"currency\":\"EUR\"")];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (_, _, items) = ingested(&file, &[], "catalogue");
    assert_eq!((&items[0]["price"], &items[0]["currency"]), (&9.0.into(), &"EUR".into()));
}

#[test]
fn what_can_be_ordered_is_not_sold_out_and_variants_have_their_products() {
    let items = |name: &str| ingested(&example(name), &[], "catalogue").2;
    let magento = items("magento-products.csv");
    let shirt = find(&magento, "id", "SHIRT");
    assert_eq!((&shirt["price"], &shirt["stock"], &shirt["available"]), (&49.0.into(), &Value::Null, &true.into()));
    let small = find(&magento, "id", "SHIRT-S");
    assert_eq!(
        (&small["parent"], &small["attributes"]["size"], &small["available"]),
        (&"SHIRT".into(), &"S".into(), &true.into())
    );
    assert_eq!(small["title"], Value::Null, "the internal name");
    assert_eq!(shirt["categories"], serde_json::json!(["Clothing", "Shirts"]), "not the root of all categories");
    assert_eq!(find(&magento, "id", "MUG")["attributes"]["care"], "Dishwasher, low heat");
    for id in ["SET", "CARD"] {
        let item = find(&magento, "id", id);
        assert_eq!((&item["stock"], &item["available"]), (&Value::Null, &true.into()), "{id}");
    }
    let woo = items("woocommerce-products.csv");
    assert_eq!(find(&woo, "id", "SHIRT")["price"], 39.9, "the lowest of its variations");
    assert_eq!(find(&woo, "id", "SHIRT")["brand"], "Maré");
    assert_eq!(find(&woo, "id", "OL-1")["stock"], Value::Null, "can be ordered");
    let description = find(&woo, "id", "47")["description"].as_str().unwrap();
    assert!(description.starts_with("Holds 0.3 l.") && !description.contains('\\'), "{description}");
    let rest = items("woocommerce-api-products.json");
    let hat = find(&rest, "id", "795");
    assert_eq!((&hat["stock"], &hat["available"]), (&Value::Null, &true.into()));
    assert_eq!(find(&rest, "id", "794")["attributes"]["Size"], serde_json::json!(["S", "M"]));
}

#[test]
fn pictures_lie_where_the_command_line_says() {
    let file = example("magento-products.csv");
    let (_, said, items) = ingested(&file, &[], "catalogue");
    assert!(said.contains("say where they lie: --image-base"), "{said}");
    assert_eq!(find(&items, "id", "MUG")["image"], "/m/u/mug.jpg");
    let base = "https://shop.example/media/catalog/product";
    let (_, said, items) = ingested(&file, &["--image-base", base], "catalogue");
    assert!(!said.contains("--image-base"), "{said}");
    assert_eq!(find(&items, "id", "MUG")["image"], "https://shop.example/media/catalog/product/m/u/mug.jpg");
}

#[test]
fn lines_of_events_make_no_products_of_a_catalogue_that_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("items.csv", "id,title,price,stock\nM,Mug,9,3\n");
    write("orders.csv", "user,sku,name,price,at\nu1,M,Mug,9,2026-03-01\nu1,GONE,Old lamp,80,2026-03-01\n");
    write(
        "m.toml",
        "[fields]\nitem = 'sku'\n[constants]\ntype = 'purchase'\n[item]\ntitle = 'name'\nprice = 'price'\n",
    );
    let ingest = |arguments: &[&str], data: &str| {
        let output = run(folder.path(), &[&["ingest", "--json", "--data", data], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let titles = |data: &str| {
        let catalogue = text(&run(folder.path(), &["export", "catalogue", "--data", data]).stdout);
        let items = catalogue.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        items.filter_map(|item| item["title"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    ingest(&["items.csv", "--items"], "d");
    let said = ingest(&["orders.csv", "--mapping", "m.toml"], "d");
    assert!(said.contains("the catalogue lacks and that stay unknown: 1"), "{said}");
    assert_eq!(titles("d"), ["Mug"]);
    ingest(&["orders.csv", "--mapping", "m.toml"], "e");
    assert_eq!(titles("e"), ["Mug", "Old lamp"], "a shop that has no file of products");
}

#[test]
fn customers_are_known_by_what_orders_name() {
    let records = |name: &str| {
        let (summary, said, _) = ingested(&example(name), &[], "events");
        let folder = tempfile::tempdir().unwrap();
        let guess = run(folder.path(), &["ingest", "--guess", "--json", example(name).to_str().unwrap()]);
        let guess: Value = serde_json::from_slice(&guess.stdout).unwrap();
        let records = guess["records"].as_array().unwrap().iter();
        let records: Vec<Value> =
            records.map(|shown| serde_json::from_str(shown["record"].as_str().unwrap()).unwrap()).collect();
        (summary, said, records)
    };
    let (summary, said, users) = records("shopify-customers.csv");
    assert!(said.contains("--mapping shopify-customers"), "{said}");
    assert_eq!((&summary["accepted"], &summary["skipped"]), (&2.into(), &1.into()), "{summary}");
    let ana = find(&users, "id", "ana@mail.example");
    assert_eq!(ana["attributes"], serde_json::json!({"accepts_marketing": "yes", "country": "PT", "tags": "vip"}));
    let (_, said, users) = records("gorse-users.ndjson");
    assert!(said.contains("--mapping gorse-users"), "{said}");
    assert_eq!(find(&users, "id", "ana")["attributes"], serde_json::json!({"club": "gold", "country": "PT"}));
}

#[test]
fn flat_events_name_their_items_and_what_nothing_is_taken_of_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flat.csv");
    let rows = "event_name,event_timestamp,visitor_id,item_id,item_name,price\nview_item,1772355600,v,A,Mug,9.5\n";
    std::fs::write(&file, rows).unwrap();
    let (_, said, items) = ingested(&file, &[], "catalogue");
    assert!(said.contains("recognised `item_name` as the title of the items"), "{said}");
    assert_eq!((&items[0]["title"], &items[0]["price"]), (&"Mug".into(), &9.5.into()));
    let mapping = folder.path().join("m.toml");
    std::fs::write(&mapping, "[fields]\ntype = \"event_name\"\nitem = \"item_id\"\nuser = \"visitor_id\"\nat = \"event_timestamp\"\n\n[[rule]]\nwhen = { column = \"event_name\", empty = false }\nskip = true\n").unwrap();
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = ["ingest", &name(&file), "--mapping", &name(&mapping), "--check", "--data", "d"];
    let ran = run(folder.path(), &arguments);
    let told = text(&ran.stdout) + &text(&ran.stderr);
    assert!(told.contains("nothing was taken"), "{told}");
}

#[test]
fn an_item_of_orders_has_the_title_that_most_lines_have() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.csv");
    let line = |user: &str, title: &str| format!("purchase,{user},71477,2026-03-01T09:00:00Z,{title}\n");
    let rows = ["short", "STAR T-LIGHT HOLDER", "STAR T-LIGHT HOLDER", "short", "STAR T-LIGHT HOLDER"];
    let rows: String = rows.iter().enumerate().map(|(n, title)| line(&format!("u{n}"), title)).collect();
    std::fs::write(&file, format!("type,user,item,at,product_name\n{rows}")).unwrap();
    let (summary, _, items) = ingested(&file, &[], "catalogue");
    assert_eq!(items[0]["title"], "STAR T-LIGHT HOLDER", "{summary}");
}
