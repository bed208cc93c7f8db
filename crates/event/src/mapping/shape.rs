//! The conversions of one field: how the value of a cell becomes the value of the field.

use jiff::tz::TimeZone;

use super::bound::is_empty;
use super::cell::Reading;
use super::{Mapping, Names};
use crate::raw::is_numeric;
use crate::{RawValue, RecordKind, Timestamp};

/// The conversions of a field's value.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// What a text is read as.
    pub reading: Reading,
    time: Option<TimeShape>,
    scale: Option<f64>,
    uppercase: bool,
    lowercase: bool,
    unescape: bool,
    /// Names a customer, for whom an e-mail address is one id however it is written.
    is_customer: bool,
    /// Elements of lists that say nothing.
    empty: Vec<Box<str>>,
    strip: Names,
    prefix: Option<Box<str>>,
    separators: Option<Names>,
    is_path: bool,
    is_parent: bool,
}

/// What stands between the categories of a path in the feeds of most systems. No category has such a name.
const PATH: &str = " > ";

/// How a time without an offset is read.
#[derive(Clone, Debug)]
struct TimeShape {
    format: Option<Box<str>>,
    zone: Option<TimeZone>,
}

impl Shape {
    /// The conversions of a field of a record, or of the item that an event's row describes.
    pub fn of(field: &str, mapping: &Mapping, kind: RecordKind) -> Self {
        let is_time = matches!(field, "at" | "published_at");
        let time = TimeShape { format: mapping.time_format.clone(), zone: mapping.zone().ok().flatten() };
        let time = Some(time).filter(|time| is_time && (time.format.is_some() || time.zone.is_some()));
        // `scale`, `prefix` and `uppercase` apply to fields of the record itself; the item of an event shares only its
        // price.
        let own = kind == mapping.kind;
        let reading = match field {
            "price" | "value" | "quantity" | "stock" => Reading::Amount(mapping.decimal),
            _ if is_numeric(field) && time.as_ref().is_none_or(|time| time.format.is_none()) => Reading::Number,
            _ => Reading::Text,
        };
        Self {
            reading,
            time,
            scale: mapping.scale.get(field).copied().filter(|_| own || field == "price"),
            uppercase: own && mapping.uppercase.iter().any(|name| **name == *field),
            lowercase: own && mapping.lowercase.iter().any(|name| **name == *field),
            unescape: own && mapping.unescape.iter().any(|name| **name == *field),
            is_customer: match kind {
                RecordKind::Events => matches!(field, "user" | "session"),
                RecordKind::Users => field == "id",
                RecordKind::Items => false,
            },
            empty: mapping.empty.clone(),
            strip: mapping.strip.get(field).cloned().filter(|_| own).unwrap_or_default(),
            prefix: mapping.prefix.get(field).cloned().filter(|_| own),
            separators: mapping.separators.get(field).cloned().filter(|_| kind == RecordKind::Items),
            is_parent: kind == RecordKind::Items && field == "parent",
            is_path: kind == RecordKind::Items && field == "categories",
        }
    }

    pub fn apply(&self, value: RawValue) -> RawValue {
        match value {
            // WooCommerce and others write 0 for "no parent": as an id it would make one product of all.
            RawValue::Int(0) if self.is_parent => RawValue::Null,
            RawValue::Text(text) if self.is_parent && text.trim() == "0" => RawValue::Null,
            RawValue::Text(text) => self.apply_to_text(text),
            RawValue::List(mut values) if !self.empty.is_empty() => {
                values.retain(|value| !matches!(value, RawValue::Text(text) if is_empty(&self.empty, text)));
                if values.is_empty() { RawValue::Null } else { RawValue::List(values) }
            }
            RawValue::Int(number) => match (self.scale, &self.prefix) {
                (Some(factor), _) => RawValue::Float(scaled(number as f64, factor)),
                (None, Some(prefix)) => RawValue::text(format!("{prefix}{number}")),
                (None, None) => RawValue::Int(number),
            },
            RawValue::Float(0.0) if self.is_parent => RawValue::Null,
            RawValue::Float(number) => match (self.scale, &self.prefix) {
                (Some(factor), _) => RawValue::Float(scaled(number, factor)),
                (None, Some(prefix)) => RawValue::text(format!("{prefix}{number}")),
                (None, None) => RawValue::Float(number),
            },
            value => value,
        }
    }

    fn apply_to_text(&self, mut text: Box<str>) -> RawValue {
        if let Some(time) = &self.time {
            return time.apply(text);
        }
        if let Some(rest) = self.strip.iter().find_map(|start| text.trim_start().strip_prefix(start)) {
            text = rest.into();
        }
        if self.unescape && text.contains('\\') {
            text = text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t").into();
        }
        if let Some(separators) = &self.separators {
            return split(&text, separators, &self.empty);
        }
        if self.is_path && text.contains(PATH) {
            return split(&text, &PATH.into(), &self.empty);
        }
        if self.uppercase {
            text = text.to_uppercase().into();
        }
        if self.lowercase || (self.is_customer && is_address(&text)) {
            text = text.trim().to_lowercase().into();
        }
        match &self.prefix {
            Some(prefix) => RawValue::text(format!("{prefix}{}", text.trim())),
            None => RawValue::Text(text),
        }
    }
}

/// Whether a text is an e-mail address: no customer has two that differ in their case.
fn is_address(text: &str) -> bool {
    let text = text.trim();
    let is_plain = text.len() <= 254 && !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | ';'));
    is_plain
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

/// The elements of a list in a text, each once, without those that say nothing.
pub(super) fn split(text: &str, separators: &Names, empty: &[Box<str>]) -> RawValue {
    let mut parts = vec![text];
    let unmarked = |part: &str| match part.contains('\\') {
        true => separators
            .iter()
            .fold(part.to_owned(), |part, separator| part.replace(&format!("\\{separator}"), separator)),
        false => part.to_owned(),
    };
    for separator in separators.iter() {
        parts = parts.into_iter().flat_map(|part| unescaped(part, separator)).collect();
    }
    let mut elements: Vec<&str> = Vec::with_capacity(parts.len());
    for part in parts.into_iter().map(str::trim) {
        if !is_empty(empty, part) && !elements.contains(&part) {
            elements.push(part);
        }
    }
    RawValue::List(elements.into_iter().map(|element| RawValue::text(unmarked(element))).collect())
}

/// The parts of a text between separators without a backslash before them, as WooCommerce writes `Home\, Garden`.
fn unescaped<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (place, _) in text.match_indices(separator) {
        if !text[..place].ends_with('\\') {
            parts.push(&text[start..place]);
            start = place + separator.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A number in another unit. A factor such as 0.01 has no exact binary form, but 100 has.
fn scaled(number: f64, factor: f64) -> f64 {
    let divisor = (1.0 / factor).round();
    if divisor != 0.0 && (divisor * factor - 1.0).abs() < 1e-12 { number / divisor } else { number * factor }
}

impl TimeShape {
    fn apply(&self, text: Box<str>) -> RawValue {
        match (self.read(&text), &self.zone) {
            (Some(at), _) => RawValue::text(at.to_string()),
            // The check would read it as UTC.
            (None, Some(zone)) if self.format.is_none() && Timestamp::is_left_out(text.trim(), zone) => {
                RawValue::text(format!("{text} [not a time in {}]", zone.iana_name().unwrap_or("the zone")))
            }
            (None, _) => RawValue::Text(text),
        }
    }

    fn read(&self, text: &str) -> Option<Timestamp> {
        let zone = self.zone.as_ref();
        match &self.format {
            Some(format) => read_format(format, text, zone),
            // A time with an offset, or a number since the epoch, is left to the check.
            None => Timestamp::parse_local(text.trim(), zone?),
        }
    }
}

pub(super) fn read_format(format: &str, text: &str, default: Option<&TimeZone>) -> Option<Timestamp> {
    let parsed = jiff::fmt::strtime::parse(format, text.trim()).ok()?;
    if let Ok(at) = parsed.to_timestamp() {
        return Some(at.into());
    }
    let civil = parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
    match (parsed.iana_time_zone(), default) {
        // A time that the change of the clocks leaves out or makes occur twice is not guessed.
        (Some(name), _) => {
            TimeZone::get(name).ok()?.to_ambiguous_timestamp(civil).unambiguous().ok().map(Timestamp::from)
        }
        (None, Some(zone)) => Timestamp::in_file_zone(civil, zone),
        (None, None) => TimeZone::UTC.to_ambiguous_timestamp(civil).unambiguous().ok().map(Timestamp::from),
    }
}
