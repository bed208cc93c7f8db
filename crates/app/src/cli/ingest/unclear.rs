//! Why a table without a mapping is none of what is recognised: which columns were not found for events, for orders, for products.

use std::path::Path;

use accrue_event::{OrderPart, RecordKind, listed, order_column, usual_column};
use accrue_ingest::Sample;

use crate::cli::problem::Problem;

/// The refusal of a table that has no column of a type; `None` of one that has, or of what is no table.
pub(super) fn refusal(path: &Path, sample: &Sample) -> Option<Problem> {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    let has = |kind, field| usual_column(kind, field, &columns).is_some();
    if !sample.is_table || columns.is_empty() || has(RecordKind::Events, "type") {
        return None;
    }
    let is_order = |part| order_column(part, &columns).is_some();
    let of_orders = [
        ("a buyer or the number of an order", is_order(OrderPart::Buyer) || is_order(OrderPart::Number)),
        ("a time", is_order(OrderPart::Time)),
        ("the number of a product", is_order(OrderPart::Item)),
        ("a quantity", is_order(OrderPart::Quantity)),
    ];
    let of_products = [("the id", has(RecordKind::Items, "id")), ("the title", has(RecordKind::Items, "title"))];
    let lacking = |parts: &[(&'static str, bool)]| -> Vec<&'static str> {
        parts.iter().filter(|(_, is_there)| !is_there).map(|(what, _)| *what).collect()
    };
    let told = |what: &str, lacking: Vec<&str>| match &lacking[..] {
        [] => format!("it has the columns of {what}, and others that speak against them"),
        lacking => format!("for {what} no column has a usual name of {}", lacking.join(" or of ")),
    };
    let message = format!(
        "{}: it is not clear what its rows are: {}; {}; for events none says their type; the header has {}",
        path.display(),
        told("products", lacking(&of_products)),
        told("lines of orders", lacking(&of_orders)),
        listed(&sample.columns)
    );
    // What lacks little of an order is none of views.
    let of_order = |part| order_column(part, &columns).is_some();
    let may_be_order = of_order(OrderPart::Number) || of_order(OrderPart::Quantity);
    let hint = match lacking(&of_orders).len() {
        0 | 1 if may_be_order => {
            "--guess prints a mapping to start from, in which the columns can be named; --items says that these are products"
        }
        _ => {
            "--guess prints a mapping to start from, in which the columns can be named; --items says that these are products, and \
             --map \"type='view'\" that they are views"
        }
    };
    Some(Problem::new(message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_for_products_and_for_orders() {
        let of = |columns: &[&str]| {
            let columns = columns.iter().map(|column| (*column).to_owned()).collect();
            refusal(Path::new("a.csv"), &Sample { columns, is_table: true, ..Sample::default() })
                .map(|it| it.to_string())
        };
        let products = of(&["sku", "name-en_US", "price-EUR"]).unwrap();
        assert!(products.contains("for products no column has a usual name of the title;"), "{products}");
        let orders = of(&["Order ID", "Paid on", "SKU Ref", "Quantity"]).unwrap();
        assert!(orders.contains("for lines of orders no column has a usual name of a time"), "{orders}");
        assert_eq!(of(&["user", "item", "type"]), None);
    }
}
