//! Names in refused records. Such a record was not parsed into fields, so each of its values may be a name.
//!
//! In: the record as it was sent, and the id of a person in its clean form. Out: whether it names the person. Values
//! are cleaned as the check cleans ids, so that `"13085.0"` and a letter that is written as two characters are found
//! too. Where no field can be told from another (a line that is broken, a text that holds more than an id), the id is
//! sought as a word. It is better to erase a refused record too many than to keep one.

use std::borrow::Cow;

use accrue_event::clean_id;
use serde_json::{Map, Value};

/// A shorter id is not sought within the values of a readable record: it would be found in titles and the like.
const LEAST_CHARS_OF_WORD: usize = 4;

/// Whether a refused record names this person.
pub(crate) fn mentions(raw: &str, name: &str) -> bool {
    match serde_json::from_str(raw) {
        Ok(value) => is_in(&value, name),
        Err(_) => is_word_of_line(raw, name),
    }
}

fn is_in(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => {
            let text = clean_id(text);
            *text == *name || (name.chars().nth(LEAST_CHARS_OF_WORD - 1).is_some() && is_word_of(&text, name))
        }
        Value::Number(number) => *clean_id(&number.to_string()) == *name,
        Value::Array(values) => values.iter().any(|value| is_in(value, name)),
        Value::Object(fields) => match broken_line(fields) {
            Some(line) => is_word_of_line(line, name),
            None => fields.values().any(|value| is_in(value, name)),
        },
        Value::Null | Value::Bool(_) => false,
    }
}

/// The text of a line of a file that could not be read: readers keep it with its number.
fn broken_line(fields: &Map<String, Value>) -> Option<&str> {
    let is_line = fields.len() == 2 && fields.get("line")?.is_number();
    fields.get("text")?.as_str().filter(|_| is_line)
}

/// Whether the name is in a line as it stands there, or with its escapes resolved.
fn is_word_of_line(line: &str, name: &str) -> bool {
    is_word_of(&clean_id(line), name) || is_word_of(&clean_id(&without_escapes(line)), name)
}

/// Whether the name is in the text, and no letter or digit is beside it.
fn is_word_of(text: &str, name: &str) -> bool {
    let mut from = 0;
    while let Some(at) = text[from..].find(name) {
        let (begin, end) = (from + at, from + at + name.len());
        let is_letter = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
        if !is_letter(text[..begin].chars().next_back()) && !is_letter(text[end..].chars().next()) {
            return true;
        }
        from = begin + text[begin..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// A text of JSON with `\u00eb`, `\"` and the like as the characters that they mean.
fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.contains('\\') {
        return Cow::Borrowed(line);
    }
    let mut units: Vec<u16> = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        units.extend(rest[..at].encode_utf16());
        let escape = &rest[at + 1..];
        let code = escape.strip_prefix('u').and_then(|digits| u16::from_str_radix(digits.get(..4)?, 16).ok());
        let length = match (code, escape.chars().next()) {
            (Some(code), _) => {
                units.push(code);
                5
            }
            (None, Some(letter)) => {
                let meant = if "bfnrt".contains(letter) { ' ' } else { letter };
                units.extend(meant.encode_utf16(&mut [0; 2]).iter());
                letter.len_utf8()
            }
            (None, None) => 0,
        };
        rest = &escape[length..];
    }
    units.extend(rest.encode_utf16());
    Cow::Owned(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_refused_record_names_a_person_as_a_value_or_in_a_broken_line() {
        for (raw, names) in [
            (r#"{"user":"ann","item":"mug"}"#, true),
            (r#"{"user":" ann ","item":"mug"}"#, true),
            (r#"{"user":"anna","item":"mug"}"#, false),
            (r#"{"ann":"bob"}"#, false),
            (r#"{"properties":{"as":["x","ann"]}}"#, true),
            (r#"{"user":"ann""#, true),
            (r#"{"user":"anna""#, false),
            (r#"{"user":"joann"#, false),
            ("mug,bob", false),
            (r#"{"line":2,"text":"4,purchase,ann,i1,extra"}"#, true),
            (r#"{"line":2,"text":"{\"id\":\"2\",\"user\":\"ann\""}"#, true),
            (r#"{"line":2,"text":"4,purchase,anna,i1,extra"}"#, false),
            (r#"{"title":"a song by ann","item":"mug"}"#, false),
        ] {
            assert_eq!(mentions(raw, "ann"), names, "{raw}");
        }
    }

    #[test]
    fn a_person_is_found_in_every_form_that_the_check_reads_as_the_id() {
        for raw in [
            r#"{"user":13085}"#,
            r#"{"user":13085.0}"#,
            r#"{"user":"13085.0"}"#,
            "{\"user\":\"\u{feff}13085\"}",
            r#"{"user":"13085\u0000"}"#,
            r#"{"line":7,"text":"13085,view"}"#,
        ] {
            assert!(mentions(raw, "13085"), "{raw}");
        }
        assert!(!mentions(r#"{"user":130850}"#, "13085"));
        for raw in [
            "{\"user\":\"zoe\u{308}@x.example\"}",
            r#"{"user":"Zoë <zoë@x.example>"}"#,
            r#"{"user":"zo\u00eb@x.example""#,
            r#"{"line":2,"text":"{\"user\":\"zo\\u00eb@x.example\""}"#,
            r#"{"line":2,"text":"{\"user\":\"zoe\\u0308@x.example\""}"#,
            "\u{feff}zoë@x.example;view",
        ] {
            assert!(mentions(raw, "zoë@x.example"), "{raw}");
        }
        assert!(!mentions(r#"{"user":"zoë@x.example.org"}"#, "oë@x.example"));
    }
}
