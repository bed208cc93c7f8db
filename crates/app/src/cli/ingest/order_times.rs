//! When an order was made, where a table says it in two columns: the day, and the time of day or both. And the notation of times.
//!
//! In: the column that was found for the time, and the first rows. Out: the time of day beside the day, or the column that has
//! both, and the key `time_format`. The hour of an order counts, because what was seen and bought on one day has an order.

use accrue_event::{Mapping, Timestamp, folded};
use accrue_ingest::Sample;

use super::form::{excerpt, quoted};

/// Names of columns of the time of day of an order.
#[rustfmt::skip]
const CLOCKS: &[&str] = &[
    "time", "ordertime", "timeoforder", "purchasetime", "saletime", "timeofday", "timecreated", "createdtime", "uhrzeit", "bestellzeit",
    "bestelluhrzeit", "belegzeit", "zeit", "heure", "heuredecommande", "hora", "horadelpedido", "horapedido", "ora", "oraordine", "tijd",
    "besteltijd", "godzina", "čas", "hodina", "время", "времязаказа", "时间", "下单时间", "時間", "時刻", "注文時間", "注文時刻", "시간", "주문시간", "saat",
    "siparişsaati",
];

/// Whether a column has nothing but times of day, such as `10:22:41 AM`.
pub(super) fn is_time_of_day(sample: &Sample, column: &str) -> bool {
    let is_of_day = |text: &str| {
        let text = text.trim_end_matches(['A', 'P', 'M', 'a', 'p', 'm', '.', ' ', '\u{202f}', '\u{a0}']);
        text.len() <= 8 && text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
    };
    let mut texts = sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).peekable();
    texts.peek().is_some() && texts.all(is_of_day)
}

/// The column among `others` that has the times of the days in `time`: in every row the same day, with an hour behind it.
pub(super) fn finer<'c>(sample: &Sample, time: &str, others: &[&'c str]) -> Option<&'c str> {
    let is_finer = |column: &&&str| {
        let mut rows = sample.pairs(time, column).peekable();
        rows.peek().is_some()
            && rows.all(|(day, at)| {
                let (day, at) = (day.trim(), at.trim());
                let behind = at.strip_prefix(day).unwrap_or_default();
                !day.is_empty() && !day.contains(':') && behind.starts_with([' ', 'T']) && behind.contains(':')
            })
    };
    others.iter().find(is_finer).copied()
}

/// The column of the time of day that belongs to the days in `time`, if both together can be read in every row.
pub(super) fn clock<'c>(sample: &Sample, time: &str, others: &[&'c str]) -> Option<&'c str> {
    let is_clock = |column: &&&str| CLOCKS.contains(&&*folded(column)) && is_time_of_day(sample, column);
    let has_hours = sample.texts(time).any(|text| text.contains(':'));
    let clock = others.iter().find(is_clock).copied().filter(|_| !has_hours)?;
    // A bare `Time` beside two days may be that of either, or of the delivery.
    let is_bare = folded(clock).chars().count() <= 5;
    let is_day = |column: &&&str| folded(column).contains("date") || folded(column).contains("datum");
    if is_bare && others.iter().any(|column| is_day(&column)) {
        return None;
    }
    let texts = sample.joined(&joined(time, clock));
    let reads = |format: &&str| texts.iter().all(|text| Mapping::reads_time(format, text));
    let is_standard = texts.iter().all(|text| Timestamp::parse(text).is_some());
    (!texts.is_empty() && (is_standard || FORMATS.iter().any(reads))).then_some(clock)
}

/// The columns of a day and a time of day as a mapping joins them.
pub(super) fn joined(time: &str, clock: &str) -> String {
    format!("{{{time}}} {{{clock}}}")
}

/// The key `time_format` for times that are in no standard notation.
pub(super) fn time_format(texts: &[String]) -> String {
    // A year of two digits is one of the first century as it stands.
    let is_late = |at: Timestamp| at > Timestamp(0);
    let is_standard =
        |text: &String| text.trim().parse::<f64>().is_ok() || Timestamp::parse(text.trim()).is_some_and(is_late);
    if texts.iter().all(is_standard) {
        return String::new();
    }
    let has_whole_year = |text: &str| text.as_bytes().windows(4).any(|four| four.iter().all(u8::is_ascii_digit));
    let fits = |format: &&&str| {
        let is_whole = format.contains("%Y");
        texts.iter().all(|text| has_whole_year(text) == is_whole && Mapping::reads_time(format, text))
    };
    let fitting: Vec<&str> = FORMATS.iter().filter(fits).copied().collect();
    match fitting[..] {
        [] => {
            format!("# time_format = \"%d.%m.%Y %H:%M\"    # {} is in no notation that is known\n", excerpt(&texts[0]))
        }
        [one] => format!("time_format = {}\n", quoted(one)),
        [one, other, ..] => {
            format!("time_format = {}    # or {}: the first rows fit both\n", quoted(one), quoted(other))
        }
    }
}

/// The notations of times in which `--guess` reads what is in no standard one.
const FORMATS: [&str; 31] = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %I:%M:%S %p",
    "%d-%b-%y",
    "%d.%m.%y",
    "%d.%m.%y %H:%M",
    "%d/%m/%y",
    "%d/%m/%y %H:%M",
    "%m/%d/%y",
    "%m/%d/%y %H:%M",
    "%b %d, %Y %I:%M:%S %p",
    "%m-%d-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%m-%d-%Y",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%d-%m-%Y %I:%M %p",
    "%m-%d-%Y %I:%M %p",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &str, rows: &[&str]) -> Sample {
        let cells = |row: &str| row.split(';').map(str::to_owned).collect::<Vec<_>>();
        let rows = rows.iter().map(|row| cells(row)).collect();
        Sample { columns: cells(columns), rows, is_table: true, ..Sample::default() }
    }

    #[test]
    fn the_hour_of_an_order_is_that_of_the_column_beside_its_day() {
        let of_two = table("order_date;order_time;opened", &["2026-11-01;23:30:00;08:00", "2026-11-02;10:30:00;08:00"]);
        assert_eq!(clock(&of_two, "order_date", &["opened", "order_time"]), Some("order_time"));
        assert_eq!(finer(&of_two, "order_date", &["order_time"]), None);
        let of_both = table("注文日;注文日時;発送日時", &["2026-11-01;2026-11-01 23:30:00;2026-11-03 10:00"]);
        assert_eq!(finer(&of_both, "注文日", &["発送日時", "注文日時"]), Some("注文日時"));
        let american = table("Date;Time", &["11/13/2026;10:11:12 AM"]);
        assert_eq!(clock(&american, "Date", &["Time"]), Some("Time"));
        let of_delivery = table("Order Date;Delivery Date;Time", &["2026-03-01;2026-03-05;14:00"]);
        assert_eq!(clock(&of_delivery, "Order Date", &["Delivery Date", "Time"]), None);
        let unreadable = table("Date;Time", &["week 46;10:11"]);
        assert_eq!(clock(&unreadable, "Date", &["Time"]), None);
    }

    #[test]
    fn the_notation_of_times_is_found() {
        let format_of = |texts: &[&str]| time_format(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(format_of(&["2026-01-05", "1767225600"]), "");
        assert_eq!(format_of(&["05.01.2026 10:00"]), "");
        assert_eq!(format_of(&["25/01/2026"]), "time_format = \"%d/%m/%Y\"\n");
        assert_eq!(format_of(&["14-11-2026 10:00"]), "time_format = \"%d-%m-%Y %H:%M\"\n");
        assert_eq!(format_of(&["01-Nov-26"]), "time_format = \"%d-%b-%y\"\n");
        assert_eq!(format_of(&["11/22/2026 11:30 PM"]), "time_format = \"%m/%d/%Y %I:%M %p\"\n");
        assert_eq!(format_of(&["03/01/26", "03/25/26"]), "time_format = \"%m/%d/%y\"\n");
        for open in ["05/01/2026", "03-04-2026", "03/04/2026 10:11 AM", "03-04-2026 10:11"] {
            assert!(format_of(&[open]).contains("# or "), "{open}");
        }
        assert!(format_of(&["soon"]).starts_with("# time_format"));
    }
}
