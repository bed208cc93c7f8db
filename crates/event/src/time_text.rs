//! Notations of times that programs write beside RFC 3339: those of Go, of JavaScript, dates with points, and dates that begin
//! with the year.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// A text with blanks in place of all other white space, and without invisible marks: PHP writes a narrow no-break space
/// before `AM`, and browsers write a mark of direction before dates.
pub(crate) fn with_plain_blanks(text: &str) -> Cow<'_, str> {
    let is_mark = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}');
    if !text.chars().any(|c| !c.is_ascii() && (c.is_whitespace() || is_mark(c))) {
        return Cow::Borrowed(text);
    }
    let plain = text.chars().filter(|c| !is_mark(*c)).map(|c| if c.is_whitespace() { ' ' } else { c });
    Cow::Owned(plain.collect())
}

/// Go's `2026-10-25 08:02:41.5 +0200 CEST m=+0.1`: the offset decides, and what follows it says the same again.
pub(crate) fn of_go(text: &str) -> Option<jiff::Timestamp> {
    let mut words = text.split(' ').filter(|word| !word.is_empty() && !word.starts_with("m="));
    let (date, time, offset, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_name = name.len() <= 6 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));
    let is_offset = offset.len() == 5 && offset.starts_with(['+', '-']);
    if !is_name || !is_offset || words.next().is_some() {
        return None;
    }
    let number = |text: Option<&str>| text?.parse::<i32>().ok();
    let (hours, minutes) = (number(offset.get(1..3))?, number(offset.get(3..5))?);
    let seconds = (hours * 3600 + minutes * 60) * if offset.starts_with('-') { -1 } else { 1 };
    let zone = Offset::from_seconds(seconds).ok().filter(|_| minutes < 60).map(TimeZone::fixed)?;
    let civil: DateTime = format!("{date} {time}").parse().ok()?;
    zone.to_ambiguous_timestamp(civil).unambiguous().ok()
}

/// JavaScript's `Sun Oct 25 2026 08:02:41 GMT+0000 (Coordinated Universal Time)`.
pub(crate) fn of_javascript(text: &str) -> Option<jiff::Timestamp> {
    let start = text.split(" (").next()?;
    let parsed = jiff::fmt::strtime::parse("%a %b %d %Y %H:%M:%S GMT%z", start.trim()).ok()?;
    parsed.to_timestamp().ok()
}

/// `25.10.2026`, also with a time. Between points the day comes first in every country that writes dates so.
pub(crate) fn with_points(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', ',']).unwrap_or((text, ""));
    let mut parts = date.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(day, 2) || !is_number(month, 2) || year.len() != 4 || !is_number(year, 4) || parts.next().is_some() {
        return None;
    }
    let time = time.trim_matches([' ', ',']);
    let time = time.strip_suffix(" Uhr").unwrap_or(time);
    let time = match time.find(':') {
        None if time.is_empty() => "00:00".to_owned(),
        None => return None,
        Some(place) => format!("{}{time}", if place == 1 { "0" } else { "" }),
    };
    // The parser passes over an offset, which a local time does not have.
    let is_plain = time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    format!("{year}-{month:0>2}-{day:0>2}T{time}").parse().ok().filter(|_| is_plain)
}

/// `2026/11/01 8:00`, `2026.11.1` and `2026年11月1日 8时05分`, as systems in China, Japan and Korea write times, as RFC 3339
/// has them. What begins with a year has the month next. `None` for other texts, and for those that are in that form already.
pub(crate) fn with_year_first(text: &str) -> Option<String> {
    let digits = |text: &str, most: usize| -> Option<(usize, usize)> {
        let n = text.bytes().take_while(u8::is_ascii_digit).count();
        Some((text[..n].parse().ok()?, n)).filter(|_| n <= most)
    };
    let text = text.trim();
    let (year, n) = digits(text, 4).filter(|(_, n)| *n == 4)?;
    let mut rest = &text[n..];
    let is_written_out = rest.starts_with('年');
    let separator = rest.chars().next().filter(|c| matches!(c, '/' | '.' | '-' | '年'))?;
    rest = rest[separator.len_utf8()..].trim_start();
    let (month, n_month) = digits(rest, 2)?;
    rest = rest[n_month..].strip_prefix(if is_written_out { '月' } else { separator })?.trim_start();
    let (day, n_day) = digits(rest, 2)?;
    rest = &rest[n_day..];
    rest = if is_written_out { rest.strip_prefix(['日', '号'])? } else { rest };
    let time = match rest.strip_prefix(['T', ' ']) {
        None if rest.is_empty() || is_written_out => rest.trim(),
        None => return None,
        Some(time) => time.trim(),
    };
    let time: String = time.chars().map(|c| if matches!(c, '时' | '時' | '点' | '分') { ':' } else { c }).collect();
    let time = time.trim_end_matches(['秒', ':']);
    // The text would be read without end.
    if separator == '-' && time.find(':') != Some(1) && n_month == 2 && n_day == 2 {
        return None;
    }
    let two_digits = |part: &str| match digits(part, 1) {
        Some((_, 1)) => format!("0{part}"),
        _ => part.to_owned(),
    };
    let time = if time.is_empty() {
        "00:00".to_owned()
    } else {
        time.split(':').map(two_digits).collect::<Vec<_>>().join(":")
    };
    Some(format!("{year:04}-{month:02}-{day:02}T{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn notations_of_programs_are_read() {
        let at = Timestamp::parse("2026-10-25T08:02:41Z").unwrap();
        for text in [
            "2026-10-25 08:02:41 +0000 UTC",
            "2026-10-25 10:02:41 +0200 CEST",
            "2026-10-25 10:02:41 +0200 +0200",
            "2026-10-25 08:02:41 +0000 UTC m=+0.017",
            "2026-10-25 04:02:41 -0400 EDT",
            "Sun Oct 25 2026 08:02:41 GMT+0000 (Coordinated Universal Time)",
            "Sun Oct 25 2026 10:02:41 GMT+0200",
            "25.10.2026 08:02:41",
            "25.10.2026, 8:02:41",
            "25.10.2026\u{a0}08:02:41",
            "2026-10-25\u{202f}08:02:41",
            "\u{200e}25.10.2026, 08:02:41 Uhr",
        ] {
            assert_eq!(Timestamp::parse(text), Some(at), "{text:?}");
        }
        assert_eq!(Timestamp::parse("1.2.2026"), Timestamp::parse("2026-02-01"));
    }

    #[test]
    fn what_begins_with_the_year_has_the_month_next() {
        let at = Timestamp::parse("2026-11-01T08:05:00Z").unwrap();
        for text in [
            "2026/11/01 08:05",
            "2026/11/1 8:05:00",
            "2026/11/01 08:05:00.000",
            "2026.11.01 08:05",
            "2026-11-1 8:05",
            "2026/11/01T08:05:00Z",
            "2026/11/01 16:05 Asia/Shanghai",
            "2026/11/01 16:05:00 +08:00",
            "2026年11月1日 08:05",
            "2026年11月01日8时5分",
            "2026年11月1日 8時05分00秒",
        ] {
            assert_eq!(Timestamp::parse(text), Some(at), "{text:?}");
        }
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(Timestamp::parse_local("2026/11/1 16:05", &zone), Some(at));
        assert_eq!(Timestamp::parse_local("2026/11/01 16:05:00 +08:00", &zone), None, "it has its own");
        assert_eq!(Timestamp::parse("2026/11/01"), Timestamp::parse("2026-11-01T00:00:00Z"));
        for text in [
            "2026/13/01",
            "2026/02/30",
            "2026/11",
            "20261/1/1",
            "2026/11/01 25:00",
            "2026/11.01",
            "2026/11/01x",
            "11/01/2026",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_near_a_notation_is_none() {
        for text in [
            "2026-10-25 08:02:41 +0000 Europe/Berlin",
            "2026-10-25 08:02:41 +0099 XYZ",
            "2026-10-25 08:02:41 UTC CEST",
            "25.13.2026",
            "25.10.26",
            "25.10.2026 08",
            "25.10.2026 08:02+02:00",
            "1.2.3.2026",
            "..2026",
            "é.1.2026",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }
}
