//! Lines of orders: flags, times and words of their states, products that were deleted; and what mappings of known systems leave out.

use super::*;

const PURCHASES: &str = "drop_columns = ['*']\nconstants = { type = 'purchase' }\nfields = { item = 'sku', user = 'customer', quantity = 'qty' }\n";

/// What becomes of each row: `purchase`, `left out`, `return` or `skipped`.
fn fates(toml: &str, header: &[&str], rows: &[&[&str]]) -> (Vec<&'static str>, BoundMapping) {
    let mut bound = toml::from_str::<Mapping>(toml).unwrap().bind(header).unwrap();
    let fate = |mapped: Mapped| match mapped {
        Mapped::Event { undo: None, .. } => "purchase",
        Mapped::Event { undo: Some(Undo::IfKnown), .. } => "left out",
        Mapped::Event { undo: Some(_), .. } => "return",
        Mapped::Skipped => "skipped",
        other => panic!("{other:?}"),
    };
    let fates = rows.iter().map(|row| fate(bound.apply(row))).collect();
    (fates, bound)
}

#[test]
fn the_columns_of_states_may_be_flags_times_and_numbers_of_pieces() {
    for (column, says, expected) in [
        ("Storniert", ["N", "J", "N"], "left out"),
        ("Storno", ["nein", "ja", ""], "left out"),
        ("is_cancelled", ["0", "1", "0"], "left out"),
        ("cancelled_at", ["", "2026-03-02 10:00:00", ""], "left out"),
        ("is_test", ["false", "true", "false"], "left out"),
        ("Line Status", ["Open", "Cancelled", "Open"], "left out"),
        ("対応状況", ["発送済み", "注文取消し", "新規受付"], "left out"),
        ("商品退款状态", ["没有申请退款", "退款成功", "没有申请退款"], "return"),
        ("refund_status", ["none", "refunded", "none"], "return"),
        ("returned_qty", ["0", "2", "1"], "return"),
        ("order_status", ["Shipped", "Shipped - Returned to Seller", "Partially refunded"], "return"),
    ] {
        let toml = format!("{PURCHASES}orders = {{ charges = [], state = {column:?} }}");
        let rows = says.map(|says| ["A", "u", "2", says]);
        let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
        let (found, bound) = fates(&toml, &["sku", "customer", "qty", column], &rows);
        assert_eq!(found, ["purchase", expected, "purchase"], "{column}");
        assert_eq!(bound.unknown_states(), [], "{column}");
    }
}

#[test]
fn states_that_are_not_known_are_counted_by_their_columns() {
    let toml = format!("{PURCHASES}orders = {{ charges = [], state = ['status', 'Storniert'] }}");
    let rows: [&[&str]; 4] = [
        &["A", "u", "1", "Lost", "N"],
        &["A", "u", "1", "3", ""],
        &["A", "u", "1", "Lost", "ST-7"],
        &["A", "u", "1", "paid", "J"],
    ];
    let (found, bound) = fates(&toml, &["sku", "customer", "qty", "status", "Storniert"], &rows);
    assert_eq!(found, ["purchase", "purchase", "purchase", "left out"]);
    let of = |column: &str, texts: &[(&str, u64)]| UnknownStates {
        column: column.into(),
        texts: texts.iter().map(|(text, n)| ((*text).into(), *n)).collect(),
    };
    assert_eq!(bound.unknown_states(), [of("status", &[("Lost", 2), ("3", 1)]), of("Storniert", &[("ST-7", 1)])]);
}

#[test]
fn the_number_of_deleted_products_is_left_out_of_orders_alone() {
    let rows: [&[&str]; 3] = [&["0", "u", "1"], &["12", "u", "1"], &["-1", "u", "1"]];
    let header = ["sku", "customer", "qty"];
    let toml = format!("{PURCHASES}orders = {{ charges = ['sku'] }}");
    let (found, mut bound) = fates(&toml, &header, &rows);
    assert_eq!(found, ["skipped", "purchase", "skipped"]);
    let notes = bound.take_notes().join(", ");
    assert!(notes.contains("`0` as the number of products that were deleted, whose lines are skipped"), "{notes}");
    assert_eq!(fates(PURCHASES, &header, &rows).0, ["purchase"; 3], "without [orders] it may be an id");
}

#[test]
fn orders_of_woocommerce_and_prestashop_have_no_line_of_a_deleted_product() {
    let of = |toml: &str, json: &str| -> Vec<Mapped> {
        let mapping: Mapping = toml::from_str(toml).unwrap();
        mapping.validate().unwrap();
        mapping.bind_objects().unwrap().apply_object(serde_json::from_str(json).unwrap())
    };
    let woocommerce = include_str!("../../../../examples/mapping/woocommerce-api-orders.toml");
    let order = r#"{"id":5,"status":"completed","customer_id":7,"date_created_gmt":"2026-03-01T12:00:00","line_items":[
        {"id":1,"product_id":0,"quantity":1,"price":8.4},{"id":2,"product_id":77,"quantity":1,"price":8.4}]}"#;
    let found = of(woocommerce, order);
    assert!(matches!(&found[..], [Mapped::Skipped, Mapped::Event { undo: None, .. }]), "{found:?}");
    let prestashop = include_str!("../../../../examples/mapping/prestashop-api-orders.toml");
    let order = r#"{"id":5,"current_state":"2","id_customer":"7","reference":"R","date_add":"2026-03-01 12:00:00","associations":{"order_rows":[
        {"id":"1","product_id":"0","product_quantity":"1"},{"id":"2","product_id":"77","product_quantity":"1"}]}}"#;
    let found = of(prestashop, order);
    assert!(matches!(&found[..], [Mapped::Skipped, Mapped::Event { undo: None, .. }]), "{found:?}");
}

#[test]
fn an_active_product_of_shopify_that_is_not_published_is_not_available() {
    let shopify: Mapping = toml::from_str(include_str!("../../../../examples/mapping/shopify-products.toml")).unwrap();
    let header = [
        "Handle",
        "Title",
        "Body (HTML)",
        "Vendor",
        "Type",
        "Tags",
        "Published",
        "Variant SKU",
        "Variant Price",
        "Status",
    ];
    let optional = Mapping { optional: shopify.optional.iter().cloned().chain(["price".into()]).collect(), ..shopify };
    let mut bound = optional.bind(&header).unwrap();
    for (row, available) in [
        (["hid", "Hidden", "", "N", "Rugs", "", "false", "HID-S", "19", "active"], "no"),
        (["hid", "", "", "", "", "", "", "HID-M", "19", ""], "no"),
        (["rug", "Rug", "", "N", "Rugs", "", "true", "RUG", "19", "active"], "active"),
    ] {
        let Mapped::Item(item) = bound.apply(&row) else { panic!("{row:?}") };
        assert_eq!(item.available.text(), available, "{row:?}");
    }
}
