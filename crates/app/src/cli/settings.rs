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
            let value = if key == "http.keys" { without_secrets(value) } else { value };
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

fn without_secrets(mut keys: Value) -> Value {
    for key in keys.as_array_mut().into_iter().flatten() {
        if let Some(secret) = key.get_mut("key") {
            *secret = Value::String("…".into());
        }
    }
    keys
}
