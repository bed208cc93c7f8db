//! What `--guess` writes for a table that looks like orders without being clearly purchases: a mapping of events with what is open
//! as comments, and never one of products or customers, whose stock would be the quantity of the last line.

use std::collections::{BTreeSet, HashMap};

use accrue_event::{RecordKind, StateColumn, usual_column};
use accrue_ingest::Sample;

use super::documents;
use super::form::quoted;
use super::orders::{OrderColumns, is_clear_number};

/// Kinds of documents that are listed.
const MAX_KINDS: usize = 8;

/// Whether a table has what only orders have, though perhaps not the number of a product or not sales alone.
pub(super) fn looks_like_orders(orders: &OrderColumns<'_>, sample: &Sample) -> bool {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    let has = |kind, field| usual_column(kind, field, &columns);
    let has_stock = has(RecordKind::Items, "stock").is_some_and(|stock| Some(stock) != orders.quantity);
    let is_other = ["type", "query"].iter().any(|field| has(RecordKind::Events, field).is_some());
    let buyer = orders.buyer.or(orders.named_buyer);
    let is_clear = |number: &&str| is_clear_number(number, buyer, orders.time, &columns);
    let has_number = orders.number.filter(is_clear).is_some() && (buyer.is_some() || orders.quantity.is_some());
    let is_flat = !columns.iter().any(|column| column.contains("[]"));
    let is_sold = has_number || (buyer.is_some() && orders.quantity.is_some());
    is_flat && is_sold && !has_stock && !is_other
}

/// Comments on what is open, for a table whose rows are not clearly purchases.
pub(super) fn remarks(orders: &OrderColumns<'_>, sample: &Sample) -> String {
    let why = orders.doubt(sample).or_else(|| orders.without_lines(sample));
    let why = why.unwrap_or_else(|| "no column that is known for the rest of an order".to_owned());
    let mut text = format!(
        "# It has {}, as orders have, and {why}.\n# So it is not clear that every row is a purchase: look at the first records before you use this.\n",
        orders.evidence()
    );
    if let Some(column) = documents::kind_of_document(sample) {
        let kinds: BTreeSet<&str> = sample.texts(column).map(str::trim).filter(|kind| !kind.is_empty()).collect();
        let kinds: Vec<&str> = kinds.into_iter().take(MAX_KINDS).collect();
        text.push_str(&format!(
            "# `{column}` has {}. A rule for each that is no sale leaves it out, or makes it a return with `undo = \"always\"`:\n\
             # [[rule]]\n# when = {{ column = {}, equals = {} }}\n# skip = true\n",
            kinds.join(", "),
            quoted(column),
            quoted(kinds.first().copied().unwrap_or_default())
        ));
    }
    text
}

/// The key that fills the cells of an order which only its first line has; nothing if every line has them.
pub(super) fn fill_down(orders: &OrderColumns<'_>, sample: &Sample) -> String {
    let cells = |column: Option<&str>| -> Vec<&str> {
        column.map(|column| sample.pairs(column, column).map(|(text, _)| text.trim()).collect()).unwrap_or_default()
    };
    let (numbers, times, items, buyers) =
        (cells(orders.number), cells(Some(orders.time)), cells(orders.item), cells(orders.buyer));
    let is_empty = |cells: &[&str], row: usize| cells.get(row).is_none_or(|cell| cell.is_empty());
    if orders.number.is_none() || orders.item.is_none() || is_empty(&numbers, 0) {
        return String::new();
    }
    let is_named_once = |row: &usize| is_empty(&numbers, *row) && is_empty(&times, *row) && !is_empty(&items, *row);
    // Whether the first line of each order has its buyer. Looked up only.
    let mut has_buyer: HashMap<&str, bool> = HashMap::new();
    let mut lacks_buyer = false;
    for (number, buyer) in numbers.iter().zip(&buyers).filter(|(number, _)| !number.is_empty()) {
        let in_first = *has_buyer.entry(number).or_insert(!buyer.is_empty());
        lacks_buyer |= in_first && buyer.is_empty();
    }
    // The last row alone may be one of sums.
    let n_inner = sample.rows.len().saturating_sub(1);
    let mut names = match (1..n_inner).any(|row| is_named_once(&row)) {
        true => vec!["session", "at", "user"],
        false if lacks_buyer => vec!["user"],
        false => return String::new(),
    };
    if orders.buyer.is_none() {
        names.retain(|name| *name != "user");
    }
    if names.len() > 1 {
        // A flag or a number of pieces is of the line, also where it is empty.
        names.extend(orders.states.iter().flatten().filter(|state| StateColumn::marked(state).is_none()));
    }
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    format!("fill_down = [{}]    # only the first line of an order has them\n", names.join(", "))
}
