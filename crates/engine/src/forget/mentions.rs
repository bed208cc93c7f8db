//! Names in refused records. Such a record was not parsed into fields, so each of its values may be a name, or contain one.

use std::borrow::Cow;

use accrue_event::clean_id;
use serde_json::Value;

/// Whether a refused record names this person in any of its values, or anywhere in it if it is not JSON. Values are cleaned as ids
/// are (`13085.0` is `13085`), and a name may stand in a longer text: a line of a file that could not be read, or
/// `Ann <ann@shop.example>`. An address is compared without case, because a mapping converts it to lower case and a line that cannot be
/// read has it as it was written.
pub(crate) fn mentions(raw: &str, name: &str) -> bool {
    let name = &*without_case(name, name);
    fn is_in(value: &Value, name: &str) -> bool {
        match value {
            Value::String(text) => is_in_text(text, name),
            Value::Number(number) => clean_id(&number.to_string()) == name,
            Value::Array(values) => values.iter().any(|value| is_in(value, name)),
            Value::Object(fields) => fields.values().any(|value| is_in(value, name)),
            Value::Null | Value::Bool(_) => false,
        }
    }
    match serde_json::from_str(raw) {
        Ok(value) => is_in(&value, name),
        Err(_) => is_in_text(raw, name),
    }
}

/// A text as it is compared with a name: in lower case if that is an address.
fn without_case<'t>(text: &'t str, name: &str) -> Cow<'t, str> {
    if name.contains('@') { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}

fn is_in_text(text: &str, name: &str) -> bool {
    if text == name {
        return true;
    }
    let text = clean_id(text);
    let has = |text: &str| contains(&without_case(text, name), name);
    text == name || has(&text) || (text.contains('\\') && has(&clean_id(&unescaped(&text))))
}

/// Whether the name stands in a text by itself: `ann` is in `"user":"ann"` and not in `anna` or `ann@shop.example`. A number may have
/// the fraction that spreadsheets give it.
fn contains(text: &str, name: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '@' | '_' | '-' | '+');
    let begins = |before: &str| {
        let mut before = before.chars().rev();
        match before.next() {
            Some('.') => !before.next().is_some_and(char::is_alphanumeric),
            Some(c) => !continues(c),
            None => true,
        }
    };
    let ends = |after: &str| {
        let after =
            after.strip_prefix(".0").filter(|_| name.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(after);
        let mut after = after.chars();
        match after.next() {
            // The end of a sentence, or the middle of another name.
            Some('.') => !after.next().is_some_and(char::is_alphanumeric),
            Some(c) => !continues(c),
            None => true,
        }
    };
    text.match_indices(name).any(|(at, _)| begins(&text[..at]) && ends(&text[at + name.len()..]))
}

/// A text with the escapes of JSON replaced, also where they are not in a JSON text: a broken line may hold `zo\u00eb`.
fn unescaped(text: &str) -> String {
    let mut clear = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        clear.push_str(before);
        // As many code units as follow each other, because two may make one character.
        let mut units = Vec::new();
        let mut after = escape;
        loop {
            let unit = after.strip_prefix('u').and_then(|code| u16::from_str_radix(code.get(..4)?, 16).ok());
            let Some(unit) = unit else { break };
            units.push(unit);
            after = &after[5..];
            match after.strip_prefix('\\') {
                Some(next) if next.starts_with('u') => after = next,
                _ => break,
            }
        }
        if units.is_empty() {
            let mut chars = escape.chars();
            match chars.next() {
                Some('n' | 't' | 'r' | 'b' | 'f') => clear.push(' '),
                Some(c) => clear.push(c),
                None => {}
            }
            rest = chars.as_str();
        } else {
            clear.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
            rest = after;
        }
    }
    clear + rest
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_refused_record_names_a_person_as_a_value_or_in_a_text() {
        for (raw, names) in [
            (r#"{"user":"ann","item":"mug"}"#, true),
            (r#"{"user":" ann ","item":"mug"}"#, true),
            (r#"{"user":"anna","item":"mug"}"#, false),
            (r#"{"user":"joann","item":"mug"}"#, false),
            (r#"{"user":"ann-marie","item":"mug"}"#, false),
            (r#"{"user":"ann@shop.example","item":"mug"}"#, false),
            (r#"{"ann":"bob"}"#, false),
            (r#"{"properties":{"as":["x","ann"]}}"#, true),
            (r#"{"user":"ann""#, true),
            (r#"{"user":"anna""#, false),
            (r#"{"line":2,"text":"{\"user\":\"ann\",\"item"}"#, true),
            (r#"{"line":2,"text":"mug,ann,view,\"x"}"#, true),
            (r#"{"line":2,"text":"mug,anna,view,\"x"}"#, false),
            (r#"{"note":"asked by ann."}"#, true),
            (r#"{"host":"ann.shop.example"}"#, false),
            ("mug,bob", false),
            ("", false),
        ] {
            assert_eq!(mentions(raw, "ann"), names, "{raw}");
        }
    }

    #[test]
    fn values_are_compared_as_ids_are_cleaned() {
        for raw in [
            r#"{"user":17}"#,
            r#"{"user":17.0}"#,
            r#"{"user":"17.0"}"#,
            r#"{"user":"\ufeff17"}"#,
            r#"{"user":"17\u0000"}"#,
            r#"{"line":1,"text":"17.0,mug,\"view"}"#,
        ] {
            assert!(mentions(raw, "17"), "{raw}");
        }
        assert!(!mentions(r#"{"user":17.5}"#, "17"));
        assert!(!mentions(r#"{"text":"at 3.17 or 17.5"}"#, "17"));
    }

    #[test]
    fn letters_may_be_decomposed_or_escaped() {
        for raw in [
            r#"{"user":"zoë@x.example"}"#,
            "{\"user\":\"zoe\u{308}@x.example\"",
            r#"{"user":"zo\u00eb@x.example","item"#,
            r#"{"line":3,"text":"{\"user\":\"zo\\u00eb@x.example\""}"#,
            r#"{"from":"Zoë <zoë@x.example>"}"#,
        ] {
            assert!(mentions(raw, "zoë@x.example"), "{raw}");
        }
        assert!(mentions(r#"{"user":"\ud83d\ude00","x"#, "😀"));
    }

    #[test]
    fn the_case_of_an_address_makes_no_other_person() {
        for raw in [
            r#"{"line":3,"text":"2,2026-03-01,Ada@Example.com,A,1,x,y"}"#,
            r#"{"user":"ADA@EXAMPLE.COM"}"#,
            r#"{"user":"\u0041da@example.com","item"#,
            "2;ada@example.com;A",
        ] {
            for name in ["ada@example.com", "Ada@Example.com"] {
                assert!(mentions(raw, name), "{raw} {name}");
            }
        }
        assert!(!mentions(r#"{"user":"Bada@example.com"}"#, "ada@example.com"));
        assert!(!mentions(r#"{"user":"Ann"}"#, "ann"), "other names have a case");
    }
}
