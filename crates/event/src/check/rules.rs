//! The rules for an event's fields, one small pure function each. A rule returns the field's value and notes repairs,
//! or rejects the event.

use std::borrow::Cow;

use super::ids::{Damage, damage, is_nobody, is_placeholder};
use super::number::{Number, excerpt, finite_f32, number, number_of_price, whole_u32};
use super::rate::RateClass;
use super::repairs::Repairs;
use super::statistics::{KnownItem, RuleStatistics};
use super::text::{Lines, clean, clean_cut, prefix};
use super::verdict::{Reason, Rejection, Repair};
use crate::near::folded;
use crate::published::namespace_bytes;
use crate::raw_value::RawValue;
use crate::settings::{OutlierAction, built_in_alias, built_in_type};
use crate::{CheckSettings, Event, EventType, Price, Text};

type Ruled<T> = Result<T, Rejection>;

/// Names of events by which something is taken out of a cart. The events that are kept have no counterpart of `cart`.
const OF_LESS_IN_CART: &[&str] = &[
    "removefromcart",
    "removedfromcart",
    "productremoved",
    "productremovedfromcart",
    "itemremovedfromcart",
    "cartremove",
    "removecart",
    "deletefromcart",
];

/// The type: a built-in one, one that the settings name, or an alias of either.
pub(super) fn event_type(value: &RawValue, settings: &CheckSettings, repairs: &mut Repairs) -> Ruled<EventType> {
    let name = match value {
        RawValue::Text(name) => &**name,
        RawValue::Null => "",
        _ => return Err(Rejection::new(Reason::BadType, format!("type: {} is not a text", excerpt(value)))),
    };
    if let Some(built_in) = built_in_type(name) {
        return Ok(built_in);
    }
    if settings.types.contains_key(name) {
        return Ok(EventType::Custom(name.into()));
    }
    let name = prefix(name, 256);
    let plain = name.trim().to_lowercase().replace(['-', ' '], "_");
    if plain.is_empty() {
        return Err(Rejection::new(Reason::NoType, "type: missing"));
    }
    let target = settings.aliases.get(plain.as_str()).or_else(|| settings.aliases.get(name)).map_or(&*plain, |to| to);
    let found = built_in_type(target)
        .or_else(|| settings.types.contains_key(target).then(|| EventType::Custom(target.into())))
        .or_else(|| {
            // `Product Viewed`, `product-viewed`, `ProductViewed` and `products/viewed` differ in their separators
            // only.
            let compact = folded(target);
            built_in_type(&compact).or_else(|| built_in_alias(&compact))
        });
    if let Some(event_type) = found {
        repairs.note(Repair::TypeAlias);
        return Ok(event_type);
    }
    let folded_name = folded(target);
    if OF_LESS_IN_CART.contains(&&*folded_name) {
        let detail =
            "is not known, because nothing takes an item out of the cart before it is bought: leave these events out";
        return Err(Rejection::new(Reason::UnknownType, format!("type: {} {detail}", excerpt(value))));
    }
    let hint = "name it in the settings: `check.types` has the weights of own types, `check.aliases` other names of known ones";
    Err(Rejection::new(Reason::UnknownType, format!("type: {} is not known; {hint}", excerpt(value))))
}

/// An id, if one was sent. A whole number is converted to its digits; a placeholder counts as no id.
pub(super) fn id(name: &str, value: &RawValue, settings: &CheckSettings, repairs: &mut Repairs) -> Ruled<Option<Text>> {
    let id: Text = match value {
        RawValue::Null => return Ok(None),
        // A text of this length is too long even without the white space around it.
        RawValue::Text(text) if text.len() <= 16 * settings.max_id_bytes => {
            let text = clean(text, Lines::Join, repairs);
            if is_placeholder(&text) || (matches!(name, "user" | "session") && is_nobody(&text)) {
                repairs.note(Repair::PlaceholderId);
                return Ok(None);
            }
            match damage(&text) {
                None => text.into(),
                Some(Damage::PointZero(whole)) => {
                    repairs.note(Repair::IdRepaired);
                    whole.into()
                }
                Some(Damage::Exponent) => {
                    let detail =
                        format!("{name}: {} was a longer number; a spreadsheet cut its digits", excerpt(value));
                    return Err(Rejection::new(Reason::BadId, detail));
                }
            }
        }
        RawValue::Text(text) if text.trim_ascii().is_empty() => return Ok(None),
        RawValue::Text(text) => return Err(too_long(name, text.len(), settings)),
        RawValue::Int(number) => {
            repairs.note(Repair::TextFromNumber);
            number.to_string().into()
        }
        // Spreadsheet tools write the ids of a column with gaps as 13085.0.
        RawValue::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            repairs.note(Repair::TextFromNumber);
            (*number as i64).to_string().into()
        }
        RawValue::Float(_) | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => {
            return Err(Rejection::new(Reason::BadId, format!("{name}: {} is not an id", excerpt(value))));
        }
    };
    if id.len() - namespace_bytes(&id) > settings.max_id_bytes {
        return Err(too_long(name, id.len(), settings));
    }
    Ok((!id.is_empty()).then_some(id))
}

fn too_long(name: &str, bytes: usize, settings: &CheckSettings) -> Rejection {
    Rejection::new(Reason::IdTooLong, format!("{name}: {bytes} bytes, at most {} allowed", settings.max_id_bytes))
}

/// A free text, if one was sent. A text that is too long is cut; values other than texts and numbers are left out.
pub(super) fn free_text<T: for<'t> From<Cow<'t, str>>>(
    value: &RawValue,
    max_bytes: usize,
    lines: Lines,
    repairs: &mut Repairs,
) -> Option<T> {
    let text = match value {
        RawValue::Null => return None,
        RawValue::Text(text) => clean_cut(text, max_bytes, lines, repairs),
        RawValue::Int(number) => {
            repairs.note(Repair::TextFromNumber);
            number.to_string().into()
        }
        RawValue::Float(number) if number.is_finite() => {
            repairs.note(Repair::TextFromNumber);
            format!("{number:?}").into()
        }
        RawValue::Float(_) | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => {
            repairs.note(Repair::FieldDropped);
            return None;
        }
    };
    (!text.is_empty()).then(|| text.into())
}

/// The strength of the event: 1 if no value was sent. A rating needs a value.
pub(super) fn value(event_type: &EventType, value: &RawValue, repairs: &mut Repairs) -> Ruled<f32> {
    match number(value, repairs) {
        Number::Missing if *event_type == EventType::Rating => {
            Err(Rejection::new(Reason::NoValue, "value: a rating needs one"))
        }
        Number::Missing => Ok(1.0),
        Number::Given(number) => {
            finite_f32(number).ok_or_else(|| Rejection::new(Reason::BadValue, format!("value: {number} is not finite")))
        }
        Number::Unreadable => {
            Err(Rejection::new(Reason::BadValue, format!("value: {} is not a number", excerpt(value))))
        }
    }
}

/// The exact quantity of goods that are sold by weight or length, where it is no whole number of pieces.
pub(super) fn exact_quantity(value: &RawValue) -> Option<f64> {
    match number(value, &mut Repairs::default()) {
        Number::Given(pieces) if pieces.is_finite() && pieces.fract() != 0.0 => Some(pieces.abs()),
        _ => None,
    }
}

/// The number of pieces, at least 1. What is sold by weight counts as the nearest number of pieces. A purchase with a
/// negative quantity becomes a return, so the type may change.
pub(super) fn quantity(
    event_type: &mut EventType,
    value: &RawValue,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Ruled<u32> {
    let bad = || Rejection::new(Reason::BadQuantity, format!("quantity: {} of a {event_type}", excerpt(value)));
    let pieces = match number(value, repairs) {
        Number::Missing => return Ok(1),
        Number::Given(number) => number,
        Number::Unreadable => return Err(bad()),
    };
    if pieces == 0.0 || !pieces.is_finite() {
        return Err(bad());
    }
    let pieces = if pieces.fract() == 0.0 {
        pieces
    } else {
        repairs.note(Repair::QuantityRounded);
        pieces.abs().round().max(1.0).copysign(pieces)
    };
    let absurd =
        || Rejection::new(Reason::AbsurdQuantity, format!("quantity: {pieces}, at most {}", settings.max_quantity));
    let whole = whole_u32(pieces.abs()).filter(|whole| *whole <= settings.max_quantity).ok_or_else(absurd)?;
    if pieces > 0.0 {
        return Ok(whole);
    }
    match event_type {
        EventType::Purchase => {
            *event_type = EventType::Return;
            repairs.note(Repair::ReturnFromNegativeQuantity);
        }
        EventType::Return => repairs.note(Repair::QuantitySign),
        _ => return Err(bad()),
    }
    Ok(whole)
}

/// The price of one piece, if one was sent; 0 is allowed, for gifts.
pub(super) fn price(value: &RawValue, repairs: &mut Repairs) -> Ruled<Option<Price>> {
    let bad = || {
        let hint = match value {
            RawValue::Text(_) => "; send a number, or say `decimal` in a mapping where it may be two numbers",
            _ => "",
        };
        Rejection::new(Reason::BadPrice, format!("price: {}{hint}", excerpt(value)))
    };
    match number_of_price(value, repairs) {
        Number::Missing => Ok(None),
        Number::Given(number) => Price::new(number).map(Some).ok_or_else(bad),
        Number::Unreadable => Err(bad()),
    }
}

/// The price of an event that was sent without one, where prices matter: that of the item, the median of its category,
/// or the median of the catalogue.
pub(super) fn fill_price(
    event_type: &EventType,
    item: Option<KnownItem<'_>>,
    statistics: &RuleStatistics,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Option<Price> {
    if !settings.fill_price || !matches!(event_type, EventType::Purchase | EventType::Cart | EventType::Return) {
        return None;
    }
    if let Some(price) = item.and_then(|item| item.price) {
        repairs.note(Repair::PriceFromItem);
        return Some(price);
    }
    let enough = u64::from(settings.min_prices).max(1);
    let of_category = item.and_then(|item| statistics.category_prices(item.category?));
    if let Some(prices) = of_category.filter(|prices| prices.total() >= enough) {
        repairs.note(Repair::PriceFromCategory);
        return prices.quantile(500).and_then(Price::from_f32);
    }
    if statistics.prices().total() >= enough {
        repairs.note(Repair::PriceFromCatalogue);
        return statistics.prices().quantile(500).and_then(Price::from_f32);
    }
    None
}

/// The position in a recommendation, if a readable one was sent.
pub(super) fn position(value: &RawValue, repairs: &mut Repairs) -> Option<u32> {
    let place = match number(value, repairs) {
        Number::Missing => return None,
        Number::Given(number) => whole_u32(number),
        Number::Unreadable => None,
    };
    if place.is_none() {
        repairs.note(Repair::FieldDropped);
    }
    place
}

/// Checks that quantity and price are not far above the 99.9 % quantile of their kind, once there are enough
/// observations.
pub(super) fn outliers(
    event: &mut Event,
    item: Option<KnownItem<'_>>,
    statistics: &RuleStatistics,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Ruled<()> {
    let rule = &settings.outliers;
    if rule.action == OutlierAction::Off {
        return Ok(());
    }
    // The bound is never below `factor`, so for most events no quantile has to be computed.
    let bound = |histogram: &super::LogHistogram| {
        let enough = histogram.total() >= rule.min_observations;
        histogram.quantile(999).filter(|_| enough).map(|quantile| rule.factor * quantile.max(1.0))
    };
    if event.quantity as f32 > rule.factor
        && let Some(most) = statistics.quantities(&event.event_type).and_then(bound)
        && event.quantity as f32 > most
    {
        if rule.action == OutlierAction::Quarantine {
            let detail = format!("quantity: {}, at most {most} is plausible, given other events", event.quantity);
            return Err(Rejection::new(Reason::QuantityOutlier, detail));
        }
        event.quantity = most as u32;
        repairs.note(Repair::OutlierClamped);
    }
    let known = item.and_then(|item| item.price).map(Price::to_f32).filter(|known| *known > 0.0);
    if let (Some(price), Some(known)) = (event.price.map(Price::to_f32), known)
        && price > rule.factor * known
        && let Some(most) = bound(statistics.price_ratios())
        && price > most * known
    {
        if rule.action == OutlierAction::Quarantine {
            let detail = format!("price: {price}, but the item costs {known}");
            return Err(Rejection::new(Reason::PriceOutlier, detail));
        }
        event.price = Price::from_f32(most * known);
        repairs.note(Repair::OutlierClamped);
    }
    Ok(())
}

/// Checks that the shopper has caused fewer events in this minute than the bound of their class.
pub(super) fn bot_rate(event: &Event, statistics: &RuleStatistics, settings: &CheckSettings) -> Ruled<()> {
    let most = match RateClass::of(&event.event_type) {
        RateClass::Actions => settings.rates.actions,
        RateClass::Impressions => settings.rates.impressions,
        RateClass::BasketLines => settings.rates.basket_lines,
    };
    if most == 0 || statistics.rates(event).events_in_minute(event) < most {
        return Ok(());
    }
    Err(Rejection::new(
        Reason::BotRate,
        format!("more than {most} events of one shopper in the minute of {}", event.at),
    ))
}

/// Checks that the share of newcomers among an item's shoppers is not far above their share for the shop's other items.
pub(super) fn coordinated(event: &Event, statistics: &RuleStatistics, settings: &CheckSettings) -> Ruled<()> {
    let rule = &settings.coordinated;
    if rule.least == 0 {
        return Ok(());
    }
    match statistics.newcomers(event).suspicion(event) {
        Some(seen) if seen.fresh >= rule.least && seen.evidence > f64::from(rule.evidence) => {
            let (fresh, shoppers, elsewhere) = (seen.fresh, seen.shoppers, 100.0 * seen.elsewhere);
            let detail = format!(
                "item: {fresh} of its {shoppers} shoppers of the day are fresh accounts, elsewhere {elsewhere:.1} %"
            );
            Err(Rejection::new(Reason::Coordinated, detail))
        }
        _ => Ok(()),
    }
}
