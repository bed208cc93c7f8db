//! The conversions of one field: how the value of a cell becomes the value of the field.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::cell::{Cell as _, Reading};
use super::left_out::is_empty;
use super::{LISTS, Mapping, Names};
use crate::raw::is_numeric;
use crate::time_text::with_plain_blanks;
use crate::{RawValue, RecordKind, Text, Timestamp};

/// The conversions of a field's value.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// What a text is read as.
    pub reading: Reading,
    time: Option<TimeShape>,
    scale: Option<f64>,
    shift: Option<f64>,
    /// A position below 0 is 0: some senders count from 0 although the system's own code counts from 1.
    is_position: bool,
    is_unescaped: bool,
    image_base: Option<Box<str>>,
    uppercase: bool,
    lowercase: bool,
    /// Names a customer, for whom an e-mail address is one id however it is written.
    is_customer: bool,
    /// Elements of lists that say nothing.
    empty: Vec<Box<str>>,
    strip: Names,
    extract: Option<Regex>,
    prefix: Option<Box<str>>,
    separators: Option<Names>,
    is_path: bool,
    is_parent: bool,
    /// Names an item or a shopper.
    is_id: bool,
    /// Holds several texts.
    is_list: bool,
    /// An object in this field is a set of attributes, which `[[pairs]]` takes.
    drops_objects: bool,
}

/// What stands between the categories of a path in the feeds of most systems. No category has such a name.
const PATH: &str = " > ";

/// Elements of a list in a cell. The check keeps fewer.
const MAX_LIST: usize = 10_000;

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
            "price" => Reading::Price(mapping.decimal),
            "value" | "quantity" | "stock" => Reading::Amount(mapping.decimal),
            _ if is_numeric(field) && time.as_ref().is_none_or(|time| time.format.is_none()) => Reading::Number,
            _ => Reading::Text,
        };
        Self {
            reading,
            time,
            scale: mapping.scale.get(field).copied().filter(|_| own || field == "price"),
            shift: mapping.shift.get(field).copied().filter(|_| own),
            is_position: field == "position",
            is_unescaped: own && mapping.unescape.iter().any(|name| **name == *field),
            image_base: mapping.image_base.clone().filter(|_| field == "image"),
            uppercase: own && mapping.uppercase.iter().any(|name| **name == *field),
            lowercase: own && mapping.lowercase.iter().any(|name| **name == *field),
            is_customer: match kind {
                RecordKind::Events => matches!(field, "user" | "session"),
                RecordKind::Users => field == "id",
                RecordKind::Items => false,
            },
            empty: mapping.empty.clone(),
            strip: mapping.strip.get(field).cloned().filter(|_| own).unwrap_or_default(),
            // A valid mapping has valid expressions.
            extract: mapping.extracted(field).ok().flatten().filter(|_| own),
            prefix: mapping.prefix.get(field).cloned().filter(|_| own),
            separators: mapping.separators.get(field).cloned().filter(|_| kind == RecordKind::Items),
            is_parent: kind == RecordKind::Items && field == "parent",
            is_path: kind == RecordKind::Items && field == "categories",
            is_id: match kind {
                RecordKind::Items => matches!(field, "id" | "parent"),
                RecordKind::Events => matches!(field, "item" | "user" | "session"),
                RecordKind::Users => field == "id",
            },
            is_list: kind == RecordKind::Items && LISTS.contains(&field),
            drops_objects: kind == RecordKind::Items
                && field == "tags"
                && mapping.pairs.iter().any(|pairs| pairs.column.is_some()),
        }
    }

    pub fn apply(&self, value: RawValue) -> RawValue {
        match value {
            // WooCommerce and others write 0 for "no parent": as an id it would make one product of all.
            RawValue::Int(0) if self.is_parent => RawValue::Null,
            RawValue::Text(text) if self.is_parent && text.trim() == "0" => RawValue::Null,
            RawValue::Text(text) => self.apply_to_text(text),
            RawValue::List(mut values) if self.changes_lists() => {
                values.retain(|value| !matches!(value, RawValue::Text(text) if is_empty(&self.empty, text)));
                if self.is_path {
                    values = values.into_iter().flat_map(|value| self.steps_of(value)).collect();
                }
                values = values.into_iter().filter_map(|value| self.element(value)).collect();
                if values.is_empty() { RawValue::Null } else { RawValue::List(values) }
            }
            // A day in digits, which as a time since 1970 the check would read as the beginning of the day in UTC.
            RawValue::Int(number) if self.time.is_some() => {
                self.time.as_ref().and_then(|time| time.day(number)).unwrap_or(RawValue::Int(number))
            }
            RawValue::Float(0.0) if self.is_parent => RawValue::Null,
            RawValue::Other(_) if self.drops_objects => RawValue::Null,
            RawValue::Int(number) => self.converted(number as f64).unwrap_or_else(|| self.begun(value)),
            RawValue::Float(number) => self.converted(number).unwrap_or_else(|| self.begun(value)),
            value => value,
        }
    }

    /// An element of a list, with what is said of each value of the field; `None` if nothing is left of it.
    fn element(&self, value: RawValue) -> Option<RawValue> {
        match value {
            RawValue::Text(text) => {
                let text = if self.is_unescaped { unescaped_text(&text).map_or(text, Text::from) } else { text };
                Some(self.finished(text)).filter(|text| !text.trim().is_empty()).map(RawValue::Text)
            }
            RawValue::Int(_) | RawValue::Float(_) => Some(self.begun(value)),
            value => Some(value),
        }
    }

    /// A number in our unit, if the mapping says how it becomes one: first multiplied, then shifted.
    fn converted(&self, number: f64) -> Option<RawValue> {
        let in_unit = self.scale.map_or(number, |factor| scaled(number, factor));
        match (self.shift, self.scale) {
            (Some(shift), _) => {
                let shifted = in_unit + shift;
                Some(number_of(if self.is_position { shifted.max(0.0) } else { shifted }))
            }
            (None, Some(_)) => Some(RawValue::Float(in_unit)),
            (None, None) => None,
        }
    }

    /// A number with what is put before the values of the field.
    fn begun(&self, value: RawValue) -> RawValue {
        match &self.prefix {
            Some(prefix) => RawValue::text(format!("{prefix}{}", value.text())),
            None => value,
        }
    }

    fn changes_lists(&self) -> bool {
        !self.empty.is_empty() || self.is_unescaped || self.is_path || self.changes_texts()
    }

    /// Whether [`Shape::finished`] changes anything but addresses of customers.
    fn changes_texts(&self) -> bool {
        let has_beginning = self.prefix.is_some() || self.image_base.is_some() || self.strip.iter().next().is_some();
        has_beginning || self.extract.is_some() || self.uppercase || self.lowercase
    }

    /// The categories on a path such as `Home > Mugs`, of which a product may have several.
    fn steps_of(&self, value: RawValue) -> Vec<RawValue> {
        match value {
            RawValue::Text(text) if text.contains(PATH) => match split(&text, &PATH.into(), &self.empty) {
                RawValue::List(steps) => steps,
                one => vec![one],
            },
            value => vec![value],
        }
    }

    fn apply_to_text(&self, mut text: Text) -> RawValue {
        if let Some(time) = &self.time {
            return time.apply(text);
        }
        if self.is_unescaped {
            text = unescaped_text(&text).map_or(text, Text::from);
        }
        if self.is_id
            && let Some(rest) = text.trim().strip_prefix('\'').filter(|rest| is_marked_for_spreadsheets(rest))
        {
            text = rest.into();
        }
        if self.is_list
            && let Some(list) = list_in_json(&text)
        {
            return self.apply(list);
        }
        if let Some(separators) = &self.separators {
            return self.elements_of(&text, separators);
        }
        if self.is_path && text.contains(PATH) {
            return self.elements_of(&text, &PATH.into());
        }
        RawValue::Text(self.finished(text))
    }

    /// The elements of a list in a text, each as a value of the field.
    fn elements_of(&self, text: &str, separators: &Names) -> RawValue {
        match split(text, separators, &self.empty) {
            RawValue::List(elements) if self.changes_texts() => {
                let finished = |element| match element {
                    RawValue::Text(text) => RawValue::Text(self.finished(text)),
                    other => other,
                };
                RawValue::List(elements.into_iter().map(finished).filter(|element| !element.is_missing()).collect())
            }
            list => list,
        }
    }

    /// One text as a value of the field: what it loses, its case, and what is put before it.
    fn finished(&self, mut text: Text) -> Text {
        if let Some(rest) = self.strip.iter().find_map(|start| text.trim_start().strip_prefix(start)) {
            text = rest.into();
        }
        if let Some(found) = self.extract.as_ref().and_then(|it| it.captures(text.trim())?.get(1)) {
            text = found.as_str().into();
        }
        if self.uppercase {
            text = text.to_uppercase();
        }
        if self.lowercase || (self.is_customer && is_address(&text)) {
            text = text.trim().to_lowercase().into();
        }
        if text.trim().is_empty() {
            return text;
        }
        if let Some(prefix) = &self.prefix {
            text = format!("{prefix}{}", text.trim()).into();
        }
        match &self.image_base {
            Some(base) => picture_under(base, &text).into(),
            None => text,
        }
    }
}

/// The address of a picture, which lies under `base` if it is only a path.
fn picture_under(base: &str, path: &str) -> String {
    let path = path.trim();
    let is_address = path.contains("://") || path.starts_with("//") || path.starts_with("data:");
    match is_address || path.is_empty() {
        true => path.to_owned(),
        false => format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')),
    }
}

/// Whether an apostrophe before this text is a mark of spreadsheets, which would otherwise take the zeros of `0089` or compute
/// `=A1`.
fn is_marked_for_spreadsheets(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '=' | '+' | '-' | '@')) && !rest.contains('\'')
}

/// The list that a cell holds as JSON: `["Clothing","Shirts"]`.
fn list_in_json(text: &str) -> Option<RawValue> {
    let text = text.trim();
    if !text.starts_with('[') || !text.ends_with(']') {
        return None;
    }
    let list: RawValue = serde_json::from_str(text).ok()?;
    Some(list).filter(|list| matches!(list, RawValue::List(values) if values.len() <= MAX_LIST))
}

/// A text without what its writer escaped: line ends as `\n`, and an apostrophe before a sign with which a formula begins. `None`
/// if nothing is escaped.
fn unescaped_text(text: &str) -> Option<Box<str>> {
    let formula = text.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@']));
    let text = formula.unwrap_or(text);
    if !text.contains('\\') {
        return formula.map(Into::into);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('t')) => '\t',
            ('\\', Some('\\')) => '\\',
            _ => {
                plain.push(c);
                continue;
            }
        };
        plain.push(meant);
        chars.next();
    }
    Some(plain.into())
}

fn number_of(number: f64) -> RawValue {
    if number.fract() == 0.0 && number.abs() < 9e15 { RawValue::Int(number as i64) } else { RawValue::Float(number) }
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
    fn apply(&self, text: Text) -> RawValue {
        match (self.read(&text), &self.zone) {
            (Some(at), _) => RawValue::text(at.to_string()),
            // The check would read it as UTC.
            (None, Some(zone)) if self.format.is_none() && Timestamp::is_left_out(text.trim(), zone) => {
                RawValue::text(format!("{text} [not a time in {}]", zone.iana_name().unwrap_or("the zone")))
            }
            (None, _) => RawValue::Text(text),
        }
    }

    /// The beginning of a day that is written as one number, `20260705`, in the zone of the file.
    fn day(&self, number: i64) -> Option<RawValue> {
        let zone = self.zone.as_ref().filter(|_| self.format.is_none())?;
        Timestamp::parse_local(&day_in_digits(number)?, zone).map(|at| RawValue::text(at.to_string()))
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

/// A day that is written as one number, `20260705`, as `2026-07-05`.
pub(super) fn day_in_digits(number: i64) -> Option<String> {
    let is_day = (19_900_101..=20_991_231).contains(&number);
    is_day.then(|| format!("{}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100))
}

/// Whether a format of times has no time of the day.
pub(super) fn is_date_alone(format: &str) -> bool {
    !["%H", "%I", "%k", "%l", "%M", "%T", "%R", "%s"].iter().any(|letter| format.contains(letter))
}

pub(super) fn read_format(format: &str, text: &str, default: Option<&TimeZone>) -> Option<Timestamp> {
    let (format, text) = (with_plain_blanks(format), with_plain_blanks(text));
    let mut text = Cow::Borrowed(text.trim());
    if format.contains("%p") || format.contains("%P") {
        // `10:12 a.m.`
        let lower = text.to_lowercase();
        if let Some(start) = lower.strip_suffix("a.m.").or_else(|| lower.strip_suffix("p.m.")) {
            text = Cow::Owned(format!("{start}{}m", &lower[start.len()..start.len() + 1]));
        }
    }
    let parsed = jiff::fmt::strtime::parse(&*format, &*text).ok()?;
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
