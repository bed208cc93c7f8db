//! The exports of shop systems as `docs/mapping.md` shows them: each goes in as it comes, recognised or by its mapping.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mapping").join(name)
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ingests a file as a user would and returns the summary, what was said, and what is exported of this kind.
fn ingested(file: &Path, arguments: &[&str], exported: &str) -> (Value, String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec!["ingest", file.to_str().unwrap(), "--json", "--data", "d"];
    all.extend(arguments);
    let output = run(folder.path(), &all);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}: {said}{}", file.display(), text(&output.stdout));
    let export = run(folder.path(), &["export", exported, "--data", "d"]);
    let records = text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (serde_json::from_slice(&output.stdout).unwrap(), said, records)
}

/// A system, its file, what its records are, and how many of them go in and are left out.
const EXAMPLES: &[(&str, &str, &str, u64, u64)] = &[
    ("shopify-products", "csv", "catalogue", 5, 1),
    ("shopify-orders", "csv", "events", 4, 2),
    ("shopify-api-products", "json", "catalogue", 3, 0),
    ("shopify-api-orders", "json", "events", 2, 1),
    ("shopify-pixel", "ndjson", "events", 5, 1),
    ("woocommerce-products", "csv", "catalogue", 5, 0),
    ("woocommerce-api-products", "json", "catalogue", 3, 0),
    ("woocommerce-api-orders", "json", "events", 3, 1),
    ("magento-products", "csv", "catalogue", 3, 2),
    ("prestashop-products", "csv", "catalogue", 3, 0),
    ("ga4-bigquery", "ndjson", "events", 4, 1),
    ("segment", "ndjson", "events", 4, 2),
    ("snowplow", "ndjson", "events", 4, 2),
    ("opensearch-ubi", "ndjson", "events", 2, 1),
    ("google-merchant", "tsv", "catalogue", 3, 0),
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
                assert!(record["title"].is_string(), "{system}: {record}");
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

/// The record of this id, or of this item and type.
fn find<'r>(records: &'r [Value], key: &str, value: &str) -> &'r Value {
    records.iter().find(|record| record[key] == value).unwrap_or_else(|| panic!("no {key} {value}: {records:?}"))
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
    assert_eq!(described, ["LS-S", "LS-M"], "a tip is no product");
    let ga4 = events("ga4-bigquery.ndjson");
    let bought: Vec<&Value> =
        ga4.iter().filter(|event| event["type"] == "purchase").map(|event| &event["item"]).collect();
    assert_eq!(bought, ["LS-S", "TM"]);
    assert_eq!(find(&ga4, "type", "search")["query"], "linen");
    let ubi = events("opensearch-ubi.ndjson");
    assert_eq!((&ubi[0]["item"], &ubi[0]["properties"]["query_id"]), (&"LS-S".into(), &"q-1".into()));
    let segment = events("segment.ndjson");
    let ids: Vec<&str> = segment.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m-1", "m-2", "m-4", "m-4#2"]);
    let described = ingested(&example("woocommerce-api-orders.json"), &[], "catalogue").2;
    assert_eq!(find(&described, "id", "794")["title"], "Linen shirt", "an id that is a number");
    let pixel = events("shopify-pixel.ndjson");
    assert_eq!((&pixel[4]["item"], &pixel[4]["user"], &pixel[4]["quantity"]), (&"TM".into(), &"77".into(), &2.into()));
}

#[test]
fn documents_of_a_search_engine_go_in_by_a_mapping_of_the_shop() {
    let mapping = example("meilisearch-documents.toml");
    let (summary, _, items) =
        ingested(&example("meilisearch-documents.json"), &["--mapping", mapping.to_str().unwrap()], "catalogue");
    assert_eq!(summary["items"]["without_title"], 0);
    assert_eq!(items[0]["categories"], serde_json::json!(["Clothing", "Shirts"]));
    // Without a mapping, the fields that have usual names are found.
    let (_, said, items) = ingested(&example("meilisearch-documents.json"), &["--items"], "catalogue");
    assert_eq!((&items[1]["title"], &items[1]["price"]), (&"Tea mug".into(), &16.5.into()), "{said}");
}

#[test]
fn a_guess_is_a_mapping_that_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stock.csv");
    std::fs::write(&file, "Artikelnummer;Bezeichnung;Preis;Farbe\n7;Große Tasse;9,99 €;rot\n8;Teller;1.299,00 €;\n")
        .unwrap();
    let output = run(folder.path(), &["ingest", "--guess", "stock.csv", "--data", "d"]);
    let (mapping, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    for line in ["kind = \"items\"", "title = \"Bezeichnung\"", "#   Farbe"] {
        assert!(mapping.contains(line), "{mapping}");
    }
    assert!(said.contains("Große Tasse") && said.contains("\"price\":9.99"), "{said}");
    assert!(!folder.path().join("d").exists(), "nothing is written");
    std::fs::write(folder.path().join("m.toml"), mapping).unwrap();
    let (summary, said, items) =
        ingested(&file, &["--mapping", folder.path().join("m.toml").to_str().unwrap()], "catalogue");
    assert_eq!((&summary["items"]["without_price"], &items[1]["price"]), (&0.into(), &1299.0.into()));
    assert!(said.contains("recognised decimal commas"), "{said}");
    let output = run(folder.path(), &["ingest", "--guess", example("segment.ndjson").to_str().unwrap(), "--data", "d"]);
    assert!(text(&output.stdout).contains("properties.products[].product_id"), "{}", text(&output.stdout));
}

#[test]
fn a_history_without_times_is_refused_unless_it_is_of_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.csv");
    std::fs::write(&file, "type,user,item,Kaufdatum\nview,u1,A,2019-03-01T10:00:00Z\n").unwrap();
    let refused = run(folder.path(), &["ingest", "h.csv", "--data", "d"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("perhaps it is `Kaufdatum`") && said.contains("--now"), "{said}");
    let (_, _, events) = ingested(&file, &["--map", "at=Kaufdatum"], "events");
    assert_eq!(events[0]["at"], "2019-03-01T10:00:00Z");
    let (_, _, events) = ingested(&file, &["--now"], "events");
    assert!(!events[0]["at"].as_str().unwrap().starts_with("2019"), "{events:?}");
    // A usual name of a time is found, and said.
    std::fs::write(&file, "type,user,item,timestamp\nview,u1,A,2019-03-01T10:00:00Z\n").unwrap();
    let (_, said, events) = ingested(&file, &[], "events");
    assert_eq!(events[0]["at"], "2019-03-01T10:00:00Z");
    assert!(said.contains("`timestamp` as at"), "{said}");
}

#[test]
fn products_need_no_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.json");
    std::fs::write(&file, r#"[{"sku": 7, "name": "Mug", "price": "9,99 €"}]"#).unwrap();
    let (summary, said, items) = ingested(&file, &[], "catalogue");
    assert!(said.contains("recognised products"), "{said}");
    assert_eq!(
        (&items[0]["id"], &items[0]["title"], &summary["items"]["without_title"]),
        (&"7".into(), &"Mug".into(), &0.into())
    );
    std::fs::write(&file, r#"{"type": "view", "user": "u1", "item": "A"}"#).unwrap();
    let output = run(folder.path(), &["ingest", "p.json", "--data", "d"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("use --now"), "{}", text(&output.stdout));
}

#[test]
fn files_of_several_systems_go_in_together_products_first() {
    let (orders, products) = (example("shopify-orders.csv"), example("shopify-products.csv"));
    let (summary, said, items) = ingested(&orders, &[products.to_str().unwrap()], "catalogue");
    assert!(
        said.contains("used --mapping shopify-orders") && said.contains("used --mapping shopify-products"),
        "{said}"
    );
    assert_eq!(summary["quarantined"], serde_json::json!({}));
    let ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["LS-S", "LS-M", "LS-L", "Tea mug", "OL-1"], "the orders name these products, and make none");
    let (summary, ..) = ingested(&products, &["--sync"], "catalogue");
    assert_eq!((&summary["accepted"], &summary["retired"]), (&summary["accepted"], &0.into()));
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
fn a_guess_reads_and_prints_a_bounded_part_of_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let long = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let members: Vec<String> = (0..50_000).map(|n| format!("\"key-{n}\":{{\"a\":1}}")).collect();
    for (name, content) in [
        ("cells.csv", long("1234,")),
        ("name.csv", long("x")),
        ("row.csv", format!("id,title\n1,{}\n", long("x"))),
        ("keys.json", format!("{{{}}}", members.join(","))),
        ("value.json", format!("{{\"id\":\"1\",\"title\":\"{}\"}}", long("x"))),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
        let began = std::time::Instant::now();
        let output = run(folder.path(), &["ingest", "--guess", name, "--data", "d"]);
        let n_bytes = output.stdout.len() + output.stderr.len();
        assert!(n_bytes < 64 << 10, "{name}: {n_bytes} bytes");
        assert!(began.elapsed().as_secs() < 8, "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_file_of_which_nothing_is_taken_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("g.ndjson"), "{x\n".repeat(200_000)).unwrap();
    let output = run(folder.path(), &["ingest", "g.ndjson", "--json", "--data", "d"]);
    assert_eq!(output.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((10_000..50_000).contains(&summary["read"].as_u64().unwrap()), "{summary}");
    assert!(text(&output.stderr).contains("every record so far was refused"), "{}", text(&output.stderr));
}

#[test]
fn misspelt_columns_are_told_in_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.csv");
    std::fs::write(&file, "id,title,prize,stok,colour\n1, Mug ,9,3,red\n2,Cup,8,2,blue\n").unwrap();
    let output = run(folder.path(), &["ingest", "p.csv", "--items", "--check", "--data", "d"]);
    let told = text(&output.stdout);
    assert!(told.contains("`prize` is kept under its name (2 records); was `price` meant?"), "{told}");
    assert!(told.contains("`stok`") && !told.contains("`colour`"), "{told}");
    assert!(told.lines().any(|line| line.split_whitespace().eq(["trimmed", "1"])), "{told}");
}
