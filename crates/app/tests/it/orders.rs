//! Orders and document lines as shop and office programs export them: they go in as purchases without a mapping, and nothing of
//! them becomes a product that is none.

use std::path::Path;

use serde_json::{Value, json};

use super::mappings::{find, ingested, run, text};

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
