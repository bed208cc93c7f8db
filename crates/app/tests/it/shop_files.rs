//! Files as shops have them: ids that stand in several rows, prices of sales, pictures by name, columns that mean something else
//! than their names say.

use std::path::Path;

use accrue_event::{RawUser, UserId};
use accrue_http::HttpSettings;
use serde_json::{Value, json};

use super::program::{example, find, folder_of, ingested, run, text};
use super::shop::Shop;

/// Runs an ingest into the data folder `d`, and returns what was said.
fn ingest(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, &[&["ingest", "--data", "d"], arguments].concat());
    text(&output.stdout) + &text(&output.stderr)
}

fn catalogue(folder: &Path) -> Vec<Value> {
    let export = run(folder, &["export", "catalogue", "--data", "d"]);
    text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_last_row_of_a_repeated_id_counts_however_often_the_file_is_read() {
    let folder = folder_of(&[("p.csv", "id,title,price\nDUP,S,1\nDUP,M,1\n")]);
    for time in 1..=3 {
        ingest(folder.path(), &["p.csv", "--items"]);
        assert_eq!(find(&catalogue(folder.path()), "id", "DUP")["title"], "M", "ingest {time}");
    }
}

#[test]
fn a_repeated_item_and_a_repeated_user_of_a_request_have_what_comes_last() {
    let shop = Shop::open(HttpSettings::default());
    let of = |title: &str| json!({"id": "A", "title": title});
    assert_eq!(shop.post("/v1/items", &json!([of("stored")])).json()["accepted"], 1);
    let answer = shop.post("/v1/items", &json!([of("new"), of("stored"), of("stored")])).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(1)));
    assert_eq!(shop.get("/v1/items/A").json()["title"], "stored");
    let of = |city: &str| serde_json::from_value::<RawUser>(json!({"id": "ann", "city": city})).unwrap();
    for time in 1..=3 {
        shop.engine.put_users_blocking(vec![of("Bern"), of("Bonn")]).unwrap();
        let ann = shop.engine.user(&UserId::from("ann")).unwrap();
        assert!(format!("{:?}", ann.attributes).contains("Bonn"), "request {time}: {ann:?}");
    }
}

#[test]
fn a_word_in_the_column_of_a_sale_leaves_the_usual_price() {
    let folder = folder_of(&[(
        "p.csv",
        "sku,name,description,price,Sale Price\nA,Shirt,x,49,39\nB,Mug,x,9,-\nC,Cup,x,5,none\n",
    )]);
    let said = ingest(folder.path(), &["p.csv"]);
    let items = catalogue(folder.path());
    assert_eq!(
        ["A", "B", "C"].map(|id| find(&items, "id", id)["price"].clone()),
        [39.0, 9.0, 5.0].map(Value::from),
        "{said}"
    );
}

#[test]
fn a_sale_whose_end_has_an_unusual_name_ends_and_one_that_is_not_clear_does_not_begin() {
    for (columns, more, price, told) in [
        ("discount_price,discount_end_date", "7,2020-01-01", 10.0, "while its dates say so"),
        ("special_price,special_from,special_until", "7,2019-01-01,2020-01-01", 10.0, "while its dates say so"),
        ("sale_price,on_sale", "7,0", 10.0, "`sale_price` is not taken as the price of a sale, because `on_sale`"),
        ("sale_price,sale_label", "7,Bargain", 7.0, "because the list has no dates for it"),
    ] {
        let file = format!("id,title,description,price,{columns}\nA,Mug,red,10,{more}\n");
        let folder = folder_of(&[("p.csv", &file)]);
        let said = ingest(folder.path(), &["p.csv"]);
        assert!(said.contains(told), "{columns}: {said}");
        assert_eq!(find(&catalogue(folder.path()), "id", "A")["price"], price, "{columns}: {said}");
        let guess = text(&run(folder.path(), &["ingest", "--guess", "p.csv"]).stdout);
        assert_eq!(guess.contains("# [sale]"), told.contains("not taken"), "{guess}");
    }
}

#[test]
fn pictures_of_wix_have_their_addresses() {
    let items = ingested(&example("wix-products.csv"), &[], "catalogue").2;
    assert_eq!(find(&items, "id", "LS")["image"], "https://static.wixstatic.com/media/a1_b2~mv2.jpg");
}

#[test]
fn prices_of_wix_have_their_surcharge_and_discount_and_variants_their_options() {
    let items = ingested(&example("wix-products.csv"), &[], "catalogue").2;
    for (id, price, size) in
        [("LS", 44.1, json!(["S", "M"])), ("LS-S", 44.1, json!(["S"])), ("LS-M", 48.6, json!(["M"]))]
    {
        let item = find(&items, "id", id);
        assert_eq!((&item["price"], &item["attributes"]["Size"]), (&json!(price), &size), "{id}");
    }
    let mug = find(&items, "id", "TM");
    assert_eq!((&mug["price"], &mug["attributes"]), (&json!(14.5), &json!({})));
}

#[test]
fn a_title_that_stands_in_a_later_row_of_its_product_is_that_of_the_variants_before_it() {
    let folder = folder_of(&[(
        "a.csv",
        "Handle,Title,Vendor,Variant SKU,Variant Price\nlinen,,,LS-M,21\nlinen,Linen shirt,Acme,LS-S,20\nmug,Tea mug,Acme,MUG,9\n",
    )]);
    ingest(folder.path(), &["a.csv"]);
    let items = catalogue(folder.path());
    let medium = find(&items, "id", "LS-M");
    assert_eq!(
        (&medium["title"], &medium["brand"], &medium["price"]),
        (&json!("Linen shirt"), &json!("Acme"), &json!(21.0))
    );
}

#[test]
fn stocks_of_several_places_in_a_file_of_changes_are_added_up() {
    for (header, rows) in [
        ("id,Location,stock", "A,Berlin,1\nA,Paris,2\n"),
        ("id;Lagerort;Bestand", "A;Berlin;3\nA;Paris;0\n"),
        ("source_code,sku,quantity,status", "berlin,A,1,0\nparis,A,2,1\n"),
        ("sku,Location,Available", "A,Berlin,1\nA,Paris,2\n"),
    ] {
        for flags in [&["--items", "--patch"][..], &["--patch"]] {
            let changes = format!("{header}\n{rows}");
            let folder = folder_of(&[("p.csv", "id,title,price,stock\nA,Mug,5,9\n"), ("s.csv", &changes)]);
            ingest(folder.path(), &["p.csv"]);
            let said = ingest(folder.path(), &[&["s.csv"], flags].concat());
            let items = catalogue(folder.path());
            assert_eq!(
                (&items[0]["stock"], &items[0]["available"]),
                (&json!(3), &json!(true)),
                "{header} {flags:?}: {said}"
            );
            assert!(said.contains("the places of one product are added up"), "{said}");
        }
    }
    let folder = folder_of(&[("p.csv", "id,title,price\nA,Mug,5\n"), ("s.csv", "id,stock\nA,1\nA,2\n")]);
    ingest(folder.path(), &["p.csv"]);
    let said = ingest(folder.path(), &["s.csv", "--items", "--patch"]);
    assert!(said.contains("1 id of products stands in several rows"), "{said}");
}

#[test]
fn a_header_that_begins_with_a_hash_is_the_header() {
    let folder = folder_of(&[("p.csv", "#;SKU;Name;Beschreibung;Preis\n1;A;Tasse;rot;9,99\n2;B;Hut;warm;19,00\n")]);
    let said = ingest(folder.path(), &["p.csv"]);
    let items = catalogue(folder.path());
    assert_eq!((&find(&items, "id", "A")["price"], items.len()), (&json!(9.99), 2), "{said}");
}

#[test]
fn a_product_that_is_hidden_in_its_language_hides_its_variants() {
    let mapping =
        "kind = 'items'\n[fields]\nid = 'id'\ntitle = 'title'\nparent = 'parent'\navailable = 'shown'\n[variants]\n";
    for no in ["FALSE", "nein", "FALSCH", "nej", "0", "Entwurf"] {
        let rows = format!("id,parent,title,shown\nP,,Shirt,{no}\nP-S,P,Shirt S,yes\nM,,Mug,yes\n");
        let folder = folder_of(&[("p.csv", &rows), ("m.toml", mapping)]);
        let said = ingest(folder.path(), &["p.csv", "--mapping", "m.toml"]);
        let items = catalogue(folder.path());
        let shown = ["P", "P-S", "M"].map(|id| find(&items, "id", id)["available"] == true);
        assert_eq!(shown, [false, false, true], "{no}: {said}");
        assert!(said.contains("products that are not shown"), "{no}: {said}");
    }
}

#[test]
fn an_export_of_a_known_system_that_lacks_a_column_is_told() {
    let whole = std::fs::read_to_string(example("ecwid-products.csv")).unwrap();
    let (header, rows) = whole.split_once('\n').unwrap();
    // As after a change by hand.
    let header: Vec<&str> =
        header.split(',').map(|name| if name == "product_price" { "Our price" } else { name }).collect();
    let folder = folder_of(&[("p.csv", &format!("{}\n{rows}", header.join(",")))]);
    let said = ingest(folder.path(), &["p.csv", "--items", "--check"]);
    assert!(said.contains("this looks like Ecwid's export of products, but has no column"), "{said}");
    let guess = text(&run(folder.path(), &["ingest", "--guess", "p.csv", "--items"]).stderr);
    assert!(guess.contains("--mapping ecwid-products"), "{guess}");
}

#[test]
fn a_guess_keeps_what_the_command_line_says() {
    let file = std::fs::read_to_string(example("wix-products.csv")).unwrap();
    let folder = folder_of(&[("p.csv", &file), ("form.toml", "kind = 'items'\ncurrency = 'SEK'\n")]);
    let arguments = [
        "ingest",
        "--guess",
        "p.csv",
        "--encoding",
        "windows-1250",
        "--image-base",
        "https://p.example",
        "--as-of",
        "2026-01-01T00:00:00Z",
    ];
    let guess = run(folder.path(), &arguments);
    let (mapping, shown) = (text(&guess.stdout), text(&guess.stderr));
    for line in
        ["encoding = \"windows-1250\"", "image_base = \"https://p.example\"", "as_of = \"2026-01-01T00:00:00Z\""]
    {
        assert!(mapping.lines().any(|known| known == line), "{line}: {mapping}");
    }
    assert!(shown.contains("https://p.example/a1_b2~mv2.jpg"), "{shown}");
    let guess = text(&run(folder.path(), &["ingest", "--guess", "p.csv", "--mapping", "form.toml"]).stdout);
    assert!(guess.contains("currency = \"SEK\"") && guess.contains("Wix"), "{guess}");
}
