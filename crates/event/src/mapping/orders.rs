//! Lines of orders whose words are in any language: `[orders]`.
//!
//! In: the columns of an order's state, of what names a line, and of its amount. Out: lines that are no products are left
//! out, orders that were cancelled or given back are taken back, and the amount of a line becomes the price of a piece.

use serde::{Deserialize, Serialize};

use super::Names;
use super::bound::BoundMapping;
use super::cell::{Cell, Reading};
use super::parts::Source;
use super::rule::Undo;
use super::vocabulary::{OrderState, is_charge, order_state};
use crate::RawValue;
use crate::raw::RawEvent;

/// What the lines of orders say beside the fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// The column of what became of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<str>>,
    /// The columns that name a line. One that names postage, a discount, a voucher or the like in one of them is skipped.
    pub charges: Names,
    /// The column of the amount of the whole line, for lines without a price of one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_total: Option<Box<str>>,
}

impl Orders {
    /// Every column that is named.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.state.as_deref().into_iter().chain(self.charges.iter()).chain(self.line_total.as_deref())
    }
}

/// [`Orders`] with the places of the columns.
#[derive(Clone, Debug)]
pub(super) struct BoundOrders {
    pub state: Option<usize>,
    pub charges: Vec<usize>,
    pub line_total: Option<Source>,
    pub reading: Reading,
}

impl BoundMapping {
    /// Whether a row is a line of an order that is no product.
    pub(super) fn is_charge<C: Cell>(&self, row: &[C]) -> bool {
        let Some(orders) = &self.orders else { return false };
        orders.charges.iter().any(|place| is_charge(&self.text(row, *place)))
    }

    /// What becomes of the events of an order in the state of this row.
    pub(super) fn undo_of_order<C: Cell>(&self, row: &[C]) -> Option<Undo> {
        let place = self.orders.as_ref()?.state?;
        match order_state(&self.text(row, place))? {
            OrderState::NeverBought => Some(Undo::IfKnown),
            OrderState::GivenBack => Some(Undo::Always),
        }
    }

    /// Gives an event that has no price that of a piece: the amount of the line, divided by the number of pieces.
    pub(super) fn price_of_line<C: Cell>(&self, row: &[C], event: &mut RawEvent) {
        let Some(orders) = self.orders.as_ref().filter(|_| event.price.is_missing()) else { return };
        let Some(source) = &orders.line_total else { return };
        let number = |value: &RawValue| match value {
            RawValue::Int(number) => Some(*number as f64),
            RawValue::Float(number) => Some(*number),
            _ => None,
        };
        let total = self.source(row, source, orders.reading);
        let Some(amount) = number(&total) else {
            // What is no number is told by the check.
            event.price = total;
            return;
        };
        let n_pieces = number(&event.quantity).filter(|n| *n != 0.0).unwrap_or(1.0).abs();
        event.price = RawValue::Float((amount.abs() / n_pieces * 1e4).round() / 1e4);
    }
}
