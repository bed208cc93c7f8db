//! Which columns of a file of events have the ids of the catalogue.
//!
//! In: the columns that a mapping names for the item, the others, and the share of each one's texts that are ids of products.
//! Out: the columns that have them better. Nothing is decided here: numbers of orders may be ids of products too.

use std::collections::BTreeSet;

use accrue_event::{OrderPart, RecordKind, folded, order_column, usual_column};

/// The columns that have the ids of the catalogue in place of `own`: of each of those, the one beside it in the same object, so
/// that every kind of record keeps an item. `None` if no column has them better than `own` do.
pub(super) fn columns_of_ids(own: &[&str], columns: &[String], share: impl Fn(&str) -> f64) -> Option<Vec<String>> {
    let shares: Vec<(&str, f64)> = columns.iter().map(|column| (column.as_str(), share(column))).collect();
    let own_columns = own;
    let object_of = |column: &str| column.rfind('.').map_or(0, |end| end);
    let is_beside = |one: &str, other: &str| one[..object_of(one)] == other[..object_of(other)];
    let best = |is_meant: &dyn Fn(&str) -> bool| {
        let meant = shares.iter().filter(|(column, _)| is_meant(column));
        meant.copied().max_by(|(_, one), (_, other)| one.total_cmp(other)).filter(|(_, share)| *share >= 0.5)
    };
    // What the mapping names before a column counts before it already.
    let better = |own: &&str| {
        let before: Vec<&str> = own_columns.iter().copied().take_while(|before| before != own).collect();
        let is_meant = |column: &str| is_beside(column, own) && !before.contains(&column);
        best(&is_meant).filter(|(_, of_other)| *of_other > share(own))
    };
    if own.iter().all(|own| better(own).is_none()) {
        let (column, of_column) = best(&|_| true)?;
        let is_better = own.iter().all(|own| share(own) < of_column);
        return is_better.then(|| vec![column.to_owned()]);
    }
    // What is better has the place of what it replaces, because of several columns the first that has a value counts. What has no
    // better one may still name the items of some records.
    let in_place = |own: &&str| better(own).map_or(*own, |(column, _)| column).to_owned();
    let mut found: Vec<String> = own.iter().map(in_place).collect();
    let mut named = BTreeSet::new();
    found.retain(|column| named.insert(column.clone()));
    Some(found)
}

/// Whether the name of a column is a usual one of an item's id, and of nothing else that has a number in orders and events.
pub(super) fn names_item(column: &str) -> bool {
    let last = column.rsplit('.').next().unwrap_or(column);
    let is_usual = |kind, field| usual_column(kind, field, &[last]).is_some();
    let is_of_item = is_usual(RecordKind::Events, "item")
        || is_usual(RecordKind::Items, "id")
        || order_column(OrderPart::Item, &[last]).is_some();
    let is_of_other = folded(last) == "id" || order_column(OrderPart::Number, &[last]).is_some();
    is_of_item && !is_of_other
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns that are found for lines of orders, with the share of the ids of each.
    fn found(own: &[&str], shares: &[(&str, f64)]) -> Option<String> {
        let columns: Vec<String> = shares.iter().map(|(column, _)| (*column).to_owned()).collect();
        let share = |column: &str| shares.iter().find(|(known, _)| *known == column).map_or(0.0, |(_, share)| *share);
        columns_of_ids(own, &columns, share).map(|columns| columns.join(", "))
    }

    #[test]
    fn a_better_column_has_the_place_of_what_it_replaces() {
        let own = ["lines[].sku", "lines[].variant"];
        let of = |sku: f64, product: f64| {
            found(&own, &[("lines[].sku", sku), ("lines[].variant", 0.0), ("lines[].product", product), ("id", 0.9)])
        };
        for (sku, product, expected) in [
            (1.0, 1.0, "lines[].sku, lines[].product"),
            (0.6, 0.55, "lines[].sku, lines[].product"),
            (0.0, 1.0, "lines[].product"),
            (1.0, 0.0, "lines[].sku, lines[].variant"),
        ] {
            assert_eq!(
                of(sku, product).as_deref().unwrap_or("lines[].sku, lines[].variant"),
                expected,
                "{sku} {product}"
            );
        }
    }
}
