//! The check of open-ended fields: readable values become attributes; all others are left out, which is marked as a
//! repair.

use super::repairs::Repairs;
use super::text::{Lines, clean_cut};
use super::verdict::Repair;
use crate::raw_value::RawValue;
use crate::{Attribute, Attributes, CheckSettings};

/// The attributes of a record. Of several values with one name the last is used.
pub(super) fn read<'p>(
    pairs: impl IntoIterator<Item = &'p (Box<str>, RawValue)>,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, value) in pairs {
        let name = clean_cut(name, settings.max_id_bytes, Lines::Join, repairs);
        let Some(attribute) = attribute(value, settings, repairs) else { continue };
        let full = attributes.len() >= settings.max_properties && !attributes.contains_key(&*name);
        if name.is_empty() || full {
            repairs.note(Repair::PropertyDropped);
            continue;
        }
        attributes.insert(name.into(), attribute);
    }
    attributes
}

fn attribute(value: &RawValue, settings: &CheckSettings, repairs: &mut Repairs) -> Option<Attribute> {
    match value {
        RawValue::Null => None,
        RawValue::Bool(value) => Some(Attribute::Bool(*value)),
        RawValue::Int(value) => Some(Attribute::Number(*value as f64)),
        RawValue::Float(value) if value.is_finite() => Some(Attribute::Number(*value)),
        RawValue::Text(text) => {
            let text = clean_cut(text, settings.max_property_bytes, Lines::Keep, repairs);
            (!text.is_empty()).then(|| Attribute::Text(text.into()))
        }
        RawValue::List(values) => Some(Attribute::List(list(values, settings.max_property_bytes, settings, repairs))),
        RawValue::Float(_) | RawValue::Other(_) => {
            repairs.note(Repair::PropertyDropped);
            None
        }
    }
}

/// The texts of a list. Numbers and booleans are converted to texts; nested values are left out.
pub(super) fn list(
    values: &[RawValue],
    max_bytes: usize,
    settings: &CheckSettings,
    repairs: &mut Repairs,
) -> Vec<Box<str>> {
    if values.len() > settings.max_list {
        repairs.note(Repair::ListCut);
    }
    let mut texts = Vec::with_capacity(values.len().min(settings.max_list));
    for value in values.iter().take(settings.max_list) {
        let text: Box<str> = match value {
            RawValue::Null => continue,
            RawValue::Text(text) => clean_cut(text, max_bytes, Lines::Keep, repairs).into(),
            RawValue::Int(number) => number.to_string().into(),
            RawValue::Bool(value) => value.to_string().into(),
            RawValue::Float(number) if number.is_finite() => format!("{number:?}").into(),
            RawValue::Float(_) | RawValue::List(_) | RawValue::Other(_) => {
                repairs.note(Repair::PropertyDropped);
                continue;
            }
        };
        if !text.is_empty() {
            texts.push(text);
        }
    }
    texts
}
