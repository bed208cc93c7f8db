//! How many events are accepted per second, durable, checked and de-duplicated, while the learner follows on the same
//! cores.
//!
//! Corpus: later sections of the shop with 10⁷ events before (200,000 customers, 50,000 items, seed 7); for the
//! comparison with another server, of the retail-like shop. Requests are built before the clock starts. A round's rate
//! is the number of its events divided by its time; the row is the median of the rounds.

use std::time::Instant;

use accrue_engine::Incoming;
use accrue_event::RawEvent;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::client::{Load, all_accepted, deal, load, post_events};
use super::corpus::{Corpus, batches, ndjson};
use super::machine::process_cpu_s;
use super::measure::{Figure, Target, row};
use super::sample::{median_rate, ms_since, quantile};
use super::shop::{Big, retail_corpus};

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "ingest_single",
        "requests of one event over HTTP: how many a second over 64 and over 8 connections? (10^7 events before)",
        &[
            row("ingest_single", "requests/s", Target::AtLeast(5_000.0)),
            row("ingest_single_8", "requests/s", Target::AtLeast(5_000.0)),
            row("ingest_single_8_p99_ms", "ms", Target::None),
        ],
        single,
    ),
    bench(
        "ingest_batch",
        "batches of 1,000 given to the engine by 4 threads: how many events a second? (10^7 events before)",
        &[
            row("ingest_batch", "events/s", Target::AtLeast(200_000.0)),
            row("ingest_batch_worst_ms", "ms", Target::None),
        ],
        batch,
    ),
    bench(
        "ingest_batch_http",
        "batches of 1,000 as NDJSON over 4 connections: how many events a second? (10^7 events before)",
        &[
            row("ingest_batch_http", "events/s", Target::AtLeast(200_000.0)),
            row("ingest_batch_http_worst_ms", "ms", Target::None),
        ],
        batch_http,
    ),
    bench(
        "events_http_durable",
        "batches of 100 over 8 connections into a retail-like shop: 25 times what Gorse takes (7,329 events/s)?",
        &[row("events_http_durable", "events/s", Target::AtLeast(25.0 * 7_329.0))],
        durable,
    ),
];

const N_ROUNDS: u64 = 5;

fn batch(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_events = bed.size.pick(2_000, 200_000, 400_000);
    let big = bed.big()?;
    let (mut rates, mut waits, mut cpu) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..N_ROUNDS {
        let mut dealt: Vec<Vec<Vec<Incoming<RawEvent>>>> = (0..4).map(|_| Vec::new()).collect();
        for (place, batch) in batches(big.next(n_events), 1_000).into_iter().enumerate() {
            dealt[place % 4].push(batch);
        }
        let engine = &big.server.engine;
        let cpu_before = process_cpu_s();
        let started = Instant::now();
        let outcomes: Vec<anyhow::Result<(u64, Vec<f64>)>> = std::thread::scope(|scope| {
            let ingest = |batches: Vec<Vec<Incoming<RawEvent>>>| {
                let (mut n_accepted, mut waits) = (0, Vec::new());
                for batch in batches {
                    let started = Instant::now();
                    n_accepted += engine.ingest(batch)?.accepted;
                    waits.push(ms_since(started));
                }
                anyhow::Ok((n_accepted, waits))
            };
            let threads: Vec<_> = dealt.into_iter().map(|batches| scope.spawn(move || ingest(batches))).collect();
            threads.into_iter().map(|thread| thread.join().expect("producers do not panic")).collect()
        });
        rates.push(n_events as f64 / started.elapsed().as_secs_f64());
        cpu += (process_cpu_s() - cpu_before) * 1e6 / (N_ROUNDS * n_events) as f64;
        let mut n_accepted = 0;
        for outcome in outcomes {
            let (accepted, waited) = outcome?;
            n_accepted += accepted;
            waits.extend(waited);
        }
        anyhow::ensure!(n_accepted == n_events, "{n_accepted} of {n_events} events were accepted");
    }
    let lag = lag(big);
    bed.note(format!(
        "  rounds: {}; the learner is {lag} records behind; {cpu:.1} µs of CPU an event, its share included",
        list(&rates)
    ));
    Ok(vec![median_rate(rates, N_ROUNDS * n_events), worst(&mut waits)])
}

fn batch_http(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_events = bed.size.pick(2_000, 200_000, 400_000);
    let big = bed.big()?;
    let (mut rates, mut waits, mut cpu) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..N_ROUNDS {
        let Load { seconds, cpu_s, latencies_ms } = post_in_batches(big.server.address, big.next(n_events), 1_000, 4)?;
        rates.push(n_events as f64 / seconds);
        cpu += cpu_s * 1e6 / (N_ROUNDS * n_events) as f64;
        waits.extend(latencies_ms);
    }
    let lag = lag(big);
    bed.note(format!(
        "  rounds: {}; the learner is {lag} records behind; {cpu:.1} µs of CPU an event, its share included",
        list(&rates)
    ));
    Ok(vec![median_rate(rates, N_ROUNDS * n_events), worst(&mut waits)])
}

fn single(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_requests = bed.size.pick(300, 10_000, 20_000);
    let big = bed.big()?;
    let mut figures = Vec::new();
    let mut waits = Vec::new();
    for n_connections in [64, 8] {
        let mut rates = Vec::new();
        waits.clear();
        for _ in 0..3 {
            let Load { seconds, latencies_ms, .. } =
                post_in_batches(big.server.address, big.next(n_requests), 1, n_connections)?;
            rates.push(n_requests as f64 / seconds);
            waits.extend(latencies_ms);
        }
        figures.push(median_rate(rates, 3 * n_requests));
    }
    figures.push(Figure { value: quantile(&mut waits, 0.99), samples: waits.len() as u64 });
    Ok(figures)
}

fn durable(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_events = bed.size.pick(2_000, 100_000, 200_000);
    let server = bed.retail()?;
    let mut rates = Vec::new();
    for round in 1..=N_ROUNDS {
        let corpus = retail_corpus(n_events).later(round, n_events);
        let load = post_in_batches(server.address, corpus, 100, 8)?;
        rates.push(n_events as f64 / load.seconds);
    }
    bed.note(format!("  rounds: {}", list(&rates)));
    Ok(vec![median_rate(rates, N_ROUNDS * n_events)])
}

fn post_in_batches(
    address: std::net::SocketAddr,
    corpus: Corpus,
    batch: usize,
    n_connections: usize,
) -> anyhow::Result<Load> {
    let bodies = ndjson(corpus.lines(), batch);
    let last = corpus.n_events - (bodies.len() as u64 - 1) * batch as u64;
    anyhow::ensure!(last == batch as u64, "whole batches only, so that each answer can be checked");
    let requests = deal(bodies.iter().map(|body| post_events(body)), n_connections);
    load(address, &requests, |body| all_accepted(body, batch as u64))
}

fn lag(big: &Big) -> u64 {
    let status = big.server.engine.status();
    status.log_end - status.learned
}

fn worst(waits: &mut [f64]) -> Figure {
    Figure { value: quantile(waits, 1.0), samples: waits.len() as u64 }
}

fn list(rates: &[f64]) -> String {
    rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(", ")
}
