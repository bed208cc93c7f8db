//! The conversions of one field: how the value of a cell becomes the value of the field.

use jiff::tz::TimeZone;

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
        if let Some(separators) = &self.separators {
            return RawValue::List(split(&text, separators).into_iter().map(RawValue::text).collect());
        }
        if self.is_path && text.contains(PATH) {
            return RawValue::List(split(&text, &PATH.into()).into_iter().map(RawValue::text).collect());
        }
        if self.uppercase {
            text = text.to_uppercase().into();
        }
        match &self.prefix {
            Some(prefix) => RawValue::text(format!("{prefix}{}", text.trim())),
            None => RawValue::Text(text),
        }
    }
}

/// The elements of a list in a text, each once.
fn split<'t>(text: &'t str, separators: &Names) -> Vec<&'t str> {
    let mut parts = vec![text];
    for separator in separators.iter() {
        parts = parts.into_iter().flat_map(|part| part.split(separator)).collect();
    }
    let mut elements: Vec<&str> = Vec::with_capacity(parts.len());
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        if !elements.contains(&part) {
            elements.push(part);
        }
    }
    elements
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
