//! Prices that are valid for some time only: `[sale]`.
//!
//! In: the cells of a row and the time for which the file is read. Out: the sale's price if it is valid then. A mapping
//! has no clock, so the caller says the time; without one, a price with dates is not valid.

use serde::{Deserialize, Serialize};

use super::bound::BoundMapping;
use super::cell::{Cell, Reading};
use super::parts::{BoundField, BoundSale, Sales, Source};
use super::shape::{day_in_digits, is_date_alone, read_format};
use super::{Mapping, Names};
use crate::check::{nested_price, read_time};
use crate::{DAY_MS, RawValue, Timestamp, amount};

/// The columns of a price that is valid for some time. A file may lack them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sale {
    /// The price. Without one, or with 0 or what is no number, there is no sale.
    pub price: Names,
    /// When it begins to be valid; without a value, always before.
    pub from: Names,
    /// When it ends; a date alone is valid for that day. Without a value, never.
    pub until: Names,
    /// Both, with a `/` between them.
    pub period: Names,
    /// The format of these times, if it is neither that of the mapping nor a standard one.
    pub time_format: Option<Box<str>>,
    /// Whether the end is midnight of the last day on which the price is valid, as Magento writes it.
    pub until_day: bool,
}

impl Sale {
    /// The columns that are named.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        [&self.price, &self.from, &self.until, &self.period].into_iter().flat_map(Names::iter)
    }
}

impl Sales {
    fn add(&mut self, verdict: &Verdict) {
        let Verdict::Dated { state, change } = verdict else { return };
        self.n_dated += 1;
        match state {
            State::Valid => self.n_valid += 1,
            State::Over => self.n_over += 1,
            State::Ahead => self.n_ahead += 1,
            State::Unreadable => {}
        }
        self.next_change = self.next_change.into_iter().chain(*change).min();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Valid,
    Over,
    Ahead,
    /// A time that cannot be read: the price is not taken.
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    None,
    /// A price without dates.
    Always,
    /// A price with dates, and when it begins or ends next.
    Dated {
        state: State,
        change: Option<Timestamp>,
    },
}

impl BoundSale {
    pub fn new(mapping: &Mapping, sale: &Sale, price: BoundField, [from, until, period]: [Vec<Source>; 3]) -> Self {
        let formats = [&sale.time_format, &mapping.time_format].into_iter().flatten().cloned().collect();
        let (until_day, zone) = (sale.until_day, mapping.zone().ok().flatten());
        Self { price, from, until, period, until_day, formats, zone, as_of: mapping.as_of }
    }

    fn state(&self, from: &RawValue, until: &RawValue) -> Verdict {
        if from.is_missing() && until.is_missing() {
            return Verdict::Always;
        }
        let unreadable = Verdict::Dated { state: State::Unreadable, change: None };
        let Some(now) = self.as_of else { return unreadable };
        let (Ok(from), Ok(until)) = (self.time(from), self.time(until)) else { return unreadable };
        let from = from.map(|(from, _)| from);
        // A date alone is valid until the day is over.
        let until = until.map(|(until, is_date)| match is_date || self.until_day {
            true => Timestamp(until.0.saturating_add(DAY_MS)),
            false => until,
        });
        let (state, change) = match (from, until) {
            (_, Some(until)) if until <= now => (State::Over, None),
            (Some(from), _) if from > now => (State::Ahead, Some(from)),
            (_, until) => (State::Valid, until),
        };
        Verdict::Dated { state, change }
    }

    /// A time and whether it is a date alone; `None` for an empty cell, an error for what is no time.
    fn time(&self, value: &RawValue) -> Result<Option<(Timestamp, bool)>, ()> {
        let digits;
        let text = match value {
            RawValue::Text(text) => text.trim(),
            RawValue::Int(number) if day_in_digits(*number).is_some() => {
                digits = number.to_string();
                &*digits
            }
            value if value.is_missing() => return Ok(None),
            value => return read_time(value).map(|at| Some((at, false))).ok_or(()),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let zone = self.zone.as_ref();
        let formatted =
            self.formats.iter().find_map(|format| Some((read_format(format, text, zone)?, is_date_alone(format))));
        let day = || {
            let day = day_in_digits(text.parse().ok()?)?;
            zone.and_then(|zone| Timestamp::parse_local(&day, zone)).or_else(|| read_time(&RawValue::text(day)))
        };
        let local = || {
            let at = Timestamp::parse_local(text, zone?)?;
            Some((at, is_day(text)))
        };
        let standard = || read_time(&RawValue::text(with_colon(text))).map(|at| (at, is_day(text)));
        formatted.or_else(|| day().map(|at| (at, true))).or_else(local).or_else(standard).map(Some).ok_or(())
    }
}

/// Whether a text that is a time has no time of the day: `2026-01-31`, `31. Jan. 2026`.
fn is_day(text: &str) -> bool {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).collect();
    let lower = text.to_ascii_lowercase();
    let is_half_of_day = ["am", "pm", "a.m.", "p.m."].iter().any(|half| lower.ends_with(half));
    matches!(numbers.len(), 2 | 3) && numbers.iter().all(|digits| digits.len() <= 4) && !is_half_of_day
}

/// The number that a value is, beside a currency or not, or the amount of a price that is an object.
pub(super) fn number(value: &RawValue) -> Option<f64> {
    match value {
        RawValue::Int(number) => Some(*number as f64),
        RawValue::Float(number) => Some(*number),
        RawValue::Other(_) | RawValue::List(_) => number(&nested_price(value)?.0),
        RawValue::Text(text) => amount::read_price(text, amount::Decimal::Any).map(|amount| amount.number),
        RawValue::Null | RawValue::Bool(_) => None,
    }
}

/// Whether a value in the column of a sale's price says that there is no sale: 0, a dash, `none`, `false`. A price that may be
/// two numbers says that there is one; the check refuses it.
fn is_no_sale(price: &RawValue) -> bool {
    let is_open = |text: &str| amount::is_open(text, '.') || amount::is_open(text, ',');
    !matches!(price, RawValue::Text(text) if is_open(text)) && number(price).is_none_or(|price| price <= 0.0)
}

/// A time whose offset is written as `-0800`, with the colon that RFC 3339 has there.
fn with_colon(text: &str) -> String {
    let Some(place) = text.len().checked_sub(5).filter(|place| text.is_char_boundary(*place)) else {
        return text.into();
    };
    let (time, offset) = text.split_at(place);
    let is_offset = offset.starts_with(['+', '-']) && offset[1..].bytes().all(|byte| byte.is_ascii_digit());
    match is_offset && time.contains('T') {
        true => format!("{time}{}:{}", &offset[..3], &offset[3..]),
        false => text.into(),
    }
}

impl BoundMapping {
    /// The price of a sale that is valid, and counts it.
    pub(super) fn sale_price<C: Cell>(&mut self, row: &[C]) -> Option<RawValue> {
        let sale = self.sale.as_ref()?;
        let price = self.value(row, &sale.price);
        let verdict = if is_no_sale(&price) { Verdict::None } else { self.verdict(row, sale) };
        self.sales.add(&verdict);
        let is_valid = matches!(verdict, Verdict::Always | Verdict::Dated { state: State::Valid, .. });
        is_valid.then_some(price)
    }

    fn verdict<C: Cell>(&self, row: &[C], sale: &BoundSale) -> Verdict {
        let text = |sources: &[Source]| self.first(row, sources, Reading::Text);
        let (mut from, mut until) = (text(&sale.from), text(&sale.until));
        if let RawValue::Text(period) = text(&sale.period) {
            let (start, end) = period.split_once('/').unwrap_or((&period, ""));
            (from, until) = (RawValue::text(start.trim()), RawValue::text(end.trim()));
        }
        sale.state(&from, &until)
    }

    /// Whether the price of a sale is lower than the usual one of its row. A higher one is no sale's.
    pub(super) fn is_below_usual<C: Cell>(&self, row: &[C], price: &RawValue) -> bool {
        let field = self.fields.iter().find(|field| field.field == "price");
        let usual = field.and_then(|field| number(&self.value(row, field))).filter(|usual| *usual > 0.0);
        usual.zip(number(price)).is_none_or(|(usual, price)| price < usual)
    }

    /// What became of the prices of sales so far.
    pub fn sales(&self) -> Sales {
        self.sales
    }
}
