//! Orders and document lines as shop and office programs export them: they go in as purchases without a mapping, and nothing of
//! them becomes a product that is none.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{find, ingested, run, text};

fn file(folder: &Path, name: &str, content: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn of(name: &str, content: &str, exported: &str) -> (Value, String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    ingested(&file(folder.path(), name, content.as_bytes()), &[], exported)
}

#[test]
fn orders_of_any_usual_language_go_in_as_purchases() {
    let files = [
        "订单编号,买家会员名,下单时间,商品编号,商品名称,数量,商品单价\n1001,小明,2026-03-01 10:00,A-1,陶瓷杯,2,9.90\n1002,小红,2026-03-02 11:00,B-2,木盘,1,5.00\n",
        "訂單編號,買家帳號,訂單成立時間,商品貨號,商品名稱,數量,商品單價\n1001,ming,2026-03-01 10:00,A-1,陶瓷杯,2,9.90\n1002,hung,2026-03-02 11:00,B-2,木盤,1,5.00\n",
        "注文番号,注文日時,会員番号,商品コード,商品名,個数,単価\n1001,2026-03-01 10:00,m1,A-1,マグ,2,9.90\n1002,2026-03-02 11:00,m2,B-2,皿,1,5.00\n",
        "주문번호,주문일시,구매자ID,상품코드,상품명,수량,판매가\n1001,2026-03-01 10:00,m1,A-1,머그,2,9.90\n1002,2026-03-02 11:00,m2,B-2,접시,1,5.00\n",
        "Номер заказа;Дата заказа;Код клиента;Артикул;Наименование;Кол-во;Цена\n1001;01.03.2026 10:00;k1;A-1;Кружка;2;9,90\n1002;02.03.2026 11:00;k2;B-2;Тарелка;1;5,00\n",
        "Numer zamówienia;Data zamówienia;Nr klienta;Kod produktu;Nazwa produktu;Ilość;Cena jednostkowa\n1001;2026-03-01 10:00;k1;A-1;Kubek;2;9,90\n1002;2026-03-02 11:00;k2;B-2;Talerz;1;5,00\n",
        "Číslo objednávky;Datum objednávky;Číslo zákazníka;Kód zboží;Název zboží;Počet kusů;Cena za kus\n1001;1.3.2026 10:00;k1;A-1;Hrnek;2;9,90\n1002;2.3.2026 11:00;k2;B-2;Talíř;1;5,00\n",
        "N° commande;Date de commande;N° client;Référence;Désignation;Qté;Prix unitaire TTC\n1001;2026-03-01 10:00;k1;A-1;Tasse;2;9,90\n1002;2026-03-02 11:00;k2;B-2;Assiette;1;5,00\n",
        "Nº pedido;Fecha del pedido;Nº cliente;Referencia;Descripción;Cantidad;Precio unitario\n1001;2026-03-01 10:00;k1;A-1;Taza;2;9,90\n1002;2026-03-02 11:00;k2;B-2;Plato;1;5,00\n",
        "Sipariş No;Sipariş Tarihi;Müşteri No;Ürün Kodu;Ürün Adı;Adet;Birim Fiyat\n1001;01.03.2026 10:00;k1;A-1;Kupa;2;9,90\n1002;02.03.2026 11:00;k2;B-2;Tabak;1;5,00\n",
        "Belegnummer;Datum;Kunde;Artikelnummer;Bezeichnung;Menge;Einzelpreis\n1001;01.03.2026;k1;A-1;Tasse;2;9,90\n1002;02.03.2026;k2;B-2;Teller;1;5,00\n",
    ];
    for content in files {
        let header = content.lines().next().unwrap();
        let (summary, said, events) = of("export.csv", content, "events");
        assert!(said.contains("recognised orders"), "{header}: {said}");
        assert_eq!(
            (&summary["read"], summary["quarantined"].as_object().map(|it| it.len())),
            (&json!(2), Some(0)),
            "{header}: {summary}"
        );
        let first = find(&events, "item", "A-1");
        assert_eq!(
            (&first["type"], &first["quantity"], &first["price"]),
            (&json!("purchase"), &json!(2), &json!(9.9)),
            "{header}"
        );
        assert_eq!(first["session"], "1001", "{header}");
        assert!(
            first["user"].is_string() && first["at"].as_str().unwrap().starts_with("2026-03-01"),
            "{header}: {first}"
        );
        assert_eq!(first["properties"], json!({}), "{header}");
        let items = of("export.csv", content, "catalogue").2;
        assert!(find(&items, "id", "A-1")["title"].is_string(), "{header}: {items:?}");
    }
}

#[test]
fn lines_that_are_no_products_are_skipped_and_customers_are_not_kept() {
    let lines = "Belegnr;Belegdatum;Kundennr;Name;E-Mail;Artikelnummer;Bezeichnung;Menge;Gesamtpreis;Status\n\
        1;01.03.2026;k1;Ana Pires;ana@mail.example;A;Tasse;2;19,80;versendet\n\
        1;01.03.2026;k1;Ana Pires;ana@mail.example;VERSAND;Versandkosten;1;4,90;versendet\n\
        1;01.03.2026;k1;Ana Pires;ana@mail.example;R10;Rabatt 10 %;1;-2,00;versendet\n\
        2;02.03.2026;k2;Müller GmbH;m@mail.example;B;Versandkarton;1;3,00;storniert\n\
        3;03.03.2026;k2;Müller GmbH;m@mail.example;B;Versandkarton;5;10,00;bezahlt\n\
        4;04.03.2026;k2;Müller GmbH;m@mail.example;B;Versandkarton;-1;-2,00;bezahlt\n\
        5;05.03.2026;k1;Ana Pires;ana@mail.example;A;Tasse;1;9,90;Erstattet\n\
        6;06.03.2026;k1;Ana Pires;ana@mail.example;G;Geschenkgutschein 25 €;1;25,00;bezahlt\n";
    let (summary, said, events) = of("belege.csv", lines, "events");
    assert_eq!(
        summary["skipped"], 4,
        "postage, a discount, a voucher and an order that was cancelled: {summary} {said}"
    );
    let told: Vec<_> = events
        .iter()
        .map(|it| (it["type"].as_str().unwrap(), it["item"].as_str().unwrap(), it["price"].as_f64()))
        .collect();
    assert_eq!(told[..2], [("purchase", "A", Some(9.9)), ("purchase", "B", Some(2.0))]);
    assert_eq!((told[2].0, told[2].1, told[3].0, told[3].1), ("return", "B", "return", "A"));
    let items = of("belege.csv", lines, "catalogue").2;
    let all = format!("{events:?}{items:?}");
    assert!(!all.contains("Pires") && !all.contains("GmbH") && !all.contains("mail.example"), "{all}");
    let titles: Vec<_> = items.iter().map(|item| item["title"].as_str().unwrap_or_default()).collect();
    assert_eq!(titles, ["Tasse", "Versandkarton"]);
}

#[test]
fn what_looks_like_orders_is_never_taken_for_products_without_being_told() {
    let files = [
        ("a.csv", "订单编号,下单时间,商品编号,商品名称,备注\n1001,2026-03-01,A-1,陶瓷杯,x\n"),
        ("b.csv", "Bestellnummer;Artikelnummer;Bezeichnung;Preis;Bestand;Erstellt am\n1;A;Tasse;9,90;3;01.03.2026\n"),
        ("c.csv", "Nº pedido;Fecha del pedido;Referencia;Nombre;Notas\n1;2026-03-01;A;Taza;x\n"),
        ("d.json", "[{\"注文番号\":\"1\",\"注文日時\":\"2026-03-01\",\"商品コード\":\"A\",\"商品名\":\"マグ\"}]"),
    ];
    for (name, content) in files {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), name, content.as_bytes());
        let output = run(folder.path(), &["ingest", path.to_str().unwrap(), "--data", "d"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        let header = content.split([',', ';', '"']).find(|text| text.chars().count() > 2).unwrap();
        assert!(said.contains(header) && said.contains("--guess"), "{name}: {said}");
        let told = run(folder.path(), &["ingest", path.to_str().unwrap(), "--items", "--check"]);
        assert!(told.status.success(), "{name}: {}", text(&told.stderr));
    }
}

#[test]
fn the_mapping_that_guess_prints_for_orders_is_the_one_that_is_used() {
    let content = "订单编号,买家会员名,收货人,下单时间,商品编号,商品名称,实付金额,订单状态\n1,小明,张三,2026-03-01 10:00,A,陶瓷杯,9.90,交易成功\n2,小红,李四,2026-03-02 10:00,运费,运费补差价,5.00,交易成功\n3,小红,李四,2026-03-03 10:00,B,木盘,7.00,交易关闭\n";
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "orders.csv", content.as_bytes());
    let (summary, said, events) = ingested(&path, &[], "events");
    assert_eq!((&summary["read"], &summary["skipped"]), (&json!(1), &json!(2)), "{summary} {said}");
    assert_eq!((&events[0]["price"], &events[0]["user"]), (&json!(9.9), &json!("小明")));
    assert!(!format!("{events:?}").contains("张三"));
    let guess = run(folder.path(), &["ingest", "--guess", path.to_str().unwrap()]);
    let mapping = file(folder.path(), "m.toml", &guess.stdout);
    let (_, _, same) = ingested(&path, &["--mapping", mapping.to_str().unwrap()], "events");
    assert_eq!(same, events, "{}", text(&guess.stdout));
}

#[test]
fn a_later_export_of_the_same_orders_adds_no_purchase_and_takes_cancelled_ones_back() {
    let header = "Order Number,Order Date,Customer Number,SKU,Item Name,Quantity,Unit Price,Order Status,Tracking Number,Shipped At\n";
    let first = "1001,2026-03-01 10:00:00,C7,MUG-1,Blue mug,1,9.90,processing,,\n1002,2026-03-01 11:00:00,C8,MUG-2,Red mug,1,9.90,processing,,\n";
    let second = "1001,2026-03-01 10:00:00,C7,MUG-1,Blue mug,1,9.90,completed,1Z999,2026-03-02\n1002,2026-03-01 11:00:00,C8,MUG-2,Red mug,1,9.90,cancelled,void,\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in [("a.csv", first), ("b.csv", second)] {
        file(folder.path(), name, format!("{header}{rows}").as_bytes());
    }
    let ingest = |name: &str| -> Value {
        let output = run(folder.path(), &["ingest", name, "--json", "--data", "d"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    ingest("a.csv");
    let again = ingest("b.csv");
    assert_eq!((&again["read"], &again["duplicates"], again.get("skipped")), (&json!(2), &json!(1), None), "{again}");
    let export = run(folder.path(), &["export", "events", "--data", "d"]);
    let events: Vec<Value> = text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = events.iter().map(|it| (it["type"].as_str().unwrap(), it["item"].as_str().unwrap())).collect();
    assert_eq!(told, [("purchase", "MUG-1"), ("purchase", "MUG-2"), ("return", "MUG-2")]);
    assert!(events.iter().all(|event| event["properties"] == json!({})), "{events:?}");
}

#[test]
fn money_that_was_given_back_and_any_state_that_says_so_make_a_return() {
    let amounts = "Order Number,Order Date,Customer Number,SKU,Item Name,Quantity,Amount\n\
        1,2026-03-01,C1,A,Mug,1,20.00\n2,2026-03-09,C1,A,Mug,2,-40.00\n";
    let events = of("a.csv", amounts, "events").2;
    let told: Vec<_> = events.iter().map(|it| (it["type"].as_str().unwrap(), it["price"].as_f64())).collect();
    assert_eq!(told, [("purchase", Some(20.0)), ("return", Some(20.0))]);
    let states = "Order Number,Order Date,Customer Number,SKU,Quantity,Unit Price,Order Status,Payment Status\n\
        1,2026-03-01,C1,A,1,5.00,completed,refunded\n2,2026-03-01,C1,B,1,5.00,completed,paid\n3,2026-03-01,C1,C,1,5.00,refunded,voided\n";
    let (summary, _, events) = of("a.csv", states, "events");
    let types = ["A", "B"].map(|item| find(&events, "item", item)["type"].as_str().unwrap());
    assert_eq!((types, events.len()), (["return", "purchase"], 2));
    assert_eq!(summary["skipped"], 1, "what one state says was never bought is left out: {summary}");
}

#[test]
fn documents_that_are_no_sales_are_refused_with_what_speaks_against_them() {
    for (content, why) in [
        (
            "Document Number,Date,Supplier,SKU,Description,Quantity,Unit Cost\n7,2026-03-01,Acme,A,Mug,500,2.10\n",
            "`Supplier`",
        ),
        (
            "Belegnummer;Datum;Lieferant;Artikelnummer;Bezeichnung;Menge;EK\n7;01.03.2026;Acme;A;Tasse;500;2,10\n",
            "`Lieferant`",
        ),
        (
            "Belegart;Belegnummer;Datum;Kundennummer;Artikelnummer;Menge;Einzelpreis\nAngebot;1;01.03.2026;7;A;5;9,90\nRechnung;2;09.03.2026;7;A;5;9,90\n",
            "`Belegart`",
        ),
        (
            "Return ID,Order ID,Date,Customer ID,SKU,Quantity,Return reason\nR1,1,2026-03-05,7,A,1,too small\n",
            "`Return ID`",
        ),
        ("Kundennummer;Artikelnummer;Bezeichnung;Menge;Preis;Datum\n7;A;Tasse;10;9,90;01.03.2026\n", "`Datum`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "a.csv", content.as_bytes());
        let output = run(folder.path(), &["ingest", "a.csv", "--data", "d"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{content}: {said}");
        assert!(said.contains(why) && said.contains("neither clearly orders nor clearly products"), "{said}");
    }
}

#[test]
fn a_buyer_by_name_is_not_kept_and_what_was_skipped_is_told() {
    let lines = "Order Number,Order Date,Customer,SKU,Item Name,Quantity,Unit Price\n\
        1,2026-03-01,Ada Lovelace,GCH-1,Gift card holder red,1,4.90\n1,2026-03-01,Ada Lovelace,TIP-200,Avoir vingt ans,1,12.00\n\
        2,2026-03-01,Ada Byron,S,Shipping (DHL),1,4.90\n";
    let (summary, said, events) = of("a.csv", lines, "events");
    assert!(said.contains("`Customer` as names, which are not kept"), "{said}");
    assert!(said.contains("`Shipping (DHL)` as no product, which is skipped"), "{said}");
    assert_eq!((&summary["read"], &summary["skipped"]), (&json!(2), &json!(1)));
    assert!(events.iter().all(|event| event["session"] == "1" && event["user"] == Value::Null), "{events:?}");
    assert!(!format!("{events:?}").contains("Lovelace"));
}
