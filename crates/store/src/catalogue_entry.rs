//! An item as the catalogue has it, and its place in memory.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use accrue_event::{Item, ItemId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An item of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// Its description; without attributes for an item that only events have named.
    pub item: Item,
    /// Whether the shop has described it.
    pub described: bool,
    /// Whether it is no longer sold.
    pub retired: bool,
}

impl CatalogueEntry {
    /// The entry of an item that only events have named.
    fn named(id: ItemId) -> Self {
        Self { item: Item::bare(id), described: false, retired: false }
    }

    /// Whether the catalogue has it: it is described and not retired.
    pub fn is_in_catalogue(&self) -> bool {
        self.described && !self.retired
    }

    /// Whether a page may show it.
    pub fn can_be_shown(&self) -> bool {
        !self.retired && self.item.can_be_shown()
    }
}

/// A place in the catalogue. An entry has room for a whole description; an item that only events have named takes no
/// more than its id, until its entry is read as one. There may be a million of them.
#[derive(Clone, Debug)]
pub struct CataloguePlace(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Only events have named the item. The entry is made when it is read.
    Named { id: ItemId, entry: OnceLock<Box<CatalogueEntry>> },
    /// A record is about the item itself.
    Known(Arc<CatalogueEntry>),
}

impl CataloguePlace {
    /// The place of an item that only events have named.
    pub fn named(id: ItemId) -> Self {
        Self(Form::Named { id, entry: OnceLock::new() })
    }

    /// The item's id.
    pub fn id(&self) -> &ItemId {
        match &self.0 {
            Form::Named { id, .. } => id,
            Form::Known(entry) => &entry.item.id,
        }
    }

    /// The entry of an item that a record is about; `None` for one that only events have named.
    pub fn known(&self) -> Option<&CatalogueEntry> {
        match &self.0 {
            Form::Named { .. } => None,
            Form::Known(entry) => Some(entry),
        }
    }

    /// The entry, which is not kept if it was not in memory.
    pub fn read(&self) -> Cow<'_, CatalogueEntry> {
        match &self.0 {
            Form::Named { id, entry } => entry
                .get()
                .map_or_else(|| Cow::Owned(CatalogueEntry::named(id.clone())), |entry| Cow::Borrowed(&**entry)),
            Form::Known(entry) => Cow::Borrowed(entry),
        }
    }

    /// The entry for writing. From now on a record is about the item.
    pub(crate) fn make_mut(&mut self) -> &mut CatalogueEntry {
        if let Form::Named { id, .. } = &self.0 {
            self.0 = Form::Known(Arc::new(CatalogueEntry::named(id.clone())));
        }
        match &mut self.0 {
            Form::Known(entry) => Arc::make_mut(entry),
            Form::Named { .. } => unreachable!("it was replaced above"),
        }
    }

    /// [`CatalogueEntry::is_in_catalogue`], without reading the entry of an item that only events have named.
    pub fn is_in_catalogue(&self) -> bool {
        self.known().is_some_and(CatalogueEntry::is_in_catalogue)
    }

    /// Whether the item is no longer sold.
    pub fn is_retired(&self) -> bool {
        self.known().is_some_and(|entry| entry.retired)
    }

    /// Whether the shop has described it.
    pub fn is_described(&self) -> bool {
        self.known().is_some_and(|entry| entry.described)
    }
}

impl From<CatalogueEntry> for CataloguePlace {
    fn from(entry: CatalogueEntry) -> Self {
        match entry == CatalogueEntry::named(entry.item.id.clone()) {
            true => Self::named(entry.item.id),
            false => Self(Form::Known(Arc::new(entry))),
        }
    }
}

/// Reads the entry; that of an item that only events have named is made at the first time and stays in memory.
impl Deref for CataloguePlace {
    type Target = CatalogueEntry;

    fn deref(&self) -> &CatalogueEntry {
        match &self.0 {
            Form::Named { id, entry } => entry.get_or_init(|| Box::new(CatalogueEntry::named(id.clone()))),
            Form::Known(entry) => entry,
        }
    }
}

impl PartialEq for CataloguePlace {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Named { id, .. }, Form::Named { id: other, .. }) => id == other,
            (Form::Known(entry), Form::Known(other)) => Arc::ptr_eq(entry, other) || entry == other,
            _ => self.read() == other.read(),
        }
    }
}

/// As the entry.
impl Serialize for CataloguePlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.read().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CataloguePlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        CatalogueEntry::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_only_events_have_named_takes_little_and_reads_and_is_stored_like_any_entry() {
        assert!(size_of::<CataloguePlace>() <= 40 && size_of::<CatalogueEntry>() > 240);
        let (place, entry) = (CataloguePlace::named("mug".into()), CatalogueEntry::named("mug".into()));
        let stored = postcard::to_stdvec(&entry).unwrap();
        assert_eq!(postcard::to_stdvec(&place).unwrap(), stored);
        assert!(matches!(place.0, Form::Named { ref entry, .. } if entry.get().is_none()), "storing keeps nothing");
        assert!(!place.is_in_catalogue() && !place.is_retired() && place.can_be_shown() && *place == entry);
        let back: CataloguePlace = postcard::from_bytes(&stored).unwrap();
        assert!(matches!(back.0, Form::Named { .. }) && back == place);
        let mut changed = back.clone();
        changed.make_mut().retired = true;
        assert!(changed.is_retired() && changed != back && changed == CataloguePlace::from((*changed).clone()));
        changed.make_mut().retired = false;
        assert!(changed == back && matches!(changed.0, Form::Known(_)), "equal whatever the form");
    }
}
