//! The record of a row: the values of its fields, what rules change in them, and what becomes of the row.

use std::borrow::Cow;

use super::bound::{BoundMapping, Mapped};
use super::cell::{Cell, Reading};
use super::fill::FillDown;
use super::left_out::is_empty;
use super::parts::{BoundProperty, BoundRule, PropertyName};
use super::rule::{Test, Undo, reason};
use super::shape::split;
use crate::check::prefix;
use crate::raw::{RawEvent, RawItem, RawUser};
use crate::{RawValue, RecordKind, Rejection};

/// What the rules say of a row as a whole.
enum Fate {
    Record,
    /// A record that says nothing of its item.
    Undescribed,
    /// A record that takes back the event that it would be.
    Undone(Undo),
    /// A record that, without an item, takes back the order of this id.
    OfOrder(RawValue, Undo),
    Refused(Rejection),
    Deleted,
    Skipped,
}

impl BoundMapping {
    /// The record of a row. Cells beyond the end of a short row are missing.
    pub fn apply<C: Cell>(&mut self, row: &[C]) -> Mapped {
        self.record(row, Vec::new())
    }

    pub(super) fn record<C: Cell>(&mut self, row: &[C], mut rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        if let Some(fill) = &mut self.fill {
            let empty = &self.empty;
            fill.next(row, |text| is_empty(empty, text));
        }
        if self.kind == RecordKind::Events && self.is_charge(row) {
            return Mapped::Skipped;
        }
        self.note_states(row);
        let sale = self.sale_price(row);
        let this = &*self;
        rest.reserve_exact(this.rest.len());
        rest.extend(this.pairs_of_cells(row));
        rest.extend(this.rest.iter().filter_map(|property| this.property(row, property)));
        match this.kind {
            RecordKind::Events => match this.event_record(row, rest) {
                Mapped::Event { event, .. } if self.is_of_deleted_product(&event) => Mapped::Skipped,
                mapped => mapped,
            },
            RecordKind::Items => this.item_record(row, rest, sale),
            RecordKind::Users => this.user_record(row, rest),
        }
    }

    fn event_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        let mut event = RawEvent { properties: rest, ..RawEvent::default() };
        let fate = self.fill(row, None, |field, value| set(event.field_mut(field), value));
        // An order that is taken back has the id that it had as a purchase.
        let before = event.event_type.clone();
        self.price_of_line(row, &mut event);
        let fate = match fate {
            // What is left of a line that was given back whole, as exports with the refunds taken off have it. It does not
            // say how many pieces came back.
            Fate::Record | Fate::Undescribed if self.is_line_of_none(&event) => Fate::Skipped,
            fate => fate,
        };
        if matches!(fate, Fate::Undone(_)) {
            event.event_type = before;
        }
        match fate {
            // A valid mapping deletes no event.
            Fate::Skipped | Fate::Deleted => Mapped::Skipped,
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: event.to_json().into() },
            Fate::OfOrder(id, undo) if event.item.is_missing() => {
                Mapped::Event { event: RawEvent { id, ..event }, item: None, undo: Some(undo) }
            }
            fate => {
                let (item, undo) = match fate {
                    Fate::Undescribed => (None, None),
                    Fate::Undone(undo) => (None, Some(undo)),
                    _ => (self.described_item(row, &event.item), None),
                };
                Mapped::Event { event, item, undo }
            }
        }
    }

    fn item_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>, sale: Option<RawValue>) -> Mapped {
        let mut item = RawItem { attributes: rest, ..RawItem::default() };
        item.currency.clone_from(&self.currency);
        if let Some(product) = self.fill.as_ref().and_then(FillDown::group_above) {
            item.parent = RawValue::text(product);
        }
        let fate = self.fill(row, sale, |field, value| set(item.field_mut(field), value));
        self.add_price_parts(row, &mut item);
        if let Some(family) = &self.family {
            family.complete(&mut item);
        }
        match fate {
            Fate::Skipped => Mapped::Skipped,
            Fate::Deleted => Mapped::ItemRemoved(item.id),
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: item.to_json().into() },
            // Shopify has a row of its own for each further picture of a product.
            _ if item.id.is_missing()
                && item.price.is_missing()
                && self.fill.as_ref().is_some_and(FillDown::continues_group) =>
            {
                Mapped::Skipped
            }
            Fate::Record | Fate::Undescribed | Fate::Undone(_) | Fate::OfOrder(..) => Mapped::Item(item),
        }
    }

    fn user_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        let mut user = RawUser { attributes: rest, ..RawUser::default() };
        match self.fill(row, None, |field, value| set(user.field_mut(field), value)) {
            Fate::Skipped => Mapped::Skipped,
            Fate::Deleted => Mapped::UserRemoved(user.id),
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: user.to_json().into() },
            Fate::Record | Fate::Undescribed | Fate::Undone(_) | Fate::OfOrder(..) => Mapped::User(user),
        }
    }

    /// A property with its name, if it has both.
    fn property<C: Cell>(&self, row: &[C], property: &BoundProperty) -> Option<(Box<str>, RawValue)> {
        let value = match (self.first(row, &property.sources, property.reading), &property.separators) {
            (RawValue::Null, _) => return None,
            (RawValue::Text(text), Some(separators)) => split(&text, separators, &self.empty),
            (value, _) => value,
        };
        let name = match &property.name {
            PropertyName::Fixed(name) => name.clone(),
            PropertyName::Joined(pieces) => self.joined(row, pieces)?.into(),
        };
        Some((name, value))
    }

    /// Sets the fields of a record: first constants, then cells, then the price of a sale, then rules. A rule may refuse or skip
    /// the row.
    fn fill<C: Cell>(&self, row: &[C], sale: Option<RawValue>, mut change: impl FnMut(&'static str, Change)) -> Fate {
        for (field, value) in &self.constants {
            change(field, Change::Set(value.clone()));
        }
        for field in &self.fields {
            // An empty cell does not replace the constant, nor does one of white space, which elsewhere is a text as it
            // is.
            match self.value(row, field) {
                RawValue::Null => {}
                value if value.is_missing() && self.has_constant(field.field) => {}
                value => change(field.field, Change::Set(value)),
            }
            if self.kind == RecordKind::Items
                && field.field == "price"
                && let Some(code) = self.currency_of(row, field)
            {
                change("currency", Change::Set(RawValue::text(code)));
            }
        }
        if let Some(price) = sale.filter(|price| self.is_below_usual(row, price)) {
            change("price", Change::Set(price));
        }
        let mut fate = Fate::Record;
        for rule in &self.rules {
            if !self.holds(rule, row) || (rule.unless_variant && self.is_variant(row)) {
                continue;
            }
            if !rule.describes {
                fate = Fate::Undescribed;
            }
            for (field, value) in &rule.set {
                change(field, Change::Set(value.clone()));
            }
            for field in &rule.copy {
                change(field.field, Change::Set(self.value(row, field)));
            }
            rule.clear.iter().for_each(|field| change(field, Change::Set(RawValue::Null)));
            rule.absolute.iter().for_each(|field| change(field, Change::Absolute));
            if rule.skip {
                return Fate::Skipped;
            }
            if let Some(order) = rule.undo_order.as_ref().map(|of| self.value(row, of)).filter(|id| !id.is_missing()) {
                let is_left_out = rule.undo == Some(Undo::IfKnown);
                return Fate::OfOrder(order, if is_left_out { Undo::KnownOrder } else { Undo::Order });
            }
            if let Some(undo) = rule.undo.filter(|_| rule.undo_order.is_none()) {
                return Fate::Undone(undo);
            }
            if rule.delete {
                return Fate::Deleted;
            }
            if let Some((code, column)) = &rule.quarantine {
                return Fate::Refused(self.refuse(code, column, rule, row));
            }
        }
        self.undo_of_order(row).map_or(fate, Fate::Undone)
    }

    /// Whether the mapping says what a field is where a record says nothing.
    fn has_constant(&self, field: &str) -> bool {
        self.constants.iter().any(|(constant, _)| *constant == field)
            || (field == "currency" && self.currency != RawValue::Null)
    }

    fn holds<C: Cell>(&self, rule: &BoundRule, row: &[C]) -> bool {
        let reading = Reading::Amount(self.decimal);
        let holds = |test: &Test, text: &str, is_object: bool| {
            test.holds(text, is_empty(&self.empty, text) && !is_object, reading)
        };
        rule.when.iter().all(|(column, test)| {
            let own = row.get(*column);
            let given = |value: &&RawValue| value.is_object() || !is_empty(&self.empty, &value.text());
            let mut elements = own.and_then(Cell::elements).unwrap_or_default().iter().filter(given).peekable();
            if elements.peek().is_none() {
                return holds(test, &self.text(row, *column), own.is_some_and(Cell::is_object));
            }
            // Of an element that repeats, or an array: one that passes is enough, but none may have what must not be.
            let mut passed = elements.map(|value| holds(test, &value.text(), value.is_object()));
            if test.is_negative() { passed.all(|passed| passed) } else { passed.any(|passed| passed) }
        })
    }

    /// Whether a product of the file names the item of this row as its variant.
    fn is_variant<C: Cell>(&self, row: &[C]) -> bool {
        let Some(family) = &self.family else { return false };
        let id = self.fields.iter().find(|field| field.field == "id");
        id.is_some_and(|id| family.is_variant(&self.value(row, id)))
    }

    fn refuse<C: Cell>(&self, code: &str, column: &str, rule: &BoundRule, row: &[C]) -> Rejection {
        let text = rule.when.first().map_or(Cow::Borrowed(""), |(place, _)| self.text(row, *place));
        let near = prefix(&text, 80);
        Rejection::new(reason(code), format!("a rule of the mapping refuses {column} {near:?}"))
    }

    fn described_item<C: Cell>(&self, row: &[C], id: &RawValue) -> Option<Box<RawItem>> {
        if self.item.is_empty() || id.is_missing() {
            return None;
        }
        let mut item = RawItem { id: id.clone(), ..RawItem::default() };
        item.currency.clone_from(&self.currency);
        let mut says_anything = false;
        for field in &self.item {
            if field.field == "price"
                && let Some(code) = self.currency_of(row, field)
            {
                item.currency = RawValue::text(code);
            }
            let value = self.value(row, field);
            says_anything |= !value.is_missing();
            if field.field != "currency" || !value.is_missing() {
                set(item.field_mut(field.field), Change::Set(value));
            }
        }
        item.price = rounded(std::mem::take(&mut item.price), &item.currency);
        says_anything.then(|| Box::new(item))
    }
}

/// Currencies without decimals, and those with three.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
const THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// A price as a shop would show it. One that an order has computed (`37.8151260504202`, without tax) has the decimals of its
/// currency; one with a few decimals is as it was written.
fn rounded(price: RawValue, currency: &RawValue) -> RawValue {
    let RawValue::Float(number) = price else { return price };
    let is_computed = (number * 1e4).fract() != 0.0 && ((number * 1e4).round() / 1e4 - number).abs() > 1e-9;
    if !is_computed || !number.is_finite() {
        return price;
    }
    let unit = match currency {
        RawValue::Text(code) if WHOLE.contains(&**code) => 1.0,
        RawValue::Text(code) if THREE_DECIMALS.contains(&**code) => 1e3,
        _ => 1e2,
    };
    RawValue::Float((number * unit).round() / unit)
}

/// A change of a field.
enum Change {
    Set(RawValue),
    Absolute,
}

fn set(field: Option<&mut RawValue>, change: Change) {
    let field = field.expect("a validated mapping names only existing fields");
    match change {
        Change::Set(value) => *field = value,
        Change::Absolute => match field {
            RawValue::Int(number) => *number = number.saturating_abs(),
            RawValue::Float(number) => *number = number.abs(),
            _ => {}
        },
    }
}
