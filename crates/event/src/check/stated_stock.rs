//! What a description says of its pieces, under any name.

use super::number::{Number, number};
use super::repairs::Repairs;
use super::stock_of_places::{pieces, with_stock};
use super::{availability, usual};
use crate::raw::RawItem;
use crate::{RawValue, amount};

/// What a description says of its pieces.
#[derive(Clone, Debug, PartialEq)]
pub enum StatedStock {
    /// Nothing.
    Missing,
    /// How many there are.
    Pieces(f64),
    /// That there are some, and not how many.
    Some(RawValue),
    /// What is no stock, as it was sent.
    Unclear(RawValue),
}

/// What a description says of its pieces, under its own name or under that of another system. A number in place of the
/// availability is one of pieces, where nothing else is.
pub fn stated_stock(raw: &RawItem) -> StatedStock {
    let mut named = usual::named(raw, None, &mut Repairs::default());
    with_stock(&mut named, None, &mut Repairs::default());
    let value =
        if named.stock.is_missing() && pieces(&named.available).is_some() { &named.available } else { &named.stock };
    // `1.234` may be one piece and a part, or more than a thousand.
    if matches!(value, RawValue::Text(text) if amount::is_open(text, '.') || amount::is_open(text, ',')) {
        return StatedStock::Unclear(value.clone());
    }
    match number(value, &mut Repairs::default()) {
        Number::Missing => return StatedStock::Missing,
        Number::Given(pieces) if pieces.is_finite() => return StatedStock::Pieces(pieces),
        Number::Given(_) | Number::Unreadable => {}
    }
    let RawValue::Text(text) = value else { return StatedStock::Unclear(value.clone()) };
    match availability::pieces(text, &mut Repairs::default()) {
        Some(Some(pieces)) => StatedStock::Pieces(f64::from(pieces)),
        Some(None) => StatedStock::Some(value.clone()),
        None => StatedStock::Unclear(value.clone()),
    }
}
