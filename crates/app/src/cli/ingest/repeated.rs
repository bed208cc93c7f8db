//! Ids that several rows of one file have with different contents: of two products with one SKU, the last replaces the
//! first.

use std::collections::{HashMap, HashSet};

use accrue_event::{Cell as _, RawItem, clean_id};
use accrue_ingest::Entry;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// Ids that are remembered of one file, at most.
const MAX_IDS: usize = 5_000_000;

/// What is told of ids that several rows have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Repeated {
    /// How many ids.
    ids: u64,
    /// The first of them.
    first: String,
}

/// The ids of the products of a file, with what their rows say.
#[derive(Debug, Default)]
pub(super) struct Rows {
    file: String,
    /// Hashes of ids and of contents. Looked up only.
    contents: HashMap<u64, u64>,
    told: HashSet<u64>,
    repeated: Repeated,
}

impl Rows {
    /// Adds the products of a batch.
    pub fn add(&mut self, file: &str, entries: &[Entry]) {
        if self.file != file {
            file.clone_into(&mut self.file);
            self.contents.clear();
            self.told.clear();
        }
        for entry in entries {
            let item = match entry {
                Entry::Item(item) => item,
                // Changes may name one product several times, unless they disagree on its stock: that may be of several places.
                Entry::Patch(patch) if !patch.item.stock.is_missing() => {
                    &RawItem { id: patch.item.id.clone(), stock: patch.item.stock.clone(), ..RawItem::default() }
                }
                _ => continue,
            };
            let text = item.id.text();
            let id = clean_id(&text);
            if id.is_empty() {
                continue;
            }
            let (key, content) = (xxh3_64(id.as_bytes()), xxh3_64(item.to_json().as_bytes()));
            match self.contents.get(&key) {
                Some(known) if *known != content && self.told.insert(key) => {
                    self.repeated.ids += 1;
                    if self.repeated.ids == 1 {
                        self.repeated.first = id.to_string();
                    }
                }
                None if self.contents.len() < MAX_IDS => drop(self.contents.insert(key, content)),
                _ => {}
            }
        }
    }

    /// What is to be told, if any id was repeated.
    pub fn repeated(&self) -> Option<Repeated> {
        (self.repeated.ids > 0).then(|| self.repeated.clone())
    }
}

impl Repeated {
    /// A sentence for a person to read.
    pub fn text(&self) -> String {
        let (what, stand) = if self.ids == 1 { ("id", "stands") } else { ("ids", "stand") };
        format!(
            "\n{} {what} of products {stand} in several rows of a file with different contents, first `{}`: the last row of each \
             counts\n",
            self.ids, self.first
        )
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{RawPatch, RawValue};

    use super::*;

    #[test]
    fn an_id_with_two_contents_is_told_once_and_files_are_apart() {
        let row = |id: &str, title: &str| {
            Entry::Item(RawItem { id: RawValue::text(id), title: RawValue::text(title), ..RawItem::default() })
        };
        let mut rows = Rows::default();
        rows.add("a", &[row("DUP", "S"), row("x", "X"), row("x", "X")]);
        assert_eq!(rows.repeated(), None);
        rows.add("b", &[row("x", "other")]);
        assert_eq!(rows.repeated(), None);
        rows.add("a", &[row("DUP", "S")]);
        rows.add("a", &[row("DUP", "M"), row("DUP", "L")]);
        assert_eq!(rows.repeated(), Some(Repeated { ids: 1, first: "DUP".into() }));
    }

    #[test]
    fn changes_of_one_product_are_told_where_they_disagree_on_its_stock() {
        let change = |stock: Option<i64>, title: &str| {
            let stock = stock.map_or(RawValue::Null, RawValue::Int);
            let item = RawItem { id: RawValue::text("A"), title: RawValue::text(title), stock, ..RawItem::default() };
            Entry::Patch(RawPatch::from(item))
        };
        let mut rows = Rows::default();
        rows.add("a", &[change(None, "S"), change(None, "M"), change(Some(1), "S"), change(Some(1), "M")]);
        assert_eq!(rows.repeated(), None);
        rows.add("a", &[change(Some(2), "M")]);
        assert_eq!(rows.repeated(), Some(Repeated { ids: 1, first: "A".into() }));
    }
}
