//! How much memory a large shop needs: 1M customers × 50 events and 1M items × 64 numbers.
//!
//! Measured as the peak of a separate process that folds a stream into facts (names, catalogue, histories, the rules'
//! statistics), drops them, folds it again with a learner (tables, optimizer, neighbours, the guard's versions), and
//! publishes every 2,500 events (50 ms at 50,000 a second) while a reader holds the last version. Interactions resemble
//! real ones: customers come in turns, 50 events each on average; items are heavy-tailed. 50M events take most of an
//! hour, so the usual row folds a tenth of customers, items and events and multiplies its growth by ten; all parts grow
//! with customers, items or events. `memory_whole`, when named, folds all of it. Limits on the whole (neighbour pairs,
//! events between publications and between versions) are scaled with the rest. Not included: the search index, the log,
//! buffers of requests.

use std::process::Command;

use accrue_engine::learn_settings;
use accrue_event::Timestamp;
use accrue_store::{Facts, Offset, Record};
use accrue_train::Learner;
use anyhow::{Context as _, ensure};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::corpus::Corpus;
use super::machine::memory_bytes;
use super::measure::{Figure, Measure, Target, row};

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "memory",
        "1M customers x 50 events and 1M items x 64: how much memory? (a tenth is folded, its growth times ten)",
        &[
            row("memory_gb_extrapolated", "GB", Target::AtMost(2.5)),
            row("memory_facts_gb_extrapolated", "GB", Target::None),
            row("memory_learned_gb_extrapolated", "GB", Target::None),
        ],
        a_tenth,
    ),
    Bench {
        only_when_named: true,
        ..bench(
            "memory_whole",
            "the same with all 50M events folded; takes most of an hour",
            &[
                row("memory_gb", "GB", Target::AtMost(2.5)),
                row("memory_facts_gb", "GB", Target::None),
                row("memory_learned_gb", "GB", Target::None),
            ],
            whole,
        )
    },
];

const GB: f64 = 1e9;
/// Events between publications: those of 50 ms at 50,000 a second.
const PUBLISH: u64 = 2_500;

fn a_tenth(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let scale = bed.size.pick(10_000, 50, 10);
    measure(bed, "memory", scale)
}

fn whole(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let scale = bed.size.pick(10_000, 50, 1);
    measure(bed, "memory_whole", scale)
}

/// Folds one in `scale` of everything, in a child process if allowed.
fn measure(bed: &mut Bed<'_>, name: &str, scale: u64) -> anyhow::Result<Vec<Figure>> {
    if bed.here { fold(bed, scale) } else { measure_in_child(bed, name) }
}

fn fold(bed: &Bed<'_>, scale: u64) -> anyhow::Result<Vec<Figure>> {
    let corpus = Corpus { even: true, ..Corpus::new(1_000_000 / scale, 1_000_000 / scale, 50_000_000 / scale) };
    let start = memory_bytes("VmRSS");
    let record = |(offset, line): (u64, super::corpus::Line)| Record {
        offset: Offset(offset),
        received_at: Timestamp(line.at_ms),
        body: line.body(),
    };
    let records = || (0..).zip(corpus.lines()).map(record);
    let mut facts = Facts::new(bed.config.learn.history_capacity);
    records().for_each(|record| facts.apply(&record));
    let with_facts = memory_bytes("VmRSS");
    bed.note(format!(
        "  facts: {} items, {} shoppers, {:.3} GB",
        facts.items.len(),
        facts.shoppers.len(),
        with_facts as f64 / GB
    ));
    facts = Facts::new(bed.config.learn.history_capacity);
    // Limits for the whole shop are scaled like the shop, and so is what one publication or version copies.
    let mut settings = learn_settings(&bed.config);
    settings.models.neighbours.pairs /= scale as usize;
    settings.guard.version_every = (settings.guard.version_every / scale).max(1);
    settings.guard.confirm_after = (settings.guard.confirm_after / scale).max(1);
    let publish = (PUBLISH / scale).max(1);
    let mut learner = Learner::new(settings);
    let mut held = learner.publish();
    for record in records() {
        facts.apply(&record);
        learner.share_histories(&facts, 1);
        learner.step(record.offset, record.received_at.0, facts.resolve(&record))?;
        if record.offset.0.is_multiple_of(publish) {
            held = learner.publish();
            if record.offset.0.is_multiple_of(500_000) {
                bed.note(format!("  {} events learned, {:.3} GB", held.offset, memory_bytes("VmRSS") as f64 / GB));
            }
        }
    }
    let peak = memory_bytes("VmHWM");
    ensure!(start > 0 && peak > 0, "this system does not say how much memory a process uses");
    drop(held);
    let ensemble = learner.ensemble();
    bed.note(format!(
        "  written out: neighbours {}, factorization {}, catalogue {}, popularity {}, both histories {}",
        size(&ensemble.members.neighbours)?,
        size(&ensemble.members.factorization)?,
        size(&ensemble.catalogue)?,
        size(&ensemble.members.popularity)?,
        size(&(&facts.histories, learner.histories()))?,
    ));
    let (n_shared, n_shoppers) = (learner.histories().n_shared_with(&facts.histories), facts.histories.len());
    bed.note(format!("  histories that both folds have in the same memory: {n_shared} of {n_shoppers}"));
    let grown = |from: u64, to: u64| to.saturating_sub(from) as f64 * scale as f64 / GB;
    let figure = |value| Figure { value, samples: corpus.n_events };
    Ok(vec![
        figure(start as f64 / GB + grown(start, peak)),
        figure(grown(start, with_facts)),
        figure(grown(with_facts, peak)),
    ])
}

/// The size of `value` in its serialised form: smaller than in memory, but it shows which parts are large.
fn size(value: &impl serde::Serialize) -> anyhow::Result<String> {
    struct Counting(u64);
    impl std::io::Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let Counting(n_bytes) = postcard::to_io(value, Counting(0))?;
    Ok(format!("{:.3} GB", n_bytes as f64 / GB))
}

/// The same in a separate process, so that nothing else is measured.
fn measure_in_child(bed: &Bed<'_>, name: &str) -> anyhow::Result<Vec<Figure>> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(&program);
    command.args(["bench", name, "--here", "--json", "--seed", &bed.config.learn.seed.to_string()]);
    command.args(bed.size.flag()).env_clear().current_dir(std::env::temp_dir()).stderr(std::process::Stdio::inherit());
    let output = command.output().with_context(|| format!("{}", program.display()))?;
    ensure!(output.status.success(), "{} bench {name}: {}", program.display(), output.status);
    let measures: Vec<Measure> = serde_json::from_slice(&output.stdout)?;
    Ok(measures.into_iter().map(|measure| Figure { value: measure.value, samples: measure.samples }).collect())
}
