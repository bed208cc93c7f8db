//! Categories in the forms of shop systems: paths, several in one text, levels, connections, objects in objects.
//!
//! In: what a record has in its field `categories`. Out: the same as a list of texts, a level of a path each.

use std::borrow::Cow;

use super::nested::{self, TEXT_KEYS};
use super::repairs::Repairs;
use crate::raw_value::RawValue;

/// Objects inside objects that are looked into.
const MAX_DEPTH: usize = 6;
/// Categories that are kept while a value is taken apart; the check keeps fewer of an item.
const MAX_FOUND: usize = 1024;
/// A longer text is no list of categories.
const MAX_BYTES: usize = 1 << 14;

/// Keys under which an element of a list has its category: `[{"category": {"name": "Mugs"}}]`.
const CATEGORY_KEYS: &[&str] = &["category", "categoryname", "category_name", "node", "nodes", "edges"];

/// The categories as a list of texts; the value itself where there is nothing to take apart.
pub(super) fn listed<'v>(value: &'v RawValue, locale: Option<&str>, repairs: &mut Repairs) -> Cow<'v, RawValue> {
    let is_plain = match value {
        RawValue::Text(text) => is_one(text),
        RawValue::List(values) => values.iter().all(|value| match value {
            RawValue::Text(text) => is_one(text),
            RawValue::Other(_) | RawValue::List(_) => false,
            _ => true,
        }),
        RawValue::Other(_) => false,
        _ => true,
    };
    if is_plain {
        return Cow::Borrowed(value);
    }
    let mut found = Vec::new();
    take_apart(value, locale, 0, &mut found, repairs);
    // What cannot be read stays, so that the rules note that a field was dropped.
    if found.is_empty() { Cow::Borrowed(value) } else { Cow::Owned(RawValue::List(found)) }
}

fn is_one(text: &str) -> bool {
    text.len() > MAX_BYTES || (parts(text).is_none() && !text.trim_start().starts_with('['))
}

/// Signs between the levels of a path.
const STEPS: &[char] = &['＞', '›', '»', '→'];
/// Signs between categories, beside the comma.
const BETWEEN: &[char] = &['|', '｜', '，', '、', '､', '；'];

/// The categories in a text, if there are several: the levels of paths, and those that stand beside each other.
fn parts(text: &str) -> Option<Vec<&str>> {
    // `«` and `»` are quotation marks together.
    let is_sign = |c: char| STEPS.contains(&c) && (c != '»' || !text.contains('«'));
    let is_step = |place: usize, c: char| is_sign(c) || (c == '>' && is_between(text, place));
    let is_separator = |place: usize, c: char| BETWEEN.contains(&c) || is_step(place, c);
    let separators: Vec<(usize, char)> = text.char_indices().filter(|(place, c)| is_separator(*place, *c)).collect();
    if separators.is_empty() {
        return is_list(text).then(|| text.split(',').collect());
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for (place, c) in separators {
        parts.push(&text[start..place]);
        start = place + c.len_utf8();
    }
    parts.push(&text[start..]);
    Some(parts)
}

/// Whether the sign `>` stands between two names: with blanks on both sides, or letters at both.
fn is_between(text: &str, place: usize) -> bool {
    let (before, after) = (text[..place].chars().next_back(), text[place + 1..].chars().next());
    let is_name = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    let is_blank = |c: Option<char>| c == Some(' ');
    (is_blank(before) && is_blank(after)) || (is_name(before) && is_name(after) && !text.contains('<'))
}

/// Whether a text is a list of names between commas. A comma with a blank behind it is part of a name, as in `Home, Garden`.
fn is_list(text: &str) -> bool {
    let is_words = |c: char| c.is_alphabetic() || matches!(c, ' ' | ',' | '&' | '-' | '\'' | '’');
    text.contains(',')
        && text.split(',').skip(1).all(|part| !part.is_empty() && !part.starts_with(' '))
        && text.chars().all(is_words)
}

fn take_apart(value: &RawValue, locale: Option<&str>, depth: usize, found: &mut Vec<RawValue>, repairs: &mut Repairs) {
    if depth > MAX_DEPTH || found.len() >= MAX_FOUND {
        return;
    }
    match value {
        RawValue::Text(text) => match list_in(text) {
            Some(values) => values.iter().for_each(|value| take_apart(value, locale, depth + 1, found, repairs)),
            None => of_text(text, found),
        },
        RawValue::List(values) => {
            values.iter().for_each(|value| take_apart(value, locale, depth + 1, found, repairs));
        }
        RawValue::Other(json) => of_object(json, value, locale, depth, found, repairs),
        RawValue::Null | RawValue::Bool(_) | RawValue::Float(_) => {}
        RawValue::Int(_) => found.push(value.clone()),
    }
}

/// A list as JSON in a text, or in a list.
fn list_in(text: &str) -> Option<Vec<RawValue>> {
    let text = text.trim();
    if !(text.starts_with('[') && text.ends_with(']')) {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        RawValue::List(values) => Some(values),
        _ => None,
    }
}

fn of_text(text: &str, found: &mut Vec<RawValue>) {
    match parts(text) {
        Some(parts) => push(parts.into_iter(), found),
        None => push(std::iter::once(text), found),
    }
}

fn push<'t>(texts: impl Iterator<Item = &'t str>, found: &mut Vec<RawValue>) {
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        let text = RawValue::text(text);
        // The upper levels of two paths are the same.
        if found.len() < MAX_FOUND && !found.contains(&text) {
            found.push(text);
        }
    }
}

fn of_object(
    json: &str,
    value: &RawValue,
    locale: Option<&str>,
    depth: usize,
    found: &mut Vec<RawValue>,
    repairs: &mut Repairs,
) {
    let Some(pairs) = nested::pairs(json) else { return };
    let number = |name: &str, prefix: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
    // A map by numbers, as PHP writes a list of which elements were left out.
    let is_map = |prefix: &str| !pairs.is_empty() && pairs.iter().all(|(name, _)| number(name, prefix).is_some());
    if is_map("") {
        pairs.iter().for_each(|(_, value)| take_apart(value, locale, depth + 1, found, repairs));
        return;
    }
    if is_map("lvl") {
        // Each level repeats those above it.
        let deepest = pairs.iter().filter(|(_, value)| !value.is_missing()).max_by_key(|(name, _)| number(name, "lvl"));
        deepest.into_iter().for_each(|(_, value)| take_apart(value, locale, depth + 1, found, repairs));
        return;
    }
    let inner = CATEGORY_KEYS
        .iter()
        .find_map(|key| pairs.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && *value != RawValue::Null));
    if let Some((_, inner)) = inner {
        take_apart(inner, locale, depth + 1, found, repairs);
    } else if let Some(named) = nested::plain_or_in(value, locale, TEXT_KEYS, repairs) {
        take_apart(&named, locale, depth + 1, found, repairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_found_in_the_forms_of_shop_systems() {
        for (json, expected) in [
            (r#""Clothing""#, "Clothing"),
            (r#""Home, Garden""#, "Home, Garden"),
            (r#""Home > Clothing""#, "Home;Clothing"),
            (r#"["Home > Clothing","Home > Shirts"]"#, "Home;Clothing;Shirts"),
            (r#""Home > Clothing|Sale > Shirts""#, "Home;Clothing;Sale;Shirts"),
            (r#""Clothing,Shirts""#, "Clothing;Shirts"),
            (r#""Lego 1,5""#, "Lego 1,5"),
            (r#""Adult,Kids;x""#, "Adult,Kids;x"),
            (r#""Clothing|Shirts""#, "Clothing;Shirts"),
            (r#""女装，连衣裙""#, "女装;连衣裙"),
            (r#""女装、连衣裙""#, "女装;连衣裙"),
            (r#""女装>连衣裙""#, "女装;连衣裙"),
            (r#""女装＞连衣裙＞长裙""#, "女装;连衣裙;长裙"),
            (r#""女装 > 连衣裙，夏季 > 长裙""#, "女装;连衣裙;夏季;长裙"),
            (r#""家電 › カメラ""#, "家電;カメラ"),
            (r#""Küche » Tassen""#, "Küche;Tassen"),
            (r#""Clothing>Shirts""#, "Clothing;Shirts"),
            (r#""« Noël »""#, "« Noël »"),
            (r#""Lamps >5 W""#, "Lamps >5 W"),
            (r#""<b>Clothing</b>""#, "<b>Clothing</b>"),
            (r#""[\"Clothing\",\"Shirts\"]""#, "Clothing;Shirts"),
            (r#"{"0":"Clothing"}"#, "Clothing"),
            (r#"{"1":"Home","2":"Clothing"}"#, "Home;Clothing"),
            (r#"[["Home","Clothing"]]"#, "Home;Clothing"),
            (r#"[{"category":{"name":"Clothing"}}]"#, "Clothing"),
            (r#"[{"category_name":"Clothing"}]"#, "Clothing"),
            (r#"{"edges":[{"node":{"title":"Clothing"}},{"node":{"title":"Shirts"}}]}"#, "Clothing;Shirts"),
            (r#"{"nodes":[{"name":"Clothing"}]}"#, "Clothing"),
            (r#"{"lvl0":"Clothing","lvl1":"Clothing > Shirts"}"#, "Clothing;Shirts"),
            (r#"{"en":["Mugs","Cups"],"de":["Tassen"]}"#, "Mugs;Cups"),
            (r#"[{"id":9,"name":"Clothing","slug":"clothing"},{"name":{"en":"Sale"}}]"#, "Clothing;Sale"),
        ] {
            let value: RawValue = serde_json::from_str(json).unwrap();
            let found = match &*listed(&value, None, &mut Repairs::default()) {
                RawValue::Text(text) => text.to_string(),
                RawValue::List(values) => {
                    let text = |value: &RawValue| match value {
                        RawValue::Text(text) => text.to_string(),
                        other => format!("{other:?}"),
                    };
                    values.iter().map(text).collect::<Vec<_>>().join(";")
                }
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn no_more_categories_are_compared_than_could_be_kept() {
        let many = (0..200_000).map(|n| RawValue::text(format!("k{n} > x"))).collect();
        match &*listed(&RawValue::List(many), None, &mut Repairs::default()) {
            RawValue::List(found) => assert_eq!(found.len(), MAX_FOUND),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_in_objects_are_looked_into_a_few_times() {
        let deep = format!("{}1{}", r#"{"category":"#.repeat(50), "}".repeat(50));
        let value: RawValue = serde_json::from_str(&deep).unwrap();
        assert_eq!(*listed(&value, None, &mut Repairs::default()), value);
    }
}
