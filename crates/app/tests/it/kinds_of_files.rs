//! Files that are no whole descriptions of products: stocks, reviews, orders with their buyers, two products with one id.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{find, run, text};

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// Runs an ingest into the data folder `d`, and returns whether it went well and what was said.
fn ingest(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = run(folder, &[&["ingest", "--data", "d"], arguments].concat());
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn taken(folder: &Path, arguments: &[&str]) -> String {
    let (is_well, said) = ingest(folder, arguments);
    assert!(is_well, "{said}");
    said
}

fn exported(folder: &Path, what: &str) -> Vec<Value> {
    let export = run(folder, &["export", what, "--data", "d"]);
    text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const PRODUCTS: &str = "id,title,price,brand,image,categories,status\n\
    MUG,Red mug,9.90,Kiln,https://s.example/m.jpg,Mugs,active\n\
    HAT,Winter hat,19,Loom,https://s.example/h.jpg,Hats,draft\n";

const STOCKS: &str = "Handle,Title,Option1 Name,Option1 Value,SKU,Location,Available (not editable),On hand (current)\n\
    mug,Red mug,Title,Default Title,MUG,North,2,2\n\
    hat,Winter hat,Title,Default Title,HAT,North,0,0\n\
    mug,Red mug,Title,Default Title,MUG,South,3,4\n\
    new,New,Title,Default Title,NEW,South,3,4\n";

#[test]
fn an_export_of_stocks_changes_the_stock_and_nothing_else() {
    let folder = folder_of(&[("products.csv", PRODUCTS), ("stocks.csv", STOCKS)]);
    let (is_well, said) = ingest(folder.path(), &["stocks.csv"]);
    assert!(
        !is_well && said.contains("item_not_in_catalogue"),
        "without a catalogue nothing is made of stocks: {said}"
    );
    assert_eq!(exported(folder.path(), "catalogue"), Vec::<Value>::new());
    taken(folder.path(), &["products.csv"]);
    let before = exported(folder.path(), "catalogue");
    let said = taken(folder.path(), &["stocks.csv"]);
    assert!(said.contains("recognised stocks of known products, as with --patch"), "{said}");
    let after = exported(folder.path(), "catalogue");
    for (id, stock) in [("MUG", 5), ("HAT", 0)] {
        let mut expected = find(&before, "id", id).clone();
        expected["stock"] = stock.into();
        assert_eq!(find(&after, "id", id), &expected);
    }
    assert_eq!((after.len(), &find(&after, "id", "HAT")["available"]), (2, &json!(false)));
}

#[test]
fn a_stock_that_is_not_understood_is_refused_and_flags_keep_the_places() {
    let places = "SKU,Title,Location,Stock\nMUG,Red mug,North,5\nMUG,Red mug,South,0\nHAT,Winter hat,North,perhaps\n";
    let counts = "SKU,Title,Location,Available\nMUG,Red mug,North,5\nMUG,Red mug,South,3\n";
    let words = "SKU,Title,Location,Stock\nHAT,Winter hat,North,in stock\nHAT,Winter hat,South,0\n";
    let files = [("products.csv", PRODUCTS), ("places.csv", places), ("counts.csv", counts), ("words.csv", words)];
    let folder = folder_of(&files);
    taken(folder.path(), &["products.csv"]);
    let stock = |id: &str| find(&exported(folder.path(), "catalogue"), "id", id)["stock"].clone();
    let (_, said) = ingest(folder.path(), &["places.csv", "--patch"]);
    assert!(said.contains("the places of one product are added up") && said.contains("item_bad_stock"), "{said}");
    assert_eq!((stock("MUG"), stock("HAT")), (json!(5), Value::Null));
    taken(folder.path(), &["counts.csv"]);
    assert_eq!(stock("MUG"), 8);
    taken(folder.path(), &["words.csv"]);
    assert_eq!(stock("HAT"), Value::Null, "some pieces are no number");
}

#[test]
fn what_is_told_of_a_short_list_is_what_is_done() {
    let part = "id,title,price\nMUG,Red mug,9.90\n";
    let folder = folder_of(&[("products.csv", PRODUCTS), ("part.csv", part)]);
    taken(folder.path(), &["products.csv"]);
    let said = taken(folder.path(), &["part.csv", "--patch"]);
    assert!(said.contains("recognised products") && !said.contains("--items replaces"), "{said}");
    let image = || find(&exported(folder.path(), "catalogue"), "id", "MUG")["image"].clone();
    assert_eq!(image(), "https://s.example/m.jpg");
    let said = taken(folder.path(), &["part.csv", "--sync"]);
    assert!(said.contains("recognised products") && !said.contains("keep what the file has no column for"), "{said}");
    assert_eq!(image(), Value::Null);
}

#[test]
fn what_is_left_out_hides_or_may_be_a_stock_is_told_by_name() {
    let rows = "id;title;description;price;Active;Vorname;Bestand Nord;Output\n\
        A;Speaker;passive;9,90;No;Ada;3;5V@2.4A\nB;Mug;red;5,00;Yes;;3;\n";
    let folder = folder_of(&[("a.csv", rows)]);
    let said = taken(folder.path(), &["a.csv"]);
    for told in [
        "`Vorname` is left out (1 record): it is of a person",
        "`Active` says of 1 record that it is not to be shown",
        "`Bestand Nord` is kept under its name (2 records) and is no stock",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let items = exported(folder.path(), "catalogue");
    let speaker = find(&items, "id", "A");
    assert_eq!((&speaker["available"], &speaker["attributes"]["Output"]), (&json!(false), &json!("5V@2.4A")));
    assert_eq!(find(&items, "id", "B")["stock"], Value::Null);
}

#[test]
fn a_short_list_takes_nothing_from_the_products_of_the_catalogue() {
    let folder =
        folder_of(&[("products.csv", PRODUCTS), ("prices.csv", "sku,name,price\nMUG,Red mug,8.50\nCUP,Cup,5\n")]);
    taken(folder.path(), &["products.csv"]);
    let said = taken(folder.path(), &["prices.csv"]);
    assert!(said.contains("keep what the file has no column for"), "{said}");
    let items = exported(folder.path(), "catalogue");
    let mug = find(&items, "id", "MUG");
    assert_eq!((&mug["price"], &mug["brand"], &mug["categories"]), (&json!(8.5), &json!("Kiln"), &json!(["Mugs"])));
    assert_eq!(find(&items, "id", "CUP")["price"], 5.0);
    taken(folder.path(), &["prices.csv", "--items"]);
    assert_eq!(find(&exported(folder.path(), "catalogue"), "id", "MUG")["brand"], Value::Null, "the flag replaces");
}

#[test]
fn nothing_of_a_person_and_no_cost_becomes_an_attribute_of_an_item() {
    let file = "SKU,Item Name,Price,Email (Billing),Phone (Billing),Last Name (Billing),City,Cost per item,EK,Colour\n\
        MUG,Red mug,9.90,ada@example.com,+49 30 1234567,Müller,Berlin,3.10,2.95,red\n";
    let mapping = "kind = 'items'\n[fields]\nid = 'SKU'\ntitle = 'Item Name'\n[properties]\nmargin = 'EK'\n";
    let json = r#"{"id":"MUG","title":"Red mug","buyer_email":"ada@example.com","supply_price":3.1,"colour":"red"}"#;
    let folder = folder_of(&[("a.csv", file), ("m.toml", mapping), ("a.ndjson", json)]);
    let attributes = |folder: &Path| find(&exported(folder, "catalogue"), "id", "MUG")["attributes"].clone();
    let said = taken(folder.path(), &["a.csv", "--items"]);
    assert_eq!(attributes(folder.path()), json!({"Colour": "red"}));
    assert!(said.contains("`Cost per item` as a cost, which is left out") && said.contains("person_dropped"), "{said}");
    taken(folder.path(), &["a.ndjson", "--items"]);
    assert_eq!(attributes(folder.path()), json!({"colour": "red"}));
    taken(folder.path(), &["a.csv", "--mapping", "m.toml"]);
    assert_eq!(attributes(folder.path()), json!({"Colour": "red", "margin": "2.95"}), "a mapping may name a cost");
    let guess = text(&run(folder.path(), &["ingest", "--guess", "a.csv", "--items"]).stdout);
    assert!(guess.contains("\"Email (Billing)\"") && guess.contains("# of persons, and what the shop pays"), "{guess}");
}

#[test]
fn reviews_are_ratings_and_no_products() {
    let reviews = "title,body,rating,review_date,reviewer_name,reviewer_email,product_id,product_handle,ip_address\n\
        Great!,I love it,5,2025-11-20 10:00:00 UTC,Ada,ada@example.com,7001,mug,1.2.3.4\n";
    let folder = folder_of(&[
        ("reviews.csv", reviews),
        ("nobody.csv", "review_title,rating,review_date,reviewer_name,product_id\nGreat!,5,2025-11-20,Ada,7001\n"),
    ]);
    let said = taken(folder.path(), &["reviews.csv"]);
    assert!(said.contains("recognised reviews"), "{said}");
    let events = exported(folder.path(), "events");
    let rating = &events[0];
    assert_eq!(
        (&rating["type"], &rating["item"], &rating["user"]),
        (&json!("rating"), &json!("7001"), &json!("ada@example.com"))
    );
    assert_eq!((&rating["value"], events.len()), (&json!(5.0), 1));
    assert!(!rating.to_string().contains("1.2.3.4") && !rating.to_string().contains("love"), "{rating}");
    let (is_well, said) = ingest(folder.path(), &["nobody.csv"]);
    assert!(
        !is_well && said.contains("reviews without a column for the e-mail address or id of the reviewer"),
        "{said}"
    );
}

#[test]
fn what_systems_call_sold_out_or_inactive_is_hidden() {
    let rows = "Artikelnummer;Bezeichnung;Beschreibung;Preis;Aktiv;Lagerbestand Gesamt\n\
        A;Tasse;rot;9,90;J;3,00\nB;Hut;warm;19,00;N;3,00\nC;Schal;lang;12,00;J;0,00\n";
    let outlets = "sku,name,description,retail_price,active,inventory_Main_Outlet,inventory_South\n\
        A,Mug,red,9.90,1,0,2\nB,Hat,warm,19,0,3,1\nC,Scarf,long,12,1,0,0\n";
    for (name, content) in [("jtl.csv", rows), ("outlets.csv", outlets)] {
        let folder = folder_of(&[(name, content)]);
        taken(folder.path(), &[name]);
        let items = exported(folder.path(), "catalogue");
        let shown = ["A", "B", "C"].map(|id| {
            let item = find(&items, "id", id);
            item["available"] == true && item["stock"] != 0
        });
        assert_eq!(shown, [true, false, false], "{name}: {items:?}");
    }
}

#[test]
fn an_id_that_two_rows_have_with_different_contents_is_told() {
    let rows = "id,title,description,price\nDUP,Shirt S,linen,9\nDUP,Shirt M,linen,10\nX,Mug,red,5\nX,Mug,red,5\n";
    let folder = folder_of(&[("a.csv", rows)]);
    let said = taken(folder.path(), &["a.csv"]);
    assert!(
        said.contains("1 id of products stands in several rows of a file with different contents, first `DUP`"),
        "{said}"
    );
    assert_eq!(find(&exported(folder.path(), "catalogue"), "id", "DUP")["title"], "Shirt M", "the last row counts");
}

#[test]
fn an_item_for_preorder_is_shown_before_it_is_delivered() {
    let rows = "id,title,description,price,availability,availability_date\nA,Mug,red,9,preorder,2099-01-01\n";
    let folder = folder_of(&[("a.csv", rows)]);
    taken(folder.path(), &["a.csv"]);
    let items = exported(folder.path(), "catalogue");
    assert_eq!((&items[0]["published_at"], &items[0]["available"]), (&Value::Null, &json!(true)));
}

#[test]
fn words_of_spreadsheets_cost_no_product() {
    let rows = "id;title;description;available;price;stock\n\
        A;Tasse;rot;WAHR;-;3\nB;Hut;warm;FALSCH;9,00;3\nC;Schal;lang;VRAI;12,50 – 19,90 €;#WERT!\nD;Ring;klein;ja;auf Anfrage;1\n";
    let folder = folder_of(&[("a.csv", rows)]);
    let said = taken(folder.path(), &["a.csv"]);
    assert!(said.contains("price_dropped"), "{said}");
    let items = exported(folder.path(), "catalogue");
    let of = |id: &str| (find(&items, "id", id)["available"].clone(), find(&items, "id", id)["price"].clone());
    assert_eq!(of("A"), (json!(true), Value::Null));
    assert_eq!(of("B"), (json!(false), json!(9.0)));
    assert_eq!(of("C"), (json!(true), Value::Null));
    assert_eq!(of("D"), (json!(true), Value::Null));
}

#[test]
fn a_map_that_names_an_id_leaves_products_products() {
    let folder = folder_of(&[("a.csv", "sku,name,description,handle,price\nA,Mug,red,mug,9\n")]);
    let said = taken(folder.path(), &["a.csv", "--map", "id=sku"]);
    assert!(said.contains("recognised products"), "{said}");
    assert_eq!(find(&exported(folder.path(), "catalogue"), "id", "A")["title"], "Mug");
}
