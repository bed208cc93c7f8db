//! `accrue config`: every setting and where it came from; the console shows the same.

use std::collections::BTreeMap;

use accrue_http::ShownSetting;
use serde::Serialize;
use toml::Value;

use super::Exit;
use super::output::{Output, columns};
use crate::config::{Origin, Resolved};

#[derive(Serialize)]
struct Shown {
    value: Value,
    from: String,
}

pub(super) fn run(resolved: &Resolved, output: Output) -> anyhow::Result<Exit> {
    let values = values(resolved).map(|(key, value, from)| (key, Shown { value, from: from.to_string() }));
    let shown: BTreeMap<String, Shown> = values.collect();
    output.result(&shown, |shown| {
        let mut rows = vec![["key", "value", "from"].map(String::from).to_vec()];
        rows.extend(shown.iter().map(|(key, shown)| vec![key.clone(), shown.value.to_string(), shown.from.clone()]));
        columns(&rows)
    })?;
    Ok(Exit::Success)
}

/// The settings for the console.
pub(super) fn shown(resolved: &Resolved) -> Vec<ShownSetting> {
    let shown = values(resolved).map(|(key, value, origin)| ShownSetting {
        key,
        value: value.to_string(),
        is_default: origin == Origin::Default,
        origin: origin.to_string(),
    });
    shown.collect()
}

/// Every setting, without secrets.
fn values(resolved: &Resolved) -> impl Iterator<Item = (String, Value, Origin)> {
    let values = resolved.values().into_iter();
    values.map(|(key, value, origin)| {
        let value = match &*key {
            "http.keys" => without_secrets(value, "key"),
            "sources" => without_secrets(value, "from"),
            _ => value,
        };
        (key, value, origin)
    })
}

/// A list of tables without the values that may hold a secret.
fn without_secrets(mut list: Value, key: &str) -> Value {
    for table in list.as_array_mut().into_iter().flatten() {
        if let Some(secret) = table.get_mut(key) {
            *secret = Value::String("…".into());
        }
    }
    list
}
