//! A writer of JSON text for raw records.

use crate::raw::RawValue;

/// An object of the fields that are present, with the other fields in a nested object under `rest_name`.
pub(crate) fn object<'a>(
    fields: impl Iterator<Item = (&'static str, &'a RawValue)>,
    rest_name: &str,
    rest: &[(Box<str>, RawValue)],
) -> String {
    let mut out = String::from("{");
    for (name, value) in fields.filter(|(_, value)| **value != RawValue::Null) {
        key(&mut out, name);
        self::value(&mut out, value);
    }
    if !rest.is_empty() {
        key(&mut out, rest_name);
        out.push_str(&pairs(rest));
    }
    out.push('}');
    out
}

/// An object of these pairs, in their order.
pub(crate) fn pairs(pairs: &[(Box<str>, RawValue)]) -> String {
    let mut out = String::from("{");
    for (name, value) in pairs {
        key(&mut out, name);
        self::value(&mut out, value);
    }
    out.push('}');
    out
}

fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    text(out, name);
    out.push(':');
}

/// Appends a value. JSON has no NaN and no infinity; both become `null`.
pub(crate) fn value(out: &mut String, value: &RawValue) {
    use std::fmt::Write as _;
    match value {
        RawValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        RawValue::Int(value) => write!(out, "{value}").expect("a String takes all that is written"),
        RawValue::Float(value) if value.is_finite() => {
            write!(out, "{value:?}").expect("a String takes all that is written");
        }
        RawValue::Null | RawValue::Float(_) => out.push_str("null"),
        RawValue::Text(value) => text(out, value),
        RawValue::List(values) => {
            out.push('[');
            for (idx, element) in values.iter().enumerate() {
                if idx > 0 {
                    out.push(',');
                }
                self::value(out, element);
            }
            out.push(']');
        }
        RawValue::Other(json) => out.push_str(json),
    }
}

fn text(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    out.push('"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[start..at]);
        start = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => write!(out, "\\u{byte:04x}").expect("a String takes all that is written"),
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}
