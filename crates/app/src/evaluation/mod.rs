//! `accrue evaluate`: files are read and checked, then the `lab` crate evaluates.
//!
//! Events are read, mapped and checked as in `accrue ingest`; refused ones are counted and left out.

mod biased_clicks;
mod clicks;
mod judged;
mod picture_files;
mod picture_fit;
mod pictures;
mod predictions;
mod search;
mod search_repair;
mod table;
mod vectors;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use accrue_encode::Encoder;
use accrue_engine::online_model::OnlineModel;
use accrue_engine::{Config, learn_settings};
use accrue_event::{
    Check, CheckSettings, Event, Item, ItemId, KnownItem, Mapping, Outcome, RateSettings, RecordKind, RuleStatistics,
    Timestamp, Tree, Undo, User,
};
use accrue_ingest::{Entry, Progress, ReadSettings, Reader, taken_back};
use accrue_lab::off_policy::{CoverageSettings, OpenBanditRequest, coverage, evaluate_open_bandit};
use accrue_lab::simulator::{SimulatorSettings, simulated_log};
use accrue_lab::{
    ArmsSettings, Data, Hit, LabError, Mode, Protocol, RiskSettings, Stage, StreamData, StreamSettings, Treatment,
    Unit, compare, evaluate_arms, evaluate_auto, evaluate_files, evaluate_ratings, evaluate_risk, evaluate_stream,
    predictions_from_text, predictions_to_text,
};
use accrue_model::Part;
use accrue_model::collaborative::Kind;
use accrue_model::collaborative::ratings::RatingKind;
use accrue_model::ranker::ClickKind;
use anyhow::{Context as _, bail, ensure};
use serde::Deserialize as _;
use serde_json::{Value, json};

pub use accrue_lab::CTR;
pub use picture_fit::{Fitted, PictureFit, fit_pictures};
pub use pictures::PICTURES;
use predictions::Predicted;
pub use search::SEARCH;
pub use search_repair::SEARCH_REPAIR;
use table::{TableSettings, is_table, known_columns, read_bandit, read_table};

/// Records read at once.
const BATCH: usize = 4_096;
/// The protocol that estimates policies, and the policies that it estimates.
pub const OFF_POLICY: &str = "off-policy";
/// The protocol that measures the effect of a flood.
const RISK: &str = "risk";
/// The protocol that runs experiments in simulated shops.
pub const ARMS: &str = "arms";
/// The policy whose log is the test file.
const LOGGED: &str = "logged-policy";
/// A policy in simulated shops, to test whether the intervals of estimates cover the truth.
pub const SIMULATED: &str = "simulated";

/// An evaluation to run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name of the protocol.
    pub protocol: String,
    /// Names of the models, at least one.
    pub models: Vec<String>,
    /// The training file.
    pub train: PathBuf,
    /// The test file, for protocols that need one.
    pub test: Option<PathBuf>,
    /// The rows that decide when a click model has learned enough.
    pub valid: Option<PathBuf>,
    /// Descriptions of items, for a search.
    pub items: Option<PathBuf>,
    /// Descriptions of users, for a stream.
    pub users: Option<PathBuf>,
    /// How long `auto` may search.
    pub budget: Duration,
    /// The mapping of the columns of a table; without one, the columns are known by their names.
    pub mapping: Option<Mapping>,
    /// Without a mapping: the columns that are not known by their names.
    pub named: Mapping,
    /// The names of the columns of a file without a header.
    pub columns: Option<Vec<String>>,
    /// Where predictions are written, one per line.
    pub predictions: Option<PathBuf>,
    /// The predictions of another run of the same stream, to compare with.
    pub against: Option<PathBuf>,
    /// Settings of the protocol and, by their path in the configuration (`model.neighbours.capacity`), of the model.
    pub settings: Vec<(String, String)>,
}

/// The models with the protocols that they serve.
pub fn models() -> Value {
    let ranking = Protocol::ALL.map(Protocol::name);
    let fitted = Kind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": ranking}));
    let ratings =
        RatingKind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": ["ratings"]}));
    let online = Part::ALL
        .iter()
        .map(|part| json!({"model": part.name(), "what": part.what(), "protocols": ["stream", RISK, ARMS]}));
    let clicks =
        ClickKind::ALL.iter().map(|kind| json!({"model": kind.name(), "what": kind.what(), "protocols": [CTR]}));
    let policies = [
        (LOGGED, "The policy whose log is the test file, estimated from the training file."),
        (SIMULATED, "A policy in simulated shops, to test whether the intervals cover the truth."),
    ];
    let policies = policies.map(|(model, what)| json!({"model": model, "what": what, "protocols": [OFF_POLICY]}));
    let words = json!({"model": search::LEXICAL, "what": "The words of titles, brands, categories, descriptions and attributes.",
        "protocols": [SEARCH, SEARCH_REPAIR]});
    let of_judgments = json!({"model": judged::JUDGED, "what": "How relevant titles are to queries, learned from judgments.",
        "protocols": [SEARCH]});
    let pictures = pictures::PICTURE_MODELS
        .iter()
        .map(|(model, what)| json!({"model": model, "what": what, "protocols": [PICTURES]}));
    let all =
        fitted.chain(ratings).chain(online).chain(clicks).chain(policies).chain([words, of_judgments]).chain(pictures);
    Value::Array(all.collect())
}

/// Runs the evaluation with each model; `progress` is called with a share, and of what it is.
///
/// # Errors
/// If the protocol, a model or a setting is unknown, or a file cannot be used.
pub fn evaluate(
    config: &Config,
    request: &Request,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Vec<Value>> {
    if request.protocol == CTR {
        return clicks::clicks(config.learn.seed, request, progress);
    }
    let measure = match (Protocol::named(&request.protocol), request.protocol.as_str()) {
        (Some(protocol), _) => Some(Measure::Ranking(protocol)),
        (None, "ratings") => Some(Measure::Ratings),
        (None, "stream" | OFF_POLICY | RISK | ARMS | SEARCH | SEARCH_REPAIR | PICTURES) => None,
        (None, other) => {
            let names = Protocol::ALL.map(Protocol::name).join(", ");
            bail!(
                "there is no protocol `{other}` in this build; there is {names}, ratings, {CTR}, stream, {OFF_POLICY}, \
                 {RISK}, {ARMS}, {SEARCH}, {SEARCH_REPAIR}, {PICTURES}"
            );
        }
    };
    if let Some(measure) = measure {
        return fitted(config, measure, request, progress);
    }
    let alone = request.predictions.is_none() && request.against.is_none();
    ensure!(alone || request.models.len() == 1, "--predictions and --against are for one model at a time here");
    let run = |model: &String| {
        let settings = of_model(&request.settings, model, &request.models);
        let one = Run { config, request, model, settings: &settings };
        match request.protocol.as_str() {
            OFF_POLICY => off_policy(&one, progress),
            RISK => risk(&one, progress),
            ARMS => arms(&one, progress),
            SEARCH if *model == judged::JUDGED => judged::judged(&one, progress),
            SEARCH => search::search(&one, progress),
            SEARCH_REPAIR => search_repair::search_repair(&one, progress),
            PICTURES => pictures::pictures(&one, progress),
            _ => stream(&one, progress),
        }
    };
    request.models.iter().map(run).collect()
}

/// The settings for one of several models: `als.factors` is for `als` alone, `factors` for all.
fn of_model(settings: &[(String, String)], model: &str, models: &[String]) -> Vec<(String, String)> {
    if models.len() == 1 {
        return settings.to_vec();
    }
    fn of<'a>(key: &'a str, models: &'a [String]) -> Option<(&'a String, &'a str)> {
        models.iter().find_map(|name| Some((name, key.strip_prefix(name.as_str())?.strip_prefix('.')?)))
    }
    let own = |(key, value): &(String, String)| match of(key, models) {
        Some((name, rest)) => (name == model).then(|| (rest.to_string(), value.clone())),
        None => Some((key.clone(), value.clone())),
    };
    settings.iter().filter_map(own).collect()
}

/// One model of a request.
struct Run<'a> {
    config: &'a Config,
    request: &'a Request,
    model: &'a str,
    settings: &'a [(String, String)],
}

impl Run<'_> {
    fn pairs(&self) -> BTreeMap<&str, &str> {
        self.settings.iter().map(|(key, value)| (&**key, &**value)).collect()
    }
}

/// An online model on a stream of events.
fn stream(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let request = run.request;
    // Before the run, which may take long, because an unusable file should fail at once.
    let other = request.against.as_deref().map(read_predictions).transpose()?;
    let (source, settings, kept_types) = stream_settings(run)?;
    let (mut data, refused) = match source {
        Source::File => read(run.config, request, kept_types.as_deref())?,
        Source::Simulated(shop, days) => (simulate(shop, days, kept_types.as_deref()), BTreeMap::new()),
    };
    let encoder = run.pairs().get(ENCODER).map_or(&*run.config.content.encoder, |&name| name).to_owned();
    if !encoder.is_empty() {
        let encoder = Encoder::open(&encoder, &run.config.content.prefixes())?;
        let items = data.items.iter().map(|(place, item)| (*place, item));
        data.vectors = vectors::vectors_of(&encoder, items, None, &|done| progress(done, "the vectors"))?;
    }
    let evaluated = evaluate_stream(data, &settings, |done| progress(done, "the stream"))?;
    if let Some(path) = &request.predictions {
        std::fs::write(path, predictions_to_text(&evaluated.hits))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut report = serde_json::to_value(&evaluated)?;
    report["refused"] = json!(refused);
    if let Some(other) = other {
        report["against"] =
            serde_json::to_value(compare(&evaluated.hits, &other, settings.learn.seed).map_err(anyhow::Error::msg)?)?;
    }
    Ok(report)
}

/// The setting of a stream that names the encoder.
const ENCODER: &str = "content.encoder";

fn read_predictions(path: &Path) -> anyhow::Result<Vec<Hit>> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    predictions_from_text(&text)
        .map_err(|error| anyhow::anyhow!("{name} does not hold the predictions of a run (--predictions): {error}"))
}

/// The source of a stream's events.
enum Source {
    File,
    /// A simulated shop, for this many days.
    Simulated(SimulatorSettings, u32),
}

/// The name of the source in reports if the events come from the simulator.
const SIMULATED_STREAM: &str = "sim";

fn simulate(shop: SimulatorSettings, days: u32, types: Option<&[String]>) -> StreamData {
    let mut data = simulated_log(shop, days);
    let Some(types) = types else { return data };
    let keeps = |event: &Event| types.iter().any(|kept| kept == event.event_type.name());
    // A description is kept with the next event that is kept.
    let mut places = Vec::with_capacity(data.events.len());
    let mut n_kept = 0;
    for event in &data.events {
        places.push(n_kept);
        n_kept += usize::from(keeps(event));
    }
    data.events.retain(keeps);
    data.items.iter_mut().for_each(|(place, _)| *place = places[*place]);
    data.items.retain(|&(place, _)| place < n_kept);
    data
}

/// A flood on a stream of real events, with and without the rule that limits it.
fn risk(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
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

/// The estimates of experiments in simulated shops.
fn arms(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
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
fn off_policy(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
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

/// The protocols of fitted models.
#[derive(Clone, Copy)]
enum Measure {
    Ranking(Protocol),
    Ratings,
}

/// A protocol of fitted models. Tables are read here, once for all models; files of lines are read by the `lab` crate.
fn fitted(
    config: &Config,
    measure: Measure,
    request: &Request,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Vec<Value>> {
    let mut settings = request.settings.clone();
    let (train, test, refused) = data(config, measure, request, &mut settings)?;
    let mut reports = Vec::new();
    let mut predicted = Vec::new();
    for model in &request.models {
        let prefix = if request.models.len() > 1 { format!("{model}: ") } else { String::new() };
        let hear = |stage: Stage| match stage {
            Stage::Trained(epoch) => progress(epoch.done as f64 / epoch.of as f64, &format!("{prefix}training")),
            Stage::Asked(share) => progress(share, &format!("{prefix}the test")),
            Stage::Searched(share) => progress(share, "the budget"),
        };
        let one = accrue_lab::Request {
            model: model.clone(),
            train: train.clone(),
            test: test.clone(),
            settings: of_model(&settings, model, &request.models),
            seed: config.learn.seed,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            predictions: request.predictions.is_some(),
        };
        let (mut report, of_model) = match measure {
            Measure::Ranking(protocol) if model == "auto" => {
                let mut found = evaluate_auto(protocol, &one, request.budget, &hear)?;
                let lists = std::mem::take(&mut found.report.predictions);
                (serde_json::to_value(found)?, Predicted::Lists(lists))
            }
            Measure::Ranking(protocol) => {
                let mut found = evaluate_files(protocol, &one, &hear)?;
                let lists = std::mem::take(&mut found.predictions);
                (serde_json::to_value(found)?, Predicted::Lists(lists))
            }
            Measure::Ratings => {
                let mut found = evaluate_ratings(&one, &hear)?;
                let ratings = std::mem::take(&mut found.predictions);
                (serde_json::to_value(found)?, Predicted::Ratings(ratings))
            }
        };
        if let Some(refused) = &refused {
            report["refused"] = json!(refused);
        }
        predicted.push((report["model"].as_str().unwrap_or(model).to_string(), of_model));
        reports.push(report);
    }
    if let Some(path) = &request.predictions {
        predictions::write(path, &predicted)?;
    }
    Ok(reports)
}

/// Rows of tables that were left out, by reason.
type Refused = BTreeMap<String, u64>;

/// The data of a protocol of fitted models, and what was left out of tables. Takes the settings of tables out of
/// `settings`.
fn data(
    config: &Config,
    measure: Measure,
    request: &Request,
    settings: &mut Vec<(String, String)>,
) -> anyhow::Result<(Data, Option<Data>, Option<Refused>)> {
    let mut tables = TableSettings { types: None, ..TableSettings::of(request) };
    let by_session = matches!(measure, Measure::Ranking(Protocol::Sessions));
    let have_headers =
        !matches!(measure, Measure::Ranking(Protocol::LeaveOneOut | Protocol::UserItems | Protocol::Sessions));
    let files: Vec<&PathBuf> = std::iter::once(&request.train).chain(&request.test).collect();
    let are_tables =
        files.iter().map(|file| is_table(file, &tables, have_headers)).collect::<anyhow::Result<Vec<bool>>>()?;
    if are_tables.contains(&true) {
        let of_types = |(key, _): &(String, String)| key == "types";
        if let Some((_, types)) = settings.iter().rfind(|pair| of_types(pair)) {
            tables.types = Some(types.split(',').map(str::to_string).collect());
        }
        settings.retain(|pair| !of_types(pair));
    }
    let mut refused: Option<Refused> = None;
    let mut data = Vec::new();
    for (file, is_table) in files.into_iter().zip(are_tables) {
        if !is_table {
            data.push(Data::from(file.clone()));
            continue;
        }
        let (table, left_out) = read_table(config, file, &tables, by_session)?;
        refuse_if_empty(file, table.rows.len(), &left_out)?;
        let all = refused.get_or_insert_default();
        left_out.into_iter().for_each(|(reason, n)| *all.entry(reason).or_default() += n);
        data.push(Data::Table(Arc::new(table)));
    }
    let mut data = data.into_iter();
    let train = data.next().unwrap_or_else(|| Data::from(request.train.clone()));
    Ok((train, data.next(), refused))
}

/// Source and settings of the protocol out of `key=value` pairs, and the event types to keep if not all.
fn stream_settings(run: &Run<'_>) -> anyhow::Result<(Source, StreamSettings, Option<Vec<String>>)> {
    let (config, request, mut pairs) = (run.config, run.request, run.pairs());
    let mut take = |key: &str| pairs.remove(key);
    let unit = match take("unit").unwrap_or("line") {
        "line" => Unit::Line,
        "basket" => Unit::Basket,
        "day" => Unit::Day,
        other => bail!("unit is `line`, `basket` or `day`, not `{other}`"),
    };
    let warm = number(take("warm"), "warm", false)?;
    let epochs = match take("epochs") {
        None | Some("auto") => None,
        some => Some(number(some, "epochs", 1)?),
    };
    let mode = Mode::named(take("mode").unwrap_or("online"), warm, epochs).map_err(anyhow::Error::msg)?;
    let new_items = take("new_items").map(numbers).transpose()?;
    // New items have few events, so all of those are predicted.
    let every = number(take("every"), "every", if new_items.is_some() { 1 } else { 20 })?;
    let from_day = number(take("from_day"), "from_day", 28)?;
    let shuffle = take("shuffle").map(|seed| number(Some(seed), "shuffle", 0)).transpose()?;
    let guard = number(take("guard"), "guard", false)?;
    let is_encoded = take(ENCODER).is_some_and(|encoder| !encoder.is_empty());
    let types = take("types").map(|types| types.split(',').map(str::to_string).collect());
    let source = if request.train.as_os_str() == SIMULATED_STREAM {
        let shop = SimulatorSettings {
            seed: number(take("sim.seed"), "sim.seed", config.learn.seed)?,
            n_items: number(take("sim.items"), "sim.items", 2_000)?,
            n_shoppers: number(take("sim.shoppers"), "sim.shoppers", 1_000)?,
            visits_per_day: number(take("sim.visits"), "sim.visits", 4_000.0)?,
            drift: number(take("sim.drift"), "sim.drift", 1.0)?,
            upheaval_every_days: number(take("sim.upheaval"), "sim.upheaval", 0)?,
            ..SimulatorSettings::default()
        };
        let is_rate = |rate: f64| (0.0..1e9).contains(&rate);
        ensure!(shop.visits_per_day >= 1.0 && is_rate(shop.visits_per_day), "sim.visits is a number from 1 on");
        ensure!(is_rate(shop.drift), "sim.drift is a number from 0 on");
        Source::Simulated(shop, number(take("sim.days"), "sim.days", 60)?)
    } else {
        Source::File
    };
    let mut learn = learn_settings(config);
    learn.history_capacity = number(take("history_capacity"), "history_capacity", learn.history_capacity)?;
    let drift = &mut learn.drift;
    drift.delta = number(take("drift.delta"), "drift.delta", drift.delta)?;
    drift.boost = number(take("drift.boost"), "drift.boost", drift.boost)?;
    drift.boost_half_life = number(take("drift.boost_half_life"), "drift.boost_half_life", drift.boost_half_life)?;
    learn.models.content.enabled |= is_encoded;
    learn.models = with_model_settings(&learn.models, run.model, &pairs)?;
    if let Some(parts) = accrue_model::parts::provided(&learn.models.init) {
        parts.fit(&learn.models)?;
    }
    Ok((source, StreamSettings { unit, mode, every, from_day, new_items, shuffle, guard, learn }, types))
}

fn number<T: FromStr>(text: Option<&str>, key: &str, otherwise: T) -> anyhow::Result<T> {
    match text {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| anyhow::anyhow!("{key}={text} is not a value of `{key}`")),
    }
}

/// The events of a new item that are predicted: `2..10` from the second to the tenth, `10` the first ten.
fn numbers(text: &str) -> anyhow::Result<RangeInclusive<u32>> {
    let (from, to) = text.split_once("..").unwrap_or(("1", text));
    let asked = from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..=to);
    let is_usable = |asked: &RangeInclusive<u32>| *asked.start() > 0 && !asked.is_empty();
    let expected = "a number of events from 1 on, or a range such as 2..10";
    asked.filter(is_usable).with_context(|| format!("new_items={text} is not {expected}"))
}

/// The model's settings with those of the request, whose paths are those of the `[model]` section.
fn with_model_settings(
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

/// Reads and checks the events; returns them with the counts of refused ones.
fn read(
    config: &Config,
    request: &Request,
    types: Option<&[String]>,
) -> anyhow::Result<(StreamData, BTreeMap<String, u64>)> {
    // Times in files may be rounded to the day, or missing, so the check for automated senders is off.
    let settings =
        CheckSettings { rates: RateSettings { actions: 0, ..config.check.rates.clone() }, ..config.check_settings() };
    let mut check = Check::new(settings, RuleStatistics::default())?;
    let mut items: BTreeMap<ItemId, Item> = BTreeMap::new();
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut data = StreamData::default();
    let mapping = match &request.mapping {
        Some(mapping) => mapping.clone(),
        None => known_columns(&request.train, &TableSettings::of(request))?,
    };
    let read_settings = ReadSettings { mapping, columns: request.columns.clone(), ..ReadSettings::default() };
    let mut reader = Reader::open(&request.train, &read_settings, &Progress::default())?;
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            break;
        }
        for entry in batch.entries {
            let mut refuse = |code: &str| *refused.entry(code.to_string()).or_default() += 1;
            let (event, description) = match entry {
                Entry::Event(event, item) => (event, item),
                Entry::Undone(event, Undo::Always) => (taken_back(event), None),
                Entry::Undone(_, Undo::IfKnown | Undo::Order | Undo::KnownOrder) => continue,
                Entry::Unreadable(refusal) => {
                    refuse(refusal.rejection.reason.code());
                    continue;
                }
                Entry::Item(_) | Entry::Patch(_) | Entry::User(_) | Entry::ItemRemoved(_) | Entry::UserRemoved(_) => {
                    bail!("{}: events are needed here", request.train.display())
                }
            };
            let known = |id: &ItemId| items.get(id).map(|item| KnownItem { price: item.price, category: None });
            // No event of a file is late, so the clock is at the end of time.
            match check.judge(&event, Timestamp(i64::MAX / 4), known) {
                Outcome::Quarantined(rejection) => refuse(rejection.reason.code()),
                Outcome::Accepted(event) | Outcome::Repaired(event, _) => {
                    if types.is_some_and(|types| !types.iter().any(|kept| kept == event.event_type.name())) {
                        refuse("other_type");
                        continue;
                    }
                    check.observe(&event, event.item.as_ref().and_then(known));
                    if let Some(Ok((item, _))) = description.map(|item| check.judge_item(&item))
                        && items.get(&item.id) != Some(&item)
                    {
                        items.insert(item.id.clone(), item.clone());
                        data.items.push((data.events.len(), item));
                    }
                    data.events.push(event);
                }
            }
        }
    }
    refuse_if_empty(&request.train, data.events.len(), &refused)?;
    if let Some(path) = &request.users {
        data.users = read_users(path, &check)?;
    }
    Ok((data, refused))
}

/// Refuses a file of which no row can be used, with the reasons.
fn refuse_if_empty(path: &Path, n_used: usize, refused: &Refused) -> anyhow::Result<()> {
    if n_used > 0 {
        return Ok(());
    }
    let n_rows: u64 = refused.values().sum();
    ensure!(n_rows > 0, "{}: the file has no rows", path.display());
    let reasons: Vec<String> = refused.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    let hint = match refused.keys().next().map(String::as_str) {
        Some("bad_time") => "say how its times are written: `time_format` in the file of --mapping",
        Some("other_type") => "name the types of events that it has: --set types=TYPE,…",
        _ => "check which columns are the user and the item: --map user=COLUMN,item=COLUMN",
    };
    bail!("{}: none of its {n_rows} rows can be used ({}); {hint}", path.display(), reasons.join(", "))
}

/// Reads and checks descriptions of users.
fn read_users(path: &Path, check: &Check) -> anyhow::Result<Vec<User>> {
    let mapping = Mapping { kind: RecordKind::Users, ..Mapping::default() };
    let mut reader = Reader::open(path, &ReadSettings { mapping, ..ReadSettings::default() }, &Progress::default())?;
    let mut users = Vec::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok(users);
        }
        for entry in batch.entries {
            let Entry::User(user) = entry else { bail!("{}: users are needed here", path.display()) };
            let judged = check.judge_user(&user);
            users.push(judged.map_err(|rejection| anyhow::anyhow!("{}: {rejection}", path.display()))?.0);
        }
    }
}
