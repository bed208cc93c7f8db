//! How fast the learner learns when nothing else runs, and the cost of its publications.
//!
//! Corpus: the retail-like stream (4,000 items, 4,000 customers, 350,000 events, seed 7), names already resolved; published
//! every 50 ms as the server does, with one version held by a reader. With `--datasets`, also a real shop's year.

use std::time::{Duration, Instant};

use accrue_engine::learn_settings;
use accrue_model::{Ensemble, Version};
use accrue_store::{Fact, Interaction, Names, Offset, Share, Split};
use accrue_train::Learner;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::dataset;
use super::machine::thread_cpu_s;
use super::measure::{Figure, Target, row};
use super::sample::median_rate;
use super::shop::retail_corpus;

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "learn",
        "the learner alone on a retail-like stream of 350,000 events: events a second, bytes copied by publications",
        &[
            row("learn_events_per_s", "events/s", Target::AtLeast(50_000.0)),
            row("learn_events_per_cpu_s", "events/s", Target::None),
            row("copied_bytes_per_event", "bytes", Target::None),
            row("copied_bytes_per_event_at_1000_per_s", "bytes", Target::None),
        ],
        learn,
    ),
    bench(
        "learn_online_retail",
        "the same on the first year of UCI Online Retail II, where --datasets has it",
        &[row("learn_online_retail_per_s", "events/s", Target::AtLeast(50_000.0))],
        learn_online_retail,
    ),
    bench(
        "learn_own_arms",
        "the first of them while an experiment's two arms learn separately: each choice is learned twice",
        &[row("learn_own_arms_per_s", "events/s", Target::None), row("learn_own_arms_params", "times", Target::None)],
        learn_own_arms,
    ),
];

/// When a version is published.
enum Publish {
    Every(Duration),
    EachEvents(usize),
}

fn learn(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let events: Vec<Interaction> =
        retail_corpus(bed.size.pick(2_000, 350_000, 350_000)).lines().map(|line| line.interaction()).collect();
    let every = Duration::from_millis(bed.config.learn.publish_every_ms);
    let (mut rates, mut cpu_rates) = (Vec::new(), Vec::new());
    let mut copied = 0.0;
    for _ in 0..bed.size.pick(1, 3, 3) {
        let learned = run(bed, &events, &Publish::Every(every))?;
        bed.note(format!("  {:.0} events/s, {:.0} a CPU second", learned.rate, learned.cpu_rate));
        rates.push(learned.rate);
        cpu_rates.push(learned.cpu_rate);
        copied = learned.copied;
    }
    let n_learned = (rates.len() * events.len()) as u64;
    // At 1,000 events a second, one is learned in each millisecond between publications.
    let slowly = &events[..events.len().min(100_000)];
    let copied_slowly =
        run(bed, slowly, &Publish::EachEvents(bed.config.learn.publish_every_ms.max(1) as usize))?.copied;
    Ok(vec![
        median_rate(rates, n_learned),
        median_rate(cpu_rates, n_learned),
        Figure { value: copied, samples: events.len() as u64 },
        Figure { value: copied_slowly, samples: slowly.len() as u64 },
    ])
}

fn learn_online_retail(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let Some(datasets) = &bed.datasets else {
        bed.note("  skipped: no --datasets");
        return Ok(Vec::new());
    };
    let events = dataset::online_retail(datasets)?;
    let every = Duration::from_millis(bed.config.learn.publish_every_ms);
    let Learned { rate, cpu_rate, copied } = run(bed, &events, &Publish::Every(every))?;
    bed.note(format!("  {} events, {cpu_rate:.0} a CPU second, {copied:.0} bytes copied an event", events.len()));
    Ok(vec![Figure { value: rate, samples: events.len() as u64 }])
}

fn learn_own_arms(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let events: Vec<Interaction> =
        retail_corpus(bed.size.pick(2_000, 35_000, 350_000)).lines().map(|line| line.interaction()).collect();
    let arm = |name: &str| Share { name: name.into(), share: 0.5 };
    let arms = Split { experiment: "bench".into(), arms: vec![arm("a"), arm("b")] };
    let mut settings = learn_settings(&bed.config);
    settings.arms = Some(arms);
    let mut learner = Learner::new(settings);
    let every = Duration::from_millis(bed.config.learn.publish_every_ms);
    let (rate, cpu_rate) = follow(&mut learner, &events, &Publish::Every(every))?;
    let of_arms = learner.current().arms().map_or(0, |(_, models)| models.iter().map(Ensemble::n_params).sum());
    bed.note(format!("  {rate:.0} events/s, {cpu_rate:.0} a CPU second"));
    let samples = events.len() as u64;
    let more = 1.0 + of_arms as f64 / learner.ensemble().n_params().max(1) as f64;
    Ok(vec![Figure { value: rate, samples }, Figure { value: more, samples: 1 }])
}

/// The result of learning.
struct Learned {
    /// Events a second.
    rate: f64,
    /// Events per CPU second of this thread, which other processes do not affect.
    cpu_rate: f64,
    /// Bytes copied by publications, per event.
    copied: f64,
}

fn run(bed: &Bed<'_>, events: &[Interaction], publish: &Publish) -> anyhow::Result<Learned> {
    let mut learner = Learner::new(learn_settings(&bed.config));
    let (rate, cpu_rate) = follow(&mut learner, events, publish)?;
    Ok(Learned { rate, cpu_rate, copied: learner.ensemble().copied_bytes() as f64 / events.len() as f64 })
}

/// Learns the events; returns the rates by the clock and by this thread's time.
fn follow(learner: &mut Learner, events: &[Interaction], publish: &Publish) -> anyhow::Result<(f64, f64)> {
    let mut held: Option<Version> = None;
    let (started, cpu_before) = (Instant::now(), thread_cpu_s());
    let mut published_at = started;
    for (offset, event) in events.iter().enumerate() {
        // The time between events is that of the target rate, because the guard's work depends on it.
        let names = Names { shopper: u64::from(event.shopper), ..Names::default() };
        learner.step(Offset(offset as u64), offset as i64 / 50, Fact::Interaction(*event, names))?;
        let is_due = match publish {
            Publish::Every(every) => offset % 256 == 255 && published_at.elapsed() >= *every,
            Publish::EachEvents(n) => offset % n.max(&1) == n.max(&1) - 1,
        };
        if is_due {
            held = Some(learner.publish());
            published_at = Instant::now();
        }
    }
    drop(held);
    let n_events = events.len() as f64;
    let rate = n_events / started.elapsed().as_secs_f64();
    let cpu_s = thread_cpu_s() - cpu_before;
    Ok((rate, if cpu_s > 0.0 { n_events / cpu_s } else { rate }))
}
