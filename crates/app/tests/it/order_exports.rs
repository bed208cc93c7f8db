//! What the exports of orders say beside their states: flags and times of cancellation, test orders, pieces that came back, the
//! cashier, the hour in a column of its own. And what `--guess` and refusals make of tables that are not clear.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{find, ingested, run, text, types};

fn file(folder: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn of(content: &str) -> (Value, String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    ingested(&file(folder.path(), "orders.csv", content), &[], "events")
}

/// Three lines of orders, of which the second has another value in the last column.
fn lines(column: &str, usual: &str, other: &str) -> String {
    format!(
        "order_id,order_date,customer_id,sku,qty,{column}\n1,2026-03-01,7,A,1,{usual}\n2,2026-03-02,8,A,1,{other}\n3,2026-03-03,9,A,1,{usual}\n"
    )
}

#[test]
fn an_order_that_a_flag_a_time_or_the_state_of_its_line_cancels_is_no_purchase() {
    for (column, usual, other) in [
        ("Storniert", "N", "J"),
        ("Storno", "nein", "ja"),
        ("Cancelled", "No", "Yes"),
        ("is_cancelled", "0", "1"),
        ("cancelled_at", "", "2026-03-02 10:00:00"),
        ("canceled_at", "0000-00-00 00:00:00", "2026-03-02T10:00:00Z"),
        ("is_test", "false", "true"),
        ("Line Status", "Open", "Cancelled"),
        ("対応状況", "発送済み", "注文取消し"),
        ("cancelled_at", "0", "1772445600"),
        ("Estado", "Completado", "Cancelado"),
        ("Stato", "Spedito", "Annullato"),
        ("status", "wc-completed", "wc-cancelled"),
    ] {
        let (summary, said, events) = of(&lines(column, usual, other));
        assert_eq!((types(&events), &summary["skipped"]), (vec!["purchase"; 2], &json!(1)), "{column}: {said}");
        assert!(said.contains(&format!("`{column}` as the state of an order")), "{column}: {said}");
        assert!(!said.contains("states that are not known"), "{said}");
    }
    for (column, usual, other) in [
        ("refund_status", "none", "refunded"),
        ("退款状态", "", "退款成功"),
        ("商品退款状态", "没有申请退款", "退款成功"),
        ("클레임상태", "", "반품완료"),
        ("returned_qty", "0", "1"),
        ("refunded_at", "", "2026-03-09"),
        ("対応状況", "発送済み", "返品"),
    ] {
        let (_, said, events) = of(&lines(column, usual, other));
        assert_eq!(types(&events), ["purchase", "purchase", "return"], "{column}: {said}");
    }
    for (column, usual, other) in [
        ("refund_status", "none", "failed"),
        ("refund_status", "", "cancelled"),
        ("returned", "0", "2"),
        ("退款状态", "", "部分退款"),
    ] {
        let (_, said, events) = of(&lines(column, usual, other));
        assert_eq!(types(&events), ["purchase"; 3], "a refund that was not made leaves the purchase, {column}: {said}");
    }
    let part = "order_id,order_date,customer_id,sku,qty,returned_qty\n1,2026-03-01,7,A,3,1\n2,2026-03-01,8,A,2,2\n";
    assert_eq!(types(&of(part).2), ["purchase", "return"], "a part that came back leaves the purchase");
}

#[test]
fn the_cashier_is_not_the_shopper() {
    let both = "Receipt Number,Date,Customer Code,Customer Email,User,Sku,Quantity\n1,2026-03-01,C-1,a@x.example,Sam,A,1\n2,2026-03-02,C-2,b@x.example,Sam,A,1\n";
    let (_, said, events) = of(both);
    assert_eq!((&events[0]["user"], &events[1]["user"]), (&json!("C-1"), &json!("C-2")), "{said}");
    let mail = "Receipt Number,Date,Customer Email,User,Sku,Quantity\n1,2026-03-01,a@x.example,Sam,A,1\n2,2026-03-02,b@x.example,Sam,A,1\n";
    assert_eq!(of(mail).2[0]["user"], "a@x.example");
    let name =
        "Receipt Number,Date,Customer Name,User,Sku,Quantity\n1,2026-03-01,Ada,Sam,A,1\n2,2026-03-02,Bea,Sam,A,1\n";
    let (_, said, events) = of(name);
    assert!(
        events.iter().all(|event| event["user"] == Value::Null && event["session"].is_string()),
        "{events:?} {said}"
    );
    let named = "Order No,Order Date,Customer,Customer/Email,SKU,Quantity\n1,2026-03-01,Azure Interior,a@x.example,A,1\n2,2026-03-02,Deco Addict,b@x.example,A,1\n";
    assert_eq!(of(named).2[0]["user"], "a@x.example", "an address tells shoppers apart, a name does not");
}

#[test]
fn the_hour_of_an_order_is_taken_from_the_column_that_has_it() {
    let of_two = "order_id,order_date,order_time,customer_id,sku,qty\n1,2026-03-01,23:30:00,4,A,1\n2,2026-03-02,10:30:00,5,A,1\n";
    let (_, said, events) = of(of_two);
    assert_eq!(events[0]["at"], "2026-03-01T23:30:00Z", "{said}");
    assert!(said.contains("times without a zone, such as 2026-03-01 23:30:00"), "{said}");
    let finer = "注文番号,会員ID,注文日,注文日時,商品コード,個数\n1,4,2026-03-01,2026-03-01 23:30:00,A,1\n2,6,2026-03-02,2026-03-02 10:30:00,A,1\n";
    assert_eq!(of(finer).2[0]["at"], "2026-03-01T23:30:00Z");
    let american =
        "order_id,Date,Time,customer_id,sku,qty\n1,11/13/2025,11:30:15 PM,4,A,1\n2,11/14/2025,9:30:00 AM,5,A,1\n";
    assert_eq!(of(american).2[0]["at"], "2025-11-13T23:30:15Z");
}

#[test]
fn a_refusal_says_what_was_not_found_and_of_lines_not_that_they_are_whole_orders() {
    let said = |content: &str| {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "a.csv", content);
        let output = run(folder.path(), &["ingest", "a.csv", "--data", "d"]);
        assert_eq!(output.status.code(), Some(2), "{content}: {}", text(&output.stderr));
        text(&output.stderr)
    };
    let products = said("sku,name-en_US,price-EUR\nA,Mug,9.90\n");
    assert!(products.contains("for products no column has a usual name of the title"), "{products}");
    let lines = said("Order ID,Paid Time,SKU,Quantity\n1,2026-03-01,A,1\n1,2026-03-01,B,2\n");
    assert!(!lines.contains("type='view'") && !lines.contains("no column for `type`"), "{lines}");
    let lines = said("Order ID,Order Date,Customer ID,Ref of goods,Quantity\n1,2026-03-01,7,A,1\n1,2026-03-01,7,B,2\n");
    assert!(lines.contains("no column that is known to have the number of a product"), "{lines}");
    let orders = said("Order ID,Order Date,Customer ID,Order Total\n1,2026-03-01,7,9.90\n2,2026-03-01,7,9.90\n");
    assert!(orders.contains("each row is a whole order"), "{orders}");
}

#[test]
fn guess_makes_no_products_and_no_customers_of_orders() {
    let documents = "Belegart;Belegnr.;Belegdatum;KdNr;ArtNr;Bezeichnung;Menge;E-Preis\nRE;1;01.03.2026;10;A;Tasse;12,00;12,50\nGS;2;03.03.2026;10;A;Tasse;2,00;12,50\n";
    let whole = "id,order_number,order_date_time,order_customer_email,order_customer_customer_number,amount_total,line_items,order_state\n01,10001,2026-03-01T10:00:00.000+00:00,a@x.example,SW1,49.9,\"2x SW10001, 1x SW10002\",open\n";
    for content in [documents, whole] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.csv", content);
        let guess = run(folder.path(), &["ingest", "--guess", path.to_str().unwrap()]);
        let mapping = text(&guess.stdout);
        assert!(mapping.contains("kind = \"events\"") && mapping.contains("type = \"purchase\""), "{mapping}");
        assert!(mapping.contains("not clear that every row is a purchase"), "{mapping}");
        assert!(!mapping.contains("stock ="), "{mapping}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.csv", documents);
    let mapping = text(&run(folder.path(), &["ingest", "--guess", path.to_str().unwrap()]).stdout);
    for line in ["quantity = \"Menge\"", "item = \"ArtNr\"", "user = \"KdNr\"", "`Belegart` has GS, RE"] {
        assert!(mapping.contains(line), "{line}: {mapping}");
    }
}

#[test]
fn lines_that_only_begin_with_their_order_are_its_lines() {
    let odoo = "Order Reference,Order Date,Customer,Customer/Email,Status,Order Lines/Product/Internal Reference,Order Lines/Quantity,Order Lines/Unit Price\n\
        S1,2026-03-01 10:00:00,Azure Interior,a@x.example,Sales Order,F_7,3.0,70.0\n,,,,,F_8,1.0,40.0\nS2,2026-03-02 10:00:00,Deco Addict,b@x.example,Cancelled,F_7,1.0,70.0\n,,,,,F_9,1.0,40.0\n";
    let (_, said, events) = of(odoo);
    assert_eq!(events.len(), 2, "{said}");
    let second = find(&events, "item", "F_8");
    assert_eq!((&second["user"], &second["session"]), (&json!("a@x.example"), &json!("S1")), "{said}");
}

#[test]
fn orders_by_a_number_that_the_catalogue_has_as_an_attribute_are_told_with_the_line_to_write() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "p.csv", "id,sku,name,price\nu-1,TA-1,Mug,9.5\nu-2,LO-1,Cup,4.5\n");
    file(
        folder.path(),
        "o.csv",
        "order_id,order_date,customer_id,sku,qty\n1,2026-03-01,7,TA-1,1\n2,2026-03-01,8,LO-1,1\n3,2026-03-01,9,LO-1,2\n",
    );
    let output = run(folder.path(), &["ingest", "p.csv", "o.csv", "--data", "d"]);
    let said = text(&output.stderr);
    assert!(said.contains("o.csv: the items are in `sku`") && said.contains("`id = \"sku\"`"), "{said}");
}

#[test]
fn doubled_ids_of_products_are_told_beside_a_file_of_orders_too() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "p.csv", "sku,name,price\nA,Mug,9.5\nA,Cup,4.5\n");
    file(folder.path(), "o.csv", &lines("status", "paid", "paid"));
    let output = run(folder.path(), &["ingest", "p.csv", "o.csv", "--data", "d"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("1 id of products stands in several rows"), "{said}");
}
