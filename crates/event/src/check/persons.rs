//! Attributes of items that are of a person are left out: an export of orders or of reviews that was read as products
//! would otherwise tell visitors who bought them.

use std::borrow::Cow;

use super::repairs::Repairs;
use super::verdict::Repair;
use crate::private::places_of_persons;
use crate::raw::RawItem;

/// The item without what is of a person.
pub(super) fn without_persons<'r>(raw: Cow<'r, RawItem>, repairs: &mut Repairs) -> Cow<'r, RawItem> {
    let places = places_of_persons(&raw.attributes);
    if places.is_empty() {
        return raw;
    }
    repairs.note(Repair::PersonDropped);
    let mut item = raw.into_owned();
    places.into_iter().rev().for_each(|place| drop(item.attributes.remove(place)));
    Cow::Owned(item)
}
