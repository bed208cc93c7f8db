//! Points in time, in whole milliseconds, so that comparison, subtraction and serialisation are exact.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time_text::{of_go, of_javascript, with_plain_blanks, with_points, with_year_first};

/// Milliseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339 in human-readable formats and as an integer in
/// binary ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// Reads RFC 3339 (`2026-11-21T10:00:00Z`, any offset, fractions), also with the name of a zone in brackets
    /// (RFC 9557) or behind a space (`2026-11-21 10:00 Europe/Berlin`), and the dates of mail (RFC 2822). A time
    /// without an offset or zone is read as UTC. White space of any kind is a blank. Further notations are those of
    /// Go and JavaScript, and dates with points (`25.10.2026 08:02`) or with the year first (`2026/10/25 8:02`). `None`
    /// for a zone that is not known, one that contradicts the offset, and a local time that the zone leaves out or has
    /// twice.
    pub fn parse(text: &str) -> Option<Self> {
        let text = &*with_plain_blanks(text);
        if text.contains('[') {
            return bracketed(text);
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(at.into());
        }
        if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            // The parser passes over an offset or `Z`, but the parser above has read those.
            return in_zone(civil, jiff::tz::TimeZone::UTC);
        }
        if let Some((local, zone)) = text.rsplit_once(' ')
            && let Ok(civil) = local.trim_end().parse::<jiff::civil::DateTime>()
        {
            // A local time that ends in `Z` or an offset has a zone already, of which Go writes the name behind it.
            let is_local = !local.ends_with(['Z', 'z']) && local.parse::<jiff::Timestamp>().is_err();
            return if is_local { in_zone(civil, zone_named(zone)?) } else { of_go(text).map(Self::from) };
        }
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
            return Some(zoned.timestamp().into());
        }
        let text = text.trim();
        let pointed = || with_points(text).and_then(|civil| in_zone(civil, jiff::tz::TimeZone::UTC));
        let year_first = || with_year_first(text).and_then(|text| Self::parse(&text));
        of_go(text).or_else(|| of_javascript(text)).map(Self::from).or_else(pointed).or_else(year_first)
    }

    /// Reads a time without an offset as one of this zone; `None` if the text is none, or has an offset or zone of its
    /// own.
    pub(crate) fn parse_local(text: &str, zone: &jiff::tz::TimeZone) -> Option<Self> {
        local(text).and_then(|civil| Self::in_file_zone(civil, zone))
    }

    /// Whether a text is a time of the day without an offset, a zone or a unit of its own, which is read as UTC.
    pub fn states_no_zone(text: &str) -> bool {
        text.contains(':') && local(text.trim()).is_some()
    }

    /// Whether a text is a time without an offset that the change of the clocks leaves out in this zone.
    pub(crate) fn is_left_out(text: &str, zone: &jiff::tz::TimeZone) -> bool {
        local(text).is_some_and(|civil| Self::in_file_zone(civil, zone).is_none())
    }

    /// A local time of a file whose times are those of one zone. Of a time that occurs twice the first is taken:
    /// without an offset the two cannot be told apart, and the orders of that hour would be refused otherwise. `None`
    /// for a time that the change of the clocks leaves out.
    pub(crate) fn in_file_zone(civil: jiff::civil::DateTime, zone: &jiff::tz::TimeZone) -> Option<Self> {
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            jiff::tz::AmbiguousOffset::Gap { .. } => None,
            _ => ambiguous.earlier().ok().map(Self::from),
        }
    }

    /// Days from `earlier` to `self`; negative if `earlier` is later.
    pub fn days_since(self, earlier: Timestamp) -> f64 {
        (self.0 - earlier.0) as f64 / DAY_MS as f64
    }

    /// The day since the epoch (UTC) that contains this time.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }
}

/// A time without an offset, a zone or a unit of its own.
fn local(text: &str) -> Option<jiff::civil::DateTime> {
    let text = &*with_plain_blanks(text);
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_offset = text.ends_with(['Z', 'z']) || text.parse::<jiff::Timestamp>().is_ok();
    let year_first = || with_year_first(text).and_then(|text| local(&text));
    text.parse().ok().filter(|_| !is_number && !has_offset).or_else(|| with_points(text.trim())).or_else(year_first)
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

/// A time with annotations in brackets, of which the first names the zone and the others, such as `[u-ca=gregory]`, do
/// not change the time.
fn bracketed(text: &str) -> Option<Timestamp> {
    let (local, annotation) = text.split_once('[')?;
    let (zone, _) = annotation.split_once(']')?;
    let zone = zone.strip_prefix('!').unwrap_or(zone);
    if zone.contains('=') {
        return Timestamp::parse(local.trim_end());
    }
    if let Ok(zoned) = text.parse::<jiff::Zoned>() {
        return Some(zoned.timestamp().into()).filter(|_| !is_ambiguous(local, &zoned));
    }
    let local = local.trim_end();
    if local.parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    in_zone(local.parse().ok()?, zone_named(zone)?)
}

/// Whether a time without an offset occurs twice, or not at all, in its zone.
fn is_ambiguous(local: &str, zoned: &jiff::Zoned) -> bool {
    let Ok(civil) = local.trim_end().parse::<jiff::civil::DateTime>() else { return false };
    let has_offset = local.trim_end().parse::<jiff::Timestamp>().is_ok();
    !has_offset && zoned.time_zone().to_ambiguous_timestamp(civil).is_ambiguous()
}

/// A local time in a zone; `None` if the change of the clocks leaves it out or makes it occur twice.
fn in_zone(civil: jiff::civil::DateTime, zone: jiff::tz::TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(civil).unambiguous().ok().map(Timestamp::from)
}

/// A zone by its name (`Europe/Berlin`, `UTC`) or its offset (`+0200`, `+02:00`, `UTC+2`, `GMT-05:00`). Abbreviations
/// such as `IST` have several meanings and are not known.
fn zone_named(name: &str) -> Option<jiff::tz::TimeZone> {
    if matches!(name, "UTC" | "GMT" | "Z" | "utc" | "gmt" | "z") {
        return Some(jiff::tz::TimeZone::UTC);
    }
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    if let Some(digits) = offset.strip_prefix(['+', '-']) {
        let sign = if offset.starts_with('-') { -1 } else { 1 };
        let (hours, minutes) = match digits.split_once(':') {
            Some(parts) => parts,
            None if digits.len() == 4 => digits.split_at(2),
            None => (digits, "0"),
        };
        let number = |text: &str, most: i32| {
            let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|number| plain && *number <= most)
        };
        let seconds = sign * (number(hours, 14)? * 3600 + number(minutes, 59)? * 60);
        return jiff::tz::Offset::from_seconds(seconds).ok().map(jiff::tz::TimeZone::fixed);
    }
    name.contains('/').then(|| jiff::tz::TimeZone::get(name).ok()).flatten()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_reads_back_as_written() {
        let at = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-21T10:00:00Z");
        assert_eq!(Timestamp::parse("2026-11-21T12:00:00+02:00"), Some(at));
        assert_eq!(Timestamp::parse("2026-11-21T10:00:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_zone_that_is_named_counts() {
        let at = Timestamp::parse("2026-01-05T15:00:00Z");
        let notations = [
            "2026-01-05T10:00:00[America/New_York]",
            "2026-01-05T10:00:00-05:00[America/New_York]",
            "2026-01-05T10:00:00.000-05:00[America/New_York][u-ca=gregory]",
            "2026-01-05T10:00[!America/New_York]",
            "2026-01-05T15:00:00Z[Europe/Berlin]",
            "2026-01-05 16:00:00 Europe/Berlin",
            "2026-01-05T16:00 Europe/Berlin",
            "2026-01-05 10:00:00 -0500",
            "2026-01-05 10:00:00 -05:00",
            "2026-01-05 15:00:00 UTC",
            "2026-01-05 17:00:00 UTC+2",
            "2026-01-05 15:00:00.000 GMT",
            "2026-01-05T16:00[+01:00]",
            "2026-01-05T15:00:00Z[u-ca=gregory]",
            "Mon, 05 Jan 2026 16:00:00 +0100",
        ];
        for text in notations {
            assert_eq!(Timestamp::parse(text), at, "{text}");
        }
        // Summer time.
        assert_eq!(Timestamp::parse("2026-07-05 10:00 Europe/Berlin"), Timestamp::parse("2026-07-05T08:00:00Z"));
    }

    #[test]
    fn a_zone_that_is_not_understood_is_no_reason_to_guess() {
        let refused = [
            "2026-01-05T10:00:00[Europe/Atlantis]",
            "2026-01-05 10:00:00 Europe/Atlantis",
            "2026-01-05 10:00:00 IST",
            "2026-01-05T10:00:00+05:00[America/New_York]",
            "2026-01-05T10:00:00Z Europe/Berlin",
            "2026-01-05T10:00:00+01:00 Europe/Berlin",
            "2026-01-05T10:00:00[",
            "2026-03-29T02:30:00[Europe/Berlin]",
            "2026-10-25T02:30:00 Europe/Berlin",
            "2026-01-05 10:00:00 +25:00",
        ];
        for text in refused {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert!(Timestamp::parse("2026-10-25T02:30:00+01:00[Europe/Berlin]").is_some());
    }

    #[test]
    fn a_time_of_the_day_without_a_zone_is_told_from_others() {
        for text in ["2026-10-15 09:05", "2026-10-15T09:05:00.000", "15.10.2026 09:05", "2026/10/15 9:05"] {
            assert!(Timestamp::states_no_zone(text), "{text}");
        }
        for text in [
            "2026-10-15",
            "2026-10-15T09:05:00Z",
            "2026-10-15 09:05 +0200",
            "1767225600",
            "soon",
            "2026-10-15 09:05 UTC",
        ] {
            assert!(!Timestamp::states_no_zone(text), "{text}");
        }
    }

    #[test]
    fn days_are_counted_from_the_epoch_in_both_directions() {
        assert_eq!(Timestamp(-1).day(), -1);
        assert_eq!(Timestamp(DAY_MS).days_since(Timestamp(0)), 1.0);
    }
}
