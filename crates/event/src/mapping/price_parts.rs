//! Prices that a file has in parts: `[price_parts]`. What a variant costs beyond its product is added to the price, and the
//! discount of the product is taken off the sum.
//!
//! In: an item with the price of its row, and the cells of the surcharge and the discount. Out: the item with the price that is
//! paid. A discount that is no less than the price is none, and a price that is no number stays for the check.

use serde::{Deserialize, Serialize};

use super::bound::BoundMapping;
use super::cell::{Cell, Reading};
use super::parts::Source;
use super::sale::number;
use crate::RawValue;
use crate::raw::RawItem;

/// The columns of what is added to a price and taken off it. A file may lack them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceParts {
    /// What is added to the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surcharge: Option<Box<str>>,
    /// What is taken off, of the price with its surcharge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Box<str>>,
    /// Whether the discount is a share in percent (`PERCENT`, `%`); otherwise it is an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_mode: Option<Box<str>>,
}

impl PriceParts {
    /// The columns that are named.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        [&self.surcharge, &self.discount, &self.discount_mode].into_iter().filter_map(|column| column.as_deref())
    }
}

impl BoundMapping {
    /// Gives an item the price that its parts make.
    pub(super) fn add_price_parts<C: Cell>(&self, row: &[C], item: &mut RawItem) {
        let Some(parts) = &self.price_parts else { return };
        let Some(price) = number(&item.price) else { return };
        let value = |source: &Option<Source>, reading| {
            source.as_ref().map_or(RawValue::Null, |source| self.source(row, source, reading))
        };
        let amount = |source: &Option<Source>| number(&value(source, parts.reading)).unwrap_or(0.0);
        let whole = price + amount(&parts.surcharge);
        let discount = amount(&parts.discount);
        let mode = value(&parts.mode, Reading::Text).text().to_lowercase();
        let off = if mode.contains("percent") || mode.contains('%') { whole * discount / 100.0 } else { discount };
        let paid = if off > 0.0 && off < whole { whole - off } else { whole };
        if paid > 0.0 && paid != price {
            item.price = RawValue::Float((paid * 1e4).round() / 1e4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mapped, Mapping};
    use super::*;

    #[test]
    fn a_price_is_made_of_its_surcharge_and_discount() {
        let mapping: Mapping = toml::from_str(
            "kind = 'items'\n[fields]\nid = 'sku'\nprice = 'price'\n[price_parts]\nsurcharge = 'more'\ndiscount = 'off'\ndiscount_mode = 'mode'\n",
        )
        .unwrap();
        let mut bound = mapping.bind(&["sku", "price", "more", "mode", "off"]).unwrap();
        let mut price = |row: &[&str]| match bound.apply(row) {
            Mapped::Item(item) => number(&item.price),
            other => panic!("{other:?}"),
        };
        assert_eq!(price(&["A", "20", "5", "PERCENT", "10"]), Some(22.5));
        assert_eq!(price(&["A", "1200", "", "AMOUNT", "200"]), Some(1000.0));
        assert_eq!(price(&["A", "20", "0", "PERCENT", "0"]), Some(20.0));
        assert_eq!(price(&["A", "20", "", "AMOUNT", "20"]), Some(20.0), "a price is not nothing");
        assert_eq!(price(&["A", "on request", "5", "PERCENT", "10"]), None);
        let mut bound = mapping.bind(&["sku", "price"]).unwrap();
        assert!(matches!(bound.apply(&["A", "20"]), Mapped::Item(item) if number(&item.price) == Some(20.0)));
    }
}
