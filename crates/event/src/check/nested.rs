//! Texts inside nested values: by language, as objects with a name, as one of several addresses.
//!
//! In: the JSON text of a nested value, as [`RawValue::Other`] keeps it, or a list of them. Out: the value that a person
//! would read in its place. What cannot be found is left to the rules, which note that a field was dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::availability;
use super::number::{Number, number_of_price};
use super::repairs::Repairs;
use super::verdict::Repair;
use crate::raw::RawItem;
use crate::raw_value::{Node, RawValue};

/// Keys under which objects of shop systems have their text: WooCommerce, Shopify, Magento, PrestaShop, schema.org, CMS.
pub(super) const TEXT_KEYS: &[&str] = &[
    "name",
    "title",
    "label",
    "value",
    "text",
    "rendered",
    "raw",
    "#text",
    "_",
    "@value",
    "displayname",
    "display_name",
    "plain",
    "content",
    "slug",
    "handle",
    "code",
    // PrestaShop's web service: `<name><language id="1">Mug</language><language id="2">Tasse</language></name>`.
    "language",
    "translations",
    "$t",
    "string_value",
];

/// Keys under which pictures have their address.
const ADDRESS_KEYS: &[&str] =
    &["src", "url", "href", "originalsrc", "original_src", "image", "link", "contenturl", "large", "original"];

/// Keys under which an element of a list says which language it is in.
const LANGUAGE_KEYS: &[&str] =
    &["language", "lang", "locale", "languagecode", "language_code", "@language", "iso", "id_lang"];

/// Languages by their names, with their codes.
const LANGUAGE_NAMES: &[(&str, &str)] = &[
    ("arabic", "ar"),
    ("chinese", "zh"),
    ("czech", "cs"),
    ("danish", "da"),
    ("deutsch", "de"),
    ("dutch", "nl"),
    ("english", "en"),
    ("español", "es"),
    ("finnish", "fi"),
    ("français", "fr"),
    ("french", "fr"),
    ("german", "de"),
    ("greek", "el"),
    ("hebrew", "he"),
    ("italian", "it"),
    ("italiano", "it"),
    ("japanese", "ja"),
    ("korean", "ko"),
    ("nederlands", "nl"),
    ("norwegian", "no"),
    ("polish", "pl"),
    ("polski", "pl"),
    ("portuguese", "pt"),
    ("português", "pt"),
    ("russian", "ru"),
    ("spanish", "es"),
    ("swedish", "sv"),
    ("turkish", "tr"),
];

/// Languages that are preferred where the item does not say its own.
const PREFERRED: &[&str] = &["en", "default", "x-default"];

/// The value with nested texts in place of nested objects, for a field that holds one text. `locale` is the item's.
pub(super) fn text<'v>(value: &'v RawValue, locale: Option<&str>, repairs: &mut Repairs) -> Cow<'v, RawValue> {
    let found = match value {
        RawValue::Other(json) => {
            object(json, locale, TEXT_KEYS, repairs).and_then(|found| first_of(found, locale, repairs))
        }
        RawValue::Text(text) => in_text(text, locale, repairs),
        RawValue::List(elements) => by_language(elements, locale, repairs)
            .or_else(|| elements.iter().find_map(|element| plain_or_in(element, locale, TEXT_KEYS, repairs))),
        _ => None,
    };
    found.map_or(Cow::Borrowed(value), Cow::Owned)
}

/// As [`text`], for the address of a picture: the first of several.
pub(super) fn address<'v>(value: &'v RawValue, repairs: &mut Repairs) -> Cow<'v, RawValue> {
    let found = match value {
        RawValue::Other(json) => object(json, None, ADDRESS_KEYS, repairs),
        RawValue::List(elements) => {
            elements.iter().find_map(|element| plain_or_in(element, None, ADDRESS_KEYS, repairs))
        }
        _ => None,
    };
    found.map_or(Cow::Borrowed(value), Cow::Owned)
}

/// As [`text`], for a field that holds a list of texts: each object in the list becomes its name.
pub(super) fn texts<'v>(value: &'v RawValue, locale: Option<&str>, repairs: &mut Repairs) -> Cow<'v, RawValue> {
    match value {
        RawValue::List(elements) if elements.iter().any(|element| matches!(element, RawValue::Other(_))) => {
            let named = elements
                .iter()
                .map(|element| plain_or_in(element, locale, TEXT_KEYS, repairs).unwrap_or_else(|| element.clone()));
            Cow::Owned(RawValue::List(named.collect()))
        }
        RawValue::Other(json) => {
            // Lists by language (`{"en": ["Mugs"], "de": ["Tassen"]}`) or one object with a name.
            object(json, locale, TEXT_KEYS, repairs).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

/// The one text of a list: that of the item's language, or the first where only numbers tell the languages apart, which is
/// that of the shop.
fn first_of(value: RawValue, locale: Option<&str>, repairs: &mut Repairs) -> Option<RawValue> {
    let RawValue::List(elements) = value else { return Some(value) };
    by_language(&elements, locale, repairs).or_else(|| {
        repairs.note(Repair::LanguageChosen);
        elements.iter().find_map(|element| plain_or_in(element, locale, TEXT_KEYS, repairs))
    })
}

/// Several languages written as one text: `{"en": "Mug", "de": "Tasse"}` as JSON in a text, or `[:en]Mug[:de]Tasse[:]` as
/// plug-ins of WordPress write it. `None` for any other text.
fn in_text(text: &str, locale: Option<&str>, repairs: &mut Repairs) -> Option<RawValue> {
    let text = text.trim();
    if text.starts_with('{') && text.ends_with('}') {
        let pairs = pairs(text)?;
        let are_languages = !pairs.is_empty() && pairs.iter().all(|(name, _)| is_language(name));
        return are_languages.then(|| object(text, locale, TEXT_KEYS, repairs)).flatten();
    }
    let parts: Vec<(&str, &str)> =
        text.strip_prefix("[:")?.split("[:").filter_map(|part| part.split_once(']')).collect();
    let said: Vec<_> = parts.into_iter().filter(|(name, text)| is_language(name) && !text.trim().is_empty()).collect();
    let chosen = choose(said.iter().map(|(name, _)| *name), locale)?;
    repairs.note(Repair::LanguageChosen);
    Some(RawValue::text(said[chosen].1.trim()))
}

pub(super) fn plain_or_in(
    element: &RawValue,
    locale: Option<&str>,
    keys: &[&str],
    repairs: &mut Repairs,
) -> Option<RawValue> {
    match element {
        RawValue::Other(json) => object(json, locale, keys, repairs),
        RawValue::Text(_) | RawValue::Int(_) if !element.is_missing() => Some(element.clone()),
        _ => None,
    }
}

/// The text of an object: that of its language, or that under one of the keys.
fn object(json: &str, locale: Option<&str>, keys: &[&str], repairs: &mut Repairs) -> Option<RawValue> {
    let pairs = pairs(json)?;
    let said: Vec<_> = pairs.iter().filter(|(_, value)| *value != RawValue::Null).collect();
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let are = |is: &dyn Fn(&str) -> bool| {
        !said.is_empty() && said.iter().all(|(name, value)| is(name) && (is_text(value) || is_nested(value)))
    };
    // Every key is a language, so `{"id": 7, "name": "Mug"}`, whose `id` is Indonesian too, is not by language. Some shop
    // systems number the languages; the first is that of the shop.
    let chosen = match () {
        () if are(&is_language) => Some(choose(said.iter().map(|(name, _)| &**name), locale)?),
        () if are(&is_number) => Some(0),
        () => None,
    };
    if let Some(chosen) = chosen {
        let found = match &said[chosen].1 {
            RawValue::Other(inner) => object(inner, locale, keys, &mut Repairs::default()),
            value => Some(value.clone()),
        };
        if found.is_some() {
            repairs.note(Repair::LanguageChosen);
            return found;
        }
    }
    let key =
        |wanted: &str| pairs.iter().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && *value != RawValue::Null);
    for (_, value) in keys.iter().filter_map(|wanted| key(wanted)) {
        let found = match value {
            RawValue::Other(inner) => object(inner, locale, keys, repairs),
            RawValue::Text(_) | RawValue::Int(_) | RawValue::List(_) => Some(value.clone()),
            _ => None,
        };
        if found.is_some() {
            repairs.note(Repair::TextFromObject);
            return found;
        }
    }
    None
}

/// The text of a list whose elements name their languages: `[{"language": "de", "value": "Tasse"}, …]`.
fn by_language(elements: &[RawValue], locale: Option<&str>, repairs: &mut Repairs) -> Option<RawValue> {
    let mut found = Vec::new();
    for element in elements {
        let RawValue::Other(json) = element else { return None };
        let pairs = pairs(json)?;
        let language = pairs.iter().find_map(|(name, value)| match value {
            RawValue::Text(language) if LANGUAGE_KEYS.iter().any(|key| name.eq_ignore_ascii_case(key)) => {
                Some(language.clone())
            }
            _ => None,
        })?;
        found.push((language, object(json, locale, TEXT_KEYS, &mut Repairs::default())?));
    }
    let chosen = choose(found.iter().map(|(language, _)| &**language), locale)?;
    repairs.note(Repair::LanguageChosen);
    Some(found.swap_remove(chosen).1)
}

/// The place of the language to use: the item's own, else English, else the first.
pub(super) fn choose<'n>(names: impl Iterator<Item = &'n str> + Clone, locale: Option<&str>) -> Option<usize> {
    let same = |name: &str, wanted: &str| name.replace('_', "-").eq_ignore_ascii_case(&wanted.replace('_', "-"));
    let primary = |name: &str| {
        let name = name.split(['-', '_']).next().unwrap_or_default().to_lowercase();
        code_of(&name).map_or(name, str::to_owned)
    };
    let whole = |wanted: &str| names.clone().position(|name| same(name, wanted));
    let part = |wanted: &str| names.clone().position(|name| primary(name) == primary(wanted));
    locale
        .and_then(|locale| whole(locale).or_else(|| part(locale)))
        .or_else(|| PREFERRED.iter().find_map(|wanted| whole(wanted).or_else(|| part(wanted))))
        .or_else(|| names.clone().next().map(|_| 0))
}

/// Whether a key is a language tag: `de`, `pt-BR`, `zh_Hans`, `deu`, `default`.
fn is_language(name: &str) -> bool {
    if PREFERRED.contains(&name) || (name.len() <= 16 && code_of(&name.to_lowercase()).is_some()) {
        return true;
    }
    let mut parts = name.split(['-', '_']);
    let primary = parts.next().unwrap_or_default();
    let is_primary = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_primary
        && !matches!(
            primary.to_ascii_lowercase().as_str(),
            "src" | "url" | "alt" | "raw" | "key" | "pos" | "sku" | "uid"
        )
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The code of a language that is named in lower case.
fn code_of(name: &str) -> Option<&'static str> {
    LANGUAGE_NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

fn is_text(value: &RawValue) -> bool {
    matches!(value, RawValue::Text(_) | RawValue::List(_))
}

fn is_nested(value: &RawValue) -> bool {
    matches!(value, RawValue::Other(_))
}

/// What the offers of a product say, in the form of schema.org.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub price: RawValue,
    pub currency: RawValue,
    pub availability: RawValue,
}

/// The offer in the attribute `offers`: that with the lowest price, which can be bought if one of all can. `None` if the
/// value is no offer.
pub(super) fn offer(value: &RawValue) -> Option<Offer> {
    let read = |json: &str| {
        let pairs = pairs(json)?;
        let of = |wanted: &str| {
            let found = pairs.iter().find(|(name, value)| **name == *wanted && !value.is_missing());
            found.map(|(_, value)| value.clone())
        };
        let price = of("price").or_else(|| of("lowPrice")).unwrap_or_default();
        let availability = of("availability").unwrap_or_default();
        let is_offer = !price.is_missing() || !availability.is_missing();
        is_offer.then(|| Offer { price, currency: of("priceCurrency").unwrap_or_default(), availability })
    };
    let elements = match value {
        RawValue::Other(json) => return read(json),
        RawValue::List(elements) => elements,
        _ => return None,
    };
    let offers = elements.iter().filter_map(|element| match element {
        RawValue::Other(json) => read(json),
        _ => None,
    });
    offers.reduce(|best, offer| {
        let of = |value: &RawValue| match number_of_price(value, &mut Repairs::default()) {
            Number::Given(number) if number.is_finite() => number,
            _ => f64::INFINITY,
        };
        let can_be_bought = |offer: &Offer| availability::understood(&offer.availability) == Some(true);
        let availability = if can_be_bought(&offer) { offer.availability.clone() } else { best.availability.clone() };
        let cheaper = if of(&offer.price) < of(&best.price) { offer } else { best };
        Offer { availability, ..cheaper }
    })
}

/// Keys under which objects have the amount of a price, that with tax first.
const AMOUNT_KEYS: &[&str] = &[
    "gross",
    "amount",
    "value",
    "price",
    "current",
    "final",
    "final_price",
    "finalprice",
    "current_price",
    "currentprice",
    "minvariantprice",
    "min",
    "lowprice",
    "regular_price",
    "regularprice",
];

/// Keys under which they have its currency.
const CURRENCY_KEYS: &[&str] = &["currency", "currencycode", "currency_code", "pricecurrency", "iso"];

/// The amount and the currency of a price that is an object: `{"value": 9.5, "currency": "EUR"}`, `{"EUR": 9.5}`, or an amount
/// in cents with the number of its decimals. Of a list, the first.
pub(crate) fn price(value: &RawValue) -> Option<(RawValue, RawValue)> {
    let json = match value {
        RawValue::Other(json) => json,
        RawValue::List(elements) => return elements.iter().find_map(price),
        _ => return None,
    };
    let pairs = pairs(json)?;
    let of = |keys: &[&str]| {
        let named =
            |wanted: &&str| pairs.iter().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_missing());
        keys.iter().find_map(named).map(|(_, value)| value)
    };
    let currency = of(CURRENCY_KEYS).filter(|value| matches!(value, RawValue::Text(_))).cloned().unwrap_or_default();
    if let Some(RawValue::Int(cents)) = of(&["centamount"]) {
        let decimals = match of(&["fractiondigits"]) {
            Some(RawValue::Int(n @ 0..=6)) => *n as i32,
            _ => 2,
        };
        return Some((RawValue::Float(*cents as f64 / 10_f64.powi(decimals)), currency));
    }
    match of(AMOUNT_KEYS) {
        Some(nested @ (RawValue::Other(_) | RawValue::List(_))) => {
            let (amount, own) = price(nested)?;
            Some((amount, if own.is_missing() { currency } else { own }))
        }
        Some(amount) => Some((amount.clone(), currency)),
        None => match &pairs[..] {
            [(code, amount)] if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Some((amount.clone(), RawValue::text(code.clone())))
            }
            _ => None,
        },
    }
}

/// Bytes of a nested object that is looked into.
const MAX_BYTES: usize = 1 << 20;
/// Objects and lists inside each other. Each level is read again for the one in it, so deeper ones would take time that
/// grows with their depth times their length.
const MAX_DEPTH: usize = 12;

/// Whether objects and lists lie deeper inside each other than is looked into.
fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            b'{' | b'[' if !is_in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !is_in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The pairs of a nested object; `None` of one that is too large or too deep to be looked into.
pub(super) fn pairs(json: &str) -> Option<Vec<(Box<str>, RawValue)>> {
    if json.len() > MAX_BYTES || is_too_deep(json) {
        return None;
    }
    match serde_json::from_str(json).ok()? {
        Node::Map(pairs) => Some(pairs),
        Node::Value(_) => None,
    }
}

/// An item whose attributes stand in a list with their names (`[{"name": "Colour", "value": "red"}]`), as WooCommerce,
/// Shopify and others have them, with a pair for each; another one as it is.
pub(super) fn with_pairs(item: Cow<'_, RawItem>) -> Cow<'_, RawItem> {
    let pairs_of = |(name, value): &(Box<str>, RawValue)| match value {
        RawValue::List(values) if is_list_of_attributes(name) => each_pair(values),
        // An element of XML that does not repeat: `<param name="Size">42</param>`.
        RawValue::Other(_) if is_one_attribute(name) => each_pair(std::slice::from_ref(value)),
        _ => None,
    };
    if !item.attributes.iter().any(|attribute| pairs_of(attribute).is_some()) {
        return item;
    }
    let opened = |attribute: (Box<str>, RawValue)| pairs_of(&attribute).unwrap_or_else(|| vec![attribute]);
    let mut item = item.into_owned();
    item.attributes = std::mem::take(&mut item.attributes).into_iter().flat_map(opened).collect();
    Cow::Owned(item)
}

/// Whether a field of this name lists attributes. Other lists of objects (related items, reviews, channels) have names that are
/// none of attributes.
fn is_list_of_attributes(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "params",
        "parameters",
        "attributes",
        "customattributes",
        "extensionattributes",
        "metafields",
        "options",
        "properties",
        "features",
        "specs",
        "specifications",
        "productattributes",
        "itemspecifics",
        "characteristics",
    ];
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&&*name) || is_one_attribute(&name)
}

/// Whether a field of this name is one attribute, or several where it repeats.
fn is_one_attribute(name: &str) -> bool {
    ["param", "PARAM", "Param", "parameter"].contains(&name)
}

/// The names and values of a list of objects that all have both; `None` of any other list.
fn each_pair(values: &[RawValue]) -> Option<Vec<(Box<str>, RawValue)>> {
    if values.is_empty() || values.len() > MAX_PAIRS {
        return None;
    }
    let mut pairs: Vec<(Box<str>, RawValue)> = Vec::with_capacity(values.len());
    for value in values {
        let (name, value) = pair_of(value)?;
        // The same name again is another value of the attribute.
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            None => pairs.push((name, value)),
            Some((_, RawValue::List(known))) => known.push(value),
            Some((_, known)) => *known = RawValue::List(vec![std::mem::replace(known, RawValue::Null), value]),
        }
    }
    Some(pairs)
}

fn pair_of(value: &RawValue) -> Option<(Box<str>, RawValue)> {
    let RawValue::Other(json) = value else { return None };
    let mut fields: BTreeMap<Box<str>, RawValue> = serde_json::from_str(json).ok()?;
    if fields.len() == 1
        && let Some((name, value @ (RawValue::Text(_) | RawValue::Int(_) | RawValue::Float(_)))) =
            fields.first_key_value()
        && !NAMES_OF_PAIRS.contains(&&**name)
        && !TEXT_KEYS.contains(&&**name)
    {
        return Some((name.clone(), value.clone()));
    }
    let RawValue::Text(name) = NAMES_OF_PAIRS.iter().find_map(|name| fields.remove(*name))? else { return None };
    let value = VALUES_OF_PAIRS.iter().find_map(|name| fields.remove(*name))?;
    Some(((&*name).into(), value))
}

/// Elements of a list of attributes.
const MAX_PAIRS: usize = 1_000;
/// The fields of an attribute in a list that have its name, and its value.
const NAMES_OF_PAIRS: &[&str] = &["name", "key", "attribute_code", "code"];
const VALUES_OF_PAIRS: &[&str] = &["value", "options", "option", "values", "label"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str, locale: Option<&str>) -> Option<String> {
        match &*text(&serde_json::from_str(json).unwrap(), locale, &mut Repairs::default()) {
            RawValue::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }

    #[test]
    fn a_text_by_language_is_that_of_the_item_or_english_or_the_first() {
        let titles = r#"{"de":"Regenschirm","en":"Umbrella","pt_BR":"Guarda-chuva"}"#;
        assert_eq!(text_of(titles, None).unwrap(), "Umbrella");
        assert_eq!(text_of(titles, Some("de-AT")).unwrap(), "Regenschirm");
        assert_eq!(text_of(titles, Some("pt-BR")).unwrap(), "Guarda-chuva");
        assert_eq!(text_of(titles, Some("fr")).unwrap(), "Umbrella");
        assert_eq!(text_of(r#"{"de":"Tasse","fr":"Gobelet"}"#, None).unwrap(), "Tasse");
        assert_eq!(text_of(r#"{"en":null,"de":"Tasse"}"#, None).unwrap(), "Tasse");
        let list = r#"[{"language":"de","value":"Tasse"},{"language":"en","value":"Mug"}]"#;
        assert_eq!(text_of(list, None).unwrap(), "Mug");
        assert_eq!(text_of(list, Some("de")).unwrap(), "Tasse");
        assert_eq!(text_of(r#"{"id":7,"name":"Mug"}"#, None).unwrap(), "Mug");
        assert_eq!(text_of(r#"{"rendered":"Mug"}"#, None).unwrap(), "Mug");
        assert_eq!(text_of(r#"[{"id":"1","value":"Mug"}]"#, None).unwrap(), "Mug");
        assert_eq!(
            text_of(r#"{"language":["Umbrella","Regenschirm"],"language@id":["1","2"]}"#, None).unwrap(),
            "Umbrella"
        );
        assert_eq!(text_of(r#"{"language":"Umbrella","language@id":"1"}"#, None).unwrap(), "Umbrella");
        assert_eq!(text_of(r#"{"x":{"y":1}}"#, None), None);
        for (json, expected) in [
            (r#"{"en-GB":{"value":"Rug"},"de-DE":{"value":"Teppich"}}"#, "Rug"),
            (r#"{"en":{"title":"Cup"}}"#, "Cup"),
            (r#"{"translations":[{"locale":"de","name":"Brett"},{"locale":"en","name":"Board"}]}"#, "Board"),
            (r#"{"1":"Mug","2":"Becher"}"#, "Mug"),
            (r#"{"german":"Becher","english":"Mug"}"#, "Mug"),
            (r#"{"$t":"Mug"}"#, "Mug"),
            (r#"{"string_value":"Mug"}"#, "Mug"),
            (r#"{"language":[{"@attributes":{"id":"1"},"value":"Mug"}]}"#, "Mug"),
            (r#""{\"de\":\"Becher\",\"en\":\"Mug\"}""#, "Mug"),
            (r#""[:de]Becher[:en]Mug[:]""#, "Mug"),
            (r#""{not JSON}""#, "{not JSON}"),
            (r#""[:] with a colon""#, "[:] with a colon"),
        ] {
            assert_eq!(text_of(json, None).as_deref(), Some(expected), "{json}");
        }
        assert_eq!(text_of(r#"{"german":"Becher","english":"Mug"}"#, Some("de")).unwrap(), "Becher");
    }

    #[test]
    fn deep_and_large_objects_are_not_looked_into() {
        let nested =
            |depth: usize, text: &str| format!("{}\"{text}\"{}", r#"{"name":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(text_of(&nested(MAX_DEPTH, "a } [ { b"), None).unwrap(), "a } [ { b");
        assert_eq!(text_of(&nested(MAX_DEPTH + 1, "a"), None), None);
        assert_eq!(text_of(&nested(1, &"a".repeat(MAX_BYTES)), None), None);
    }

    #[test]
    fn a_param_of_a_feed_is_an_attribute_whether_it_repeats_or_not() {
        let attribute = |name: &str, json: &str| {
            let value: RawValue = serde_json::from_str(json).unwrap();
            let item = RawItem { attributes: vec![(name.into(), value)], ..RawItem::default() };
            with_pairs(Cow::Owned(item)).to_json()
        };
        let size = r#"{"attributes":{"Size":"42"}}"#;
        assert_eq!(attribute("param", r#"{"name":"Size","value":"42"}"#), size);
        assert_eq!(attribute("param", r#"[{"name":"Size","value":"42"}]"#), size);
        assert_eq!(attribute("params", r#"[{"name":"Size","value":"42"}]"#), size);
        assert_ne!(attribute("maker", r#"{"name":"Size","value":"42"}"#), size);
    }

    #[test]
    fn lists_of_objects_become_their_names() {
        let value: RawValue =
            serde_json::from_str(r#"[{"id":9,"name":"Clothing","slug":"clothing"},"Linen",{"name":{"en":"Sale"}}]"#)
                .unwrap();
        let names = RawValue::List(["Clothing", "Linen", "Sale"].map(RawValue::text).into());
        assert_eq!(*texts(&value, None, &mut Repairs::default()), names);
        let value: RawValue =
            serde_json::from_str(r#"[{"src":"https://shop.example/a.jpg","alt":"a"},{"src":"b"}]"#).unwrap();
        assert_eq!(*address(&value, &mut Repairs::default()), RawValue::text("https://shop.example/a.jpg"));
    }
}
