//! Calls into rooms that are still being built: one place to connect each of them.

use serde::Serialize;

use super::evaluate;
use super::problem::Problem;
use crate::config::Config;

/// One measurement of `accrue bench`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub target: Option<f64>,
    pub met: Option<bool>,
    pub samples: u64,
}

/// To become `crate::demo::run(config)`.
pub(super) fn demo(_config: &Config) -> anyhow::Result<()> {
    Err(missing("demo"))
}

/// To become `crate::bench::run(config, names, tiny)`.
pub(super) fn bench(_config: &Config, _names: &[String], _tiny: bool) -> anyhow::Result<Vec<Measure>> {
    Err(missing("bench"))
}

/// To become `accrue_lab::evaluate(…)`, whose answer prints as the contract has it.
pub(super) fn evaluate(_config: &Config, _arguments: &evaluate::Arguments) -> anyhow::Result<serde_json::Value> {
    Err(missing("evaluate"))
}

fn missing(verb: &str) -> anyhow::Error {
    Problem::new(format!("`accrue {verb}` is not connected in this build"), "use a later build").into()
}
