//! Settings of a protocol and of its model, given as `key=value`.

use std::collections::BTreeMap;
use std::str::FromStr;

use accrue_engine::online_model::OnlineModel;
use accrue_event::Tree;
use anyhow::{Context as _, bail};
use serde::Deserialize as _;

/// The setting of a stream that names the encoder.
pub(super) const ENCODER: &str = "content.encoder";

pub(super) fn number<T: FromStr>(text: Option<&str>, key: &str, otherwise: T) -> anyhow::Result<T> {
    match text {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| anyhow::anyhow!("{key}={text} is not a value of `{key}`")),
    }
}

/// The model's settings with those of the request, whose paths are those of the `[model]` section.
pub(super) fn with_model_settings(
    settings: &accrue_model::Settings,
    model: &str,
    pairs: &BTreeMap<&str, &str>,
) -> anyhow::Result<accrue_model::Settings> {
    let model = OnlineModel::named(model)?;
    let mut settings = settings.clone();
    // Those of the name first, because the name may choose a model that the other settings are for.
    for (key, text) in model.settings().into_iter().chain(pairs.iter().map(|(&key, &text)| (key, text))) {
        let path = key.strip_prefix("model.").unwrap_or(key);
        let mut table = toml::Table::try_from(&settings)?;
        let changed = set(&mut table, path, text).and_then(|()| Ok(Tree::deserialize(table)?.read()?));
        settings = changed.with_context(|| format!("--set {key}={text}"))?;
    }
    settings.part = model.part;
    settings.validate()?;
    Ok(settings)
}

/// Replaces the value at `path` with one of the same type.
fn set(table: &mut toml::Table, path: &str, text: &str) -> anyhow::Result<()> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let known = table.keys().cloned().collect::<Vec<_>>().join(", ");
    let Some(value) = table.get_mut(head) else {
        bail!(
            "there is no setting `{head}`; the protocol has unit, mode, warm, epochs, guard, every, from_day, new_items, shuffle, \
               types, history_capacity, and the known ones here are {known}"
        );
    };
    match (value, rest) {
        (toml::Value::Table(inner), Some(rest)) => set(inner, rest, text)?,
        (toml::Value::Integer(value), None) => *value = text.parse()?,
        (toml::Value::Float(value), None) => *value = text.parse()?,
        (toml::Value::Boolean(value), None) => *value = text.parse()?,
        (toml::Value::String(value), None) => *value = text.to_string(),
        // A fitted model is given by its name in the place of its settings.
        (value @ toml::Value::Table(_), None) if path == "model" => *value = toml::Value::String(text.into()),
        _ => bail!("`{path}` is not a single setting"),
    }
    Ok(())
}
