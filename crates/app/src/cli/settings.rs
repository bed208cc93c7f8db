//! `accrue config`: every setting and where it came from.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Value;

use super::Exit;
use super::output::{Output, columns};
use crate::config::Resolved;

#[derive(Serialize)]
struct Shown {
    value: Value,
    from: String,
}

pub(super) fn run(resolved: &Resolved, output: Output) -> anyhow::Result<Exit> {
    let values = resolved.values().into_iter();
    let shown: BTreeMap<String, Shown> = values
        .map(|(key, value, origin)| {
            let value = match &*key {
                "http.keys" => without_secrets(value, "key"),
                "sources" => without_secrets(value, "from"),
                _ => value,
            };
            (key, Shown { value, from: origin.to_string() })
        })
        .collect();
    output.result(&shown, |shown| {
        let mut rows = vec![["key", "value", "from"].map(String::from).to_vec()];
        rows.extend(shown.iter().map(|(key, shown)| vec![key.clone(), shown.value.to_string(), shown.from.clone()]));
        columns(&rows)
    })?;
    Ok(Exit::Success)
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
