//! How much a file of products that was recognised by its columns says of each product.
//!
//! An export of stocks has ids, stocks, places and perhaps a title. Taken as whole products it would take price, pictures
//! and categories from the catalogue, so it changes only what it is about. Of any other file that describes nothing beside
//! a title, a price or a stock, products keep what the file has no column for.

use std::collections::{HashMap, HashSet};

use accrue_event::{
    Cell as _, Mapping, RawItem, RawPatch, RawValue, RecordKind, StatedStock, clean_id, folded, stated_stock,
    usual_column,
};
use accrue_ingest::{Batch, Entry, Sample};

use super::contents::describes_products;
use super::{Arguments, kind_of, mapping_argument};

/// How much a file says of each of its products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that is known.
    #[default]
    Whole,
    /// A title, a price, a stock: products that the catalogue has keep the rest.
    Part,
    /// The stock of known products, in a row for each place.
    Stocks,
}

/// Names of the column of a place, in lower case and without separators.
const PLACES: &[&str] = &[
    "location",
    "locationname",
    "outlet",
    "warehouse",
    "warehousename",
    "standort",
    "lagerort",
    "lager",
    "filiale",
    "locationid",
    "warehouseid",
    "warehousecode",
    "sourcecode",
    "dépôt",
    "magazzino",
    "entrepôt",
    "emplacement",
    "almacén",
    "bodega",
    "ubicación",
    "magazijn",
    "sklad",
    "склад",
    "仓库",
    "倉庫",
];

/// Names of the column of a stock that are not usual ones, as they begin.
const STOCKS: &[&str] = &["onhand", "available", "qtyonhand", "quantityonhand", "stockonhand"];

/// Products of which the places are added up, at most.
const MAX_IDS: usize = 5_000_000;

impl Extent {
    /// How much a file of products with these columns says of each, where the command line says whether it is one of changes
    /// or the whole catalogue.
    pub fn of(sample: &Sample, arguments: &Arguments) -> Self {
        match Self::of_columns(sample) {
            _ if arguments.sync => Self::Whole,
            // Changes keep the rest in any case.
            Self::Part if arguments.patch => Self::Whole,
            extent => extent,
        }
    }

    /// Whether a file of changes has the stocks of places, which are added up: otherwise the last place would win.
    pub fn is_of_places(sample: &Sample, arguments: &Arguments) -> bool {
        let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
        let has_id = || usual_column(RecordKind::Items, "id", &columns).is_some();
        let is_repeated = || {
            let id = usual_column(RecordKind::Items, "id", &columns);
            let mut ids = HashSet::new();
            id.is_some_and(|id| sample.texts(id).any(|text| !text.trim().is_empty() && !ids.insert(text.trim())))
        };
        arguments.patch && !arguments.users && has_id() && Self::of_columns(sample) == Self::Stocks && is_repeated()
    }

    fn of_columns(sample: &Sample) -> Self {
        let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
        let has = |field: &str| usual_column(RecordKind::Items, field, &columns).is_some();
        if ["description", "image", "brand", "categories", "tags", "published_at"].into_iter().any(has) {
            return Self::Whole;
        }
        let is_place = |name: &&str| PLACES.contains(&&*folded(name));
        let is_stock = |name: &&str| STOCKS.iter().any(|start| folded(name).starts_with(start));
        let has_stock = has("stock") || columns.iter().any(is_stock);
        if columns.iter().any(is_place) && has_stock && !has("price") { Self::Stocks } else { Self::Part }
    }

    /// What is said of a file of products.
    pub fn told(self) -> &'static str {
        match self {
            Self::Whole => "recognised products, as with --items: there is no column for a shopper",
            Self::Part => {
                "recognised products: there is no column for a shopper. It says little of each, so products that the catalogue \
                 has keep what the file has no column for; --items replaces them"
            }
            Self::Stocks => {
                "recognised stocks of known products, as with --patch: only the stock changes, and the places of one product are \
                 added up; --items takes the rows as whole products"
            }
        }
    }
}

/// Whether `--map` names the id of products for a file of products; then the mapping becomes one of products.
pub(super) fn is_map_of_products(arguments: &Arguments, sample: &Sample, mapping: &mut Mapping) -> bool {
    let Some(map) = arguments.map.as_deref().filter(|_| kind_of(arguments).is_none()) else { return false };
    let names = |field: &str| map.split(',').filter_map(|pair| pair.split('=').next()).any(|name| name.trim() == field);
    let is_of_events = ["user", "session", "item", "type", "at"].into_iter().any(names);
    let of_products = || mapping_argument(map, RecordKind::Items).ok();
    let is_meant = names("id") && !is_of_events && describes_products(sample);
    match is_meant.then(of_products).flatten() {
        Some(of_products) => {
            *mapping = of_products;
            true
        }
        None => false,
    }
}

/// Rows of stocks as changes of products. Each row has the sum of the places so far, so the last one has the whole stock.
#[derive(Debug, Default)]
pub(super) struct Stocks {
    sums: HashMap<Box<str>, Sum>,
}

/// The places of one product so far.
#[derive(Debug, Default)]
struct Sum {
    pieces: f64,
    /// What a place has that does not tell how many: `in stock`. No number of other places says more than that.
    uncounted: Option<RawValue>,
}

impl Stocks {
    /// The batch of a file of this extent.
    pub fn in_place_of_products(&mut self, extent: Extent, batch: Batch) -> Batch {
        match extent {
            Extent::Stocks => Batch { entries: self.changes(batch.entries), ..batch },
            Extent::Whole | Extent::Part => batch,
        }
    }

    /// The entries with changes of the stock in place of products.
    fn changes(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        entries.into_iter().map(|entry| self.change(entry)).collect()
    }

    fn change(&mut self, entry: Entry) -> Entry {
        let item = match entry {
            Entry::Item(item) => item,
            Entry::Patch(patch) if patch.cleared.is_empty() => patch.item,
            other => return other,
        };
        let stock = self.stock(&item);
        Entry::Patch(RawPatch::from(RawItem { id: item.id, stock, ..RawItem::default() }))
    }

    /// The stock of the product after a row. What is no stock is left as it is, and the check refuses it.
    fn stock(&mut self, item: &RawItem) -> RawValue {
        let stated = stated_stock(item);
        let text = item.id.text();
        let id = clean_id(&text);
        if let StatedStock::Unclear(value) = stated {
            return value;
        }
        if id.is_empty() {
            return RawValue::Null;
        }
        if self.sums.len() >= MAX_IDS && !self.sums.contains_key(&*id) {
            return RawValue::text("the places of more than 5,000,000 products are not added up");
        }
        let sum = self.sums.entry(Box::from(&*id)).or_default();
        match stated {
            // A place of which nothing is said changes nothing.
            StatedStock::Missing | StatedStock::Unclear(_) => return RawValue::Null,
            StatedStock::Pieces(pieces) => sum.pieces += pieces.max(0.0),
            StatedStock::Some(value) => sum.uncounted = Some(value),
        }
        sum.uncounted.clone().unwrap_or(RawValue::Float(sum.pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(columns: &str) -> Extent {
        Extent::of_columns(&Sample {
            columns: columns.split(',').map(str::to_owned).collect(),
            is_table: true,
            ..Sample::default()
        })
    }

    #[test]
    fn stocks_and_short_lists_are_told_from_whole_products() {
        assert_eq!(extent("Handle,Title,SKU,Location,Available (not editable),On hand (current)"), Extent::Stocks);
        assert_eq!(extent("Artikelnummer,Bezeichnung,Lagerort,Bestand"), Extent::Stocks);
        assert_eq!(extent("id,title,price"), Extent::Part);
        assert_eq!(extent("sku,name,price,stock,location"), Extent::Part);
        assert_eq!(extent("id,title,price,image,location,stock"), Extent::Whole);
    }

    #[test]
    fn the_stock_is_the_sum_of_the_places() {
        let row = |id: &str, stock: i64| {
            Entry::Item(RawItem { id: RawValue::text(id), stock: RawValue::Int(stock), ..RawItem::default() })
        };
        let changes = Stocks::default().changes(vec![row("a", 2), row("b", 0), row("a", 3)]);
        let stocks: Vec<RawValue> = changes.into_iter().map(stock_of).collect();
        assert_eq!(stocks, [2.0, 0.0, 5.0].map(RawValue::Float));
    }

    fn stock_of(entry: Entry) -> RawValue {
        match entry {
            Entry::Patch(patch) => patch.item.stock,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stock_that_is_not_understood_is_never_zero() {
        let row =
            |id: RawValue, stock: &str| Entry::Item(RawItem { id, stock: RawValue::text(stock), ..RawItem::default() });
        let of = |rows: Vec<Entry>| Stocks::default().changes(rows).into_iter().map(stock_of).collect::<Vec<_>>();
        let a = || RawValue::text("a");
        assert_eq!(of(vec![row(a(), "perhaps")]), [RawValue::text("perhaps")], "the check refuses it");
        assert_eq!(
            of(vec![row(a(), "in stock"), row(a(), "0")]),
            [RawValue::text("in stock"), RawValue::text("in stock")]
        );
        assert_eq!(of(vec![row(a(), "5"), row(a(), "")]), [RawValue::Float(5.0), RawValue::Null]);
        assert_eq!(of(vec![row(a(), "5"), row(a(), "not stocked")]), [5.0, 5.0].map(RawValue::Float));
        let numbers = of(vec![row(RawValue::Float(1.5), "5"), row(RawValue::Float(2.5), "3")]);
        assert_eq!(numbers, [5.0, 3.0].map(RawValue::Float), "each id has a sum of its own");
        let available = |pieces| RawItem { id: a(), available: RawValue::Int(pieces), ..RawItem::default() };
        assert_eq!(of(vec![Entry::Item(available(5)), Entry::Item(available(3))]), [5.0, 8.0].map(RawValue::Float));
    }
}
