//! Fields of an item that were sent under the names of other systems: `name` for `title`, `image_link` for `image`.

use std::borrow::Cow;

use super::repairs::Repairs;
use super::verdict::Repair;
use crate::RawValue;
use crate::raw::RawItem;

/// Names that mean the field and nothing else, in lower case and without separators, the more certain ones first. A mapping
/// knows more of them; here no person sees what was taken for what.
const NAMES: &[(&str, &[&str])] = &[
    ("title", &["name", "productname", "producttitle", "itemname", "itemtitle"]),
    ("description", &["bodyhtml", "descriptionhtml"]),
    ("brand", &["vendor", "manufacturer", "brandname"]),
    ("categories", &["category", "producttype", "productcategory"]),
    ("image", &["imagelink", "imageurl", "imagesrc", "images"]),
    ("parent", &["itemgroupid", "parentid"]),
];

/// The fields that are found under other names, each with one of these.
pub(super) fn other_names() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    NAMES.iter().flat_map(|(field, names)| names.iter().map(|name| (*field, *name)))
}

/// The item with what it lacks under our names taken from its attributes.
pub(super) fn named<'r>(raw: &'r RawItem, repairs: &mut Repairs) -> Cow<'r, RawItem> {
    let mut named = Cow::Borrowed(raw);
    for (field, names) in NAMES {
        let is_missing = named.field(field).is_some_and(RawValue::is_missing);
        if !is_missing || named.attributes.is_empty() {
            continue;
        }
        let place = |wanted: &&str| {
            named.attributes.iter().rposition(|(name, value)| {
                name.len() <= 32
                    && !value.is_missing()
                    && name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).eq(wanted.chars())
            })
        };
        let Some(place) = names.iter().find_map(place) else { continue };
        let item = named.to_mut();
        let (_, value) = item.attributes.remove(place);
        // Several shop systems write 0 for "no parent".
        let is_none = *field == "parent" && matches!(&value, RawValue::Int(0));
        if let Some(missing) = item.field_mut(field).filter(|_| !is_none) {
            *missing = value;
            repairs.note(Repair::FieldAlias);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_item_lacks_is_found_under_other_names() {
        let item = |json: &str| -> RawItem { serde_json::from_str(json).unwrap() };
        let mut repairs = Repairs::default();
        let raw = item(r#"{"id":"a","name":"Mug","imageLink":"a.jpg","parent_id":0,"colour":"red"}"#);
        let expected = item(r#"{"id":"a","title":"Mug","image":"a.jpg","colour":"red"}"#);
        assert_eq!(*named(&raw, &mut repairs), expected);
        assert_eq!(repairs.as_slice(), [Repair::FieldAlias]);
        let own = item(r#"{"id":"a","title":"Mug","name":"internal"}"#);
        assert_eq!(*named(&own, &mut repairs), own);
    }
}
