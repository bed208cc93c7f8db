//! Tables of orders among others: those that would be taken for products, and the mapping for one of orders.

use accrue_event::{Mapping, OrderPart, RecordKind, is_unclear_number, order_column, usual_column};
use accrue_ingest::Sample;

use super::guess;
use super::orders::{MAX_COLUMNS, says_more_of_products};
use crate::cli::problem::Problem;

/// The columns of the number of an order and of a quantity in a table that would be taken for products: of what was sold,
/// packed or sent back, and not of a stock.
pub(super) fn in_place_of_stock(sample: &Sample) -> Option<(&str, &str)> {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    if !guess::describes_products(sample) || columns.len() > MAX_COLUMNS {
        return None;
    }
    // What says more of products is a catalogue, in which `Order` may be a place.
    if says_more_of_products(&columns) {
        return None;
    }
    let number = order_column(OrderPart::Number, &columns)?;
    // So is what has prices, which lists of what was packed or sent back have not.
    if is_unclear_number(number) && usual_column(RecordKind::Items, "price", &columns).is_some() {
        return None;
    }
    // The number of an article may be called that of an order (`Bestellnummer`).
    let id = usual_column(RecordKind::Items, "id", &columns).filter(|id| *id != number)?;
    let stock = usual_column(RecordKind::Items, "stock", &columns);
    let quantity = order_column(OrderPart::Quantity, &columns).filter(|quantity| *quantity != id)?;
    stock.is_none_or(|stock| stock == quantity).then_some((number, quantity))
}

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
