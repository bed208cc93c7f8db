//! Fields of items and events that were sent under the names of other systems: `name` for `title`, `stock_quantity` for
//! `stock`, `qty` for the quantity of a purchase.

use std::borrow::Cow;

use super::nested;
use super::repairs::Repairs;
use super::stock_of_places::with_stock;
use super::time::read_time;
use super::verdict::Repair;
use crate::raw::{RawEvent, RawItem};
use crate::{Item, RawValue};

/// Names that mean the field and nothing else, in lower case and without separators, the more certain ones first. A mapping
/// knows more of them; here no person sees what was taken for what. Google's `availability_date` is none of them: an item
/// for preorder can be bought before that date.
const NAMES: &[(&str, &[&str])] = &[
    ("title", &["title", "name", "productname", "producttitle", "itemname", "itemtitle", "displayname"]),
    ("description", &["description", "bodyhtml", "descriptionhtml"]),
    ("brand", &["brand", "vendor", "manufacturer", "brandname"]),
    ("categories", &["categories", "category", "producttype", "productcategory"]),
    ("tags", &["tags"]),
    ("currency", &["currency"]),
    ("image", &["image", "imagelink", "imageurl", "imagesrc", "images"]),
    ("parent", &["parent", "itemgroupid", "parentid"]),
    (
        "published_at",
        &[
            "publishedat",
            "publishdate",
            "publicationdate",
            "availablefrom",
            "availableat",
            "availablesince",
            "dateavailable",
            "releasedate",
            "veröffentlichtab",
            "veröffentlichungsdatum",
            "verfügbarab",
            "onlineab",
        ],
    ),
    (
        "price",
        &[
            "price",
            "variantprice",
            "currentprice",
            "finalprice",
            "sellingprice",
            "unitprice",
            "productprice",
            "itemprice",
            "regularprice",
            "retailprice",
        ],
    ),
    (
        "stock",
        &[
            "stock",
            "stockquantity",
            "stocklevel",
            "stockqty",
            "inventoryquantity",
            "variantinventoryqty",
            "quantitytosellonfacebook",
            "inventory",
            "onhand",
            "quantity",
            "qty",
        ],
    ),
];

/// As [`NAMES`], of events. A purchase of three pieces under another name would count as one piece, and nothing would
/// show it.
const NAMES_OF_EVENTS: &[(&str, &[&str])] = &[
    ("quantity", &["qty", "itemquantity", "lineitemquantity", "qtyordered", "menge", "anzahl"]),
    ("price", &["unitprice", "itemprice", "productprice", "lineitemprice", "preis", "einzelpreis"]),
];

/// The fields of items that are found under other names, each with one of these.
pub(super) fn other_names() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    NAMES.iter().flat_map(|(field, names)| names.iter().map(|name| (*field, *name)))
}

/// As [`other_names`], of events.
pub(super) fn other_names_of_events() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    NAMES_OF_EVENTS.iter().flat_map(|(field, names)| names.iter().map(|name| (*field, *name)))
}

/// Whether a value under another name can be that of the field. A number has one form; objects and lists, and texts such
/// as `"6 per pack"` under the name `quantity`, say something else and stay attributes.
fn can_be(field: &str, name: &str, value: &RawValue) -> bool {
    match (field, value) {
        ("price" | "stock" | "quantity", RawValue::Text(text)) => {
            !matches!(name, "quantity" | "qty") || text.trim().parse::<f64>().is_ok()
        }
        ("price" | "stock" | "quantity", value) => matches!(value, RawValue::Int(_) | RawValue::Float(_)),
        ("published_at", _) if name == "publishedat" => true,
        // A year of release, or a word for one, stays an attribute.
        ("published_at", RawValue::Text(_)) => read_time(value).is_some(),
        ("published_at", RawValue::Int(number)) => *number > 100_000_000 && read_time(value).is_some(),
        ("published_at", _) => false,
        _ => true,
    }
}

/// The place of the value that a field has under one of these names.
fn place_of(field: &str, names: &[&str], rest: &[(Box<str>, RawValue)]) -> Option<usize> {
    let place = |wanted: &&str| {
        rest.iter().rposition(|(name, value)| {
            name.len() <= 32
                && !value.is_missing()
                && name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).eq(wanted.chars())
                && can_be(field, wanted, value)
        })
    };
    names.iter().find_map(place)
}

/// The event with the quantity and the price that it has under other names.
pub(super) fn named_event<'r>(raw: &'r RawEvent, repairs: &mut Repairs) -> Cow<'r, RawEvent> {
    let mut named = Cow::Borrowed(raw);
    for (field, names) in NAMES_OF_EVENTS {
        if named.properties.is_empty() || !named.field(field).is_some_and(RawValue::is_missing) {
            continue;
        }
        let Some(place) = place_of(field, names, &named.properties) else { continue };
        let event = named.to_mut();
        let (_, value) = event.properties.remove(place);
        if let Some(missing) = event.field_mut(field) {
            *missing = value;
            repairs.note(Repair::FieldAlias);
        }
    }
    if let Some((price, _)) = nested::price(&named.price) {
        named.to_mut().price = price;
        repairs.note(Repair::FieldAlias);
    }
    named
}

/// The item with what it lacks under our names taken from its attributes. Of a change, `before` is the item: a name that
/// is an attribute of an item that has the field as well (`regular_price` beside `price`) stays that attribute.
pub(super) fn named<'r>(raw: &'r RawItem, before: Option<&Item>, repairs: &mut Repairs) -> Cow<'r, RawItem> {
    let mut named = Cow::Borrowed(raw);
    for (field, names) in NAMES {
        let is_missing = named.field(field).is_some_and(RawValue::is_missing);
        if !is_missing || named.attributes.is_empty() {
            continue;
        }
        let Some(place) = place_of(field, names, &named.attributes) else { continue };
        let is_attribute = |before: &Item| before.attributes.contains_key(&named.attributes[place].0);
        if before.is_some_and(|before| is_attribute(before) && has(before, field)) {
            continue;
        }
        let item = named.to_mut();
        let (_, value) = item.attributes.remove(place);
        // Several shop systems write 0 for "no parent".
        let is_none = *field == "parent" && matches!(&value, RawValue::Int(0));
        if let Some(missing) = item.field_mut(field).filter(|_| !is_none) {
            *missing = value;
            repairs.note(Repair::FieldAlias);
        }
    }
    with_stock(&mut named, before, repairs);
    with_title_by_language(&mut named, before, repairs);
    with_offers(&mut named, repairs);
    if let Some((price, currency)) = nested::price(&named.price) {
        let item = named.to_mut();
        item.price = price;
        if item.currency.is_missing() {
            item.currency = currency;
        }
        repairs.note(Repair::FieldAlias);
    }
    named
}

/// The languages of shops, as names of fields end with them. Not all codes: `title_id` is no title in Indonesian.
const LANGUAGES: &str = "ar bg ca cs da de el en es et fa fi fr he hi hr hu it ja ko lt lv ms nb nl no pl pt ro ru sk sl sv th \
    tr uk vi zh";

/// Takes the title of one that is sent in a field for each language: `title_de`, `name:en`.
fn with_title_by_language(named: &mut Cow<'_, RawItem>, before: Option<&Item>, repairs: &mut Repairs) {
    if !named.title.is_missing() || before.is_some_and(|before| before.title.is_some()) {
        return;
    }
    let language = |name: &str| {
        let (field, language) = name.rsplit_once(['_', '.', ':', '-']).or_else(|| name.rsplit_once('@'))?;
        let is_title = ["title", "name", "product_title", "product_name", "productname"];
        let is_known = LANGUAGES.split(' ').any(|known| known.eq_ignore_ascii_case(language));
        (is_known && is_title.iter().any(|title| title.eq_ignore_ascii_case(field))).then(|| language.to_owned())
    };
    let said: Vec<(usize, String)> = named
        .attributes
        .iter()
        .enumerate()
        .filter(|(_, (name, value))| name.len() <= 32 && matches!(value, RawValue::Text(_)) && !value.is_missing())
        .filter_map(|(place, (name, _))| Some((place, language(name)?)))
        .collect();
    let locale = match &named.locale {
        RawValue::Text(locale) => Some(locale.to_string()),
        _ => None,
    };
    let chosen = nested::choose(said.iter().map(|(_, language)| &**language), locale.as_deref());
    if let Some(chosen) = chosen {
        let item = named.to_mut();
        item.title = item.attributes.remove(said[chosen].0).1;
        repairs.note(Repair::FieldAlias);
        repairs.note(Repair::LanguageChosen);
    }
}

/// Takes price, currency and availability from the offers of a product in the form of schema.org.
fn with_offers(named: &mut Cow<'_, RawItem>, repairs: &mut Repairs) {
    let found =
        named.attributes.iter().rposition(|(name, value)| name.eq_ignore_ascii_case("offers") && is_nested(value));
    let Some((place, offer)) = found.and_then(|place| Some((place, nested::offer(&named.attributes[place].1)?))) else {
        return;
    };
    let item = named.to_mut();
    item.attributes.remove(place);
    let fields = [
        (&mut item.price, offer.price),
        (&mut item.currency, offer.currency),
        (&mut item.available, offer.availability),
    ];
    for (field, value) in fields.into_iter().filter(|(field, _)| field.is_missing()) {
        *field = value;
    }
    repairs.note(Repair::FieldAlias);
}

fn is_nested(value: &RawValue) -> bool {
    matches!(value, RawValue::Other(_) | RawValue::List(_))
}

/// Whether the catalogue has a field of an item that [`NAMES`] names.
fn has(item: &Item, field: &str) -> bool {
    match field {
        "title" => item.title.is_some(),
        "description" => item.description.is_some(),
        "brand" => item.brand.is_some(),
        "categories" => !item.categories.is_empty(),
        "image" => item.image.is_some(),
        "parent" => item.parent.is_some(),
        "tags" => !item.tags.is_empty(),
        "currency" => item.currency.is_some(),
        "published_at" => item.published_at.is_some(),
        "price" => item.price.is_some(),
        "stock" => item.stock.is_some(),
        _ => false,
    }
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
        assert_eq!(*named(&raw, None, &mut repairs), expected);
        assert_eq!(repairs.as_slice(), [Repair::FieldAlias]);
        let own = item(r#"{"id":"a","title":"Mug","name":"internal"}"#);
        assert_eq!(*named(&own, None, &mut repairs), own);
    }

    #[test]
    fn stock_and_price_are_found_under_the_names_of_shop_systems() {
        let item = |json: &str| -> RawItem { serde_json::from_str(json).unwrap() };
        let of = |json: &str| named(&item(json), None, &mut Repairs::default()).into_owned();
        for name in [
            "quantity",
            "qty",
            "stock_quantity",
            "stockLevel",
            "inventory_quantity",
            "inventory",
            "Variant Inventory Qty",
        ] {
            assert_eq!(of(&format!(r#"{{"id":"a","{name}":0}}"#)).stock, RawValue::Int(0), "{name}");
        }
        assert_eq!(of(r#"{"id":"a","regular_price":"9,90 €"}"#).price, RawValue::text("9,90 €"));
        for other in [r#""quantity":"6 per pack""#, r#""inventory":{"a":1}"#, r#""stock":3,"quantity":6"#] {
            let sent = item(&format!(r#"{{"id":"a",{other}}}"#));
            assert_eq!(*named(&sent, None, &mut Repairs::default()), sent, "{other}");
        }
    }

    #[test]
    fn a_change_of_an_attribute_is_none_of_the_field_that_the_item_has() {
        let change: RawItem = serde_json::from_str(r#"{"id":"a","regular_price":20}"#).unwrap();
        let before = Item { price: crate::Price::new(15.0), ..Item::bare("a".into()) };
        assert_eq!(named(&change, Some(&before), &mut Repairs::default()).price, RawValue::Int(20));
        let attributes = [("regular_price".into(), crate::Attribute::Number(25.0))].into_iter().collect();
        let before = Item { attributes, ..before };
        assert_eq!(*named(&change, Some(&before), &mut Repairs::default()), change);
    }

    #[test]
    fn an_event_has_its_quantity_and_price_under_other_names() {
        let event = |json: &str| -> RawEvent { serde_json::from_str(json).unwrap() };
        let mut repairs = Repairs::default();
        let raw = event(r#"{"type":"purchase","qty":3,"unit_price":9,"colour":"red"}"#);
        let expected = event(r#"{"type":"purchase","quantity":3,"price":9,"colour":"red"}"#);
        assert_eq!(*named_event(&raw, &mut repairs), expected);
        assert_eq!(repairs.as_slice(), [Repair::FieldAlias]);
        let own = event(r#"{"type":"purchase","quantity":1,"qty":3,"price":9,"unit_price":8}"#);
        assert_eq!(*named_event(&own, &mut Repairs::default()), own);
    }

    #[test]
    fn a_price_may_be_an_object() {
        let of = |price: &str| {
            let sent: RawItem = serde_json::from_str(&format!(r#"{{"id":"a","price":{price}}}"#)).unwrap();
            let named = named(&sent, None, &mut Repairs::default()).into_owned();
            (named.price, named.currency)
        };
        let (amount, euro) = (RawValue::Float(9.5), RawValue::text("EUR"));
        for price in [
            r#"{"value":9.5,"currency":"EUR"}"#,
            r#"{"amount":9.5,"currencyCode":"EUR"}"#,
            r#"[{"net":8,"gross":9.5,"currency":"EUR"}]"#,
            r#"{"EUR":9.5}"#,
            r#"{"type":"centPrecision","currencyCode":"EUR","centAmount":950,"fractionDigits":2}"#,
            r#"{"minVariantPrice":{"amount":9.5,"currencyCode":"EUR"}}"#,
        ] {
            assert_eq!(of(price), (amount.clone(), euro.clone()), "{price}");
        }
        assert_eq!(of("9.5"), (amount, RawValue::Null));
        for other in [r#"{"on_request":true}"#, "[]", r#"{"abc":1}"#] {
            assert!(!matches!(of(other).0, RawValue::Int(_) | RawValue::Float(_)), "{other}");
        }
        let event: RawEvent = serde_json::from_str(r#"{"type":"cart","price":{"value":3,"currency":"EUR"}}"#).unwrap();
        assert_eq!(named_event(&event, &mut Repairs::default()).price, RawValue::Int(3));
    }

    #[test]
    fn offers_of_schema_org_have_price_and_availability() {
        let of = |offers: &str| {
            let sent: RawItem = serde_json::from_str(&format!(r#"{{"id":"a","offers":{offers}}}"#)).unwrap();
            let named = named(&sent, None, &mut Repairs::default()).into_owned();
            (named.price, named.currency, named.available, named.attributes.len())
        };
        let text = |text: &str| RawValue::text(text);
        let (sold_out, in_stock) = ("https://schema.org/OutOfStock", "https://schema.org/InStock");
        assert_eq!(
            of(&format!(r#"{{"@type":"Offer","price":"9.90","priceCurrency":"EUR","availability":"{sold_out}"}}"#)),
            (text("9.90"), text("EUR"), text(sold_out), 0)
        );
        let several = format!(
            r#"[{{"price":12,"availability":"{sold_out}"}},{{"price":9,"availability":"{in_stock}"}},{{"price":11}}]"#
        );
        assert_eq!(of(&several), (RawValue::Int(9), RawValue::Null, text(in_stock), 0));
        assert_eq!(of(r#"{"@type":"AggregateOffer","lowPrice":5}"#).0, RawValue::Int(5));
        assert_eq!(of(r#""three of them""#).3, 1);
        assert_eq!(of(r#"{"x":1}"#).3, 1);
    }
}
