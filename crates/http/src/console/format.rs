//! Figures as people read them.

use accrue_event::{Price, Timestamp};
use maud::{Markup, html};

/// A count with its digits in groups of three.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A figure between 0 and 1, to three digits.
pub(super) fn ratio(share: f64) -> String {
    format!("{share:.3}")
}

/// A share in per cent, to one digit.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Currencies without minor units.
const WHOLE: [&str; 6] = ["JPY", "KRW", "VND", "CLP", "ISK", "XAF"];

/// A price with its currency: with two digits behind the point, or more where the price has more.
pub(super) fn price(price: Price, currency: Option<&str>) -> String {
    let mut text = price.to_string();
    if !currency.is_some_and(|currency| WHOLE.contains(&currency)) {
        let n_digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        if n_digits == 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', 2_usize.saturating_sub(n_digits)));
    }
    format!("{text} {}", currency.unwrap_or_default()).trim_end().to_owned()
}

/// A rate, to one digit where it is small.
pub(super) fn rate(per_s: f64) -> String {
    if per_s < 100.0 { format!("{per_s:.1}") } else { count(per_s.round() as u64) }
}

/// A difference with its sign.
pub(super) fn difference(value: f64) -> String {
    if value.abs() < 0.0005 { "0.000".into() } else { format!("{value:+.3}").replace('-', "−") }
}

/// A length of time in its largest unit.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A moment, to the second. The script shows it in the browser's time zone.
pub(super) fn time(at: Timestamp) -> Markup {
    let text = at.to_string();
    let shown = text.get(..19).map_or(text.clone(), |shown| format!("{} UTC", shown.replace('T', " ")));
    html! { time datetime=(text) { (shown) } }
}

/// The first characters of a text.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

/// A text of the table with values in its places: `{}` are filled in their order, `{1}` with the value of that number,
/// counted from 0, where a language has another order.
pub(super) fn filled(text: &str, values: &[&str]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let (mut rest, mut next) = (text, 0);
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').unwrap_or(("", after));
        filled.push_str(before);
        filled.push_str(values.get(place.parse().unwrap_or(next)).copied().unwrap_or("…"));
        (rest, next) = (after, next + 1);
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((ratio(0.24549), percent(0.0123)), ("0.245".into(), "1.2 %".into()));
        assert_eq!([3.04, 99.96, 1_234.4].map(rate), ["3.0", "100.0", "1,234"]);
        assert_eq!([-0.0123, 0.05, 0.0001].map(difference), ["−0.012", "+0.050", "0.000"]);
        assert_eq!([5.0, 600.0, 7_200.0, 1e6].map(seconds), ["5 s", "10 min", "2.0 h", "12 d"]);
        let priced = |value: f64, currency: Option<&str>| price(Price::new(value).unwrap(), currency);
        assert_eq!([priced(8.0, Some("EUR")), priced(33.9, None)], ["8.00 EUR", "33.90"]);
        assert_eq!([priced(0.125, Some("USD")), priced(980.0, Some("JPY"))], ["0.125 USD", "980 JPY"]);
        assert!(time(Timestamp(1_760_000_000_123)).into_string().contains("2025-10-09 08:53:20 UTC"));
        assert_eq!((clipped("cups", 4), clipped("cups and", 5)), ("cups".into(), "cups…".into()));
        assert_eq!(filled("{} of {} {}", &["1", "{}"]), "1 of {} …");
        assert_eq!(filled("{1} after {0}.", &["a", "b"]), "b after a.");
    }
}
