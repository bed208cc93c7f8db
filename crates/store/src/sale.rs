//! When pages may show an item, as far as its own entry says, in two words of memory: a page asks it of hundreds of items,
//! and reading the entry of each would cost more than scoring it.
//!
//! In: an entry. Out: the conditions under which the item is shown. Where they are not simple, the entry has to be read.

use accrue_event::{Price, is_withdrawn};

use crate::CatalogueEntry;

/// The conditions under which pages may show an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sale {
    /// `milliseconds << 2 | LACKS_TITLE | IS_VARIANT`, [`UNKNOWN`] or [`READ`].
    own: i64,
    /// What it says of its variants, if it is a product: `milliseconds << 1 | has a title`, [`UNKNOWN`] or [`READ`].
    as_product: i64,
}

const LACKS_TITLE: i64 = 1;
const IS_VARIANT: i64 = 2;
/// The entry has to be read.
const READ: i64 = i64::MAX;
/// The catalogue does not describe the item, and nothing else is known of it.
const UNKNOWN: i64 = i64::MAX - 1;
/// The time of what has no date of publication.
const ALWAYS: i64 = i64::MIN / 8;

/// When an item is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSale {
    /// From this time on, in milliseconds since 1970, whatever the settings are.
    From(i64),
    /// Where the settings show items that only events name.
    IfUnknownAre,
    /// The entry has to be read.
    ReadEntry,
}

impl Sale {
    /// That of an item without an entry.
    pub const NONE: Self = Self { own: READ, as_product: READ };

    pub fn of(entry: &CatalogueEntry) -> Self {
        Self { own: own(entry), as_product: as_product(entry) }
    }

    /// When the item is shown. `product` is that of the item that it names as its product, if it names one.
    pub fn on_sale(self, product: impl FnOnce() -> Option<Self>) -> OnSale {
        match self.own {
            READ => return OnSale::ReadEntry,
            UNKNOWN => return OnSale::IfUnknownAre,
            _ => {}
        }
        let (from_ms, lacks_title) = (self.own >> 2, self.own & LACKS_TITLE != 0);
        if self.own & IS_VARIANT == 0 {
            return OnSale::From(from_ms);
        }
        match product().map_or(UNKNOWN, |product| product.as_product) {
            READ => OnSale::ReadEntry,
            UNKNOWN if lacks_title => OnSale::ReadEntry,
            UNKNOWN => OnSale::From(from_ms),
            product if product & 1 == 0 && lacks_title => OnSale::ReadEntry,
            product => OnSale::From(from_ms.max(product >> 1)),
        }
    }
}

/// The word `bits`, with the date of publication before them, if there is room for it.
fn dated(entry: &CatalogueEntry, n_bits: u32, bits: i64) -> i64 {
    let at_ms = entry.item.published_at.map_or(ALWAYS, |at| at.0);
    let fits = (ALWAYS..-ALWAYS).contains(&at_ms);
    if fits { at_ms << n_bits | bits } else { READ }
}

fn own(entry: &CatalogueEntry) -> i64 {
    let item = &entry.item;
    if !entry.can_be_shown() {
        return READ;
    }
    let (is_variant, lacks_title) = (item.parent.is_some(), item.title.is_none());
    if !entry.described {
        return if is_variant || item.published_at.is_some() { READ } else { UNKNOWN };
    }
    // Whether an item without a title or at price 0 is shown depends on all others.
    if item.price == Some(Price::ZERO) || (lacks_title && !is_variant) {
        return READ;
    }
    let bit = |is_set: bool, bit: i64| if is_set { bit } else { 0 };
    dated(entry, 2, bit(is_variant, IS_VARIANT) | bit(lacks_title, LACKS_TITLE))
}

fn as_product(entry: &CatalogueEntry) -> i64 {
    let is_withdrawn = !entry.item.available && is_withdrawn(&entry.item.attributes);
    if !entry.described {
        return UNKNOWN;
    }
    if is_withdrawn {
        return READ;
    }
    dated(entry, 1, i64::from(entry.item.title.is_some()))
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Item, Timestamp};

    use super::*;

    fn entry(edit: impl FnOnce(&mut CatalogueEntry)) -> CatalogueEntry {
        let mut item = Item::bare("mug".into());
        item.title = Some("Red mug".into());
        item.price = Price::new(9.5);
        let mut entry = CatalogueEntry { item, described: true, retired: false };
        edit(&mut entry);
        entry
    }

    fn shown(edit: impl FnOnce(&mut CatalogueEntry)) -> OnSale {
        Sale::of(&entry(edit)).on_sale(|| unreachable!("it is no variant"))
    }

    #[test]
    fn an_item_is_shown_from_its_publication_on_if_nothing_else_decides() {
        assert_eq!(shown(|_| {}), OnSale::From(ALWAYS));
        assert_eq!(shown(|entry| entry.item.price = None), OnSale::From(ALWAYS));
        assert_eq!(shown(|entry| entry.item.published_at = Some(Timestamp(-7))), OnSale::From(-7));
        assert_eq!(shown(|entry| entry.described = false), OnSale::IfUnknownAre);
        let others: [fn(&mut CatalogueEntry); 7] = [
            |entry| entry.retired = true,
            |entry| entry.item.available = false,
            |entry| entry.item.title = None,
            |entry| entry.item.price = Some(Price::ZERO),
            |entry| entry.item.published_at = Some(Timestamp(i64::MAX)),
            |entry| entry.item.published_at = Some(Timestamp(i64::MIN)),
            |entry| (entry.described, entry.item.published_at) = (false, Some(Timestamp(0))),
        ];
        assert!(others.into_iter().all(|edit| shown(edit) == OnSale::ReadEntry));
    }

    #[test]
    fn a_variant_is_shown_when_its_product_is_too() {
        let variant = |edit: fn(&mut CatalogueEntry)| {
            Sale::of(&entry(|entry| {
                entry.item.parent = Some("mugs".into());
                entry.item.published_at = Some(Timestamp(5));
                edit(entry);
            }))
        };
        let product = |edit: fn(&mut CatalogueEntry)| Some(Sale::of(&entry(edit)));
        let untitled: fn(&mut CatalogueEntry) = |entry| entry.item.title = None;
        let withdrawn: fn(&mut CatalogueEntry) = |entry| {
            entry.item.available = false;
            entry.item.attributes.insert("status".into(), Attribute::Text("draft".into()));
        };
        let sold_out: fn(&mut CatalogueEntry) = |entry| entry.item.available = false;
        let later: fn(&mut CatalogueEntry) = |entry| entry.item.published_at = Some(Timestamp(9));
        assert_eq!(variant(|_| {}).on_sale(|| None), OnSale::From(5));
        assert_eq!(variant(|_| {}).on_sale(|| product(later)), OnSale::From(9));
        assert_eq!(variant(|_| {}).on_sale(|| product(sold_out)), OnSale::From(5));
        assert_eq!(variant(|_| {}).on_sale(|| product(withdrawn)), OnSale::ReadEntry);
        assert_eq!(variant(untitled).on_sale(|| product(|_| {})), OnSale::From(5));
        assert_eq!(variant(untitled).on_sale(|| product(untitled)), OnSale::ReadEntry);
        assert_eq!(variant(untitled).on_sale(|| None), OnSale::ReadEntry);
        let undescribed = || Some(Sale::of(&entry(|entry| entry.described = false)));
        assert_eq!(variant(|_| {}).on_sale(undescribed), OnSale::From(5));
        assert_eq!(variant(untitled).on_sale(undescribed), OnSale::ReadEntry);
    }
}
