//! The keys of a mapping that say how its file is written: its encoding, its zone, where its pictures lie.
//!
//! In: what the command line and a mapping say of the file, and what was recognised. Out: the lines of the mapping that `--guess` prints.

use accrue_event::{Decimal, Mapping};
use accrue_ingest::Sample;

/// The keys that say how the file is written: those that are given, and what was recognised.
pub(super) fn form_of(sample: &Sample, given: &Mapping) -> String {
    let recognised = Mapping {
        encoding: given.encoding.clone().or_else(|| sample.encoding.as_deref().map(Into::into)),
        delimiter: given.delimiter.or(sample.delimiter),
        ..given.clone()
    };
    keys_of_form(&recognised).into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

/// The keys of a mapping that say how its file is written and where it is from, with their values as TOML has them.
fn keys_of_form(given: &Mapping) -> Vec<(&'static str, String)> {
    let one = |c: Option<char>| c.map(|c| quoted(&c.to_string()));
    let text = |text: &Option<Box<str>>| text.as_deref().map(quoted);
    let decimal = match given.decimal {
        Decimal::Any => None,
        Decimal::Comma => Some(quoted(",")),
        Decimal::Point => Some(quoted(".")),
    };
    let keys = [
        ("encoding", text(&given.encoding)),
        ("delimiter", one(given.delimiter)),
        ("comment", one(given.comment)),
        ("escape", one(given.escape)),
        ("element", text(&given.element)),
        ("decimal", decimal),
        ("currency", text(&given.currency)),
        ("time_zone", text(&given.time_zone)),
        ("image_base", text(&given.image_base)),
        ("as_of", given.as_of.map(|at| quoted(&at.to_string()))),
        ("skip_lines", given.skip_lines.map(|n| n.to_string())),
    ];
    keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// The text of a mapping with what is given of how the file is written. A key that the text has gets the given value.
pub(super) fn with_form(text: &str, given: &Mapping) -> String {
    let mut text = text.to_owned();
    for (key, value) in keys_of_form(given) {
        let n_keys = text.find("\n[").map_or(text.len(), |tables| tables + 1);
        let place = text[..n_keys].match_indices(key).map(|(place, _)| place).find(|place| {
            let is_begin = *place == 0 || text[..*place].ends_with('\n');
            is_begin && text[place + key.len()..].trim_start_matches(' ').starts_with('=')
        });
        let line = format!("{key} = {value}\n");
        match place {
            Some(place) => {
                let end = text[place..].find('\n').map_or(text.len(), |end| place + end + 1);
                text.replace_range(place..end, &line);
            }
            None => text.insert_str(n_keys, &line),
        }
    }
    text
}

/// The beginning of a text on one line.
pub(super) fn excerpt(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect();
    line.trim().to_owned()
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use accrue_event::RecordKind;

    use super::*;

    #[test]
    fn what_is_given_replaces_a_key_or_is_added_before_the_tables() {
        let given: Mapping =
            toml::from_str("encoding = 'gbk'\ncurrency = 'CNY'\nimage_base = 'https://s.example'").unwrap();
        let text = "# A remark: currency = 1\nkind = \"items\"\ncurrency = \"EUR\"    # of the shop\n\n[fields]\nid = \"sku\"\n";
        let merged = with_form(text, &given);
        let expected =
            Mapping { kind: RecordKind::Items, fields: [("id".into(), "sku".into())].into(), ..given.clone() };
        assert_eq!(toml::from_str::<Mapping>(&merged).unwrap(), expected, "{merged}");
        assert_eq!(with_form("kind = \"items\"\n", &Mapping::default()), "kind = \"items\"\n");
    }
}
