//! How soon an event has an effect: for the shopper, for others through what was learned, and for a new item.
//!
//! Corpus: the shop with 10⁷ events before (`Corpus::new(200_000, 50_000, 10_000_000)`, seed 7), over HTTP. Every
//! measurement also checks that the answer did change, and for the expected reason: the events carry the stream's
//! latest time, so that scores do not change because time has passed. The items bought are on the list of the other
//! shopper and outside the best-selling hundredth, where one more purchase may be less than a score's last digit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use accrue_event::Shopper;
use accrue_kernel::Draws;
use accrue_model::members::ShopperState;
use accrue_model::{Context, Member, Sequence, SequenceKind, SequenceSettings};
use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::client::{Client, get, post_events, post_json};
use super::corpus::{Corpus, item_name, ndjson, user_name};
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since, quantile};
use super::shop::{Big, Server, fill};

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "own_freshness",
        "after an event is acknowledged, when do the shopper's own recommendations differ? (10^7 events before)",
        &[row("own_freshness_p99_ms", "ms", Target::AtMost(10.0))],
        own,
    ),
    bench(
        "learned_freshness",
        "after an event is acknowledged, when do another shopper's scores change through a trained row? (10^7 events before)",
        &[row("learned_freshness_p99_ms", "ms", Target::AtMost(100.0))],
        learned,
    ),
    bench(
        "learned_freshness_busy",
        "the same while 2,000 other events a second come in",
        &[row("learned_freshness_busy_p99_ms", "ms", Target::AtMost(100.0))],
        learned_busy,
    ),
    bench(
        "learned_freshness_loaded",
        "the same while 5,000 other events and 500 requests a second come in",
        &[row("learned_freshness_loaded_p99_ms", "ms", Target::AtMost(100.0))],
        learned_loaded,
    ),
    bench(
        "learned_freshness_sequence",
        "the same through the weights of a GRU and of a Transformer, with 500 other events and 200 requests a second",
        &[
            row("learned_freshness_gru_p99_ms", "ms", Target::AtMost(100.0)),
            row("learned_freshness_transformer_p99_ms", "ms", Target::AtMost(100.0)),
        ],
        learned_by_sequence,
    ),
    bench(
        "learned_freshness_resetting",
        "the same with 1,000 other events and 200 requests a second, without resets and while one challenger follows the other",
        &[
            row("learned_freshness_without_resets_p99_ms", "ms", Target::AtMost(100.0)),
            row("learned_freshness_resetting_p99_ms", "ms", Target::AtMost(100.0)),
        ],
        learned_resetting,
    ),
    bench(
        "new_item",
        "from posting a new item until search finds it and a page recommends it (10^7 events before)",
        &[row("new_item_p99_ms", "ms", Target::AtMost(1000.0))],
        new_item,
    ),
];

/// The limit of any wait.
const PATIENCE: Duration = Duration::from_secs(20);
const STREAM: u64 = 0x4652_4553;

/// The list of an answer.
struct List {
    version: u64,
    items: Vec<(String, f64)>,
}

fn recommend(client: &mut Client, user: &str) -> anyhow::Result<List> {
    let answer = client.ask_json(&post_json("/v1/recommend", &json!({"user": user, "n": 20})))?;
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let items =
        items.iter().map(|item| (item["id"].as_str().unwrap_or("").to_string(), item["score"].as_f64().unwrap_or(0.0)));
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    Ok(List { version: number("version"), items: items.collect() })
}

fn event(id: &str, event_type: &str, user: &str, item: &str, at_ms: i64) -> Vec<u8> {
    post_json(
        "/v1/events",
        &json!([{"id": id, "type": event_type, "user": user, "item": item, "at": at_ms, "price": 2.5}]),
    )
}

/// Sends an event that must be accepted, and returns the log's end after it.
fn acknowledged(client: &mut Client, event: &[u8]) -> anyhow::Result<u64> {
    let answer = client.ask_json(event)?;
    ensure!(answer["accepted"] == 1, "{answer}");
    Ok(answer["offset"].as_u64().unwrap_or(0))
}

fn own(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 300, 1_000);
    let Big { server, corpus, .. } = bed.big()?;
    let mut client = server.connect()?;
    let at_ms = server.stream_time_ms();
    let mut draws = Draws::new(corpus.seed, STREAM, 0);
    let mut took = Vec::new();
    let (mut first, mut same_version) = (0, 0);
    for sample in 0..n_samples {
        let user = known_user(server, &mut draws, corpus.n_users);
        let item = item_name(draws.below(corpus.n_items) as u32);
        server.engine.wait_until_learned();
        let before = recommend(&mut client, &user)?;
        acknowledged(&mut client, &event(&format!("own-{sample}"), "view", &user, &item, at_ms))?;
        let started = Instant::now();
        for attempt in 0.. {
            let after = recommend(&mut client, &user)?;
            if after.items != before.items {
                took.push(ms_since(started));
                first += u32::from(attempt == 0);
                // Then the change does not come from learning.
                same_version += u32::from(after.version == before.version);
                break;
            }
            if started.elapsed() > PATIENCE {
                bail!("{user} has viewed {item} and the recommendations are the same after {PATIENCE:?}");
            }
        }
    }
    bed.note(format!(
        "  the next request differed {first} times of {n_samples}, {same_version} times by the same version"
    ));
    Ok(vec![figure(&mut took, 0.99)])
}

fn learned(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 100, 300);
    let Big { server, corpus, .. } = bed.big()?;
    let mut moved = Moved::default();
    let mut draws = Draws::new(corpus.seed, STREAM, 1);
    for sample in 0..n_samples {
        server.engine.wait_until_learned();
        moved.measure(server, &mut draws, *corpus, &format!("learned-{sample}"), &Through::FACTORIZATION)?;
    }
    let p50 = quantile(&mut moved.took, 0.5);
    bed.note(format!("  p50 {p50:.1} ms; each time the factorization's row had changed"));
    Ok(vec![figure(&mut moved.took, 0.99)])
}

fn learned_busy(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 100, 300);
    let load = Load { events_a_second: 2_000, requests_a_second: 0, n_events: bed.size.pick(2_000, 200_000, 400_000) };
    let big = bed.big()?;
    let background = big.next(load.n_events);
    let mut moved = under_load(&big.server, big.corpus, background, &load, n_samples, &Through::FACTORIZATION.busy())?;
    Ok(vec![figure(&mut moved.took, 0.99)])
}

fn learned_loaded(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 100, 300);
    let n_events = bed.size.pick(2_000, 300_000, 600_000);
    let load = Load { events_a_second: 5_000, requests_a_second: bed.size.pick(0, 500, 500), n_events };
    let big = bed.big()?;
    let background = big.next(load.n_events);
    let mut moved = under_load(&big.server, big.corpus, background, &load, n_samples, &Through::FACTORIZATION.busy())?;
    bed.note(moved.requests_note());
    Ok(vec![figure(&mut moved.took, 0.99)])
}

/// Corpus: 2,000 items, 4,000 customers, and a past short enough that a network can learn it during the bench.
fn learned_by_sequence(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 100, 300);
    let n_past = bed.size.pick(2_000, 20_000, 100_000);
    let n_events = bed.size.pick(2_000, 30_000, 60_000);
    let load = Load { events_a_second: 500, requests_a_second: bed.size.pick(0, 200, 200), n_events };
    let mut figures = Vec::new();
    for (kind, blocks) in [(SequenceKind::Gru, 1), (SequenceKind::Transformer, 2)] {
        let mut config = bed.all_live();
        config.model.sequence = SequenceSettings { kind, blocks, ..SequenceSettings::default() };
        let corpus = Corpus::new(4_000, 2_000, n_past);
        let folder = Folder::new()?;
        fill(folder.path(), &config, corpus, bed.note)?;
        let server = Server::open(folder, &config)?;
        server.engine.wait_until_learned();
        let background = corpus.later(1, n_events);
        let mut moved = under_load(&server, corpus, background, &load, n_samples, &Through::SEQUENCE)?;
        let p50 = quantile(&mut moved.took, 0.5);
        bed.note(format!("  {}: p50 {p50:.1} ms; {}", kind.name(), moved.requests_note().trim_start()));
        figures.push(figure(&mut moved.took, 0.99));
    }
    Ok(figures)
}

/// Corpus: 2,000 items, 4,000 customers, 50,000 events before, so that there is always a challenger that learns them or
/// is a shadow.
fn learned_resetting(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(5, 400, 800);
    let n_past = bed.size.pick(2_000, 50_000, 50_000);
    let n_events = bed.size.pick(2_000, 120_000, 240_000);
    let load = Load { events_a_second: 1_000, requests_a_second: bed.size.pick(0, 200, 200), n_events };
    let mut figures = Vec::new();
    for every_events in [0, 1_000] {
        let mut config = bed.all_live();
        config.learn.reset.every_events = every_events;
        config.learn.reset.growth = 0.0;
        let corpus = Corpus::new(4_000, 2_000, n_past);
        let folder = Folder::new()?;
        fill(folder.path(), &config, corpus, bed.note)?;
        let server = Server::open_to_reset(folder, &config)?;
        server.engine.wait_until_learned();
        let background = corpus.later(1, n_events);
        let mut moved = under_load(&server, corpus, background, &load, n_samples, &Through::FACTORIZATION.busy())?;
        let (p50, note) = (quantile(&mut moved.took, 0.5), moved.requests_note());
        let challenger = server.engine.status().challenger;
        let (promoted, refused, state) = (challenger.n_promoted, challenger.n_refused, challenger.state.name());
        bed.note(format!(
            "  {promoted} promoted, {refused} refused, one is {state}; p50 {p50:.1} ms; {}",
            note.trim_start()
        ));
        figures.push(figure(&mut moved.took, 0.99));
    }
    Ok(figures)
}

/// The load beside the events that are measured.
struct Load {
    events_a_second: u64,
    requests_a_second: u64,
    /// The events of the load; there must be enough.
    n_events: u64,
}

/// How a probe's score of an item is read, and when a version must have learned from an event.
struct Through {
    /// The score by the model's rows alone.
    view: fn(&Server, &str, &str) -> Option<f32>,
    /// Whether the version that answers has learned all records before this offset. Without a load, a changed list is
    /// enough to show it.
    has_learned: Option<fn(&Server, u64) -> bool>,
}

impl Through {
    const FACTORIZATION: Self = Self { view: factorized, has_learned: None };
    const SEQUENCE: Self = Self {
        view: network_score,
        // Choices wait for a step until there are enough of them.
        has_learned: Some(|server, offset| {
            let learned_to = |model: &Sequence| model.learned_to();
            server.engine.with_shop(|shop| shop.version.ensemble.sequence().map_or(0, learned_to)) >= offset
        }),
    };

    /// In a busy shop lists always change, so the version must have learned from the event.
    fn busy(self) -> Self {
        let has_learned: fn(&Server, u64) -> bool =
            |server, offset| server.engine.with_shop(|shop| shop.version.offset) >= offset;
        Self { has_learned: Some(has_learned), ..self }
    }
}

/// Measures `n_samples` times during the load, each stream of which has its own rate and connection.
fn under_load(
    server: &Server,
    corpus: Corpus,
    background: Corpus,
    load: &Load,
    n_samples: usize,
    through: &Through,
) -> anyhow::Result<Moved> {
    let events_a_batch = (load.events_a_second / 100).max(1);
    let batches = ndjson(background.lines(), events_a_batch as usize);
    let mut moved = Moved::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut client = server.connect()?;
            let interval = Duration::from_secs(events_a_batch).div_f64(load.events_a_second as f64);
            let ran_out =
                at_interval(interval, &done, batches.iter(), |body| client.ask(&post_events(body)).map(|_| ()))?;
            anyhow::Ok(ran_out)
        });
        let asking = (load.requests_a_second > 0).then(|| {
            scope.spawn(|| {
                let mut client = server.connect()?;
                let mut draws = Draws::new(corpus.seed, STREAM, 4);
                let mut took = Vec::new();
                let users = std::iter::repeat_with(|| user_name(draws.below(corpus.n_users) as u32));
                let interval = Duration::from_secs(1).div_f64(load.requests_a_second as f64);
                at_interval(interval, &done, users, |user| {
                    let started = Instant::now();
                    client.ask(&get(&format!("/v1/recommend/{user}?n=10")))?;
                    took.push(ms_since(started));
                    Ok(())
                })?;
                anyhow::Ok(took)
            })
        });
        let started = Instant::now();
        let mut draws = Draws::new(corpus.seed, STREAM, 2);
        let measured = (0..n_samples).try_for_each(|sample| {
            moved.measure(server, &mut draws, corpus, &format!("busy-{}-{sample}", load.events_a_second), through)
        });
        done.store(true, Ordering::Relaxed);
        moved.seconds = started.elapsed().as_secs_f64();
        let ran_out = writing.join().expect("the writer does not panic")?;
        if let Some(asking) = asking {
            moved.requests = asking.join().expect("the reader does not panic")?;
        }
        ensure!(!ran_out || n_samples < 100, "the background events ran out");
        measured
    })?;
    Ok(moved)
}

/// Calls `act` for each of `inputs`, one every `interval`, until all is done; returns whether the inputs ran out.
fn at_interval<T>(
    interval: Duration,
    done: &AtomicBool,
    inputs: impl Iterator<Item = T>,
    mut act: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    for (number, input) in inputs.enumerate() {
        if done.load(Ordering::Relaxed) {
            return Ok(false);
        }
        act(input)?;
        let due = interval.mul_f64(number as f64 + 1.0);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
    }
    Ok(true)
}

#[derive(Default)]
struct Moved {
    took: Vec<f64>,
    /// How long the requests of the load took.
    requests: Vec<f64>,
    seconds: f64,
}

impl Moved {
    fn requests_note(&mut self) -> String {
        let rate = self.requests.len() as f64 / self.seconds;
        let (p50, p99) = (quantile(&mut self.requests, 0.5), quantile(&mut self.requests, 0.99));
        format!("  meanwhile {rate:.0} requests/s, p50 {p50:.1} ms, p99 {p99:.1} ms")
    }

    /// One shopper buys what is on another's list; the other's list is requested until its scores change. In a busy
    /// shop they always change, so there the version must also have learned from the event.
    fn measure(
        &mut self,
        server: &Server,
        draws: &mut Draws,
        corpus: Corpus,
        id: &str,
        through: &Through,
    ) -> anyhow::Result<()> {
        let mut client = server.connect()?;
        let actor = user_name(draws.below(corpus.n_users) as u32);
        let (probe, before, item) = loop {
            let probe = known_user(server, draws, corpus.n_users);
            let before = recommend(&mut client, &probe)?;
            let item = draws.below(before.items.len().max(1) as u64) as usize;
            let item = before.items.get(item).map(|(item, _)| item.clone());
            if let Some(item) = item.filter(|item| probe != actor && !is_best_seller(item, corpus)) {
                break (probe, before, item);
            }
        };
        let logit = (through.view)(server, &probe, &item);
        let at_ms = server.stream_time_ms();
        // Publications are periodic, and events must not be in phase with them.
        std::thread::sleep(Duration::from_micros(draws.below(60_000)));
        let offset = acknowledged(&mut client, &event(id, "purchase", &actor, &item, at_ms))?;
        let started = Instant::now();
        loop {
            // Read before the list, so that the list comes from this version or a later one.
            let has_learned = through.has_learned.is_none_or(|has_learned| has_learned(server, offset));
            let after = recommend(&mut client, &probe)?;
            let has_moved = || (through.view)(server, &probe, &item) != logit;
            if after.items != before.items && has_learned {
                self.took.push(ms_since(started));
                ensure!(has_moved(), "the scores of {probe} changed, but not through the row of {item}");
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let moved = has_moved();
                bail!(
                    "{actor} bought {item}, on the list of {probe}, whose scores do not change: learned {has_learned}, row changed {moved}"
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether one more purchase among this many may be less than the last digit of a score.
fn is_best_seller(item: &str, corpus: Corpus) -> bool {
    let rank: Option<u64> = item.strip_prefix("sku-").and_then(|rank| rank.parse().ok());
    rank.is_none_or(|rank| rank < corpus.n_items / 100)
}

/// A shopper with a history.
fn known_user(server: &Server, draws: &mut Draws, n_users: u64) -> String {
    loop {
        let user = user_name(draws.below(n_users) as u32);
        let name = Shopper::User(user.as_str().into());
        if server.engine.with_shop(|shop| shop.facts.shopper(&name).is_some()) {
            return user;
        }
    }
}

/// The score of an item for a user by the factorization's rows alone.
fn factorized(server: &Server, user: &str, item: &str) -> Option<f32> {
    server.engine.with_shop(|shop| {
        let shopper = shop.facts.shopper(&Shopper::User(user.into()))?;
        let item = shop.facts.items.get(item)?;
        let history = shop.facts.histories.get(shopper);
        let context = Context::new(&history, None, shop.facts.stream_time.0, &shop.version.weights);
        let factorization = shop.version.ensemble.factorization()?;
        Some(factorization.score(&factorization.shopper(&context), item))
    })
}

/// The score of an item for a user by the network alone.
fn network_score(server: &Server, user: &str, item: &str) -> Option<f32> {
    server.engine.with_shop(|shop| {
        let shopper = shop.facts.shopper(&Shopper::User(user.into()))?;
        let item = shop.facts.items.get(item)?;
        let history = shop.facts.histories.get(shopper);
        let context = Context::new(&history, None, shop.facts.stream_time.0, &shop.version.weights);
        let (network, catalogue) = (shop.version.ensemble.sequence()?, &shop.version.ensemble.catalogue);
        let (mut state, mut lift) = (ShopperState::default(), [0.0]);
        network.prepare(catalogue, &context, &mut state);
        network.columns(catalogue, &state, &[item], &mut lift);
        Some(lift[0])
    })
}

fn new_item(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_samples = bed.size.pick(3, 50, 200);
    let Big { server, .. } = bed.big()?;
    let mut client = server.connect()?;
    let mut draws = Draws::new(7, STREAM, 3);
    let (mut found, mut recommended, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for sample in 0..n_samples {
        let id = format!("novelty-{sample}");
        let letters: String = sample.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        let word = format!("zyxq{letters}w");
        let item = post_json(
            "/v1/items",
            &json!([{"id": id, "title": format!("Brand new {word}"), "brand": word, "price": 3.0}]),
        );
        let search = get(&format!("/v1/search?q={word}"));
        let recommend = post_json("/v1/recommend", &json!({"user": "u1", "n": 5, "filter": format!("brand:{word}")}));
        std::thread::sleep(Duration::from_micros(draws.below(200_000)));
        let started = Instant::now();
        client.ask(&item)?;
        let (mut found_ms, mut recommended_ms) = (None, None);
        while found_ms.is_none() || recommended_ms.is_none() {
            ensure!(started.elapsed() < PATIENCE, "{id}: found {found_ms:?}, recommended {recommended_ms:?}");
            let stands_in =
                |list: &Value| list.as_array().is_some_and(|items| items.iter().any(|item| item["id"] == id));
            if found_ms.is_none() && stands_in(&client.ask_json(&search)?["hits"]) {
                found_ms = Some(ms_since(started));
            }
            if recommended_ms.is_none() && stands_in(&client.ask_json(&recommend)?["items"]) {
                recommended_ms = Some(ms_since(started));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        found.extend(found_ms);
        recommended.extend(recommended_ms);
        both.push(ms_since(started));
    }
    let (found, recommended) = (figure(&mut found, 0.99).value, figure(&mut recommended, 0.99).value);
    bed.note(format!("  p99: found after {found:.1} ms, recommendable after {recommended:.1} ms"));
    Ok(vec![figure(&mut both, 0.99)])
}
