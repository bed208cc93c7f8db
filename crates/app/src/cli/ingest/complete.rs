//! What the command line adds to a mapping: the time for which files are read, and where pictures lie. And what is to be said about
//! prices that are valid for some time.

use std::time::SystemTime;

use accrue_event::{Mapping, RecordKind, Sales, Timestamp, usual_column};
use accrue_ingest::Sample;

use crate::cli::output::count;
use crate::cli::problem::Problem;

/// Sets the time for which files are read (the time of now, if none is given), and the address under which pictures lie.
pub(super) fn complete(mapping: &mut Mapping, as_of: Option<&str>, image_base: Option<&str>) -> Result<(), Problem> {
    say(mapping, as_of, image_base)?;
    mapping.as_of = mapping.as_of.or_else(|| mapping.sale.is_some().then(now));
    Ok(())
}

/// Adds to a mapping what is given of these, and nothing else.
pub(super) fn say(mapping: &mut Mapping, as_of: Option<&str>, image_base: Option<&str>) -> Result<(), Problem> {
    if let Some(text) = as_of {
        mapping.as_of = Some(Timestamp::parse(text).ok_or_else(|| {
            Problem::new(format!("--as-of: {text:?} is not a time"), "write a time such as 2026-11-21T10:00:00Z")
        })?);
    }
    if let Some(base) = image_base {
        mapping.image_base = Some(base.into());
    }
    Ok(())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What is to be said about pictures of which a file has only paths.
pub(super) fn note_on_images(mapping: &Mapping, sample: &Sample) -> Option<String> {
    if mapping.kind != RecordKind::Items || mapping.image_base.is_some() || mapping.prefix.contains_key("image") {
        return None;
    }
    let columns = mapping.fields.get("image")?;
    let is_path = |text: &&str| {
        let text = text.trim();
        !text.is_empty() && !text.contains("://") && !text.starts_with("//") && !text.starts_with("data:")
    };
    let path = columns.iter().flat_map(|column| sample.texts(column)).find(is_path)?;
    let path: String = path.chars().take(60).collect();
    Some(format!("pictures are paths, such as {path}; say where they lie: --image-base https://YOUR-SHOP/…"))
}

/// What is to be said about times of events that state no zone: they are taken as those of UTC, which most shops are not in.
pub(super) fn note_on_zone(file: &str, mapping: &Mapping, sample: &Sample) -> Option<String> {
    let format = mapping.time_format.as_deref();
    if mapping.kind != RecordKind::Events || mapping.time_zone.is_some() || format.is_some_and(|it| it.contains("%z")) {
        return None;
    }
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    let usual = || usual_column(RecordKind::Events, "at", &columns);
    let column = match mapping.fields.get("at") {
        Some(names) => names.iter().find(|name| columns.contains(name) || name.contains('{')),
        None => usual(),
    };
    let is_of_utc = |name: &&str| ["utc", "gmt"].iter().any(|zone| name.to_lowercase().contains(zone));
    let column = column.filter(|name| !is_of_utc(name))?;
    let texts = sample.joined(column);
    let states_none = |text: &&str| match format {
        Some(format) => ["%H", "%I"].iter().any(|hour| format.contains(hour)) && !text.trim().is_empty(),
        None => Timestamp::states_no_zone(text),
    };
    let example = texts.iter().map(String::as_str).find(states_none)?.trim();
    Some(format!(
        "{file}times without a zone, such as {example}, are taken as UTC; if they are of another zone, write `time_zone = \"Europe/Berlin\"` \
         into the mapping that --guess prints"
    ))
}

/// What is to be said about the prices of sales in a file; nothing if none is valid for some time only.
pub(super) fn note_on_sales(file: &str, sales: Sales) -> Option<String> {
    let Sales { n_dated, n_valid, n_over, n_ahead, next_change } = sales;
    if n_dated == 0 {
        return None;
    }
    let n_unreadable = n_dated - n_valid - n_over - n_ahead;
    let parts = [
        (n_valid, "valid now"),
        (n_over, "over"),
        (n_ahead, "not valid yet"),
        (n_unreadable, "without dates that can be read"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(n))).collect();
    let usual = if n_valid < n_dated { "; the usual price was taken where the sale is not valid" } else { "" };
    let next = next_change
        .map(|at| {
            format!("; the next changes at {at}: ingest a new export then, because prices do not change by themselves")
        })
        .unwrap_or_default();
    Some(format!("{file}: {} prices of sales with dates: {}{usual}{next}", count(n_dated), parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_are_told_with_what_happens_later() {
        assert_eq!(note_on_sales("a.csv", Sales::default()), None);
        let sales = Sales { n_dated: 4, n_valid: 1, n_over: 2, n_ahead: 0, next_change: Some(Timestamp(86_400_000)) };
        let note = note_on_sales("a.csv", sales).unwrap();
        assert!(
            note.starts_with("a.csv: 4 prices of sales with dates: 1 valid now, 2 over, 1 without dates"),
            "{note}"
        );
        assert!(note.contains("the next changes at 1970-01-02T00:00:00Z: ingest a new export then"), "{note}");
    }
}
