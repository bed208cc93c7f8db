//! The cost of a checkpoint: the first one, and those after few events.
//!
//! Corpus: the shop with 10⁷ events before (200,000 customers, 50,000 items, seed 7), folded into facts and models without a log; then
//! 100 and 10,000 events more. Each checkpoint is written, made durable and read back whole; the time excludes the
//! reading. Writes wait while the facts are being read, which is measured separately.

use std::cell::Cell;
use std::ops::Deref;
use std::time::{Duration, Instant};

use accrue_event::Timestamp;
use accrue_store::{Checkpoints, Facts, Offset, Record};
use accrue_train::{Learner, save};
use anyhow::ensure;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::corpus::Corpus;
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::shop::learn;

pub(super) const BENCHES: &[Bench] = &[bench(
    "checkpoint_delta",
    "a checkpoint of the shop with 10^7 events, then after 100 and after 10,000 more: bytes, time, and how long writes wait",
    &[
        row("checkpoint_base_mb", "MB", Target::None),
        row("checkpoint_base_ms", "ms", Target::None),
        row("checkpoint_base_wait_ms", "ms", Target::None),
        row("checkpoint_delta_100_mb", "MB", Target::None),
        row("checkpoint_delta_100_ms", "ms", Target::None),
        row("checkpoint_delta_100_wait_ms", "ms", Target::None),
        row("checkpoint_delta_10k_mb", "MB", Target::None),
        row("checkpoint_delta_10k_ms", "ms", Target::None),
        row("checkpoint_delta_10k_wait_ms", "ms", Target::None),
    ],
    checkpoints,
)];

/// Facts under a lock that measures how long it was held.
struct Held<'a> {
    facts: &'a Facts,
    since: Instant,
    held: &'a Cell<Duration>,
}

impl Deref for Held<'_> {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        self.facts
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.held.set(self.since.elapsed());
    }
}

fn checkpoints(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    // Other shops are dropped first, so that their memory does not affect the figures.
    (bed.big, bed.retail, bed.trained) = (None, None, None);
    let n_events = bed.size.pick(2_000, 1_000_000, 10_000_000);
    let corpus = Corpus::new(n_events / 50, n_events / 200, n_events);
    let (mut facts, mut learner) = learn(corpus, &bed.config)?;
    let folder = Folder::new()?;
    let checkpoints = Checkpoints::new(folder.path());
    let mut figures = Vec::new();
    for (stretch, n_events) in [0, 100, 10_000].into_iter().enumerate() {
        if stretch > 0 {
            go_on(corpus.later(stretch as u64, n_events), n_events, &mut facts, &mut learner)?;
        }
        let held = Cell::new(Duration::ZERO);
        let started = Instant::now();
        let written = save(&checkpoints, |_| Ok(None), Held { facts: &facts, since: started, held: &held }, &learner)?;
        let took = started.elapsed();
        let found = checkpoints.newest()?.map(|found| found.checkpoint.header().offset);
        ensure!(found == Some(facts.end), "the checkpoint at {} does not read back", facts.end);
        bed.note(format!("  after {n_events} events: {written:?}"));
        let value = |value| Figure { value, samples: 1 };
        let ms = |duration: Duration| value(duration.as_secs_f64() * 1e3);
        figures.extend([value(written.file_bytes as f64 / 1e6), ms(took), ms(held.get())]);
    }
    Ok(figures)
}

/// Applies the next `n_events` to both folds.
fn go_on(corpus: Corpus, n_events: u64, facts: &mut Facts, learner: &mut Learner) -> anyhow::Result<()> {
    for (offset, line) in (facts.end.0..).zip(corpus.lines().take(n_events as usize)) {
        let record = Record { offset: Offset(offset), received_at: Timestamp(line.at_ms), body: line.body() };
        facts.apply(&record);
        learner.step(record.offset, line.at_ms, facts.resolve(&record))?;
    }
    Ok(())
}
