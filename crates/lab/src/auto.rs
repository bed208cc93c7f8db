//! `--model auto`: chooses a model and its settings within a time budget, on validation data alone.
//!
//! Successive halving (Jamieson & Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*,
//! AISTATS 2016): many settings are tried on a ninth of the histories, the best third of them on a third, the best
//! third of those on all; then the best of different models are blended. The test is evaluated once, at the end, with
//! the chosen model. The budget is a time, so two runs may try different settings; the report states the chosen ones,
//! with which the result can be reproduced.
//!
//! The budget holds for everything: reading, the search, the final fit and its evaluation. A trial has a limit, which
//! grows with its share of the histories, and is stopped when it reaches the limit or will reach it at its present
//! speed. On all histories, a trial begins only if the final fit still has its time afterwards. A model that takes
//! little time is tried on all histories whatever it reached on a part, and of models that validation cannot tell
//! apart the cheaper one is chosen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use accrue_kernel::Draws;
use accrue_model::collaborative::{AnySettings, Epoch, Fit, FitError, Holdout, Kind, Rivals, WeightedBlendSettings};
use serde::Serialize;

use crate::LabError;
use crate::evaluation::{RankingReport, Request, Stage, report};
use crate::protocol::{Protocol, ProtocolSettings};
use crate::ranking::{Measured, Task, evaluate};
use crate::report::round;
use crate::settings::{Pairs, described_model, model_settings};

/// Stream of the random numbers.
const STREAM: u64 = 0x4155_544F;
/// Number of random settings tried for each model in the first round, in addition to the defaults.
const TRIALS_A_MODEL: u64 = 6;
/// The rounds on a part of the histories: the part, and the share of the budget at which the round ends.
const ROUNDS: [(f64, f64); 2] = [(1.0 / 9.0, 0.3), (1.0 / 3.0, 0.5)];
/// One in this number of the settings enters the next round.
const HALVING: usize = 3;
/// Number of models that are blended at the end.
const BLENDED: usize = 3;
/// The share of the budget that a trial on all histories may take; trials on a part may take the same part of it.
const LONGEST: f64 = 0.25;
/// The share of the budget up to which a trial on all histories is cheap.
const CHEAP: f64 = 0.02;
/// How the time of a fit grows with the histories: a little faster than in proportion.
const GROWTH: f64 = 1.2;
/// The time of the final fit and its evaluation, as a multiple of the time of the trial on all histories: validation
/// leaves out a part of the data.
const FINAL: f64 = 1.4;
/// The time of a blend, as a multiple of the time of its parts: they are fitted once to find the weights, and once more.
const BLEND: f64 = 2.2;

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
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether this is the choice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
}

/// The result of the search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutoReport {
    /// The report of the chosen model on the test.
    #[serde(flatten)]
    pub report: RankingReport,
    /// The time that was given, and the time that was used for everything.
    pub budget: Budget,
    /// All trials, in order.
    pub search: Vec<Trial>,
}

/// Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// Given.
    pub given_s: f64,
    /// Used by the search, with reading.
    pub search_s: f64,
    /// Used by everything.
    pub total_s: f64,
}

/// Searches for a model, then evaluates it on the test once; `budget` holds for both.
///
/// # Errors
/// [`LabError`] if a file or a setting cannot be used, or nothing could be fitted.
pub fn evaluate_auto(
    protocol: Protocol,
    request: &Request,
    budget: Duration,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<AutoReport, LabError> {
    let begun = Instant::now();
    let mut pairs = Pairs::new(&request.settings);
    let protocol_settings = protocol.settings(&mut pairs)?;
    if let Some(key) = pairs.rest().into_keys().next() {
        return Err(LabError::ChosenByAuto { key });
    }
    let on_validation = ProtocolSettings { on_validation: true, refit: false, ..protocol_settings.clone() };
    let test = request.test.as_ref();
    let validation = protocol.task(&request.train, test, &on_validation, request.seed)?;
    let mut search =
        Search { protocol, request, cutoffs: &protocol_settings.cutoffs, begun, budget, trials: Vec::new(), progress };
    let chosen = search.best(&validation)?;
    drop(validation);
    let search_s = begun.elapsed().as_secs_f64();
    let mut trials = search.trials;
    trials[chosen.trial].chosen = true;
    let task = protocol.task(&request.train, test, &protocol_settings, request.seed)?;
    let report = report(protocol, request, &task, &protocol_settings, &chosen.settings, progress)?;
    let (given_s, total_s) = (budget.as_secs_f64(), begun.elapsed().as_secs_f64());
    Ok(AutoReport { report, budget: Budget { given_s, search_s, total_s }, search: trials })
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

/// A trial that came to its end.
#[derive(Clone)]
struct Scored {
    settings: AnySettings,
    /// The index of the trial.
    trial: usize,
    share: f64,
    /// The main metric of each query.
    values: Vec<f64>,
    value: f64,
    seconds: f64,
}

impl Scored {
    /// The time that a trial on this share is expected to take.
    fn seconds_on(&self, share: f64) -> f64 {
        self.seconds * (share / self.share).powf(GROWTH)
    }
}

impl Search<'_> {
    fn best(&mut self, validation: &Task) -> Result<Scored, LabError> {
        let budget_s = self.budget.as_secs_f64();
        let mut partly: Vec<Scored> = Vec::new();
        let mut remaining = first_settings(self.request.seed);
        for (share, until) in ROUNDS {
            let task = validation.sampled(share, self.request.seed);
            let limit_s = budget_s * LONGEST * share;
            let tried = self.round(&task, share, budget_s * until, limit_s, &remaining);
            if tried.is_empty() {
                break; // Nothing was fitted in this round, so the result of the round before is used.
            }
            partly = tried;
            remaining = self.next(&partly).iter().map(|scored| scored.settings.clone()).collect();
        }
        let mut whole: Vec<Scored> = Vec::new();
        for candidate in self.next(&partly) {
            let limit_s = self.limit_of_whole(&whole);
            if candidate.seconds_on(1.0) > limit_s {
                let why = "on all histories it would leave no time for the final fit";
                self.note(&candidate.settings, 1.0, why.into());
                continue;
            }
            whole.extend(self.value(validation, 1.0, &candidate.settings, limit_s));
        }
        if let Some(blend) = self.blend_of(&whole) {
            let expected_s = BLEND * blend.iter().map(|part| part.seconds).sum::<f64>();
            let limit_s = self.limit_of_whole(&whole);
            if expected_s < limit_s {
                let parts = blend.into_iter().map(|part| part.settings).collect();
                whole.extend(self.value(validation, 1.0, &self.weighted(parts), limit_s));
            }
        }
        if whole.is_empty() {
            // There was no time for a trial on all histories. The best on a part whose final fit is in time is used.
            let left_s = self.left_s();
            whole = partly.into_iter().filter(|scored| FINAL * scored.seconds_on(1.0) < left_s).collect();
        }
        if whole.is_empty() {
            // Popularity counts; without a limit it always comes to its end.
            whole.extend(self.value(validation, 1.0, &Kind::ItemCounts.default_settings(), f64::INFINITY));
        }
        cheapest_of_the_best(whole).ok_or(LabError::Empty("no model could be fitted within the budget; increase it"))
    }

    fn left_s(&self) -> f64 {
        self.budget.as_secs_f64() - self.begun.elapsed().as_secs_f64()
    }

    /// How long a trial on all histories may take, so that the final fit of it, or of the best one so far, is in time.
    fn limit_of_whole(&self, whole: &[Scored]) -> f64 {
        let best = whole.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let reserved_s = best.map_or(0.0, |best| FINAL * best.seconds);
        (self.left_s() / (1.0 + FINAL)).min(self.left_s() - reserved_s)
    }

    /// What is tried on more histories: the best third, and the best settings of each cheap model. The cheap ones come first.
    fn next(&self, scored: &[Scored]) -> Vec<Scored> {
        let cheap_s = self.budget.as_secs_f64() * CHEAP;
        let mut kinds: Vec<Kind> = Vec::new();
        let (mut cheap, mut others) = (Vec::new(), Vec::new());
        for (place, one) in scored.iter().enumerate() {
            let kind = one.settings.kind();
            let is_cheap = one.seconds_on(1.0) < cheap_s;
            let is_first = !kinds.contains(&kind);
            if place < scored.len().div_ceil(HALVING) || (is_cheap && is_first) {
                if is_cheap { &mut cheap } else { &mut others }.push(one.clone());
            }
            if is_first {
                kinds.push(kind);
            }
        }
        cheap.extend(others);
        cheap
    }

    /// The parts of a blend: the best of different models, if there are several.
    fn blend_of(&self, whole: &[Scored]) -> Option<Vec<Scored>> {
        let mut sorted: Vec<&Scored> = whole.iter().collect();
        sorted.sort_by(|a, b| b.value.total_cmp(&a.value));
        let mut parts: Vec<Scored> = Vec::new();
        for scored in sorted {
            if parts.len() < BLENDED && parts.iter().all(|part| part.settings.kind() != scored.settings.kind()) {
                parts.push(scored.clone());
            }
        }
        (parts.len() > 1).then_some(parts)
    }

    fn weighted(&self, parts: Vec<AnySettings>) -> AnySettings {
        let (holdout, rivals) = match self.protocol {
            Protocol::UserItems => (Holdout::Random, Rivals::Best),
            Protocol::LeaveOneOut | Protocol::Temporal => (Holdout::Last, Rivals::Best),
            Protocol::Sessions => (Holdout::Session, Rivals::Best),
            Protocol::Sampled => (Holdout::Random, Rivals::Random),
        };
        let default = WeightedBlendSettings::default();
        AnySettings::WeightedBlend(WeightedBlendSettings { parts, holdout, rivals, ..default })
    }

    /// The settings that came to their end, best first, of as many as can be tried until then. If the defaults of a model
    /// took too long, its other settings are not tried.
    fn round(&mut self, task: &Task, share: f64, until_s: f64, limit_s: f64, tried: &[AnySettings]) -> Vec<Scored> {
        let mut scored: Vec<Scored> = Vec::new();
        let mut too_slow: Vec<Kind> = Vec::new();
        for settings in tried {
            if self.begun.elapsed().as_secs_f64() > until_s {
                break;
            }
            if too_slow.contains(&settings.kind()) {
                continue;
            }
            match self.value(task, share, settings, limit_s) {
                Some(value) => scored.push(value),
                None => too_slow.push(settings.kind()),
            }
        }
        scored.sort_by(|a, b| b.value.total_cmp(&a.value));
        scored
    }

    /// The main metric on a validation task; `None` if the model cannot be fitted, for example because it needs too
    /// much memory or more than `limit_s` seconds.
    fn value(&mut self, task: &Task, share: f64, settings: &AnySettings, limit_s: f64) -> Option<Scored> {
        let begun = Instant::now();
        let (seed, threads) = (self.request.seed, self.request.threads);
        let is_slow = AtomicBool::new(false);
        // The first passes may be slower than the others, so the projection is believed after a fifth of the limit.
        let project = |epoch: Epoch| {
            let spent_s = begun.elapsed().as_secs_f64();
            let projected_s = spent_s * epoch.of as f64 / epoch.done.max(1) as f64;
            if spent_s > 0.2 * limit_s && projected_s > limit_s {
                is_slow.store(true, Ordering::Relaxed);
            }
        };
        let stop = || is_slow.load(Ordering::Relaxed) || begun.elapsed().as_secs_f64() > limit_s;
        let fit = Fit { progress: &project, stop: &stop, ..Fit::quiet(seed, threads) };
        let outcomes = settings
            .fit(&task.train, &fit)
            .map_err(LabError::from)
            .and_then(|model| evaluate(&model, task, threads, &|_| {}, &|| begun.elapsed().as_secs_f64() > limit_s));
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let why = match error {
                    LabError::Fit(FitError::Stopped) => {
                        format!("stopped: it would take longer than the {limit_s:.1} s that it may")
                    }
                    other => other.to_string(),
                };
                self.note(settings, share, why);
                self.trials.last_mut()?.seconds = begun.elapsed().as_secs_f64();
                return None;
            }
        };
        let names = Measured::names(self.cutoffs);
        let place = names.iter().position(|name| name == self.protocol.main_metric()).unwrap_or(0);
        let values: Vec<f64> = outcomes.iter().map(|outcome| Measured::new(outcome, self.cutoffs).0[place]).collect();
        let value = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let seconds = begun.elapsed().as_secs_f64();
        self.note(settings, share, String::new());
        let trial = self.trials.last_mut()?;
        *trial = Trial { value: Some(round(value)), seconds, why: None, ..trial.clone() };
        (self.progress)(Stage::Searched(1.0 - self.left_s() / self.budget.as_secs_f64().max(1e-9)));
        Some(Scored { settings: settings.clone(), trial: self.trials.len() - 1, share, values, value, seconds })
    }

    /// Adds a trial without a value.
    fn note(&mut self, settings: &AnySettings, share: f64, why: String) {
        self.trials.push(Trial {
            model: settings.kind().name(),
            settings: described_model(settings),
            share: round(share),
            value: None,
            seconds: 0.0,
            why: Some(why),
            chosen: false,
        });
    }
}

/// The cheapest of those that validation cannot tell from the best: whose difference, query by query, is within its
/// standard error.
fn cheapest_of_the_best(scored: Vec<Scored>) -> Option<Scored> {
    let best = scored.iter().max_by(|a, b| a.value.total_cmp(&b.value))?.clone();
    let is_as_good = |other: &Scored| {
        let n = best.values.len() as f64;
        if other.values.len() != best.values.len() {
            return false;
        }
        let differences = || best.values.iter().zip(&other.values).map(|(best, other)| best - other);
        let mean = differences().sum::<f64>() / n;
        let variance = differences().map(|difference| (difference - mean).powi(2)).sum::<f64>() / n;
        mean <= (variance / n).sqrt()
    };
    scored.into_iter().filter(is_as_good).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).or(Some(best))
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

    /// A trial of a model with these values of its queries.
    fn scored(kind: Kind, values: &[f64], seconds: f64) -> Scored {
        let value = values.iter().sum::<f64>() / values.len() as f64;
        Scored { settings: kind.default_settings(), trial: 0, share: 1.0, values: values.into(), value, seconds }
    }

    #[test]
    fn a_cheaper_model_is_chosen_if_it_validates_as_well_and_not_if_it_is_worse() {
        let chosen = |cheap: &[f64], costly: &[f64]| {
            let tried = vec![scored(Kind::ItemKnn, cheap, 1.0), scored(Kind::SequentialGru, costly, 100.0)];
            cheapest_of_the_best(tried).map(|scored| scored.settings.kind())
        };
        assert_eq!(chosen(&[0.5, 0.4, 0.6], &[0.4, 0.4, 0.6]), Some(Kind::ItemKnn), "it is better");
        assert_eq!(chosen(&[0.5, 0.4, 0.6], &[0.9, 0.1, 0.6]), Some(Kind::ItemKnn), "they cannot be told apart");
        assert_eq!(chosen(&[0.5, 0.4, 0.6], &[0.6, 0.5, 0.7]), Some(Kind::SequentialGru), "it is worse");
        assert!(cheapest_of_the_best(Vec::new()).is_none());
    }
}
