//! The stock of an item whose export has it under a name of its own, or a column for each place: `Lagerbestand Gesamt`,
//! `inventory_Main_Outlet`, `Current Quantity Main Shop`. A total counts as it is, and the stocks of places are added up.

use std::borrow::Cow;

use super::number::{Number, number};
use super::repairs::Repairs;
use super::usual;
use super::verdict::Repair;
use crate::near::folded;
use crate::raw::RawItem;
use crate::{Attribute, Item, RawValue};

/// Names of the stock as a whole, without case and separators.
const TOTALS: &[&str] = &[
    "availablenoteditable",
    "onhandcurrent",
    "quantityonhand",
    "qtyonhand",
    "onhandquantity",
    "stockonhand",
    "soh",
    "qoh",
    "availablequantity",
    "availableqty",
    "quantityavailable",
    "qtyavailable",
    "availablestock",
    "stockavailable",
    "inventoryavailable",
    "productquantity",
    "productstock",
    "totalinventory",
    "totalstock",
    "totalquantity",
    "totalavailable",
    "currentstock",
    "currentquantity",
    "instockquantity",
    "instockqty",
    "quantityinstock",
    "qtyinstock",
    "unitsinstock",
    "stockunits",
    "stockcount",
    "salablequantity",
    "salableqty",
    "sellablequantity",
    "lagerbestandgesamt",
    "gesamtbestand",
    "gesamtlagerbestand",
    "bestandgesamt",
    "freierbestand",
    "verfügbarerlagerbestand",
    "stocktotal",
    "stockréel",
    "stockphysique",
    "quantitéenstock",
    "quantitédisponible",
    "cantidaddisponible",
    "quantitàdisponibile",
    "giacenzatotale",
    "stantotaal",
    "stanmagazynowy",
    "可用库存",
    "总库存",
];

/// Beginnings of the names of stocks of places, after which the name of the place follows.
const OF_PLACES: &[&str] =
    &["inventory", "currentquantity", "quantityonhand", "stockonhand", "lagerbestand", "bestand", "stock"];

/// Words that follow such a beginning and name no place.
const NO_PLACES: &[&str] = &[
    "policy",
    "management",
    "manage",
    "tracking",
    "tracker",
    "tracked",
    "track",
    "item",
    "status",
    "state",
    "id",
    "type",
    "alert",
    "warning",
    "min",
    "minimum",
    "max",
    "maximum",
    "threshold",
    "reorder",
    "unit",
    "units",
    "location",
    "date",
    "updated",
    "cost",
    "value",
    "code",
    "control",
    "level",
    "note",
    "message",
    "label",
    "text",
    "delivery",
    "symbol",
    "number",
    "mindest",
    "price",
    "weight",
    "days",
    "time",
    "sold",
    "reserved",
    "committed",
    "incoming",
    "unavailable",
    "ordered",
    "turnover",
    "melde",
];

/// Gives an item without a stock the one that it has under another name. Of a change, `before` is the item: places that
/// the change does not name keep their stocks.
pub(super) fn with_stock(named: &mut Cow<'_, RawItem>, before: Option<&Item>, repairs: &mut Repairs) {
    if !named.stock.is_missing() || named.attributes.is_empty() {
        return;
    }
    let pieces = |value: &RawValue| match number(value, &mut Repairs::default()) {
        Number::Given(pieces) if pieces.is_finite() => Some(pieces),
        _ => None,
    };
    let total = TOTALS.iter().find_map(|wanted| {
        let is_total = |(name, value): &(Box<str>, RawValue)| {
            name.len() <= 64 && folded(name) == **wanted && pieces(value).is_some()
        };
        named.attributes.iter().rposition(is_total)
    });
    if let Some(place) = total {
        let item = named.to_mut();
        item.stock = item.attributes.remove(place).1;
        repairs.note(Repair::FieldAlias);
        return;
    }
    for start in OF_PLACES {
        let of_places: Vec<(&str, f64)> = named
            .attributes
            .iter()
            .filter(|(name, _)| is_of_place(name, start))
            .filter_map(|(name, value)| Some((&**name, pieces(value)?)))
            .collect();
        if of_places.is_empty() {
            continue;
        }
        let others =
            before.into_iter().flat_map(|before| before.attributes.iter()).filter_map(|(name, value)| match value {
                Attribute::Number(pieces) if is_of_place(name, start) => Some((&**name, *pieces)),
                Attribute::Text(text) if is_of_place(name, start) => Some((&**name, pieces(&RawValue::text(&**text))?)),
                _ => None,
            });
        let others = others.filter(|(name, _)| !of_places.iter().any(|(known, _)| known == name));
        // What a place owes is not taken from the others.
        let sum: f64 = of_places.iter().copied().chain(others).map(|(_, pieces)| pieces.max(0.0)).sum();
        named.to_mut().stock = RawValue::Float(sum);
        repairs.note(Repair::FieldAlias);
        return;
    }
}

/// The pieces that a description has in stock, under its own name or under that of another system.
pub fn stock_of(raw: &RawItem) -> Option<f64> {
    let mut named = usual::named(raw, None, &mut Repairs::default());
    with_stock(&mut named, None, &mut Repairs::default());
    match number(&named.stock, &mut Repairs::default()) {
        Number::Given(pieces) if pieces.is_finite() => Some(pieces),
        _ => None,
    }
}

/// Whether a name is that of the stock of one place.
fn is_of_place(name: &str, start: &str) -> bool {
    if name.len() > 96 {
        return false;
    }
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    let mut read = String::new();
    while read.len() < start.len() {
        let Some(word) = words.next() else { return false };
        read.push_str(&word);
    }
    let rest: Vec<String> = words.collect();
    read == start && !rest.is_empty() && !rest.iter().any(|word| NO_PLACES.contains(&&**word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock_of(json: &str, before: Option<&Item>) -> RawValue {
        let raw: RawItem = serde_json::from_str(json).unwrap();
        let mut named = Cow::Borrowed(&raw);
        with_stock(&mut named, before, &mut Repairs::default());
        named.stock.clone()
    }

    #[test]
    fn a_total_and_the_stocks_of_places_are_the_stock() {
        for (fields, stock) in [
            (r#""Lagerbestand Gesamt":"0,00""#, RawValue::text("0,00")),
            (r#""Quantity On Hand":0"#, RawValue::Int(0)),
            (r#""product_quantity":"0""#, RawValue::text("0")),
            (r#""Available (not editable)":3,"On hand (current)":5"#, RawValue::Int(3)),
            (r#""inventory_Main_Outlet":"0","inventory_Second":"0""#, RawValue::Float(0.0)),
            (r#""inventory_Main_Outlet":2,"inventory_Second":-1,"reorder_point_Main_Outlet":9"#, RawValue::Float(2.0)),
            (r#""Current Quantity Main Shop":"4","New Quantity Main Shop":"9""#, RawValue::Float(4.0)),
        ] {
            assert_eq!(stock_of(&format!(r#"{{"id":"a",{fields}}}"#), None), stock, "{fields}");
        }
        for fields in [
            r#""inventory_policy":1"#,
            r#""inventory_item_id":77"#,
            r#""stock_alert_level":5"#,
            r#""inventory_Main":"many""#,
            r#""stockings":3"#,
        ] {
            assert!(stock_of(&format!(r#"{{"id":"a",{fields}}}"#), None).is_missing(), "{fields}");
        }
    }

    #[test]
    fn a_change_of_one_place_keeps_the_stocks_of_the_others() {
        let attributes =
            [("inventory_North".into(), Attribute::Number(4.0)), ("inventory_South".into(), Attribute::Number(2.0))];
        let before = Item { attributes: attributes.into_iter().collect(), ..Item::bare("a".into()) };
        assert_eq!(stock_of(r#"{"id":"a","inventory_North":0}"#, Some(&before)), RawValue::Float(2.0));
    }
}
