//! `--model auto`: chooses a model and its settings within a time budget, on validation data alone.
//!
//! Successive halving (Jamieson & Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*,
//! AISTATS 2016): many settings are tried on a ninth of the histories, the best third of them on a third, the best
//! third of those on all; then the best of different models are blended. The test is evaluated once, at the end, with
//! the chosen model. The budget is a time, so two runs may try different settings; the report states the chosen ones,
//! with which the result can be reproduced.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use accrue_kernel::Draws;
use accrue_model::collaborative::{AnySettings, Fit, Holdout, Kind, Rivals, WeightedBlendSettings};
use serde::Serialize;

use crate::LabError;
use crate::evaluation::{RankingReport, Request, Stage, report};
use crate::protocol::{Protocol, ProtocolSettings};
use crate::ranking::{Measured, Task, evaluate};
use crate::settings::{Pairs, described_model, model_settings};

/// Stream of the random numbers.
const STREAM: u64 = 0x4155_544F;
/// Number of random settings tried for each model in the first round, in addition to the defaults.
const TRIALS_A_MODEL: u64 = 6;
/// For each round: the share of the histories, and the share of the budget at which it ends.
const ROUNDS: [(f64, f64); 3] = [(1.0 / 9.0, 0.3), (1.0 / 3.0, 0.55), (1.0, 0.8)];
/// One in this number of the settings enters the next round.
const HALVING: usize = 3;
/// Number of models that are blended at the end.
const BLENDED: usize = 3;

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The model.
    pub model: &'static str,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// The share of the histories that it was fitted on.
    pub share: f64,
    /// The main metric on validation; absent if the model could not be fitted.
    pub value: Option<f64>,
    /// Duration.
    pub seconds: f64,
}

/// The result of the search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutoReport {
    /// The report of the chosen model on the test.
    #[serde(flatten)]
    pub report: RankingReport,
    /// All trials, in order.
    pub search: Vec<Trial>,
}

/// Searches for a model, then evaluates it on the test once. `budget` limits the search; a fit that has begun is
/// completed.
///
/// # Errors
/// [`LabError`] if a file or a setting cannot be used, or nothing could be fitted.
pub fn evaluate_auto(
    protocol: Protocol,
    request: &Request,
    budget: Duration,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<AutoReport, LabError> {
    let mut pairs = Pairs::new(&request.settings);
    let protocol_settings = protocol.settings(&mut pairs)?;
    if let Some(key) = pairs.rest().into_keys().next() {
        return Err(LabError::ChosenByAuto { key });
    }
    let on_validation = ProtocolSettings { on_validation: true, refit: false, ..protocol_settings.clone() };
    let test = request.test.as_ref();
    let validation = protocol.task(&request.train, test, &on_validation, request.seed)?;
    let mut search = Search {
        protocol,
        request,
        cutoffs: &protocol_settings.cutoffs,
        begun: Instant::now(),
        budget,
        trials: Vec::new(),
        progress,
    };
    let chosen = search.best(&validation)?;
    let task = protocol.task(&request.train, test, &protocol_settings, request.seed)?;
    let report = report(protocol, request, &task, &protocol_settings, &chosen, progress)?;
    Ok(AutoReport { report, search: search.trials })
}

struct Search<'a> {
    protocol: Protocol,
    request: &'a Request,
    cutoffs: &'a [u32],
    begun: Instant,
    budget: Duration,
    trials: Vec<Trial>,
    progress: &'a (dyn Fn(Stage) + Sync),
}

impl Search<'_> {
    fn best(&mut self, validation: &Task) -> Result<AnySettings, LabError> {
        let mut remaining = first_settings(self.request.seed);
        let mut scored: Vec<(f64, AnySettings)> = Vec::new();
        for (share, until) in ROUNDS {
            let task = validation.sampled(share, self.request.seed);
            let tried = self.round(&task, share, until, &remaining);
            if tried.is_empty() {
                break; // Nothing was fitted in this round, so the result of the round before is used.
            }
            scored = tried;
            remaining =
                scored.iter().take(scored.len().div_ceil(HALVING)).map(|(_, settings)| settings.clone()).collect();
        }
        let Some((best, chosen)) = scored.first().cloned() else {
            return Err(LabError::Empty("no model could be fitted within the budget; increase it"));
        };
        let mut kinds = Vec::new();
        scored.retain(|(_, settings)| {
            !kinds.contains(&settings.kind()) && {
                kinds.push(settings.kind());
                true
            }
        });
        let parts: Vec<AnySettings> = scored.into_iter().take(BLENDED).map(|(_, settings)| settings).collect();
        if parts.len() > 1 && self.begun.elapsed() < self.budget {
            let (holdout, rivals) = match self.protocol {
                Protocol::UserItems => (Holdout::Random, Rivals::Best),
                Protocol::LeaveOneOut | Protocol::Temporal => (Holdout::Last, Rivals::Best),
                Protocol::Sessions => (Holdout::Session, Rivals::Best),
                Protocol::Sampled => (Holdout::Random, Rivals::Random),
            };
            let blend = AnySettings::WeightedBlend(WeightedBlendSettings {
                parts,
                holdout,
                rivals,
                ..WeightedBlendSettings::default()
            });
            if self.value(validation, 1.0, &blend).is_some_and(|value| value > best) {
                return Ok(blend);
            }
        }
        Ok(chosen)
    }

    /// The values of the settings, best first, for as many as the round's share of the budget allows.
    fn round(&mut self, task: &Task, share: f64, until: f64, tried: &[AnySettings]) -> Vec<(f64, AnySettings)> {
        let mut scored = Vec::new();
        for settings in tried {
            if self.begun.elapsed() > self.budget.mul_f64(until) {
                break;
            }
            if let Some(value) = self.value(task, share, settings) {
                scored.push((value, settings.clone()));
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored
    }

    /// The main metric on a validation task; `None` if the model cannot be fitted, for example because it needs too
    /// much memory.
    fn value(&mut self, task: &Task, share: f64, settings: &AnySettings) -> Option<f64> {
        let begun = Instant::now();
        let (seed, threads) = (self.request.seed, self.request.threads);
        let fitted = settings.fit(&task.train, &Fit::quiet(seed, threads)).ok();
        let outcomes = fitted.and_then(|model| evaluate(&model, task, threads, &|_| {}).ok());
        let value = outcomes.map(|outcomes| {
            let names = Measured::names(self.cutoffs);
            let place = names.iter().position(|name| name == self.protocol.main_metric()).unwrap_or(0);
            let sum: f64 = outcomes.iter().map(|outcome| Measured::new(outcome, self.cutoffs).0[place]).sum();
            sum / outcomes.len().max(1) as f64
        });
        self.trials.push(Trial {
            model: settings.kind().name(),
            settings: described_model(settings),
            share,
            value,
            seconds: begun.elapsed().as_secs_f64(),
        });
        (self.progress)(Stage::Searched(self.begun.elapsed().as_secs_f64() / self.budget.as_secs_f64().max(1e-9)));
        value
    }
}

/// The values that are tried for each model; a model that is not listed is tried with its defaults only.
fn space(kind: Kind) -> &'static [(&'static str, &'static [&'static str])] {
    match kind {
        Kind::ItemKnn => &[
            ("k", &["50", "200", "1000"]),
            ("shrink", &["0", "10", "50"]),
            ("norm", &["0.4", "0.5", "0.6"]),
            ("user_norm", &["0", "0.5", "1"]),
            ("decay", &["0", "0.5", "1"]),
        ],
        Kind::Markov => &[
            ("reach", &["5", "10", "50"]),
            ("decay", &["0.5", "0.75", "1"]),
            ("smooth", &["0", "1"]),
            ("row_norm", &["0.3", "0.5", "0.7"]),
            ("popularity_norm", &["0", "0.1", "0.25"]),
            ("backward", &["0.3", "0.5", "0.8"]),
        ],
        Kind::SessionKnn => &[
            ("k", &["100", "500", "2000"]),
            ("query_decay", &["1", "3", "8"]),
            ("distance_decay", &["1", "3", "8"]),
            ("before", &["0.3", "1"]),
            ("idf", &["0", "0.3", "0.6"]),
        ],
        Kind::GraphFilter => {
            &[("rank", &["64", "256", "384"]), ("low_pass", &["0.1", "0.3", "0.6"]), ("sharpen", &["0", "0.3", "0.6"])]
        }
        Kind::Als => &[
            ("factors", &["32", "64", "128", "256"]),
            ("unobserved", &["0.03", "0.1", "0.3", "1"]),
            ("l2", &["0.001", "0.003", "0.01", "0.03"]),
        ],
        Kind::Ease => &[("l2", &["30", "100", "300", "1000"]), ("popularity_norm", &["0", "0.2"])],
        Kind::SampledFactorization => &[
            ("factors", &["64", "128"]),
            ("epochs", &["10", "30"]),
            ("rate", &["0.02", "0.05", "0.1"]),
            ("loss", &["softmax", "bpr"]),
        ],
        Kind::SequentialTransformer | Kind::SequentialGru | Kind::SequentialConvolution => &[
            ("d", &["64", "128"]),
            ("dropout", &["0.2", "0.4", "0.6"]),
            ("epochs", &["15", "30", "60"]),
            ("learning_rate", &["0.0005", "0.001", "0.002"]),
        ],
        Kind::SequentialCaser => &[
            ("d", &["64", "128"]),
            ("order", &["3", "5", "9"]),
            ("horizontal", &["4", "16", "32"]),
            ("dropout", &["0.2", "0.4", "0.6"]),
            ("epochs", &["15", "30", "60"]),
        ],
        Kind::NeuMf => &[("d", &["16", "32", "64"]), ("epochs", &["20", "40"]), ("dropout", &["0", "0.2"])],
        Kind::LightGcn => &[
            ("epochs", &["4", "8"]),
            ("temperature", &["0.07", "0.1", "0.15"]),
            ("popularity", &["0", "0.02", "0.04"]),
        ],
        _ => &[],
    }
}

/// The defaults of every model, then random settings of each. Each model gets its next settings only after all others
/// had theirs.
fn first_settings(seed: u64) -> Vec<AnySettings> {
    let kinds = || Kind::ALL.iter().copied().filter(|&kind| kind != Kind::WeightedBlend);
    let mut settings: Vec<AnySettings> = kinds().map(Kind::default_settings).collect();
    for trial in 0..TRIALS_A_MODEL {
        for (number, kind) in kinds().enumerate() {
            let mut draws = Draws::new(seed, STREAM + number as u64, trial);
            let mut pick = |values: &[&str]| values[draws.below(values.len() as u64) as usize].to_string();
            let pairs: BTreeMap<String, String> =
                space(kind).iter().map(|&(key, values)| (key.to_string(), pick(values))).collect();
            settings.extend(model_settings(kind, &pairs).ok().filter(|new| !settings.contains(new)));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_search_space_is_accepted_by_its_model() {
        for &kind in Kind::ALL {
            for &(key, values) in space(kind) {
                for &value in values {
                    let pairs = BTreeMap::from([(key.to_string(), value.to_string())]);
                    model_settings(kind, &pairs).unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
                }
            }
        }
        assert!(first_settings(1).len() > 3 * Kind::ALL.len());
    }
}
