//! Files without a mapping: what they hold is recognised, guessed, or refused with what is missing.

use serde_json::Value;

use crate::program::{example, find, ingested, run, text, text_of, text_of_errors};

#[test]
fn files_with_the_marks_of_programs_and_spreadsheets_go_in() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let gorse = "item_id,is_hidden,categories,time_stamp,labels,description\n\
                 A,false,\"[\"\"Clothing\"\",\"\"Shirts\"\"]\",2026-03-01 09:00:00 +0000 UTC,\"{\"\"brand\"\":\"\"Maré\"\",\"\"colour\"\":\"\"Blue\"\"}\",Shirt\n";
    let (_, said, items) = ingested(&write("items.csv", gorse), &[], "catalogue");
    assert!(said.contains("gorse-items"), "{said}");
    assert_eq!(items[0]["categories"], serde_json::json!(["Clothing", "Shirts"]));
    assert_eq!((&items[0]["brand"], &items[0]["attributes"]), (&"Maré".into(), &serde_json::json!({"colour": "Blue"})));
    assert_eq!(items[0]["published_at"], "2026-03-01T09:00:00Z");
    let feedback = "feedback_type,user_id,item_id,value,time_stamp\npurchase,u1,A,1,2026-03-01 09:00:00 +0000 UTC\n";
    let (_, _, events) = ingested(&write("feedback.csv", feedback), &[], "events");
    assert_eq!(events[0]["at"], "2026-03-01T09:00:00Z");
    let magento = std::fs::read_to_string(example("magento-products.csv")).unwrap();
    let narrow = magento.replace(" AM", "\u{202f}AM").replace(" PM", "\u{202f}PM");
    assert_ne!(magento, narrow);
    let (_, _, items) = ingested(&write("catalog.csv", &narrow), &[], "catalogue");
    assert_eq!(find(&items, "id", "MUG")["published_at"], "2026-01-06T09:30:00Z");
    let shopify = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Care (product.metafields.custom.care)\n\
                   mug,Mug,,V,Kitchen,,true,Size,S,'0089,shopify,4,deny,9,Wash at 30°\nmug,,,,,,,,L,'0090,shopify,4,deny,9,\n";
    let (_, _, items) = ingested(&write("products.csv", shopify), &[], "catalogue");
    for id in ["0089", "0090"] {
        assert_eq!(find(&items, "id", id)["attributes"]["Care (product.metafields.custom.care)"], "Wash at 30°");
    }
}

#[test]
fn what_is_neither_products_nor_events_is_refused_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"data":[{"type":"event","id":"e1","attributes":{"timestamp":1772355600,"event_properties":{"Items":[{"SKU":"TM","ProductName":"Mug"}]}},"relationships":{"profile":{"data":{"type":"profile","id":"P1"}},"metric":{"data":{"type":"metric","id":"M1"}}}}],"links":{"next":null}}"#;
    std::fs::write(folder.path().join("e.json"), text).unwrap();
    let output = run(folder.path(), &["ingest", "e.json", "--data", "d"]);
    let said = text_of_errors(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("neither a shopper nor an item") && said.contains("--guess"), "{said}");
    let guess = run(folder.path(), &["ingest", "--guess", "e.json", "--data", "d"]);
    let guess = text_of(&guess);
    for line in
        ["kind = \"events\"", "relationships.profile.data.id", "attributes.timestamp", "relationships.metric.data.id"]
    {
        assert!(guess.contains(line), "{guess}");
    }
    std::fs::write(folder.path().join("empty.csv"), "").unwrap();
    let output = run(folder.path(), &["ingest", "empty.csv", "--data", "d2"]);
    assert!(text_of_errors(&output).contains("empty.csv: has no records"), "{}", text_of_errors(&output));
}

#[test]
fn exports_in_other_languages_and_spellings_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let presta = [
        r#""ID produit";"Image";"Nom";"Référence";"Catégorie";"Prix (HT)";"Prix (TTC)";"Quantité";"État";"Position""#,
        r#""ID";"Imagen";"Nombre";"Referencia";"Categoría";"Precio";"Precio con IVA";"Cantidad";"Estado";"Posición""#,
        r#""Produkt-ID";"Bild";"Name";"Artikel-Nr.";"Kategorie";"Preis (o. St.)";"Preis (m. St.)";"Menge";"Zustand";"Position""#,
        r#""ID prodotto";"Immagine";"Nome";"Riferimento";"Categoria";"Prezzo (IVA escl.)";"Prezzo (IVA incl.)";"Quantità";"Stato";"Posizione""#,
    ];
    for (place, header) in presta.into_iter().enumerate() {
        let row = r#""7";"https://shop.example/7.jpg";"Tasse";"TM";"Cuisine";"1 000,00 €";"1 200,50 €";"4";"0";"1""#;
        let file = write(&format!("p{place}.csv"), &format!("{header}\n{row}\n"));
        for arguments in [&[][..], &["--mapping", "prestashop-products"]] {
            let (_, said, items) = ingested(&file, arguments, "catalogue");
            let item = find(&items, "id", "7");
            assert_eq!(
                (&item["title"], &item["price"], &item["stock"]),
                (&"Tasse".into(), &1200.5.into(), &4.into()),
                "{said}"
            );
            assert_eq!((&item["available"], &item["currency"]), (&false.into(), &"EUR".into()), "{said}");
        }
    }
    // Columns were chosen, so that their places say nothing.
    let text = "ID,Type,UGS,Nom,Publié,Visibilité dans le catalogue,En stock ?,Stock,Tarif promo,Tarif régulier,Catégories,Images,Parent,Nom de l’attribut 1,Valeur(s) de l’attribut 1,Nom de l’attribut 2,Valeur(s) de l’attribut 2\n\
                1,simple,TM,Tasse,1,visible,1,4,,\"16,50\",Cuisine,https://shop.example/7.jpg,,Couleur,\"Bleu, Vert\",Taille,M\n";
    let file = write("w.csv", text);
    let (_, said, items) = ingested(&file, &[], "catalogue");
    assert!(said.contains("WooCommerce"), "{said}");
    assert_eq!(
        (&items[0]["id"], &items[0]["price"], &items[0]["categories"][0]),
        (&"TM".into(), &16.5.into(), &"Cuisine".into())
    );
    assert_eq!(items[0]["attributes"], serde_json::json!({"Couleur": ["Bleu", "Vert"], "Taille": ["M"]}));
    let guess = run(folder.path(), &["ingest", "--guess", "w.csv", "--data", "d"]);
    assert!(text_of(&guess).contains("price = \"Tarif régulier\""), "{}", text_of(&guess));
    let feed = "id\ttitle\tlink\timage link\tavailability\tprice\tsale price\tsale price effective date\titem group id\n\
                1\tMug\thttps://s.example/1\thttps://s.example/1.jpg\tin_stock\t9.00 EUR\t5.00 EUR\t2024-01-01/2024-02-01\tG\n";
    let (_, said, items) = ingested(&write("f.tsv", feed), &[], "catalogue");
    assert!(said.contains("google-merchant"), "{said}");
    assert_eq!(
        (&items[0]["price"], &items[0]["parent"], &items[0]["image"]),
        (&9.0.into(), &"G".into(), &"https://s.example/1.jpg".into())
    );
}

#[test]
fn answers_of_interfaces_are_unwrapped() {
    let folder = tempfile::tempdir().unwrap();
    let products = r#"[{"ItemId":"1","IsHidden":false,"Categories":["a"],"Comment":"Mug"},{"ItemId":"2","IsHidden":false,"Categories":["a"],"Comment":"Cup"}]"#;
    let plain = r#"[{"sku":"1","name":"Mug","price":9},{"sku":"2","name":"Cup","price":8}]"#;
    let pretty = |text: &str| serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
    for (place, text) in [
        format!(r#"{{"Cursor":"","Items":{products}}}"#),
        format!(r#"{{"Items":{products},"Cursor":""}}"#),
        pretty(&format!(r#"{{"Cursor":"x","Items":{products}}}"#)),
        format!(r#"{{"count":2,"next":null,"results":{plain}}}"#),
        format!(r#"{{"took":3,"hits":{{"total":{{"value":2}},"hits":{plain}}}}}"#),
        format!(r#"{{"data":{{"products":{plain}}}}}"#),
        // Pages, one after the other.
        r#"{"total":2,"products":[{"sku":"1","name":"Mug","price":9}]}{"total":2,"products":[{"sku":"2","name":"Cup","price":8}]}"#.into(),
        "{\"total\":2,\"products\":[{\"sku\":\"1\",\"name\":\"Mug\"}]}\n{\"total\":2,\"products\":[{\"sku\":\"2\",\"name\":\"Cup\"}]}\n".into(),
        "{\"_index\":\"i\",\"_source\":{\"sku\":\"1\",\"name\":\"Mug\"}}\n{\"_index\":\"i\",\"_source\":{\"sku\":\"2\",\"name\":\"Cup\"}}\n".into(),
    ]
    .into_iter()
    .enumerate()
    {
        let file = folder.path().join(format!("{place}.json"));
        std::fs::write(&file, &text).unwrap();
        let (summary, said, items) = ingested(&file, &[], "catalogue");
        let titles: Vec<&Value> = items.iter().map(|item| &item["title"]).collect();
        assert_eq!(titles, ["Mug", "Cup"], "{text}: {said}{summary}");
    }
    // An event on several items is no answer.
    let file = folder.path().join("e.json");
    std::fs::write(
        &file,
        r#"{"type":"purchase","user":"u1","at":"2026-01-01T00:00:00Z","items":[{"item":"A"},{"item":"B"}]}"#,
    )
    .unwrap();
    let (_, _, events) = ingested(&file, &["--map", "item=items[].item"], "events");
    assert_eq!(events.len(), 2);
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
    std::fs::write(&file, "type,user,item,Buchungsdatum\nview,u1,A,2019-03-01T10:00:00Z\n").unwrap();
    let refused = run(folder.path(), &["ingest", "h.csv", "--data", "d"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("perhaps it is `Buchungsdatum`") && said.contains("--now"), "{said}");
    let (_, _, events) = ingested(&file, &["--map", "at=Buchungsdatum"], "events");
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
        assert!(began.elapsed().as_secs() < 60, "{name}: {:?}", began.elapsed());
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
    std::fs::write(&file, "id,title,prize,stcok,colour\n1, Mug ,9,3,red\n2,Cup,8,2,blue\n").unwrap();
    let output = run(folder.path(), &["ingest", "p.csv", "--items", "--check", "--data", "d"]);
    let told = text(&output.stdout);
    assert!(told.contains("`prize` is kept under its name (2 records); was `price` meant?"), "{told}");
    assert!(told.contains("`stcok`") && !told.contains("`colour`"), "{told}");
    assert!(told.lines().any(|line| line.split_whitespace().eq(["trimmed", "(spelling)", "1"])), "{told}");
}
