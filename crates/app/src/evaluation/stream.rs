//! The protocol `stream`: an online model on the events of a file or of a simulated shop.

use std::ops::RangeInclusive;
use std::path::Path;

use accrue_encode::Encoder;
use accrue_engine::learn_settings;
use accrue_event::Event;
use accrue_lab::simulator::{SimulatorSettings, simulated_log};
use accrue_lab::{
    Hit, Mode, StreamData, StreamSettings, Unit, compare, evaluate_stream, predictions_from_text, predictions_to_text,
};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::events::read;
use super::left_out::Refused;
use super::request::Run;
use super::settings::{ENCODER, number, with_model_settings};
use super::vectors;

/// An online model on a stream of events.
pub(super) fn stream(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let request = run.request;
    // Before the run, which may take long, because an unusable file should fail at once.
    let other = request.against.as_deref().map(read_predictions).transpose()?;
    let (source, settings, kept_types) = stream_settings(run)?;
    let (mut data, refused) = match source {
        Source::File => read(run.config, request, kept_types.as_deref())?,
        Source::Simulated(shop, days) => (simulate(shop, days, kept_types.as_deref()), Refused::new()),
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

/// The events of a new item that are predicted: `2..10` from the second to the tenth, `10` the first ten.
fn numbers(text: &str) -> anyhow::Result<RangeInclusive<u32>> {
    let (from, to) = text.split_once("..").unwrap_or(("1", text));
    let asked = from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..=to);
    let is_usable = |asked: &RangeInclusive<u32>| *asked.start() > 0 && !asked.is_empty();
    let expected = "a number of events from 1 on, or a range such as 2..10";
    asked.filter(is_usable).with_context(|| format!("new_items={text} is not {expected}"))
}
