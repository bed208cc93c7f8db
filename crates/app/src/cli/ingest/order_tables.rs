//! The mapping for a table of orders, as `--guess` prints it, and the order of day and month in its dates.

use accrue_event::Mapping;
use accrue_ingest::Sample;

use super::guess;
use crate::cli::problem::Problem;

/// The mapping for a table of orders, as `--guess` prints it, and the notation of dates if the first rows fit two. How the
/// file is written is recognised as it is read.
pub(super) fn mapping_for(sample: &Sample, given: &Mapping) -> Result<(Mapping, Option<Box<str>>), Problem> {
    let text = guess::written(sample, given, None, "the file");
    // Of two notations of dates that fit the first rows, the check says so. Where people write semicolons between cells or
    // letters beyond English ones, the day comes before the month. Signs such as `€` are no letters.
    let has_letters = |column: &String| column.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    let is_day_first = sample.delimiter == Some(';') || sample.columns.iter().any(has_letters);
    let is_open = |line: &&str| line.starts_with("time_format") && line.contains("# or ");
    let has_two = text.lines().any(|line| is_open(&line));
    let text: Vec<&str> = text.lines().filter(|line| !is_open(line) || is_day_first).collect();
    let mapping = toml::from_str::<Mapping>(&text.join("\n")).map_err(|error| {
        Problem::new(format!("no mapping could be made for the orders: {error}"), "--guess prints what was found")
    })?;
    let chosen = mapping.time_format.clone().filter(|_| has_two);
    Ok((Mapping { delimiter: given.delimiter, encoding: given.encoding.clone(), ..mapping }, chosen))
}
