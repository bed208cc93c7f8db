//! Orders that are taken back, orders of guests and without a number, and the ids by which their lines name products.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{example, ingested, run, text};

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The summary of an ingest into the data folder `d`, and what was said.
fn ingest(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let output = run(folder, &[&["ingest", "--json", "--data", "d"], arguments].concat());
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (summary, text(&output.stderr))
}

/// How many records were taken.
fn taken(summary: &Value) -> u64 {
    ["accepted", "repaired"].iter().filter_map(|field| summary[*field].as_u64()).sum()
}

fn exported(folder: &Path, what: &str) -> Vec<Value> {
    let export = run(folder, &["export", what, "--data", "d"]);
    text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Of each event the type, the item, the shopper and the quantity.
fn told(events: &[Value]) -> Vec<String> {
    let field = |event: &Value, name: &str| event[name].as_str().unwrap_or("-").to_owned();
    let of = |event: &Value| {
        let shopper = if event["user"].is_string() { field(event, "user") } else { field(event, "session") };
        format!(
            "{} {} {shopper} {}",
            field(event, "type"),
            field(event, "item"),
            event["quantity"].as_u64().unwrap_or(1)
        )
    };
    events.iter().map(of).collect()
}

fn segment(name: &str, at: &str, properties: &Value) -> String {
    json!({"type": "track", "event": name, "messageId": format!("{name}{at}"), "userId": "ana", "anonymousId": "a",
        "timestamp": at, "properties": properties})
    .to_string()
}

#[test]
fn a_refund_of_an_order_without_lines_takes_back_all_of_its_purchases() {
    let products =
        json!([{"product_id": "LS", "price": 49, "quantity": 1}, {"product_id": "TM", "price": 16.5, "quantity": 2}]);
    let order = segment("Order Completed", "2026-03-01T09:00:00Z", &json!({"order_id": "T1", "products": products}));
    let other = segment("Order Completed", "2026-03-01T09:01:00Z", &json!({"order_id": "T2", "products": products}));
    let refund = segment("Order Refunded", "2026-03-05T09:00:00Z", &json!({"order_id": "T1", "total": 82}));
    let cancelled = segment("Order Cancelled", "2026-03-06T09:00:00Z", &json!({"order_id": "T2"}));
    let unknown = segment("Order Refunded", "2026-03-05T10:00:00Z", &json!({"order_id": "T9"}));
    let never = segment("Order Cancelled", "2026-03-06T10:00:00Z", &json!({"order_id": "T10"}));
    // In one file, in which the refund stands before its order, and in a file of a later day.
    let folder = folder_of(&[
        ("one.ndjson", &[&*refund, &order, &other].join("\n")),
        ("two.ndjson", &[&*cancelled, &unknown, &never].join("\n")),
    ]);
    let (summary, said) = ingest(folder.path(), &["one.ndjson"]);
    assert_eq!((&summary["read"], taken(&summary)), (&json!(5), 5), "{said}{summary}");
    let bought = ["purchase LS ana 1", "purchase TM ana 2", "purchase LS ana 1", "purchase TM ana 2"];
    assert_eq!(
        told(&exported(folder.path(), "events")),
        [&bought[..], &["return LS ana 1", "return TM ana 2"]].concat()
    );
    let (summary, said) = ingest(folder.path(), &["two.ndjson"]);
    assert_eq!(summary["quarantined"], json!({"unknown_order": 1}), "{said}{summary}");
    assert_eq!(summary["skipped"], 1, "it was cancelled before it was completed: {said}{summary}");
    let events = exported(folder.path(), "events");
    assert_eq!(told(&events)[6..], ["return LS ana 1", "return TM ana 2"], "{said}");
    assert_eq!(events[6]["id"], "segment-order-T2-return");
    // The same files again count once.
    let (summary, _) = ingest(folder.path(), &["one.ndjson", "two.ndjson"]);
    assert_eq!(exported(folder.path(), "events").len(), 8, "{summary}");
    // A check in memory knows the orders of the file alone.
    let (summary, _) = ingest(folder.path(), &["one.ndjson", "--check"]);
    assert_eq!(taken(&summary), 5, "{summary}");
}

#[test]
fn a_refund_of_analytics_without_items_takes_back_the_order_of_its_transaction() {
    let event = |name: &str, at: &str, items: Value| {
        json!({"event_name": name, "event_timestamp": at, "user_id": "ana", "user_pseudo_id": "11.22", "items": items,
            "event_params": [{"key": "transaction_id", "value": {"string_value": "T1"}}]})
        .to_string()
    };
    let items =
        json!([{"item_id": "LS", "price": 49.0, "quantity": "1"}, {"item_id": "TM", "price": 16.5, "quantity": "2"}]);
    for none in [json!([]), json!(null), json!([{"item_id": "(not set)"}])] {
        let file = [event("purchase", "1772355900000000", items.clone()), event("refund", "1772455900000000", none)];
        let folder = folder_of(&[("ga4.json", &file.join("\n"))]);
        let (summary, said) = ingest(folder.path(), &["ga4.json"]);
        let expected = ["purchase LS ana 1", "purchase TM ana 2", "return LS ana 1", "return TM ana 2"];
        assert_eq!(told(&exported(folder.path(), "events")), expected, "{said}{summary}");
    }
    // One that names an item takes back that one.
    let file =
        [event("purchase", "1772355900000000", items), event("refund", "1772455900000000", json!([{"item_id": "TM"}]))];
    let folder = folder_of(&[("ga4.json", &file.join("\n"))]);
    ingest(folder.path(), &["ga4.json"]);
    assert_eq!(told(&exported(folder.path(), "events"))[2..], ["return TM ana 1"]);
}

#[test]
fn lines_of_which_nothing_is_left_are_left_out_and_guests_are_known_by_their_address() {
    let orders = "order_id,date,customer_id,billing_email,sku,quantity\n\
        1,2026-03-01,7,max@example.com,A,1\n\
        2,2026-03-01,0,Ana@Example.com,A,2\n\
        3,2026-03-01,,bea@example.com,A,3\n\
        4,2026-03-01,7,max@example.com,B,0\n";
    let folder = folder_of(&[("orders.csv", orders)]);
    let (summary, said) = ingest(folder.path(), &["orders.csv"]);
    assert_eq!(summary["quarantined"], json!({}), "{said}{summary}");
    assert_eq!(summary["skipped"], 1, "{said}{summary}");
    assert!(said.contains("`billing_email` as user where `customer_id` is 0 or empty"), "{said}");
    let expected = ["purchase A 7 1", "purchase A ana@example.com 2", "purchase A bea@example.com 3"];
    assert_eq!(told(&exported(folder.path(), "events")), expected);
}

#[test]
fn what_a_customer_bought_at_one_time_is_an_order_where_no_column_has_its_number() {
    let orders =
        "customer_id,sku,quantity,date\n7,A,1,2026-03-01 10:00\n7,B,2,2026-03-01 10:00\n7,A,1,2026-03-02 10:00\n";
    let folder = folder_of(&[("sales.csv", orders)]);
    let (_, said) = ingest(folder.path(), &["sales.csv"]);
    assert!(
        said.contains("no number of an order, so what one `customer_id` bought at one `date` is an order"),
        "{said}"
    );
    let events = exported(folder.path(), "events");
    let sessions: Vec<&str> = events.iter().map(|event| event["session"].as_str().unwrap()).collect();
    assert_eq!(sessions, ["7 2026-03-01 10:00", "7 2026-03-01 10:00", "7 2026-03-02 10:00"]);
    // A list of the prices of a customer has the same columns and prices.
    let prices = "customer_id,sku,quantity,price,date\n7,A,10,9.90,2026-03-01\n";
    let folder = folder_of(&[("prices.csv", prices)]);
    let (_, said) = ingest(folder.path(), &["prices.csv"]);
    assert!(said.contains("neither the number of an order"), "{said}");
}

#[test]
fn orders_name_products_by_the_column_that_has_the_ids_of_the_catalogue() {
    let orders =
        "order_id,date,customer_id,item_id,item_sku,quantity\n1,2026-03-01,7,501,LS,1\n1,2026-03-01,7,502,TM,1\n";
    for (ids, column) in [(["LS", "TM"], "item_sku"), (["501", "502"], "item_id")] {
        let items = format!("id,title,price\n{},Linen shirt,49\n{},Tea mug,16.5\n", ids[0], ids[1]);
        let folder = folder_of(&[("items.csv", &items), ("orders.csv", orders)]);
        let (_, said) = ingest(folder.path(), &["orders.csv", "items.csv"]);
        let events = exported(folder.path(), "events");
        assert_eq!(events.iter().map(|event| event["item"].as_str().unwrap()).collect::<Vec<_>>(), ids, "{said}");
        assert!(said.contains(&format!("`{column}` as item")), "{said}");
    }
}

#[test]
fn a_report_of_orders_is_never_taken_for_products() {
    let amazon = "amazon-order-id\tmerchant-order-id\tpurchase-date\torder-status\tproduct-name\tsku\tasin\titem-status\tquantity\tcurrency\titem-price\tship-city\n\
        302-1\t\t2026-03-01T09:12:33+00:00\tShipped\tKettle\tAZ-1\tB01\tShipped\t2\tEUR\t40.00\tBerlin\n\
        302-2\t\t2026-03-02T09:12:33+00:00\tCancelled\tKettle\tAZ-1\tB01\tCancelled\t0\tEUR\t\tBerlin\n";
    let folder = folder_of(&[("orders.txt", amazon), ("items.csv", "id,title,price,stock\nAZ-1,Kettle,20.00,25\n")]);
    let (summary, said) = ingest(folder.path(), &["items.csv", "orders.txt"]);
    assert_eq!(told(&exported(folder.path(), "events")), ["purchase AZ-1 302-1 2"], "{said}{summary}");
    let items = exported(folder.path(), "catalogue");
    assert_eq!((&items[0]["price"], &items[0]["stock"]), (&json!(20.0), &json!(25)), "{said}");
    assert_eq!(exported(folder.path(), "events")[0]["price"], 20.0, "of one piece");
    let prestashop = "id_order;reference;date_add;id_customer;email;order_state;product_id;product_reference;product_name;product_quantity;unit_price_tax_incl\n\
        1;REF1;2026-03-01 09:05:00;10;c0@example.com;Livré;1;demo_1;Affiche;1;29,000000\n\
        2;REF2;2026-03-02 09:05:00;11;c1@example.com;Annulé;1;demo_1;Affiche;1;29,000000\n";
    let folder = folder_of(&[("lines.csv", prestashop)]);
    let (summary, said) = ingest(folder.path(), &["lines.csv"]);
    assert_eq!(told(&exported(folder.path(), "events")), ["purchase 1 10 1"], "{said}{summary}");
}

#[test]
fn several_products_in_one_cell_are_told() {
    let etsy = "Sale Date,Order ID,Buyer User ID,Full Name,Number of Items,SKU\n11/21/26,1,ada77,Ada L,2,\"IGEL-01,HASE-02\"\n";
    let folder = folder_of(&[("etsy.csv", etsy)]);
    let (_, said) = ingest(folder.path(), &["etsy.csv"]);
    assert!(said.contains("several products in one cell"), "{said}");
}

#[test]
fn lists_of_what_was_packed_or_came_back_are_not_taken_for_stocks() {
    for (name, rows) in [
        (
            "returns.csv",
            "return-date,order-id,sku,asin,product-name,quantity,reason\n2026-03-01T10:00:00+00:00,302-1,AZ-1,B01,Kettle,1,UNWANTED\n",
        ),
        ("picklist.csv", "Order,SKU,Name,Quantity,Bin\n1001,AZ-1,Kettle,2,A1\n"),
        (
            "sold.csv",
            "Transaction creation date,Type,Order number,Item title,Custom label,SKU,Quantity\n\"Mar 1, 2026\",Order,12-1,Kettle,AZ-1,AZ-1,2\n",
        ),
    ] {
        let folder = folder_of(&[(name, rows), ("items.csv", "id,title,price,stock\nAZ-1,Kettle,20.00,25\n")]);
        ingest(folder.path(), &["items.csv"]);
        let (_, said) = ingest(folder.path(), &[name]);
        assert_eq!(exported(folder.path(), "catalogue")[0]["stock"], 25, "{name}: {said}");
    }
}

#[test]
fn a_line_that_is_refused_describes_no_item_and_a_quantity_is_no_id() {
    let orders = "Order Number,Email,Order Date,SKU,Product name,Quantity,Price,Status\n\
        1,a@b.example,2026-02-31 10:00,X-1,Ghost,1,5.00,paid\n2,a@b.example,2026-02-12 10:00,X-2,Real,1,5.00,paid\n";
    let folder = folder_of(&[("orders.csv", orders)]);
    let (summary, said) = ingest(folder.path(), &["orders.csv"]);
    let items = exported(folder.path(), "catalogue");
    assert_eq!(items.iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>(), ["X-2"], "{said}{summary}");
    let rows: String = (1..9).map(|n| format!("{n},2026-03-0{n},7,S-{n},{}\n", 1 + n % 2)).collect();
    let orders = format!("order_id,date,customer_id,sku,quantity\n{rows}");
    let folder = folder_of(&[("items.csv", "id,title,price\n1,Mug,5\n2,Cup,6\n"), ("orders.csv", &orders)]);
    let (_, said) = ingest(folder.path(), &["items.csv", "orders.csv"]);
    assert!(!said.contains("`quantity`as item") && !said.contains("ids of the catalogue are"), "{said}");
    assert_eq!(exported(folder.path(), "events")[0]["item"], "S-1");
}

#[test]
fn orders_without_lines_and_products_that_are_not_shown_are_told() {
    let orders = "Order ID,Customer ID,Customer Name,Order Date,Order Status,Product Details\n100,7,Ada L,2026-03-01,Completed,\"Product ID: 77, Product Qty: 1\"\n";
    let folder = folder_of(&[("orders.csv", orders)]);
    let (_, said) = ingest(folder.path(), &["orders.csv"]);
    assert!(said.contains("each row is a whole order"), "{said}");
    let (summary, said, _) = ingested(&example("shopify-products.csv"), &[], "catalogue");
    assert_eq!(summary["unavailable"], 1, "a draft: {said}{summary}");
}

#[test]
fn the_price_of_a_sale_in_an_ordinary_list_counts_and_is_told() {
    let list = "sku,name,price,Sale Price,sale_end_date\nA,Shirt,49,39,\nB,Mug,9,7,2020-01-01\nC,Cup,5,,\n";
    let folder = folder_of(&[("items.csv", list)]);
    let (_, said) = ingest(folder.path(), &["items.csv"]);
    let prices: Vec<f64> =
        exported(folder.path(), "catalogue").iter().map(|item| item["price"].as_f64().unwrap()).collect();
    assert_eq!(prices, [39.0, 9.0, 5.0], "{said}");
    assert!(said.contains("Sale Price") && said.contains("the price of a sale"), "{said}");
    let guess = text(&run(folder.path(), &["ingest", "--guess", "items.csv"]).stdout);
    assert!(guess.contains("[sale]") && guess.contains("until = \"sale_end_date\""), "{guess}");
}

#[test]
fn a_sale_that_is_over_or_of_which_it_cannot_be_told_leaves_the_usual_price() {
    for (head, cells) in [
        ("special_price,special_from_date,special_to_date", "39,2019-01-01,2020-01-01"),
        ("sale_price,sale_starts_at,sale_ends_at", "39,2019-01-01,2020-01-01"),
        ("sale_price,sale_price_from,sale_price_until", "39,2019-01-01,2020-01-01"),
        ("Aktionspreis,gültig bis", "39,2020-01-01"),
        ("sale_price,sale_active", "39,0"),
        ("sale_price,colour", "59,blue"),
    ] {
        let list = format!("sku,name,price,{head}\nA,Shirt,49,{cells}\n");
        let folder = folder_of(&[("items.csv", &list)]);
        let (_, said) = ingest(folder.path(), &["items.csv"]);
        assert_eq!(exported(folder.path(), "catalogue")[0]["price"], 49.0, "{head}: {said}");
    }
}

#[test]
fn columns_of_places_and_article_numbers_make_no_orders_of_a_catalogue() {
    for list in [
        "id,sku,title,description,image,price,quantity,order,created_at\n7,A,Shirt,Linen,a.jpg,49,5,1,2026-03-01\n",
        "id,title,price,order,created_at\nA,Shirt,49,1,2026-03-01\n",
        "sku,name,price,qty,order\nA,Shirt,49,5,1\n",
        "Artikelnummer;Bestellnummer;Bezeichnung;Preis;Menge\nA;B-7;Hemd;49,00;5\n",
    ] {
        let folder = folder_of(&[("items.csv", list)]);
        let (summary, said) = ingest(folder.path(), &["items.csv"]);
        assert_eq!(taken(&summary), 1, "{said}{summary}");
        assert_eq!(exported(folder.path(), "catalogue").len(), 1, "{list}: {said}");
        assert!(exported(folder.path(), "events").is_empty(), "{list}: {said}");
    }
}

#[test]
fn an_item_stays_the_item_beside_references_and_numbers_of_orders() {
    // The ids of the catalogue are small numbers, as are those of the orders.
    let items = "id,title,price\n1,Mug,5\n2,Cup,6\n3,Bowl,7\n";
    let orders = "order_id,date,customer_id,item,ref,cart_no,quantity\n\
        1,2026-03-01,7,A-1,X,1,1\n2,2026-03-01,8,A-2,Y,2,1\n3,2026-03-02,9,A-3,Z,3,1\n";
    let folder = folder_of(&[("items.csv", items), ("orders.csv", orders)]);
    let (_, said) = ingest(folder.path(), &["items.csv", "orders.csv"]);
    let of_events = |folder: &Path| -> Vec<String> {
        exported(folder, "events").iter().map(|event| event["item"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of_events(folder.path()), ["A-1", "A-2", "A-3"], "{said}");
    // Some of the items are known: no other column is taken, whichever share of ids it has.
    let orders = orders.replace("A-1", "1").replace(",ref,", ",sku,").replace(",Y,", ",2,").replace(",Z,", ",3,");
    let folder = folder_of(&[("items.csv", items), ("orders.csv", &orders)]);
    let (_, said) = ingest(folder.path(), &["items.csv", "orders.csv"]);
    assert_eq!(of_events(folder.path()), ["1", "A-2", "A-3"], "{said}");
}

#[test]
fn guests_without_the_number_of_an_order_share_neither_a_customer_nor_an_order() {
    let sales = "customer_id,email,sku,quantity,date\n7,max@example.com,A,1,2026-03-01\n\
        0,ana@example.com,A,2,2026-03-01\n0,bea@example.com,B,1,2026-03-01\n";
    let folder = folder_of(&[("sales.csv", sales)]);
    let (_, said) = ingest(folder.path(), &["sales.csv"]);
    let events = exported(folder.path(), "events");
    assert_eq!(
        told(&events),
        ["purchase A 7 1", "purchase A ana@example.com 2", "purchase B bea@example.com 1"],
        "{said}"
    );
    let sessions: Vec<&str> = events.iter().map(|event| event["session"].as_str().unwrap()).collect();
    assert_eq!(sessions, ["7 2026-03-01", "ana@example.com 2026-03-01", "bea@example.com 2026-03-01"]);
    // Without an address they are nobody, and the address of the shop is nobody's.
    for sales in [
        "customer_id,sku,quantity,date\n7,A,1,2026-03-01\n0,A,2,2026-03-01\n",
        "customer_id,store_email,sku,quantity,date\n7,s@s.example,A,1,2026-03-01\n0,s@s.example,A,2,2026-03-01\n",
    ] {
        let folder = folder_of(&[("sales.csv", sales)]);
        let (summary, said) = ingest(folder.path(), &["sales.csv"]);
        let events = exported(folder.path(), "events");
        assert!(events.iter().all(|event| event["user"] != "0" && event["user"] != "s@s.example"), "{said}{summary}");
        assert_eq!(told(&events)[0], "purchase A 7 1", "{said}{summary}");
    }
}

#[test]
fn one_number_with_a_comma_leaves_the_other_lines() {
    let orders = "order_id,date,customer_id,sku,quantity\n1,2026-03-01,7,\"CABLE-1,50\",1\n2,2026-03-01,8,B-1,1\n";
    let folder = folder_of(&[("orders.csv", orders)]);
    let (_, said) = ingest(folder.path(), &["orders.csv"]);
    assert_eq!(told(&exported(folder.path(), "events")), ["purchase CABLE-1,50 7 1", "purchase B-1 8 1"], "{said}");
}

#[test]
fn a_line_of_none_takes_back_nothing_of_one_that_was_counted() {
    let head = "order_id,date,customer_id,sku,quantity\n1,2026-03-01,7,A,";
    let folder = folder_of(&[("one.csv", &format!("{head}3\n")), ("two.csv", &format!("{head}0\n"))]);
    ingest(folder.path(), &["one.csv"]);
    let (summary, said) = ingest(folder.path(), &["two.csv"]);
    assert_eq!(summary["skipped"], 1, "{said}{summary}");
    assert_eq!(told(&exported(folder.path(), "events")), ["purchase A 7 3"]);
}

#[test]
fn refunds_that_wait_for_the_end_are_left_out_where_the_reading_broke() {
    let products = json!([{"product_id": "LS", "price": 49, "quantity": 1}]);
    let order = segment("Order Completed", "2026-03-01T09:00:00Z", &json!({"order_id": "T1", "products": products}));
    let refund = segment("Order Refunded", "2026-03-05T09:00:00Z", &json!({"order_id": "T1"}));
    let folder = folder_of(&[("one.ndjson", &[&*refund, &order].join("\n"))]);
    // The order stands in a file of which the end is missing.
    let path = folder.path();
    std::fs::write(path.join("refund.ndjson"), &refund).unwrap();
    std::fs::write(path.join("order.ndjson.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).unwrap();
    let output = run(path, &["ingest", "--data", "d", "--mapping", "segment", "refund.ndjson", "order.ndjson.gz"]);
    assert!(!output.status.success());
    let (summary, said) = ingest(path, &["one.ndjson"]);
    assert_eq!(summary["quarantined"], json!({}), "{said}{summary}");
    assert_eq!(told(&exported(path, "events")), ["purchase LS ana 1", "return LS ana 1"], "{said}");
}
