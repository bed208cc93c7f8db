//! The time of an event: reading of several notations, and the bounds of what is accepted.

use super::number::excerpt;
use super::repairs::Repairs;
use super::verdict::{Reason, Rejection, Repair};
use crate::raw_value::RawValue;
use crate::{CheckSettings, DAY_MS, Timestamp};

/// Names of fields in which other systems send an event's time, in lower case and without separators; the earlier ones
/// are the more exact.
pub(crate) const OTHER_NAMES: &[&str] = &[
    "at",
    "timestamp",
    "eventtimestamp",
    "eventtime",
    "occurredat",
    "happenedat",
    "originaltimestamp",
    "clienttimestamp",
    "derivedtstamp",
    "dvcecreatedtstamp",
    "collectortstamp",
    "ts",
    "eventts",
    "clientts",
    "tstamp",
    "time",
    "datetime",
    "eventdatetime",
    "eventdate",
    "createdat",
    "eventcreatedat",
    "creationtimestamp",
    "createdtime",
    "createdon",
    "created",
    "loggedat",
    "recordedat",
    "triggeredat",
    "performedat",
    "actiontime",
    "actiontimestamp",
    "timestampms",
    "timestampmicros",
    "timestampmillis",
    "timems",
    "epoch",
    "epochms",
    "unixtime",
    "unixtimestamp",
    "clienttime",
    "servertime",
    "servertimestamp",
    "localtime",
    "sentat",
    "receivedat",
    "viewedat",
    "clickedat",
    "purchasedat",
    "orderedat",
    "addedat",
    "placedat",
    "paidat",
    "processedat",
    "ratedat",
    "searchedat",
    "returnedat",
    "orderdate",
    "ordertime",
    "purchasedate",
    "purchasetime",
    "transactiondate",
    "transactiontime",
    "invoicedate",
    "bestelldatum",
    "bestellzeitpunkt",
    "auftragsdatum",
    "rechnungsdatum",
    "kaufdatum",
    "datecommande",
    "fechapedido",
    "dataordine",
    "datum",
    "zeitpunkt",
    "zeitstempel",
    "zeit",
    "fecha",
    "fechahora",
    "horodatage",
    "dataora",
    "tidspunkt",
    "tidpunkt",
    "visittime",
    "visitdate",
    "viewtime",
    "clicktime",
    "时间",
    "时间戳",
    "下单时间",
    "订单时间",
    "付款时间",
    "支付时间",
    "创建时间",
    "日期",
    "date",
    "when",
    "datecreated",
    "datecreatedgmt",
    // When a server or a connector had it, which may be long after.
    "serverts",
    "tsms",
];

/// The field in which an event without `at` has its time: its place among the properties.
pub(super) fn other_name(properties: &[(Box<str>, RawValue)]) -> Option<usize> {
    let place = |wanted: &str| {
        properties.iter().rposition(|(name, value)| {
            name.len() <= 32
                && !value.is_missing()
                && name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).eq(wanted.chars())
        })
    };
    // Most events have a time, so this search is rare.
    OTHER_NAMES.iter().find_map(|wanted| place(wanted))
}

/// Words in the names of times of other things than the event.
const OF_OTHERS: &[&str] = &[
    "deliver",
    "ship",
    "expir",
    "publish",
    "birth",
    "releas",
    "due",
    "valid",
    "start",
    "end",
    "update",
    "modif",
    "expect",
    "estimat",
    "signup",
    "register",
    "member",
    "since",
    "until",
    "last",
    "first",
    "next",
    "available",
    "launch",
    "arrival",
    "departure",
    "check",
    "dwell",
    "duration",
    "watch",
    "load",
    "time_on",
    "timezone",
    "read",
    "prep",
    "cook",
    "lead",
    "response",
    "item",
    "product",
    "user",
    "customer",
    "account",
    "warranty",
    "best",
    "liefer",
    "versand",
    "geburt",
    "erschein",
    "ablauf",
    "gültig",
    "änderung",
    "lauf",
    "warte",
    "öffnung",
    "entrega",
    "livraison",
    "naissance",
    "nacimiento",
];

/// Refuses an event without a time that has a time in a property whose name does not say whose time it is: the time of
/// its arrival may be years off, and the sender would not notice.
pub(super) fn no_time_beside(properties: &[(Box<str>, RawValue)]) -> Result<(), Rejection> {
    let beside = properties.iter().find(|(name, value)| {
        let name = name.to_lowercase();
        let named = ["time", "timestamp", "tstamp", "date", "_at"].iter().any(|end| name.ends_with(end))
            || name.starts_with("time")
            || name.starts_with("date")
            || [
                "datum",
                "zeit",
                "uhrzeit",
                "fecha",
                "dato",
                "tidspunkt",
                "tijd",
                "tijdstip",
                "data",
                "ora",
                "heure",
                "hora",
                "instant",
                "moment",
                "millis",
                "t",
                "时间",
                "日期",
            ]
            .contains(&&*name);
        named && !OF_OTHERS.iter().any(|other| name.contains(other)) && looks_like_a_time(value)
    });
    match beside {
        None => Ok(()),
        Some((name, _)) => {
            let name = excerpt(&RawValue::text(name.clone()));
            Err(Rejection::new(Reason::BadTime, format!("at: missing, but {name} has a time; send it as `at`")))
        }
    }
}

/// The property of an event without `at` that may have its time, whatever its name is: one with a date that is not the date
/// of something else. It is too little to refuse the event, and enough to tell its sender.
pub(super) fn date_beside(properties: &[(Box<str>, RawValue)]) -> Option<&str> {
    let is_date = |value: &RawValue| match value {
        RawValue::Text(text) => {
            text.trim().parse::<f64>().is_err() && (read_time(value).is_some() || is_day_first(text))
        }
        _ => false,
    };
    let is_of_another = |name: &str| {
        let name = name.to_lowercase();
        OF_OTHERS.iter().any(|other| name.contains(other))
    };
    let beside = properties.iter().find(|(name, value)| is_date(value) && !is_of_another(name));
    beside.map(|(name, _)| &**name)
}

/// Whether a text begins as `28.11.2026` or `11/28/2026` does, which are not read without a mapping.
fn is_day_first(text: &str) -> bool {
    let day = text.trim().split([' ', 'T', ',']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(['.', '/', '-']).collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number) && parts[2].len() == 4 && parts[0].len() <= 2 && parts[1].len() <= 2
}

/// Whether a value is a date in words or a number since the epoch from 2001 on, in any unit.
fn looks_like_a_time(value: &RawValue) -> bool {
    let is_recent = |number: f64| (1e9..1e20).contains(&number);
    match value {
        RawValue::Int(number) => is_recent(*number as f64),
        RawValue::Float(number) => is_recent(*number),
        RawValue::Text(text) => match text.trim().parse() {
            Ok(number) => is_recent(number),
            Err(_) => read_time(value).is_some(),
        },
        _ => false,
    }
}

/// The time of an event that arrived at `received_at`.
pub(super) fn judge_at(
    value: &RawValue,
    received_at: Timestamp,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Result<Timestamp, Rejection> {
    if value.is_missing() {
        repairs.note(Repair::AtFilled);
        return Ok(received_at);
    }
    let Some(at) = read_time(value) else {
        let hint = "write 2026-11-21T10:00:00Z, or say `time_format` in a mapping";
        return Err(Rejection::new(Reason::BadTime, format!("at: {} is not a time; {hint}", excerpt(value))));
    };
    if at < settings.oldest_at {
        return Err(Rejection::new(Reason::FarPast, format!("at: {at} is before {}", settings.oldest_at)));
    }
    let ahead_ms = at.0.saturating_sub(received_at.0);
    if ahead_ms <= i64::from(settings.max_ahead_s) * 1000 {
        return Ok(at);
    }
    if ahead_ms <= i64::from(settings.clamp_ahead_s) * 1000 {
        repairs.note(Repair::AtClamped);
        return Ok(received_at);
    }
    Err(Rejection::new(Reason::FarFuture, format!("at: {at} is {} s after its arrival", ahead_ms / 1000)))
}

/// Reads RFC 3339, `YYYY-MM-DD HH:MM:SS` (as UTC), or a number since the epoch, also in a text.
pub(crate) fn read_time(value: &RawValue) -> Option<Timestamp> {
    match value {
        RawValue::Int(number) => Some(from_epoch(*number)),
        RawValue::Float(number) => from_epoch_fraction(*number),
        RawValue::Text(text) => read_text(text.trim()),
        RawValue::Null | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => None,
    }
}

fn read_text(text: &str) -> Option<Timestamp> {
    // The longest form has an offset and nine digits after the second; 80 bytes also allow a zone in brackets.
    if text.len() > 80 {
        return None;
    }
    if let Some(at) = read_fixed(text.as_bytes()) {
        return Some(at);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(from_epoch(number));
    }
    Timestamp::parse(text).or_else(|| text.parse::<f64>().ok().and_then(from_epoch_fraction))
}

/// Reads the common form `2026-11-21T10:00:00` with `T` or a space, milliseconds or none, `Z` or nothing. It is an
/// order of magnitude faster than the general parser, which reads all other forms.
fn read_fixed(text: &[u8]) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let two = |at: usize| Some(i64::from(digit(seconds[at])? * 10 + digit(seconds[at + 1])?));
    let separators =
        [seconds[4], seconds[7], seconds[13], seconds[16]] == *b"--::" && matches!(seconds[10], b'T' | b' ');
    if !separators {
        return None;
    }
    let millis = match rest {
        b"" | b"Z" => 0,
        [b'.', a, b, c] | [b'.', a, b, c, b'Z'] => {
            i64::from(digit(*a)?) * 100 + i64::from(digit(*b)?) * 10 + i64::from(digit(*c)?)
        }
        _ => return None,
    };
    let year = two(0)? * 100 + two(2)?;
    let (month, day) = (two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then(|| {
        Timestamp((((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
    })
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
/// algorithms"). Years begin in March, so that the leap day is their last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Derives the unit from the size: for times from 1973 to 5138 the ranges of the units do not overlap.
fn from_epoch(number: i64) -> Timestamp {
    if let Some(day) = from_digits_of_a_day(number) {
        return day;
    }
    const SECONDS: u64 = 100_000_000_000;
    const MILLIS: u64 = SECONDS * 1000;
    const MICROS: u64 = MILLIS * 1000;
    Timestamp(match number.unsigned_abs() {
        ..SECONDS => number * 1000,
        SECONDS..MILLIS => number,
        MILLIS..MICROS => number.div_euclid(1000),
        _ => number.div_euclid(1_000_000),
    })
}

/// A day written as one number, `20261121`, as GA4 exports it: as a number of seconds it would lie in August 1970.
fn from_digits_of_a_day(number: i64) -> Option<Timestamp> {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    let valid =
        (1990..2100).contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| Timestamp(days_from_epoch(year, month, day) * DAY_MS))
}

fn from_epoch_fraction(number: f64) -> Option<Timestamp> {
    if !number.is_finite() || number.abs() >= 9e18 {
        return None;
    }
    // Seconds keep their fraction; smaller units have no fraction that matters.
    if number.abs() < 1e11 {
        Some(Timestamp((number * 1000.0).round() as i64))
    } else {
        Some(from_epoch(number as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_time_is_read_from_many_notations() {
        let at = Timestamp::parse("2009-12-01T07:45:00Z");
        let texts = [
            "2009-12-01T07:45:00Z",
            "2009-12-01T07:45:00",
            "2009-12-01 07:45:00",
            "2009-12-01T08:45:00+01:00",
            "2009-12-01T07:45:00.000Z",
            "1259653500",
            "1259653500000",
            "1259653500000000",
            "1259653500.0",
            " 2009-12-01T07:45 ",
        ];
        for text in texts {
            assert_eq!(read_time(&RawValue::text(text)), at, "{text}");
        }
        assert_eq!(read_time(&RawValue::Int(1_259_653_500)), at);
        assert_eq!(read_time(&RawValue::Float(1_259_653_500.0)), at);
        assert_eq!(read_time(&RawValue::text("20091201")), Timestamp::parse("2009-12-01T00:00:00Z"));
        for text in ["yesterday", "2009-13-01 00:00:00", "2009-02-29 00:00:00", "NaN", "inf", "01/12/2009 07:45"] {
            assert_eq!(read_time(&RawValue::text(text)), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_bounds_are_clamped_or_refused() {
        let received_at = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
        let check = |text: &str, expected: Result<&str, Reason>, expected_repairs: &[Repair]| {
            let mut repairs = Repairs::default();
            let verdict = judge_at(&RawValue::text(text), received_at, &CheckSettings::default(), &mut repairs);
            let expected = expected.map(|at| Timestamp::parse(at).unwrap());
            assert_eq!(verdict.map_err(|rejection| rejection.reason), expected, "{text}");
            assert_eq!(repairs.as_slice(), expected_repairs, "{text}");
        };
        check("1997-09-20T00:00:00Z", Ok("1997-09-20T00:00:00Z"), &[]);
        check("2026-11-21T10:05:00Z", Ok("2026-11-21T10:05:00Z"), &[]);
        check("2026-11-21T10:05:00.001Z", Ok("2026-11-21T10:00:00Z"), &[Repair::AtClamped]);
        check("2026-11-22T10:00:00Z", Ok("2026-11-21T10:00:00Z"), &[Repair::AtClamped]);
        check("2026-11-22T10:00:00.001Z", Err(Reason::FarFuture), &[]);
        check("9999-12-31T23:59:59Z", Err(Reason::FarFuture), &[]);
        check("0001-01-01T00:00:00Z", Err(Reason::FarPast), &[]);
        check("-9223372036854775808", Err(Reason::FarPast), &[]);
        check("soon", Err(Reason::BadTime), &[]);
        check("", Ok("2026-11-21T10:00:00Z"), &[Repair::AtFilled]);
    }

    proptest! {
        #[test]
        fn the_fast_reader_agrees_with_the_general_one(ms in -62_135_596_800_000i64..253_402_207_200_000) {
            let text = Timestamp(ms).to_string();
            prop_assert_eq!(read_text(&text), Some(Timestamp(ms)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9T: Z+.-]{0,30}") {
            if let Some(at) = read_fixed(text.as_bytes()) {
                prop_assert_eq!(Timestamp::parse(&text), Some(at));
            }
            read_text(&text);
        }
    }
}
