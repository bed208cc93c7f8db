//! Names in refused records. Such a record was not parsed into fields, so each of its values may be a name.

use serde_json::Value;

/// Whether a refused record names this person: as any of its values, or anywhere in it if it is not JSON.
pub(crate) fn mentions(raw: &str, name: &str) -> bool {
    fn is_in(value: &Value, name: &str) -> bool {
        match value {
            Value::String(text) => text.trim() == name,
            Value::Number(number) => number.to_string() == name,
            Value::Array(values) => values.iter().any(|value| is_in(value, name)),
            Value::Object(fields) => fields.values().any(|value| is_in(value, name)),
            Value::Null | Value::Bool(_) => false,
        }
    }
    match serde_json::from_str(raw) {
        Ok(value) => is_in(&value, name),
        Err(_) => raw.contains(name),
    }
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
            ("mug,bob", false),
        ] {
            assert_eq!(mentions(raw, "ann"), names, "{raw}");
        }
        assert!(mentions(r#"{"user":17}"#, "17"));
    }
}
