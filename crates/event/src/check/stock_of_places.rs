//! The stock of an item whose export has it under a name of its own, or a column for each place: `Lagerbestand Gesamt`,
//! `inventory_Main_Outlet`, `Current Quantity Main Shop`. A total counts as it is, and the stocks of places are added up.

use std::borrow::Cow;

use super::number::{Number, number};
use super::repairs::Repairs;
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
    "stockactual",
    "existenciasactuales",
    "bestandverfügbar",
    "verfügbarerbestand",
    "bestandaktuell",
    "aktuellerbestand",
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

/// Beginnings of the names of stocks of places, after which the name of the place follows. Only those that systems write:
/// behind a bare `stock` or `Bestand` stand thresholds, states and numbers of articles as well.
const OF_PLACES: &[&str] = &["inventory", "currentquantity", "quantityonhand", "stockonhand"];

/// Beginnings of names that may be those of stocks, and are told where no stock was found.
const PERHAPS: &[&str] =
    &["stock", "bestand", "lagerbestand", "inventory", "currentquantity", "quantityonhand", "stockonhand"];

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
    "no",
    "nr",
    "ref",
    "on",
    "order",
    "transit",
    "allocated",
    "available",
    "virtual",
];

/// Gives an item without a stock the one that it has under another name. Of a change, `before` is the item: places that
/// the change does not name keep their stocks.
pub(super) fn with_stock(named: &mut Cow<'_, RawItem>, before: Option<&Item>, repairs: &mut Repairs) {
    if !named.stock.is_missing() || named.attributes.is_empty() {
        return;
    }
    let names: Vec<String> = named
        .attributes
        .iter()
        .map(|(name, _)| if name.len() <= MAX_NAME_BYTES { folded(name) } else { String::new() })
        .collect();
    let total = TOTALS.iter().find_map(|wanted| {
        names.iter().rposition(|name| name == wanted).filter(|place| pieces(&named.attributes[*place].1).is_some())
    });
    if let Some(place) = total {
        let item = named.to_mut();
        item.stock = item.attributes.remove(place).1;
        repairs.note(Repair::FieldAlias);
        return;
    }
    for start in OF_PLACES {
        if let Some(sum) = sum_of_places(named, start, before) {
            named.to_mut().stock = RawValue::Float(sum);
            repairs.note(Repair::StockAdded);
            return;
        }
    }
}

/// No name of a stock is longer.
const MAX_NAME_BYTES: usize = 96;

/// The number of pieces that a value is.
pub(super) fn pieces(value: &RawValue) -> Option<f64> {
    match number(value, &mut Repairs::default()) {
        Number::Given(pieces) if pieces.is_finite() => Some(pieces),
        _ => None,
    }
}

/// The stocks of the places whose names begin so. `None` if there are none, or if one of them is no number: what the others
/// have is not the whole then.
fn sum_of_places(named: &RawItem, start: &str, before: Option<&Item>) -> Option<f64> {
    let mut of_places: Vec<(&str, f64)> = Vec::new();
    let given = named.attributes.iter().filter(|(name, value)| is_of_place(name, start) && !value.is_missing());
    for (name, value) in given {
        of_places.push((name, pieces(value)?));
    }
    if of_places.is_empty() {
        return None;
    }
    let others = before.into_iter().flat_map(|before| before.attributes.iter());
    let others =
        others.filter(|(name, _)| is_of_place(name, start) && !of_places.iter().any(|(known, _)| **known == ***name));
    let mut sum_of_others = 0.0;
    for (_, value) in others {
        sum_of_others += match value {
            Attribute::Number(pieces) => pieces.max(0.0),
            Attribute::Text(text) => pieces(&RawValue::text(&**text))?.max(0.0),
            Attribute::Bool(_) | Attribute::List(_) => return None,
        };
    }
    // What a place owes is not taken from the others.
    Some(of_places.iter().map(|(_, pieces)| pieces.max(0.0)).sum::<f64>() + sum_of_others)
}

/// Whether a name may be that of a stock which was not understood, and is kept as an attribute.
pub(super) fn may_be_stock(name: &str) -> bool {
    PERHAPS.iter().any(|start| is_followed_by_a_place(name, start))
}

/// Whether a name is that of the stock of one place. `inventory` has an underscore behind it, as Lightspeed writes it.
fn is_of_place(name: &str, start: &str) -> bool {
    let is_written_so = start != "inventory" || name.as_bytes().get(start.len()) == Some(&b'_');
    is_written_so && is_followed_by_a_place(name, start)
}

fn is_followed_by_a_place(name: &str, start: &str) -> bool {
    if name.len() > MAX_NAME_BYTES {
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
            (r#""Stock actual":"0","Stock mínimo":"5""#, RawValue::text("0")),
            (r#""Bestand verfügbar":0,"Bestand reserviert":3"#, RawValue::Int(0)),
            (r#""inventory_North":"","inventory_South":3"#, RawValue::Float(3.0)),
            (r#""Current Quantity Main Shop":"4","New Quantity Main Shop":"9""#, RawValue::Float(4.0)),
        ] {
            assert_eq!(stock_of(&format!(r#"{{"id":"a",{fields}}}"#), None), stock, "{fields}");
        }
        for fields in [
            r#""inventory_policy":1"#,
            r#""inventory_item_id":77"#,
            r#""stock_alert_level":5"#,
            r#""inventory_Main":"many""#,
            r#""inventory_North":"many","inventory_South":3"#,
            r#""inventory_on_order":4"#,
            r#""Inventory no":4"#,
            r#""Stock No":"88121""#,
            r#""Bestand reserviert":3"#,
            r#""Stock mínimo":5"#,
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
