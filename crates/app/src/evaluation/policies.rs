//! The protocols `arms` and `off-policy`: estimates of what another policy would bring, compared with the truth where it
//! is known.

use accrue_engine::learn_settings;
use accrue_lab::off_policy::{CoverageSettings, OpenBanditRequest, coverage, evaluate_open_bandit};
use accrue_lab::{ArmsSettings, LabError, Treatment, evaluate_arms};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::request::Run;
use super::settings::{number, with_model_settings};
use super::table::{TableSettings, read_bandit};

/// The protocol that estimates policies, and the policies that it estimates.
pub const OFF_POLICY: &str = "off-policy";
/// The policy whose log is the test file.
pub(super) const LOGGED: &str = "logged-policy";
/// A policy in simulated shops, to test whether the intervals of estimates cover the truth.
pub const SIMULATED: &str = "simulated";
/// The protocol that runs experiments in simulated shops.
pub const ARMS: &str = "arms";

/// The estimates of experiments in simulated shops.
pub(super) fn arms(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let (config, mut pairs) = (run.config, run.pairs());
    let treatment = match pairs.remove("treatment") {
        None => Treatment::Popular,
        Some(name) => Treatment::ALL.into_iter().find(|treatment| treatment.name() == name).with_context(|| {
            format!("there is no treatment `{name}`; there is {}", Treatment::ALL.map(Treatment::name).join(", "))
        })?,
    };
    let mut learn = learn_settings(config);
    let shops = number(pairs.remove("shops"), "shops", 20)?;
    let days = number(pairs.remove("days"), "days", 30)?;
    learn.models = with_model_settings(&learn.models, run.model, &pairs)?;
    let seed = learn.seed;
    let report = evaluate_arms(&ArmsSettings { treatment, shops, days, learn }, &|share| progress(share, "the shops"))?;
    Ok(json!({"protocol": ARMS, "model": run.model, "seed": seed, "days": days, "report": report}))
}

/// Policies estimated from the logs of others: that of a second log, or of simulated shops, where the truth is known.
pub(super) fn off_policy(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let (seed, request) = (run.config.learn.seed, run.request);
    if run.model == SIMULATED {
        let mut settings = CoverageSettings { seed, ..CoverageSettings::default() };
        for (key, value) in run.settings {
            match key.as_str() {
                "seeds" => settings.seeds = number(Some(value), key, 0)?,
                "visits" => settings.visits = number(Some(value), key, 0)?,
                _ => bail!("there is no setting `{key}`; there is seeds, visits"),
            }
        }
        let report = coverage(&settings, &|share| progress(share, "the shops")).map_err(LabError::from)?;
        return Ok(
            json!({"protocol": OFF_POLICY, "model": SIMULATED, "seed": seed, "visits": settings.visits, "report": report}),
        );
    }
    if run.model != LOGGED {
        bail!("there is no model `{}` for the protocol {OFF_POLICY}; there is {LOGGED}, {SIMULATED}", run.model);
    }
    let Some(test) = request.test.clone() else {
        bail!("{OFF_POLICY} needs a test file: the log of the policy to estimate");
    };
    let tables = TableSettings::of(request);
    let (train, test) = (read_bandit(&request.train, &tables)?, read_bandit(&test, &tables)?);
    let settings = run.settings.to_vec();
    Ok(serde_json::to_value(evaluate_open_bandit(&OpenBanditRequest { train, test, settings, seed })?)?)
}
