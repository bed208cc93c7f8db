//! Durations as people write them in settings and flags: a number and a unit, `90s`, `10m`, `36h`, `400d`.

use std::time::Duration;

/// The units and their lengths in milliseconds, the longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];
/// The longest duration that is read, in days: a million, so that no sum with a time overflows.
const MAX_DAYS: f64 = 1e6;

/// Reads a duration, which may have a fraction (`1.5h`), to the millisecond. `None` if the text has no unit, is not a
/// number or is longer than a million days.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(accrue_event::parse_duration("90m"), Some(Duration::from_secs(5_400)));
/// assert_eq!(accrue_event::parse_duration("90"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit_ms) = UNITS.iter().find_map(|&(unit, ms)| Some((text.strip_suffix(unit)?, ms)))?;
    // The parser of floats also reads signs, exponents and `inf`.
    let is_plain =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.'));
    let number: f64 = number.parse().ok().filter(|_| is_plain)?;
    let ms = number * unit_ms as f64;
    (ms <= MAX_DAYS * UNITS[0].1 as f64).then(|| Duration::from_millis(ms.round() as u64))
}

/// The text that [`parse_duration`] reads as this duration, in the longest unit that divides it; parts of a second are
/// written as a fraction.
pub fn format_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match UNITS.iter().find(|&&(_, unit_ms)| ms.is_multiple_of(u128::from(unit_ms))) {
        Some(&(unit, unit_ms)) => format!("{}{unit}", ms / u128::from(unit_ms)),
        None => format!("{}s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["1s", "90s", "10m", "36h", "400d", "1.5s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1.5h"), parse_duration("90m"));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn other_texts_are_not_read() {
        for text in ["", "s", "10", "-1s", "+1s", "1e3s", "infd", "nans", "1.2.3s", " 1s", "1 s", "2000000d", "1w", "ä"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
