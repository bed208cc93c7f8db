//! What the columns of a file without a mapping say that its records are: products, events, customers, lists of what was ordered,
//! or nothing that is known.

use accrue_event::{OrderPart, RecordKind, is_unclear_number, order_column, usual_column};
use accrue_ingest::Sample;

use super::orders::{MAX_COLUMNS, says_more_of_products};

/// Whether a file has products and nothing that events need.
pub(super) fn describes_products(sample: &Sample) -> bool {
    let columns = direct_columns(sample);
    let has = |kind, field| usual_column(kind, field, &columns).is_some();
    let is_event = ["user", "session"].iter().any(|field| has(RecordKind::Events, field));
    !is_event && ["id", "title"].iter().all(|field| has(RecordKind::Items, field))
}

/// The columns that a file without a mapping is read by. What lies deeper in objects needs one.
fn direct_columns<'s>(sample: &'s Sample) -> Vec<&'s str> {
    let columns = sample.columns.iter().map(String::as_str);
    if sample.is_table {
        return columns.collect();
    }
    let without = |column: &'s str, start: &str| column.strip_prefix(start);
    let inner = |column: &'s str| without(column, "attributes.").or(without(column, "properties.")).unwrap_or(column);
    // A list, or a text by language, is a value of its field.
    columns.map(inner).map(|column| &column[..column.find(['.', '[']).unwrap_or(column.len())]).collect()
}

/// Whether nothing in the objects of a file, as they are read without a mapping, names a shopper or an item.
pub(super) fn names_nobody_and_nothing(sample: &Sample) -> bool {
    let columns = direct_columns(sample);
    let has = |kind, field| usual_column(kind, field, &columns).is_some();
    let is_event = ["user", "session", "item", "query"].iter().any(|field| has(RecordKind::Events, field));
    !sample.is_table && !sample.columns.is_empty() && !is_event
}

/// What records with these columns describe.
pub(super) fn kind_of(columns: &[&str]) -> RecordKind {
    let has = |kind, field| usual_column(kind, field, columns).is_some();
    let has_shopper = has(RecordKind::Events, "user") || has(RecordKind::Events, "session");
    let is_order = || columns.iter().any(|column| column.to_lowercase().contains("order_"));
    if has_shopper && (has(RecordKind::Events, "item") || has(RecordKind::Events, "query") || is_order()) {
        return RecordKind::Events;
    }
    let describes = ["title", "price", "image", "brand"].iter().any(|field| has(RecordKind::Items, field));
    if has(RecordKind::Items, "id") && describes || !has(RecordKind::Users, "id") {
        RecordKind::Items
    } else {
        RecordKind::Users
    }
}

/// The columns of the number of an order and of a quantity in a table that would be taken for products: of what was sold,
/// packed or sent back, and not of a stock.
pub(super) fn in_place_of_stock(sample: &Sample) -> Option<(&str, &str)> {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    if !describes_products(sample) || columns.len() > MAX_COLUMNS {
        return None;
    }
    // What says more of products is a catalogue, in which `Order` may be a place.
    if says_more_of_products(&columns) {
        return None;
    }
    let number = order_column(OrderPart::Number, &columns)?;
    // So is what has prices, which lists of what was packed or sent back have not.
    if is_unclear_number(number) && usual_column(RecordKind::Items, "price", &columns).is_some() {
        return None;
    }
    // The number of an article may be called that of an order (`Bestellnummer`).
    let id = usual_column(RecordKind::Items, "id", &columns).filter(|id| *id != number)?;
    let stock = usual_column(RecordKind::Items, "stock", &columns);
    let quantity = order_column(OrderPart::Quantity, &columns).filter(|quantity| *quantity != id)?;
    stock.is_none_or(|stock| stock == quantity).then_some((number, quantity))
}
