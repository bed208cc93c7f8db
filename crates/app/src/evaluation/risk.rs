//! The protocol `risk`: a flood on a stream of real events, with and without the rule that limits it.

use accrue_engine::learn_settings;
use accrue_event::{CheckSettings, RateSettings};
use accrue_lab::{RiskSettings, evaluate_risk};
use serde_json::{Value, json};

use super::events::read;
use super::request::Run;
use super::settings::{number, with_model_settings};

/// The protocol that measures the effect of a flood.
pub(super) const RISK: &str = "risk";

/// A flood on a stream of real events, with and without the rule that limits it.
pub(super) fn risk(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let (config, mut pairs) = (run.config, run.pairs());
    let mut learn = learn_settings(config);
    let check =
        CheckSettings { rates: RateSettings { actions: 0, ..config.check.rates.clone() }, ..config.check_settings() };
    let mut settings = RiskSettings {
        accounts: number(pairs.remove("accounts"), "accounts", 1_000)?,
        each: number(pairs.remove("each"), "each", 1)?,
        hours: number(pairs.remove("hours"), "hours", 6.0)?,
        at_day: number(pairs.remove("at_day"), "at_day", 180)?,
        after_days: number(pairs.remove("after_days"), "after_days", 7)?,
        learn: learn.clone(),
        check,
    };
    learn.models = with_model_settings(&learn.models, run.model, &pairs)?;
    settings.learn = learn;
    let (data, refused) = read(config, run.request, None)?;
    let mut report = serde_json::to_value(evaluate_risk(data, &settings, &|done| progress(done, "the streams"))?)?;
    report["refused"] = json!(refused);
    report["settings"] = json!({"accounts": settings.accounts, "each": settings.each, "hours": settings.hours,
        "at_day": settings.at_day, "after_days": settings.after_days, "least": settings.check.coordinated.least,
        "evidence": settings.check.coordinated.evidence});
    report["model"] = json!(run.model);
    report["seed"] = json!(config.learn.seed);
    Ok(report)
}
