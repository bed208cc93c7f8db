//! Variants that stand above the row with the title of their product, as in an export that was sorted by SKU.
//!
//! In: the records of a batch. Out: the same, in which a variant has what the row with the title says of all of them. Rows below
//! that row have it already (`fill_down`). Where the product is a record of its own, its variants have it from there.

use std::collections::{HashMap, HashSet};

use accrue_event::{Cell as _, RawItem, RawValue, clean_id};
use accrue_ingest::Entry;

/// Has variants without a title take what they share from the row of their product that has one, if it stands below them in the
/// batch and no other row there has another title.
pub(super) fn complete(entries: &mut [Entry]) {
    let is_open =
        |entry: &Entry| matches!(entry, Entry::Item(item) if item.title.is_missing() && !item.parent.is_missing());
    if !entries.iter().any(is_open) {
        return;
    }
    // The row with the title of each product; `None` where titles differ. Looked up only, as the ids are.
    let mut titled: HashMap<String, Option<usize>> = HashMap::new();
    let mut ids: HashSet<String> = HashSet::new();
    for (place, entry) in entries.iter().enumerate() {
        let Entry::Item(item) = entry else { continue };
        ids.insert(key(&item.id));
        if item.title.is_missing() || item.parent.is_missing() {
            continue;
        }
        let known = titled.entry(key(&item.parent)).or_insert(Some(place));
        let is_same =
            known.is_some_and(|known| matches!(&entries[known], Entry::Item(other) if other.title == item.title));
        if !is_same {
            *known = None;
        }
    }
    for place in 0..entries.len() {
        let (above, below) = entries.split_at_mut(place + 1);
        let Some(Entry::Item(item)) = above.last_mut().filter(|entry| is_open(entry)) else { continue };
        let parent = key(&item.parent);
        let row = titled.get(&parent).copied().flatten().filter(|row| *row > place && !ids.contains(&parent));
        if let Some(Entry::Item(of_product)) = row.and_then(|row| below.get(row - place - 1)) {
            share(of_product, item);
        }
    }
}

/// Gives an item what it lacks and the variants of a product share.
fn share(from: &RawItem, item: &mut RawItem) {
    let give = |of_product: &RawValue, own: &mut RawValue| {
        if own.is_missing() {
            own.clone_from(of_product);
        }
    };
    give(&from.title, &mut item.title);
    give(&from.description, &mut item.description);
    give(&from.brand, &mut item.brand);
    give(&from.categories, &mut item.categories);
    give(&from.tags, &mut item.tags);
}

/// An id as the check will have it.
fn key(id: &RawValue) -> String {
    clean_id(&id.text()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The titles of items with these ids, parents and titles.
    fn titles(rows: &[[&str; 3]]) -> Vec<String> {
        let value = |text: &str| if text.is_empty() { RawValue::Null } else { RawValue::text(text) };
        let item = |[id, parent, title]: &[&str; 3]| {
            Entry::Item(RawItem { id: value(id), parent: value(parent), title: value(title), ..RawItem::default() })
        };
        let mut entries: Vec<Entry> = rows.iter().map(item).collect();
        complete(&mut entries);
        entries
            .iter()
            .map(|entry| if let Entry::Item(item) = entry { item.title.text().into_owned() } else { String::new() })
            .collect()
    }

    #[test]
    fn a_variant_above_the_row_with_the_title_has_it() {
        assert_eq!(titles(&[["M", "p", ""], ["S", "p", "Shirt"], ["L", "p", "Shirt"]]), ["Shirt"; 3]);
        assert_eq!(titles(&[["M", "p", ""], ["S", "p", "Shirt S"], ["L", "p", "Shirt L"]])[0], "", "whose is it?");
        assert_eq!(
            titles(&[["M", "p", ""], ["p", "", "Shirt"], ["S", "p", "Shirt S"]])[0],
            "",
            "it has that of its product"
        );
        assert_eq!(titles(&[["M", "p", ""], ["S", "q", "Shirt"]])[0], "");
    }
}
