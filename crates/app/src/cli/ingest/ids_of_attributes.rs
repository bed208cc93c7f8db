//! Orders whose products are known by another number than the catalogue's ids, which the catalogue keeps as an attribute: products
//! by `id` with a `sku`, and orders by `sku` alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use accrue_engine::Engine;
use accrue_event::{Attribute, Mapping, RecordKind, usual_column};
use accrue_ingest::Sample;

use super::ids::names_item;

/// The share of the items of the first rows that an attribute has to have.
const NEARLY_ALL: f64 = 0.9;

/// What is to be said of a file of events whose items the catalogue has as an attribute, and not as ids.
pub(super) fn note(engine: &Engine, file: &str, mapping: &Mapping, sample: &Sample) -> Option<String> {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    let own: Vec<&str> = match mapping.fields.get("item") {
        Some(names) => names.iter().collect(),
        None => usual_column(RecordKind::Events, "item", &columns).into_iter().collect(),
    };
    let texts_of = |column: &str| -> BTreeSet<String> {
        sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
    };
    let (column, texts) = own.iter().map(|column| (*column, texts_of(column))).find(|(_, texts)| !texts.is_empty())?;
    let found = engine.with_shop(|shop| {
        let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        // Whether a name is that of a number of items, for each name once. Looked up only.
        let mut names: HashMap<&str, bool> = HashMap::new();
        for entry in shop.facts.entries().iter().filter(|entry| entry.is_in_catalogue()) {
            for (name, value) in &entry.item.attributes {
                if !*names.entry(name).or_insert_with(|| names_item(name)) {
                    continue;
                }
                let value = match value {
                    Attribute::Text(text) => text.to_string(),
                    Attribute::Number(number) => number.to_string(),
                    Attribute::Bool(_) | Attribute::List(_) => continue,
                };
                if let Some(text) = texts.get(value.trim()) {
                    found.entry(name.to_string()).or_default().insert(text);
                }
            }
        }
        found.into_iter().map(|(name, texts)| (name, texts.len())).max_by_key(|(_, n)| *n)
    });
    let (name, n) = found.filter(|(_, n)| *n as f64 >= NEARLY_ALL * texts.len() as f64)?;
    Some(format!(
        "{file}: the items are in `{column}`, and the catalogue has {n} of its {} first ids as the attribute `{name}`; write `id = {name:?}` \
         under [fields] into the mapping of the products, which --guess prints for their file, and ingest both files into a new folder",
        texts.len()
    ))
}
