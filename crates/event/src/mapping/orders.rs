//! Lines of orders whose words are in any language: `[orders]`.
//!
//! In: the columns of an order's state, of what names a line, and of its amount. Out: lines that are no products are left
//! out, orders that were cancelled or given back are taken back, and the amount of a line becomes the price of a piece.

use serde::{Deserialize, Serialize};

use super::Names;
use super::bound::BoundMapping;
use super::bound_state::BoundState;
use super::cell::Cell;
use super::rule::Undo;
use super::vocabulary::{OrderState, StateCell, is_charge};
use crate::check::prefix;
use crate::raw::RawEvent;
use crate::{EventType, RawValue};

/// What the lines of orders say beside the fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// The columns of what became of the order, such as those of its handling and of its payment. A line was never bought if
    /// one of them says so, and otherwise given back if one does. Of a flag, a time or a number of pieces the name of the column
    /// says what it means: `Storniert`, `cancelled_at`, `returned_qty`.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub state: Names,
    /// The columns that name a line. One that names postage, a discount, a voucher or the like in one of them is skipped.
    pub charges: Names,
    /// The column of the amount of the whole line, for lines without a price of one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_total: Option<Box<str>>,
}

impl Orders {
    /// Every column that is named.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.state.iter().chain(self.charges.iter()).chain(self.line_total.as_deref())
    }
}

/// Texts of lines that are no products which are told.
const MAX_TOLD: usize = 5;
/// The texts of a column of states that are not known, so that the lines which have them are purchases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStates {
    /// The name of the column.
    pub column: Box<str>,
    /// Each text and how many lines have it, the most frequent first.
    pub texts: Vec<(Box<str>, u64)>,
}

impl BoundMapping {
    /// Whether the item of a purchase is the number that shop systems write for a product that was deleted. Ids of products begin
    /// at 1 there, and all deleted products would be one.
    pub(super) fn is_of_deleted_product(&mut self, event: &RawEvent) -> bool {
        let item = event.item.text();
        if self.orders.is_none() || !matches!(item.trim(), "0" | "-1" | "0.0") {
            return false;
        }
        let item = item.trim().to_owned();
        self.tell_skipped(&item, "as the number of products that were deleted, whose lines are skipped");
        true
    }

    /// Whether a row is a line of an order that is no product. The first texts that say so are told.
    pub(super) fn is_charge<C: Cell>(&mut self, row: &[C]) -> bool {
        let Some(orders) = &self.orders else { return false };
        let mut texts = orders.charges.iter().map(|place| self.text(row, *place));
        let Some(text) = texts.find(|text| is_charge(text)) else { return false };
        let text: Box<str> = prefix(text.trim(), 60).into();
        drop(texts);
        self.tell_skipped(&text, "as no product, which is skipped");
        true
    }

    /// Tells why a line is skipped, if it was not told before.
    fn tell_skipped(&mut self, text: &str, why: &str) {
        if let Some(orders) = &mut self.orders
            && orders.told.len() < MAX_TOLD
            && !orders.told.iter().any(|told| **told == *text)
        {
            self.notes.push(format!("`{text}` {why}"));
            orders.told.push(text.into());
        }
    }

    /// What becomes of the events of an order in the states of this row.
    pub(super) fn undo_of_order<C: Cell>(&self, row: &[C]) -> Option<Undo> {
        let orders = self.orders.as_ref()?;
        let became = |state: &BoundState| match state.says(&self.text(row, state.place)) {
            StateCell::Undone(state) => Some(state),
            StateCell::Pieces(n, state) => (n >= self.n_pieces(row)).then_some(state),
            StateCell::Purchase | StateCell::Unknown => None,
        };
        let states: Vec<OrderState> = orders.states.iter().filter_map(became).collect();
        match () {
            () if states.contains(&OrderState::NeverBought) => Some(Undo::IfKnown),
            () if states.contains(&OrderState::GivenBack) => Some(Undo::Always),
            () => None,
        }
    }

    /// The number of pieces of a line.
    fn n_pieces<C: Cell>(&self, row: &[C]) -> f64 {
        let field = self.fields.iter().find(|field| field.field == "quantity");
        let value = field.map(|field| self.value(row, field)).and_then(|value| number(&value));
        value.filter(|n| *n != 0.0).map_or(1.0, f64::abs)
    }

    /// Notes what the states of a row say. Those that are not known are told at the end, because the line counts as a purchase.
    pub(super) fn note_states<C: Cell>(&mut self, row: &[C]) {
        let Some(mut orders) = self.orders.take() else { return };
        for state in &mut orders.states {
            let text = self.text(row, state.place);
            state.note(&text);
        }
        self.orders = Some(orders);
    }

    /// The states so far that are not known.
    pub fn unknown_states(&self) -> Vec<UnknownStates> {
        let states = self.orders.iter().flat_map(|orders| &orders.states).filter(|state| !state.unknown.is_empty());
        let of_column = |state: &BoundState| {
            let mut texts: Vec<(Box<str>, u64)> = state.unknown.iter().map(|(text, n)| (text.clone(), *n)).collect();
            texts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
            UnknownStates { column: self.columns[state.place].name.clone(), texts }
        };
        states.map(of_column).collect()
    }

    /// Whether an event is a line of an order of which no piece is left.
    pub(super) fn is_line_of_none(&self, event: &RawEvent) -> bool {
        let is_none =
            matches!(event.quantity, RawValue::Int(0)) || matches!(event.quantity, RawValue::Float(n) if n == 0.0);
        self.orders.is_some() && is_none
    }

    /// Gives an event that has no price that of a piece: the amount of the line, divided by the number of pieces. A purchase
    /// for which money was given back is a return, as one with a negative quantity is.
    pub(super) fn price_of_line<C: Cell>(&self, row: &[C], event: &mut RawEvent) {
        let Some(orders) = self.orders.as_ref().filter(|_| event.price.is_missing()) else { return };
        let Some(source) = &orders.line_total else { return };
        let total = self.source(row, source, orders.reading);
        let Some(amount) = number(&total) else {
            // What is no number is told by the check.
            event.price = total;
            return;
        };
        let is_purchase = matches!(&event.event_type, RawValue::Text(name) if &**name == EventType::Purchase.name());
        if amount < 0.0 && is_purchase && number(&event.quantity).is_none_or(|quantity| quantity > 0.0) {
            event.event_type = RawValue::text(EventType::Return.name());
        }
        let n_pieces = number(&event.quantity).filter(|n| *n != 0.0).unwrap_or(1.0).abs();
        event.price = RawValue::Float((amount.abs() / n_pieces * 1e4).round() / 1e4);
    }
}

fn number(value: &RawValue) -> Option<f64> {
    match value {
        RawValue::Int(number) => Some(*number as f64),
        RawValue::Float(number) => Some(*number),
        _ => None,
    }
}
