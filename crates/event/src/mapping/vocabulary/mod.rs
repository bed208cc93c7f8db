//! The names under which other systems have our fields.
//!
//! A field that a mapping does not name, and that a file does not have under its own name, is taken from the first of
//! these names that the file has. Names are compared without case and separators: `Product ID`, `product_id` and `productId` are
//! one name. They are those of Shopify, WooCommerce, Magento, PrestaShop, Google Merchant, Meta, GA4, Segment, Snowplow, Gorse,
//! Meilisearch, Algolia and of public data sets, in English, German, French, Spanish and Chinese as far as shop systems write
//! them; those of orders (`orders.rs`) are in fourteen languages. Names with several meanings (`value`, `product`, `status`) are left out.

mod charges;
mod events;
mod items;
mod marks;
mod order_state;
mod orders;
mod sales;
mod state_words;
mod states;

use super::Sale;
use crate::RecordKind;
use crate::near::{folded, singular};

pub use charges::is_charge;
pub use marks::{StateCell, StateColumn};
pub use order_state::OrderState;
pub use orders::{OrderPart, is_time_of_order, is_total_of_order, is_unclear_number, number_beside_name, order_column};
pub use states::order_state;

/// Other names of a field, the more certain ones first.
pub(super) fn other_names(kind: RecordKind, field: &str) -> &'static [&'static str] {
    match kind {
        RecordKind::Events => events::names(field),
        RecordKind::Items => items::names(field),
        RecordKind::Users => match field {
            "id" => &[
                "userid",
                "customerid",
                "clientid",
                "memberid",
                "accountid",
                "shopperid",
                "idcustomer",
                "customeremail",
                "email",
            ],
            _ => &[],
        },
    }
}

/// A name without case and separators.
pub(super) fn compact(name: &str) -> String {
    folded(name)
}

/// The columns of a price that is valid for some time beside the usual one, under their usual names.
///
/// ```
/// let sale = accrue_event::usual_sale(&["sku", "price", "Sale Price", "sale_end_date"]).unwrap();
/// assert_eq!(sale.price.iter().collect::<Vec<_>>(), ["Sale Price"]);
/// assert!(accrue_event::usual_sale(&["sku", "Sale Price"]).is_none(), "it is the only price");
/// let open = ["sku", "price", "Sale Price", "Sale active"];
/// assert!(accrue_event::usual_sale(&open).is_none(), "it cannot be told whether the sale is over");
/// ```
pub fn usual_sale(columns: &[&str]) -> Option<Sale> {
    let sales::Found::Sale(sale) = sales::sale(columns) else { return None };
    let others: Vec<&str> = columns.iter().copied().filter(|column| sale.columns().all(|own| own != *column)).collect();
    usual_column(RecordKind::Items, "price", &others).map(|_| sale)
}

/// The column of a sale's price beside that of the usual one, and a column that may say that the sale is over, of which it is not
/// known what it says: such a price is not taken.
///
/// ```
/// let columns = ["sku", "price", "Sale Price", "On sale"];
/// assert_eq!(accrue_event::unclear_sale(&columns), Some(("Sale Price", "On sale")));
/// ```
pub fn unclear_sale<'c>(columns: &[&'c str]) -> Option<(&'c str, &'c str)> {
    let sales::Found::Unclear(price, beside) = sales::sale(columns) else { return None };
    let others: Vec<&str> = columns.iter().copied().filter(|column| *column != price && *column != beside).collect();
    usual_column(RecordKind::Items, "price", &others).map(|_| (price, beside))
}

/// The fields of which a name is a usual one: their own, or one of those of other systems, in the singular or the
/// plural.
pub fn fields_named(kind: RecordKind, name: &str) -> impl Iterator<Item = &'static str> {
    let wanted = singular(&folded(name));
    kind.fields().iter().copied().filter(move |field| {
        let mut names = other_names(kind, field).iter().map(|name| singular(name));
        singular(&folded(field)) == wanted || names.any(|name| name == wanted)
    })
}

/// The column that has a field under a usual name: its own, or one of those of other systems. Of a path such as
/// `event_attributes.object.object_id` its last names count.
pub fn usual_column<'c>(kind: RecordKind, field: &str, columns: &[&'c str]) -> Option<&'c str> {
    let own = compact(field);
    let mut wanted = std::iter::once(&*own).chain(other_names(kind, field).iter().copied());
    wanted.find_map(|wanted| {
        let fits = |column: &&&str| {
            // JSON:API puts what a record refers to under `relationships.profile.data`.
            let is_step =
                |step: &&str| !matches!(*step, "data" | "relationships") || !column.contains("relationships.");
            let steps: Vec<&str> = column.split('.').filter(is_step).collect();
            let last_two = steps[steps.len().saturating_sub(2)..].concat();
            compact(column) == wanted
                || steps.last().is_some_and(|last| compact(last) == wanted)
                || compact(&last_two) == wanted
        };
        columns.iter().filter(fits).min_by_key(|column| column.matches(['.', '[']).count()).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chinese_header_is_known() {
        let columns = ["商品编号", "商品名称", "品牌", "分类", "价格", "库存", "图片"];
        let fields = ["id", "title", "brand", "categories", "price", "stock", "image"];
        assert_eq!(fields.map(|field| usual_column(RecordKind::Items, field, &columns)), columns.map(Some));
        let columns = ["用户ID", "商品ID", "行为类型", "下单时间", "数量"];
        let fields = ["user", "item", "type", "at", "quantity"];
        assert_eq!(fields.map(|field| usual_column(RecordKind::Events, field, &columns)), columns.map(Some));
    }

    #[test]
    fn names_are_compact_and_belong_to_one_field() {
        for kind in [RecordKind::Events, RecordKind::Items, RecordKind::Users] {
            let mut seen = Vec::new();
            for field in kind.fields() {
                for name in other_names(kind, field) {
                    assert_eq!(compact(name), *name);
                    // A product's handle is its id where it has no other, else the group of its variants.
                    assert!(*name == "handle" || !seen.contains(name), "{name}");
                    seen.push(name);
                }
            }
        }
    }
}
